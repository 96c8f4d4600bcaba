/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "evolve/trial/build.h"
#include "runtime/base/file.h"
#include "runtime/base/strbuf.h"
#include "runtime/box/cgroup.h"
#include "tests/unit/test.h"

#define BUSYBOX "/bin/busybox"

typedef struct Fixture {
    TestDirectory d;
    Store *store;
    int base, source, cgroup;
} Fixture;

static void copy_busybox(int root)
{
    _cleanup_free_ char *data = NULL;
    size_t len;

    if (file_read_at(AT_FDCWD, BUSYBOX, 16 << 20, &data, &len) < 0)
        skip();
    assert_int_equal(file_write_at(root, "busybox", data, len, 0755, 0), 0);
}

static Fixture fixture_make(void)
{
    static const char *const directories[] = {"root/bin", "root/etc/old", "root/opt", "src"};
    static const char *const applets[] = {"sh", "mkdir", "rm", "sleep", "dd", "ln", "chmod", "cat"};
    Fixture f = {.d = test_directory_make()};
    _cleanup_close_ int bin = -EBADF;
    char path[80];

    for (size_t i = 0; i < ARRAY_SIZE(directories); i++)
        assert_int_equal(mkdirat_p(f.d.fd, directories[i], 0755), 0);
    bin = openat(f.d.fd, "root/bin", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    copy_busybox(bin);
    for (size_t i = 0; i < ARRAY_SIZE(applets); i++)
        assert_int_equal(symlinkat("busybox", bin, applets[i]), 0);
    f.base = openat(f.d.fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    f.source = openat(f.d.fd, "src", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(file_write_at(f.source, "input", "data", 4, 0644, 0), 0);
    snprintf(path, sizeof(path), "%s/store", f.d.path);
    assert_int_equal(store_open(path, &f.store, NULL), 0);
    f.cgroup = cgroup_open_base(NULL);
    return f;
}

static void fixture_remove(Fixture *f)
{
    store_free(f->store);
    close(f->base);
    close(f->source);
    fd_closep(&f->cgroup);
    test_directory_remove(&f->d);
}
#define _cleanup_fixture_ _cleanup_(fixture_remove)

/* Runs a shell script as the build command. */
static LayerDraft build(Fixture *f, const char *script, unsigned seconds, BuildResult *result)
{
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    const Agent agent = {.build_argv = argv,
                         .build_timeout_seconds = seconds,
                         .limit_memory = 64 << 20,
                         .limit_processes = 32,
                         .limit_disk = 4 << 20};
    const BuildSpec spec = {&agent, f->base, f->source, MAX(f->cgroup, 0), "test-build"};
    LayerDraft draft = {.fd = -EBADF};
    Error e = {};

    assert_int_equal(build_run(&spec, f->store, &draft, result, &e), 0);
    assert_string_equal(e.text, "");
    return draft;
}

static unsigned drafts(const Fixture *f)
{
    _cleanup_closedir_ DIR *d = fdopendir(openat(store_fd(f->store), "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    unsigned n = 0;

    while (readdir(d))
        n++;
    return n - 2;
}

static void check_failure(Fixture *f, const char *script, unsigned seconds, const char *why)
{
    _cleanup_(build_result_done) BuildResult result = {};
    LayerDraft draft = build(f, script, seconds, &result);

    assert_false(result.ok);
    assert_string_equal(result.why, why);
    assert_int_equal(draft.fd, -EBADF);
    assert_int_equal(drafts(f), 0);
}

TEST(what_is_written_becomes_the_layer)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    _cleanup_(build_result_done) BuildResult result = {};
    _cleanup_free_ char *text = NULL;
    LayerDraft draft =
        build(&f,
              "cat input; echo again >&2; mkdir /opt/a; cat /src/input >/opt/a/copy; rm -r /etc/old; echo x >/tmp/x;"
              "mkdir -p /state /moss; echo x >/state/x; chmod 6755 /opt/a/copy",
              60, &result);
    char digest[DIGEST_SIZE];
    struct stat st;

    assert_true(result.ok);
    assert_string_equal(result.why, "");
    assert_string_equal(result.log, "dataagain\n");
    assert_true(draft.fd >= 0);
    {
        _cleanup_close_ int a = openat(draft.fd, "opt/a", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_int_equal(file_read_at(a, "copy", 100, &text, NULL), 0);
    }
    assert_string_equal(text, "data");
    assert_int_equal(fstatat(draft.fd, "opt/a/copy", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0755); /* no set-id bits */
    assert_int_equal(fstatat(draft.fd, "opt/a", &st, 0), 0);
    assert_int_equal(st.st_uid, geteuid());
    assert_int_equal(fstatat(draft.fd, "etc/old", &st, 0), 0);
    assert_true(S_ISCHR(st.st_mode) && st.st_rdev == 0); /* gone */
    assert_int_equal(faccessat(draft.fd, "tmp", F_OK, 0), -1);
    assert_int_equal(faccessat(draft.fd, "state", F_OK, 0), -1);
    assert_int_equal(faccessat(draft.fd, "src", F_OK, 0), -1);
    assert_int_equal(layer_seal(f.store, &draft, digest, NULL), 0);
    assert_int_equal(layer_verify(f.store, digest, NULL), 0);
}

TEST(the_same_source_gives_the_same_layer)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    char digests[2][DIGEST_SIZE];

    for (unsigned i = 0; i < 2; i++) {
        _cleanup_(build_result_done) BuildResult result = {};
        LayerDraft draft =
            build(&f, "mkdir -p /opt/x/y; cat /src/input >/opt/x/y/z; ln /opt/x/y/z /opt/x/hard", 60, &result);

        assert_true(result.ok);
        assert_int_equal(layer_seal(f.store, &draft, digests[i], NULL), 0);
    }
    assert_string_equal(digests[0], digests[1]);
}

TEST(failures_say_why)
{
    _cleanup_fixture_ Fixture f = fixture_make();

    check_failure(&f, "exit 3", 60, "exit 3");
    check_failure(&f, "kill -9 $$; sleep 1; exit 4", 60, "exit 4"); /* PID 1 of the box: the signal does not reach it */
    check_failure(&f, "sleep 100 & sleep 100", 1, "not done after 1 s");
    check_failure(&f, "dd if=/dev/zero of=/opt/big bs=64k count=1000 2>/dev/null", 60,
                  "no space left: 4 MiB are allowed");
}

TEST(the_source_cannot_be_written)
{
    _cleanup_fixture_ Fixture f = fixture_make();

    check_failure(&f, "echo x >/src/new || exit 7", 60, "exit 7");
    assert_int_equal(faccessat(f.source, "new", F_OK, 0), -1);
}

TEST(a_flood_of_output_is_cut_to_its_end)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    _cleanup_(build_result_done) BuildResult result = {};
    LayerDraft draft = build(&f, "dd if=/dev/zero bs=64k count=200 2>/dev/null; echo; echo the end", 60, &result);

    assert_true(result.ok);
    assert_true(strlen(result.log) <= 16384);
    layer_draft_drop(f.store, &draft);
    assert_int_equal(drafts(&f), 0);
}

TEST(what_cannot_be_kept_fails_the_build)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    _cleanup_(build_result_done) BuildResult result = {};

    (void) build(&f, "i=0; while [ $i -lt 300 ]; do mkdir d; cd d; i=$((i+1)); done 2>/dev/null; exit 9", 60, &result);
    assert_false(result.ok); /* the working directory is the source */
    build_result_done(&result);
    (void) build(&f, "cd /opt; i=0; while [ $i -lt 300 ]; do mkdir d; cd d; i=$((i+1)); done", 60, &result);
    assert_false(result.ok);
    assert_non_null(strstr(result.why, "made what cannot be kept: opt/d/d"));
    assert_int_equal(drafts(&f), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(what_is_written_becomes_the_layer),
        UNIT(the_same_source_gives_the_same_layer),
        UNIT(failures_say_why),
        UNIT(the_source_cannot_be_written),
        UNIT(a_flood_of_output_is_cut_to_its_end),
        UNIT(what_cannot_be_kept_fails_the_build),
    };

    return RUN_TESTS(tests);
}
