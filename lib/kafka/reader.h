/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader - records of one topic's partitions, each in [from, end), exactly.
 *
 * The end is fixed before reading starts. A partition is at its end when a record at or above it was
 * seen, or the log's end (EOF) at or above it; never because a fetch was empty. An error of a
 * partition fails that partition; errors of the handle (a broker that is away) are waited out, since
 * librdkafka reconnects, until no partition has moved for `stall_ms`: then those fail with the cause.
 *
 * Records below the expected offset (librdkafka may repeat after a reconnect) are dropped.
 *
 * Threads: a reader belongs to one thread; several readers share a handle. The same partition must
 * not be started twice on one handle at a time.
 */
#ifndef TM_KAFKA_READER_H
#define TM_KAFKA_READER_H

#include "codec/record.h"
#include "kafka/kafka.h"

struct tm_reader;

struct tm_reader_options {
    const char *topic;
    int64_t stall_ms; /* 0: 60 s */
};

enum tm_code tm_reader_new(struct tm_kafka *kafka, const struct tm_reader_options *options,
        struct tm_reader **out, struct tm_err *err) TM_MUST_CHECK;
void tm_reader_free(struct tm_reader *reader); /* stops what still runs */
TM_OWNABLE(struct tm_reader *, tm_reader_free);

/* Start a partition; from < end. More may be started while others run. */
enum tm_code tm_reader_start(struct tm_reader *reader, int32_t partition, int64_t from, int64_t end,
        struct tm_err *err) TM_MUST_CHECK;

enum tm_read_kind {
    TM_READ_RECORD, /* `record` of `partition`; borrowed until the next call */
    TM_READ_END,    /* `partition` has been read to its end, and is stopped */
    TM_READ_FAILED, /* `partition` is stopped; `err` says why, `next` how far it came */
    TM_READ_IDLE,   /* nothing within the timeout, or no partition runs */
};

struct tm_read_event {
    enum tm_read_kind kind;
    int32_t partition;
    struct tm_record record;
    int64_t next;      /* END, FAILED: first offset not passed */
    bool out_of_range; /* FAILED: the start is below the log start or above its end */
    /*
     * FAILED: a batch that does not hold together (its checksum, its compression), which begins at `corrupt_at`.
     * Where it ends librdkafka does not say. Not `placed`: the broker itself gave up, and only said so of the offset
     * that was asked for.
     */
    bool corrupt;
    bool placed;
    int64_t corrupt_at;
    struct tm_err err; /* FAILED */
};

/* The next event; waits up to timeout_ms for one. */
void tm_reader_next(struct tm_reader *reader, int64_t timeout_ms, struct tm_read_event *out);

size_t tm_reader_running(
        const struct tm_reader *reader); /* partitions started and not at their end */

#endif
