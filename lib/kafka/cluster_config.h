/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster_config - what applies at a cluster: effective settings, defaults of new topics, rights.
 *
 * Asked before something is written there. A cluster that does not offer an answer (librdkafka's mock:
 * no controller; brokers before 2.3 tell no rights) or does not allow the question is no failure of the
 * cluster: the code says which, and the caller decides what not knowing means.
 *
 * Errors: as kafka.h; TM_E_UNSUPPORTED not offered, TM_E_DENIED not allowed (the text names the ACL).
 *
 * Threads: any; calls block up to their timeout.
 */
#ifndef TM_KAFKA_CLUSTER_CONFIG_H
#define TM_KAFKA_CLUSTER_CONFIG_H

#include "kafka/kafka.h"

enum tm_setting_from { /* who says so */
    TM_SETTING_TOPIC,  /* set on the topic itself */
    TM_SETTING_BROKER, /* set at a broker or for all of them */
    TM_SETTING_DEFAULT /* nobody did */
};

struct tm_setting {
    const char *name;
    const char *value; /* NULL: not told (a sensitive one), or none */
    enum tm_setting_from from;
};

struct tm_settings {
    const char *topic;     /* asked */
    struct tm_setting *at; /* answered, in the arena, by name */
    size_t count;
    enum tm_code code; /* TM_OK, or why this topic has no answer */
    const char *error; /* text to it; NULL when it is TM_OK */
};

/* Every setting that applies to the topics. Needs DESCRIBE_CONFIGS on them. */
enum tm_code tm_kafka_settings(struct tm_kafka *kafka, struct tm_settings *rows, size_t count,
        int64_t timeout_ms, struct tm_arena *arena, struct tm_err *err) TM_MUST_CHECK;
/*
 * The settings of a broker, by their names there ("log.retention.hours", "message.max.bytes"): what a
 * topic gets that says nothing. Of one broker only: that they are the same is the cluster's business.
 * Needs DESCRIBE_CONFIGS on Cluster.
 */
enum tm_code tm_kafka_broker_settings(struct tm_kafka *kafka, int64_t timeout_ms,
        struct tm_arena *arena, struct tm_settings *out, struct tm_err *err) TM_MUST_CHECK;
/* The one of that name; NULL: there is none. */
const struct tm_setting *tm_setting_find(const struct tm_settings *settings, const char *name);

enum tm_operation { /* bits; Kafka's numbers of them are the places */
    TM_MAY_READ = 1 << 3,
    TM_MAY_WRITE = 1 << 4,
    TM_MAY_CREATE = 1 << 5,
    TM_MAY_DELETE = 1 << 6,
    TM_MAY_ALTER = 1 << 7,
    TM_MAY_DESCRIBE = 1 << 8,
    TM_MAY_DESCRIBE_CONFIGS = 1 << 10,
    TM_MAY_ALTER_CONFIGS = 1 << 11,
};

struct tm_rights { /* what this client may do; a cluster without an authorizer allows everything */
    const char *topic;   /* asked; NULL for the cluster */
    bool known;          /* `operations` was told */
    uint32_t operations; /* enum tm_operation */
    enum tm_code code;   /* TM_OK, or why this topic has no answer */
    const char *error;
};

/* Of topics that are there. Needs DESCRIBE on them, which every right on a topic includes. */
enum tm_code tm_kafka_topic_rights(struct tm_kafka *kafka, struct tm_rights *rows, size_t count,
        int64_t timeout_ms, struct tm_arena *arena, struct tm_err *err) TM_MUST_CHECK;
enum tm_code tm_kafka_cluster_rights(struct tm_kafka *kafka, int64_t timeout_ms,
        struct tm_rights *out, struct tm_err *err) TM_MUST_CHECK;

#endif
