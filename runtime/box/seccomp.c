/* SPDX-License-Identifier: Apache-2.0 */
#include "seccomp.h"

#include <errno.h>
#include <limits.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <linux/seccomp.h>

#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"

/* The compiler: OCI object → libseccomp → BPF. The form is that of config-linux.md, "Seccomp", of the runtime specification. */

typedef struct Name {
    const char *name;
    uint32_t value;
} Name;

static const Name actions[] = {
    {"SCMP_ACT_KILL", SCMP_ACT_KILL},
    {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
    {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
    {"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
    {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0)},
    {"SCMP_ACT_TRACE", SCMP_ACT_TRACE(0)},
    {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
    {"SCMP_ACT_LOG", SCMP_ACT_LOG},
    {"SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY},
};

static const Name operators[] = {
    {"SCMP_CMP_NE", SCMP_CMP_NE},
    {"SCMP_CMP_LT", SCMP_CMP_LT},
    {"SCMP_CMP_LE", SCMP_CMP_LE},
    {"SCMP_CMP_EQ", SCMP_CMP_EQ},
    {"SCMP_CMP_GE", SCMP_CMP_GE},
    {"SCMP_CMP_GT", SCMP_CMP_GT},
    {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
};

static const Name architectures[] = {
    {"SCMP_ARCH_NATIVE", SCMP_ARCH_NATIVE},
    {"SCMP_ARCH_X86", SCMP_ARCH_X86},
    {"SCMP_ARCH_X86_64", SCMP_ARCH_X86_64},
    {"SCMP_ARCH_X32", SCMP_ARCH_X32},
    {"SCMP_ARCH_ARM", SCMP_ARCH_ARM},
    {"SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64},
    {"SCMP_ARCH_MIPS", SCMP_ARCH_MIPS},
    {"SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64},
    {"SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32},
    {"SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL},
    {"SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64},
    {"SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32},
    {"SCMP_ARCH_PPC", SCMP_ARCH_PPC},
    {"SCMP_ARCH_PPC64", SCMP_ARCH_PPC64},
    {"SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE},
    {"SCMP_ARCH_S390", SCMP_ARCH_S390},
    {"SCMP_ARCH_S390X", SCMP_ARCH_S390X},
    {"SCMP_ARCH_PARISC", SCMP_ARCH_PARISC},
    {"SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64},
    {"SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64},
#ifdef SCMP_ARCH_LOONGARCH64 /* libseccomp 2.6 */
    {"SCMP_ARCH_LOONGARCH64", SCMP_ARCH_LOONGARCH64},
    {"SCMP_ARCH_M68K", SCMP_ARCH_M68K},
    {"SCMP_ARCH_SH", SCMP_ARCH_SH},
    {"SCMP_ARCH_SHEB", SCMP_ARCH_SHEB},
#endif
};

#define WAIT_KILLABLE_RECV (1U << 5) /* SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, of Linux 5.19 */

static const Name flags[] = {
    {"SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC},
    {"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
    {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
    {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", WAIT_KILLABLE_RECV},
};

void seccomp_each_word(SeccompWords which, void (*f)(void *arg, const char *word), void *arg)
{
    static const struct {
        const Name *names;
        size_t n;
    } tables[] = {
        [SECCOMP_ACTIONS] = {actions, ARRAY_SIZE(actions)},
        [SECCOMP_OPERATORS] = {operators, ARRAY_SIZE(operators)},
        [SECCOMP_ARCHITECTURES] = {architectures + 1, ARRAY_SIZE(architectures) - 1}, /* "native" is ours alone */
        [SECCOMP_FLAGS] = {flags, ARRAY_SIZE(flags)},
    };

    for (size_t i = 0; which != SECCOMP_KERNEL_FLAGS && i < tables[which].n; i++)
        f(arg, tables[which].names[i].name);
    /* Without a program the kernel gets as far as to miss it only where it knows the flags. */
    for (size_t i = 0; which == SECCOMP_KERNEL_FLAGS && i < ARRAY_SIZE(flags); i++) {
        unsigned with = flags[i].value == WAIT_KILLABLE_RECV ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;

        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags[i].value | with, NULL) < 0 && errno == EFAULT)
            f(arg, flags[i].name);
    }
}

#define X32_BIT 0x40000000 /* of a system call's number */
#define PLACE(key) ((JsonAt){.file = "seccomp", .path = (key)})

static int find(const Name *names, size_t n, const char *what, const char *name, uint32_t *ret, Error *e)
{
    for (size_t i = 0; i < n; i++)
        if (streq(names[i].name, name)) {
            *ret = names[i].value;
            return 0;
        }
    return error_setf(e, -EINVAL, "seccomp: unknown %s \"%s\"", what, name);
}

typedef struct Compiler {
    scmp_filter_ctx ctx;
    uint32_t default_action;
    int youngest; /* the highest number of a system call that is named */
    SeccompFilter filter;
} Compiler;

static void compiler_done(Compiler *c)
{
    if (c->ctx)
        seccomp_release(c->ctx);
    seccomp_filter_done(&c->filter);
}

/* An action with its errno, which is EPERM unless the profile says otherwise. */
static int read_action(const json_t *o, const char *key, const char *errno_key, uint32_t *ret, Error *e)
{
    const char *name;
    int64_t number = EPERM;
    uint32_t action = 0;
    int r;

    r = json_need_string(o, PLACE(""), key, &name, e);
    if (r >= 0)
        r = find(actions, ARRAY_SIZE(actions), "action", name, &action, e);
    if (r >= 0)
        r = json_want_integer(o, PLACE(""), errno_key, 0, 4095, &number, e);
    if (r < 0)
        return r;
    if (json_object_get(o, errno_key) && action != SCMP_ACT_ERRNO(0) && action != SCMP_ACT_TRACE(0))
        return error_setf(e, -EINVAL, "seccomp: %s has no meaning with %s", errno_key, name);
    if (action == SCMP_ACT_ERRNO(0))
        action = SCMP_ACT_ERRNO((uint32_t) number);
    else if (action == SCMP_ACT_TRACE(0))
        action = SCMP_ACT_TRACE((uint32_t) number);
    *ret = action;
    return 0;
}

static int add_architectures(Compiler *c, const json_t *profile, Error *e)
{
    _cleanup_free_ const char **names = NULL;
    int r = json_want_strings(profile, PLACE(""), "architectures", &names, e);

    for (size_t i = 0; r >= 0 && names && names[i]; i++) {
        uint32_t arch = 0;

        r = find(architectures, ARRAY_SIZE(architectures), "architecture", names[i], &arch, e);
        if (r < 0)
            return r;
        r = seccomp_arch_add(c->ctx, arch);
        if (r < 0 && r != -EEXIST)
            return error_errnof(e, r, "seccomp: architecture %s", names[i]);
        r = 0;
    }
    return r;
}

static int read_flags(Compiler *c, const json_t *profile, Error *e)
{
    _cleanup_free_ const char **names = NULL;
    int r = json_want_strings(profile, PLACE(""), "flags", &names, e);

    for (size_t i = 0; r >= 0 && names && names[i]; i++) {
        uint32_t flag = 0;

        r = find(flags, ARRAY_SIZE(flags), "flag", names[i], &flag, e);
        if (r >= 0)
            c->filter.flags |= flag;
    }
    return r;
}

static int read_args(const json_t *rule, struct scmp_arg_cmp args[static 6], unsigned *ret_n, Error *e)
{
    json_t *list = NULL, *o;
    size_t i;
    int r = json_want(rule, PLACE("syscalls"), "args", JSON_ARRAY, &list, e);

    if (r < 0)
        return r;
    if (json_array_size(list) > 6)
        return error_setf(e, -EINVAL, "seccomp: %zu args, a system call has 6", json_array_size(list));
    json_array_foreach (list, i, o) {
        int64_t index, value = 0, value_two = 0;
        uint32_t op;
        const char *name;

        r = json_need_integer(o, PLACE("syscalls.args"), "index", 0, 5, &index, e);
        if (r >= 0)
            r = json_need_integer(o, PLACE("syscalls.args"), "value", INT64_MIN, INT64_MAX, &value, e);
        if (r >= 0)
            r = json_want_integer(o, PLACE("syscalls.args"), "valueTwo", INT64_MIN, INT64_MAX, &value_two, e);
        if (r >= 0)
            r = json_need_string(o, PLACE("syscalls.args"), "op", &name, e);
        if (r >= 0)
            r = find(operators, ARRAY_SIZE(operators), "operator", name, &op, e);
        if (r < 0)
            return r;
        args[i] =
            (struct scmp_arg_cmp){(unsigned) index, (enum scmp_compare) op, (uint64_t) value, (uint64_t) value_two};
    }
    *ret_n = (unsigned) json_array_size(list);
    return 0;
}

/* Two conditions on one argument cannot be in one rule of libseccomp: they become rules of their own, of which one suffices. The specification
 * leaves this open; it is what other runtimes do. */
static int add_rule(Compiler *c, uint32_t action, const char *name, const struct scmp_arg_cmp *args, unsigned n,
                    Error *e)
{
    int nr = seccomp_syscall_resolve_name(name), r = 0;
    unsigned seen = 0;
    bool twice = false;

    if (nr == __NR_SCMP_ERROR)
        return 0;
    for (unsigned i = 0; i < n; i++) {
        twice |= seen >> args[i].arg & 1;
        seen |= 1U << args[i].arg;
    }
    if (!twice)
        r = seccomp_rule_add_array(c->ctx, action, nr, n, args);
    for (unsigned i = 0; twice && r >= 0 && i < n; i++)
        r = seccomp_rule_add_array(c->ctx, action, nr, 1, &args[i]);
    if (r == -EEXIST) /* said before */
        r = 0;
    return r < 0 ? error_errnof(e, r, "seccomp: rule for %s", name) : 0;
}

static int add_rules(Compiler *c, const json_t *rule, Error *e)
{
    _cleanup_free_ const char **names = NULL;
    struct scmp_arg_cmp args[6];
    unsigned n = 0;
    uint32_t action;
    int r;

    r = read_action(rule, "action", "errnoRet", &action, e);
    if (r >= 0)
        r = json_want_strings(rule, PLACE("syscalls"), "names", &names, e);
    if (r >= 0)
        r = read_args(rule, args, &n, e);
    if (r < 0)
        return r;
    if (!names || !names[0])
        return error_setf(e, -EINVAL, "seccomp: a rule without names");
    c->filter.notify |= action == SCMP_ACT_NOTIFY;
    for (size_t i = 0; names[i]; i++)
        c->youngest = MAX(c->youngest, seccomp_syscall_resolve_name(names[i]));
    if (action == c->default_action) /* libseccomp refuses what changes nothing */
        return 0;
    for (size_t i = 0; r >= 0 && names[i]; i++)
        r = add_rule(c, action, names[i], args, n, e);
    return r;
}

/* libseccomp writes programs to fds only. */
static int export(Compiler *c, Error *e)
{
    _cleanup_close_ int fd = (int) syscall(SYS_memfd_create, "seccomp", 1U /* MFD_CLOEXEC */);
    _cleanup_free_ char *code = NULL;
    size_t len = 0;
    int r;

    if (fd < 0)
        return error_errnof(e, -errno, "seccomp: memfd");
    r = seccomp_export_bpf(c->ctx, fd);
    if (r >= 0 && lseek(fd, 0, SEEK_SET) < 0)
        r = -errno;
    if (r >= 0)
        r = file_read_fd(fd, USHRT_MAX * sizeof(struct sock_filter), &code, &len);
    if (r < 0)
        return error_errnof(e, r, "seccomp: cannot make a program");
    c->filter.code = (void *) TAKE_PTR(code);
    c->filter.n = (unsigned short) (len / sizeof(struct sock_filter));
    return 0;
}

/* Programs ask whether there is a system call by calling it, and take another where the answer is ENOSYS. One that is younger than the profile, for want
 * of which it is refused, is refused with that. As other runtimes do, for what is above all that the profile names. */
static int refuse_younger(Compiler *c, Error *e)
{
    const struct sock_filter head[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SECCOMP_NATIVE_ARCH, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 2, 0), /* another architecture, for the program behind */
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t) c->youngest, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    };
    size_t n = ARRAY_SIZE(head) + c->filter.n;
    struct sock_filter *code;

    if ((c->default_action & SECCOMP_RET_ACTION_FULL) != SECCOMP_RET_ERRNO || c->youngest == 0 || n > BPF_MAXINSNS)
        return 0;
    code = realloc(c->filter.code, n * sizeof(*code));
    if (!code)
        return error_errnof(e, -ENOMEM, "seccomp: cannot make a program");
    memmove(code + ARRAY_SIZE(head), code, c->filter.n * sizeof(*code));
    memcpy(code, head, sizeof(head));
    c->filter.code = code;
    c->filter.n = (unsigned short) n;
    return 0;
}

int seccomp_compile(const json_t *profile, SeccompFilter *ret, Error *e)
{
    _cleanup_(compiler_done) Compiler c = {};
    json_t *syscalls = NULL, *rule;
    size_t i;
    int r;

    r = read_action(profile, "defaultAction", "defaultErrnoRet", &c.default_action, e);
    if (r >= 0)
        r = json_want(profile, PLACE(""), "syscalls", JSON_ARRAY, &syscalls, e);
    if (r < 0)
        return r;
    c.ctx = seccomp_init(c.default_action);
    if (!c.ctx)
        return error_setf(e, -EINVAL, "seccomp: defaultAction is refused");
    r = add_architectures(&c, profile, e);
    if (r >= 0)
        r = read_flags(&c, profile, e);
    json_array_foreach (syscalls, i, rule) {
        if (r >= 0)
            r = add_rules(&c, rule, e);
    }
    /* A search tree in place of a list; libseccomp up to 2.5.5 never ends with it when there is no rule (its issue 370). */
    if (r >= 0 && json_array_size(syscalls) > 0)
        (void) seccomp_attr_set(c.ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (r >= 0)
        r = export(&c, e);
    if (r >= 0)
        r = refuse_younger(&c, e);
    if (r >= 0 && seccomp_shrink(&c.filter) < 0)
        r = error_errnof(e, -ENOMEM, "seccomp: cannot make a program");
    if (r < 0)
        return r;
    *ret = c.filter;
    c.filter = (SeccompFilter){};
    return 0;
}

void seccomp_filter_done(SeccompFilter *f)
{
    free(f->code);
    *f = (SeccompFilter){};
}

static long install(const SeccompFilter *f, unsigned more)
{
    struct sock_fprog program = {.len = f->n, .filter = f->code};

    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, f->flags | more, &program);
}

int seccomp_install(const SeccompFilter *f)
{
    SeccompFilter alone = *f;

    alone.flags &= ~WAIT_KILLABLE_RECV; /* without a listener the kernel refuses it */
    return f->code && install(&alone, 0) < 0 ? -errno : 0;
}

int seccomp_install_listener(const SeccompFilter *f)
{
    SeccompFilter alone = *f;
    long fd;

    alone.flags &=
        ~(unsigned) SECCOMP_FILTER_FLAG_TSYNC; /* the kernel has no result for both, and there is one thread */
    fd = install(&alone, SECCOMP_FILTER_FLAG_NEW_LISTENER);

    return fd < 0 ? -errno : (int) fd;
}
