/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_CONFIG_H
#define MOSS_OCI_CONFIG_H

/* config.json of an OCI bundle (runtime-spec 1.3, Linux) as a plain struct.
 *
 * config_load() checks every member that the specification knows: it is taken over, or refused with an error that names it. Members that the
 * specification does not know are ignored, as it demands. Nothing here touches the host: whether a path exists or a limit can be set
 * is found out by those who use it.
 *
 * All strings belong to the document, which the Config owns; vectors end with NULL where their elements are pointers. Numbers that were not
 * given are marked by a has_ member or by the value that the comment names. */

#include <jansson.h>
#include <sys/resource.h>

#include "mount-options.h"
#include "runtime/base/error.h"
#include "runtime/box/userns.h"

typedef enum NamespaceKind {
    NS_USER,
    NS_MOUNT,
    NS_PID,
    NS_NETWORK,
    NS_IPC,
    NS_UTS,
    NS_CGROUP,
    NS_TIME,
    NS_MAX,
} NamespaceKind;

/* Names as the specification writes them, names below /proc/PID/ns, and CLONE_NEW* flags. */
extern const char *const namespace_names[NS_MAX];
extern const char *const namespace_files[NS_MAX];
extern const uint64_t namespace_flags[NS_MAX];

typedef struct ConfigNamespace {
    bool wanted;      /* else that of the caller is kept */
    const char *path; /* join this one; NULL: a new one */
} ConfigNamespace;

typedef struct ConfigMount {
    const char *destination;
    const char *source; /* NULL if there is none */
    const char *type;   /* NULL: bind */
    MountOptions options;
    /* With options.idmap: owners on the file system → owners seen by the host. Empty: those of the user namespace that is joined. */
    IdMap *uid_map, *gid_map;
    size_t n_uid_map, n_gid_map;
} ConfigMount;

typedef struct ConfigDevice {
    const char *path; /* without final slashes; the struct owns it */
    mode_t type;      /* S_IFCHR, S_IFBLK, S_IFIFO */
    dev_t number;
    mode_t mode;
    uid_t uid;
    gid_t gid;
} ConfigDevice;

typedef struct ConfigRlimit {
    int resource;
    const char *name;
    struct rlimit limit;
} ConfigRlimit;

typedef enum HookKind {
    HOOK_PRESTART,
    HOOK_CREATE_RUNTIME,
    HOOK_CREATE_CONTAINER,
    HOOK_START_CONTAINER,
    HOOK_POSTSTART,
    HOOK_POSTSTOP,
    HOOK_MAX,
} HookKind;

extern const char *const hook_names[HOOK_MAX];

typedef struct ConfigHook {
    const char *path;
    const char **args; /* NULL: the path alone */
    const char **env;  /* NULL: not given */
    unsigned timeout;  /* seconds; 0: none */
} ConfigHook;

/* `process`, also read alone for exec. */
typedef struct ConfigProcess {
    bool terminal;
    unsigned short console_height, console_width; /* 0: leave */
    const char *cwd;
    const char **args;
    const char **env;
    uid_t uid;
    gid_t gid;
    bool has_umask;
    mode_t umask;
    gid_t *groups;
    size_t n_groups;
    bool keep_groups;     /* those of the caller stay: CONFIG_KEEP_GROUPS */
    json_t *capabilities; /* for caps.h; NULL: none at all */
    ConfigRlimit *rlimits;
    size_t n_rlimits;
    bool no_new_privileges;
    bool has_oom_score_adj;
    int oom_score_adj;
    const char *apparmor; /* NULL: none asked for */
    const char *selinux;
    bool has_io_priority;
    int io_priority; /* class and level as ioprio_set(2) takes them */
    bool has_scheduler;
    uint32_t sched_policy;
    uint64_t sched_flags, sched_runtime, sched_deadline, sched_period;
    int32_t sched_nice;
    uint32_t sched_priority;
    const char *initial_cpus, *final_cpus; /* execCPUAffinity, valid lists; NULL or "": not given */
} ConfigProcess;

typedef struct ConfigPair {
    const char *key, *value;
} ConfigPair;

/* linux.intelRdt, as config-linux.md has it. */
typedef struct ConfigRdt {
    bool wanted;
    const char *clos;      /* NULL: a group of the container's own */
    const char *l3, *mem;  /* lines of "schemata"; NULL: none */
    const char **schemata; /* NULL: none */
    bool monitoring;
} ConfigRdt;

/* Names as the specification writes them, for `features` too. */
#define MEMORY_POLICY_MODES 7
#define MEMORY_POLICY_FLAGS 3
extern const char *const memory_policy_modes[MEMORY_POLICY_MODES];
extern const char *const memory_policy_flags[MEMORY_POLICY_FLAGS];

