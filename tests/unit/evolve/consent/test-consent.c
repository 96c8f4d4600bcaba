/* SPDX-License-Identifier: Apache-2.0 */
/* Real keys and real ssh-keygen signatures, in a directory of the test's own. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "evolve/consent/consent.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/process.h"
#include "runtime/base/strbuf.h"

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

typedef struct Fixture {
    char dir[64];
    int fd;
    char signers[100];
    ConsentPlace place;
    ConsentFacts facts;
} Fixture;

static void run(const Fixture *f, const char *const *argv)
{
    ProcessSpec spec = {.argv = argv, .cwd = f->dir, .output_max = 1 << 16, .timeout_usec = 30 * USEC_PER_SEC};
    _cleanup_free_ char *output = NULL;
    Error e = {};

    if (process_run(&spec, &output, &e) != 0)
        fail_msg("%s: %s %s", argv[0], e.text, output ? output : "");
}

static void make_key(const Fixture *f, const char *name)
{
    const char *argv[] = {"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", name, NULL};

    run(f, argv);
}

static int setup(void **state)
{
    _cleanup_free_ char *key = NULL, *line = NULL;
    Fixture *f = calloc(1, sizeof(*f));

    snprintf(f->dir, sizeof(f->dir), "/tmp/moss-test-consent-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    make_key(f, "ann");
    make_key(f, "eve");
    assert_int_equal(file_read_at(f->fd, "ann.pub", 4096, &key, NULL), 0);
    line = xasprintf("ann@example.org namespaces=\"moss-consent\" %s", key);
    assert_int_equal(file_write_at(f->fd, "signers", line, strlen(line), 0600, 0), 0);
    snprintf(f->signers, sizeof(f->signers), "%s/signers", f->dir);
    f->place = (ConsentPlace){.agent_directory = f->dir, .allowed_signers = f->signers};
    f->facts = (ConsentFacts){.agent = "clerk",
                              .evolution = "e-0001",
                              .batch = "b-0001",
                              .generation = DIGEST,
                              .commit = "c0ffee",
                              .base_generation = "base",
                              .diff_digest = "diff",
                              .evidence_digest = "evidence",
                              .scores_digest = "scores"};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    Fixture *f = *state;

    close(f->fd);
    assert_int_equal(rm_rf_at(AT_FDCWD, f->dir), 0);
    free(f);
    return 0;
}

static char *request(const Fixture *f, unsigned seconds)
{
    char *text = NULL;
    Error e = {};

    assert_int_equal(consent_request(&f->facts, seconds, &text, &e), 0);
    return text;
}

static char *sign(const Fixture *f, const char *text, const char *key, const char *name_space)
{
    const char *argv[] = {"ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", name_space, "text", NULL};
    char *signature;

    (void) unlinkat(f->fd, "text.sig", 0);
    assert_int_equal(file_write_at(f->fd, "text", text, strlen(text), 0600, 0), 0);
    run(f, argv);
    assert_int_equal(file_read_at(f->fd, "text.sig", 1 << 16, &signature, NULL), 0);
    return signature;
}

static int granted(const Fixture *f, const char *text, const char *signature, Error *e)
{
    _cleanup_(consent_grant_done) ConsentGrant grant = {};
    int r = consent_by_signature(&f->place, &f->facts, text, signature, &grant, e);

    assert_int_equal(r == 0, grant.record != NULL);
    assert_int_equal(r == 0, digest_valid(grant.digest));
    assert_int_equal(r == 0, e->text[0] == '\0');
    /* Nothing is left of the check. */
    assert_true(faccessat(f->fd, "consents/signature.tmp", F_OK, 0) < 0);
    return r;
}

static void a_signed_request_is_granted_once(void **state)
{
    Fixture *f = *state;
    _cleanup_free_ char *text = request(f, 60), *signature = sign(f, text, "ann", "moss-consent");
    Error e = {};

    assert_int_equal(granted(f, text, signature, &e), 0);
    assert_int_equal(granted(f, text, signature, &e), -EALREADY);
    assert_non_null(strstr(e.text, "used already, at 20"));
}

static void another_key_or_namespace_is_refused(void **state)
{
    Fixture *f = *state;
    _cleanup_free_ char *text = request(f, 60), *by_eve = sign(f, text, "eve", "moss-consent"),
                        *for_git = sign(f, text, "ann", "git");
    Error e = {};

    assert_int_equal(granted(f, text, by_eve, &e), -EKEYREJECTED);
    e = (Error){};
    assert_int_equal(granted(f, text, for_git, &e), -EKEYREJECTED);
}

static void a_signature_over_something_else_is_refused(void **state)
{
    Fixture *f = *state;
    _cleanup_free_ char *text = request(f, 60), *other = request(f, 60),
                        *signature = sign(f, other, "ann", "moss-consent");
    Error e = {};

    assert_int_equal(granted(f, text, signature, &e), -EKEYREJECTED);
}

