/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/groups.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kafka/internal.h"

enum { ASKED_AT_ONCE = 50, FIRST_RETRY_MS = 50, LONGEST_RETRY_MS = 1000 };

/*
 * A coordinator that moves, or whose topic has just been made: the next answer may be good. The library
 * does not ask again by itself.
 */
static bool is_passing(rd_kafka_resp_err_t failed)
{
    return failed == RD_KAFKA_RESP_ERR_NOT_COORDINATOR ||
           failed == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE ||
           failed == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS;
}

struct waiting {
    int64_t deadline_ns;
    int64_t left_ms;
    int64_t pause_ms;
};

static struct waiting begin_waiting(int64_t timeout_ms)
{
    return (struct waiting){tm_mono_ns() + timeout_ms * 1000000, timeout_ms, FIRST_RETRY_MS};
}

/* False: the time is over. */
static bool wait_a_little(struct waiting *waiting)
{
    waiting->left_ms = (waiting->deadline_ns - tm_mono_ns()) / 1000000 - waiting->pause_ms;
    if (waiting->left_ms <= 0) {
        return false;
    }
    tm_sleep_ms(waiting->pause_ms);
    waiting->pause_ms =
            waiting->pause_ms * 2 < LONGEST_RETRY_MS ? waiting->pause_ms * 2 : LONGEST_RETRY_MS;
    return true;
}

void tm_group_list_done(struct tm_group_list *list)
{
    tm_arena_done(&list->arena);
    *list = (struct tm_group_list){0};
}

/* The list ------------------------------------------------------------------------------------ */

/* librdkafka has no names for the states of the consumer protocol's groups between two assignments. */
static bool is_active(rd_kafka_consumer_group_state_t state)
{
    return state != RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY &&
           state != RD_KAFKA_CONSUMER_GROUP_STATE_DEAD;
}

static int by_name(const void *a, const void *b)
{
    const struct tm_group *left = a;
    const struct tm_group *right = b;
    return strcmp(left->name, right->name);
}

/* While a coordinator moves, two brokers may list the same group. */
static void sort_groups(struct tm_group_list *list)
{
    size_t kept = 0;
    qsort(list->at, list->count, sizeof(*list->at), by_name);
    for (size_t i = 0; i < list->count; i++) {
        if (kept > 0 && strcmp(list->at[kept - 1].name, list->at[i].name) == 0) {
            list->at[kept - 1].active |= list->at[i].active;
        } else {
            list->at[kept++] = list->at[i];
        }
    }
    list->count = kept;
}

static enum tm_code read_list(struct tm_kafka *kafka, rd_kafka_event_t *event,
        struct tm_group_list *out, struct tm_err *err)
{
    const rd_kafka_ListConsumerGroups_result_t *result =
            rd_kafka_event_ListConsumerGroups_result(event);
    size_t count = 0;
    const rd_kafka_error_t **errors = rd_kafka_ListConsumerGroups_result_errors(result, &count);
    if (count > 0) {
        return tm_client_fail(&kafka->client, rd_kafka_error_code(errors[0]),
                rd_kafka_error_string(errors[0]), err);
    }
    const rd_kafka_ConsumerGroupListing_t **given =
            rd_kafka_ListConsumerGroups_result_valid(result, &count);
    if (count > TM_GROUPS_MAX) {
        return tm_err_set(err, TM_E_LIMIT, "%zu groups; %d are the most", count, TM_GROUPS_MAX);
    }
    out->at = tm_arena_alloc(&out->arena, count + 1, sizeof(*out->at));
    for (size_t i = 0; i < count; i++) {
        rd_kafka_consumer_group_state_t state = rd_kafka_ConsumerGroupListing_state(given[i]);
        out->at[out->count++] = (struct tm_group){
                .name = tm_arena_strdup(
                        &out->arena, rd_kafka_ConsumerGroupListing_group_id(given[i])),
                .simple = rd_kafka_ConsumerGroupListing_is_simple_consumer_group(given[i]) != 0,
                .active = is_active(state),
                .state = rd_kafka_consumer_group_state_name(state),
        };
    }
    sort_groups(out);
    return TM_OK;
}

static enum tm_code list_groups(
        struct tm_kafka *kafka, int64_t timeout_ms, struct tm_group_list *out, struct tm_err *err)
{
    TM_ADMIN_OWN struct tm_admin_call call =
            tm_admin_call_new(&kafka->client, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS, timeout_ms);
    rd_kafka_ListConsumerGroups(kafka->client.rk, call.options, call.queue);
    TM_EVENT_OWN rd_kafka_event_t *event = tm_admin_call_poll(&call, timeout_ms);
    TM_TRY(tm_admin_call_check(&kafka->client, event, err));
    return read_list(kafka, event, out, err);
}

