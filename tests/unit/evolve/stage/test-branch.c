/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/stage/branch.h"

#include <git2.h>
#include <stdio.h>

#include "evolve/ledger/git.h"
#include "runtime/base/file.h"
#include "tests/unit/test.h"

/* A repository with one commit on main: a.py and lib/b.py, checked out. */
static void repository_make(const TestDirectory *d, char ret_commit[static OID_SIZE])
{
    git_repository *repo = NULL;
    git_index *index = NULL;
    git_signature *who = NULL;
    git_tree *tree = NULL;
    git_oid oid;
    Error e = {};

    assert_int_equal(git_begin(&e), 0);
    assert_int_equal(git_repository_init(&repo, d->path, 0), 0);
    assert_int_equal(file_write_at(d->fd, "a.py", "one\ntwo\n", 8, 0644, 0), 0);
    assert_int_equal(mkdirat_p(d->fd, "lib", 0755), 0);
    _cleanup_close_ int lib = openat(d->fd, "lib", O_RDONLY | O_DIRECTORY);
    assert_int_equal(file_write_at(lib, "b.py", "b\n", 2, 0644, 0), 0);
    assert_int_equal(git_repository_index(&index, repo), 0);
    assert_int_equal(git_index_add_bypath(index, "a.py"), 0);
    assert_int_equal(git_index_add_bypath(index, "lib/b.py"), 0);
    assert_int_equal(git_index_write(index), 0);
    assert_int_equal(git_index_write_tree(&oid, index), 0);
    assert_int_equal(git_tree_lookup(&tree, repo, &oid), 0);
    assert_int_equal(git_moss_signature(&who, &e), 0);
    assert_int_equal(git_commit_create(&oid, repo, "HEAD", who, who, NULL, "first", tree, 0, NULL), 0);
    git_oid_tostr(ret_commit, OID_SIZE, &oid);
    git_tree_free(tree);
    git_signature_free(who);
    git_index_free(index);
    git_repository_free(repo);
    git_libgit2_shutdown();
}

/* Commit that a branch of the repository points to, and whether the work tree is as it was. */
static void expect_branch(const TestDirectory *d, const char *name, const char *commit)
{
    git_repository *repo = NULL;
    git_status_list *status = NULL;
    char hex[OID_SIZE], ref[80];
    git_oid oid;

    assert_true(git_libgit2_init() > 0);
    assert_int_equal(git_repository_open(&repo, d->path), 0);
    snprintf(ref, sizeof(ref), "refs/heads/%s", name);
    assert_int_equal(git_reference_name_to_id(&oid, repo, ref), 0);
    assert_string_equal(git_oid_tostr(hex, sizeof(hex), &oid), commit);
    assert_int_equal(git_status_list_new(&status, repo, NULL), 0);
    assert_int_equal(git_status_list_entrycount(status), 0);
    git_status_list_free(status);
    git_repository_free(repo);
    git_libgit2_shutdown();
}

TEST(a_candidate_is_a_commit_on_its_own_branch_and_the_operators_tree_stays)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    Change changes[] = {{(char *) "a.py", (char *) "one\nTWO\n", 8, false},
                        {(char *) "lib/b.py", NULL, 0, false},
                        {(char *) "new/run", (char *) "#!/bin/sh\n", 10, true}};
    ChangeSet set = {changes, ARRAY_SIZE(changes)};
    char first[OID_SIZE], candidate[OID_SIZE];
    BranchDiff diff = {};
    Error e = {};

    repository_make(&d, first);
    if (branch_commit(d.path, "e-0001", first, &set, "evolve: x", candidate, &e) < 0)
        fail_msg("%s", e.text);
    expect_branch(&d, "moss/e-0001", candidate);
    assert_int_equal(branch_set(d.path, "current", candidate, NULL), 0);
    expect_branch(&d, "moss/current", candidate);

    assert_int_equal(branch_diff(d.path, first, candidate, &diff, &e), 0);
    assert_int_equal(diff.files, 3);
    assert_int_equal(diff.insertions, 2);
    assert_int_equal(diff.deletions, 2);
    assert_non_null(strstr(diff.text, "+TWO"));
    assert_non_null(strstr(diff.text, "new file mode 100755"));
    assert_true(digest_valid(diff.digest));
    branch_diff_done(&diff);
}

TEST(a_new_candidate_moves_the_branch_of_its_evolution)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    Change a = {(char *) "a.py", (char *) "1\n", 2, false}, b = {(char *) "a.py", (char *) "2\n", 2, false};
    ChangeSet one = {&a, 1}, two = {&b, 1};
    char first[OID_SIZE], x[OID_SIZE], y[OID_SIZE];

    repository_make(&d, first);
    assert_int_equal(branch_commit(d.path, "e-0001", first, &one, "one", x, NULL), 0);
    assert_int_equal(branch_commit(d.path, "e-0001", first, &two, "two", y, NULL), 0);
    assert_string_not_equal(x, y);
    expect_branch(&d, "moss/e-0001", y);
}

TEST(an_unknown_commit_is_named)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    char first[OID_SIZE];
    BranchDiff diff = {};
    Error e = {};

    repository_make(&d, first);
    assert_int_equal(branch_diff(d.path, first, "0123456789012345678901234567890123456789", &diff, &e), -ENOENT);
    assert_non_null(strstr(e.text, "01234567"));
    assert_true(branch_set(d.path, "current", "no", &e) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(a_candidate_is_a_commit_on_its_own_branch_and_the_operators_tree_stays),
        UNIT(a_new_candidate_moves_the_branch_of_its_evolution),
        UNIT(an_unknown_commit_is_named),
    };

    return RUN_TESTS(tests);
}
