/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "http/xml.h"
#include "store/s3_impl.h"

enum { DETAIL_MAX = 360 };

bool tm_s3_http_time(const char *text, int64_t *out)
{
    struct tm parts = {0};
    const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    if (end == NULL || *end != '\0') {
        return false;
    }
    *out = (int64_t)timegm(&parts) * 1000;
    return true;
}

void tm_s3_base64(const struct tm_hash *hash, char out[TM_S3_BASE64_HASH])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t at = 0;
    for (size_t i = 0; i < sizeof(hash->bytes); i += 3) {
        size_t left = sizeof(hash->bytes) - i;
        uint32_t three = (uint32_t)hash->bytes[i] << 16;
        three |= left > 1 ? (uint32_t)hash->bytes[i + 1] << 8 : 0;
        three |= left > 2 ? hash->bytes[i + 2] : 0;
        out[at++] = digits[three >> 18];
        out[at++] = digits[three >> 12 & 63];
        out[at++] = left > 1 ? digits[three >> 6 & 63] : '=';
        out[at++] = left > 2 ? digits[three & 63] : '=';
    }
    out[at] = '\0';
}

/* Copy printable text, "?" for what is not; cut where it is too long. */
static void copy_clean(char *out, size_t size, struct tm_slice text)
{
    size_t len = text.len < size - 1 ? text.len : size - 1;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = text.at[i];
        out[i] = (char)(c >= ' ' && c <= '~' ? c : '?');
    }
    out[len] = '\0';
}

/* A child of <Error>, or of STS's <ErrorResponse>. */
static enum tm_code take_element(
        void *arg, const char *path, struct tm_slice text, struct tm_err *err)
{
    struct tm_s3_fault *fault = arg;
    (void)err;
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    const struct {
        const char *name;
        char *out;
        size_t size;
    } parts[] = {
            {"Code", fault->code, sizeof(fault->code)},
            {"Message", fault->message, sizeof(fault->message)},
            {"Region", fault->region, sizeof(fault->region)},
            {"RequestTime", fault->request_time, sizeof(fault->request_time)},
            {"ServerTime", fault->server_time, sizeof(fault->server_time)},
            {"RequestId", fault->request_id, sizeof(fault->request_id)},
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strcmp(name, parts[i].name) == 0) {
            copy_clean(parts[i].out, parts[i].size, text);
        }
    }
    return TM_OK;
}

static void read_fault(const struct tm_http_response *response, struct tm_s3_fault *out)
{
    memset(out, 0, sizeof(*out));
    struct tm_err ignored = {0};
    if (response->body.len > 0 && response->body.at[0] == '<') {
        /* Half a document, or a proxy's HTML, is no better and no worse than none. */
        TM_LATER(tm_xml_read(tm_buf_slice(&response->body), take_element, out, &ignored));
    }
    struct tm_slice id = tm_http_header(response, "x-amz-request-id");
    if (id.len > 0) {
        copy_clean(out->request_id, sizeof(out->request_id), id);
    }
    struct tm_slice region = tm_http_header(response, "x-amz-bucket-region");
    if (region.len > 0) {
        copy_clean(out->region, sizeof(out->region), region);
    }
}

/* "503 SlowDown: Reduce your request rate. (request 4442587FB7D0A2F9)" */
static const char *describe(const struct tm_http_response *response,
        const struct tm_s3_fault *fault, char out[DETAIL_MAX])
{
    const char *id = fault->request_id;
    (void)snprintf(out, DETAIL_MAX, "%d%s%s%s%s%s%s%s", response->status,
            fault->code[0] != '\0' ? " " : "", fault->code, fault->message[0] != '\0' ? ": " : "",
            fault->message, id[0] != '\0' ? " (request " : "", id, id[0] != '\0' ? ")" : "");
    return out;
}

static bool is_code(const struct tm_s3_fault *fault, const char *code)
{
    return strcmp(fault->code, code) == 0;
}

static bool is_one_of(const struct tm_s3_fault *fault, const char *const *codes)
{
    for (; *codes != NULL; codes++) {
        if (is_code(fault, *codes)) {
            return true;
        }
    }
    return false;
}

