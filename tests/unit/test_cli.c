/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of cli: tokens and keys, differences of records, what the demo writes. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/fs.h"
#include "codec/keys.h"
#include "demo_place.h"
#include "demo_records.h"
#include "difference.h"
#include "secret.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define AAAAA         "tm_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define AAAAA_SHA256  "7f9aab97ca19077f80098ec76b6c013e28ca6a8002bbe0efe7c82c9793d9f9d5"

/* Secrets ------------------------------------------------------------------------------------- */

/* RFC 4648, section 10, without padding; the last two by Python's urlsafe_b64encode(). */
/* clang-format off */
static const struct {
    const char *bytes;
    const char *text;
} encoded[] = {
    {"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy"}, {"\xfb\xff", "-_8"}, {"\xff\xef\xbe\xff", "_---_w"},
};
/* clang-format on */

START_TEST(base64url_has_no_padding)
{
    TM_BUF_OWN struct tm_buf out = {0};
    TM_BUF_OWN struct tm_buf back = {0};
    tm_base64url_add(&out, tm_slice_str(encoded[_i].bytes));
    ck_assert_str_eq(tm_buf_text(&out), encoded[_i].text);
    ck_assert(tm_base64url_read(&back, tm_buf_slice(&out)));
    ck_assert_str_eq(tm_buf_text(&back), encoded[_i].bytes);
    tm_buf_add_text(&out, "+");
    ck_assert(!tm_base64url_read(&back, tm_buf_slice(&out)));
}
END_TEST

