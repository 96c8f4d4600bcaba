/* SPDX-License-Identifier: Apache-2.0 */

/* Where the program is entered, before the C library is.
 *
 * Commands that enter a container run from a mount of the executable that cannot be written (see runtime/oci/guard.h), so they execute it again. What a start
 * of the C library costs (relocation, asking the processor for its features, which traps in a virtual machine) would be paid twice for that, and is as much as a
 * third of what a whole container costs. So it is done here, with nothing but system calls: no libc function, no global, no stack protector can be used yet.
 *
 * Nothing here has to work: whatever fails leaves it to guard_self(), which makes sure of the guard or makes a sealed copy. */

#ifdef __x86_64__

#include <asm/unistd.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define SELF "/proc/self/exe"

void moss_entry(long *stack);

/* The stack as the kernel leaves it: argc, argv, NULL, environment, NULL. %rdx is for _start. */
__asm__(".globl moss_start\n"
        ".hidden moss_start\n"
        ".type moss_start,@function\n"
        "moss_start:\n"
        "    mov %rsp, %rdi\n"
        "    push %rdx\n"
        "    push %rdx\n"
        "    call moss_entry\n"
        "    pop %rdx\n"
        "    pop %rdx\n"
        "    jmp _start\n");

static long call(long number, long a, long b, long c, long d, long e)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    long r;

    __asm__ volatile("syscall"
                     : "=a"(r)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return r;
}

static int equal(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

/* An option's argument may look like a verb; then the guard is for nothing, which does no harm. */
static int enters_container(char **argv)
{
    for (; *argv; argv++)
        if (equal(*argv, "run") || equal(*argv, "create") || equal(*argv, "exec"))
            return 1;
    return 0;
}

static char *number(char *end, unsigned n)
{
    do
        *--end = (char) ('0' + n % 10);
    while (n /= 10);
    return end;
}

/* "inside outside 1", for uid_map and gid_map */
static void write_map(const char *path, int inside, unsigned outside)
{
    char line[16];
    char *end = line + sizeof(line), *p;
    long fd = call(__NR_openat, AT_FDCWD, (long) path, O_WRONLY | O_CLOEXEC, 0, 0);

    *--end = '1';
    *--end = ' ';
    p = number(end, outside);
    *--p = ' ';
    *--p = (char) ('0' + inside);
    (void) call(__NR_write, fd, (long) p, line + sizeof(line) - p, 0, 0);
    (void) call(__NR_close, fd, 0, 0, 0, 0);
}

/* In a new user namespace, in the memory and with the files of its parent, which waits: maps one id that is not the owner's, and opens the namespace
 * for the parent. */
static _Noreturn __attribute__((noinline)) void unmapping_child(const struct stat *owner, unsigned uid, unsigned gid,
                                                                volatile long *ret_userns)
{
    long fd = call(__NR_openat, AT_FDCWD, (long) "/proc/self/setgroups", O_WRONLY | O_CLOEXEC, 0, 0);

    (void) call(__NR_write, fd, (long) "deny", 4, 0, 0);
    (void) call(__NR_close, fd, 0, 0, 0, 0);
    write_map("/proc/self/uid_map", owner->st_uid == 0, uid);
    write_map("/proc/self/gid_map", owner->st_gid == 0, gid);
    *ret_userns = call(__NR_openat, AT_FDCWD, (long) "/proc/self/ns/user", O_RDONLY | O_CLOEXEC, 0, 0);
    for (;;)
        (void) call(__NR_exit, 0, 0, 0, 0, 0);
}

static __attribute__((noinline)) long unmapping(const struct stat *owner)
{
    unsigned uid = (unsigned) call(__NR_geteuid, 0, 0, 0, 0, 0), gid = (unsigned) call(__NR_getegid, 0, 0, 0, 0, 0);
    volatile long userns = -1;
    long pid = call(__NR_clone, CLONE_NEWUSER | CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, 0, 0, 0, 0);

    if (pid == 0)
        unmapping_child(owner, uid, gid, &userns);
    if (pid > 0)
        (void) call(__NR_wait4, pid, 0, 0, 0, 0);
    return userns;
}

static long writable(long dir, const char *path, long flags)
{
    return call(__NR_faccessat2, dir, (long) path, 2 /* W_OK */, AT_EACCESS | flags, 0);
}

/* On a file system that is read-only as a whole, see guard.h. */
static int on_read_only(long access)
{
    return access == -30 /* EROFS */ && call(__NR_openat, AT_FDCWD, (long) SELF, O_WRONLY | O_CLOEXEC, 0, 0) == -30;
}

void moss_entry(long *stack)
{
    char **argv = (char **) (stack + 1), **environment = argv + stack[0] + 1;
    struct stat owner;
    long tree, userns, access;

    if (!enters_container(argv))
        return;
    access = writable(AT_FDCWD, SELF, 0);
    if (access == -13 /* EACCES */ || on_read_only(access) ||
        call(__NR_newfstatat, AT_FDCWD, (long) SELF, (long) &owner, 0, 0) < 0)
        return;
    tree = call(__NR_open_tree, AT_FDCWD, (long) SELF, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC, 0, 0);
    if (tree < 0)
        return;
    userns = unmapping(&owner);
    if (userns >= 0) {
        struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t) userns};

        if (call(__NR_mount_setattr, tree, (long) "", AT_EMPTY_PATH, (long) &attr, sizeof(attr)) == 0 &&
            writable(tree, "", AT_EMPTY_PATH) == -13)
            (void) call(__NR_execveat, tree, (long) "", (long) argv, (long) environment, AT_EMPTY_PATH);
        (void) call(__NR_close, userns, 0, 0, 0, 0);
    }
    (void) call(__NR_close, tree, 0, 0, 0, 0);
}

#endif
