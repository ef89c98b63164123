/* SPDX-License-Identifier: Apache-2.0 */
#include "job/restore_append.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/ulid.h"
#include "job/restore_lane.h"
#include "kafka/removal.h"

enum {
    TXN_RECORDS = 5000,
    TXN_BYTES = 8 << 20,
    TXN_MS = 5 * 1000, /* a slow restore commits, too: readers of committed records wait for it */
    ATTEMPTS = 5,
    OPEN_MS = 90 * 1000, /* the transaction of a killed process is open for up to 60 s */
    NAME_MAX_BYTES = 64,
};

struct pending { /* a record of the open transaction, for the map */
    struct restore_part *goal;
    int32_t source_partition;
    int64_t source_offset;
    int64_t index; /* among the goal's records */
};

struct restore_append {
    struct tm_txn_writer *writer;
    char name[NAME_MAX_BYTES];
    TM_VEC(struct pending) pending;
    int64_t bytes; /* of the open transaction */
    int64_t began_ns;
    int64_t written_records;
    int64_t written_bytes;
};

static void name_of(const struct restore_run *run, char name[NAME_MAX_BYTES])
{
    char ulid[TM_ULID_NAME_MAX];
    (void)snprintf(name, NAME_MAX_BYTES, "tidemark.restore.%s",
            tm_ulid_format(&run->options->job, "job_", ulid));
}

/* Where record number `index` of the goal lies; asked in rising order. */
static int64_t place_of(struct restore_part *goal, int64_t index)
{
    const tm_txn_places *places = &goal->places;
    while (index >= places->at[goal->place_at].index + places->at[goal->place_at].count) {
        goal->place_at++;
        tm_assert(goal->place_at < places->count);
    }
    return places->at[goal->place_at].offset + index - places->at[goal->place_at].index;
}

static void add_place(struct restore_part *goal, int64_t offset, int64_t count)
{
    tm_txn_places *places = &goal->places;
    struct tm_txn_place *last = places->count > 0 ? &places->at[places->count - 1] : NULL;
    int64_t index = last != NULL ? last->index + last->count : 0;
    if (last != NULL && last->offset + last->count == offset) {
        last->count += count;
    } else {
        *tm_vec_push(places) = (struct tm_txn_place){index, offset, count};
    }
}

/* Opening ------------------------------------------------------------------------------------- */

/* What the journal has of the goal's records, of committed transactions alone. */
static enum tm_code load_places(
        struct restore_run *run, struct restore_part *goal, struct tm_err *err)
{
    struct tm_arena arena = {0};
    struct tm_journal_place *rows = NULL;
    size_t count = 0;
    const char *topic = goal->topic->line->target;
    enum tm_code code = tm_journal_places(run->options->journal, &run->options->job, topic,
            goal->partition, &arena, &rows, &count, err);
    int64_t known = 0;
    for (size_t i = 0; code == TM_OK && i < count && rows[i].index == known; i++) {
        if (known + rows[i].count > goal->there) {
            break; /* of a transaction that was not committed */
        }
        add_place(goal, rows[i].offset, rows[i].count);
        known += rows[i].count;
    }
    if (code == TM_OK && known != goal->there) {
        code = tm_err_set(err, TM_E_CONFLICT,
                "topic %s partition %" PRId32 " holds %" PRId64
                " records of this restore, and the journal knows where %" PRId64
                " of them lie: it was lost or is another",
                topic, goal->partition, goal->there, known);
    }
    tm_arena_done(&arena);
    return code;
}

static enum tm_code open_goals(struct restore_run *run, struct tm_err *err)
{
    struct restore_append *append = run->append;
    int64_t timeout_ms = tm_restore_request_ms(run->options);
    for (size_t i = run->own_count; i < run->part_count; i++) {
        struct restore_part *goal = run->parts[i];
        goal->txn = tm_txn_writer_part(append->writer, goal->topic->line->target, goal->partition);
    }
    TM_TRY(tm_txn_writer_progress(append->writer, timeout_ms, run->env->cancel, err));
    for (size_t i = run->own_count; i < run->part_count; i++) {
        struct restore_part *goal = run->parts[i];
        goal->there = tm_txn_part_done(goal->txn);
        TM_TRY(load_places(run, goal, err));
    }
    return TM_OK;
}

