/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_HEAD_H
#define MOSS_SWAP_HEAD_H

/* agents/NAME/head.json: the one file that says which generation and epoch are current. Only the shim writes it, as a whole, durably:
 *
 *   {"version":1,"seq":7,"state":"STEADY","txid":1,"next_epoch":2,"cur":{"generation":"<digest>","epoch":1},"cand":null,
 *    "prev":{"generation":"<digest>","epoch":0},"fallback":null,
 *    "aside":[{"generation":"<digest>","epoch":3,"served_usec":61000000}],"served":false,"served_at":0,"restarts":0,"recoveries":0,
 *    "outcome":"committed","boot_id":"<uuid>","reason":"","consent":"<digest>","rehearsed":true,"sha256":"<of the canonical form of all the rest>"}
 *
 * A file whose sha256 is wrong is refused (-EUCLEAN): a guess could start new code on old state. */

#include "core.h"
#include "runtime/base/error.h"

/* Loads head.json; where there is none yet, makes it from initial.json {"generation","epoch"}: *ret_fresh says so. */
int head_load(int agent_dir, Head *ret, bool *ret_fresh, Error *e);

/* 0: durable. -EINPROGRESS: in doubt (see file.h), the act that it licenses must not be done. Else nothing has changed. A full disk is met with the
 * reserve, a file of a few blocks beside head.json that is given up for it: the way back needs no free space. */
int head_save(int agent_dir, const Head *head, Error *e);

/* The kernel's boot id. */
int head_boot_id(char ret[static 37], Error *e);

#endif
