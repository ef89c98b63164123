/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka/internal.h"

/* The three questions, asked at once and answered in any order. */
enum question { LOG_START, LSO, HIGH_WATERMARK, QUESTIONS };

static int compare(const char *topic, int32_t partition, const struct tm_offsets *row)
{
    int order = strcmp(topic, row->topic);
    return order != 0 ? order : (partition > row->partition) - (partition < row->partition);
}

static int by_partition(const void *a, const void *b)
{
    const struct tm_offsets *const *left = a;
    const struct tm_offsets *const *right = b;
    return compare((*left)->topic, (*left)->partition, *right);
}

/* The first of the sorted rows that asks for this partition. */
static size_t first_row(
        struct tm_offsets *const *sorted, size_t count, const char *topic, int32_t partition)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (compare(topic, partition, sorted[mid]) > 0) {
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

static void fill_error(struct tm_client *client, struct tm_offsets *row, rd_kafka_resp_err_t failed)
{
    struct tm_err err = {0};
    row->code = tm_client_fail(client, failed, NULL, &err);
    (void)snprintf(row->error, sizeof(row->error), "%.*s", (int)sizeof(row->error) - 1, err.msg);
}

static void read_answer(struct tm_client *client, struct tm_offsets *const *sorted, size_t count,
        rd_kafka_event_t *event)
{
    const enum question *question = rd_kafka_event_opaque(event);
    size_t answered = 0;
    const rd_kafka_ListOffsetsResultInfo_t **at =
            rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event), &answered);
    for (size_t i = 0; i < answered; i++) {
        const rd_kafka_topic_partition_t *given =
                rd_kafka_ListOffsetsResultInfo_topic_partition(at[i]);
        size_t row = first_row(sorted, count, given->topic, given->partition);
        for (; row < count && compare(given->topic, given->partition, sorted[row]) == 0; row++) {
            if (given->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
                fill(sorted[row], *question, given->offset);
            } else if (sorted[row]->code == TM_OK) {
                fill_error(client, sorted[row], given->err);
            }
        }
    }
}

static rd_kafka_topic_partition_list_t *partitions(struct tm_offsets *const *sorted, size_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || by_partition(&sorted[i - 1], &sorted[i]) != 0) {
            rd_kafka_topic_partition_list_add(list, sorted[i]->topic, sorted[i]->partition);
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

static enum tm_code ask_all(struct tm_client *client, struct tm_offsets *const *sorted,
        size_t count, int64_t timeout_ms, struct tm_err *err)
{
    TM_ADMIN_OWN struct tm_admin_call call =
            tm_admin_call_new(client, RD_KAFKA_ADMIN_OP_LISTOFFSETS, timeout_ms);
    enum question questions[QUESTIONS] = {LOG_START, LSO, HIGH_WATERMARK};
    rd_kafka_topic_partition_list_t *list = partitions(sorted, count);
    for (size_t i = 0; i < QUESTIONS; i++) {
        ask(client, &call, &questions[i], list);
    }
    rd_kafka_topic_partition_list_destroy(list);

    for (size_t i = 0; i < QUESTIONS; i++) {
        TM_EVENT_OWN rd_kafka_event_t *event = NULL;
        if (tm_admin_call_wait(client, &call, timeout_ms, &event, err) != TM_OK) {
            return tm_err_wrap(
                    err, "cluster %s: offsets of %zu partitions", client->cluster, count);
        }
        read_answer(client, sorted, count, event);
    }
    return TM_OK;
}

/* A partition that an answer passed over in silence must not look like an empty one. */
static void check_answered(struct tm_offsets *row)
{
    bool whole = row->log_start >= 0 && row->lso >= 0 && row->high_watermark >= 0;
    if (row->code == TM_OK && !whole) {
        row->code = TM_E_KAFKA;
        (void)snprintf(row->error, sizeof(row->error), "the brokers gave no offsets");
    }
}

enum tm_code tm_kafka_offsets(struct tm_kafka *kafka, struct tm_offsets *rows, size_t count,
        int64_t timeout_ms, struct tm_err *err)
{
    if (count == 0) {
        return TM_OK;
    }
    struct tm_offsets **sorted = tm_xalloc(count, sizeof(struct tm_offsets *));
    for (size_t i = 0; i < count; i++) {
        rows[i].log_start = rows[i].lso = rows[i].high_watermark = -1;
        rows[i].code = TM_OK;
        rows[i].error[0] = '\0';
        sorted[i] = &rows[i];
    }
    qsort(sorted, count, sizeof(struct tm_offsets *), by_partition);
    enum tm_code code = ask_all(&kafka->client, sorted, count, timeout_ms, err);
    for (size_t i = 0; code == TM_OK && i < count; i++) {
        check_answered(&rows[i]);
    }
    free(sorted);
    return code;
}
