/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "kafka/internal.h"

enum {
    REASON_MAX = 384,
    DESCRIBED_AT_ONCE = 250,
    ANSWER_GRACE_MS = 2000, /* the library answers in time, if only to say that nothing came */
    LEADER_POLL_MS = 50,
    LONGEST_MS = 3600 * 1000, /* that an admin call may be given */
};

struct tm_admin_call tm_admin_call_new(
        struct tm_client *client, rd_kafka_admin_op_t op, int64_t timeout_ms)
{
    char reason[REASON_MAX];
    struct tm_admin_call call = {
            .options = rd_kafka_AdminOptions_new(client->rk, op),
            .queue = rd_kafka_queue_new(client->rk),
    };
    tm_assert(call.options != NULL && call.queue != NULL);
    tm_assert(
            rd_kafka_AdminOptions_set_request_timeout(call.options, tm_rdkafka_timeout(timeout_ms),
                    reason, sizeof(reason)) == RD_KAFKA_RESP_ERR_NO_ERROR);
    return call;
}

struct tm_admin_call tm_admin_call_of_group(struct tm_client *client, rd_kafka_admin_op_t op)
{
    return tm_admin_call_new(client, op, LONGEST_MS);
}

void tm_admin_call_done(struct tm_admin_call *call)
{
    rd_kafka_AdminOptions_destroy(call->options);
    rd_kafka_queue_destroy(call->queue);
}

rd_kafka_event_t *tm_admin_call_poll(struct tm_admin_call *call, int64_t timeout_ms)
{
    return rd_kafka_queue_poll(call->queue, tm_rdkafka_timeout(timeout_ms + ANSWER_GRACE_MS));
}

enum tm_code tm_admin_call_check(
        struct tm_client *client, rd_kafka_event_t *event, struct tm_err *err)
{
    if (event == NULL) {
        return tm_client_fail(client, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, err);
    }
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return tm_client_fail(
                client, rd_kafka_event_error(event), rd_kafka_event_error_string(event), err);
    }
    tm_client_succeeded(client);
    return TM_OK;
}

/* For what cannot be done without a controller. */
enum tm_code tm_kafka_need_controller(
        struct tm_kafka *kafka, int64_t timeout_ms, struct tm_err *err)
{
    bool offered = false;
    if (tm_kafka_controller(kafka, timeout_ms, &offered, err) != TM_OK) {
        return err->code;
    }
    return offered ? TM_OK
                   : tm_err_set(err, TM_E_UNSUPPORTED,
                             "cluster %s: it has no controller, so topics can neither be "
                             "configured "
                             "nor created",
                             kafka->client.cluster);
}

static int by_name(const void *a, const void *b)
{
    const struct tm_pair *left = a;
    const struct tm_pair *right = b;
    return strcmp(left->name, right->name);
}

/* What of the configuration decides when records go, as it is in force. */
static void read_in_force(struct tm_topic_config *row, const char *name, const char *value)
{
    const struct {
        const char *name;
        int64_t *into;
    } numbers[] = {
            {"retention.ms", &row->retention_ms},
            {"retention.bytes", &row->retention_bytes},
            {"delete.retention.ms", &row->delete_retention_ms},
    };
    struct tm_err ignored = {0};
    if (strcmp(name, "cleanup.policy") == 0) {
        row->in_force_known = true;
        row->compacts = strstr(value, "compact") != NULL;
        row->deletes = strstr(value, "delete") != NULL;
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (strcmp(name, numbers[i].name) == 0 && value[0] != '-' &&
                tm_parse_i64(value, numbers[i].into, &ignored) != TM_OK) {
            *numbers[i].into = -1;
        }
    }
}

static void read_configs(
        struct tm_topic_config *row, const rd_kafka_ConfigResource_t *given, struct tm_arena *arena)
{
    rd_kafka_resp_err_t failed = rd_kafka_ConfigResource_error(given);
    if (failed != RD_KAFKA_RESP_ERR_NO_ERROR) {
        const char *text = rd_kafka_ConfigResource_error_string(given);
        row->code = tm_rdkafka_code(failed);
        struct tm_err err = {0};
        tm_err_set(&err, row->code, "%s: %s", rd_kafka_err2name(failed),
                text != NULL ? text : rd_kafka_err2str(failed));
        tm_rdkafka_needs(&err, "DESCRIBE_CONFIGS on Topic");
        row->error = tm_arena_strdup(arena, err.msg);
        return;
    }
    size_t count = 0;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(given, &count);
    row->set = tm_arena_alloc(arena, count, sizeof(*row->set));
    for (size_t i = 0; i < count; i++) {
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);
        if (value != NULL) {
            read_in_force(row, rd_kafka_ConfigEntry_name(entries[i]), value);
        }
        bool own = rd_kafka_ConfigEntry_source(entries[i]) ==
                   RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG;
        if (own && value != NULL && rd_kafka_ConfigEntry_is_sensitive(entries[i]) == 0) {
            row->set[row->set_count++] = (struct tm_pair){
                    .name = tm_arena_strdup(arena, rd_kafka_ConfigEntry_name(entries[i])),
                    .value = tm_arena_strdup(arena, value),
            };
        }
    }
    qsort(row->set, row->set_count, sizeof(*row->set), by_name);
}

