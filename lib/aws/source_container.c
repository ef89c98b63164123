/* SPDX-License-Identifier: Apache-2.0 */
/* The endpoint beside a container: of ECS, of EKS Pod Identity. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "aws/sources.h"
#include "http/url.h"

enum { CONTAINER_TIMEOUT_MS = 2 * 1000, URL_MAX = 1024, HOST_MAX = 64 };

/* Is this host so near that no one between reads what is said without TLS? Names are not asked for. */
static bool is_near(struct tm_slice host)
{
    char text[HOST_MAX];
    const uint8_t *open = host.len > 0 && host.at[0] == '[' ? host.at + 1 : host.at;
    const uint8_t *end =
            memchr(open, open != host.at ? ']' : ':', host.len - (size_t)(open - host.at));
    size_t len = (size_t)((end != NULL ? end : host.at + host.len) - open);
    if (len >= sizeof(text)) {
        return false;
    }
    memcpy(text, open, len);
    text[len] = '\0';
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, text, &v4) == 1) {
        uint32_t address = ntohl(v4.s_addr);
        return address >> 24 == 127 || address == 0xa9feaa02 || address == 0xa9feaa17;
    }
    if (open != host.at && inet_pton(AF_INET6, text, &v6) == 1) {
        struct in6_addr pod_identity;
        (void)inet_pton(AF_INET6, "fd00:ec2::23", &pod_identity);
        return IN6_IS_ADDR_LOOPBACK(&v6) || IN6_ARE_ADDR_EQUAL(&v6, &pod_identity);
    }
    return strcmp(text, "localhost") == 0;
}

static enum tm_code check_full(const char *url, struct tm_err *err)
{
    struct tm_url parts;
    if (tm_url_split(url, &parts, err) != TM_OK) {
        return tm_err_wrap(err, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    }
    if (!parts.tls && !is_near(parts.host)) {
        return tm_err_set(err, TM_E_USAGE,
                "AWS_CONTAINER_CREDENTIALS_FULL_URI: %.*s may be asked by https alone: without it "
                "only loopback, 169.254.170.2, 169.254.170.23 and [fd00:ec2::23] may",
                (int)parts.host.len, (const char *)parts.host.at);
    }
    return TM_OK;
}

/* The value of the header Authorization, in `out`; nothing when there is none to send. */
static enum tm_code authorization(
        const struct tm_source_env *env, struct tm_buf *out, struct tm_err *err)
{
    const char *file = tm_source_get(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *token = tm_source_get(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    if (file != NULL) {
        return tm_source_token(file, out, err);
    }
    for (const char *at = token; at != NULL && *at != '\0'; at++) {
        if (*at < ' ' || *at > '~') {
            return tm_err_set(err, TM_E_USAGE,
                    "AWS_CONTAINER_AUTHORIZATION_TOKEN: not a token: byte %zu is not visible ASCII",
                    (size_t)(at - token));
        }
    }
    if (token != NULL) {
        tm_buf_reserve(out, strlen(token));
        tm_buf_add_text(out, token);
    }
    return TM_OK;
}

static enum tm_code fetch(const struct tm_source_env *env, const char *url,
        struct tm_aws_credentials *out, struct tm_err *err)
{
    TM_SOURCE_WIPED struct tm_buf token = {0};
    TM_SOURCE_WIPED struct tm_buf body = {0};
    TM_TRY(authorization(env, &token, err));
    const struct tm_http_header headers[] = {{"Authorization", tm_buf_text(&token)}};
    struct tm_http_request request = {.method = "GET",
            .url = url,
            .headers = headers,
            .header_count = token.len > 0 ? 1 : 0,
            .timeout_ms = CONTAINER_TIMEOUT_MS};
    int status = 0;
    char reason[TM_SOURCE_REASON_MAX];
    TM_TRY(tm_source_send(env, &request, &status, &body, reason, err));
    if (status != 200) {
        enum tm_code code = status >= 500 || status == 429 ? TM_E_IO : TM_E_DENIED;
        return tm_err_set(err, code, "%s: status %d: %s", url, status, reason);
    }
    if (tm_source_keys_json(env, tm_buf_slice(&body), false, out, err) != TM_OK) {
        return tm_err_wrap(err, "%s", url);
    }
    return TM_OK;
}

enum tm_code tm_source_container(
        const struct tm_source_env *env, struct tm_source_answer *answer, struct tm_err *err)
{
    const char *relative = tm_source_get(env, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = tm_source_get(env, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    char url[URL_MAX];
    if (relative == NULL && full == NULL) {
        return tm_source_absent(answer, "AWS_CONTAINER_CREDENTIALS_FULL_URI is not set");
    }
    if (relative != NULL && relative[0] != '/') {
        return tm_err_set(err, TM_E_USAGE,
                "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with a slash");
    }
    int len = relative != NULL
                      ? snprintf(url, sizeof(url), "%s%s", env->options->container_url, relative)
                      : snprintf(url, sizeof(url), "%s", full);
    if (len < 0 || (size_t)len >= sizeof(url)) {
        return tm_err_set(err, TM_E_USAGE, "%s has more than %d bytes",
                relative != NULL ? "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
                                 : "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                URL_MAX - 100);
    }
    enum tm_code code = relative == NULL ? check_full(url, err) : TM_OK;
    TM_TRY(code);
    TM_TRY(fetch(env, url, &answer->credentials, err));
    answer->found = true;
    return TM_OK;
}
