/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "shim/client/files.h"
#include "shim/swap/epoch.h"
#include "shim/swap/head.h"
#include "shim/swap/record.h"
#include "shim/swap/schema.h"
#include "tests/unit/test.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static Head head_of(SwapState state)
{
    return (Head){.seq = 9,
                  .state = state,
                  .txid = 2,
                  .next_epoch = 5,
                  .cur = {A, 3},
                  .cand = {B, 4},
                  .prev = {"", EPOCH_NONE},
                  .fallback = {"", EPOCH_NONE},
                  .aside = {{{A, 1}, 61000000}, {{B, 2}, -1}},
                  .n_aside = 2,
                  .served_at = 77,
                  .served = true,
                  .boot_id = "11111111-1111-1111-1111-111111111111",
                  .reason = "why \"not\"",
                  .consent = A,
                  .rehearsed = true};
}

TEST(a_head_comes_back_as_it_was_written_in_every_state)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();

    for (SwapState s = 0; s < SWAP_STATES; s++) {
        HeadFile file = {.dir = d.fd};
        Head h = head_of(s), back;
        bool fresh = true;

        assert_int_equal(head_save(&file, &h, false, NULL), 0);
        assert_int_equal(head_load(d.fd, &back, &fresh, NULL), 0);
        assert_false(fresh);
        assert_int_equal(back.state, s);
        assert_string_equal(back.cur.generation, A);
        assert_int_equal(back.cand.epoch, 4);
        assert_string_equal(back.prev.generation, "");
        assert_int_equal(back.n_aside, 2);
        assert_memory_equal(back.aside, h.aside, sizeof(h.aside));
        assert_int_equal(back.served_at, 77);
        assert_true(back.served);
        assert_string_equal(back.reason, h.reason);
        assert_string_equal(back.consent, A);
        assert_true(back.rehearsed);
        assert_string_equal(back.boot_id, h.boot_id);
    }
}

TEST(a_head_with_any_byte_changed_is_refused)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    _cleanup_free_ char *text = NULL;
    HeadFile file = {.dir = d.fd};
    Head h = head_of(SWAP_TRYING), back;
    size_t len;
    bool fresh;

    assert_int_equal(head_save(&file, &h, false, NULL), 0);
    assert_int_equal(file_read_at(d.fd, "head.json", 16384, &text, &len), 0);
    for (size_t i = 0; i < len; i++) {
        char saved = text[i];

        if (saved == ' ' || saved == '\n')
            continue; /* layout is not part of what is signed */
        text[i] = saved == '1' ? '2' : '1';
        assert_int_equal(file_write_at(d.fd, "head.json", text, len, 0600, 0), 0);
        assert_true(head_load(d.fd, &back, &fresh, NULL) < 0);
        text[i] = saved;
    }
}

static Head loaded(int dir)
{
    Head h = {};
    bool fresh;

    assert_int_equal(head_load(dir, &h, &fresh, NULL), 0);
    return h;
}

/* Heads with these seqs: head.json, then the journal's. */
static HeadFile journal_of(int dir, int64_t first, int64_t last)
{
    HeadFile file = {.dir = dir};
    Head h = head_of(SWAP_DRAINING);

    h.seq = first;
    assert_int_equal(head_save(&file, &h, false, NULL), 0);
    h.state = SWAP_TRYING;
    while (++h.seq <= last)
        assert_int_equal(head_save(&file, &h, true, NULL), 0);
    return file;
}

static char *journal_text(int dir)
{
    char *text;
    size_t len;

    assert_int_equal(file_read_at(dir, "head.journal", 16384, &text, &len), 0);
    assert_int_equal(len, HEAD_BLOCKS * HEAD_BLOCK_SIZE);
    return text;
}

TEST(what_is_written_while_clients_wait_stands_until_the_next_head)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    HeadFile file = journal_of(d.fd, 4, 7);
    _cleanup_free_ char *text = NULL;
    Head h = loaded(d.fd);
    size_t len;

    assert_int_equal(h.seq, 7);
    assert_int_equal(h.state, SWAP_TRYING);
    assert_int_equal(h.n_aside, 2);
    assert_int_equal(file_read_at(d.fd, "head.json", 16384, &text, &len), 0);
    assert_non_null(strstr(text, "\"seq\": 4"));
    h.seq = 8;
    h.state = SWAP_STEADY;
    assert_int_equal(head_save(&file, &h, false, NULL), 0);
    assert_int_equal(loaded(d.fd).seq, 8);
    h.seq = 9;
    assert_int_equal(head_save(&file, &h, true, NULL), 0);
    assert_int_equal(loaded(d.fd).seq, 9);
    h.seq = 2; /* another head.json, whatever it counts, has nothing to do with that journal */
    assert_int_equal(head_save(&(HeadFile){.dir = d.fd, .journal = true}, &h, false, NULL), 0);
    assert_int_equal(loaded(d.fd).seq, 2);
}

