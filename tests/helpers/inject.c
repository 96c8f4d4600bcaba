/* SPDX-License-Identifier: Apache-2.0 */
/* inject [-o CALLS] [-s DIRECTORY] -h HEAD [-r RULE] (NAME=PID… | -- COMMAND…): follows the processes of a kept agent's shim through a swap and lets one
 * system call of one of them go wrong. Every call has a place in the protocol:
 *
 *     STATE/WHO/CALL/N          TRYING/shim.2/openat/3: the third openat of the shim's second child since head.json has said TRYING
 *
 * STATE is that of HEAD (head.json) or of what was last written into head.journal beside it, with a number behind it from its second visit on; "start" where there is no HEAD yet. WHO is NAME (the command's is "shim"), or a child,
 * by its number since the state began. Followed are children too, until they execute a program; moss-init is followed on as "init".
 *
 * RULE is a place, '=' and what happens there instead of the call:
 *
 *     kill        SIGKILL
 *     EIO, …      it fails with this error
 *     lie         it says that it is done, and is not; the process is killed at its next call
 *
 * Prints "following" when it has everybody, "met" when the rule has come to its place. CALLS gets a line for each call: its place, a tab, and for a call that is about a
 * file below DIRECTORY its path. Ends when nobody is left, or with SIGTERM; whoever is followed then goes on undisturbed. x86-64 only (status 77). */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/ptrace.h>

#define TRACEES_MAX 64
#define COUNTERS_MAX 512
#define OPTIONS                                                                                                        \
    (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC)
#define CHILDREN (-1) /* counted like calls */

#ifndef __x86_64__
int main(void)
{
    return 77;
}
#else

enum Fault { FAULT_NONE, FAULT_KILL, FAULT_ERROR, FAULT_LIE };

typedef struct Tracee {
    pid_t pid; /* 0: free */
    char who[24];
    int known;         /* its parent has told of it */
    int waiting;       /* stopped until then */
    int entered;       /* between entry and exit of a call */
    int answer, faked; /* at the exit: what the call is made to return */
    int doomed;        /* killed at the next call */
    int saves;         /* this call may write the head */
    __u64 block;       /* what it writes into the journal, 0: nothing */
} Tracee;

typedef struct Counter {
    char who[24];
    long call;
    int n;
} Counter;

static struct {
    const char *directory, *head;
    FILE *calls;
    char place[120];
    enum Fault fault;
    int error, met;
    char state[40];
    int visits[16];
    char names[16][24];
    Counter counters[COUNTERS_MAX];
    size_t n_counters;
    Tracee tracees[TRACEES_MAX];
} t = {.state = "start"};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static Tracee *tracee(pid_t pid)
{
    Tracee *found = NULL;

    for (size_t i = 0; i < TRACEES_MAX; i++) {
        if (t.tracees[i].pid == pid)
            return &t.tracees[i];
        if (!t.tracees[i].pid && !found)
            found = &t.tracees[i];
    }
    if (!found)
        die("too many processes");
    *found = (Tracee){.pid = pid};
    return found;
}

static int count(const char *who, long call)
{
    for (size_t i = 0; i < t.n_counters; i++)
        if (t.counters[i].call == call && strcmp(t.counters[i].who, who) == 0)
            return ++t.counters[i].n;
    if (t.n_counters == COUNTERS_MAX)
        die("too many different calls");
    Counter *c = &t.counters[t.n_counters++];
    *c = (Counter){.call = call, .n = 1};
    snprintf(c->who, sizeof(c->who), "%s", who);
    return 1;
}

/* ---- the state ---- */

static void enter_state(const char *name)
{
    size_t i = 0;

    while (i < 15 && t.names[i][0] && strcmp(t.names[i], name) != 0)
        i++;
    snprintf(t.names[i], sizeof(t.names[i]), "%s", name);
    if (++t.visits[i] == 1)
        snprintf(t.state, sizeof(t.state), "%s", name);
    else
        snprintf(t.state, sizeof(t.state), "%s%d", name, t.visits[i]);
    t.n_counters = 0;
}

static void take_state(char *text)
{
    char *state, *end;

    state = strstr(text, "\"state\":");
    state = state ? strchr(state + 8, '"') : NULL;
    end = state ? strchr(state + 1, '"') : NULL;
    if (!end)
        return;
    *end = '\0';
    enter_state(state + 1);
}

