/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence.h"

#include <sys/stat.h>

#include "chunk.h"
#include "cursor.h"
#include "lines.h"
#include "lock.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "shim/client/client.h"

typedef struct Counts {
    uint64_t read, bytes, lines, chunks, new_chunks, malformed, too_long, cut_off, truncated, too_large;
} Counts;

/* One session file in a run. */
typedef struct Look {
    Cursor before, after;
    bool triggered; /* something in it may be a hit */
    bool ended;     /* its sessions count as ended since this run */
} Look;

typedef struct Scan {
    const Agent *agent;
    Rules *rules;
    EvidenceLock lock;
    int sessions;
    SessionFiles files;
    Look *looks; /* by file */
    Counts counts;
} Scan;

static void scan_done(Scan *s)
{
    rules_free(s->rules);
    evidence_unlock(&s->lock);
    fd_closep(&s->sessions);
    session_files_done(&s->files);
    free(s->looks);
}

static int list_sessions(Scan *s, int dir, int64_t epoch, Error *e)
{
    Error missing = {};

    s->sessions = sessions_open(s->agent, dir, epoch, &missing);
    if (s->sessions >= 0)
        return sessions_list(s->agent, s->sessions, &s->files, e);
    if (s->sessions != -ENOENT)
        return error_setf(e, s->sessions, "%s", missing.text);
    s->files.skipped = json_array(); /* the agent has not written one yet */
    return s->files.skipped ? 0 : error_setf(e, -ENOMEM, "out of memory");
}

static int scan_open(const char *store_path, const Agent *agent, Scan *s, Error *e)
{
    _cleanup_close_ int dir = agent_open_directory(store_path, agent->name, e);
    _cleanup_free_ char *generation = NULL;
    int64_t epoch;
    int r = dir < 0 ? dir : evidence_lock(dir, &s->lock, e);

    s->agent = agent;
    if (r >= 0)
        r = shim_head(store_path, agent->name, &generation, &epoch, e);
    if (r >= 0)
        r = rules_compile(agent, &s->rules, e);
    if (r >= 0)
        r = list_sessions(s, dir, epoch, e);
    if (r < 0)
        return r;
    s->looks = calloc(s->files.n + 1, sizeof(*s->looks));
    return s->looks ? 0 : error_setf(e, -ENOMEM, "out of memory");
}

/* ---- what is new in a file ---- */

typedef struct LineWatch {
    Scan *scan;
    Look *look;
} LineWatch;

static int watch_line(const char *line, size_t len, uint64_t offset _unused_, void *userdata)
{
    LineWatch *w = userdata;
    bool *open = &w->look->after.open;
    Event event;

    if (event_parse(w->scan->agent, line, len, &event) < 0) {
        w->scan->counts.malformed++;
        return 0;
    }
    w->look->triggered |= rules_match_event(w->scan->rules, &event);
    if (event.type == EVENT_USER) {
        w->look->triggered |= *open; /* the one before was never answered */
        *open = true;
    } else if (event.type == EVENT_ERROR || (event.type == EVENT_ASSISTANT && event.text)) {
        *open = false;
    }
    event_done(&event);
    return 0;
}

/* Is what was read of this file still what is in it? */
static int check_cursor(Scan *s, int fd, uint64_t size, Cursor *c)
{
    char anchor[DIGEST_SIZE];
    int r;

    if (c->offset == 0 && c->size == 0)
        return 0;
    r = size < c->offset ? 1 : cursor_anchor(fd, c->offset, anchor);
    if (r < 0)
        return r;
    if (r > 0 || !streq(anchor, c->anchor)) {
        s->counts.truncated++;
        *c = (Cursor){};
    }
    return 0;
}

static int read_new(Scan *s, int fd, uint64_t size, Look *look)
{
    LineWatch watch = {s, look};
    LinesEnd end;
    int r;

    look->after = look->before;
    r = lines_read(fd, look->before.offset, size, look->before.skipping, watch_line, &watch, &end);
    if (r < 0)
        return r;
    s->counts.read++;
    s->counts.bytes += end.offset - look->before.offset;
    s->counts.lines += end.lines;
    s->counts.too_long += end.too_long;
    s->counts.cut_off += end.cut_off;
    look->after.offset = end.offset;
    look->after.skipping = end.skipping;
    look->after.size = size;
    look->after.ended = false;
    return cursor_anchor(fd, end.offset, look->after.anchor);
}

