/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "job/backup_worker.h"
#include "job/claim.h"

enum { LOOK_RECORDS = 512 }; /* between looks at cancel and deadline */

bool tm_backup_stopping(const struct backup_run *run)
{
    return tm_job_cancelled(run->env) || atomic_load(&run->vault_failed) ||
           (run->deadline_ns != 0 && tm_mono_ns() >= run->deadline_ns);
}

/* Where the topic's partitions stand, into the job's progress (+1) or out of it again (-1). */
static void count_parts(const struct backup_worker *worker, int64_t by)
{
    struct tm_progress *progress = worker->run->env->progress;
    for (size_t p = 0; p < worker->topic->part_count; p++) {
        const struct backup_part *part = &worker->topic->parts[p];
        bool started = worker->reading && p < worker->next_start;
        if (part->state == PART_TODO) {
            atomic_fetch_add(started ? &progress->parts_running : &progress->parts_waiting, by);
            atomic_fetch_add(&progress->total_messages, by * (part->end - part->next));
        } else if (part->state == PART_DONE) {
            atomic_fetch_add(&progress->parts_done, by);
        } else if (part->state == PART_FAILED && !part->unanswered) {
            atomic_fetch_add(&progress->parts_failed, by);
        }
    }
}

static void count_messages(struct backup_worker *worker, const struct tm_record *record)
{
    struct tm_progress *progress = worker->run->env->progress;
    size_t bytes = tm_record_length(record);
    atomic_fetch_add_explicit(&progress->done_messages, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&progress->done_bytes, (int64_t)bytes, memory_order_relaxed);
}

/* Give a filled block to the packer. */
static void put_block(struct backup_worker *worker, struct tm_block *block)
{
    if (worker->err.code != TM_OK) {
        tm_block_free(block);
        return;
    }
    if (tm_packer_put(worker->run->packer, block, &worker->err) != TM_OK) {
        atomic_store(&worker->run->vault_failed, true); /* the others need not go on either */
    }
}

/* Close the open block of a partition and put it; its run ends where it is. */
static void put_open(struct backup_worker *worker, size_t part)
{
    struct tm_block *block = TM_TAKE(worker->open[part]);
    if (block != NULL) {
        worker->open_bytes -= tm_block_memory(block);
        put_block(worker, block);
    }
}

/* The last run of a finished partition: into the block that such runs share. */
static void share_open(struct backup_worker *worker, size_t part, int64_t end)
{
    struct tm_block *block = TM_TAKE(worker->open[part]);
    worker->open_bytes -= tm_block_memory(block);
    tm_block_extend(block, end);
    if (worker->shared != NULL && tm_block_bytes(worker->shared) + tm_block_bytes(block) >
                                          worker->run->params.block_max) {
        put_block(worker, TM_TAKE(worker->shared));
    }
    if (worker->shared == NULL) {
        worker->shared = block;
        return;
    }
    tm_block_join(worker->shared, block);
    tm_block_free(block);
}

static void put_largest(struct backup_worker *worker)
{
    size_t largest = 0;
    for (size_t p = 1; p < worker->topic->part_count; p++) {
        if (worker->open[p] != NULL &&
                (worker->open[largest] == NULL || tm_block_memory(worker->open[p]) >
                                                          tm_block_memory(worker->open[largest]))) {
            largest = p;
        }
    }
    put_open(worker, largest);
}

static struct tm_block *begin_block(struct backup_worker *worker, const struct backup_part *part)
{
    struct tm_block *block = tm_block_new(tm_vault_ring(worker->run->options->vault),
            &worker->run->params, worker->topic->number);
    tm_block_begin(block, part->partition, part->next);
    return block;
}