typedef struct ConfigMemoryPolicy {
    bool wanted;
    const char *mode_name;
    int mode;          /* MPOL_*, with MPOL_F_* */
    const char *nodes; /* a valid list; NULL: none */
} ConfigMemoryPolicy;

typedef struct ConfigNetDevice {
    const char *name;   /* on the host */
    const char *target; /* in the container; may hold one "%d" */
} ConfigNetDevice;

typedef struct Config {
    char *text; /* NULL if there is only the document */
    json_t *doc;
    const char *version;
    const char *root;
    bool root_readonly;
    uint64_t root_propagation; /* MS_*; MS_SLAVE | MS_REC unless the configuration says otherwise */
    const char *hostname, *domainname;
    bool has_process; /* which only a container that is to be started needs; without, `process` has a cwd alone */
    ConfigProcess process;
    ConfigMount *mounts;
    size_t n_mounts;
    ConfigHook *hooks[HOOK_MAX];
    size_t n_hooks[HOOK_MAX];
    json_t *annotations;
    ConfigNamespace namespaces[NS_MAX];
    IdMap *uid_map, *gid_map;
    size_t n_uid_map, n_gid_map;
    char *time_offsets; /* lines for /proc/PID/timens_offsets; NULL: none */
    ConfigDevice *devices;
    size_t n_devices;
    const char *cgroups_path;
    json_t *resources; /* for resources.h; NULL: none */
    json_t *seccomp;   /* for seccomp.h; NULL: none; empty until config_seccomp() where seccomp_unread */
    bool seccomp_unread;
    const char *seccomp_text; /* the object in `text`; NULL if it was not looked for */
    size_t seccomp_len;
    ConfigPair *sysctls;
    size_t n_sysctls;
    const char **masked_paths, **readonly_paths;
    const char *mount_label;
    bool has_personality;
    unsigned long personality;
    ConfigRdt rdt;
    ConfigMemoryPolicy memory_policy;
    ConfigNetDevice *net_devices;
    size_t n_net_devices;
} Config;

/* An annotation of podman's (--group-add keep-groups), for the container and what is executed in it. */
#define CONFIG_KEEP_GROUPS "run.oci.keep_original_groups"

/* Reads `file` (errors call it config.json) below `dirfd`. linux.seccomp is left unread. */
int config_load(int dirfd, const char *file, Config **ret, Error *e);
/* Reads it. */
int config_seccomp(Config *c, Error *e);
/* The same from an object; takes over the reference. */
int config_parse(json_t *doc, Config **ret, Error *e);
Config *config_free(Config *c);
static inline void config_freep(Config **c)
{
    config_free(*c);
}

/* A `process` object by itself, as `exec --process` gets it. The strings belong to `o`. */
int config_process_parse(const json_t *o, const char *file, ConfigProcess *ret, Error *e);
void config_process_done(ConfigProcess *p);

/* A file with an object of the specification's, whose numbers may be unsigned 64-bit ones; `path` may be a pipe. */
int config_read_object(const char *path, json_t **ret, Error *e);

/* Is this namespace made for the container, so that it may be changed? */
static inline bool config_new(const Config *c, NamespaceKind kind)
{
    return c->namespaces[kind].wanted && !c->namespaces[kind].path;
}

/* Is anything mounted for it? With no mount namespace of its own, this is done in the one that it shares. */
static inline bool config_mounts_anything(const Config *c)
{
    return config_new(c, NS_MOUNT) || c->n_mounts || c->n_devices || c->root_readonly ||
           (c->masked_paths && c->masked_paths[0]) || (c->readonly_paths && c->readonly_paths[0]);
}

/* ---- shared by the files that parse ---- */

/* Rewrites numbers of the text that are beyond 63 bits; the buffer may move. */
int config_narrow_numbers(char **text, size_t *len);
/* Parses text that holds no NUL, with linux.seccomp left unread; takes over the text. */
int config_read_text(char *text, size_t len, Config **ret, Error *e);
/* Finds the text of the object that is linux.seccomp, in text that need not be JSON. */
bool config_find_seccomp(const char *text, const char **ret, size_t *ret_len);
int config_hooks(const json_t *doc, Config *c, Error *e);
int config_mounts(const json_t *doc, Config *c, Error *e);
int config_mounts_check(const Config *c, Error *e);
void config_mounts_done(Config *c);
int config_linux(const json_t *doc, Config *c, Error *e);
int config_host(const json_t *linux_, Config *c, Error *e);
/* The array `key` of an object that is called `at` in errors. */
int config_id_map(const json_t *o, const char *at, const char *key, IdMap **ret, size_t *ret_n, Error *e);

#define CONFIG_FILE "config.json"
#define CONFIG_LIST_MAX                                                                                                \
    65536 /* elements of any list: far beyond what is used, near enough to stop a broken generator */
#define CONFIG_ID_MAX INT64_C(4294967294) /* 2^32 - 1 means "no one" to the kernel */

#endif
