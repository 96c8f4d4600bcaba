/* SPDX-License-Identifier: Apache-2.0 */
#include "html.h"

#include <inttypes.h>

#include "runtime/base/clock.h"

static const char page_head[] =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";

static const char page_style[] =
    "<style>\n"
    ":root{--fg:#1c2024;--dim:#60646c;--line:#d9d9e0;--bg:#fff;--soft:#f4f5f7;--good:#18794e;--bad:#cd2b31;--add:#"
    "e6f6eb;--del:#feebec}\n"
    "@media (prefers-color-scheme:dark){:root{--fg:#edeef0;--dim:#b0b4ba;--line:#3a3f45;--bg:#111113;--soft:#1b1c1f;"
    "--good:#4cc38a;--bad:#ff8589;--add:#0f2e22;--del:#3c181a}}\n"
    "body{font:15px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:60rem;margin:2rem "
    "auto;padding:0 1rem}\n"
    "h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem;border-bottom:1px solid var(--line)}\n"
    "p.sub{color:var(--dim);margin:.2rem 0}table{border-collapse:collapse;width:100%}\n"
    "td,th{text-align:left;padding:.25rem .6rem;border-bottom:1px solid "
    "var(--line);vertical-align:top}th{color:var(--dim);font-weight:500}\n"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}.good{color:var(--good)}.bad{color:var(--bad)}\n"
    "pre{background:var(--soft);padding:.7rem;overflow:auto;font-size:13px;line-height:1.45;border-radius:6px}\n"
    "pre .a{background:var(--add);display:block}pre .d{background:var(--del);display:block}pre "
    ".h{color:var(--dim);display:block}\n"
    "q{quotes:\"\\201c\" \"\\201d\"}.verdict{font-size:1.2rem;font-weight:600}svg{max-width:100%}svg "
    "text{fill:var(--fg);font-size:11px}\n"
    "ul{margin:.3rem 0}.talk{border-left:3px solid var(--line);padding-left:.8rem;margin:.6rem 0}.talk "
    "b{font-weight:500;color:var(--dim)}\n"
    "</style>\n";

/* How many bytes the well-formed UTF-8 character at `p` has, 0 if it is none. Overlong forms and surrogates are none. */
static size_t utf8_length(const unsigned char *p)
{
    static const struct {
        unsigned char mask, lead, min_second, max_second;
        size_t n;
    } forms[] = {
        {0xe0, 0xc0, 0x80, 0xbf, 2},
        {0xf0, 0xe0, 0x80, 0xbf, 3},
        {0xf8, 0xf0, 0x80, 0xbf, 4},
    };

    if (p[0] < 0x80)
        return 1;
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        if ((p[0] & forms[i].mask) != forms[i].lead)
            continue;
        for (size_t k = 1; k < forms[i].n; k++)
            if ((p[k] & 0xc0) != 0x80)
                return 0;
        if (p[0] < 0xc2 || (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
            (p[0] == 0xf0 && p[1] < 0x90) || p[0] > 0xf4 || (p[0] == 0xf4 && p[1] > 0x8f))
            return 0;
        return forms[i].n;
    }
    return 0;
}

