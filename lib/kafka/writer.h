/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer - records into topics in their order, each delivery checked.
 *
 * An idempotent producer (acks=all, retries without duplicates, order kept). Every delivery report
 * must carry the offset that the record is meant to have; the first that does not, or fails, fails
 * the writer for good: somebody else wrote to the target, or a late batch of a killed process landed.
 * Resuming is the caller's: it reads the target's log end and goes on from there.
 *
 * Timestamps: librdkafka takes 0 for "now", so an original 0 cannot be written; it is written as 1
 * and counted (tm_writer_stats).
 *
 * Threads: partitions of one writer may be fed by different threads, each partition by one at a time.
 */
#ifndef TM_KAFKA_WRITER_H
#define TM_KAFKA_WRITER_H

#include <stdatomic.h>

#include "codec/record.h"
#include "kafka/kafka.h"

struct tm_writer;
struct tm_writer_partition; /* belongs to the writer */

/* `options.read_uncommitted` and `queue_bytes` are not used; at most 32 MiB wait to be sent. */
enum tm_code tm_writer_open(const struct tm_kafka_options *options, struct tm_writer **out,
        struct tm_err *err) TM_MUST_CHECK;
/* Drops what was not delivered. */
void tm_writer_close(struct tm_writer *writer);
TM_OWNABLE(struct tm_writer *, tm_writer_close);

/* Before the first send: how long nothing may be delivered before the writer fails; else 120 s. */
void tm_writer_set_stall(struct tm_writer *writer, int64_t stall_ms);

/* `next_offset`: the offset that the first record sent must get. */
enum tm_code tm_writer_partition(struct tm_writer *writer, const char *topic, int32_t partition,
        int64_t next_offset, struct tm_writer_partition **out, struct tm_err *err) TM_MUST_CHECK;

/*
 * Hand a record over (its bytes are copied); waits while the queue is full. Fails with the writer's
 * first failure, or TM_E_CANCELLED when *cancel (may be NULL) turns true while waiting.
 */
enum tm_code tm_writer_send(struct tm_writer_partition *partition, const struct tm_record *record,
        const atomic_bool *cancel, struct tm_err *err) TM_MUST_CHECK;

/* Wait until everything sent is delivered; fails as above, or TM_E_TIMEOUT with what is missing. */
enum tm_code tm_writer_flush(struct tm_writer *writer, int64_t timeout_ms,
        const atomic_bool *cancel, struct tm_err *err) TM_MUST_CHECK;

struct tm_writer_stats {
    int64_t delivered_records;
    int64_t delivered_bytes;    /* keys, values and headers */
    int64_t timestamps_changed; /* 0 written as 1 */
};
struct tm_writer_stats tm_writer_stats(const struct tm_writer *writer);

#endif
