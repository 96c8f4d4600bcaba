/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "dbus.h"
#include "runtime/base/clock.h"
#include "runtime/base/json.h"
#include "scope.h"

#define ANNOTATION "org.systemd.property."
#define CPUS_MAX 8192
#define UNLIMITED UINT64_MAX

static void put_name(StrBuf *b, const char *name, const char *signature)
{
    bus_put_align(b, 8);
    bus_put_string(b, name);
    bus_put_signature(b, signature);
}

void scope_put_text(StrBuf *b, const char *name, const char *value)
{
    put_name(b, name, "s");
    bus_put_string(b, value);
}

void scope_put_bool(StrBuf *b, const char *name, bool value)
{
    put_name(b, name, "b");
    bus_put_u32(b, value);
}

void scope_put_number(StrBuf *b, const char *name, uint64_t value)
{
    put_name(b, name, "t");
    bus_put_u64(b, value);
}

/* ---- limits ---- */

static int64_t number(const json_t *group, const char *key)
{
    return json_integer_value(json_object_get(group, key)); /* 0: none was asked for */
}

/* -1 is "no limit". */
static void put_limit(StrBuf *b, const char *name, int64_t n)
{
    if (n != 0)
        scope_put_number(b, name, n < 0 ? UNLIMITED : (uint64_t) n);
}

static void put_memory(StrBuf *b, const json_t *o)
{
    int64_t limit = number(o, "limit"), swap = number(o, "swap");

    put_limit(b, "MemoryMax", limit);
    put_limit(b, "MemoryLow", number(o, "reservation"));
    if (swap < 0)
        put_limit(b, "MemorySwapMax", swap);
    else if (limit > 0 && swap >= limit) /* without the memory, and so perhaps none at all */
        scope_put_number(b, "MemorySwapMax", (uint64_t) (swap - limit));
}

/* "0-3,5" as a bit for each; false if it is none such. */
static bool parse_list(const char *text, uint8_t bits[static CPUS_MAX / 8], size_t *ret_n)
{
    for (const char *p = text; *p;) {
        char *end;
        unsigned long first = strtoul(p, &end, 10), last = first;

        if (!isdigit((unsigned char) *p))
            return false;
        if (*end == '-' && isdigit((unsigned char) end[1]))
            last = strtoul(end + 1, &end, 10);
        if (last < first || last >= CPUS_MAX || (*end && *end != ','))
            return false;
        for (; first <= last; first++) {
            bits[first / 8] |= (uint8_t) (1U << first % 8);
            *ret_n = MAX(*ret_n, first / 8 + 1);
        }
        p = end + (*end == ',');
    }
    return *ret_n > 0;
}

static void put_list(StrBuf *b, const char *name, const char *text)
{
    uint8_t bits[CPUS_MAX / 8] = {};
    size_t n = 0, start;

    if (!text || !parse_list(text, bits, &n))
        return;
    put_name(b, name, "ay");
    start = bus_open_array(b, 1);
    (void) strbuf_add(b, bits, n);
    bus_close_array(b, start, 1);
}

static void put_cpu(StrBuf *b, const json_t *o)
{
    int64_t shares = number(o, "shares"), quota = number(o, "quota"), period = number(o, "period");

    if (shares > 0)
        scope_put_number(b, "CPUWeight", (uint64_t) resources_cpu_weight(shares));
    if (period > 0)
        scope_put_number(b, "CPUQuotaPeriodUSec", (uint64_t) period);
    if (quota < 0)
        put_limit(b, "CPUQuotaPerSecUSec", quota);
    if (quota > 0 && quota < INT64_MAX / 1000000) { /* whole percents, rounded up, as systemd keeps no finer ones */
        uint64_t share = (uint64_t) quota * USEC_PER_SEC / (uint64_t) (period > 0 ? period : 100000);

        scope_put_number(b, "CPUQuotaPerSecUSec", (share + 9999) / 10000 * 10000);
    }
    put_list(b, "AllowedCPUs", json_string_value(json_object_get(o, "cpus")));
    put_list(b, "AllowedMemoryNodes", json_string_value(json_object_get(o, "mems")));
}