TEST(a_block_of_the_journal_with_any_byte_changed_is_one_that_was_never_written)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    HeadFile file = journal_of(d.fd, 4, 6);
    _cleanup_free_ char *text = journal_text(d.fd);
    size_t newest = strstr(text, "\"seq\":6") < text + HEAD_BLOCK_SIZE ? 0 : HEAD_BLOCK_SIZE;
    for (size_t i = 0; i < HEAD_BLOCK_SIZE; i++) {
        char saved = text[newest + i];

        text[newest + i] = saved == '1' ? '2' : '1';
        assert_int_equal(file_write_at(file.dir, "head.journal", text, HEAD_BLOCKS * HEAD_BLOCK_SIZE, 0600, 0), 0);
        assert_int_equal(loaded(d.fd).seq, 5);
        text[newest + i] = saved;
    }
}

TEST(a_write_into_the_journal_never_touches_the_block_that_stands)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    HeadFile file = journal_of(d.fd, 4, 5);
    _cleanup_free_ char *last = journal_text(d.fd);
    size_t standing = strstr(last, "\"seq\":5") < last + HEAD_BLOCK_SIZE ? 0 : HEAD_BLOCK_SIZE;
    Head h = loaded(d.fd);

    for (h.seq = 7; h.seq < 30; h.seq += h.seq % 3 + 1) { /* some are used up by writes that fail */
        _cleanup_free_ char *text = NULL;

        assert_int_equal(head_save(&file, &h, true, NULL), 0);
        text = journal_text(d.fd);
        assert_memory_equal(text + standing, last + standing, HEAD_BLOCK_SIZE);
        assert_int_equal(loaded(d.fd).seq, h.seq);
        standing = HEAD_BLOCK_SIZE - standing;
        memcpy(last, text, HEAD_BLOCKS * HEAD_BLOCK_SIZE);
    }
}

TEST(the_first_head_is_made_from_what_was_added)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    static const char text[] = "{\"generation\":\"" A "\",\"epoch\":0}";
    Head h;
    bool fresh = false;

    assert_int_equal(head_load(d.fd, &h, &fresh, NULL), -ENOENT);
    assert_int_equal(file_write_at(d.fd, "initial.json", text, strlen(text), 0600, 0), 0);
    assert_int_equal(head_load(d.fd, &h, &fresh, NULL), 0);
    assert_true(fresh);
    assert_int_equal(h.state, SWAP_STEADY);
    assert_int_equal(h.next_epoch, 1);
}

TEST(a_swap_is_recorded_once_and_a_cut_line_is_replaced)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    _cleanup_json_ json_t *one = json_pack("{s:i}", "txid", 1), *two = json_pack("{s:i}", "txid", 2);
    _cleanup_free_ char *text = NULL;
    _cleanup_json_ json_t *last = NULL;

    assert_int_equal(record_append(d.fd, 1, one, NULL), 0);
    assert_int_equal(record_append(d.fd, 1, one, NULL), 0);
    assert_int_equal(file_write_at(d.fd, "swaps.jsonl", "{\"txid\":1}\n{\"txi", 16, 0600, 0), 0);
    assert_int_equal(record_append(d.fd, 2, two, NULL), 0);
    assert_int_equal(record_append(d.fd, 2, two, NULL), 0);
    assert_int_equal(file_read_at(d.fd, "swaps.jsonl", 4096, &text, NULL), 0);
    assert_string_equal(text, "{\"txid\":1}\n{\"txid\":2}\n");
    assert_int_equal(record_last(d.fd, &last, NULL), 0);
    assert_int_equal(json_integer_value(json_object_get(last, "txid")), 2);
}

static void make_epoch(int dir, const char *name, const char *content)
{
    _cleanup_close_ int fd = -EBADF;

    assert_int_equal(mkdirat_p(dir, name, 0755), 0);
    fd = openat(dir, name, O_RDONLY | O_DIRECTORY);
    assert_int_equal(file_write_at(fd, "f", content, strlen(content), 0644, 0), 0);
}

TEST(a_clone_is_a_copy_and_what_nobody_keeps_is_collected)
{
    _cleanup_test_directory_ TestDirectory d = test_directory_make();
    Head h = head_of(SWAP_TRYING);
    _cleanup_free_ char *text = NULL;

    make_epoch(d.fd, "epochs/3", "state");
    make_epoch(d.fd, "epochs/2", "written to by clients");
    make_epoch(d.fd, "epochs/0", "old");
    make_epoch(d.fd, "epochs/7.tmp", "half");
    make_epoch(d.fd, "epochs/4", "left of a swap that was cut off");
    assert_int_equal(epoch_clone(d.fd, 3, 4, NULL, NULL), 0);
    assert_int_equal(file_read_at(d.fd, "epochs/4/f", 100, &text, NULL), 0);
    assert_string_equal(text, "state");
    assert_int_equal(epoch_collect(d.fd, &h, NULL), 0);
    assert_int_equal(faccessat(d.fd, "epochs/3", F_OK, 0), 0);
    assert_int_equal(faccessat(d.fd, "epochs/4", F_OK, 0), 0);
    assert_int_equal(faccessat(d.fd, "epochs/2", F_OK, 0), 0);
    assert_int_equal(faccessat(d.fd, "epochs/0", F_OK, 0), -1);
    assert_int_equal(faccessat(d.fd, "epochs/7.tmp", F_OK, 0), -1);
    assert_true(epoch_clone(d.fd, 6, 9, NULL, NULL) < 0);
    assert_int_equal(faccessat(d.fd, "epochs/9.tmp", F_OK, 0), -1);
}

