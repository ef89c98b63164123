/* SPDX-License-Identifier: Apache-2.0 */
#include "clusters_look.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "policy/select.h"

enum {
    SLICE_MS = 500, /* between two looks at whether the daemon stops */
    SLICES = 10,
    WHOLE_MS = SLICE_MS * SLICES,
};

void tmd_seen_done(struct tmd_seen *seen)
{
    free(seen->why);
    free(seen->id);
}

static char *copy(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(tm_xalloc(size, 1), text, size);
}

bool tmd_cluster_is_read(const struct tm_config *config, const struct tm_config_cluster *cluster)
{
    for (size_t i = 0; i < config->policy_count; i++) {
        if (config->policies[i].cluster == cluster) {
            return true;
        }
    }
    return false;
}

static bool selects(const struct tm_config_policy *policy, const struct tm_config_cluster *cluster,
        const char *topic)
{
    return policy->cluster == cluster && tm_select_matches(policy->select, topic);
}

static bool is_protected(const struct tmd_look *look, const struct tm_config_cluster *cluster,
        const struct tm_topic_info *topic)
{
    for (size_t i = 0; i < look->config->policy_count; i++) {
        if (selects(&look->config->policies[i], cluster, topic->name)) {
            return true;
        }
    }
    return false;
}

/* Kafka's own. What a schema registry keeps in a topic is not: without it the rest cannot be read. */
static bool is_internal(const struct tm_topic_info *topic)
{
    return topic->internal || strncmp(topic->name, "__", 2) == 0;
}

static void count_topics(
        const struct tmd_look *look, const struct tm_config_cluster *cluster, struct tmd_seen *seen)
{
    seen->topics = (int64_t)look->list.count;
    for (size_t i = 0; i < look->list.count; i++) {
        const struct tm_topic_info *topic = &look->list.at[i];
        if (is_protected(look, cluster, topic)) {
            seen->covered++;
        } else if (is_internal(topic)) {
            seen->internal++;
        } else {
            seen->bare++;
        }
    }
}

static enum tm_code ask(struct tmd_look *look, const struct tm_config_cluster *cluster,
        struct tmd_seen *seen, struct tm_err *err)
{
    TM_OWN(tmd_lease_free) struct tmd_lease *lease = tmd_lease_new(look->tmd);
    struct tm_kafka *kafka = NULL;
    struct tm_slice id = {0};
    TM_TRY(tmd_kafka(lease, cluster, false, &kafka, err));
    enum tm_code code = TM_OK;
    for (int i = 0; i < SLICES; i++) {
        tm_topic_list_done(&look->list);
        *err = (struct tm_err){0}; /* of the try before */
        code = tm_kafka_topics(kafka, SLICE_MS, &look->list, err);
        if (code == TM_OK || code == TM_E_DENIED || atomic_load(look->over)) {
            break;
        }
    }
    TM_TRY(code);
    TM_TRY(tm_kafka_brokers(kafka, WHOLE_MS, &seen->brokers, err));
    TM_TRY(tm_kafka_cluster_id(kafka, WHOLE_MS, &look->arena, &id, err));
    if (id.len > 0) {
        seen->id = tm_xalloc(id.len + 1, 1);
        memcpy(seen->id, id.at, id.len);
    }
    count_topics(look, cluster, seen);
    return TM_OK;
}

static void look_at(struct tmd_look *look, const struct tm_config_cluster *cluster)
{
    struct tmd_seen *seen = tm_vec_push(&look->found);
    *seen = (struct tmd_seen){.config = cluster};
    look->err = (struct tm_err){0};
    if (ask(look, cluster, seen, &look->err) != TM_OK) {
        seen->why = copy(look->err.msg);
    }
    seen->looked_ms = tm_now_ms();
}

static bool wanted(const struct tmd_look *look, const struct tm_topic_info *topic, bool covered)
{
    const struct tm_topics_query *query = look->query;
    return (query->contains == NULL || strstr(topic->name, query->contains) != NULL) &&
           (query->covered < 0 || query->covered == (int)covered) &&
           (query->after == NULL || strcmp(topic->name, query->after) > 0);
}

static struct tm_json *view_topic(const struct tmd_look *look, const struct tm_topic_info *topic)
{
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "name", topic->name);
    tm_json_add_int(json, "partitions_count", topic->partitions);
    if (topic->replication_factor > 0) {
        tm_json_add_int(json, "replication_factor", topic->replication_factor);
    }
    tm_json_add_bool(json, "internal", is_internal(topic));
    tm_json_add_bool(json, "protected", is_protected(look, look->one, topic));
    struct tm_json *policies = tm_json_add(json, "policies", tm_json_array());
    for (size_t i = 0; i < look->config->policy_count; i++) {
        if (selects(&look->config->policies[i], look->one, topic->name)) {
            tm_json_push_str(policies, look->config->policies[i].name);
        }
    }
    return json;
}

/* A page of the topics; they are sorted by name. */
static char *view_topics(const struct tmd_look *look)
{
    TM_OWN(tm_json_free) struct tm_json *page = tm_json_object();
    struct tm_json *items = tm_json_add(page, "items", tm_json_array());
    const char *last = NULL;
    size_t count = 0;
    for (size_t i = 0; i < look->list.count; i++) {
        const struct tm_topic_info *topic = &look->list.at[i];
        if (!wanted(look, topic, is_protected(look, look->one, topic))) {
            continue;
        }
        if (count++ == look->query->limit) {
            tm_json_add_str(page, "next_cursor", last);
            break;
        }
        (void)tm_json_push(items, view_topic(look, topic));
        last = topic->name;
    }
    return tm_json_text(page);
}

void tmd_look_work(void *arg)
{
    struct tmd_look *look = arg;
    if (look->one != NULL) {
        look_at(look, look->one);
        if (look->query != NULL && look->err.code == TM_OK) {
            look->text = view_topics(look);
        }
        return;
    }
    const struct tm_config *config = look->config;
    for (size_t i = 0; i < config->cluster_count; i++) {
        if (tmd_cluster_is_read(config, &config->clusters[i]) && !atomic_load(look->over)) {
            look_at(look, &config->clusters[i]);
        }
    }
}
