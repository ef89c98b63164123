/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kafka/internal.h"

enum { DESCRIBED_AT_ONCE = 1000 };

typedef const struct rd_kafka_metadata *metadata;

static void metadata_slot(metadata *slot)
{
    if (*slot != NULL) {
        rd_kafka_metadata_destroy(*slot);
    }
}
#define METADATA_OWN __attribute__((cleanup(metadata_slot)))

void tm_topic_list_done(struct tm_topic_list *list)
{
    tm_arena_done(&list->arena);
    *list = (struct tm_topic_list){0};
}

/* Kafka's own; the list of topics that every client gets does not say it. */
static bool is_internal(const char *name)
{
    static const char *const names[] = {"__cluster_metadata", "__consumer_offsets",
            "__share_group_state", "__transaction_state"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void set_topic_error(struct tm_arena *arena, struct tm_topic_info *topic,
        rd_kafka_resp_err_t err, const char *text)
{
    topic->code = tm_rdkafka_code(err);
    topic->error = tm_arena_fmt(arena, "%s: %s", rd_kafka_err2name(err), text);
}

static int by_name(const void *a, const void *b)
{
    const struct tm_topic_info *left = a;
    const struct tm_topic_info *right = b;
    return strcmp(left->name, right->name);
}

static void fill_topics(struct tm_topic_list *list, metadata from)
{
    list->count = (size_t)from->topic_cnt;
    list->at = tm_arena_alloc(&list->arena, list->count, sizeof(*list->at));
    for (size_t i = 0; i < list->count; i++) {
        const rd_kafka_metadata_topic_t *given = &from->topics[i];
        struct tm_topic_info *topic = &list->at[i];
        topic->name = tm_arena_strdup(&list->arena, given->topic);
        topic->partitions = given->partition_cnt;
        topic->replication_factor = given->partition_cnt > 0 ? given->partitions[0].replica_cnt : 0;
        topic->internal = is_internal(given->topic);
        if (given->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            set_topic_error(&list->arena, topic, given->err, rd_kafka_err2str(given->err));
        }
    }
    qsort(list->at, list->count, sizeof(*list->at), by_name);
}

static enum tm_code all_metadata(
        struct tm_kafka *kafka, int64_t timeout_ms, metadata *out, struct tm_err *err)
{
    rd_kafka_resp_err_t failed =
            rd_kafka_metadata(kafka->client.rk, 1, NULL, out, tm_rdkafka_timeout(timeout_ms));
    if (failed != RD_KAFKA_RESP_ERR_NO_ERROR) {
        tm_client_fail(&kafka->client, failed, NULL, err);
        return tm_err_wrap(err, "cluster %s: list of topics", kafka->client.cluster);
    }
    tm_client_succeeded(&kafka->client);
    return TM_OK;
}

enum tm_code tm_kafka_topics(
        struct tm_kafka *kafka, int64_t timeout_ms, struct tm_topic_list *out, struct tm_err *err)
{
    METADATA_OWN metadata all = NULL;
    if (all_metadata(kafka, timeout_ms, &all, err) != TM_OK) {
        return err->code;
    }
    struct tm_topic_list list = {0};
    fill_topics(&list, all);
    *out = list;
    return TM_OK;
}

enum tm_code tm_kafka_cluster_id(struct tm_kafka *kafka, int64_t timeout_ms, struct tm_arena *arena,
        struct tm_slice *out, struct tm_err *err)
{
    int64_t begun = tm_mono_ns();
    rd_kafka_t *rk = kafka->client.rk;
    char *id = rd_kafka_clusterid(rk, tm_rdkafka_timeout(timeout_ms < 500 ? timeout_ms : 500));
    if (id == NULL) { /* not learnt while connecting: ask, so that a failure says why */
        METADATA_OWN metadata all = NULL;
        int64_t spent_ms = (tm_mono_ns() - begun) / 1000000;
        if (all_metadata(kafka, timeout_ms - spent_ms, &all, err) != TM_OK) {
            return err->code;
        }
        id = rd_kafka_clusterid(rk, 1);
    }
    if (id == NULL) {
        return tm_err_set(err, TM_E_UNSUPPORTED, "cluster %s: the brokers tell no cluster id",
                kafka->client.cluster);
    }
    *out = tm_arena_dup(arena, tm_slice_str(id));
    rd_kafka_mem_free(rk, id);
    return TM_OK;
}

/*
 * The mock names a controller that never answers, and admin calls would wait for it until they time
 * out. It is told by its cluster id; of a real cluster each call finds out by itself.
 */
enum tm_code tm_kafka_controller(
        struct tm_kafka *kafka, int64_t timeout_ms, bool *out, struct tm_err *err)
{
    static const char mock_prefix[] = "mockCluster";
    if (atomic_load(&kafka->is_mock)) {
        *out = false;
        return TM_OK;
    }
    struct tm_arena arena = {0};
    struct tm_slice id = {0};
    enum tm_code code = tm_kafka_cluster_id(kafka, timeout_ms, &arena, &id, err);
    if (code == TM_OK) {
        bool is_mock = id.len >= sizeof(mock_prefix) - 1 &&
                       memcmp(id.at, mock_prefix, sizeof(mock_prefix) - 1) == 0;
        atomic_store(&kafka->is_mock, is_mock);
        *out = !is_mock;
    }
    tm_arena_done(&arena);
    return code;
}

static void read_id(const rd_kafka_Uuid_t *uuid, struct tm_topic_info *topic)
{
    uint64_t halves[2] = {(uint64_t)rd_kafka_Uuid_most_significant_bits(uuid),
            (uint64_t)rd_kafka_Uuid_least_significant_bits(uuid)};
    for (size_t i = 0; i < sizeof(topic->id.bytes); i++) {
        topic->id.bytes[i] = (uint8_t)(halves[i / 8] >> (56 - 8 * (i % 8)));
    }
    topic->has_id = !tm_id16_is_zero(&topic->id); /* brokers before 2.8 give none */
}

static void read_description(struct tm_topic_list *list, const rd_kafka_TopicDescription_t *given)
{
    struct tm_topic_info key = {.name = rd_kafka_TopicDescription_name(given)};
    struct tm_topic_info *topic =
            list->count > 0 ? bsearch(&key, list->at, list->count, sizeof(*list->at), by_name)
                            : NULL;
    if (topic == NULL) {
        return;
    }
    const rd_kafka_error_t *error = rd_kafka_TopicDescription_error(given);
    if (error != NULL && rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        set_topic_error(
                &list->arena, topic, rd_kafka_error_code(error), rd_kafka_error_string(error));
        return;
    }
    topic->internal = rd_kafka_TopicDescription_is_internal(given) != 0;
    const rd_kafka_Uuid_t *uuid = rd_kafka_TopicDescription_topic_id(given);
    if (uuid != NULL) {
        read_id(uuid, topic);
    }
}

static enum tm_code describe(struct tm_kafka *kafka, int64_t timeout_ms, struct tm_topic_list *list,
        size_t from, struct tm_err *err)
{
    size_t left = list->count - from;
    size_t count = left < DESCRIBED_AT_ONCE ? left : DESCRIBED_AT_ONCE;
    const char **names = tm_xalloc(count, sizeof(*names));
    for (size_t i = 0; i < count; i++) {
        names[i] = list->at[from + i].name;
    }
    rd_kafka_TopicCollection_t *topics = rd_kafka_TopicCollection_of_topic_names(names, count);
    free(names);

    TM_ADMIN_OWN struct tm_admin_call call =
            tm_admin_call_new(&kafka->client, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout_ms);
    rd_kafka_DescribeTopics(kafka->client.rk, topics, call.options, call.queue);
    rd_kafka_TopicCollection_destroy(topics);
    TM_EVENT_OWN rd_kafka_event_t *event = tm_admin_call_poll(&call, timeout_ms);
    if (tm_admin_call_check(&kafka->client, event, err) != TM_OK) {
        return err->code;
    }
    size_t described = 0;
    const rd_kafka_TopicDescription_t **at = rd_kafka_DescribeTopics_result_topics(
            rd_kafka_event_DescribeTopics_result(event), &described);
    for (size_t i = 0; i < described; i++) {
        read_description(list, at[i]);
    }
    return TM_OK;
}

enum tm_code tm_kafka_topic_ids(
        struct tm_kafka *kafka, int64_t timeout_ms, struct tm_topic_list *list, struct tm_err *err)
{
    bool offered = false;
    if (list->count == 0) {
        return TM_OK;
    }
    if (tm_kafka_controller(kafka, timeout_ms, &offered, err) != TM_OK) {
        return err->code;
    }
    for (size_t from = 0; offered && from < list->count; from += DESCRIBED_AT_ONCE) {
        if (describe(kafka, timeout_ms, list, from, err) != TM_OK) {
            return tm_err_wrap(err, "cluster %s: ids of topics", kafka->client.cluster);
        }
    }
    return TM_OK;
}
