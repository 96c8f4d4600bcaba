/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "evolve/coder/search/search.h"
#include "runtime/base/file.h"
#include "tests/unit/test.h"

/* A worktree and an evidence directory, both below one of the test's own. */
typedef struct Fixture {
    TestDirectory directory;
    int worktree, evidence;
    Session session;
} Fixture;

static int make_directory(Fixture *f, const char *name)
{
    int fd;

    assert_int_equal(mkdirat_p(f->directory.fd, name, 0755), 0);
    fd = openat(f->directory.fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static Fixture fixture_make(void)
{
    Fixture f = {.directory = test_directory_make()};

    f.worktree = make_directory(&f, "worktree");
    f.evidence = make_directory(&f, "evidence");
    close(make_directory(&f, "evidence/tasks"));
    close(make_directory(&f, "evidence/executed"));
    return f;
}

static void fixture_done(Fixture *f)
{
    search_close(&f->session);
    close(f->worktree);
    close(f->evidence);
    test_directory_remove(&f->directory);
}
#define _cleanup_fixture_ _cleanup_(fixture_done)

static void put(int fd, const char *directory, const char *name, const char *text)
{
    _cleanup_close_ int dir = openat(fd, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(dir >= 0);
    assert_int_equal(file_write_at(dir, name, text, strlen(text), 0644, 0), 0);
}

static size_t propose(Fixture *f, size_t limit)
{
    Error e = {};

    assert_int_equal(search_open(&f->session, f->worktree, f->evidence, &e), 0);
    assert_int_equal(search_propose(&f->session.search, limit, &e), 0);
    return f->session.search.n;
}

/* The rank (from 1) of the candidate that puts exactly these lines in place of others, 0 if there is none. */
static size_t rank_of(const Fixture *f, const char *text)
{
    const Search *s = &f->session.search;

    for (size_t i = 0; i < s->n; i++)
        for (uint32_t k = 0; k < s->candidates[i].n_edits; k++)
            if (streq_ptr(s->candidates[i].edits[k].text, text))
                return i + 1;
    return 0;
}

static const char store[] = "class Store:\n"
                            "    def __init__(self, shelf):\n"
                            "        self._shelf = shelf\n"
                            "\n"
                            "    def put(self, user, key, value):\n"
                            "        facts = self._shelf.load(user)\n"
                            "        facts[key] = value\n"
                            "        self._shelf.save(user, facts)\n"
                            "        return value\n"
                            "\n"
                            "    def drop(self, user, key):\n"
                            "        facts = self._shelf.load(user)\n"
                            "        del facts[key]\n"
                            "        return key\n"
                            "\n"
                            "    def newest(self, user, count):\n"
                            "        entries = self._shelf.load(user)\n"
                            "        return entries[:count]\n";

TEST(a_step_that_siblings_take_comes_first)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    size_t rank;

    put(f.worktree, ".", "store.py", store);
    put(f.evidence, "executed", "failing.tsv", "store.py:12\t2\nstore.py:13\t2\nstore.py:14\t2\nstore.py:3\t2\n");
    put(f.evidence, "executed", "passing.tsv",
        "store.py:6\t2\nstore.py:7\t2\nstore.py:8\t2\nstore.py:9\t2\nstore.py:3\t2\n");
    assert_true(propose(&f, 4000) > 50);
    rank = rank_of(&f, "        self._shelf.save(user, facts)");
    assert_true(rank > 0 && rank <= 20);
}

TEST(a_slice_at_the_wrong_end_is_turned_around)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    size_t rank;

    put(f.worktree, ".", "store.py", store);
    put(f.evidence, "executed", "failing.tsv", "store.py:17\t1\nstore.py:18\t1\n");
    propose(&f, 4000);
    rank = rank_of(&f, "        return entries[-count:]");
    assert_true(rank > 0 && rank <= 20);
}

TEST(each_kind_of_edit_is_proposed)
{
    static const struct {
        const char *source, *line;
    } cases[] = {
        {"def f(a, b):\n    if a < b:\n        return a\n    return b\n", "    if a <= b:"},
        {"def f(a, b):\n    if a and b:\n        return a\n    return b\n", "    if a:"},
        {"def f(a, b):\n    return {**a, **b}\n", "    return {**b, **a}"},
        {"A = (f, g)\n", "A = (g, f)"},
        {"def f(rows):\n    for row in reversed(rows):\n        print(row)\n", "    for row in rows:"},
        {"def f(rows):\n    for row in rows:\n        print(row)\n        break\n", NULL},
        {"def f(user, name):\n    return f\"{user}\"\n", "    return f\"{user}/{name}\""},
        {"def f(user, name):\n    key = (user, 1)\n    return key\n", "    key = (user, 1, name)"},
        {"def f(rows):\n    n = 0\n    for row in rows:\n        n = row\n    return n\n", "        n += row"},
        {"def f(x):\n    return g(x, deep=True)\ndef h(x):\n    return g(x)\n", "    return g(x, deep=True)"},
        {"def f(x):\n    return x['keys']\ndef h(x):\n    return x['key']\n", "    return x['keys']"},
        {"def f(x=[]):\n    x.append(1)\n    return x\n", "    x = list(x)"},
        {"def f(n):\n    return range(n - 1)\n", "    return range(n)"},
        {"def f(x):\n    try:\n        g(x)\n    except A:\n        pass\n    try:\n        h(x)\n    except B:\n      "
         "  raise\n",
         "        raise"},
        {"function f(a, b) {\n    if (a < b) {\n        return a;\n    }\n    return b;\n}\n", "    if (a <= b) {"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_fixture_ Fixture f = fixture_make();

        put(f.worktree, ".", startswith(cases[i].source, "function") ? "a.js" : "a.py", cases[i].source);
        propose(&f, 20000);
        if (cases[i].line && rank_of(&f, cases[i].line) == 0)
            fail_msg("not proposed: %s", cases[i].line);
    }
}

TEST(brackets_stay_even_and_nothing_comes_twice)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    const Search *s = &f.session.search;

    put(f.worktree, ".", "store.py", store);
    propose(&f, 20000);
    for (size_t i = 0; i < s->n; i++) {
        for (uint32_t k = 0; k < s->candidates[i].n_edits; k++) {
            const char *text = s->candidates[i].edits[k].text;
            Tokens tokens;

            assert_int_equal(lex(&f.session.arena, &f.session.symbols, LANGUAGE_PYTHON, text ? text : "",
                                 text ? strlen(text) : 0, &tokens),
                             0);
            assert_int_equal(tokens.unmatched, 0);
        }
        for (size_t k = 0; k < i; k++)
            assert_true(s->candidates[k].hash != s->candidates[i].hash);
    }
}

TEST(the_same_input_gives_the_same_order)
{
    _cleanup_fixture_ Fixture a = fixture_make(), b = fixture_make();

    put(a.worktree, ".", "store.py", store);
    put(b.worktree, ".", "store.py", store);
    assert_int_equal(propose(&a, 100), 100);
    assert_int_equal(propose(&b, 100), 100);
    for (size_t i = 0; i < 100; i++)
        assert_true(a.session.search.candidates[i].hash == b.session.search.candidates[i].hash);
}

TEST(what_was_tried_is_not_proposed_again)
{
    _cleanup_fixture_ Fixture f = fixture_make();

    put(f.worktree, ".", "store.py", store);
    put(f.evidence, ".", "tried.jsonl",
        "{\"candidate\":\"c-00001\",\"iteration\":1,\"outcome\":\"failed\",\"edits\":[{\"path\":\"store.py\",\"start\":"
        "18,"
        "\"end\":18,\"lines\":[\"        return entries[-count:]\"]}]}\n"
        "not JSON\n{}\n{\"edits\":[{\"path\":\"../x\",\"start\":1,\"end\":1}]}\n"
        "{\"edits\":[{\"path\":\"store.py\",\"start\":-4,\"end\":99999999,\"lines\":[1]}]}\n");
    propose(&f, 20000);
    assert_int_equal(rank_of(&f, "        return entries[-count:]"), 0);
    assert_true(rank_of(&f, "        return entries[count:]") > 0);
}

TEST(two_improvements_are_tried_together)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    const Candidate *c;

    put(f.worktree, ".", "store.py", store);
    put(f.evidence, ".", "tried.jsonl",
        "{\"iteration\":1,\"outcome\":\"improved\",\"edits\":[{\"path\":\"store.py\",\"start\":18,\"end\":18,\"lines\":"
        "[\"        "
        "return entries\"]}]}\n"
        "{\"iteration\":1,\"outcome\":\"improved\",\"edits\":[{\"path\":\"store.py\",\"start\":13,\"end\":13,\"lines\":"
        "[\"        "
        "pass\"]}]}\n");
    propose(&f, 20000);
    c = &f.session.search.candidates[0];
    assert_int_equal(c->op, OPERATOR_PAIR);
    assert_int_equal(c->n_edits, 2);
}

