/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kafka - a cluster as the rest of Tidemark sees it: one client handle, and questions asked of it.
 *
 * One librdkafka consumer handle per cluster and isolation level serves all topics: a handle per
 * topic would cost four threads and eight descriptors each (docs/design.md, "Kafka"). There is no group.id: nothing
 * is committed, nothing rebalances. Each reader (reader.h) has a queue of its own on that handle.
 *
 * Errors: TM_E_KAFKA (retryable) with the library's error name and the newest connection error in the
 * text ("... : _TRANSPORT: 127.0.0.1:9092/bootstrap: Connect to ... failed: Connection refused");
 * TM_E_DENIED authentication or authorisation; TM_E_TIMEOUT; TM_E_MISSING topic or partition not
 * there; TM_E_UNSUPPORTED the broker does not offer it; TM_E_USAGE a property librdkafka refuses.
 *
 * Threads: any thread may use a handle; calls block up to their timeout.
 */
#ifndef TM_KAFKA_KAFKA_H
#define TM_KAFKA_KAFKA_H

#include <stdbool.h>
#include <stdint.h>

#include "aws/credentials.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/own.h"
#include "base/pair.h"
#include "base/slice.h"

/* Where the brokers are told who we are. */
enum tm_kafka_auth {
    TM_KAFKA_AUTH_RDKAFKA,    /* by the properties alone: TLS certificates, PLAIN, SCRAM, ... */
    TM_KAFKA_AUTH_TOKEN_FILE, /* OAUTHBEARER with a token that somebody renews in a file */
    TM_KAFKA_AUTH_MSK_IAM,    /* OAUTHBEARER with a token that AWS credentials sign (Amazon MSK) */
};

struct tm_kafka_options {
    const char *cluster;              /* the configuration's name of it, for messages */
    const char *bootstrap;            /* host:port[,host:port...] */
    const struct tm_pair *properties; /* librdkafka's own names, passed as they are */
    size_t property_count;
    bool read_uncommitted;
    bool groups;                  /* for the questions of groups.h, and for nothing else */
    int64_t queue_bytes;          /* per reader; 0: 16 MiB */
    const char *transactional_id; /* of a producer (txn_writer.h); NULL: none */
    enum tm_kafka_auth auth;      /* not by the properties: SASL_SSL, unless these say otherwise */
    const char *token_file;       /* TM_KAFKA_AUTH_TOKEN_FILE */
    const char *region;           /* TM_KAFKA_AUTH_MSK_IAM; NULL or "": as the brokers' names say */
    struct tm_aws_options credentials; /* TM_KAFKA_AUTH_MSK_IAM; its region is that above */
};

struct tm_kafka;

/* Connects in the background: a broker that is down shows in the calls below. */
enum tm_code tm_kafka_open(const struct tm_kafka_options *options, struct tm_kafka **out,
        struct tm_err *err) TM_MUST_CHECK;
/* All readers must be gone. */
void tm_kafka_close(struct tm_kafka *kafka);
TM_OWNABLE(struct tm_kafka *, tm_kafka_close);

const char *tm_kafka_cluster(const struct tm_kafka *kafka);
const char *tm_kafka_library_version(void); /* "2.14.2" */

/*
 * Is `name` = `value` acceptable for librdkafka? TM_E_USAGE with the library's reason, the nearest
 * known name, or that the property is Tidemark's own to set (group.id, enable.auto.commit,
 * isolation.level, ...). Opens nothing.
 */
enum tm_code tm_kafka_check_property(
        const char *name, const char *value, struct tm_err *err) TM_MUST_CHECK;

/* The cluster's own id, allocated in `arena`. */
enum tm_code tm_kafka_cluster_id(struct tm_kafka *kafka, int64_t timeout_ms, struct tm_arena *arena,
        struct tm_slice *out, struct tm_err *err) TM_MUST_CHECK;

/* How long the brokers have held back answers to this handle, to keep it within its quota; since it was opened. */
int64_t tm_kafka_throttled_ms(const struct tm_kafka *kafka);

