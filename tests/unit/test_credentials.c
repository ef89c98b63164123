/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/aws/credentials: every source against a stand-in of its endpoint. */
#include "aws_rig.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define OK(body)             "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" body
#define STATUS(number, body) "HTTP/1.1 " #number " Status\r\nConnection: close\r\n\r\n" body

#define END "2026-11-23T00:30:00Z" /* an hour from RIG_NOW */
#define KEYS_JSON(id, end) \
    "{\"Code\":\"Success\",\"AccessKeyId\":\"" id "\",\"SecretAccessKey\":\"SECRET/+" id \
    "\",\"Token\":\"SECRETtoken==\",\"Expiration\":\"" end "\"}"

/* Environment ------------------------------------------------------------------------------ */

START_TEST(environment_comes_first_and_is_asked_once)
{
    struct aws_rig *rig = rig_new();
    rig_set(rig, "AWS_ACCESS_KEY_ID", "AKENV");
    rig_set(rig, "AWS_SECRET_ACCESS_KEY", "SECRETenv");
    rig_set(rig, "AWS_WEB_IDENTITY_TOKEN_FILE", "/does/not/exist");
    ck_assert_str_eq(tm_aws_provider_source(rig_provider(rig)), "");
    rig_gives(rig, "AKENV", "SECRETenv", "");
    ck_assert_str_eq(tm_aws_provider_source(rig_provider(rig)), "environment");
    rig_set(rig, "AWS_SESSION_TOKEN", "SECRETtoken");
    rig->now_ms += INT64_C(1000) * 24 * 3600 * 1000;
    rig_gives(rig, "AKENV", "SECRETenv", "");
    tm_aws_provider_expire(rig_provider(rig));
    rig_gives(rig, "AKENV", "SECRETenv", "SECRETtoken");
    rig_free(rig);
}
END_TEST

/* clang-format off */
static const struct {
    const char *id;
    const char *secret;
    const char *token;
    enum tm_code code;
    const char *text;
} wrong_environments[] = {
    {"AKENV", "", "", TM_E_USAGE, "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not"},
    {"", "SECRETenv", "", TM_E_USAGE, "AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID is not"},
    {"AK ENV", "SECRETenv", "", TM_E_USAGE, "the access key id has a space, a control character or a letter beyond ASCII in it"},
    {"AKENV", "SECRET\r\nx: y", "", TM_E_USAGE, "the secret access key has a space, a control character or a letter beyond ASCII in it"},
    {"AKENV", "SECRETenv", "SECRET\xc3\xa4", TM_E_USAGE, "the session token has a space, a control character or a letter beyond ASCII in it"},
};
/* clang-format on */

START_TEST(an_environment_that_is_half_set_or_no_key_is_told)
{
    struct aws_rig *rig = rig_new();
    rig_set(rig, "AWS_ACCESS_KEY_ID", "%s", wrong_environments[_i].id);
    rig_set(rig, "AWS_SECRET_ACCESS_KEY", "%s", wrong_environments[_i].secret);
    rig_set(rig, "AWS_SESSION_TOKEN", "%s", wrong_environments[_i].token);
    char text[512];
    (void)snprintf(
            text, sizeof(text), "AWS credentials: environment: %s", wrong_environments[_i].text);
    rig_fails(rig, wrong_environments[_i].code, text);
    rig_free(rig);
}
END_TEST

START_TEST(where_no_source_is_set_up_each_says_what_is_missing)
{
    struct aws_rig *rig = rig_new();
    rig_fails(rig, TM_E_MISSING,
            "no AWS credentials: environment: AWS_ACCESS_KEY_ID is not set; web identity: "
            "AWS_WEB_IDENTITY_TOKEN_FILE is not set; shared profile: no profile \"default\" in "
            "FOLDER/.aws/credentials; container: AWS_CONTAINER_CREDENTIALS_FULL_URI is not set; "
            "instance: AWS_EC2_METADATA_DISABLED is true");
    rig_set(rig, "HOME", "%s", "");
    rig_file(rig, ".aws/config", "[default]\nregion = eu-central-1\n");
    rig_set(rig, "AWS_CONFIG_FILE", "%s/.aws/config", rig->folder);
    rig_set(rig, "AWS_SHARED_CREDENTIALS_FILE", "%s/.aws/config", rig->folder);
    rig_fails(rig, TM_E_MISSING,
            "no AWS credentials: environment: AWS_ACCESS_KEY_ID is not set; web identity: "
            "AWS_WEB_IDENTITY_TOKEN_FILE is not set; shared profile: the profile has no keys; "
            "container: AWS_CONTAINER_CREDENTIALS_FULL_URI is not set; "
            "instance: AWS_EC2_METADATA_DISABLED is true");
    rig_free(rig);
}
END_TEST

/* Web identity ----------------------------------------------------------------------------- */

#define STS_ANSWER(id, end) \
    "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">" \
    "<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>" id "</AccessKeyId>" \
    "<SecretAccessKey>SECRETsts&amp;x</SecretAccessKey><SessionToken>SECRETtoken</SessionToken>" \
    "<Expiration>" end "</Expiration></Credentials></AssumeRoleWithWebIdentityResult>" \
    "</AssumeRoleWithWebIdentityResponse>"

