/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BOX_INTERNAL_H
#define MOSS_BOX_INTERNAL_H

/* What the files of the box share. The parent prepares all it can before the clone; the child allocates nothing and, when something fails, sends
 * one Error through the channel and exits.
 *
 * Two ways to the same box, chosen by whether we are root of the initial user namespace:
 *   privileged  the parent maps a range of 65536 ids that no other box has, and clones the mounts of layers, upper and bind sources,
 *               idmapped by the box's user namespace, so that id N in the box is id N on disk, and no process of the box has an id of the host.
 *   otherwise   the child maps its one id itself and makes the mounts in its own namespaces. */

#include "box.h"
#include "seccomp.h"

#define BOX_MOUNTS_MAX 32
#define BOX_LOWERS_MAX 128
#define BOX_GIVEN_MAX (BOX_LOWERS_MAX + 2 + BOX_MOUNTS_MAX)
#define BOX_IDS 65536U
#define BOX_WATCH_INTERVAL 20000U /* microseconds */
#define BOX_UPPER_MIN (1U << 20)  /* of a read-only root: for mount points that are missing */

struct Box {
    char name[65];
    pid_t pid;
    int pidfd;
    int userns;        /* privileged, to map ids for this box and those that join it */
    uint32_t base;     /* privileged: the host's id of the box's root */
    int cgroup_parent; /* -EBADF: no cgroup */
    int cgroup;
    int upper;
    bool upper_shifted; /* owners in the upper are the host's ids still: see root.c */
    bool unattached;    /* the child makes its overlay of the mounts it gets before it attaches any */
    bool watched;
    bool over_limit; /* the watch killed it */
    bool ended;
    uint64_t memory;
    uint64_t peak;
    uint64_t next_watch;
    BoxResult result; /* once it ended */
};

/* For the child; all fds close-on-exec. */
typedef struct BoxPlan {
    const BoxSpec *spec;
    bool privileged;
    size_t n_given;  /* mounts that the parent sends */
    bool unattached; /* how; known to the child when it has them */
    int channel;
    int far_channel; /* the parent's end: the child closes its copy, or it would never see the parent's death */
    int null_fd;
    uid_t outer_uid; /* what the one id of an unprivileged box is outside */
    gid_t outer_gid;
    uint64_t max_processes, max_data; /* of the process, where the cgroup has no such limit; 0: none */
    SeccompFilter filter;
} BoxPlan;

/* parent → child: one packet a mount, with its fd and the byte Box.unattached: each layer, the directory for the upper twice, then in the spec's order each BOX_BIND and BOX_DEV. child → parent: one of
 * these; the end of the channel without BOX_SAYS_ERROR means that the program runs. */
typedef struct BoxSays {
    enum { BOX_SAYS_ERROR, BOX_SAYS_UPPER, BOX_SAYS_BORN } what;
    pid_t pid; /* BOX_SAYS_BORN, with `pidfd` in the shared table of fds */
    int pidfd;
    Error error;
} BoxSays;

/* child.c: what the child does. */
_Noreturn void box_child(const BoxPlan *plan);

/* root.c: the mounts that the parent sends, made for the user namespace `box->userns`; fills `fds` (room for BOX_GIVEN_MAX, all -EBADF) and
 * box->upper. */
int box_make_mounts(const BoxSpec *spec, Box *box, int *fds, Error *e);
size_t box_count_mounts(const BoxSpec *spec);
/* Gives what lies in the upper of a box whose ids could not be mapped the ids that the box saw. */
int box_shift_upper(Box *box);

/* limits.c */
int box_limits_to_cgroup(const BoxSpec *spec, Box *box, BoxPlan *plan, Error *e);
int box_limits_to_process(const BoxPlan *plan, Error *e);

#endif
