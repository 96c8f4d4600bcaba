/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BENCH_SPEC_H
#define MOSS_BENCH_SPEC_H

/* What the kernel alone takes for a container of the default configuration (`moss-runtime spec`): all that has to be mounted, made, masked and dropped, by a
 * process that reads no configuration, keeps no state, checks nothing and guards nothing. A floor for runtimes, as bench_floor() is one for sandboxes. The device
 * filter is left out. A filter of system calls is part of it where one is given, compiled before. */

#include <linux/capability.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

#include "runtime/box/seccomp.h"
#include "tests/bench/bench.h"

#define SPEC_CGROUP "/sys/fs/cgroup/moss-bench-spec"

static inline void spec_need(bool ok, int code)
{
    if (!ok)
        _exit(code);
}

static inline void spec_put(int tree, int root, const char *target)
{
    spec_need(tree >= 0 && move_mount(tree, "", root, target, MOVE_MOUNT_F_EMPTY_PATH) == 0, 110);
}

/* "key=value" words, up to a NULL. */
static inline int spec_filesystem(const char *type, unsigned attr, const char *const *keys)
{
    int fs = fsopen(type, FSOPEN_CLOEXEC), tree;

    for (; *keys; keys += 2)
        spec_need(fsconfig(fs, FSCONFIG_SET_STRING, keys[0], keys[1], 0) == 0, 111);
    spec_need(fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0, 112);
    tree = fsmount(fs, FSMOUNT_CLOEXEC, attr);
    close(fs);
    return tree;
}

static inline void spec_attr(int tree, const char *path, unsigned flags, struct mount_attr attr)
{
    spec_need(mount_setattr(tree, path, flags, &attr, sizeof(attr)) == 0, 113);
}

static inline void spec_mounts(int root, int read_only[static 2])
{
    static const char *const none[] = {NULL}, *const dev[] = {"mode", "755", "size", "65536k", NULL},
                             *const shm[] = {"mode", "1777", "size", "65536k", NULL},
                             *const pts[] = {"ptmxmode", "0666", "mode", "0620", "gid", "5", NULL};
    static const char *const dirs[] = {"dev/pts", "dev/shm", "dev/mqueue"};
    unsigned plain = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

    spec_put(spec_filesystem("proc", plain, none), root, "proc");
    spec_put(spec_filesystem("tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_STRICTATIME, dev), root, "dev");
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
        spec_need(mkdirat(root, dirs[i], 0755) == 0, 114);
    spec_put(spec_filesystem("devpts", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, pts), root, "dev/pts");
    spec_put(spec_filesystem("tmpfs", plain, shm), root, "dev/shm");
    spec_put(spec_filesystem("mqueue", plain, none), root, "dev/mqueue");
    spec_put(read_only[0] = spec_filesystem("sysfs", plain, none), root, "sys");
    spec_put(read_only[1] = spec_filesystem("cgroup2", plain, none), root, "sys/fs/cgroup");
}

static inline void spec_devices(int root)
{
    static const struct {
        const char *path;
        unsigned major, minor;
    } nodes[] = {{"dev/null", 1, 3},   {"dev/zero", 1, 5},    {"dev/full", 1, 7},
                 {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0}};
    static const char *const links[] = {"dev/fd", "dev/stdin", "dev/stdout", "dev/stderr", "dev/core", "dev/ptmx"};

    for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
        spec_need(mknodat(root, nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) == 0, 115);
    for (size_t i = 0; i < ARRAY_SIZE(links); i++)
        spec_need(symlinkat("/proc/self/fd", root, links[i]) == 0, 116);
}

/* What is not there on this host is passed over. */
static inline void spec_masks(int root, int null)
{
    static const char *const protected[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"};
    static const char *const directories[] = {"proc/acpi", "proc/asound", "proc/scsi", "sys/firmware",
                                              "sys/devices/virtual/powercap"};
    static const char *const files[] = {"proc/kcore",       "proc/keys",        "proc/latency_stats", "proc/timer_list",
                                        "proc/timer_stats", "proc/sched_debug", "proc/interrupts"};
    static const char *const empty[] = {"size", "0", "nr_inodes", "2", "mode", "555", NULL};
    int cover = -EBADF;

    for (size_t i = 0; i < ARRAY_SIZE(protected); i++) {
        int tree = open_tree(root, protected[i], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

        if (tree < 0)
            continue;
        spec_attr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, (struct mount_attr){.attr_set = MOUNT_ATTR_RDONLY});
        spec_put(tree, root, protected[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(directories); i++)
        if (faccessat(root, directories[i], F_OK, 0) == 0) {
            int tree = cover < 0 ? spec_filesystem("tmpfs", MOUNT_ATTR_RDONLY, empty)
                                 : open_tree(cover, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

            spec_put(tree, root, directories[i]);
            cover = tree;
        }
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        if (faccessat(root, files[i], F_OK, 0) == 0)
            spec_put(open_tree(null, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC), root, files[i]);
}

static inline void spec_loopback(void)
{
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    spec_need(ioctl(fd, SIOCSIFFLAGS, &lo) == 0, 117);
    close(fd);
}

static inline void spec_drop(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {};

    for (unsigned long i = 0; prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == 0; i++)
        ;
    spec_need(syscall(SYS_capset, &header, data) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, 118);
}

static inline _Noreturn void spec_child(const char *path, const SeccompFilter *filter)
{
    char *const argv[] = {(char *) BENCH_PROGRAM, NULL};
    int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), null = open("/dev/null", O_PATH | O_CLOEXEC), tree,
        read_only[2];

    spec_need(setsid() > 0 && sethostname("moss", 4) == 0, 119);
    spec_loopback();
    spec_attr(AT_FDCWD, "/", AT_RECURSIVE, (struct mount_attr){.propagation = MS_SLAVE});
    tree = open_tree(root, "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    spec_put(tree, AT_FDCWD, path);
    spec_mounts(tree, read_only);
    spec_devices(tree);
    spec_masks(tree, null);
    spec_need(fchdir(tree) == 0 && syscall(SYS_pivot_root, ".", ".") == 0 && umount2(".", MNT_DETACH) == 0, 120);
    for (size_t i = 0; i < ARRAY_SIZE(read_only); i++)
        spec_attr(read_only[i], "", AT_EMPTY_PATH, (struct mount_attr){.attr_set = MOUNT_ATTR_RDONLY});
    spec_attr(tree, "", AT_EMPTY_PATH, (struct mount_attr){.attr_set = MOUNT_ATTR_RDONLY});
    spec_drop();
    spec_need(seccomp_install(filter) == 0, 121);
    execv(BENCH_PROGRAM, argv);
    _exit(122);
}

/* As root, with the unified cgroup hierarchy at its usual place. */
static inline void bench_spec(const char *path, const SeccompFilter *filter)
{
    struct clone_args args = {
        .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP |
                 CLONE_INTO_CGROUP,
        .exit_signal = SIGCHLD,
    };
    int cgroup = mkdir(SPEC_CGROUP, 0755) < 0 ? -EBADF : open(SPEC_CGROUP, O_PATH | O_DIRECTORY | O_CLOEXEC), status;
    pid_t pid;

    if (cgroup < 0)
        bench_die(SPEC_CGROUP);
    args.cgroup = (uint64_t) cgroup;
    pid = (pid_t) syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0)
        spec_child(path, filter);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        bench_die("clone3");
    close(cgroup);
    if (rmdir(SPEC_CGROUP) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "spec: status %x\n", (unsigned) status);
        exit(1);
    }
}

#endif