/* How many brokers the cluster has now. */
enum tm_code tm_kafka_brokers(
        struct tm_kafka *kafka, int64_t timeout_ms, int32_t *out, struct tm_err *err) TM_MUST_CHECK;

struct tm_topic_info {
    const char *name;
    int32_t partitions;
    int32_t replication_factor; /* 0: not known */
    bool internal;
    bool has_id;
    struct tm_id16 id;
    enum tm_code code; /* TM_OK, or why this one topic cannot be described */
    const char *error; /* text to `code`; NULL when it is TM_OK */
};

struct tm_topic_list {
    struct tm_arena arena;
    struct tm_topic_info *at; /* sorted by name */
    size_t count;
};
void tm_topic_list_done(struct tm_topic_list *list);

/* All topics of the cluster (one metadata request), without ids. */
enum tm_code tm_kafka_topics(struct tm_kafka *kafka, int64_t timeout_ms, struct tm_topic_list *out,
        struct tm_err *err) TM_MUST_CHECK;
/*
 * Fill in the ids of the listed topics (DescribeTopics). A cluster that does not offer it (librdkafka's
 * mock: no controller) leaves them unset, quickly, and that is TM_OK; a cluster that fails is not.
 */
enum tm_code tm_kafka_topic_ids(struct tm_kafka *kafka, int64_t timeout_ms,
        struct tm_topic_list *list, struct tm_err *err) TM_MUST_CHECK;

struct tm_offsets {
    const char *topic; /* asked */
    int32_t partition;
    int64_t log_start; /* answered: the log start offset, */
    int64_t lso;       /* the last stable offset, */
    int64_t high_watermark;
    enum tm_code code; /* TM_OK, or why this partition has no answer */
    char error[128];
};

/* Ask for many partitions: three requests per broker and 500 of them, all at once. */
enum tm_code tm_kafka_offsets(struct tm_kafka *kafka, struct tm_offsets *rows, size_t count,
        int64_t timeout_ms, struct tm_err *err) TM_MUST_CHECK;

struct tm_topic_config {
    const char *topic;   /* asked */
    struct tm_pair *set; /* answered, in the arena: what is set on the topic itself, by name */
    size_t set_count;
    /* As in force, whoever set them (topic, broker, default). Times and sizes: -1 is none. */
    bool in_force_known; /* else the brokers did not tell all of these */
    int64_t retention_ms;
    int64_t retention_bytes;
    int64_t delete_retention_ms; /* how long the cleaner keeps a tombstone at the least */
    bool compacts;               /* cleanup.policy has "compact", */
    bool deletes;                /* and "delete" */
    enum tm_code code;
    const char *error;
};

/* TM_E_UNSUPPORTED where the cluster has no controller (the mock). Sensitive values are left out. */
enum tm_code tm_kafka_topic_configs(struct tm_kafka *kafka, struct tm_topic_config *rows,
        size_t count, int64_t timeout_ms, struct tm_arena *arena, struct tm_err *err) TM_MUST_CHECK;

struct tm_topic_spec {
    const char *name;
    int32_t partitions;
    int32_t replication_factor; /* 0: the broker's default */
    const struct tm_pair *configs;
    size_t config_count;
};

/* TM_E_EXISTS when the topic is there. Returns when all partitions have a leader. */
enum tm_code tm_kafka_create_topic(struct tm_kafka *kafka, const struct tm_topic_spec *spec,
        int64_t timeout_ms, struct tm_err *err) TM_MUST_CHECK;
/*
 * Would the cluster create it? Rights, name, replication factor, settings and policies are looked at;
 * nothing is made. The text of a refusal is the broker's; TM_E_UNSUPPORTED where nobody answers that.
 */
enum tm_code tm_kafka_check_topic(struct tm_kafka *kafka, const struct tm_topic_spec *spec,
        int64_t timeout_ms, struct tm_err *err) TM_MUST_CHECK;
/* IncrementalAlterConfigs: set those with a value, delete (back to default) those with NULL. */
enum tm_code tm_kafka_alter_topic(struct tm_kafka *kafka, const char *topic,
        const struct tm_pair *changes, size_t count, int64_t timeout_ms,
        struct tm_err *err) TM_MUST_CHECK;

#endif
