/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writing - what writer.c and reports.c share: a writer's state.
 *
 * librdkafka keeps one request of a partition under way at a time (idempotence), so more than a batch
 * or two that wait behind it gain nothing. Worse: while records wait that are older than linger.ms,
 * its broker thread asks without pause whether they can go, which took up to half a core. Hence
 * linger.ms is long, a partition has at most PARTITION_BYTES under way, and whoever needs records to
 * go before a batch is full (a flush, a full queue) says so: see `flushers` and `hurry`.
 *
 * Threads: records are sent by the callers' threads and reported by the client's own.
 */
#ifndef TM_KAFKA_WRITING_H
#define TM_KAFKA_WRITING_H

#include "base/vec.h"
#include "kafka/internal.h"
#include "kafka/writer.h"

#define NS_PER_MS INT64_C(1000000)

struct tm_writer_target {
    rd_kafka_topic_t *handle;
    int32_t partitions;
};

struct tm_writer_partition {
    struct tm_writer *writer;
    struct tm_writer_partition *next;
    rd_kafka_topic_t *topic;
    int32_t partition;
    int64_t expected;              /* of the next report; only the thread of the reports uses it */
    atomic_int_fast64_t under_way; /* bytes sent and not reported */
};

/* Invariant: once `has_failed`, nothing more is sent; it never goes back. */
struct tm_writer {
    struct tm_client client;
    atomic_int_fast64_t stall_ns;
    atomic_bool has_failed;
    atomic_int_fast64_t sent;
    atomic_int_fast64_t timestamps_changed;
    atomic_int flushers; /* threads that wait for all to be delivered */
    atomic_bool hurry;   /* the queue is full of batches that are not */

    /* Only the thread of the reports. */
    struct tm_err fatal; /* the library gave up; for which record, a report is about to say */
    int64_t fatal_ns;
    int64_t hurried_ns;       /* when batches were last sent before they were full, */
    int64_t hurried_reported; /* and how many reports there were before it */
    int64_t reported;         /* delivered or failed */
    int64_t delivered;
    int64_t delivered_bytes;
    int64_t moved_ns; /* when `shown_reported` last changed, or nothing was waited for */

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t moved;
    int64_t shown_reported; /* the numbers above, as of the last round of reports */
    int64_t shown_delivered;
    int64_t shown_bytes;
    struct tm_err failure; /* the first */
    TM_VEC(struct tm_writer_target) targets;
    struct tm_writer_partition *partitions; /* linked by `next` */
};

extern const struct tm_client_hooks tm_reports_hooks;

void tm_reports_fail(struct tm_writer *writer, const struct tm_err *failure); /* the first counts */
enum tm_code tm_reports_failure(struct tm_writer *writer, struct tm_err *err);
int64_t tm_reports_count(struct tm_writer *writer); /* reports so far */
/* Wait until there are more than `count` (-1: however many), the writer fails, or in vain. */
void tm_reports_wait(struct tm_writer *writer, int64_t count, int64_t wait_ms);
void tm_reports_wake(struct tm_writer *writer); /* have `flushers` or `hurry` looked at now */

#endif
