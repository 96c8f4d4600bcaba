/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/ledger/ledger.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "tests/unit/test.h"

static Ledger *open_ledger(const TestDirectory *d)
{
    Ledger *l = NULL;
    Error e = {};

    if (ledger_open(d->path, &l, &e) < 0)
        fail_msg("%s", e.text);
    return l;
}

static void begin(Ledger *l, char id[static LEDGER_ID_SIZE])
{
    Error e = {};

    if (ledger_begin(l, "begun", id, &e) < 0)
        fail_msg("%s", e.text);
}

TEST(ids_count_up_and_survive_a_reopening)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    _cleanup_(ledger_freep) Ledger *l = open_ledger(&d);
    _cleanup_json_ json_t *ids = NULL;
    char id[LEDGER_ID_SIZE];

    begin(l, id);
    assert_string_equal(id, "e-0001");
    begin(l, id);
    l = ledger_free(l);
    l = open_ledger(&d);
    begin(l, id);
    assert_string_equal(id, "e-0003");
    assert_int_equal(ledger_evolutions(l, &ids, NULL), 0);
    assert_int_equal(json_array_size(ids), 3);
    assert_string_equal(json_string_value(json_array_get(ids, 0)), "e-0001");
}

TEST(a_step_keeps_earlier_artifacts_and_replaces_its_own)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    _cleanup_(ledger_freep) Ledger *l = open_ledger(&d);
    _cleanup_json_ json_t *history = NULL, *plan = json_pack("{s:i}", "round", 1), *read = NULL;
    _cleanup_free_ char *text = NULL;
    char id[LEDGER_ID_SIZE];
    LedgerStep step = {};
    size_t len = 0;

    begin(l, id);
    ledger_put_json(&step, "iterations/1/plan.json", plan);
    ledger_put(&step, "note", "one", 3);
    assert_int_equal(ledger_commit(l, id, &step, "first", NULL), 0);
    assert_int_equal(step.n, 0);
    ledger_put(&step, "note", "two", 3);
    ledger_put(&step, "note", "three\0!", 7);
    assert_int_equal(ledger_commit(l, id, &step, "second", NULL), 0);

    assert_int_equal(ledger_read_json(l, id, "iterations/1/plan.json", &read, NULL), 0);
    assert_true(json_equal(plan, read));
    assert_int_equal(ledger_read(l, id, "note", &text, &len, NULL), 0);
    assert_int_equal(len, 7);
    assert_memory_equal(text, "three\0!", 8);
    assert_int_equal(ledger_history(l, id, &history, NULL), 0);
    assert_int_equal(json_array_size(history), 3);
    assert_string_equal(json_string_value(json_object_get(json_array_get(history, 1), "message")), "first");
}

TEST(append_adds_lines)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    _cleanup_(ledger_freep) Ledger *l = open_ledger(&d);
    _cleanup_json_ json_t *a = json_pack("{s:i}", "n", 1), *b = json_pack("{s:i}", "n", 2);
    _cleanup_free_ char *text = NULL;
    char id[LEDGER_ID_SIZE];

    begin(l, id);
    assert_int_equal(ledger_append(l, id, "swaps.jsonl", a, "swap", NULL), 0);
    assert_int_equal(ledger_append(l, id, "swaps.jsonl", b, "swap", NULL), 0);
    assert_int_equal(ledger_read(l, id, "swaps.jsonl", &text, NULL, NULL), 0);
    assert_string_equal(text, "{\"n\":1}\n{\"n\":2}\n");
}

TEST(a_directory_of_artifacts_can_be_laid_out)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make(), out = test_directory_make();
    _cleanup_(ledger_freep) Ledger *l = open_ledger(&d);
    _cleanup_free_ char *text = NULL;
    char id[LEDGER_ID_SIZE];
    LedgerStep step = {};

    begin(l, id);
    ledger_put(&step, "evidence/a/b.json", "{}", 2);
    ledger_put(&step, "evidence/top", "x", 1);
    ledger_put(&step, "private/secret", "y", 1);
    assert_int_equal(ledger_commit(l, id, &step, "step", NULL), 0);
    assert_int_equal(ledger_checkout(l, id, "evidence", out.fd, NULL), 0);
    assert_int_equal(ledger_checkout(l, id, "missing", out.fd, NULL), 0);
    assert_int_equal(faccessat(out.fd, "a/b.json", R_OK, 0), 0);
    assert_int_equal(file_read_at(out.fd, "top", 10, &text, NULL), 0);
    assert_string_equal(text, "x");
    assert_int_equal(faccessat(out.fd, "secret", F_OK, 0), -1);
}

