/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kafka/internal.h"

enum {
    DEFAULT_STALL_MS = 60 * 1000,
    BATCH_MAX = 512,
    BATCH_BYTES = 1 << 20, /* messages taken off the queue no longer count against its bound */
    PARTITIONS_MAX = 1000000,
    WAIT_SLICE_MS = 500, /* a topic error does not end the library's wait */
    CONFIRM_MS = 5000,
    LOOK_AFTER_MS = 3000,
    LOOK_MS = 1000,
};

#define NS_PER_MS INT64_C(1000000)

/* Invariant: while it runs, next < end, but for the one partition that tm_reader.ended names. */
struct part {
    bool running;
    bool failing; /* `tm_reader.fault` is to be reported of it */
    int64_t next; /* all below has been passed */
    int64_t end;
    int64_t log_end; /* where the log ended when it was last said to, -1 before */
};

struct tm_reader {
    struct tm_kafka *kafka;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *queue;
    int64_t stall_ns;
    int64_t idle_ns; /* waited in vain since anything moved */
    bool has_looked; /* in this silence, for partitions that are not there */

    struct part *parts; /* by partition number */
    size_t part_count;
    size_t running;
    size_t failing;
    int32_t ended; /* the partition whose last record was given out, -1: none */
    struct tm_err fault;
    struct tm_caught caught;

    rd_kafka_message_t *lent;             /* what the last record borrows from */
    rd_kafka_message_t *batch[BATCH_MAX]; /* [at, count) are yet to be looked at; may hold NULL */
    size_t at;
    size_t count;
    size_t batch_size;
    struct tm_header_room headers;
};

enum tm_code tm_reader_new(struct tm_kafka *kafka, const struct tm_reader_options *options,
        struct tm_reader **out, struct tm_err *err)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(kafka->client.rk, options->topic, NULL);
    if (topic == NULL) {
        rd_kafka_resp_err_t failed = rd_kafka_last_error();
        return tm_err_set(err, tm_rdkafka_code(failed), "topic %s: %s: %s", options->topic,
                rd_kafka_err2name(failed), rd_kafka_err2str(failed));
    }
    struct tm_reader *reader = tm_xalloc(1, sizeof(*reader));
    reader->kafka = kafka;
    reader->topic = topic;
    reader->queue = rd_kafka_queue_new(kafka->client.rk);
    reader->stall_ns = (options->stall_ms > 0 ? options->stall_ms : DEFAULT_STALL_MS) * NS_PER_MS;
    reader->ended = -1;
    reader->batch_size = BATCH_MAX;
    *out = reader;
    return TM_OK;
}

static void release(rd_kafka_message_t **message)
{
    if (*message != NULL) {
        rd_kafka_message_destroy(*message);
        *message = NULL;
    }
}

/*
 * Stop a partition. What is left of it in the library's queue is outdated by that and will be
 * dropped there; what is left in the batch is dropped here, since a later start must not see it.
 */
static void stop(struct tm_reader *reader, int32_t partition)
{
    struct part *part = &reader->parts[partition];
    (void)rd_kafka_consume_stop(
            reader->topic, partition); /* fails only where nothing was started */
    for (size_t i = reader->at; i < reader->count; i++) {
        if (reader->batch[i] != NULL && reader->batch[i]->partition == partition) {
            release(&reader->batch[i]);
        }
    }
    reader->running--;
    reader->failing -= part->failing ? 1 : 0;
    part->running = false;
    part->failing = false;
}

void tm_reader_free(struct tm_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    for (size_t i = 0; reader->running > 0 && i < reader->part_count; i++) {
        if (reader->parts[i].running) {
            stop(reader, (int32_t)i);
        }
    }
    release(&reader->lent);
    for (size_t i = reader->at; i < reader->count; i++) {
        release(&reader->batch[i]);
    }
    rd_kafka_queue_destroy(reader->queue);
    rd_kafka_topic_destroy(reader->topic);
    free(reader->headers.at);
    free(reader->parts);
    free(reader);
}

