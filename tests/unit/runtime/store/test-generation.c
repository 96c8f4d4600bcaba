/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/store/internal.h"
#include "tests/unit/test.h"

#define NOWHERE "0000000000000000000000000000000000000000000000000000000000000000"

typedef struct Fixture {
    TestDirectory d;
    Store *store;
    char a[DIGEST_SIZE], b[DIGEST_SIZE]; /* layers */
} Fixture;

static void make_layer(Fixture *f, const char *name, char digest[static DIGEST_SIZE])
{
    LayerDraft draft;

    assert_int_equal(layer_draft(f->store, &draft, NULL), 0);
    assert_int_equal(mkdirat(draft.fd, name, 0755), 0);
    assert_int_equal(layer_seal(f->store, &draft, digest, NULL), 0);
    assert_int_equal(draft.fd, -EBADF);
}

static Fixture fixture_make(void)
{
    Fixture f = {.d = test_directory_make()};

    assert_int_equal(store_open(f.d.path, &f.store, NULL), 0);
    make_layer(&f, "a", f.a);
    make_layer(&f, "b", f.b);
    return f;
}

static void fixture_remove(Fixture *f)
{
    store_free(f->store);
    test_directory_remove(&f->d);
}
#define _cleanup_fixture_ _cleanup_(fixture_remove)

static void create(Fixture *f, const char *const *layers, const char *commit, char digest[static DIGEST_SIZE])
{
    Error e = {};

    assert_int_equal(generation_create(f->store, "clerk", layers, commit, NULL, digest, &e), 0);
    assert_string_equal(e.text, "");
}

/* What is written here is not what wrote it: as another process would find it. */
static void reopen(Fixture *f)
{
    store_free(f->store);
    assert_int_equal(store_open(f->d.path, &f->store, NULL), 0);
}

TEST(what_was_created_can_be_loaded)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    _cleanup_(generation_freep) Generation *g = NULL;
    const char *const layers[] = {f.b, f.a, NULL};
    char digest[DIGEST_SIZE], again[DIGEST_SIZE];
    int fds[2];

    create(&f, layers, "abc", digest);
    create(&f, layers, "abc", again);
    assert_string_equal(digest, again);
    assert_int_equal(generation_load(f.store, digest, &g, NULL), 0);
    assert_string_equal(g->agent, "clerk");
    assert_string_equal(g->commit, "abc");
    assert_int_equal(g->n_layers, 2);
    assert_string_equal(g->layers[0], f.b);
    assert_int_equal(generation_open_layers(f.store, g, fds, NULL), 0);
    assert_int_equal(faccessat(fds[0], "b", F_OK, 0), 0);
    close(fds[0]);
    close(fds[1]);
}

TEST(a_generation_needs_its_layers)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    const char *const missing[] = {f.a, NOWHERE, NULL}, *const none[] = {NULL};
    char digest[DIGEST_SIZE];
    Error e = {};

    assert_int_equal(generation_create(f.store, "clerk", missing, "", NULL, digest, &e), -ENOENT);
    assert_non_null(strstr(e.text, NOWHERE));
    assert_int_equal(generation_create(f.store, "clerk", none, "", NULL, digest, &e), -EINVAL);
}

TEST(a_changed_manifest_is_found_out)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    _cleanup_(generation_freep) Generation *g = NULL;
    _cleanup_close_ int dir = -EBADF;
    _cleanup_json_ json_t *manifest = NULL;
    const char *const layers[] = {f.a, NULL};
    char digest[DIGEST_SIZE], name[DIGEST_SIZE + 5];
    Error e = {};

    create(&f, layers, "abc", digest);
    snprintf(name, sizeof(name), "%s.json", digest);
    dir = openat(store_fd(f.store), "generations", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(json_read_at(dir, name, 4096, &manifest, NULL), 0);
    assert_int_equal(json_object_set_new(manifest, "commit", json_string("def")), 0);
    assert_int_equal(json_write_at(dir, name, manifest, 0600, 0, NULL), 0);
    assert_int_equal(generation_load(f.store, digest, &g, &e), -EUCLEAN);
    assert_null(g);
    assert_int_equal(generation_load(f.store, "../head", &g, &e), -EINVAL);
    assert_int_equal(generation_load(f.store, NOWHERE, &g, &e), -ENOENT);
}

static int keep_one(json_t *digests, void *userdata, Error *e)
{
    (void) e;
    return json_object_set_new(digests, userdata, json_true());
}

static int collect(Store *store, const char *keep, unsigned grace, bool dry_run, Error *e)
{
    return store_collect(store, &(StoreCollection){keep_one, (void *) keep, grace, dry_run, NULL}, e);
}

TEST(collecting_keeps_what_is_reached_and_removes_the_rest)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    const char *const two[] = {f.b, f.a, NULL}, *const one[] = {f.a, NULL};
    char keep[DIGEST_SIZE], drop[DIGEST_SIZE];
    _cleanup_json_ json_t *left = NULL;

    create(&f, one, "kept", keep);
    create(&f, two, "dropped", drop);
    reopen(&f);
    assert_int_equal(collect(f.store, keep, 3600, false, NULL), 0); /* all is young */
    assert_int_equal(collect(f.store, keep, 0, true, NULL), 2);
    assert_int_equal(layer_verify(f.store, f.b, NULL), 0);
    assert_int_equal(collect(f.store, keep, 0, false, NULL), 2);
    assert_int_equal(generation_list(f.store, &left, NULL), 0);
    assert_int_equal(json_array_size(left), 1);
    assert_int_equal(layer_verify(f.store, f.a, NULL), 0);
    assert_int_equal(layer_verify(f.store, f.b, NULL), -ENOENT);
}

