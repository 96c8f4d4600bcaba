/* SPDX-License-Identifier: Apache-2.0 */
#include "detect.h"

#include <regex.h>

#define GROUPS_MAX 10

typedef struct Rule {
    const EvidenceRule *spec;
    regex_t regex;
    bool compiled;
} Rule;

struct Rules {
    Rule *rules;
    size_t n;
};

static int compile_one(const Agent *agent, const EvidenceRule *spec, Rule *ret, Error *e)
{
    char why[200];
    int r;

    ret->spec = spec;
    if (spec->on != RULE_ON_USER && spec->on != RULE_ON_ASSISTANT)
        return 0;
    r = regcomp(&ret->regex, spec->pattern ? spec->pattern : "", REG_EXTENDED);
    if (r != 0) {
        regerror(r, &ret->regex, why, sizeof(why));
        return error_setf(e, -EINVAL, "agent.json of %s: evidence rule \"%s\": %s", agent->name, spec->name, why);
    }
    ret->compiled = true;
    if (spec->expect >= GROUPS_MAX || spec->expect > ret->regex.re_nsub)
        return error_setf(e, -EINVAL, "agent.json of %s: evidence rule \"%s\": the pattern has no group %u",
                          agent->name, spec->name, spec->expect);
    return 0;
}

int rules_compile(const Agent *agent, Rules **ret, Error *e)
{
    _cleanup_(rules_freep) Rules *rules = calloc(1, sizeof(*rules));

    if (!rules || !(rules->rules = calloc(agent->n_rules + 1, sizeof(Rule))))
        return error_setf(e, -ENOMEM, "out of memory");
    for (size_t i = 0; i < agent->n_rules; i++) {
        int r;

        rules->n++;
        r = compile_one(agent, &agent->rules[i], &rules->rules[i], e);
        if (r < 0)
            return r;
    }
    *ret = TAKE_PTR(rules);
    return 0;
}

Rules *rules_free(Rules *rules)
{
    if (!rules)
        return NULL;
    for (size_t i = 0; i < rules->n; i++)
        if (rules->rules[i].compiled)
            regfree(&rules->rules[i].regex);
    free(rules->rules);
    free(rules);
    return NULL;
}

static bool rule_matches(const Rule *rule, const char *text)
{
    return text && regexec(&rule->regex, text, 0, NULL, 0) == 0;
}

bool rules_match_event(const Rules *rules, const Event *event)
{
    for (size_t i = 0; i < rules->n; i++) {
        const Rule *rule = &rules->rules[i];

        if ((rule->spec->on == RULE_ON_USER && event->type == EVENT_USER && rule_matches(rule, event->text)) ||
            (rule->spec->on == RULE_ON_ASSISTANT && event->type == EVENT_ASSISTANT &&
             rule_matches(rule, event->text)) ||
            (rule->spec->on == RULE_ON_ERROR && event->type == EVENT_ERROR))
            return true;
    }
    return false;
}

static int add_hit(Hits *hits, Hit hit)
{
    if (hits->n == hits->size) {
        size_t size = MAX(hits->size * 2, (size_t) 32);
        Hit *p = reallocarray(hits->hits, size, sizeof(*p));

        if (!p) {
            free(hit.expected);
            return -ENOMEM;
        }
        hits->hits = p;
        hits->size = size;
    }
    hits->hits[hits->n++] = hit;
    return 0;
}

/* The trimmed text of the group; NULL where it took no part or is empty. */
static char *group_text(const Rule *rule, const char *text)
{
    regmatch_t m[GROUPS_MAX];
    regoff_t from, to;

    if (rule->spec->expect == 0 || regexec(&rule->regex, text, GROUPS_MAX, m, 0) != 0)
        return NULL;
    from = m[rule->spec->expect].rm_so;
    to = m[rule->spec->expect].rm_eo;
    while (from >= 0 && from < to && strchr(" \t\r\n", text[from]))
        from++;
    while (from >= 0 && from < to && strchr(" \t\r\n", text[to - 1]))
        to--;
    return from < 0 || from >= to ? NULL : strndup(text + from, (size_t) (to - from));
}

