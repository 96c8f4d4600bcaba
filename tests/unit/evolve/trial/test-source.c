/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "evolve/ledger/git.h"
#include "evolve/trial/source.h"
#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/process.h"
#include "runtime/base/strbuf.h"
#include "tests/unit/test.h"

typedef struct Fixture {
    TestDirectory d;
    char repository[80];
    int out;
} Fixture;

static void git(const Fixture *f, const char *first, ...)
{
    const char *argv[16] = {"git", "-c", "user.name=t", "-c", "user.email=t@localhost", first};
    const ProcessSpec spec = {
        .argv = argv, .cwd = f->repository, .output_max = 65536, .timeout_usec = 60 * USEC_PER_SEC};
    size_t n = 6;
    va_list ap;

    va_start(ap, first);
    while (n < ARRAY_SIZE(argv) - 1 && (argv[n] = va_arg(ap, const char *)))
        n++;
    va_end(ap);
    assert_int_equal(process_run(&spec, NULL, NULL), 0);
}

static void put(const Fixture *f, const char *path, const char *text)
{
    _cleanup_free_ char *full = xasprintf("source/%s", path);
    _cleanup_close_ int fd = openat(f->d.fd, full, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static Fixture fixture_make(void)
{
    Fixture f = {.d = test_directory_make()};

    snprintf(f.repository, sizeof(f.repository), "%s/source", f.d.path);
    assert_int_equal(mkdirat_p(f.d.fd, "source/bin", 0755), 0);
    assert_int_equal(mkdirat(f.d.fd, "out", 0755), 0);
    f.out = openat(f.d.fd, "out", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    git(&f, "init", "-q", "-b", "main", NULL);
    put(&f, "bin/run", "#!/bin/sh\n");
    put(&f, "read me", "text\r\n");
    put(&f, ".gitattributes", "* text=auto\n");
    put(&f, ".gitignore", "*.log\n");
    assert_int_equal(fchmodat(f.d.fd, "source/bin/run", 0755, 0), 0);
    assert_int_equal(symlinkat("/etc/passwd", f.d.fd, "source/link"), 0);
    git(&f, "add", "-A", NULL);
    git(&f, "commit", "-q", "-m", "one", NULL);
    return f;
}

static void fixture_remove(Fixture *f)
{
    close(f->out);
    test_directory_remove(&f->d);
}
#define _cleanup_fixture_ _cleanup_(fixture_remove)

TEST(a_commit_is_written_as_it_is)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    _cleanup_free_ char *text = NULL;
    char commit[SOURCE_OID_SIZE], target[32] = "";
    struct stat st;
    Error e = {};

    assert_int_equal(source_head(f.repository, "main", commit, &e), 0);
    assert_int_equal(source_checkout(f.repository, commit, f.out, &e), 0);
    assert_string_equal(e.text, "");
    assert_int_equal(file_read_at(f.out, "read me", 100, &text, NULL), 0);
    assert_string_equal(text, "text\n"); /* as it was stored; nothing is converted on the way out */
    assert_int_equal(fstatat(f.out, "bin/run", &st, 0), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0755);
    assert_int_equal(fstatat(f.out, ".gitignore", &st, 0), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0644);
    assert_int_equal(readlinkat(f.out, "link", target, sizeof(target) - 1), 11);
    assert_int_equal(faccessat(f.out, ".git", F_OK, 0), -1);
}

TEST(a_dirty_work_tree_is_named)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    _cleanup_free_ char *expected =
        xasprintf("%s has changes that are not committed: a0, a1, a2, a3, a4 and 3 more", f.repository);
    Error e = {};

    assert_int_equal(source_check_clean(f.repository, &e), 0);
    put(&f, "ignored.log", "x");
    assert_int_equal(source_check_clean(f.repository, &e), 0);
    for (unsigned i = 0; i < 8; i++) {
        char name[8];

        snprintf(name, sizeof(name), "a%u", i);
        put(&f, name, "x");
    }
    assert_int_equal(source_check_clean(f.repository, &e), -EUCLEAN);
    assert_string_equal(e.text, expected);
    git(&f, "clean", "-qf", NULL);
    assert_int_equal(source_check_clean(f.repository, NULL), 0);
    assert_int_equal(unlinkat(f.d.fd, "source/bin/run", 0), 0);
    assert_int_equal(source_check_clean(f.repository, &e), -EUCLEAN);
    assert_non_null(strstr(e.text, ": bin/run"));
}

TEST(what_is_not_there_is_said)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    char commit[SOURCE_OID_SIZE] = "untouched";
    Error e = {};

    assert_int_equal(source_head(f.repository, "nowhere", commit, &e), -ENOENT);
    assert_string_equal(commit, "untouched");
    assert_int_equal(source_head(f.d.path, "main", commit, &e), -ENOENT);
    assert_int_equal(source_checkout(f.repository, "not an oid", f.out, &e), -EINVAL);
    assert_int_equal(source_checkout(f.repository, "0123456789012345678901234567890123456789", f.out, &e), -ENOENT);
}

