/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_EVIDENCE_CLUSTER_H
#define MOSS_EVIDENCE_CLUSTER_H

/* Near-duplicates: requests that say the same with other names and numbers. Two texts are near when the sets of their four-byte shingles (lower case,
 * digits alike, white space folded) overlap by CLUSTER_NEAR or more (Jaccard); it needs no words, so it works in any language. Pure. */

#include "runtime/base/macro.h"

#define CLUSTER_NEAR 0.4

typedef struct ClusterItem {
    const char *rule; /* items of different rules are never near */
    const char *text;
    size_t cluster; /* result, from 0 in the order of their first items */
} ClusterItem;

/* Returns the number of clusters, or -ENOMEM. An item joins the first cluster whose first item is near. */
int cluster(ClusterItem *items, size_t n);

/* 0…1 */
int cluster_similarity(const char *a, const char *b, double *ret);

#endif
