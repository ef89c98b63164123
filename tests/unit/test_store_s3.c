/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_s3.h"

#include <check.h>
#include <signal.h>

#include "base/clock.h"
#include "base/fs.h"
#include "http_script.h"
#include "store/s3_impl.h"
#include "store/store_open.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define PLAY(steps) \
    script_begin(&script, steps, LENGTH(steps)), open_store((struct tm_store_s3_options){0})

#define LOG_1 "log/0000000000000001"
#define LOG_2 "log/0000000000000002"
#define KEY_1 "key/00000000000000aa"
#define PACK_A \
    "pack/ab/" \
    "ab00000000000000000000000000000000000000000000000000000000000000"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

#define HEAD(status)         "HTTP/1.1 " status "\r\nx-amz-request-id: REQ1\r\n"
#define EMPTY_ANSWER(status) HEAD(status) "Content-Length: 0\r\n\r\n"
/* A body without a length ends with the connection. */
#define CLOSED_ANSWER(status, body) HEAD(status) "Connection: close\r\n\r\n" body
#define ERROR_ANSWER(status, code) \
    CLOSED_ANSWER(status, \
            "<?xml version=\"1.0\"?><Error><Code>" code "</Code><Message>Why.</Message></Error>")

static struct script script;
static struct tm_store *store;
static char text[1024];

static void begin(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
}

static void end(void)
{
    tm_store_free(store);
    store = NULL;
    script_forget(&script);
}

static void open_store(struct tm_store_s3_options options)
{
    char endpoint[64];
    struct tm_err err = {0};
    (void)snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%d", script.port);
    options.bucket = "vault";
    options.prefix = "prod";
    options.region = "eu-west-1";
    options.endpoint = endpoint;
    options.credentials = (struct tm_aws_options){
            .mode = TM_AWS_STATIC, .access_key_id = "AKID", .secret = "secret"};
    options.spool_folder = "/tmp";
    options.budget_ms = options.budget_ms > 0 ? options.budget_ms : 5000;
    options.stall_timeout_ms = 1000;
    options.first_pause_ms = 2;
    ck_assert_msg(tm_store_s3_open(&options, &store, &err) == TM_OK, "%s", err.msg);
}

/* The port differs from run to run: "PORT" stands for it. */
static void expect_message(const struct tm_err *err, const char *expected)
{
    char whole[TM_ERR_MSG_MAX];
    const char *port = strstr(expected, "PORT");
    if (port == NULL) {
        ck_assert_str_eq(err->msg, expected);
        return;
    }
    (void)snprintf(whole, sizeof(whole), "%.*s%d%s", (int)(port - expected), expected, script.port,
            port + 4);
    ck_assert_str_eq(err->msg, whole);
}

static enum tm_code get(const char *name, size_t max_bytes, struct tm_buf *out, struct tm_err *err)
{
    memset(err, 0, sizeof(*err));
    return tm_store_get(store, name, max_bytes, out, err);
}

static enum tm_code create(const char *bytes, struct tm_err *err)
{
    memset(err, 0, sizeof(*err));
    return tm_store_create(store, LOG_1, tm_slice_str(bytes), err);
}

START_TEST(get_asks_for_the_object_and_signs)
{
    static const struct script_step steps[] = {
            {SCRIPT_ANSWER, HEAD("200 OK") "Content-Length: 5\r\n\r\nentry"}};
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err;
    PLAY(steps);
    tm_buf_add_text(&out, "before ");
    ck_assert_msg(get(LOG_1, 100, &out, &err) == TM_OK, "%s", err.msg);
    script_end(&script);
    ck_assert_str_eq(tm_buf_text(&out), "before entry");
    ck_assert_str_eq(script_asked(&script, 0, NULL, text), "GET /vault/prod/" LOG_1 " HTTP/1.1");
    ck_assert_str_eq(script_asked(&script, 0, "x-amz-content-sha256", text), EMPTY);
    (void)script_asked(&script, 0, "Authorization", text);
    ck_assert_int_eq(strncmp(text, "AWS4-HMAC-SHA256 Credential=AKID/", 33), 0);
    ck_assert_ptr_nonnull(strstr(text, "/eu-west-1/s3/aws4_request,SignedHeaders=host;"
                                       "x-amz-content-sha256;x-amz-date,Signature="));
    ck_assert_str_eq(store->backend, "s3");
    ck_assert_str_eq(store->where, "s3://vault/prod");
}
END_TEST

