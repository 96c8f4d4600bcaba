/* SPDX-License-Identifier: Apache-2.0 */
/* From session files to a sealed batch, in a store of the test's own. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "evolve/evidence/batch.h"
#include "evolve/evidence/evidence.h"
#include "evolve/evidence/task.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"
#include "shim/client/client.h"

static int64_t current_epoch;

/* The head of this store: no shim runs here. */
int shim_head(const char *store_path _unused_, const char *agent _unused_, char **ret_generation, int64_t *ret_epoch,
              Error *e _unused_)
{
    *ret_generation = strdup("g");
    *ret_epoch = current_epoch;
    return 0;
}

typedef struct Fixture {
    char store[64];
    int dir;      /* of the agent */
    int sessions; /* of epoch 0 */
    Agent agent;
    EvidenceRule rules[3];
    unsigned seq;
} Fixture;

static int setup(void **state)
{
    static const EvidenceRule rules[] = {
        {.name = "correction", .on = RULE_ON_USER, .pattern = "^That is wrong\\. I expected: (.+)$", .expect = 1},
        {.name = "error", .on = RULE_ON_ERROR},
        {.name = "unanswered", .on = RULE_ON_END},
    };
    _cleanup_close_ int root = -EBADF;
    Fixture *f = calloc(1, sizeof(*f));

    snprintf(f->store, sizeof(f->store), "/tmp/moss-test-evidence-XXXXXX");
    assert_non_null(mkdtemp(f->store));
    root = open(f->store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat_p(root, "agents/clerk/epochs/0/sessions", 0700), 0);
    f->dir = openat(root, "agents/clerk", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    f->sessions = openat(f->dir, "epochs/0/sessions", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(f->sessions >= 0);
    memcpy(f->rules, rules, sizeof(rules));
    f->agent = (Agent){.name = "clerk",
                       .sessions_directory = "sessions",
                       .sessions_glob = "*.jsonl",
                       .field_type = "type",
                       .field_text = "text",
                       .field_user = "user",
                       .field_session = "session",
                       .field_order = "seq",
                       .value_user = "user",
                       .value_assistant = "assistant",
                       .value_error = "error",
                       .rules = f->rules,
                       .n_rules = 3};
    current_epoch = 0;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    Fixture *f = *state;

    close(f->dir);
    close(f->sessions);
    assert_int_equal(rm_rf_at(AT_FDCWD, f->store), 0);
    free(f);
    return 0;
}

static void append(Fixture *f, const char *file, const void *data, size_t len)
{
    _cleanup_close_ int fd = openat(f->sessions, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, data, len), 0);
}

/* A literal, which may hold NULs. */
#define APPEND(f, file, literal) append(f, file, literal, sizeof(literal) - 1)

/* One line, in the file of its session. */
static void say(Fixture *f, const char *user, const char *session, const char *type, const char *text)
{
    _cleanup_json_ json_t *o = json_pack("{ss ss ss ss? sI}", "user", user, "session", session, "type", type, "text",
                                         text, "seq", (json_int_t) f->seq++);
    _cleanup_free_ char *line = json_canonical(o), *name = xasprintf("%s.jsonl", session);

    append(f, name, line, strlen(line));
    append(f, name, "\n", 1);
}

static void exchange(Fixture *f, const char *user, const char *session, const char *text, const char *reply)
{
    say(f, user, session, "user", text);
    say(f, user, session, "assistant", NULL); /* as it calls a tool */
    say(f, user, session, "assistant", reply);
}

static json_t *catch_up(Fixture *f)
{
    json_t *report;
    Error e = {};
    int r = evidence_catch_up(f->store, &f->agent, &report, &e);

    if (r < 0)
        fail_msg("%s", e.text);
    return report;
}

/* Runs it and gives one of its counts. */
static json_int_t caught(Fixture *f, const char *what)
{
    _cleanup_json_ json_t *report = catch_up(f);

    return json_integer_value(json_object_get(report, what));
}

static Batch *open_batch(Fixture *f)
{
    Batch *b = NULL;
    Error e = {};
    int r = batch_load_open(f->store, &f->agent, &b, &e);

    if (r < 0 && r != -ENODATA)
        fail_msg("%s", e.text);
    return b;
}

static char *canonical_member(const json_t *o, const char *key)
{
    return json_canonical(json_object_get(o, key));
}

static void a_correction_becomes_a_task_with_the_expected_text(void **state)
{
    Fixture *f = *state;
    _cleanup_(batch_freep) Batch *b = NULL;
    _cleanup_free_ char *turns = NULL, *graders = NULL, *words = NULL;
    json_t *task;
    Error e = {};

    exchange(f, "ann", "s1", "I buy two pens", "Noted.");
    exchange(f, "ann", "s1", "What do I owe?", "Nothing.");
    exchange(f, "ann", "s1", "That is wrong. I expected:  3 EUR ", "Sorry.");
    exchange(f, "ann", "s1", "Thanks", "Welcome.");
    assert_int_equal(caught(f, "new_chunks"), 1);
    b = open_batch(f);
    assert_int_equal(json_array_size(b->tasks), 1);
    task = json_array_get(b->tasks, 0);
    assert_int_equal(task_check(task, "task", &e), 0);
    assert_int_equal(task_kind(task), TASK_VISIBLE);
    turns = canonical_member(task, "turns");
    assert_string_equal(turns, "[{\"session\":\"s1\",\"text\":\"I buy two pens\",\"user\":\"ann\"},"
                               "{\"session\":\"s1\",\"text\":\"What do I owe?\",\"user\":\"ann\"}]");
    graders = canonical_member(task, "graders");
    assert_string_equal(graders, "[{\"contains\":\"3 EUR\",\"kind\":\"expect\",\"turn\":1}]");
    words = canonical_member(task, "words");
    assert_string_equal(words, "[\"That is wrong. I expected:  3 EUR \"]");
    assert_int_equal(task_widths(task), 1);
}

static void errors_and_silence_become_tasks(void **state)
{
    Fixture *f = *state;
    _cleanup_(batch_freep) Batch *b = NULL;

    say(f, "ann", "s1", "user", "crash please");
    say(f, "ann", "s1", "error", "boom");
    say(f, "ann", "s1", "user", "are you there?");
    exchange(f, "ann", "s1", "hello??", "Yes.");
    say(f, "bob", "s2", "user", "the last thing I said");
    assert_int_equal(caught(f, "new_chunks"), 2);
    assert_int_equal(caught(f, "new_chunks"), 1); /* bob's session did not grow: it ended like this */
    assert_int_equal(caught(f, "new_chunks"), 0);
    b = open_batch(f);
    assert_int_equal(json_array_size(b->tasks), 3);
}

static void an_error_that_was_complained_about_is_one_task(void **state)
{
    Fixture *f = *state;
    _cleanup_(batch_freep) Batch *b = NULL;

    exchange(f, "ann", "s1", "I buy a pen", "Noted.");
    say(f, "ann", "s1", "user", "What do I owe?");
    say(f, "ann", "s1", "error", "boom");
    exchange(f, "ann", "s1", "That is wrong. I expected: 3 EUR", "Sorry.");
    assert_int_equal(caught(f, "new_chunks"), 1);
    b = open_batch(f);
    assert_true(json_is_null(json_object_get(json_object_get(json_array_get(b->tasks, 0), "recorded"), "reply")));
}

/* What fails for another reason than it did then, a missing prelude mostly, is told from what fails alike. */
static void a_replay_fails_alike_or_not(void **state)
{
    static const struct {
        const char *task, *turn;
        bool alike;
    } cases[] = {
        {"{\"reply\":\"No.\"}", "{\"reply\":\" No. \"}", true},
        {"{\"reply\":\"No.\"}", "{\"reply\":\"Maybe.\"}", false},
        {"{\"reply\":\"No.\"}", "{\"reply\":null,\"error\":\"x\"}", false},
        {"{\"reply\":null}", "{\"reply\":null,\"error\":\"x\"}", true},
        {"{\"reply\":null}", "{\"reply\":\"No.\"}", false},
    };

    (void) state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_json_ json_t *recorded = json_loads(cases[i].task, JSON_DECODE_ANY, NULL),
                              *turn = json_loads(cases[i].turn, 0, NULL);
        _cleanup_json_ json_t *task = json_pack("{s[{}] s[{ss si}] sO}", "turns", "graders", "kind", "not_error",
                                                "turn", 0, "recorded", recorded),
                              *transcript = json_pack("{si s[O]}", "version", 1, "turns", turn);

        assert_int_equal(task_failed_alike(task, transcript), cases[i].alike);
        assert_false(task_failed_alike(task, NULL));
        json_object_del(task, "recorded");
        assert_true(task_failed_alike(task, transcript));
    }
}

