/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "aws/sources.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"

enum { FIRST_PAUSE_MS = 200 }; /* between tries; doubled */

const char *tm_source_get(const struct tm_source_env *env, const char *name)
{
    const char *value = env->options->env(env->options->arg, name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

enum tm_code tm_source_absent(struct tm_source_answer *answer, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(answer->why, sizeof(answer->why), fmt, args);
    va_end(args);
    answer->found = false;
    return TM_OK;
}

static enum tm_code check_value(
        struct tm_slice value, size_t size, const char *name, struct tm_err *err)
{
    if (value.at == NULL || value.len == 0 || value.len >= size) {
        return tm_err_set(
                err, TM_E_USAGE, "the %s has %zu bytes, not 1 to %zu", name, value.len, size - 1);
    }
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] <= ' ' || value.at[i] > '~') {
            return tm_err_set(err, TM_E_USAGE,
                    "the %s has a space, a control character or a letter beyond ASCII in it", name);
        }
    }
    return TM_OK;
}

enum tm_code tm_source_set(struct tm_slice access_key_id, struct tm_slice secret,
        struct tm_slice session_token, struct tm_aws_credentials *out, struct tm_err *err)
{
    TM_TRY(check_value(access_key_id, sizeof(out->access_key_id), "access key id", err));
    TM_TRY(check_value(secret, sizeof(out->secret), "secret access key", err));
    enum tm_code code =
            session_token.len > 0
                    ? check_value(session_token, sizeof(out->session_token), "session token", err)
                    : TM_OK;
    TM_TRY(code);
    tm_assert(access_key_id.at != NULL && secret.at != NULL); /* they have bytes */
    *out = (struct tm_aws_credentials){.expires_ms = INT64_MAX};
    memcpy(out->access_key_id, access_key_id.at, access_key_id.len);
    memcpy(out->secret, secret.at, secret.len);
    if (session_token.len > 0) {
        memcpy(out->session_token, session_token.at, session_token.len);
    }
    return TM_OK;
}

void tm_source_wipe(struct tm_buf *buf)
{
    if (buf->at != NULL) {
        explicit_bzero(buf->at, buf->capacity);
    }
    tm_buf_done(buf);
}

enum tm_code tm_source_token(const char *path, struct tm_buf *out, struct tm_err *err)
{
    tm_buf_reserve(out, 2 * (size_t)TM_SOURCE_ANSWER_MAX); /* growing would leave copies behind */
    TM_TRY(tm_fs_read(path, TM_SOURCE_ANSWER_MAX, out, err));
    while (out->len > 0 && (out->at[out->len - 1] == '\n' || out->at[out->len - 1] == '\r')) {
        out->at[--out->len] = 0;
    }
    if (out->len == 0) {
        return tm_err_set(err, TM_E_USAGE, "%s: the file is empty", path);
    }
    for (size_t i = 0; i < out->len; i++) {
        if (out->at[i] < ' ' || out->at[i] > '~') {
            return tm_err_set(
                    err, TM_E_USAGE, "%s: not a token: byte %zu is not visible ASCII", path, i);
        }
    }
    return TM_OK;
}

/* What a server wrote of its refusal, in one line. */
static void keep_reason(const struct tm_buf *body, char reason[TM_SOURCE_REASON_MAX])
{
    size_t len = 0;
    for (size_t i = 0; i < body->len && len + 1 < TM_SOURCE_REASON_MAX; i++) {
        uint8_t byte = body->at[i];
        if (byte > ' ' && byte <= '~') {
            reason[len++] = (char)byte;
        } else if (len > 0 && reason[len - 1] != ' ') {
            reason[len++] = ' ';
        }
    }
    reason[len] = '\0';
}

static bool worth_another_try(enum tm_code code, int status)
{
    return code == TM_OK ? status == 429 || status >= 500 : code == TM_E_IO || code == TM_E_TIMEOUT;
}

