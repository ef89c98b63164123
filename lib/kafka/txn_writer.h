/* SPDX-License-Identifier: Apache-2.0 */
/*
 * txn_writer - records behind what others write, in transactions, each once whatever happens.
 *
 * In a topic that others write to, too, the log's end says nothing about how far a restore has come. So
 * each transaction commits, with its records, how many of each partition are there now: as offsets of a
 * consumer group that has the writer's own name and no members. Who takes the work up under that name first
 * fences off the process before it (its open transaction is aborted), then reads those numbers: they are
 * exactly what readers of committed records see. Where each record went is known from the delivery reports.
 *
 * Errors: those of kafka.h. After a failure either the transaction can be aborted and its records sent again
 * (tm_txn_writer_abort gives TM_OK), or the writer is of no more use.
 *
 * Threads: a writer belongs to one thread.
 */
#ifndef TM_KAFKA_TXN_WRITER_H
#define TM_KAFKA_TXN_WRITER_H

#include <stdatomic.h>

#include "base/vec.h"
#include "codec/record.h"
#include "kafka/kafka.h"

struct tm_txn_place { /* `count` records in a row, at consecutive offsets */
    int64_t index;    /* of the first, among the writer's records of the partition */
    int64_t offset;   /* where it lies */
    int64_t count;
};
typedef TM_VEC(struct tm_txn_place) tm_txn_places;

struct tm_txn_writer;
struct tm_txn_part; /* a partition; belongs to the writer */

/* `name`: transactional.id and group. Fences off whoever used the name before. Waits up to timeout_ms.
 * `options` must outlive the writer. */
enum tm_code tm_txn_writer_open(const struct tm_kafka_options *options, const char *name,
        int64_t timeout_ms, const atomic_bool *cancel, struct tm_txn_writer **out,
        struct tm_err *err) TM_MUST_CHECK;
/* Drops what was not committed. */
void tm_txn_writer_close(struct tm_txn_writer *writer);
TM_OWNABLE(struct tm_txn_writer *, tm_txn_writer_close);

/* Add a partition. Each once, all before tm_txn_writer_progress(). `topic` is copied. */
struct tm_txn_part *tm_txn_writer_part(
        struct tm_txn_writer *writer, const char *topic, int32_t partition);
/* Read how many records of each partition are committed: tm_txn_part_done(). */
enum tm_code tm_txn_writer_progress(struct tm_txn_writer *writer, int64_t timeout_ms,
        const atomic_bool *cancel, struct tm_err *err) TM_MUST_CHECK;
int64_t tm_txn_part_done(const struct tm_txn_part *part);

/* Send the next record of the partition; begins a transaction where none is open. The bytes are copied. */
enum tm_code tm_txn_writer_send(struct tm_txn_part *part, const struct tm_record *record,
        const atomic_bool *cancel, struct tm_err *err) TM_MUST_CHECK;

/* Wait until all of the transaction is delivered. Then tm_txn_part_places() are its places. */
enum tm_code tm_txn_writer_flush(
        struct tm_txn_writer *writer, const atomic_bool *cancel, struct tm_err *err) TM_MUST_CHECK;
const tm_txn_places *tm_txn_part_places(const struct tm_txn_part *part);
/* Commit it, flushed, with the numbers. TM_OK where none is open. */
enum tm_code tm_txn_writer_commit(
        struct tm_txn_writer *writer, const atomic_bool *cancel, struct tm_err *err) TM_MUST_CHECK;
/* Abort the open transaction: the parts stand where they stood before it. */
enum tm_code tm_txn_writer_abort(struct tm_txn_writer *writer, struct tm_err *err) TM_MUST_CHECK;

#endif