static void set_web_identity(struct aws_rig *rig)
{
    rig_file(rig, "token", "SECRET.jwt/+=\n");
    rig_set(rig, "AWS_WEB_IDENTITY_TOKEN_FILE", "%s/token", rig->folder);
    rig_set(rig, "AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/backup");
    rig_set(rig, "AWS_ENDPOINT_URL_STS", "http://127.0.0.1:%d", rig->script.port);
}

START_TEST(web_identity_asks_sts_with_a_session_name_of_its_own)
{
    static const struct script_step steps[] = {{SCRIPT_CLOSE, OK(STS_ANSWER("ASIASTS", END))},
            {SCRIPT_CLOSE, OK(STS_ANSWER("ASIA2", END))}};
    struct aws_rig *rig = rig_new();
    rig_play(rig, steps, LENGTH(steps));
    set_web_identity(rig);
    rig_gives(rig, "ASIASTS", "SECRETsts&x", "SECRETtoken");
    ck_assert_str_eq(tm_aws_provider_source(rig_provider(rig)), "web identity");
    rig_set(rig, "AWS_ROLE_SESSION_NAME", "orders@1");
    tm_aws_provider_expire(rig_provider(rig));
    rig_gives(rig, "ASIA2", "SECRETsts&x", "SECRETtoken");
    rig_played(rig);
    rig_asked(rig, 0, NULL, "POST / HTTP/1.1");
    rig_asked(rig, 0, "authorization", "");
    rig_asked(rig, 0, "content-type", "application/x-www-form-urlencoded; charset=utf-8");
    static const char form[] =
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%"
            "3A123456789012"
            "%3Arole%2Fbackup&RoleSessionName=tidemark&WebIdentityToken=SECRET.jwt%2F%2B%3D";
    ck_assert(tm_slice_is(script_body(&rig->script, 0), form));
    ck_assert_ptr_nonnull(
            strstr((const char *)script_body(&rig->script, 1).at, "&RoleSessionName=orders%401&"));
    rig_free(rig);
}
END_TEST

/* clang-format off */
static const struct {
    const char *answer;
    enum tm_code code;
    const char *text;
} wrong_sts[] = {
    {STATUS(400, "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredTokenException</Code>"
        "<Message>Token expired: current date/time must be before the expiration</Message></Error></ErrorResponse>"),
        TM_E_DENIED, "http://127.0.0.1:PORT/: ExpiredTokenException (status 400): Token expired: current date/time "
        "must be before the expiration"},
    {STATUS(403, "<html>no\nway</html>"), TM_E_DENIED, "http://127.0.0.1:PORT/: status 403: <html>no way</html>"},
    {OK("not xml"), TM_E_CORRUPT, NULL},
    {OK("<AssumeRoleWithWebIdentityResponse/>"), TM_E_CORRUPT,
        "http://127.0.0.1:PORT/: the time at which the credentials end is not in RFC 3339"},
    {OK(STS_ANSWER("ASIASTS", "tomorrow")), TM_E_CORRUPT,
        "http://127.0.0.1:PORT/: the time at which the credentials end is not in RFC 3339"},
    {OK(STS_ANSWER("ASIASTS", "2026-11-22T23:29:59Z")), TM_E_DENIED, "http://127.0.0.1:PORT/: the credentials ended at "
        "2026-11-22T23:29:59.000Z, and here it is 2026-11-22T23:30:00.000Z; hint: look at this host's clock"},
    {OK(STS_ANSWER("", END)), TM_E_USAGE, "http://127.0.0.1:PORT/: the access key id has 0 bytes, not 1 to 255"},
};
/* clang-format on */

START_TEST(what_sts_refuses_or_answers_wrongly_is_told_and_no_other_source_is_asked)
{
    const struct script_step step = {SCRIPT_CLOSE, wrong_sts[_i].answer};
    struct aws_rig *rig = rig_new();
    rig_play(rig, &step, 1);
    set_web_identity(rig);
    rig_file(rig, ".aws/credentials",
            "[default]\naws_access_key_id = AKOTHER\naws_secret_access_key = SECRETother\n");
    if (wrong_sts[_i].text != NULL) {
        char text[512];
        (void)snprintf(text, sizeof(text), "AWS credentials: web identity: %s", wrong_sts[_i].text);
        rig_fails(rig, wrong_sts[_i].code, text);
    } else {
        TM_AWS_CREDENTIALS_OWN struct tm_aws_credentials got = {0};
        struct tm_err err = {0};
        ck_assert_int_eq(tm_aws_provider_get(rig_provider(rig), &got, &err), wrong_sts[_i].code);
    }
    rig_played(rig);
    rig_free(rig);
}
END_TEST

START_TEST(sts_is_asked_again_when_it_is_busy_or_resets)
{
    static const struct script_step steps[] = {{SCRIPT_CLOSE, STATUS(503, "busy")},
            {SCRIPT_RESET, NULL}, {SCRIPT_CLOSE, OK(STS_ANSWER("ASIASTS", END))}};
    struct aws_rig *rig = rig_new();
    rig_play(rig, steps, LENGTH(steps));
    set_web_identity(rig);
    rig_gives(rig, "ASIASTS", "SECRETsts&x", "SECRETtoken");
    rig_played(rig);
    rig_free(rig);
}
END_TEST

START_TEST(sts_that_stays_busy_is_given_up_after_three_tries)
{
    static const struct script_step busy = {SCRIPT_CLOSE, STATUS(500, "out of order")};
    const struct script_step steps[] = {busy, busy, busy};
    struct aws_rig *rig = rig_new();
    rig_play(rig, steps, LENGTH(steps));
    set_web_identity(rig);
    rig_fails(rig, TM_E_IO,
            "AWS credentials: web identity: http://127.0.0.1:PORT/: status 500: out of order");
    rig_played(rig);
    rig_free(rig);
}
END_TEST

