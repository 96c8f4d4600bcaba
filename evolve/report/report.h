/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_REPORT_REPORT_H
#define MOSS_REPORT_REPORT_H

/* The report of an evolution: what the ledger and the record of swaps hold, put into the model of html.h, rendered and written to
 * agents/NAME/reports/<evolution>.html. May be made at any time and as often as one likes; an evolution that goes on is shown as far as it is. */

#include <jansson.h>

#include "evolve/ledger/ledger.h"
#include "runtime/base/error.h"

/* The model. `agent_dir`: an fd of the agent's directory (for swaps.jsonl). */
int report_model(int agent_dir, Ledger *ledger, const char *agent, const char *evolution, json_t **ret, Error *e);

/* Makes the page; *ret_path (may be NULL) is where it lies, which the caller frees. */
int report_write(const char *agent_directory, const char *agent, const char *evolution, char **ret_path, Error *e);

#endif
