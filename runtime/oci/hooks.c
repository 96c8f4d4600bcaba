/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks.h"

#include <stdio.h>

#include "runtime/base/clock.h"
#include "runtime/base/json.h"
#include "runtime/base/process.h"

#define OUTPUT_MAX ((size_t) 1 << 20)

static int run_one(const ConfigHook *h, const char *kind, const char *input, const char *cwd, const char *const *env,
                   Error *e)
{
    const char *const alone[] = {h->path, NULL};
    _cleanup_free_ char *output = NULL;
    ProcessSpec spec = {
        .argv = h->args && h->args[0] ? h->args : alone,
        .path = h->path,
        .env = env,
        .cwd = cwd,
        .input = input,
        .input_len = strlen(input),
        .output_max = OUTPUT_MAX,
        .timeout_usec = h->timeout ? h->timeout * USEC_PER_SEC : UINT64_MAX,
        .leave_children = true,
    };
    int r = process_run(&spec, &output, e);

    if (r < 0)
        return error_wrapf(e, r, "%s hook %s", kind, h->path);
    if (r == 0)
        return 0;
    for (char *p = output; *p; p++)
        if (*p == '\n')
            *p = p[1] ? ' ' : '\0'; /* errors are one line */
    return error_setf(e, -ECANCELED, "%s hook %s: exit status %d%s%s", kind, h->path, r, *output ? ": " : "", output);
}

int hooks_run(const Config *c, HookKind kind, const State *state, const char *status, Error *e)
{
    bool go_on = kind == HOOK_POSTSTOP;
    /* Hooks of the container's side have its root for "/" or are about to: the bundle is not theirs to see. */
    const char *cwd = kind == HOOK_START_CONTAINER ? "/" : state->bundle;
    /* Without one of its own it has that of where it runs: the container's, or ours. */
    const char *const *env = kind == HOOK_START_CONTAINER ? c->process.env : NULL;
    _cleanup_json_ json_t *o = NULL;
    _cleanup_free_ char *input = NULL;
    int first = 0;

    if (c->n_hooks[kind] == 0)
        return 0;
    o = state_public(state, status);
    input = o ? json_dumps(o, JSON_COMPACT) : NULL;
    if (!input)
        return error_errnof(e, -ENOMEM, "%s hooks", hook_names[kind]);
    for (size_t i = 0; i < c->n_hooks[kind]; i++) {
        const ConfigHook *h = &c->hooks[kind][i];
        int r = run_one(h, hook_names[kind], input, cwd, h->env ? h->env : env, first < 0 ? NULL : e);

        if (r < 0 && first == 0)
            first = r;
        if (r < 0 && !go_on)
            break;
    }
    return first;
}