/* clang-format off */
static const struct {
    const char *file; /* NULL: none */
    const char *role;
    enum tm_code code;
    const char *text;
} wrong_tokens[] = {
    {NULL, "arn", TM_E_MISSING, "open FOLDER/token: No such file or directory"},
    {"\n\n", "arn", TM_E_USAGE, "FOLDER/token: the file is empty"},
    {"two\nlines\n", "arn", TM_E_USAGE, "FOLDER/token: not a token: byte 3 is not visible ASCII"},
    {"SECRET", "", TM_E_USAGE, "AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not"},
};
/* clang-format on */

START_TEST(a_token_that_is_none_is_not_sent)
{
    struct aws_rig *rig = rig_new();
    rig_play(rig, NULL, 0);
    set_web_identity(rig);
    rig_set(rig, "AWS_ROLE_ARN", "%s", wrong_tokens[_i].role);
    rig_file(rig, "token", wrong_tokens[_i].file != NULL ? wrong_tokens[_i].file : "");
    if (wrong_tokens[_i].file == NULL) {
        char path[RIG_TEXT_MAX];
        (void)snprintf(path, sizeof(path), "%s/token", rig->folder);
        ck_assert_int_eq(unlink(path), 0);
    }
    char text[512];
    (void)snprintf(text, sizeof(text), "AWS credentials: web identity: %s", wrong_tokens[_i].text);
    rig_fails(rig, wrong_tokens[_i].code, text);
    rig_played(rig);
    rig_free(rig);
}
END_TEST

/* Shared profile --------------------------------------------------------------------------- */

/* clang-format off */
static const struct {
    const char *profile; /* AWS_PROFILE */
    const char *credentials;
    const char *config;
    const char *id; /* NULL: an error */
    const char *secret;
    const char *token;
    enum tm_code code;
    const char *text;
} profiles[] = {
    {"", "[default]\naws_access_key_id=AK1\naws_secret_access_key=SECRET1\n", "", "AK1", "SECRET1", "", TM_OK, NULL},
    {"", "# [x]\n[other]\naws_access_key_id=AK0\n[ default ] ; the one\r\n AWS_Access_Key_ID = AK1 # id\r\n "
        "aws_secret_access_key = SECRET=/+1\r\n aws_session_token = SECRETt", "", "AK1", "SECRET=/+1", "SECRETt", TM_OK, NULL},
    {"", "[default]\naws_access_key_id=AK1\naws_secret_access_key=SECRET1\naws_access_key_id=AK2\n[default]\n"
        "aws_secret_access_key=SECRET2\n", "", "AK2", "SECRET2", "", TM_OK, NULL},
    {"", "[default]\naws_access_key_id=AK1\naws_secret_access_key=SECRET1\n",
        "[default]\naws_access_key_id=AK2\naws_secret_access_key=SECRET2\n", "AK1", "SECRET1", "", TM_OK, NULL},
    {"", "", "[default]\ns3 =\n  aws_access_key_id = AKNESTED\naws_access_key_id=AK2\naws_secret_access_key=SECRET2\n",
        "AK2", "SECRET2", "", TM_OK, NULL},
    {"ops", "[ops]\naws_access_key_id=AK1\naws_secret_access_key=SECRET1\n", "", "AK1", "SECRET1", "", TM_OK, NULL},
    {"ops", "", "[ops]\naws_access_key_id=AK9\naws_secret_access_key=SECRET9\n"
        "[profile  ops]\naws_access_key_id=AK1\naws_secret_access_key=SECRET1\n", "AK1", "SECRET1", "", TM_OK, NULL},
    {"ops", "[op]\naws_access_key_id=AK1\n", "[profile ops2]\n", NULL, NULL, NULL, TM_E_USAGE,
        "AWS_PROFILE names \"ops\", which is not in FOLDER/.aws/credentials or FOLDER/.aws/config"},
    {"", "[default]\naws_access_key_id=AK1\n", "", NULL, NULL, NULL, TM_E_USAGE,
        "profile \"default\": it has aws_access_key_id without aws_secret_access_key"},
    {"", "[default]\naws_secret_access_key=SECRET1\naws_access_key_id =\n", "", NULL, NULL, NULL, TM_E_USAGE,
        "profile \"default\": it has aws_secret_access_key without aws_access_key_id"},
    {"", "[default\n", "", NULL, NULL, NULL, TM_E_USAGE, "FOLDER/.aws/credentials: line 1: a section has no closing bracket"},
    {"", "", "[default]\n\nSECRETrubbish\n", NULL, NULL, NULL, TM_E_USAGE,
        "FOLDER/.aws/config: line 3: neither a [section], a \"name = value\" nor a # comment"},
    {"", "[default]\naws_access_key_id = AK 1\naws_secret_access_key = SECRET1\n", "", NULL, NULL, NULL, TM_E_USAGE,
        "profile \"default\": the access key id has a space, a control character or a letter beyond ASCII in it"},
    {"", "", "[default]\ncredential_process = /bin/false\n", NULL, NULL, NULL, TM_E_UNSUPPORTED,
        "profile \"default\": it says credential_process, which is not supported; hint: give keys, or role_arn with "
        "web_identity_token_file"},
    {"", "[base]\naws_access_key_id=AK1\n", "[default]\nrole_arn = arn\nsource_profile = base\n", NULL, NULL, NULL,
        TM_E_UNSUPPORTED, "profile \"default\": it says source_profile, which is not supported; hint: give keys, or "
        "role_arn with web_identity_token_file"},
};
/* clang-format on */