START_TEST(create_is_conditional_and_carries_its_checksum)
{
    static const struct script_step steps[] = {{SCRIPT_ANSWER, EMPTY_ANSWER("200 OK")}};
    struct tm_err err;
    PLAY(steps);
    ck_assert_msg(create("entry", &err) == TM_OK, "%s", err.msg);
    script_end(&script);
    ck_assert_str_eq(script_asked(&script, 0, NULL, text), "PUT /vault/prod/" LOG_1 " HTTP/1.1");
    ck_assert_str_eq(script_asked(&script, 0, "If-None-Match", text), "*");
    /* printf entry | openssl dgst -sha256 -binary | base64 */
    ck_assert_str_eq(script_asked(&script, 0, "x-amz-checksum-sha256", text),
            "kj/lOWbGzZND4Rr3ds1LBb4xXqSyALAuTV37D5Kbc78=");
    ck_assert_str_eq(script_asked(&script, 0, "x-amz-object-lock-mode", text), "");
    ck_assert_ptr_nonnull(strstr(script_asked(&script, 0, "Authorization", text),
            "SignedHeaders=host;if-none-match;x-amz-checksum-sha256;x-amz-content-sha256;"
            "x-amz-date,"));
    ck_assert(tm_slice_is(script_body(&script, 0), "entry"));
}
END_TEST

/* clang-format off */
static const struct {
    struct script_step steps[4];
    size_t step_count;
    enum tm_code code;
    const char *message;
} creates[] = {
    {{{SCRIPT_CLOSE, ERROR_ANSWER("412 Precondition Failed", "PreconditionFailed")}}, 1, TM_E_EXISTS,
     "s3://vault/prod/" LOG_1 ": create: exists already"},
    {{{SCRIPT_CLOSE, ERROR_ANSWER("409 Conflict", "ConditionalRequestConflict")},
      {SCRIPT_ANSWER, EMPTY_ANSWER("200 OK")}}, 2, TM_OK, ""},
    {{{SCRIPT_CLOSE, ERROR_ANSWER("503 Slow Down", "SlowDown")},
      {SCRIPT_CLOSE, ERROR_ANSWER("500 Internal Error", "InternalError")},
      {SCRIPT_ANSWER, EMPTY_ANSWER("200 OK")}}, 3, TM_OK, ""},
    {{{SCRIPT_RESET, NULL}, {SCRIPT_CLOSE, ERROR_ANSWER("412 Precondition Failed", "PreconditionFailed")}}, 2,
     TM_E_EXISTS, "s3://vault/prod/" LOG_1 ": create: exists already"},
    {{{SCRIPT_HANG_UP, NULL}, {SCRIPT_ANSWER, EMPTY_ANSWER("200 OK")}}, 2, TM_OK, ""},
    {{{SCRIPT_HOLD, NULL}, {SCRIPT_ANSWER, EMPTY_ANSWER("200 OK")}}, 2, TM_OK, ""},
    {{{SCRIPT_CLOSE, ERROR_ANSWER("400 Bad Request", "BadDigest")}, {SCRIPT_ANSWER, EMPTY_ANSWER("200 OK")}}, 2,
     TM_OK, ""},
    {{{SCRIPT_CLOSE, ERROR_ANSWER("403 Forbidden", "AccessDenied")}}, 1, TM_E_DENIED,
     "s3://vault/prod/" LOG_1 ": create: 403 AccessDenied: Why. (request REQ1); hint: grant s3:ListBucket on the "
     "bucket, and Get, Put and DeleteObject inside"},
    {{{SCRIPT_RESET, NULL}, {SCRIPT_CLOSE, ERROR_ANSWER("403 Forbidden", "InvalidAccessKeyId")}}, 2, TM_E_UNKNOWN,
     "s3://vault/prod/" LOG_1 ": create: the answer was lost: 403 InvalidAccessKeyId: Why. (request REQ1); hint: the "
     "access key id is not known there; tried 2 times"},
    {{{SCRIPT_CLOSE, ERROR_ANSWER("404 Not Found", "NoSuchBucket")}}, 1, TM_E_DENIED,
     "s3://vault/prod/" LOG_1 ": create: 404 NoSuchBucket: Why. (request REQ1); hint: make the bucket, or correct its "
     "name or endpoint"},
    {{{SCRIPT_CLOSE, ERROR_ANSWER("501 Not Implemented", "NotImplemented")}}, 1, TM_E_UNSUPPORTED,
     "s3://vault/prod/" LOG_1 ": create: 501 NotImplemented: Why. (request REQ1)"},
    {{{SCRIPT_CLOSE, ERROR_ANSWER("507 Insufficient Storage", "XMinioStorageFull")}}, 1, TM_E_FULL,
     "s3://vault/prod/" LOG_1 ": create: 507 XMinioStorageFull: Why. (request REQ1)"},
    {{{SCRIPT_CLOSE, CLOSED_ANSWER("301 Moved Permanently",
       "<Error><Code>PermanentRedirect</Code><Region>us-west-2</Region></Error>")}}, 1, TM_E_DENIED,
     "s3://vault/prod/" LOG_1 ": create: 301 PermanentRedirect (request REQ1); hint: the bucket is in region us-west-2, "
     "not eu-west-1"},
    {{{SCRIPT_CLOSE, CLOSED_ANSWER("401 Unauthorized", "<html>who are you?")}}, 1, TM_E_DENIED,
     "s3://vault/prod/" LOG_1 ": create: 401 (request REQ1)"},
};
/* clang-format on */

