/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"

#include "chunk.h"
#include "cluster.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"

#define GUARD_TURNS_MAX 20
#define POOL_MAX 300 /* newest sessions that are compared */

typedef struct Candidate {
    size_t last;      /* turn */
    char *text;       /* all that the user said */
    bool independent; /* the user has no earlier session */
    bool taken;
    double nearest; /* similarity to the most similar guard so far */
} Candidate;

typedef struct Pool {
    Candidate *items;
    size_t n;
} Pool;

static void pool_done(Pool *pool)
{
    for (size_t i = 0; i < pool->n; i++)
        free(pool->items[i].text);
    free(pool->items);
}

static bool went_well(const Corpus *c, const bool *bad, size_t last)
{
    size_t n = 0;

    for (size_t t = last; t != SIZE_MAX; t = c->turns[t].previous)
        if (bad[t] || !c->turns[t].reply || c->turns[t].error || ++n > GUARD_TURNS_MAX)
            return false;
    return true;
}

static int bad_turns(const Corpus *c, const Rules *rules, bool **ret, Error *e)
{
    _cleanup_(hits_done) Hits hits = {};
    int r = detect(rules, c, NULL, &hits, e);

    if (r < 0)
        return r;
    for (size_t i = 0; i < hits.n; i++)
        hits.complaints[hits.hits[i].turn] = true;
    *ret = TAKE_PTR(hits.complaints);
    return 0;
}

static char *user_text(const Corpus *c, size_t last)
{
    _cleanup_(strbuf_done) StrBuf b = {};

    for (size_t t = last; t != SIZE_MAX; t = c->turns[t].previous)
        strbuf_addf(&b, "%.1000s\n", c->turns[t].text);
    return strbuf_take(&b);
}

static bool first_of_its_user(const Corpus *c, size_t last)
{
    size_t first = last;

    while (c->turns[first].previous != SIZE_MAX)
        first = c->turns[first].previous;
    for (size_t t = 0; t < first; t++)
        if (streq(c->turns[t].user, c->turns[first].user))
            return false;
    return true;
}

static int fill_pool(const Corpus *c, const bool *bad, Pool *pool)
{
    pool->items = calloc(POOL_MAX, sizeof(*pool->items));
    if (!pool->items)
        return -ENOMEM;
    for (size_t t = c->n; t-- > 0 && pool->n < POOL_MAX;) {
        Candidate *p = &pool->items[pool->n];

        if (c->turns[t].next != SIZE_MAX || !went_well(c, bad, t))
            continue;
        *p = (Candidate){.last = t, .text = user_text(c, t), .independent = first_of_its_user(c, t)};
        if (!p->text)
            return -ENOMEM;
        pool->n++;
    }
    return 0;
}

static Candidate *most_different(Pool *pool, bool independent)
{
    Candidate *best = NULL;

    for (size_t i = 0; i < pool->n; i++) {
        Candidate *p = &pool->items[i];

        if (!p->taken && p->independent == independent && (!best || p->nearest < best->nearest))
            best = p;
    }
    return best;
}

static int take(Pool *pool, Candidate *chosen)
{
    chosen->taken = true;
    for (size_t i = 0; i < pool->n; i++) {
        double s;

        if (cluster_similarity(chosen->text, pool->items[i].text, &s) < 0)
            return -ENOMEM;
        pool->items[i].nearest = MAX(pool->items[i].nearest, s);
    }
    return 0;
}

int guards_choose(const Corpus *c, const Rules *rules, size_t max, json_t **ret_chunks, Error *e)
{
    _cleanup_json_ json_t *chunks = json_array();
    _cleanup_(pool_done) Pool pool = {};
    _cleanup_free_ bool *bad = NULL;
    int r = bad_turns(c, rules, &bad, e);

    if (r < 0)
        return r;
    r = fill_pool(c, bad, &pool);
    while (r >= 0 && json_array_size(chunks) < max) {
        Candidate *next = most_different(&pool, true);
        json_t *chunk;

        if (!next)
            next = most_different(&pool, false);
        if (!next)
            break;
        r = take(&pool, next);
        if (r < 0)
            break;
        r = chunk_of_guard(c, next->last, &chunk, e);
        if (r == -EFBIG) {
            r = 0;
            continue;
        }
        if (r < 0)
            return r;
        json_array_append_new(chunks, chunk);
    }
    if (r < 0)
        return error_setf(e, r, "out of memory");
    *ret_chunks = TAKE_PTR(chunks);
    return 0;
}
