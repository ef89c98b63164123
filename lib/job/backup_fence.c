/* SPDX-License-Identifier: Apache-2.0 */
/* Is what Kafka holds the continuation of what is stored? */
#include <stdlib.h>

#include "base/fault.h"
#include "job/backup_worker.h"

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
static void fail_fence(
        struct backup_worker *worker, struct backup_part *part, const struct tm_err *err)
{
    struct tm_progress *progress = worker->run->env->progress;
    part->state = PART_FAILED;
    tm_backup_fail(worker->run, worker->topic->info->name, part->partition, "fence", err->msg);
    atomic_fetch_sub(&progress->parts_waiting, 1);
    atomic_fetch_add(&progress->parts_failed, 1);
}

static void start_fence(struct backup_worker *worker)
{
    struct backup_topic *topic = worker->topic;
    while (worker->next_start < topic->part_count &&
            tm_reader_running(worker->reader) < BACKUP_ACTIVE_MAX) {
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

/*
 * The log no longer has the stored record. Compaction may have taken it; of a topic that is not compacted it is a sign
 * of another history. Where the cluster could not say which one it is, this run leaves the partition alone.
 */
static bool may_be_gone(struct backup_worker *worker, struct backup_part *part)
{
    const struct backup_topic *topic = worker->topic;
    bool refused = topic->config.code == TM_E_DENIED; /* and will be next time */
    if (!topic->info->has_id || topic->config_known || refused) {
        return topic->info->has_id && tm_backup_is_compacted(topic);
    }
    struct tm_err err = {0};
    (void)tm_err_set(&err, TM_E_KAFKA,
            "the last record that is stored is gone, and the topic's configuration could not be "
            "asked for: whether compaction has taken it is to be seen at the next run");
    fail_fence(worker, part, &err);
    return true;
}

/*
 * The stored record lies in a batch that was damaged since. That cannot be compared; where such batches are to be
 * passed over, the topic's id and the leader epochs have to do.
 */
static bool may_pass_corrupt(const struct backup_topic *topic, const struct tm_read_event *event)
{
    return event->corrupt && topic->run->options->skip_corrupt && topic->info->has_id;
}

enum fence tm_backup_pass_fence(struct backup_worker *worker)
{
    struct backup_topic *topic = worker->topic;
    bool *seen = tm_xalloc(topic->part_count, sizeof(*seen));
    struct tm_read_event event = {0};
    bool same = true;
    bool stopped = false;
    worker->next_start = 0;
    start_fence(worker);
    while (same && !stopped && tm_reader_running(worker->reader) > 0) {
        tm_reader_next(worker->reader, BACKUP_WAIT_MS, &event);
        struct backup_part *part = &topic->parts[event.partition];
        if (event.kind == TM_READ_RECORD) {
            seen[event.partition] = true;
            same = is_tail(worker->run, &part->stored, &event.record);
            worker->tail_due[event.partition] = same;
        } else if (event.kind == TM_READ_END) {
            same = seen[event.partition] || may_be_gone(worker, part);
        } else if (event.kind == TM_READ_FAILED && may_pass_corrupt(topic, &event)) {
            tm_backup_leave_corrupt(topic, part);
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

/* The same once more, by the fetch that brings the news ----------------------------------------- */

int64_t tm_backup_first_offset(struct backup_worker *worker, const struct backup_part *part)
{
    bool *due = &worker->tail_due[part->partition];
    *due = *due && part->next == part->stored.next; /* else another run goes before this one */
    return *due ? part->stored.next - part->stored.back : part->next;
}

void tm_backup_see_tail_again(struct backup_worker *worker, const struct backup_part *part,
        const struct tm_record *record)
{
    const struct backup_topic *topic = worker->topic;
    worker->tail_due[part->partition] = false;
    if (record != NULL && record->offset == part->stored.next - part->stored.back) {
        worker->diverged = !is_tail(worker->run, &part->stored, record);
    } else { /* gone since: compaction alone may do that */
        worker->diverged = !topic->info->has_id || !tm_backup_is_compacted(topic);
    }
}