/*
 * A broker leaves out, without a word, the groups that the principal may not describe. Only who may
 * describe the cluster is shown all.
 */
static enum tm_code ask_complete(
        struct tm_kafka *kafka, int64_t timeout_ms, bool *complete, struct tm_err *err)
{
    TM_ADMIN_OWN struct tm_admin_call call =
            tm_admin_call_new(&kafka->client, RD_KAFKA_ADMIN_OP_DESCRIBECLUSTER, timeout_ms);
    rd_kafka_error_t *refused =
            rd_kafka_AdminOptions_set_include_authorized_operations(call.options, 1);
    tm_assert(refused == NULL);
    rd_kafka_DescribeCluster(kafka->client.rk, call.options, call.queue);
    TM_EVENT_OWN rd_kafka_event_t *event = tm_admin_call_poll(&call, timeout_ms);
    TM_TRY(tm_admin_call_check(&kafka->client, event, err));
    size_t count = 0;
    const rd_kafka_AclOperation_t *allowed = rd_kafka_DescribeCluster_result_authorized_operations(
            rd_kafka_event_DescribeCluster_result(event), &count);
    *complete = false;
    for (size_t i = 0; i < count; i++) {
        *complete |= allowed[i] == RD_KAFKA_ACL_OPERATION_DESCRIBE;
    }
    return TM_OK;
}

enum tm_code tm_kafka_groups(
        struct tm_kafka *kafka, int64_t timeout_ms, struct tm_group_list *out, struct tm_err *err)
{
    bool offered = false;
    TM_TRY(tm_kafka_controller(kafka, timeout_ms, &offered, err));
    if (!offered) {
        return tm_err_set(
                err, TM_E_UNSUPPORTED, "cluster %s cannot list groups", kafka->client.cluster);
    }
    if (ask_complete(kafka, timeout_ms, &out->complete, err) != TM_OK ||
            list_groups(kafka, timeout_ms, out, err) != TM_OK) {
        return tm_err_wrap(err, "cluster %s: list of groups", kafka->client.cluster);
    }
    return TM_OK;
}

/* Their offsets ------------------------------------------------------------------------------- */

struct asking {
    struct tm_kafka *kafka;
    bool (*wanted)(void *arg, const char *topic);
    void *arg;
    struct tm_arena *arena;
    size_t rows;
};

static int by_partition(const void *a, const void *b)
{
    const struct tm_group_offset *left = a;
    const struct tm_group_offset *right = b;
    int order = strcmp(left->topic, right->topic);
    return order != 0 ? order
                      : (left->partition > right->partition) - (left->partition < right->partition);
}

static void fail_group(
        struct asking *asking, struct tm_group *group, rd_kafka_resp_err_t failed, const char *text)
{
    struct tm_err err = {0};
    group->passing = is_passing(failed);
    group->code = tm_client_fail(&asking->kafka->client, failed, text, &err);
    group->error = tm_arena_strdup(asking->arena, err.msg);
}

static struct tm_slice copy_metadata(
        struct tm_arena *arena, const rd_kafka_topic_partition_t *given)
{
    if (given->metadata == NULL || given->metadata_size == 0 ||
            given->metadata_size > TM_GROUP_METADATA_MAX) {
        return tm_slice_str("");
    }
    return tm_arena_dup(arena, tm_slice_of(given->metadata, given->metadata_size));
}

static enum tm_code read_partitions(struct asking *asking, struct tm_group *group,
        const rd_kafka_topic_partition_list_t *list, struct tm_err *err)
{
    size_t count = list != NULL ? (size_t)list->cnt : 0;
    if (count > TM_GROUP_ROWS_MAX - asking->rows) {
        return tm_err_set(err, TM_E_LIMIT, "more than %d offsets of groups", TM_GROUP_ROWS_MAX);
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_topic_partition_t *given = &list->elems[i];
        kept += asking->wanted == NULL || asking->wanted(asking->arg, given->topic) ? 1 : 0;
    }
    group->offsets = tm_arena_alloc(asking->arena, kept + 1, sizeof(*group->offsets));
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_topic_partition_t *given = &list->elems[i];
        if (given->offset < 0 ||
                (asking->wanted != NULL && !asking->wanted(asking->arg, given->topic))) {
            continue;
        }
        if (given->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            fail_group(asking, group, given->err, NULL);
            return TM_OK;
        }
        group->offsets[group->offset_count++] = (struct tm_group_offset){
                .topic = tm_arena_strdup(asking->arena, given->topic),
                .partition = given->partition,
                .offset = given->offset,
                .metadata = copy_metadata(asking->arena, given),
        };
    }
    asking->rows += group->offset_count;
    if (group->offset_count > 0) {
        qsort(group->offsets, group->offset_count, sizeof(*group->offsets), by_partition);
    }
    return TM_OK;
}

