/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/writer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kafka/writing.h"

enum {
    DEFAULT_STALL_MS = 120 * 1000,
    METADATA_MS = 20 * 1000,
    FATAL_WAIT_MS = 2000,
    CANCEL_POLL_MS = 100,      /* a flag cannot be waited for */
    PARTITION_BYTES = 3 << 20, /* a batch of 1 MB under way, one to follow, one being filled */
};

enum tm_code tm_writer_open(
        const struct tm_kafka_options *options, struct tm_writer **out, struct tm_err *err)
{
    struct tm_writer *writer = tm_xalloc(1, sizeof(*writer));
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&writer->moved, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&writer->lock, NULL);
    atomic_store(&writer->stall_ns, DEFAULT_STALL_MS * NS_PER_MS);
    writer->moved_ns = tm_mono_ns();
    if (tm_client_open(&writer->client, RD_KAFKA_PRODUCER, options, &tm_reports_hooks, writer,
                err) != TM_OK) {
        pthread_cond_destroy(&writer->moved);
        pthread_mutex_destroy(&writer->lock);
        free(writer);
        return err->code;
    }
    *out = writer;
    return TM_OK;
}

void tm_writer_close(struct tm_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    /* No thread sends any more, so nothing can get in behind what is dropped here: what stays in a
     * partition is a prefix of what was sent. */
    atomic_store(&writer->has_failed, true);
    rd_kafka_purge(writer->client.rk,
            RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
    tm_client_stop(&writer->client);
    for (size_t i = 0; i < writer->targets.count; i++) {
        rd_kafka_topic_destroy(writer->targets.at[i].handle);
    }
    tm_client_close(&writer->client); /* serves the last reports: the partitions must be there */
    while (writer->partitions != NULL) {
        struct tm_writer_partition *part = writer->partitions;
        writer->partitions = part->next;
        free(part);
    }
    tm_vec_done(&writer->targets);
    pthread_cond_destroy(&writer->moved);
    pthread_mutex_destroy(&writer->lock);
    free(writer);
}

void tm_writer_set_stall(struct tm_writer *writer, int64_t stall_ms)
{
    atomic_store(&writer->stall_ns, stall_ms * NS_PER_MS);
}

/* Ask how many partitions the topic has; a producer would wait for ever for one that is not there. */
static enum tm_code look_up(
        struct tm_writer *writer, rd_kafka_topic_t *topic, int32_t *out, struct tm_err *err)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t failed =
            rd_kafka_metadata(writer->client.rk, 0, topic, &metadata, METADATA_MS);
    if (failed != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return tm_client_fail(&writer->client, failed, NULL, err);
    }
    failed = metadata->topic_cnt == 1 ? metadata->topics[0].err
                                      : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    int32_t partitions = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
    rd_kafka_metadata_destroy(metadata);
    if (failed != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return tm_client_fail(&writer->client, failed, NULL, err);
    }
    *out = partitions;
    return TM_OK;
}

/* The lock is held. */
static const struct tm_writer_target *find_target(const struct tm_writer *writer, const char *topic)
{
    for (size_t i = 0; i < writer->targets.count; i++) {
        if (strcmp(rd_kafka_topic_name(writer->targets.at[i].handle), topic) == 0) {
            return &writer->targets.at[i];
        }
    }
    return NULL;
}

/* The lock is held, so that two threads do not ask for one topic twice. */
static enum tm_code open_target(struct tm_writer *writer, const char *topic,
        const struct tm_writer_target **out, struct tm_err *err)
{
    *out = find_target(writer, topic);
    if (*out != NULL) {
        return TM_OK;
    }
    struct tm_writer_target fresh = {.handle = rd_kafka_topic_new(writer->client.rk, topic, NULL)};
    if (fresh.handle == NULL) {
        rd_kafka_resp_err_t failed = rd_kafka_last_error();
        return tm_err_set(err, tm_rdkafka_code(failed), "%s: %s", rd_kafka_err2name(failed),
                rd_kafka_err2str(failed));
    }
    if (look_up(writer, fresh.handle, &fresh.partitions, err) != TM_OK) {
        rd_kafka_topic_destroy(fresh.handle);
        return err->code;
    }
    *tm_vec_push(&writer->targets) = fresh;
    *out = &writer->targets.at[writer->targets.count - 1];
    return TM_OK;
}

enum tm_code tm_writer_partition(struct tm_writer *writer, const char *topic, int32_t partition,
        int64_t next_offset, struct tm_writer_partition **out, struct tm_err *err)
{
    tm_assert(partition >= 0 && next_offset >= 0);
    pthread_mutex_lock(&writer->lock);
    const struct tm_writer_target *target = NULL;
    enum tm_code code = open_target(writer, topic, &target, err);
    tm_assert(code != TM_OK || target != NULL);
    if (code == TM_OK && partition >= target->partitions) {
        code = tm_err_set(
                err, TM_E_MISSING, "the topic has only %" PRId32 " partitions", target->partitions);
    }
    if (code == TM_OK) {
        struct tm_writer_partition *part = tm_xalloc(1, sizeof(*part));
        *part = (struct tm_writer_partition){.writer = writer,
                .next = writer->partitions,
                .topic = target->handle,
                .partition = partition,
                .expected = next_offset};
        writer->partitions = part;
        *out = part;
    }
    pthread_mutex_unlock(&writer->lock);
    return code == TM_OK ? TM_OK
                         : tm_err_wrap(err, "cluster %s: %s/%" PRId32, writer->client.cluster,
                                   topic, partition);
}

