/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/box/box.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <setjmp.h>

#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/box/cgroup.h"

#define BUSYBOX "/bin/busybox"

/* A root of one static program, a parent cgroup, and what the host looked like before. */
typedef struct World {
    char dir[32];
    int root, lower, cgroup, base;
    char cgroup_name[40];
} World;

static const BoxMount usual[] = {
    {.kind = BOX_PROC, .target = "/proc"},
    {.kind = BOX_DEV, .target = "/dev"},
    {.kind = BOX_TMPFS, .target = "/tmp", .size = 1 << 20, .mode = 01777},
};

static void copy_program(int root, const char *name)
{
    _cleanup_close_ int from = open(BUSYBOX, O_RDONLY | O_CLOEXEC), to = -EBADF;
    _cleanup_free_ char *data = NULL;
    size_t len;

    assert_true(from >= 0);
    assert_int_equal(file_read_fd(from, 16 << 20, &data, &len), 0);
    to = openat(root, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0755);
    assert_true(to >= 0);
    assert_int_equal(fd_write_all(to, data, len), 0);
}

static int setup(void **state)
{
    static const char *const dirs[] = {"bin", "proc", "dev", "tmp", "etc"};
    static World w;

    snprintf(w.dir, sizeof(w.dir), "/tmp/test-box-XXXXXX");
    if (!mkdtemp(w.dir) || chmod(w.dir, 0755) < 0)
        return -1;
    w.root = open(w.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
        if (mkdirat(w.root, dirs[i], 0755) < 0)
            return -1;
    copy_program(w.root, "bin/busybox");
    w.lower = open(w.dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    w.base = cgroup_open_base(NULL);
    snprintf(w.cgroup_name, sizeof(w.cgroup_name), "test-box-%d", (int) getpid());
    w.cgroup = w.base >= 0 ? cgroup_make(w.base, w.cgroup_name, NULL) : 0;
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    World *w = *state;

    if (w->cgroup > 0) {
        /* Not cgroup_remove(): a box that left its own behind shows here. */
        if (unlinkat(w->base, w->cgroup_name, AT_REMOVEDIR) < 0)
            return -1;
        fd_closep(&w->cgroup);
        fd_closep(&w->base);
    }
    fd_closep(&w->root);
    fd_closep(&w->lower);
    return rm_rf_at(AT_FDCWD, w->dir);
}

static BoxSpec spec_of(const World *w, const char *const *argv)
{
    return (BoxSpec){
        .name = "box",
        .cgroup_fd = w->cgroup,
        .root = {.lowers = &w->lower, .n_lowers = 1, .upper_size = 1 << 20},
        .mounts = usual,
        .n_mounts = ARRAY_SIZE(usual),
        .argv = argv,
        .uid = 1000,
        .gid = 1000,
    };
}

typedef struct Outcome {
    BoxResult result;
    char *output; /* of stdout and stderr */
} Outcome;

static void outcome_done(Outcome *o)
{
    free(o->output);
}

/* Runs a shell script in a box to its end, at most ten seconds. */
static Outcome run_spec(BoxSpec spec)
{
    _cleanup_(box_freep) Box *box = NULL;
    _cleanup_close_ int r = -EBADF, w = -EBADF;
    Outcome o = {};
    Error e = {};
    int p[2];

    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    r = p[0];
    w = p[1];
    spec.stdout_fd = spec.stderr_fd = w;
    if (box_start(&spec, &box, &e) < 0)
        fail_msg("%s", e.text);
    fd_closep(&w);
    assert_int_equal(file_read_fd(r, 1 << 20, &o.output, NULL), 0);
    if (box_wait(box, clock_now() + 10 * USEC_PER_SEC, &o.result, &e) < 0)
        fail_msg("%s", e.text);
    return o;
}

static Outcome run_script(const World *w, const char *script)
{
    const char *const argv[] = {"/bin/busybox", "sh", "-c", script, NULL};

    return run_spec(spec_of(w, argv));
}

static void assert_output(const World *w, const char *script, const char *expected)
{
    _cleanup_(outcome_done) Outcome o = run_script(w, script);

    assert_string_equal(o.output, expected);
}

static void the_exit_status_comes_back(void **state)
{
    _cleanup_(outcome_done) Outcome o = run_script(*state, "exit 7");

    assert_int_equal(o.result.end, BOX_EXITED);
    assert_int_equal(o.result.status, 7);
}

static void a_signal_comes_back(void **state)
{
    World *w = *state;
    const char *const argv[] = {"/bin/busybox", "sleep", "1000", NULL};
    _cleanup_(box_freep) Box *box = NULL;
    BoxSpec spec = spec_of(w, argv);
    BoxResult result;

    assert_int_equal(box_start(&spec, &box, NULL), 0);
    assert_int_equal(kill(box_pid(box), SIGKILL), 0);
    assert_int_equal(box_wait(box, UINT64_MAX, &result, NULL), 0);
    assert_int_equal(result.end, BOX_SIGNALED);
    assert_int_equal(result.status, SIGKILL);
}

static void the_program_has_the_asked_ids_and_nothing_else(void **state)
{
    assert_output(*state, "/bin/busybox id -u; /bin/busybox id -g; /bin/busybox id -G", "1000\n1000\n1000\n");
    assert_output(*state,
                  "/bin/busybox grep -E '^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status",
                  "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
                  "CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n");
}

static void it_is_alone_in_its_namespaces(void **state)
{
    assert_output(*state,
                  "echo $$; /bin/busybox hostname; /bin/busybox grep -c . /proc/net/dev; /bin/busybox cat "
                  "/proc/self/cgroup | /bin/busybox tail -n1",
                  "1\nbox\n3\n0::/\n");
}

static void only_the_standard_fds_are_open(void **state)
{
    _cleanup_close_ int leaked = open("/", O_RDONLY | O_DIRECTORY); /* without close-on-exec, on purpose */

    assert_output(*state, "for f in /proc/self/fd/*; do echo ${f##*/}; done; /bin/busybox ls /proc/1/fd; true",
                  "0\n1\n2\n3\n0\n1\n2\n");
}

static void the_host_is_out_of_reach(void **state)
{
    World *w = *state;
    char script[200];

    snprintf(script, sizeof(script),
             "/bin/busybox ls / | /bin/busybox tr '\\n' ' '; /bin/busybox ls %s 2>/dev/null; /bin/busybox wc -l "
             "</proc/self/mountinfo",
             w->dir);
    /* Unprivileged, each device is a mount of its own. */
    assert_output(w, script, geteuid() == 0 ? "bin dev etc proc tmp 5\n" : "bin dev etc proc tmp 11\n");
}

static void devices_are_the_kernels(void **state)
{
    assert_output(*state,
                  "echo x >/dev/null && /bin/busybox head -c 4 /dev/zero | /bin/busybox wc -c; /bin/busybox stat -c "
                  "%t:%T /dev/null /dev/urandom; "
                  "echo hello >/dev/shm/f && /bin/busybox cat /dev/shm/f; /bin/busybox readlink /dev/fd",
                  "4\n1:3\n1:9\nhello\n/proc/self/fd\n");
}

static void a_box_of_root_may_write_its_root_and_the_lower_stays(void **state)
{
    World *w = *state;
    const char *const argv[] = {"/bin/busybox", "sh", "-c", "mkdir -p /opt/x && echo new >/opt/x/f && rm /bin/busybox",
                                NULL};
    _cleanup_(box_freep) Box *box = NULL;
    BoxSpec spec = spec_of(w, argv);
    BoxResult result;
    struct stat st;
    Error e = {};
    int upper;

    if (geteuid() != 0)
        skip();
    spec.uid = spec.gid = 0;
    if (box_start(&spec, &box, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(box_wait(box, UINT64_MAX, &result, NULL), 0);
    upper = box_upper_fd(box);
    assert_true(upper >= 0);
    assert_int_equal(fstatat(upper, "opt/x/f", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_uid, 0);
    assert_int_equal(st.st_gid, 0);
    assert_int_equal(fstatat(upper, "opt", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_uid, 0);
    assert_int_equal(fstatat(w->root, "opt", &st, AT_SYMLINK_NOFOLLOW), -1);
    assert_int_equal(fstatat(w->root, "bin/busybox", &st, AT_SYMLINK_NOFOLLOW), 0);
}

/* As on every disk before Linux 6.15: a ramfs maps no ids. */
static void an_upper_whose_ids_cannot_be_mapped_is_the_boxs_while_it_runs_and_the_hosts_afterwards(void **state)
{
    World *w = *state;
    const char *const argv[] = {"/bin/busybox", "sh", "-c",
                                "[ $(/bin/busybox stat -c %u:%g:%a /) = 5:6:777 ] && echo x >/f && "
                                "/bin/busybox chmod 4755 /f && [ $(/bin/busybox stat -c %u:%g /f) = 1000:1000 ]",
                                NULL};
    _cleanup_(box_freep) Box *box = NULL;
    _cleanup_close_ int own = -EBADF;
    BoxSpec spec = spec_of(w, argv);
    BoxResult result;
    struct stat st;
    Error e = {};

    if (geteuid() != 0)
        skip();
    assert_int_equal(fchown(w->root, 5, 6), 0);
    assert_int_equal(fchmod(w->root, 0777), 0);
    assert_int_equal(mkdirat(w->root, "own", 0755), 0);
    own = openat(w->root, "own", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(fchdir(own), 0);
    assert_int_equal(mount("ramfs", ".", "ramfs", 0, NULL), 0);
    fd_closep(&own);
    own = openat(w->root, "own", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    spec.root.upper_fd = own;
    if (box_start(&spec, &box, &e) >= 0)
        assert_int_equal(box_wait(box, UINT64_MAX, &result, NULL), 0);
    assert_int_equal(umount2(".", MNT_DETACH), 0);
    if (!box)
        fail_msg("%s", e.text);
    assert_int_equal(result.status, 0);
    assert_true(box_upper_fd(box) >= 0);
    assert_int_equal(fstat(box_upper_fd(box), &st), 0);
    assert_int_equal(st.st_uid, 5);
    assert_int_equal(st.st_gid, 6);
    assert_int_equal(fstatat(box_upper_fd(box), "f", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_uid, 1000);
    assert_int_equal(st.st_gid, 1000);
    assert_int_equal(st.st_mode & 07777, 04755);
}

static void a_user_of_the_box_may_not_write_what_is_roots(void **state)
{
    if (geteuid() != 0)
        skip();
    assert_output(*state, "echo x >/etc/f", "sh: can't create /etc/f: Permission denied\n");
}

static void a_read_only_root_gets_its_mount_points_all_the_same(void **state)
{
    World *w = *state;
    const char *const argv[] = {"/bin/busybox", "sh", "-c",
                                "echo a >/x; echo b >/new/place/f && /bin/busybox cat /new/place/f", NULL};
    const BoxMount mounts[] = {{.kind = BOX_TMPFS, .target = "/new/place", .size = 4096}};
    BoxSpec spec = spec_of(w, argv);

    spec.root.read_only = true;
    spec.root.upper_size = 0;
    spec.mounts = mounts;
    spec.n_mounts = 1;
    _cleanup_(outcome_done) Outcome o = run_spec(spec);
    assert_string_equal(o.output, "sh: can't create /x: Read-only file system\nb\n");
}

static void a_bind_shows_what_lies_there_with_its_ids(void **state)
{
    World *w = *state;
    const char *const argv[] = {
        "/bin/busybox", "sh", "-c",
        "cd /data; /bin/busybox stat -c %u:%a . ro/f; echo changed >f && /bin/busybox cat f; echo no >ro/f", NULL};
    _cleanup_close_ int data = -EBADF, ro = -EBADF;
    BoxSpec spec = spec_of(w, argv);
    struct stat st;

    assert_int_equal(mkdirat(w->root, "data", 0700), 0);
    assert_int_equal(mkdirat(w->root, "data/ro", 0755), 0);
    data = openat(w->root, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ro = openat(data, "ro", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(file_write_at(ro, "f", "x", 1, 0644, 0), 0);
    if (geteuid() == 0)
        assert_int_equal(fchownat(data, "", 1000, 1000, AT_EMPTY_PATH), 0);
    const BoxMount mounts[] = {
        {.kind = BOX_BIND, .source_fd = data, .target = "/data"},
        {.kind = BOX_BIND, .source = BUSYBOX, .target = "/data/ro/f", .read_only = true},
    };
    spec.mounts = mounts;
    spec.n_mounts = ARRAY_SIZE(mounts);
    _cleanup_(outcome_done) Outcome o = run_spec(spec);
    assert_non_null(startswith(o.output, "1000:700\n"));
    assert_non_null(strstr(o.output, "changed\nsh: can't create ro/f: "));
    assert_int_equal(fstatat(data, "f", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_uid, geteuid() == 0 ? 1000 : geteuid());
}

static void a_directory_is_the_programs_and_stays_in_the_upper(void **state)
{
    World *w = *state;
    const char *const argv[] = {"/bin/busybox", "sh", "-c", "echo kept >/state/deep/f", NULL};
    const BoxMount mounts[] = {{.kind = BOX_DIRECTORY, .target = "/state/deep"}};
    _cleanup_(box_freep) Box *box = NULL;
    _cleanup_free_ char *text = NULL;
    _cleanup_close_ int fd = -EBADF;
    BoxSpec spec = spec_of(w, argv);
    BoxResult result;
    Error e = {};

    spec.mounts = mounts;
    spec.n_mounts = 1;
    if (box_start(&spec, &box, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(box_wait(box, UINT64_MAX, &result, NULL), 0);
    assert_int_equal(result.status, 0);
    fd = openat_beneath(box_upper_fd(box), "state/deep/f", O_RDONLY | O_NOFOLLOW, 0);
    assert_true(fd >= 0);
    assert_int_equal(file_read_fd(fd, 100, &text, NULL), 0);
    assert_string_equal(text, "kept\n");
}

static void a_symlink_on_the_way_to_a_mount_is_refused(void **state)
{
    World *w = *state;
    const char *const argv[] = {"/bin/busybox", "true", NULL};
    const BoxMount mounts[] = {{.kind = BOX_TMPFS, .target = "/link/x", .size = 4096}};
    _cleanup_(box_freep) Box *box = NULL;
    BoxSpec spec = spec_of(w, argv);
    Error e = {};

    assert_int_equal(symlinkat("/tmp", w->root, "link"), 0);
    spec.mounts = mounts;
    spec.n_mounts = 1;
    assert_int_equal(box_start(&spec, &box, &e), -ELOOP);
    assert_non_null(strstr(e.text, "/link/x"));
}

static void what_cannot_be_run_is_named_and_leaves_nothing(void **state)
{
    World *w = *state;
    const char *const argv[] = {"/no/such/program", NULL};
    _cleanup_(box_freep) Box *box = NULL;
    BoxSpec spec = spec_of(w, argv);
    Error e = {};

    assert_int_equal(box_start(&spec, &box, &e), -ENOENT);
    assert_non_null(strstr(e.text, "/no/such/program"));
    assert_null(box);
}

static void kill_ends_all_that_it_forked(void **state)
{
    World *w = *state;
    const char *const argv[] = {"/bin/busybox", "sh", "-c",
                                "(trap '' TERM; while :; do /bin/busybox sleep 1000; done) & /bin/busybox sleep 1000 & "
                                "trap '' TERM INT; wait; wait; wait",
                                NULL};
    _cleanup_(box_freep) Box *box = NULL;
    BoxSpec spec = spec_of(w, argv);
    BoxResult result;
    Error e = {};

    assert_int_equal(box_start(&spec, &box, &e), 0);
    assert_int_equal(box_wait(box, clock_now() + 50 * USEC_PER_MSEC, &result, &e), -ETIMEDOUT);
    assert_int_equal(box_kill(box), 0);
    assert_int_equal(box_wait(box, 0, &result, &e), 0);
    assert_int_equal(result.end, BOX_SIGNALED);
    if (w->cgroup > 0) {
        _cleanup_close_ int cg = openat(w->cgroup, "box", O_PATH | O_DIRECTORY);
        uint64_t populated = 1;

        assert_int_equal(cgroup_get(cg, "cgroup.events", "populated", &populated), 0);
        assert_int_equal(populated, 0);
    }
}

static void two_boxes_share_a_network_and_nothing_else(void **state)
{
    World *w = *state;
    const char *const server[] = {"/bin/busybox", "sh", "-c",
                                  "echo private >/tmp/f; /bin/busybox nc -l -p 4242 </dev/null; exit 3", NULL};
    const char *const client[] = {
        "/bin/busybox", "sh", "-c",
        "echo $$; /bin/busybox ls /tmp; until echo | /bin/busybox nc 127.0.0.1 4242; do :; done; /bin/busybox id -u",
        NULL};
    _cleanup_(box_freep) Box *box = NULL;
    BoxSpec one = spec_of(w, server), two = spec_of(w, client);
    BoxResult result;
    Error e = {};

    if (box_start(&one, &box, &e) < 0)
        fail_msg("%s", e.text);
    two.name = "client";
    two.join = box;
    _cleanup_(outcome_done) Outcome o = run_spec(two);
    assert_non_null(startswith(o.output, "1\n"));
    assert_non_null(strstr(o.output, "1000\n"));
    assert_int_equal(o.result.status, 0);
    assert_int_equal(box_wait(box, clock_now() + 10 * USEC_PER_SEC, &result, &e), 0);
    assert_int_equal(result.status, 3);
}

static void the_disk_of_a_box_is_bounded(void **state)
{
    assert_output(*state, "/bin/busybox dd if=/dev/zero of=/tmp/f bs=64k 2>/dev/null; /bin/busybox stat -c %s /tmp/f",
                  "1048576\n");
}

static void a_limit_that_cannot_be_kept_is_an_error(void **state)
{
    World *w = *state;
    const char *const argv[] = {"/bin/busybox", "true", NULL};
    _cleanup_(box_freep) Box *box = NULL;
    BoxSpec spec = spec_of(w, argv);
    Error e = {};

    if (w->cgroup > 0 && cgroup_has(w->cgroup, "memory"))
        skip();
    spec.memory = 64 << 20;
    assert_int_equal(box_start(&spec, &box, &e), -EOPNOTSUPP);
    assert_non_null(strstr(e.text, "memory"));
}

static void memory_is_limited_by_cgroup_or_watch(void **state)
{
    const char *const argv[] = {"/bin/busybox", "dd", "if=/dev/zero", "of=/dev/null", "bs=48M", NULL};
    _cleanup_(box_freep) Box *box = NULL;
    BoxSpec spec = spec_of(*state, argv);
    BoxResult result;

    spec.memory = 32 << 20;
    spec.flags = BOX_LIMITS_WATCHED;
    assert_int_equal(box_start(&spec, &box, NULL), 0);
    assert_int_equal(box_wait(box, UINT64_MAX, &result, NULL), 0);
    assert_int_equal(result.end, BOX_OUT_OF_MEMORY);
    assert_true(result.memory_peak >= spec.memory / 2);
}

static void processes_are_limited_by_cgroup_or_rlimit(void **state)
{
    const char *const argv[] = {"/bin/busybox", "sh", "-c",
                                "for i in 1 2 3 4 5 6 7 8 9 10; do /bin/busybox sleep 1000 & done; echo all", NULL};
    BoxSpec spec = spec_of(*state, argv);

    spec.flags = BOX_LIMITS_WATCHED;
    spec.processes = 11;
    _cleanup_(outcome_done) Outcome enough = run_spec(spec);
    assert_string_equal(enough.output, "all\n");
    spec.processes = 10;
    _cleanup_(outcome_done) Outcome few = run_spec(spec);
    assert_non_null(strstr(few.output, "can't fork"));
    assert_null(strstr(few.output, "all"));
}

static void forbidden_calls_are_refused(void **state)
{
    assert_output(
        *state,
        "/bin/busybox unshare -r true; /bin/busybox mount -t tmpfs x /tmp; /bin/busybox chroot / /bin/busybox true",
        "unshare: unshare(0x10000000): Operation not permitted\n"
        "mount: permission denied (are you root?)\n"
        "chroot: can't change root directory to '/': Operation not permitted\n");
}

static void landlock_rules_hold_the_program(void **state)
{
    static const char *const writable[] = {"/tmp", NULL}, *const runnable[] = {"/bin", NULL};
    static const uint16_t port[] = {4711};
    static const LandlockPlan plan = {.write = writable, .execute = runnable, .bind = {port, 1}, .scoped = true};
    const BoxMount mounts[] = {
        {.kind = BOX_PROC, .target = "/proc"},
        {.kind = BOX_DEV, .target = "/dev"},
        {.kind = BOX_TMPFS, .target = "/tmp", .size = 4 << 20, .mode = 01777},
        {.kind = BOX_TMPFS, .target = "/other", .size = 1 << 20, .mode = 01777},
    };
    const char *const argv[] = {"/bin/busybox", "sh", "-c",
                                "echo a >/tmp/f && echo b >/dev/null && echo c >/other/f; /bin/busybox cp /bin/busybox "
                                "/tmp/program; /tmp/program true; /bin/busybox nc -l -p 4712",
                                NULL};
    BoxSpec spec = spec_of(*state, argv);

    if (landlock_abi() < 6)
        skip();
    spec.mounts = mounts;
    spec.n_mounts = ARRAY_SIZE(mounts);
    spec.landlock = &plan;
    _cleanup_(outcome_done) Outcome o = run_spec(spec);
    assert_string_equal(o.output, "sh: can't create /other/f: Permission denied\n"
                                  "sh: /tmp/program: Permission denied\n"
                                  "nc: bind: Permission denied\n");
}

static void landlock_rules_that_cannot_be_kept_start_nothing(void **state)
{
    static const char *const missing[] = {"/tmp", "/no/such/place", NULL}, *const relative[] = {"tmp", NULL};
    const char *const argv[] = {"/bin/busybox", "true", NULL};
    BoxSpec spec = spec_of(*state, argv);
    _cleanup_(box_freep) Box *box = NULL;
    Error e = {};

    if (landlock_abi() < 3)
        skip();
    spec.landlock = &(LandlockPlan){.write = relative};
    assert_int_equal(box_start(&spec, &box, &e), -EINVAL);
    assert_string_equal(e.text, "box box: landlock.write: \"tmp\" must be an absolute path");
    spec.landlock = &(LandlockPlan){.write = missing};
    assert_int_equal(box_start(&spec, &box, &e), -ENOENT);
    assert_non_null(strstr(e.text, "landlock.write: /no/such/place: No such file or directory"));
    assert_null(box);
}

static void a_bad_plan_is_refused_before_anything_happens(void **state)
{
    World *w = *state;
    const char *const argv[] = {"/bin/busybox", NULL}, *const relative[] = {"sh", NULL};
    const BoxSpec good = spec_of(w, argv);
    const BoxMount no_target[] = {{.kind = BOX_PROC}}, no_source[] = {{.kind = BOX_BIND, .target = "/x"}};
    BoxSpec bad[8];
    Box *box = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        bad[i] = good;
    bad[0].name = "../x";
    bad[1].name = "..";
    bad[2].argv = relative;
    bad[3].root.n_lowers = 0;
    bad[4].root.upper_size = 0;
    bad[5].mounts = no_target;
    bad[6].mounts = no_source;
    bad[7].uid = 70000;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        Error e = {};

        if (i == 5 || i == 6)
            bad[i].n_mounts = 1;
        assert_int_equal(box_start(&bad[i], &box, &e), -EINVAL);
        assert_true(e.text[0]);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_exit_status_comes_back),
        TEST(a_signal_comes_back),
        TEST(the_program_has_the_asked_ids_and_nothing_else),
        TEST(it_is_alone_in_its_namespaces),
        TEST(only_the_standard_fds_are_open),
        TEST(the_host_is_out_of_reach),
        TEST(devices_are_the_kernels),
        TEST(a_box_of_root_may_write_its_root_and_the_lower_stays),
        TEST(an_upper_whose_ids_cannot_be_mapped_is_the_boxs_while_it_runs_and_the_hosts_afterwards),
        TEST(a_user_of_the_box_may_not_write_what_is_roots),
        TEST(a_read_only_root_gets_its_mount_points_all_the_same),
        TEST(a_bind_shows_what_lies_there_with_its_ids),
        TEST(a_directory_is_the_programs_and_stays_in_the_upper),
        TEST(a_symlink_on_the_way_to_a_mount_is_refused),
        TEST(what_cannot_be_run_is_named_and_leaves_nothing),
        TEST(kill_ends_all_that_it_forked),
        TEST(two_boxes_share_a_network_and_nothing_else),
        TEST(the_disk_of_a_box_is_bounded),
        TEST(a_limit_that_cannot_be_kept_is_an_error),
        TEST(memory_is_limited_by_cgroup_or_watch),
        TEST(processes_are_limited_by_cgroup_or_rlimit),
        TEST(forbidden_calls_are_refused),
        TEST(landlock_rules_hold_the_program),
        TEST(landlock_rules_that_cannot_be_kept_start_nothing),
        TEST(a_bad_plan_is_refused_before_anything_happens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
