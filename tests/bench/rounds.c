/* SPDX-License-Identifier: Apache-2.0 */

/* Times whole commands side by side: each round runs every one of them once, so that all see the same machine.
 *
 *     rounds N AT-ONCE LABEL=COMMAND...
 *
 * A command is words separated by blanks; several, separated by " ; ", are timed as one. "%" in a word becomes a number that no other run has. AT-ONCE copies
 * are started together and the end of the last one counts. "@PROGRAM" is the bare floor (bench.h) of that program instead, "@@PROGRAM [PROFILE]" what the kernel takes for the default configuration (spec.h), with a filter of
 * system calls. Streams are /dev/null, but for the error of a command that fails, which ends everything.
 *
 * Prints a line for each: label, median and 10th and 95th percentile of microseconds, median of the processor time in microseconds (of what was
 * waited for), peak resident set of the largest process in KiB, median of the instructions in thousands (0 where the machine cannot count them). */

#include <linux/perf_event.h>
#include <sys/resource.h>
#include <unistd.h>

#include "runtime/base/json.h"
#include "tests/bench/spec.h"

#define WORDS_MAX 64

typedef struct Contender {
    char *label;
    const char *command;
    char root[32]; /* of the floor */
    SeccompFilter filter;
    uint64_t *nsec, *cpu_nsec, *instructions;
    long rss_kib;
} Contender;

/* Counts what this process does from here on, and all that it starts. Many virtual machines have no such counter. */
static int open_instructions(void)
{
    struct perf_event_attr attr = {
        .type = PERF_TYPE_HARDWARE, .size = sizeof(attr), .config = PERF_COUNT_HW_INSTRUCTIONS, .inherit = 1};

    return (int) syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static uint64_t instructions_so_far(int counter)
{
    uint64_t n;

    return counter >= 0 && read(counter, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static uint64_t cpu_nsec(const struct rusage *u)
{
    return ((uint64_t) u->ru_utime.tv_sec + (uint64_t) u->ru_stime.tv_sec) * 1000000000ULL +
           ((uint64_t) u->ru_utime.tv_usec + (uint64_t) u->ru_stime.tv_usec) * 1000ULL;
}

static char *number_in(const char *word, unsigned n)
{
    const char *at = strchr(word, '%');
    char *copy = NULL;

    if (asprintf(&copy, "%.*s%.*u%s", at ? (int) (at - word) : (int) strlen(word), word, at ? 1 : 0, at ? n : 0,
                 at ? at + 1 : "") < 0)
        bench_die("asprintf");
    return copy;
}

/* The words up to ";" or the end; what is left behind it, or NULL. */
static const char *cut_command(const char *text, unsigned n, char *argv[WORDS_MAX])
{
    size_t words = 0;

    for (;;) {
        _cleanup_free_ char *word = NULL;
        size_t len;

        text += strspn(text, " ");
        len = strcspn(text, " ");
        if (len == 0 || (len == 1 && *text == ';') || words + 1 == WORDS_MAX)
            break;
        word = strndup(text, len);
        if (!word)
            bench_die("strndup");
        argv[words++] = number_in(word, n);
        text += len;
    }
    argv[words] = NULL;
    return *text == ';' ? text + 1 : NULL;
}

static pid_t start(const char *command, char *argv[])
{
    pid_t pid = vfork();

    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);

        if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(null, STDOUT_FILENO) >= 0)
            execv(argv[0], argv);
        _exit(127);
    }
    if (pid < 0)
        bench_die(command);
    return pid;
}

static void collect(Contender *c, pid_t pid, uint64_t *cpu)
{
    struct rusage usage;
    int status;

    if (wait4(pid, &status, 0, &usage) != pid)
        bench_die(c->label);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "rounds: %s: status %x: %.200s\n", c->label, (unsigned) status, c->command);
        exit(1);
    }
    *cpu += cpu_nsec(&usage);
    c->rss_kib = MAX(c->rss_kib, usage.ru_maxrss);
}

/* One after the other, all of it AT-ONCE times in parallel: every copy is at the same command of the sequence. */
static void run(Contender *c, unsigned first, unsigned at_once, uint64_t *cpu)
{
    const char *at = c->command;
    _cleanup_free_ pid_t *pids = calloc(at_once, sizeof(*pids));

    if (!pids)
        bench_die("calloc");
    while (at) {
        const char *next = NULL;

        for (unsigned i = 0; i < at_once; i++) {
            char *argv[WORDS_MAX];

            next = cut_command(at, first + i, argv);
            pids[i] = start(c->command, argv);
            for (char **word = argv; *word; word++)
                free(*word);
        }
        for (unsigned i = 0; i < at_once; i++)
            collect(c, pids[i], cpu);
        at = next;
    }
}