static void nothing_is_read_twice_and_nothing_is_lost(void **state)
{
    Fixture *f = *state;

    exchange(f, "ann", "s1", "one", "x");
    assert_int_equal(caught(f, "lines"), 3);
    assert_int_equal(caught(f, "lines"), 0);
    APPEND(f, "s1.jsonl", "{\"type\":\"user\",\"user\":\"ann\",\"sess");
    assert_int_equal(caught(f, "cut_off"), 1);
    APPEND(f, "s1.jsonl", "ion\":\"s1\",\"text\":\"That is wrong. I expected: y\",\"seq\":9}\n");
    assert_int_equal(caught(f, "new_chunks"), 1);
    assert_int_equal(caught(f, "lines"), 0);
}

static void killed_before_the_cursors_were_written_it_finds_nothing_twice(void **state)
{
    Fixture *f = *state;
    _cleanup_json_ json_t *report = NULL;

    exchange(f, "ann", "s1", "one", "x");
    exchange(f, "ann", "s1", "That is wrong. I expected: y", "z");
    assert_int_equal(caught(f, "new_chunks"), 1);
    assert_int_equal(unlinkat(f->dir, "evidence/cursors.json", 0), 0);
    report = catch_up(f);
    assert_int_equal(json_integer_value(json_object_get(report, "chunks")), 1);
    assert_int_equal(json_integer_value(json_object_get(report, "new_chunks")), 0);
}

