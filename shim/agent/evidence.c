/* SPDX-License-Identifier: Apache-2.0 */
#include <regex.h>
#include <stdio.h>

#include "sections.h"

#define RULES_MAX 64U

int agent_parse_sessions(Agent *a, const Section *s, Error *e)
{
    static const char *const known[] = {"format", "directory", "glob", "fields", "values", NULL};
    static const char *const fields_known[] = {"type", "text", "user", "session", "order", NULL};
    static const char *const values_known[] = {"user", "assistant", "error", NULL};
    const JsonAt at_fields = {s->at.file, "sessions.fields"}, at_values = {s->at.file, "sessions.values"};
    const char *format = "jsonl";
    json_t *fields, *values;
    int r = json_only(s->o, s->at, known, e);

    a->sessions_glob = "*.jsonl";
    if (r >= 0)
        r = json_want_string(s->o, s->at, "format", &format, e);
    if (r >= 0 && !streq(format, "jsonl"))
        return section_error(s, "format", e, "\"%.60s\" must be jsonl", format);
    if (r >= 0)
        r = json_need_string(s->o, s->at, "directory", &a->sessions_directory, e);
    if (r >= 0 && !path_is_clean_relative(a->sessions_directory))
        return section_error(s, "directory", e, "\"%.100s\" must be a relative path below the state",
                             a->sessions_directory);
    if (r >= 0)
        r = json_want_string(s->o, s->at, "glob", &a->sessions_glob, e);
    if (r >= 0 && (!*a->sessions_glob || strchr(a->sessions_glob, '/')))
        return section_error(s, "glob", e, "\"%.100s\" must be a pattern of file names", a->sessions_glob);
    if (r < 0 || (r = json_need(s->o, s->at, "fields", JSON_OBJECT, &fields, e)) < 0 ||
        (r = json_only(fields, at_fields, fields_known, e)) < 0 ||
        (r = json_need_string(fields, at_fields, "type", &a->field_type, e)) < 0 ||
        (r = json_need_string(fields, at_fields, "text", &a->field_text, e)) < 0 ||
        (r = json_need_string(fields, at_fields, "user", &a->field_user, e)) < 0 ||
        (r = json_need_string(fields, at_fields, "session", &a->field_session, e)) < 0 ||
        (r = json_want_string(fields, at_fields, "order", &a->field_order, e)) < 0)
        return r;
    if ((r = json_need(s->o, s->at, "values", JSON_OBJECT, &values, e)) < 0 ||
        (r = json_only(values, at_values, values_known, e)) < 0 ||
        (r = json_need_string(values, at_values, "user", &a->value_user, e)) < 0 ||
        (r = json_need_string(values, at_values, "assistant", &a->value_assistant, e)) < 0)
        return r;
    return json_want_string(values, at_values, "error", &a->value_error, e);
}

/* ---- rules ---- */

static int check_pattern(const EvidenceRule *rule, const Section *s, Error *e)
{
    char why[200];
    size_t groups;
    regex_t re;
    int r;

    if (strlen(rule->pattern) > 1000)
        return section_error(s, "pattern", e, "has more than 1000 bytes");
    r = regcomp(&re, rule->pattern, REG_EXTENDED);
    if (r != 0) {
        regerror(r, &re, why, sizeof(why));
        return section_error(s, "pattern", e, "%s", why);
    }
    groups = re.re_nsub;
    regfree(&re);
    if (rule->expect > groups)
        return section_error(s, "expect", e, "is %u, but the pattern has %zu groups", rule->expect, groups);
    return 0;
}

static int parse_on(EvidenceRule *rule, const Section *s, Error *e)
{
    static const char *const names[] = {
        [RULE_ON_USER] = "user", [RULE_ON_ASSISTANT] = "assistant", [RULE_ON_ERROR] = "error", [RULE_ON_END] = "end"};
    const char *on;
    int r = json_need_string(s->o, s->at, "on", &on, e);

    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (streq(on, names[i])) {
            rule->on = i;
            return 0;
        }
    return section_error(s, "on", e, "\"%.60s\" must be user, assistant, error or end", on);
}