enum tm_code tm_source_send(const struct tm_source_env *env, struct tm_http_request *request,
        int *status, struct tm_buf *out, char reason[TM_SOURCE_REASON_MAX], struct tm_err *err)
{
    tm_buf_reserve(out, TM_SOURCE_ANSWER_MAX);
    request->into = out;
    request->max_bytes = TM_SOURCE_ANSWER_MAX;
    for (int attempt = 1;; attempt++) {
        TM_HTTP_RESPONSE_OWN struct tm_http_response response = {0};
        struct tm_err local = {0};
        enum tm_code code = tm_http_send(env->http, request, &response, &local);
        if (attempt < TM_SOURCE_TRIES && worth_another_try(code, response.status)) {
            tm_sleep_ms(FIRST_PAUSE_MS << (attempt - 1));
            continue;
        }
        if (code != TM_OK) {
            *err = local;
            return code;
        }
        *status = response.status;
        if (response.body.len > 0) { /* of a refusal; any other is in `out` */
            tm_buf_add(out, response.body.at, response.body.len);
        }
        keep_reason(&response.body, reason);
        return TM_OK;
    }
}

enum tm_code tm_source_end(
        const struct tm_source_env *env, const char *text, int64_t *out_ms, struct tm_err *err)
{
    int64_t now_ms = env->options->now_ms(env->options->arg);
    int64_t end_ms = 0;
    struct tm_err ignored = {0};
    /* tm_time_parse() also takes "-2h", which no server means. */
    if (strchr(text, 'T') == NULL || tm_time_parse(text, now_ms, &end_ms, &ignored) != TM_OK) {
        return tm_err_set(
                err, TM_E_CORRUPT, "the time at which the credentials end is not in RFC 3339");
    }
    if (end_ms <= now_ms) {
        char end[TM_TIME_TEXT_MAX];
        char now[TM_TIME_TEXT_MAX];
        return tm_err_set(err, TM_E_DENIED,
                "the credentials ended at %s, and here it is %s; hint: look at this host's clock",
                tm_time_format(end_ms, end), tm_time_format(now_ms, now));
    }
    *out_ms = end_ms;
    return TM_OK;
}

static struct tm_slice text_of(const struct tm_json_value *object, const char *key)
{
    const struct tm_json_value *value = tm_json_get(object, key);
    bool text = value != NULL && value->kind == TM_JSON_STRING;
    return text ? tm_slice_str(value->string) : TM_SLICE_NULL;
}

static enum tm_code read_keys(const struct tm_source_env *env, const struct tm_json_value *object,
        bool ends, struct tm_aws_credentials *out, struct tm_err *err)
{
    struct tm_slice end = text_of(object, "Expiration");
    int64_t end_ms = INT64_MAX;
    if (end.at == NULL && ends) {
        return tm_err_set(err, TM_E_CORRUPT, "the answer has no Expiration");
    }
    enum tm_code code =
            end.at != NULL ? tm_source_end(env, (const char *)end.at, &end_ms, err) : TM_OK;
    TM_TRY(code);
    TM_TRY(tm_source_set(text_of(object, "AccessKeyId"), text_of(object, "SecretAccessKey"),
            text_of(object, "Token"), out, err));
    out->expires_ms = end_ms;
    return TM_OK;
}

/* The reader's copies of the strings go before their memory does. */
static void wipe_strings(const struct tm_json_value *object)
{
    for (const struct tm_json_value *value = object->first; value != NULL; value = value->next) {
        if (value->kind == TM_JSON_STRING) {
            /* NOLINTNEXTLINE(performance-no-int-to-ptr): the arena's memory is ours to write */
            explicit_bzero((char *)(uintptr_t)value->string, strlen(value->string));
        }
    }
}

enum tm_code tm_source_keys_json(const struct tm_source_env *env, struct tm_slice json, bool ends,
        struct tm_aws_credentials *out, struct tm_err *err)
{
    struct tm_arena arena = {0};
    const struct tm_json_value *object = NULL;
    enum tm_code code = tm_json_read(json, &arena, &object, NULL, err);
    if (code == TM_OK && object->kind != TM_JSON_OBJECT) {
        code = tm_err_set(err, TM_E_CORRUPT, "the answer is not an object");
    }
    struct tm_slice said = code == TM_OK ? text_of(object, "Code") : TM_SLICE_NULL;
    if (said.at != NULL && !tm_slice_is(said, "Success")) {
        code = tm_err_set(
                err, TM_E_DENIED, "the answer's Code is %.60s, not Success", (const char *)said.at);
    }
    if (code == TM_OK) {
        code = read_keys(env, object, ends, out, err);
    }
    if (object != NULL) {
        wipe_strings(object);
    }
    tm_arena_done(&arena);
    return code;
}
