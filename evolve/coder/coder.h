/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_CODER_CODER_H
#define MOSS_CODER_CODER_H

/* Coding agents: one process a role, in a box of its own, asked once, believed nothing.
 *
 * The box: worktree at /work (writable for ROLE_IMPLEMENT only), evidence read-only at /evidence, /out writable (memory of at most CODER_OUT_MAX bytes), no network, limits of
 * time, memory and processes; whatever it started dies with it. The request is one JSON object on standard input:
 *
 *     {"version":1,"role":"plan","iteration":1,"round":1,"worktree":"/work","evidence":"/evidence","out":"/out","limits":{"candidates":4000,"seconds":900}}
 *
 * The answer is what it prints: lines, at most CODER_OUTPUT_MAX bytes. A JSON object with "event" is progress, the last line is the result:
 *
 *     locate       {"status":"ok","places":[{"file":"a/b.py","line":12,…}],"summary":"…"}
 *     plan         {"status":"ok","summary":"…","root_cause":"…","files":["a/b.py"],"tasks":{"t-…":"how it is covered"}}
 *     plan-review  {"status":"ok","decision":"APPROVE"|"REJECT_ARCHITECTURAL"|"REJECT_COMPLETENESS","why":"…"}
 *     implement    {"status":"ok","summary":"…"} with a changed worktree, or with candidates in /out/candidates.jsonl, the best first, one a line:
 *                  {"id":"c-00001","why":"…","edits":[{"path":"a/b.py","start":42,"end":44,"lines":["…"]}]}
 *     code-review  {"status":"ok","decision":"APPROVE"|"REJECT_IMPL","why":"…"}
 *     any          {"status":"failed","why":"…"}
 *
 * Adapters (adapter.h) say which program that is and what its root holds. */

#include <jansson.h>
#include <signal.h>

#include "runtime/base/error.h"
#include "shim/agent/agent.h"

#define CODER_OUTPUT_MAX ((size_t) 1 << 20)
#define CODER_OUT_MAX ((uint64_t) 256 << 20)
#define CODER_CANDIDATE_LINE_MAX ((size_t) 64 << 10)
#define CODER_CANDIDATES_MAX 20000

typedef enum CoderRole { ROLE_LOCATE, ROLE_PLAN, ROLE_PLAN_REVIEW, ROLE_IMPLEMENT, ROLE_CODE_REVIEW } CoderRole;
const char *coder_role_name(CoderRole role);

typedef struct CoderSpec {
    const Agent *agent;
    const char *adapter; /* its name */
    int base_layer;      /* O_PATH: the agent's base root filesystem */
    int scratch;         /* a directory of ours, in which the frame of the box is made */
    int worktree, evidence;
    int cgroup; /* 0: none */
    CoderRole role;
    unsigned iteration, round;
    unsigned max_candidates;
    unsigned seconds;
    const volatile sig_atomic_t *stop; /* looked at all the time: -ECANCELED */
    void (*event)(const json_t *event, void *userdata);
    void *userdata;
} CoderSpec;

typedef struct CoderAnswer {
    bool ok;
    char why[400];      /* one sentence, when not ok */
    json_t *result;     /* checked for the role; NULL when not ok */
    json_t *candidates; /* implement: checked for shape, not for content; NULL when there was no such file */
    char *log;          /* the last of what it printed on standard error */
    uint64_t wall_usec, cpu_usec;
} CoderAnswer;

/* 0: it was asked; look at ret->ok. -ECANCELED: stopped. Another -errno: the host failed, or the adapter is not usable here. */
int coder_run(const CoderSpec *spec, CoderAnswer *ret, Error *e);
void coder_answer_done(CoderAnswer *a);

/* Is the adapter known and usable for this agent? */
int coder_preflight(const char *adapter, const Agent *agent, Error *e);

/* The two checks by themselves (answer.c). Output of a coding agent → result object; candidates.jsonl → array. -EBADMSG with the reason. */
int coder_parse_result(CoderRole role, const char *output, size_t len, json_t **ret, Error *e);
int coder_parse_candidates(const char *text, size_t len, unsigned max, json_t **ret, Error *e);

#endif
