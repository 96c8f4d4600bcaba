/* SPDX-License-Identifier: Apache-2.0 */
#include "filter.h"

#include "handover.h"

int filter_of(Config *c, SeccompFilter *ret, Error *e)
{
    int r;

    if (!c->seccomp || (c->seccomp_text && seccomp_kept(c->seccomp_text, c->seccomp_len, ret) >= 0))
        return 0;
    if ((r = config_seccomp(c, e)) < 0 || (r = handover_check(c->seccomp, e)) < 0 ||
        (r = seccomp_compile(c->seccomp, ret, e)) < 0)
        return r;
    if (c->seccomp_text)
        seccomp_keep(c->seccomp_text, c->seccomp_len, ret);
    return 0;
}
