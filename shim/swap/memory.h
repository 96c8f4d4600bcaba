/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_MEMORY_H
#define MOSS_SWAP_MEMORY_H

/* What a shim knows of the incarnation that runs, for the next shim: a page of memory that both map, and that moss-init keeps in between (INIT_TAG_MEMORY), so that
 * it lives as long as the container and no longer. A plain store survives whatever kills the shim after it; nothing here has to survive a reboot. Only
 * shims ever see the page.
 *
 * It is valid for the process that moss-init keeps as INIT_TAG_AGENT, and says whose process that is. */

#include "runtime/base/hash.h"
#include "shim/hold/hold.h"

/* When it came to what, 0: it did not. See record.h. */
typedef struct SwapPause {
    uint64_t begun;   /* the agent is told to end */
    uint64_t drained; /* it has ended */
    uint64_t cloned;
    uint64_t started; /* the candidate's program runs */
    uint64_t hand;    /* how long the first listening socket then waited for us */
    uint64_t ended;   /* something listens again for good */
} SwapPause;

typedef struct Memory {
    char format[8]; /* MEMORY_FORMAT: what follows is laid out like this */
    char generation[DIGEST_SIZE], nonce[33];
    int64_t epoch;
    uint64_t since; /* when it was started */
    uint32_t restarts;
    uint32_t network; /* NetworkMode of the container */
    bool announced;   /* it has said READY=1 */
    bool ready;       /* it has passed its gate */
    bool drained;     /* it was told to end */
    SwapPause pause;
    HoldPending pending;
} Memory;

#define MEMORY_FORMAT "moss 003"

/* Maps the page `kept`, which it takes, or a new one where that is none (-EBADF), or one of another format. The fd, for moss-init, comes back in *ret_fd. */
int memory_open(int kept, Memory **ret, int *ret_fd);
Memory *memory_close(Memory *memory);

#endif