static int parse_rule(EvidenceRule *rule, const Section *s, Error *e)
{
    static const char *const known[] = {"name", "on", "pattern", "expect", NULL};
    int64_t expect = 0;
    int r = json_only(s->o, s->at, known, e);

    if (r >= 0)
        r = json_need_string(s->o, s->at, "name", &rule->name, e);
    if (r >= 0 && !agent_name_valid(rule->name))
        return section_error(s, "name", e, "\"%.60s\" must be of a-z, 0-9 and -, at most 32", rule->name);
    if (r >= 0)
        r = parse_on(rule, s, e);
    if (r >= 0)
        r = json_want_string(s->o, s->at, "pattern", &rule->pattern, e);
    if (r >= 0)
        r = json_want_integer(s->o, s->at, "expect", 1, 9, &expect, e);
    if (r < 0)
        return r;
    rule->expect = (unsigned) expect;
    if (rule->on == RULE_ON_ERROR || rule->on == RULE_ON_END)
        return rule->pattern || rule->expect
                   ? section_error(s, "pattern", e, "only rules on user and assistant have one")
                   : 0;
    return rule->pattern ? check_pattern(rule, s, e) : section_error(s, "pattern", e, "is missing");
}

int agent_parse_evidence(Agent *a, const Section *s, Error *e)
{
    static const char *const known[] = {"rules", "intervalSeconds", NULL};
    json_t *rules, *rule;
    size_t i;
    int r = json_only(s->o, s->at, known, e);

    if (r >= 0)
        r = section_seconds(s, "intervalSeconds", 1, &a->evidence_interval_seconds, e);
    if (r >= 0)
        r = json_need(s->o, s->at, "rules", JSON_ARRAY, &rules, e);
    if (r < 0)
        return r;
    if (json_array_size(rules) == 0 || json_array_size(rules) > RULES_MAX)
        return section_error(s, "rules", e, "has %zu rules, must have from 1 to %u", json_array_size(rules), RULES_MAX);
    a->rules = calloc(json_array_size(rules), sizeof(*a->rules));
    if (!a->rules)
        return error_errnof(e, -ENOMEM, "%s", s->at.file);
    json_array_foreach (rules, i, rule) {
        char path[40];

        snprintf(path, sizeof(path), "evidence.rules[%zu]", i);
        if (!json_is_object(rule))
            return error_setf(e, -EINVAL, "%s: %s: must be an object", s->at.file, path);
        r = parse_rule(&a->rules[i], &(Section){rule, {s->at.file, path}, s->base}, e);
        if (r < 0)
            return r;
        a->n_rules++;
        for (size_t j = 0; j < i; j++)
            if (streq(a->rules[j].name, a->rules[i].name))
                return error_setf(e, -EINVAL, "%s: %s.name: \"%s\" is there twice", s->at.file, path, a->rules[i].name);
    }
    return 0;
}

/* ---- replay ---- */

int agent_parse_replay(Agent *a, const Section *s, Error *e)
{
    static const char *const known[] = {"directory",          "command",        "traceCommand",
                                        "turnTimeoutSeconds", "timeoutSeconds", NULL};
    int r = json_only(s->o, s->at, known, e);

    a->replay_turn_timeout_seconds = 5;
    a->replay_timeout_seconds = 60;
    if (r >= 0)
        r = section_host_path(s, "directory", true, &a->replay_directory, e);
    if (r >= 0)
        r = section_command(s, "command", true, &a->replay_argv, e);
    if (r >= 0)
        r = section_command(s, "traceCommand", false, &a->trace_argv, e);
    if (r >= 0)
        r = section_seconds(s, "turnTimeoutSeconds", 1, &a->replay_turn_timeout_seconds, e);
    if (r >= 0)
        r = section_seconds(s, "timeoutSeconds", 1, &a->replay_timeout_seconds, e);
    if (r >= 0 && a->replay_timeout_seconds < a->replay_turn_timeout_seconds)
        return section_error(s, "timeoutSeconds", e, "is %u, less than the %u of one turn", a->replay_timeout_seconds,
                             a->replay_turn_timeout_seconds);
    return r;
}