static void a_file_written_anew_is_read_from_its_start(void **state)
{
    Fixture *f = *state;
    _cleanup_json_ json_t *report = NULL;

    exchange(f, "ann", "s1", "one two three four five six seven", "x");
    (void) caught(f, "lines");
    assert_int_equal(unlinkat(f->sessions, "s1.jsonl", 0), 0);
    exchange(f, "ann", "s1", "one two three four five six seven",
             "x"); /* longer than the cursor, by its seq other bytes */
    exchange(f, "ann", "s1", "That is wrong. I expected: y", "z");
    report = catch_up(f);
    assert_int_equal(json_integer_value(json_object_get(report, "truncated")), 1);
    assert_int_equal(json_integer_value(json_object_get(report, "lines")), 6);
    assert_int_equal(json_integer_value(json_object_get(report, "new_chunks")), 1);
}

static void a_copy_of_the_state_in_another_epoch_is_not_read_again(void **state)
{
    Fixture *f = *state;
    _cleanup_close_ int to = -EBADF;

    exchange(f, "ann", "s1", "one", "x");
    (void) caught(f, "lines");
    assert_int_equal(mkdirat_p(f->dir, "epochs/1/sessions", 0700), 0);
    to = openat(f->dir, "epochs/1/sessions", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(copy_tree_at(f->sessions, to), 0);
    current_epoch = 1;
    assert_int_equal(caught(f, "lines"), 0);
    assert_int_equal(caught(f, "truncated"), 0);
}

static void hostile_files_are_counted_and_stop_nothing(void **state)
{
    Fixture *f = *state;
    _cleanup_json_ json_t *report = NULL;
    _cleanup_free_ char *deep = malloc(200000);
    struct stat st;

    memset(deep, '[', 200000);
    append(f, "bad.jsonl", deep, 200000);
    APPEND(f, "bad.jsonl",
           "\n{\"type\":\"user\",\"text\":\"a\0b\"}\n{\"type\":\"user\",\"text\":\"\xff\xfe\"}\nnot json\n[]\n{}\n");
    APPEND(f, "bad.jsonl",
           "{\"type\":1,\"text\":{},\"user\":[],\"seq\":\"x\"}\n{\"type\":\"user\",\"text\":[1,{\"text\":2}]}\n");
    assert_int_equal(symlinkat("/etc/passwd", f->sessions, "link.jsonl"), 0);
    assert_int_equal(mkfifoat(f->sessions, "fifo.jsonl", 0600), 0);
    assert_int_equal(mkdirat(f->sessions, "dir.jsonl", 0700), 0);
    APPEND(f, "\xff.jsonl", "x\n");
    APPEND(f, "empty.jsonl", "");
    exchange(f, "ann", "s1", "one", "x");
    exchange(f, "ann", "s1", "That is wrong. I expected: y", "z");
    report = catch_up(f);
    assert_int_equal(json_integer_value(json_object_get(report, "malformed")), 5);
    assert_int_equal(json_array_size(json_object_get(report, "skipped")), 4);
    assert_int_equal(json_integer_value(json_object_get(report, "new_chunks")), 1);
    assert_int_equal(caught(f, "lines"), 0);
    assert_int_equal(fstatat(f->dir, "evidence/cursors.json", &st, 0), 0);
}

static void a_session_directory_that_is_a_symlink_is_refused(void **state)
{
    Fixture *f = *state;
    json_t *report;
    Error e = {};

    assert_int_equal(
        rm_rf_at(f->dir, "epochs/0/sessions") == 0 ? 0 : unlinkat(f->dir, "epochs/0/sessions", AT_REMOVEDIR), 0);
    assert_int_equal(symlinkat("/tmp", f->dir, "epochs/0/sessions"), 0);
    assert_true(evidence_catch_up(f->store, &f->agent, &report, &e) < 0);
    assert_true(e.text[0] != '\0');
}

static void secrets_never_reach_the_evidence(void **state)
{
    Fixture *f = *state;
    _cleanup_(batch_freep) Batch *b = NULL;
    _cleanup_free_ char *all = NULL;

    exchange(f, "ann@x.org", "s1", "my card is 4111 1111 1111 1111, mail bob@y.org", "ok");
    exchange(f, "ann@x.org", "s1", "which card?", "none");
    exchange(f, "ann@x.org", "s1", "That is wrong. I expected: 4111 1111 1111 1111", "sorry");
    assert_int_equal(caught(f, "new_chunks"), 1);
    b = open_batch(f);
    all = json_canonical(b->tasks);
    assert_null(strstr(all, "4111 1111"));
    assert_null(strstr(all, "ann@x.org"));
    assert_null(strstr(all, "bob@y.org"));
    assert_non_null(strstr(all, " 1111\",\"kind\":\"expect\""));
}

static void what_came_before_is_kept_as_variants_narrowest_first(void **state)
{
    Fixture *f = *state;
    _cleanup_(batch_freep) Batch *b = NULL;
    const json_t *task;
    size_t widths;

    exchange(f, "ann", "s1", "My name is Ann", "Hello.");
    exchange(f, "bob", "s2", "My name is Bob", "Hello.");
    say(f, "ann", "s3", "user", "hello");
    exchange(f, "bob", "s4", "meanwhile", "yes");
    say(f, "ann", "s3", "assistant", "hello");
    exchange(f, "ann", "s3", "What is my name?", "I do not know.");
    exchange(f, "ann", "s3", "That is wrong. I expected: Ann", "Sorry.");
    (void) caught(f, "lines");
    b = open_batch(f);
    task = json_array_get(b->tasks, 0);
    widths = task_widths(task);
    assert_int_equal(widths, 5);
    for (size_t w = 0; w < widths; w++) {
        static const size_t turns[] = {2, 3, 3, 4, 5};
        _cleanup_json_ json_t *t = task_at_width(task, w);
        const json_t *grader = json_array_get(json_object_get(t, "graders"), 0);

        assert_int_equal(json_array_size(json_object_get(t, "turns")), turns[w]);
        assert_int_equal(json_integer_value(json_object_get(grader, "turn")), turns[w] - 1);
        assert_null(json_object_get(t, "variants"));
        assert_string_equal(json_string_value(json_object_get(t, "id")),
                            json_string_value(json_object_get(task, "id")));
    }
}

/* ---- batches ---- */

static void make_evidence(Fixture *f, unsigned per_kind)
{
    static const char *const requests[] = {"Convert %u miles into kilometres",
                                           "What did I order on day %u of the month?",
                                           "Please repeat sentence number %u of mine"};

    for (unsigned i = 0; i < per_kind * 3; i++) {
        char user[16], session[16], text[80];

        snprintf(user, sizeof(user), "u%u", i);
        snprintf(session, sizeof(session), "s%03u", i);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof(text), requests[i % 3], i);
#pragma GCC diagnostic pop
        exchange(f, user, session, text, "no");
        exchange(f, user, session, "That is wrong. I expected: yes", "sorry");
    }
    for (unsigned i = 0; i < 20; i++) {
        char user[16], session[16], text[80];

        snprintf(user, sizeof(user), "g%u", i % 12);
        snprintf(session, sizeof(session), "g%03u", i);
        snprintf(text, sizeof(text), "%c%c%c greeting", 'a' + (int) i, 'b' + (int) i, 'c' + (int) i);
        exchange(f, user, session, text, "hello");
    }
    assert_int_equal(caught(f, "new_chunks"), per_kind * 3);
}

