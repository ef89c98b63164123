/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "kafka/hints.h"
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

/*
 * Of a certificate that is not accepted the library says that the authority may be missing, whatever
 * is wrong with it: put there what is.
 */
static void explain_certificate(struct tm_client *client)
{
    char *error = strstr(client->cause_text, "error:");
    const char *hint = tm_hint_certificate(client->x509_error);
    if (error != NULL && hint != NULL &&
            strstr(client->cause_text, "certificate verify failed") != NULL) {
        size_t kept = (size_t)(error - client->cause_text);
        (void)snprintf(error, sizeof(client->cause_text) - kept,
                "the broker's certificate is not accepted: %s", hint);
    }
}

static void note_cause(struct tm_client *client, rd_kafka_resp_err_t err, const char *reason)
{
    pthread_mutex_lock(&client->lock);
    bool says_less = err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && client->cause_text[0] != '\0';
    if (!says_less) {
        client->cause = err;
        copy_reason(client->cause_text, reason);
        explain_certificate(client);
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
    tm_metric_add(TM_M_KAFKA_ERRORS, TM_LABELS(client->cluster, rd_kafka_err2name(code)), 1);
    if (code != RD_KAFKA_RESP_ERR__FATAL) {
        note_cause(client, code, reason);
        if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION) {
            tm_oauth_refused(client, rk, reason);
        }
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

/* Looks at each certificate that a broker shows: refuse what OpenSSL refuses, and remember why. */
static int on_certificate(rd_kafka_t *rk, const char *broker, int32_t id, int *x509_error,
        int depth, const char *der, size_t size, char *reason, size_t room, void *opaque)
{
    (void)rk, (void)broker, (void)id, (void)depth, (void)der, (void)size;
    struct tm_client *client = opaque;
    if (*x509_error == 0) {
        return 1;
    }
    const char *hint = tm_hint_certificate(*x509_error);
    (void)snprintf(reason, room, "%s", hint != NULL ? hint : "not accepted");
    pthread_mutex_lock(&client->lock);
    client->x509_error = *x509_error;
    pthread_mutex_unlock(&client->lock);
    return 0;
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

/* A quota: the broker says for how long it holds back. */
static void on_throttle(rd_kafka_t *rk, const char *broker, int32_t id, int time_ms, void *opaque)
{
    (void)rk;
    (void)broker;
    (void)id;
    struct tm_client *client = opaque;
    if (time_ms > 0) {
        atomic_fetch_add(&client->throttled_ms, time_ms);
        tm_metric_add(TM_M_KAFKA_THROTTLED, TM_LABELS(client->cluster), (double)time_ms / 1000);
    }
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

/* Everything that is set before the handle is made; on failure nothing needs releasing. */
static enum tm_code configure(struct tm_client *client, rd_kafka_type_t type,
        const struct tm_kafka_options *options, rd_kafka_conf_t **out, struct tm_err *err)
{
    TM_TRY(tm_token_source_of(options, &client->tokens, err));
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (tm_properties_apply(conf, type, options, err) != TM_OK) {
        rd_kafka_conf_destroy(conf);
        tm_token_source_done(&client->tokens);
        return err->code;
    }
    rd_kafka_conf_set_opaque(conf, client);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, on_log);
    (void)rd_kafka_conf_set_ssl_cert_verify_cb(conf, on_certificate);
    tm_oauth_configure(conf, client);
    rd_kafka_conf_set_throttle_cb(conf, on_throttle);
    if (client->hooks != NULL && client->hooks->delivered != NULL) {
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    }
    *out = conf;
    return TM_OK;
}

static void release(struct tm_client *client)
{
    if (client->rk != NULL) {
        rd_kafka_destroy(client->rk);
    }
    tm_token_source_done(&client->tokens);
    pthread_mutex_destroy(&client->lock);
    pthread_mutex_destroy(&client->token_lock);
    free(client->cluster);
}

enum tm_code tm_client_open(struct tm_client *client, rd_kafka_type_t type,
        const struct tm_kafka_options *options, const struct tm_client_hooks *hooks, void *opaque,
        struct tm_err *err)
{
    rd_kafka_conf_t *conf = NULL;
    client->hooks = hooks;
    client->opaque = opaque;
    client->poll_ms = type == RD_KAFKA_CONSUMER ? CONSUMER_POLL_MS : PRODUCER_POLL_MS;
    if (configure(client, type, options, &conf, err) != TM_OK) {
        return tm_err_wrap(err, "cluster %s", options->cluster);
    }
    pthread_mutex_init(&client->lock, NULL);
    pthread_mutex_init(&client->token_lock, NULL);
    client->cluster = strdup(options->cluster);
    tm_assert(client->cluster != NULL);
    char reason[REASON_MAX];
    client->rk = rd_kafka_new(type, conf, reason, sizeof(reason));
    if (client->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        release(client);
        return tm_err_set(err, TM_E_USAGE, "cluster %s: %s", options->cluster, reason);
    }
    if (tm_oauth_start(client, err) != TM_OK) {
        release(client);
        return tm_err_wrap(err, "cluster %s", options->cluster);
    }
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
    release(client);
}

void tm_client_succeeded(struct tm_client *client)
{
    pthread_mutex_lock(&client->lock);
    client->recovered = true;
    client->succeeded = true;
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
    pthread_mutex_lock(&client->lock);
    if (tm_rdkafka_is_silence(err) && cause_holds(client)) {
        err = client->cause;
        memcpy(cause, client->cause_text, sizeof(cause));
    }
    const char *hint = tm_hint_connection(err, cause, !client->succeeded);
    pthread_mutex_unlock(&client->lock);
    return tm_err_set(out, tm_rdkafka_code(err), "%s: %s%s%s", rd_kafka_err2name(err), cause,
            hint != NULL ? "; hint: " : "", hint != NULL ? hint : "");
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

int64_t tm_kafka_throttled_ms(const struct tm_kafka *kafka)
{
    return atomic_load(&kafka->client.throttled_ms);
}

const char *tm_kafka_cluster(const struct tm_kafka *kafka)
{
    return kafka->client.cluster;
}

const char *tm_kafka_library_version(void)
{
    return rd_kafka_version_str();
}
