/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <fnmatch.h>
#include <sys/stat.h>

#include "lines.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"

#define FILES_MAX 100000
#define CORPUS_BYTES_MAX ((uint64_t) 64 << 20)
#define FILE_BYTES_MAX ((uint64_t) 16 << 20)

int sessions_open(const Agent *agent, int agent_dir, int64_t epoch, Error *e)
{
    _cleanup_close_ int volume = -EBADF;
    char path[40];
    int fd;

    if (!agent->sessions_directory)
        return error_setf(e, -EINVAL, "agent.json of %s has no \"sessions\": there is nothing to gather evidence from",
                          agent->name);
    snprintf(path, sizeof(path), "epochs/%lld", (long long) epoch);
    volume = openat(agent_dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (volume < 0)
        return error_errnof(e, -errno, "state volume %s of %s", path, agent->name);
    fd = openat_beneath(volume, agent->sessions_directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    return fd < 0 ? error_errnof(e, fd, "sessions of %s: %s/%s", agent->name, path, agent->sessions_directory) : fd;
}

int session_file_open(int sessions_dir, const char *name)
{
    _cleanup_close_ int fd = openat(sessions_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    return S_ISREG(st.st_mode) ? TAKE_FD(fd) : -EINVAL;
}

/* ---- listing ---- */

static int skip(SessionFiles *list, const char *name, const char *why)
{
    json_t *o = json_pack("{ss? ss}", "file", name, "why", why);

    if (!o) /* the name is no UTF-8 */
        o = json_pack("{sn ss}", "file", "why", why);
    return json_array_append_new(list->skipped, o) < 0 ? -ENOMEM : 0;
}

static int list_one(SessionFiles *list, size_t *size, int dir, const char *name)
{
    _cleanup_json_ json_t *utf8 = json_string(name);
    struct stat st;
    SessionFile *f;

    if (!utf8)
        return skip(list, name, "its name is not UTF-8");
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno; /* removed since */
    if (!S_ISREG(st.st_mode))
        return skip(list, name, "is no regular file");
    if (list->n == FILES_MAX)
        return skip(list, name, "too many files");
    if (list->n == *size) {
        size_t more = MAX(*size * 2, (size_t) 64);

        f = reallocarray(list->files, more, sizeof(*f));
        if (!f)
            return -ENOMEM;
        list->files = f;
        *size = more;
    }
    f = &list->files[list->n];
    *f = (SessionFile){.name = strdup(name),
                       .size = (uint64_t) st.st_size,
                       .mtime = (uint64_t) st.st_mtim.tv_sec * 1000000000U + (uint64_t) st.st_mtim.tv_nsec};
    if (!f->name)
        return -ENOMEM;
    list->n++;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const SessionFile *) a)->name, ((const SessionFile *) b)->name);
}

int sessions_list(const Agent *agent, int sessions_dir, SessionFiles *ret, Error *e)
{
    _cleanup_(session_files_done) SessionFiles list = {.skipped = json_array()};
    const char *glob = agent->sessions_glob ? agent->sessions_glob : "*.jsonl";
    _cleanup_closedir_ DIR *dir = NULL;
    _cleanup_close_ int fd = openat(sessions_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dirent *entry;
    size_t size = 0;
    int r = 0;

    if (fd < 0 || !(dir = fdopendir(fd)))
        return error_errnof(e, -errno, "cannot list the sessions of %s", agent->name);
    fd = -EBADF; /* the stream's now */
    while (r >= 0 && list.skipped && json_array_size(list.skipped) < 1000 && (entry = readdir(dir)))
        if (fnmatch(glob, entry->d_name, FNM_PERIOD) == 0)
            r = list_one(&list, &size, sessions_dir, entry->d_name);
    if (r < 0)
        return error_errnof(e, r, "cannot list the sessions of %s", agent->name);
    if (list.n > 0)
        qsort(list.files, list.n, sizeof(*list.files), by_name);
    *ret = list;
    list = (SessionFiles){};
    return 0;
}

void session_files_done(SessionFiles *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->files[i].name);
    free(list->files);
    json_decref(list->skipped);
    *list = (SessionFiles){};
}

/* ---- loading ---- */

typedef struct Loading {
    const Agent *agent;
    Corpus *corpus;
    size_t file;
    const char *file_name;
    EventOrder order; /* of the line before: a line without one belongs behind it */
} Loading;

static int take_event(Corpus *c, const Event *event)
{
    if (c->n_events == c->size_events) {
        size_t size = MAX(c->size_events * 2, (size_t) 256);
        Event *p = reallocarray(c->events, size, sizeof(*p));

        if (!p)
            return -ENOMEM;
        c->events = p;
        c->size_events = size;
    }
    c->events[c->n_events++] = *event;
    return 0;
}

