/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests of lib/aws/msk_token. The signatures were made with AWS's own aws-msk-iam-sasl-signer-python 1.0.2, which
 * tests/system/test_security.py runs beside the daemon, too.
 */
#include "aws/msk_token.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/text.h"

static const int64_t now_ms = INT64_C(1767323045000); /* 2026-01-02T03:04:05Z */

static struct tm_aws_credentials credentials_of(const char *session_token)
{
    struct tm_aws_credentials credentials;
    struct tm_err err = {0};
    ck_assert_int_eq(tm_aws_credentials_set(&credentials, "AKIDEXAMPLE",
                             "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", session_token, &err),
            TM_OK);
    return credentials;
}

static void read_token(const struct tm_buf *token, struct tm_buf *url)
{
    ck_assert(tm_base64url_read(url, tm_buf_slice(token)));
    ck_assert_ptr_null(strchr(tm_buf_text(token), '='));
}

/* clang-format off */
static const struct {
    const char *session_token;
    const char *encoded;
    const char *signature;
} vectors[] = {
    {"", "", "24ebada2ed545858377591fc84af1a1bff3c40c5e8ab0c1fc85eee156cfb42da"},
    {"AQoEXAMPLEtoken/+==", "&X-Amz-Security-Token=AQoEXAMPLEtoken%2F%2B%3D%3D",
     "40a917e71cab95d1fce565521fd7427b8c08f2593351fac0dd47284520b749e5"},
};
/* clang-format on */

START_TEST(token_is_the_url_that_awss_signer_makes)
{
    struct tm_aws_credentials credentials = credentials_of(vectors[_i].session_token);
    TM_BUF_OWN struct tm_buf token = {0};
    TM_BUF_OWN struct tm_buf url = {0};
    int64_t expires_ms = 0;
    tm_msk_token(&credentials, "us-east-1", now_ms, &token, &expires_ms);
    read_token(&token, &url);
    char expected[1024];
    (void)snprintf(expected, sizeof(expected),
            "https://kafka.us-east-1.amazonaws.com/?Action=kafka-cluster%%3AConnect"
            "&X-Amz-Algorithm=AWS4-HMAC-SHA256"
            "&X-Amz-Credential=AKIDEXAMPLE%%2F20260102%%2Fus-east-1%%2Fkafka-cluster%%2Faws4_"
            "request"
            "&X-Amz-Date=20260102T030405Z&X-Amz-Expires=900%s&X-Amz-SignedHeaders=host"
            "&X-Amz-Signature=%s&User-Agent=tidemark",
            vectors[_i].encoded, vectors[_i].signature);
    ck_assert_str_eq(tm_buf_text(&url), expected);
    ck_assert_int_eq(expires_ms, INT64_C(1767323945000));
}
END_TEST

START_TEST(token_ends_with_its_credentials_and_counts_from_the_signed_second)
{
    struct tm_aws_credentials credentials = credentials_of("");
    TM_BUF_OWN struct tm_buf token = {0};
    int64_t expires_ms = 0;
    tm_msk_token(&credentials, "us-east-1", now_ms + 999, &token, &expires_ms);
    ck_assert_int_eq(expires_ms, now_ms + 900 * 1000);
    credentials.expires_ms = now_ms + 7500;
    tm_buf_clear(&token);
    tm_msk_token(&credentials, "us-east-1", now_ms, &token, &expires_ms);
    ck_assert_int_eq(expires_ms, now_ms + 7500);
}
END_TEST

/* clang-format off */
static const struct {
    const char *bootstrap;
    const char *region; /* NULL: none */
} hosts[] = {
    {"b-1.prod.abc123.c2.kafka.eu-west-1.amazonaws.com:9098", "eu-west-1"},
    {"b-1-public.prod.abc123.c2.kafka.us-gov-west-1.amazonaws.com:9198", "us-gov-west-1"},
    {"boot-xyz.c1.kafka-serverless.ap-southeast-2.amazonaws.com:9098", "ap-southeast-2"},
    {"b-2.prod.abc123.c3.kafka.cn-north-1.amazonaws.com.cn:9098", "cn-north-1"},
    {"10.0.0.1:9098,b-2.p.x.c2.kafka.sa-east-1.amazonaws.com:9098", "sa-east-1"},
    {"b-1.kafka.eu-west-1.example.com:9098,x.amazonaws.com:9098", NULL},
    {"b-1.kafka..amazonaws.com:9098", NULL},
    {"b-1.kafka.a.b.amazonaws.com:9098", NULL},
    {"b-1.kafka.EU-WEST-1.amazonaws.com:9098", NULL},
    {"x.kafka.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.amazonaws.com:1", NULL},
    {"x.kafka.eu-west-1,y.amazonaws.com:1", NULL},
    {"localhost:9098", NULL},
    {"", NULL},
};
/* clang-format on */

START_TEST(region_is_read_from_a_brokers_name)
{
    char region[TM_MSK_REGION_MAX] = "";
    bool found = tm_msk_region(hosts[_i].bootstrap, region);
    ck_assert_msg(found == (hosts[_i].region != NULL), "%s: %d", hosts[_i].bootstrap, found);
    if (found) {
        ck_assert_str_eq(region, hosts[_i].region);
    }
}
END_TEST

/* region, time in ms, access key id, secret, session token: print the token and its end. */
static int print_token(char **argv)
{
    struct tm_aws_credentials credentials;
    struct tm_err err = {0};
    int64_t time_ms = 0;
    int64_t expires_ms = 0;
    if (tm_parse_i64(argv[2], &time_ms, &err) != TM_OK ||
            tm_aws_credentials_set(&credentials, argv[3], argv[4], argv[5], &err) != TM_OK) {
        (void)fprintf(stderr, "%s\n", err.msg);
        return EXIT_FAILURE;
    }
    TM_BUF_OWN struct tm_buf token = {0};
    tm_msk_token(&credentials, argv[1], time_ms, &token, &expires_ms);
    (void)printf("%s %" PRId64 "\n", tm_buf_text(&token), expires_ms);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc == 6) { /* for tests/system/test_security.py, which compares it with AWS's signer */
        return print_token(argv);
    }
    Suite *suite = suite_create("msk_token");
    TCase *tc = tcase_create("all");
    tcase_add_loop_test(tc, token_is_the_url_that_awss_signer_makes, 0,
            (int)(sizeof(vectors) / sizeof(vectors[0])));
    tcase_add_test(tc, token_ends_with_its_credentials_and_counts_from_the_signed_second);
    tcase_add_loop_test(
            tc, region_is_read_from_a_brokers_name, 0, (int)(sizeof(hosts) / sizeof(hosts[0])));
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
