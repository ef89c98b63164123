/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/cluster_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka/internal.h"

enum { DESCRIBED_AT_ONCE = 250 };

_Static_assert(TM_MAY_READ == 1 << RD_KAFKA_ACL_OPERATION_READ &&
                       TM_MAY_WRITE == 1 << RD_KAFKA_ACL_OPERATION_WRITE &&
                       TM_MAY_CREATE == 1 << RD_KAFKA_ACL_OPERATION_CREATE &&
                       TM_MAY_DELETE == 1 << RD_KAFKA_ACL_OPERATION_DELETE &&
                       TM_MAY_ALTER == 1 << RD_KAFKA_ACL_OPERATION_ALTER &&
                       TM_MAY_DESCRIBE == 1 << RD_KAFKA_ACL_OPERATION_DESCRIBE &&
                       TM_MAY_DESCRIBE_CONFIGS == 1 << RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS &&
                       TM_MAY_ALTER_CONFIGS == 1 << RD_KAFKA_ACL_OPERATION_ALTER_CONFIGS,
        "Kafka's numbers of operations are the places of the bits");

/* Settings ------------------------------------------------------------------------------------ */

static enum tm_setting_from read_from(rd_kafka_ConfigSource_t source)
{
    return source == RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG ? TM_SETTING_TOPIC
           : source == RD_KAFKA_CONFIG_SOURCE_DEFAULT_CONFIG     ? TM_SETTING_DEFAULT
                                                                 : TM_SETTING_BROKER;
}

static int by_name(const void *a, const void *b)
{
    const struct tm_setting *left = a;
    const struct tm_setting *right = b;
    return strcmp(left->name, right->name);
}

const struct tm_setting *tm_setting_find(const struct tm_settings *settings, const char *name)
{
    struct tm_setting key = {.name = name};
    return settings->count > 0 ? bsearch(&key, settings->at, settings->count, sizeof(key), by_name)
                               : NULL;
}

static void read_settings(
        struct tm_settings *row, const rd_kafka_ConfigResource_t *given, struct tm_arena *arena)
{
    rd_kafka_resp_err_t failed = rd_kafka_ConfigResource_error(given);
    if (failed != RD_KAFKA_RESP_ERR_NO_ERROR) {
        const char *text = rd_kafka_ConfigResource_error_string(given);
        row->code = tm_rdkafka_code(failed);
        row->error = tm_arena_fmt(arena, "%s: %s", rd_kafka_err2name(failed),
                text != NULL ? text : rd_kafka_err2str(failed));
        return;
    }
    size_t count = 0;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(given, &count);
    row->at = tm_arena_alloc(arena, count + 1, sizeof(*row->at));
    for (size_t i = 0; i < count; i++) {
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);
        bool told = value != NULL && rd_kafka_ConfigEntry_is_sensitive(entries[i]) == 0;
        row->at[row->count++] = (struct tm_setting){
                .name = tm_arena_strdup(arena, rd_kafka_ConfigEntry_name(entries[i])),
                .value = told ? tm_arena_strdup(arena, value) : NULL,
                .from = read_from(rd_kafka_ConfigEntry_source(entries[i])),
        };
    }
    qsort(row->at, row->count, sizeof(*row->at), by_name);
}

/* An answer is told by its name: a name asked for twice is answered once. */
static void read_answers(struct tm_settings *rows, size_t count,
        const rd_kafka_ConfigResource_t **given, size_t given_count, struct tm_arena *arena)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        while (at < given_count &&
                strcmp(rd_kafka_ConfigResource_name(given[at]), rows[i].topic) != 0) {
            at++;
        }
        if (at < given_count) {
            read_settings(&rows[i], given[at], arena);
        } else {
            rows[i].code = TM_E_KAFKA;
            rows[i].error = "the brokers gave no configuration";
        }
    }
}

