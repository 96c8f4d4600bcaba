/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_PROBE_INTERNAL_H
#define MOSS_PROBE_INTERNAL_H

/* What the kinds of probes share; nobody else includes this.
 *
 *     probe.c   a Probe's life
 *     exec.c    exec
 *     net.c     what connects: httpGet, httpPost, tcpSocket, grpc */

#include "grpc.h"
#include "http.h"
#include "probe.h"
#include "runtime/base/fd.h"

struct Probe {
    const ProbeContext *context;
    const ProbeSpec *spec;
    const char *name;
    ProbeDone done;
    void *userdata;
    LoopSource *source, *timer;
    int fd;      /* socket, or pidfd of exec */
    Error early; /* what went wrong before the loop had it */
    /* exec */
    LoopSource *output_source;
    int output_fd;
    char output[PROBE_OUTPUT_MAX];
    size_t output_len;
    /* the others */
    bool connected;
    char *request; /* or what else is to be sent */
    size_t request_len, sent, got;
    char answer[HTTP_ANSWER_MAX];
    HttpAnswer http;
};

void probe_finish(Probe *p, bool ok, const char *why);

int probe_exec_start(Probe *p, Error *e);
void probe_exec_end(Probe *p);
int probe_net_start(Probe *p, Error *e);

#endif
