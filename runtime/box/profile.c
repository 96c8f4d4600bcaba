/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/stat.h>

#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/rundir.h"
#include "seccomp.h"

/* Named profiles, and the cache of what profiles compile to.
 *
 * The profiles of profiles/seccomp/ are part of the object file, so that a static program needs no file to make a box. An operator's
 * /etc/moss/seccomp/NAME.json goes before one. */

#define OVERRIDES "/etc/moss/seccomp"
#define PROFILE_MAX ((size_t) 256 << 10)
#define CACHED_MAX 64
#define FORMAT 4U

#define EMBED(symbol, file)                                                                                            \
    __asm__(".section .rodata\n" #symbol ":\n.incbin \"" file "\"\n" #symbol "_end:\n.byte 0\n.previous\n");           \
    extern const char symbol[], symbol##_end[]

EMBED(profile_box, "profiles/seccomp/box.json");

typedef struct Text {
    const char *data;
    size_t len;
} Text;

static int built_in(const char *name, Text *ret, Error *e)
{
    if (!streq(name, "box"))
        return error_setf(e, -ENOENT, "no seccomp profile is called \"%s\"", name);
    *ret = (Text){profile_box, (size_t) ((uintptr_t) profile_box_end - (uintptr_t) profile_box)};
    return 0;
}

/* *ret_owned is what the text lies in if it is the operator's. */
static int find_profile(const char *name, Text *ret, char **ret_owned, Error *e)
{
    char file[80];
    size_t len;
    int r;

    if (strchr(name, '/') || strlen(name) > 64)
        return error_setf(e, -EINVAL, "no seccomp profile can be called \"%.64s\"", name);
    snprintf(file, sizeof(file), "%s.json", name);
    {
        _cleanup_close_ int dir = open(OVERRIDES, O_PATH | O_DIRECTORY | O_CLOEXEC);

        r = dir < 0 ? -errno : file_read_at(dir, file, PROFILE_MAX, ret_owned, &len);
    }
    if (r == -ENOENT)
        return built_in(name, ret, e);
    if (r < 0)
        return error_errnof(e, r, OVERRIDES "/%s", file);
    *ret = (Text){*ret_owned, len};
    return 0;
}

/* A file of the cache: this, then the program, then the text that it was made from, which has to be the same byte for byte. So its name need not be
 * a digest, which takes longer than all the rest. A program with SCMP_ACT_NOTIFY is never kept. */
typedef struct Kept {
    unsigned format, major, minor, micro, arch; /* all but the text that a program depends on */
    unsigned flags, n, text_len;
} Kept;

#define KEPT_MAX (sizeof(Kept) + USHRT_MAX * sizeof(struct sock_filter) + PROFILE_MAX)
#define NAME_SIZE 17

static Kept kept_now(size_t text_len)
{
    const struct scmp_version *v = seccomp_version();

    return (Kept){.format = FORMAT,
                  .major = v->major,
                  .minor = v->minor,
                  .micro = v->micro,
                  .arch = seccomp_arch_native(),
                  .text_len = (unsigned) text_len};
}

/* FNV-1a, by eight bytes: where two texts have one name, the last one is kept. */
static void name_of(const char *text, size_t len, char ret[static NAME_SIZE])
{
    uint64_t h = UINT64_C(0xcbf29ce484222325), word;

    for (; len > 0; text += MIN(len, sizeof(word)), len -= MIN(len, sizeof(word))) {
        word = 0;
        memcpy(&word, text, MIN(len, sizeof(word)));
        h = (h ^ word) * UINT64_C(0x100000001b3);
        h ^= h >> 32;
    }
    snprintf(ret, NAME_SIZE, "%016llx", (unsigned long long) h);
}

/* The directory belongs to us and nobody else may write to it: run_directory() sees to that. */
static int open_cache(void)
{
    _cleanup_free_ char *path = NULL;
    int r = run_directory(".seccomp", &path, NULL);

    if (r < 0)
        return r;
    r = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return r < 0 ? -errno : r;
}

static int from_cache(int cache, const char *text, size_t text_len, SeccompFilter *ret)
{
    _cleanup_free_ char *data = NULL;
    char name[NAME_SIZE];
    size_t len = 0;
    Kept k, now = kept_now(text_len);
    int r;

    name_of(text, text_len, name);
    r = file_read_at(cache, name, KEPT_MAX, &data, &len);
    if (r < 0)
        return r;
    if (len < sizeof(k))
        return -EUCLEAN;
    memcpy(&k, data, sizeof(k));
    now.flags = k.flags;
    now.n = k.n;
    if (memcmp(&k, &now, sizeof(k)) != 0 || k.n == 0 || k.n > 1U << 15 ||
        len != sizeof(k) + k.n * sizeof(struct sock_filter) + text_len ||
        memcmp(data + len - text_len, text, text_len) != 0)
        return -EUCLEAN;
    memmove(data, data + sizeof(k), k.n * sizeof(struct sock_filter));
    *ret = (SeccompFilter){.code = (void *) TAKE_PTR(data), .n = (unsigned short) k.n, .flags = k.flags};
    return 0;
}

/* Engines make a profile for every set of options, so there is an end to how many are kept. */
static void make_room(int cache)
{
    int fd = openat(cache, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *de;
    size_t n = 0;

    while (d && (de = readdir(d)))
        n++;
    if (n < CACHED_MAX)
        return;
    rewinddir(d);
    while ((de = readdir(d)))
        if (de->d_name[0] != '.')
            (void) unlinkat(cache, de->d_name, 0);
}

static void to_cache(int cache, const char *text, size_t text_len, const SeccompFilter *f)
{
    Kept k = kept_now(text_len);
    size_t program = f->n * sizeof(*f->code), len = sizeof(k) + program + text_len;
    _cleanup_free_ char *data = malloc(len);
    char name[NAME_SIZE];

    if (!data)
        return;
    k.flags = f->flags;
    k.n = f->n;
    memcpy(data, &k, sizeof(k));
    memcpy(data + sizeof(k), f->code, program);
    memcpy(data + sizeof(k) + program, text, text_len);
    name_of(text, text_len, name);
    make_room(cache);
    (void) file_write_at(cache, name, data, len, 0600, 0);
}

int seccomp_kept(const char *text, size_t len, SeccompFilter *ret)
{
    _cleanup_close_ int cache = open_cache();

    return cache < 0 ? cache : from_cache(cache, text, len, ret);
}

void seccomp_keep(const char *text, size_t len, const SeccompFilter *f)
{
    _cleanup_close_ int cache = f->notify || len > PROFILE_MAX ? -EBADF : open_cache();

    if (cache >= 0)
        to_cache(cache, text, len, f);
}

int seccomp_profile(const char *name, SeccompFilter *ret, Error *e)
{
    _cleanup_free_ char *owned = NULL;
    _cleanup_json_ json_t *profile = NULL;
    Text text = {};
    int r;

    r = find_profile(name, &text, &owned, e);
    if (r < 0)
        return r;
    if (seccomp_kept(text.data, text.len, ret) >= 0)
        return 0;
    r = json_parse(text.data, text.len, name, &profile, e);
    if (r >= 0)
        r = seccomp_compile(profile, ret, e);
    if (r < 0)
        return error_wrapf(e, r, "seccomp profile %s", name);
    seccomp_keep(text.data, text.len, ret);
    return 0;
}
