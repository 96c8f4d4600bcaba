/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOSS_BOX_SECCOMP_H
#define MOSS_BOX_SECCOMP_H

/* Seccomp filters: from the OCI form of a profile (`linux.seccomp` of the runtime specification) to BPF, and into the kernel.
 *
 *     r = seccomp_profile("box", &filter, e);        profiles/seccomp/NAME.json, which is part of the program
 *     r = seccomp_kept(text, len, &filter);              or an object of config.json, whose text is looked up
 *     r = seccomp_compile(object, &filter, e);           and only if it is new
 *     seccomp_keep(text, len, &filter);                  compiled and kept
 *     …clone…  seccomp_install(&filter)              in the child, as the last thing before exec; needs no_new_privs or CAP_SYS_ADMIN
 *     seccomp_filter_done(&filter)
 *
 * Compiling takes milliseconds, so the result is kept as <run directory>/.seccomp/<hash> where that directory can be made, with the
 * profile and everything else the result depends on, which must be the same. A cache that cannot be used costs time, never an error.
 *
 * A system call that libseccomp does not know by name is passed over, as other runtimes do: it gets the default action. So is a member that the
 * specification does not know ("Extensibility" of its config.md). */

#include <jansson.h>
#include <linux/audit.h>
#include <linux/filter.h>

#include "runtime/base/error.h"

/* What seccomp_data.arch is in a program of ours; in all of these the lower half of a system call's argument comes first. */
#if defined(__x86_64__)
#define SECCOMP_NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define SECCOMP_NATIVE_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv)
#define SECCOMP_NATIVE_ARCH AUDIT_ARCH_RISCV64
#else
#error "the numbers of system calls are not known for this architecture"
#endif

typedef struct SeccompFilter {
    struct sock_filter *code; /* NULL: no filter */
    unsigned short n;
    unsigned flags; /* SECCOMP_FILTER_FLAG_* */
    bool notify;    /* has SCMP_ACT_NOTIFY: seccomp_install_listener() gives the fd */
} SeccompFilter;

int seccomp_profile(const char *name, SeccompFilter *ret, Error *e);
int seccomp_kept(const char *text, size_t len, SeccompFilter *ret);
void seccomp_keep(const char *text, size_t len, const SeccompFilter *f);
int seccomp_compile(const json_t *profile, SeccompFilter *ret, Error *e);
void seccomp_filter_done(SeccompFilter *f);

/* The same decisions in fewer instructions, as the kernel's time for a filter goes by their number: libseccomp asks for every single system call, where most
 * are next to one that is treated alike. What becomes no shorter stays as it is. The program must be one that the kernel would take. -ENOMEM. */
int seccomp_shrink(SeccompFilter *f);

/* Calls `f` with each word that profiles may have in that place; SECCOMP_KERNEL_FLAGS: those flags that this kernel knows. */
typedef enum SeccompWords {
    SECCOMP_ACTIONS,
    SECCOMP_OPERATORS,
    SECCOMP_ARCHITECTURES,
    SECCOMP_FLAGS,
    SECCOMP_KERNEL_FLAGS,
} SeccompWords;
void seccomp_each_word(SeccompWords which, void (*f)(void *arg, const char *word), void *arg);

/* Both allocate nothing. Returns 0, the second the fd of the notification listener; -errno. */
int seccomp_install(const SeccompFilter *f);
int seccomp_install_listener(const SeccompFilter *f);

#endif
