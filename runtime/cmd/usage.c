/* SPDX-License-Identifier: Apache-2.0 */
#include <seccomp.h>
#include <stdio.h>

#include "cmd.h"
#include "store.h"

#define SPEC_VERSION "1.3.0"

#define CALLER_OPTIONS                                                                                                 \
    "  --pid-file FILE        gets the process id\n"                                                                   \
    "  --console-socket PATH  gets the master of the terminal\n"                                                       \
    "  --pidfd-socket PATH    gets a pidfd of the process\n"                                                           \
    "  --preserve-fds N       passes N more file descriptors on, from 3\n"                                             \
    "  --no-subreaper         accepted: nothing here becomes one\n"
#define CREATE_OPTIONS                                                                                                 \
    "  -b, --bundle DIR       where config.json is; the current directory by default\n"                                \
    "  -f, --config FILE      another file in place of the bundle's config.json\n" CALLER_OPTIONS                      \
    "  --no-pivot             moves the root mount in place of pivot_root\n"                                           \
    "  --no-new-keyring       keeps the session keyring of the caller\n"
#define REGEX_OPTION "  -r, --regex            ID is a regular expression: every container that it matches\n"
#define FORMAT_OPTION "  -f, --format FORMAT    table or json\n"
#define CRIU_OPTIONS                                                                                                   \
    "  --image-path DIR       where the images are; ./checkpoint by default\n"                                         \
    "  --work-path DIR        for logs and other files of criu\n"                                                      \
    "  --tcp-established      with open TCP connections\n"                                                             \
    "  --ext-unix-sk          with UNIX sockets to the outside\n"                                                      \
    "  --shell-job            with a terminal of the caller's\n"                                                       \
    "  --file-locks           with file locks\n"                                                                       \
    "  --lazy-pages           memory comes later, through userfaultfd\n"                                               \
    "  --manage-cgroups-mode MODE  ignore, soft, full or strict\n"                                                     \
    "  --empty-ns network     without what the namespace holds\n"                                                      \
    "  --auto-dedup           memory images without duplicates\n"

/* Those over the store report for themselves. */
static int verb_layer(Cli *cli _unused_, int argc, char **argv, Error *e _unused_)
{
    return cmd_layer(argc, argv);
}

static int verb_snapshot(Cli *cli _unused_, int argc, char **argv, Error *e _unused_)
{
    return cmd_snapshot(argc, argv);
}

static int verb_generation(Cli *cli _unused_, int argc, char **argv, Error *e _unused_)
{
    return cmd_generation(argc, argv);
}