START_TEST(profiles_are_read_as_the_command_line_of_aws_reads_them)
{
    struct aws_rig *rig = rig_new();
    rig_set(rig, "AWS_PROFILE", "%s", profiles[_i].profile);
    rig_file(rig, ".aws/credentials", profiles[_i].credentials);
    rig_file(rig, ".aws/config", profiles[_i].config);
    if (profiles[_i].id != NULL) {
        rig_gives(rig, profiles[_i].id, profiles[_i].secret, profiles[_i].token);
        ck_assert_str_eq(tm_aws_provider_source(rig_provider(rig)), "shared profile");
    } else {
        char text[512];
        (void)snprintf(
                text, sizeof(text), "AWS credentials: shared profile: %s", profiles[_i].text);
        rig_fails(rig, profiles[_i].code, text);
    }
    rig_free(rig);
}
END_TEST

START_TEST(a_file_that_is_named_has_to_be_there)
{
    struct aws_rig *rig = rig_new();
    rig_set(rig, "AWS_SHARED_CREDENTIALS_FILE", "%s/none", rig->folder);
    rig_fails(rig, TM_E_MISSING,
            "AWS credentials: shared profile: open FOLDER/none: No such file or directory");
    rig_file(rig, "none", "[default]\naws_access_key_id=AK1\naws_secret_access_key=SECRET1\n");
    rig_gives(rig, "AK1", "SECRET1", "");
    rig_free(rig);
}
END_TEST

START_TEST(a_profile_may_name_a_role_and_a_token)
{
    static const struct script_step step = {SCRIPT_CLOSE, OK(STS_ANSWER("ASIASTS", END))};
    struct aws_rig *rig = rig_new();
    rig_play(rig, &step, 1);
    rig_set(rig, "AWS_ENDPOINT_URL_STS", "http://127.0.0.1:%d/", rig->script.port);
    rig_file(rig, "token", "SECRET");
    char *config = rig_text(rig, "[default]\nrole_arn = arn\nrole_session_name = me\n"
                                 "web_identity_token_file = FOLDER/token\n");
    rig_file(rig, ".aws/config", config);
    free(config);
    rig_gives(rig, "ASIASTS", "SECRETsts&x", "SECRETtoken");
    rig_played(rig);
    ck_assert_ptr_nonnull(strstr((const char *)script_body(&rig->script, 0).at,
            "RoleArn=arn&RoleSessionName=me&WebIdentityToken=SECRET"));
    rig_free(rig);
}
END_TEST

/* Container -------------------------------------------------------------------------------- */

static void set_container(struct aws_rig *rig)
{
    rig_set(rig, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:%d/v1/credentials?x=1",
            rig->script.port);
}

START_TEST(a_container_asks_with_its_token_and_reads_it_anew_each_time)
{
    static const struct script_step steps[] = {{SCRIPT_CLOSE, OK(KEYS_JSON("ASIA1", END))},
            {SCRIPT_CLOSE, OK(KEYS_JSON("ASIA2", END))},
            {SCRIPT_CLOSE, OK(KEYS_JSON("ASIA3", END))}};
    struct aws_rig *rig = rig_new();
    rig_play(rig, steps, LENGTH(steps));
    set_container(rig);
    rig_set(rig, "AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic abc");
    rig_gives(rig, "ASIA1", "SECRET/+ASIA1", "SECRETtoken==");
    ck_assert_str_eq(tm_aws_provider_source(rig_provider(rig)), "container");
    rig_set(rig, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "%s/token", rig->folder);
    for (int i = 2; i <= 3; i++) {
        rig_file(rig, "token", i == 2 ? "two\n" : "three\n");
        tm_aws_provider_expire(rig_provider(rig));
        rig_gives(rig, i == 2 ? "ASIA2" : "ASIA3", i == 2 ? "SECRET/+ASIA2" : "SECRET/+ASIA3",
                "SECRETtoken==");
    }
    rig_played(rig);
    rig_asked(rig, 0, NULL, "GET /v1/credentials?x=1 HTTP/1.1");
    rig_asked(rig, 0, "authorization", "Basic abc");
    rig_asked(rig, 1, "authorization", "two");
    rig_asked(rig, 2, "authorization", "three");
    rig_free(rig);
}
END_TEST