/* Files of the cgroup that are one number, and their properties. */
static void put_unified(StrBuf *b, const json_t *o)
{
    static const struct {
        const char *file, *name;
    } table[] = {
        {"cpu.weight", "CPUWeight"},   {"io.weight", "IOWeight"},
        {"memory.high", "MemoryHigh"}, {"memory.low", "MemoryLow"},
        {"memory.max", "MemoryMax"},   {"memory.min", "MemoryMin"},
        {"pids.max", "TasksMax"},      {"memory.swap.max", "MemorySwapMax"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        const char *text = json_string_value(json_object_get(o, table[i].file));
        uint64_t n;
        int end = -1;

        if (!text)
            continue;
        if (streq(text, "max"))
            scope_put_number(b, table[i].name, UNLIMITED);
        else if (isdigit((unsigned char) *text) && sscanf(text, "%" SCNu64 "%n", &n, &end) == 1 && !text[end])
            scope_put_number(b, table[i].name, n);
    }
    put_list(b, "AllowedCPUs", json_string_value(json_object_get(o, "cpuset.cpus")));
    put_list(b, "AllowedMemoryNodes", json_string_value(json_object_get(o, "cpuset.mems")));
}

void scope_put_limits(StrBuf *b, const json_t *resources)
{
    int64_t weight = number(json_object_get(resources, "blockIO"), "weight");

    put_memory(b, json_object_get(resources, "memory"));
    put_cpu(b, json_object_get(resources, "cpu"));
    put_limit(b, "TasksMax", number(json_object_get(resources, "pids"), "limit"));
    if (weight > 0)
        scope_put_number(b, "IOWeight", (uint64_t) resources_io_weight(weight));
    put_unified(b, json_object_get(resources, "unified"));
}

/* ---- annotations ---- */

static const struct {
    const char *word;
    char type;
} types[] = {
    {"boolean", 'b'}, {"byte", 'y'},   {"double", 'd'},     {"int16", 'n'},  {"int32", 'i'},  {"int64", 'x'},
    {"string", 's'},  {"uint16", 'q'}, {"objectpath", 'o'}, {"uint32", 'u'}, {"uint64", 't'},
};

static const char *skip(const char *p)
{
    return p + strspn(p, " \t");
}

/* The type of the value at *p: said by a word, which is skipped, or seen from the value. 0: there is none. */
static char value_type(const char **p)
{
    size_t n = strspn(*p, "abcdefghijklmnopqrstuvwxyz0123456789");

    if (**p == '\'' || **p == '"')
        return 's';
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        if (strlen(types[i].word) == n && strncmp(*p, types[i].word, n) == 0) {
            *p = skip(*p + n);
            return types[i].type;
        }
    if (startswith(*p, "true") || startswith(*p, "false"))
        return 'b';
    n = strcspn(*p, " \t,]");
    return n == 0 ? 0 : memchr(*p, '.', n) ? 'd' : 'i';
}

static size_t size_of(char type)
{
    return type == 'y' ? 1 : type == 'n' || type == 'q' ? 2 : type == 'x' || type == 't' || type == 'd' ? 8 : 4;
}

static bool put_quoted(StrBuf *b, const char **p)
{
    _cleanup_(strbuf_done) StrBuf text = {};
    char quote = *(*p)++;

    if (quote != '\'' && quote != '"')
        return false;
    for (; **p && **p != quote; (*p)++) {
        if (**p == '\\' && !*++(*p))
            return false;
        (void) strbuf_add(&text, *p, 1);
    }
    if (*(*p)++ != quote)
        return false;
    bus_put_string(b, text.data ? text.data : "");
    return true;
}

static bool put_integer(StrBuf *b, char type, const char **p)
{
    static const struct {
        char type;
        int64_t min;
        uint64_t max;
    } ranges[] = {{'y', 0, UINT8_MAX},  {'n', INT16_MIN, INT16_MAX}, {'q', 0, UINT16_MAX}, {'i', INT32_MIN, INT32_MAX},
                  {'u', 0, UINT32_MAX}, {'x', INT64_MIN, INT64_MAX}, {'t', 0, UINT64_MAX}};
    bool negative = **p == '-';
    uint64_t n;
    char *end;

    errno = 0;
    n = strtoull(*p + negative, &end, 0);
    if (errno || !isdigit((unsigned char) (*p)[negative]))
        return false;
    *p = end;
    for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
        if (ranges[i].type != type)
            continue;
        if (negative ? n > -(uint64_t) ranges[i].min : n > ranges[i].max)
            return false;
        n = negative ? -n : n;
        if (size_of(type) == 1)
            bus_put_byte(b, (uint8_t) n);
        else if (size_of(type) == 2)
            bus_put_u16(b, (uint16_t) n);
        else if (size_of(type) == 4)
            bus_put_u32(b, (uint32_t) n);
        else
            bus_put_u64(b, n);
        return true;
    }
    return false;
}

