/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kafka/internal.h"

enum {
    FIRST_RETRY_MS = 50,
    LONGEST_RETRY_MS = 1000,
    ASKED_AT_ONCE = 500,
};

/* An asked row, sorted among the others by topic and partition. */
struct row {
    struct tm_offsets *at;
    rd_kafka_resp_err_t failed;
};

/* The three questions, asked at once and answered in any order. */
enum question { LOG_START, LSO, HIGH_WATERMARK, QUESTIONS };

static int compare(const char *topic, int32_t partition, const struct tm_offsets *row)
{
    int order = strcmp(topic, row->topic);
    return order != 0 ? order : (partition > row->partition) - (partition < row->partition);
}

static int by_partition(const void *a, const void *b)
{
    const struct row *left = a;
    const struct row *right = b;
    return compare(left->at->topic, left->at->partition, right->at);
}

/* The first of the sorted rows that asks for this partition. */
static size_t first_row(
        const struct row *sorted, size_t count, const char *topic, int32_t partition)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (compare(topic, partition, sorted[mid].at) > 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static void fill(struct tm_offsets *row, enum question question, int64_t offset)
{
    switch (question) {
    case LOG_START:
        row->log_start = offset;
        break;
    case LSO:
        row->lso = offset;
        break;
    case HIGH_WATERMARK:
        row->high_watermark = offset;
        break;
    case QUESTIONS:
        break;
    }
}

static void fill_error(struct tm_client *client, struct row *row, rd_kafka_resp_err_t failed)
{
    struct tm_err err = {0};
    row->failed = failed;
    row->at->code = tm_client_fail(client, failed, NULL, &err);
    tm_rdkafka_needs(&err, "DESCRIBE on Topic");
    (void)snprintf(row->at->error, sizeof(row->at->error), "%.*s", (int)sizeof(row->at->error) - 1,
            err.msg);
}

/* A partition may have been asked for in several rows. */
static void read_info(struct tm_client *client, struct row *sorted, size_t count,
        const rd_kafka_topic_partition_t *given, enum question question)
{
    size_t at = first_row(sorted, count, given->topic, given->partition);
    for (; at < count && compare(given->topic, given->partition, sorted[at].at) == 0; at++) {
        if (given->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            fill(sorted[at].at, question, given->offset);
        } else if (sorted[at].at->code == TM_OK) {
            fill_error(client, &sorted[at], given->err);
        }
    }
}

static void read_answer(
        struct tm_client *client, struct row *sorted, size_t count, rd_kafka_event_t *event)
{
    const enum question *question = rd_kafka_event_opaque(event);
    size_t answered = 0;
    const rd_kafka_ListOffsetsResultInfo_t **at =
            rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event), &answered);
    for (size_t i = 0; i < answered; i++) {
        read_info(client, sorted, count, rd_kafka_ListOffsetsResultInfo_topic_partition(at[i]),
                *question);
    }
}

static rd_kafka_topic_partition_list_t *partitions(const struct row *sorted, size_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || by_partition(&sorted[i - 1], &sorted[i]) != 0) {
            rd_kafka_topic_partition_list_add(list, sorted[i].at->topic, sorted[i].at->partition);
        }
    }
    return list;
}

static void ask(struct tm_client *client, struct tm_admin_call *call, enum question *question,
        rd_kafka_topic_partition_list_t *list)
{
    int64_t spec =
            *question == LOG_START ? RD_KAFKA_OFFSET_SPEC_EARLIEST : RD_KAFKA_OFFSET_SPEC_LATEST;
    for (int i = 0; i < list->cnt; i++) {
        list->elems[i].offset = spec;
    }
    rd_kafka_error_t *refused = rd_kafka_AdminOptions_set_isolation_level(
            call->options, *question == LSO ? RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED
                                            : RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED);
    tm_assert(refused == NULL);
    rd_kafka_AdminOptions_set_opaque(call->options, question);
    rd_kafka_ListOffsets(client->rk, list, call->options, call->queue);
}

