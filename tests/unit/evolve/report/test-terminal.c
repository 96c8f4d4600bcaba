/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/report/terminal.h"

#include "tests/unit/test.h"

static const EvolutionProgress sample = {
    .agent = "clerk",
    .evolution = "e-0001",
    .stage = "implement",
    .iteration = 1,
    .max_iterations = 5,
    .round = 1,
    .candidates = 12,
    .candidates_all = 900,
    .trials = 40,
    .baseline_score = 0.25,
    .best_score = 0.5,
    .elapsed_usec = 61000000,
};

TEST(the_status_line_says_where_it_is)
{
    char line[256];

    terminal_status_line(&sample, 200, line);
    assert_string_equal(line, "e-0001 implement · iteration 1/5 · candidate 12/900 · 40 trials · best 0.50 · 61 s");
}

TEST(the_status_line_is_cut_between_characters)
{
    char line[256];

    terminal_status_line(&sample, 18, line);
    assert_string_equal(line, "e-0001 implement ·");
}

TEST(a_stream_that_is_no_terminal_gets_plain_lines_only_for_what_happened)
{
    _cleanup_fclose_ FILE *f = tmpfile();
    EvolutionProgress told = sample;
    Terminal t = terminal_open(f);
    char text[256] = "";

    terminal_progress(&sample, &t);
    told.text = "candidate 12 passes every task";
    terminal_progress(&told, &t);
    terminal_close(&t);
    rewind(f);
    assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
    assert_string_equal(text, "implement     candidate 12 passes every task\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(the_status_line_says_where_it_is),
        UNIT(the_status_line_is_cut_between_characters),
        UNIT(a_stream_that_is_no_terminal_gets_plain_lines_only_for_what_happened),
    };

    return RUN_TESTS(tests);
}