static int look_at(Scan *s, const json_t *cursors, size_t i, Error *e)
{
    SessionFile *f = &s->files.files[i];
    _cleanup_close_ int fd = session_file_open(s->sessions, f->name);
    Look *look = &s->looks[i];
    struct stat st;
    int r;

    r = cursor_get(cursors, f->name, &look->before, e);
    if (r < 0)
        return r;
    look->after = look->before;
    if (fd < 0 || fstat(fd, &st) < 0) {
        json_array_append_new(s->files.skipped,
                              json_pack("{ss ss}", "file", f->name, "why", strerror(fd < 0 ? -fd : errno)));
        return 0;
    }
    f->size = (uint64_t) st.st_size;
    r = check_cursor(s, fd, f->size, &look->before);
    if (r >= 0 && f->size == look->before.size) {
        /* It did not grow since the last run: who speaks in it has stopped. */
        look->ended = look->before.open && !look->before.ended;
        look->triggered = look->ended;
        look->after.ended = true;
    } else if (r >= 0) {
        r = read_new(s, fd, f->size, look);
    }
    f->must_load = look->triggered;
    return r < 0 ? error_errnof(e, r, "session file %s", f->name) : 0;
}

/* ---- chunks ---- */

static int keep_hit(Scan *s, const Corpus *corpus, const Hit *hit, Error *e)
{
    _cleanup_json_ json_t *chunk = NULL;
    const Look *look = &s->looks[hit->file];
    int r;

    if (!look->triggered || hit->offset < look->before.offset)
        return 0;
    r = chunk_of_hit(corpus, hit, &chunk, e);
    if (r == -EFBIG) {
        s->counts.too_large++;
        return 0;
    }
    if (r >= 0)
        r = chunk_write(s->lock.dir, chunk, e);
    if (r < 0)
        return r;
    s->counts.chunks++;
    s->counts.new_chunks += r > 0;
    return 0;
}

static int keep_hits(Scan *s, Error *e)
{
    _cleanup_(corpus_done) Corpus corpus = {};
    _cleanup_(hits_done) Hits hits = {};
    _cleanup_free_ bool *ended = calloc(s->files.n + 1, sizeof(bool));
    int r;

    if (!ended)
        return error_setf(e, -ENOMEM, "out of memory");
    for (size_t i = 0; i < s->files.n; i++)
        ended[i] = s->looks[i].ended;
    r = corpus_load(s->agent, s->sessions, &s->files, &corpus, e);
    if (r >= 0)
        r = detect(s->rules, &corpus, ended, &hits, e);
    for (size_t i = 0; r >= 0 && i < hits.n; i++)
        r = keep_hit(s, &corpus, &hits.hits[i], e);
    return r;
}

/* ---- the run ---- */

static json_t *report(const Scan *s)
{
    const Counts *c = &s->counts;

    return json_pack("{sI sI sI sI sI sI sI sI sI sI sI sO}", "files", (json_int_t) s->files.n, "read",
                     (json_int_t) c->read, "bytes", (json_int_t) c->bytes, "lines", (json_int_t) c->lines, "chunks",
                     (json_int_t) c->chunks, "new_chunks", (json_int_t) c->new_chunks, "malformed",
                     (json_int_t) c->malformed, "too_long", (json_int_t) c->too_long, "cut_off",
                     (json_int_t) c->cut_off, "truncated", (json_int_t) c->truncated, "too_large",
                     (json_int_t) c->too_large, "skipped", s->files.skipped);
}

/* Files that are gone take their cursors with them. */
static int save_cursors(const Scan *s, Error *e)
{
    _cleanup_json_ json_t *cursors = json_object();
    int r = cursors ? 0 : -ENOMEM;

    for (size_t i = 0; r >= 0 && i < s->files.n; i++)
        if (s->looks[i].after.anchor[0]) /* else it was never read */
            r = cursor_set(cursors, s->files.files[i].name, &s->looks[i].after);
    return r < 0 ? error_setf(e, r, "out of memory") : cursors_save(s->lock.dir, cursors, e);
}