static void seal(Fixture *f, char id[static BATCH_ID_SIZE])
{
    Error e = {};

    if (batch_seal(f->store, &f->agent, "g", "c0ffee", id, &e) < 0)
        fail_msg("%s", e.text);
}

static void a_batch_is_bounded_and_even_over_the_clusters(void **state)
{
    Fixture *f = *state;
    _cleanup_(batch_freep) Batch *b = NULL;
    _cleanup_json_ json_t *per_cluster = json_object();
    size_t n[3] = {};
    char id[BATCH_ID_SIZE];
    const char *name;
    json_t *v;
    Error e = {};

    make_evidence(f, 20);
    seal(f, id);
    assert_string_equal(id, "b-0001");
    assert_int_equal(batch_load(f->dir, id, &b, &e), 0);
    for (size_t i = 0; i < json_array_size(b->tasks); i++) {
        const json_t *task = json_array_get(b->tasks, i);
        const char *cluster_name = json_string_value(json_object_get(task, "cluster"));

        n[task_kind(task)]++;
        if (task_kind(task) == TASK_VISIBLE)
            json_object_set_new(per_cluster, cluster_name,
                                json_integer(json_integer_value(json_object_get(per_cluster, cluster_name)) + 1));
    }
    assert_int_equal(n[TASK_VISIBLE], BATCH_VISIBLE_MAX);
    assert_int_equal(n[TASK_SEALED], BATCH_SEALED_MAX);
    assert_int_equal(n[TASK_GUARD], BATCH_GUARDS_MAX);
    assert_int_equal(json_object_size(per_cluster), 3);
    json_object_foreach (per_cluster, name, v) {
        assert_int_equal(json_integer_value(v), BATCH_VISIBLE_MAX / 3);
    }
    assert_int_equal(json_array_size(json_object_get(b->json, "chunks")), 60);
    assert_null(open_batch(f)); /* all of it is taken */
    assert_int_equal(b->state, BATCH_SEALED);
}

