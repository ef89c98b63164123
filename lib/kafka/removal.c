/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/removal.h"

#include <inttypes.h>

#include "kafka/internal.h"

static enum tm_code need_controller(struct tm_kafka *kafka, int64_t timeout_ms, struct tm_err *err)
{
    bool offered = false;
    if (tm_kafka_controller(kafka, timeout_ms, &offered, err) != TM_OK) {
        return err->code;
    }
    return offered ? TM_OK
                   : tm_err_set(err, TM_E_UNSUPPORTED,
                             "cluster %s: it has no controller, so nothing of it can be deleted",
                             kafka->client.cluster);
}

static enum tm_code read_deleted(
        struct tm_kafka *kafka, rd_kafka_event_t *event, struct tm_err *err)
{
    const rd_kafka_DeleteRecords_result_t *result = rd_kafka_event_DeleteRecords_result(event);
    const rd_kafka_topic_partition_list_t *list = rd_kafka_DeleteRecords_result_offsets(result);
    for (int i = 0; i < list->cnt; i++) {
        if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            tm_client_fail(&kafka->client, list->elems[i].err, NULL, err);
            return tm_err_wrap(err, "partition %" PRId32, list->elems[i].partition);
        }
    }
    return TM_OK;
}

static enum tm_code delete_records(struct tm_kafka *kafka, const char *topic, int32_t partitions,
        int64_t timeout_ms, struct tm_err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int32_t p = 0; p < partitions; p++) {
        rd_kafka_topic_partition_list_add(list, topic, p)->offset = RD_KAFKA_OFFSET_END;
    }
    rd_kafka_DeleteRecords_t *asked = rd_kafka_DeleteRecords_new(list);
    rd_kafka_topic_partition_list_destroy(list);
    TM_ADMIN_OWN struct tm_admin_call call =
            tm_admin_call_new(&kafka->client, RD_KAFKA_ADMIN_OP_DELETERECORDS, timeout_ms);
    rd_kafka_DeleteRecords(kafka->client.rk, &asked, 1, call.options, call.queue);
    rd_kafka_DeleteRecords_destroy(asked);
    TM_EVENT_OWN rd_kafka_event_t *event = tm_admin_call_poll(&call, timeout_ms);
    TM_TRY(tm_admin_call_check(&kafka->client, event, err));
    return read_deleted(kafka, event, err);
}

enum tm_code tm_kafka_delete_records(struct tm_kafka *kafka, const char *topic, int32_t partitions,
        int64_t timeout_ms, struct tm_err *err)
{
    TM_TRY(need_controller(kafka, timeout_ms, err));
    return delete_records(kafka, topic, partitions, timeout_ms, err) == TM_OK
                   ? TM_OK
                   : tm_err_wrap(err, "cluster %s: delete the records of topic %s",
                             kafka->client.cluster, topic);
}

static enum tm_code delete_topic(
        struct tm_kafka *kafka, const char *topic, int64_t timeout_ms, struct tm_err *err)
{
    rd_kafka_DeleteTopic_t *asked = rd_kafka_DeleteTopic_new(topic);
    TM_ADMIN_OWN struct tm_admin_call call =
            tm_admin_call_new(&kafka->client, RD_KAFKA_ADMIN_OP_DELETETOPICS, timeout_ms);
    rd_kafka_DeleteTopics(kafka->client.rk, &asked, 1, call.options, call.queue);
    rd_kafka_DeleteTopic_destroy(asked);
    TM_EVENT_OWN rd_kafka_event_t *event = tm_admin_call_poll(&call, timeout_ms);
    TM_TRY(tm_admin_call_check(&kafka->client, event, err));
    size_t count = 0;
    const rd_kafka_topic_result_t **results =
            rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
    rd_kafka_resp_err_t failed =
            count == 1 ? rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR__BAD_MSG;
    if (failed == RD_KAFKA_RESP_ERR_NO_ERROR || failed == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        return TM_OK;
    }
    const char *text = count == 1 ? rd_kafka_topic_result_error_string(results[0]) : NULL;
    return tm_client_fail(&kafka->client, failed, text, err);
}

enum tm_code tm_kafka_delete_topic(
        struct tm_kafka *kafka, const char *topic, int64_t timeout_ms, struct tm_err *err)
{
    TM_TRY(need_controller(kafka, timeout_ms, err));
    return delete_topic(kafka, topic, timeout_ms, err) == TM_OK
                   ? TM_OK
                   : tm_err_wrap(err, "cluster %s: delete topic %s", kafka->client.cluster, topic);
}

static enum tm_code read_group(struct tm_kafka *kafka, rd_kafka_event_t *event, struct tm_err *err)
{
    size_t count = 0;
    const rd_kafka_group_result_t **groups =
            rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event), &count);
    const rd_kafka_error_t *failed = count == 1 ? rd_kafka_group_result_error(groups[0]) : NULL;
    if (failed == NULL || rd_kafka_error_code(failed) == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND) {
        return TM_OK;
    }
    return tm_client_fail(
            &kafka->client, rd_kafka_error_code(failed), rd_kafka_error_string(failed), err);
}

enum tm_code tm_kafka_delete_group(
        struct tm_kafka *kafka, const char *group, int64_t timeout_ms, struct tm_err *err)
{
    rd_kafka_DeleteGroup_t *asked = rd_kafka_DeleteGroup_new(group);
    TM_ADMIN_OWN struct tm_admin_call call =
            tm_admin_call_of_group(&kafka->client, RD_KAFKA_ADMIN_OP_DELETEGROUPS);
    rd_kafka_DeleteGroups(kafka->client.rk, &asked, 1, call.options, call.queue);
    rd_kafka_DeleteGroup_destroy(asked);
    TM_EVENT_OWN rd_kafka_event_t *event = tm_admin_call_poll(&call, timeout_ms);
    enum tm_code code = tm_admin_call_check(&kafka->client, event, err);
    code = code == TM_OK ? read_group(kafka, event, err) : code;
    return code == TM_OK ? TM_OK
                         : tm_err_wrap(err, "cluster %s: delete the group %s",
                                   kafka->client.cluster, group);
}