static int detect_complaint(const Rule *rule, const Corpus *c, size_t t, Hits *hits)
{
    const Turn *turn = &c->turns[t];
    size_t about = turn->previous;
    Hit hit;

    while (about != SIZE_MAX && hits->complaints[about])
        about = c->turns[about].previous;
    if (about == SIZE_MAX || !rule_matches(rule, turn->text))
        return 0; /* a complaint about nothing */
    hit = (Hit){rule->spec, about, t, group_text(rule, turn->text), turn->file, turn->offset};
    return add_hit(hits, hit);
}

static int detect_unanswered(const Rule *rule, const Corpus *c, size_t t, const bool *ended, Hits *hits)
{
    const Turn *turn = &c->turns[t];

    if (turn->reply || turn->error)
        return 0;
    if (turn->next != SIZE_MAX) {
        const Turn *next = &c->turns[turn->next];

        return add_hit(hits, (Hit){rule->spec, t, SIZE_MAX, NULL, next->file, next->offset});
    }
    if (ended && ended[turn->file])
        return add_hit(hits, (Hit){rule->spec, t, SIZE_MAX, NULL, turn->file, UINT64_MAX});
    return 0;
}

static int detect_turn(const Rule *rule, const Corpus *c, size_t t, const bool *ended, Hits *hits)
{
    const Turn *turn = &c->turns[t];

    switch (rule->spec->on) {
    case RULE_ON_USER:
        return hits->complaints[t] ? detect_complaint(rule, c, t, hits) : 0;
    case RULE_ON_ASSISTANT:
        return rule_matches(rule, turn->reply)
                   ? add_hit(hits, (Hit){rule->spec, t, SIZE_MAX, NULL, turn->file, turn->reply_offset})
                   : 0;
    case RULE_ON_ERROR:
        return turn->error ? add_hit(hits, (Hit){rule->spec, t, SIZE_MAX, NULL, turn->file, turn->error_offset}) : 0;
    case RULE_ON_END:
        return detect_unanswered(rule, c, t, ended, hits);
    }
    return 0;
}

/* Who says what he expected has said all about the error or the silence that he complains of: one task, not two. */
static int drop_explained(const Corpus *c, Hits *hits)
{
    _cleanup_free_ bool *explained = calloc(c->n + 1, sizeof(bool));
    size_t n = 0;

    if (!explained)
        return -ENOMEM;
    for (size_t i = 0; i < hits->n; i++)
        explained[hits->hits[i].turn] |= hits->hits[i].expected != NULL;
    for (size_t i = 0; i < hits->n; i++)
        if (hits->hits[i].expected || hits->hits[i].complaint != SIZE_MAX || !explained[hits->hits[i].turn])
            hits->hits[n++] = hits->hits[i];
    hits->n = n;
    return 0;
}

int detect(const Rules *rules, const Corpus *c, const bool *ended, Hits *ret, Error *e)
{
    _cleanup_(hits_done) Hits hits = {.complaints = calloc(c->n + 1, sizeof(bool))};

    if (!hits.complaints)
        return error_setf(e, -ENOMEM, "out of memory");
    for (size_t t = 0; t < c->n; t++)
        for (size_t i = 0; i < rules->n; i++)
            hits.complaints[t] |=
                rules->rules[i].spec->on == RULE_ON_USER && rule_matches(&rules->rules[i], c->turns[t].text);
    for (size_t t = 0; t < c->n; t++)
        for (size_t i = 0; i < rules->n; i++) {
            int r = detect_turn(&rules->rules[i], c, t, ended, &hits);

            if (r < 0)
                return error_setf(e, r, "out of memory");
        }
    if (drop_explained(c, &hits) < 0)
        return error_setf(e, -ENOMEM, "out of memory");
    *ret = hits;
    hits = (Hits){};
    return 0;
}

void hits_done(Hits *hits)
{
    for (size_t i = 0; i < hits->n; i++)
        free(hits->hits[i].expected);
    free(hits->hits);
    free(hits->complaints);
    *hits = (Hits){};
}
