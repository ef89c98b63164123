/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/fault.h"
#include "job/restore_run.h"

enum { FLUSH_MS = 10 * 60 * 1000, LOOK_RECORDS = 512 /* between looks at cancel */ };

struct held { /* what the log has of a partition's range */
    struct tm_stored_run *runs;
    size_t run_count;
    struct tm_row_gap *gaps;
    size_t gap_count;
};

/* The first offset of the range that is in no run and no gap; its end when there is none. */
static int64_t first_uncovered(const struct restore_part *part, const struct held *held)
{
    int64_t next = part->start;
    size_t run = 0;
    size_t gap = 0;
    for (;;) {
        if (run < held->run_count && held->runs[run].run.first <= next) {
            int64_t end = held->runs[run].run.first + held->runs[run].run.length;
            next = end > next ? end : next;
            run++;
        } else if (gap < held->gap_count && held->gaps[gap].from <= next) {
            int64_t end = held->gaps[gap].from + held->gaps[gap].length;
            next = end > next ? end : next;
            gap++;
        } else {
            return next < part->end ? next : part->end;
        }
    }
}

/* That the log covers its points is the fold's rule; a restore does not take its word for it. */
static enum tm_code check_cover(struct restore_run *run, const struct restore_part *part,
        const struct held *held, struct tm_err *err)
{
    int64_t uncovered = first_uncovered(part, held);
    if (uncovered >= part->end) {
        return TM_OK;
    }
    if (!run->options->continue_on_gap) {
        return tm_err_set(err, TM_E_CORRUPT,
                "offset %" PRId64 " is not stored, and no gap says why; pass \"on_gap\": "
                "\"continue\" to restore around it",
                uncovered);
    }
    char detail[120];
    (void)snprintf(detail, sizeof(detail),
            "partition %" PRId32 " offset %" PRId64 " is not stored, and no gap says why",
            part->partition, uncovered);
    tm_restore_warn(run, part->topic->line->source, "gap", detail);
    return TM_OK;
}

/* The log's runs of the partition; the catalog handle is one thread's at a time. */
static enum tm_code load_range(struct restore_run *run, const struct restore_part *part,
        struct tm_arena *arena, struct tm_source_range *out, struct tm_err *err)
{
    struct tm_catalog *catalog = run->options->catalog;
    uint32_t stream = part->topic->stream.id;
    struct held held = {0};
    pthread_mutex_lock(&run->lock);
    enum tm_code code = tm_catalog_runs(catalog, stream, part->partition, part->start, part->end,
            arena, &held.runs, &held.run_count, err);
    if (code == TM_OK) {
        code = tm_catalog_gaps(catalog, stream, part->partition, part->start, part->end, arena,
                &held.gaps, &held.gap_count, err);
    }
    pthread_mutex_unlock(&run->lock);
    if (code == TM_OK) {
        code = check_cover(run, part, &held, err);
    }
    if (code == TM_OK) {
        *out = (struct tm_source_range){
                .runs = held.runs,
                .run_count = held.run_count,
                .cluster_id = part->topic->stream.cluster_id,
                .topic = part->topic->stream.topic,
                .incarnation = part->topic->stream.incarnation,
                .partition = part->partition,
                .start = part->start,
                .end = part->end,
        };
    }
    return code;
}

/* One more record lies in the target, or is on its way there. */
static void count_record(const struct restore_run *run, const struct tm_record *record)
{
    struct tm_progress *progress = run->env->progress;
    atomic_fetch_add_explicit(&progress->done_messages, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(
            &progress->done_bytes, (int64_t)tm_record_length(record), memory_order_relaxed);
}

static enum tm_code pump(struct restore_run *run, struct restore_part *part,
        struct tm_source *source, struct tm_err *err)
{
    struct tm_writer_partition *target = NULL;
    TM_TRY(tm_writer_partition(run->writer, part->topic->line->target, part->partition,
            part->base + part->there, &target, err));
    int64_t passed = 0;
    for (;;) {
        struct tm_record record;
        bool more = false;
        TM_TRY(tm_source_next(source, &record, &more, err));
        if (!more) {
            break;
        }
        if (passed % LOOK_RECORDS == 0 && tm_job_cancelled(run->env)) {
            return tm_err_set(err, TM_E_CANCELLED, "cancelled");
        }
        if (passed++ >= part->there) { /* those below lie in the target already */
            TM_TRY(tm_writer_send(target, &record, run->env->cancel, err));
            TM_FAULT("job.restore.sent");
        }
        count_record(run, &record);
    }
    part->count = passed;
    if (passed < part->there) {
        return tm_err_set(err, TM_E_CONFLICT,
                "the target holds %" PRId64 " records, the point only %" PRId64
                ": something else wrote to it",
                part->there, passed);
    }
    return TM_OK;
}

static void write_part(struct restore_run *run, struct restore_part *part)
{
    struct tm_progress *progress = run->env->progress;
    struct tm_arena arena = {0};
    struct tm_source_range range = {0};
    struct tm_err err = {0};
    atomic_fetch_sub(&progress->parts_waiting, 1);
    atomic_fetch_add(&progress->parts_running, 1);

    enum tm_code code = tm_job_cancelled(run->env) ? tm_err_set(&err, TM_E_CANCELLED, "cancelled")
                                                   : load_range(run, part, &arena, &range, &err);
    if (code == TM_OK) {
        TM_OWN(tm_source_free)
        struct tm_source *source = tm_source_new(run->options->vault, run->cache, &range);
        code = pump(run, part, source, &err);
        part->zero_stamps = tm_source_zero_stamps(source);
        const tm_source_marks *marks = tm_source_marks_of(source);
        for (size_t i = 0; code == TM_OK && i < marks->count; i++) {
            *tm_vec_push(&part->marks) = marks->at[i];
        }
    }
    if (code != TM_OK) {
        part->failed = true;
        tm_restore_fail(run, part, tm_code_name(code), err.msg);
    }
    tm_arena_done(&arena);
    atomic_fetch_sub(&progress->parts_running, 1);
    atomic_fetch_add(code == TM_OK ? &progress->parts_done : &progress->parts_failed, 1);
}

enum tm_code tm_restore_write(struct restore_run *run, struct tm_err *err)
{
    const struct tm_restore_options *options = run->options;
    atomic_store(&run->env->progress->phase, TM_PHASE_PRODUCING);
    TM_TRY(tm_writer_open(options->kafka_options, &run->writer, err));
    tm_restore_each(run, write_part);
    enum tm_code code = tm_writer_flush(run->writer, FLUSH_MS, run->env->cancel, err);
    struct tm_writer_stats stats = tm_writer_stats(run->writer);
    run->result->written_count = stats.delivered_records;
    run->result->written_bytes = stats.delivered_bytes;
    return code;
}
