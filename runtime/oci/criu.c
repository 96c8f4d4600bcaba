/* SPDX-License-Identifier: Apache-2.0 */
#include "criu.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kept.h"
#include "runtime/base/fd.h"
#include "runtime/base/json.h"
#include "runtime/base/process.h"
#include "runtime/base/strbuf.h"

#define ARGUMENTS_MAX 1024
#define LOG_MAX ((size_t) 256 << 20)
#define STREAMS_FILE "descriptors.json"

/* A command line; running out of memory or place is seen once, when it is used. */
typedef struct Arguments {
    char *v[ARGUMENTS_MAX];
    size_t n;
    bool failed;
} Arguments;

static void arguments_done(Arguments *a)
{
    for (size_t i = 0; i < a->n; i++)
        free(a->v[i]);
}

static void add(Arguments *a, const char *fmt, ...) _printf_(2, 3);
static void add(Arguments *a, const char *fmt, ...)
{
    va_list ap;
    char *s;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&s, fmt, ap);
    va_end(ap);
    if (n >= 0 && a->n + 1 < ARGUMENTS_MAX)
        a->v[a->n++] = s;
    else
        a->failed = true;
    if (n >= 0 && a->failed)
        free(s);
}

static void add_if(Arguments *a, bool wanted, const char *option)
{
    if (wanted)
        add(a, "%s", option);
}

static void add_value(Arguments *a, const char *option, const char *value)
{
    if (value) {
        add(a, "%s", option);
        add(a, "%s", value);
    }
}

/* ---- what both directions have in common ---- */

int criu_check(const CriuOptions *o, const Config *c, Error *e)
{
    static const char *const modes[] = {"ignore", "soft", "full", "strict"};
    bool known = !o->cgroups;

    for (size_t i = 0; i < ARRAY_SIZE(modes) && !known; i++)
        known = streq(o->cgroups, modes[i]);
    if (!known)
        return error_setf(e, -EINVAL, "--manage-cgroups-mode \"%s\": is none of ignore, soft, full, strict",
                          o->cgroups);
    if (o->parent && o->parent[0] == '/')
        return error_setf(e, -EINVAL, "--parent-path %s: must be relative to --image-path", o->parent);
    if (o->page_server && (!strrchr(o->page_server, ':') || !strrchr(o->page_server, ':')[1]))
        return error_setf(e, -EINVAL, "--page-server \"%s\": must be ADDRESS:PORT", o->page_server);
    if (o->pre_dump && o->lazy_pages)
        return error_setf(e, -EINVAL, "--pre-dump: cannot be had with --lazy-pages");
    if (kept_agent(c))
        return error_setf(e, -EOPNOTSUPP,
                          "criu: annotation " KEPT_ANNOTATION
                          ": what moss-init and the shim have between them cannot be given back");
    if (c->process.terminal)
        return error_setf(e, -EOPNOTSUPP,
                          "criu: process.terminal: the command line of criu cannot give a terminal back");
    return 0;
}

static void add_common(Arguments *a, const CriuOptions *o, const State *s, const char *log)
{
    add_value(a, "--images-dir", o->images);
    add_value(a, "--work-dir", o->work);
    add_value(a, "--log-file", log);
    add(a, "-v4");
    add_value(a, "--root", s->rootfs);
    add(a, "--manage-cgroups=%s", o->cgroups ? o->cgroups : "soft");
    add_if(a, o->tcp_established, "--tcp-established");
    add_if(a, o->ext_unix_sk, "--ext-unix-sk");
    add_if(a, o->shell_job, "--shell-job");
    add_if(a, o->file_locks, "--file-locks");
    add_if(a, o->lazy_pages, "--lazy-pages");
    add_if(a, o->auto_dedup, "--auto-dedup");
    add_value(a, "--empty-ns", o->empty_network ? "net" : NULL);
}

