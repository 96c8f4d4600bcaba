/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <poll.h>
#include <sys/inotify.h>

#include "cmd.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/box/cgroup.h"
#include "runtime/oci/stats.h"

typedef struct Options {
    bool once;
    uint64_t interval;
    const char *id;
} Options;

static int parse(Options *o, int argc, char **argv, Error *e)
{
    static const struct option options[] = {
        {"stats", no_argument, NULL, 's'}, {"interval", required_argument, NULL, 'i'}, {}};
    int c, r;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c != 's' && c != 'i')
            return cmd_bad_option(argc, argv, e);
        o->once = o->once || c == 's';
        if (c == 'i' && (r = stats_interval(optarg, &o->interval, e)) < 0)
            return r;
    }
    return cmd_id(argc, argv, &o->id, e);
}

static int print_stats(const Container *c, Error *e)
{
    _cleanup_(strbuf_done) StrBuf b = {};
    int r = stats_write(c->group.fd, c->state.id, &b, e);

    if (r < 0)
        return r;
    return fputs(b.data, stdout) < 0 || fflush(stdout) != 0 ? error_errnof(e, -EIO, "cannot print the result") : 0;
}

/* Processes that the kernel killed for want of memory, so far. */
static uint64_t killed(const Container *c)
{
    uint64_t n = 0;

    return cgroup_get(c->group.fd, "memory.events", "oom_kill", &n) < 0 ? 0 : n;
}

static int report_killed(const Container *c, uint64_t *known, Error *e)
{
    uint64_t n = killed(c);

    if (n <= *known)
        return 0;
    *known = n;
    return printf("{\"type\":\"oom\",\"id\":\"%s\"}\n", c->state.id) < 0 || fflush(stdout) != 0
               ? error_errnof(e, -EIO, "cannot print the result")
               : 0;
}

/* An inotify fd that becomes readable when the kernel changes memory.events; -EBADF where there is no memory controller. */
static int watch(const Container *c, Error *e)
{
    _cleanup_close_ int fd = -EBADF;
    char path[FD_PATH_MAX + 20], link[FD_PATH_MAX];

    if (faccessat(c->group.fd, "memory.events", R_OK, 0) < 0)
        return -EBADF;
    fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    snprintf(path, sizeof(path), "%s/memory.events", fd_path(c->group.fd, link));
    if (fd < 0 || inotify_add_watch(fd, path, IN_MODIFY) < 0)
        return error_errnof(e, -errno, "container \"%s\": memory.events", c->state.id);
    return TAKE_FD(fd);
}

/* Until the container ends. */
static int follow(const Container *c, uint64_t interval, Error *e)
{
    _cleanup_close_ int changes = -EBADF, pidfd = state_pidfd(&c->state);
    uint64_t known = killed(c), next = clock_now() + interval;
    int r = 0;

    changes = watch(c, e);
    if (changes < 0 && changes != -EBADF)
        return changes;
    while (r >= 0 && pidfd >= 0) {
        struct pollfd p[] = {{.fd = pidfd, .events = POLLIN}, {.fd = changes, .events = POLLIN}};
        char buf[4096];
        bool ended;

        if (poll(p, ARRAY_SIZE(p), clock_poll_timeout(next)) < 0 && errno != EINTR)
            return error_errnof(e, -errno, "container \"%s\"", c->state.id);
        ended = p[0].revents != 0;
        if (p[1].revents)
            (void) !read(changes, buf, sizeof(buf));
        r = report_killed(c, &known, e);
        if (ended)
            break;
        if (r >= 0 && clock_now() >= next) {
            r = print_stats(c, e);
            next = clock_now() + interval;
        }
    }
    return r;
}

int verb_events(Cli *cli, int argc, char **argv, Error *e)
{
    _cleanup_(container_done) Container c = {.dir = -EBADF, .group = CONTAINER_CGROUP_INIT};
    Options o = {.interval = 5 * USEC_PER_SEC};
    Runtime rt;
    int r;

    if ((r = parse(&o, argc, argv, e)) < 0 || (r = cmd_runtime(cli, &rt, e)) < 0)
        return r;
    r = container_open(&rt, o.id, false, &c, e);
    fd_closep(&rt.root);
    if (r < 0)
        return r;
    if (c.status == STATUS_STOPPED)
        return error_setf(e, -EINVAL, "container \"%s\": container not running", o.id);
    if (c.group.fd < 0)
        return error_setf(e, -EOPNOTSUPP, "container \"%s\" has no cgroup, which statistics need", o.id);
    return o.once ? print_stats(&c, e) : follow(&c, o.interval, e);
}