TEST(what_is_missing_is_named)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    _cleanup_(ledger_freep) Ledger *l = open_ledger(&d);
    char id[LEDGER_ID_SIZE], *text = NULL;
    Error e = {};

    begin(l, id);
    assert_int_equal(ledger_read(l, id, "plan.json", &text, NULL, &e), -ENOENT);
    assert_non_null(strstr(e.text, "e-0001 has no plan.json"));
    assert_int_equal(ledger_read(l, "e-0002", "plan.json", &text, NULL, &e), -ENOENT);
    assert_int_equal(ledger_read(l, "../../x", "plan.json", &text, NULL, &e), -EINVAL);
    assert_null(text);
}

TEST(paths_that_cannot_be_are_refused_and_nothing_is_committed)
{
    static const char *const bad[] = {"", "/x", "a//b", "a/", "../x", "a/../b", ".git/config", "a/.b", "a b", "a\nb"};
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    _cleanup_(ledger_freep) Ledger *l = open_ledger(&d);
    _cleanup_json_ json_t *history = NULL;
    char id[LEDGER_ID_SIZE];

    begin(l, id);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        LedgerStep step = {};

        ledger_put(&step, "good", "x", 1);
        ledger_put(&step, bad[i], "x", 1);
        assert_int_equal(ledger_commit(l, id, &step, "bad", NULL), -EINVAL);
        assert_int_equal(step.n, 0);
        assert_false(step.failed);
    }
    assert_int_equal(ledger_history(l, id, &history, NULL), 0);
    assert_int_equal(json_array_size(history), 1);
}

TEST(the_lock_of_a_killed_writer_does_not_block_the_next)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    _cleanup_(ledger_freep) Ledger *l = open_ledger(&d);
    _cleanup_close_ int stale = -EBADF;
    char id[LEDGER_ID_SIZE];
    LedgerStep step = {};

    begin(l, id);
    stale = openat(d.fd, "ledger.git/refs/evolutions/e-0001.lock", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(stale >= 0);
    ledger_put(&step, "a", "x", 1);
    assert_int_equal(ledger_commit(l, id, &step, "after", NULL), 0);
}

TEST(a_half_made_repository_is_made_anew)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    _cleanup_(ledger_freep) Ledger *l = NULL;

    assert_int_equal(mkdirat_p(d.fd, "ledger.git.new/objects", 0700), 0);
    l = open_ledger(&d);
    assert_int_equal(faccessat(d.fd, "ledger.git.new", F_OK, 0), -1);
}

/* Two processes at once: each of their steps must be there at the end. */
TEST(concurrent_writers_lose_nothing)
{
    enum { STEPS = 10 };
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    _cleanup_(ledger_freep) Ledger *l = open_ledger(&d);
    _cleanup_json_ json_t *history = NULL;
    char id[LEDGER_ID_SIZE];
    int status;
    pid_t child;

    begin(l, id);
    child = fork();
    assert_true(child >= 0);
    for (int i = 0; i < STEPS; i++) {
        LedgerStep step = {};

        ledger_put(&step, child ? "parent" : "child", "x", 1);
        if (ledger_commit(l, id, &step, "step", NULL) < 0) {
            if (!child)
                _exit(1);
            fail();
        }
    }
    if (!child)
        _exit(0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(ledger_history(l, id, &history, NULL), 0);
    assert_int_equal(json_array_size(history), 1 + 2 * STEPS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(ids_count_up_and_survive_a_reopening),
        UNIT(a_step_keeps_earlier_artifacts_and_replaces_its_own),
        UNIT(append_adds_lines),
        UNIT(a_directory_of_artifacts_can_be_laid_out),
        UNIT(what_is_missing_is_named),
        UNIT(paths_that_cannot_be_are_refused_and_nothing_is_committed),
        UNIT(the_lock_of_a_killed_writer_does_not_block_the_next),
        UNIT(a_half_made_repository_is_made_anew),
        UNIT(concurrent_writers_lose_nothing),
    };

    return RUN_TESTS(tests);
}