static void grow_parts(struct tm_reader *reader, size_t count)
{
    if (count > reader->part_count) {
        reader->parts = tm_xgrow(reader->parts, count, sizeof(*reader->parts));
        memset(reader->parts + reader->part_count, 0,
                (count - reader->part_count) * sizeof(*reader->parts));
        reader->part_count = count;
    }
}

static void note_movement(struct tm_reader *reader)
{
    reader->idle_ns = 0;
    reader->has_looked = false;
}

enum tm_code tm_reader_start(
        struct tm_reader *reader, int32_t partition, int64_t from, int64_t end, struct tm_err *err)
{
    tm_assert(partition >= 0 && from >= 0 && from < end);
    const char *topic = rd_kafka_topic_name(reader->topic);
    if (partition >= PARTITIONS_MAX) {
        return tm_err_set(err, TM_E_LIMIT, "%s/%" PRId32 ": partitions from %d on are not read",
                topic, partition, PARTITIONS_MAX);
    }
    grow_parts(reader, (size_t)partition + 1);
    tm_assert(!reader->parts[partition].running);
    if (rd_kafka_consume_start_queue(reader->topic, partition, from, reader->queue) != 0) {
        rd_kafka_resp_err_t failed = rd_kafka_last_error();
        tm_client_fail(&reader->kafka->client, failed, NULL, err);
        return tm_err_wrap(err, "%s/%" PRId32, topic, partition);
    }
    reader->parts[partition] =
            (struct part){.running = true, .next = from, .end = end, .log_end = -1};
    reader->running++;
    note_movement(reader);
    return TM_OK;
}

size_t tm_reader_running(const struct tm_reader *reader)
{
    return reader->running;
}

static bool give_end(struct tm_reader *reader, int32_t partition, struct tm_read_event *out)
{
    int64_t end = reader->parts[partition].end;
    stop(reader, partition);
    note_movement(reader);
    *out = (struct tm_read_event){.kind = TM_READ_END, .partition = partition, .next = end};
    return true;
}

/* The partition fails with the error that `out` holds by now. */
static bool give_failure(struct tm_reader *reader, int32_t partition, struct tm_read_event *out)
{
    out->kind = TM_READ_FAILED;
    out->partition = partition;
    out->next = reader->parts[partition].next;
    (void)tm_err_wrap(&out->err, "%s/%" PRId32 " at offset %" PRId64,
            rd_kafka_topic_name(reader->topic), partition, out->next);
    stop(reader, partition);
    return true;
}

/* A batch that was damaged where it lies: the library passes over it, as if it had never been. */
static bool is_corrupt(rd_kafka_resp_err_t err)
{
    return err == RD_KAFKA_RESP_ERR__BAD_MSG || err == RD_KAFKA_RESP_ERR__BAD_COMPRESSION ||
           err == RD_KAFKA_RESP_ERR__UNDERFLOW || err == RD_KAFKA_RESP_ERR_INVALID_MSG;
}

/*
 * "Out of range" of an offset that is not of our fetching, which ends before. Behind a batch whose checksum is wrong
 * librdkafka 2.14 takes the middle of the next one for its head, and goes on to fetch from an offset that is nowhere near;
 * the answer reaches whoever reads the partition by then, and has stopped his fetching, too.
 */
static bool fetch_anew(struct tm_reader *reader, int32_t partition, struct tm_read_event *out)
{
    struct part part = reader->parts[partition];
    stop(reader, partition);
    reader->parts[partition] = part;
    reader->parts[partition].failing = false;
    reader->running++;
    if (rd_kafka_consume_start_queue(reader->topic, partition, part.next, reader->queue) == 0) {
        return false;
    }
    *out = (struct tm_read_event){0};
    tm_client_fail(&reader->kafka->client, rd_kafka_last_error(), NULL, &out->err);
    return give_failure(reader, partition, out);
}

