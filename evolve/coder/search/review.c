/* SPDX-License-Identifier: Apache-2.0 */
#include "evolve/coder/search/review.h"

#include <sys/stat.h>

#include "evolve/coder/search/candidate.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"

#define DIFF_MAX ((size_t) 16 << 20)

static int decide(json_t *answer, const char *decision, json_t *why)
{
    if (!why || json_object_set_new(answer, "why", why) < 0)
        return -ENOMEM;
    return json_object_set_new(answer, "decision", json_string(decision)) == 0 ? 0 : -ENOMEM;
}

/* The plan's files, as an array. */
static int read_plan(int evidence_fd, json_t **ret_plan, json_t **ret_files, Error *e)
{
    const JsonAt at = {.file = "stage/plan.json", .path = ""};
    _cleanup_json_ json_t *plan = NULL;
    int r = json_read_at(evidence_fd, "stage/plan.json", JSON_FILE_MAX, &plan, e);

    if (r >= 0)
        r = json_need(plan, at, "files", JSON_ARRAY, ret_files, e);
    if (r < 0)
        return r;
    *ret_plan = TAKE_PTR(plan);
    return 0;
}

/* The first of the evidence's tasks that the plan does not name; "" if all are there. */
static int uncovered_task(int evidence_fd, const json_t *tasks, char ret[static NAME_MAX + 1])
{
    int fd = openat(evidence_fd, "tasks", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    ret[0] = '\0';
    if (!dir) {
        int r = -errno;

        if (fd >= 0)
            close(fd);
        return r;
    }
    while ((entry = readdir(dir))) {
        size_t len = strlen(entry->d_name);

        if (len <= 5 || !endswith(entry->d_name, ".json"))
            continue;
        entry->d_name[len - 5] = '\0';
        if (json_string_length(json_object_get(tasks, entry->d_name)) > 0)
            continue;
        if (ret[0] == '\0' || strcmp(entry->d_name, ret) < 0)
            memcpy(ret, entry->d_name, len - 4);
    }
    return 0;
}

int review_plan(int worktree_fd, int evidence_fd, json_t *answer, Error *e)
{
    _cleanup_json_ json_t *plan = NULL;
    json_t *files = NULL, *file;
    char task[NAME_MAX + 1];
    size_t i;
    int r = read_plan(evidence_fd, &plan, &files, e);

    if (r < 0)
        return r;
    r = uncovered_task(evidence_fd, json_object_get(plan, "tasks"), task);
    if (r < 0)
        return error_errnof(e, r, "cannot read the evidence's tasks");
    if (json_array_size(files) == 0)
        return decide(answer, "REJECT_ARCHITECTURAL", json_string("the plan names no file"));
    json_array_foreach (files, i, file) {
        const char *path = json_string_value(file);
        _cleanup_close_ int fd = path ? openat_beneath(worktree_fd, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0) : -EBADF;
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
            return decide(answer, "REJECT_ARCHITECTURAL",
                          json_sprintf("the plan names %s, which is no file of the source", path ? path : "something"));
    }
    if (task[0])
        return decide(answer, "REJECT_COMPLETENESS",
                      json_sprintf("the plan does not say how task %s is covered", task));
    return decide(answer, "APPROVE", json_string("its files exist and every task is covered"));
}

static bool is_planned(const json_t *files, const char *path)
{
    const json_t *file;
    size_t i;

    json_array_foreach (files, i, file)
        if (streq_ptr(json_string_value(file), path))
            return true;
    return false;
}

/* A diff's path without its a/ or b/ and without what a tab puts behind it. */
static const char *diff_path(char *line)
{
    char *path = line + 4, *tab = strchr(path, '\t');

    if (tab)
        *tab = '\0';
    return startswith(path, "a/") || startswith(path, "b/") ? path + 2 : path;
}

int review_code(int evidence_fd, int64_t iteration, json_t *answer, Error *e)
{
    _cleanup_json_ json_t *plan = NULL;
    _cleanup_free_ char *diff = NULL;
    json_t *files = NULL;
    char *save = NULL;
    int64_t changed = 0, most = iteration * 2 * EDITS_MAX * EDIT_LINES_MAX;
    bool in_hunk = false;
    int r = read_plan(evidence_fd, &plan, &files, e);

    if (r < 0)
        return r;
    r = file_read_at(evidence_fd, "stage/candidate.diff", DIFF_MAX, &diff, NULL);
    if (r < 0)
        return error_errnof(e, r, "cannot read stage/candidate.diff");
    for (char *line = strtok_r(diff, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (startswith(line, "diff "))
            in_hunk = false;
        else if (startswith(line, "@@"))
            in_hunk = true;
        else if (!in_hunk && (startswith(line, "--- ") || startswith(line, "+++ "))) {
            const char *path = diff_path(line);

            if (!streq(path, "/dev/null") && !is_planned(files, path))
                return decide(answer, "REJECT_IMPL",
                              json_sprintf("the change touches %s, which the plan does not name", path));
        } else if (!in_hunk &&
                   (startswith(line, "new file") || startswith(line, "deleted file") || startswith(line, "Binary "))) {
            return decide(answer, "REJECT_IMPL", json_string("the change adds, removes or replaces whole files"));
        } else if (in_hunk && (*line == '+' || *line == '-')) {
            changed++;
        }
    }
    if (changed == 0)
        return decide(answer, "REJECT_IMPL", json_string("the change is empty"));
    if (changed > most)
        return decide(answer, "REJECT_IMPL",
                      json_sprintf("%lld lines changed, at most %lld come from edits of this kind", (long long) changed,
                                   (long long) most));
    return decide(answer, "APPROVE",
                  json_sprintf("%lld changed lines, all in files of the plan; the trials judge what they do",
                               (long long) changed));
}