static int load_line(const char *line, size_t len, uint64_t offset, void *userdata)
{
    Loading *l = userdata;
    Event event;
    int r;

    if (event_parse(l->agent, line, len, &event) < 0 || event.type == EVENT_OTHER)
        return 0;
    event.file = l->file;
    event.offset = offset;
    if (!event.session)
        event.session = strdup(l->file_name);
    if (!event.user)
        event.user = strdup("");
    if (!event.order.set)
        event.order = (EventOrder){.number = l->order.number, .text = l->order.text ? strdup(l->order.text) : NULL};
    r = event.session && event.user ? take_event(l->corpus, &event) : -ENOMEM;
    if (r < 0)
        event_done(&event);
    else
        l->order = event.order;
    return r;
}

static int by_need(const void *a, const void *b)
{
    const SessionFile *x = *(const SessionFile *const *) a, *y = *(const SessionFile *const *) b;

    if (x->must_load != y->must_load)
        return x->must_load ? -1 : 1;
    return x->mtime == y->mtime ? strcmp(x->name, y->name) : x->mtime > y->mtime ? -1 : 1;
}

static int load_files(const Agent *agent, int dir, SessionFiles *list, Corpus *corpus, Error *e)
{
    _cleanup_free_ SessionFile **order = calloc(list->n + 1, sizeof(*order));
    uint64_t budget = CORPUS_BYTES_MAX;

    if (!order)
        return -ENOMEM;
    for (size_t i = 0; i < list->n; i++)
        order[i] = &list->files[i];
    qsort(order, list->n, sizeof(*order), by_need);
    for (size_t i = 0; i < list->n; i++) {
        SessionFile *f = order[i];
        uint64_t from = f->size > FILE_BYTES_MAX ? f->size - FILE_BYTES_MAX : 0;
        Loading l = {agent, corpus, (size_t) (f - list->files), f->name, {}};
        _cleanup_close_ int fd = -EBADF;
        LinesEnd end;
        int r;

        if (f->size - from > budget)
            continue;
        fd = session_file_open(dir, f->name);
        if (fd < 0)
            continue; /* gone or no file any more: sessions_list() reports what stays so */
        r = lines_read(fd, from, f->size, from > 0, load_line, &l, &end);
        if (r < 0)
            return error_errnof(e, r, "cannot read session file %s", f->name);
        budget -= f->size - from;
    }
    return 0;
}

/* ---- turns ---- */

static int by_order(const void *a, const void *b)
{
    const Event *x = a, *y = b;

    if (x->order.text && y->order.text) {
        int c = strcmp(x->order.text, y->order.text);

        if (c != 0)
            return c;
    } else if (x->order.text || y->order.text) {
        return x->order.text ? 1 : -1;
    } else if (x->order.number != y->order.number) {
        return x->order.number < y->order.number ? -1 : 1;
    }
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static size_t last_turn(const json_t *last, const char *session)
{
    const json_t *v = json_object_get(last, session);

    return v ? (size_t) json_integer_value(v) : SIZE_MAX;
}

static int add_turn(Corpus *c, json_t *last, const Event *event)
{
    size_t previous = last_turn(last, event->session);

    c->turns[c->n] = (Turn){
        .text = event->text ? event->text : "",
        .user = event->user,
        .session = event->session,
        .file = event->file,
        .offset = event->offset,
        .previous = previous,
        .next = SIZE_MAX,
    };
    if (previous != SIZE_MAX)
        c->turns[previous].next = c->n;
    return json_object_set_new(last, event->session, json_integer((json_int_t) c->n++)) < 0 ? -ENOMEM : 0;
}

static int make_turns(Corpus *c)
{
    _cleanup_json_ json_t *last = json_object(); /* session → its last turn */

    c->turns = calloc(c->n_events + 1, sizeof(*c->turns));
    if (!c->turns || !last)
        return -ENOMEM;
    if (c->n_events > 0)
        qsort(c->events, c->n_events, sizeof(*c->events), by_order);
    for (size_t i = 0; i < c->n_events; i++) {
        const Event *event = &c->events[i];
        size_t t = last_turn(last, event->session);

        if (event->type == EVENT_USER) {
            int r = add_turn(c, last, event);

            if (r < 0)
                return r;
        } else if (t == SIZE_MAX) {
            continue; /* the agent spoke first */
        } else if (event->type == EVENT_ERROR) {
            c->turns[t].error = event->text ? event->text : "";
            c->turns[t].error_offset = event->offset;
        } else if (event->text) {
            c->turns[t].reply = event->text;
            c->turns[t].reply_offset = event->offset;
        }
    }
    return 0;
}

int corpus_load(const Agent *agent, int sessions_dir, SessionFiles *files, Corpus *ret, Error *e)
{
    _cleanup_(corpus_done) Corpus c = {};
    int r;

    r = load_files(agent, sessions_dir, files, &c, e);
    if (r >= 0) {
        r = make_turns(&c);
        if (r < 0)
            error_errnof(e, r, "cannot put the sessions of %s together", agent->name);
    }
    if (r < 0)
        return r;
    *ret = c;
    c = (Corpus){};
    return 0;
}

void corpus_done(Corpus *c)
{
    for (size_t i = 0; i < c->n_events; i++)
        event_done(&c->events[i]);
    free(c->events);
    free(c->turns);
    *c = (Corpus){};
}
