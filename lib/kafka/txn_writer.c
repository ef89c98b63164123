/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/txn_writer.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kafka/internal.h"

enum {
    SLICE_MS = 500,         /* of a call that can be made again: between looks at cancel */
    ENDING_MS = 120 * 1000, /* for a commit; the broker ends a transaction by itself after 60 s */
    ABORT_MS = 10 * 1000,
    PAUSE_MS = 100,
};
#define NS_PER_MS INT64_C(1000000)

struct tm_txn_part {
    struct tm_txn_writer *writer;
    struct tm_txn_part *next;
    char *topic;
    int32_t partition;
    int64_t done;         /* committed */
    int64_t sent;         /* in the open transaction */
    int64_t reported;     /* of them; the lock's */
    tm_txn_places places; /* of those reported; the lock's */
};

struct tm_txn_writer {
    struct tm_client client;
    const struct tm_kafka_options *options;
    char *name;
    struct tm_txn_part *parts;
    bool open; /* a transaction is */
    pthread_mutex_t lock;
    struct tm_err failure; /* of a delivery; the lock's */
};

/* Reports ------------------------------------------------------------------------------------- */

static void add_place(struct tm_txn_part *part, int64_t offset)
{
    int64_t index = part->done + part->reported;
    struct tm_txn_place *last =
            part->places.count > 0 ? &part->places.at[part->places.count - 1] : NULL;
    if (last != NULL && last->offset + last->count == offset) {
        last->count++;
    } else {
        *tm_vec_push(&part->places) = (struct tm_txn_place){index, offset, 1};
    }
}

static void on_delivery(const rd_kafka_message_t *message)
{
    struct tm_txn_part *part = message->_private;
    struct tm_txn_writer *writer = part->writer;
    pthread_mutex_lock(&writer->lock);
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR && message->offset >= 0) {
        add_place(part, message->offset);
    } else if (writer->failure.code == TM_OK) {
        rd_kafka_resp_err_t failed = message->err != RD_KAFKA_RESP_ERR_NO_ERROR
                                             ? message->err
                                             : RD_KAFKA_RESP_ERR__BAD_MSG;
        tm_client_fail(&writer->client, failed, NULL, &writer->failure);
        (void)tm_err_wrap(&writer->failure, "%s/%" PRId32 ": a record was not delivered",
                part->topic, part->partition);
    }
    part->reported++;
    pthread_mutex_unlock(&writer->lock);
}

static const struct tm_client_hooks hooks = {.delivered = on_delivery};

static enum tm_code failure_of(struct tm_txn_writer *writer, struct tm_err *err)
{
    pthread_mutex_lock(&writer->lock);
    enum tm_code code = writer->failure.code;
    if (code != TM_OK) {
        *err = writer->failure;
    }
    pthread_mutex_unlock(&writer->lock);
    return code;
}

/* Calls that may have to be made again --------------------------------------------------------- */

struct step {
    struct tm_txn_writer *writer;
    const char *what;
    rd_kafka_error_t *(*call)(struct tm_txn_writer *writer, void *arg, int timeout_ms);
    void *arg;
    int64_t timeout_ms;
    const atomic_bool *cancel; /* NULL: cannot be broken off */
};

static enum tm_code take_error(const struct step *step, rd_kafka_error_t *error, struct tm_err *err)
{
    struct tm_txn_writer *writer = step->writer;
    tm_client_fail(&writer->client, rd_kafka_error_code(error), rd_kafka_error_string(error), err);
    rd_kafka_error_destroy(error);
    return tm_err_wrap(err, "cluster %s: %s", writer->client.cluster, step->what);
}

static enum tm_code repeat(const struct step *step, struct tm_err *err)
{
    int64_t give_up_ns = tm_mono_ns() + step->timeout_ms * NS_PER_MS;
    for (;;) {
        rd_kafka_error_t *error = step->call(step->writer, step->arg, SLICE_MS);
        if (error == NULL) {
            tm_client_succeeded(&step->writer->client);
            return TM_OK;
        }
        bool again = rd_kafka_error_is_retriable(error) != 0;
        if (step->cancel != NULL && atomic_load(step->cancel)) {
            rd_kafka_error_destroy(error);
            return tm_err_set(err, TM_E_CANCELLED, "cancelled");
        }
        if (!again || tm_mono_ns() > give_up_ns) {
            return take_error(step, error, err);
        }
        rd_kafka_error_destroy(error);
        tm_sleep_ms(PAUSE_MS);
    }
}

