/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"
#include "session.h"

static const json_t *member(const json_t *o, const char *path)
{
    while (path && o) {
        const char *dot = strchr(path, '.');
        size_t n = dot ? (size_t) (dot - path) : strlen(path);
        char key[128];

        if (n >= sizeof(key))
            return NULL;
        memcpy(key, path, n);
        key[n] = '\0';
        o = json_object_get(o, key);
        path = dot ? dot + 1 : NULL;
    }
    return o;
}

static char *text_of(const json_t *v)
{
    _cleanup_(strbuf_done) StrBuf b = {};
    json_t *part;
    size_t i;

    if (json_is_string(v))
        return json_string_length(v) > 0 ? strdup(json_string_value(v)) : NULL;
    json_array_foreach ((json_t *) v, i, part) {
        const char *text = json_string_value(json_is_string(part) ? part : json_object_get(part, "text"));

        if (text)
            strbuf_adds(&b, text);
    }
    return b.len > 0 ? strbuf_take(&b) : NULL;
}

/* Ids may be numbers. */
static char *name_of(const json_t *v)
{
    if (json_is_string(v) && json_string_length(v) > 0 && json_string_length(v) <= 1024)
        return strdup(json_string_value(v));
    return json_is_integer(v) ? xasprintf("%" JSON_INTEGER_FORMAT, json_integer_value(v)) : NULL;
}

static EventType type_of(const Agent *agent, const char *value)
{
    if (!value)
        return EVENT_OTHER;
    if (streq_ptr(value, agent->value_user))
        return EVENT_USER;
    if (streq_ptr(value, agent->value_assistant))
        return EVENT_ASSISTANT;
    return streq_ptr(value, agent->value_error) ? EVENT_ERROR : EVENT_OTHER;
}

int event_parse(const Agent *agent, const char *line, size_t len, Event *ret)
{
    _cleanup_json_ json_t *json = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *order;

    if (!json_is_object(json))
        return -EBADMSG;
    *ret = (Event){.type = type_of(agent, json_string_value(member(json, agent->field_type)))};
    if (ret->type == EVENT_OTHER)
        return 0;
    ret->text = agent->field_text ? text_of(member(json, agent->field_text)) : NULL;
    ret->user = agent->field_user ? name_of(member(json, agent->field_user)) : NULL;
    ret->session = agent->field_session ? name_of(member(json, agent->field_session)) : NULL;
    order = agent->field_order ? member(json, agent->field_order) : NULL;
    if (json_is_integer(order))
        ret->order = (EventOrder){.set = true, .number = json_integer_value(order)};
    else if (json_is_real(order) && json_real_value(order) > -9e12 && json_real_value(order) < 9e12)
        ret->order = (EventOrder){.set = true, .number = (int64_t) (json_real_value(order) * 1e6)}; /* seconds */
    else if (json_is_string(order))
        ret->order = (EventOrder){.set = true, .text = strdup(json_string_value(order))};
    return 0;
}

void event_done(Event *event)
{
    free(event->text);
    free(event->user);
    free(event->session);
    free(event->order.text);
    *event = (Event){};
}