START_TEST(a_create_ends_as_the_answers_say)
{
    struct tm_err err;
    script_begin(&script, creates[_i].steps, creates[_i].step_count);
    open_store((struct tm_store_s3_options){0});
    enum tm_code code = create("entry", &err);
    ck_assert_str_eq(err.msg, creates[_i].message);
    ck_assert_int_eq(code, creates[_i].code);
    ck_assert_int_eq(err.code, creates[_i].code);
    script_end(&script);
    ck_assert_uint_eq(tm_store_s3_requests(store).put, creates[_i].step_count);
    for (size_t i = 0; i < creates[_i].step_count; i++) {
        if (creates[_i].steps[i].act != SCRIPT_HANG_UP) {
            ck_assert(tm_slice_is(script_body(&script, i), "entry"));
        }
        ck_assert_str_eq(script_asked(&script, i, "If-None-Match", text), "*");
    }
}
END_TEST

START_TEST(a_create_without_an_answer_within_the_budget_is_unknown)
{
    static const struct script_step steps[] = {{SCRIPT_HOLD, NULL}};
    struct tm_err err;
    script_begin(&script, steps, 1);
    open_store((struct tm_store_s3_options){.budget_ms = 500});
    ck_assert_int_eq(create("entry", &err), TM_E_UNKNOWN);
    expect_message(&err, "s3://vault/prod/" LOG_1
                         ": create: the answer was lost: 127.0.0.1:PORT: Operation too slow. Less "
                         "than 100 bytes/sec transferred the last 1 seconds (OPERATION_TIMEDOUT)");
    script_end(&script);
}
END_TEST

START_TEST(a_create_that_reached_nobody_has_failed)
{
    static const struct script_step steps[1];
    struct tm_err err;
    script_begin(&script, steps, 0);
    open_store((struct tm_store_s3_options){.budget_ms = 50});
    script_end(&script); /* nobody listens now */
    ck_assert_int_eq(create("entry", &err), TM_E_IO);
    ck_assert_ptr_nonnull(strstr(err.msg, " (COULDNT_CONNECT); tried "));
}
END_TEST

/* clang-format off */
static const struct {
    struct script_step steps[3];
    size_t step_count;
    enum tm_code code;
    const char *message;
} gets[] = {
    {{{SCRIPT_CLOSE, ERROR_ANSWER("404 Not Found", "NoSuchKey")}}, 1, TM_E_MISSING,
     "s3://vault/prod/" LOG_1 ": get: 404 NoSuchKey: Why. (request REQ1)"},
    {{{SCRIPT_CLOSE, ERROR_ANSWER("404 Not Found", "NoSuchBucket")}}, 1, TM_E_DENIED,
     "s3://vault/prod/" LOG_1 ": get: 404 NoSuchBucket: Why. (request REQ1); hint: make the bucket, or correct its name "
     "or endpoint"},
    {{{SCRIPT_ANSWER, HEAD("200 OK") "Content-Length: 6\r\n\r\nlonger"}}, 1, TM_E_LIMIT,
     "s3://vault/prod/" LOG_1 ": get: 127.0.0.1:PORT: the answer has more than 5 bytes"},
    {{{SCRIPT_CLOSE, HEAD("200 OK") "Content-Length: 5\r\n\r\nent"},
      {SCRIPT_ANSWER, HEAD("200 OK") "Content-Length: 5\r\n\r\nentry"}}, 2, TM_OK, ""},
    {{{SCRIPT_HOLD, HEAD("200 OK") "Content-Length: 5\r\n\r\nent"},
      {SCRIPT_ANSWER, HEAD("200 OK") "Content-Length: 5\r\n\r\nentry"}}, 2, TM_OK, ""},
    {{{SCRIPT_CLOSE, ERROR_ANSWER("429 Too Many", "Throttling")}, {SCRIPT_CLOSE, EMPTY_ANSWER("502 Bad Gateway")},
      {SCRIPT_ANSWER, HEAD("200 OK") "Content-Length: 5\r\n\r\nentry"}}, 3, TM_OK, ""},
    {{{SCRIPT_CLOSE, CLOSED_ANSWER("400 Bad Request", "<Error><Code>ExpiredToken</Code></Error>")}}, 1, TM_E_DENIED,
     "s3://vault/prod/" LOG_1 ": get: 400 ExpiredToken (request REQ1)"},
    {{{SCRIPT_CLOSE, ERROR_ANSWER("403 Forbidden", "SignatureDoesNotMatch")}}, 1, TM_E_DENIED,
     "s3://vault/prod/" LOG_1 ": get: 403 SignatureDoesNotMatch: Why. (request REQ1); hint: the secret access key is "
     "another one's"},
};
/* clang-format on */

START_TEST(a_get_ends_as_the_answers_say)
{
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err;
    script_begin(&script, gets[_i].steps, gets[_i].step_count);
    open_store((struct tm_store_s3_options){0});
    enum tm_code code = get(LOG_1, 5, &out, &err);
    expect_message(&err, gets[_i].message);
    ck_assert_int_eq(code, gets[_i].code);
    ck_assert_str_eq(tm_buf_text(&out), code == TM_OK ? "entry" : "");
    script_end(&script);
}
END_TEST

