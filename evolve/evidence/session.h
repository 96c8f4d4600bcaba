/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_EVIDENCE_SESSION_H
#define MOSS_EVIDENCE_SESSION_H

/* What was said: session files, line by line, put together into turns.
 *
 * One line is one event, understood by the field map of agent.json ("sessions"): a path of member names parted by dots ("message.content") for type,
 * text, user, session and order; the text may be a string or an array of parts with a "text". A turn is a user's message with its answer: the last text that
 * the agent said before the same session's next message, or an error.
 *
 * All session files of an epoch together are a Corpus: turns in the order in which they were said (the order field, then file and line). */

#include <sys/types.h>

#include "runtime/base/error.h"
#include "shim/agent/agent.h"

typedef enum EventType { EVENT_OTHER, EVENT_USER, EVENT_ASSISTANT, EVENT_ERROR } EventType;

typedef struct EventOrder {
    bool set;
    int64_t number;
    char *text; /* time stamps and the like; NULL: the number counts */
} EventOrder;

typedef struct Event {
    EventType type;
    char *text; /* NULL: none or empty */
    char *user, *session;
    EventOrder order;
    size_t file;
    uint64_t offset;
} Event;

/* -EBADMSG: no JSON, or no object. What is no event that we know is EVENT_OTHER. */
int event_parse(const Agent *agent, const char *line, size_t len, Event *ret);
void event_done(Event *event);

typedef struct Turn {
    const char *text, *user, *session; /* belong to the corpus */
    const char *reply;                 /* NULL: none */
    const char *error;                 /* NULL: no error; else its text, perhaps "" */
    size_t file;
    uint64_t offset, reply_offset, error_offset; /* of the lines */
    size_t previous;                             /* turn of the same session, SIZE_MAX: it is the first */
    size_t next;                                 /* …, SIZE_MAX: it is the last */
} Turn;

typedef struct SessionFile {
    char *name;
    uint64_t size, mtime; /* mtime in nanoseconds, only to read the newest files first */
    bool must_load;       /* set by the caller: before all others */
} SessionFile;

typedef struct SessionFiles {
    SessionFile *files;
    size_t n;
    json_t *skipped; /* [{"file","why"}]: what is no regular file */
} SessionFiles;

typedef struct Corpus {
    Event *events; /* own the strings */
    size_t n_events, size_events;
    Turn *turns;
    size_t n;
} Corpus;

/* The session directory of an epoch: an O_RDONLY fd. -ENOENT: the agent has none yet. Never follows a symlink. */
int sessions_open(const Agent *agent, int agent_dir, int64_t epoch, Error *e);

/* Lists what matches the glob, by name; at most 100000 files. */
int sessions_list(const Agent *agent, int sessions_dir, SessionFiles *ret, Error *e);
void session_files_done(SessionFiles *files);

/* Opens one of them; -ELOOP, -EINVAL: it is no regular file (any more). Returns an fd. */
int session_file_open(int sessions_dir, const char *name);

/* Loads the files: those that must be, then the newest, up to 64 MiB in all and the last 16 MiB of each. */
int corpus_load(const Agent *agent, int sessions_dir, SessionFiles *files, Corpus *ret, Error *e);
void corpus_done(Corpus *corpus);

#endif
