/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/change.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "tests/unit/test.h"

typedef struct Trees {
    TestDirectory base, work;
} Trees;

static void put(int dirfd, const char *name, const char *text)
{
    assert_int_equal(file_write_at(dirfd, name, text, strlen(text), 0644, 0), 0);
}

static Trees trees_make(void)
{
    Trees t = {test_directory_make(), test_directory_make()};

    put(t.base.fd, "a.py", "one\ntwo\nthree\n");
    put(t.base.fd, "tail", "one\ntwo");
    assert_int_equal(mkdirat_p(t.base.fd, "lib", 0755), 0);
    assert_int_equal(symlinkat("a.py", t.base.fd, "link"), 0);
    assert_int_equal(copy_tree_at(t.base.fd, t.work.fd), 0);
    return t;
}

static void trees_remove(Trees *t)
{
    test_directory_remove(&t->base);
    test_directory_remove(&t->work);
}
#define _cleanup_trees_ _cleanup_(trees_remove)

/* What edits (JSON text) make of the tree; the error text otherwise. */
static int edit(const Trees *t, const char *json, const char *const *globs, ChangeSet *ret, Error *e)
{
    _cleanup_json_ json_t *edits = json_loads(json, 0, NULL);

    assert_non_null(edits);
    return change_from_edits(t->base.fd, edits, globs, ret, e);
}

TEST(edits_replace_insert_and_delete_lines)
{
    static const struct {
        const char *edits, *after;
    } cases[] = {
        {"[{\"path\":\"a.py\",\"start\":2,\"end\":2,\"lines\":[\"TWO\"]}]", "one\nTWO\nthree\n"},
        {"[{\"path\":\"a.py\",\"start\":1,\"end\":0,\"lines\":[\"zero\"]}]", "zero\none\ntwo\nthree\n"},
        {"[{\"path\":\"a.py\",\"start\":4,\"end\":3,\"lines\":[\"four\"]}]", "one\ntwo\nthree\nfour\n"},
        {"[{\"path\":\"a.py\",\"start\":1,\"end\":3,\"lines\":[]}]", ""},
        {"[{\"path\":\"a.py\",\"start\":3,\"end\":3,\"lines\":[\"3\"]},{\"path\":\"a.py\",\"start\":1,\"end\":1,"
         "\"lines\":[\"1\",\"1b\"]}]",
         "1\n1b\ntwo\n3\n"},
        {"[{\"path\":\"tail\",\"start\":3,\"end\":2,\"lines\":[\"three\"]}]", "one\ntwo\nthree\n"},
        {"[{\"path\":\"tail\",\"start\":1,\"end\":1,\"lines\":[\"1\"]}]", "1\ntwo"},
    };
    _cleanup_trees_ Trees t = trees_make();

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_(change_set_done) ChangeSet set = {};
        Error e = {};

        if (edit(&t, cases[i].edits, NULL, &set, &e) < 0)
            fail_msg("%zu: %s", i, e.text);
        assert_int_equal(set.n, 1);
        assert_string_equal(set.changes[0].data, cases[i].after);
        assert_int_equal(set.changes[0].len, strlen(cases[i].after));
    }
}

TEST(edits_that_cannot_be_are_refused_with_the_reason)
{
    static const struct {
        const char *edits, *why;
    } cases[] = {
        {"[]", "0 edits"},
        {"[7]", "no object"},
        {"[{\"path\":\"../x\",\"start\":1,\"end\":1,\"lines\":[]}]", "no path inside the source"},
        {"[{\"path\":\"/etc/passwd\",\"start\":1,\"end\":1,\"lines\":[]}]", "no path inside the source"},
        {"[{\"path\":\".git/config\",\"start\":1,\"end\":1,\"lines\":[]}]", "no path inside the source"},
        {"[{\"path\":\"link\",\"start\":1,\"end\":1,\"lines\":[]}]", "link"},
        {"[{\"path\":\"lib\",\"start\":1,\"end\":1,\"lines\":[]}]", "no regular file"},
        {"[{\"path\":\"none\",\"start\":1,\"end\":1,\"lines\":[]}]", "no file of the source"},
        {"[{\"path\":\"tests/t.py\",\"start\":1,\"end\":1,\"lines\":[]}]", "protected"},
        {"[{\"path\":\"a.py\",\"start\":4,\"end\":4,\"lines\":[]}]", "has no lines 4 to 4"},
        {"[{\"path\":\"a.py\",\"start\":9,\"end\":8,\"lines\":[]}]", "has no lines 9 to 8"},
        {"[{\"path\":\"a.py\",\"start\":3,\"end\":1,\"lines\":[]}]", "no range"},
        {"[{\"path\":\"a.py\",\"start\":0,\"end\":1,\"lines\":[]}]", "start"},
        {"[{\"path\":\"a.py\",\"start\":1,\"end\":1,\"lines\":[\"a\\nb\"]}]", "line break"},
        {"[{\"path\":\"a.py\",\"start\":1,\"end\":2,\"lines\":[]},{\"path\":\"a.py\",\"start\":2,\"end\":2,\"lines\":[]"
         "}]",
         "overlap"},
    };
    static const char *const globs[] = {"tests/", NULL};
    _cleanup_trees_ Trees t = trees_make();

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        ChangeSet set = {};
        Error e = {};

        assert_int_equal(edit(&t, cases[i].edits, globs, &set, &e), -EBADMSG);
        if (!strstr(e.text, cases[i].why))
            fail_msg("%zu: \"%s\" does not say \"%s\"", i, e.text, cases[i].why);
        assert_int_equal(set.n, 0);
    }
}

