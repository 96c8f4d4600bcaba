/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/candidate.h"

#include "evolve/coder/search/scope.h"
#include "runtime/base/strbuf.h"

#define TEXT_MAX 8192

/* How likely a fault is of this kind, and how much of that an edit of the kind keeps when its text is unlike all other: borrowed statements and names
 * live by resemblance, a turned comparison does not. */
static const struct {
    const char *name;
    double prior, unlike;
} operators[OPERATORS] = {
    [OPERATOR_SIBLING] = {"sibling", 1.0, 0.3},
    [OPERATOR_INSERT] = {"insert", 0.25, 0.3},
    [OPERATOR_RESEMBLE] = {"resemble", 0.5, 0.2},
    [OPERATOR_DELETE] = {"delete", 0.6, 0.6},
    [OPERATOR_UNWRAP] = {"unwrap", 0.35, 0.6},
    [OPERATOR_SWAP] = {"swap", 0.5, 0.5},
    [OPERATOR_INDENT] = {"indent", 0.6, 0.6},
    [OPERATOR_FLOW] = {"flow", 0.45, 0.4},
    [OPERATOR_HANDLER] = {"handler", 0.5, 0.4},
    [OPERATOR_COMPARE] = {"compare", 0.6, 0.7},
    [OPERATOR_CONDITION] = {"condition", 0.45, 0.4},
    [OPERATOR_NUMBER] = {"number", 0.45, 0.6},
    [OPERATOR_ARITHMETIC] = {"arithmetic", 0.6, 0.7},
    [OPERATOR_TRUTH] = {"truth", 0.6, 0.8},
    [OPERATOR_SLICE] = {"slice", 0.9, 0.6},
    [OPERATOR_INDEX] = {"index", 0.5, 0.5},
    [OPERATOR_NAME] = {"name", 0.55, 0.15},
    [OPERATOR_NAMES] = {"names", 0.4, 0.15},
    [OPERATOR_ATTRIBUTE] = {"attribute", 0.45, 0.3},
    [OPERATOR_METHOD] = {"method", 0.5, 0.3},
    [OPERATOR_STRING] = {"string", 0.4, 0.3},
    [OPERATOR_PIECE] = {"piece", 0.55, 0.5},
    [OPERATOR_ORDER] = {"order", 0.7, 0.6},
    [OPERATOR_ELEMENT] = {"element", 0.5, 0.4},
    [OPERATOR_CALL] = {"call", 0.5, 0.3},
    [OPERATOR_CHOICE] = {"choice", 0.5, 0.7},
    [OPERATOR_OWN] = {"own", 0.8, 0.6},
    [OPERATOR_PAIR] = {"pair", 1.0, 1.0},
};

const char *operator_name(Operator op)
{
    return operators[op].name;
}

/* ---- what was proposed before ---- */

static int hashes_grow(Search *s)
{
    size_t n = s->n_slots ? s->n_slots * 2 : 16384;
    uint64_t *slots = arena_alloc(s->arena, n * sizeof(*slots));

    if (!slots)
        return -ENOMEM;
    for (size_t i = 0; i < s->n_slots; i++) {
        size_t at = s->hashes[i] & (n - 1);

        if (!s->hashes[i])
            continue;
        while (slots[at])
            at = (at + 1) & (n - 1);
        slots[at] = s->hashes[i];
    }
    s->hashes = slots;
    s->n_slots = n;
    return 0;
}

int search_know(Search *s, uint64_t hash, bool *ret_new)
{
    size_t at;

    if (s->n_hashes * 2 >= s->n_slots && hashes_grow(s) < 0)
        return -ENOMEM;
    hash = hash ? hash : 1;
    for (at = hash & (s->n_slots - 1); s->hashes[at]; at = (at + 1) & (s->n_slots - 1))
        if (s->hashes[at] == hash) {
            *ret_new = false;
            return 0;
        }
    s->hashes[at] = hash;
    s->n_hashes++;
    *ret_new = true;
    return 0;
}

/* Line `i` of a text, or of the file from `first` on. */
static const char *nth_line(const char *text, size_t i, size_t *ret_len)
{
    const char *end;

    while (i-- > 0)
        text = strchr(text, '\n') + 1;
    end = strchr(text, '\n');
    *ret_len = end ? (size_t) (end - text) : strlen(text);
    return text;
}

