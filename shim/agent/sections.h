/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SHIM_AGENT_SECTIONS_H
#define MOSS_SHIM_AGENT_SECTIONS_H

/* The sections of agent.json, one function each: reads and checks its members into the Agent. agent.c calls them in order. */

#include "agent.h"
#include "runtime/base/json.h"

/* One section: its object (NULL when the file has none), and where we are for messages. */
typedef struct Section {
    const json_t *o;
    JsonAt at;
    const char *base; /* the directory that relative paths are taken from */
} Section;

int agent_parse_source(Agent *a, const Section *s, Error *e);
int agent_parse_root(Agent *a, const Section *s, Error *e);
int agent_parse_build(Agent *a, const Section *s, Error *e);
int agent_parse_run(Agent *a, const Section *s, Error *e);
int agent_parse_state(Agent *a, const Section *s, Error *e);
int agent_parse_network(Agent *a, const Section *s, Error *e);
int agent_parse_limits(Agent *a, const Section *s, Error *e);
int agent_parse_coder(Agent *a, const Section *s, Error *e);
int agent_parse_consent(Agent *a, const Section *s, Error *e);
/* sockets.c */
int agent_parse_sockets(Agent *a, const Section *s, Error *e);
/* webhooks.c */
int agent_parse_webhooks(Agent *a, const Section *s, Error *e);
/* landlock.c */
int agent_parse_landlock(Agent *a, const Section *s, Error *e);
void agent_free_landlock(Agent *a);
/* probes.c */
int agent_parse_probes(Agent *a, const Section *s, Error *e);
void agent_free_probes(Agent *a);
/* gate.c */
int agent_parse_gate(Agent *a, const Section *s, Error *e);
int agent_parse_drain(Agent *a, const Section *s, Error *e);
/* evidence.c */
int agent_parse_sessions(Agent *a, const Section *s, Error *e);
int agent_parse_evidence(Agent *a, const Section *s, Error *e);
int agent_parse_replay(Agent *a, const Section *s, Error *e);

/* ---- helpers ---- */

/* handlers.c: the one handler that `s` names, one of SECTION_HANDLERS and, with `may_post`, httpPost. */
int section_handler(const Section *s, bool may_post, ProbeSpec *p, Error *e);
#define SECTION_HANDLERS "httpGet", "tcpSocket", "exec", "grpc"
/* That handler alone, whose object `s` is. */
int section_http_post(const Section *s, ProbeSpec *p, Error *e);

int section_error(const Section *s, const char *key, Error *e, const char *fmt, ...) _printf_(4, 5);

/* A number of seconds from 0 or 1 to a day. */
int section_seconds(const Section *s, const char *key, unsigned min, unsigned *ret, Error *e);

/* A command line: at least one word, the first an absolute path. */
int section_command(const Section *s, const char *key, bool needed, const char ***ret, Error *e);

/* A path on the host; made absolute within the JSON. */
int section_host_path(const Section *s, const char *key, bool needed, const char **ret, Error *e);

/* Absolute, no "." or ".." or empty components, not "/" itself. */
bool path_is_clean_absolute(const char *path);
/* The same, relative. */
bool path_is_clean_relative(const char *path);

#endif