enum tm_code tm_restore_append_open(struct restore_run *run, struct tm_err *err)
{
    if (run->own_count == run->part_count) {
        return TM_OK;
    }
    struct restore_append *append = tm_xalloc(1, sizeof(*append));
    run->append = append;
    name_of(run, append->name);
    TM_TRY(tm_txn_writer_open(run->options->kafka_options, append->name, OPEN_MS, run->env->cancel,
            &append->writer, err));
    return open_goals(run, err);
}

void tm_restore_append_close(struct restore_run *run)
{
    if (run->append != NULL) {
        tm_txn_writer_close(run->append->writer);
        tm_vec_done(&run->append->pending);
        free(run->append);
        run->append = NULL;
    }
}

/* Transactions -------------------------------------------------------------------------------- */

/* Into the journal, before the commit: a process that dies behind it would not know. */
static enum tm_code keep_places(struct restore_run *run, struct tm_err *err)
{
    for (size_t i = run->own_count; i < run->part_count; i++) {
        const struct restore_part *goal = run->parts[i];
        const tm_txn_places *places = tm_txn_part_places(goal->txn);
        TM_VEC(struct tm_journal_place) rows = {0};
        for (size_t p = 0; p < places->count; p++) {
            *tm_vec_push(&rows) = (struct tm_journal_place){
                    places->at[p].index, places->at[p].offset, places->at[p].count};
        }
        enum tm_code code = rows.count == 0 ? TM_OK
                                            : tm_journal_put_places(run->options->journal,
                                                      &run->options->job, goal->topic->line->target,
                                                      goal->partition, rows.at, rows.count, err);
        tm_vec_done(&rows);
        if (code != TM_OK) {
            return code;
        }
    }
    return TM_OK;
}

/* The parts forget their places with the end of the transaction. */
static void take_places(struct restore_run *run)
{
    for (size_t i = run->own_count; i < run->part_count; i++) {
        struct restore_part *goal = run->parts[i];
        const tm_txn_places *places = tm_txn_part_places(goal->txn);
        for (size_t p = 0; p < places->count; p++) {
            add_place(goal, places->at[p].offset, places->at[p].count);
        }
    }
}

static void drop_places(struct restore_run *run)
{
    for (size_t i = run->own_count; i < run->part_count; i++) {
        struct restore_part *goal = run->parts[i];
        int64_t done = tm_txn_part_done(goal->txn);
        goal->place_at = 0;
        while (goal->places.count > 0) {
            struct tm_txn_place *last = &goal->places.at[goal->places.count - 1];
            if (last->index + last->count <= done) {
                break;
            }
            last->count = done > last->index ? done - last->index : 0;
            goal->places.count -= last->count == 0 ? 1 : 0;
        }
    }
}

static void note_committed(struct restore_run *run)
{
    struct restore_append *append = run->append;
    for (size_t i = 0; i < append->pending.count; i++) {
        const struct pending *at = &append->pending.at[i];
        tm_restore_map_note(run->map, at->goal->topic->line->stream, at->source_partition,
                at->source_offset, at->goal->partition, place_of(at->goal, at->index));
    }
    append->written_records += (int64_t)append->pending.count;
    append->written_bytes += append->bytes;
    append->pending.count = 0;
    append->bytes = 0;
}

static enum tm_code commit(struct restore_run *run, struct tm_err *err)
{
    struct restore_append *append = run->append;
    if (append->pending.count == 0) {
        return TM_OK;
    }
    TM_TRY(tm_txn_writer_flush(append->writer, run->env->cancel, err));
    TM_TRY(keep_places(run, err));
    TM_FAULT("job.restore.txn-journalled");
    take_places(run);
    TM_TRY(tm_txn_writer_commit(append->writer, run->env->cancel, err));
    TM_FAULT("job.restore.txn-committed");
    note_committed(run);
    return TM_OK;
}

static bool is_full(const struct restore_append *append)
{
    return append->pending.count >= TXN_RECORDS || append->bytes >= TXN_BYTES ||
           (append->pending.count > 0 &&
                   tm_mono_ns() - append->began_ns > TXN_MS * INT64_C(1000000));
}

