/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_STATE_H
#define MOSS_OCI_STATE_H

/* What is kept of a container between commands: a directory <root>/<id> with
 *
 *     state.json     {"version":1,"id":…,"pid":…,"startTime":…,"bundle":…,"rootfs":…,"cgroup":…,"unit":…,"created":…,"owner":…,"rootMount":…}
 *     config.json    a copy of the bundle's, as it was when the container was created
 *     start          the socket that the created process waits at; gone once it was started
 *     unit           a link whose text is the name of systemd's scope, where there is to be one
 *
 * The directory itself is locked (flock) by a command that changes the container; readers need no lock, as state.json is replaced as a whole. A process
 * is known by its pid *and* its start time, which no reused pid has; whoever acts on it opens a pidfd first and compares then. */

#include <jansson.h>
#include <sys/types.h>

#include "runtime/base/error.h"

typedef enum Status {
    STATUS_CREATING,
    STATUS_CREATED,
    STATUS_RUNNING,
    STATUS_PAUSED,
    STATUS_STOPPED,
} Status;

extern const char *const status_names[];

typedef struct State {
    json_t *doc; /* owns the strings once loaded */
    const char *id;
    const char *bundle;
    const char *rootfs;
    const char *cgroup; /* below the top of the hierarchy; NULL: in none of its own */
    const char *unit;   /* of systemd, that the cgroup belongs to; NULL: none */
    const char *created;
    const char *version; /* of the specification */
    json_t *annotations;
    pid_t pid; /* 0: not there yet */
    uint64_t start_time;
    uint64_t root_mount; /* id of a mount in the runtime's own mount namespace that goes with the container; 0: none */
    uid_t owner;
} State;

/* Letters, digits, "_", "+", "-", "."; at most 255; neither "." nor "..". */
int container_id_check(const char *id, Error *e);

/* The directory of all containers, made (0700) with its parents where it is missing. Returns an fd. */
int state_root_open(const char *path, Error *e);

/* The directory of a new container, locked. -EEXIST if the id is taken. */
int state_create(int root, const char *id, Error *e);
/* That of one that is there, locked or not. -ENOENT: "container does not exist". */
int state_open(int root, const char *id, bool lock, Error *e);
int state_remove(int root, const char *id, Error *e);

int state_save(int dir, const State *s, Error *e);
int state_load(int dir, State *ret, Error *e);
void state_done(State *s);

/* A pidfd of the container's first process if it is still the one that was recorded and no zombie, else -ESRCH. */
int state_pidfd(const State *s);
Status state_status(int dir, const State *s);

/* For a container without a mount namespace of its own: the id of the mount that lies where its root is (0: none), and the end of that mount with all below it,
 * if it is still the one that was recorded. */
uint64_t state_mount(const State *s);
void state_release_root(const State *s);

/* The state as hooks and `state` get it. The caller releases. */
json_t *state_public(const State *s, const char *status);

/* Field 22 of /proc/PID/stat: when it was started, in clock ticks since boot; `ret_zombie` may be NULL. */
int process_start_time(pid_t pid, uint64_t *ret, bool *ret_zombie);

#endif