static rd_kafka_headers_t *make_headers(const struct tm_record *record)
{
    if (record->header_count == 0) {
        return NULL;
    }
    rd_kafka_headers_t *headers = rd_kafka_headers_new(record->header_count);
    for (size_t i = 0; i < record->header_count; i++) {
        const struct tm_header *header = &record->headers[i];
        rd_kafka_resp_err_t failed = rd_kafka_header_add(headers, (const char *)header->name.at,
                (ssize_t)header->name.len, header->value.at, (ssize_t)header->value.len);
        tm_assert(failed == RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    return headers;
}

/* librdkafka's argument arrays take no const; it copies what they point to. */
static void *unconst(const void *at)
{
    void *same;
    memcpy(&same, &at, sizeof(same));
    return same;
}

/* Hand over once. On success, and only then, `headers` belong to the library. */
static rd_kafka_resp_err_t produce(struct tm_writer_partition *part, const struct tm_record *record,
        int64_t timestamp_ms, rd_kafka_headers_t *headers)
{
    rd_kafka_vu_t arguments[] = {
            {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = part->topic},
            {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = part->partition},
            {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
            {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = part},
            {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = timestamp_ms},
            {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {unconst(record->key.at), record->key.len}},
            {.vtype = RD_KAFKA_VTYPE_VALUE,
                    .u.mem = {unconst(record->value.at), record->value.len}},
            {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    size_t count = sizeof(arguments) / sizeof(arguments[0]) - (headers == NULL ? 1 : 0);
    rd_kafka_error_t *error = rd_kafka_produceva(part->writer->client.rk, arguments, count);
    if (error == NULL) {
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    rd_kafka_resp_err_t failed = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    return failed;
}

static bool is_cancelled(const atomic_bool *cancel)
{
    return cancel != NULL && atomic_load(cancel);
}

static void hurry(struct tm_writer *writer)
{
    atomic_store(&writer->hurry, true);
    tm_reports_wake(writer);
}

/* Wait until the partition has little enough under way; false when the wait was broken off. */
static bool wait_for_turn(
        struct tm_writer_partition *part, int64_t bytes, const atomic_bool *cancel)
{
    struct tm_writer *writer = part->writer;
    int64_t reports = -1;
    for (;;) {
        int64_t under_way = atomic_load_explicit(&part->under_way, memory_order_relaxed);
        if (under_way == 0 || under_way + bytes <= PARTITION_BYTES) {
            return true;
        }
        if (is_cancelled(cancel) || atomic_load(&writer->has_failed)) {
            return false;
        }
        if (reports >= 0) {
            tm_reports_wait(writer, reports, CANCEL_POLL_MS);
        }
        int64_t now = tm_reports_count(writer); /* before looking again: no wake-up is missed */
        if (now == reports) {
            hurry(writer); /* a batch may be larger than what one partition may have */
        }
        reports = now;
    }
}

/* Produce, waiting while the queue is full. The library says that it is, not when it no longer is. */
static rd_kafka_resp_err_t produce_when_room(struct tm_writer_partition *part,
        const struct tm_record *record, rd_kafka_headers_t *headers, const atomic_bool *cancel)
{
    struct tm_writer *writer = part->writer;
    int64_t timestamp_ms = record->timestamp_ms == 0 ? 1 : record->timestamp_ms;
    rd_kafka_resp_err_t failed = produce(part, record, timestamp_ms, headers);
    while (failed == RD_KAFKA_RESP_ERR__QUEUE_FULL && !is_cancelled(cancel) &&
            !atomic_load(&writer->has_failed)) {
        int64_t reports = tm_reports_count(writer);
        failed = produce(part, record, timestamp_ms, headers);
        if (failed == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            hurry(writer);
            tm_reports_wait(writer, reports, CANCEL_POLL_MS);
        }
    }
    return failed;
}

static int64_t bytes_of(const struct tm_record *record)
{
    size_t bytes = record->key.len + record->value.len;
    for (size_t i = 0; i < record->header_count; i++) {
        bytes += record->headers[i].name.len + record->headers[i].value.len;
    }
    return (int64_t)bytes;
}

static enum tm_code not_sent(
        struct tm_writer_partition *part, rd_kafka_resp_err_t failed, struct tm_err *err)
{
    struct tm_writer *writer = part->writer;
    if (!atomic_load(&writer->has_failed) && failed == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        return tm_err_set(err, TM_E_CANCELLED, "cancelled while the brokers were waited for");
    }
    if (rd_kafka_fatal_error(writer->client.rk, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        tm_reports_wait(writer, -1, FATAL_WAIT_MS); /* they know more */
    }
    if (!atomic_load(&writer->has_failed)) {
        struct tm_err failure = {0};
        tm_client_fail(&writer->client, failed, NULL, &failure);
        (void)tm_err_wrap(
                &failure, "%s/%" PRId32, rd_kafka_topic_name(part->topic), part->partition);
        tm_reports_fail(writer, &failure);
    }
    return tm_reports_failure(writer, err);
}

enum tm_code tm_writer_send(struct tm_writer_partition *part, const struct tm_record *record,
        const atomic_bool *cancel, struct tm_err *err)
{
    struct tm_writer *writer = part->writer;
    int64_t bytes = bytes_of(record);
    if (atomic_load_explicit(&writer->has_failed, memory_order_relaxed) ||
            !wait_for_turn(part, bytes, cancel)) {
        return not_sent(part, RD_KAFKA_RESP_ERR__QUEUE_FULL, err);
    }
    /* Before the record can be reported. */
    atomic_fetch_add_explicit(&part->under_way, bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&writer->sent, 1, memory_order_relaxed);
    rd_kafka_headers_t *headers = make_headers(record);
    rd_kafka_resp_err_t failed = produce_when_room(part, record, headers, cancel);
    if (failed != RD_KAFKA_RESP_ERR_NO_ERROR) {
        atomic_fetch_sub_explicit(&part->under_way, bytes, memory_order_relaxed);
        atomic_fetch_sub_explicit(&writer->sent, 1, memory_order_relaxed);
        if (headers != NULL) {
            rd_kafka_headers_destroy(headers);
        }
        return not_sent(part, failed, err);
    }
    if (record->timestamp_ms == 0) {
        atomic_fetch_add_explicit(&writer->timestamps_changed, 1, memory_order_relaxed);
    }
    return TM_OK;
}

/*
 * All has been reported on. Delivered, too? When the library gives up, it first drops what it has and
 * only then says why.
 */
static enum tm_code all_delivered(struct tm_writer *writer, struct tm_err *err)
{
    pthread_mutex_lock(&writer->lock);
    int64_t dropped = writer->shown_reported - writer->shown_delivered;
    pthread_mutex_unlock(&writer->lock);
    if (dropped == 0) {
        return TM_OK;
    }
    tm_reports_wait(writer, -1, FATAL_WAIT_MS);
    if (!atomic_load(&writer->has_failed)) {
        struct tm_err failure = {0};
        tm_err_set(&failure, TM_E_KAFKA,
                "cluster %s: %" PRId64 " records were dropped, and nothing said why",
                writer->client.cluster, dropped);
        tm_reports_fail(writer, &failure);
    }
    return tm_reports_failure(writer, err);
}

static enum tm_code wait_until_delivered(
        struct tm_writer *writer, int64_t timeout_ms, const atomic_bool *cancel, struct tm_err *err)
{
    int64_t deadline_ns = tm_mono_ns() + timeout_ms * NS_PER_MS;
    for (;;) {
        int64_t reports = tm_reports_count(writer);
        int64_t missing = atomic_load(&writer->sent) - reports;
        int64_t left_ms = (deadline_ns - tm_mono_ns()) / NS_PER_MS;
        if (atomic_load(&writer->has_failed)) {
            return tm_reports_failure(writer, err);
        }
        if (missing <= 0) {
            return all_delivered(writer, err);
        }
        if (is_cancelled(cancel)) {
            return tm_err_set(
                    err, TM_E_CANCELLED, "cancelled with %" PRId64 " records undelivered", missing);
        }
        if (left_ms <= 0) {
            return tm_err_set(err, TM_E_TIMEOUT,
                    "cluster %s: %" PRId64 " records are not delivered after %" PRId64 " ms",
                    writer->client.cluster, missing, timeout_ms);
        }
        tm_reports_wait(writer, reports, left_ms < CANCEL_POLL_MS ? left_ms : CANCEL_POLL_MS);
    }
}

enum tm_code tm_writer_flush(
        struct tm_writer *writer, int64_t timeout_ms, const atomic_bool *cancel, struct tm_err *err)
{
    atomic_fetch_add(&writer->flushers, 1);
    tm_reports_wake(writer);
    enum tm_code code = wait_until_delivered(writer, timeout_ms, cancel, err);
    atomic_fetch_sub(&writer->flushers, 1);
    return code;
}

struct tm_writer_stats tm_writer_stats(const struct tm_writer *writer)
{
    /* Threads look at a writer that others use: only what the lock guards is read. */
    pthread_mutex_t *lock = unconst(&writer->lock);
    pthread_mutex_lock(lock);
    struct tm_writer_stats stats = {
            .delivered_records = writer->shown_delivered,
            .delivered_bytes = writer->shown_bytes,
            .timestamps_changed = atomic_load(&writer->timestamps_changed),
    };
    pthread_mutex_unlock(lock);
    return stats;
}