static void read_head(void)
{
    char text[4096];
    int fd = open(t.head, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        close(fd);
    if (n < 0)
        return;
    text[n] = '\0';
    take_state(text);
}

static void read_block(pid_t pid, __u64 address)
{
    char text[4096];
    struct iovec here = {text, sizeof(text) - 1}, there = {(void *) (uintptr_t) address, sizeof(text) - 1};
    ssize_t n = process_vm_readv(pid, &here, 1, &there, 1, 0);

    if (n < 0)
        return;
    text[n] = '\0';
    take_state(text);
}

static int is_journal(const char *path)
{
    size_t n = strlen(t.head) - strlen("json");

    return strncmp(path, t.head, n) == 0 && strcmp(path + n, "journal") == 0;
}

/* ---- what a call is about ---- */

static void read_string(pid_t pid, __u64 address, char *ret, size_t size)
{
    /* not over the end of a page that may be the last */
    size_t len = 4096 - address % 4096;
    struct iovec here = {ret, size - 1}, there = {(void *) (uintptr_t) address, len < size - 1 ? len : size - 1};
    ssize_t n = process_vm_readv(pid, &here, 1, &there, 1, 0);

    ret[n > 0 ? n : 0] = '\0';
    if (n > 0 && (size_t) n == len && len < size - 1 && !memchr(ret, '\0', len))
        read_string(pid, address + len, ret + len, size - len);
}

static void link_of(pid_t pid, int fd, char *ret, size_t size)
{
    char link[64];
    ssize_t n;

    if (fd == AT_FDCWD)
        snprintf(link, sizeof(link), "/proc/%d/cwd", (int) pid);
    else
        snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int) pid, fd);
    n = readlink(link, ret, size - 1);
    ret[n > 0 ? n : 0] = '\0';
}

/* Its number among the arguments: the fd that a call works on, or the directory and after it the name. -1: none that is a file's. */
static int file_argument(long call, int *ret_named)
{
    static const struct {
        long call;
        int argument, named;
    } files[] = {
        {SYS_read, 0, 0},       {SYS_write, 0, 0},     {SYS_pread64, 0, 0},   {SYS_pwrite64, 0, 0},
        {SYS_readv, 0, 0},      {SYS_writev, 0, 0},    {SYS_fsync, 0, 0},     {SYS_fdatasync, 0, 0},
        {SYS_syncfs, 0, 0},     {SYS_ftruncate, 0, 0}, {SYS_fallocate, 0, 0}, {SYS_copy_file_range, 2, 0},
        {SYS_sendfile, 0, 0},   {SYS_ioctl, 0, 0},     {SYS_fchmod, 0, 0},    {SYS_fchown, 0, 0},
        {SYS_getdents64, 0, 0}, {SYS_fsetxattr, 0, 0}, {SYS_flock, 0, 0},     {SYS_openat, 0, 1},
        {SYS_openat2, 0, 1},    {SYS_mkdirat, 0, 1},   {SYS_unlinkat, 0, 1},  {SYS_renameat, 2, 1},
        {SYS_renameat2, 2, 1},  {SYS_linkat, 2, 1},    {SYS_symlinkat, 1, 1}, {SYS_mknodat, 0, 1},
        {SYS_fchownat, 0, 1},   {SYS_fchmodat, 0, 1},  {SYS_utimensat, 0, 1}, {SYS_newfstatat, 0, 1},
    };

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (files[i].call == call) {
            *ret_named = files[i].named;
            return files[i].argument;
        }
    return -1;
}

static void path_of(pid_t pid, long call, const __u64 *args, char *ret, size_t size)
{
    int named = 0, argument = file_argument(call, &named);
    char name[256] = "";
    size_t len;

    ret[0] = '\0';
    if (argument < 0)
        return;
    link_of(pid, (int) args[argument], ret, size);
    if (named)
        read_string(pid, args[argument + 1], name, sizeof(name));
    if (name[0] == '/')
        ret[0] = '\0';
    len = strlen(ret);
    if (name[0])
        snprintf(ret + len, size - len, "%s%s", len > 0 ? "/" : "", name);
}

