/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_CONTAINER_H
#define MOSS_OCI_CONTAINER_H

/* The life of a container, a function for each command of the runtime. All take the lock of the container while they change it. */

#include "process.h"
#include "resources.h"
#include "state.h"

typedef struct Runtime {
    int root;         /* directory of all containers' state */
    const char *self; /* how this program was called: its siblings are beside it, see program.h */
    const char *
        notify_socket; /* of the service manager that waits for a container to be ready, see notify.h; NULL or "": none */
} Runtime;

/* Is told of what is left out of a configuration, a sentence each. */
typedef struct Warner {
    void (*say)(void *userdata, const char *text); /* NULL: nobody is */
    void *userdata;
} Warner;

/* What whoever has a process made gives to it and wants to have of it, be it a container's first one or one of exec. */
typedef struct Caller {
    const char *pid_file;       /* NULL: none */
    const char *console_socket; /* NULL: none */
    const char *pidfd_socket;   /* NULL: none */
    unsigned preserve_fds;
    bool detach; /* does not wait for its end */
    Warner warner;
} Caller;

typedef struct CreateOptions {
    Caller caller;
    const char *bundle;  /* NULL: the current directory */
    Config *config;      /* taken over; NULL: config.json of the bundle */
    unsigned listen_fds; /* the first of the preserved, to be told of in the environment */
    bool keep_keyring;   /* --no-new-keyring */
    bool no_pivot;       /* see mounts_cover_root() */
    bool systemd;        /* the cgroup is made by systemd */
    bool no_cgroup;      /* it stays in the caller's cgroup */
    bool keep;           /* run: leave the state of the ended container */
} CreateOptions;

/* Up to "created"; a configuration without `process` will do, which the start then refuses. On failure nothing is left. */
int container_create(const Runtime *rt, const char *id, const CreateOptions *o, Error *e);

/* Create, start and, unless the caller detaches, wait and delete. Returns the program's exit code (0 when detached). */
int container_run(const Runtime *rt, const char *id, const CreateOptions *o, Error *e);

/* The same from files of `checkpoint`; the options' paths must be absolute. */
struct CriuOptions;
int container_restore(const Runtime *rt, const char *id, const CreateOptions *o, const struct CriuOptions *criu,
                      Error *e);

int container_start(const Runtime *rt, const char *id, Error *e);

/* `all`: every process of it. "container not running" if there is none. */
int container_kill(const Runtime *rt, const char *id, int sig, bool all, Error *e);

int container_delete(const Runtime *rt, const char *id, bool force, Error *e);

/* The whole of it, for commands that look only or freeze. */
typedef struct Container {
    int dir;
    State state;
    Status status;
    ContainerCgroup group;
} Container;
int container_open(const Runtime *rt, const char *id, bool lock, Container *ret, Error *e);
void container_done(Container *c);

/* pids of all its processes, of the caller's PID namespace; the caller frees. */
int container_pids(const Container *c, pid_t **ret, size_t *ret_n, Error *e);

int container_freeze(const Runtime *rt, const char *id, bool freeze, Error *e);

typedef struct ExecOptions {
    Caller caller;
    ConfigProcess *process;
    const char *cgroup; /* below the container's own; NULL: that itself */
    bool ignore_paused;
    /* container_exec_watched(): the process is all but its program, and waits. A negative answer ends it. NULL: nobody is told. */
    int (*born)(void *userdata, const Executed *child, Error *e);
    /* In the process, when all is done but the system call filter and execve; NULL: nothing. `sync`: see sync.h. */
    int (*before_filter)(void *userdata, int sync, Error *e);
    void *userdata; /* of both */
} ExecOptions;

/* The options' process is that of config.json until the caller changes it, which needs the configuration: this reads it from the container's state. */
int container_config(const Container *c, Config **ret, Error *e);
/* Returns the program's exit code (0 when detached). */
int container_exec(const Container *c, Config *config, const ExecOptions *o, Error *e);

/* The process runs, as a child of the caller or, with options.born, of the container's first process. The fds are the caller's. */
int container_exec_watched(const Container *c, Config *config, const ExecOptions *o, Executed *ret, Error *e);

/* ---- shared by the files of this folder ---- */

/* To be called before anything else is opened: takes those of the `*preserve_fds` fds from 3 on that are open, and closes all others that were inherited,
 * so that no process of ours has them when a container can see it. *preserve_fds becomes what there is; a gap in it is filled with what execve(2)
 * closes, as nothing of ours may take such a number. */
int container_take_fds(unsigned *preserve_fds, Error *e);
int container_write_pid_file(const char *path, pid_t pid, Error *e);
int container_oom_score(pid_t pid, const ConfigProcess *p, Error *e);
/* Raises hard limits as far as the process wants: from inside of its user namespace, where the others are set, that cannot be done. Whether they suffice
 * is for the process to find out. To be called while its ids are those of the caller. */
void container_raise_limits(pid_t pid, const Config *c, const ConfigProcess *p);
/* Warns of capabilities that the process will not have. */
void container_check_caps(const Config *c, const ConfigProcess *p, const Warner *w);

#endif