static void take_record(
        struct backup_worker *worker, struct backup_part *part, const struct tm_record *record)
{
    size_t p = (size_t)part->partition;
    if (part->has_stored && part->stored.back > 0 && record->leader_epoch >= 0 &&
            record->leader_epoch < part->stored.leader_epoch) {
        worker->diverged = true; /* KIP-101: epochs never fall along one log */
        return;
    }
    bool solo = tm_block_wants_solo(&worker->run->params, record);
    if (solo) {
        put_open(worker, p);
    }
    if (worker->open[p] == NULL) {
        worker->open[p] = begin_block(worker, part);
        worker->open_bytes += tm_block_memory(worker->open[p]);
    }
    size_t before = tm_block_memory(worker->open[p]);
    bool full = tm_block_add(worker->open[p], record);
    worker->open_bytes += tm_block_memory(worker->open[p]) - before;
    part->next = record->offset + 1;
    count_messages(worker, record);
    if (full) {
        put_open(worker, p);
    } else if (worker->open_bytes > worker->run->open_budget) {
        put_largest(worker);
    }
}

/* Pass over [next, end) of the partition, for that reason. */
static void note_gap(struct backup_worker *worker, struct backup_part *part, int64_t end,
        enum tm_gap_reason reason)
{
    struct tm_row_gap gap = {
            .partition = part->partition,
            .from = part->next,
            .length = end - part->next,
            .reason = reason,
    };
    pthread_mutex_lock(&worker->run->lock);
    *tm_vec_push(&part->gaps) = gap;
    worker->topic->passed += reason == TM_GAP_CORRUPT_ON_BROKER ? gap.length : 0;
    pthread_mutex_unlock(&worker->run->lock);
    part->next = end;
}

static void finish_part(struct backup_worker *worker, struct backup_part *part)
{
    struct tm_progress *progress = worker->run->env->progress;
    if (worker->open[part->partition] != NULL) {
        share_open(worker, (size_t)part->partition, part->end);
    } else if (part->next < part->end) {
        note_gap(worker, part, part->end, TM_GAP_NO_RECORDS);
    }
    part->next = part->end;
    part->state = PART_DONE;
    atomic_fetch_sub(&progress->parts_running, 1);
    atomic_fetch_add(&progress->parts_done, 1);
}

/* What was read before the error is whole and stays; the rest is for the next run. */
static void fail_part(
        struct backup_worker *worker, struct backup_part *part, const struct tm_err *err)
{
    struct tm_progress *progress = worker->run->env->progress;
    put_open(worker, (size_t)part->partition);
    part->state = PART_FAILED;
    tm_backup_fail(worker->run, worker->topic->info->name, part->partition, "read", err->msg);
    atomic_fetch_sub(&progress->parts_running, 1);
    atomic_fetch_add(&progress->parts_failed, 1);
}

/* A batch that the broker cannot give intact: pass over it, and go on behind it. */
static void pass_corrupt(
        struct backup_worker *worker, struct backup_part *part, const struct tm_read_event *event)
{
    const char *topic = worker->topic->info->name;
    struct tm_err err = {0};
    int64_t readable = 0;
    put_open(worker, (size_t)part->partition);
    if (tm_backup_find_readable(worker->topic, part, event->corrupt_at, &readable, &err) != TM_OK) {
        (void)tm_err_wrap(&err, "%s; what comes behind it", event->err.msg);
        fail_part(worker, part, &err);
        return;
    }
    if (event->corrupt_at > part->next) { /* what lies before it holds no record */
        note_gap(worker, part, event->corrupt_at, TM_GAP_NO_RECORDS);
    }
    TM_BUF_OWN struct tm_buf detail = {0};
    tm_buf_add_fmt(&detail,
            "offsets %" PRId64 " to %" PRId64 " were passed over: the broker cannot give them "
            "intact (%s)",
            part->next, readable - 1, event->err.msg);
    tm_backup_warn(worker->run, topic, part->partition, "corrupt-skipped", tm_buf_text(&detail));
    note_gap(worker, part, readable, TM_GAP_CORRUPT_ON_BROKER);
    if (part->next >= part->end) {
        finish_part(worker, part);
    } else if (tm_reader_start(worker->reader, part->partition, part->next, part->end, &err) !=
               TM_OK) {
        fail_part(worker, part, &err);
    }
}

