/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BOX_BOX_H
#define MOSS_BOX_BOX_H

/* A box: one program (and all it forks) in namespaces, a cgroup, a root of its own; gone without a trace when it is freed.
 *
 * Calling sequence:
 *
 *     _cleanup_(box_freep) Box *box = NULL;
 *     BoxSpec spec = { .name = "trial-7", .cgroup = evolution_cgroup, .root = {...}, .argv = argv, ... };
 *     r = box_start(&spec, &box, e);          program runs (or -errno: then nothing is left)
 *     poll(box_pidfd(box))                    readable when PID 1 of the box has ended
 *     r = box_wait(box, deadline, &result, e) collects; -ETIMEDOUT leaves it running
 *     box_free(box)                           kills what still runs, waits for its death, removes the cgroup
 *
 * A BoxSpec is a plan: plain data that is checked before anything is done (-EINVAL names the member). It may be freed after box_start().
 *
 * All eight namespaces are new unless the spec says otherwise; as an unprivileged user the user namespace maps one id. The program has no
 * capability (unless keep_caps), no_new_privs, a seccomp filter, no network but loopback, and is born in its cgroup. PID 1 of the box is the program
 * itself; when it ends the kernel kills the rest.
 *
 * Ids: in the box of a privileged caller (root of the initial user namespace) id N is id N on disk, in layers, bind sources and the upper, by idmapped
 * mounts; on the host its processes have ids from a range that no other box has. An unprivileged caller's box has one id, which on disk and on
 * the host is the caller's. `uid` and `gid` are below 65536.
 *
 * Limits: `memory`, `processes` and `cpu_percent` are put to the cgroup where its controller is delegated. Where it is not, BOX_LIMITS_WATCHED asks for
 * the next best thing: RLIMIT_NPROC, which counts in the box's user namespace alone (Linux 5.14); RLIMIT_DATA for each process, at twice
 * `memory`; and box_watch(), which samples the sum; nothing for cpu_percent. BoxResult says which it was. Without that flag a limit that the
 * host cannot give is an error (-EOPNOTSUPP).
 *
 * The caller must be the only thread of its process while it is in box_start(), and fds 0 to 2 must be open. A box dies with the thread that started it. */

#include <sys/types.h>

#include "landlock.h"
#include "runtime/base/error.h"

typedef struct Box Box;

typedef enum BoxMountKind {
    BOX_BIND,  /* source_fd (O_PATH) or source on target */
    BOX_TMPFS, /* empty, of at most `size` bytes */
    BOX_PROC,
    BOX_DEV,       /* tmpfs with null zero full random urandom tty, fd links, shm, pts */
    BOX_DIRECTORY, /* no mount: a directory of the root's upper that belongs to the box's uid and gid; see box_upper_fd() */
} BoxMountKind;

typedef struct BoxMount {
    BoxMountKind kind;
    const char *source; /* BOX_BIND: path on the host, not a symlink, unless source_fd is set */
    int source_fd;      /* BOX_BIND: 0 means "not set" (an fd of 0 is never a mount source) */
    const char *target; /* absolute, in the box, without symlinks; made if missing */
    bool read_only;
    bool no_exec;
    uint64_t size; /* BOX_TMPFS */
    mode_t mode;   /* BOX_TMPFS: of its top; 0: 0755 */
} BoxMount;

/* The root: an overlay over `lowers` (topmost first; O_PATH directory fds), or, with read_only, the lowers alone. */
typedef struct BoxRoot {
    const int *lowers;
    size_t n_lowers;
    bool read_only;
    uint64_t upper_size; /* the upper is a tmpfs of this size that vanishes with the box… */
    int upper_fd;        /* …or, if not 0, a directory that holds (or gets) "upper" and "work" and stays */
} BoxRoot;

typedef enum BoxFlags {
    BOX_HOST_NETWORK = 1 << 0,   /* stay in the caller's network namespace */
    BOX_LIMITS_WATCHED = 1 << 1, /* see above */
    BOX_KEEP_CAPS = 1 << 2,      /* the full set within the box's user namespace: only for MOSS's own helpers */
} BoxFlags;

typedef struct BoxSpec {
    const char *name; /* of its cgroup below `cgroup`; [A-Za-z0-9._-]{1,64} */
    int cgroup_fd; /* directory of the parent cgroup (see cgroup.h), or 0: no cgroup (then the PID namespace alone ends it) */
    BoxFlags flags;
    BoxRoot root;
    const BoxMount *mounts;
    size_t n_mounts;
    const char *const *argv; /* argv[0] is a path in the box */
    const char *const *env;  /* the whole environment; NULL: empty */
    const char *cwd;         /* NULL: "/" */
    const char *hostname;    /* NULL: "box" */
    uid_t uid;               /* in the box */
    gid_t gid;
    int stdin_fd, stdout_fd, stderr_fd; /* 0: /dev/null */
    const Box *join;                    /* share user and network namespace with this running box */
    const char *seccomp;                /* name of a profile (profiles/seccomp/NAME.json), NULL: "box" */
    const LandlockPlan *landlock;       /* NULL: nothing but the above holds the program back */
    uint64_t memory;                    /* bytes, 0: no limit */
    uint64_t processes;                 /* 0: no limit */
    uint64_t cpu_percent;               /* of one core, 0: no limit */
    uint64_t file_size;                 /* RLIMIT_FSIZE, 0: no limit */
} BoxSpec;

typedef enum BoxEnd {
    BOX_EXITED,
    BOX_SIGNALED,
    BOX_OUT_OF_MEMORY, /* the kernel's OOM killer or the watch ended it */
} BoxEnd;

typedef struct BoxResult {
    BoxEnd end;
    int status; /* exit code, or signal number */
    uint64_t cpu_usec;
    uint64_t
        memory_peak; /* bytes; of the cgroup where it has the controller, else the largest process's resident set */
    bool memory_by_cgroup;
    bool processes_by_cgroup;
} BoxResult;

int box_start(const BoxSpec *spec, Box **ret, Error *e);
int box_pidfd(const Box *box);
pid_t box_pid(const Box *box);

/* Samples a BOX_LIMITS_WATCHED box and kills it when it is over its memory limit: to be called every 20 to 50 ms while one waits, by itself or by
 * box_wait(), which does it. Called more often it does nothing. */
int box_watch(Box *box);

/* Waits until PID 1 of the box has ended, at most until `deadline` (CLOCK_BOOTTIME, clock.h), watching as it goes. -ETIMEDOUT: it still runs. */
int box_wait(Box *box, uint64_t deadline, BoxResult *ret, Error *e);

/* Kills everything in the box at once and waits for the proof (PID namespace gone, cgroup unpopulated). box_wait() still gives the result. */
int box_kill(Box *box);

/* What was written to the root of a running or ended box, for collecting what it left behind: an O_PATH fd of the upper directory, which stays valid until
 * box_free(). What lies there is hostile: openat_beneath() and O_NOFOLLOW only. */
int box_upper_fd(Box *box);

Box *box_free(Box *box);
static inline void box_freep(Box **box)
{
    box_free(*box);
}

#endif