TEST(hostile_trees_are_skipped_not_followed)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    _cleanup_free_ char *long_line = malloc(200000);

    assert_non_null(long_line);
    memset(long_line, 'x', 199999);
    long_line[199999] = '\0';
    put(f.worktree, ".", "long.py", long_line);
    assert_int_equal(file_write_at(f.worktree, "binary.py", "x\0y", 3, 0644, 0), 0);
    put(f.worktree, ".", "broken.py", "f(\n");
    put(f.worktree, ".", "good.py", "x = 1\n");
    assert_int_equal(symlinkat("/etc/passwd", f.worktree, "link.py"), 0);
    assert_int_equal(symlinkat(".", f.worktree, "loop"), 0);
    assert_int_equal(mkfifoat(f.worktree, "pipe.py", 0644), 0);
    put(f.evidence, "executed", "failing.tsv",
        "../../etc/passwd:1\t1\nlink.py:1\t1\npipe.py:1\t1\ngood.py:1\t1\nrubbish\n:\t\ngood.py:x\t1\n");
    propose(&f, 100);
    assert_int_equal(f.session.tree.n_files, 1);
    assert_string_equal(f.session.tree.files[0].path, "good.py");
    assert_true(f.session.tree.skipped >= 3);
}

TEST(an_empty_tree_gives_nothing)
{
    _cleanup_fixture_ Fixture f = fixture_make();

    assert_int_equal(propose(&f, 100), 0);
}

