/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroup.h"

#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/process.h"

#define CONTROL_FILE_MAX ((size_t) 4 << 20)
#define REMOVE_USEC 5000U
#define KILL_TIMEOUT (10 * USEC_PER_SEC)
#define DEPTH_MAX 64

/* What MOSS limits or accounts; other controllers stay as the host's owner left them. */
static const char *const controllers[] = {"memory", "pids", "cpu"};

static int read_control(int cgroup, const char *file, char **ret)
{
    _cleanup_close_ int fd = openat(cgroup, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    return file_read_fd(fd, CONTROL_FILE_MAX, ret, NULL);
}

/* Undoes the octal escapes of mountinfo (space, tab, newline, backslash) in place. */
static void unescape(char *s)
{
    char *out = s;

    while (*s) {
        if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
            *out++ = (char) ((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
            s += 4;
        } else {
            *out++ = *s++;
        }
    }
    *out = '\0';
}

/* The mount point if `line` of mountinfo is a whole cgroup2 hierarchy, else NULL. `line` is cut up. Format: proc_pid_mountinfo(5). */
static char *cgroup2_mount_point(char *line)
{
    char *behind = strstr(line, " - "), *save = NULL, *field[5];

    if (!behind || !startswith(behind + 3, "cgroup2 "))
        return NULL;
    *behind = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(field); i++) {
        field[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
        if (!field[i])
            return NULL;
    }
    if (!streq(field[3], "/"))
        return NULL;
    unescape(field[4]);
    return field[4];
}

/* Where it is mounted nearly everywhere: the usual place, and that of hybrid hosts. Reading mountinfo takes as long as there are mounts. */
static int open_usual_top(void)
{
    static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    struct statfs fs;

    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        _cleanup_close_ int fd = open(places[i], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        /* the top of a hierarchy is the one directory that has no type */
        if (fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC &&
            faccessat(fd, "cgroup.type", F_OK, 0) < 0 && errno == ENOENT)
            return TAKE_FD(fd);
    }
    return -ENOENT;
}

int cgroup_open_top(Error *e)
{
    _cleanup_free_ char *text = NULL;
    char *save = NULL;
    int r;

    r = open_usual_top();
    if (r >= 0)
        return r;
    r = read_control(AT_FDCWD, "/proc/self/mountinfo", &text);
    if (r < 0)
        return error_errnof(e, r, "/proc/self/mountinfo");
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *path = cgroup2_mount_point(line);
        int fd;

        if (!path)
            continue;
        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? error_errnof(e, -errno, "cgroup2 at %s", path) : fd;
    }
    return error_setf(e, -EOPNOTSUPP, "no cgroup2 hierarchy is mounted here");
}

int cgroup_path_of(pid_t pid, char **ret, Error *e)
{
    _cleanup_free_ char *text = NULL;
    char *save = NULL, file[40] = "/proc/self/cgroup";
    int r;

    if (pid > 0)
        snprintf(file, sizeof(file), "/proc/%d/cgroup", (int) pid);
    r = read_control(AT_FDCWD, file, &text);
    if (r < 0)
        return error_errnof(e, r, "%s", file);
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        const char *path = startswith(line, "0::/");

        if (!path)
            continue;
        *ret = strdup(path);
        return *ret ? 0 : -ENOMEM;
    }
    return error_setf(e, -EOPNOTSUPP, "%s: the process is in no cgroup2", file);
}

