/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/hints.h"

#include <ctype.h>

#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/strbuf.h"

#define TASKS_MAX 64
#define EXECUTED_FILE_MAX ((size_t) 16 << 20)
#define EXECUTED_LINES_MAX 200000
#define EXECUTED_PATHS_MAX 2000
#define TRIED_FILE_MAX ((size_t) 64 << 20)
#define TRIED_MAX 100000
#define WORDS_MAX 4000
#define WORD_MIN 3

typedef struct Reader {
    Arena *arena;
    Symbols *symbols;
    Hints *hints;
} Reader;

int words_of(Symbols *symbols, const char *text, size_t len, WordCall f, void *context)
{
    char word[32];
    size_t n = 0;

    for (size_t i = 0; i <= len; i++) {
        bool letter = i < len && isalpha((unsigned char) text[i]);
        bool boundary = letter && i > 0 && isupper((unsigned char) text[i]) && islower((unsigned char) text[i - 1]);

        if ((!letter || boundary) && n >= WORD_MIN) {
            Symbol s;
            int r;

            if (n > WORD_MIN && word[n - 1] == 's')
                n--;
            s = symbol_of(symbols, word, n);
            r = s ? f(context, s) : -ENOMEM;
            if (r < 0)
                return r;
        }
        if (!letter || boundary)
            n = 0;
        if (letter && n < sizeof(word))
            word[n++] = (char) tolower((unsigned char) text[i]);
    }
    return 0;
}

typedef struct WordSet {
    Symbol words[400];
    size_t n;
} WordSet;

static int set_add(void *context, Symbol word)
{
    WordSet *s = context;

    for (size_t i = 0; i < s->n; i++)
        if (s->words[i] == word)
            return 0;
    if (s->n < ARRAY_SIZE(s->words))
        s->words[s->n++] = word;
    return 0;
}

static bool set_has(const WordSet *s, Symbol word)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->words[i] == word)
            return true;
    return false;
}

static int weigh(Reader *r, Symbol word, double weight)
{
    Hints *h = r->hints;

    for (size_t i = 0; i < h->n_words; i++)
        if (h->words[i].word == word) {
            h->words[i].weight += weight;
            return 0;
        }
    if (h->n_words == WORDS_MAX)
        return 0;
    if (!ARENA_GROW(r->arena, h->words, h->n_words, h->words_size))
        return -ENOMEM;
    h->words[h->n_words++] = (Word){.word = word, .weight = weight};
    return 0;
}

static int set_of(Reader *r, const char *text, WordSet *set)
{
    return text ? words_of(r->symbols, text, strlen(text), set_add, set) : 0;
}

/* The words of one graded turn. */
static int weigh_turn(Reader *r, const json_t *turn, const char *expected, const json_t *answer)
{
    WordSet asked = {}, wanted = {}, got = {};
    int k = set_of(r, json_string_value(json_object_get(turn, "text")), &asked);

    if (k >= 0)
        k = set_of(r, expected, &wanted);
    if (k >= 0)
        k = set_of(r, json_string_value(json_object_get(answer, "reply")), &got);
    if (k >= 0)
        k = set_of(r, json_string_value(json_object_get(answer, "error")), &got);
    for (size_t i = 0; i < asked.n && k >= 0; i++)
        k = weigh(r, asked.words[i], 1);
    for (size_t i = 0; i < wanted.n && k >= 0; i++)
        if (!set_has(&got, wanted.words[i]))
            k = weigh(r, wanted.words[i], 2);
    for (size_t i = 0; i < got.n && k >= 0; i++)
        if (!set_has(&wanted, got.words[i]) && !set_has(&asked, got.words[i]))
            k = weigh(r, got.words[i], 2);
    return k;
}

