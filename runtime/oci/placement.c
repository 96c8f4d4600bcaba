/* SPDX-License-Identifier: Apache-2.0 */
#include "placement.h"

#include <sys/syscall.h>
#include <unistd.h>

/* A number of at most five digits; moves *s behind it. */
static int number(const char **s, unsigned long *ret)
{
    unsigned long n = 0;
    size_t digits = strspn(*s, "0123456789");

    if (digits == 0 || digits > 5)
        return -EINVAL;
    for (size_t i = 0; i < digits; i++)
        n = 10 * n + (unsigned long) ((*s)[i] - '0');
    *s += digits;
    *ret = n;
    return 0;
}

int id_set_parse(const char *list, IdSet *ret)
{
    IdSet set = {};

    for (;; list++) {
        unsigned long first, last;

        if (number(&list, &first) < 0)
            return -EINVAL;
        last = first;
        if (*list == '-' && (list++, number(&list, &last) < 0))
            return -EINVAL;
        if (last < first || last >= ID_SET_BITS)
            return -EINVAL;
        for (; first <= last; first++)
            set.bits[first / ID_SET_WORD] |= 1UL << first % ID_SET_WORD;
        if (*list != ',')
            break;
    }
    if (*list)
        return -EINVAL;
    *ret = set;
    return 0;
}

int placement_memory(const ConfigMemoryPolicy *policy, Error *e)
{
    bool nodes = policy->nodes && *policy->nodes;
    IdSet set = {};

    if (nodes && id_set_parse(policy->nodes, &set) < 0)
        return error_setf(e, -EINVAL, "linux.memoryPolicy.nodes: \"%s\" is no list of nodes", policy->nodes);
    /* The kernel counts one bit less than it is told. */
    if (syscall(SYS_set_mempolicy, policy->mode, nodes ? set.bits : NULL, nodes ? ID_SET_BITS + 1 : 0) == 0)
        return 0;
    if (errno == ENOSYS)
        return error_setf(e, -EOPNOTSUPP, "linux.memoryPolicy: this kernel has no memory policies (NUMA)");
    return error_errnof(e, -errno, "linux.memoryPolicy: the kernel refuses %s with nodes \"%s\"", policy->mode_name,
                        nodes ? policy->nodes : "");
}

int placement_cpus(const char *list, const char *what, Error *e)
{
    IdSet set;

    if (!list || !*list)
        memset(&set, 0xff, sizeof(set));
    else if (id_set_parse(list, &set) < 0)
        return error_setf(e, -EINVAL, "%s: \"%s\" is no list of CPUs", what, list);
    if (syscall(SYS_sched_setaffinity, 0, sizeof(set), &set) < 0)
        return error_errnof(e, -errno, "%s: CPUs \"%s\"", what, list ? list : "");
    return 0;
}