static void take_failure(
        struct backup_worker *worker, struct backup_part *part, const struct tm_read_event *event)
{
    struct tm_err err = event->err;
    bool tail = worker->tail_due[part->partition];
    worker->tail_due[part->partition] = false;
    if (tail && event->out_of_range) { /* retention has taken the stored record meanwhile */
        if (tm_reader_start(worker->reader, part->partition, part->next, part->end, &err) !=
                TM_OK) {
            fail_part(worker, part, &err);
        }
    } else if (event->corrupt && !tail && worker->run->options->skip_corrupt) {
        pass_corrupt(worker, part, event);
    } else {
        fail_part(worker, part, &event->err);
    }
}

/* The bound of bytes per second; a wait is given up when the run is to end. */
static void keep_pace(struct backup_worker *worker, const struct tm_record *record)
{
    enum { WORTH_MS = 5, SLICE_MS = 100 }; /* shorter waits add up and are slept later */
    int64_t wait_ns = tm_read_pace_take(&worker->run->pace, tm_record_length(record));
    if (wait_ns < WORTH_MS * INT64_C(1000000)) {
        return;
    }
    for (int64_t left_ms = wait_ns / 1000000; left_ms > 0 && !tm_backup_stopping(worker->run);) {
        int64_t slice_ms = left_ms < SLICE_MS ? left_ms : SLICE_MS;
        tm_sleep_ms(slice_ms);
        left_ms -= slice_ms;
    }
}

static void start_parts(struct backup_worker *worker)
{
    struct tm_progress *progress = worker->run->env->progress;
    while (worker->next_start < worker->topic->part_count &&
            tm_reader_running(worker->reader) < BACKUP_ACTIVE_MAX) {
        struct backup_part *part = &worker->topic->parts[worker->next_start++];
        if (part->state != PART_TODO) {
            continue;
        }
        struct tm_err err = {0};
        atomic_fetch_sub(&progress->parts_waiting, 1);
        atomic_fetch_add(&progress->parts_running, 1);
        int64_t from = tm_backup_first_offset(worker, part);
        if (tm_reader_start(worker->reader, part->partition, from, part->end, &err) != TM_OK) {
            fail_part(worker, part, &err);
        }
    }
}

/* The clock is not looked at for every record. */
static bool should_stop(struct backup_worker *worker, const struct tm_read_event *event)
{
    if (event->kind == TM_READ_RECORD && ++worker->since_look < LOOK_RECORDS) {
        return false;
    }
    worker->since_look = 0;
    return tm_backup_stopping(worker->run);
}

/*
 * Is it to be stored? Not the stored record that a partition is read from on, and nothing that lies between it and
 * the end of what is stored (records of aborted transactions, when a policy reads uncommitted from now on).
 */
static bool is_new(struct backup_worker *worker, const struct backup_part *part,
        const struct tm_record *record)
{
    if (worker->tail_due[part->partition]) {
        tm_backup_see_tail_again(worker, part, record);
    }
    return !worker->diverged && (record == NULL || record->offset >= part->next);
}

static void read_parts(struct backup_worker *worker)
{
    struct tm_read_event event = {0};
    for (;;) {
        start_parts(worker);
        if (tm_reader_running(worker->reader) == 0 || worker->err.code != TM_OK ||
                worker->diverged) {
            return;
        }
        tm_reader_next(worker->reader, BACKUP_WAIT_MS, &event);
        struct backup_part *part = &worker->topic->parts[event.partition];
        switch (event.kind) {
        case TM_READ_RECORD:
            if (is_new(worker, part, &event.record)) {
                take_record(worker, part, &event.record);
                keep_pace(worker, &event.record);
            }
            break;
        case TM_READ_END:
            if (is_new(worker, part, NULL)) {
                finish_part(worker, part);
            }
            break;
        case TM_READ_FAILED:
            take_failure(worker, part, &event);
            break;
        case TM_READ_IDLE:
            break;
        }
        if (should_stop(worker, &event)) {
            return;
        }
    }
}

/* The worker --------------------------------------------------------------------------------- */