static enum tm_code describe(struct tm_kafka *kafka, rd_kafka_ResourceType_t type,
        struct tm_settings *rows, size_t count, int64_t timeout_ms, struct tm_arena *arena,
        struct tm_err *err)
{
    rd_kafka_ConfigResource_t *asked[DESCRIBED_AT_ONCE];
    for (size_t i = 0; i < count; i++) {
        asked[i] = rd_kafka_ConfigResource_new(type, rows[i].topic);
    }
    TM_ADMIN_OWN struct tm_admin_call call =
            tm_admin_call_new(&kafka->client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout_ms);
    rd_kafka_DescribeConfigs(kafka->client.rk, asked, count, call.options, call.queue);
    rd_kafka_ConfigResource_destroy_array(asked, count);
    TM_EVENT_OWN rd_kafka_event_t *event = tm_admin_call_poll(&call, timeout_ms);
    TM_TRY(tm_admin_call_check(&kafka->client, event, err));
    size_t given = 0;
    const rd_kafka_ConfigResource_t **at = rd_kafka_DescribeConfigs_result_resources(
            rd_kafka_event_DescribeConfigs_result(event), &given);
    read_answers(rows, count, at, given, arena);
    return TM_OK;
}

enum tm_code tm_kafka_settings(struct tm_kafka *kafka, struct tm_settings *rows, size_t count,
        int64_t timeout_ms, struct tm_arena *arena, struct tm_err *err)
{
    TM_TRY(tm_kafka_need_controller(kafka, timeout_ms, err));
    for (size_t i = 0; i < count; i++) {
        rows[i] = (struct tm_settings){.topic = rows[i].topic};
    }
    for (size_t from = 0; from < count; from += DESCRIBED_AT_ONCE) {
        size_t some = count - from < DESCRIBED_AT_ONCE ? count - from : DESCRIBED_AT_ONCE;
        if (describe(kafka, RD_KAFKA_RESOURCE_TOPIC, rows + from, some, timeout_ms, arena, err) !=
                TM_OK) {
            return tm_err_wrap(err, "cluster %s: settings of topics", kafka->client.cluster);
        }
    }
    return TM_OK;
}

static enum tm_code some_broker(
        struct tm_kafka *kafka, int64_t timeout_ms, int32_t *out, struct tm_err *err)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t failed = /* of all topics, for the reason that brokers.c gives */
            rd_kafka_metadata(kafka->client.rk, 1, NULL, &metadata, tm_rdkafka_timeout(timeout_ms));
    if (failed != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return tm_client_fail(&kafka->client, failed, NULL, err);
    }
    bool any = metadata->broker_cnt > 0;
    *out = any ? metadata->brokers[0].id : -1;
    rd_kafka_metadata_destroy(metadata);
    return any ? TM_OK : tm_err_set(err, TM_E_KAFKA, "no broker is up");
}

enum tm_code tm_kafka_broker_settings(struct tm_kafka *kafka, int64_t timeout_ms,
        struct tm_arena *arena, struct tm_settings *out, struct tm_err *err)
{
    char id[16];
    int32_t broker = -1;
    TM_TRY(tm_kafka_need_controller(kafka, timeout_ms, err));
    TM_TRY(some_broker(kafka, timeout_ms, &broker, err));
    (void)snprintf(id, sizeof(id), "%d", (int)broker);
    struct tm_settings row = {.topic = id};
    enum tm_code code = describe(kafka, RD_KAFKA_RESOURCE_BROKER, &row, 1, timeout_ms, arena, err);
    if (code == TM_OK && row.code != TM_OK) {
        code = tm_err_set(err, row.code, "%s", row.error);
    }
    if (code != TM_OK) {
        return tm_err_wrap(err, "cluster %s: settings of broker %s", kafka->client.cluster, id);
    }
    row.topic = NULL;
    *out = row;
    return TM_OK;
}

/* Rights -------------------------------------------------------------------------------------- */

static void read_rights(
        struct tm_rights *row, const rd_kafka_AclOperation_t *operations, size_t count)
{
    row->known = operations != NULL;
    for (size_t i = 0; operations != NULL && i < count; i++) {
        if ((int)operations[i] < RD_KAFKA_ACL_OPERATION__CNT) {
            row->operations |= UINT32_C(1) << operations[i];
        }
    }
}

static struct tm_admin_call rights_call(
        struct tm_kafka *kafka, rd_kafka_admin_op_t op, int64_t timeout_ms)
{
    struct tm_admin_call call = tm_admin_call_new(&kafka->client, op, timeout_ms);
    rd_kafka_error_t *refused =
            rd_kafka_AdminOptions_set_include_authorized_operations(call.options, 1);
    tm_assert(refused == NULL);
    return call;
}

