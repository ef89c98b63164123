/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS's published examples: "Signature Calculations for the Authorization Header" and
 * "Authenticating Requests: Using Query Parameters" of the S3 API Reference, and the Signature
 * Version 4 test suite (aws-sig-v4-test-suite).
 */
#include "aws/sigv4.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define EMPTY         "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define WELCOME       "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"

static const int64_t s3_time_ms = INT64_C(1369353600000);    /* 2013-05-24T00:00:00Z */
static const int64_t suite_time_ms = INT64_C(1440938160000); /* 2015-08-30T12:36:00Z */

/* clang-format off */
static const struct {
    const char *name;
    const char *method;
    const char *path;
    const char *query;
    struct tm_http_header headers[6];
    const char *payload;
    const char *names;
    const char *signature;
} s3_cases[] = {
    {"GET object", "GET", "/test.txt", "",
     {{"Host", "examplebucket.s3.amazonaws.com"}, {"Range", "bytes=0-9"}, {"x-amz-content-sha256", EMPTY}},
     EMPTY, "host;range;x-amz-content-sha256;x-amz-date",
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
    {"PUT object", "PUT", "/test%24file.text", "",
     {{"Date", "Fri, 24 May 2013 00:00:00 GMT"}, {"Host", "examplebucket.s3.amazonaws.com"},
      {"x-amz-storage-class", "REDUCED_REDUNDANCY"}, {"x-amz-content-sha256", WELCOME}},
     WELCOME, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
    {"GET bucket lifecycle", "GET", "/", "lifecycle",
     {{"Host", "examplebucket.s3.amazonaws.com"}, {"x-amz-content-sha256", EMPTY}},
     EMPTY, "host;x-amz-content-sha256;x-amz-date",
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
    {"GET bucket", "GET", "/", "prefix=J&max-keys=2",
     {{"Host", "examplebucket.s3.amazonaws.com"}, {"x-amz-content-sha256", EMPTY}},
     EMPTY, "host;x-amz-content-sha256;x-amz-date",
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

static const struct {
    const char *name;
    const char *service;
    const char *method;
    const char *path;
    const char *query;
    struct tm_http_header headers[4];
    const char *payload;
    const char *signature;
} suite_cases[] = {
    {"get-vanilla", "service", "GET", "/", "", {{"Host", "example.amazonaws.com"}}, EMPTY,
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-vanilla, no path", "service", "GET", "", "", {{"Host", "example.amazonaws.com"}}, EMPTY,
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-vanilla-query-order-key-case", "service", "GET", "/", "Param2=value2&Param1=value1",
     {{"Host", "example.amazonaws.com"}}, EMPTY,
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"get-header-value-trim", "service", "GET", "/", "",
     {{"Host", "example.amazonaws.com"}, {"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}}, EMPTY,
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
    {"get-utf8", "service", "GET", "/\xe1\x88\xb4", "", {{"Host", "example.amazonaws.com"}}, EMPTY,
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"post-vanilla", "service", "POST", "/", "", {{"Host", "example.amazonaws.com"}}, EMPTY,
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"IAM ListUsers", "iam", "GET", "/", "Action=ListUsers&Version=2010-05-08",
     {{"content-type", "application/x-www-form-urlencoded; charset=utf-8"}, {"host", "iam.amazonaws.com"}}, EMPTY,
     "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"},
};
/* clang-format on */

static struct tm_aws_credentials credentials_of(
        const char *id, const char *secret, const char *token)
{
    struct tm_aws_credentials credentials;
    struct tm_err err = {0};
    ck_assert_int_eq(tm_aws_credentials_set(&credentials, id, secret, token, &err), TM_OK);
    return credentials;
}

static size_t count_headers(const struct tm_http_header *headers)
{
    size_t count = 0;
    while (headers[count].name != NULL) {
        count++;
    }
    return count;
}

START_TEST(s3_examples_are_signed_as_published)
{
    struct tm_aws_credentials credentials =
            credentials_of("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "");
    struct tm_sigv4_request request = {
            .credentials = &credentials,
            .region = "us-east-1",
            .service = "s3",
            .time_ms = s3_time_ms,
            .method = s3_cases[_i].method,
            .path = tm_slice_str(s3_cases[_i].path),
            .query = tm_slice_str(s3_cases[_i].query),
            .headers = s3_cases[_i].headers,
            .header_count = count_headers(s3_cases[_i].headers),
            .payload = s3_cases[_i].payload,
    };
    TM_SIGV4_OWN struct tm_sigv4_headers headers = {0};
    tm_sigv4_sign(&request, &headers);
    char expected[600];
    (void)snprintf(expected, sizeof(expected),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
            "SignedHeaders=%s,Signature=%s",
            s3_cases[_i].names, s3_cases[_i].signature);
    ck_assert_str_eq(tm_buf_text(&headers.authorization), expected);
    ck_assert_str_eq(headers.date, "20130524T000000Z");
}
END_TEST

static void sign_suite(int i, const char *token, struct tm_sigv4_headers *out)
{
    struct tm_aws_credentials credentials =
            credentials_of("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token);
    struct tm_sigv4_request request = {
            .credentials = &credentials,
            .region = "us-east-1",
            .service = suite_cases[i].service,
            .time_ms = suite_time_ms,
            .method = suite_cases[i].method,
            .path = tm_slice_str(suite_cases[i].path),
            .query = tm_slice_str(suite_cases[i].query),
            .headers = suite_cases[i].headers,
            .header_count = count_headers(suite_cases[i].headers),
            .payload = suite_cases[i].payload,
    };
    tm_sigv4_sign(&request, out);
}

START_TEST(the_test_suite_is_signed_as_published)
{
    TM_SIGV4_OWN struct tm_sigv4_headers headers = {0};
    sign_suite(_i, "", &headers);
    const char *signature = strstr(tm_buf_text(&headers.authorization), "Signature=");
    ck_assert_ptr_nonnull(signature);
    ck_assert_msg(strcmp(signature + 10, suite_cases[_i].signature) == 0, "%s: %s",
            suite_cases[_i].name, signature);
}
END_TEST

START_TEST(a_session_token_is_signed)
{
    TM_SIGV4_OWN struct tm_sigv4_headers with = {0};
    TM_SIGV4_OWN struct tm_sigv4_headers without = {0};
    sign_suite(0, "token", &with);
    sign_suite(0, "", &without);
    const char *text = tm_buf_text(&with.authorization);
    ck_assert_ptr_nonnull(
            strstr(text, "SignedHeaders=host;x-amz-date;x-amz-security-token,Signature="));
    ck_assert_str_ne(
            strstr(text, "Signature="), strstr(tm_buf_text(&without.authorization), "Signature="));
}
END_TEST

START_TEST(a_presigned_query_is_as_published)
{
    struct tm_aws_credentials credentials =
            credentials_of("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "");
    struct tm_http_header host = {"Host", "examplebucket.s3.amazonaws.com"};
    struct tm_sigv4_request request = {
            .credentials = &credentials,
            .region = "us-east-1",
            .service = "s3",
            .time_ms = s3_time_ms,
            .method = "GET",
            .path = tm_slice_str("/test.txt"),
            .query = tm_slice_str(""),
            .headers = &host,
            .header_count = 1,
            .payload = "UNSIGNED-PAYLOAD",
    };
    TM_BUF_OWN struct tm_buf query = {0};
    tm_sigv4_presign(&request, 86400, &query);
    ck_assert_str_eq(tm_buf_text(&query),
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2F"
            "us-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&"
            "X-Amz-SignedHeaders=host&X-Amz-Signature="
            "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}
END_TEST

static struct tm_aws_provider *provider_of(
        enum tm_aws_mode mode, const char *id, const char *secret)
{
    struct tm_aws_provider *provider = NULL;
    struct tm_err err = {0};
    struct tm_aws_options options = {.mode = mode, .access_key_id = id, .secret = secret};
    ck_assert_msg(tm_aws_provider_new(&options, &provider, &err) == TM_OK, "%s", err.msg);
    return provider;
}

START_TEST(static_credentials_are_given_as_they_are)
{
    TM_OWN(tm_aws_provider_free)
    struct tm_aws_provider *provider = provider_of(TM_AWS_STATIC, "AKID", "secret");
    struct tm_aws_credentials credentials;
    struct tm_err err = {0};
    tm_aws_provider_expire(provider);
    ck_assert_int_eq(tm_aws_provider_get(provider, &credentials, &err), TM_OK);
    ck_assert_str_eq(credentials.access_key_id, "AKID");
    ck_assert_str_eq(credentials.secret, "secret");
    ck_assert_str_eq(credentials.session_token, "");
    ck_assert_int_eq(credentials.expires_ms, INT64_MAX);
}
END_TEST

START_TEST(static_credentials_have_two_parts)
{
    struct tm_aws_provider *none = NULL;
    struct tm_err err = {0};
    struct tm_aws_options options = {.mode = TM_AWS_STATIC, .access_key_id = "AKID"};
    ck_assert_int_eq(tm_aws_provider_new(&options, &none, &err), TM_E_USAGE);
    ck_assert_str_eq(err.msg, "static AWS credentials: the secret access key is missing");
    ck_assert_ptr_null(none);
}
END_TEST

START_TEST(the_environment_is_a_source)
{
    TM_OWN(tm_aws_provider_free)
    struct tm_aws_provider *provider = provider_of(TM_AWS_AUTO, NULL, NULL);
    struct tm_aws_credentials credentials;
    struct tm_err err = {0};
    ck_assert_int_eq(setenv("AWS_ACCESS_KEY_ID", "AKENV", 1), 0);
    ck_assert_int_eq(unsetenv("AWS_SECRET_ACCESS_KEY"), 0);
    ck_assert_int_eq(tm_aws_provider_get(provider, &credentials, &err), TM_E_USAGE);
    ck_assert_str_eq(err.msg, "AWS credentials: environment: AWS_ACCESS_KEY_ID is set, but "
                              "AWS_SECRET_ACCESS_KEY is not");
    err = (struct tm_err){0};
    ck_assert_int_eq(setenv("AWS_SECRET_ACCESS_KEY", "hidden", 1), 0);
    ck_assert_int_eq(setenv("AWS_SESSION_TOKEN", "token", 1), 0);
    ck_assert_int_eq(tm_aws_provider_get(provider, &credentials, &err), TM_OK);
    ck_assert_str_eq(credentials.access_key_id, "AKENV");
    ck_assert_str_eq(credentials.secret, "hidden");
    ck_assert_str_eq(credentials.session_token, "token");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sigv4");
    TCase *tcase = tcase_create("sigv4");
    tcase_add_loop_test(tcase, s3_examples_are_signed_as_published, 0, (int)LENGTH(s3_cases));
    tcase_add_loop_test(tcase, the_test_suite_is_signed_as_published, 0, (int)LENGTH(suite_cases));
    tcase_add_test(tcase, a_session_token_is_signed);
    tcase_add_test(tcase, a_presigned_query_is_as_published);
    tcase_add_test(tcase, static_credentials_are_given_as_they_are);
    tcase_add_test(tcase, static_credentials_have_two_parts);
    tcase_add_test(tcase, the_environment_is_a_source);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
