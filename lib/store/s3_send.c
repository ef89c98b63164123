/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "aws/sigv4.h"
#include "base/clock.h"
#include "base/text.h"
#include "http/url.h"
#include "store/s3_impl.h"

enum {
    LONGEST_PAUSE_MS = 10 * 1000,
    RETRY_AFTER_MAX_S = 60,
    ALL_HEADERS_MAX = TM_S3_HEADERS_MAX + 5,
};

enum tm_code tm_s3_failed(const struct tm_s3 *s3, const struct tm_s3_call *call, struct tm_err *err)
{
    return tm_err_wrap(err, "%s/%s: %s", s3->base.where, call->name, call->action);
}

/* Path of the object, or of the bucket, as it is sent. */
static void add_path(const struct tm_s3 *s3, const struct tm_s3_call *call, struct tm_buf *out)
{
    tm_buf_add_text(out, s3->path);
    if (!call->of_bucket) {
        tm_buf_add_u8(out, '/');
        tm_url_encode(out, tm_slice_str(s3->prefix), "/");
        tm_url_encode(out, tm_slice_str(call->name), "/");
    } else if (s3->path[0] == '\0') {
        tm_buf_add_u8(out, '/');
    }
}

/* Credentials that are missing are no missing object. */
static enum tm_code get_credentials(
        struct tm_s3 *s3, struct tm_aws_credentials *out, struct tm_err *err)
{
    enum tm_code code = tm_aws_provider_get(s3->provider, out, err);
    if (code == TM_E_MISSING) {
        err->code = TM_E_DENIED;
        return TM_E_DENIED;
    }
    return code;
}

static void add_header(
        struct tm_http_header *headers, size_t *count, const char *name, const char *value)
{
    headers[(*count)++] = (struct tm_http_header){name, value};
}

/* Sign and send; `path` and `url` are the call's. */
static enum tm_code send_signed(struct tm_s3 *s3, const struct tm_s3_call *call,
        struct tm_slice path, const char *url, struct tm_http_response *response,
        struct tm_err *err)
{
    TM_AWS_CREDENTIALS_OWN struct tm_aws_credentials credentials = {0};
    TM_TRY(get_credentials(s3, &credentials, err));
    char payload[TM_S3_HASH_TEXT];
    tm_hex(call->payload.bytes, sizeof(call->payload.bytes), payload);
    struct tm_http_header headers[ALL_HEADERS_MAX];
    size_t count = 0;
    add_header(headers, &count, "Host", s3->host);
    add_header(headers, &count, "x-amz-content-sha256", payload);
    for (size_t i = 0; i < call->header_count; i++) {
        headers[count++] = call->headers[i];
    }
    struct tm_sigv4_request request = {
            .credentials = &credentials,
            .region = s3->region,
            .service = "s3",
            .time_ms = tm_now_ms(),
            .method = call->method,
            .path = path,
            .query = tm_slice_str(call->query != NULL ? call->query : ""),
            .headers = headers,
            .header_count = count,
            .payload = payload,
    };
    TM_SIGV4_OWN struct tm_sigv4_headers signature = {0};
    tm_sigv4_sign(&request, &signature);
    add_header(headers, &count, "x-amz-date", signature.date);
    add_header(headers, &count, "Authorization", tm_buf_text(&signature.authorization));
    if (credentials.session_token[0] != '\0') {
        add_header(headers, &count, "x-amz-security-token", credentials.session_token);
    }
    struct tm_http_request sent = {
            .method = call->method,
            .url = url,
            .headers = headers,
            .header_count = count,
            .body = call->body,
            .has_fd = call->spool != NULL,
            .fd = call->spool != NULL ? call->spool->fd : -1,
            .fd_size = call->spool != NULL ? call->spool->size : 0,
            .max_bytes = call->max_bytes,
            .into = call->into,
    };
    atomic_fetch_add_explicit(&s3->requests[call->op], 1, memory_order_relaxed);
    return tm_http_send(s3->http, &sent, response, err);
}

enum tm_code tm_s3_send(struct tm_s3 *s3, const struct tm_s3_call *call,
        struct tm_http_response *response, struct tm_err *err)
{
    TM_BUF_OWN struct tm_buf path = {0};
    TM_BUF_OWN struct tm_buf url = {0};
    add_path(s3, call, &path);
    tm_buf_add_fmt(&url, "%s%s", s3->origin, tm_buf_text(&path));
    if (call->query != NULL) {
        tm_buf_add_fmt(&url, "?%s", call->query);
    }
    return send_signed(s3, call, tm_buf_slice(&path), tm_buf_text(&url), response, err);
}