static void three_of_a_cluster_leave_one_sealed(void **state)
{
    Fixture *f = *state;
    _cleanup_(batch_freep) Batch *b = NULL;
    size_t n[3] = {};

    make_evidence(f, 3);
    b = open_batch(f);
    for (size_t i = 0; i < json_array_size(b->tasks); i++)
        n[task_kind(json_array_get(b->tasks, i))]++;
    assert_int_equal(n[TASK_VISIBLE], 6);
    assert_int_equal(n[TASK_SEALED], 3);
}

static void guards_hold_every_answer_of_sessions_without_complaint(void **state)
{
    Fixture *f = *state;
    _cleanup_(batch_freep) Batch *b = NULL;

    make_evidence(f, 1);
    b = open_batch(f);
    for (size_t i = 0; i < json_array_size(b->tasks); i++) {
        const json_t *task = json_array_get(b->tasks, i), *graders = json_object_get(task, "graders");

        if (task_kind(task) != TASK_GUARD)
            continue;
        assert_int_equal(json_string_value(json_object_get(json_object_get(task, "origin"), "session"))[0], 'g');
        assert_int_equal(json_array_size(graders), json_array_size(json_object_get(task, "turns")));
        assert_string_equal(json_string_value(json_object_get(json_array_get(graders, 0), "kind")), "same_reply");
    }
}