TEST(edits_that_change_nothing_give_an_empty_set)
{
    _cleanup_trees_ Trees t = trees_make();
    _cleanup_(change_set_done) ChangeSet set = {};

    assert_int_equal(edit(&t, "[{\"path\":\"a.py\",\"start\":1,\"end\":1,\"lines\":[\"one\"]}]", NULL, &set, NULL), 0);
    assert_int_equal(set.n, 0);
}

TEST(globs_protect_files_and_all_below_directories)
{
    static const char *const globs[] = {"tests", "build/", "*.lock", "src/*/keep.c", NULL};

    assert_true(change_path_protected("tests/a/b.py", globs));
    assert_true(change_path_protected("build/x", globs));
    assert_true(change_path_protected("a.lock", globs));
    assert_true(change_path_protected("src/x/keep.c", globs));
    assert_false(change_path_protected("src/x/y/keep.c", globs));
    assert_false(change_path_protected("testsuite/a", globs));
    assert_false(change_path_protected("a.py", globs));
    assert_false(change_path_protected("a.py", NULL));
}

TEST(comparing_trees_finds_changed_added_and_removed_files)
{
    _cleanup_trees_ Trees t = trees_make();
    _cleanup_(change_set_done) ChangeSet set = {};
    struct stat st;

    put(t.work.fd, "a.py", "one\ntwo\nTHREE\n");
    put(t.work.fd, "new.py", "new\n");
    assert_int_equal(fchmodat(t.work.fd, "new.py", 0755, 0), 0);
    assert_int_equal(unlinkat(t.work.fd, "tail", 0), 0);
    assert_int_equal(change_from_trees(t.base.fd, t.work.fd, NULL, &set, NULL), 0);
    assert_int_equal(set.n, 3);
    assert_string_equal(set.changes[0].path, "a.py");
    assert_true(set.changes[1].executable);
    assert_null(set.changes[2].data);

    /* Written onto the base it makes the same tree; undone it makes the base again. */
    assert_int_equal(change_write(t.base.fd, &set, NULL), 0);
    assert_int_equal(fstatat(t.base.fd, "tail", &st, 0), -1);
    assert_int_equal(fstatat(t.base.fd, "new.py", &st, 0), 0);
    assert_true(st.st_mode & S_IXUSR);
}

TEST(undo_puts_back_what_was_written)
{
    _cleanup_trees_ Trees t = trees_make();
    _cleanup_(change_set_done) ChangeSet set = {}, left = {};

    put(t.work.fd, "a.py", "x\n");
    put(t.work.fd, "new.py", "new\n");
    assert_int_equal(unlinkat(t.work.fd, "tail", 0), 0);
    assert_int_equal(change_from_trees(t.base.fd, t.work.fd, NULL, &set, NULL), 0);
    assert_int_equal(change_undo(t.work.fd, t.base.fd, &set, NULL), 0);
    assert_int_equal(change_from_trees(t.base.fd, t.work.fd, NULL, &left, NULL), 0);
    assert_int_equal(left.n, 0);
}

TEST(what_is_no_regular_file_is_refused)
{
    static const struct {
        mode_t type;
        const char *why;
    } kinds[] = {{S_IFLNK, "symbolic link"}, {S_IFIFO, "special file"}};

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        _cleanup_trees_ Trees t = trees_make();
        ChangeSet set = {};
        Error e = {};

        if (kinds[i].type == S_IFLNK)
            assert_int_equal(symlinkat("/etc/shadow", t.work.fd, "lib/x"), 0);
        else
            assert_int_equal(mkfifoat(t.work.fd, "lib/x", 0644), 0);
        assert_int_equal(change_from_trees(t.base.fd, t.work.fd, NULL, &set, &e), -EBADMSG);
        assert_non_null(strstr(e.text, kinds[i].why));
    }
}

TEST(a_changed_symlink_and_a_protected_path_are_refused)
{
    static const char *const globs[] = {"*.py", NULL};
    _cleanup_trees_ Trees t = trees_make();
    ChangeSet set = {};
    Error e = {};

    put(t.work.fd, "b.py", "x");
    assert_int_equal(change_from_trees(t.base.fd, t.work.fd, globs, &set, &e), -EBADMSG);
    assert_non_null(strstr(e.text, "b.py is protected"));
    assert_int_equal(unlinkat(t.work.fd, "b.py", 0), 0);
    assert_int_equal(unlinkat(t.work.fd, "link", 0), 0);
    assert_int_equal(symlinkat("tail", t.work.fd, "link"), 0);
    assert_int_equal(change_from_trees(t.base.fd, t.work.fd, globs, &set, &e), -EBADMSG);
    assert_non_null(strstr(e.text, "symbolic link was changed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(edits_replace_insert_and_delete_lines),
        UNIT(edits_that_cannot_be_are_refused_with_the_reason),
        UNIT(edits_that_change_nothing_give_an_empty_set),
        UNIT(globs_protect_files_and_all_below_directories),
        UNIT(comparing_trees_finds_changed_added_and_removed_files),
        UNIT(undo_puts_back_what_was_written),
        UNIT(what_is_no_regular_file_is_refused),
        UNIT(a_changed_symlink_and_a_protected_path_are_refused),
    };

    return RUN_TESTS(tests);
}
