/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/pool.h"
#include "kafka/writing.h"

enum {
    FATAL_GRACE_MS = 300,
    FLUSH_MS = 20,
    HURRY_MS = 2,
    HURRY_PAUSE_MS = 20,
};

void tm_reports_fail(struct tm_writer *writer, const struct tm_err *failure)
{
    pthread_mutex_lock(&writer->lock);
    if (writer->failure.code == TM_OK) {
        writer->failure = *failure;
    }
    atomic_store(&writer->has_failed, true);
    pthread_cond_broadcast(&writer->moved);
    pthread_mutex_unlock(&writer->lock);
}

enum tm_code tm_reports_failure(struct tm_writer *writer, struct tm_err *err)
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
    int64_t bytes = (int64_t)(message->len + message->key_len) + header_bytes(message);
    atomic_fetch_sub_explicit(&part->under_way, bytes, memory_order_relaxed);
    writer->reported++;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR && message->offset == meant) {
        writer->delivered++;
        writer->delivered_bytes += bytes;
        return;
    }
    if (atomic_load(&writer->has_failed) || is_sequel(message->err)) {
        return;
    }
    struct tm_err failure = {0};
    const char *topic = rd_kafka_topic_name(part->topic);
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        tm_client_fail(&writer->client, message->err, NULL, &failure);
        tm_rdkafka_needs(&failure, "WRITE on Topic");
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
    tm_reports_fail(writer, &failure);
}

static void fail_stalled(struct tm_writer *writer, int64_t stalled_ms)
{
    struct tm_err failure = {0};
    tm_client_fail(
            &writer->client, RD_KAFKA_RESP_ERR__TIMED_OUT, "no answer from the brokers", &failure);
    (void)tm_err_wrap(&failure, "cluster %s: nothing was delivered for %" PRId64 " s",
            writer->client.cluster, (stalled_ms + 500) / 1000);
    tm_reports_fail(writer, &failure);
}

/*
 * Send batches that are not full. Only here: the library serves reports while it flushes. Flushing
 * keeps the broker threads busy, so it goes on only as long as something comes of it.
 */
static void flush_if_asked(struct tm_writer *writer)
{
    bool moves = writer->reported != writer->hurried_reported;
    if (atomic_load(&writer->flushers) == 0 && !atomic_exchange(&writer->hurry, false)) {
        return;
    }
    if (moves || tm_mono_ns() - writer->hurried_ns > HURRY_PAUSE_MS * NS_PER_MS) {
        writer->hurried_reported = writer->reported;
        (void)rd_kafka_flush(writer->client.rk, moves ? FLUSH_MS : HURRY_MS);
        writer->hurried_ns = tm_mono_ns();
    }
}

static void show_reports(struct tm_writer *writer)
{
    tm_client_succeeded(&writer->client);
    pthread_mutex_lock(&writer->lock);
    writer->shown_reported = writer->reported;
    writer->shown_delivered = writer->delivered;
    writer->shown_bytes = writer->delivered_bytes;
    pthread_cond_broadcast(&writer->moved);
    pthread_mutex_unlock(&writer->lock);
}

/* After each round of reports: show its result, and watch that there is one. */
static void on_served(void *opaque)
{
    struct tm_writer *writer = opaque;
    flush_if_asked(writer);
    int64_t now_ns = tm_mono_ns();
    bool waits = atomic_load(&writer->sent) > writer->reported;
    if (!waits || writer->reported != writer->shown_reported) {
        writer->moved_ns = now_ns;
    }
    if (writer->reported != writer->shown_reported) {
        show_reports(writer);
    }
    if (atomic_load(&writer->has_failed)) {
        return;
    }
    if (writer->fatal.code != TM_OK) {
        if (now_ns - writer->fatal_ns > FATAL_GRACE_MS * NS_PER_MS) {
            tm_reports_fail(writer, &writer->fatal);
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
        tm_rdkafka_needs(&writer->fatal, "WRITE on Topic, of each topic that is written");
        (void)tm_err_wrap(
                &writer->fatal, "cluster %s: the producer gave up", writer->client.cluster);
    }
}

void tm_reports_wait(struct tm_writer *writer, int64_t count, int64_t wait_ms)
{
    struct timespec until = tm_mono_after_ms(wait_ms);
    tm_pool_beat();
    pthread_mutex_lock(&writer->lock);
    int timed_out = 0;
    while (timed_out == 0 && (count < 0 || writer->shown_reported == count) &&
            writer->failure.code == TM_OK) {
        timed_out = pthread_cond_timedwait(&writer->moved, &writer->lock, &until);
    }
    pthread_mutex_unlock(&writer->lock);
}

int64_t tm_reports_count(struct tm_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    int64_t reported = writer->shown_reported;
    pthread_mutex_unlock(&writer->lock);
    return reported;
}

void tm_reports_wake(struct tm_writer *writer)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(writer->client.rk);
    rd_kafka_queue_yield(queue);
    rd_kafka_queue_destroy(queue);
}

const struct tm_client_hooks tm_reports_hooks = {.delivered = on_delivery,
        .served = on_served,
        .fatal = on_fatal};