static void stamp(int state, const char *text)
{
    _cleanup_close_ int dir = -EBADF;

    assert_int_equal(rm_rf_at(state, ".moss"), 0);
    if (!text)
        return;
    assert_int_equal(mkdirat(state, ".moss", 0755), 0);
    dir = openat(state, ".moss", O_RDONLY | O_DIRECTORY);
    assert_int_equal(file_write_at(dir, "schema", text, strlen(text), 0644, 0), 0);
}

TEST(a_state_is_readable_when_its_stamp_says_so)
{
    static const struct {
        const char *before, *after;
        bool readable;
    } cases[] = {
        {NULL, NULL, true},
        {"{\"writer\":2,\"minReader\":1}", "{\"writer\":2,\"minReader\":1}", true},
        {"{\"writer\":2,\"minReader\":2}", "{\"writer\":3,\"minReader\":2}", true},
        {"{\"writer\":2,\"minReader\":2}", "{\"writer\":3,\"minReader\":3}", false},
        {NULL, "{\"writer\":1,\"minReader\":0}", true},
        {NULL, "{\"writer\":1,\"minReader\":1}", false},
        {"{\"writer\":2,\"minReader\":2}", NULL, false},
        {"{\"writer\":2,\"minReader\":2}", "{\"writer\":-1,\"minReader\":-1}", false},
        {"{\"writer\":2,\"minReader\":2}", "{\"writer\":1,\"minReader\":2}", false},
        {"{\"writer\":2,\"minReader\":2}", "{\"writer\":2,\"minReader\":2,\"and\":1}", false},
        {"{\"writer\":2,\"minReader\":2}", "{\"writer\":99999999999999999999,\"minReader\":1}", false},
        {"{\"writer\":2,\"minReader\":2}", "{\"writer\":2.5,\"minReader\":1}", false},
        {"{\"writer\":2,\"minReader\":2}", "[]", false},
        {"{\"writer\":2,\"minReader\":2}", "", false},
        {"2", "2", false},
    };
    _cleanup_test_directory_ TestDirectory before = test_directory_make(), after = test_directory_make();

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        stamp(before.fd, cases[i].before);
        stamp(after.fd, cases[i].after);
        assert_int_equal(schema_readable(before.fd, after.fd), cases[i].readable);
    }
}

TEST(a_stamp_that_is_huge_or_no_plain_file_cannot_be_read)
{
    _cleanup_test_directory_ TestDirectory before = test_directory_make(), after = test_directory_make();
    static const char good[] = "{\"writer\":2,\"minReader\":2}";
    char huge[5000];

    memset(huge, ' ', sizeof(huge));
    memcpy(huge, good, strlen(good));
    huge[sizeof(huge) - 1] = '\0';
    stamp(before.fd, good);
    stamp(after.fd, huge);
    assert_false(schema_readable(before.fd, after.fd));
    stamp(after.fd, good);
    assert_true(schema_readable(before.fd, after.fd));
    assert_int_equal(renameat(after.fd, ".moss/schema", after.fd, ".moss/other"), 0);
    assert_int_equal(symlinkat("other", after.fd, ".moss/schema"), 0);
    assert_false(schema_readable(before.fd, after.fd));
    assert_int_equal(unlinkat(after.fd, ".moss/schema", 0), 0);
    assert_int_equal(mkfifoat(after.fd, ".moss/schema", 0600), 0);
    assert_false(schema_readable(before.fd, after.fd));
    assert_int_equal(renameat(after.fd, ".moss", after.fd, "elsewhere"), 0);
    assert_int_equal(symlinkat("elsewhere", after.fd, ".moss"), 0);
    assert_false(schema_readable(before.fd, after.fd));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(a_head_comes_back_as_it_was_written_in_every_state),
        UNIT(a_head_with_any_byte_changed_is_refused),
        UNIT(what_is_written_while_clients_wait_stands_until_the_next_head),
        UNIT(a_block_of_the_journal_with_any_byte_changed_is_one_that_was_never_written),
        UNIT(a_write_into_the_journal_never_touches_the_block_that_stands),
        UNIT(the_first_head_is_made_from_what_was_added),
        UNIT(a_swap_is_recorded_once_and_a_cut_line_is_replaced),
        UNIT(a_clone_is_a_copy_and_what_nobody_keeps_is_collected),
        UNIT(a_state_is_readable_when_its_stamp_says_so),
        UNIT(a_stamp_that_is_huge_or_no_plain_file_cannot_be_read),
    };

    return RUN_TESTS(tests);
}
