/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_OCI_DEVICE_FILTER_H
#define MOSS_OCI_DEVICE_FILTER_H

/* `linux.resources.devices` as a program that the kernel asks at each open and mknod of a device in a cgroup (BPF_PROG_TYPE_CGROUP_DEVICE). The last rule
 * that matches decides, and where none does access is denied; the devices that every container has are always allowed.
 * Sources: cgroup-v2.rst "Device controller", linux/bpf.h, runtime-spec config-linux.md. */

#include <jansson.h>

#include "runtime/base/error.h"

/* Attaches the program of `rules` to the cgroup, in place of one that an earlier call attached. */
int device_filter_apply(int cgroup, const json_t *rules, Error *e);

#endif