static const Verb verbs[] = {
    {"create", verb_create, "[OPTION...] ID", "make a container, up to the point where its program would start",
     CREATE_OPTIONS},
    {"start", verb_start, "ID", "start the program of a created container", ""},
    {"run", verb_run, "[OPTION...] ID", "create, start, wait and delete",
     CREATE_OPTIONS "  -d, --detach           does not wait\n"
                    "  --keep                 does not delete\n"},
    {"state", verb_state, "ID", "print the state of a container as JSON", ""},
    {"kill", verb_kill, "[OPTION...] ID [SIGNAL]", "send a signal, SIGTERM by default",
     "  -a, --all              to all processes of the container\n" REGEX_OPTION},
    {"delete", verb_delete, "[OPTION...] ID", "remove a container that has ended",
     "  -f, --force            kills it first, and does not mind if it is not there\n" REGEX_OPTION},
    {"exec", verb_exec, "[OPTION...] ID [PROGRAM ARG...]", "run another program in a container",
     "  -p, --process FILE     a process object of the specification\n"
     "  --cwd DIR              working directory\n"
     "  -e, --env NAME=VALUE   one more of the environment\n"
     "  -t, --tty              with a terminal\n"
     "  -u, --user UID[:GID]   numbers\n"
     "  -g, --additional-gids GID\n"
     "  -c, --cap NAME         one more capability\n"
     "  --no-new-privs         the program gains no privilege\n"
     "  --apparmor PROFILE, --process-label LABEL\n"
     "  --cgroup PATH          a cgroup below the container's\n"
     "  --ignore-paused        also in a container that is paused\n"
     "  -d, --detach           does not wait\n" CALLER_OPTIONS "Errors of its own give exit status 255.\n"},
    {"list", verb_list, "[OPTION...]", "list containers", FORMAT_OPTION "  -q, --quiet            ids only\n"},
    {"ps", verb_ps, "[--format FORMAT] ID [OPTION OF PS...]", "list the processes of a container", FORMAT_OPTION},
    {"pause", verb_pause, "ID", "freeze all processes of a container", ""},
    {"resume", verb_resume, "ID", "let them go on", ""},
    {"update", verb_update, "[OPTION...] ID", "change the limits of a container",
     "  -r, --resources FILE   a resources object of the specification (- for standard input) in place of the others\n"
     "  --memory SIZE, --memory-reservation SIZE, --memory-swap SIZE (memory and swap; -1 for no limit)\n"
     "  --cpu-share N, --cpu-period USEC, --cpu-quota USEC, --cpu-burst USEC, --cpu-idle 0|1\n"
     "  --cpu-rt-period USEC, --cpu-rt-runtime USEC\n"
     "  --cpuset-cpus LIST, --cpuset-mems LIST, --pids-limit N, --blkio-weight N\n"
     "  --l3-cache-schema SCHEMA, --mem-bw-schema SCHEMA\n"},
    {"events", verb_events, "[OPTION...] ID", "print statistics and lack of memory as JSON, until the container ends",
     "  --stats                statistics, once\n"
     "  --interval DURATION    between two of them: 5s by default\n"},
    {"checkpoint", verb_checkpoint, "[OPTION...] ID", "write a running container to files, with criu",
     CRIU_OPTIONS "  --parent-path DIR      images of the last --pre-dump, relative to the new ones\n"
                  "  --leave-running        the container goes on\n"
                  "  --pre-dump             memory only; the container goes on\n"
                  "  --status-fd FD         gets a NUL when pages can be asked for\n"
                  "  --page-server ADDRESS:PORT\n"},
    {"restore", verb_restore, "[OPTION...] ID", "make a container from such files",
     CRIU_OPTIONS "  -b, --bundle DIR       where config.json is; the current directory by default\n"
                  "  -d, --detach           does not wait\n"
                  "  --pid-file FILE        gets the process id\n"
                  "  --console-socket PATH  gets the master of the terminal\n"
                  "  --no-subreaper, --no-pivot  accepted\n"
                  "  --lsm-profile TYPE:NAME, --lsm-mount-context CONTEXT\n"},
    {"spec", verb_spec, "[OPTION...]", "write a config.json to start from",
     "  -b, --bundle DIR       where to; the current directory by default\n"
     "  --rootless             for a user without privilege\n"},
    {"features", verb_features, "", "print what this runtime supports as JSON", ""},
    {"layer", verb_layer, "ACTION ...", "sealed layers of the store", ""},
    {"snapshot", verb_snapshot, "ACTION ...", "writable roots from layers", ""},
    {"generation", verb_generation, "ACTION ...", "stacks of layers with their record", ""},
};

const Verb *cmd_verb(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        if (streq(name, verbs[i].name))
            return &verbs[i];
    return NULL;
}

void cmd_usage(FILE *to)
{
    fprintf(to, "usage: moss-runtime [OPTION...] VERB [ARGUMENT...]\n\nverbs (VERB --help says more):\n");
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        fprintf(to, "  %-10s %-38s %s\n", verbs[i].name, verbs[i].arguments, verbs[i].help);
    fprintf(to, "\noptions:\n"
                "  --root DIR             where the state of containers is kept\n"
                "  --log FILE             write errors there too\n"
                "  --log-format FORMAT    text or json\n"
                "  --debug                accepted: nothing more is logged\n"
                "  --cgroup-manager NAME  cgroupfs, systemd or disabled\n"
                "  --systemd-cgroup       make cgroups through systemd\n"
                "  --rootless VALUE       true, false or auto, accepted: found out by itself\n"
                "  --criu PROGRAM         for checkpoint and restore\n"
                "  --version, --help\n");
}

void cmd_verb_usage(const Verb *v)
{
    printf("usage: moss-runtime %s %s\n\n%s\n%s%s", v->name, v->arguments, v->help, *v->options ? "\n" : "",
           v->options);
}

void cmd_version(void)
{
    const struct scmp_version *v = seccomp_version();

    printf("moss-runtime version " MOSS_VERSION "\ncommit: " MOSS_COMMIT "\nspec: " SPEC_VERSION "\n");
    printf("libseccomp: %u.%u.%u\n", v->major, v->minor, v->micro);
    /* in the words of crun, for what looks for them; criu is a program that may be there or not */
    printf("+SYSTEMD +SELINUX +APPARMOR +CAP +SECCOMP +EBPF\n");
}
