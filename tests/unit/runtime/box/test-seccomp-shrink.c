/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/base/fd.h"
#include "runtime/box/seccomp.h"
#include "tests/unit/test.h"

/* What the kernel would do with a system call: seccomp(2) and its classic BPF, as far as libseccomp makes use of it. */
static uint32_t decide(const SeccompFilter *f, const struct seccomp_data *data)
{
    uint32_t a = 0;

    for (unsigned at = 0; at < f->n; at++) {
        const struct sock_filter *i = &f->code[at];
        bool yes = false;

        switch (i->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            memcpy(&a, (const char *) data + i->k, sizeof(a));
            continue;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= i->k;
            continue;
        case BPF_RET | BPF_K:
            return i->k;
        case BPF_JMP | BPF_JA:
            at += i->k;
            continue;
        case BPF_JMP | BPF_JEQ | BPF_K:
            yes = a == i->k;
            break;
        case BPF_JMP | BPF_JGT | BPF_K:
            yes = a > i->k;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            yes = a >= i->k;
            break;
        case BPF_JMP | BPF_JSET | BPF_K:
            yes = a & i->k;
            break;
        default:
            fail_msg("instruction %u has the code %#x", at, i->code);
        }
        at += yes ? i->jt : i->jf;
    }
    fail_msg("the program has no end");
    return 0;
}

/* Both decide alike of every number that one of them mentions, and of those beside it. */
static void assert_same(const SeccompFilter *f, const SeccompFilter *g)
{
    static const uint32_t archs[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, 0};
    static const uint64_t args[] = {0, 1, 7, UINT64_C(0x100000001), UINT64_MAX};

    for (unsigned k = 0; k < f->n; k++)
        for (uint32_t nr = f->code[k].k - 1, n = 0; n < 3; nr++, n++)
            for (size_t a = 0; a < ARRAY_SIZE(archs); a++)
                for (size_t v = 0; v < ARRAY_SIZE(args); v++) {
                    struct seccomp_data data = {.nr = (int) nr, .arch = archs[a]};

                    for (size_t i = 0; i < ARRAY_SIZE(data.args); i++)
                        data.args[i] = args[v];
                    assert_int_equal(decide(f, &data), decide(g, &data));
                }
}

static SeccompFilter copy_of(const SeccompFilter *f)
{
    SeccompFilter g = *f;

    g.code = malloc(f->n * sizeof(*f->code));
    assert_non_null(g.code);
    memcpy(g.code, f->code, f->n * sizeof(*f->code));
    return g;
}

/* Shrinks a copy; returns how many instructions are left. */
static unsigned check(const SeccompFilter *f)
{
    SeccompFilter g = copy_of(f);
    unsigned n;

    assert_int_equal(seccomp_shrink(&g), 0);
    assert_true(g.n <= f->n);
    assert_same(f, &g);
    assert_same(&g, f);
    n = g.n;
    seccomp_filter_done(&g);
    return n;
}

static SeccompFilter exported(scmp_filter_ctx ctx)
{
    _cleanup_close_ int fd = memfd_create("program", MFD_CLOEXEC);
    SeccompFilter f = {.code = calloc(BPF_MAXINSNS, sizeof(*f.code))};
    ssize_t n;

    assert_int_equal(seccomp_export_bpf(ctx, fd), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    n = read(fd, f.code, BPF_MAXINSNS * sizeof(*f.code));
    assert_true(n > 0);
    f.n = (unsigned short) ((size_t) n / sizeof(*f.code));
    return f;
}

static uint32_t next(uint32_t *seed)
{
    return *seed = *seed * 1664525 + 1013904223;
}

/* A filter of libseccomp's with rules that nobody would write. */
static SeccompFilter made_up(uint32_t seed)
{
    static const uint32_t actions[] = {SCMP_ACT_ALLOW, SCMP_ACT_ERRNO(1), SCMP_ACT_ERRNO(38), SCMP_ACT_KILL_PROCESS,
                                       SCMP_ACT_LOG};
    uint32_t by_default = actions[next(&seed) >> 8 & 1], change = next(&seed) >> 30, action = by_default;
    scmp_filter_ctx ctx = seccomp_init(by_default);
    SeccompFilter f;

    assert_non_null(ctx);
    if (seed & 1 << 20)
        (void) seccomp_arch_add(ctx, SCMP_ARCH_X86);
    if (seed & 1 << 21)
        (void) seccomp_arch_add(ctx, SCMP_ARCH_X32);
    for (int nr = 0; nr < 450; nr++) {
        uint32_t r = next(&seed) >> 8;

        if ((r & 15) <= change) /* else as the one before */
            action = actions[(r >> 4) % ARRAY_SIZE(actions)];
        if (action == by_default)
            continue;
        if (r & 0x3f0000)
            (void) seccomp_rule_add(ctx, action, nr, 0);
        else
            (void) seccomp_rule_add(ctx, action, nr, 2, SCMP_A0(SCMP_CMP_EQ, r & 7),
                                    SCMP_A2(SCMP_CMP_MASKED_EQ, 7, r >> 20 & 7));
    }
    if (seed & 1 << 22)
        (void) seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    f = exported(ctx);
    seccomp_release(ctx);
    return f;
}

TEST(a_shorter_program_decides_as_the_longer_one)
{
    unsigned shorter = 0;

    for (uint32_t seed = 1; seed <= 30; seed++) {
        _cleanup_(seccomp_filter_done) SeccompFilter f = made_up(seed * 2654435761U);

        shorter += check(&f) < f.n;
    }
    assert_true(shorter > 20);
}

TEST(what_most_profiles_are_becomes_much_shorter)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(1));
    _cleanup_(seccomp_filter_done) SeccompFilter f = {};

    for (int nr = 0; nr < 330; nr++)
        if (nr % 50 != 13)
            assert_int_equal(seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0), 0);
    assert_int_equal(seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2), 0);
    f = exported(ctx);
    seccomp_release(ctx);
    assert_true(check(&f) < f.n / 8U);
}

TEST(programs_without_a_search_stay_as_they_are)
{
    struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_filter args[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 7, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };

    assert_int_equal(check(&(SeccompFilter){.code = allow, .n = 1}), 1);
    assert_int_equal(check(&(SeccompFilter){.code = args, .n = 4}), 4);
}

TEST(a_number_is_still_there_for_what_follows_the_search)
{
    /* the low bit decides of what the search lets through, and a comparison is met with the number and without */
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 6),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 4, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 5, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 6, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1, 3, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 5, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 3),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };

    (void) check(&(SeccompFilter){.code = code, .n = ARRAY_SIZE(code)});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(a_shorter_program_decides_as_the_longer_one),
        UNIT(what_most_profiles_are_becomes_much_shorter),
        UNIT(programs_without_a_search_stay_as_they_are),
        UNIT(a_number_is_still_there_for_what_follows_the_search),
    };

    return RUN_TESTS(tests);
}