/* A commit with one entry of any name and kind, as only a hostile writer makes it. */
static void forge(const Fixture *f, const char *name, git_filemode_t mode, char commit[static SOURCE_OID_SIZE])
{
    _cleanup_(git_repository_freep) git_repository *repo = NULL;
    _cleanup_(git_signature_freep) git_signature *sig = NULL;
    _cleanup_(strbuf_done) StrBuf raw = {};
    _cleanup_(git_tree_freep) git_tree *tree = NULL;
    git_odb *odb = NULL;
    git_oid blob, id;

    assert_int_equal(git_begin(NULL), 0);
    assert_int_equal(git_repository_open(&repo, f->repository), 0);
    assert_int_equal(git_blob_create_from_buffer(&blob, repo, "x", 1), 0);
    assert_int_equal(strbuf_addf(&raw, "%o %s", mode, name), 0);
    assert_int_equal(strbuf_add(&raw, "", 1), 0);
    assert_int_equal(strbuf_add(&raw, blob.id, sizeof(blob.id)), 0);
    assert_int_equal(git_repository_odb(&odb, repo), 0);
    assert_int_equal(git_odb_write(&id, odb, raw.data, raw.len, GIT_OBJECT_TREE), 0);
    git_odb_free(odb);
    assert_int_equal(git_signature_now(&sig, "t", "t@localhost"), 0);
    if (git_tree_lookup(&tree, repo, &id) < 0) { /* refused by the library already */
        commit[0] = '\0';
        return;
    }
    assert_int_equal(git_commit_create(&id, repo, NULL, sig, sig, NULL, "forged", tree, 0, NULL), 0);
    git_oid_tostr(commit, SOURCE_OID_SIZE, &id);
}

TEST(hostile_names_never_become_files)
{
    static const char *const names[] = {"..", ".", ".git", ".GIT", "../out-of-it", "/etc/moss-test", "a/b"};
    _cleanup_fixture_ Fixture f = fixture_make();
    unsigned forged = 0;

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char commit[SOURCE_OID_SIZE];
        Error e = {};

        forge(&f, names[i], GIT_FILEMODE_BLOB, commit);
        if (!*commit)
            continue;
        forged++;
        assert_int_equal(source_checkout(f.repository, commit, f.out, &e), -EINVAL);
        assert_non_null(strstr(e.text, "cannot be the name of a source file"));
    }
    assert_true(forged > 0);
    assert_int_equal(faccessat(f.d.fd, "out-of-it", F_OK, 0), -1);
    assert_int_equal(faccessat(f.out, ".git", F_OK, 0), -1);
}

TEST(submodules_are_refused)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    char commit[SOURCE_OID_SIZE];
    Error e = {};

    forge(&f, "sub", GIT_FILEMODE_COMMIT, commit);
    assert_int_equal(source_checkout(f.repository, commit, f.out, &e), -EOPNOTSUPP);
    assert_string_equal(e.text, "sub: is a submodule, which a source must not have");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(a_commit_is_written_as_it_is),     UNIT(a_dirty_work_tree_is_named), UNIT(what_is_not_there_is_said),
        UNIT(hostile_names_never_become_files), UNIT(submodules_are_refused),
    };

    return RUN_TESTS(tests);
}
