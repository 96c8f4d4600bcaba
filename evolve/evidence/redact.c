/* SPDX-License-Identifier: Apache-2.0 */
#include "redact.h"

#include <stdio.h>
#include <strings.h>

#include "runtime/base/strbuf.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define ALNUM LETTERS DIGITS
#define TOKEN ALNUM "_-+/=."

/* A secret found at some place of a text. */
typedef struct Found {
    const char *at;
    size_t len;
    const char *shape; /* of its placeholder: a format for its number; NULL: a card number */
} Found;

static bool is_word(char c)
{
    return c && (strchr(ALNUM "_", c) || (unsigned char) c >= 0x80);
}

/* ---- what is a secret ---- */

static bool find_private_key(const char *s, Found *ret)
{
    static const char end_mark[] = "-----END ";
    const char *head_end, *end;

    if (!startswith(s, "-----BEGIN "))
        return false;
    head_end = strstr(s, "PRIVATE KEY-----");
    if (!head_end || head_end - s > 40)
        return false;
    end = strstr(head_end, end_mark);
    end = end ? strstr(end + strlen(end_mark), "-----") : NULL;
    *ret = (Found){s, end ? (size_t) (end + 5 - s) : strlen(s), "[private key %u]"};
    return true;
}

static bool find_email(const char *s, Found *ret)
{
    size_t local = strspn(s, ALNUM "._%+-"), domain, tld = 0;
    const char *d;

    if (local == 0 || s[local] != '@')
        return false;
    d = s + local + 1;
    domain = strspn(d, ALNUM ".-");
    while (domain > 0 && (d[domain - 1] == '.' || d[domain - 1] == '-'))
        domain--; /* the end of a sentence */
    while (tld < domain && strchr(LETTERS, d[domain - 1 - tld]))
        tld++;
    if (tld < 2 || tld + 1 >= domain || d[domain - 1 - tld] != '.')
        return false;
    if (domain >= 15 && strncmp(d + domain - 15, "example.invalid", 15) == 0)
        return false;
    *ret = (Found){s, local + 1 + domain, "person%u@example.invalid"};
    return true;
}

static const struct {
    const char *prefix;
    size_t least; /* characters behind it */
    const char *shape;
} token_kinds[] = {
    {"sk-", 16, "sk-redacted%u"},      {"pk-", 16, "pk-redacted%u"},          {"rk_live_", 12, "rk_redacted%u"},
    {"sk_live_", 12, "sk_redacted%u"}, {"ghp_", 20, "ghp_redacted%u"},        {"gho_", 20, "gho_redacted%u"},
    {"ghs_", 20, "ghs_redacted%u"},    {"github_pat_", 20, "ghp_redacted%u"}, {"glpat-", 16, "glpat-redacted%u"},
    {"xoxb-", 10, "xoxb-redacted%u"},  {"xoxp-", 10, "xoxp-redacted%u"},      {"xoxa-", 10, "xoxa-redacted%u"},
    {"AKIA", 16, "AKIAREDACTED%u"},    {"AIza", 30, "AIzaRedacted%u"},        {"eyJ", 40, "eyJredacted%u"},
    {"hf_", 20, "hf_redacted%u"},      {"npm_", 20, "npm_redacted%u"},
};

static size_t token_length(const char *s)
{
    size_t n = strspn(s, TOKEN);

    while (n > 0 && strchr("./=-", s[n - 1]) && s[n - 1] != '=')
        n--; /* punctuation behind it is the sentence's */
    return n;
}

static bool find_known_token(const char *s, Found *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(token_kinds); i++) {
        const char *rest = startswith(s, token_kinds[i].prefix);

        if (rest && token_length(rest) >= token_kinds[i].least) {
            *ret = (Found){s, (size_t) (rest - s) + token_length(rest), token_kinds[i].shape};
            return true;
        }
    }
    return false;
}