/* The answers come in the order of the questions, but a repeated name is answered once. */
static void read_resources(struct tm_topic_config *rows, size_t count,
        const rd_kafka_ConfigResource_t **given, size_t given_count, struct tm_arena *arena)
{
    size_t next = 0;
    for (size_t i = 0; i < count; i++) {
        size_t tried = 0;
        while (tried < given_count &&
                strcmp(rd_kafka_ConfigResource_name(given[next % given_count]), rows[i].topic) !=
                        0) {
            next++;
            tried++;
        }
        if (tried < given_count) {
            read_configs(&rows[i], given[next % given_count], arena);
        } else {
            rows[i].code = TM_E_KAFKA;
            rows[i].error = "the brokers gave no configuration";
        }
    }
}

static enum tm_code describe(struct tm_kafka *kafka, struct tm_topic_config *rows, size_t count,
        int64_t timeout_ms, struct tm_arena *arena, struct tm_err *err)
{
    rd_kafka_ConfigResource_t *asked[DESCRIBED_AT_ONCE];
    for (size_t i = 0; i < count; i++) {
        asked[i] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, rows[i].topic);
    }
    TM_ADMIN_OWN struct tm_admin_call call =
            tm_admin_call_new(&kafka->client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout_ms);
    rd_kafka_DescribeConfigs(kafka->client.rk, asked, count, call.options, call.queue);
    rd_kafka_ConfigResource_destroy_array(asked, count);
    TM_EVENT_OWN rd_kafka_event_t *event = tm_admin_call_poll(&call, timeout_ms);
    if (tm_admin_call_check(&kafka->client, event, err) != TM_OK) {
        return err->code;
    }
    size_t given = 0;
    const rd_kafka_ConfigResource_t **at = rd_kafka_DescribeConfigs_result_resources(
            rd_kafka_event_DescribeConfigs_result(event), &given);
    read_resources(rows, count, at, given, arena);
    return TM_OK;
}

enum tm_code tm_kafka_topic_configs(struct tm_kafka *kafka, struct tm_topic_config *rows,
        size_t count, int64_t timeout_ms, struct tm_arena *arena, struct tm_err *err)
{
    if (tm_kafka_need_controller(kafka, timeout_ms, err) != TM_OK) {
        return err->code;
    }
    for (size_t i = 0; i < count; i++) {
        rows[i] = (struct tm_topic_config){.topic = rows[i].topic,
                .retention_ms = -1,
                .retention_bytes = -1,
                .delete_retention_ms = -1};
    }
    for (size_t from = 0; from < count; from += DESCRIBED_AT_ONCE) {
        size_t some = count - from < DESCRIBED_AT_ONCE ? count - from : DESCRIBED_AT_ONCE;
        if (describe(kafka, rows + from, some, timeout_ms, arena, err) != TM_OK) {
            return tm_err_wrap(err, "cluster %s: configurations of topics", kafka->client.cluster);
        }
    }
    return TM_OK;
}

static enum tm_code new_topic(
        const struct tm_topic_spec *spec, rd_kafka_NewTopic_t **out, struct tm_err *err)
{
    char reason[REASON_MAX];
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(spec->name, spec->partitions,
            spec->replication_factor > 0 ? spec->replication_factor : -1, reason, sizeof(reason));
    if (topic == NULL) {
        return tm_err_set(err, TM_E_USAGE, "%s", reason);
    }
    for (size_t i = 0; i < spec->config_count; i++) {
        rd_kafka_resp_err_t failed =
                rd_kafka_NewTopic_set_config(topic, spec->configs[i].name, spec->configs[i].value);
        tm_assert(failed == RD_KAFKA_RESP_ERR_NO_ERROR);
    }
    *out = topic;
    return TM_OK;
}

