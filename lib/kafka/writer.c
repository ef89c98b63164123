/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/writer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/vec.h"
#include "kafka/internal.h"

enum {
    DEFAULT_STALL_MS = 120 * 1000,
    METADATA_MS = 20 * 1000,
    FATAL_GRACE_MS = 300,
    FATAL_WAIT_MS = 2000,
    CANCEL_POLL_MS = 100, /* a flag cannot be waited for */
};

#define NS_PER_MS INT64_C(1000000)

struct target {
    rd_kafka_topic_t *handle;
    int32_t partitions;
};

struct tm_writer_partition {
    struct tm_writer *writer;
    rd_kafka_topic_t *topic;
    int32_t partition;
    int64_t expected; /* of the next delivery report; only the thread of the reports uses it */
};

/*
 * Records are sent by the callers' threads and reported by the client's own. Invariant: once
 * `has_failed`, nothing more is sent; it never goes back.
 */
struct tm_writer {
    struct tm_client client;
    atomic_int_fast64_t stall_ns;
    atomic_bool has_failed;
    atomic_int_fast64_t sent;
    atomic_int_fast64_t timestamps_changed;

    /* Only the thread of the reports. */
    struct tm_err fatal; /* the library gave up; for which record, a report is about to say */
    int64_t fatal_ns;
    int64_t reported; /* delivered or failed */
    int64_t delivered;
    int64_t delivered_bytes;
    int64_t moved_ns; /* when `shown_reported` last changed, or nothing was waited for */

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t moved;
    int64_t shown_reported; /* the numbers above, as of the last round of reports */
    int64_t shown_delivered;
    int64_t shown_bytes;
    struct tm_err failure; /* the first */
    TM_VEC(struct target) targets;
    TM_VEC(struct tm_writer_partition *) partitions;
};

static void fail_writer(struct tm_writer *writer, const struct tm_err *failure)
{
    pthread_mutex_lock(&writer->lock);
    if (writer->failure.code == TM_OK) {
        writer->failure = *failure;
    }
    atomic_store(&writer->has_failed, true);
    pthread_cond_broadcast(&writer->moved);
    pthread_mutex_unlock(&writer->lock);
}

static enum tm_code copy_failure(struct tm_writer *writer, struct tm_err *err)
{
    pthread_mutex_lock(&writer->lock);
    *err = writer->failure;
    pthread_mutex_unlock(&writer->lock);
    return err->code;
}

static int64_t header_bytes(const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers = NULL;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return 0;
    }
    int64_t bytes = 0;
    const char *name = NULL;
    const void *value = NULL;
    size_t len = 0;
    for (size_t i = 0;
            rd_kafka_header_get_all(headers, i, &name, &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR;
            i++) {
        bytes += (int64_t)(strlen(name) + len);
    }
    return bytes;
}

/* What the library says of all that it drops once it has given up. */
static bool is_sequel(rd_kafka_resp_err_t err)
{
    return err == RD_KAFKA_RESP_ERR__FATAL || err == RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE ||
           err == RD_KAFKA_RESP_ERR__PURGE_QUEUE || err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT;
}

static void on_delivery(const rd_kafka_message_t *message)
{
    struct tm_writer_partition *part = message->_private;
    struct tm_writer *writer = part->writer;
    int64_t meant = part->expected++;
    writer->reported++;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR && message->offset == meant) {
        writer->delivered++;
        writer->delivered_bytes +=
                (int64_t)(message->len + message->key_len) + header_bytes(message);
        return;
    }
    if (atomic_load(&writer->has_failed) || is_sequel(message->err)) {
        return;
    }
    struct tm_err failure = {0};
    const char *topic = rd_kafka_topic_name(part->topic);
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        tm_client_fail(&writer->client, message->err, NULL, &failure);
        (void)tm_err_wrap(&failure,
                "%s/%" PRId32 ": record meant for offset %" PRId64 " was not delivered", topic,
                part->partition, meant);
    } else if (message->offset < 0) {
        tm_err_set(&failure, TM_E_CONFLICT,
                "%s/%" PRId32 ": record meant for offset %" PRId64
                " was delivered, but the broker does not know where",
                topic, part->partition, meant);
    } else {
        tm_err_set(&failure, TM_E_CONFLICT,
                "%s/%" PRId32 ": record meant for offset %" PRId64 " was delivered at %" PRId64
                ": another writer is at work on the target",
                topic, part->partition, meant, message->offset);
    }
    fail_writer(writer, &failure);
}

