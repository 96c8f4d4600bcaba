/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SHIM_AGENT_H
#define MOSS_SHIM_AGENT_H

/* agent.json: what the operator says about one agent, and where MOSS keeps what belongs to it.
 *
 * The file is the operator's; nothing in it comes from the agent or from a candidate. Every member is checked when it is loaded; a member
 * that MOSS does not know is an error, so that a misspelt limit cannot pass for a default. tests/agents/clerk/agent.json.in is a worked example.
 *
 * Directories (design: "On disk"): <store>/agents/NAME/ holds head.json, epochs/N/, ledger.git, evidence/, batches/, regression/, worktrees/ and the
 * operator's agent.json as `moss agent add` copied it; <run>/NAME/ holds sockets and locks. */

#include <jansson.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "runtime/base/error.h"
#include "runtime/box/landlock.h"

typedef enum ProbeKind { PROBE_NONE, PROBE_HTTP, PROBE_EXEC, PROBE_TCP, PROBE_GRPC } ProbeKind;

/* Names, units and defaults are those of Kubernetes, but for the gate's (see probes.c). */
typedef struct ProbeSpec {
    ProbeKind kind;
    const char *host; /* HTTP, TCP, gRPC: an address; NULL is 127.0.0.1 */
    uint16_t port;
    const char *
        socket; /* HTTP: a UNIX socket of the container in place of host and port; "@name": an abstract one. NULL: none */
    const char *path;    /* HTTP */
    const char *service; /* gRPC: "" is the server as a whole */
    char *send;          /* HTTP: the body of a POST; NULL: it is a GET */
    bool sends_json;
    /* HTTP, what must come back. `status` 0: any from 200 to 399. `body`, `contains`: NULL: any. json_body: an object; each member must be in the
     * answer's JSON body with this value; $MOSS_NONCE and $MOSS_GENERATION stand for those of the incarnation. NULL: any */
    unsigned status;
    const char *body, *contains;
    json_t *json_body;
    const char **argv; /* exec, NULL-terminated */
    unsigned initial_delay_seconds, timeout_seconds, success_threshold, failure_threshold;
    unsigned period_seconds, settled_period_seconds; /* in the gate, and when it is passed */
} ProbeSpec;

#define AGENT_ACCEPTANCE_MAX 16U

/* A request whose answer is known, made once in the gate of a candidate. */
typedef struct AcceptanceSpec {
    const char *name;
    bool required; /* else a failure is only recorded */
    ProbeSpec probe;
} AcceptanceSpec;

typedef struct GateSpec {
    unsigned min_ready_seconds, gate_timeout_seconds, drain_timeout_seconds, swap_budget_seconds, bake_seconds,
        bake_max_restarts;
} GateSpec;

/* What of a swap's budget is for cloning the state. */
#define AGENT_CLONE_SECONDS 15U

/* How an agent is told to end. */
typedef struct DrainSpec {
    ProbeSpec message; /* a POST; PROBE_NONE: there is none. The signal follows when it is not answered */
    int signal;
} DrainSpec;

/* NETWORK_ENGINE: the agent lives in a container that an engine makes, whatever network that has */
typedef enum NetworkMode { NETWORK_NONE, NETWORK_HOST, NETWORK_VETH, NETWORK_ENGINE } NetworkMode;

/* On which state the old generation runs after a roll-back from a candidate that may have served clients. */
typedef enum StatePolicy {
    STATE_AUTO,    /* on the candidate's where the old generation can read it (shim/swap/schema.h), else on its own */
    STATE_KEEP,    /* on the candidate's; on its own if it does not come up there */
    STATE_RESTORE, /* on its own */
    STATE_HALT,    /* nothing is started: the operator decides */
} StatePolicy;

typedef enum SocketMode { SOCKETS_NONE, SOCKETS_TRANSPARENT, SOCKETS_LISTEN_FDS } SocketMode;

/* One of sockets.listen: where we listen for the agent. */
typedef struct ListenSpec {
    const char *name; /* in LISTEN_FDNAMES */
    struct sockaddr_storage sa;
    socklen_t len;
    int type;    /* SOCK_STREAM; UNIX: or SOCK_SEQPACKET */
    mode_t mode; /* of the file of a UNIX socket with a path */
} ListenSpec;

#define LISTEN_MAX 32U

typedef struct EvidenceRule {
    const char *name;
    enum { RULE_ON_USER, RULE_ON_ASSISTANT, RULE_ON_ERROR, RULE_ON_END } on;
    const char *pattern; /* POSIX extended regular expression, user and assistant only */
    unsigned expect;     /* number of the capture group that holds the text the user expected; 0: none */
} EvidenceRule;