static rd_kafka_error_t *init(struct tm_txn_writer *writer, void *arg, int timeout_ms)
{
    (void)arg;
    return rd_kafka_init_transactions(writer->client.rk, timeout_ms);
}

static rd_kafka_error_t *commit(struct tm_txn_writer *writer, void *arg, int timeout_ms)
{
    (void)arg;
    return rd_kafka_commit_transaction(writer->client.rk, timeout_ms);
}

static rd_kafka_error_t *abort_open(struct tm_txn_writer *writer, void *arg, int timeout_ms)
{
    (void)arg;
    return rd_kafka_abort_transaction(writer->client.rk, timeout_ms);
}

static rd_kafka_error_t *send_numbers(struct tm_txn_writer *writer, void *arg, int timeout_ms)
{
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata_new(writer->name);
    rd_kafka_error_t *error =
            rd_kafka_send_offsets_to_transaction(writer->client.rk, arg, group, timeout_ms);
    rd_kafka_consumer_group_metadata_destroy(group);
    return error;
}

/* Opening ------------------------------------------------------------------------------------- */

enum tm_code tm_txn_writer_open(const struct tm_kafka_options *options, const char *name,
        int64_t timeout_ms, const atomic_bool *cancel, struct tm_txn_writer **out,
        struct tm_err *err)
{
    struct tm_txn_writer *writer = tm_xalloc(1, sizeof(*writer));
    struct tm_kafka_options own = *options;
    own.transactional_id = name;
    writer->options = options;
    pthread_mutex_init(&writer->lock, NULL);
    if (tm_client_open(&writer->client, RD_KAFKA_PRODUCER, &own, &hooks, writer, err) != TM_OK) {
        pthread_mutex_destroy(&writer->lock);
        free(writer);
        return err->code;
    }
    writer->name = strdup(name);
    tm_assert(writer->name != NULL);
    struct step step = {writer, "begin to write in transactions", init, NULL, timeout_ms, cancel};
    if (repeat(&step, err) != TM_OK) {
        tm_txn_writer_close(writer);
        return err->code;
    }
    *out = writer;
    return TM_OK;
}

void tm_txn_writer_close(struct tm_txn_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    struct tm_err ignored = {0}; /* the broker aborts it by itself when its time is over */
    TM_LATER(tm_txn_writer_abort(writer, &ignored));
    rd_kafka_purge(writer->client.rk,
            RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
    tm_client_close(&writer->client); /* the last reports: the parts must be there */
    while (writer->parts != NULL) {
        struct tm_txn_part *part = writer->parts;
        writer->parts = part->next;
        tm_vec_done(&part->places);
        free(part->topic);
        free(part);
    }
    pthread_mutex_destroy(&writer->lock);
    free(writer->name);
    free(writer);
}

struct tm_txn_part *tm_txn_writer_part(
        struct tm_txn_writer *writer, const char *topic, int32_t partition)
{
    struct tm_txn_part *part = tm_xalloc(1, sizeof(*part));
    part->writer = writer;
    part->topic = strdup(topic);
    part->partition = partition;
    part->next = writer->parts;
    tm_assert(part->topic != NULL);
    writer->parts = part;
    return part;
}

int64_t tm_txn_part_done(const struct tm_txn_part *part)
{
    return part->done;
}

const tm_txn_places *tm_txn_part_places(const struct tm_txn_part *part)
{
    return &part->places;
}

/* Progress ------------------------------------------------------------------------------------ */

static void take_number(struct tm_txn_writer *writer, const rd_kafka_topic_partition_t *at)
{
    for (struct tm_txn_part *part = writer->parts; part != NULL; part = part->next) {
        if (part->partition == at->partition && strcmp(part->topic, at->topic) == 0) {
            part->done = at->offset > 0 ? at->offset : 0;
        }
    }
}

static enum tm_code take_numbers(
        struct tm_txn_writer *writer, rd_kafka_event_t *event, struct tm_err *err)
{
    size_t count = 0;
    const rd_kafka_group_result_t **groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
            rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
    const rd_kafka_error_t *failed = count == 1 ? rd_kafka_group_result_error(groups[0]) : NULL;
    if (failed != NULL) {
        return tm_client_fail(
                &writer->client, rd_kafka_error_code(failed), rd_kafka_error_string(failed), err);
    }
    const rd_kafka_topic_partition_list_t *list =
            count == 1 ? rd_kafka_group_result_partitions(groups[0]) : NULL;
    for (int i = 0; list != NULL && i < list->cnt; i++) {
        if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return tm_client_fail(&writer->client, list->elems[i].err, NULL, err);
        }
        take_number(writer, &list->elems[i]);
    }
    return TM_OK;
}

