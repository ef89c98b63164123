/* SPDX-License-Identifier: Apache-2.0 */
/* Temporary keys for a token that somebody else signs: Kubernetes, for a service account (IRSA). */
#include <stdio.h>
#include <string.h>

#include "aws/sources.h"
#include "http/url.h"
#include "http/xml.h"

enum { STS_TIMEOUT_MS = 10 * 1000, URL_MAX = 512 };

/* What matters of an answer of STS. The texts are copied, since those of the XML reader go away. */
struct sts_answer {
    struct tm_buf id;
    struct tm_buf secret;
    struct tm_buf token;
    struct tm_buf end;
    struct tm_buf code; /* of an error */
    struct tm_buf message;
};

static void sts_answer_done(struct sts_answer *answer)
{
    tm_source_wipe(&answer->id);
    tm_source_wipe(&answer->secret);
    tm_source_wipe(&answer->token);
    tm_buf_done(&answer->end);
    tm_buf_done(&answer->code);
    tm_buf_done(&answer->message);
}
#define STS_ANSWER_OWN __attribute__((cleanup(sts_answer_done)))

#define KEYS_PATH "AssumeRoleWithWebIdentityResponse/AssumeRoleWithWebIdentityResult/Credentials/"

static enum tm_code take(void *arg, const char *path, struct tm_slice text, struct tm_err *err)
{
    struct sts_answer *answer = arg;
    const struct {
        const char *path;
        struct tm_buf *to;
    } wanted[] = {
            {KEYS_PATH "AccessKeyId", &answer->id},
            {KEYS_PATH "SecretAccessKey", &answer->secret},
            {KEYS_PATH "SessionToken", &answer->token},
            {KEYS_PATH "Expiration", &answer->end},
            {"ErrorResponse/Error/Code", &answer->code},
            {"ErrorResponse/Error/Message", &answer->message},
    };
    (void)err;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        if (strcmp(path, wanted[i].path) == 0) {
            tm_source_wipe(wanted[i].to); /* an element that comes twice: the last one counts */
            tm_buf_reserve(wanted[i].to, text.len);
            tm_buf_add(wanted[i].to, text.at, text.len);
        }
    }
    return TM_OK;
}

/* Where STS answers: as told, else in the region, else the one for all regions. */
static void endpoint(const struct tm_source_env *env, char url[URL_MAX])
{
    const char *told = tm_source_get(env, "AWS_ENDPOINT_URL_STS");
    const char *region = tm_source_get(env, "AWS_REGION");
    region = region != NULL ? region : tm_source_get(env, "AWS_DEFAULT_REGION");
    region = region != NULL ? region : env->options->region;
    if (told != NULL) {
        size_t len = strlen(told);
        (void)snprintf(url, URL_MAX, "%s%s", told, told[len - 1] == '/' ? "" : "/");
    } else if (region != NULL && region[0] != '\0') {
        (void)snprintf(url, URL_MAX, "https://sts.%s.amazonaws.com%s/", region,
                strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
    } else {
        (void)snprintf(url, URL_MAX, "https://sts.amazonaws.com/");
    }
}

static void write_form(
        struct tm_buf *form, const char *role_arn, const char *session_name, struct tm_slice token)
{
    const char *session = session_name != NULL ? session_name : "tidemark";
    tm_buf_reserve(form, 4096 + 3 * (strlen(role_arn) + strlen(session) + token.len));
    tm_buf_add_text(form, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=");
    tm_url_encode(form, tm_slice_str(role_arn), "");
    tm_buf_add_text(form, "&RoleSessionName=");
    tm_url_encode(form, tm_slice_str(session), "");
    tm_buf_add_text(form, "&WebIdentityToken=");
    tm_url_encode(form, token, "");
}

static enum tm_code read_answer(const struct tm_source_env *env, struct tm_slice xml,
        const char *url, struct tm_aws_credentials *out, struct tm_err *err)
{
    STS_ANSWER_OWN struct sts_answer answer = {0};
    if (tm_xml_read(xml, take, &answer, err) != TM_OK) {
        return tm_err_wrap(err, "%s", url);
    }
    int64_t end_ms = 0;
    enum tm_code code = tm_source_end(env, tm_buf_text(&answer.end), &end_ms, err);
    if (code == TM_OK) {
        code = tm_source_set(tm_buf_slice(&answer.id), tm_buf_slice(&answer.secret),
                tm_buf_slice(&answer.token), out, err);
    }
    if (code != TM_OK) {
        return tm_err_wrap(err, "%s", url);
    }
    out->expires_ms = end_ms;
    return TM_OK;
}

/* STS says why in XML; a proxy on the way says what it likes. */
static enum tm_code refuse(const char *url, int status, const struct tm_buf *body,
        const char *reason, struct tm_err *err)
{
    STS_ANSWER_OWN struct sts_answer answer = {0};
    struct tm_err ignored = {0};
    enum tm_code code = status >= 500 || status == 429 ? TM_E_IO : TM_E_DENIED;
    if (tm_xml_read(tm_buf_slice(body), take, &answer, &ignored) == TM_OK && answer.code.len > 0) {
        return tm_err_set(err, code, "%s: %s (status %d): %.200s", url, tm_buf_text(&answer.code),
                status, tm_buf_text(&answer.message));
    }
    return tm_err_set(err, code, "%s: status %d: %s", url, status, reason);
}

enum tm_code tm_source_assume(const struct tm_source_env *env, const char *role_arn,
        const char *token_file, const char *session_name, struct tm_aws_credentials *out,
        struct tm_err *err)
{
    TM_SOURCE_WIPED struct tm_buf token = {0};
    TM_SOURCE_WIPED struct tm_buf form = {0};
    TM_SOURCE_WIPED struct tm_buf body = {0};
    TM_TRY(tm_source_token(token_file, &token, err));
    write_form(&form, role_arn, session_name, tm_buf_slice(&token));
    char url[URL_MAX];
    endpoint(env, url);
    const struct tm_http_header headers[] = {
            {"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}};
    struct tm_http_request request = {.method = "POST",
            .url = url,
            .headers = headers,
            .header_count = 1,
            .body = tm_buf_slice(&form),
            .timeout_ms = STS_TIMEOUT_MS};
    int status = 0;
    char reason[TM_SOURCE_REASON_MAX];
    TM_TRY(tm_source_send(env, &request, &status, &body, reason, err));
    if (status != 200) {
        return refuse(url, status, &body, reason, err);
    }
    return read_answer(env, tm_buf_slice(&body), url, out, err);
}

enum tm_code tm_source_web_identity(
        const struct tm_source_env *env, struct tm_source_answer *answer, struct tm_err *err)
{
    const char *token_file = tm_source_get(env, "AWS_WEB_IDENTITY_TOKEN_FILE");
    const char *role_arn = tm_source_get(env, "AWS_ROLE_ARN");
    if (token_file == NULL) {
        return tm_source_absent(answer, "AWS_WEB_IDENTITY_TOKEN_FILE is not set");
    }
    if (role_arn == NULL) {
        return tm_err_set(
                err, TM_E_USAGE, "AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not");
    }
    const char *session_name = tm_source_get(env, "AWS_ROLE_SESSION_NAME");
    TM_TRY(tm_source_assume(env, role_arn, token_file, session_name, &answer->credentials, err));
    answer->found = true;
    return TM_OK;
}