/* Long, without a space, letters and digits mixed: no word of any language. */
static bool find_random_token(const char *s, Found *ret)
{
    size_t n = token_length(s), digits = 0, letters = 0;

    for (size_t i = 0; i < n; i++) {
        digits += s[i] >= '0' && s[i] <= '9';
        letters += strchr(LETTERS, s[i]) != NULL;
    }
    if (n < 32 || digits < 4 || letters < 4 || digits + letters < n * 3 / 4)
        return false;
    *ret = (Found){s, n, "redacted%u"};
    return true;
}

static const char *const secret_names[] = {"password", "passwd",  "passphrase", "secret key", "secret", "api key",
                                           "api_key",  "api-key", "apikey",     "access key", "token",  "pin"};

/* "password: …", "API key=…", and "password is …" where a digit shows that it is none of a sentence's words. */
static bool find_named_secret(const char *s, Found *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(secret_names); i++) {
        size_t name = strlen(secret_names[i]), len;
        const char *v = s + name;
        bool said;

        if (strncasecmp(s, secret_names[i], name) != 0 || is_word(*v))
            continue;
        v += strspn(v, "\"' ");
        said = strncasecmp(v, "is ", 3) == 0;
        if (!said && *v != ':' && *v != '=')
            continue;
        v += said ? 3 : 1;
        v += strspn(v, "\"'` ");
        len = strcspn(v, " \t\r\n\"'`,;<>");
        while (len > 0 && strchr(".!?)", v[len - 1]))
            len--;
        if (len < 4 || len > 512 || (said && strcspn(v, DIGITS) >= len) || startswith(v, "Redacted-"))
            continue;
        *ret = (Found){v, len, "Redacted-%u"};
        return true;
    }
    return false;
}

static bool luhn(const char *digits, size_t n)
{
    unsigned sum = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned d = (unsigned) (digits[n - 1 - i] - '0');

        if (i % 2 == 1)
            d = d * 2 > 9 ? d * 2 - 9 : d * 2;
        sum += d;
    }
    return sum % 10 == 0;
}

/* The digits of a number whose groups may be parted by one space or dash; returns its length in the text. */
static size_t card_digits(const char *s, char digits[static 20], size_t *ret_n)
{
    size_t len = 0, n = 0;

    for (size_t i = 0; s[i]; i++) {
        if (s[i] >= '0' && s[i] <= '9') {
            if (n == 19)
                return 0;
            digits[n++] = s[i];
            len = i + 1;
        } else if ((s[i] != ' ' && s[i] != '-') || len != i) {
            break;
        }
    }
    digits[n] = '\0';
    *ret_n = n;
    return len;
}

static bool find_card(const char *s, Found *ret)
{
    char digits[20];
    size_t n, len;

    if (*s < '3' || *s > '6')
        return false;
    len = card_digits(s, digits, &n);
    if (len == 0 || n < 13 || !luhn(digits, n))
        return false;
    *ret = (Found){s, len, NULL};
    return true;
}

static bool find_at(const char *text, const char *at, Found *ret)
{
    if (at > text && is_word(at[-1]))
        return false;
    return find_private_key(at, ret) || find_known_token(at, ret) || find_email(at, ret) ||
           find_random_token(at, ret) || find_named_secret(at, ret) || find_card(at, ret);
}

/* ---- placeholders ---- */

/* 0, a check digit, zeros, our number, the last four: grouped as the secret is. */
static char *card_placeholder(const char *secret, unsigned number)
{
    char digits[20], serial[12];
    size_t n, k = 0;
    char *s = strdup(secret);

    if (!s)
        return NULL;
    (void) card_digits(secret, digits, &n);
    memset(digits, '0', n - 4);
    snprintf(serial, sizeof(serial), "%u", number % 1000000);
    memcpy(digits + n - 4 - strlen(serial), serial, strlen(serial));
    while (!luhn(digits, n) && digits[1] < '9')
        digits[1]++;
    for (char *p = s; *p; p++)
        if (*p >= '0' && *p <= '9')
            *p = digits[k++];
    return s;
}

