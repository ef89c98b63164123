/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "job/backup_run.h"
#include "job/claim.h"
#include "kafka/reader.h"

enum {
    ACTIVE_MAX = 32, /* partitions read side by side by a worker: a fetch answer each is buffered */
    WAIT_MS = 200,   /* between looks at cancel and deadline, */
    LOOK_RECORDS = 512, /* and so many records */
};

/* What a worker has in hand. */
struct worker {
    struct backup_topic *topic;
    struct backup_run *run;
    struct tm_reader *reader;
    struct tm_block **open;  /* one for each partition; NULL: none */
    struct tm_block *shared; /* small runs of finished partitions */
    size_t open_bytes;       /* memory of `open` */
    size_t next_start;       /* partitions below were started or need no reading */
    bool reading;            /* past the fence: started partitions count as running */
    unsigned since_look;     /* records taken since cancel and deadline were looked at */
    struct tm_err err;       /* set: the vault side failed, and the whole run with it */
    bool diverged;           /* the log is not the one that is stored: begin a new incarnation */
};

bool tm_backup_stopping(const struct backup_run *run)
{
    return tm_job_cancelled(run->env) || atomic_load(&run->vault_failed) ||
           (run->deadline_ns != 0 && tm_mono_ns() >= run->deadline_ns);
}

/* Where the topic's partitions stand, into the job's progress (+1) or out of it again (-1). */
static void count_parts(const struct worker *worker, int64_t by)
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

static void count_messages(struct worker *worker, const struct tm_record *record)
{
    struct tm_progress *progress = worker->run->env->progress;
    size_t bytes = tm_record_length(record);
    atomic_fetch_add_explicit(&progress->done_messages, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&progress->done_bytes, (int64_t)bytes, memory_order_relaxed);
}

/* Give a filled block to the packer. */
static void put_block(struct worker *worker, struct tm_block *block)
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
static void put_open(struct worker *worker, size_t part)
{
    struct tm_block *block = TM_TAKE(worker->open[part]);
    if (block != NULL) {
        worker->open_bytes -= tm_block_memory(block);
        put_block(worker, block);
    }
}

/* The last run of a finished partition: into the block that such runs share. */
static void share_open(struct worker *worker, size_t part, int64_t end)
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

static void put_largest(struct worker *worker)
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

static struct tm_block *begin_block(struct worker *worker, const struct backup_part *part)
{
    struct tm_block *block = tm_block_new(tm_vault_ring(worker->run->options->vault),
            &worker->run->params, worker->topic->number);
    tm_block_begin(block, part->partition, part->next);
    return block;
}

static void take_record(
        struct worker *worker, struct backup_part *part, const struct tm_record *record)
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

static void note_no_records(struct worker *worker, struct backup_part *part, int64_t end)
{
    struct tm_row_gap gap = {
            .partition = part->partition,
            .from = part->next,
            .length = end - part->next,
            .reason = TM_GAP_NO_RECORDS,
    };
    pthread_mutex_lock(&worker->run->lock);
    *tm_vec_push(&part->gaps) = gap;
    pthread_mutex_unlock(&worker->run->lock);
}

static void finish_part(struct worker *worker, struct backup_part *part)
{
    struct tm_progress *progress = worker->run->env->progress;
    if (worker->open[part->partition] != NULL) {
        share_open(worker, (size_t)part->partition, part->end);
    } else if (part->next < part->end) {
        note_no_records(worker, part, part->end);
    }
    part->next = part->end;
    part->state = PART_DONE;
    atomic_fetch_sub(&progress->parts_running, 1);
    atomic_fetch_add(&progress->parts_done, 1);
}

/* What was read before the error is whole and stays; the rest is for the next run. */
static void fail_part(struct worker *worker, struct backup_part *part, const struct tm_err *err)
{
    struct tm_progress *progress = worker->run->env->progress;
    put_open(worker, (size_t)part->partition);
    part->state = PART_FAILED;
    tm_backup_fail(worker->run, worker->topic->info->name, part->partition, "read", err->msg);
    atomic_fetch_sub(&progress->parts_running, 1);
    atomic_fetch_add(&progress->parts_failed, 1);
}

