/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <linux/seccomp.h>

#include "seccomp.h"

/* What the accumulator may hold before an instruction; 0: it is never reached. */
enum {
    SOMETHING = 1,
    NUMBER = 2, /* of the system call */
};

/* Numbers up to `last`, from behind those of the range before, lead to the instruction `exit`. */
typedef struct Range {
    uint32_t last;
    unsigned exit;
} Range;

/* Where an instruction of the new program jumps to: to another of it, or to what `exit` of the old one has become. */
typedef struct Jump {
    unsigned to[2]; /* if true, if false */
    bool exit[2];
} Jump;

typedef struct Shrinker {
    const struct sock_filter *old;
    unsigned n;
    uint8_t *holds;  /* before each of the old instructions */
    bool *entered;   /* by one that is no comparison of the number */
    unsigned *place; /* of each in the new program, if it is there */
    Range *ranges;   /* of the search that is being written */
    size_t n_ranges, size_ranges;
    struct sock_filter *new;
    Jump *jumps;
    unsigned n_new, size_new;
} Shrinker;

static void shrinker_done(Shrinker *s)
{
    free(s->holds);
    free(s->entered);
    free(s->place);
    free(s->ranges);
    free(s->new);
    free(s->jumps);
}

static bool is_jump(const struct sock_filter *i)
{
    return BPF_CLASS(i->code) == BPF_JMP;
}

/* Does it only choose by the number, or go on? */
static bool compares_number(const Shrinker *s, unsigned at)
{
    switch (s->old[at].code) {
    case BPF_JMP | BPF_JA:
    case BPF_JMP | BPF_JEQ | BPF_K:
    case BPF_JMP | BPF_JGT | BPF_K:
    case BPF_JMP | BPF_JGE | BPF_K:
        return s->holds[at] == NUMBER;
    default:
        return false;
    }
}

static void enter(Shrinker *s, unsigned at, uint8_t holds, bool entered)
{
    s->holds[at] |= holds;
    s->entered[at] |= entered;
}

/* Programs only jump forward, so one pass will do. */
static void classify(Shrinker *s)
{
    enter(s, 0, SOMETHING, true);
    for (unsigned at = 0; at < s->n; at++) {
        const struct sock_filter *i = &s->old[at];
        bool here = !compares_number(s, at);
        uint8_t holds = SOMETHING;

        if (!s->holds[at] || BPF_CLASS(i->code) == BPF_RET)
            continue;
        if (is_jump(i))
            holds = s->holds[at];
        else if (i->code == (BPF_LD | BPF_W | BPF_ABS) && i->k == offsetof(struct seccomp_data, nr))
            holds = NUMBER;
        if (i->code == (BPF_JMP | BPF_JA)) {
            enter(s, at + 1 + i->k, holds, here);
            continue;
        }
        enter(s, at + 1 + (is_jump(i) ? i->jt : 0), holds, here);
        enter(s, at + 1 + (is_jump(i) ? i->jf : 0), holds, here);
    }
}

static bool same_end(const Shrinker *s, unsigned a, unsigned b)
{
    return a == b ||
           (s->old[a].code == (BPF_RET | BPF_K) && s->old[b].code == (BPF_RET | BPF_K) && s->old[a].k == s->old[b].k);
}

static int add_range(Shrinker *s, uint32_t last, unsigned exit)
{
    Range *r;

    if (s->n_ranges > 0 && same_end(s, s->ranges[s->n_ranges - 1].exit, exit)) {
        s->ranges[s->n_ranges - 1].last = last;
        return 0;
    }
    if (s->n_ranges == s->size_ranges) {
        r = realloc(s->ranges, (s->size_ranges * 2 + 64) * sizeof(*r));
        if (!r)
            return -ENOMEM;
        s->ranges = r;
        s->size_ranges = s->size_ranges * 2 + 64;
    }
    s->ranges[s->n_ranges++] = (Range){last, exit};
    return 0;
}

/* Where numbers from `first` to `last` lead from an instruction, in their order. */
static int follow(Shrinker *s, unsigned at, uint32_t first, uint32_t last)
{
    while (compares_number(s, at)) {
        const struct sock_filter *i = &s->old[at];
        unsigned yes = at + 1 + i->jt, no = at + 1 + i->jf;
        uint64_t from = i->k; /* the first that is on the side of `yes` */
        int r = 0;

        if (BPF_OP(i->code) == BPF_JA) {
            at += 1 + i->k;
            continue;
        }
        if (BPF_OP(i->code) == BPF_JEQ && (i->k < first || i->k > last)) {
            at = no;
            continue;
        }
        from += BPF_OP(i->code) == BPF_JGT;
        if (from > last || from <= first) {
            if (BPF_OP(i->code) != BPF_JEQ) {
                at = from > last ? no : yes;
                continue;
            }
        } else if ((r = follow(s, no, first, (uint32_t) from - 1)) < 0) {
            return r;
        }
        first = (uint32_t) from;
        if (BPF_OP(i->code) != BPF_JEQ) {
            at = yes;
            continue;
        }
        if ((r = follow(s, yes, first, first)) < 0 || first == last)
            return r;
        first++;
        at = no;
    }
    return add_range(s, last, at);
}

