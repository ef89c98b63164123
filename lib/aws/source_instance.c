/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metadata of an EC2 instance, version 2 alone: a token first, by a PUT that no one is tricked into
 * forwarding. Where nothing answers it, this is no EC2 instance.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "aws/sources.h"

enum {
    TOKEN_TIMEOUT_MS = 1000, /* a hop limit of 1 lets requests of a container vanish */
    METADATA_TIMEOUT_MS = 2000,
    URL_MAX = 1024,
    ROLE_MAX = 128,
};

static const char credentials_path[] = "/latest/meta-data/iam/security-credentials/";

/* Where the metadata are, without a slash at the end. False: it does not fit. */
static bool find_endpoint(const struct tm_source_env *env, char url[URL_MAX])
{
    const char *told = tm_source_get(env, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    const char *mode = tm_source_get(env, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
    if (told == NULL) {
        told = mode != NULL && strcasecmp(mode, "ipv6") == 0 ? "http://[fd00:ec2::254]"
                                                             : "http://169.254.169.254";
    }
    size_t len = strlen(told);
    while (len > 0 && told[len - 1] == '/') {
        len--;
    }
    /* Half of it at most, so that every path fits behind. */
    if (len > URL_MAX / 2) {
        return false;
    }
    memcpy(url, told, len);
    url[len] = '\0';
    return true;
}

/*
 * A token, in `out`. *why is set where this is no instance with metadata. Sent once: whoever waits here
 * has no keys yet, and on most hosts nothing will ever answer.
 */
static enum tm_code ask_token(
        const struct tm_source_env *env, const char *base, struct tm_buf *out, struct tm_err *err)
{
    char url[URL_MAX + 64];
    (void)snprintf(url, sizeof(url), "%s/latest/api/token", base);
    const struct tm_http_header headers[] = {{"X-aws-ec2-metadata-token-ttl-seconds", "21600"}};
    tm_buf_reserve(out, TM_SOURCE_ANSWER_MAX);
    const struct tm_http_request request = {.method = "PUT",
            .url = url,
            .headers = headers,
            .header_count = 1,
            .body = tm_slice_str(""),
            .timeout_ms = TOKEN_TIMEOUT_MS,
            .into = out,
            .max_bytes = TM_SOURCE_ANSWER_MAX};
    TM_HTTP_RESPONSE_OWN struct tm_http_response response = {0};
    TM_TRY(tm_http_send(env->http, &request, &response, err));
    if (response.status != 200) {
        return tm_err_set(err, TM_E_MISSING, "%s: status %d", url, response.status);
    }
    for (size_t i = 0; i < out->len; i++) {
        if (out->at[i] <= ' ' || out->at[i] > '~') {
            return tm_err_set(err, TM_E_CORRUPT, "%s: the answer is not a token", url);
        }
    }
    return out->len > 0 ? TM_OK : tm_err_set(err, TM_E_CORRUPT, "%s: the token is empty", url);
}

static enum tm_code get(const struct tm_source_env *env, const char *url, const char *token,
        struct tm_buf *out, struct tm_err *err)
{
    const struct tm_http_header headers[] = {{"X-aws-ec2-metadata-token", token}};
    struct tm_http_request request = {.method = "GET",
            .url = url,
            .headers = headers,
            .header_count = 1,
            .timeout_ms = METADATA_TIMEOUT_MS};
    int status = 0;
    char reason[TM_SOURCE_REASON_MAX];
    TM_TRY(tm_source_send(env, &request, &status, out, reason, err));
    if (status == 404) {
        return tm_err_set(err, TM_E_MISSING, "%s: status 404", url);
    }
    if (status != 200) {
        return tm_err_set(err, status >= 500 || status == 429 ? TM_E_IO : TM_E_DENIED,
                "%s: status %d: %s", url, status, reason);
    }
    return TM_OK;
}

/* The first line of what lists the instance's roles: there is one at most. */
static enum tm_code take_role(struct tm_slice list, char role[ROLE_MAX], struct tm_err *err)
{
    size_t len = 0;
    while (len < list.len && list.at[len] != '\n' && list.at[len] != '\r') {
        len++;
    }
    bool good = len > 0 && len < ROLE_MAX;
    for (size_t i = 0; i < len && good; i++) {
        good = strchr("+=,.@_-", list.at[i]) != NULL || (list.at[i] >= '0' && list.at[i] <= '9') ||
               ((list.at[i] | 0x20) >= 'a' && (list.at[i] | 0x20) <= 'z');
    }
    if (!good) {
        return tm_err_set(err, TM_E_CORRUPT, "the answer is not the name of a role");
    }
    memcpy(role, list.at, len);
    role[len] = '\0';
    return TM_OK;
}

static enum tm_code fetch(const struct tm_source_env *env, const char *base, const char *token,
        struct tm_source_answer *answer, struct tm_err *err)
{
    char url[URL_MAX + sizeof(credentials_path) + ROLE_MAX];
    char role[ROLE_MAX];
    TM_SOURCE_WIPED struct tm_buf list = {0};
    TM_SOURCE_WIPED struct tm_buf body = {0};
    (void)snprintf(url, sizeof(url), "%s%s", base, credentials_path);
    enum tm_code code = get(env, url, token, &list, err);
    if (code == TM_E_MISSING) {
        *err = (struct tm_err){0};
        return tm_source_absent(answer, "no role is attached to this instance");
    }
    TM_TRY(code);
    if (take_role(tm_buf_slice(&list), role, err) != TM_OK) {
        return tm_err_wrap(err, "%s", url);
    }
    (void)snprintf(url, sizeof(url), "%s%s%s", base, credentials_path, role);
    TM_TRY(get(env, url, token, &body, err));
    if (tm_source_keys_json(env, tm_buf_slice(&body), true, &answer->credentials, err) != TM_OK) {
        return tm_err_wrap(err, "%s", url);
    }
    answer->found = true;
    return TM_OK;
}

enum tm_code tm_source_instance(
        const struct tm_source_env *env, struct tm_source_answer *answer, struct tm_err *err)
{
    const char *disabled = tm_source_get(env, "AWS_EC2_METADATA_DISABLED");
    char base[URL_MAX];
    if (disabled != NULL && strcasecmp(disabled, "true") == 0) {
        return tm_source_absent(answer, "AWS_EC2_METADATA_DISABLED is true");
    }
    if (!find_endpoint(env, base)) {
        return tm_err_set(err, TM_E_USAGE,
                "AWS_EC2_METADATA_SERVICE_ENDPOINT has more than %d bytes", URL_MAX / 2);
    }
    TM_SOURCE_WIPED struct tm_buf token = {0};
    struct tm_err unseen = {0};
    enum tm_code code = ask_token(env, base, &token, &unseen);
    if (code == TM_E_IO || code == TM_E_TIMEOUT || code == TM_E_MISSING) {
        return tm_source_absent(answer, "no metadata of EC2: %s", unseen.msg);
    }
    if (code != TM_OK) {
        *err = unseen;
        return code;
    }
    return fetch(env, base, tm_buf_text(&token), answer, err);
}
