/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/msk_token.h"

#include <stdio.h>
#include <string.h>

#include "aws/sigv4.h"
#include "aws/sources.h"
#include "base/base64.h"

enum { HOST_MAX = TM_MSK_REGION_MAX + 32, TOKEN_ROOM = 4096 };

static const char empty_sha256[] =
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

void tm_msk_token(const struct tm_aws_credentials *credentials, const char *region, int64_t now_ms,
        struct tm_buf *out, int64_t *expires_ms)
{
    char host[HOST_MAX];
    int len = snprintf(host, sizeof(host), "kafka.%s.amazonaws.com", region);
    tm_assert(len > 0 && (size_t)len < sizeof(host));
    const struct tm_http_header headers[] = {{"host", host}};
    const struct tm_sigv4_request request = {
            .credentials = credentials,
            .region = region,
            .service = "kafka-cluster",
            .time_ms = now_ms,
            .method = "GET",
            .path = tm_slice_str("/"),
            .query = tm_slice_str("Action=kafka-cluster%3AConnect"),
            .headers = headers,
            .header_count = 1,
            .payload = empty_sha256,
    };
    /* Room beforehand, so that growing leaves no copies of it behind. */
    size_t room = 3 * strlen(credentials->session_token) + TOKEN_ROOM;
    TM_SOURCE_WIPED struct tm_buf query = {0};
    TM_SOURCE_WIPED struct tm_buf url = {0};
    tm_buf_reserve(&query, room);
    tm_buf_reserve(&url, room);
    tm_buf_reserve(out, 2 * room);
    tm_sigv4_presign(&request, TM_MSK_TOKEN_LIFE_S, &query);
    tm_buf_add_fmt(&url, "https://%s/?", host);
    tm_buf_add(&url, query.at, query.len);
    /* Behind the signature, which does not cover it: that is what the brokers take. */
    tm_buf_add_text(&url, "&User-Agent=tidemark");
    tm_base64url_add(out, tm_buf_slice(&url));

    int64_t signed_ms = now_ms - now_ms % 1000; /* the URL says whole seconds */
    int64_t end_ms = signed_ms + (int64_t)TM_MSK_TOKEN_LIFE_S * 1000;
    *expires_ms = end_ms < credentials->expires_ms ? end_ms : credentials->expires_ms;
}

bool tm_msk_region_is_valid(const char *region)
{
    size_t len = strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return len > 0 && len < TM_MSK_REGION_MAX && region[len] == '\0';
}

/* The region in one host name of `len` bytes. */
static bool region_of(const char *host, size_t len, char out[TM_MSK_REGION_MAX])
{
    static const char *const services[] = {".kafka.", ".kafka-serverless."};
    static const char suffix[] = ".amazonaws.com"; /* .cn behind it in China */
    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
        const char *service = memmem(host, len, services[i], strlen(services[i]));
        if (service == NULL) {
            continue;
        }
        const char *region = service + strlen(services[i]);
        const char *end = memmem(region, len - (size_t)(region - host), suffix, sizeof(suffix) - 1);
        if (end == NULL || end - region >= TM_MSK_REGION_MAX) {
            continue;
        }
        memcpy(out, region, (size_t)(end - region));
        out[end - region] = '\0';
        if (tm_msk_region_is_valid(out)) {
            return true;
        }
    }
    return false;
}

bool tm_msk_region(const char *bootstrap, char out[TM_MSK_REGION_MAX])
{
    while (*bootstrap != '\0') {
        size_t len = strcspn(bootstrap, ",");
        if (region_of(bootstrap, len, out)) {
            return true;
        }
        bootstrap += len + (bootstrap[len] == ',' ? 1 : 0);
    }
    return false;
}
