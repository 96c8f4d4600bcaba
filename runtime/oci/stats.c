/* SPDX-License-Identifier: Apache-2.0 */
#include "stats.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/box/cgroup.h"

#define FILE_MAX ((size_t) 4 << 20)

/* 0 where the file or the key is missing */
static uint64_t number(int cgroup, const char *file, const char *key)
{
    uint64_t n = 0;

    return cgroup_get(cgroup, file, key, &n) < 0 ? 0 : n;
}

static char *text_of(int cgroup, const char *file)
{
    char *text = NULL;

    return file_read_at(cgroup, file, FILE_MAX, &text, NULL) < 0 ? NULL : text;
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=0", "full …" */
static void write_pressure(int cgroup, const char *file, StrBuf *b)
{
    _cleanup_free_ char *text = text_of(cgroup, file);
    char *save = NULL;
    const char *comma = "";

    if (!text)
        return;
    (void) strbuf_adds(b, ",\"psi\":{");
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char kind[8], a[24], c[24], d[24];
        uint64_t total;

        if (sscanf(line, "%7[a-z] avg10=%23[0-9.] avg60=%23[0-9.] avg300=%23[0-9.] total=%" SCNu64, kind, a, c, d,
                   &total) != 5)
            continue;
        (void) strbuf_addf(b, "%s\"%s\":{\"avg10\":%s,\"avg60\":%s,\"avg300\":%s,\"total\":%" PRIu64 "}", comma, kind,
                           a, c, d, total);
        comma = ",";
    }
    (void) strbuf_adds(b, "}");
}

static void write_cpu(int cgroup, StrBuf *b)
{
    static const char file[] = "cpu.stat";

    (void) strbuf_addf(b,
                       "\"cpu\":{\"usage\":{\"total\":%" PRIu64 ",\"kernel\":%" PRIu64 ",\"user\":%" PRIu64
                       "},\"throttling\":{\"periods\":%" PRIu64 ",\"throttledPeriods\":%" PRIu64
                       ",\"throttledTime\":%" PRIu64 "}",
                       number(cgroup, file, "usage_usec") * 1000, number(cgroup, file, "system_usec") * 1000,
                       number(cgroup, file, "user_usec") * 1000, number(cgroup, file, "nr_periods"),
                       number(cgroup, file, "nr_throttled"), number(cgroup, file, "throttled_usec") * 1000);
    write_pressure(cgroup, "cpu.pressure", b);
    (void) strbuf_adds(b, "}");
}

/* "0-2,5" as 0,1,2,5 */
static void write_list(int cgroup, const char *file, const char *key, StrBuf *b)
{
    _cleanup_free_ char *text = text_of(cgroup, file);
    unsigned long first, last;
    char *p = text;

    if (!text || !isdigit((unsigned char) *text))
        return;
    (void) strbuf_addf(b, "\"%s\":[", key);
    while (isdigit((unsigned char) *p)) {
        first = last = strtoul(p, &p, 10);
        if (*p == '-')
            last = strtoul(p + 1, &p, 10);
        for (unsigned long n = first; n <= last && n < 65536; n++)
            (void) strbuf_addf(b, "%lu%s", n, n < last ? "," : "");
        p += *p == ',';
        if (isdigit((unsigned char) *p))
            (void) strbuf_adds(b, ",");
    }
    (void) strbuf_adds(b, "],");
}

static void write_cpuset(int cgroup, StrBuf *b)
{
    (void) strbuf_adds(b, "\"cpuset\":{");
    write_list(cgroup, "cpuset.cpus.effective", "cpus", b);
    write_list(cgroup, "cpuset.mems.effective", "mems", b);
    (void) strbuf_adds(b, "\"cpu_exclusive\":0,\"mem_hardwall\":0,\"mem_exclusive\":0,\"memory_migrate\":0,"
                          "\"memory_spread_page\":0,\"memory_spread_slab\":0,\"memory_pressure\":0,"
                          "\"sched_load_balance\":0,\"sched_relax_domain_level\":0}");
}

/* Flat-keyed: "name number" on each line, as the members of an object. */
static void write_flat(int cgroup, const char *file, StrBuf *b)
{
    _cleanup_free_ char *text = text_of(cgroup, file);
    char *save = NULL, name[64];
    const char *comma = "";
    uint64_t n;

    for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save))
        if (sscanf(line, "%63[a-z0-9_] %" SCNu64, name, &n) == 2) {
            (void) strbuf_addf(b, "%s\"%s\":%" PRIu64, comma, name, n);
            comma = ",";
        }
}

static void write_entry(StrBuf *b, const char *key, uint64_t limit, uint64_t usage, uint64_t max, uint64_t failures)
{
    (void) strbuf_addf(
        b, "\"%s\":{\"limit\":%" PRIu64 ",\"usage\":%" PRIu64 ",\"max\":%" PRIu64 ",\"failcnt\":%" PRIu64 "},", key,
        limit, usage, max, failures);
}