static void a_sealed_batch_that_was_touched_is_refused(void **state)
{
    Fixture *f = *state;
    static const char tasks[] = "batches/b-0001/tasks";
    _cleanup_json_ json_t *list = NULL;
    _cleanup_(batch_freep) Batch *b = NULL;
    _cleanup_close_ int dir = -EBADF, fd = -EBADF;
    _cleanup_free_ char *name = NULL, *data = NULL;
    char id[BATCH_ID_SIZE];
    size_t len;
    Error e = {};

    make_evidence(f, 2);
    seal(f, id);
    assert_int_equal(batch_load(f->dir, id, &b, &e), 0);
    dir = openat(f->dir, tasks, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    name = xasprintf("%s.json", json_string_value(json_object_get(json_array_get(b->tasks, 0), "id")));
    batch_freep(&b);
    b = NULL;

    assert_int_equal(file_read_at(dir, name, 1 << 20, &data, &len), 0);
    assert_int_equal(file_write_at(dir, name, data, len - 1, 0600, 0), 0);
    assert_int_equal(batch_load(f->dir, id, &b, &e), -EUCLEAN);
    assert_non_null(strstr(e.text, name));
    assert_int_equal(unlinkat(dir, name, 0), 0);
    assert_int_equal(batch_load(f->dir, id, &b, &e), -EUCLEAN);
    assert_int_equal(file_write_at(dir, name, data, len, 0600, 0), 0);
    assert_int_equal(file_write_at(dir, "t-more.json", data, len, 0600, 0), 0);
    assert_int_equal(batch_load(f->dir, id, &b, &e), -EUCLEAN);
    assert_int_equal(unlinkat(dir, "t-more.json", 0), 0);
    assert_int_equal(batch_load(f->dir, id, &b, &e), 0);
    assert_int_equal(batch_list(f->dir, &list, &e), 0);
    assert_int_equal(json_array_size(list), 1);
}

static void what_a_killed_seal_left_is_no_batch(void **state)
{
    Fixture *f = *state;
    _cleanup_json_ json_t *list = NULL;
    _cleanup_(batch_freep) Batch *b = NULL;
    char id[BATCH_ID_SIZE];
    Error e = {};

    make_evidence(f, 1);
    assert_int_equal(mkdirat_p(f->dir, "batches/b-0001/tasks", 0700), 0);
    assert_int_equal(file_write_at(f->dir, "junk", "", 0, 0600, 0), 0);
    assert_int_equal(renameat(f->dir, "junk", f->dir, "batches/b-0001/tasks/t-x.json"), 0);
    assert_int_equal(batch_list(f->dir, &list, &e), 0);
    assert_int_equal(json_array_size(list), 0);
    seal(f, id);
    assert_string_equal(id, "b-0001");
    assert_int_equal(batch_load(f->dir, id, &b, &e), 0);
}

static const char *found(Fixture *f, const char *id, BatchState state)
{
    static char ret[BATCH_ID_SIZE];
    _cleanup_json_ json_t *batch = NULL;

    assert_int_equal(batch_find(f->dir, id, state == BATCH_OPEN ? NULL : batch_state_name(state), &batch, NULL), 0);
    snprintf(ret, sizeof(ret), "%s", batch ? json_string_value(json_object_get(batch, "id")) : "none");
    return ret;
}

static void the_newest_batch_that_fits_is_found(void **state)
{
    Fixture *f = *state;
    char id[BATCH_ID_SIZE];
    Error e = {};

    assert_string_equal(found(f, NULL, BATCH_OPEN), "none");
    make_evidence(f, 1);
    seal(f, id);
    exchange(f, "ann", "z", "What do I owe?", "no");
    exchange(f, "ann", "z", "That is wrong. I expected: yes", "sorry");
    assert_int_equal(caught(f, "new_chunks"), 1);
    assert_string_equal(found(f, NULL, BATCH_OPEN), "b-0001");
    seal(f, id);
    assert_string_equal(found(f, NULL, BATCH_OPEN), "b-0002");
    assert_string_equal(found(f, "b-0001", BATCH_OPEN), "b-0001");
    assert_string_equal(found(f, "b-0003", BATCH_OPEN), "none");
    assert_int_equal(batch_set_state(f->dir, "b-0002", BATCH_RUNNING, "e-0001", &e), 0);
    assert_string_equal(found(f, NULL, BATCH_SEALED), "b-0001");
    assert_string_equal(found(f, "b-0002", BATCH_SEALED), "none");
    assert_string_equal(found(f, "b-0002", BATCH_RUNNING), "b-0002");
    assert_string_equal(found(f, NULL, BATCH_READY), "none");
}

static void states_follow_their_ways_only(void **state)
{
    Fixture *f = *state;
    static const bool ways[8][8] = {
        [BATCH_SEALED] = {[BATCH_RUNNING] = true, [BATCH_DISCARDED] = true},
        [BATCH_RUNNING] =
            {[BATCH_SEALED] = true, [BATCH_READY] = true, [BATCH_FAILED] = true, [BATCH_DISCARDED] = true},
        [BATCH_READY] =
            {[BATCH_RUNNING] = true, [BATCH_APPLIED] = true, [BATCH_ROLLED_BACK] = true, [BATCH_DISCARDED] = true},
        [BATCH_ROLLED_BACK] = {[BATCH_RUNNING] = true, [BATCH_DISCARDED] = true},
        [BATCH_FAILED] = {[BATCH_RUNNING] = true, [BATCH_DISCARDED] = true},
    };
    _cleanup_close_ int dir = -EBADF;
    char id[BATCH_ID_SIZE];
    Error e = {};

    make_evidence(f, 1);
    seal(f, id);
    dir = openat(f->dir, "batches/b-0001", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (BatchState from = BATCH_SEALED; from <= BATCH_DISCARDED; from++)
        for (BatchState to = BATCH_OPEN; to <= BATCH_DISCARDED; to++) {
            _cleanup_json_ json_t *json = NULL;
            int r;

            assert_int_equal(json_read_at(dir, "batch.json", 1 << 20, &json, &e), 0);
            json_object_set_new(json, "state", json_string(batch_state_name(from)));
            assert_int_equal(json_write_at(dir, "batch.json", json, 0600, 0, &e), 0);
            r = batch_set_state(f->dir, id, to, "e-0001", &e);
            assert_int_equal(r, ways[from][to] || from == to ? 0 : -EINVAL);
        }
    assert_int_equal(batch_set_state(f->dir, "b-0002", BATCH_RUNNING, NULL, &e), -ENOENT);
    assert_int_equal(batch_set_state(f->dir, "../evidence", BATCH_RUNNING, NULL, &e), -EINVAL);
}

/* ---- flag ---- */

static void a_flagged_session_becomes_a_chunk_once(void **state)
{
    Fixture *f = *state;
    FlagSpec spec = {.session = "s1", .words = "too curt"};
    _cleanup_(batch_freep) Batch *b = NULL;
    _cleanup_free_ char *chunk = NULL, *again = NULL;
    Error e = {};

    exchange(f, "ann", "s1", "hello", "ok");
    assert_int_equal(evidence_flag(f->store, &f->agent, &spec, &chunk, &e), 0);
    assert_int_equal(evidence_flag(f->store, &f->agent, &spec, &again, &e), -EEXIST);
    b = open_batch(f);
    assert_string_equal(json_string_value(json_object_get(
                            json_array_get(json_object_get(json_array_get(b->tasks, 0), "graders"), 0), "kind")),
                        "other_reply");
    spec = (FlagSpec){.session = "s2"};
    assert_int_equal(evidence_flag(f->store, &f->agent, &spec, &again, &e), -ENOENT);
    spec = (FlagSpec){.session = "s1", .turn = 2};
    assert_int_equal(evidence_flag(f->store, &f->agent, &spec, &again, &e), -ENOENT);
    spec = (FlagSpec){.session = "s1", .user = "bob"};
    assert_int_equal(evidence_flag(f->store, &f->agent, &spec, &again, &e), -ENOENT);
    assert_null(again);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_correction_becomes_a_task_with_the_expected_text),
        TEST(errors_and_silence_become_tasks),
        TEST(an_error_that_was_complained_about_is_one_task),
        TEST(a_replay_fails_alike_or_not),
        TEST(nothing_is_read_twice_and_nothing_is_lost),
        TEST(killed_before_the_cursors_were_written_it_finds_nothing_twice),
        TEST(a_file_written_anew_is_read_from_its_start),
        TEST(a_copy_of_the_state_in_another_epoch_is_not_read_again),
        TEST(hostile_files_are_counted_and_stop_nothing),
        TEST(a_session_directory_that_is_a_symlink_is_refused),
        TEST(secrets_never_reach_the_evidence),
        TEST(what_came_before_is_kept_as_variants_narrowest_first),
        TEST(a_batch_is_bounded_and_even_over_the_clusters),
        TEST(three_of_a_cluster_leave_one_sealed),
        TEST(guards_hold_every_answer_of_sessions_without_complaint),
        TEST(a_sealed_batch_that_was_touched_is_refused),
        TEST(what_a_killed_seal_left_is_no_batch),
        TEST(the_newest_batch_that_fits_is_found),
        TEST(states_follow_their_ways_only),
        TEST(a_flagged_session_becomes_a_chunk_once),
    };

    return cmocka_run_group_tests_name("evidence", tests, NULL, NULL);
}