START_TEST(token_is_32_random_bytes_behind_its_prefix)
{
    struct cli_token one = {.name = "one", .scopes = "read"};
    struct cli_token two = one;
    cli_token_make(&one);
    cli_token_make(&two);
    ck_assert_uint_eq(strlen(one.secret), 46);
    ck_assert_int_eq(strncmp(one.secret, "tm_", 3), 0);
    ck_assert_uint_eq(strspn(one.secret + 3,
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
            43);
    ck_assert_str_ne(one.secret, two.secret);
}
END_TEST

START_TEST(names_that_a_token_is_narrowed_to_are_checked)
{
    static const char *const bad[] = {"", ",", "a,", ",a", "a,,b", "a b", "a\n", "a#"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct cli_token token = {.name = "ci", .scopes = "read"};
        struct tm_err err = {0};
        token.narrow[CLI_NARROW_TARGET] = bad[i];
        ck_assert_int_eq(cli_token_check(&token, &err), TM_E_USAGE);
        ck_assert_str_eq(err.msg, "--target: names are written a,b,c");
    }
}
END_TEST

START_TEST(line_holds_the_hash_of_the_whole_text)
{
    TM_BUF_OWN struct tm_buf line = {0};
    struct cli_token token = {.name = "ci", .scopes = "read,restore", .secret = AAAAA};
    cli_token_line(&token, &line);
    ck_assert_str_eq(tm_buf_text(&line), "ci read,restore sha256:" AAAAA_SHA256);

    tm_buf_clear(&line);
    token.expires_ms = INT64_C(1893456000000);
    cli_token_line(&token, &line);
    ck_assert_str_eq(tm_buf_text(&line),
            "ci read,restore sha256:" AAAAA_SHA256 " expires=2030-01-01T00:00:00.000Z");

    tm_buf_clear(&line);
    token.narrow[CLI_NARROW_POLICIES] = "a,b";
    token.narrow[CLI_NARROW_CLUSTERS] = "c";
    token.narrow[CLI_NARROW_TARGET] = "test";
    cli_token_line(&token, &line);
    ck_assert_str_eq(tm_buf_text(&line),
            "ci read,restore sha256:" AAAAA_SHA256
            " policies=a,b clusters=c target=test expires=2030-01-01T00:00:00.000Z");
}
END_TEST

#define BAD_NAME  "--name takes 1 to 64 letters, digits, \".\", \"_\" and \"-\""
#define BAD_SCOPE "; there are: read, operate, restore, admin"

/* clang-format off */
static const struct {
    const char *name;
    const char *scopes;
    const char *message; /* NULL: accepted */
} checked[] = {
    {"ci", "read", NULL},
    {"On-call_2.x", "admin,restore,operate,read", NULL},
    {"1234567890123456789012345678901234567890123456789012345678901234", "read", NULL},
    {"12345678901234567890123456789012345678901234567890123456789012345", "read", BAD_NAME},
    {"", "read", BAD_NAME},
    {"c i", "read", BAD_NAME},
    {"ci\n", "read", BAD_NAME},
    {"ci", "", "--scope: no scope \"\"" BAD_SCOPE},
    {"ci", "read,", "--scope: no scope \"\"" BAD_SCOPE},
    {"ci", "read write", "--scope: no scope \"read write\"" BAD_SCOPE},
    {"ci", "READ", "--scope: no scope \"READ\"" BAD_SCOPE},
    {"ci", "rea", "--scope: no scope \"rea\"" BAD_SCOPE},
    {"ci", "read,admin,read", "--scope: read is given twice"},
};
/* clang-format on */

START_TEST(token_that_the_daemon_would_refuse_is_refused)
{
    struct cli_token token = {.name = checked[_i].name, .scopes = checked[_i].scopes};
    struct tm_err err = {0};
    enum tm_code code = cli_token_check(&token, &err);
    ck_assert_int_eq(code, checked[_i].message == NULL ? TM_OK : TM_E_USAGE);
    ck_assert_str_eq(err.msg, checked[_i].message == NULL ? "" : checked[_i].message);
}
END_TEST

START_TEST(key_file_is_private_and_never_replaced)
{
    char folder[] = "/tmp/tidemark-cli.XXXXXX";
    char path[64];
    char words[256];
    struct stat info;
    struct tm_err err = {0};
    TM_BUF_OWN struct tm_buf before = {0};
    TM_BUF_OWN struct tm_buf after = {0};
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/key", folder);
    ck_assert_int_eq(cli_make_key_file(path, &err), TM_OK);
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 07777, 0600);
    ck_assert_int_eq(tm_fs_read(path, 64, &before, &err), TM_OK);
    ck_assert_uint_eq(before.len, 32);

    (void)snprintf(words, sizeof(words),
            "%s is there already, and a key that opens a vault cannot be had again; hint: choose "
            "another name",
            path);
    ck_assert_int_eq(cli_make_key_file(path, &err), TM_E_EXISTS);
    ck_assert_str_eq(err.msg, words);
    ck_assert_int_eq(tm_fs_read(path, 64, &after, &(struct tm_err){0}), TM_OK);
    ck_assert(tm_slice_eq(tm_buf_slice(&before), tm_buf_slice(&after)));
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

/* Differences --------------------------------------------------------------------------------- */

#define BYTES(text) \
    { \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }
#define TEXT_50 "01234567890123456789012345678901234567890123456789"
#define TEXT_40 "0123456789012345678901234567890123456789"

static const struct tm_header two_headers[] = {{BYTES("a"), BYTES("1")}, {BYTES("a"), {NULL, 0}}};
static const struct tm_header turned[] = {{BYTES("a"), {NULL, 0}}, {BYTES("a"), BYTES("1")}};
static const struct tm_header renamed[] = {{BYTES("a"), BYTES("1")}, {BYTES("A"), {NULL, 0}}};
static const struct tm_header emptied[] = {{BYTES("a"), BYTES("1")}, {BYTES("a"), BYTES("")}};

/* NOLINTBEGIN(bugprone-macro-parentheses): the slices are initialisers in braces */
#define RECORD(timestamp, type, key_, headers_, count, value_) \
    { \
        .timestamp_ms = (timestamp), .timestamp_type = TM_TIMESTAMP_##type, .key = key_, \
        .value = value_, .headers = (headers_), .header_count = (count) \
    }
/* NOLINTEND(bugprone-macro-parentheses) */
#define NO_BYTES \
    { \
        NULL, 0 \
    }
#define K BYTES("k")
#define V BYTES("v")

/* clang-format off */
static const struct tm_record usual = RECORD(5, CREATE, K, two_headers, 2, V);

/* Each beside the usual one. */
static const struct {
    struct tm_record is;
    const char *words; /* NULL: the same */
} compared[] = {
    {RECORD(5, CREATE, K, two_headers, 2, V), NULL},
    {RECORD(6, CREATE, K, two_headers, 2, V), "the timestamp is 6, not 5"},
    {RECORD(5, APPEND, K, two_headers, 2, V), "the timestamp's type is LogAppendTime, not CreateTime"},
    {RECORD(5, NONE, K, two_headers, 2, V), "the timestamp's type is none, not CreateTime"},
    {RECORD(5, CREATE, NO_BYTES, two_headers, 2, V), "the key is null, not \"k\""},
    {RECORD(5, CREATE, BYTES(""), two_headers, 2, V), "the key is \"\", not \"k\""},
    {RECORD(5, CREATE, BYTES("k\0"), two_headers, 2, V), "the key is \"k\\x00\", not \"k\""},
    {RECORD(5, CREATE, K, two_headers, 2, NO_BYTES), "the value is null, not \"v\""},
    {RECORD(5, CREATE, K, two_headers, 2, BYTES("\"\\\n\xff~")),
        "the value is \"\\x22\\x5c\\x0a\\xff~\", not \"v\""},
    {RECORD(5, CREATE, K, two_headers, 2, BYTES(TEXT_50)),
        "the value is \"" TEXT_40 "\"... (50 bytes), not \"v\""},
    {RECORD(5, CREATE, K, two_headers, 2, BYTES(TEXT_40)), "the value is \"" TEXT_40 "\", not \"v\""},
    {RECORD(5, CREATE, K, NULL, 0, V), "there are 0 headers, not 2"},
    {RECORD(5, CREATE, K, two_headers, 1, V), "there are 1 headers, not 2"},
    {RECORD(5, CREATE, K, turned, 2, V), "the value of header 0 is null, not \"1\""},
    {RECORD(5, CREATE, K, renamed, 2, V), "the name of header 1 is \"A\", not \"a\""},
    {RECORD(5, CREATE, K, emptied, 2, V), "the value of header 1 is \"\", not null"},
};
/* clang-format on */

START_TEST(first_difference_is_named)
{
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_record is = compared[_i].is;
    is.offset = 7; /* is not looked at */
    bool differ = cli_difference(&is, &usual, &out);
    ck_assert_str_eq(tm_buf_text(&out), compared[_i].words != NULL ? compared[_i].words : "");
    ck_assert_int_eq(differ, compared[_i].words != NULL);
    ck_assert_int_eq(differ, !tm_record_same(&is, &usual));
}
END_TEST

START_TEST(difference_behind_what_is_shown_says_where)
{
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_record is = {.value = BYTES(TEXT_50 "a")};
    struct tm_record meant = {.value = BYTES(TEXT_50 "b")};
    ck_assert(cli_difference(&is, &meant, &out));
    ck_assert_str_eq(tm_buf_text(&out), "the value is \"" TEXT_40 "\"... (51 bytes), not \"" TEXT_40
                                        "\"... (51 bytes); the first 50 bytes are the same");
}
END_TEST

/* The demo ------------------------------------------------------------------------------------ */

struct topic_sums {
    int64_t bytes[DEMO_ORDERS_PARTITIONS];
    int tombstones, empty_values, null_keys, empty_keys, repeats, null_headers, empty_headers, bare;
    int backwards, large;
    int64_t last_ms[DEMO_ORDERS_PARTITIONS];
};

static void count_headers(const struct tm_record *record, struct topic_sums *sums)
{
    sums->bare += record->header_count == 0 ? 1 : 0;
    for (size_t i = 0; i < record->header_count; i++) {
        const struct tm_header *header = &record->headers[i];
        sums->null_headers += header->value.at == NULL ? 1 : 0;
        sums->empty_headers += header->value.at != NULL && header->value.len == 0 ? 1 : 0;
        sums->repeats += i > 0 && tm_slice_eq(header->name, header[-1].name) ? 1 : 0;
    }
}

static void count_order(int64_t number, struct topic_sums *sums)
{
    struct demo_room room = {.key = {0}};
    struct tm_record record;
    int32_t partition = demo_order(number, INT64_C(1700000000000), &room, &record);
    ck_assert_int_ge(partition, 0);
    ck_assert_int_lt(partition, DEMO_ORDERS_PARTITIONS);
    ck_assert_int_gt(record.timestamp_ms, 0);
    sums->bytes[partition] += (int64_t)tm_record_length(&record) + 100;
    sums->tombstones += record.value.at == NULL ? 1 : 0;
    sums->empty_values += record.value.at != NULL && record.value.len == 0 ? 1 : 0;
    sums->null_keys += record.key.at == NULL ? 1 : 0;
    sums->empty_keys += record.key.at != NULL && record.key.len == 0 ? 1 : 0;
    sums->large += record.value.len > 65536 ? 1 : 0;
    sums->backwards += record.timestamp_ms < sums->last_ms[partition] ? 1 : 0;
    sums->last_ms[partition] = record.timestamp_ms;
    count_headers(&record, sums);
    demo_room_done(&room);
}

START_TEST(orders_hold_all_that_a_backup_likes_to_lose)
{
    struct topic_sums sums = {.bytes = {0}};
    for (int64_t i = 0; i < DEMO_ORDERS; i++) {
        count_order(i, &sums);
    }
    ck_assert_int_gt(sums.tombstones, 50);
    ck_assert_int_gt(sums.empty_values, 50);
    ck_assert_int_gt(sums.null_keys, 50);
    ck_assert_int_gt(sums.empty_keys, 50);
    ck_assert_int_gt(sums.repeats, 50);
    ck_assert_int_gt(sums.null_headers, 50);
    ck_assert_int_gt(sums.empty_headers, 50);
    ck_assert_int_gt(sums.bare, 50);
    ck_assert_int_gt(sums.backwards, 50);
    ck_assert_int_eq(sums.large, 1);
    for (size_t i = 0; i < LENGTH(sums.bytes); i++) {
        ck_assert_int_gt(sums.bytes[i], INT64_C(300000));
        ck_assert_int_lt(
                sums.bytes[i], INT64_C(1000000)); /* of 4 MB: there is room for more to come */
    }
}
END_TEST

START_TEST(records_are_the_same_each_time)
{
    struct demo_room rooms[2] = {{.key = {0}}, {.key = {0}}};
    struct tm_record one;
    struct tm_record two;
    for (int64_t i = 0; i < 2000; i++) {
        ck_assert_int_eq(
                demo_order(i, 9000000, &rooms[0], &one), demo_order(i, 9000000, &rooms[1], &two));
        ck_assert(tm_record_same(&one, &two));
        ck_assert_int_eq(demo_customer(i, 9000000, &rooms[0], &one),
                demo_customer(i, 9000000, &rooms[1], &two));
        ck_assert(tm_record_same(&one, &two));
    }
    demo_room_done(&rooms[0]);
    demo_room_done(&rooms[1]);
}
END_TEST

START_TEST(customers_keep_to_their_partition_and_may_leave)
{
    struct demo_room room = {.key = {0}};
    struct tm_record record;
    int left = 0;
    for (int64_t i = 0; i < DEMO_CUSTOMERS; i++) {
        int32_t partition = demo_customer(i, INT64_C(1700000000000), &room, &record);
        char key[16];
        (void)snprintf(key, sizeof(key), "c-%04d", (int)(i % 500));
        ck_assert(tm_slice_is(record.key, key));
        ck_assert_int_eq(partition, (int)(i % 500 % DEMO_CUSTOMERS_PARTITIONS));
        left += record.value.at == NULL ? 1 : 0;
    }
    ck_assert_int_gt(left, 10);
    demo_room_done(&room);
}
END_TEST

START_TEST(texts_are_quoted_for_yaml_and_shell)
{
    TM_BUF_OWN struct tm_buf out = {0};
    demo_yaml_text("/a b/\"c\"\\d'", &out);
    ck_assert_str_eq(tm_buf_text(&out), "\"/a b/\\\"c\\\"\\\\d'\"");
    tm_buf_clear(&out);
    demo_shell_text("/a b/$c'd\"", &out);
    ck_assert_str_eq(tm_buf_text(&out), "'/a b/$c'\\''d\"'");
}
END_TEST

int main(void)
{
    tm_codec_init();
    TCase *tcase = tcase_create("cli");
    tcase_add_loop_test(tcase, base64url_has_no_padding, 0, (int)LENGTH(encoded));
    tcase_add_test(tcase, token_is_32_random_bytes_behind_its_prefix);
    tcase_add_test(tcase, line_holds_the_hash_of_the_whole_text);
    tcase_add_test(tcase, names_that_a_token_is_narrowed_to_are_checked);
    tcase_add_loop_test(
            tcase, token_that_the_daemon_would_refuse_is_refused, 0, (int)LENGTH(checked));
    tcase_add_test(tcase, key_file_is_private_and_never_replaced);
    tcase_add_loop_test(tcase, first_difference_is_named, 0, (int)LENGTH(compared));
    tcase_add_test(tcase, difference_behind_what_is_shown_says_where);
    tcase_add_test(tcase, orders_hold_all_that_a_backup_likes_to_lose);
    tcase_add_test(tcase, records_are_the_same_each_time);
    tcase_add_test(tcase, customers_keep_to_their_partition_and_may_leave);
    tcase_add_test(tcase, texts_are_quoted_for_yaml_and_shell);

    Suite *suite = suite_create("cli");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