static void garbage_is_refused(void **state)
{
    Fixture *f = *state;
    static const char *const garbage[] = {"", "garbage", "-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n",
                                          "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"};
    _cleanup_free_ char *text = request(f, 60);

    for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
        Error e = {};

        assert_int_equal(granted(f, text, garbage[i], &e), -EKEYREJECTED);
    }
    /* Signed by the right key, but no request. */
    for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
        _cleanup_free_ char *signature = sign(f, garbage[i], "ann", "moss-consent");
        Error e = {};

        assert_true(granted(f, garbage[i], signature, &e) < 0);
    }
}

/* Signed as it should be, but written otherwise: what the operator saw may not be what is read. */
static void only_the_canonical_form_is_a_request(void **state)
{
    Fixture *f = *state;
    _cleanup_free_ char *text = request(f, 60), *spaced = xasprintf(" %s", text), *signature = NULL;
    Error e = {};

    signature = sign(f, spaced, "ann", "moss-consent");
    assert_int_equal(granted(f, spaced, signature, &e), -EBADMSG);
}

static void an_expired_consent_is_refused(void **state)
{
    Fixture *f = *state;
    _cleanup_json_ json_t *o = NULL;
    _cleanup_free_ char *fresh = request(f, 60), *line = NULL, *text = NULL, *signature = NULL;
    Error e = {};

    o = json_loads(fresh, 0, NULL);
    json_object_set_new(o, "expires", json_string("2020-01-01T00:00:00Z"));
    line = json_canonical(o);
    text = xasprintf("%s\n", line);
    signature = sign(f, text, "ann", "moss-consent");
    assert_int_equal(granted(f, text, signature, &e), -ETIME);
    assert_non_null(strstr(e.text, "2020-01-01"));
}

static void any_drift_voids_it_and_is_named(void **state)
{
    Fixture *f = *state;
    _cleanup_free_ char *text = request(f, 60), *signature = sign(f, text, "ann", "moss-consent");
    const ConsentFacts facts = f->facts;
    const struct {
        const char **fact, *name;
    } drifts[] = {
        {&f->facts.agent, "agent"},
        {&f->facts.evolution, "evolution"},
        {&f->facts.batch, "batch"},
        {&f->facts.generation, "generation"},
        {&f->facts.commit, "commit"},
        {&f->facts.base_generation, "base_generation"},
        {&f->facts.diff_digest, "diff_digest"},
        {&f->facts.evidence_digest, "evidence_digest"},
        {&f->facts.scores_digest, "scores_digest"},
    };
    Error e = {};

    for (size_t i = 0; i < ARRAY_SIZE(drifts); i++) {
        e = (Error){};
        *drifts[i].fact = "drifted";
        assert_int_equal(granted(f, text, signature, &e), -ESTALE);
        assert_non_null(strstr(e.text, drifts[i].name));
        f->facts = facts;
    }
    e = (Error){};
    assert_int_equal(granted(f, text, signature, &e), 0); /* no refusal spent it */
}

static void signers_that_others_may_write_are_refused(void **state)
{
    Fixture *f = *state;
    _cleanup_free_ char *text = request(f, 60), *signature = sign(f, text, "ann", "moss-consent");
    Error e = {};

    assert_int_equal(fchmodat(f->fd, "signers", 0666, 0), 0);
    assert_int_equal(granted(f, text, signature, &e), -EPERM);
}

static void typing_confirms_only_where_no_signers_are_configured(void **state)
{
    Fixture *f = *state;
    _cleanup_(consent_grant_done) ConsentGrant grant = {}, second = {};
    Error e = {};

    assert_int_equal(consent_by_typing(&f->place, &f->facts, "01234567", &grant, &e), -EPERM);
    f->place.allowed_signers = NULL;
    assert_int_equal(consent_by_typing(&f->place, &f->facts, "0123456", &grant, &e), -EPERM);
    assert_int_equal(consent_by_typing(&f->place, &f->facts, "012345678", &grant, &e), -EPERM);
    assert_int_equal(consent_by_typing(&f->place, &f->facts, "01234568", &grant, &e), -EPERM);
    assert_null(grant.record);
    assert_int_equal(consent_by_typing(&f->place, &f->facts, "01234567", &grant, &e), 0);
    assert_true(digest_valid(grant.digest));
    assert_int_equal(consent_by_typing(&f->place, &f->facts, "01234567", &second, &e), 0);
    assert_string_not_equal(grant.digest, second.digest);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_signed_request_is_granted_once),
        TEST(another_key_or_namespace_is_refused),
        TEST(a_signature_over_something_else_is_refused),
        TEST(garbage_is_refused),
        TEST(only_the_canonical_form_is_a_request),
        TEST(an_expired_consent_is_refused),
        TEST(any_drift_voids_it_and_is_named),
        TEST(signers_that_others_may_write_are_refused),
        TEST(typing_confirms_only_where_no_signers_are_configured),
    };

    return cmocka_run_group_tests_name("consent", tests, NULL, NULL);
}