size_t text_lines(const char *text)
{
    size_t n = text ? 1 : 0;

    for (; text && *text; text++)
        n += *text == '\n';
    return n;
}

static bool same_line(const Edit *e, uint32_t line, size_t i)
{
    const File *f = e->file;
    size_t len, end = f->lines[line + 1];
    const char *text = nth_line(e->text, i, &len);

    if (end > f->lines[line] && f->text[end - 1] == '\n')
        end--;
    return end - f->lines[line] == len && memcmp(f->text + f->lines[line], text, len) == 0;
}

/* The same result gives the same hash: lines that stay are cut off both ends, an insertion is moved up past equal lines. */
static uint64_t edit_hash(uint64_t h, const Edit *e)
{
    size_t from = 0, to = text_lines(e->text);
    uint32_t first = e->first, n = e->n;

    while (n > 0 && from < to && same_line(e, first, from)) {
        first++;
        n--;
        from++;
    }
    while (n > 0 && from < to && same_line(e, first + n - 1, to - 1)) {
        n--;
        to--;
    }
    while (n == 0 && from + 1 == to && first > 0 && same_line(e, first - 1, from))
        first--;
    h = hash64(h, e->file->path, strlen(e->file->path));
    h = hash64_number(h, first);
    h = hash64_number(h, n);
    for (; from < to; from++) {
        size_t len;
        const char *text = nth_line(e->text, from, &len);

        h = hash64(h, text, len);
        h = hash64_number(h, len);
    }
    return h;
}

uint64_t edits_hash(const Edit *edits, uint32_t n)
{
    uint64_t h = 0;

    for (uint32_t i = 0; i < n; i++) /* whichever comes first */
        h += edit_hash(HASH64_START, &edits[i]);
    return h;
}

/* ---- whether it can be right, and what it is worth ---- */

typedef struct Verdict {
    bool possible;
    double usual;   /* share of what comes that the tree knows */
    double unusual; /* share of what goes that it knows from here alone */
} Verdict;

static bool token_in(const Tokens *tokens, const Token *t)
{
    for (size_t i = 0; i < tokens->n; i++)
        if (tokens->items[i].symbol == t->symbol)
            return true;
    return false;
}

/* Whether the new text gives the name a value itself. */
static bool bound_within(const File *f, const Tokens *new, size_t i)
{
    for (size_t k = 0; k < new->n; k++) {
        if (new->items[k].symbol != new->items[i].symbol || k + 1 >= new->n)
            continue;
        if (token_is(f, &new->items[k + 1], "=") || (k > 0 && token_is(f, &new->items[k - 1], "for")))
            return true;
    }
    return false;
}

