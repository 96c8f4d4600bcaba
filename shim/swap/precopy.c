/* SPDX-License-Identifier: Apache-2.0 */
#include "precopy.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "epoch.h"
#include "runtime/base/fd.h"
#include "runtime/base/process.h"

#define NICE 15

typedef enum Job { JOB_NONE, JOB_REHEARSAL, JOB_FIRST_PASS, JOB_LAST_PASS } Job;

struct Precopy {
    PrecopySpec spec;
    bool passes; /* are any needed? */
    bool finish; /* precopy_finish() was called */
    Job job;     /* what the child is at */
    int pidfd;
    LoopSource *source;
    MirrorIndex *known, *seen; /* of the last pass, of the one that goes on */
    Error *error;              /* shared with the child */
};

static int run(const Precopy *p, Error *e)
{
    return p->job == JOB_REHEARSAL ? epoch_copy_for_rehearsal(p->spec.agent_dir, p->spec.from, e)
                                   : epoch_precopy(p->spec.agent_dir, p->spec.from, p->spec.to,
                                                   p->job == JOB_LAST_PASS ? p->known : NULL, p->seen, e);
}

/* Nothing of the shim's (its lock, its sockets) may live on in here when the shim has died. */
static _Noreturn void child_main(Precopy *p, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    p->spec.agent_dir = dup2(p->spec.agent_dir, 3);
    if (getppid() != parent || p->spec.agent_dir < 0)
        _exit(1);
    close_range(4, ~0U, 0);
    (void) setpriority(PRIO_PROCESS, 0, NICE);
    _exit(run(p, p->error) < 0 ? 1 : 0);
}

static void on_exit_of_child(uint32_t events, void *userdata);

static int begin(Precopy *p, Job job, Error *e)
{
    pid_t parent = getpid(), pid;
    int r;

    p->job = job;
    *p->error = (Error){};
    pid = fork();
    if (pid < 0)
        return error_errnof(e, -errno, "copying of the state");
    if (pid == 0)
        child_main(p, parent);
    p->pidfd = pidfd_open_cloexec(pid);
    r = p->pidfd < 0 ? p->pidfd : loop_watch(p->spec.loop, p->pidfd, EPOLLIN, on_exit_of_child, p, &p->source);
    return r < 0 ? error_errnof(e, r, "copying of the state") : 0;
}

static void begin_or_fail(Precopy *p, Job job)
{
    Error e = {};

    if (begin(p, job, &e) < 0)
        p->spec.event(PRECOPY_FAILED, e.text, p->spec.userdata);
}

static int end_child(Precopy *p)
{
    int status = 0, r;

    loop_cancel(&p->source);
    if (p->pidfd < 0)
        return 0;
    r = pidfd_wait(p->pidfd, UINT64_MAX, &status);
    fd_closep(&p->pidfd);
    return r < 0 || status != 0 ? -ECHILD : 0;
}

/* A pass is over. */
static void go_on(Precopy *p)
{
    Job job = p->job;
    MirrorIndex *seen = p->seen;

    p->job = JOB_NONE;
    p->seen = p->known;
    p->known = seen;
    if (job == JOB_LAST_PASS)
        p->spec.event(PRECOPY_DONE, NULL, p->spec.userdata);
    else if (p->finish)
        begin_or_fail(p, JOB_LAST_PASS);
}

static void on_exit_of_child(uint32_t events, void *userdata)
{
    Precopy *p = userdata;
    Error e = {};

    (void) events;
    if (end_child(p) < 0) {
        memcpy(&e, p->error, sizeof(e));
        e.text[sizeof(e.text) - 1] = '\0';
        p->spec.event(PRECOPY_FAILED, e.code < 0 ? e.text : "the copying of the state was killed", p->spec.userdata);
        return;
    }
    if (p->job != JOB_REHEARSAL) {
        go_on(p);
        return;
    }
    p->job = JOB_NONE;
    if (p->passes && begin(p, JOB_FIRST_PASS, &e) < 0)
        p->spec.event(PRECOPY_FAILED, e.text, p->spec.userdata);
    else
        p->spec.event(PRECOPY_REHEARSAL, NULL, p->spec.userdata);
}

static Error *error_shared(void)
{
    void *error = mmap(NULL, sizeof(Error), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return error == MAP_FAILED ? NULL : error;
}

int precopy_start(const PrecopySpec *spec, Precopy **ret, Error *e)
{
    _cleanup_(precopy_freep) Precopy *p = calloc(1, sizeof(*p));
    int r;

    if (!p)
        return error_errnof(e, -ENOMEM, "copying of the state");
    p->spec = *spec;
    p->pidfd = -EBADF;
    p->passes = epoch_wants_precopy(spec->agent_dir, spec->from);
    p->error = error_shared();
    p->known = mirror_index_new();
    p->seen = mirror_index_new();
    if (!p->error || !p->known || !p->seen)
        return error_errnof(e, -ENOMEM, "copying of the state");
    r = spec->rehearsal ? begin(p, JOB_REHEARSAL, e) : p->passes ? begin(p, JOB_FIRST_PASS, e) : 0;
    if (r < 0)
        return r;
    *ret = TAKE_PTR(p);
    return 0;
}

void precopy_finish(Precopy *p)
{
    p->finish = true;
    if (!p->passes)
        p->spec.event(PRECOPY_DONE, NULL, p->spec.userdata);
    else if (p->job == JOB_NONE)
        begin_or_fail(p, JOB_LAST_PASS);
}

const MirrorIndex *precopy_index(const Precopy *p)
{
    return p && p->passes ? p->known : NULL;
}

Precopy *precopy_free(Precopy *p)
{
    if (!p)
        return NULL;
    if (p->pidfd >= 0)
        (void) pidfd_signal(p->pidfd, SIGKILL);
    (void) end_child(p);
    mirror_index_free(p->known);
    mirror_index_free(p->seen);
    if (p->error)
        munmap(p->error, sizeof(*p->error));
    free(p);
    return NULL;
}