/* Failures of the moment, whatever their status. */
static bool is_passing(const struct tm_http_response *response, const struct tm_s3_fault *fault)
{
    static const char *const codes[] = {"SlowDown", "SlowDownRead", "SlowDownWrite",
            "InternalError", "ServiceUnavailable", "RequestTimeout", "OperationAborted",
            "ConditionalRequestConflict", "BadDigest", "XAmzContentSHA256Mismatch",
            "IncompleteBody", "Throttling", "ThrottlingException", NULL};
    switch (response->status) {
    case 408:
    case 409:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
        return true;
    default:
        return is_one_of(fault, codes);
    }
}

static enum tm_s3_verdict refuse_clock(const struct tm_http_response *response,
        const struct tm_s3_fault *fault, const char *detail, struct tm_err *err)
{
    char here[TM_TIME_TEXT_MAX];
    char there[64];
    (void)tm_http_header_text(response, "date", there, sizeof(there));
    (void)tm_err_set(err, TM_E_DENIED,
            "the clocks differ: here it is %s, at the server %s; hint: set this machine's clock; "
            "%s",
            tm_time_format(tm_now_ms(), here),
            fault->server_time[0] != '\0' ? fault->server_time : there, detail);
    return TM_S3_REFUSED;
}

/* Refusals that have a remedy; "" for the others. */
static const char *hint_for(const struct tm_s3 *s3, const struct tm_http_response *response,
        const struct tm_s3_fault *fault, char *out, size_t size)
{
    out[0] = '\0';
    if (is_code(fault, "NoSuchBucket")) {
        (void)snprintf(out, size, "; hint: make the bucket, or correct its name or endpoint");
    } else if (fault->region[0] != '\0' && strcmp(fault->region, s3->region) != 0) {
        (void)snprintf(
                out, size, "; hint: the bucket is in region %s, not %s", fault->region, s3->region);
    } else if (is_code(fault, "SignatureDoesNotMatch")) {
        (void)snprintf(out, size, "; hint: the secret access key is another one's");
    } else if (is_code(fault, "InvalidAccessKeyId")) {
        (void)snprintf(out, size, "; hint: the access key id is not known there");
    } else if (is_code(fault, "AccessDenied") && response->status == 403) {
        (void)snprintf(out, size,
                "; hint: grant s3:ListBucket on the bucket, and Get, Put and DeleteObject inside");
    }
    return out;
}

static enum tm_s3_verdict refuse(const struct tm_s3 *s3, const struct tm_http_response *response,
        const struct tm_s3_fault *fault, const char *detail, struct tm_err *err)
{
    static const char *const full[] = {"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage",
            "XMinioAdminBucketQuotaExceeded", NULL};
    char hint[200];
    enum tm_code code = TM_E_DENIED;
    if (is_code(fault, "NotImplemented") || response->status == 501 || response->status == 405) {
        code = TM_E_UNSUPPORTED;
    } else if (is_one_of(fault, full) || response->status == 507) {
        code = TM_E_FULL;
    }
    (void)tm_err_set(err, code, "%s%s", detail, hint_for(s3, response, fault, hint, sizeof(hint)));
    return TM_S3_REFUSED;
}

enum tm_s3_verdict tm_s3_judge(struct tm_s3 *s3, const struct tm_s3_call *call,
        const struct tm_http_response *response, struct tm_err *err)
{
    static const char *const ended[] = {
            "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken", NULL};
    if (response->status >= 200 && response->status <= 299) {
        return TM_S3_DONE;
    }
    struct tm_s3_fault fault;
    char detail[DETAIL_MAX];
    read_fault(response, &fault);
    (void)describe(response, &fault, detail);
    if (response->status == 412 && call->conditional) {
        (void)tm_err_set(err, TM_E_EXISTS, "exists already");
        return TM_S3_REFUSED;
    }
    if (response->status == 404 && !call->of_bucket && !is_code(&fault, "NoSuchBucket")) {
        (void)tm_err_set(err, TM_E_MISSING, "%s", detail);
        return TM_S3_REFUSED;
    }
    if (is_code(&fault, "RequestTimeTooSkewed")) {
        return refuse_clock(response, &fault, detail, err);
    }
    if (is_one_of(&fault, ended) && !s3->fixed_credentials) {
        tm_aws_provider_expire(s3->provider);
        (void)tm_err_set(err, TM_E_DENIED, "%s", detail);
        return TM_S3_AGAIN;
    }
    if (is_passing(response, &fault)) {
        (void)tm_err_set(err, TM_E_IO, "%s", detail);
        return TM_S3_AGAIN;
    }
    return refuse(s3, response, &fault, detail, err);
}