/* A method that lists or maps have anyway, or a function that the language has: used in this tree or not. */
static bool is_everybodys(const File *f, const Token *t)
{
    static const char *const names[] = {"append", "extend", "insert",    "update",   "add",   "setdefault", "get",
                                        "pop",    "copy",   "list",      "dict",     "set",   "sorted",     "str",
                                        "int",    "float",  "len",       "reversed", "range", "min",        "max",
                                        "any",    "all",    "enumerate", "tuple"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (token_is(f, t, names[i]))
            return true;
    return false;
}

/* `f` here is a file of the new text alone. */
static bool names_work(const Site *site, const File *f, const Tokens *old, const Tokens *new)
{
    const Tree *tree = site->search->tree;
    uint32_t function = site_statement(site)->function;

    for (size_t i = 0; i < new->n; i++) {
        const Token *t = &new->items[i];

        if (!token_is_identifier(f, t))
            continue;
        if (i >= 2 && token_is(f, t - 1, ".") && (token_is(f, t - 2, "self") || token_is(f, t - 2, "this"))) {
            if (function == NONE || (site->file->functions[function].class &&
                                     !tree_has_attribute(tree, site->file->functions[function].class, t->symbol)))
                return false;
            continue;
        }
        if (token_in(old, t))
            continue;
        if (i > 0 && token_is(f, t - 1, ".")) {
            if (!tree_is_attribute(tree, t->symbol) && !tree_is_bound(tree, t->symbol) && !is_everybodys(f, t))
                return false;
        } else if (i + 1 < new->n && token_is(f, t + 1, "=") && i > 0 &&
                   (token_is(f, t - 1, ",") || token_is(f, t - 1, "("))) {
            continue; /* an argument by name */
        } else if (!tree_name_works(tree, site->file, site->at, t->symbol) && !bound_within(f, new, i) &&
                   !(f->language == LANGUAGE_PYTHON && is_everybodys(f, t))) {
            return false;
        }
    }
    return true;
}

static Symbol at_or_edge(const Tokens *t, size_t i)
{
    return i < t->n ? t->items[i].symbol : TREE_EDGE;
}

static bool has_pair(const Tokens *t, Symbol a, Symbol b)
{
    for (size_t i = 0; i <= t->n; i++)
        if ((i == 0 ? TREE_EDGE : t->items[i - 1].symbol) == a && at_or_edge(t, i) == b)
            return true;
    return false;
}

/* Share of the pairs and triples of `new` that `old` lacks and that the tree knows at least `times`; -1 when there are none. */
static double known_share(const Tree *tree, const Tokens *new, const Tokens *old, unsigned times)
{
    double known = 0, all = 0;

    for (size_t i = 0; i <= new->n; i++) {
        Symbol a = i < 2 ? TREE_EDGE : new->items[i - 2].symbol, b = i == 0 ? TREE_EDGE : new->items[i - 1].symbol,
               c = at_or_edge(new, i);

        if (has_pair(old, b, c))
            continue;
        all += 2;
        known += tree_follows(tree, b, c, 0) >= times;
        known += i > 0 && tree_follows(tree, a, b, c) >= times;
    }
    return all > 0 ? known / all : -1;
}

static bool equal_tokens(const Tokens *a, const Tokens *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (a->items[i].symbol != b->items[i].symbol)
            return false;
    return true;
}

static uint32_t leading_columns(const char *text)
{
    uint32_t n = 0;

    while (text && (text[n] == ' ' || text[n] == '\t'))
        n++;
    return n;
}

static int judge(const Site *site, const Edit *e, Verdict *ret)
{
    Search *s = site->search;
    const File *f = e->file;
    const char *old_text = f->text + f->lines[e->first];
    size_t old_len = f->lines[e->first + e->n] - f->lines[e->first], new_len = e->text ? strlen(e->text) : 0;
    File fresh = {.language = f->language, .text = e->text ? e->text : ""};
    Tokens old, new;
    double gained, lost;
    int r;

    *ret = (Verdict){};
    if (new_len > TEXT_MAX || e->n > EDIT_LINES_MAX || text_lines(e->text) > EDIT_LINES_MAX)
        return 0;
    r = lex(s->scratch, s->symbols, f->language, old_text, old_len, &old);
    if (r >= 0)
        r = lex(s->scratch, s->symbols, f->language, fresh.text, new_len, &new);
    if (r < 0)
        return r == -ENOMEM ? r : 0;
    if (old.unmatched != new.unmatched || !names_work(site, &fresh, &old, &new))
        return 0;
    if (equal_tokens(&old, &new) &&
        (f->language != LANGUAGE_PYTHON || leading_columns(old_text) == leading_columns(e->text)) && e->n <= 1)
        return 0;
    gained = known_share(s->tree, &new, &old, 1);
    lost = known_share(s->tree, &old, &new, 2);
    ret->possible = true;
    ret->usual = gained < 0 ? 0.7 : gained;
    ret->unusual = lost < 0 ? 0.5 : 1 - lost;
    return 0;
}

/* ---- making them ---- */

char *site_text(const Site *site, uint32_t from, uint32_t to)
{
    const Token *t = site_tokens(site);

    if (from >= to)
        return arena_copy(site->search->arena, "", 0);
    return arena_copy(site->search->arena, site->file->text + t[from].start, t[to - 1].end - t[from].start);
}

int candidate_edits(const Site *site, const Edit *edits, uint32_t n, Operator op, double weight)
{
    Search *s = site->search;
    Candidate c = {.n_edits = n, .op = op, .file = site->file, .statement = site->at, .hash = edits_hash(edits, n)};
    double plausibility = 0;
    bool new;
    int r;

    if (n > EDITS_MAX || s->n >= s->limit || weight <= 0)
        return 0;
    for (uint32_t i = 0; i < n; i++) {
        Verdict v;

        r = judge(site, &edits[i], &v);
        arena_reset(s->scratch);
        if (r < 0 || !v.possible)
            return r;
        plausibility += (operators[op].unlike + (1 - operators[op].unlike) * v.usual) * (0.7 + 0.6 * v.unusual) / n;
    }
    r = search_know(s, c.hash, &new);
    if (r < 0 || !new)
        return r;
    c.score = site_statement(site)->suspicion * operators[op].prior * weight * plausibility;
    c.edits = arena_alloc(s->arena, n * sizeof(*c.edits));
    if (!c.edits || !ARENA_GROW(s->arena, s->candidates, s->n, s->size))
        return -ENOMEM;
    memcpy(c.edits, edits, n * sizeof(*edits));
    s->candidates[s->n++] = c;
    return 0;
}

/* Whether lines [first, first + n) are all that the block around them holds. */
static bool empties_block(const File *f, uint32_t at, uint32_t first, uint32_t n)
{
    uint32_t parent = f->statements[at].parent;

    if (parent == NONE || f->language != LANGUAGE_PYTHON)
        return false;
    for (uint32_t i = parent + 1; i < f->statements[parent].end; i++)
        if ((f->statements[i].first < first || f->statements[i].first >= first + n) &&
            f->statements[i].kind != STATEMENT_TEXT)
            return false;
    return true;
}

int candidate_lines(const Site *site, uint32_t first, uint32_t n, const char *text, Operator op, double weight)
{
    Edit e = {.file = site->file, .first = first, .n = n, .text = text};

    if (!text && empties_block(site->file, site->at, first, n)) {
        e.text = arena_printf(site->search->arena, "%*spass", (int) site_statement(site)->indent, "");
        if (!e.text)
            return -ENOMEM;
    }
    return candidate_edits(site, &e, 1, op, weight);
}

char *change_text(const Site *site, const Change *changes, size_t n)
{
    const Statement *s = site_statement(site);
    const File *f = site->file;
    const Token *t = site_tokens(site);
    _cleanup_(strbuf_done) StrBuf b = {};
    size_t at = f->lines[s->first], end = f->lines[s->last + 1];

    while (end > at && (f->text[end - 1] == '\n' || f->text[end - 1] == '\r'))
        end--;
    for (size_t i = 0; i < n; i++) {
        /* an insertion stands right behind the token before it */
        size_t from = changes[i].from < changes[i].to ? t[changes[i].from].start
                      : changes[i].from > 0           ? t[changes[i].from - 1].end
                                                      : t[0].start;
        size_t to = changes[i].from < changes[i].to ? t[changes[i].to - 1].end : from;

        if (from < at)
            from = at;
        if (!*changes[i].text && changes[i].from > 0) /* with the space around it */
            while (from > at && f->text[from - 1] == ' ')
                from--;
        if (!*changes[i].text && from > at && strchr("([{", f->text[from - 1]))
            while (to < end && f->text[to] == ' ')
                to++;
        strbuf_add(&b, f->text + at, from - at);
        strbuf_adds(&b, changes[i].text);
        at = MAX(to, at);
    }
    strbuf_add(&b, f->text + at, end - at);
    return b.failed ? NULL : arena_copy(site->search->arena, b.data ? b.data : "", b.len);
}

int candidate_change(const Site *site, const Change *changes, size_t n, Operator op, double weight)
{
    const Statement *s = site_statement(site);
    char *text = change_text(site, changes, n);

    if (!text)
        return -ENOMEM;
    return candidate_lines(site, s->first, s->last - s->first + 1, text, op, weight);
}

int candidate_replace(const Site *site, uint32_t from, uint32_t to, const char *text, Operator op, double weight)
{
    if (!text)
        return -ENOMEM;
    return candidate_change(site, &(const Change){from, to, text}, 1, op, weight);
}
