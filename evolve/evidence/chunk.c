/* SPDX-License-Identifier: Apache-2.0 */
#include "chunk.h"

#include <sys/stat.h>

#include "redact.h"
#include "runtime/base/fd.h"
#include "runtime/base/hash.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"
#include "task.h"

#define VARIANT_TURNS_MAX 400 /* of a variant, besides the session itself */
#define RECENT_TURNS 60       /* of everybody, before the one that went badly */
#define CHUNKS_MAX 5000

/* Which turns of a corpus, up to a last one, are replayed. */
typedef struct Selection {
    bool *chosen; /* by turn; has the same size in all selections of a chunk */
    size_t n;
} Selection;

/* ---- turns ---- */

static json_t *turn_json(const Turn *t, bool with_reply)
{
    json_t *o = json_pack("{ss ss ss}", "user", t->user, "session", t->session, "text", t->text);

    if (o && with_reply && t->reply)
        json_object_set_new(o, "reply", json_string(t->reply));
    return o;
}

/* Graders name turns of the corpus; here they get the places that these turns have in the selection. */
static json_t *place_graders(const Selection *s, const json_t *graders)
{
    json_t *placed = json_deep_copy(graders), *grader;
    size_t i;

    json_array_foreach (placed, i, grader) {
        json_int_t turn = json_integer_value(json_object_get(grader, "turn")), place = 0;

        for (json_int_t t = 0; t < turn; t++)
            place += s->chosen[t];
        json_object_set_new(grader, "turn", json_integer(place));
    }
    return placed;
}

static json_t *history(const Corpus *c, size_t last, const Selection *s, const json_t *graders, bool with_replies)
{
    json_t *turns = json_array();

    for (size_t t = 0; t <= last; t++)
        if (s->chosen[t])
            json_array_append_new(turns, turn_json(&c->turns[t], with_replies));
    return json_pack("{so so}", "turns", turns, "graders", place_graders(s, graders));
}

/* ---- selections, from narrow to wide ---- */

typedef bool (*Choose)(const Corpus *c, size_t t, size_t first, size_t last);

static bool of_the_same_user(const Corpus *c, size_t t, size_t first _unused_, size_t last)
{
    return streq(c->turns[t].user, c->turns[last].user);
}

static bool meanwhile(const Corpus *c _unused_, size_t t, size_t first, size_t last _unused_)
{
    return t > first;
}

static bool of_the_user_or_meanwhile(const Corpus *c, size_t t, size_t first, size_t last)
{
    return of_the_same_user(c, t, first, last) || meanwhile(c, t, first, last);
}

static bool of_the_user_or_recent(const Corpus *c, size_t t, size_t first, size_t last)
{
    return of_the_user_or_meanwhile(c, t, first, last) || last - t <= RECENT_TURNS;
}

static int select_session(const Corpus *c, size_t last, Selection *ret, size_t *ret_first)
{
    size_t n = 0, first = last;

    ret->chosen = calloc(last + 1, sizeof(bool));
    if (!ret->chosen)
        return -ENOMEM;
    for (size_t t = last; t != SIZE_MAX && n < TASK_TURNS_MAX; t = c->turns[t].previous, n++) {
        ret->chosen[t] = true;
        first = t;
    }
    ret->n = n;
    *ret_first = first;
    return 0;
}

/* The newest turns that `choose` names, on top of the session's own. */
static int select_more(const Corpus *c, size_t last, size_t first, const Selection *session, Choose choose,
                       Selection *ret)
{
    size_t more = 0;

    ret->chosen = calloc(last + 1, sizeof(bool));
    if (!ret->chosen)
        return -ENOMEM;
    memcpy(ret->chosen, session->chosen, last + 1);
    for (size_t t = last; t-- > 0 && more < VARIANT_TURNS_MAX;)
        if (!ret->chosen[t] && choose(c, t, first, last)) {
            ret->chosen[t] = true;
            more++;
        }
    ret->n = session->n + more;
    return 0;
}

static void selections_done(Selection *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(s[i].chosen);
}

static bool known_already(const Selection *all, size_t n, size_t size)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(all[i].chosen, all[n].chosen, size) == 0)
            return true;
    return false;
}