/* An error that librdkafka gives to one partition. It goes on behind what it could not read: we do not. */
static bool take_error(struct tm_reader *reader, int32_t partition,
        const rd_kafka_message_t *message, struct tm_read_event *out)
{
    struct part *part = &reader->parts[partition];
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        part->log_end = message->offset;
        if (message->offset >= part->end) {
            return give_end(reader, partition, out);
        }
        part->next = message->offset > part->next ? message->offset : part->next;
        return false; /* the end was there when it was asked for: a leader that lags behind */
    }
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET && message->offset > part->end) {
        return fetch_anew(reader, partition, out);
    }
    *out = (struct tm_read_event){
            .out_of_range = message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET,
            .corrupt = is_corrupt(message->err),
            .placed = message->offset >= 0 && message->err != RD_KAFKA_RESP_ERR_INVALID_MSG,
    };
    out->corrupt_at = out->placed ? message->offset : part->next;
    /* The payload of an error is its text, with a NUL behind it. */
    tm_client_fail(&reader->kafka->client, message->err, message->payload, &out->err);
    tm_rdkafka_needs(&out->err, "READ on Topic");
    return give_failure(reader, partition, out);
}

static void room_for_headers(struct tm_header_room *room, size_t count)
{
    if (count > room->capacity) {
        room->at = tm_xgrow(room->at, count, sizeof(*room->at));
        room->capacity = count;
    }
}

static bool read_headers(
        struct tm_header_room *room, const rd_kafka_message_t *message, struct tm_record *out)
{
    rd_kafka_headers_t *headers = NULL;
    rd_kafka_resp_err_t failed = rd_kafka_message_headers(message, &headers);
    if (failed != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return failed == RD_KAFKA_RESP_ERR__NOENT;
    }
    size_t count = rd_kafka_header_cnt(headers);
    room_for_headers(room, count);
    for (size_t i = 0; i < count; i++) {
        const char *name = NULL;
        const void *value = NULL;
        size_t len = 0;
        if (rd_kafka_header_get_all(headers, i, &name, &value, &len) !=
                RD_KAFKA_RESP_ERR_NO_ERROR) {
            return false;
        }
        room->at[i] = (struct tm_header){tm_slice_str(name), tm_slice_of(value, len)};
    }
    out->headers = room->at;
    out->header_count = count;
    return true;
}

/* A record may be of CreateTime and have no time all the same. */
static enum tm_timestamp_type timestamp_type(rd_kafka_timestamp_type_t type, int64_t timestamp_ms)
{
    if (type == RD_KAFKA_TIMESTAMP_CREATE_TIME) {
        return timestamp_ms == -1 ? TM_TIMESTAMP_NONE : TM_TIMESTAMP_CREATE;
    }
    return type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME ? TM_TIMESTAMP_APPEND : TM_TIMESTAMP_NONE;
}

static bool read_record(
        struct tm_reader *reader, const rd_kafka_message_t *message, struct tm_record *out)
{
    rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    int64_t timestamp_ms = rd_kafka_message_timestamp(message, &type);
    *out = (struct tm_record){
            .offset = message->offset,
            .timestamp_ms = timestamp_ms,
            .timestamp_type = timestamp_type(type, timestamp_ms),
            .leader_epoch = rd_kafka_message_leader_epoch(message),
            .key = tm_slice_of(message->key, message->key_len),
            .value = tm_slice_of(message->payload, message->len),
    };
    return read_headers(&reader->headers, message, out);
}

static struct part *running_part(struct tm_reader *reader, const rd_kafka_message_t *message)
{
    if (message->partition < 0 || (size_t)message->partition >= reader->part_count) {
        return NULL;
    }
    struct part *part = &reader->parts[message->partition];
    return part->running ? part : NULL;
}