static int learn(Redactor *r, const Found *f)
{
    _cleanup_free_ char *secret = strndup(f->at, f->len), *placeholder = NULL;

    if (!r->map)
        r->map = json_object();
    if (!secret || !r->map)
        return -ENOMEM;
    if (json_object_get(r->map, secret))
        return 0;
    r->n++;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the shapes are the constants above */
    placeholder = f->shape ? xasprintf(f->shape, r->n) : card_placeholder(secret, r->n);
#pragma GCC diagnostic pop
    if (!placeholder)
        return -ENOMEM;
    return json_object_set_new(r->map, secret, json_string(placeholder)) < 0 ? -ENOMEM : 0;
}

static int learn_text(Redactor *r, const char *text)
{
    for (const char *at = text; *at; at++) {
        Found f;
        int q;

        if (!find_at(text, at, &f))
            continue;
        q = learn(r, &f);
        if (q < 0)
            return q;
        at = f.at + f.len - 1;
    }
    return 0;
}

static int learn_string(Redactor *r, json_t *string)
{
    return learn_text(r, json_string_value(string));
}

/* ---- replacing ---- */

static const char *known_at(const Redactor *r, const char *text, const char *at, size_t *ret_len)
{
    const char *secret, *best = NULL;
    json_t *placeholder;

    *ret_len = 0;
    json_object_foreach (r->map, secret, placeholder) {
        size_t n = strlen(secret);

        if (n <= *ret_len || strncmp(at, secret, n) != 0)
            continue;
        if ((at > text && is_word(at[-1]) && is_word(secret[0])) || (is_word(secret[n - 1]) && is_word(at[n])))
            continue;
        *ret_len = n;
        best = json_string_value(placeholder);
    }
    return best;
}

static char *replace(const Redactor *r, const char *text)
{
    _cleanup_(strbuf_done) StrBuf b = {};
    bool first[256] = {};
    const char *secret;
    json_t *placeholder;

    json_object_foreach (r->map, secret, placeholder) {
        first[(unsigned char) secret[0]] = true;
    }
    for (const char *at = text; *at;) {
        size_t n = 0;
        const char *p = first[(unsigned char) *at] ? known_at(r, text, at, &n) : NULL;

        if (p) {
            strbuf_adds(&b, p);
            at += n;
        } else {
            strbuf_add(&b, at++, 1);
        }
    }
    return strbuf_take(&b);
}

static int replace_string(Redactor *r, json_t *string)
{
    _cleanup_free_ char *text = replace(r, json_string_value(string));

    return !text || json_string_set(string, text) < 0 ? -ENOMEM : 0;
}

/* ---- both ---- */

static int each_string(Redactor *r, json_t *value, int (*visit)(Redactor *r, json_t *string))
{
    const char *key;
    json_t *item;
    size_t i;
    int q = 0;

    if (json_is_string(value))
        return visit(r, value);
    if (json_is_array(value))
        json_array_foreach (value, i, item) {
            q = q < 0 ? q : each_string(r, item, visit);
        }
    if (json_is_object(value))
        json_object_foreach (value, key, item) {
            q = q < 0 ? q : each_string(r, item, visit);
        }
    return q;
}

char *redact_text(Redactor *r, const char *text)
{
    return learn_text(r, text) < 0 ? NULL : replace(r, text);
}

int redact_json(Redactor *r, json_t *value)
{
    /* First everything is looked through: a secret that is named as one only in the last turn is replaced in the first as well. */
    int q = each_string(r, value, learn_string);

    return q < 0 || r->n == 0 ? q : each_string(r, value, replace_string);
}

void redactor_done(Redactor *r)
{
    json_decref(r->map);
    *r = (Redactor){};
}