/* *ret: the session alone first, then up to four wider ones, none twice, by size. Returns how many. */
static int select_all(const Corpus *c, size_t last, Selection ret[static 5])
{
    static const Choose wider[] = {of_the_same_user, meanwhile, of_the_user_or_meanwhile, of_the_user_or_recent};
    size_t n = 1, first;
    int r = select_session(c, last, &ret[0], &first);

    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(wider); i++) {
        r = select_more(c, last, first, &ret[0], wider[i], &ret[n]);
        if (r < 0)
            break;
        if (known_already(ret, n, last + 1)) {
            free(TAKE_PTR(ret[n].chosen));
            continue;
        }
        for (size_t k = n; k > 1 && ret[k].n < ret[k - 1].n; k--) {
            Selection swap = ret[k];

            ret[k] = ret[k - 1];
            ret[k - 1] = swap;
        }
        n++;
    }
    if (r < 0) {
        selections_done(ret, 5);
        return r;
    }
    return (int) n;
}

/* ---- making ---- */

static int chunk_id(const json_t *chunk, char ret[static DIGEST_SIZE])
{
    _cleanup_json_ json_t *core = json_copy((json_t *) chunk);
    _cleanup_free_ char *text = NULL;

    if (!core)
        return -ENOMEM;
    json_object_del(core, "id");
    json_object_del(core, "variants");
    text = json_canonical(core);
    if (!text)
        return -ENOMEM;
    hash_buffer(text, strlen(text), ret);
    return 0;
}

static size_t json_size(const json_t *value)
{
    return json_dumpb(value, NULL, 0, JSON_COMPACT);
}

static int finish(json_t *chunk, Error *e)
{
    _cleanup_(redactor_done) Redactor redactor = {};
    json_t *variants = json_object_get(chunk, "variants");
    char id[DIGEST_SIZE];
    int r;

    while (json_size(chunk) > CHUNK_BYTES_MAX && json_array_size(variants) > 0)
        json_array_remove(variants, json_array_size(variants) - 1);
    if (json_size(chunk) > CHUNK_BYTES_MAX)
        return error_setf(e, -EFBIG, "session %s: more than %zu bytes were said in it",
                          json_string_value(json_object_get(chunk, "session")), CHUNK_BYTES_MAX);
    r = redact_json(&redactor, chunk);
    if (r >= 0)
        r = chunk_id(chunk, id);
    if (r < 0 || json_object_set_new(chunk, "id", json_string(id)) < 0)
        return error_setf(e, -ENOMEM, "out of memory");
    return 0;
}

int chunk_make(const Corpus *c, const ChunkSpec *spec, json_t **ret, Error *e)
{
    const Turn *turn = &c->turns[spec->turn];
    _cleanup_json_ json_t *chunk = NULL;
    json_t *variants;
    Selection s[5] = {};
    int n = select_all(c, spec->turn, s), r;

    if (n < 0)
        return error_setf(e, n, "out of memory");
    chunk = history(c, spec->turn, &s[0], spec->graders, true);
    variants = json_array();
    for (int i = 1; i < n; i++)
        json_array_append_new(variants, history(c, spec->turn, &s[i], spec->graders, false));
    selections_done(s, ARRAY_SIZE(s));
    if (!chunk || json_object_set_new(chunk, "variants", variants) < 0)
        return error_setf(e, -ENOMEM, "out of memory");
    json_object_set_new(chunk, "version", json_integer(1));
    json_object_set_new(chunk, "rule", json_string(spec->rule));
    json_object_set_new(chunk, "session", json_string(turn->session));
    json_object_set_new(chunk, "user", json_string(turn->user));
    json_object_set_new(chunk, "words", spec->words ? json_pack("[s]", spec->words) : json_array());
    r = finish(chunk, e);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(chunk);
    return 0;
}

static json_t *grader_of_hit(const Hit *hit, const Turn *turn)
{
    json_int_t t = (json_int_t) hit->turn;

    if (hit->expected)
        return json_pack("{ss sI ss}", "kind", "expect", "turn", t, "contains", hit->expected);
    if (hit->rule->on == RULE_ON_ASSISTANT)
        return json_pack("{ss sI ss}", "kind", "not_matching", "turn", t, "pattern", hit->rule->pattern);
    if (hit->rule->on == RULE_ON_USER && turn->reply)
        return json_pack("{ss sI ss}", "kind", "other_reply", "turn", t, "reply", turn->reply);
    return json_pack("{ss sI}", "kind", "not_error", "turn", t);
}