/* The destination as the kernel shows it, which is also what the mount is called in the images; `source` NULL: it goes there. */
static void add_mount(Arguments *a, const char *destination, const char *source)
{
    int n = (int) strlen(destination);

    while (n > 1 && destination[n - 1] == '/')
        n--;
    add(a, "--external");
    if (source)
        add(a, "mnt[%.*s]:%s", n, destination, source);
    else
        add(a, "mnt[%.*s]:%.*s", n, destination, n, destination);
}

/* What masks directories criu writes to the images; masked files are the host's /dev/null. `root` is that of the container. */
static bool masked_file(int root, const char *path)
{
    _cleanup_close_ int fd = openat_beneath(root, path + strspn(path, "/"), O_PATH | O_NOFOLLOW, 0);
    struct stat st;

    return fd >= 0 && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode);
}

/* With the container's `root`, to be written: each is called by its destination. Without: that is where it comes from. */
static void add_mounts(Arguments *a, const Config *c, const State *s, int root)
{
    bool dump = root >= 0;

    for (size_t i = 0; i < c->n_mounts; i++) {
        const ConfigMount *m = &c->mounts[i];
        _cleanup_free_ char *source = NULL;

        if (!m->options.bind || !m->source)
            continue;
        source = m->source[0] == '/' ? strdup(m->source) : xasprintf("%s/%s", s->bundle, m->source);
        a->failed = a->failed || !source;
        add_mount(a, m->destination, dump ? NULL : source);
    }
    for (const char **p = c->masked_paths; p && *p; p++)
        if (!dump || masked_file(root, *p))
            add_mount(a, *p, dump ? NULL : "/dev/null");
}

/* The cause among the errors of a log, without its time: the first that is not of a helper function; what follows comes of it. */
static const char *find_cause(const char *text)
{
    const char *first = strstr(text, "Error ("), *p = first;

    while (p && startswith(p, "Error (criu/util.c:"))
        p = strstr(p + 1, "Error (");
    return p ? p : first;
}

static int explain(const CriuOptions *o, const char *verb, const char *log, int status, Error *e)
{
    _cleanup_close_ int dir = open(o->work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_free_ char *text = NULL;
    const char *cause = NULL;

    if (status == 127)
        return error_setf(e, -ENOENT, "criu: cannot execute %s: is it installed? (see --criu)",
                          o->program ? o->program : "criu");
    if (dir >= 0 && file_read_at(dir, log, LOG_MAX, &text, NULL) >= 0)
        cause = find_cause(text);
    if (!cause)
        return error_setf(e, -EIO, "criu: %s: exit status %d; see %s/%s", verb, status, o->work, log);
    return error_setf(e, -EIO, "criu: %s: exit status %d: %.*s (%s/%s)", verb, status, (int) strcspn(cause, "\n"),
                      cause, o->work, log);
}

/* criu wants the root to be a mount: a copy of it lies on it, for criu alone. Its master is that of the container's root, and criu gives it to that. */
static int mount_root(const char *rootfs)
{
    _cleanup_close_ int fd = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC), tree = -EBADF;

    if (fd < 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        return -errno;
    fd_closep(&fd); /* that was a mount of the namespace before */
    fd = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
    tree = fd < 0 ? -EBADF : open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
    if (tree < 0 || move_mount(tree, "", fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return -errno;
    return 0;
}

/* Runs it to its end. Its exit status; 127 if it cannot be executed. */
static int execute(Arguments *a, const char *root, Error *e)
{
    int status;
    pid_t pid;

    if (a->failed)
        return error_errnof(e, -E2BIG, "criu: its command line");
    a->v[a->n] = NULL;
    pid = fork();
    if (pid < 0)
        return error_errnof(e, -errno, "criu");
    if (pid == 0) {
        sigset_t none;

        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (root && mount_root(root) < 0)
            _exit(126);
        execvp(a->v[0], a->v);
        _exit(127);
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return error_errnof(e, -errno, "criu");
    return wait_status_code(status);
}

/* ---- to files ---- */

/* A name for one of the process's standard streams that criu knows it by: "pipe:[5]", or where it is a file that no mount of the container has. */
static char *stream_name(pid_t pid, int fd)
{
    char path[48], target[4096], info[1024] = "";
    _cleanup_close_ int in = -EBADF;
    const char *mount;
    struct stat st;
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int) pid, fd);
    n = readlink(path, target, sizeof(target) - 1);
    if (n < 0 || stat(path, &st) < 0)
        return strdup("");
    target[n] = '\0';
    if (target[0] != '/')
        return strdup(target);
    snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int) pid, fd);
    in = open(path, O_RDONLY | O_CLOEXEC);
    if (in < 0 || fd_read_full(in, info, sizeof(info) - 1) < 0 || !(mount = strstr(info, "mnt_id:")))
        return strdup("");
    return xasprintf("file[%lx:%lx]", strtoul(mount + strlen("mnt_id:"), NULL, 10), (unsigned long) st.st_ino);
}

