/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/oauth.h"

#include <string.h>

#include "aws/sources.h"
#include "base/clock.h"
#include "base/log.h"
#include "kafka/internal.h"

enum { REASON_MAX = 384, REFUSED_PAUSE_MS = 5000 };

enum tm_code tm_token_source_of(
        const struct tm_kafka_options *options, struct tm_token_source *out, struct tm_err *err)
{
    *out = (struct tm_token_source){0};
    switch (options->auth) {
    case TM_KAFKA_AUTH_RDKAFKA:
        return TM_OK;
    case TM_KAFKA_AUTH_TOKEN_FILE:
        tm_token_file(options->token_file, out);
        return TM_OK;
    case TM_KAFKA_AUTH_MSK_IAM:
        return tm_msk_iam(options, out, err);
    }
    return TM_OK;
}

void tm_token_source_done(struct tm_token_source *source)
{
    if (source->self != NULL) {
        source->done(source->self);
        *source = (struct tm_token_source){0};
    }
}

/* Give what the source has to the library; on failure `err` says why. */
static enum tm_code hand_over(rd_kafka_t *rk, const struct tm_token *token, struct tm_err *err)
{
    char reason[REASON_MAX];
    rd_kafka_resp_err_t failed = rd_kafka_oauthbearer_set_token(rk, tm_buf_text(&token->value),
            token->expires_ms, token->principal, NULL, 0, reason, sizeof(reason));
    return failed == RD_KAFKA_RESP_ERR_NO_ERROR
                   ? TM_OK
                   : tm_err_set(err, TM_E_USAGE, "librdkafka does not take the token: %s", reason);
}

/* Ask the source and hand over what it has. */
static enum tm_code renew(
        struct tm_client *client, rd_kafka_t *rk, bool refused, struct tm_err *err)
{
    struct tm_token token = {0};
    pthread_mutex_lock(&client->token_lock);
    enum tm_code code = client->tokens.get(client->tokens.self, refused, &token, err);
    if (code == TM_OK) {
        code = hand_over(rk, &token, err);
    }
    pthread_mutex_unlock(&client->token_lock);
    if (code == TM_OK) {
        char end[TM_TIME_TEXT_MAX];
        tm_log(TM_LOG_DEBUG, "kafka.token", "has a token for the brokers",
                TM_LOG_STR("cluster", client->cluster),
                TM_LOG_STR("token_end", tm_time_format(token.expires_ms, end)), TM_LOG_END);
    } else {
        tm_log(TM_LOG_WARNING, "kafka.token-failed", err->msg,
                TM_LOG_STR("cluster", client->cluster), TM_LOG_END);
    }
    tm_source_wipe(&token.value);
    return code;
}

/* The library wants another token: on its own thread. */
static void refresh(rd_kafka_t *rk, const char *config, void *opaque)
{
    (void)config;
    struct tm_client *client = opaque;
    struct tm_err err = {0};
    if (renew(client, rk, false, &err) != TM_OK) {
        (void)rd_kafka_oauthbearer_set_token_failure(rk, err.msg); /* it asks again in 10 s */
    }
}

void tm_oauth_configure(rd_kafka_conf_t *conf, const struct tm_client *client)
{
    if (client->tokens.self != NULL) {
        rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, refresh);
        rd_kafka_conf_enable_sasl_queue(conf, 1); /* not on the thread that serves the handle */
    }
}

enum tm_code tm_oauth_start(struct tm_client *client, struct tm_err *err)
{
    if (client->tokens.self == NULL) {
        return TM_OK;
    }
    rd_kafka_error_t *failed = rd_kafka_sasl_background_callbacks_enable(client->rk);
    if (failed == NULL) {
        return TM_OK;
    }
    enum tm_code code = tm_err_set(err, TM_E_USAGE, "tokens: %s", rd_kafka_error_string(failed));
    rd_kafka_error_destroy(failed);
    return code;
}

void tm_oauth_refused(struct tm_client *client, rd_kafka_t *rk, const char *reason)
{
    /* Our own failures are reported as such an error, too; and each broker refuses for itself. */
    bool from_broker = strstr(reason, "SASL authentication error") != NULL;
    int64_t now_ns = tm_mono_ns();
    if (client->tokens.self == NULL || !from_broker ||
            (client->token_refused_ns != 0 &&
                    now_ns - client->token_refused_ns < (int64_t)REFUSED_PAUSE_MS * 1000000)) {
        return;
    }
    client->token_refused_ns = now_ns;
    struct tm_err err = {0};
    TM_LATER(renew(client, rk, true, &err)); /* told in the log; the library asks at its time */
}