START_TEST(clocks_that_differ_are_named)
{
    static const struct script_step steps[] = {
            {SCRIPT_CLOSE, CLOSED_ANSWER("403 Forbidden",
                                   "<Error><Code>RequestTimeTooSkewed</Code><Message>Too "
                                   "large.</Message><RequestTime>x</RequestTime>"
                                   "<ServerTime>2026-01-01T00:00:00Z</ServerTime></Error>")}};
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err;
    PLAY(steps);
    ck_assert_int_eq(get(LOG_1, 5, &out, &err), TM_E_DENIED);
    script_end(&script);
    static const char start[] = "s3://vault/prod/" LOG_1 ": get: the clocks differ: here it is 20";
    static const char rest[] =
            "Z, at the server 2026-01-01T00:00:00Z; hint: set this machine's clock; "
            "403 RequestTimeTooSkewed: Too large. (request REQ1)";
    ck_assert_int_eq(strncmp(err.msg, start, strlen(start)), 0);
    ck_assert_str_eq(err.msg + strlen(err.msg) - strlen(rest), rest);
}
END_TEST

START_TEST(retry_after_is_waited_for)
{
    static const struct script_step steps[] = {
            {SCRIPT_CLOSE, HEAD("503 Slow Down") "Retry-After: 1\r\nContent-Length: 0\r\n\r\n"},
            {SCRIPT_ANSWER, HEAD("200 OK") "Content-Length: 5\r\n\r\nentry"}};
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err;
    PLAY(steps);
    int64_t begin_ns = tm_mono_ns();
    ck_assert_int_eq(get(LOG_1, 5, &out, &err), TM_OK);
    ck_assert_int_ge(tm_mono_ns() - begin_ns, INT64_C(1000000000));
    script_end(&script);
}
END_TEST

START_TEST(the_budget_ends_the_repetitions)
{
    static const struct script_step steps[] = {
            {SCRIPT_CLOSE, HEAD("503 Slow Down") "Retry-After: 9\r\nContent-Length: 0\r\n\r\n"}};
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err;
    PLAY(steps);
    ck_assert_int_eq(get(LOG_1, 5, &out, &err), TM_E_IO);
    ck_assert_str_eq(err.msg, "s3://vault/prod/" LOG_1 ": get: 503 (request REQ1)");
    ck_assert(tm_code_retryable(err.code));
    script_end(&script);
}
END_TEST

/* clang-format off */
static const struct {
    struct script_step step;
    enum tm_code code;
    const char *message;
} ranges[] = {
    {{SCRIPT_ANSWER, HEAD("206 Partial") "Content-Range: bytes 10-14/20\r\nContent-Length: 5\r\n\r\nbytes"}, TM_OK, ""},
    {{SCRIPT_ANSWER, HEAD("206 Partial") "Content-Range: bytes 10-12/13\r\nContent-Length: 3\r\n\r\nbyt"},
     TM_E_CORRUPT, "s3://vault/prod/" PACK_A ": has 13 bytes; 5 were asked for from byte 10"},
    {{SCRIPT_ANSWER, HEAD("416 Range") "Content-Range: bytes */7\r\nContent-Length: 0\r\n\r\n"},
     TM_E_CORRUPT, "s3://vault/prod/" PACK_A ": has 7 bytes; 5 were asked for from byte 10"},
    {{SCRIPT_ANSWER, HEAD("200 OK") "Content-Length: 20\r\n\r\n01234567890123456789"}, TM_E_IO,
     "s3://vault/prod/" PACK_A ": range: asked for \"bytes 10-14/\", got status 200, \"\" and 20 bytes"},
    {{SCRIPT_ANSWER, HEAD("200 OK") "Content-Length: 5\r\n\r\n01234"}, TM_E_IO,
     "s3://vault/prod/" PACK_A ": range: asked for \"bytes 10-14/\", got status 200, \"\" and 5 bytes"},
    {{SCRIPT_ANSWER, HEAD("206 Partial") "Content-Range: bytes 0-4/20\r\nContent-Length: 5\r\n\r\nbytes"}, TM_E_IO,
     "s3://vault/prod/" PACK_A ": range: asked for \"bytes 10-14/\", got status 206, \"bytes 0-4/20\" and 5 bytes"},
};
/* clang-format on */

START_TEST(a_range_is_the_bytes_that_were_asked_for_or_an_error)
{
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err = {0};
    script_begin(&script, &ranges[_i].step, 1);
    open_store((struct tm_store_s3_options){0});
    tm_buf_add_text(&out, "before ");
    enum tm_code code = tm_store_range(store, PACK_A, 10, 5, &out, &err);
    ck_assert_str_eq(err.msg, ranges[_i].message);
    ck_assert_int_eq(code, ranges[_i].code);
    ck_assert_str_eq(tm_buf_text(&out), code == TM_OK ? "before bytes" : "before ");
    script_end(&script);
    ck_assert_str_eq(script_asked(&script, 0, "Range", text), "bytes=10-14");
}
END_TEST