static int below(const char *path)
{
    size_t n = t.directory ? strlen(t.directory) : 0;

    return n > 0 && strncmp(path, t.directory, n) == 0 && path[n] == '/';
}

/* ---- a call ---- */

static void skip_call(Tracee *p, int answer)
{
    struct user_regs_struct regs;

    if (ptrace(PTRACE_GETREGS, p->pid, 0, &regs) < 0)
        return;
    regs.orig_rax = (unsigned long long) -1;
    (void) ptrace(PTRACE_SETREGS, p->pid, 0, &regs);
    p->faked = 1;
    p->answer = answer;
}

static void fault(Tracee *p)
{
    t.met = 1;
    switch (t.fault) {
    case FAULT_KILL:
        kill(p->pid, SIGKILL);
        break;
    case FAULT_ERROR:
        skip_call(p, -t.error);
        break;
    case FAULT_LIE:
        skip_call(p, 0);
        p->doomed = 1;
        break;
    case FAULT_NONE:
        break;
    }
    printf("met\n");
    fflush(stdout);
}

static void on_entry(Tracee *p, const struct ptrace_syscall_info *info)
{
    long call = (long) info->entry.nr;
    char place[120], path[600];
    char *name;

    if (p->doomed && !p->faked) {
        kill(p->pid, SIGKILL);
        return;
    }
    name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int) call);
    snprintf(place, sizeof(place), "%s/%s/%s/%d", t.state, p->who, name ? name : "?", count(p->who, call));
    free(name);
    p->saves = call == SYS_renameat || call == SYS_renameat2 || call == SYS_rename || call == SYS_pwrite64;
    if (t.calls || p->saves)
        path_of(p->pid, call, info->entry.args, path, sizeof(path));
    if (t.calls)
        fprintf(t.calls, "%s\t%s\n", place, below(path) ? path : "");
    p->block = p->saves && call == SYS_pwrite64 && is_journal(path) ? info->entry.args[1] : 0;
    if (p->saves)
        p->saves = p->block || strcmp(path, t.head) == 0;
    if (t.fault != FAULT_NONE && !t.met && strcmp(place, t.place) == 0)
        fault(p);
}

static void on_call(Tracee *p)
{
    struct ptrace_syscall_info info = {};
    struct user_regs_struct regs;

    if (ptrace(PTRACE_GET_SYSCALL_INFO, p->pid, sizeof(info), &info) < 0)
        return;
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
        on_entry(p, &info);
    else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
        if (p->faked && ptrace(PTRACE_GETREGS, p->pid, 0, &regs) == 0) {
            regs.rax = (unsigned long long) (long long) p->answer;
            (void) ptrace(PTRACE_SETREGS, p->pid, 0, &regs);
        } else if (p->block && !info.exit.is_error)
            read_block(p->pid, p->block);
        else if (p->saves && !info.exit.is_error)
            read_head();
        p->faked = p->saves = 0;
    }
}

/* ---- processes ---- */

static void go_on(const Tracee *p, int sig)
{
    (void) ptrace(PTRACE_SYSCALL, p->pid, 0, sig);
}

static void on_birth(const Tracee *parent)
{
    unsigned long pid;
    Tracee *child;

    if (ptrace(PTRACE_GETEVENTMSG, parent->pid, 0, &pid) < 0)
        return;
    child = tracee((pid_t) pid);
    snprintf(child->who, sizeof(child->who), "%.18s.%d", parent->who, count(parent->who, CHILDREN));
    child->known = 1;
    if (child->waiting) {
        child->waiting = 0;
        go_on(child, 0);
    }
}

/* Returns whether it is followed on. */
static int on_exec(Tracee *p)
{
    char link[32], exe[300];
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/%d/exe", (int) p->pid);
    n = readlink(link, exe, sizeof(exe) - 1);
    exe[n > 0 ? n : 0] = '\0';
    if (!strstr(exe, "moss-"))
        return 0;
    if (strstr(exe, "moss-init"))
        snprintf(p->who, sizeof(p->who), "init");
    return 1;
}

