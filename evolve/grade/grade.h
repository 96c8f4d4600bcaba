/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_GRADE_GRADE_H
#define MOSS_GRADE_GRADE_H

/* Deterministic grading of one trial: the task's graders against the transcript that the replayer wrote.
 *
 *   {"kind":"expect","turn":3,"contains":"12.50 EUR"}      the reply holds this text
 *   {"kind":"not_error","turn":3}                          the turn was answered at all
 *   {"kind":"same_reply","turn":3,"reply":"Good morning."} the reply is this text
 *   {"kind":"other_reply","turn":3,"reply":"No idea."}     the reply is not the one that the user refused
 *   {"kind":"not_matching","turn":3,"pattern":"no result"} the reply does not match this POSIX extended regular expression
 *
 * Every kind passes only for a turn that was answered: a reply, no error, a status of 2xx where one was recorded. Texts are compared with
 * white space folded (a run of it is one space, none at the ends), else byte by byte: all are valid UTF-8, so a match never starts or
 * ends within a character. A number at either end of "contains" has to be the whole number: "5" is not in "52", "1.5" or "5.3".
 *
 * The task is trusted (it is hash-locked); the transcript is not: whatever is wrong with it is an error or a failed grader, never a passed one. */

#include <jansson.h>

#include "runtime/base/error.h"

/* *ret_grades: [{"grader":INDEX,"kind":…,"turn":N,"passed":bool,"why":"…"}] in the order of the graders. *ret_score: share of the passed ones, 0…1.
 * -EINVAL: the task has no graders or one that is not understood. -EBADMSG: the transcript is not what it must be; the sentence is fit for
 * "why" of a TRIAL_BAD_TRANSCRIPT. */
int grade_transcript(const json_t *task, const json_t *transcript, json_t **ret_grades, double *ret_score,
                     bool *ret_passed, Error *e);

/* The checks of the task's half alone: graders are known, complete, and name turns that exist. */
int grade_check_task(const json_t *task, Error *e);

#endif