static uint64_t cpu_so_far(void)
{
    struct rusage own, children;

    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &children);
    return cpu_nsec(&own) + cpu_nsec(&children);
}

static void run_floor(const Contender *c, unsigned at_once, uint64_t *cpu)
{
    uint64_t before = cpu_so_far();

    for (unsigned i = 0; i < at_once; i++) /* it waits for each, so this is the sequential floor */
        if (c->command[1] == '@')
            bench_spec(c->root, &c->filter);
        else
            bench_floor(c->root);
    *cpu += cpu_so_far() - before;
}

static void one_round(Contender *c, size_t round, unsigned at_once, int counter)
{
    uint64_t before = instructions_so_far(counter), began = bench_nsec(), cpu = 0;

    if (*c->root)
        run_floor(c, at_once, &cpu);
    else
        run(c, (unsigned) round * at_once, at_once, &cpu);
    c->nsec[round] = bench_nsec() - began;
    c->cpu_nsec[round] = cpu;
    c->instructions[round] = instructions_so_far(counter) - before;
}

static void compile(const char *path, SeccompFilter *ret)
{
    _cleanup_json_ json_t *profile = NULL;
    Error e = {};

    if (json_read_at(AT_FDCWD, path, JSON_FILE_MAX, &profile, &e) < 0 || seccomp_compile(profile, ret, &e) < 0) {
        fprintf(stderr, "rounds: %s\n", e.text);
        exit(1);
    }
}

static void prepare_floor(Contender *c)
{
    const char *words = c->command + strspn(c->command, "@"), *profile = strchr(words, ' ');
    _cleanup_free_ char *program = strndup(words, profile ? (size_t) (profile - words) : strlen(words));

    if (!program)
        bench_die("strndup");
    close(bench_make_root(program, c->root));
    if (profile)
        compile(profile + 1, &c->filter);
}

static void prepare(Contender *c, char *argument, size_t rounds)
{
    char *equals = strchr(argument, '=');

    if (!equals) {
        fprintf(stderr, "rounds: \"%s\" has no label\n", argument);
        exit(2);
    }
    *equals = '\0';
    *c = (Contender){.label = argument,
                     .command = equals + 1,
                     .nsec = calloc(rounds, sizeof(uint64_t)),
                     .cpu_nsec = calloc(rounds, sizeof(uint64_t)),
                     .instructions = calloc(rounds, sizeof(uint64_t))};
    if (!c->nsec || !c->cpu_nsec || !c->instructions)
        bench_die("calloc");
    if (*c->command == '@')
        prepare_floor(c);
}

static void report(Contender *c, size_t rounds)
{
    double median = bench_median(c->nsec, rounds);

    printf("%s\t%.0f\t%.0f\t%.0f\t%.0f\t%ld\t%.0f\n", c->label, median, (double) c->nsec[rounds / 10] / 1000,
           (double) c->nsec[rounds * 95 / 100] / 1000, bench_median(c->cpu_nsec, rounds), c->rss_kib,
           bench_median(c->instructions, rounds));
    if (*c->root)
        (void) rm_rf_at(AT_FDCWD, c->root);
    seccomp_filter_done(&c->filter);
    free(c->nsec);
    free(c->cpu_nsec);
    free(c->instructions);
}

int main(int argc, char **argv)
{
    size_t rounds = argc > 3 ? strtoul(argv[1], NULL, 10) : 0, n = argc > 3 ? (size_t) argc - 3 : 0;
    unsigned at_once = argc > 3 ? (unsigned) strtoul(argv[2], NULL, 10) : 0;
    _cleanup_close_ int counter = open_instructions();
    _cleanup_free_ Contender *contenders = calloc(n + 1, sizeof(*contenders));

    if (rounds == 0 || at_once == 0 || at_once > 1000 || !contenders) {
        fprintf(stderr, "usage: rounds N AT-ONCE LABEL=COMMAND...\n");
        return 2;
    }
    for (size_t i = 0; i < n; i++)
        prepare(&contenders[i], argv[3 + i], rounds);
    for (size_t r = 0; r < rounds; r++)
        for (size_t i = 0; i < n; i++)
            one_round(&contenders[i], r, at_once, counter);
    for (size_t i = 0; i < n; i++)
        report(&contenders[i], rounds);
    return 0;
}
