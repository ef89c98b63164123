/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a corrupt batch ends. librdkafka names its first offset and passes over the rest of it; its header, which has the
 * last, is not shown, and may be what is damaged. But a fetch from any offset within it meets the same batch again, and
 * one from behind it does not. So the first offset behind it is searched for, by doubling steps and then by halves.
 */
#include "base/clock.h"
#include "job/backup_run.h"
#include "kafka/reader.h"

enum {
    WAIT_MS = 200,
    PROBE_MS = 5 * 1000, /* for the answer to one question */
    TRIES = 12,
    AGAIN_MS = 50,
};

struct probe {
    struct backup_topic *topic;
    struct tm_reader *reader;
    int32_t partition;
    int64_t corrupt_at;
    int64_t end;
};

/* Does a fetch from this offset meet the corrupt batch? TM_E_CONFLICT: there was no answer to that. */
static enum tm_code is_inside(
        const struct probe *probe, int64_t offset, bool *inside, struct tm_err *err)
{
    struct tm_read_event event = {.kind = TM_READ_IDLE};
    int64_t deadline_ns = tm_mono_ns() + PROBE_MS * INT64_C(1000000);
    TM_TRY(tm_reader_start(probe->reader, probe->partition, offset, probe->end, err));
    while (event.kind == TM_READ_IDLE) {
        if (tm_backup_stopping(probe->topic->run)) {
            return tm_err_set(err, TM_E_CANCELLED, "the run ends");
        }
        if (tm_mono_ns() >= deadline_ns) {
            return tm_err_set(err, TM_E_CONFLICT, "no answer for %d s", PROBE_MS / 1000);
        }
        tm_reader_next(probe->reader, WAIT_MS, &event);
    }
    if (event.kind == TM_READ_FAILED && !event.corrupt) {
        *err = event.err;
        err->code = event.out_of_range ? TM_E_CONFLICT : event.err.code;
        return err->code;
    }
    /* Another batch, farther on, may be corrupt too: this one ends before it. */
    *inside = event.kind == TM_READ_FAILED &&
              (event.corrupt_at <= probe->corrupt_at || !event.placed);
    return TM_OK;
}

/* A reader is good for one question: what it has fetched ahead must not answer the next. */
static enum tm_code ask_once(struct probe *probe, int64_t offset, bool *inside, struct tm_err *err)
{
    struct tm_reader_options options = {
            .topic = probe->topic->info->name,
            .stall_ms = probe->topic->run->options->stall_ms,
    };
    TM_OWN(tm_reader_free) struct tm_reader *reader = NULL;
    TM_TRY(tm_reader_new(probe->topic->run->options->kafka, &options, &reader, err));
    probe->reader = reader;
    enum tm_code code = is_inside(probe, offset, inside, err);
    probe->reader = NULL;
    return code;
}

static enum tm_code ask(struct probe *probe, int64_t offset, bool *inside, struct tm_err *err)
{
    enum tm_code code = TM_E_CONFLICT;
    for (int i = 0; i < TRIES && code == TM_E_CONFLICT; i++) {
        *err = (struct tm_err){0};
        if (i > 0) {
            tm_sleep_ms(AGAIN_MS);
        }
        code = ask_once(probe, offset, inside, err);
    }
    return code;
}

void tm_backup_leave_corrupt(struct backup_topic *topic, struct backup_part *part)
{
    struct probe probe = {.topic = topic,
            .partition = part->partition,
            .corrupt_at = part->next - 1,
            .end = part->end};
    bool inside = false;
    struct tm_err ignored = {0}; /* whoever reads it meets it again */
    TM_LATER(ask(&probe, part->next, &inside, &ignored));
}

enum tm_code tm_backup_find_readable(struct backup_topic *topic, struct backup_part *part,
        int64_t corrupt_at, int64_t *readable, struct tm_err *err)
{
    struct probe probe = {.topic = topic,
            .partition = part->partition,
            .corrupt_at = corrupt_at,
            .end = part->end};
    int64_t inside_at = corrupt_at > part->next ? corrupt_at : part->next; /* is inside */
    int64_t behind = part->end;                                            /* is not */
    bool inside = true;
    for (int64_t step = 1; inside && inside_at + step < part->end; step *= 2) {
        int64_t at = inside_at + step;
        TM_TRY(ask(&probe, at, &inside, err));
        inside_at = inside ? at : inside_at;
        behind = inside ? behind : at;
    }
    while (inside_at + 1 < behind) {
        int64_t at = inside_at + (behind - inside_at) / 2;
        TM_TRY(ask(&probe, at, &inside, err));
        inside_at = inside ? at : inside_at;
        behind = inside ? behind : at;
    }
    if (inside && behind < part->end) {
        TM_TRY(ask(&probe, behind, &inside, err));
    }
    *readable = behind;
    return TM_OK;
}
