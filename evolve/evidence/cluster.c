/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster.h"

#define SHINGLE 4
#define TEXT_MAX 4096 /* what a text is about shows in its first bytes */

typedef struct Shingles {
    uint32_t *set; /* sorted, none twice */
    size_t n;
} Shingles;

static void shingles_done(Shingles *s)
{
    free(s->set);
    *s = (Shingles){};
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;

    return x < y ? -1 : x > y;
}

static size_t normalise(const char *text, char out[static TEXT_MAX])
{
    size_t n = 0;

    for (const char *p = text; *p && n < TEXT_MAX; p++) {
        char c = *p;

        if (strchr(" \t\r\n\v\f", c))
            c = ' ';
        else if (c >= '0' && c <= '9')
            c = '0';
        else if (c >= 'A' && c <= 'Z')
            c = (char) (c - 'A' + 'a');
        if ((c == ' ' || c == '0') && n > 0 && out[n - 1] == c)
            continue;
        out[n++] = c;
    }
    return n;
}

static int shingles_of(const char *text, Shingles *ret)
{
    char norm[TEXT_MAX];
    size_t len = normalise(text, norm), n = 0;
    uint32_t *set;

    while (len < SHINGLE)
        norm[len++] = ' ';
    set = calloc(len, sizeof(*set));
    if (!set)
        return -ENOMEM;
    for (size_t i = 0; i + SHINGLE <= len; i++)
        memcpy(&set[n++], norm + i, sizeof(*set));
    qsort(set, n, sizeof(*set), by_value);
    ret->set = set;
    ret->n = 0;
    for (size_t i = 0; i < n; i++)
        if (i == 0 || set[i] != set[ret->n - 1])
            set[ret->n++] = set[i];
    return 0;
}

static double jaccard(const Shingles *a, const Shingles *b)
{
    size_t common = 0;

    for (size_t i = 0, j = 0; i < a->n && j < b->n;) {
        common += a->set[i] == b->set[j];
        if (a->set[i] < b->set[j])
            i++;
        else if (a->set[i] > b->set[j])
            j++;
        else
            i++, j++;
    }
    return (double) common / (double) (a->n + b->n - common);
}

int cluster_similarity(const char *a, const char *b, double *ret)
{
    _cleanup_(shingles_done) Shingles x = {}, y = {};

    if (shingles_of(a, &x) < 0 || shingles_of(b, &y) < 0)
        return -ENOMEM;
    *ret = jaccard(&x, &y);
    return 0;
}

typedef struct Leader {
    size_t item;
    Shingles shingles;
} Leader;

static size_t find_cluster(const ClusterItem *items, size_t i, const Shingles *s, const Leader *leaders, size_t n)
{
    size_t k = 0;

    while (k < n &&
           !(streq(items[leaders[k].item].rule, items[i].rule) && jaccard(&leaders[k].shingles, s) >= CLUSTER_NEAR))
        k++;
    return k;
}

int cluster(ClusterItem *items, size_t n)
{
    _cleanup_free_ Leader *leaders = calloc(n + 1, sizeof(*leaders));
    size_t n_leaders = 0;
    int r = leaders ? 0 : -ENOMEM;

    for (size_t i = 0; r >= 0 && i < n; i++) {
        _cleanup_(shingles_done) Shingles s = {};

        r = shingles_of(items[i].text, &s);
        if (r < 0)
            break;
        items[i].cluster = find_cluster(items, i, &s, leaders, n_leaders);
        if (items[i].cluster == n_leaders) {
            leaders[n_leaders++] = (Leader){i, s};
            s = (Shingles){};
        }
    }
    for (size_t k = 0; k < n_leaders; k++)
        shingles_done(&leaders[k].shingles);
    return r < 0 ? r : (int) n_leaders;
}
