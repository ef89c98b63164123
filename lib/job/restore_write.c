/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fault.h"
#include "job/restore_append.h"
#include "job/restore_lane.h"

enum { FLUSH_MS = 10 * 60 * 1000, LOOK_RECORDS = 512 /* between looks at cancel */ };

/* That the log covers its points is the fold's rule; a restore does not take its word for it. */
static enum tm_code check_cover(struct restore_run *run, const struct restore_part *part,
        const struct tm_chosen_range *range, struct tm_err *err)
{
    if (range->unexplained < 0) {
        return TM_OK;
    }
    if (!run->options->continue_on_gap) {
        return tm_err_set(err, TM_E_CORRUPT,
                "offset %" PRId64 " is not stored, and no gap says why; pass \"on_gap\": "
                "\"continue\" to restore around it",
                range->unexplained);
    }
    char detail[120];
    (void)snprintf(detail, sizeof(detail),
            "partition %" PRId32 " offset %" PRId64 " is not stored, and no gap says why",
            part->partition, range->unexplained);
    tm_restore_warn(run, part->topic->line->source, "gap", detail);
    return TM_OK;
}

enum tm_code tm_restore_load_range(struct restore_run *run, const struct restore_part *part,
        struct tm_arena *arena, struct tm_chosen_range **out, struct tm_err *err)
{
    const struct tm_restore_options *options = run->options;
    const struct tm_chosen_part asked = {
            .stream = &part->topic->stream,
            .partition = part->partition,
            .start = part->start,
            .end = part->end,
    };
    struct tm_chosen_range *range = tm_arena_alloc(arena, 1, sizeof(*range));
    pthread_mutex_lock(&run->lock); /* the catalog handle is one thread's at a time */
    enum tm_code code =
            tm_chosen_range(options->catalog, options->choice, &asked, arena, range, err);
    pthread_mutex_unlock(&run->lock);
    if (code == TM_OK) {
        code = check_cover(run, part, range, err);
    }
    *out = range;
    return code;
}

enum tm_code tm_restore_open_source(struct restore_run *run, const struct restore_part *part,
        struct tm_arena *arena, struct tm_source **out, struct tm_err *err)
{
    struct tm_chosen_range *range = NULL;
    TM_TRY(tm_restore_load_range(run, part, arena, &range, err));
    return tm_chosen_open(run->options->vault, run->cache, range, out, err);
}

