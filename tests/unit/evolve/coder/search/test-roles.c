/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/roles.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"
#include "tests/unit/test.h"

typedef struct Fixture {
    TestDirectory directory;
    json_t *answer;
} Fixture;

static void put(const Fixture *f, const char *directory, const char *name, const char *text)
{
    _cleanup_close_ int dir = -EBADF;

    assert_int_equal(mkdirat_p(f->directory.fd, directory, 0755), 0);
    dir = openat(f->directory.fd, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir >= 0);
    assert_int_equal(file_write_at(dir, name, text, strlen(text), 0644, 0), 0);
}

static Fixture fixture_make(void)
{
    Fixture f = {.directory = test_directory_make()};

    assert_int_equal(mkdirat_p(f.directory.fd, "out", 0755), 0);
    put(&f, "work/lib", "a.py", "def f(a, b):\n    if a < b:\n        return a\n    return b\n");
    put(&f, "evidence/tasks", "t-1.json", "{\"turns\":[],\"graders\":[]}");
    put(&f, "evidence/executed", "failing.tsv", "lib/a.py:2\t1\nlib/a.py:4\t1\n");
    return f;
}

static void fixture_done(Fixture *f)
{
    json_decref(f->answer);
    test_directory_remove(&f->directory);
}
#define _cleanup_fixture_ _cleanup_(fixture_done)

static int ask(Fixture *f, const char *role, Error *e)
{
    _cleanup_free_ char *text = xasprintf(
        "{\"version\":1,\"role\":\"%s\",\"iteration\":1,\"worktree\":\"%s/work\",\"evidence\":\"%s/evidence\","
        "\"out\":\"%s/out\",\"limits\":{\"candidates\":50,\"seconds\":10}}",
        role, f->directory.path, f->directory.path, f->directory.path);
    _cleanup_json_ json_t *o = NULL;
    Request request;

    assert_non_null(text);
    assert_int_equal(json_parse(text, strlen(text), "request", &o, e), 0);
    assert_int_equal(request_read(o, &request, e), 0);
    json_decref(f->answer);
    f->answer = NULL;
    return role_answer(&request, &f->answer, e);
}

static void assert_decision(Fixture *f, const char *role, const char *decision)
{
    Error e = {};

    if (ask(f, role, &e) < 0)
        fail_msg("%s", e.text);
    assert_string_equal(json_string_value(json_object_get(f->answer, "decision")), decision);
    assert_true(json_string_length(json_object_get(f->answer, "why")) > 0);
}

TEST(locate_names_places)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    json_t *place;
    Error e = {};

    assert_int_equal(ask(&f, "locate", &e), 0);
    place = json_array_get(json_object_get(f.answer, "places"), 0);
    assert_string_equal(json_string_value(json_object_get(place, "file")), "lib/a.py");
    assert_true(json_integer_value(json_object_get(place, "line")) >= 2);
    assert_true(json_string_length(json_object_get(f.answer, "summary")) > 0);
}

TEST(plan_covers_every_task_and_passes_its_review)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    _cleanup_free_ char *plan = NULL;
    Error e = {};

    put(&f, "evidence/tasks", "t-2.json", "{}");
    assert_int_equal(ask(&f, "plan", &e), 0);
    assert_int_equal(json_object_size(json_object_get(f.answer, "tasks")), 2);
    assert_string_equal(json_string_value(json_array_get(json_object_get(f.answer, "files"), 0)), "lib/a.py");
    plan = json_canonical(f.answer);
    assert_non_null(plan);
    put(&f, "evidence/stage", "plan.json", plan);
    assert_decision(&f, "plan-review", "APPROVE");
}

TEST(plans_that_promise_too_little_or_nothing_real_are_rejected)
{
    _cleanup_fixture_ Fixture f = fixture_make();

    put(&f, "evidence/stage", "plan.json", "{\"files\":[\"lib/a.py\"],\"tasks\":{\"t-0\":\"x\"}}");
    assert_decision(&f, "plan-review", "REJECT_COMPLETENESS");
    put(&f, "evidence/stage", "plan.json", "{\"files\":[],\"tasks\":{\"t-1\":\"x\"}}");
    assert_decision(&f, "plan-review", "REJECT_ARCHITECTURAL");
    put(&f, "evidence/stage", "plan.json", "{\"files\":[\"../out\"],\"tasks\":{\"t-1\":\"x\"}}");
    assert_decision(&f, "plan-review", "REJECT_ARCHITECTURAL");
    put(&f, "evidence/stage", "plan.json", "{\"files\":[\"lib\"],\"tasks\":{\"t-1\":\"x\"}}");
    assert_decision(&f, "plan-review", "REJECT_ARCHITECTURAL");
    put(&f, "evidence/stage", "plan.json", "{\"files\":[7],\"tasks\":{\"t-1\":\"x\"}}");
    assert_decision(&f, "plan-review", "REJECT_ARCHITECTURAL");
}

