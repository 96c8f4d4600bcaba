/* SPDX-License-Identifier: Apache-2.0 */
#include "landlock.h"

#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "runtime/base/fd.h"
#include "seccomp.h"

/* What headers older than the kernel lack. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_NET_BIND_TCP
#define LANDLOCK_ACCESS_NET_BIND_TCP (1ULL << 0)
#define LANDLOCK_ACCESS_NET_CONNECT_TCP (1ULL << 1)
#endif
#ifndef LANDLOCK_SCOPE_SIGNAL
#define LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define LANDLOCK_SCOPE_SIGNAL (1ULL << 1)
#endif
#define RULE_NET_PORT 2U /* LANDLOCK_RULE_NET_PORT is an enumerator: the preprocessor cannot tell whether it is there */

/* struct landlock_ruleset_attr as of ABI 6. A kernel that knows less of it takes it as long as what it does not know is zero. */
typedef struct Ruleset {
    uint64_t fs, net, scoped;
} Ruleset;

/* struct landlock_net_port_attr */
typedef struct PortRule {
    uint64_t access, port;
} PortRule;

/* What a rule for a file, and one for a directory, may allow. An ioctl(2) on a device changes no file and is not among it. */
#define WRITE_FILE (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)
#define WRITE                                                                                                          \
    (WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |      \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |                        \
     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM |                      \
     LANDLOCK_ACCESS_FS_REFER)
#define EXECUTE LANDLOCK_ACCESS_FS_EXECUTE

int landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    return abi < 0 ? 0 : (int) abi;
}

/* ---- the check ---- */

static int check_paths(const char *member, const char *const *paths, Error *e)
{
    for (size_t i = 0; paths && paths[i]; i++)
        if (paths[i][0] != '/')
            return error_setf(e, -EINVAL, "landlock.%s: \"%.100s\" must be an absolute path", member, paths[i]);
    return 0;
}

static int check_abi(const LandlockPlan *plan, int abi, Error *e)
{
    const struct {
        const char *member;
        bool asked;
        int abi;
        const char *since;
    } needs[] = {
        {"write", plan->write != NULL, 3, "6.2"},    {"execute", plan->execute != NULL, 2, "5.19"},
        {"bind", plan->bind.list != NULL, 4, "6.7"}, {"connect", plan->connect.list != NULL, 4, "6.7"},
        {"scoped", plan->scoped, 6, "6.12"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
        if (!needs[i].asked || abi >= needs[i].abi)
            continue;
        if (abi <= 0)
            return error_setf(e, -EOPNOTSUPP,
                              "landlock.%s: needs Landlock ABI %d (Linux %s), this kernel has no Landlock",
                              needs[i].member, needs[i].abi, needs[i].since);
        return error_setf(e, -EOPNOTSUPP, "landlock.%s: needs Landlock ABI %d (Linux %s), this kernel has ABI %d",
                          needs[i].member, needs[i].abi, needs[i].since, abi);
    }
    return 0;
}

int landlock_check(const LandlockPlan *plan, int abi, Error *e)
{
    int r = check_paths("write", plan->write, e);

    if (r >= 0)
        r = check_paths("execute", plan->execute, e);
    if (r < 0)
        return r;
    if (plan->execute && !plan->execute[0])
        return error_setf(e, -EINVAL, "landlock.execute: is empty, must name at least what is to be run");
    return check_abi(plan, abi, e);
}

bool landlock_may_bind(const LandlockPlan *plan, uint16_t port)
{
    if (!plan->bind.list)
        return true;
    for (size_t i = 0; i < plan->bind.n; i++)
        if (plan->bind.list[i] == port)
            return true;
    return false;
}

/* ---- the rules ---- */

static int allow_beneath(int ruleset, int fd, uint64_t access)
{
    const struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};

    return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
}

static int allow_paths(int ruleset, int root, const char *member, const char *const *paths, uint64_t access, Error *e)
{
    for (size_t i = 0; paths && paths[i]; i++) {
        _cleanup_close_ int fd = openat_walk(root, paths[i], O_PATH, 0);
        struct stat st;
        int r = fd < 0 ? fd : fstat(fd, &st) < 0 ? -errno : 0;

        if (r == -ENOTDIR || (r >= 0 && S_ISLNK(st.st_mode)))
            return error_setf(e, -ENOTDIR, "landlock.%s: %s: %s a symbolic link, name what it leads to", member,
                              paths[i], r < 0 ? "behind a file or" : "is");
        if (r >= 0)
            r = allow_beneath(ruleset, fd, S_ISDIR(st.st_mode) ? access : access & (WRITE_FILE | EXECUTE));
        if (r < 0)
            return error_errnof(e, r, "landlock.%s: %s", member, paths[i]);
    }
    return 0;
}