static int read_task(Reader *r, int dirfd, const char *id)
{
    _cleanup_free_ char *task_path = xasprintf("tasks/%s.json", id), *baseline_path = xasprintf("baseline/%s.json", id);
    _cleanup_json_ json_t *task = NULL, *baseline = NULL;
    const json_t *grader, *turns, *answers;
    const char *copy;
    size_t i;

    if (!task_path || !baseline_path)
        return -ENOMEM;
    if (json_read_at(dirfd, task_path, JSON_FILE_MAX, &task, NULL) < 0)
        return 0;
    if (json_read_at(dirfd, baseline_path, JSON_FILE_MAX, &baseline, NULL) < 0)
        baseline = NULL;
    copy = arena_copy(r->arena, id, strlen(id));
    if (!copy || !ARENA_GROW(r->arena, r->hints->tasks, r->hints->n_tasks, r->hints->tasks_size))
        return -ENOMEM;
    r->hints->tasks[r->hints->n_tasks++] = copy;
    turns = json_object_get(task, "turns");
    answers = json_object_get(json_object_get(baseline, "transcript"), "turns");
    json_array_foreach (json_object_get(task, "graders"), i, grader) {
        const json_t *index = json_object_get(grader, "turn");
        size_t turn =
            json_is_integer(index) && json_integer_value(index) >= 0 ? (size_t) json_integer_value(index) : SIZE_MAX;
        const char *expected = json_string_value(json_object_get(grader, "contains"));
        int k = weigh_turn(r, json_array_get(turns, turn),
                           expected ? expected : json_string_value(json_object_get(grader, "reply")),
                           json_array_get(answers, turn));

        if (k < 0)
            return k;
    }
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static int read_tasks(Reader *r, int dirfd)
{
    int fd = openat(dirfd, "tasks", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const char *ids[TASKS_MAX];
    struct dirent *entry;
    size_t n = 0;

    if (!dir) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    while (n < TASKS_MAX && (entry = readdir(dir))) {
        size_t len = strlen(entry->d_name);

        if (len <= 5 || !endswith(entry->d_name, ".json"))
            continue;
        ids[n] = arena_copy(r->arena, entry->d_name, len - 5);
        if (!ids[n++])
            return -ENOMEM;
    }
    qsort(ids, n, sizeof(*ids), compare_names);
    for (size_t i = 0; i < n; i++) {
        int k = read_task(r, dirfd, ids[i]);

        if (k < 0)
            return k;
    }
    return 0;
}

/* "path:line<TAB>count"; false for what is not. */
static bool parse_executed(char *line, const char **ret_path, uint32_t *ret_line, uint32_t *ret_count)
{
    char *tab = strchr(line, '\t'), *colon, *end;
    unsigned long number, n;

    if (!tab)
        return false;
    *tab = '\0';
    colon = strrchr(line, ':');
    if (!colon || colon == line)
        return false;
    *colon = '\0';
    number = strtoul(colon + 1, &end, 10);
    if (end == colon + 1 || *end || number == 0 || number > UINT32_MAX)
        return false;
    n = strtoul(tab + 1, &end, 10);
    if (end == tab + 1 || *end || n > UINT32_MAX)
        return false;
    *ret_path = line;
    *ret_line = (uint32_t) number;
    *ret_count = (uint32_t) n;
    return true;
}

static int read_executed(Reader *r, int dirfd, const char *name, bool failing)
{
    _cleanup_free_ char *data = NULL;
    Hints *h = r->hints;
    char *save = NULL, *copy;
    size_t len;

    if (file_read_at(dirfd, name, EXECUTED_FILE_MAX, &data, &len) < 0)
        return 0;
    copy = arena_copy(r->arena, data, len);
    if (!copy)
        return -ENOMEM;
    for (char *line = strtok_r(copy, "\n", &save); line && h->n_executed < EXECUTED_LINES_MAX;
         line = strtok_r(NULL, "\n", &save)) {
        Executed x = {};
        uint32_t n;

        if (!parse_executed(line, &x.path, &x.line, &n))
            continue;
        if (failing) {
            x.failing = n;
            h->failing = MAX(h->failing, n);
        } else {
            x.passing = n;
            h->passing = MAX(h->passing, n);
        }
        if (!ARENA_GROW(r->arena, h->executed, h->n_executed, h->executed_size))
            return -ENOMEM;
        h->executed[h->n_executed++] = x;
    }
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const Executed *x = a, *y = b;
    int c = strcmp(x->path, y->path);

    return c ? c : x->line < y->line ? -1 : x->line > y->line;
}

/* Joins what failing and passing tasks say of one line, and lists the paths. */
static int join_executed(Reader *r)
{
    Hints *h = r->hints;
    size_t n = 0, n_paths = 0, size = 0;

    if (h->n_executed > 0)
        qsort(h->executed, h->n_executed, sizeof(*h->executed), by_place);
    for (size_t i = 0; i < h->n_executed; i++) {
        if (n > 0 && by_place(&h->executed[n - 1], &h->executed[i]) == 0) {
            h->executed[n - 1].failing += h->executed[i].failing;
            h->executed[n - 1].passing += h->executed[i].passing;
        } else {
            h->executed[n++] = h->executed[i];
        }
    }
    h->n_executed = n;
    for (size_t i = 0; i < n && n_paths < EXECUTED_PATHS_MAX; i++) {
        if (i > 0 && streq(h->executed[i - 1].path, h->executed[i].path))
            continue;
        if (!ARENA_GROW(r->arena, h->paths, n_paths, size))
            return -ENOMEM;
        h->paths[n_paths++] = h->executed[i].path;
    }
    if (!ARENA_GROW(r->arena, h->paths, n_paths, size))
        return -ENOMEM;
    h->paths[n_paths] = NULL;
    return 0;
}

static int read_tried(Reader *r, int dirfd)
{
    _cleanup_free_ char *data = NULL;
    Hints *h = r->hints;
    char *save = NULL;

    if (file_read_at(dirfd, "tried.jsonl", TRIED_FILE_MAX, &data, NULL) < 0)
        return 0;
    for (char *line = strtok_r(data, "\n", &save); line && h->n_tried < TRIED_MAX; line = strtok_r(NULL, "\n", &save)) {
        _cleanup_json_ json_t *o = NULL;
        json_t *edits;

        if (json_parse(line, strlen(line), "tried.jsonl", &o, NULL) < 0)
            continue;
        edits = json_object_get(o, "edits");
        if (!json_is_array(edits))
            continue;
        if (json_array_append(h->keep, o) < 0 || !ARENA_GROW(r->arena, h->tried, h->n_tried, h->tried_size))
            return -ENOMEM;
        h->tried[h->n_tried++] = (Tried){
            .edits = edits,
            .iteration = json_integer_value(json_object_get(o, "iteration")),
            .improved = streq_ptr(json_string_value(json_object_get(o, "outcome")), "improved"),
        };
    }
    return 0;
}

void hints_done(Hints *h)
{
    json_decref(h->keep);
    h->keep = NULL;
}

int hints_read(Arena *arena, Symbols *symbols, int evidence_fd, Hints *ret, Error *e)
{
    Hints h = {.keep = json_array()};
    Reader reader = {.arena = arena, .symbols = symbols, .hints = &h};
    int r = h.keep ? 0 : -ENOMEM;

    if (r >= 0)
        r = read_tasks(&reader, evidence_fd);
    if (r >= 0)
        r = read_executed(&reader, evidence_fd, "executed/failing.tsv", true);
    if (r >= 0)
        r = read_executed(&reader, evidence_fd, "executed/passing.tsv", false);
    if (r >= 0)
        r = join_executed(&reader);
    if (r >= 0)
        r = read_tried(&reader, evidence_fd);
    if (r < 0) {
        hints_done(&h);
        return error_errnof(e, r, "cannot read the evidence");
    }
    *ret = h;
    return 0;
}
