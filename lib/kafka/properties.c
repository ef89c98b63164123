/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/vec.h"
#include "kafka/internal.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum {
    REASON_MAX = 384,
    DEFAULT_QUEUE_BYTES = 16 << 20,
};

/* Set before the user's properties, which may say otherwise. */
static const struct tm_pair defaults[] = {
        {"client.id", "tidemark"},
        {"check.crcs", "true"},
        {"enable.metrics.push", "false"},
        {"fetch.wait.max.ms", "100"},
        {"reconnect.backoff.max.ms", "5000"},
        {"socket.nagle.disable", "true"},
        {"socket.timeout.ms", "20000"},
        {"topic.metadata.propagation.max.ms", "5000"},
        {"topic.metadata.refresh.interval.ms", "10000"},
};

static const struct tm_pair producer_defaults[] = {
        {"message.max.bytes", "1000000000"},
};

/* With tokens of Tidemark's own; the protocol may be another one (a proxy that does TLS). */
static const struct tm_pair token_defaults[] = {{"security.protocol", "SASL_SSL"}};
static const struct tm_pair token_settings[] = {{"sasl.mechanism", "OAUTHBEARER"}};

/* Set after them: correctness or bounds of memory rest on these. */
static const struct tm_pair consumer_settings[] = {
        {"allow.auto.create.topics", "false"}, {"auto.offset.reset", "error"},
        {"enable.auto.commit", "false"}, {"enable.auto.offset.store", "false"},
        {"enable.partition.eof", "true"},
        {"fetch.queue.backoff.ms", "10"}, /* else 1 s of sleep whenever the queue is full */
};

static const struct tm_pair producer_settings[] = {
        {"acks", "all"},
        {"allow.auto.create.topics", "false"},
        {"enable.gapless.guarantee",
                "true"}, /* a lost batch stops the handle: the log is a prefix */
        {"enable.idempotence", "true"},
        {"linger.ms", "60000"}, /* a batch goes when it is full or asked for: writing.h says why */
        {"message.timeout.ms", "0"}, /* would drop from the middle; the writer watches by itself */
        {"queue.buffering.max.kbytes", "32768"},
        {"queue.buffering.max.messages", "0"},
};

/* Over those, where a producer writes in transactions: what is not delivered can be sent again. */
static const struct tm_pair transaction_settings[] = {
        {"enable.gapless.guarantee", "false"},
        {"linger.ms", "20"},
        {"message.timeout.ms", "45000"}, /* must end before the transaction */
        {"transaction.timeout.ms", "60000"},
};

/* What a user may not set, with the library's other names of the same. */
static const char *const reserved[] = {
        "acks",
        "allow.auto.create.topics",
        "auto.commit.enable",
        "auto.commit.interval.ms",
        "auto.offset.reset",
        "bootstrap.servers",
        "delivery.report.only.error",
        "delivery.timeout.ms",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.gapless.guarantee",
        "enable.idempotence",
        "enable.partition.eof",
        "enabled_events",
        "fetch.queue.backoff.ms",
        "group.id",
        "group.instance.id",
        "group.protocol",
        "group.remote.assignor",
        "isolation.level",
        "linger.ms",
        "log.queue",
        "message.timeout.ms",
        "metadata.broker.list",
        "plugin.library.paths", /* would load code of anybody who can write the configuration */
        "queue.buffering.max.kbytes",
        "queue.buffering.max.messages",
        "queue.buffering.max.ms",
        "queued.max.messages.kbytes",
        "request.required.acks",
        "test.mock.broker.rtt",
        "test.mock.num.brokers",
        "transaction.timeout.ms",
        "transactional.id",
};