/* Every shell script throws something away. What the root has by that name counts only if it is the device. */
static int allow_null(int ruleset, int root)
{
    _cleanup_close_ int fd = openat_walk(root, "dev/null", O_PATH, 0);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
        return 0;
    return allow_beneath(ruleset, fd, WRITE_FILE);
}

static int allow_files(int ruleset, const LandlockPlan *plan, Error *e)
{
    _cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int r = root < 0 ? -errno : 0;

    if (r >= 0 && plan->write)
        r = allow_null(ruleset, root);
    else if (r >= 0 && plan->execute) /* or no file could be moved to another directory any more */
        r = allow_beneath(ruleset, root, LANDLOCK_ACCESS_FS_REFER);
    if (r < 0)
        return error_errnof(e, r, "landlock: /");
    r = allow_paths(ruleset, root, "write", plan->write, WRITE, e);
    return r < 0 ? r : allow_paths(ruleset, root, "execute", plan->execute, EXECUTE, e);
}

static int allow_ports(int ruleset, const char *member, const LandlockPorts *ports, uint64_t access, Error *e)
{
    for (size_t i = 0; ports->list && i < ports->n; i++) {
        const PortRule rule = {access, ports->list[i]};

        if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0) < 0)
            return error_errnof(e, -errno, "landlock.%s: %u", member, ports->list[i]);
    }
    return 0;
}

/* ---- the ways round bind(2) and connect(2), see landlock.h ---- */

#define ARGUMENT(n) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]))
#define IS(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))
#define ANSWER(code) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (code))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define SOCKET_TYPE 0xfU /* the rest of the argument are flags */

static int close_detours(void)
{
    /* Arguments are ints, whose lower half comes first on each architecture that seccomp.h knows. */
    static const struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        IS(SECCOMP_NATIVE_ARCH, 0, 5),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        IS(SYS_socket, 4, 0),
        IS(SYS_sendmsg, 14, 0),
        IS(SYS_sendto, 15, 0),
        IS(SYS_sendmmsg, 14, 0),
        ALLOW,
        /* socket(domain, type, protocol) */
        ARGUMENT(0),
        IS(AF_INET, 1, 0),
        IS(AF_INET6, 0, 7),
        ARGUMENT(1),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SOCKET_TYPE),
        IS(SOCK_STREAM, 0, 4),
        ARGUMENT(2),
        IS(0, 2, 0),
        IS(IPPROTO_TCP, 1, 0),
        ANSWER(EPROTONOSUPPORT),
        ALLOW,
        /* sendmsg(fd, message, flags) */
        ARGUMENT(2),
        BPF_STMT(BPF_JMP | BPF_JA, 1),
        /* sendto(fd, data, size, flags, …), sendmmsg(fd, messages, n, flags) */
        ARGUMENT(3),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MSG_FASTOPEN, 0, 1),
        ANSWER(EOPNOTSUPP),
        ALLOW,
    };
    const struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = (struct sock_filter *) code};

    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0 ? -errno : 0;
}

int landlock_apply(const LandlockPlan *plan, Error *e)
{
    const bool ports = plan->bind.list || plan->connect.list;
    const Ruleset want = {
        .fs = (plan->write ? WRITE : 0) | (plan->execute ? EXECUTE | LANDLOCK_ACCESS_FS_REFER : 0),
        .net = (plan->bind.list ? LANDLOCK_ACCESS_NET_BIND_TCP : 0) |
               (plan->connect.list ? LANDLOCK_ACCESS_NET_CONNECT_TCP : 0),
        .scoped = plan->scoped ? LANDLOCK_SCOPE_SIGNAL | LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET : 0,
    };
    _cleanup_close_ int ruleset = -EBADF;
    int r = 0;

    if (!want.fs && !want.net && !want.scoped)
        return 0;
    ruleset = (int) syscall(SYS_landlock_create_ruleset, &want, sizeof(want), 0);
    if (ruleset < 0)
        return error_errnof(e, -errno, "landlock");
    if (want.fs)
        r = allow_files(ruleset, plan, e);
    if (r >= 0)
        r = allow_ports(ruleset, "bind", &plan->bind, LANDLOCK_ACCESS_NET_BIND_TCP, e);
    if (r >= 0)
        r = allow_ports(ruleset, "connect", &plan->connect, LANDLOCK_ACCESS_NET_CONNECT_TCP, e);
    if (r < 0)
        return r;
    if ((ports && (r = close_detours()) < 0) || syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        return error_errnof(e, r < 0 ? r : -errno, "landlock");
    return 0;
}
