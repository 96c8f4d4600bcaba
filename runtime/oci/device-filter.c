/* SPDX-License-Identifier: Apache-2.0 */
#include "device-filter.h"

#include <linux/bpf.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/base/json.h"

#define RULES_MAX 512
#define LOAD_TRIES 100
#define INSNS_PER_RULE 6
#define INSNS_MAX (16 + (RULES_MAX + 10) * INSNS_PER_RULE)
#define ACCESS_ALL (BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE)

typedef struct Rule {
    bool allow;
    int type;             /* BPF_DEVCG_DEV_*; 0: both */
    int64_t major, minor; /* -1: any */
    int access;           /* BPF_DEVCG_ACC_* */
} Rule;

/* Without these a container does not work; they stand behind the configuration's own rules, as in every runtime. */
static const Rule defaults[] = {
    {true, BPF_DEVCG_DEV_CHAR, -1, -1, BPF_DEVCG_ACC_MKNOD},
    {true, BPF_DEVCG_DEV_BLOCK, -1, -1, BPF_DEVCG_ACC_MKNOD},
    {true, BPF_DEVCG_DEV_CHAR, 1, 3, ACCESS_ALL},
    {true, BPF_DEVCG_DEV_CHAR, 1, 5, ACCESS_ALL},
    {true, BPF_DEVCG_DEV_CHAR, 1, 7, ACCESS_ALL},
    {true, BPF_DEVCG_DEV_CHAR, 1, 8, ACCESS_ALL},
    {true, BPF_DEVCG_DEV_CHAR, 1, 9, ACCESS_ALL},
    {true, BPF_DEVCG_DEV_CHAR, 5, 0, ACCESS_ALL},
    {true, BPF_DEVCG_DEV_CHAR, 5, 2, ACCESS_ALL},
    {true, BPF_DEVCG_DEV_CHAR, 136, -1, ACCESS_ALL},
};

typedef struct Program {
    struct bpf_insn insns[INSNS_MAX];
    size_t n;
    bool verdict;                                   /* where no rule matches */
    size_t jumps[RULES_MAX + ARRAY_SIZE(defaults)]; /* of rules that match, to be led to their verdicts */
    bool jump_allows[RULES_MAX + ARRAY_SIZE(defaults)];
    size_t n_jumps;
} Program;

static void emit(Program *p, uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm)
{
    p->insns[p->n++] =
        (struct bpf_insn){.code = code, .dst_reg = dst & 0xf, .src_reg = src & 0xf, .off = off, .imm = imm};
}

/* r2: type, r3: access, r4: major, r5: minor, r0: both, as the kernel's own dev_t has them */
static void emit_prologue(Program *p)
{
    emit(p, BPF_LDX | BPF_W | BPF_MEM, 2, 1, 0, 0);
    emit(p, BPF_ALU | BPF_AND | BPF_K, 2, 0, 0, 0xffff);
    emit(p, BPF_LDX | BPF_W | BPF_MEM, 3, 1, 0, 0);
    emit(p, BPF_ALU | BPF_RSH | BPF_K, 3, 0, 0, 16);
    emit(p, BPF_LDX | BPF_W | BPF_MEM, 4, 1, 4, 0);
    emit(p, BPF_LDX | BPF_W | BPF_MEM, 5, 1, 8, 0);
    emit(p, BPF_ALU | BPF_MOV | BPF_X, 0, 4, 0, 0);
    emit(p, BPF_ALU | BPF_LSH | BPF_K, 0, 0, 0, 20);
    emit(p, BPF_ALU | BPF_OR | BPF_X, 0, 5, 0, 0);
}

typedef struct Test {
    uint8_t reg;
    int32_t value;
    bool differs; /* holds if the register is something else */
    int mask;     /* not 0: the register is r1, which is the access under this mask */
} Test;

static void emit_test(Program *p, const Test *t, bool jump_if_holds)
{
    if (t->mask) {
        emit(p, BPF_ALU | BPF_MOV | BPF_X, 1, 3, 0, 0);
        emit(p, BPF_ALU | BPF_AND | BPF_K, 1, 0, 0, t->mask);
    }
    emit(p, BPF_JMP32 | (jump_if_holds != t->differs ? BPF_JEQ : BPF_JNE) | BPF_K, t->reg, 0, 0, t->value);
}