static int add_streams(Arguments *a, const CriuOptions *o, pid_t pid, Error *e)
{
    _cleanup_close_ int dir = open(o->images, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_json_ json_t *list = json_array();

    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        _cleanup_free_ char *name = stream_name(pid, fd);

        if (!name || json_array_append_new(list, json_string(name)) < 0)
            return error_errnof(e, -ENOMEM, "criu: standard streams");
        if (startswith(name, "file["))
            add_value(a, "--external", name);
    }
    return dir < 0 ? error_errnof(e, -errno, "--image-path %s", o->images)
                   : json_write_at(dir, STREAMS_FILE, list, 0600, 0, e);
}

static const struct {
    NamespaceKind kind;
    const char *type, *name;
} joined[] = {{NS_NETWORK, "net", "extRootNetNS"}, {NS_PID, "pid", "extRootPidNS"}};

static int add_joined(Arguments *a, const Config *c, pid_t pid, Error *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(joined); i++) {
        struct stat st;
        char path[40];

        if (!c->namespaces[joined[i].kind].path)
            continue;
        snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int) pid, joined[i].type);
        if (stat(path, &st) < 0)
            return error_errnof(e, -errno, "criu: %s", path);
        add(a, "--external");
        add(a, "%s[%lu]:%s", joined[i].type, (unsigned long) st.st_ino, joined[i].name);
    }
    return 0;
}

static void add_page_server(Arguments *a, const char *address)
{
    const char *colon = address ? strrchr(address, ':') : NULL;
    bool brackets = address && address[0] == '[' && colon > address && colon[-1] == ']';

    if (!colon)
        return;
    add(a, "--page-server");
    add(a, "--address");
    add(a, "%.*s", (int) (colon - address) - 2 * brackets, address + brackets);
    add_value(a, "--port", colon + 1);
}

int criu_dump(const CriuOptions *o, const Config *c, const State *s, const ContainerCgroup *g, Error *e)
{
    _cleanup_(arguments_done) Arguments a = {};
    _cleanup_close_ int root = -EBADF;
    char path[4096], link[FD_PATH_MAX];
    ssize_t n;
    int r;

    snprintf(path, sizeof(path), "/proc/%d/root", (int) s->pid);
    root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return error_errnof(e, -errno, "criu: %s", path);

    add(&a, "%s", o->program ? o->program : "criu");
    add(&a, "%s", o->pre_dump ? "pre-dump" : "dump");
    add(&a, "--tree");
    add(&a, "%d", (int) s->pid);
    add_common(&a, o, s, "dump.log");
    add_if(&a, o->leave_running && !o->pre_dump, "--leave-running");
    add_if(&a, o->pre_dump || o->parent, "--track-mem");
    add_value(&a, "--prev-images-dir", o->parent);
    add_page_server(&a, o->page_server);
    if (o->status_fd >= 0) {
        add(&a, "--status-fd");
        add(&a, "%d", o->status_fd);
    }
    n = g->fd < 0 ? -1 : readlink(fd_path(g->fd, link), path, sizeof(path) - 1);
    if (n > 0) {
        path[n] = '\0';
        add_value(&a, "--freeze-cgroup", path);
    }
    add_mounts(&a, c, s, root);
    if ((r = add_joined(&a, c, s->pid, e)) < 0 || (r = add_streams(&a, o, s->pid, e)) < 0)
        return r;
    r = execute(&a, NULL, e);
    return r > 0 ? explain(o, "dump", "dump.log", r, e) : r;
}