static void read_topic(
        struct tm_rights *row, const rd_kafka_TopicDescription_t *given, struct tm_arena *arena)
{
    const rd_kafka_error_t *error = rd_kafka_TopicDescription_error(given);
    size_t count = 0;
    if (error != NULL && rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        row->code = tm_rdkafka_code(rd_kafka_error_code(error));
        row->error = tm_arena_fmt(
                arena, "%s: %s", rd_kafka_error_name(error), rd_kafka_error_string(error));
        return;
    }
    const rd_kafka_AclOperation_t *operations =
            rd_kafka_TopicDescription_authorized_operations(given, &count);
    read_rights(row, operations, count);
}

static enum tm_code describe_rights(struct tm_kafka *kafka, struct tm_rights *rows, size_t count,
        int64_t timeout_ms, struct tm_arena *arena, struct tm_err *err)
{
    const char *names[DESCRIBED_AT_ONCE];
    for (size_t i = 0; i < count; i++) {
        names[i] = rows[i].topic;
    }
    rd_kafka_TopicCollection_t *topics = rd_kafka_TopicCollection_of_topic_names(names, count);
    TM_ADMIN_OWN struct tm_admin_call call =
            rights_call(kafka, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout_ms);
    rd_kafka_DescribeTopics(kafka->client.rk, topics, call.options, call.queue);
    rd_kafka_TopicCollection_destroy(topics);
    TM_EVENT_OWN rd_kafka_event_t *event = tm_admin_call_poll(&call, timeout_ms);
    TM_TRY(tm_admin_call_check(&kafka->client, event, err));
    size_t given = 0;
    const rd_kafka_TopicDescription_t **at = rd_kafka_DescribeTopics_result_topics(
            rd_kafka_event_DescribeTopics_result(event), &given);
    for (size_t i = 0; i < count; i++) {
        for (size_t g = 0; g < given; g++) {
            if (strcmp(rd_kafka_TopicDescription_name(at[g]), rows[i].topic) == 0) {
                read_topic(&rows[i], at[g], arena);
                break;
            }
        }
    }
    return TM_OK;
}

enum tm_code tm_kafka_topic_rights(struct tm_kafka *kafka, struct tm_rights *rows, size_t count,
        int64_t timeout_ms, struct tm_arena *arena, struct tm_err *err)
{
    TM_TRY(tm_kafka_need_controller(kafka, timeout_ms, err));
    for (size_t i = 0; i < count; i++) {
        rows[i] = (struct tm_rights){.topic = rows[i].topic};
    }
    for (size_t from = 0; from < count; from += DESCRIBED_AT_ONCE) {
        size_t some = count - from < DESCRIBED_AT_ONCE ? count - from : DESCRIBED_AT_ONCE;
        if (describe_rights(kafka, rows + from, some, timeout_ms, arena, err) != TM_OK) {
            return tm_err_wrap(err, "cluster %s: rights on topics", kafka->client.cluster);
        }
    }
    return TM_OK;
}

enum tm_code tm_kafka_cluster_rights(
        struct tm_kafka *kafka, int64_t timeout_ms, struct tm_rights *out, struct tm_err *err)
{
    struct tm_rights row = {0};
    size_t count = 0;
    TM_TRY(tm_kafka_need_controller(kafka, timeout_ms, err));
    TM_ADMIN_OWN struct tm_admin_call call =
            rights_call(kafka, RD_KAFKA_ADMIN_OP_DESCRIBECLUSTER, timeout_ms);
    rd_kafka_DescribeCluster(kafka->client.rk, call.options, call.queue);
    TM_EVENT_OWN rd_kafka_event_t *event = tm_admin_call_poll(&call, timeout_ms);
    if (tm_admin_call_check(&kafka->client, event, err) != TM_OK) {
        return tm_err_wrap(err, "cluster %s: rights", kafka->client.cluster);
    }
    const rd_kafka_AclOperation_t *operations =
            rd_kafka_DescribeCluster_result_authorized_operations(
                    rd_kafka_event_DescribeCluster_result(event), &count);
    read_rights(&row, operations, count);
    *out = row;
    return TM_OK;
}