/* An allowing rule has to cover all that is asked for; a denying one matches if it covers any of it. */
static size_t tests_of(const Rule *r, Test tests[static 3])
{
    size_t n = 0;

    if (r->type)
        tests[n++] = (Test){.reg = 2, .value = r->type};
    if (r->access != ACCESS_ALL)
        tests[n++] = (Test){.reg = 1, .differs = !r->allow, .mask = r->allow ? ACCESS_ALL & ~r->access : r->access};
    if (r->major >= 0 && r->minor >= 0)
        tests[n++] = (Test){.reg = 0, .value = (int32_t) ((uint32_t) r->major << 20 | (uint32_t) r->minor)};
    else if (r->major >= 0)
        tests[n++] = (Test){.reg = 4, .value = (int32_t) r->major};
    else if (r->minor >= 0)
        tests[n++] = (Test){.reg = 5, .value = (int32_t) r->minor};
    return n;
}

/* Tests that fail jump behind the rule, the last one that holds to its verdict. The kernel verifies each program anew, at some microseconds a branch, so
 * rules have no more of them than that. Returns whether the rule matches everything: nothing can come behind it, as the kernel refuses what cannot be reached. */
static bool emit_rule(Program *p, const Rule *r)
{
    size_t failing[3], n;
    Test tests[3];

    n = tests_of(r, tests);
    if (n == 0) {
        p->verdict = r->allow;
        return true;
    }
    for (size_t i = 0; i + 1 < n; i++) {
        emit_test(p, &tests[i], false);
        failing[i] = p->n - 1;
    }
    emit_test(p, &tests[n - 1], true);
    p->jumps[p->n_jumps] = p->n - 1;
    p->jump_allows[p->n_jumps++] = r->allow;
    for (size_t i = 0; i + 1 < n; i++)
        p->insns[failing[i]].off = (int16_t) (p->n - failing[i] - 1);
    return false;
}