/* librdkafka's work on one answer grows with the square of its partitions: ask for some at a time. */
static enum tm_code ask_all(struct tm_client *client, struct row *sorted, size_t count,
        int64_t timeout_ms, struct tm_err *err)
{
    TM_ADMIN_OWN struct tm_admin_call call =
            tm_admin_call_new(client, RD_KAFKA_ADMIN_OP_LISTOFFSETS, timeout_ms);
    enum question questions[QUESTIONS] = {LOG_START, LSO, HIGH_WATERMARK};
    size_t calls = 0;
    for (size_t from = 0; from < count; from += ASKED_AT_ONCE) {
        size_t some = count - from < ASKED_AT_ONCE ? count - from : ASKED_AT_ONCE;
        rd_kafka_topic_partition_list_t *list = partitions(sorted + from, some);
        for (size_t i = 0; i < QUESTIONS; i++) {
            ask(client, &call, &questions[i], list);
            calls++;
        }
        rd_kafka_topic_partition_list_destroy(list);
    }
    for (; calls > 0; calls--) {
        TM_EVENT_OWN rd_kafka_event_t *event = tm_admin_call_poll(&call, timeout_ms);
        if (event != NULL && rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__NOENT) {
            continue; /* none of these partitions has a leader: see explain_silence() */
        }
        if (tm_admin_call_check(client, event, err) != TM_OK) {
            return tm_err_wrap(
                    err, "cluster %s: offsets of %zu partitions", client->cluster, count);
        }
        read_answer(client, sorted, count, event);
    }
    return TM_OK;
}

static bool is_answered(const struct tm_offsets *row)
{
    return row->code != TM_OK || (row->log_start >= 0 && row->lso >= 0 && row->high_watermark >= 0);
}

static rd_kafka_resp_err_t reason_of_silence(
        const struct tm_topic_list *topics, const struct tm_offsets *row)
{
    for (size_t i = 0; i < topics->count; i++) {
        if (strcmp(topics->at[i].name, row->topic) == 0) {
            return row->partition < topics->at[i].partitions
                           ? RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE
                           : RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
        }
    }
    return RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
}

/* A partition that the answers passed over must not look like an empty one. */
static enum tm_code explain_silence(struct tm_kafka *kafka, struct row *rows, size_t count,
        int64_t timeout_ms, struct tm_err *err)
{
    struct tm_topic_list topics = {0};
    bool asked = false;
    for (size_t i = 0; i < count; i++) {
        if (is_answered(rows[i].at)) {
            continue;
        }
        if (!asked && tm_kafka_topics(kafka, timeout_ms, &topics, err) != TM_OK) {
            return err->code;
        }
        asked = true;
        fill_error(&kafka->client, &rows[i], reason_of_silence(&topics, rows[i].at));
    }
    tm_topic_list_done(&topics);
    return TM_OK;
}

static void clear(struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct tm_offsets *row = rows[i].at;
        row->log_start = row->lso = row->high_watermark = -1;
        row->code = TM_OK;
        row->error[0] = '\0';
        rows[i].failed = RD_KAFKA_RESP_ERR_NO_ERROR;
    }
}

/* A leader that moves, or has just been made and does not know it yet: the next answer may be good. */
static bool is_passing(rd_kafka_resp_err_t failed)
{
    return failed == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION ||
           failed == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
           failed == RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH ||
           failed == RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH ||
           failed == RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE ||
           failed == RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE ||
           failed == RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR;
}

/* Keep the rows that are worth another question, in their order; how many there are. */
static size_t keep_passing(struct row *rows, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_passing(rows[i].failed)) {
            rows[kept++] = rows[i];
        }
    }
    return kept;
}

enum tm_code tm_kafka_offsets(struct tm_kafka *kafka, struct tm_offsets *rows, size_t count,
        int64_t timeout_ms, struct tm_err *err)
{
    if (count == 0) {
        return TM_OK;
    }
    int64_t deadline_ns = tm_mono_ns() + timeout_ms * 1000000;
    struct row *left = tm_xalloc(count, sizeof(*left));
    for (size_t i = 0; i < count; i++) {
        left[i].at = &rows[i];
    }
    qsort(left, count, sizeof(*left), by_partition);
    enum tm_code code = TM_OK;
    int64_t pause_ms = FIRST_RETRY_MS;
    for (int64_t left_ms = timeout_ms > 0 ? timeout_ms : 1;
            code == TM_OK && count > 0 && left_ms > 0;) {
        clear(left, count);
        code = ask_all(&kafka->client, left, count, left_ms, err);
        if (code == TM_OK) {
            code = explain_silence(kafka, left, count, left_ms, err);
        }
        count = keep_passing(left, count);
        left_ms = (deadline_ns - tm_mono_ns()) / 1000000 - pause_ms;
        if (count > 0 && left_ms > 0) {
            tm_sleep_ms(pause_ms);
            pause_ms = pause_ms * 2 < LONGEST_RETRY_MS ? pause_ms * 2 : LONGEST_RETRY_MS;
        }
    }
    free(left);
    return code;
}