static struct tm_spool spool_of(const char *bytes)
{
    struct tm_spool spool = {0};
    struct tm_err err = {0};
    ck_assert_msg(tm_store_spool_open(store, &spool, &err) == TM_OK, "%s", err.msg);
    ck_assert_int_eq(tm_fs_write_all(spool.fd, spool.path, tm_slice_str(bytes), &err), TM_OK);
    spool.size = strlen(bytes);
    return spool;
}

START_TEST(put_sends_the_spool_and_can_send_it_again)
{
    static const struct script_step steps[] = {
            {SCRIPT_RESET, NULL}, {SCRIPT_ANSWER, EMPTY_ANSWER("200 OK")}};
    struct tm_err err = {0};
    PLAY(steps);
    struct tm_spool spool = spool_of("entry");
    ck_assert_str_eq(spool.path, "/tmp/(spool)");
    ck_assert_msg(tm_store_put(store, PACK_A, &spool, &err) == TM_OK, "%s", err.msg);
    tm_store_spool_drop(store, &spool);
    tm_store_spool_drop(store, &spool);
    script_end(&script);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_str_eq(
                script_asked(&script, i, NULL, text), "PUT /vault/prod/" PACK_A " HTTP/1.1");
        ck_assert_str_eq(script_asked(&script, i, "x-amz-checksum-sha256", text),
                "kj/lOWbGzZND4Rr3ds1LBb4xXqSyALAuTV37D5Kbc78=");
        ck_assert_str_eq(script_asked(&script, i, "If-None-Match", text), "");
        ck_assert(tm_slice_is(script_body(&script, i), "entry"));
    }
}
END_TEST

/* clang-format off */
static const struct {
    const char *name;
    enum tm_s3_lock mode;
    const char *mode_text;
    int64_t locked_ms;
} locks[] = {
    {KEY_1,     TM_S3_LOCK_GOVERNANCE, "GOVERNANCE", 1000000},
    {LOG_1,     TM_S3_LOCK_COMPLIANCE, "COMPLIANCE", INT64_C(37) * 24 * 3600 * 1000},
    {"tmp/one", TM_S3_LOCK_COMPLIANCE, "",           0},
    {KEY_1,     TM_S3_LOCK_NONE,       "",           0},
};
/* clang-format on */

START_TEST(objects_are_locked_by_their_kind)
{
    static const struct script_step steps[] = {{SCRIPT_ANSWER, EMPTY_ANSWER("200 OK")}};
    struct tm_err err = {0};
    script_begin(&script, steps, 1);
    open_store((struct tm_store_s3_options){.lock_mode = locks[_i].mode, .lock_ms = 1000000});
    int64_t before_ms = tm_now_ms();
    ck_assert_int_eq(tm_store_create(store, locks[_i].name, tm_slice_str("entry"), &err), TM_OK);
    int64_t after_ms = tm_now_ms();
    script_end(&script);
    ck_assert_str_eq(script_asked(&script, 0, "x-amz-object-lock-mode", text), locks[_i].mode_text);
    (void)script_asked(&script, 0, "x-amz-object-lock-retain-until-date", text);
    if (locks[_i].locked_ms == 0) {
        ck_assert_str_eq(text, "");
        return;
    }
    int64_t until_ms = 0;
    ck_assert_int_eq(tm_time_parse(text, 0, &until_ms, &err), TM_OK);
    ck_assert_int_ge(until_ms, before_ms + locks[_i].locked_ms);
    ck_assert_int_le(until_ms, after_ms + locks[_i].locked_ms);
}
END_TEST

static enum tm_code add_line(
        void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err)
{
    (void)err;
    tm_buf_add_fmt(arg, "%s %d %lld\n", name, (int)info->size, (long long)info->modified_ms);
    return TM_OK;
}

#define LISTING(inside) \
    CLOSED_ANSWER("200 OK", \
            "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" inside \
            "</ListBucketResult>")
#define CONTENTS(key) \
    "<Contents><Key>" key "</Key><LastModified>1970-01-01T00:00:02.000Z</LastModified>" \
    "<ETag>&quot;x&quot;</ETag><Size>7</Size></Contents>"