/* Look at one message of the batch, which the reader then owns as `lent`; true when *out is made. */
static bool take(struct tm_reader *reader, rd_kafka_message_t *message, struct tm_read_event *out)
{
    release(&reader->lent);
    reader->lent = message;
    struct part *part = running_part(reader, message);
    if (part == NULL) {
        return false;
    }
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return take_error(reader, message->partition, message, out);
    }
    if (message->offset >= part->end) {
        return give_end(reader, message->partition, out);
    }
    if (message->offset < part->next) {
        return false;
    }
    out->kind = TM_READ_RECORD;
    out->partition = message->partition;
    if (!read_record(reader, message, &out->record)) {
        *out = (struct tm_read_event){0};
        tm_err_set(&out->err, TM_E_KAFKA, "record %" PRId64 " has headers that cannot be read",
                message->offset);
        return give_failure(reader, message->partition, out);
    }
    note_movement(reader);
    part->next = message->offset + 1;
    if (part->next == part->end) {
        reader->ended = message->partition;
    }
    return true;
}

static bool take_from_batch(struct tm_reader *reader, struct tm_read_event *out)
{
    while (reader->at < reader->count) {
        rd_kafka_message_t *message = reader->batch[reader->at++];
        if (message != NULL && take(reader, message, out)) {
            return true;
        }
    }
    return false;
}

/* So many messages that they are about BATCH_BYTES, going by those that were fetched last. */
static void adapt_batch(struct tm_reader *reader)
{
    size_t bytes = 1;
    for (size_t i = 0; i < reader->count; i++) {
        bytes += reader->batch[i]->len + reader->batch[i]->key_len;
    }
    size_t fitting = (size_t)BATCH_BYTES * reader->count / bytes;
    reader->batch_size = fitting < 1 ? 1 : fitting > BATCH_MAX ? BATCH_MAX : fitting;
}

/*
 * Wait for messages. The library's batch call waits until all asked for have come, so what is there
 * is taken without waiting, and of what is not there only the first is waited for.
 */
static void refill(struct tm_reader *reader, int64_t wait_ms)
{
    tm_client_catch(&reader->caught);
    ssize_t got = rd_kafka_consume_batch_queue(reader->queue, 0, reader->batch, reader->batch_size);
    if (got <= 0 && wait_ms > 0) {
        int64_t begun = tm_mono_ns();
        got = rd_kafka_consume_batch_queue(reader->queue, (int)wait_ms, reader->batch, 1);
        reader->idle_ns += tm_mono_ns() - begun;
    }
    tm_client_catch(NULL);
    reader->at = 0;
    reader->count = got > 0 ? (size_t)got : 0;
    if (reader->count > 0) {
        tm_client_succeeded(&reader->kafka->client);
    }
    if (reader->count > 1) {
        adapt_batch(reader);
    }
}

/* Make all running partitions from `first` on fail with the error that `fault` holds. */
static void fail_from(struct tm_reader *reader, size_t first)
{
    for (size_t i = first; i < reader->part_count; i++) {
        struct part *part = &reader->parts[i];
        if (part->running && !part->failing) {
            part->failing = true;
            reader->failing++;
        }
    }
}

/* How many partitions the topic has now; -1: the brokers do not say, or there is no such topic. */
static int count_partitions(struct tm_reader *reader, int timeout_ms)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t failed =
            rd_kafka_metadata(reader->kafka->client.rk, 0, reader->topic, &metadata, timeout_ms);
    if (failed != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return -1;
    }
    bool there = metadata->topic_cnt == 1 &&
                 metadata->topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR &&
                 metadata->topics[0].partition_cnt > 0;
    int count = there ? metadata->topics[0].partition_cnt : -1;
    rd_kafka_metadata_destroy(metadata);
    return count;
}

static void fail_absent(struct tm_reader *reader, int partitions)
{
    reader->fault = (struct tm_err){0};
    tm_err_set(&reader->fault, TM_E_MISSING, "the topic has only %d partitions", partitions);
    fail_from(reader, (size_t)partitions);
}

/*
 * A topic error that librdkafka raises from its metadata does not say for which partition. Ask again,
 * so that partitions that are there do not fail with one that is not. Where all are there now, the
 * topic may have been created anew in between, and nothing that was read can be trusted to belong.
 */
