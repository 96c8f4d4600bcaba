/* SPDX-License-Identifier: Apache-2.0 */
#include "rehearse.h"

#include <sys/stat.h>

#include "epoch.h"
#include "runtime/base/fd.h"
#include "runtime/box/net.h"

struct Rehearsal {
    RehearsalSpec spec;
    char name[64];
    int run_dir;
    Container *container;
    Incarnation *incarnation;
};

void rehearsal_clean(const char *agent, int agent_dir)
{
    char name[64];

    if (container_name("rehearsal", agent, agent_dir, name, NULL) >= 0)
        (void) container_destroy_name(name, NULL);
    epoch_drop_rehearsal(agent_dir);
}

Rehearsal *rehearsal_free(Rehearsal *r)
{
    if (!r)
        return NULL;
    incarnation_free(r->incarnation);
    if (r->container)
        (void) container_destroy(r->container, NULL);
    container_free(r->container);
    rehearsal_clean(r->spec.incarnation.agent->name, r->spec.agent_dir);
    fd_closep(&r->run_dir);
    (void) unlinkat(r->spec.run_dir, "rehearsal", AT_REMOVEDIR);
    free(r);
    return NULL;
}

static void on_event(IncarnationEvent event, const char *why, void *userdata)
{
    Rehearsal *r = userdata;
    char text[240];

    if (event == INCARNATION_NOT_READY || event == INCARNATION_OVERDUE)
        return;
    snprintf(text, sizeof(text), "rehearsal: %s", why ? why : "");
    r->spec.done(event == INCARNATION_READY, text, incarnation_blame(r->incarnation), r->spec.userdata);
}

static int start(Rehearsal *r, Error *e)
{
    ContainerSpec container = {
        .name = r->name, .hostname = r->spec.incarnation.agent->name, .network = NETWORK_NONE, .ends_with_us = true};
    _cleanup_close_ int state = -EBADF;
    IncarnationSpec spec = r->spec.incarnation;
    int q;

    if (mkdirat(r->spec.run_dir, "rehearsal", 0700) < 0 && errno != EEXIST)
        return error_errnof(e, -errno, "run directory");
    r->run_dir = openat(r->spec.run_dir, "rehearsal", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (r->run_dir < 0)
        return error_errnof(e, -errno, "run directory");
    state = epoch_open_rehearsal(r->spec.agent_dir, e);
    if (state < 0)
        return state;
    q = container_make(&container, r->run_dir, &r->container, e);
    /* Probes may name the address that the real container has. */
    if (q >= 0 && spec.agent->network == NETWORK_VETH)
        q = net_address_add(r->container->netns, "lo", spec.agent->network_address, e);
    if (q < 0)
        return q;
    spec.container = r->container;
    spec.hold = NULL;
    spec.root = -EBADF;
    spec.candidate = true;
    spec.state = state;
    spec.event = on_event;
    spec.userdata = r;
    return incarnation_start(&spec, &r->incarnation, e);
}

int rehearsal_start(const RehearsalSpec *spec, Rehearsal **ret, Error *e)
{
    Rehearsal *r = calloc(1, sizeof(*r));
    int q;

    if (!r)
        return -ENOMEM;
    r->spec = *spec;
    r->run_dir = -EBADF;
    q = container_name("rehearsal", spec->incarnation.agent->name, spec->agent_dir, r->name, e);
    if (q >= 0)
        q = start(r, e);
    if (q < 0) {
        rehearsal_free(r);
        return error_wrapf(e, q, "rehearsal");
    }
    *ret = r;
    return 0;
}