int html_escape(StrBuf *b, const char *text)
{
    for (const unsigned char *p = (const unsigned char *) text; *p;) {
        size_t n = utf8_length(p);

        if (n == 0 || (n == 1 && *p < ' ' && *p != '\n' && *p != '\t') || *p == 0x7f)
            strbuf_adds(b, "\xef\xbf\xbd");
        else if (*p == '<')
            strbuf_adds(b, "&lt;");
        else if (*p == '>')
            strbuf_adds(b, "&gt;");
        else if (*p == '&')
            strbuf_adds(b, "&amp;");
        else if (*p == '"')
            strbuf_adds(b, "&quot;");
        else if (*p == '\'')
            strbuf_adds(b, "&#39;");
        else
            strbuf_add(b, p, n);
        p += MAX(n, (size_t) 1);
    }
    return b->failed ? -ENOMEM : 0;
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static double seconds_of(const json_t *o, const char *key)
{
    return (double) json_integer_value(json_object_get(o, key)) / (double) USEC_PER_SEC;
}

static void element(StrBuf *b, const char *tag, const char *text)
{
    strbuf_addf(b, "<%s>", tag);
    html_escape(b, text);
    strbuf_addf(b, "</%.*s>", (int) strcspn(tag, " "), tag);
}

/* Markup, then what the model says under `key`. */
static void said(StrBuf *b, const char *markup, const json_t *o, const char *key)
{
    strbuf_adds(b, markup);
    html_escape(b, text_of(o, key));
}

static void render_head(StrBuf *b, const json_t *m)
{
    strbuf_adds(b, page_head);
    said(b, "<title>", m, "agent");
    said(b, " ", m, "evolution");
    strbuf_adds(b, "</title>\n");
    strbuf_adds(b, page_style);
    said(b, "</head>\n<body>\n<h1>Evolution ", m, "evolution");
    said(b, " of ", m, "agent");
    said(b, "</h1>\n<p class=\"sub\">batch ", m, "batch");
    said(b, " · ", m, "depth");
    said(b, " · coding agent ", m, "coder");
    said(b, " · started ", m, "started");
    strbuf_adds(b, "</p>\n");
}

static void render_verdict(StrBuf *b, const json_t *m)
{
    const json_t *verdict = json_object_get(m, "verdict");
    const char *outcome = text_of(m, "outcome");
    json_t *reason;
    size_t i;

    strbuf_addf(b, "<p class=\"verdict %s\">", streq(outcome, "CONVERGED") ? "good" : "bad");
    html_escape(b, outcome);
    strbuf_adds(b, "</p>\n<ul>\n");
    json_array_foreach (json_object_get(verdict, "reasons"), i, reason)
        element(b, "li", json_is_string(reason) ? json_string_value(reason) : "");
    strbuf_adds(b, "</ul>\n");
}

static void render_evidence(StrBuf *b, const json_t *m)
{
    json_t *cluster, *word, *example, *turn;
    size_t i, k;

    strbuf_adds(b, "<h2>Evidence</h2>\n<table><tr><th>what users met</th><th>found by</th><th>tasks</th></tr>\n");
    json_array_foreach (json_object_get(m, "evidence"), i, cluster) {
        strbuf_adds(b, "<tr><td>");
        element(b, "b", text_of(cluster, "cluster"));
        json_array_foreach (json_object_get(cluster, "words"), k, word) {
            strbuf_adds(b, "<br>");
            element(b, "q", json_is_string(word) ? json_string_value(word) : "");
        }
        strbuf_adds(b, "</td>");
        element(b, "td", text_of(cluster, "rule"));
        strbuf_addf(b, "<td class=\"n\">%" JSON_INTEGER_FORMAT "</td></tr>\n",
                    json_integer_value(json_object_get(cluster, "n")));
    }
    strbuf_adds(b, "</table>\n");
    json_array_foreach (json_object_get(m, "examples"), i, example) {
        strbuf_adds(b, "<div class=\"talk\">");
        json_array_foreach (json_object_get(example, "turns"), k, turn) {
            said(b, "<b>user</b> ", turn, "text");
            said(b, "<br><b>agent</b> ", turn, "reply");
            strbuf_adds(b, "<br>\n");
        }
        said(b, "<b>expected</b> ", example, "expected");
        strbuf_adds(b, "</div>\n");
    }
}

static void render_plan(StrBuf *b, const json_t *m)
{
    const json_t *plan = json_object_get(m, "plan");
    json_t *file;
    size_t i;

    if (!plan)
        return;
    strbuf_adds(b, "<h2>Plan</h2>\n");
    element(b, "p", text_of(plan, "summary"));
    element(b, "p", text_of(plan, "root_cause"));
    strbuf_adds(b, "<ul>");
    json_array_foreach (json_object_get(plan, "files"), i, file)
        element(b, "li", json_is_string(file) ? json_string_value(file) : "");
    strbuf_adds(b, "</ul>\n");
}

static void render_diff(StrBuf *b, const json_t *m)
{
    const char *p = text_of(m, "diff");

    if (!*p)
        return;
    strbuf_adds(b, "<h2>Change</h2>\n<pre>");
    while (*p) {
        size_t n = strcspn(p, "\n");
        _cleanup_free_ char *line = strndup(p, n);
        bool header = startswith(p, "+++") || startswith(p, "---") || startswith(p, "diff ") || startswith(p, "index ");

        if (!line)
            return;
        strbuf_addf(b, "<span class=\"%s\">", header || *p == '@' ? "h" : *p == '+' ? "a" : *p == '-' ? "d" : "c");
        html_escape(b, line);
        strbuf_adds(b, *p == '+' || *p == '-' || *p == '@' || header ? "</span>" : "</span>\n");
        p += n + (p[n] == '\n');
    }
    strbuf_adds(b, "</pre>\n");
}

/* One cell of the matrix: filled by the share of passed graders, with the number beside it for those who do not see colours. */
static void cell(StrBuf *b, unsigned x, unsigned y, const json_t *score)
{
    double v = json_number_value(score);

    if (!json_is_number(score)) {
        strbuf_addf(b, "<text x=\"%u\" y=\"%u\">–</text>", x + 4, y + 12);
        return;
    }
    v = v < 0 ? 0 : v > 1 ? 1 : v;
    strbuf_addf(b,
                "<rect x=\"%u\" y=\"%u\" width=\"60\" height=\"16\" fill=\"none\" stroke=\"var(--line)\"/>"
                "<rect x=\"%u\" y=\"%u\" width=\"%.0f\" height=\"16\" fill=\"%s\"/><text x=\"%u\" y=\"%u\">%.2f</text>",
                x, y, x, y, v * 60, v >= 1 ? "var(--good)" : "var(--bad)", x + 66, y + 12, v);
}

static void render_matrix(StrBuf *b, const json_t *m)
{
    const json_t *tasks = json_object_get(m, "tasks");
    unsigned y = 22;
    json_t *task;
    size_t i;

    strbuf_adds(b, "<h2>Scores before and after</h2>\n");
    strbuf_addf(
        b,
        "<svg role=\"img\" aria-label=\"score of each task before and after\" width=\"720\" height=\"%zu\" viewBox=\"0 "
        "0 720 %zu\">"
        "<text x=\"0\" y=\"12\">task</text><text x=\"190\" y=\"12\">kind</text><text x=\"260\" y=\"12\">before</text>"
        "<text x=\"380\" y=\"12\">after</text><text x=\"500\" y=\"12\">cluster</text>\n",
        json_array_size(tasks) * 20 + 30, json_array_size(tasks) * 20 + 30);
    json_array_foreach (tasks, i, task) {
        strbuf_addf(b, "<text x=\"0\" y=\"%u\">", y + 12);
        html_escape(b, text_of(task, "id"));
        strbuf_addf(b, "</text><text x=\"190\" y=\"%u\">", y + 12);
        html_escape(b, text_of(task, "kind"));
        strbuf_adds(b, "</text>");
        cell(b, 260, y, json_object_get(task, "before"));
        cell(b, 380, y, json_object_get(task, "after"));
        strbuf_addf(b, "<text x=\"500\" y=\"%u\">", y + 12);
        html_escape(b, text_of(task, "cluster"));
        strbuf_adds(b, "</text>\n");
        y += 20;
    }
    strbuf_adds(b, "</svg>\n");
}

static void render_cost(StrBuf *b, const json_t *m)
{
    const json_t *cost = json_object_get(m, "cost");

    strbuf_addf(
        b,
        "<h2>Cost</h2>\n<table><tr><th>candidates</th><th>trials</th><th>time</th><th>processor time of trials</th>"
        "<th>largest trial</th></tr>\n<tr><td>%" JSON_INTEGER_FORMAT "</td><td>%" JSON_INTEGER_FORMAT
        "</td><td>%.1f s</td><td>%.1f s</td><td>%" JSON_INTEGER_FORMAT " MiB</td></tr></table>\n",
        json_integer_value(json_object_get(cost, "candidates")), json_integer_value(json_object_get(cost, "trials")),
        seconds_of(cost, "wall_usec"), seconds_of(cost, "cpu_usec"),
        json_integer_value(json_object_get(cost, "memory_peak")) >> 20);
}

static void render_timeline(StrBuf *b, const json_t *m)
{
    const json_t *steps = json_object_get(m, "timeline");
    double total = 0;
    json_t *step;
    size_t i;

    json_array_foreach (steps, i, step)
        total = MAX(total, seconds_of(step, "start_usec") + seconds_of(step, "wall_usec"));
    strbuf_adds(b, "<h2>Timeline</h2>\n<table><tr><th>iteration</th><th>stage</th><th>round</th><th></th><th>seconds</"
                   "th><th>outcome</th></tr>\n");
    json_array_foreach (steps, i, step) {
        double left = total > 0 ? seconds_of(step, "start_usec") / total * 200 : 0;
        double width = total > 0 ? MAX(seconds_of(step, "wall_usec") / total * 200, 1.0) : 1;

        strbuf_addf(b, "<tr><td class=\"n\">%" JSON_INTEGER_FORMAT "</td>",
                    json_integer_value(json_object_get(step, "iteration")));
        element(b, "td", text_of(step, "stage"));
        strbuf_addf(b,
                    "<td class=\"n\">%" JSON_INTEGER_FORMAT
                    "</td><td><svg width=\"204\" height=\"12\" aria-hidden=\"true\"><rect x=\"%.1f\" y=\"2\" "
                    "width=\"%.1f\" height=\"8\" fill=\"var(--dim)\"/></svg></td><td class=\"n\">%.2f</td><td>",
                    json_integer_value(json_object_get(step, "round")), left, width, seconds_of(step, "wall_usec"));
        html_escape(b, text_of(step, "outcome"));
        if (*text_of(step, "summary"))
            said(b, "<br>", step, "summary");
        strbuf_adds(b, "</td></tr>\n");
    }
    strbuf_adds(b, "</table>\n");
}

static void render_swaps(StrBuf *b, const json_t *m)
{
    const json_t *swaps = json_object_get(m, "swaps");
    json_t *swap;
    size_t i;

    if (json_array_size(swaps) == 0)
        return;
    strbuf_adds(b,
                "<h2>Swaps</h2>\n<table><tr><th>outcome</th><th>generation</th><th>pause</th><th>reason</th></tr>\n");
    json_array_foreach (swaps, i, swap) {
        strbuf_adds(b, "<tr>");
        element(b, "td", text_of(swap, "outcome"));
        said(b, "<td>", swap, "generation");
        strbuf_addf(b, "</td><td class=\"n\">%.0f ms</td>", seconds_of(swap, "pause_usec") * 1000);
        element(b, "td", text_of(swap, "reason"));
        strbuf_adds(b, "</tr>\n");
    }
    strbuf_adds(b, "</table>\n");
}

int html_render(StrBuf *b, const json_t *model)
{
    render_head(b, model);
    render_verdict(b, model);
    render_matrix(b, model);
    render_diff(b, model);
    render_plan(b, model);
    render_evidence(b, model);
    render_cost(b, model);
    render_timeline(b, model);
    render_swaps(b, model);
    strbuf_adds(b, "</body>\n</html>\n");
    return b->failed ? -ENOMEM : 0;
}