static void confirm_topic_error(struct tm_reader *reader)
{
    struct tm_caught caught = reader->caught;
    reader->caught = (struct tm_caught){0};
    int partitions = count_partitions(reader, CONFIRM_MS);
    if (partitions > 0) {
        fail_absent(reader, partitions);
    }
    if (reader->failing > 0) {
        return;
    }
    reader->fault = (struct tm_err){0};
    tm_client_fail(&reader->kafka->client, caught.err, caught.text, &reader->fault);
    tm_rdkafka_needs(&reader->fault, "READ on Topic");
    if (partitions > 0) {
        reader->fault.code = TM_E_KAFKA; /* it may go well the next time */
        (void)tm_err_wrap(&reader->fault, "the topic was away and may have been created anew");
    }
    fail_from(reader, 0);
}

/* Of a partition that is not there, librdkafka may say nothing at all. Looked at once a silence. */
static void look_for_absent(struct tm_reader *reader)
{
    reader->has_looked = true;
    int64_t begun = tm_mono_ns();
    int partitions = count_partitions(reader, LOOK_MS);
    reader->idle_ns += tm_mono_ns() - begun;
    if (partitions > 0) {
        fail_absent(reader, partitions);
    }
}

static void report_stall(struct tm_reader *reader)
{
    reader->fault = (struct tm_err){0};
    tm_client_fail(&reader->kafka->client, RD_KAFKA_RESP_ERR__TIMED_OUT,
            "no answer from the brokers", &reader->fault);
    (void)tm_err_wrap(&reader->fault, "nothing came for %" PRId64 " s",
            (reader->idle_ns + NS_PER_MS * 500) / (NS_PER_MS * 1000));
    reader->idle_ns = 0;
    fail_from(reader, 0);
}

static bool give_next_failing(struct tm_reader *reader, struct tm_read_event *out)
{
    for (size_t i = 0; reader->failing > 0 && i < reader->part_count; i++) {
        if (!reader->parts[i].failing) {
            continue;
        }
        const struct part *part = &reader->parts[i];
        *out = (struct tm_read_event){.err = reader->fault};
        if (part->log_end >= 0 && part->log_end < part->end) {
            (void)tm_err_wrap(&out->err, "the log ends at %" PRId64 ", below %" PRId64,
                    part->log_end, part->end);
        }
        return give_failure(reader, (int32_t)i, out);
    }
    return false;
}

/* What is due when no message is at hand. */
static bool take_due(struct tm_reader *reader, struct tm_read_event *out)
{
    if (reader->caught.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        confirm_topic_error(reader);
    } else if (reader->idle_ns >= reader->stall_ns && reader->running > 0) {
        report_stall(reader);
    } else if (reader->idle_ns >= LOOK_AFTER_MS * NS_PER_MS && !reader->has_looked) {
        look_for_absent(reader);
    }
    return give_next_failing(reader, out);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void tm_reader_next(struct tm_reader *reader, int64_t timeout_ms, struct tm_read_event *out)
{
    if (reader->ended >= 0) {
        int32_t partition = reader->ended;
        reader->ended = -1;
        (void)give_end(reader, partition, out);
        return;
    }
    if (take_from_batch(reader, out)) {
        return;
    }
    release(&reader->lent);
    int64_t deadline_ns = tm_mono_ns() + timeout_ms * NS_PER_MS;
    int64_t wait_ms = 0; /* first what is there */
    while (reader->running > 0 && wait_ms >= 0) {
        refill(reader, wait_ms);
        if (take_from_batch(reader, out) || take_due(reader, out)) {
            return;
        }
        int64_t left_ns = deadline_ns - tm_mono_ns();
        int64_t stall_left_ns = reader->stall_ns - reader->idle_ns;
        wait_ms = left_ns <= 0
                          ? -1
                          : least(least(left_ns, stall_left_ns) / NS_PER_MS + 1, WAIT_SLICE_MS);
    }
    *out = (struct tm_read_event){.kind = TM_READ_IDLE};
}
