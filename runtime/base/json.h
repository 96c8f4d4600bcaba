/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BASE_JSON_H
#define MOSS_BASE_JSON_H

/* JSON files and checked access to their members, on jansson.
 *
 * The json_need_* and json_want_* functions read one member of an object and check its type: `need` reports a missing member, `want`
 * leaves *ret as it is (put the default there first). Errors name the place: `agent.json: run.command: is a string, must be
 * an array`. Strings and objects that are handed out belong to the object they were read from. */

#include <jansson.h>
#include <sys/types.h>

#include "error.h"
#include "file.h"

#define JSON_FILE_MAX ((size_t) 4 << 20)

#define _cleanup_json_ _cleanup_(json_decrefp)

/* Reads a whole file of at most `max` bytes; duplicate keys, NULs, trailing text and anything malformed are errors that name the line. The file
 * must be an object. */
int json_read_at(int dirfd, const char *path, size_t max, json_t **ret, Error *e);

/* The same from memory; `what` names it in errors. Any JSON value. */
int json_parse(const char *data, size_t len, const char *what, json_t **ret, Error *e);

/* Writes with sorted keys, indented by two, with a newline at the end. See file_write_at(). */
int json_write_at(int dirfd, const char *name, const json_t *value, mode_t mode, FileFlags flags, Error *e);

/* Sorted and compact: the form that digests are taken of. The caller frees; NULL when out of memory. */
char *json_canonical(const json_t *value);

/* Where we are, for messages: a file and a dotted path. */
typedef struct JsonAt {
    const char *file;
    const char *path; /* "" at the top */
} JsonAt;

int json_need(const json_t *o, JsonAt at, const char *key, json_type type, json_t **ret, Error *e);
int json_want(const json_t *o, JsonAt at, const char *key, json_type type, json_t **ret, Error *e);
int json_need_string(const json_t *o, JsonAt at, const char *key, const char **ret, Error *e);
int json_want_string(const json_t *o, JsonAt at, const char *key, const char **ret, Error *e);
int json_want_bool(const json_t *o, JsonAt at, const char *key, bool *ret, Error *e);
/* A whole number within [min, max]. */
int json_need_integer(const json_t *o, JsonAt at, const char *key, int64_t min, int64_t max, int64_t *ret, Error *e);
int json_want_integer(const json_t *o, JsonAt at, const char *key, int64_t min, int64_t max, int64_t *ret, Error *e);
/* An array of strings as a NULL-terminated vector that the caller frees (the strings belong to the object); `ret` stays NULL if missing. */
int json_want_strings(const json_t *o, JsonAt at, const char *key, const char ***ret, Error *e);

/* An error for each member of `o` that is not in the NULL-terminated list: a misspelt setting must not pass for a default. */
int json_only(const json_t *o, JsonAt at, const char *const *keys, Error *e);

#endif