static void emit_verdict(Program *p, bool allow)
{
    for (size_t i = 0; i < p->n_jumps; i++)
        if (p->jump_allows[i] == allow)
            p->insns[p->jumps[i]].off = (int16_t) (p->n - p->jumps[i] - 1);
    emit(p, BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, allow);
    emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void emit_verdicts(Program *p)
{
    emit_verdict(p, p->verdict);
    for (size_t i = 0; i < p->n_jumps; i++)
        if (p->jump_allows[i] != p->verdict) {
            emit_verdict(p, !p->verdict);
            return;
        }
}

static int parse_access(const char *s)
{
    int access = 0;

    for (; *s; s++)
        if (*s == 'r')
            access |= BPF_DEVCG_ACC_READ;
        else if (*s == 'w')
            access |= BPF_DEVCG_ACC_WRITE;
        else if (*s == 'm')
            access |= BPF_DEVCG_ACC_MKNOD;
        else
            return -EINVAL;
    return access;
}

static int parse_rule(const json_t *o, Rule *ret, Error *e)
{
    JsonAt at = {"config.json", "linux.resources.devices"};
    const char *type = "a", *access = "rwm";
    Rule rule = {.major = -1, .minor = -1};
    int r;

    if ((r = json_want_bool(o, at, "allow", &rule.allow, e)) < 0 ||
        (r = json_want_string(o, at, "type", &type, e)) < 0 ||
        (r = json_want_integer(o, at, "major", -1, 4095, &rule.major, e)) < 0 ||
        (r = json_want_integer(o, at, "minor", -1, 1048575, &rule.minor, e)) < 0 ||
        (r = json_want_string(o, at, "access", &access, e)) < 0)
        return r;
    rule.type = streq(type, "c") || streq(type, "u") ? BPF_DEVCG_DEV_CHAR : streq(type, "b") ? BPF_DEVCG_DEV_BLOCK : 0;
    if (!rule.type && !streq(type, "a") && *type)
        return error_setf(e, -EINVAL, "%s: type \"%s\" is none of a, b, c", at.path, type);
    rule.access = *access ? parse_access(access) : ACCESS_ALL;
    if (rule.access <= 0)
        return error_setf(e, -EINVAL, "%s: access \"%s\" is not made of r, w, m", at.path, access);
    *ret = rule;
    return 0;
}

static int bpf(int cmd, union bpf_attr *attr)
{
    long r = syscall(SYS_bpf, cmd, attr, sizeof(*attr));

    return r < 0 ? -errno : (int) r;
}

/* What an earlier call attached, so that `update` replaces it. Returns an fd, or -ENOENT. */
static int attached(int cgroup)
{
    uint32_t ids[64];
    union bpf_attr attr = {.query = {.target_fd = (uint32_t) cgroup,
                                     .attach_type = BPF_CGROUP_DEVICE,
                                     .prog_ids = (uint64_t) (uintptr_t) ids,
                                     .prog_cnt = ARRAY_SIZE(ids)}};
    union bpf_attr by_id = {};
    int r = bpf(BPF_PROG_QUERY, &attr);

    if (r < 0)
        return r;
    if (attr.query.prog_cnt != 1)
        return attr.query.prog_cnt == 0 ? -ENOENT : -EBUSY;
    by_id.prog_id = ids[0];
    return bpf(BPF_PROG_GET_FD_BY_ID, &by_id);
}

/* The verifier stops where a signal is pending, like the one of a container's process that has just ended: do_check() in kernel/bpf/verifier.c. Signals can
 * wait; a tracer's cannot, and with those it wants to be asked again. */
static int load_program(union bpf_attr *attr)
{
    sigset_t all, before;
    int prog = -EAGAIN;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    for (unsigned tries = 0; prog == -EAGAIN && tries < LOAD_TRIES; tries++)
        prog = bpf(BPF_PROG_LOAD, attr);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return prog;
}

static int load_and_attach(int cgroup, const Program *p, Error *e)
{
    union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
                           .insn_cnt = (uint32_t) p->n,
                           .insns = (uint64_t) (uintptr_t) p->insns,
                           .license = (uint64_t) (uintptr_t) "Apache-2.0"};
    union bpf_attr attach = {.attach_type = BPF_CGROUP_DEVICE};
    _cleanup_close_ int dir = openat(cgroup, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), old = -EBADF, prog = -EBADF;
    int r;

    if (dir < 0)
        return error_errnof(e, -errno, "cgroup of the container");
    prog = load_program(&load);
    if (prog < 0)
        return error_errnof(e, prog, "linux.resources.devices: the kernel refuses the device filter");
    old = attached(dir);
    attach.target_fd = (uint32_t) dir;
    attach.attach_bpf_fd = (uint32_t) prog;
    attach.attach_flags = BPF_F_ALLOW_MULTI;
    if (old >= 0) {
        attach.attach_flags |= BPF_F_REPLACE;
        attach.replace_bpf_fd = (uint32_t) old;
    }
    r = bpf(BPF_PROG_ATTACH, &attach);
    return r < 0 ? error_errnof(e, r, "linux.resources.devices: the device filter cannot be attached") : 0;
}

int device_filter_apply(int cgroup, const json_t *rules, Error *e)
{
    _cleanup_free_ Program *p = NULL;
    size_t n = json_array_size(rules);
    Rule rule;
    int r;

    if (n > RULES_MAX)
        return error_setf(e, -E2BIG, "linux.resources.devices: %zu rules, at most %d are possible", n, RULES_MAX);
    p = calloc(1, sizeof(*p));
    if (!p)
        return error_errnof(e, -ENOMEM, "linux.resources.devices");
    emit_prologue(p);
    for (size_t i = 0; i < ARRAY_SIZE(defaults); i++)
        (void) emit_rule(p, &defaults[i]);
    for (size_t i = n; i > 0; i--) { /* the last that matches decides, so it is asked first */
        r = parse_rule(json_array_get(rules, i - 1), &rule, e);
        if (r < 0)
            return r;
        if (emit_rule(p, &rule))
            break;
    }
    emit_verdicts(p);
    return load_and_attach(cgroup, p, e);
}