int evidence_catch_up(const char *store_path, const Agent *agent, json_t **ret_report, Error *e)
{
    _cleanup_(scan_done) Scan s = {.lock = EVIDENCE_LOCK_NONE, .sessions = -EBADF};
    _cleanup_json_ json_t *cursors = NULL;
    bool triggered = false;
    int r = scan_open(store_path, agent, &s, e);

    if (r >= 0)
        r = cursors_load(s.lock.dir, &cursors, e);
    for (size_t i = 0; r >= 0 && i < s.files.n; i++) {
        r = look_at(&s, cursors, i, e);
        triggered |= s.looks[i].triggered;
    }
    if (r >= 0 && triggered)
        r = keep_hits(&s, e);
    if (r >= 0) /* only now: every chunk of what was read is on disk */
        r = save_cursors(&s, e);
    if (r < 0)
        return r;
    *ret_report = report(&s);
    return *ret_report ? 0 : error_setf(e, -ENOMEM, "out of memory");
}

/* ---- flag ---- */

static int find_turn(const Corpus *c, const FlagSpec *spec, const bool *complaints, size_t *ret, Error *e)
{
    const char *session = spec->session ? spec->session : c->n > 0 ? c->turns[c->n - 1].session : "";
    size_t last = SIZE_MAX, n = 0;

    for (size_t t = 0; t < c->n; t++) {
        if (!streq(c->turns[t].session, session))
            continue;
        n++;
        if (spec->turn == 0 ? !complaints[t] : n == spec->turn)
            last = t;
    }
    if (n == 0)
        return error_setf(e, -ENOENT, "there is no session \"%.100s\"", session);
    if (last == SIZE_MAX)
        return error_setf(e, -ENOENT, "session \"%.100s\" has no message %u", session, spec->turn);
    if (spec->user && !streq(spec->user, c->turns[last].user))
        return error_setf(e, -ENOENT, "session \"%.100s\" is not one of user \"%.100s\"", session, spec->user);
    *ret = last;
    return 0;
}

static json_t *flag_grader(const FlagSpec *spec, const Turn *turn, size_t t)
{
    if (spec->expect)
        return json_pack("[{ss sI ss}]", "kind", "expect", "turn", (json_int_t) t, "contains", spec->expect);
    if (turn->reply)
        return json_pack("[{ss sI ss}]", "kind", "other_reply", "turn", (json_int_t) t, "reply", turn->reply);
    return json_pack("[{ss sI}]", "kind", "not_error", "turn", (json_int_t) t);
}

static int flag_turn(const Scan *s, const Corpus *corpus, const FlagSpec *spec, size_t turn, char **ret, Error *e)
{
    _cleanup_json_ json_t *chunk = NULL, *graders = flag_grader(spec, &corpus->turns[turn], turn);
    ChunkSpec c = {.rule = "flag", .turn = turn, .words = spec->words, .graders = graders};
    int r;

    if (!graders)
        return error_setf(e, -EINVAL, "the expected text is not UTF-8");
    r = chunk_make(corpus, &c, &chunk, e);
    if (r >= 0)
        r = chunk_write(s->lock.dir, chunk, e);
    if (r < 0)
        return r;
    if (r == 0)
        return error_setf(e, -EEXIST, "session \"%.100s\" was flagged like this before", corpus->turns[turn].session);
    *ret = strdup(json_string_value(json_object_get(chunk, "id")));
    return *ret ? 0 : error_setf(e, -ENOMEM, "out of memory");
}

int evidence_flag(const char *store_path, const Agent *agent, const FlagSpec *spec, char **ret_chunk, Error *e)
{
    _cleanup_(scan_done) Scan s = {.lock = EVIDENCE_LOCK_NONE, .sessions = -EBADF};
    _cleanup_(corpus_done) Corpus corpus = {};
    _cleanup_(hits_done) Hits hits = {};
    size_t turn = 0;
    int r = scan_open(store_path, agent, &s, e);

    for (size_t i = 0; r >= 0 && spec->session && i < s.files.n; i++)
        s.files.files[i].must_load = startswith(s.files.files[i].name, spec->session) != NULL;
    if (r >= 0)
        r = corpus_load(agent, s.sessions, &s.files, &corpus, e);
    if (r >= 0)
        r = detect(s.rules, &corpus, NULL, &hits, e);
    if (r >= 0)
        r = find_turn(&corpus, spec, hits.complaints, &turn, e);
    return r < 0 ? r : flag_turn(&s, &corpus, spec, turn, ret_chunk, e);
}