static bool put_double(StrBuf *b, const char **p)
{
    char *end;
    double d = strtod(*p, &end);
    uint64_t bits;

    if (end == *p || !isfinite(d))
        return false;
    memcpy(&bits, &d, sizeof(bits));
    bus_put_u64(b, bits);
    *p = end;
    return true;
}

static bool put_basic(StrBuf *b, char type, const char **p)
{
    if (type == 's' || type == 'o')
        return put_quoted(b, p);
    if (type == 'd')
        return put_double(b, p);
    if (type != 'b')
        return put_integer(b, type, p);
    if (!startswith(*p, "true") && !startswith(*p, "false"))
        return false;
    bus_put_u32(b, **p == 't');
    *p += **p == 't' ? 4 : 5;
    return true;
}

/* An array; `type` is that of its elements, 0 if the first of them tells. */
static bool put_array(StrBuf *b, const char *name, char type, const char **p)
{
    char signature[] = "as";
    size_t start;

    *p = skip(*p + 1);
    signature[1] = type ? type : value_type(p);
    if (!signature[1] || (**p == ']' && !type))
        return false;
    put_name(b, name, signature);
    start = bus_open_array(b, size_of(signature[1]));
    while (**p != ']') {
        char own = value_type(p);

        if ((strchr("so", own) && !strchr("so", signature[1])) || !put_basic(b, signature[1], p))
            return false;
        *p = skip(*p);
        if (**p != ',' && **p != ']')
            return false;
        *p = **p == ',' ? skip(*p + 1) : *p;
    }
    bus_close_array(b, start, size_of(signature[1]));
    (*p)++;
    return true;
}

/* GVariant text of a basic value or an array of such, with "@as" or a word for the type or without. */
static bool put_variant(StrBuf *b, const char *name, const char *text)
{
    const char *p = skip(text);
    char type = 0;

    if (*p == '@') {
        bool array = p[1] == 'a';

        type = p[1 + array];
        if (!type || !strchr("bydnixsqout", type) || (skip(p + 2 + array)[0] == '[') != array)
            return false;
        p = skip(p + 2 + array);
    }
    if (*p == '[') {
        if (!put_array(b, name, type, &p))
            return false;
    } else {
        if (!type)
            type = value_type(&p);
        if (!type)
            return false;
        put_name(b, name, (char[]){type, '\0'});
        if (!put_basic(b, type, &p))
            return false;
    }
    return !*skip(p);
}

/* TimeoutStopSec=2.5 is TimeoutStopUSec=uint64 2500000 to systemd. */
static bool put_seconds(StrBuf *b, const char *name, const char *text)
{
    const char *p = skip(text);
    char type = value_type(&p), usec[64], *end;
    double seconds;

    if (type == 's' || type == 'b' || type == 'o' || strlen(name) + 2 > sizeof(usec))
        return false;
    seconds = strtod(p, &end);
    if (end == p || *skip(end) || !(seconds >= 0 && seconds < 1e12))
        return false;
    snprintf(usec, sizeof(usec), "%.*sUSec", (int) strlen(name) - 3, name);
    scope_put_number(b, usec, (uint64_t) (seconds * 1e6));
    return true;
}

static bool in_seconds(const char *name)
{
    size_t n = strlen(name);

    return n > 3 && endswith(name, "Sec") && islower((unsigned char) name[n - 4]);
}

int scope_put_annotations(StrBuf *b, const json_t *annotations, Error *e)
{
    const char *key;
    json_t *v;

    json_object_foreach ((json_t *) annotations, key, v) {
        const char *name = startswith(key, ANNOTATION), *text = json_string_value(v);

        if (!name)
            continue;
        if (!isupper((unsigned char) *name) ||
            strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") != strlen(name))
            return error_setf(e, -EINVAL, "config.json: annotations: \"%s\": names no property of a unit", key);
        if (!text || !(in_seconds(name) ? put_seconds(b, name, text) : put_variant(b, name, text)))
            return error_setf(
                e, -EINVAL,
                "config.json: annotations: \"%s\": \"%s\" is no value like 'text', true, uint64 5 or ['a', 'b']", key,
                text ? text : "");
    }
    return 0;
}