static enum tm_code send_in_transaction(void *arg, struct restore_part *goal,
        const struct restore_part *source, const struct tm_record *record, struct tm_err *err)
{
    struct restore_run *run = arg;
    struct restore_append *append = run->append;
    TM_TRY(tm_restore_pace(run, record, err));
    if (is_full(append)) {
        TM_TRY(commit(run, err));
    }
    if (append->pending.count == 0) {
        append->began_ns = tm_mono_ns();
    }
    TM_TRY(tm_txn_writer_send(goal->txn, record, run->env->cancel, err));
    *tm_vec_push(&append->pending) =
            (struct pending){goal, source->partition, record->offset, goal->count};
    append->bytes += (int64_t)tm_record_length(record);
    TM_FAULT("job.restore.sent");
    return TM_OK;
}

/* A record that lay there already. */
static void pass_in_transaction(void *arg, struct restore_part *goal,
        const struct restore_part *source, const struct tm_record *record)
{
    struct restore_run *run = arg;
    tm_restore_map_note(run->map, goal->topic->line->stream, source->partition, record->offset,
            goal->partition, place_of(goal, goal->count));
}

/* Abort what is open, and stand where the last commit was. */
static enum tm_code step_back(struct restore_run *run, const struct restore_part *goal)
{
    struct tm_err err = {0};
    struct restore_append *append = run->append;
    append->pending.count = 0;
    append->bytes = 0;
    if (tm_txn_writer_abort(append->writer, &err) != TM_OK) {
        tm_log(TM_LOG_ERROR, "restore.transaction", err.msg, TM_LOG_STR("job", run->env->job_id),
                TM_LOG_END);
        return err.code;
    }
    drop_places(run);
    for (size_t i = run->own_count; i < run->part_count; i++) {
        run->parts[i]->there = tm_txn_part_done(run->parts[i]->txn);
    }
    const struct restore_topic *topic = goal->topic;
    for (size_t p = 0; p < topic->part_count; p++) {
        if (tm_restore_lane_has(run, goal, &topic->parts[p])) {
            tm_restore_map_forget(run->map, topic->line->stream, topic->parts[p].partition);
        }
    }
    return TM_OK;
}

static void write_goal(struct restore_run *run, struct restore_part *goal)
{
    struct restore_lane_sink sink = {
            .send = send_in_transaction, .passed = pass_in_transaction, .arg = run};
    struct tm_err err = {0};
    enum tm_code code = TM_OK;
    for (int attempt = 1;; attempt++) {
        err = (struct tm_err){0};
        code = tm_restore_try_lane(run, goal, &sink, &err);
        code = code == TM_OK ? commit(run, &err) : code;
        bool again = code != TM_OK && code != TM_E_CANCELLED && tm_code_retryable(code) &&
                     attempt < ATTEMPTS;
        if (!again) {
            break;
        }
        tm_log(TM_LOG_WARNING, "restore.transaction", err.msg, TM_LOG_STR("job", run->env->job_id),
                TM_LOG_INT("attempt", attempt), TM_LOG_END);
        if (step_back(run, goal) != TM_OK) {
            break;
        }
    }
    tm_restore_end_lane(run, goal, code, &err);
}

void tm_restore_append_write(struct restore_run *run)
{
    for (size_t i = run->own_count; i < run->part_count; i++) {
        struct restore_part *goal = run->parts[i];
        if (tm_restore_begin_lane(run, goal)) {
            write_goal(run, goal);
        }
    }
    if (run->append != NULL) {
        run->result->written_count += run->append->written_records;
        run->result->written_bytes += run->append->written_bytes;
    }
}

/* A process that dies from here on must not begin anew. False: something failed, and the numbers stay. */
static bool mark_done(struct restore_run *run, struct tm_err *err)
{
    for (size_t t = 0; t < run->topic_count; t++) {
        const struct restore_topic *topic = &run->topics[t];
        struct tm_restore_target row = {.topic = topic->line->target, .configured = true};
        if (topic->line->append &&
                (topic->failed || tm_journal_put_target(run->options->journal, &run->options->job,
                                          &row, err) != TM_OK)) {
            return false;
        }
    }
    return true;
}

void tm_restore_append_forget(struct restore_run *run)
{
    struct tm_err err = {0};
    char name[NAME_MAX_BYTES];
    if (run->own_count == run->part_count || !mark_done(run, &err)) {
        return;
    }
    name_of(run, name);
    tm_restore_append_close(run); /* it may not be in use */
    if (tm_kafka_delete_group(
                run->options->kafka, name, tm_restore_request_ms(run->options), &err) != TM_OK) {
        tm_restore_warn(run, NULL, "progress-group", err.msg);
    }
    TM_LATER(tm_journal_drop_places(run->options->journal, &run->options->job, &err));
}
