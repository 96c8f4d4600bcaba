/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_PROBE_RESULTS_H
#define MOSS_PROBE_RESULTS_H

/* The last results of one probe, with what was printed or answered, for the operator to read. */

#include <jansson.h>

#include "probe.h"

#define RESULTS_MAX 5U

typedef struct KeptResult {
    bool ok;
    uint64_t at, took; /* when it ended, how long it took */
    char *why;         /* NULL: passed */
    char *output;      /* at most PROBE_OUTPUT_MAX bytes */
} KeptResult;

typedef struct Results {
    KeptResult kept[RESULTS_MAX]; /* the newest first */
    unsigned n;
} Results;

/* Out of memory keeps less. What is not printable ASCII, a tab or a newline becomes a question mark. */
void results_add(Results *r, const ProbeResult *result, uint64_t began, uint64_t now);
void results_done(Results *r);

/* [{"ok":false,"why":"HTTP status 503","output":"…","ago_usec":1200,"took_usec":800}], the newest first; at most `n` of them, each with `output_max` bytes of
 * output. All of one probe fit into a packet (shim/client/client.h). NULL: out of memory. */
json_t *results_to_json(const Results *r, unsigned n, size_t output_max, uint64_t now);

#endif