static void start_parts(struct worker *worker)
{
    struct tm_progress *progress = worker->run->env->progress;
    while (worker->next_start < worker->topic->part_count &&
            tm_reader_running(worker->reader) < ACTIVE_MAX) {
        struct backup_part *part = &worker->topic->parts[worker->next_start++];
        if (part->state != PART_TODO) {
            continue;
        }
        struct tm_err err = {0};
        atomic_fetch_sub(&progress->parts_waiting, 1);
        atomic_fetch_add(&progress->parts_running, 1);
        if (tm_reader_start(worker->reader, part->partition, part->next, part->end, &err) !=
                TM_OK) {
            fail_part(worker, part, &err);
        }
    }
}

/* The clock is not looked at for every record. */
static bool should_stop(struct worker *worker, const struct tm_read_event *event)
{
    if (event->kind == TM_READ_RECORD && ++worker->since_look < LOOK_RECORDS) {
        return false;
    }
    worker->since_look = 0;
    return tm_backup_stopping(worker->run);
}

static void read_parts(struct worker *worker)
{
    struct tm_read_event event = {0};
    for (;;) {
        start_parts(worker);
        if (tm_reader_running(worker->reader) == 0 || worker->err.code != TM_OK ||
                worker->diverged) {
            return;
        }
        tm_reader_next(worker->reader, WAIT_MS, &event);
        struct backup_part *part = &worker->topic->parts[event.partition];
        switch (event.kind) {
        case TM_READ_RECORD:
            take_record(worker, part, &event.record);
            break;
        case TM_READ_END:
            finish_part(worker, part);
            break;
        case TM_READ_FAILED:
            fail_part(worker, part, &event.err);
            break;
        case TM_READ_IDLE:
            break;
        }
        if (should_stop(worker, &event)) {
            return;
        }
    }
}

/* The fence ---------------------------------------------------------------------------------- */

static bool is_compacted(const struct backup_topic *topic)
{
    for (size_t i = 0; i < topic->config.set_count; i++) {
        if (strcmp(topic->config.set[i].name, "cleanup.policy") == 0) {
            return strstr(topic->config.set[i].value, "compact") != NULL;
        }
    }
    return false;
}

/* Is `record`, read at the tail's offset, the one that is stored? */
static bool is_tail(const struct backup_run *run, const struct tm_row_tail *tail,
        const struct tm_record *record)
{
    const struct tm_ring *ring = tm_vault_ring(run->options->vault);
    if (record->timestamp_ms != tail->timestamp_ms) {
        return false;
    }
    if (record->leader_epoch >= 0 && record->leader_epoch < tail->leader_epoch) {
        return false;
    }
    TM_BUF_OWN struct tm_buf bytes = {0};
    tm_record_encode(record, &bytes);
    for (uint32_t epoch = tm_ring_epoch(ring); epoch > 0;
            epoch--) { /* tags are of the epoch then */
        struct tm_id16 tag = tm_ring_has_epoch(ring, epoch)
                                     ? tm_ring_tag(ring, epoch, tm_buf_slice(&bytes))
                                     : (struct tm_id16){{0}};
        if (tm_id16_eq(&tag, &tail->tag)) {
            return true;
        }
    }
    return false;
}

/* Which partitions have a stored record that can be compared with what Kafka holds there now? */
static bool can_compare(const struct backup_part *part)
{
    return part->state == PART_TODO && part->has_stored && part->stored.back > 0 &&
           part->stored.next - part->stored.back >= part->log_start;
}

/* A partition whose stored record could not be read is not taken for a match. */
static void fail_fence(struct worker *worker, struct backup_part *part, const struct tm_err *err)
{
    struct tm_progress *progress = worker->run->env->progress;
    part->state = PART_FAILED;
    tm_backup_fail(worker->run, worker->topic->info->name, part->partition, "fence", err->msg);
    atomic_fetch_sub(&progress->parts_waiting, 1);
    atomic_fetch_add(&progress->parts_failed, 1);
}

static void start_fence(struct worker *worker)
{
    struct backup_topic *topic = worker->topic;
    while (worker->next_start < topic->part_count &&
            tm_reader_running(worker->reader) < ACTIVE_MAX) {
        struct backup_part *part = &topic->parts[worker->next_start++];
        if (!can_compare(part)) {
            continue;
        }
        int64_t at = part->stored.next - part->stored.back;
        struct tm_err err = {0};
        if (tm_reader_start(worker->reader, part->partition, at, at + 1, &err) != TM_OK) {
            fail_fence(worker, part, &err);
        }
    }
}