int chunk_of_hit(const Corpus *c, const Hit *hit, json_t **ret, Error *e)
{
    _cleanup_json_ json_t *graders = json_pack("[o]", grader_of_hit(hit, &c->turns[hit->turn]));
    const Turn *turn = &c->turns[hit->turn];
    ChunkSpec spec = {
        .rule = hit->rule->name,
        .turn = hit->turn,
        .words = hit->complaint != SIZE_MAX ? c->turns[hit->complaint].text : turn->error,
        .graders = graders,
    };

    return graders ? chunk_make(c, &spec, ret, e) : error_setf(e, -ENOMEM, "out of memory");
}

int chunk_of_guard(const Corpus *c, size_t last, json_t **ret, Error *e)
{
    _cleanup_json_ json_t *graders = json_array();
    ChunkSpec spec = {.rule = "guard", .turn = last, .graders = graders};

    for (size_t t = last; t != SIZE_MAX; t = c->turns[t].previous)
        json_array_insert_new(
            graders, 0,
            json_pack("{ss sI ss}", "kind", "same_reply", "turn", (json_int_t) t, "reply", c->turns[t].reply));
    return chunk_make(c, &spec, ret, e);
}

/* ---- files ---- */

int chunk_write(int evidence_dir, const json_t *chunk, Error *e)
{
    const char *id = json_string_value(json_object_get(chunk, "id"));
    _cleanup_free_ char *name = xasprintf("%s.json", id);
    _cleanup_close_ int dir = -EBADF;
    Error why = {};
    int r;

    if (!name)
        return error_setf(e, -ENOMEM, "out of memory");
    r = mkdirat_p(evidence_dir, "chunks", 0700);
    if (r >= 0) {
        dir = openat(evidence_dir, "chunks", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        r = dir < 0 ? -errno : 0;
    }
    if (r < 0)
        return error_errnof(e, r, "evidence/chunks");
    r = json_write_at(dir, name, chunk, 0600, FILE_DURABLE | FILE_EXCLUSIVE, &why);
    if (r == -EEXIST)
        return 0;
    return r < 0 ? error_setf(e, r, "evidence/chunks: %s", why.text) : 1;
}

static int load_one(int dir, const char *name, json_t *all, Error *e)
{
    _cleanup_json_ json_t *chunk = NULL;
    char id[DIGEST_SIZE];
    int r;

    r = json_read_at(dir, name, 2 * CHUNK_BYTES_MAX, &chunk, e);
    if (r < 0)
        return error_wrapf(e, r, "evidence/chunks");
    r = chunk_id(chunk, id);
    if (r < 0)
        return error_setf(e, r, "out of memory");
    if (strncmp(id, name, DIGEST_SIZE - 1) != 0)
        return error_setf(e, -EUCLEAN, "evidence/chunks/%s: was changed: its digest is %s", name, id);
    return json_array_append(all, chunk) < 0 ? error_setf(e, -ENOMEM, "out of memory") : 0;
}

static int wanted(const struct dirent *entry)
{
    char id[DIGEST_SIZE] = "";

    if (strlen(entry->d_name) != DIGEST_SIZE - 1 + strlen(".json") || !endswith(entry->d_name, ".json"))
        return 0;
    memcpy(id, entry->d_name, DIGEST_SIZE - 1);
    return digest_valid(id);
}

int chunks_load(int evidence_dir, const json_t *without, json_t **ret, Error *e)
{
    _cleanup_json_ json_t *all = json_array();
    _cleanup_close_ int dir = openat(evidence_dir, "chunks", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct dirent **entries = NULL;
    int n = 0, r = 0;

    if (dir < 0 && errno != ENOENT)
        return error_errnof(e, -errno, "evidence/chunks");
    if (dir >= 0 && (n = scandirat(dir, ".", &entries, wanted, alphasort)) < 0)
        return error_errnof(e, -errno, "evidence/chunks");
    for (int i = 0; i < n; i++) {
        char id[DIGEST_SIZE] = "";

        memcpy(id, entries[i]->d_name, DIGEST_SIZE - 1);
        if (r >= 0 && json_array_size(all) < CHUNKS_MAX && !json_object_get(without, id))
            r = load_one(dir, entries[i]->d_name, all, e);
        free(entries[i]);
    }
    free(entries);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(all);
    return 0;
}
