/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <unistd.h>

#include "evolve/coder/search/roles.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"

#define REQUEST_MAX ((size_t) 1 << 20)

static int answer_request(json_t **ret, Error *e)
{
    _cleanup_free_ char *input = NULL;
    _cleanup_json_ json_t *o = NULL;
    Request request;
    size_t len;
    int r = file_read_fd(STDIN_FILENO, REQUEST_MAX, &input, &len);

    if (r < 0)
        return error_errnof(e, r, "cannot read the request");
    r = json_parse(input, len, "request", &o, e);
    if (r < 0)
        return r;
    if (!json_is_object(o))
        return error_setf(e, -EINVAL, "request: must be an object");
    r = request_read(o, &request, e);
    return r < 0 ? r : role_answer(&request, ret, e);
}

/* One request on standard input, one answer on standard output. A failure is an answer, too. */
int main(void)
{
    _cleanup_json_ json_t *answer = NULL;
    _cleanup_free_ char *line = NULL;
    Error e = {};

    if (answer_request(&answer, &e) < 0)
        answer = json_pack("{s:s, s:s}", "status", "failed", "why", e.text);
    line = answer ? json_canonical(answer) : NULL;
    if (!line || printf("%s\n", line) < 0 || fflush(stdout) != 0)
        return 1;
    return 0;
}