static uint64_t sum(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static void write_memory(int cgroup, StrBuf *b)
{
    uint64_t limit = number(cgroup, "memory.max", NULL), usage = number(cgroup, "memory.current", NULL);

    (void) strbuf_addf(b, "\"memory\":{\"cache\":%" PRIu64 ",", number(cgroup, "memory.stat", "file"));
    write_entry(b, "usage", limit, usage, number(cgroup, "memory.peak", NULL), number(cgroup, "memory.events", "max"));
    write_entry(b, "swap", sum(limit, number(cgroup, "memory.swap.max", NULL)),
                sum(usage, number(cgroup, "memory.swap.current", NULL)), 0,
                number(cgroup, "memory.swap.events", "fail"));
    write_entry(b, "kernel", 0, number(cgroup, "memory.stat", "kernel"), 0, 0);
    write_entry(b, "kernelTCP", 0, number(cgroup, "memory.stat", "sock"), 0, 0);
    (void) strbuf_adds(b, "\"raw\":{");
    write_flat(cgroup, "memory.stat", b);
    (void) strbuf_adds(b, "}");
    write_pressure(cgroup, "memory.pressure", b);
    (void) strbuf_adds(b, "}");
}

/* One counter of io.stat, "MAJOR:MINOR rbytes=N wbytes=N rios=N wios=N …" for each device. */
static void write_io(const char *text, const char *key, const char *const counters[2], StrBuf *b)
{
    static const char *const names[] = {"Read", "Write"};
    const char *comma = "";

    (void) strbuf_addf(b, "\"%s\":[", key);
    for (const char *line = text; line && *line; line += strcspn(line, "\n"), line += *line == '\n') {
        unsigned major, minor;

        if (sscanf(line, "%u:%u ", &major, &minor) != 2)
            continue;
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
            const char *at = strstr(line, counters[i]);

            if (!at || at > line + strcspn(line, "\n"))
                continue;
            (void) strbuf_addf(b, "%s{\"major\":%u,\"minor\":%u,\"op\":\"%s\",\"value\":%" PRIu64 "}", comma, major,
                               minor, names[i], (uint64_t) strtoull(at + strlen(counters[i]), NULL, 10));
            comma = ",";
        }
    }
    (void) strbuf_adds(b, "]");
}

static void write_blkio(int cgroup, StrBuf *b)
{
    static const char *const bytes[] = {" rbytes=", " wbytes="}, *const operations[] = {" rios=", " wios="};
    _cleanup_free_ char *text = text_of(cgroup, "io.stat");

    (void) strbuf_adds(b, "\"blkio\":{");
    write_io(text, "ioServiceBytesRecursive", bytes, b);
    (void) strbuf_adds(b, ",");
    write_io(text, "ioServicedRecursive", operations, b);
    write_pressure(cgroup, "io.pressure", b);
    (void) strbuf_adds(b, "}");
}

/* hugetlb.SIZE.current and its companions, for each size that the host has */
static void write_hugetlb(int cgroup, StrBuf *b)
{
    int fd = openat(cgroup, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
    const char *comma = "";
    struct dirent *de;

    if (!d)
        fd_closep(&fd);
    (void) strbuf_adds(b, "\"hugetlb\":{");
    while (d && (de = readdir(d))) {
        char size[24], file[64];
        int end = 0;

        if (sscanf(de->d_name, "hugetlb.%23[0-9KMGB].current%n", size, &end) != 1 || end == 0 || de->d_name[end])
            continue;
        snprintf(file, sizeof(file), "hugetlb.%s.events", size);
        (void) strbuf_addf(b, "%s\"%s\":{\"usage\":%" PRIu64 ",\"failcnt\":%" PRIu64 "}", comma, size,
                           number(cgroup, de->d_name, NULL), number(cgroup, file, "max"));
        comma = ",";
    }
    (void) strbuf_adds(b, "}");
}

int stats_write(int cgroup, const char *id, StrBuf *b, Error *e)
{
    (void) strbuf_addf(b, "{\"type\":\"stats\",\"id\":\"%s\",\"data\":{", id);
    write_cpu(cgroup, b);
    (void) strbuf_adds(b, ",");
    write_cpuset(cgroup, b);
    (void) strbuf_adds(b, ",");
    write_memory(cgroup, b);
    (void) strbuf_addf(b, ",\"pids\":{\"current\":%" PRIu64 ",\"limit\":%" PRIu64 "},",
                       number(cgroup, "pids.current", NULL), number(cgroup, "pids.max", NULL));
    write_blkio(cgroup, b);
    (void) strbuf_adds(b, ",");
    write_hugetlb(cgroup, b);
    return strbuf_adds(b, ",\"intel_rdt\":{},\"network_interfaces\":null}}\n") < 0
               ? error_errnof(e, -ENOMEM, "statistics of container \"%s\"", id)
               : 0;
}

static const struct {
    const char *name;
    double usec;
} units[] = {{"ns", 1e-3}, {"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 60e6}, {"h", 3600e6}};

int stats_interval(const char *text, uint64_t *ret, Error *e)
{
    const char *p = text;
    double total = 0;

    while (isdigit((unsigned char) *p)) {
        char *end;
        double n = strtod(p, &end);
        size_t len = strspn(end, "nsumh"), i = 0;

        while (i < ARRAY_SIZE(units) && (strlen(units[i].name) != len || strncmp(end, units[i].name, len) != 0))
            i++;
        if (i == ARRAY_SIZE(units) || strspn(p, "0123456789.") != (size_t) (end - p))
            break;
        total += n * units[i].usec;
        p = end + len;
    }
    if (*p || p == text || total < 1 || total > 7 * 24 * 3600e6)
        return error_setf(e, -EINVAL, "--interval \"%s\": is no duration like 5s, 1m30s, 200ms (up to a week)", text);
    *ret = (uint64_t) total;
    return 0;
}
