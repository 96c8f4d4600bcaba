/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_PROBE_CHECKS_H
#define MOSS_PROBE_CHECKS_H

/* All checks of one incarnation: probes on their schedule (health.h), what it says of itself (notify.h), whether the kernel had to kill of it for want of memory, and the
 * results, kept for the operator to read. */

#include <jansson.h>

#include "health.h"
#include "notify.h"
#include "probe.h"

typedef struct Checks Checks;

typedef struct ChecksSpec {
    const ProbeContext *context;     /* must live as long as the checks */
    bool candidate;                  /* it has to pass the acceptance checks, too */
    bool adopted, passed, announced; /* it runs already: see health_adopt() */
    int notify;                      /* see notify_new(), taken; -EBADF: it is not heard */
    /* The verdict is another one: HEALTH_READY once, when the gate is passed. The checks may be freed in it; it is never called from within checks_start(). */
    void (*verdict)(HealthVerdict verdict, const char *why, void *userdata);
    /* What it has said. The checks may be freed in it. */
    NotifyHeard heard;
    void *userdata;
} ChecksSpec;

int checks_start(const ChecksSpec *spec, Checks **ret);
/* No more probes and verdicts; what it says is heard on. */
void checks_stop(Checks *c);
Checks *checks_free(Checks *c);

bool checks_ready(const Checks *c);
/* What it last said of itself (STATUS=), "" if nothing. */
const char *checks_status(const Checks *c);

/* [{"name":"readinessProbe","ok":true,"successes":4,"failures":0,"last":{…}}]: the probes that there are, each with its last result and the first bytes of its
 * output (results.h). NULL: out of memory. */
json_t *checks_to_json(const Checks *c);
/* {"name":…,"results":[…]}: all that is kept of one; NULL: there is no such probe. */
json_t *checks_probe_to_json(const Checks *c, const char *name);
/* {"name":…,"why":…,"output":…}: the probe for which it is not ready or has failed; null if it is none. */
json_t *checks_blame(const Checks *c);
/* ["acceptance.NAME: why"]: the acceptance checks that were only wanted, and failed. */
json_t *checks_unmet(const Checks *c);

#endif