int cgroup_open_base(Error *e)
{
    _cleanup_close_ int top = -EBADF, own = -EBADF;
    _cleanup_free_ char *path = NULL;
    int r;

    top = cgroup_open_top(e);
    if (top < 0)
        return top;
    if (process_is_system()) {
        r = cgroup_make(top, "moss", e);
        return r == -EROFS || r == -EACCES || r == -EPERM ? -EOPNOTSUPP : r;
    }
    r = cgroup_path_of(0, &path, e);
    if (r < 0)
        return r;
    own = path[0] ? openat_beneath(top, path, O_PATH | O_DIRECTORY, 0) : TAKE_FD(top);
    if (own < 0)
        return error_errnof(e, own, "own cgroup /%s", path);
    /* A process is born in a cgroup only if its creator may write cgroup.procs of what both have in common. */
    if (faccessat(own, "cgroup.procs", W_OK, AT_EACCESS) < 0)
        return error_setf(e, -EOPNOTSUPP, "cgroup /%s is not delegated to this user", path);
    return cgroup_make(own, "moss", e);
}

static bool has_word(const char *words, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = strstr(words, word); p; p = strstr(p + 1, word))
        if ((p == words || p[-1] == ' ') && (p[n] == '\0' || p[n] == ' ' || p[n] == '\n'))
            return true;
    return false;
}

