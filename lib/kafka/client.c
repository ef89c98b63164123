/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/clock.h"
#include "base/log.h"
#include "kafka/internal.h"

enum {
    REASON_MAX = 384,
    CONSUMER_POLL_MS = 1000, /* an idle handle wakes once a second */
    PRODUCER_POLL_MS = 100,  /* it lives only while a restore runs */
    CAUSE_KEPT_MS = 60 * 1000,
};

static _Thread_local struct tm_caught *catching;

void tm_client_catch(struct tm_caught *into)
{
    catching = into;
}

/* The library ends a reason with " (after 3ms in state CONNECT)": of no use, and never twice the same. */
static void copy_reason(char out[TM_CAUSE_MAX], const char *reason)
{
    size_t len = strnlen(reason, TM_CAUSE_MAX - 1);
    memcpy(out, reason, len);
    out[len] = '\0';
    char *after = strstr(out, " (after ");
    if (after != NULL) {
        *after = '\0';
    }
    for (char *at = out; *at != '\0'; at++) {
        if (*at == '\n') {
            *at = ' ';
        }
    }
}

static void note_cause(struct tm_client *client, rd_kafka_resp_err_t err, const char *reason)
{
    pthread_mutex_lock(&client->lock);
    bool says_less = err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && client->cause_text[0] != '\0';
    if (!says_less) {
        client->cause = err;
        copy_reason(client->cause_text, reason);
    }
    client->cause_ns = tm_mono_ns();
    client->recovered = false;
    pthread_mutex_unlock(&client->lock);
}

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    struct tm_client *client = opaque;
    rd_kafka_resp_err_t code = (rd_kafka_resp_err_t)err;
    if (catching != NULL) {
        catching->err = code;
        copy_reason(catching->text, reason);
        return;
    }
    if (code != RD_KAFKA_RESP_ERR__FATAL) {
        note_cause(client, code, reason);
        return;
    }
    char text[REASON_MAX];
    code = rd_kafka_fatal_error(rk, text, sizeof(text));
    note_cause(client, code, text);
    if (client->hooks != NULL && client->hooks->fatal != NULL) {
        client->hooks->fatal(client->opaque, code, text);
    }
}

/*
 * A connection that the other side closes is logged, but no error: "Disconnected: verify that
 * security.protocol is correctly configured" would be lost.
 */
static void note_disconnect(struct tm_client *client, int level, const char *text)
{
    const char *after_thread = text[0] == '[' ? strstr(text, "]: ") : NULL;
    if (client != NULL && level > LOG_ERR) {
        note_cause(client, RD_KAFKA_RESP_ERR__TRANSPORT,
                after_thread != NULL ? after_thread + strlen("]: ") : text);
    }
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    if (strcmp(facility, "FAIL") == 0) {
        note_disconnect(rd_kafka_opaque(rk), level, text);
    }
    tm_log(TM_LOG_DEBUG, "kafka.library", text, TM_LOG_STR("facility", facility), TM_LOG_END);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    struct tm_client *client = opaque;
    client->hooks->delivered(message);
}

static void *serve(void *arg)
{
    struct tm_client *client = arg;
    while (!atomic_load(&client->stop)) {
        rd_kafka_poll(client->rk, client->poll_ms);
        if (client->hooks != NULL && client->hooks->served != NULL) {
            client->hooks->served(client->opaque);
        }
    }
    return NULL;
}

static void start_thread(struct tm_client *client)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the main thread's */
    int failed = pthread_create(&client->thread, NULL, serve, client);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    tm_assert(failed == 0);
    client->thread_runs = true;
}

enum tm_code tm_client_open(struct tm_client *client, rd_kafka_type_t type,
        const struct tm_kafka_options *options, const struct tm_client_hooks *hooks, void *opaque,
        struct tm_err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (tm_properties_apply(conf, type, options, err) != TM_OK) {
        rd_kafka_conf_destroy(conf);
        return tm_err_wrap(err, "cluster %s", options->cluster);
    }
    rd_kafka_conf_set_opaque(conf, client);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, on_log);
    if (hooks != NULL && hooks->delivered != NULL) {
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    }

    pthread_mutex_init(&client->lock, NULL);
    client->hooks = hooks;
    client->opaque = opaque;
    client->poll_ms = type == RD_KAFKA_CONSUMER ? CONSUMER_POLL_MS : PRODUCER_POLL_MS;
    char reason[REASON_MAX];
    client->rk = rd_kafka_new(type, conf, reason, sizeof(reason));
    if (client->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        pthread_mutex_destroy(&client->lock);
        return tm_err_set(err, TM_E_USAGE, "cluster %s: %s", options->cluster, reason);
    }
    client->cluster = strdup(options->cluster);
    tm_assert(client->cluster != NULL);
    start_thread(client);
    return TM_OK;
}

void tm_client_stop(struct tm_client *client)
{
    if (!client->thread_runs) {
        return;
    }
    atomic_store(&client->stop, true);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(client->rk);
    rd_kafka_queue_yield(queue);
    rd_kafka_queue_destroy(queue);
    pthread_join(client->thread, NULL);
    client->thread_runs = false;
}

void tm_client_close(struct tm_client *client)
{
    tm_client_stop(client);
    rd_kafka_destroy(client->rk);
    pthread_mutex_destroy(&client->lock);
    free(client->cluster);
}

void tm_client_succeeded(struct tm_client *client)
{
    pthread_mutex_lock(&client->lock);
    client->recovered = true;
    pthread_mutex_unlock(&client->lock);
}

/* The library reports an error of a broker that repeats itself once in 30 s only: a cause from before
 * the last success may still be the cause. */
static bool cause_holds(const struct tm_client *client)
{
    int64_t age_ms = (tm_mono_ns() - client->cause_ns) / 1000000;
    return client->cause_text[0] != '\0' && (!client->recovered || age_ms < CAUSE_KEPT_MS);
}

enum tm_code tm_client_fail(
        struct tm_client *client, rd_kafka_resp_err_t err, const char *text, struct tm_err *out)
{
    char cause[TM_CAUSE_MAX];
    (void)snprintf(cause, sizeof(cause), "%s", text != NULL ? text : rd_kafka_err2str(err));
    if (tm_rdkafka_is_silence(err)) {
        pthread_mutex_lock(&client->lock);
        if (cause_holds(client)) {
            err = client->cause;
            memcpy(cause, client->cause_text, sizeof(cause));
        }
        pthread_mutex_unlock(&client->lock);
    }
    return tm_err_set(out, tm_rdkafka_code(err), "%s: %s", rd_kafka_err2name(err), cause);
}

enum tm_code tm_kafka_open(
        const struct tm_kafka_options *options, struct tm_kafka **out, struct tm_err *err)
{
    struct tm_kafka *kafka = tm_xalloc(1, sizeof(*kafka));
    kafka->read_uncommitted = options->read_uncommitted;
    if (tm_client_open(&kafka->client, RD_KAFKA_CONSUMER, options, NULL, NULL, err) != TM_OK) {
        free(kafka);
        return err->code;
    }
    *out = kafka;
    return TM_OK;
}

void tm_kafka_close(struct tm_kafka *kafka)
{
    if (kafka != NULL) {
        tm_client_close(&kafka->client);
        free(kafka);
    }
}

const char *tm_kafka_cluster(const struct tm_kafka *kafka)
{
    return kafka->client.cluster;
}

const char *tm_kafka_library_version(void)
{
    return rd_kafka_version_str();
}
