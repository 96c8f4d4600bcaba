/* SPDX-License-Identifier: Apache-2.0 */
/* SSH signatures, checked by ssh-keygen(1): what operators have and trust already. */

#include <stdio.h>
#include <sys/stat.h>

#include "request.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/process.h"
#include "runtime/base/strbuf.h"

#define SIGNATURE_FILE "signature.tmp"
#define SIGNATURE_MAX ((size_t) 16 << 10)
#define OUTPUT_MAX ((size_t) 64 << 10)

/* Who may write this file gives consent. */
static int check_signers(const char *path, Error *e)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return error_errnof(e, -errno, "allowed signers %s", path);
    if (!S_ISREG(st.st_mode) || (st.st_mode & S_IWOTH) || (st.st_uid != 0 && st.st_uid != geteuid()))
        return error_setf(e, -EPERM, "allowed signers %s: must be a file of root's or ours that others cannot write",
                          path);
    return 0;
}

static int keygen(const char *directory, const char *const *argv, const char *input, char **ret_output, Error *e)
{
    ProcessSpec spec = {
        .argv = argv,
        .cwd = directory,
        .input = input,
        .input_len = input ? strlen(input) : 0,
        .output_max = OUTPUT_MAX,
        .timeout_usec = 20 * USEC_PER_SEC,
    };

    return process_run(&spec, ret_output, e);
}

/* The first principal of the first line: "ann@example.org,ann" names one person twice. */
static int first_principal(char *output, Error *e)
{
    output[strcspn(output, ",\r\n")] = '\0';
    return *output
               ? 0
               : error_setf(e, -EKEYREJECTED, "the consent was signed by a key that is not among the allowed signers");
}

static int verify(const char *directory, const char *allowed_signers, const char *text, char **ret_principal, Error *e)
{
    _cleanup_free_ char *principal = NULL, *output = NULL;
    const char *find[] = {"ssh-keygen", "-Y", "find-principals", "-f", allowed_signers, "-s", SIGNATURE_FILE, NULL};
    const char *check[] = {"ssh-keygen", "-Y", "verify",          "-f", allowed_signers, "-I",
                           NULL,         "-n", CONSENT_NAMESPACE, "-s", SIGNATURE_FILE,  NULL};
    int r = keygen(directory, find, NULL, &principal, e);

    if (r < 0)
        return r;
    if (r != 0) {
        principal[strcspn(principal, "\r\n")] = '\0';
        return error_setf(e, -EKEYREJECTED,
                          "the consent is not signed by one of the allowed signers (ssh-keygen: %.200s)", principal);
    }
    r = first_principal(principal, e);
    if (r < 0)
        return r;
    check[6] = principal;
    r = keygen(directory, check, text, &output, e);
    if (r < 0)
        return r;
    if (r != 0) {
        output[strcspn(output, "\r\n")] = '\0';
        return error_setf(e, -EKEYREJECTED,
                          "the signature is not one of \"%.100s\" over this request for %s (ssh-keygen: %.200s)",
                          principal, CONSENT_NAMESPACE, output);
    }
    *ret_principal = TAKE_PTR(principal);
    return 0;
}

int signature_verify(const char *directory, const char *allowed_signers, const char *text, const char *signature,
                     char **ret_principal, Error *e)
{
    _cleanup_close_ int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = check_signers(allowed_signers, e);

    if (r < 0)
        return r;
    if (dir < 0)
        return error_errnof(e, -errno, "%s", directory);
    if (strlen(signature) > SIGNATURE_MAX)
        return error_setf(e, -EBADMSG, "the signature is larger than %zu bytes", SIGNATURE_MAX);
    r = file_write_at(dir, SIGNATURE_FILE, signature, strlen(signature), 0600, 0);
    if (r < 0)
        return error_errnof(e, r, "%s/%s", directory, SIGNATURE_FILE);
    r = verify(directory, allowed_signers, text, ret_principal, e);
    unlinkat(dir, SIGNATURE_FILE, 0);
    return r;
}
