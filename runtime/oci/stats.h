/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_STATS_H
#define MOSS_OCI_STATS_H

/* What a container uses, from the files of its cgroup, in the form that engines know from `runc events`:
 *
 *     {"type":"stats","id":…,"data":{"cpu":{…},"cpuset":{…},"memory":{…},"pids":{…},"blkio":{…},"hugetlb":{…},"intel_rdt":{},"network_interfaces":null}}
 *
 * Names and units are those of cgroup v1 (bytes, nanoseconds; swap counts memory too). A controller that is not there gives zeros or an empty object. Numbers go up to
 * 2^64 - 1, which stands for "no limit" and is more than jansson can hold: so it is text. */

#include "runtime/base/error.h"
#include "runtime/base/strbuf.h"

/* Appends one such line, with its newline. `cgroup` may be an O_PATH fd. */
int stats_write(int cgroup, const char *id, StrBuf *b, Error *e);

/* "1h30m", "5s", "1.5s", "200ms", "50us", in microseconds; more than 0, at most a week. */
int stats_interval(const char *text, uint64_t *ret, Error *e);

#endif