enum fence {
    FENCE_PASSED,  /* every partition that has news and has not failed goes on where it ended */
    FENCE_OTHER,   /* Kafka holds another history */
    FENCE_STOPPED, /* the run ends before all were compared */
};

/* Is a tail's record that Kafka no longer has a sign of another history? */
static bool may_be_gone(const struct backup_topic *topic)
{
    return is_compacted(topic) && topic->info->has_id;
}

/* Compare the record at each tail with what is stored. */
static enum fence pass_fence(struct worker *worker)
{
    struct backup_topic *topic = worker->topic;
    bool *seen = tm_xalloc(topic->part_count, sizeof(*seen));
    struct tm_read_event event = {0};
    bool same = true;
    bool stopped = false;
    worker->next_start = 0;
    start_fence(worker);
    while (same && !stopped && tm_reader_running(worker->reader) > 0) {
        tm_reader_next(worker->reader, WAIT_MS, &event);
        struct backup_part *part = &topic->parts[event.partition];
        if (event.kind == TM_READ_RECORD) {
            seen[event.partition] = true;
            same = is_tail(worker->run, &part->stored, &event.record);
        } else if (event.kind == TM_READ_END) {
            same = seen[event.partition] || may_be_gone(topic);
        } else if (event.kind == TM_READ_FAILED) {
            fail_fence(worker, part, &event.err);
        }
        stopped = tm_backup_stopping(worker->run);
        start_fence(worker);
    }
    free(seen);
    worker->next_start = 0;
    return !same ? FENCE_OTHER : stopped ? FENCE_STOPPED : FENCE_PASSED;
}

/* The worker --------------------------------------------------------------------------------- */

static enum tm_code open_reader(struct worker *worker, struct tm_err *err)
{
    struct tm_reader_options options = {
            .topic = worker->topic->info->name,
            .stall_ms = worker->run->options->stall_ms,
    };
    tm_reader_free(TM_TAKE(worker->reader)); /* forgets whatever it has fetched ahead */
    return tm_reader_new(worker->run->options->kafka, &options, &worker->reader, err);
}

/* Everything of this topic again, as a new stream; what was put for the old one is not committed. */
static enum tm_code begin_anew(struct worker *worker, struct tm_err *err)
{
    struct backup_topic *topic = worker->topic;
    tm_backup_warn(worker->run, topic->info->name, -1, "new-incarnation",
            "what Kafka holds differs from what is stored: the log was truncated or created again");
    for (size_t p = 0; p < topic->part_count; p++) {
        tm_block_free(TM_TAKE(worker->open[p]));
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
static void fail_all(struct worker *worker, const struct tm_err *err)
{
    tm_backup_fail(worker->run, worker->topic->info->name, -1, "read", err->msg);
    count_parts(worker, -1);
    for (size_t p = 0; p < worker->topic->part_count; p++) {
        struct backup_part *part = &worker->topic->parts[p];
        part->state = part->state == PART_TODO ? PART_FAILED : part->state;
    }
    count_parts(worker, 1);
}

static void read_claimed(struct worker *worker)
{
    struct tm_err err = {0};
    enum tm_code code = open_reader(worker, &err);
    enum fence fence = code == TM_OK ? pass_fence(worker) : FENCE_STOPPED;
    worker->diverged = fence == FENCE_OTHER;
    while (code == TM_OK && (worker->diverged || (fence == FENCE_PASSED && !worker->reading))) {
        if (worker->diverged) {
            code = begin_anew(worker, &err);
        }
        if (code == TM_OK) {
            worker->reading = true;
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
    struct worker worker = {.topic = topic, .run = run};
    struct tm_err err = {0};

    if (tm_backup_stopping(run)) {
        return; /* its partitions stay "not reached" */
    }
    struct tm_claim claim = {run->options->kafka, topic->info->name, run};
    if (tm_claim_topic(&claim, run->env->cancel, run->deadline_ns, &err) != TM_OK) {
        return;
    }
    worker.open = tm_xalloc(topic->part_count, sizeof(struct tm_block *));
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
}