START_TEST(a_listing_goes_on_from_page_to_page)
{
    static const struct script_step steps[] = {
            {SCRIPT_CLOSE, LISTING(CONTENTS("prod%2F" LOG_1) CONTENTS(
                                   "prod/log/other") "<IsTruncated>true"
                                                     "</IsTruncated><NextContinuationToken>a/b+c=</"
                                                     "NextContinuationToken>")},
            {SCRIPT_CLOSE, ERROR_ANSWER("503 Slow Down", "SlowDown")},
            {SCRIPT_CLOSE, LISTING("<IsTruncated>false</IsTruncated>" CONTENTS("prod/" LOG_2))}};
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err = {0};
    PLAY(steps);
    ck_assert_msg(tm_store_list(store, "log/", add_line, &out, &err) == TM_OK, "%s", err.msg);
    script_end(&script);
    ck_assert_str_eq(tm_buf_text(&out), LOG_1 " 7 2000\n" LOG_2 " 7 2000\n");
    ck_assert_str_eq(script_asked(&script, 0, NULL, text),
            "GET /vault?encoding-type=url&list-type=2&max-keys=1000&prefix=prod%2Flog%2F HTTP/1.1");
    ck_assert_str_eq(script_asked(&script, 2, NULL, text),
            "GET "
            "/vault?continuation-token=a%2Fb%2Bc%3D&encoding-type=url&list-type=2&max-keys=1000&"
            "prefix=prod%2Flog%2F HTTP/1.1");
    ck_assert_uint_eq(tm_store_s3_requests(store).list, 3);
}
END_TEST

/* clang-format off */
static const struct {
    const char *answer;
    enum tm_code code;
    const char *message;
} listings[] = {
    {ERROR_ANSWER("404 Not Found", "NoSuchBucket"), TM_E_DENIED,
     "s3://vault/prod/log/: list: 404 NoSuchBucket: Why. (request REQ1); hint: make the bucket, or correct its name or "
     "endpoint"},
    {LISTING("<IsTruncated>true</IsTruncated>"), TM_E_IO,
     "s3://vault/prod/log/: list: the listing is cut and does not say how it goes on"},
    {CLOSED_ANSWER("200 OK", "<ListBucketResult><Contents>"), TM_E_IO,
     "s3://vault/prod/log/: list: XML: line 1: no element found"},
    {CLOSED_ANSWER("200 OK", "<html/>"), TM_E_IO, "s3://vault/prod/log/: list: the answer is no listing but <html>"},
    {LISTING(CONTENTS("prod/" LOG_2) CONTENTS("prod/" LOG_1)), TM_E_IO, "listing: " LOG_1 " comes after " LOG_2},
    {LISTING(CONTENTS("prod/%zz")), TM_E_IO,
     "s3://vault/prod/log/: list: the listing has a key that is not encoded as was asked"},
};
/* clang-format on */

START_TEST(a_listing_that_is_none_is_an_error)
{
    const struct script_step step = {SCRIPT_CLOSE, listings[_i].answer};
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err = {0};
    script_begin(&script, &step, 1);
    open_store((struct tm_store_s3_options){0});
    enum tm_code code = tm_store_list(store, "log/", add_line, &out, &err);
    ck_assert_str_eq(err.msg, listings[_i].message);
    ck_assert_int_eq(code, listings[_i].code);
    script_end(&script);
}
END_TEST

START_TEST(stat_tells_size_and_time)
{
    static const struct script_step steps[] = {
            {SCRIPT_ANSWER, HEAD("200 OK") "Content-Length: 12\r\nLast-Modified: Wed, 21 Oct 2015 "
                                           "07:28:00 GMT\r\n\r\n"}};
    struct tm_object_info info;
    struct tm_err err = {0};
    PLAY(steps);
    ck_assert_msg(tm_store_stat(store, LOG_1, &info, &err) == TM_OK, "%s", err.msg);
    script_end(&script);
    ck_assert_uint_eq(info.size, 12);
    ck_assert_int_eq(info.modified_ms, INT64_C(1445412480000));
    ck_assert_str_eq(script_asked(&script, 0, NULL, text), "HEAD /vault/prod/" LOG_1 " HTTP/1.1");
}
END_TEST

START_TEST(stat_asks_whether_object_or_bucket_is_missing)
{
    static const struct script_step steps[] = {{SCRIPT_CLOSE, EMPTY_ANSWER("404 Not Found")},
            {SCRIPT_CLOSE, ERROR_ANSWER("404 Not Found", "NoSuchKey")},
            {SCRIPT_CLOSE, EMPTY_ANSWER("404 Not Found")},
            {SCRIPT_CLOSE, ERROR_ANSWER("404 Not Found", "NoSuchBucket")}};
    struct tm_object_info info;
    struct tm_err err = {0};
    PLAY(steps);
    ck_assert_int_eq(tm_store_stat(store, LOG_1, &info, &err), TM_E_MISSING);
    err = (struct tm_err){0};
    ck_assert_int_eq(tm_store_stat(store, LOG_1, &info, &err), TM_E_DENIED);
    script_end(&script);
}
END_TEST

