/* SPDX-License-Identifier: Apache-2.0 */
#include "job/restore_differ.h"

#include <inttypes.h>

#include "kafka/reader.h"

enum { WAIT_MS = 200 };

static bool same_bytes(struct tm_slice a, struct tm_slice b)
{
    return (a.at == NULL) == (b.at == NULL) && tm_slice_eq(a, b);
}

static void say_bytes(
        const char *what, struct tm_slice stored, struct tm_slice found, struct tm_buf *out)
{
    if (same_bytes(stored, found)) {
        return;
    }
    tm_buf_add_fmt(out, "%sthe %s differs", out->len > 0 ? ", " : "", what);
    if (stored.at == NULL || found.at == NULL) {
        tm_buf_add_fmt(out, " (%s)", found.at == NULL ? "null, and was not" : "not null, and was");
    } else if (stored.len != found.len) {
        tm_buf_add_fmt(out, " (%zu bytes, not %zu)", found.len, stored.len);
    }
}

static bool same_headers(const struct tm_record *a, const struct tm_record *b)
{
    bool same = a->header_count == b->header_count;
    for (size_t i = 0; same && i < a->header_count; i++) {
        same = same_bytes(a->headers[i].name, b->headers[i].name) &&
               same_bytes(a->headers[i].value, b->headers[i].value);
    }
    return same;
}

bool tm_restore_differ_say(
        const struct tm_record *stored, const struct tm_record *found, struct tm_buf *out)
{
    TM_BUF_OWN struct tm_buf words = {0};
    say_bytes("key", stored->key, found->key, &words);
    say_bytes("value", stored->value, found->value, &words);
    if (!same_headers(stored, found)) {
        tm_buf_add_fmt(&words, "%sheaders differ", words.len > 0 ? ", " : "");
    }
    if (stored->timestamp_ms != found->timestamp_ms) {
        tm_buf_add_fmt(&words, "%sthe timestamp differs (%" PRId64 ", not %" PRId64 ")",
                words.len > 0 ? ", " : "", found->timestamp_ms, stored->timestamp_ms);
    }
    tm_buf_add(out, words.at, words.len);
    return words.len > 0;
}

/* The next record of the target; false: there is none, or it cannot be read. */
static bool next_found(
        const struct restore_run *run, struct tm_reader *reader, struct tm_read_event *event)
{
    while (tm_reader_running(reader) > 0 && !tm_job_cancelled(run->env)) {
        tm_reader_next(reader, WAIT_MS, event);
        if (event->kind == TM_READ_RECORD) {
            return true;
        }
        if (event->kind == TM_READ_FAILED) {
            return false;
        }
    }
    return false;
}

static bool compare(const struct restore_run *run, const struct tm_restore_stretch *stretch,
        struct tm_source *source, struct tm_reader *reader, struct tm_buf *out)
{
    struct tm_err ignored = {0};
    struct tm_read_event event = {0};
    struct tm_record stored;
    bool more = true;
    for (int64_t i = 0; i < stretch->skip + stretch->count; i++) {
        if (tm_source_next(source, &stored, &more, &ignored) != TM_OK || !more) {
            return false;
        }
        if (i < stretch->skip) {
            continue;
        }
        if (!next_found(run, reader, &event)) {
            return false;
        }
        TM_BUF_OWN struct tm_buf words = {0};
        if (tm_restore_differ_say(&stored, &event.record, &words)) {
            tm_buf_add_fmt(out, "source offset %" PRId64 ", target offset %" PRId64 ": %s",
                    stored.offset, event.record.offset, tm_buf_text(&words));
            return true;
        }
    }
    return false;
}

bool tm_restore_differ(struct restore_run *run, const struct restore_part *part,
        const struct tm_restore_stretch *stretch, struct tm_buf *out)
{
    struct tm_arena arena = {0};
    struct tm_err ignored = {0};
    struct tm_source *source = NULL;
    struct tm_reader *reader = NULL;
    struct tm_reader_options options = {.topic = part->topic->line->target};
    bool found = tm_restore_open_source(run, part, &arena, &source, &ignored) == TM_OK &&
                 tm_reader_new(run->options->kafka, &options, &reader, &ignored) == TM_OK &&
                 tm_reader_start(reader, part->partition, stretch->target_begin,
                         stretch->target_end, &ignored) == TM_OK &&
                 compare(run, stretch, source, reader, out);
    tm_reader_free(reader);
    tm_source_free(source);
    tm_arena_done(&arena);
    return found;
}
