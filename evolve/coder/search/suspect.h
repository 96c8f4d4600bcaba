/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SEARCH_SUSPECT_H
#define MOSS_SEARCH_SUSPECT_H

/* Where the fault is likely to be: fills `suspicion` of every statement, 0 to about 1.5.
 *
 * The spectrum counts most: the share of the failing tasks that executed a line against that of the passing ones (the measure is Ochiai's, with
 * shares for counts so that the two groups may differ in size). Words of the failing turns that few functions share raise a function. A
 * branch that was not taken in a function that ran keeps a little; what never ran keeps next to nothing. */

#include "evolve/coder/search/hints.h"

int suspect(Arena *arena, Tree *tree, const Hints *hints);

#endif