static void on_stop(Tracee *p, int status)
{
    int sig = WSTOPSIG(status), event = status >> 16;

    if (sig == (SIGTRAP | 0x80)) {
        on_call(p);
        go_on(p, 0);
    } else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE) {
        on_birth(p);
        go_on(p, 0);
    } else if (event == PTRACE_EVENT_EXEC) {
        if (on_exec(p))
            go_on(p, 0);
        else {
            (void) ptrace(PTRACE_DETACH, p->pid, 0, 0);
            p->pid = 0;
        }
    } else if (event == PTRACE_EVENT_STOP) {
        if (!p->known)
            p->waiting = 1;
        else if (sig == SIGTRAP)
            go_on(p, 0);
        else
            (void) ptrace(PTRACE_LISTEN, p->pid, 0, 0);
    } else
        go_on(p, sig);
}

static int left(void)
{
    for (size_t i = 0; i < TRACEES_MAX; i++)
        if (t.tracees[i].pid)
            return 1;
    return 0;
}

/* Until SIGTERM, which is waited for together with what the followed have to tell. */
static void follow_all(const sigset_t *signals)
{
    while (left()) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL | WNOHANG);

        if (pid < 0 || (pid == 0 && sigwaitinfo(signals, NULL) == SIGTERM))
            return;
        if (pid == 0)
            continue;
        if (WIFSTOPPED(status))
            on_stop(tracee(pid), status);
        else
            tracee(pid)->pid = 0;
    }
}

static void seize(pid_t pid, const char *who)
{
    Tracee *p;

    if (ptrace(PTRACE_SEIZE, pid, 0, OPTIONS) < 0 || ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0)
        die(who);
    p = tracee(pid);
    p->known = 1;
    snprintf(p->who, sizeof(p->who), "%s", who);
}

static void run(char **command, const sigset_t *signals)
{
    int p[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
    pid_t pid;

    if (pipe(p) < 0 || (pid = fork()) < 0)
        die("fork");
    if (pid == 0) {
        char go;

        close(p[1]);
        if (read(p[0], &go, 1) != 1)
            _exit(127);
        close(p[0]);
        sigprocmask(SIG_UNBLOCK, signals, NULL);
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        execvp(command[0], command);
        _exit(127);
    }
    close(p[0]);
    seize(pid, "shim");
    if (write(p[1], "", 1) != 1)
        die("command");
    close(p[1]);
}

static void parse_rule(const char *rule)
{
    static const struct {
        const char *name;
        enum Fault fault;
        int error;
    } faults[] = {
        {"kill", FAULT_KILL, 0},         {"lie", FAULT_LIE, 0},           {"EIO", FAULT_ERROR, EIO},
        {"ENOSPC", FAULT_ERROR, ENOSPC}, {"EROFS", FAULT_ERROR, EROFS},   {"ENOMEM", FAULT_ERROR, ENOMEM},
        {"EMFILE", FAULT_ERROR, EMFILE}, {"EAGAIN", FAULT_ERROR, EAGAIN},
    };
    const char *equals = strchr(rule, '=');

    for (size_t i = 0; equals && i < sizeof(faults) / sizeof(faults[0]); i++)
        if (strcmp(equals + 1, faults[i].name) == 0) {
            snprintf(t.place, sizeof(t.place), "%.*s", (int) (equals - rule), rule);
            t.fault = faults[i].fault;
            t.error = faults[i].error;
            return;
        }
    fprintf(stderr, "inject: rule \"%s\"?\n", rule);
    exit(2);
}

int main(int argc, char **argv)
{
    sigset_t signals;
    int c;

    while ((c = getopt(argc, argv, "+o:s:h:r:")) >= 0) {
        if (c == 'o')
            t.calls = fopen(optarg, "we");
        else if (c == 's')
            t.directory = optarg;
        else if (c == 'h')
            t.head = optarg;
        else if (c == 'r')
            parse_rule(optarg);
        else
            return 2;
    }
    if (!t.head || optind == argc)
        return 2;
    read_head();
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    if (strcmp(argv[optind - 1], "--") == 0)
        run(argv + optind, &signals);
    else
        for (int i = optind; i < argc; i++) {
            char *equals = strchr(argv[i], '=');

            if (!equals)
                return 2;
            *equals = '\0';
            seize((pid_t) strtol(equals + 1, NULL, 10), argv[i]);
        }
    printf("following\n");
    fflush(stdout);
    follow_all(&signals);
    if (t.calls)
        fclose(t.calls);
    return 0;
}
#endif