static enum tm_code create(struct tm_kafka *kafka, const struct tm_topic_spec *spec,
        bool only_check, int64_t timeout_ms, struct tm_err *err)
{
    char reason[REASON_MAX];
    rd_kafka_NewTopic_t *topic = NULL;
    if (new_topic(spec, &topic, err) != TM_OK) {
        return err->code;
    }
    TM_ADMIN_OWN struct tm_admin_call call =
            tm_admin_call_new(&kafka->client, RD_KAFKA_ADMIN_OP_CREATETOPICS, timeout_ms);
    tm_assert(rd_kafka_AdminOptions_set_validate_only(call.options, only_check ? 1 : 0, reason,
                      sizeof(reason)) == RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_CreateTopics(kafka->client.rk, &topic, 1, call.options, call.queue);
    rd_kafka_NewTopic_destroy(topic);
    TM_EVENT_OWN rd_kafka_event_t *event = tm_admin_call_poll(&call, timeout_ms);
    if (tm_admin_call_check(&kafka->client, event, err) != TM_OK) {
        return err->code;
    }
    size_t count = 0;
    const rd_kafka_topic_result_t **results =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    rd_kafka_resp_err_t failed =
            count == 1 ? rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR__BAD_MSG;
    if (failed != RD_KAFKA_RESP_ERR_NO_ERROR) {
        const char *text = count == 1 ? rd_kafka_topic_result_error_string(results[0]) : NULL;
        return tm_client_fail(&kafka->client, failed, text, err);
    }
    return TM_OK;
}

static int led_partitions(const struct rd_kafka_metadata *metadata)
{
    int led = 0;
    for (int i = 0; metadata->topic_cnt == 1 && i < metadata->topics[0].partition_cnt; i++) {
        led += metadata->topics[0].partitions[i].leader >= 0 ? 1 : 0;
    }
    return led;
}

/* Each broker learns of a new topic in its own time: until then it answers that there is none. */
static enum tm_code wait_for_leaders(struct tm_kafka *kafka, const struct tm_topic_spec *spec,
        int64_t deadline_ns, struct tm_err *err)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(kafka->client.rk, spec->name, NULL);
    tm_assert(topic != NULL);
    int led = 0;
    for (;;) {
        int64_t left_ms = (deadline_ns - tm_mono_ns()) / 1000000;
        const struct rd_kafka_metadata *metadata = NULL;
        if (left_ms > 0 && rd_kafka_metadata(kafka->client.rk, 0, topic, &metadata,
                                   tm_rdkafka_timeout(left_ms)) == RD_KAFKA_RESP_ERR_NO_ERROR) {
            led = led_partitions(metadata);
            rd_kafka_metadata_destroy(metadata);
        }
        if (led >= spec->partitions || left_ms <= 0) {
            break;
        }
        tm_sleep_ms(LEADER_POLL_MS);
    }
    rd_kafka_topic_destroy(topic);
    return led >= spec->partitions
                   ? TM_OK
                   : tm_err_set(err, TM_E_TIMEOUT,
                             "the topic is made, but only %d of its %d partitions have a leader",
                             led, spec->partitions);
}

/* The first row that failed, as an error; whether it is that a broker has not heard of the topic is *unheard. */
static enum tm_code ask_once(struct tm_kafka *kafka, struct tm_offsets *rows, size_t count,
        int64_t left_ms, bool *unheard, struct tm_err *err)
{
    TM_TRY(tm_kafka_offsets(kafka, rows, count, left_ms, err));
    for (size_t i = 0; i < count; i++) {
        if (rows[i].code != TM_OK) {
            *unheard = rows[i].code == TM_E_MISSING;
            return tm_err_set(
                    err, rows[i].code, "the topic is made, but not ready: %s", rows[i].error);
        }
    }
    return TM_OK;
}

/*
 * A broker is named as leader before it knows; who asks too early is told that it is not. And one broker names leaders
 * while another says that there is no such topic, which of one that was made just now is no answer.
 */
static enum tm_code ask_leaders(struct tm_kafka *kafka, const struct tm_topic_spec *spec,
        int64_t deadline_ns, struct tm_err *err)
{
    size_t count = (size_t)spec->partitions;
    struct tm_offsets *rows = tm_xalloc(count, sizeof(*rows));
    enum tm_code code = TM_OK;
    bool again = false;
    do {
        if (again) {
            *err = (struct tm_err){0};
            tm_sleep_ms(LEADER_POLL_MS);
        }
        for (size_t i = 0; i < count; i++) {
            rows[i] = (struct tm_offsets){.topic = spec->name, .partition = (int32_t)i};
        }
        again = false;
        code = ask_once(kafka, rows, count, (deadline_ns - tm_mono_ns()) / 1000000, &again, err);
    } while (again && tm_mono_ns() < deadline_ns);
    free(rows);
    return code;
}

