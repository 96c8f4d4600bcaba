/* SPDX-License-Identifier: Apache-2.0 */
#include <seccomp.h>
#include <sys/stat.h>

#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/hash.h"
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
#define FORMAT "moss-seccomp-1"

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

/* Everything but the profile that a program depends on. */
static void digest_begin(Hash *h)
{
    const struct scmp_version *v = seccomp_version();
    unsigned about[] = {v->major, v->minor, v->micro, seccomp_arch_native()};

    hash_init(h);
    hash_adds(h, FORMAT);
    hash_add(h, about, sizeof(about));
}

static int digest_part(const char *data, size_t len, void *hash)
{
    hash_add(hash, data, len);
    return 0;
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

/* A cached program: its flags, then its instructions. One with SCMP_ACT_NOTIFY is never cached. */
static int from_cache(int cache, const char *key, SeccompFilter *ret)
{
    _cleanup_free_ char *data = NULL;
    size_t len = 0, n;
    int r;

    r = file_read_at(cache, key, PROFILE_MAX, &data, &len);
    if (r < 0)
        return r;
    n = len / sizeof(struct sock_filter);
    if (len % sizeof(struct sock_filter) != 0 || n < 2 || n > 1U << 15)
        return -EUCLEAN;
    memcpy(&ret->flags, data, sizeof(ret->flags));
    memmove(data, data + sizeof(struct sock_filter), len - sizeof(struct sock_filter));
    ret->code = (void *) TAKE_PTR(data);
    ret->n = (unsigned short) (n - 1);
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
        if (digest_valid(de->d_name))
            (void) unlinkat(cache, de->d_name, 0);
}

static void to_cache(int cache, const char *key, const SeccompFilter *f)
{
    struct sock_filter *all = cache < 0 || f->notify ? NULL : calloc((size_t) f->n + 1, sizeof(*all));

    if (!all)
        return;
    make_room(cache);
    memcpy(all, &f->flags, sizeof(f->flags));
    memcpy(all + 1, f->code, f->n * sizeof(*all));
    (void) file_write_at(cache, key, all, ((size_t) f->n + 1) * sizeof(*all), 0600, 0);
    free(all);
}

int seccomp_profile(const char *name, SeccompFilter *ret, Error *e)
{
    _cleanup_free_ char *owned = NULL;
    _cleanup_json_ json_t *profile = NULL;
    _cleanup_close_ int cache = -EBADF;
    char key[DIGEST_SIZE];
    Text text = {};
    Hash h;
    int r;

    r = find_profile(name, &text, &owned, e);
    if (r < 0)
        return r;
    digest_begin(&h);
    hash_add(&h, text.data, text.len);
    hash_final(&h, key);
    cache = open_cache();
    if (cache >= 0 && from_cache(cache, key, ret) >= 0)
        return 0;
    r = json_parse(text.data, text.len, name, &profile, e);
    if (r >= 0)
        r = seccomp_compile(profile, ret, e);
    if (r < 0)
        return error_wrapf(e, r, "seccomp profile %s", name);
    to_cache(cache, key, ret);
    return 0;
}

int seccomp_compile_cached(const json_t *profile, SeccompFilter *ret, Error *e)
{
    _cleanup_close_ int cache = open_cache();
    char key[DIGEST_SIZE];
    Hash h;
    int r;

    digest_begin(&h);
    (void) json_dump_callback(profile, digest_part, &h, JSON_COMPACT);
    hash_final(&h, key);
    if (cache >= 0 && from_cache(cache, key, ret) >= 0)
        return 0;
    r = seccomp_compile(profile, ret, e);
    if (r >= 0)
        to_cache(cache, key, ret);
    return r;
}