START_TEST(removing_what_is_not_there_succeeds)
{
    static const struct script_step steps[] = {{SCRIPT_ANSWER, EMPTY_ANSWER("204 No Content")},
            {SCRIPT_CLOSE, ERROR_ANSWER("404 Not Found", "NoSuchKey")},
            {SCRIPT_CLOSE, ERROR_ANSWER("403 Forbidden", "InvalidRequest")}};
    struct tm_err err = {0};
    PLAY(steps);
    ck_assert_int_eq(tm_store_remove(store, LOG_1, &err), TM_OK);
    ck_assert_int_eq(tm_store_remove(store, LOG_1, &err), TM_OK);
    ck_assert_str_eq(err.msg, "");
    ck_assert_int_eq(tm_store_remove(store, LOG_1, &err), TM_E_DENIED);
    ck_assert_str_eq(
            err.msg, "s3://vault/prod/" LOG_1 ": remove: 403 InvalidRequest: Why. (request REQ1)");
    script_end(&script);
    ck_assert_str_eq(script_asked(&script, 0, NULL, text), "DELETE /vault/prod/" LOG_1 " HTTP/1.1");
}
END_TEST

START_TEST(a_probe_whose_first_answer_was_lost_still_proves)
{
    static const struct script_step steps[] = {{SCRIPT_RESET, NULL},
            {SCRIPT_CLOSE, ERROR_ANSWER("412 Precondition Failed", "PreconditionFailed")},
            {SCRIPT_CLOSE, ERROR_ANSWER("412 Precondition Failed", "PreconditionFailed")},
            {SCRIPT_ANSWER, EMPTY_ANSWER("204 No Content")}};
    struct tm_err err = {0};
    PLAY(steps);
    ck_assert_msg(tm_store_probe(store, &err) == TM_OK, "%s", err.msg);
    script_end(&script);
}
END_TEST

START_TEST(a_probe_refuses_a_server_that_overwrites)
{
    static const struct script_step steps[] = {{SCRIPT_ANSWER, EMPTY_ANSWER("200 OK")},
            {SCRIPT_ANSWER, EMPTY_ANSWER("200 OK")},
            {SCRIPT_ANSWER, EMPTY_ANSWER("204 No Content")}};
    struct tm_err err = {0};
    PLAY(steps);
    ck_assert_int_eq(tm_store_probe(store, &err), TM_E_UNSUPPORTED);
    script_end(&script);
}
END_TEST

/* Places: where a bucket's objects are. */

/* clang-format off */
static const struct {
    struct tm_store_s3_options options;
    const char *origin; /* and path; or the message */
    enum tm_code code;
} places[] = {
    {{.bucket = "acme"}, "https://acme.s3.us-east-1.amazonaws.com", TM_OK},
    {{.bucket = "acme", .region = "cn-north-1"}, "https://acme.s3.cn-north-1.amazonaws.com.cn", TM_OK},
    {{.bucket = "acme", .region = "eu-west-1", .path_style = true}, "https://s3.eu-west-1.amazonaws.com/acme", TM_OK},
    {{.bucket = "a.b.c"}, "https://s3.us-east-1.amazonaws.com/a.b.c", TM_OK},
    {{.bucket = "acme", .endpoint = "https://minio.example:443/"}, "https://acme.minio.example", TM_OK},
    {{.bucket = "acme", .endpoint = "http://minio:9000/s3/"}, "http://acme.minio:9000/s3", TM_OK},
    {{.bucket = "acme", .endpoint = "http://10.0.0.1:9000"}, "http://10.0.0.1:9000/acme", TM_OK},
    {{.bucket = "acme", .endpoint = "http://[::1]:9000"}, "http://[::1]:9000/acme", TM_OK},
    {{.bucket = "ab"}, "\"ab\" is not the name of a bucket; accepted: 3 to 63 of a-z 0-9 . -", TM_E_USAGE},
    {{.bucket = "a/b/c"}, "\"a/b/c\" is not the name of a bucket; accepted: 3 to 63 of a-z 0-9 . -", TM_E_USAGE},
    {{.bucket = "acme", .prefix = "/a"}, "\"/a\" is no prefix; accepted: up to 180 characters, like \"prod/kafka/\"",
     TM_E_USAGE},
    {{.bucket = "acme", .region = "EU"}, "\"EU\" is not the name of a region", TM_E_USAGE},
    {{.bucket = "acme", .endpoint = "minio:9000"}, "\"minio:9000\" begins with neither https:// nor http://", TM_E_USAGE},
    {{.bucket = "acme", .credentials = {.mode = TM_AWS_STATIC}},
     "static AWS credentials: the access key id is missing", TM_E_USAGE},
};
/* clang-format on */

START_TEST(a_bucket_has_its_place)
{
    struct tm_err err = {0};
    enum tm_code code = tm_store_s3_open(&places[_i].options, &store, &err);
    ck_assert_int_eq(code, places[_i].code);
    if (code != TM_OK) {
        ck_assert_str_eq(err.msg, places[_i].origin);
        ck_assert_ptr_null(store);
        return;
    }
    const struct tm_s3 *s3 = (const struct tm_s3 *)store;
    (void)snprintf(text, sizeof(text), "%s%s", s3->origin, s3->path);
    ck_assert_str_eq(text, places[_i].origin);
    ck_assert_ptr_nonnull(strstr(s3->origin, s3->host));
}
END_TEST

