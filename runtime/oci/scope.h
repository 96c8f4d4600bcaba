/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_SCOPE_H
#define MOSS_OCI_SCOPE_H

/* The systemd driver: a container's cgroup is that of a transient scope, which systemd makes, keeps within the limits that it is told of and lists among
 * its units.
 *
 * systemd makes a scope only around a process that is there. So the container's first process is born in the runtime's cgroup and waits there; it
 * goes on, and makes its cgroup namespace, when the scope has it. From then on the cgroup is ours like any other (Delegate=yes): processes of
 * `exec` are born in it, limits are written to its files. What systemd has a property for is set there too, or the next daemon-reload would undo it.
 *
 * linux.cgroupsPath is "slice:prefix:name" for prefix-name.scope in that slice; parts may be empty. Annotations org.systemd.property.NAME set further
 * properties of the unit; their values are written as GVariant text: 'text', true, uint64 5, ['a', 'b']. A NAME that ends in Sec takes seconds.
 * The container is in a cgroup "container" below the scope, as with crun; run.oci.systemd.subgroup names another, and "" puts it in the scope itself.
 * Both have the limits. So the scope, whose own charges come on top, is what runs into its memory limit first, and memory.events of the container's
 * cgroup changes only when a process of it is killed. conmon (2.1.12) watches the file of the cgroup that the process is in and stops at a change that is
 * no kill: in the scope itself, reclaim at the limit ("max") would come before every kill, and podman would not learn of that (OOMKilled).
 *
 * The system's manager is asked by root, the user's own by anybody else and by root of a user namespace. Nothing waits longer than SCOPE_TIMEOUT.
 * Source: org.freedesktop.systemd1(5). */

#include "dbus.h"
#include "resources.h"
#include "runtime/base/clock.h"

#define SCOPE_TIMEOUT (30 * USEC_PER_SEC)

/* Has systemd make the scope around `pid`, and opens its cgroup. On failure there is no scope. Its name is in the container's state directory `dir` before
 * it is there. */
int scope_make(const Config *c, const char *id, int dir, pid_t pid, ContainerCgroup *ret, Error *e);
/* Limits of a scope that is there. */
int scope_update(const ContainerCgroup *g, const json_t *resources, Error *e);
/* Moves a process into it that could not be born there. */
int scope_attach(const ContainerCgroup *g, pid_t pid, Error *e);
/* Kills what is in it, stops the unit and has systemd forget it. A unit that is gone is success. */
int scope_remove(const ContainerCgroup *g, Error *e);
/* Stops that of a creation that was cut off before its place was recorded: systemd does not always see that its only process has ended. What lives on in a unit
 * of that name for a second is not of that creation: such a unit is left alone. */
int scope_remove_remains(int dir, Error *e);

/* ---- shared by the files of this driver ---- */

/* The unit's and the slice's name (the caller frees both). */
int scope_names(const char *cgroups_path, const char *id, bool system, char **ret_unit, char **ret_slice, Error *e);

/* StartTransientUnit with `properties`, elements of a(sv), and StopUnit; both wait for the end of the job. */
int scope_start_unit(Bus *bus, const char *unit, const StrBuf *properties, Error *e);
int scope_stop_unit(Bus *bus, const char *unit, Error *e);
/* The same, unless something lives on in it for a second. */
int scope_stop_empty_unit(Bus *bus, const char *unit, Error *e);

/* Elements of an array of properties, a(sv). Wrong types are left to resources_apply(), which sees them first. */
void scope_put_limits(StrBuf *b, const json_t *resources);
int scope_put_annotations(StrBuf *b, const json_t *annotations, Error *e);

void scope_put_text(StrBuf *b, const char *name, const char *value);
void scope_put_bool(StrBuf *b, const char *name, bool value);
void scope_put_number(StrBuf *b, const char *name, uint64_t value);

#endif