static enum tm_code read_offsets(struct asking *asking, rd_kafka_event_t *event, struct tm_err *err)
{
    struct tm_group *group = rd_kafka_event_opaque(event);
    rd_kafka_resp_err_t failed = rd_kafka_event_error(event);
    if (failed != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fail_group(asking, group, failed, rd_kafka_event_error_string(event));
        return TM_OK;
    }
    size_t count = 0;
    const rd_kafka_group_result_t **results = rd_kafka_ListConsumerGroupOffsets_result_groups(
            rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
    const rd_kafka_error_t *error = count == 1 ? rd_kafka_group_result_error(results[0]) : NULL;
    if (count != 1) {
        fail_group(asking, group, RD_KAFKA_RESP_ERR__BAD_MSG, NULL);
    } else if (error != NULL) {
        fail_group(asking, group, rd_kafka_error_code(error), rd_kafka_error_string(error));
    } else {
        return read_partitions(asking, group, rd_kafka_group_result_partitions(results[0]), err);
    }
    return TM_OK;
}

static void ask_offsets(struct asking *asking, struct tm_admin_call *call, struct tm_group *group)
{
    group->code = TM_OK;
    group->error = NULL;
    group->passing = false;
    group->offset_count = 0;
    rd_kafka_ListConsumerGroupOffsets_t *question =
            rd_kafka_ListConsumerGroupOffsets_new(group->name, NULL);
    rd_kafka_AdminOptions_set_opaque(call->options, group);
    rd_kafka_ListConsumerGroupOffsets(
            asking->kafka->client.rk, &question, 1, call->options, call->queue);
    rd_kafka_ListConsumerGroupOffsets_destroy(question);
}

/* One round: ask those that have no answer yet, a window of them at a time. */
static enum tm_code ask_round(struct asking *asking, struct tm_group **groups, size_t count,
        int64_t timeout_ms, struct tm_err *err)
{
    struct tm_client *client = &asking->kafka->client;
    TM_ADMIN_OWN struct tm_admin_call call =
            tm_admin_call_of_group(client, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    size_t asked = 0;
    for (size_t answered = 0; answered < count; answered++) {
        while (asked < count && asked < answered + ASKED_AT_ONCE) {
            ask_offsets(asking, &call, groups[asked++]);
        }
        TM_EVENT_OWN rd_kafka_event_t *event = tm_admin_call_poll(&call, timeout_ms);
        if (event == NULL) {
            return tm_client_fail(client, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, err);
        }
        TM_TRY(read_offsets(asking, event, err));
    }
    return TM_OK;
}

/* Keep, in their order, the groups that are worth another question; how many there are. */
static size_t keep_passing(struct tm_group **groups, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (groups[i]->passing) {
            groups[kept++] = groups[i];
        }
    }
    return kept;
}

enum tm_code tm_kafka_group_offsets(struct tm_kafka *kafka, struct tm_group *groups, size_t count,
        bool (*wanted)(void *arg, const char *topic), void *arg, int64_t timeout_ms,
        struct tm_arena *arena, struct tm_err *err)
{
    struct asking asking = {.kafka = kafka, .wanted = wanted, .arg = arg, .arena = arena};
    struct waiting waiting = begin_waiting(timeout_ms);
    struct tm_group **left = tm_xalloc(count + 1, sizeof(struct tm_group *));
    size_t left_count = count;
    for (size_t i = 0; i < count; i++) {
        left[i] = &groups[i];
    }
    enum tm_code code = TM_OK;
    do {
        code = ask_round(&asking, left, left_count, waiting.left_ms, err);
        left_count = keep_passing(left, left_count);
    } while (code == TM_OK && left_count > 0 && wait_a_little(&waiting));
    free(left);
    if (code != TM_OK) {
        return tm_err_wrap(err, "cluster %s: offsets of %zu groups", kafka->client.cluster, count);
    }
    tm_client_succeeded(&kafka->client);
    return TM_OK;
}

/* Setting them -------------------------------------------------------------------------------- */

static rd_kafka_topic_partition_list_t *partitions_to_set(
        const struct tm_group_offset *rows, size_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_topic_partition_t *set =
                rd_kafka_topic_partition_list_add(list, rows[i].topic, rows[i].partition);
        set->offset = rows[i].offset;
        if (rows[i].metadata.len > 0) { /* the list frees it with free() */
            set->metadata = tm_xalloc(rows[i].metadata.len, 1);
            memcpy(set->metadata, rows[i].metadata.at, rows[i].metadata.len);
            set->metadata_size = rows[i].metadata.len;
        }
    }
    return list;
}