typedef struct Agent {
    json_t *json; /* owns all strings below */
    const char *name;
    const char *repository, *branch;
    const char *root_directory;
    const char **build_argv;
    unsigned build_timeout_seconds;
    const char **run_argv;
    const char **run_env; /* "K=V" vector owned by Agent; never NULL */
    const char *run_cwd;
    uid_t run_uid;
    gid_t run_gid;
    const char *state_path;      /* in the container */
    const char *state_directory; /* on the host: what the first epoch starts from; NULL: empty */
    StatePolicy state_policy;
    NetworkMode network;
    /* veth: the container's address with prefix length, e.g. 10.88.0.2/30; its peer is the other end of the /30 */
    const char *network_address;
    const char **network_allow; /* veth: "address:port" that the agent may connect to; NULL: everything */
    SocketMode sockets;
    ListenSpec *listen; /* SOCKETS_LISTEN_FDS */
    size_t n_listen;
    const LandlockPlan *landlock; /* of the agent, its exec probes, and the agent in a trial; NULL: none */
    ProbeSpec startup, readiness, liveness;
    AcceptanceSpec *acceptance;
    size_t n_acceptance;
    bool notify;               /* it says READY=1, as sd_notify(3) does */
    unsigned watchdog_seconds; /* it says WATCHDOG=1 at least this often; 0: it need not */
    GateSpec gate;
    DrainSpec drain;
    /* sessions: JSONL by field map. NULL: this agent is kept, but not evolved; see agent_can_evolve() */
    const char *sessions_directory, *sessions_glob; /* below the state volume */
    const char *field_type, *field_text, *field_user, *field_session;
    const char *field_order; /* NULL: the order of the lines */
    const char *value_user, *value_assistant;
    const char *value_error; /* NULL: errors are not recorded */
    EvidenceRule *rules;
    size_t n_rules;
    unsigned evidence_interval_seconds;     /* how often `moss daemon` reads the sessions; 0: as the daemon is told */
    const char *replay_directory;           /* mounted read-only at /moss/replay in the replayer's box */
    const char **replay_argv, **trace_argv; /* trace_argv NULL: no tracing */
    unsigned replay_turn_timeout_seconds, replay_timeout_seconds;
    uint64_t limit_memory, limit_processes, limit_disk;
    unsigned limit_generations; /* that have served and are kept for a way back, the current one among them */
    const char *coder_adapter;  /* search, command */
    const char **coder_argv;    /* command: what is run; a path in its box, where coder_directory is /coder */
    const char *coder_directory;
    unsigned coder_timeout_seconds;
    const char **protected_globs;   /* fnmatch(3) patterns of paths that no candidate may touch; never NULL */
    const char *allowed_signers;    /* path of an ssh allowed_signers file; NULL: consent at a terminal only */
    bool control;                   /* the agent may speak to its control socket; see agent_control_directory() */
    const char *webhook_url;        /* http or https; NULL: nobody is told */
    const char *webhook_token_file; /* holds the bearer token; NULL: none is sent */
    unsigned webhook_timeout_seconds;
} Agent;

/* Loads and checks a file of at most 1 MiB. Relative paths in it are taken from the file's own directory, and are absolute in agent->json. */
int agent_load(const char *path, Agent **ret, Error *e);
Agent *agent_free(Agent *agent);
DEFINE_TRIVIAL_CLEANUP(Agent *, agent_free)

/* Does it speak to a socket of ours (shim/probe/notify.h)? */
static inline bool agent_notifies(const Agent *agent)
{
    return agent->notify || agent->watchdog_seconds > 0;
}

/* Has it all that an evolution needs: sessions, evidence rules, replay? The error names what is missing. */
int agent_can_evolve(const Agent *agent, Error *e);

/* [a-z0-9][a-z0-9-]{0,31}: becomes directory, socket and cgroup names. */
bool agent_name_valid(const char *name);

/* <store>/agents/NAME as an O_RDONLY directory fd; -ENOENT with a message that says how to add the agent. */
int agent_open_directory(const char *store_path, const char *name, Error *e);

/* Loads <store>/agents/NAME/agent.json. */
int agent_load_named(const char *store_path, const char *name, Agent **ret, Error *e);

/* <run>/NAME, made if missing (0700): sockets and locks. The caller frees. Run directory: $MOSS_RUN, /run/moss as root, $XDG_RUNTIME_DIR/moss
 * (/tmp/moss-UID without one, which must be ours alone). */
int agent_run_directory(const char *name, char **ret, Error *e);

/* <run>/NAME/control, made if missing (0755, in a directory that is ours alone): `moss daemon` listens at control.sock in it (evolve/control/server.h). Where agent.json says
 * "control": true this directory is mounted read-only at /run/moss of the container: the directory, not the socket, which is another one each time that the daemon starts. */
int agent_control_directory(const char *name, char **ret, Error *e);

/* The names of all agents of a store, sorted: a NULL-terminated vector; agent_names_free() frees it. A store without agents is an empty one. */
int agent_names(const char *store_path, char ***ret, Error *e);
char **agent_names_free(char **names);
DEFINE_TRIVIAL_CLEANUP(char **, agent_names_free)

/* How long a drain may take at most, as the agent asks for more time. No less than drainTimeoutSeconds, or agent.json would have been refused. */
static inline uint64_t agent_drain_seconds_max(const Agent *a)
{
    return (uint64_t) a->gate.swap_budget_seconds - AGENT_CLONE_SECONDS - a->gate.gate_timeout_seconds;
}

#endif