static void fail_stalled(struct tm_writer *writer, int64_t stalled_ms)
{
    struct tm_err failure = {0};
    tm_client_fail(
            &writer->client, RD_KAFKA_RESP_ERR__TIMED_OUT, "no answer from the brokers", &failure);
    (void)tm_err_wrap(&failure, "cluster %s: nothing was delivered for %" PRId64 " s",
            writer->client.cluster, (stalled_ms + 500) / 1000);
    fail_writer(writer, &failure);
}

/* After each round of reports: show its result, and watch that there is one. */
static void on_served(void *opaque)
{
    struct tm_writer *writer = opaque;
    int64_t now_ns = tm_mono_ns();
    bool waits = atomic_load(&writer->sent) > writer->reported;
    if (!waits || writer->reported != writer->shown_reported) {
        writer->moved_ns = now_ns;
    }
    if (writer->reported != writer->shown_reported) {
        tm_client_succeeded(&writer->client);
        pthread_mutex_lock(&writer->lock);
        writer->shown_reported = writer->reported;
        writer->shown_delivered = writer->delivered;
        writer->shown_bytes = writer->delivered_bytes;
        pthread_cond_broadcast(&writer->moved);
        pthread_mutex_unlock(&writer->lock);
    }
    if (atomic_load(&writer->has_failed)) {
        return;
    }
    if (writer->fatal.code != TM_OK) {
        if (now_ns - writer->fatal_ns > FATAL_GRACE_MS * NS_PER_MS) {
            fail_writer(writer, &writer->fatal);
        }
    } else if (now_ns - writer->moved_ns > atomic_load(&writer->stall_ns)) {
        fail_stalled(writer, (now_ns - writer->moved_ns) / NS_PER_MS);
    }
}

static void on_fatal(void *opaque, rd_kafka_resp_err_t code, const char *text)
{
    struct tm_writer *writer = opaque;
    if (writer->fatal.code == TM_OK) {
        writer->fatal_ns = tm_mono_ns();
        tm_client_fail(&writer->client, code, text, &writer->fatal);
        (void)tm_err_wrap(
                &writer->fatal, "cluster %s: the producer gave up", writer->client.cluster);
    }
}