/* clang-format off */
static const struct {
    const char *url;
    const char *origin; /* and path and prefix; or the message */
    enum tm_code code;
} urls[] = {
    {"s3://acme", "https://acme.s3.eu-north-1.amazonaws.com ", TM_OK},
    {"s3://acme/a%20b/c?region=us-west-2&path_style=true", "https://s3.us-west-2.amazonaws.com/acme a b/c/", TM_OK},
    {"s3://acme?endpoint=http%3A%2F%2F127.0.0.1:9000", "http://127.0.0.1:9000/acme ", TM_OK},
    {"s3://acme?colour=red",
     "\"colour=red\" in the URL is not known; accepted: region=, endpoint=, path_style=true, ca_file=", TM_E_USAGE},
    {"s3://acme/%zz", "\"%zz\" in the URL is not encoded as it has to be", TM_E_USAGE},
    {"s3://acme?path_style=1", "path_style in the URL is neither true nor false", TM_E_USAGE},
    {"gs://acme", "gs://acme: not a kind of vault that is known; write a folder, or s3://BUCKET/PREFIX", TM_E_USAGE},
    {"file:///nowhere/at/all", "/nowhere/at/all: no such folder", TM_E_MISSING},
};
/* clang-format on */

START_TEST(a_url_names_a_store)
{
    struct tm_err err = {0};
    ck_assert_int_eq(setenv("AWS_REGION", "eu-north-1", 1), 0);
    ck_assert_int_eq(unsetenv("AWS_ENDPOINT_URL") | unsetenv("AWS_ENDPOINT_URL_S3"), 0);
    enum tm_code code = tm_store_open_url(urls[_i].url, false, &store, &err);
    ck_assert_int_eq(code, urls[_i].code);
    if (code == TM_E_USAGE) {
        ck_assert_str_eq(err.msg, urls[_i].origin);
    } else if (code == TM_OK) {
        const struct tm_s3 *s3 = (const struct tm_s3 *)store;
        (void)snprintf(text, sizeof(text), "%s%s %s", s3->origin, s3->path, s3->prefix);
        ck_assert_str_eq(text, urls[_i].origin);
    }
}
END_TEST

START_TEST(missing_credentials_are_no_missing_object)
{
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err = {0};
    struct tm_store_s3_options options = {
            .bucket = "acme", .endpoint = "http://127.0.0.1:1", .spool_folder = "/tmp"};
    ck_assert_int_eq(unsetenv("AWS_ACCESS_KEY_ID") | unsetenv("AWS_SECRET_ACCESS_KEY"), 0);
    ck_assert_int_eq(setenv("AWS_EC2_METADATA_DISABLED", "true", 1), 0);
    ck_assert_int_eq(tm_store_s3_open(&options, &store, &err), TM_OK);
    ck_assert_int_eq(get(LOG_1, 5, &out, &err), TM_E_DENIED);
    ck_assert_int_eq(strncmp(err.msg, "s3://acme/" LOG_1 ": get: ", 36), 0);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, get_asks_for_the_object_and_signs);
    tcase_add_test(tcase, create_is_conditional_and_carries_its_checksum);
    tcase_add_loop_test(tcase, a_create_ends_as_the_answers_say, 0, (int)LENGTH(creates));
    tcase_add_test(tcase, a_create_without_an_answer_within_the_budget_is_unknown);
    tcase_add_test(tcase, a_create_that_reached_nobody_has_failed);
    tcase_add_loop_test(tcase, a_get_ends_as_the_answers_say, 0, (int)LENGTH(gets));
    tcase_add_test(tcase, clocks_that_differ_are_named);
    tcase_add_test(tcase, retry_after_is_waited_for);
    tcase_add_test(tcase, the_budget_ends_the_repetitions);
    tcase_add_loop_test(
            tcase, a_range_is_the_bytes_that_were_asked_for_or_an_error, 0, (int)LENGTH(ranges));
    tcase_add_test(tcase, put_sends_the_spool_and_can_send_it_again);
    tcase_add_loop_test(tcase, objects_are_locked_by_their_kind, 0, (int)LENGTH(locks));
    tcase_add_test(tcase, a_listing_goes_on_from_page_to_page);
    tcase_add_loop_test(tcase, a_listing_that_is_none_is_an_error, 0, (int)LENGTH(listings));
    tcase_add_test(tcase, stat_tells_size_and_time);
    tcase_add_test(tcase, stat_asks_whether_object_or_bucket_is_missing);
    tcase_add_test(tcase, removing_what_is_not_there_succeeds);
    tcase_add_test(tcase, a_probe_whose_first_answer_was_lost_still_proves);
    tcase_add_test(tcase, a_probe_refuses_a_server_that_overwrites);
    tcase_add_loop_test(tcase, a_bucket_has_its_place, 0, (int)LENGTH(places));
    tcase_add_loop_test(tcase, a_url_names_a_store, 0, (int)LENGTH(urls));
    tcase_add_test(tcase, missing_credentials_are_no_missing_object);
}

int main(void)
{
    Suite *suite = suite_create("store_s3");
    TCase *tcase = tcase_create("s3");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, begin, end);
    add_tests(tcase);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
