/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/scope.h"
#include "tests/unit/test.h"

typedef struct Fixture {
    Arena arena;
    Symbols symbols;
    File file;
} Fixture;

static void fixture_done(Fixture *f)
{
    arena_done(&f->arena);
}
#define _cleanup_fixture_ _cleanup_(fixture_done)

static int read_text(Fixture *f, const char *path, const char *text)
{
    f->symbols.arena = &f->arena;
    return source_read(&f->arena, &f->symbols, path, text, strlen(text), &f->file);
}

static const char python[] = "import os\n"                        /* 0 */
                             "LIMIT = 3\n"                        /* 1 */
                             "class Box:\n"                       /* 2 */
                             "    def put(self, name, *rest):\n"  /* 3 */
                             "        if name:\n"                 /* 4 */
                             "            self.x = [\n"           /* 5 */
                             "                name,\n"            /*   */
                             "            ]\n"                    /*   */
                             "        for part in rest:\n"        /* 6 */
                             "            last = part\n"          /* 7 */
                             "        return {p for p in last}\n" /* 8 */
                             "\n"                                 /*   */
                             "def other(a, b=1):\n"               /* 9 */
                             "    return a + \\\n"                /* 10 */
                             "        b\n";

TEST(statements_nest_by_indentation)
{
    _cleanup_fixture_ Fixture f = {};
    const Statement *s;

    assert_int_equal(read_text(&f, "a.py", python), 0);
    assert_int_equal(f.file.n_statements, 11);
    s = f.file.statements;
    assert_int_equal(s[5].first, 5);
    assert_int_equal(s[5].last, 7);
    assert_int_equal(s[5].parent, 4);
    assert_int_equal(s[4].next, 6);
    assert_int_equal(s[6].previous, 4);
    assert_int_equal(s[3].end, 9);
    assert_int_equal(s[2].next, 9);
    assert_int_equal(s[10].last, s[10].first + 1);
    assert_int_equal(s[3].kind, STATEMENT_FUNCTION);
    assert_int_equal(s[6].kind, STATEMENT_HEADER);
    assert_int_equal(f.file.n_functions, 2);
    assert_string_equal(symbol_text(&f.symbols, f.file.functions[0].class), "Box");
    assert_int_equal(f.file.functions[0].n_parameters, 3);
}

TEST(names_are_seen_where_they_have_a_value)
{
    _cleanup_fixture_ Fixture f = {};

    assert_int_equal(read_text(&f, "a.py", python), 0);
    assert_true(scope_sees(&f.file, 5, symbol(&f.symbols, "name")));
    assert_true(scope_sees(&f.file, 5, symbol(&f.symbols, "LIMIT")));
    assert_true(scope_sees(&f.file, 5, symbol(&f.symbols, "other")));
    assert_false(scope_sees(&f.file, 5, symbol(&f.symbols, "last")));
    assert_true(scope_sees(&f.file, 8, symbol(&f.symbols, "last")));
    assert_true(scope_sees(&f.file, 8, symbol(&f.symbols, "p")));
    assert_false(scope_sees(&f.file, 7, symbol(&f.symbols, "p")));
    assert_false(scope_sees(&f.file, 10, symbol(&f.symbols, "name")));
    assert_false(scope_sees(&f.file, 10, symbol(&f.symbols, "x")));
    assert_true(scope_is_needed(&f.file, 7));
    assert_false(scope_is_needed(&f.file, 5));
}

TEST(brace_languages_nest_too)
{
    _cleanup_fixture_ Fixture f = {};

    assert_int_equal(read_text(&f, "a.js",
                               "function add(list, item) {\n"
                               "    if (item) {\n"
                               "        list.push(\n"
                               "            item);\n"
                               "    } else {\n"
                               "        const x = 1;\n"
                               "    }\n"
                               "}\n"),
                     0);
    assert_int_equal(f.file.n_functions, 1);
    assert_int_equal(f.file.functions[0].n_parameters, 2);
    assert_int_equal(f.file.statements[2].last, 3);
    assert_int_equal(f.file.statements[2].parent, 1);
    assert_int_equal(f.file.statements[f.file.n_statements - 1].kind, STATEMENT_CLOSER);
    assert_true(scope_sees(&f.file, 4, symbol(&f.symbols, "x")));
}

TEST(what_is_no_source_is_refused)
{
    _cleanup_fixture_ Fixture f = {};

    assert_int_equal(read_text(&f, "a.txt", "x"), -EINVAL);
    assert_int_equal(read_text(&f, "a.py", "f(\n"), -EINVAL);
    assert_int_equal(read_text(&f, "a.py", ""), 0);
    assert_int_equal(f.file.n_statements, 0);
    assert_int_equal(read_text(&f, "a.py", "x"), 0);
    assert_int_equal(read_text(&f, "a.py", "\\\n"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(statements_nest_by_indentation),
        UNIT(names_are_seen_where_they_have_a_value),
        UNIT(brace_languages_nest_too),
        UNIT(what_is_no_source_is_refused),
    };

    return RUN_TESTS(tests);
}
