/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/lex.h"
#include "tests/unit/test.h"

typedef struct Fixture {
    Arena arena;
    Symbols symbols;
    Tokens tokens;
} Fixture;

static int read_text(Fixture *f, Language language, const char *text)
{
    f->symbols.arena = &f->arena;
    return lex(&f->arena, &f->symbols, language, text, strlen(text), &f->tokens);
}

static const char *text_of(const Fixture *f, size_t i)
{
    return i < f->tokens.n ? symbol_text(&f->symbols, f->tokens.items[i].symbol) : "(none)";
}

#define _cleanup_fixture_ _cleanup_(fixture_done)
static void fixture_done(Fixture *f)
{
    arena_done(&f->arena);
}

TEST(comments_and_space_are_no_tokens)
{
    _cleanup_fixture_ Fixture f = {};

    assert_int_equal(read_text(&f, LANGUAGE_PYTHON, "a = 1  # (\n\n  b"), 0);
    assert_int_equal(f.tokens.n, 4);
    assert_int_equal(f.tokens.unmatched, 0);
    assert_int_equal(f.tokens.items[3].line, 2);
    assert_int_equal(read_text(&f, LANGUAGE_BRACES, "x; // (\n/* ( */ y"), 0);
    assert_int_equal(f.tokens.n, 3);
}

TEST(brackets_know_their_partners)
{
    _cleanup_fixture_ Fixture f = {};

    assert_int_equal(read_text(&f, LANGUAGE_PYTHON, "f([1], {})"), 0);
    assert_int_equal(f.tokens.items[1].partner, f.tokens.n - 1);
    assert_int_equal(f.tokens.items[f.tokens.n - 1].partner, 1);
    assert_int_equal(f.tokens.items[2].partner, 4);
}

TEST(open_brackets_are_counted_and_wrong_ones_refused)
{
    _cleanup_fixture_ Fixture f = {};
    uint64_t one;

    assert_int_equal(read_text(&f, LANGUAGE_BRACES, "if (x) {"), 0);
    one = f.tokens.unmatched;
    assert_true(one != 0);
    assert_int_equal(read_text(&f, LANGUAGE_BRACES, "while (f(y)) {"), 0);
    assert_true(f.tokens.unmatched == one);
    assert_int_equal(read_text(&f, LANGUAGE_BRACES, "} }"), 0);
    assert_true(f.tokens.unmatched != one);
    assert_int_equal(read_text(&f, LANGUAGE_PYTHON, "(]"), -EINVAL);
}

TEST(expressions_inside_strings_are_tokens)
{
    _cleanup_fixture_ Fixture f = {};

    assert_int_equal(read_text(&f, LANGUAGE_PYTHON, "f\"{{a}} {x:.{n}f} {y['k']!r}/{z}\""), 0);
    assert_string_equal(text_of(&f, 0), "f\"{{a}} {");
    assert_string_equal(text_of(&f, 1), "x");
    assert_string_equal(text_of(&f, 2), ":.{");
    assert_string_equal(text_of(&f, 3), "n");
    assert_string_equal(text_of(&f, 4), "}f} {");
    assert_string_equal(text_of(&f, 5), "y");
    assert_string_equal(text_of(&f, 9), "!r}/{");
    assert_string_equal(text_of(&f, 11), "}\"");
    assert_int_equal(f.tokens.items[0].partner, 11);
    assert_int_equal(read_text(&f, LANGUAGE_BRACES, "`a ${b + `${c}`} d`"), 0);
    assert_int_equal(f.tokens.unmatched, 0);
    assert_string_equal(text_of(&f, f.tokens.n - 1), "} d`");
}

TEST(strings_that_do_not_end_are_refused)
{
    static const char *const bad[] = {"'a", "\"\"\"a", "f'{a", "f'{a'", "'a\n'", "f'{(a}'"};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_fixture_ Fixture f = {};

        assert_int_equal(read_text(&f, LANGUAGE_PYTHON, bad[i]), -EINVAL);
    }
}

TEST(a_slash_is_a_pattern_only_where_no_value_ended)
{
    _cleanup_fixture_ Fixture f = {};

    assert_int_equal(read_text(&f, LANGUAGE_BRACES, "x = /[(\\/]/g; y = a / b / c;"), 0);
    assert_int_equal(f.tokens.unmatched, 0);
    assert_int_equal(f.tokens.items[2].kind, TOKEN_STRING);
    assert_string_equal(text_of(&f, 7), "/");
}

TEST(nesting_is_bounded)
{
    _cleanup_fixture_ Fixture f = {};
    char text[5001];

    memset(text, '(', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(read_text(&f, LANGUAGE_PYTHON, text), -EINVAL);
}

TEST(memory_is_bounded)
{
    Fixture f = {.arena.limit = 2 << 20};
    _cleanup_free_ char *text = malloc(4 << 20);

    assert_non_null(text);
    for (size_t i = 0; i + 1 < (4 << 20); i += 2)
        memcpy(text + i, "a ", 2);
    text[(4 << 20) - 1] = '\0';
    assert_int_equal(read_text(&f, LANGUAGE_PYTHON, text), -ENOMEM);
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(comments_and_space_are_no_tokens),
        UNIT(brackets_know_their_partners),
        UNIT(open_brackets_are_counted_and_wrong_ones_refused),
        UNIT(expressions_inside_strings_are_tokens),
        UNIT(strings_that_do_not_end_are_refused),
        UNIT(a_slash_is_a_pattern_only_where_no_value_ended),
        UNIT(nesting_is_bounded),
        UNIT(memory_is_bounded),
    };

    return RUN_TESTS(tests);
}
