/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <stdio.h>

#include "internal.h"
#include "runtime/base/clock.h"

static void end(Probe *p)
{
    loop_cancel(&p->source);
    loop_cancel(&p->timer);
    if (p->spec->kind == PROBE_EXEC)
        probe_exec_end(p);
    fd_closep(&p->fd);
}

Probe *probe_cancel(Probe *p)
{
    if (!p)
        return NULL;
    end(p);
    free(p->request);
    free(p);
    return NULL;
}

void probe_finish(Probe *p, bool ok, const char *why)
{
    bool http = p->spec->kind == PROBE_HTTP;
    ProbeResult result = {.ok = ok,
                          .why = ok ? NULL : why,
                          .output = http ? p->http.body : p->output,
                          .output_len = http ? MIN(p->http.len, PROBE_OUTPUT_MAX) : p->output_len};

    end(p); /* first: the context may be gone afterwards */
    p->done(&result, p->userdata);
    free(p->request);
    free(p);
}

static void on_timeout(uint32_t events, void *userdata)
{
    Probe *p = userdata;
    char text[80];

    (void) events;
    if (p->early.code < 0) {
        probe_finish(p, false, p->early.text);
        return;
    }
    snprintf(text, sizeof(text), "no %sanswer within %u s", p->got > 0 ? "whole " : "", p->spec->timeout_seconds);
    probe_finish(p, false, text);
}

int probe_start(const ProbeContext *context, const ProbeSpec *spec, const char *name, ProbeDone done, void *userdata,
                Probe **ret)
{
    Probe *p = calloc(1, sizeof(*p));
    uint64_t limit;
    int r;

    if (!p)
        return -ENOMEM;
    p->context = context;
    p->spec = spec;
    p->name = name;
    p->done = done;
    p->userdata = userdata;
    p->fd = p->output_fd = -EBADF;
    r = spec->kind == PROBE_EXEC ? probe_exec_start(p, &p->early) : probe_net_start(p, &p->early);
    if (r < 0 && p->early.code == 0)
        error_errnof(&p->early, r, "probe");
    limit = r < 0 ? 0 : clock_now() + MAX(spec->timeout_seconds, 1U) * USEC_PER_SEC;
    r = loop_timer(context->loop, limit, on_timeout, p, &p->timer);
    if (r < 0) {
        probe_cancel(p);
        return r;
    }
    *ret = p;
    return 0;
}