START_TEST(a_relative_uri_goes_to_the_address_of_ecs_and_needs_no_token)
{
    static const struct script_step step = {
            SCRIPT_CLOSE, OK("{\"AccessKeyId\":\"AK\",\"SecretAccessKey\":\"SECRET\"}")};
    char url[64];
    struct aws_rig *rig = rig_new();
    rig_play(rig, &step, 1);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d", rig->script.port);
    rig->options.container_url = url;
    rig_set(rig, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/1-2");
    rig_set(rig, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "https://elsewhere.example/");
    rig_gives(rig, "AK", "SECRET", "");
    rig->now_ms += INT64_C(1000) * 24 * 3600 * 1000; /* what names no end has none */
    rig_gives(rig, "AK", "SECRET", "");
    rig_played(rig);
    rig_asked(rig, 0, NULL, "GET /v2/credentials/1-2 HTTP/1.1");
    rig_asked(rig, 0, "authorization", "");
    rig_free(rig);
}
END_TEST

/* None of these may be asked without TLS; none is asked here. */
static const char *const far_hosts[] = {"http://example.com/", "http://169.254.170.3/",
        "http://127.0.0.1.example.com/", "http://10.0.0.1:80/x", "http://[fd00:ec2::24]/",
        "http://169.254.169.254/", "http://1.127.0.0/", "http://localhost.example.com/"};

START_TEST(tokens_go_in_the_clear_to_near_hosts_alone)
{
    struct aws_rig *rig = rig_new();
    rig_set(rig, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "%s", far_hosts[_i]);
    TM_AWS_CREDENTIALS_OWN struct tm_aws_credentials got = {0};
    struct tm_err err = {0};
    ck_assert_int_eq(tm_aws_provider_get(rig_provider(rig), &got, &err), TM_E_USAGE);
    ck_assert_ptr_nonnull(
            strstr(err.msg, " may be asked by https alone: without it only loopback"));
    rig_free(rig);
}
END_TEST

START_TEST(what_a_container_names_wrongly_is_told)
{
    struct aws_rig *rig = rig_new();
    rig_set(rig, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/");
    rig_set(rig, "AWS_CONTAINER_AUTHORIZATION_TOKEN", "SECRET\r\nHost: x");
    rig_fails(rig, TM_E_USAGE,
            "AWS credentials: container: AWS_CONTAINER_AUTHORIZATION_TOKEN: not a token: byte 6 is "
            "not visible ASCII");
    rig_set(rig, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@evil.example/");
    rig_fails(rig, TM_E_USAGE,
            "AWS credentials: container: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin "
            "with a slash");
    rig_free(rig);
}
END_TEST

/* clang-format off */
static const struct {
    const char *answer;
    enum tm_code code;
    const char *text; /* NULL: the reader's own */
} wrong_containers[] = {
    {STATUS(403, "{\"message\":\"no\"}"), TM_E_DENIED, "status 403: {\"message\":\"no\"}"},
    {OK("SECRET"), TM_E_USAGE, NULL},
    {OK("[]"), TM_E_CORRUPT, "the answer is not an object"},
    {OK("{\"Code\":\"Failed\"}"), TM_E_DENIED, "the answer's Code is Failed, not Success"},
    {OK("{\"AccessKeyId\":\"AK\",\"SecretAccessKey\":7}"), TM_E_USAGE, "the secret access key has 0 bytes, not 1 to 255"},
    {OK(KEYS_JSON("AK", "2026-11-22T23:30:00Z")), TM_E_DENIED, "the credentials ended at 2026-11-22T23:30:00.000Z, and "
        "here it is 2026-11-22T23:30:00.000Z; hint: look at this host's clock"},
};
/* clang-format on */

START_TEST(what_a_container_answers_wrongly_is_told)
{
    const struct script_step step = {SCRIPT_CLOSE, wrong_containers[_i].answer};
    struct aws_rig *rig = rig_new();
    rig_play(rig, &step, 1);
    set_container(rig);
    if (wrong_containers[_i].text != NULL) {
        char text[512];
        (void)snprintf(text, sizeof(text),
                "AWS credentials: container: http://127.0.0.1:PORT/v1/credentials?x=1: %s",
                wrong_containers[_i].text);
        rig_fails(rig, wrong_containers[_i].code, text);
    } else {
        TM_AWS_CREDENTIALS_OWN struct tm_aws_credentials got = {0};
        struct tm_err err = {0};
        ck_assert_int_eq(
                tm_aws_provider_get(rig_provider(rig), &got, &err), wrong_containers[_i].code);
        ck_assert_ptr_null(strstr(err.msg, "SECRET"));
    }
    rig_played(rig);
    rig_free(rig);
}
END_TEST

START_TEST(an_answer_beyond_its_bound_is_refused_at_once)
{
    static const size_t size = 200000;
    char *answer = tm_xalloc(size + 1, 1);
    memset(answer, ' ', size);
    memcpy(answer, OK(""), sizeof(OK("")) - 1);
    const struct script_step step = {SCRIPT_CLOSE, answer};
    struct aws_rig *rig = rig_new();
    rig_play(rig, &step, 1);
    set_container(rig);
    TM_AWS_CREDENTIALS_OWN struct tm_aws_credentials got = {0};
    struct tm_err err = {0};
    ck_assert_int_eq(tm_aws_provider_get(rig_provider(rig), &got, &err), TM_E_LIMIT);
    rig_played(rig);
    rig_free(rig);
    free(answer);
}
END_TEST

START_TEST(a_container_that_hangs_is_asked_again)
{
    static const struct script_step steps[] = {
            {SCRIPT_HOLD, NULL}, {SCRIPT_CLOSE, OK(KEYS_JSON("ASIA1", END))}};
    struct aws_rig *rig = rig_new();
    rig_play(rig, steps, LENGTH(steps));
    set_container(rig);
    rig_gives(rig, "ASIA1", "SECRET/+ASIA1", "SECRETtoken==");
    rig_played(rig);
    rig_free(rig);
}
END_TEST

/* Instance --------------------------------------------------------------------------------- */

static void set_instance(struct aws_rig *rig)
{
    rig_set(rig, "AWS_EC2_METADATA_DISABLED", "false");
    rig_set(rig, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:%d/", rig->script.port);
}

START_TEST(an_instance_is_asked_for_a_token_first)
{
    static const struct script_step steps[] = {{SCRIPT_CLOSE, OK("imds-token")},
            {SCRIPT_CLOSE, OK("backup-role\n")}, {SCRIPT_CLOSE, OK(KEYS_JSON("ASIAEC2", END))}};
    struct aws_rig *rig = rig_new();
    rig_play(rig, steps, LENGTH(steps));
    set_instance(rig);
    rig_gives(rig, "ASIAEC2", "SECRET/+ASIAEC2", "SECRETtoken==");
    ck_assert_str_eq(tm_aws_provider_source(rig_provider(rig)), "instance");
    rig_played(rig);
    rig_asked(rig, 0, NULL, "PUT /latest/api/token HTTP/1.1");
    rig_asked(rig, 0, "x-aws-ec2-metadata-token-ttl-seconds", "21600");
    rig_asked(rig, 1, NULL, "GET /latest/meta-data/iam/security-credentials/ HTTP/1.1");
    rig_asked(rig, 1, "x-aws-ec2-metadata-token", "imds-token");
    rig_asked(rig, 2, NULL, "GET /latest/meta-data/iam/security-credentials/backup-role HTTP/1.1");
    rig_asked(rig, 2, "x-aws-ec2-metadata-token", "imds-token");
    rig_free(rig);
}
END_TEST

/* After any of these nothing more is asked: never version 1. */
static const struct {
    struct script_step step;
    const char *text;
} no_instances[] = {
        {{SCRIPT_CLOSE, STATUS(404, "")}, "status 404"},
        {{SCRIPT_CLOSE, STATUS(403, "")}, "status 403"},
        {{SCRIPT_HOLD, NULL}, NULL},
        {{SCRIPT_RESET, NULL}, NULL},
};

START_TEST(what_gives_no_token_is_no_instance)
{
    struct aws_rig *rig = rig_new();
    rig_play(rig, &no_instances[_i].step, 1);
    set_instance(rig);
    TM_AWS_CREDENTIALS_OWN struct tm_aws_credentials got = {0};
    struct tm_err err = {0};
    int64_t begun = tm_mono_ns();
    ck_assert_int_eq(tm_aws_provider_get(rig_provider(rig), &got, &err), TM_E_MISSING);
    ck_assert_int_lt(tm_mono_ns() - begun, INT64_C(1900000000));
    const char *said = strstr(err.msg, "; instance: no metadata of EC2: ");
    ck_assert_ptr_nonnull(said);
    if (no_instances[_i].text != NULL) {
        char *expected = rig_text(
                rig, "; instance: no metadata of EC2: http://127.0.0.1:PORT/latest/api/token: ");
        ck_assert_msg(strncmp(said, expected, strlen(expected)) == 0, "%s", said);
        ck_assert_str_eq(said + strlen(expected), no_instances[_i].text);
        free(expected);
    }
    rig_played(rig);
    rig_free(rig);
}
END_TEST

#define INSTANCE \
    "AWS credentials: instance: http://127.0.0.1:PORT/latest/meta-data/iam/security-credentials/"

/* clang-format off */
static const struct {
    const char *answers[2]; /* after the token */
    enum tm_code code;
    const char *text;
} wrong_instances[] = {
    {{STATUS(401, "old token"), NULL}, TM_E_DENIED, INSTANCE ": status 401: old token"},
    {{OK("../../user-data"), NULL}, TM_E_CORRUPT, INSTANCE ": the answer is not the name of a role"},
    {{OK(""), NULL}, TM_E_CORRUPT, INSTANCE ": the answer is not the name of a role"},
    {{OK("role"), STATUS(404, "")}, TM_E_MISSING, INSTANCE "role: status 404"},
    {{OK("role"), OK("{\"Code\":\"AssumeRoleUnauthorizedAccess\"}")}, TM_E_DENIED,
        INSTANCE "role: the answer's Code is AssumeRoleUnauthorizedAccess, not Success"},
    {{OK("role"), OK("{\"AccessKeyId\":\"AK\",\"SecretAccessKey\":\"SECRET\"}")}, TM_E_CORRUPT,
        INSTANCE "role: the answer has no Expiration"},
};
/* clang-format on */

START_TEST(what_an_instance_answers_wrongly_is_told)
{
    struct script_step steps[3] = {{SCRIPT_CLOSE, OK("imds-token")}};
    size_t count = 1;
    for (size_t i = 0; i < 2 && wrong_instances[_i].answers[i] != NULL; i++) {
        steps[count++] = (struct script_step){SCRIPT_CLOSE, wrong_instances[_i].answers[i]};
    }
    struct aws_rig *rig = rig_new();
    rig_play(rig, steps, count);
    set_instance(rig);
    rig_fails(rig, wrong_instances[_i].code, wrong_instances[_i].text);
    rig_played(rig);
    rig_free(rig);
}
END_TEST

START_TEST(an_instance_without_a_role_is_passed_over)
{
    static const struct script_step steps[] = {
            {SCRIPT_CLOSE, OK("imds-token")}, {SCRIPT_CLOSE, STATUS(404, "")}};
    struct aws_rig *rig = rig_new();
    rig_play(rig, steps, LENGTH(steps));
    set_instance(rig);
    TM_AWS_CREDENTIALS_OWN struct tm_aws_credentials got = {0};
    struct tm_err err = {0};
    ck_assert_int_eq(tm_aws_provider_get(rig_provider(rig), &got, &err), TM_E_MISSING);
    ck_assert_ptr_nonnull(strstr(err.msg, "; instance: no role is attached to this instance"));
    rig_played(rig);
    rig_free(rig);
}
END_TEST

/* The provider ------------------------------------------------------------------------------- */

enum { MINUTE_MS = 60 * 1000 };

START_TEST(credentials_are_fetched_anew_five_minutes_before_they_end)
{
    static const struct script_step steps[] = {{SCRIPT_CLOSE, OK(KEYS_JSON("ASIA1", END))},
            {SCRIPT_CLOSE, OK(KEYS_JSON("ASIA2", "2026-11-23T01:30:00Z"))}};
    struct aws_rig *rig = rig_new();
    rig_play(rig, steps, LENGTH(steps));
    set_container(rig);
    rig_gives(rig, "ASIA1", "SECRET/+ASIA1", "SECRETtoken==");
    rig->now_ms = RIG_NOW + 55 * MINUTE_MS - 1;
    rig_gives(rig, "ASIA1", "SECRET/+ASIA1", "SECRETtoken==");
    ck_assert_uint_eq(rig->script.request_count, 1);
    rig->now_ms = RIG_NOW + 55 * MINUTE_MS;
    rig_gives(rig, "ASIA2", "SECRET/+ASIA2", "SECRETtoken==");
    rig_gives(rig, "ASIA2", "SECRET/+ASIA2", "SECRETtoken==");
    rig_played(rig);
    rig_free(rig);
}
END_TEST

START_TEST(a_refresh_that_fails_matters_when_the_old_credentials_have_ended)
{
    static const struct script_step steps[] = {{SCRIPT_CLOSE, OK(KEYS_JSON("ASIA1", END))},
            {SCRIPT_CLOSE, STATUS(403, "no")}, {SCRIPT_CLOSE, STATUS(403, "no more")},
            {SCRIPT_CLOSE, STATUS(403, "at all")},
            {SCRIPT_CLOSE, OK(KEYS_JSON("ASIA2", "2026-11-23T01:30:00Z"))}};
    struct aws_rig *rig = rig_new();
    rig_play(rig, steps, LENGTH(steps));
    set_container(rig);
    rig_gives(rig, "ASIA1", "SECRET/+ASIA1", "SECRETtoken==");
    rig->now_ms = RIG_NOW + 56 * MINUTE_MS;
    for (int i = 0; i < 3; i++) { /* the first one asks */
        rig_gives(rig, "ASIA1", "SECRET/+ASIA1", "SECRETtoken==");
    }
    ck_assert_uint_eq(rig->script.request_count, 2);
    rig->now_ms += TM_AWS_RETRY_MS;
    rig_gives(rig, "ASIA1", "SECRET/+ASIA1", "SECRETtoken==");
    ck_assert_uint_eq(rig->script.request_count, 3);
    rig->now_ms = RIG_NOW + 60 * MINUTE_MS;
    rig_fails(rig, TM_E_DENIED,
            "AWS credentials: container: http://127.0.0.1:PORT/v1/credentials?x=1: status 403: at "
            "all");
    rig_gives(rig, "ASIA2", "SECRET/+ASIA2", "SECRETtoken==");
    rig_played(rig);
    rig_free(rig);
}
END_TEST

START_TEST(credentials_that_end_soon_are_not_fetched_at_every_request)
{
    static const struct script_step step = {
            SCRIPT_CLOSE, OK(KEYS_JSON("ASIA1", "2026-11-22T23:32:00Z"))};
    struct aws_rig *rig = rig_new();
    rig_play(rig, &step, 1);
    set_container(rig);
    for (int i = 0; i < 3; i++) {
        rig_gives(rig, "ASIA1", "SECRET/+ASIA1", "SECRETtoken==");
    }
    rig_played(rig);
    rig_free(rig);
}
END_TEST

struct asker {
    pthread_t thread;
    struct aws_rig *rig;
    struct tm_aws_credentials got;
    enum tm_code code;
};

static void *ask(void *arg)
{
    struct asker *asker = arg;
    struct tm_err err = {0};
    asker->code = tm_aws_provider_get(asker->rig->provider, &asker->got, &err);
    return NULL;
}

static void begin_asking(struct asker *asker, struct aws_rig *rig)
{
    asker->rig = rig;
    ck_assert_int_eq(pthread_create(&asker->thread, NULL, ask, asker), 0);
}

START_TEST(one_thread_refreshes_while_others_use_the_old_ones)
{
    static const struct script_step steps[] = {{SCRIPT_CLOSE, OK(KEYS_JSON("ASIA1", END))},
            {SCRIPT_CLOSE, OK(KEYS_JSON("ASIA2", "2026-11-23T01:30:00Z"))}};
    static struct asker asker;
    struct aws_rig *rig = rig_new();
    rig_play(rig, steps, LENGTH(steps));
    set_container(rig);
    rig_gives(rig, "ASIA1", "SECRET/+ASIA1", "SECRETtoken==");
    rig->now_ms = RIG_NOW + 56 * MINUTE_MS;
    rig->gated = true;
    begin_asking(&asker, rig);
    ck_assert_int_eq(sem_wait(&rig->at_gate), 0);
    rig_gives(rig, "ASIA1", "SECRET/+ASIA1", "SECRETtoken==");
    rig_gives(rig, "ASIA1", "SECRET/+ASIA1", "SECRETtoken==");
    ck_assert_int_eq(sem_post(&rig->open_gate), 0);
    ck_assert_int_eq(pthread_join(asker.thread, NULL), 0);
    rig->gated = false;
    ck_assert_int_eq(asker.code, TM_OK);
    ck_assert_str_eq(asker.got.access_key_id, "ASIA2");
    rig_gives(rig, "ASIA2", "SECRET/+ASIA2", "SECRETtoken==");
    rig_played(rig);
    rig_free(rig);
}
END_TEST

START_TEST(threads_without_any_wait_for_one_fetch)
{
    static const struct script_step step = {SCRIPT_CLOSE, OK(KEYS_JSON("ASIA1", END))};
    static struct asker askers[8];
    struct aws_rig *rig = rig_new();
    rig_play(rig, &step, 1);
    set_container(rig);
    (void)rig_provider(rig);
    rig->gated = true;
    for (size_t i = 0; i < LENGTH(askers); i++) {
        begin_asking(&askers[i], rig);
    }
    ck_assert_int_eq(sem_wait(&rig->at_gate), 0);
    ck_assert_int_eq(sem_post(&rig->open_gate), 0);
    for (size_t i = 0; i < LENGTH(askers); i++) {
        ck_assert_int_eq(pthread_join(askers[i].thread, NULL), 0);
        ck_assert_int_eq(askers[i].code, TM_OK);
        ck_assert_str_eq(askers[i].got.access_key_id, "ASIA1");
    }
    rig_played(rig);
    rig_free(rig);
}
END_TEST

START_TEST(static_credentials_are_given_as_they_are)
{
    struct aws_rig *rig = rig_new();
    rig->options.mode = TM_AWS_STATIC;
    rig->options.access_key_id = "AKSTATIC";
    rig->options.secret = "SECRETstatic";
    rig_gives(rig, "AKSTATIC", "SECRETstatic", "");
    tm_aws_provider_expire(rig_provider(rig));
    rig_gives(rig, "AKSTATIC", "SECRETstatic", "");
    ck_assert_str_eq(tm_aws_provider_source(rig_provider(rig)), "static");
    rig_free(rig);
}
END_TEST

static Suite *credentials_suite(void)
{
    Suite *suite = suite_create("credentials");
    TCase *sources = tcase_create("sources");
    tcase_add_test(sources, environment_comes_first_and_is_asked_once);
    tcase_add_loop_test(sources, an_environment_that_is_half_set_or_no_key_is_told, 0,
            (int)LENGTH(wrong_environments));
    tcase_add_test(sources, where_no_source_is_set_up_each_says_what_is_missing);
    tcase_add_test(sources, web_identity_asks_sts_with_a_session_name_of_its_own);
    tcase_add_loop_test(sources,
            what_sts_refuses_or_answers_wrongly_is_told_and_no_other_source_is_asked, 0,
            (int)LENGTH(wrong_sts));
    tcase_add_test(sources, sts_is_asked_again_when_it_is_busy_or_resets);
    tcase_add_test(sources, sts_that_stays_busy_is_given_up_after_three_tries);
    tcase_add_loop_test(sources, a_token_that_is_none_is_not_sent, 0, (int)LENGTH(wrong_tokens));
    tcase_add_loop_test(sources, profiles_are_read_as_the_command_line_of_aws_reads_them, 0,
            (int)LENGTH(profiles));
    tcase_add_test(sources, a_file_that_is_named_has_to_be_there);
    tcase_add_test(sources, a_profile_may_name_a_role_and_a_token);
    tcase_add_test(sources, a_container_asks_with_its_token_and_reads_it_anew_each_time);
    tcase_add_test(sources, a_relative_uri_goes_to_the_address_of_ecs_and_needs_no_token);
    tcase_add_loop_test(
            sources, tokens_go_in_the_clear_to_near_hosts_alone, 0, (int)LENGTH(far_hosts));
    tcase_add_test(sources, what_a_container_names_wrongly_is_told);
    tcase_add_loop_test(
            sources, what_a_container_answers_wrongly_is_told, 0, (int)LENGTH(wrong_containers));
    tcase_add_test(sources, an_answer_beyond_its_bound_is_refused_at_once);
    tcase_add_test(sources, a_container_that_hangs_is_asked_again);
    tcase_add_test(sources, an_instance_is_asked_for_a_token_first);
    tcase_add_loop_test(sources, what_gives_no_token_is_no_instance, 0, (int)LENGTH(no_instances));
    tcase_add_loop_test(
            sources, what_an_instance_answers_wrongly_is_told, 0, (int)LENGTH(wrong_instances));
    tcase_add_test(sources, an_instance_without_a_role_is_passed_over);
    suite_add_tcase(suite, sources);
    TCase *provider = tcase_create("provider");
    tcase_add_test(provider, credentials_are_fetched_anew_five_minutes_before_they_end);
    tcase_add_test(provider, a_refresh_that_fails_matters_when_the_old_credentials_have_ended);
    tcase_add_test(provider, credentials_that_end_soon_are_not_fetched_at_every_request);
    tcase_add_test(provider, one_thread_refreshes_while_others_use_the_old_ones);
    tcase_add_test(provider, threads_without_any_wait_for_one_fetch);
    tcase_add_test(provider, static_credentials_are_given_as_they_are);
    suite_add_tcase(suite, provider);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(credentials_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
