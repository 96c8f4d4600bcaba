/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_REPORT_HTML_H
#define MOSS_REPORT_HTML_H

/* The report of one evolution as one self-contained HTML page: no script, no font, no image from elsewhere, readable without colour.
 *
 * Everything shown comes from sessions, coding agents and candidates and is hostile: html_escape() is the only way text gets into a page. The page
 * carries a Content-Security-Policy that forbids all but its own style sheet, should a hole remain.
 *
 * The model that is rendered (members may be missing; see report.c for where they come from):
 *
 *   {"agent","evolution","batch","outcome","started","depth","coder",
 *    "evidence":[{"cluster","rule","n","words":[…]}],
 *    "examples":[{"task","turns":[{"text","reply"}…],"expected"}],
 *    "plan":{"summary","root_cause","files":[…]},
 *    "diff":"unified text",
 *    "tasks":[{"id","kind","cluster","before":0…1,"after":0…1|null}],
 *    "verdict":{"verdict","reasons":[…]},
 *    "cost":{"trials","candidates","builds","wall_usec","cpu_usec","memory_peak"},
 *    "timeline":[{"iteration","stage","round","start_usec","wall_usec","outcome","summary"}],
 *    "swaps":[{"outcome","reason","pause_usec","generation"}]} */

#include <jansson.h>

#include "runtime/base/strbuf.h"

/* Appends `text` so that it is text wherever it stands: in an element, in a quoted attribute. Invalid UTF-8 and control characters become U+FFFD. */
int html_escape(StrBuf *b, const char *text);

/* Appends the whole page. Returns 0 or -ENOMEM. */
int html_render(StrBuf *b, const json_t *model);

#endif