static enum tm_code ask_numbers(struct tm_txn_writer *writer, struct tm_client *client,
        int64_t timeout_ms, struct tm_err *err)
{
    *err = (struct tm_err){0};
    TM_ADMIN_OWN struct tm_admin_call call =
            tm_admin_call_of_group(client, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    rd_kafka_error_t *refused = rd_kafka_AdminOptions_set_require_stable_offsets(call.options, 1);
    tm_assert(refused == NULL);
    rd_kafka_ListConsumerGroupOffsets_t *asked =
            rd_kafka_ListConsumerGroupOffsets_new(writer->name, NULL);
    rd_kafka_ListConsumerGroupOffsets(client->rk, &asked, 1, call.options, call.queue);
    rd_kafka_ListConsumerGroupOffsets_destroy(asked);
    TM_EVENT_OWN rd_kafka_event_t *event = tm_admin_call_poll(&call, timeout_ms);
    TM_TRY(tm_admin_call_check(client, event, err));
    return take_numbers(writer, event, err);
}

enum tm_code tm_txn_writer_progress(struct tm_txn_writer *writer, int64_t timeout_ms,
        const atomic_bool *cancel, struct tm_err *err)
{
    int64_t give_up_ns = tm_mono_ns() + timeout_ms * NS_PER_MS;
    int64_t each_ms = timeout_ms < 3000 ? timeout_ms : 3000;
    struct tm_kafka_options options = *writer->options;
    options.groups = true; /* the library crashes on others: groups.h */
    TM_OWN(tm_kafka_close) struct tm_kafka *kafka = NULL;
    TM_TRY(tm_kafka_open(&options, &kafka, err));
    for (;;) {
        enum tm_code code = ask_numbers(writer, &kafka->client, each_ms, err);
        /* Not stable yet, or its coordinator is on the move: soon it will be. */
        if (code == TM_OK || !tm_code_retryable(code) || tm_mono_ns() > give_up_ns) {
            return code == TM_OK ? TM_OK
                                 : tm_err_wrap(err, "cluster %s: how far the restore has come",
                                           writer->client.cluster);
        }
        if (cancel != NULL && atomic_load(cancel)) {
            return tm_err_set(err, TM_E_CANCELLED, "cancelled");
        }
        tm_sleep_ms(PAUSE_MS);
    }
}

/* Writing ------------------------------------------------------------------------------------- */

static void *unconst(const void *at)
{
    void *same;
    memcpy(&same, &at, sizeof(same));
    return same;
}

static rd_kafka_headers_t *make_headers(const struct tm_record *record)
{
    rd_kafka_headers_t *headers =
            record->header_count > 0 ? rd_kafka_headers_new(record->header_count) : NULL;
    for (size_t i = 0; i < record->header_count; i++) {
        const struct tm_header *header = &record->headers[i];
        tm_assert(rd_kafka_header_add(headers, (const char *)header->name.at,
                          (ssize_t)header->name.len, header->value.at,
                          (ssize_t)header->value.len) == RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    return headers;
}

/* On success, and only then, `headers` belong to the library. */
static rd_kafka_error_t *produce(
        struct tm_txn_part *part, const struct tm_record *record, rd_kafka_headers_t *headers)
{
    rd_kafka_vu_t arguments[] = {
            {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = part->topic},
            {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = part->partition},
            {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
            {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = part},
            {.vtype = RD_KAFKA_VTYPE_TIMESTAMP,
                    .u.i64 = record->timestamp_ms == 0 ? 1 : record->timestamp_ms},
            {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {unconst(record->key.at), record->key.len}},
            {.vtype = RD_KAFKA_VTYPE_VALUE,
                    .u.mem = {unconst(record->value.at), record->value.len}},
            {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    size_t count = sizeof(arguments) / sizeof(arguments[0]) - (headers == NULL ? 1 : 0);
    return rd_kafka_produceva(part->writer->client.rk, arguments, count);
}

static enum tm_code begin(struct tm_txn_writer *writer, struct tm_err *err)
{
    rd_kafka_error_t *error = writer->open ? NULL : rd_kafka_begin_transaction(writer->client.rk);
    if (error != NULL) {
        struct step step = {.writer = writer, .what = "begin a transaction"};
        return take_error(&step, error, err);
    }
    writer->open = true;
    return TM_OK;
}

enum tm_code tm_txn_writer_send(struct tm_txn_part *part, const struct tm_record *record,
        const atomic_bool *cancel, struct tm_err *err)
{
    struct tm_txn_writer *writer = part->writer;
    TM_TRY(begin(writer, err));
    rd_kafka_headers_t *headers = make_headers(record);
    rd_kafka_error_t *error = produce(part, record, headers);
    while (error != NULL && rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__QUEUE_FULL &&
            failure_of(writer, err) == TM_OK && (cancel == NULL || !atomic_load(cancel))) {
        rd_kafka_error_destroy(error);
        (void)rd_kafka_flush(writer->client.rk, PAUSE_MS);
        error = produce(part, record, headers);
    }
    if (error != NULL) {
        if (headers != NULL) {
            rd_kafka_headers_destroy(headers);
        }
        struct step step = {.writer = writer, .what = "write a record"};
        return take_error(&step, error, err);
    }
    part->sent++;
    return failure_of(writer, err);
}

static int64_t missing(struct tm_txn_writer *writer)
{
    int64_t count = 0;
    pthread_mutex_lock(&writer->lock);
    for (const struct tm_txn_part *part = writer->parts; part != NULL; part = part->next) {
        count += part->sent - part->reported;
    }
    pthread_mutex_unlock(&writer->lock);
    return count;
}

enum tm_code tm_txn_writer_flush(
        struct tm_txn_writer *writer, const atomic_bool *cancel, struct tm_err *err)
{
    int64_t give_up_ns = tm_mono_ns() + ENDING_MS * NS_PER_MS;
    while (missing(writer) > 0) {
        TM_TRY(failure_of(writer, err));
        if (cancel != NULL && atomic_load(cancel)) {
            return tm_err_set(err, TM_E_CANCELLED, "cancelled");
        }
        if (tm_mono_ns() > give_up_ns) {
            tm_client_fail(&writer->client, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, err);
            return tm_err_wrap(
                    err, "cluster %s: records are not delivered", writer->client.cluster);
        }
        (void)rd_kafka_flush(writer->client.rk, PAUSE_MS);
    }
    return failure_of(writer, err);
}

static rd_kafka_topic_partition_list_t *numbers(const struct tm_txn_writer *writer)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    for (const struct tm_txn_part *part = writer->parts; part != NULL; part = part->next) {
        if (part->sent > 0) {
            rd_kafka_topic_partition_list_add(list, part->topic, part->partition)->offset =
                    part->done + part->sent;
        }
    }
    return list;
}

/* Nothing of a transaction is open any more; `kept`: its records are there. */
static void end(struct tm_txn_writer *writer, bool kept)
{
    pthread_mutex_lock(&writer->lock);
    for (struct tm_txn_part *part = writer->parts; part != NULL; part = part->next) {
        part->done += kept ? part->sent : 0;
        part->sent = 0;
        part->reported = 0;
        part->places.count = 0;
    }
    writer->failure = (struct tm_err){0};
    pthread_mutex_unlock(&writer->lock);
    writer->open = false;
}

enum tm_code tm_txn_writer_commit(
        struct tm_txn_writer *writer, const atomic_bool *cancel, struct tm_err *err)
{
    if (!writer->open) {
        return TM_OK;
    }
    rd_kafka_topic_partition_list_t *list = numbers(writer);
    struct step step = {
            writer, "add the progress to the transaction", send_numbers, list, ENDING_MS, cancel};
    enum tm_code code = repeat(&step, err);
    rd_kafka_topic_partition_list_destroy(list);
    if (code == TM_OK) {
        step = (struct step){writer, "commit the transaction", commit, NULL, ENDING_MS, cancel};
        code = repeat(&step, err);
    }
    if (code == TM_OK) {
        end(writer, true);
    }
    return code;
}

enum tm_code tm_txn_writer_abort(struct tm_txn_writer *writer, struct tm_err *err)
{
    if (!writer->open) {
        return TM_OK;
    }
    struct step step = {writer, "abort the transaction", abort_open, NULL, ABORT_MS, NULL};
    TM_TRY(repeat(&step, err));
    while (missing(writer) > 0 && rd_kafka_outq_len(writer->client.rk) > 0) {
        (void)rd_kafka_flush(writer->client.rk, PAUSE_MS); /* reports of what was dropped */
    }
    end(writer, false);
    return TM_OK;
}
