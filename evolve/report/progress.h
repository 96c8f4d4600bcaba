/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_REPORT_PROGRESS_H
#define MOSS_REPORT_PROGRESS_H

/* What a running evolution tells whoever watches: called at every change of stage, and every few tenths of a second while candidates are tried. Everything
 * belongs to the caller and is valid during the call only. */

#include "runtime/base/macro.h"

typedef struct EvolutionProgress {
    const char *agent, *evolution, *batch, *depth;
    const char *stage; /* "baseline", "locate", … "verdict", "end" */
    unsigned iteration, max_iterations;
    unsigned round;                    /* of the stage, from 1 */
    unsigned candidates;               /* tried in this stage */
    unsigned candidates_all;           /* handed over in this stage */
    uint64_t candidates_used;          /* in the whole evolution */
    uint64_t trials;                   /* in the whole evolution */
    unsigned tasks_done, tasks_all;    /* trials of this stage: baseline, task-evaluate */
    double baseline_score, best_score; /* 0…1 over the visible tasks; below 0: not known yet */
    uint64_t elapsed_usec;
    const char *text; /* one sentence about what just happened, or NULL when only numbers moved */
} EvolutionProgress;

typedef void (*ProgressCallback)(const EvolutionProgress *p, void *userdata);

#endif