TEST(lines_of_failing_tasks_alone_are_most_suspicious)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    const File *file;

    put(f.worktree, ".", "a.py", "def f(x):\n    a(x)\n    b(x)\n    if x:\n        c(x)\n\ndef g(x):\n    d(x)\n");
    put(f.evidence, "executed", "failing.tsv", "a.py:2\t2\na.py:3\t2\na.py:4\t2\n");
    put(f.evidence, "executed", "passing.tsv", "a.py:2\t4\na.py:8\t4\n");
    propose(&f, 10);
    file = &f.session.tree.files[0];
    assert_true(file->statements[2].suspicion > file->statements[1].suspicion); /* b over a */
    assert_true(file->statements[1].suspicion > file->statements[4].suspicion); /* a over c, which did not run */
    assert_true(file->statements[4].suspicion > file->statements[6].suspicion); /* c over d, of another function */
}

TEST(words_of_failing_turns_raise_their_function)
{
    _cleanup_fixture_ Fixture f = fixture_make();

    put(f.worktree, ".", "a.py", "def list_orders(x):\n    return x\n\ndef forecast(x):\n    return x\n");
    put(f.evidence, "tasks", "t-1.json",
        "{\"turns\":[{\"text\":\"Show the "
        "Forecast\"}],\"graders\":[{\"kind\":\"expect\",\"turn\":0,\"contains\":\"sun\"}]}");
    put(f.evidence, "tasks", "t-2.json", "rubbish");
    propose(&f, 10);
    assert_int_equal(f.session.hints.n_tasks, 1);
    assert_true(f.session.tree.files[0].statements[3].suspicion > f.session.tree.files[0].statements[1].suspicion);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(a_step_that_siblings_take_comes_first),
        UNIT(a_slice_at_the_wrong_end_is_turned_around),
        UNIT(each_kind_of_edit_is_proposed),
        UNIT(brackets_stay_even_and_nothing_comes_twice),
        UNIT(the_same_input_gives_the_same_order),
        UNIT(what_was_tried_is_not_proposed_again),
        UNIT(two_improvements_are_tried_together),
        UNIT(hostile_trees_are_skipped_not_followed),
        UNIT(an_empty_tree_gives_nothing),
        UNIT(lines_of_failing_tasks_alone_are_most_suspicious),
        UNIT(words_of_failing_turns_raise_their_function),
    };

    return RUN_TESTS(tests);
}