static enum tm_code open_reader(struct backup_worker *worker, struct tm_err *err)
{
    struct tm_reader_options options = {
            .topic = worker->topic->info->name,
            .stall_ms = worker->run->options->stall_ms,
    };
    tm_reader_free(TM_TAKE(worker->reader)); /* forgets whatever it has fetched ahead */
    return tm_reader_new(worker->run->options->kafka, &options, &worker->reader, err);
}

/* Everything of this topic again, as a new stream; what was put for the old one is not committed. */
static enum tm_code begin_anew(struct backup_worker *worker, struct tm_err *err)
{
    struct backup_topic *topic = worker->topic;
    tm_backup_warn(worker->run, topic->info->name, -1, "new-incarnation",
            "what Kafka holds differs from what is stored: the log was truncated or created again");
    for (size_t p = 0; p < topic->part_count; p++) {
        tm_block_free(TM_TAKE(worker->open[p]));
        worker->tail_due[p] = false;
    }
    tm_block_free(TM_TAKE(worker->shared));
    worker->open_bytes = 0;
    worker->diverged = false;
    count_parts(worker, -1);
    tm_backup_reincarnate(topic);
    worker->next_start = 0;
    worker->reading = false;
    count_parts(worker, 1);
    tm_packer_add_stream(worker->run->packer, topic->number, worker->run->cluster_id,
            tm_slice_str(topic->info->name), topic->stream.incarnation);
    return open_reader(worker, err);
}

/* The reader could not be opened: nothing was read, and that is no end. */
static void fail_all(struct backup_worker *worker, const struct tm_err *err)
{
    tm_backup_fail(worker->run, worker->topic->info->name, -1, "read", err->msg);
    count_parts(worker, -1);
    for (size_t p = 0; p < worker->topic->part_count; p++) {
        struct backup_part *part = &worker->topic->parts[p];
        part->state = part->state == PART_TODO ? PART_FAILED : part->state;
    }
    count_parts(worker, 1);
}

static void read_claimed(struct backup_worker *worker)
{
    struct tm_err err = {0};
    enum tm_code code = open_reader(worker, &err);
    enum fence fence = code == TM_OK ? tm_backup_pass_fence(worker) : FENCE_STOPPED;
    worker->diverged = fence == FENCE_OTHER;
    while (code == TM_OK && (worker->diverged || (fence == FENCE_PASSED && !worker->reading))) {
        if (worker->diverged) {
            code = begin_anew(worker, &err);
        }
        if (code == TM_OK) {
            worker->reading = true;
            TM_FAULT("job.backup.fenced");
            read_parts(worker);
        }
    }
    if (code != TM_OK) {
        fail_all(worker, &err);
    }
}

void tm_backup_read_topic(void *arg)
{
    struct backup_topic *topic = arg;
    struct backup_run *run = topic->run;
    struct backup_worker worker = {.topic = topic, .run = run};
    struct tm_err err = {0};

    if (tm_backup_stopping(run)) {
        return; /* its partitions stay "not reached" */
    }
    struct tm_claim claim = {run->options->kafka, topic->info->name, run};
    if (tm_claim_topic(&claim, run->env->cancel, run->deadline_ns, &err) != TM_OK) {
        return;
    }
    worker.open = tm_xalloc(topic->part_count, sizeof(struct tm_block *));
    worker.tail_due = tm_xalloc(topic->part_count, sizeof(bool));
    tm_packer_add_stream(run->packer, topic->number, run->cluster_id,
            tm_slice_str(topic->info->name), topic->stream.incarnation);
    read_claimed(&worker);

    /* Whatever ended the reading: what was read is whole, up to `next` of each partition. */
    for (size_t p = 0; p < topic->part_count; p++) {
        put_open(&worker, p);
    }
    if (worker.shared != NULL) {
        put_block(&worker, TM_TAKE(worker.shared));
    }
    tm_reader_free(worker.reader);
    tm_claim_release(&claim);
    count_parts(&worker, -1); /* what was started and not finished waits again */
    worker.reading = false;
    count_parts(&worker, 1);
    free(worker.open);
    free(worker.tail_due);
}
