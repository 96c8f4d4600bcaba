/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_SWAP_LOG_H
#define MOSS_SWAP_LOG_H

/* What the agent prints, and what the shim has to say, in agents/NAME/log: at most 4 MiB, then it becomes log.1 and a new one begins. The agent writes to a pipe: it
 * cannot fill the disk, and while no shim reads (it was killed) it blocks instead of failing, because moss-init keeps the reading end as well. */

#include "runtime/base/loop.h"
#include "runtime/base/macro.h"

#define LOG_SIZE_MAX (4U << 20)

typedef struct Log Log;

/* `kept`: the reading end that moss-init kept, or -EBADF for a new pipe. Takes it. */
int log_new(Loop *loop, int agent_dir, int kept, Log **ret);
Log *log_free(Log *log);
DEFINE_TRIVIAL_CLEANUP(Log *, log_free)

int log_reader(const Log *log); /* for moss-init */
int log_writer(const Log *log); /* for the agent */

/* A line of the shim's own: "moss-shim: …". */
void log_line(Log *log, const char *fmt, ...) _printf_(2, 3);

/* Reads what is in the pipe now. */
void log_drain(Log *log);

#endif