static const struct tm_client_hooks hooks = {.delivered = on_delivery,
        .served = on_served,
        .fatal = on_fatal};

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
    if (tm_client_open(&writer->client, RD_KAFKA_PRODUCER, options, &hooks, writer, err) != TM_OK) {
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
    for (size_t i = 0; i < writer->partitions.count; i++) {
        free(writer->partitions.at[i]);
    }
    tm_vec_done(&writer->targets);
    tm_vec_done(&writer->partitions);
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
static const struct target *find_target(const struct tm_writer *writer, const char *topic)
{
    for (size_t i = 0; i < writer->targets.count; i++) {
        if (strcmp(rd_kafka_topic_name(writer->targets.at[i].handle), topic) == 0) {
            return &writer->targets.at[i];
        }
    }
    return NULL;
}

/* The lock is held, so that two threads do not ask for one topic twice. */
static enum tm_code open_target(
        struct tm_writer *writer, const char *topic, const struct target **out, struct tm_err *err)
{
    *out = find_target(writer, topic);
    if (*out != NULL) {
        return TM_OK;
    }
    struct target fresh = {.handle = rd_kafka_topic_new(writer->client.rk, topic, NULL)};
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
    const struct target *target = NULL;
    enum tm_code code = open_target(writer, topic, &target, err);
    tm_assert(code != TM_OK || target != NULL);
    if (code == TM_OK && partition >= target->partitions) {
        code = tm_err_set(
                err, TM_E_MISSING, "the topic has only %" PRId32 " partitions", target->partitions);
    }
    if (code == TM_OK) {
        struct tm_writer_partition *part = tm_xalloc(1, sizeof(*part));
        *part = (struct tm_writer_partition){writer, target->handle, partition, next_offset};
        *tm_vec_push(&writer->partitions) = part;
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

/* Wait until more has been reported than `reported` (-1: however much), the writer fails, or in vain. */
static void wait_for_reports(struct tm_writer *writer, int64_t reported, int64_t wait_ms)
{
    struct timespec until = tm_mono_after_ms(wait_ms);
    pthread_mutex_lock(&writer->lock);
    int timed_out = 0;
    while (timed_out == 0 && (reported < 0 || writer->shown_reported == reported) &&
            writer->failure.code == TM_OK) {
        timed_out = pthread_cond_timedwait(&writer->moved, &writer->lock, &until);
    }
    pthread_mutex_unlock(&writer->lock);
}

static int64_t reported_now(struct tm_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    int64_t reported = writer->shown_reported;
    pthread_mutex_unlock(&writer->lock);
    return reported;
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
        int64_t reported = reported_now(writer); /* before the attempt: no wake-up is missed */
        failed = produce(part, record, timestamp_ms, headers);
        if (failed == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            wait_for_reports(writer, reported, CANCEL_POLL_MS);
        }
    }
    return failed;
}

enum tm_code tm_writer_send(struct tm_writer_partition *part, const struct tm_record *record,
        const atomic_bool *cancel, struct tm_err *err)
{
    struct tm_writer *writer = part->writer;
    if (atomic_load_explicit(&writer->has_failed, memory_order_relaxed)) {
        return copy_failure(writer, err);
    }
    rd_kafka_headers_t *headers = make_headers(record);
    rd_kafka_resp_err_t failed = produce_when_room(part, record, headers, cancel);
    if (failed == RD_KAFKA_RESP_ERR_NO_ERROR) {
        atomic_fetch_add_explicit(&writer->sent, 1, memory_order_relaxed);
        if (record->timestamp_ms == 0) {
            atomic_fetch_add_explicit(&writer->timestamps_changed, 1, memory_order_relaxed);
        }
        return TM_OK;
    }
    if (headers != NULL) {
        rd_kafka_headers_destroy(headers);
    }
    if (atomic_load(&writer->has_failed)) {
        return copy_failure(writer, err);
    }
    if (failed == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        return tm_err_set(err, TM_E_CANCELLED, "cancelled while the brokers were waited for");
    }
    if (rd_kafka_fatal_error(writer->client.rk, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        wait_for_reports(writer, -1, FATAL_WAIT_MS); /* they know more */
    }
    struct tm_err failure = {0};
    tm_client_fail(&writer->client, failed, NULL, &failure);
    (void)tm_err_wrap(&failure, "%s/%" PRId32, rd_kafka_topic_name(part->topic), part->partition);
    fail_writer(writer, &failure);
    return copy_failure(writer, err);
}

enum tm_code tm_writer_flush(
        struct tm_writer *writer, int64_t timeout_ms, const atomic_bool *cancel, struct tm_err *err)
{
    int64_t deadline_ns = tm_mono_ns() + timeout_ms * NS_PER_MS;
    for (;;) {
        int64_t reported = reported_now(writer);
        int64_t missing = atomic_load(&writer->sent) - reported;
        int64_t left_ms = (deadline_ns - tm_mono_ns()) / NS_PER_MS;
        if (atomic_load(&writer->has_failed)) {
            return copy_failure(writer, err);
        }
        if (missing <= 0) {
            return TM_OK;
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
        wait_for_reports(writer, reported, left_ms < CANCEL_POLL_MS ? left_ms : CANCEL_POLL_MS);
    }
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
