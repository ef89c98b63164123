/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/kafka/token_file: what a file of somebody else's holds, and until when. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "aws/sources.h"
#include "base/base64.h"
#include "kafka/oauth.h"

static const int64_t now_ms = INT64_C(1767323045000); /* 2026-01-02T03:04:05Z */

struct file {
    char path[32];
};

static struct file write_file(const char *text)
{
    struct file file = {"/tmp/tm-token-XXXXXX"};
    int fd = mkstemp(file.path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(close(fd), 0);
    return file;
}

/* clang-format off */
static const struct {
    const char *claims; /* NULL: `text` is no JWT */
    const char *text;
    const char *principal;
    int64_t expires_ms;
    enum tm_code code;
} files[] = {
    {"{\"sub\":\"me\",\"exp\":1767323046}", NULL, "me", INT64_C(1767323046000), TM_OK},
    {"{\"exp\":1767323999.75}", NULL, "tidemark", INT64_C(1767323999000), TM_OK},
    {"{\"exp\":99999999999999999}", NULL, "tidemark", INT64_C(253402300799000), TM_OK},
    {"{\"exp\":1e300}", NULL, "tidemark", INT64_C(1767323345000), TM_OK},
    {"{\"exp\":\"soon\",\"sub\":7}", NULL, "tidemark", INT64_C(1767323345000), TM_OK},
    {"{\"exp\":1767323045}", NULL, "", 0, TM_E_DENIED},
    {"[1]", NULL, "tidemark", INT64_C(1767323345000), TM_OK},
    {NULL, "opaque-token\n", "tidemark", INT64_C(1767323345000), TM_OK},
    {NULL, "a.!!.c", "tidemark", INT64_C(1767323345000), TM_OK},
    {NULL, "a.bm90anNvbg", "tidemark", INT64_C(1767323345000), TM_OK},
    {NULL, "", "", 0, TM_E_USAGE},
    {NULL, "two\nlines", "", 0, TM_E_USAGE},
};
/* clang-format on */

START_TEST(token_ends_as_it_says)
{
    TM_BUF_OWN struct tm_buf text = {0};
    if (files[_i].claims != NULL) {
        tm_buf_add_text(&text, "eyJhbGciOiJub25lIn0.");
        tm_base64url_add(&text, tm_slice_str(files[_i].claims));
        tm_buf_add_text(&text, ".SECRET");
    } else {
        tm_buf_add_text(&text, files[_i].text);
    }
    struct file file = write_file(tm_buf_text(&text));
    struct tm_token token = {0};
    struct tm_err err = {0};
    enum tm_code code = tm_token_file_read(file.path, now_ms, &token, &err);
    ck_assert_msg(code == files[_i].code, "%s: %d %s", tm_buf_text(&text), code, err.msg);
    if (code == TM_OK) {
        ck_assert_int_eq(token.expires_ms, files[_i].expires_ms);
        ck_assert_str_eq(token.principal, files[_i].principal);
        ck_assert_int_eq(
                strncmp(tm_buf_text(&text), tm_buf_text(&token.value), token.value.len), 0);
    } else {
        ck_assert_ptr_nonnull(strstr(err.msg, file.path));
        ck_assert_ptr_null(strstr(err.msg, "SECRET"));
    }
    tm_source_wipe(&token.value);
    ck_assert_int_eq(unlink(file.path), 0);
}
END_TEST

START_TEST(file_that_is_not_there_is_named)
{
    struct tm_token token = {0};
    struct tm_err err = {0};
    ck_assert_int_eq(tm_token_file_read("/does/not/exist", now_ms, &token, &err), TM_E_MISSING);
    ck_assert_ptr_nonnull(strstr(err.msg, "/does/not/exist"));
    tm_source_wipe(&token.value);
}
END_TEST

/* clang-format off */
static const struct {
    const char *region;
    const char *variable; /* of AWS_REGION */
    enum tm_code code;
    const char *says;
} regions[] = {
    {"eu-west-1", "", TM_OK, ""},
    {"", "eu-west-1", TM_OK, ""},
    {"", "", TM_E_USAGE, "the brokers' names do not tell the region (localhost:9098); set \"region\""},
    {"EU WEST", "", TM_E_USAGE, "\"EU WEST\" is not the name of a region"},
};
/* clang-format on */

static const char *variable_of(void *arg, const char *name)
{
    return strcmp(name, "AWS_REGION") == 0 ? arg : NULL;
}

START_TEST(msk_needs_a_region)
{
    char variable[32];
    (void)snprintf(variable, sizeof(variable), "%s", regions[_i].variable);
    const struct tm_kafka_options options = {
            .cluster = "c",
            .bootstrap = "localhost:9098",
            .auth = TM_KAFKA_AUTH_MSK_IAM,
            .region = regions[_i].region,
            .credentials = {.env = variable_of, .arg = variable},
    };
    struct tm_token_source source = {0};
    struct tm_err err = {0};
    ck_assert_int_eq(tm_token_source_of(&options, &source, &err), regions[_i].code);
    ck_assert_ptr_nonnull(strstr(err.msg, regions[_i].says));
    tm_token_source_done(&source);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("token_file");
    TCase *tc = tcase_create("all");
    tcase_add_loop_test(tc, token_ends_as_it_says, 0, (int)(sizeof(files) / sizeof(files[0])));
    tcase_add_test(tc, file_that_is_not_there_is_named);
    tcase_add_loop_test(tc, msk_needs_a_region, 0, (int)(sizeof(regions) / sizeof(regions[0])));
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