/* A random part of `bound_ms`: writers that failed together do not come back together. */
static int64_t random_part(int64_t bound_ms)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
        return bound_ms;
    }
    return (int64_t)((uint64_t)random * (uint64_t)bound_ms >> 32);
}

/* What Retry-After asks for; 0 when it does not, or gives a date. */
static int64_t asked_pause_ms(const struct tm_http_response *response)
{
    char text[16];
    int64_t seconds = 0;
    struct tm_err ignored = {0};
    (void)tm_http_header_text(response, "retry-after", text, sizeof(text));
    if (tm_parse_i64(text, &seconds, &ignored) != TM_OK || seconds < 0) {
        return 0;
    }
    return (seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S) * 1000;
}

struct patience {
    int64_t deadline_ns;
    int64_t bound_ms; /* of the next pause */
    unsigned tries;
};

/* Pause before the next try; false when the budget would be used up. */
static bool wait_again(struct patience *patience, const struct tm_http_response *response)
{
    int64_t asked_ms = response->status != 0 ? asked_pause_ms(response) : 0;
    int64_t pause_ms = asked_ms > 0 ? asked_ms : random_part(patience->bound_ms);
    if (tm_mono_ns() + pause_ms * 1000000 >= patience->deadline_ns) {
        return false;
    }
    tm_sleep_ms(pause_ms);
    int64_t doubled = 2 * patience->bound_ms;
    patience->bound_ms = doubled < LONGEST_PAUSE_MS ? doubled : LONGEST_PAUSE_MS;
    return true;
}

/* Is a request that got no whole answer worth another try? */
static bool is_passing(enum tm_code code)
{
    return code == TM_E_IO || code == TM_E_TIMEOUT;
}

/* One try. *lost: what it asked for may have been done though it failed. */
static enum tm_s3_verdict try_once(struct tm_s3 *s3, const struct tm_s3_call *call,
        struct tm_http_response *response, bool *lost, struct tm_err *err)
{
    enum tm_code code = tm_s3_send(s3, call, response, err);
    if (code != TM_OK) {
        *lost = *lost || (response->sent && is_passing(code));
        return is_passing(code) ? TM_S3_AGAIN : TM_S3_REFUSED;
    }
    enum tm_s3_verdict verdict = tm_s3_judge(s3, call, response, err);
    *lost = *lost || (verdict == TM_S3_AGAIN && response->status >= 500);
    return verdict;
}

/* The final failure of a call. */
static enum tm_code give_up(const struct tm_s3 *s3, const struct tm_s3_call *call,
        const struct patience *patience, bool lost, const struct tm_err *why, struct tm_err *err)
{
    bool unknown = call->conditional && lost && why->code != TM_E_EXISTS;
    char tried[40] = "";
    if (patience->tries > 1 && why->code != TM_E_EXISTS) {
        (void)snprintf(tried, sizeof(tried), "; tried %u times", patience->tries);
    }
    *err = *why;
    err->code = unknown ? TM_E_UNKNOWN : why->code;
    /* Cut here rather than where the message begins: the object's name stays. */
    (void)snprintf(err->msg, sizeof(err->msg), "%s%.*s%s", unknown ? "the answer was lost: " : "",
            TM_ERR_MSG_MAX - 200, why->msg, tried);
    return tm_s3_failed(s3, call, err);
}

enum tm_code tm_s3_do(struct tm_s3 *s3, const struct tm_s3_call *call,
        struct tm_http_response *response, struct tm_err *err)
{
    struct patience patience = {
            .deadline_ns = tm_mono_ns() + s3->budget_ms * 1000000,
            .bound_ms = s3->first_pause_ms,
    };
    bool lost = false;
    for (;;) {
        struct tm_err why = {0};
        enum tm_s3_verdict verdict = try_once(s3, call, response, &lost, &why);
        patience.tries++;
        if (verdict == TM_S3_DONE) {
            return TM_OK;
        }
        if (verdict == TM_S3_REFUSED || !wait_again(&patience, response)) {
            return give_up(s3, call, &patience, lost, &why, err);
        }
    }
}