static int put(Shrinker *s, struct sock_filter i, Jump jump)
{
    if (s->n_new == s->size_new)
        return -E2BIG; /* no shorter than it was */
    s->new[s->n_new] = i;
    s->jumps[s->n_new++] = jump;
    return 0;
}

/* Chooses among the ranges from a to b: what has to be jumped to is written to *ret_to and *ret_exit. */
static int search(Shrinker *s, size_t a, size_t b, unsigned *ret_to, bool *ret_exit)
{
    const Range *r = s->ranges;
    size_t middle = a + (b - a) / 2;
    unsigned at = s->n_new;
    Jump jump = {};
    int k;

    *ret_to = at;
    *ret_exit = false;
    if (b - a == 1) {
        *ret_to = r[a].exit;
        *ret_exit = true;
        return 0;
    }
    if (b - a == 3 && same_end(s, r[a].exit, r[a + 2].exit) && r[a].last + 1 == r[a + 1].last)
        return put(s, (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, r[a + 1].last, 0, 0),
                   (Jump){{r[a + 1].exit, r[a].exit}, {true, true}});
    k = put(s, (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, r[middle - 1].last + 1, 0, 0), jump);
    if (k >= 0)
        k = search(s, a, middle, &jump.to[1], &jump.exit[1]);
    if (k >= 0)
        k = search(s, middle, b, &jump.to[0], &jump.exit[0]);
    if (k >= 0)
        s->jumps[at] = jump;
    return k;
}

/* What a search ends with: a copy of the return that it leads to, or a jump to where it goes on. */
static int put_exits(Shrinker *s, unsigned from)
{
    unsigned until = s->n_new;

    for (size_t i = 0; i < s->n_ranges; i++) {
        unsigned exit = s->ranges[i].exit, here = s->n_new;
        struct sock_filter e = s->old[exit];
        bool used = false;
        int r;

        for (unsigned at = from; at < until; at++)
            for (unsigned side = 0; side < 2; side++)
                if (s->jumps[at].exit[side] && same_end(s, s->jumps[at].to[side], exit)) {
                    s->jumps[at].to[side] = here;
                    s->jumps[at].exit[side] = false;
                    used = true;
                }
        if (!used && until > from)
            continue; /* it is there already */
        if (e.code == (BPF_RET | BPF_K))
            r = put(s, e, (Jump){});
        else
            r = put(s, (struct sock_filter) BPF_STMT(BPF_JMP | BPF_JA, 0), (Jump){{exit, exit}, {true, true}});
        if (r < 0)
            return r;
    }
    return 0;
}

static int write_search(Shrinker *s, unsigned at)
{
    unsigned from = s->n_new, to;
    bool exit;
    int r;

    s->n_ranges = 0;
    r = follow(s, at, 0, UINT32_MAX);
    if (r >= 0)
        r = search(s, 0, s->n_ranges, &to, &exit);
    return r < 0 ? r : put_exits(s, from);
}

static int rewrite(Shrinker *s)
{
    int r = 0;

    for (unsigned at = 0; at < s->n && r >= 0; at++) {
        const struct sock_filter *i = &s->old[at];
        Jump jump = {{at + 1 + i->jt, at + 1 + i->jf}, {true, true}};

        s->place[at] = s->n_new;
        if (!s->holds[at] || (compares_number(s, at) && !s->entered[at]))
            continue;
        if (i->code == (BPF_JMP | BPF_JA))
            jump.to[0] = jump.to[1] = at + 1 + i->k;
        r = compares_number(s, at) ? write_search(s, at) : put(s, *i, jump);
    }
    return r;
}

/* Distances, now that every place is known. */
static int link_jumps(Shrinker *s)
{
    for (unsigned at = 0; at < s->n_new; at++) {
        struct sock_filter *i = &s->new[at];
        unsigned far[2];

        if (!is_jump(i))
            continue;
        for (unsigned side = 0; side < 2; side++) {
            unsigned to = s->jumps[at].to[side];

            far[side] = (s->jumps[at].exit[side] ? s->place[to] : to) - at - 1;
        }
        if (i->code == (BPF_JMP | BPF_JA)) {
            i->k = far[0];
            continue;
        }
        if (far[0] > UINT8_MAX || far[1] > UINT8_MAX)
            return -E2BIG;
        i->jt = (uint8_t) far[0];
        i->jf = (uint8_t) far[1];
    }
    return 0;
}

int seccomp_shrink(SeccompFilter *f)
{
    _cleanup_(shrinker_done) Shrinker s = {.old = f->code, .n = f->n, .size_new = f->n};
    int r;

    if (f->n == 0)
        return 0;
    s.holds = calloc(f->n + 1U, sizeof(*s.holds));
    s.entered = calloc(f->n + 1U, sizeof(*s.entered));
    s.place = calloc(f->n + 1U, sizeof(*s.place));
    s.new = calloc(f->n, sizeof(*s.new));
    s.jumps = calloc(f->n, sizeof(*s.jumps));
    if (!s.holds || !s.entered || !s.place || !s.new || !s.jumps)
        return -ENOMEM;
    classify(&s);
    r = rewrite(&s);
    if (r >= 0)
        r = link_jumps(&s);
    if (r < 0)
        return r == -E2BIG ? 0 : r;
    memcpy(f->code, s.new, s.n_new * sizeof(*s.new));
    f->n = (unsigned short) s.n_new;
    return 0;
}