/* ---- and back ---- */

static int inherit_streams(Arguments *a, const CriuOptions *o, Error *e)
{
    _cleanup_close_ int dir = open(o->images, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_free_ char *text = NULL;
    _cleanup_json_ json_t *list = NULL;
    size_t len;
    int r;

    if (dir < 0)
        return error_errnof(e, -errno, "--image-path %s", o->images);
    r = file_read_at(dir, STREAMS_FILE, JSON_FILE_MAX, &text, &len);
    if (r < 0)
        return error_errnof(e, r, "--image-path %s: %s", o->images, STREAMS_FILE);
    r = json_parse(text, len, STREAMS_FILE, &list, e);
    for (size_t fd = 0; r >= 0 && fd <= STDERR_FILENO; fd++) {
        const char *name = json_string_value(json_array_get(list, fd));

        if (!name || !*name)
            continue;
        add(a, "--inherit-fd");
        add(a, "fd[%zu]:%s", fd, name);
    }
    return r;
}

static int inherit_joined(Arguments *a, const Config *c, int fds[static ARRAY_SIZE(joined)], Error *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(joined); i++) {
        const char *path = c->namespaces[joined[i].kind].path;

        if (!path)
            continue;
        fds[i] = open(path, O_RDONLY); /* for criu, so not close-on-exec */
        if (fds[i] < 0)
            return error_errnof(e, -errno, "linux.namespaces: %s: %s", joined[i].type, path);
        add(a, "--inherit-fd");
        add(a, "fd[%d]:%s", fds[i], joined[i].name);
    }
    return 0;
}

static pid_t read_pid(const char *work, const char *file, Error *e)
{
    _cleanup_close_ int dir = open(work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_free_ char *text = NULL;
    int r = dir < 0 ? -errno : file_read_at(dir, file, 64, &text, NULL);
    long pid = r < 0 ? 0 : strtol(text, NULL, 10);

    (void) unlinkat(dir, file, 0);
    return pid > 0 ? (pid_t) pid : error_errnof(e, r < 0 ? r : -EPROTO, "criu: %s/%s", work, file);
}

pid_t criu_restore(const CriuOptions *o, const Config *c, const State *s, Error *e)
{
    _cleanup_(arguments_done) Arguments a = {};
    _cleanup_free_ char *pidfile = xasprintf("%s.pid", s->id);
    int fds[ARRAY_SIZE(joined)] = {-EBADF, -EBADF};
    int r;

    add(&a, "%s", o->program ? o->program : "criu");
    add(&a, "restore");
    add_common(&a, o, s, "restore.log");
    add(&a, "--restore-detached");
    add(&a, "--restore-sibling");
    add_value(&a, "--pidfile", pidfile);
    if (s->cgroup) {
        add(&a, "--cgroup-root");
        add(&a, ":/%s", s->cgroup); /* of the unified hierarchy, whose controller has no name */
    }
    add_value(&a, "--lsm-profile", o->lsm_profile);
    add_value(&a, "--lsm-mount-context", o->lsm_mount_context);
    add_mounts(&a, c, s, -EBADF);
    if ((r = inherit_streams(&a, o, e)) >= 0 && (r = inherit_joined(&a, c, fds, e)) >= 0)
        r = execute(&a, s->rootfs, e);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        fd_closep(&fds[i]);
    if (r > 0)
        r = explain(o, "restore", "restore.log", r, e);
    return r < 0 || !pidfile ? r : read_pid(o->work, pidfile, e);
}