/* Are there processes in it, and is it not the root of all, which has no type? */
static bool is_inhabited(int cgroup)
{
    _cleanup_close_ int fd = openat(cgroup, "cgroup.procs", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    char c;

    return faccessat(cgroup, "cgroup.type", F_OK, 0) == 0 && (fd < 0 || read(fd, &c, 1) != 0);
}

int cgroup_pass_on(int cgroup, const char *controller)
{
    char word[32];

    if (is_inhabited(cgroup))
        return -EBUSY;
    snprintf(word, sizeof(word), "+%s", controller);
    return cgroup_set(cgroup, "cgroup.subtree_control", word, NULL);
}

/* Passes on what the cgroup has. What is refused is seen by cgroup_has() of the child. */
static void delegate(int cgroup)
{
    _cleanup_free_ char *have = NULL, *given = NULL;

    if (read_control(cgroup, "cgroup.controllers", &have) < 0 ||
        read_control(cgroup, "cgroup.subtree_control", &given) < 0)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
        if (has_word(have, controllers[i]) && !has_word(given, controllers[i]))
            (void) cgroup_pass_on(cgroup, controllers[i]);
}

static int make_one(int parent, const char *name, bool *ret_found)
{
    bool found = mkdirat(parent, name, 0755) < 0;
    int fd;

    if (found && errno != EEXIST)
        return -errno;
    fd = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    *ret_found = found;
    return fd;
}

/* Splits the next name off *path; 0 at the end. */
static int next_name(const char **path, char name[static NAME_MAX + 1])
{
    const char *p = *path + strspn(*path, "/");
    size_t n = strcspn(p, "/");

    n = MIN(n, (size_t) NAME_MAX);
    memcpy(name, p, n);
    name[n] = '\0';
    if (p[n] && p[n] != '/')
        return -ENAMETOOLONG;
    *path = p + n;
    return streq(name, ".") || streq(name, "..") ? -EINVAL : n > 0;
}

int cgroup_make(int parent, const char *path, Error *e)
{
    bool found;

    return cgroup_make_or_find(parent, path, &found, e);
}

int cgroup_make_or_find(int parent, const char *path, bool *ret_found, Error *e)
{
    _cleanup_close_ int at = -EBADF;
    char name[NAME_MAX + 1];
    const char *p = path;
    bool found = false;
    int r;

    /* All of it is looked at before any of it is made. */
    while ((r = next_name(&p, name)) > 0)
        ;
    if (r < 0)
        return error_setf(e, r, "cgroup %s: \"%s\" is no name of a cgroup", path, name);
    for (p = path; next_name(&p, name) > 0;) {
        int above = at >= 0 ? at : parent, fd;

        delegate(above);
        fd = make_one(above, name, &found);
        if (fd < 0)
            return error_errnof(e, fd, "cannot make cgroup %s", path);
        fd_closep(&at);
        at = fd;
    }
    if (at < 0)
        return error_setf(e, -EINVAL, "a cgroup's path is empty");
    *ret_found = found;
    return TAKE_FD(at);
}

bool cgroup_has(int cgroup, const char *controller)
{
    _cleanup_free_ char *have = NULL;

    return read_control(cgroup, "cgroup.controllers", &have) >= 0 && has_word(have, controller);
}

int cgroup_set(int cgroup, const char *file, const char *value, Error *e)
{
    _cleanup_close_ int fd = openat(cgroup, file, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return error_errnof(e, -errno, "cgroup file %s cannot be opened for \"%s\"", file, value);
    if (write(fd, value, strlen(value)) < 0)
        return error_errnof(e, -errno, "the kernel refuses \"%s\" for cgroup file %s", value, file);
    return 0;
}

int cgroup_get(int cgroup, const char *file, const char *key, uint64_t *ret)
{
    _cleanup_free_ char *text = NULL;
    const char *p;
    int r;

    r = read_control(cgroup, file, &text);
    if (r < 0)
        return r;
    p = text;
    while (key && p) {
        const char *value = startswith(p, key);

        if (value && *value == ' ') {
            p = value + 1;
            break;
        }
        p = strchr(p, '\n');
        p = p ? p + 1 : NULL;
    }
    if (!p)
        return -ENODATA;
    if (startswith(p, "max"))
        *ret = UINT64_MAX;
    else if (sscanf(p, "%" SCNu64, ret) != 1)
        return -ENODATA;
    return 0;
}

/* cgroup.events reports POLLPRI when it has changed since it was last read. */
static int wait_unpopulated(int cgroup, uint64_t deadline)
{
    _cleanup_close_ int fd = openat(cgroup, "cgroup.events", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLPRI};
        char text[256];
        ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
        int r;

        if (n < 0)
            return -errno;
        text[n] = '\0';
        if (strstr(text, "populated 0"))
            return 0;
        r = poll(&p, 1, clock_poll_timeout(deadline));
        if (r < 0 && errno != EINTR)
            return -errno;
        if (r == 0)
            return -ETIMEDOUT;
    }
}

int cgroup_kill(int cgroup, uint64_t timeout_usec)
{
    int r = cgroup_set(cgroup, "cgroup.kill", "1", NULL);

    return r < 0 ? r : wait_unpopulated(cgroup, clock_now() + timeout_usec);
}

static int remove_tree(int parent, const char *name, unsigned depth)
{
    _cleanup_closedir_ DIR *d = NULL;
    struct dirent *de;
    int fd;

    if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    if (errno != EBUSY || depth > DEPTH_MAX)
        return -errno;
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    d = fdopendir(fd);
    if (!d) {
        close(fd);
        return -ENOMEM;
    }
    while ((de = readdir(d))) {
        int r;

        if (de->d_type != DT_DIR || streq(de->d_name, ".") || streq(de->d_name, ".."))
            continue;
        r = remove_tree(fd, de->d_name, depth + 1);
        if (r < 0)
            return r;
    }
    return unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

/* Who does not know yet that it is to go, as the shim of a kept agent, may still start a process in it or make a cgroup below it. */
int cgroup_remove(int parent, const char *path, Error *e)
{
    uint64_t deadline = clock_now() + KILL_TIMEOUT;
    _cleanup_close_ int fd = -EBADF;
    int r;

    if (unlinkat(parent, path, AT_REMOVEDIR) == 0) /* nothing was in it any more */
        return 0;
    fd = openat_beneath(parent, path, O_PATH | O_DIRECTORY, 0);
    if (fd < 0)
        return fd == -ENOENT ? 0 : error_errnof(e, fd, "cgroup %s", path);
    do {
        r = cgroup_kill(fd, KILL_TIMEOUT);
        if (r < 0)
            return r == -ENODEV ? 0 : error_errnof(e, r, "cannot end what runs in cgroup %s", path);
        r = remove_tree(parent, path, 0);
    } while (r == -EBUSY && clock_now() < deadline && usleep(REMOVE_USEC) == 0);
    return r < 0 ? error_errnof(e, r, "cannot remove cgroup %s", path) : 0;
}