/* Who is no member may not commit for those who are: the broker says so by either of these. */
static bool says_active(rd_kafka_resp_err_t failed)
{
    return failed == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID ||
           failed == RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP ||
           failed == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION ||
           failed == RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS ||
           failed == RD_KAFKA_RESP_ERR_STALE_MEMBER_EPOCH;
}

static enum tm_code set_failed(struct tm_kafka *kafka, const char *group,
        rd_kafka_resp_err_t failed, const char *text, struct tm_err *err)
{
    if (says_active(failed)) {
        return tm_err_set(
                err, TM_E_CONFLICT, "group %s has active members: stop its consumers", group);
    }
    (void)tm_client_fail(&kafka->client, failed, text, err);
    return tm_err_wrap(err, "cluster %s: offsets of group %s", kafka->client.cluster, group);
}

static void read_row(struct tm_kafka *kafka, const char *group,
        const rd_kafka_topic_partition_t *given, struct tm_group_offset *rows, size_t count,
        struct tm_arena *arena)
{
    for (size_t r = 0; r < count; r++) {
        if (rows[r].partition == given->partition && strcmp(rows[r].topic, given->topic) == 0) {
            struct tm_err row = {0};
            rows[r].code = set_failed(kafka, group, given->err, NULL, &row);
            rows[r].error = tm_arena_strdup(arena, row.msg);
        }
    }
}

static enum tm_code read_set(struct tm_kafka *kafka, const char *group,
        const rd_kafka_topic_partition_list_t *list, struct tm_group_offset *rows, size_t count,
        struct tm_arena *arena, bool *passing, struct tm_err *err)
{
    for (int i = 0; list != NULL && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *given = &list->elems[i];
        if (given->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            continue;
        }
        *passing |= is_passing(given->err);
        read_row(kafka, group, given, rows, count, arena);
        if (err->code == TM_OK) {
            (void)set_failed(kafka, group, given->err, NULL, err);
            (void)tm_err_wrap(err, "topic %s partition %d", given->topic, (int)given->partition);
        }
    }
    return err->code;
}

static enum tm_code set_once(struct tm_kafka *kafka, const char *group,
        struct tm_group_offset *rows, size_t count, int64_t timeout_ms, struct tm_arena *arena,
        bool *passing, struct tm_err *err)
{
    rd_kafka_topic_partition_list_t *list = partitions_to_set(rows, count);
    rd_kafka_AlterConsumerGroupOffsets_t *question =
            rd_kafka_AlterConsumerGroupOffsets_new(group, list);
    rd_kafka_topic_partition_list_destroy(list);
    TM_ADMIN_OWN struct tm_admin_call call =
            tm_admin_call_of_group(&kafka->client, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS);
    rd_kafka_AlterConsumerGroupOffsets(kafka->client.rk, &question, 1, call.options, call.queue);
    rd_kafka_AlterConsumerGroupOffsets_destroy(question);

    TM_EVENT_OWN rd_kafka_event_t *event = tm_admin_call_poll(&call, timeout_ms);
    rd_kafka_resp_err_t failed =
            event != NULL ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (failed != RD_KAFKA_RESP_ERR_NO_ERROR) {
        *passing = is_passing(failed);
        return set_failed(kafka, group, failed,
                event != NULL ? rd_kafka_event_error_string(event) : NULL, err);
    }
    size_t given = 0;
    const rd_kafka_group_result_t **results = rd_kafka_AlterConsumerGroupOffsets_result_groups(
            rd_kafka_event_AlterConsumerGroupOffsets_result(event), &given);
    const rd_kafka_error_t *error = given == 1 ? rd_kafka_group_result_error(results[0]) : NULL;
    if (given != 1) {
        return set_failed(kafka, group, RD_KAFKA_RESP_ERR__BAD_MSG, NULL, err);
    }
    if (error != NULL) {
        *passing = is_passing(rd_kafka_error_code(error));
        return set_failed(
                kafka, group, rd_kafka_error_code(error), rd_kafka_error_string(error), err);
    }
    return read_set(kafka, group, rd_kafka_group_result_partitions(results[0]), rows, count, arena,
            passing, err);
}

enum tm_code tm_kafka_set_group_offsets(struct tm_kafka *kafka, const char *group,
        struct tm_group_offset *rows, size_t count, int64_t timeout_ms, struct tm_arena *arena,
        struct tm_err *err)
{
    struct waiting waiting = begin_waiting(timeout_ms);
    bool passing = count > 0;
    while (passing) {
        *err = (struct tm_err){0};
        for (size_t i = 0; i < count; i++) {
            rows[i].code = TM_OK;
            rows[i].error = NULL;
        }
        passing = false;
        (void)set_once(kafka, group, rows, count, waiting.left_ms, arena, &passing, err);
        passing = passing && wait_a_little(&waiting);
    }
    if (err->code == TM_OK) {
        tm_client_succeeded(&kafka->client);
    }
    return err->code;
}
