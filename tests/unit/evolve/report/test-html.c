/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/report/html.h"

#include "tests/unit/test.h"

static char *escaped(const char *text)
{
    StrBuf b = {};

    assert_int_equal(html_escape(&b, text), 0);
    return strbuf_take(&b);
}

TEST(markup_becomes_text)
{
    _cleanup_free_ char *s = escaped("<script>alert('x')</script> & \"y\"");

    assert_string_equal(s, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;y&quot;");
}

TEST(broken_utf8_and_control_characters_are_replaced)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"a\x1b[31m", "a\xef\xbf\xbd[31m"},
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},                                 /* overlong "/" */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},                 /* surrogate */
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* beyond U+10FFFF */
        {"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},                                 /* cut off */
        {"\xe2\x82\xac \xf0\x9f\x90\xad", "\xe2\x82\xac \xf0\x9f\x90\xad"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *s = escaped(cases[i].in);

        assert_string_equal(s, cases[i].out);
    }
}

/* Every string of the model is hostile at once: nothing of it may come through as markup. */
TEST(no_string_of_the_model_reaches_the_page_as_markup)
{
    static const char evil[] = "\"><img src=x onerror=alert(1)>";
    _cleanup_(strbuf_done) StrBuf b = {};
    json_t *model =
        json_pack("{s:s s:s s:s s:s s:s s:s s:s"
                  " s:[{s:s s:s s:i s:[s]}] s:[{s:[{s:s s:s}] s:s}] s:{s:s s:s s:[s]} s:s"
                  " s:[{s:s s:s s:s s:f s:n}] s:{s:[s]} s:{s:i} s:[{s:i s:s s:s s:s}] s:[{s:s s:s s:s}]}",
                  "agent", evil, "evolution", evil, "batch", evil, "outcome", evil, "started", evil, "depth", evil,
                  "coder", evil, "evidence", "cluster", evil, "rule", evil, "n", 3, "words", evil, "examples", "turns",
                  "text", evil, "reply", evil, "expected", evil, "plan", "summary", evil, "root_cause", evil, "files",
                  evil, "diff", evil, "tasks", "id", evil, "kind", evil, "cluster", evil, "before", 0.5, "after",
                  "verdict", "reasons", evil, "cost", "trials", 1, "timeline", "iteration", 1, "stage", evil, "outcome",
                  evil, "summary", evil, "swaps", "outcome", evil, "reason", evil, "generation", evil);

    assert_non_null(model);
    assert_int_equal(html_render(&b, model), 0);
    assert_null(strstr(b.data, "<img"));
    assert_non_null(strstr(b.data, "&lt;img src=x"));
    json_decref(model);
}

TEST(an_empty_model_still_gives_a_page)
{
    _cleanup_(strbuf_done) StrBuf b = {};
    json_t *model = json_object();

    assert_int_equal(html_render(&b, model), 0);
    assert_non_null(strstr(b.data, "</html>"));
    json_decref(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(markup_becomes_text),
        UNIT(broken_utf8_and_control_characters_are_replaced),
        UNIT(no_string_of_the_model_reaches_the_page_as_markup),
        UNIT(an_empty_model_still_gives_a_page),
    };

    return RUN_TESTS(tests);
}
