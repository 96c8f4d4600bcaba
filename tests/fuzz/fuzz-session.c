/* SPDX-License-Identifier: Apache-2.0 */
/* Session files: what an agent wrote down, line by line, and together as turns. */
#include "evolve/evidence/lines.h"
#include "evolve/evidence/session.h"
#include "fuzz.h"

static const Agent agent = {
    .name = "fuzz",
    .sessions_glob = "*.jsonl",
    .field_type = "type",
    .field_text = "message.content",
    .field_user = "user",
    .field_session = "session",
    .field_order = "seq",
    .value_user = "user",
    .value_assistant = "assistant",
    .value_error = "error",
};

static int one_line(const char *line, size_t len, uint64_t offset _unused_, void *userdata _unused_)
{
    Event event = {};

    if (event_parse(&agent, line, len, &event) >= 0)
        event_done(&event);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_close_ int fd = -EBADF;
    SessionFiles files = {};
    Corpus corpus = {};
    LinesEnd end;
    Error e = {};

    fuzz_file("a.jsonl", data, size);
    fd = session_file_open(fuzz_directory(), "a.jsonl");
    if (fd < 0)
        abort();
    (void) lines_read(fd, size % 7, size, size % 2, one_line, NULL, &end);
    if (sessions_list(&agent, fuzz_directory(), &files, &e) < 0)
        return 0;
    if (corpus_load(&agent, fuzz_directory(), &files, &corpus, &e) >= 0)
        corpus_done(&corpus);
    session_files_done(&files);
    return 0;
}
