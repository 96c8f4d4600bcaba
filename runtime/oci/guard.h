/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_GUARD_H
#define MOSS_OCI_GUARD_H

/* The runtime's own executable, kept from the container.
 *
 * A program of the container can name this executable through /proc/PID/exe while the runtime is about to become it, hold on to it, and write to it
 * as root once it is no longer in use (CVE-2019-5736). So the runtime runs from a mount of its file that is in no mount namespace, where no one can change
 * it, is read-only, and maps the file's owner to no id. Read-only alone keeps the content, but an attempt to open such a file for writing holds a write access
 * for a moment before it fails, in which nobody can execute the file (ETXTBSY): a loop of attempts in one container would lock the host out of its runtime.
 * Where ids are not mapped, permission is refused before that (fs/namei.c, inode_permission). That mount is made by the program's entry (runtime/cmd/entry.c);
 * where it cannot be had, the runtime runs from a sealed copy in memory. Whoever could not write the file anyway needs neither.
 *
 * Nor does one need it whose file lies on a file system that is read-only as a whole, not by its mount alone: there, too, inode_permission() refuses before any
 * write access is held, through every mount, and a container cannot change that: a remount takes a mount of its own namespace, or the root of the file
 * system, and of this one it has the file alone. Statfs(2) does not tell the two kinds apart. Opening the running program for writing does: EROFS comes before
 * ETXTBSY on the one, after it on the other. (Linux 6.11 and 6.12 have no ETXTBSY, and so nobody there to be locked out.) packaging/systemd has a unit that puts
 * the programs on such a file system. */

#include "runtime/base/error.h"

/* Executes the runtime again from a sealed copy, unless it runs from where it cannot be written. To be called first by commands that
 * enter a container. Returns 0 when guarded already. */
int guard_self(char **argv, Error *e);

#endif
