/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks_send.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "base/ulid.h"

enum { TIMEOUT_MS = 10 * 1000, ANSWER_MAX = 64 * 1024 };

struct tm_http *tmd_hook_client(const struct tm_config_hook *hook)
{
    struct tm_http_options options = {
            .user_agent = "tidemark/" TM_VERSION,
            .connect_timeout_ms = TIMEOUT_MS,
            .stall_timeout_ms = TIMEOUT_MS,
            .reach = hook->allow_private ? TM_HTTP_PRIVATE : TM_HTTP_PUBLIC,
    };
    return tm_http_new(&options);
}

char *tmd_hook_body(const char *type, const char *subject, struct tm_json *data)
{
    char id[TM_ULID_NAME_MAX];
    char source[80] = "/tidemark/";
    size_t len = strlen(source);
    int64_t now_ms = tm_now_ms();
    struct tm_id16 ulid = tm_ulid_make(now_ms);
    if (gethostname(source + len, sizeof(source) - len - 1) != 0) {
        source[len] = '\0';
    }
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "specversion", "1.0");
    tm_json_add_str(json, "id", tm_ulid_format(&ulid, "evt_", id));
    tm_json_add_str(json, "source", source);
    tm_json_add_str(json, "type", type);
    tm_json_add_str(json, "subject", subject);
    tm_json_add_time(json, "time", now_ms);
    tm_json_add_str(json, "datacontenttype", "application/json");
    (void)tm_json_add(json, "data", data);
    char *text = tm_json_text(json);
    tm_json_free(json);
    return text;
}

/* The URL with something behind its path. */
static void add_suffix(struct tm_buf *out, const char *url, const char *suffix)
{
    size_t path = strcspn(url, "?");
    tm_buf_add(out, url, path);
    if (suffix[0] != '\0' && path > 0 && url[path - 1] == '/') {
        suffix++; /* no "//" */
    }
    tm_buf_add_text(out, suffix);
    tm_buf_add_text(out, url + path);
}

/* "t=UNIXTIME,v1=HEX": a receiver that compares the time takes nothing that was sent before. */
static void sign(struct tm_buf *out, const char *secret, const char *body)
{
    TM_BUF_OWN struct tm_buf text = {0};
    int64_t now_s = tm_now_ms() / 1000;
    tm_buf_add_fmt(&text, "%" PRId64 ".", now_s);
    tm_buf_add_text(&text, body);
    struct tm_hash hash = tm_hmac_sha256(tm_slice_str(secret), tm_buf_slice(&text));
    tm_buf_add_fmt(out, "t=%" PRId64 ",v1=", now_s);
    tm_buf_add_hex(out, hash.bytes, sizeof(hash.bytes));
}

/* What a status says of trying again: of what is wrong with the request itself, nothing. */
static enum tm_code judge(int status, struct tm_err *err)
{
    if (status >= 200 && status <= 299) {
        return TM_OK;
    }
    if (status >= 300 && status <= 399) {
        return tm_err_set(err, TM_E_USAGE, "answered %d; redirects are not followed", status);
    }
    bool later = status == 408 || status == 425 || status == 429 || status >= 500;
    return tm_err_set(err, later ? TM_E_IO : TM_E_USAGE, "answered %d", status);
}

enum tm_code tmd_hook_send(struct tm_http *http, const struct tm_config_hook *hook,
        const char *suffix, const char *body, const atomic_bool *stop, int *status,
        struct tm_err *err)
{
    TM_BUF_OWN struct tm_buf url = {0};
    TM_BUF_OWN struct tm_buf signature = {0};
    TM_HTTP_RESPONSE_OWN struct tm_http_response response = {0};
    add_suffix(&url, hook->url, suffix);
    struct tm_http_header headers[2] = {
            {"Content-Type", "application/cloudevents+json; charset=utf-8"}};
    size_t count = 1;
    if (hook->secret[0] != '\0') {
        sign(&signature, hook->secret, body);
        headers[count++] = (struct tm_http_header){"Tidemark-Signature", tm_buf_text(&signature)};
    }
    struct tm_http_request request = {
            .method = "POST",
            .url = tm_buf_text(&url),
            .headers = headers,
            .header_count = count,
            .body = tm_slice_str(body),
            .max_bytes = ANSWER_MAX,
            .timeout_ms = TIMEOUT_MS,
            .stop = stop,
    };
    *status = 0;
    enum tm_code code = tm_http_send(http, &request, &response, err);
    explicit_bzero(url.at, url.len);
    *status = response.status;
    TM_TRY(code);
    return judge(response.status, err);
}