enum tm_code tm_kafka_create_topic(struct tm_kafka *kafka, const struct tm_topic_spec *spec,
        int64_t timeout_ms, struct tm_err *err)
{
    int64_t deadline_ns = tm_mono_ns() + timeout_ms * 1000000;
    if (tm_kafka_need_controller(kafka, timeout_ms, err) != TM_OK) {
        return err->code;
    }
    if (create(kafka, spec, false, timeout_ms, err) != TM_OK ||
            wait_for_leaders(kafka, spec, deadline_ns, err) != TM_OK ||
            ask_leaders(kafka, spec, deadline_ns, err) != TM_OK) {
        return tm_err_wrap(err, "cluster %s: create topic %s", kafka->client.cluster, spec->name);
    }
    return TM_OK;
}

enum tm_code tm_kafka_check_topic(struct tm_kafka *kafka, const struct tm_topic_spec *spec,
        int64_t timeout_ms, struct tm_err *err)
{
    TM_TRY(tm_kafka_need_controller(kafka, timeout_ms, err));
    return create(kafka, spec, true, timeout_ms, err);
}

static enum tm_code add_change(
        rd_kafka_ConfigResource_t *resource, const struct tm_pair *change, struct tm_err *err)
{
    rd_kafka_error_t *refused =
            rd_kafka_ConfigResource_add_incremental_config(resource, change->name,
                    change->value != NULL ? RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET
                                          : RD_KAFKA_ALTER_CONFIG_OP_TYPE_DELETE,
                    change->value);
    if (refused == NULL) {
        return TM_OK;
    }
    enum tm_code code =
            tm_err_set(err, TM_E_USAGE, "'%s': %s", change->name, rd_kafka_error_string(refused));
    rd_kafka_error_destroy(refused);
    return code;
}

static enum tm_code alter(struct tm_kafka *kafka, rd_kafka_ConfigResource_t *resource,
        int64_t timeout_ms, struct tm_err *err)
{
    TM_ADMIN_OWN struct tm_admin_call call = tm_admin_call_new(
            &kafka->client, RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS, timeout_ms);
    rd_kafka_IncrementalAlterConfigs(kafka->client.rk, &resource, 1, call.options, call.queue);
    TM_EVENT_OWN rd_kafka_event_t *event = tm_admin_call_poll(&call, timeout_ms);
    if (tm_admin_call_check(&kafka->client, event, err) != TM_OK) {
        return err->code;
    }
    size_t count = 0;
    const rd_kafka_ConfigResource_t **results = rd_kafka_IncrementalAlterConfigs_result_resources(
            rd_kafka_event_IncrementalAlterConfigs_result(event), &count);
    rd_kafka_resp_err_t failed =
            count == 1 ? rd_kafka_ConfigResource_error(results[0]) : RD_KAFKA_RESP_ERR__BAD_MSG;
    if (failed != RD_KAFKA_RESP_ERR_NO_ERROR) {
        const char *text = count == 1 ? rd_kafka_ConfigResource_error_string(results[0]) : NULL;
        tm_client_fail(&kafka->client, failed, text, err);
        tm_rdkafka_needs(err, "ALTER_CONFIGS on Topic");
        return err->code;
    }
    return TM_OK;
}

enum tm_code tm_kafka_alter_topic(struct tm_kafka *kafka, const char *topic,
        const struct tm_pair *changes, size_t count, int64_t timeout_ms, struct tm_err *err)
{
    if (count == 0) {
        return TM_OK;
    }
    if (tm_kafka_need_controller(kafka, timeout_ms, err) != TM_OK) {
        return err->code;
    }
    rd_kafka_ConfigResource_t *resource =
            rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    enum tm_code code = TM_OK;
    for (size_t i = 0; code == TM_OK && i < count; i++) {
        code = add_change(resource, &changes[i], err);
    }
    if (code == TM_OK) {
        code = alter(kafka, resource, timeout_ms, err);
    }
    rd_kafka_ConfigResource_destroy(resource);
    return code == TM_OK ? TM_OK
                         : tm_err_wrap(err, "cluster %s: configure topic %s", kafka->client.cluster,
                                   topic);
}