TEST(implement_writes_candidates_that_fit_the_file)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    _cleanup_free_ char *data = NULL;
    char *save = NULL;
    size_t n = 0;
    Error e = {};

    assert_int_equal(ask(&f, "implement", &e), 0);
    assert_int_equal(file_read_at(f.directory.fd, "out/candidates.jsonl", 1 << 20, &data, NULL), 0);
    for (char *line = strtok_r(data, "\n", &save); line; line = strtok_r(NULL, "\n", &save), n++) {
        _cleanup_json_ json_t *o = NULL;
        json_t *edit;
        int64_t start, end;

        assert_int_equal(json_parse(line, strlen(line), "line", &o, &e), 0);
        edit = json_array_get(json_object_get(o, "edits"), 0);
        assert_string_equal(json_string_value(json_object_get(edit, "path")), "lib/a.py");
        start = json_integer_value(json_object_get(edit, "start"));
        end = json_integer_value(json_object_get(edit, "end"));
        assert_true(start >= 1 && end >= start - 1 && end <= 4);
        assert_true(json_is_array(json_object_get(edit, "lines")));
    }
    assert_true(n > 10 && n <= 50);
    assert_true(ask(&f, "implement", &e) < 0); /* never over what is there */
}

TEST(code_review_holds_the_change_against_the_plan)
{
    _cleanup_fixture_ Fixture f = fixture_make();

    put(&f, "evidence/stage", "plan.json", "{\"files\":[\"lib/a.py\"],\"tasks\":{}}");
    put(&f, "evidence/stage", "candidate.diff",
        "diff --git a/lib/a.py b/lib/a.py\n--- a/lib/a.py\n+++ b/lib/a.py\n@@ -1 +1 @@\n-x\n+y\n");
    assert_decision(&f, "code-review", "APPROVE");
    put(&f, "evidence/stage", "candidate.diff",
        "diff --git a/lib/b.py b/lib/b.py\n--- a/lib/b.py\n+++ b/lib/b.py\n@@ -1 +1 @@\n-x\n+y\n");
    assert_decision(&f, "code-review", "REJECT_IMPL");
    put(&f, "evidence/stage", "candidate.diff", "diff --git a/lib/a.py b/lib/a.py\nnew file mode 100755\n");
    assert_decision(&f, "code-review", "REJECT_IMPL");
    put(&f, "evidence/stage", "candidate.diff", "");
    assert_decision(&f, "code-review", "REJECT_IMPL");
}

TEST(requests_are_checked)
{
    static const char *const bad[] = {
        "{}",
        "{\"version\":2,\"role\":\"plan\",\"worktree\":\"/\",\"evidence\":\"/\",\"out\":\"/\"}",
        "{\"version\":1,\"role\":7,\"worktree\":\"/\",\"evidence\":\"/\",\"out\":\"/\"}",
        "{\"version\":1,\"role\":\"plan\",\"worktree\":\"/\",\"evidence\":\"/\",\"out\":\"/"
        "\",\"limits\":{\"candidates\":0}}",
    };
    _cleanup_fixture_ Fixture f = fixture_make();
    Error e = {};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_json_ json_t *o = NULL;
        Request request;

        assert_int_equal(json_parse(bad[i], strlen(bad[i]), "request", &o, &e), 0);
        assert_true(request_read(o, &request, &e) < 0);
    }
    assert_true(ask(&f, "cook", &e) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(locate_names_places),
        UNIT(plan_covers_every_task_and_passes_its_review),
        UNIT(plans_that_promise_too_little_or_nothing_real_are_rejected),
        UNIT(implement_writes_candidates_that_fit_the_file),
        UNIT(code_review_holds_the_change_against_the_plan),
        UNIT(requests_are_checked),
    };

    return RUN_TESTS(tests);
}
