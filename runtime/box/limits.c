/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "cgroup.h"
#include "internal.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/process.h"

/* Limits by cgroup where its controllers are delegated, else by the process and the watch.
 *
 * The watch adds up the resident memory of all processes of the box. Pages that several share are counted for each in the quick sum, so a sum that is over the limit is taken
 * again from smaps_rollup, which divides them (Documentation/filesystems/proc.rst). Between two looks a process can get at most what RLIMIT_DATA leaves it: twice the
 * limit, since address space is not yet memory, and not RLIMIT_AS, because runtimes reserve gigabytes that they never touch. */

#define CPU_PERIOD_USEC 100000U
#define PROCESSES_MAX 4096

/* ---- cgroup ---- */

static int set_number(int cgroup, const char *file, uint64_t value, Error *e)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    return cgroup_set(cgroup, file, text, e);
}

static int set_memory(int cgroup, uint64_t bytes, Error *e)
{
    int r = set_number(cgroup, "memory.max", bytes, e);

    if (r < 0)
        return r;
    /* Swap may not be there at all; one that dies takes the rest of the box along. */
    (void) cgroup_set(cgroup, "memory.swap.max", "0", NULL);
    return cgroup_set(cgroup, "memory.oom.group", "1", e);
}

static int missing(const BoxSpec *spec, const char *controller, Error *e)
{
    return error_setf(e, -EOPNOTSUPP,
                      "box %s: this host gives its cgroup no %s controller, so a limit on it cannot be kept",
                      spec->name, controller);
}

int box_limits_to_cgroup(const BoxSpec *spec, Box *box, BoxPlan *plan, Error *e)
{
    bool watch = spec->flags & BOX_LIMITS_WATCHED, have = box->cgroup >= 0;
    char text[48];
    int r = 0;

    box->result.memory_by_cgroup = have && cgroup_has(box->cgroup, "memory");
    box->result.processes_by_cgroup = have && cgroup_has(box->cgroup, "pids");
    if (spec->memory && box->result.memory_by_cgroup) {
        r = set_memory(box->cgroup, spec->memory, e);
    } else if (spec->memory) {
        if (!watch)
            return missing(spec, "memory", e);
        box->watched = true;
        box->memory = spec->memory;
        plan->max_data = spec->memory > UINT64_MAX / 2 ? 0 : 2 * spec->memory;
    }
    if (r >= 0 && spec->processes && box->result.processes_by_cgroup)
        r = set_number(box->cgroup, "pids.max", spec->processes, e);
    else if (spec->processes && !watch)
        return missing(spec, "pids", e);
    else if (spec->processes && !box->result.processes_by_cgroup)
        plan->max_processes = spec->processes;
    if (r < 0 || !spec->cpu_percent)
        return r;
    if (!have || !cgroup_has(box->cgroup, "cpu"))
        return watch ? 0 : missing(spec, "cpu", e);
    snprintf(text, sizeof(text), "%" PRIu64 " %u", spec->cpu_percent * (CPU_PERIOD_USEC / 100), CPU_PERIOD_USEC);
    return cgroup_set(box->cgroup, "cpu.max", text, e);
}

/* ---- process ---- */

/* Lowers both limits; what is lower already stays, since root may lack CAP_SYS_RESOURCE. */
static int lower(int resource, uint64_t value)
{
    struct rlimit l;

    if (getrlimit((__rlimit_resource_t) resource, &l) < 0)
        return -errno;
    l.rlim_max = MIN(l.rlim_max, (rlim_t) value);
    l.rlim_cur = l.rlim_max;
    return setrlimit((__rlimit_resource_t) resource, &l) < 0 ? -errno : 0;
}

int box_limits_to_process(const BoxPlan *plan, Error *e)
{
    int r = lower(RLIMIT_CORE, 0);

    if (r >= 0 && plan->max_processes)
        r = lower(RLIMIT_NPROC, plan->max_processes);
    if (r >= 0 && plan->max_data)
        r = lower(RLIMIT_DATA, plan->max_data);
    if (r >= 0 && plan->spec->file_size)
        r = lower(RLIMIT_FSIZE, plan->spec->file_size);
    return r < 0 ? error_errnof(e, r, "cannot set resource limits") : 0;
}

/* ---- watch ---- */

typedef struct Walk {
    pid_t pids[PROCESSES_MAX];
    size_t n;
} Walk;

static ssize_t read_proc(pid_t pid, const char *name, char *text, size_t size)
{
    _cleanup_close_ int fd = -EBADF;
    char path[64];
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%d/%s", (int) pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    n = fd_read_full(fd, text, size - 1);
    if (n >= 0)
        text[n] = '\0';
    return n;
}

static void add_pids(Walk *w, const char *text)
{
    char *end;

    for (const char *p = text; w->n < ARRAY_SIZE(w->pids); p = end) {
        long pid = strtol(p, &end, 10);

        if (end == p)
            break;
        w->pids[w->n++] = (pid_t) pid;
    }
}

/* Everything in a PID namespace descends from its PID 1. Children hang on the thread that made them. */
static void add_children(Walk *w, pid_t pid)
{
    _cleanup_closedir_ DIR *d = NULL;
    char path[64], text[16384];
    struct dirent *de;

    snprintf(path, sizeof(path), "/proc/%d/task", (int) pid);
    d = opendir(path);
    while (d && (de = readdir(d))) {
        if (de->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "task/%.16s/children", de->d_name);
        if (read_proc(pid, path, text, sizeof(text)) > 0)
            add_pids(w, text);
    }
}

static void find_processes(const Box *box, Walk *w)
{
    w->pids[0] = box->pid;
    w->n = 1;
    if (box->cgroup >= 0) {
        _cleanup_close_ int fd = openat(box->cgroup, "cgroup.procs", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        _cleanup_free_ char *text = NULL;

        if (fd >= 0 && file_read_fd(fd, (size_t) 1 << 20, &text, NULL) >= 0) {
            w->n = 0;
            add_pids(w, text);
            return;
        }
    }
    for (size_t i = 0; i < w->n; i++)
        add_children(w, w->pids[i]);
}

static uint64_t resident(pid_t pid)
{
    unsigned long long size, pages, shared;
    char text[128];

    if (read_proc(pid, "statm", text, sizeof(text)) <= 0 || sscanf(text, "%llu %llu %llu", &size, &pages, &shared) != 3)
        return 0;
    return (uint64_t) pages * (uint64_t) sysconf(_SC_PAGESIZE);
}

static uint64_t proportional(pid_t pid)
{
    unsigned long long kib;
    char text[4096];
    const char *p;

    if (read_proc(pid, "smaps_rollup", text, sizeof(text)) <= 0)
        return 0;
    p = strstr(text, "\nPss:");
    return p && sscanf(p, " Pss: %llu", &kib) == 1 ? (uint64_t) kib * 1024 : 0;
}

int box_watch(Box *box)
{
    uint64_t sum = 0, now = clock_now();
    Walk w;

    if (!box->watched || box->ended || box->over_limit || now < box->next_watch)
        return 0;
    box->next_watch = now + BOX_WATCH_INTERVAL;
    find_processes(box, &w);
    for (size_t i = 0; i < w.n; i++)
        sum += resident(w.pids[i]);
    if (sum > box->memory && w.n > 1) {
        sum = 0;
        for (size_t i = 0; i < w.n; i++)
            sum += proportional(w.pids[i]);
    }
    box->peak = MAX(box->peak, sum);
    if (sum <= box->memory)
        return 0;
    box->over_limit = true;
    return pidfd_signal(box->pidfd, SIGKILL);
}