/* Changes what the collection before has noted: of another boot, or (boot_id NULL) all of it seen `usec` after this one began. */
static void change_seen(const Fixture *f, const char *boot_id, json_int_t usec)
{
    _cleanup_json_ json_t *file = NULL;
    const char *name;
    json_t *entry, *seen;

    assert_int_equal(json_read_at(f->d.fd, "collect.json", 65536, &file, NULL), 0);
    if (boot_id)
        json_object_set_new(file, "boot_id", json_string(boot_id));
    seen = json_object_get(file, "seen");
    assert_true(json_object_size(seen) > 0);
    json_object_foreach (seen, name, entry)
        json_object_set_new(entry, "usec", json_integer(usec));
    assert_int_equal(json_write_at(f->d.fd, "collect.json", file, 0600, 0, NULL), 0);
}

/* Until the clock of the file system has ticked. */
static void need_again(Fixture *f, const char *name, char digest[static DIGEST_SIZE])
{
    struct stat before, after;

    assert_int_equal(fstatat(f->store->layers, digest, &before, 0), 0);
    do {
        make_layer(f, name, digest);
        assert_int_equal(fstatat(f->store->layers, digest, &after, 0), 0);
    } while (memcmp(&before.st_ctim, &after.st_ctim, sizeof(before.st_ctim)) == 0);
}

TEST(what_is_needless_goes_when_a_collection_has_seen_it_long_ago)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    const char *const one[] = {f.a, NULL};
    char keep[DIGEST_SIZE];

    create(&f, one, "kept", keep);
    reopen(&f);
    assert_int_equal(collect(f.store, keep, 1, false, NULL), 0); /* never seen before */
    change_seen(&f, NULL, INT64_MAX);
    assert_int_equal(collect(f.store, keep, 1, false, NULL), 0); /* not yet */
    change_seen(&f, NULL, 0);
    assert_int_equal(collect(f.store, keep, 1U << 30, false, NULL), 0); /* not for long enough */
    need_again(&f, "b", f.b);
    reopen(&f);
    assert_int_equal(collect(f.store, keep, 1, false, NULL), 0);
    change_seen(&f, NULL, 0);
    assert_int_equal(collect(f.store, keep, 1, true, NULL), 1);
    change_seen(&f, "00000000-0000-0000-0000-000000000000", INT64_MAX); /* before this boot: as old as that */
    assert_int_equal(collect(f.store, keep, 1, false, NULL), 1);
    assert_int_equal(layer_verify(f.store, f.a, NULL), 0);
    assert_int_equal(layer_verify(f.store, f.b, NULL), -ENOENT);
}

TEST(collecting_waits_for_nobody_who_writes)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    _cleanup_(store_freep) Store *other = NULL;
    const char *const one[] = {f.a, NULL};
    char keep[DIGEST_SIZE];

    create(&f, one, "kept", keep);
    assert_int_equal(store_open(f.d.path, &other, NULL), 0);
    assert_int_equal(collect(f.store, keep, 0, false, NULL), -EBUSY);
    assert_int_equal(collect(other, keep, 0, false, NULL), -EBUSY);
    assert_int_equal(layer_verify(f.store, f.b, NULL), 0);
}

TEST(what_is_pinned_is_not_collected)
{
    _cleanup_fixture_ Fixture f = fixture_make();
    _cleanup_(store_freep) Store *other = NULL;
    const char *const one[] = {f.a, NULL};
    char keep[DIGEST_SIZE];

    create(&f, one, "kept", keep);
    reopen(&f);
    assert_int_equal(store_open(f.d.path, &other, NULL), 0);
    assert_int_equal(store_pin(other, NULL), 0);
    assert_int_equal(collect(f.store, keep, 0, false, NULL), -EBUSY);
    store_unpin(other);
    assert_int_equal(collect(f.store, keep, 0, false, NULL), 1);
}

TEST(collecting_removes_nothing_when_it_does_not_understand)
{
    _cleanup_fixture_ Fixture f = fixture_make();

    reopen(&f);
    assert_int_equal(collect(f.store, NOWHERE, 0, false, NULL), -ENOENT);
    assert_int_equal(layer_verify(f.store, f.b, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(what_was_created_can_be_loaded),
        UNIT(a_generation_needs_its_layers),
        UNIT(a_changed_manifest_is_found_out),
        UNIT(collecting_keeps_what_is_reached_and_removes_the_rest),
        UNIT(what_is_needless_goes_when_a_collection_has_seen_it_long_ago),
        UNIT(collecting_waits_for_nobody_who_writes),
        UNIT(what_is_pinned_is_not_collected),
        UNIT(collecting_removes_nothing_when_it_does_not_understand),
    };

    return RUN_TESTS(tests);
}