static bool is_reserved(const char *name)
{
    for (size_t i = 0; i < LENGTH(reserved); i++) {
        if (strcmp(reserved[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/*
 * Split the library's table of properties, one to a line ("name    | C/P | range | ..."), into names
 * that point into it. Its other function, rd_kafka_conf_dump(), leaves out what has no value.
 */
static const char **split_names(char *table, size_t *count)
{
    TM_VEC(const char *) names = {0};
    char *rest = NULL;
    for (char *line = strtok_r(table, "\n", &rest); line != NULL;
            line = strtok_r(NULL, "\n", &rest)) {
        size_t len = strcspn(line, " ");
        if (len > 0 && strstr(line + len, " | ") != NULL) {
            line[len] = '\0';
            *tm_vec_push(&names) = line;
        }
    }
    *count = names.count;
    return names.at;
}

static enum tm_code unknown_property(const char *name, struct tm_err *err)
{
    char *table = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&table, &size);
    tm_assert(file != NULL);
    rd_kafka_conf_properties_show(file);
    (void)fclose(file);

    size_t count = 0;
    const char **names = split_names(table, &count);
    const char *near = tm_nearest(name, names, count);
    enum tm_code code =
            near != NULL
                    ? tm_err_set(err, TM_E_USAGE,
                              "property '%s' is not known to librdkafka; did you mean '%s'?", name,
                              near)
                    : tm_err_set(err, TM_E_USAGE, "property '%s' is not known to librdkafka", name);
    free(names);
    free(table);
    return code;
}

static enum tm_code set_property(
        rd_kafka_conf_t *conf, const char *name, const char *value, struct tm_err *err)
{
    char reason[REASON_MAX];
    rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, name, value, reason, sizeof(reason));
    if (result == RD_KAFKA_CONF_OK) {
        return TM_OK;
    }
    if (result == RD_KAFKA_CONF_UNKNOWN) {
        return unknown_property(name, err);
    }
    reason[strcspn(reason, "\n")] = '\0';
    return tm_err_set(err, TM_E_USAGE, "property '%s': %s", name, reason);
}

static enum tm_code set_user_property(
        rd_kafka_conf_t *conf, const struct tm_pair *property, struct tm_err *err)
{
    if (is_reserved(property->name)) {
        return tm_err_set(
                err, TM_E_USAGE, "property '%s' is Tidemark's own to set", property->name);
    }
    return set_property(conf, property->name, property->value, err);
}

enum tm_code tm_kafka_check_property(const char *name, const char *value, struct tm_err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    enum tm_code code = set_user_property(conf, &(struct tm_pair){name, value}, err);
    rd_kafka_conf_destroy(conf);
    return code;
}

static enum tm_code set_all(
        rd_kafka_conf_t *conf, const struct tm_pair *properties, size_t count, struct tm_err *err)
{
    for (size_t i = 0; i < count; i++) {
        enum tm_code code = set_property(conf, properties[i].name, properties[i].value, err);
        if (code != TM_OK) {
            return code;
        }
    }
    return TM_OK;
}

static enum tm_code set_consumer(
        rd_kafka_conf_t *conf, const struct tm_kafka_options *options, struct tm_err *err)
{
    int64_t bytes = options->queue_bytes > 0 ? options->queue_bytes : DEFAULT_QUEUE_BYTES;
    int64_t kbytes = bytes / 1024 > 0 ? bytes / 1024 : 1;
    kbytes = kbytes < 2097151 ? kbytes : 2097151; /* the library's maximum */
    char queue[24];
    (void)snprintf(queue, sizeof(queue), "%" PRId64, kbytes);
    const struct tm_pair own[] = {
            {"isolation.level", options->read_uncommitted ? "read_uncommitted" : "read_committed"},
            {"queued.max.messages.kbytes", queue},
    };
    enum tm_code code = set_all(conf, consumer_settings, LENGTH(consumer_settings), err);
    if (code == TM_OK && options->groups) { /* groups.h says why; nothing ever joins it */
        code = set_property(conf, "group.id", "tidemark", err);
    }
    return code == TM_OK ? set_all(conf, own, LENGTH(own), err) : code;
}

static enum tm_code set_producer(
        rd_kafka_conf_t *conf, const struct tm_kafka_options *options, struct tm_err *err)
{
    TM_TRY(set_all(conf, producer_settings, LENGTH(producer_settings), err));
    if (options->transactional_id == NULL) {
        return TM_OK;
    }
    TM_TRY(set_all(conf, transaction_settings, LENGTH(transaction_settings), err));
    return set_property(conf, "transactional.id", options->transactional_id, err);
}

enum tm_code tm_properties_apply(rd_kafka_conf_t *conf, rd_kafka_type_t type,
        const struct tm_kafka_options *options, struct tm_err *err)
{
    enum tm_code code = set_all(conf, defaults, LENGTH(defaults), err);
    if (code == TM_OK && type == RD_KAFKA_PRODUCER) {
        code = set_all(conf, producer_defaults, LENGTH(producer_defaults), err);
    }
    bool tokens = options->auth != TM_KAFKA_AUTH_RDKAFKA;
    if (code == TM_OK && tokens) {
        code = set_all(conf, token_defaults, LENGTH(token_defaults), err);
    }
    for (size_t i = 0; code == TM_OK && i < options->property_count; i++) {
        code = set_user_property(conf, &options->properties[i], err);
    }
    if (code == TM_OK && tokens) {
        code = set_all(conf, token_settings, LENGTH(token_settings), err);
    }
    if (code == TM_OK) {
        code = set_property(conf, "bootstrap.servers", options->bootstrap, err);
    }
    if (code != TM_OK) {
        return code;
    }
    return type == RD_KAFKA_CONSUMER ? set_consumer(conf, options, err)
                                     : set_producer(conf, options, err);
}