/* One more record lies in the target, or is on its way there. */
void tm_restore_passed(const struct restore_run *run, const struct restore_part *goal,
        const struct tm_record *record)
{
    struct tm_progress *progress = run->env->progress;
    int64_t bytes = (int64_t)tm_record_length(record);
    if (goal->count < goal->there) { /* the pace is that of what is written */
        atomic_fetch_add_explicit(&progress->skipped_messages, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&progress->skipped_bytes, bytes, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&progress->done_messages, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&progress->done_bytes, bytes, memory_order_relaxed);
}

enum tm_code tm_restore_pace(
        struct restore_run *run, const struct tm_record *record, struct tm_err *err)
{
    return tm_bucket_take(&run->pace, (int64_t)tm_record_length(record), run->env->cancel)
                   ? TM_OK
                   : tm_err_set(err, TM_E_CANCELLED, "cancelled");
}

/* Record number `part->count` of the range: send it, unless it lies in the target already. */
static enum tm_code pass_record(struct restore_run *run, struct restore_part *part,
        struct tm_writer_partition *target, const struct tm_record *record, struct tm_err *err)
{
    if (part->count % LOOK_RECORDS == 0 && tm_job_cancelled(run->env)) {
        return tm_err_set(err, TM_E_CANCELLED, "cancelled");
    }
    enum tm_code code = TM_OK;
    if (part->count >= part->there) {
        code = tm_restore_pace(run, record, err);
        code = code == TM_OK ? tm_writer_send(target, record, run->env->cancel, err) : code;
        TM_FAULT("job.restore.sent");
    }
    if (code == TM_OK) {
        tm_restore_map_note(run->map, part->topic->line->stream, part->partition, record->offset,
                part->partition, part->base + part->count);
        tm_restore_passed(run, part, record);
        part->count++;
    }
    return code;
}

static enum tm_code pump(struct restore_run *run, struct restore_part *part,
        struct tm_source *source, struct tm_err *err)
{
    struct tm_writer_partition *target = NULL;
    struct tm_record record;
    bool more = false;
    TM_TRY(tm_writer_partition(run->writer, part->topic->line->target, part->partition,
            part->base + part->there, &target, err));
    enum tm_code code = tm_source_next(source, &record, &more, err);
    while (code == TM_OK && more) {
        code = pass_record(run, part, target, &record, err);
        if (code == TM_OK) {
            code = tm_source_next(source, &record, &more, err);
        }
    }
    if (code == TM_OK && part->count < part->there) {
        code = tm_err_set(err, TM_E_CONFLICT,
                "the target holds %" PRId64 " records, the point only %" PRId64
                ": something else wrote to it",
                part->there, part->count);
    }
    return code;
}

/* How a lane writes where nobody else does: by the writer that checks each offset. */
static enum tm_code send_checked(void *arg, struct restore_part *goal,
        const struct restore_part *source, const struct tm_record *record, struct tm_err *err)
{
    struct restore_run *run = arg;
    (void)source;
    if (goal->writer == NULL) {
        TM_TRY(tm_writer_partition(run->writer, goal->topic->line->target, goal->partition,
                goal->base + goal->there, &goal->writer, err));
    }
    TM_TRY(tm_restore_pace(run, record, err));
    enum tm_code code = tm_writer_send(goal->writer, record, run->env->cancel, err);
    TM_FAULT("job.restore.sent");
    return code;
}

static void write_lane(struct restore_run *run, struct restore_part *goal)
{
    struct restore_lane_sink sink = {.send = send_checked, .arg = run};
    struct tm_err err = {0};
    if (tm_restore_begin_lane(run, goal)) {
        enum tm_code code = tm_restore_try_lane(run, goal, &sink, &err);
        tm_restore_end_lane(run, goal, code, &err);
    }
}

static void write_part(struct restore_run *run, struct restore_part *part)
{
    if (part->topic->line->append) {
        return; /* in transactions, afterwards */
    }
    if (part->topic->lanes) {
        write_lane(run, part);
        return;
    }
    struct tm_progress *progress = run->env->progress;
    struct tm_arena arena = {0};
    TM_OWN(tm_source_free) struct tm_source *source = NULL;
    struct tm_err err = {0};
    atomic_fetch_sub(&progress->parts_waiting, 1);
    atomic_fetch_add(&progress->parts_running, 1);

    enum tm_code code = tm_job_cancelled(run->env)
                                ? tm_err_set(&err, TM_E_CANCELLED, "cancelled")
                                : tm_restore_open_source(run, part, &arena, &source, &err);
    if (code == TM_OK) {
        code = pump(run, part, source, &err);
        part->zero_stamps = tm_source_zero_stamps(source);
        const tm_source_marks *marks = tm_source_marks_of(source);
        for (size_t i = 0; code == TM_OK && i < marks->count; i++) {
            *tm_vec_push(&part->marks) = marks->at[i];
        }
    }
    if (code != TM_OK) {
        part->failed = true;
        part->count = 0;
        tm_restore_fail(run, part, tm_code_name(code), err.msg);
    }
    tm_source_free(TM_TAKE(source)); /* it reads from the arena */
    tm_arena_done(&arena);
    atomic_fetch_sub(&progress->parts_running, 1);
    atomic_fetch_add(code == TM_OK ? &progress->parts_done : &progress->parts_failed, 1);
}

/* A topic that takes only small batches gets small ones: all of the writer's are then. */
static enum tm_code open_writer(struct restore_run *run, struct tm_err *err)
{
    struct tm_arena arena = {0};
    struct tm_kafka_options options = tm_restore_writer_options(run, &arena);
    enum tm_code code = tm_writer_open(&options, &run->writer, err);
    tm_arena_done(&arena);
    return code;
}

enum tm_code tm_restore_write(struct restore_run *run, struct tm_err *err)
{
    atomic_store(&run->env->progress->phase, TM_PHASE_PRODUCING);
    TM_TRY(open_writer(run, err));
    atomic_store(&run->env->progress->paced_ns, tm_mono_ns());
    tm_restore_each(run, write_part);
    enum tm_code code = tm_writer_flush(run->writer, FLUSH_MS, run->env->cancel, err);
    struct tm_writer_stats stats = tm_writer_stats(run->writer);
    run->result->written_count = stats.delivered_records;
    run->result->written_bytes = stats.delivered_bytes;
    if (code == TM_OK) {
        tm_restore_append_write(run);
    }
    return code;
}
