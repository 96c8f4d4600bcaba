/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_EVIDENCE_LOCK_H
#define MOSS_EVIDENCE_LOCK_H

/* Who gathers, seals or changes the state of a batch holds <agent>/evidence/lock meanwhile. The work is short: others wait. */

#include "runtime/base/error.h"

typedef struct EvidenceLock {
    int dir;  /* <agent>/evidence, made if missing */
    int lock; /* held until closed */
} EvidenceLock;

#define EVIDENCE_LOCK_NONE ((EvidenceLock){-EBADF, -EBADF})

int evidence_lock(int agent_dir, EvidenceLock *ret, Error *e);
void evidence_unlock(EvidenceLock *l);

#endif
