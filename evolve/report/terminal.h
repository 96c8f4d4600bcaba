/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_REPORT_TERMINAL_H
#define MOSS_REPORT_TERMINAL_H

/* Progress of an evolution for whoever watches a stream.
 *
 * On a terminal: a line for each thing that happened, and below them one status line that is drawn anew (stage, round, candidates, trials, best
 * score, time). Elsewhere: plain lines, one for each thing that happened, nothing in between. Colour only on a terminal and without NO_COLOR
 * (https://no-color.org).
 *
 *     Terminal t = terminal_open(stderr);
 *     options.progress = terminal_progress; options.userdata = &t;
 *     …
 *     terminal_close(&t);    takes the status line away */

#include <stdio.h>

#include "evolve/report/progress.h"

typedef struct Terminal {
    FILE *stream;
    bool live; /* a terminal: the status line is drawn */
    bool colour;
    bool drawn;        /* a status line stands there */
    uint64_t drawn_at; /* CLOCK_BOOTTIME, microseconds */
} Terminal;

Terminal terminal_open(FILE *stream);
void terminal_progress(const EvolutionProgress *p, void *terminal);
void terminal_close(Terminal *t);

/* The status line without control sequences, at most `width` columns. */
void terminal_status_line(const EvolutionProgress *p, size_t width, char ret[static 256]);

#endif
