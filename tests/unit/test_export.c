/* SPDX-License-Identifier: Apache-2.0 */
/* Records out of a vault: their JSON, the binary form, and what an export of a point gives. */
#include "job/export.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/json.h"
#include "base/rd.h"
#include "base/text.h"
#include "job/record_json.h"
#include "verify_rig.h"

static struct verify_rig rig;

/* JSON ---------------------------------------------------------------------------------------- */

static const struct tm_json_value *read_back(const struct tm_buf *text, struct tm_arena *arena)
{
    const struct tm_json_value *json = NULL;
    struct tm_err failure = {0};
    enum tm_code code = tm_json_read(tm_buf_slice(text), arena, &json, NULL, &failure);
    ck_assert_msg(code == TM_OK, "%s: %s", failure.msg, tm_buf_text(text));
    return json;
}

static const char *string_of(const struct tm_json_value *json, const char *key)
{
    const struct tm_json_value *value = tm_json_get(json, key);
    return value != NULL && value->kind == TM_JSON_STRING ? value->string : NULL;
}

/* No byte that any reader could take for the end of a line. */
static void check_one_line(const struct tm_buf *text)
{
    for (size_t i = 0; i < text->len; i++) {
        ck_assert_msg(text->at[i] >= ' ' && text->at[i] != 0x7f, "byte %02x", text->at[i]);
    }
    ck_assert_ptr_null(strstr(tm_buf_text(text), "\xc2\x85"));
    ck_assert_ptr_null(strstr(tm_buf_text(text), "\xe2\x80\xa8"));
    ck_assert_ptr_null(strstr(tm_buf_text(text), "\xe2\x80\xa9"));
}

START_TEST(every_byte_comes_back_as_text_or_as_base64)
{
    char value[4] = {'a', (char)_i, 'z', '\0'};
    struct tm_record record = {
            .offset = 7, .timestamp_ms = -1, .key = TM_SLICE_NULL, .value = tm_slice_of(value, 3)};
    TM_BUF_OWN struct tm_buf text = {0};
    TM_BUF_OWN struct tm_buf encoded = {0};
    struct tm_arena arena = {0};
    tm_record_json_add("t", 3, &record, NULL, &text);
    check_one_line(&text);
    const struct tm_json_value *json = read_back(&text, &arena);
    tm_base64_add(&encoded, record.value);
    if (_i > 0 && _i < 0x80) {
        ck_assert_str_eq(string_of(json, "value"), value);
        ck_assert_ptr_null(tm_json_get(json, "value_base64"));
    } else {
        ck_assert_str_eq(string_of(json, "value_base64"), tm_buf_text(&encoded));
        ck_assert_ptr_null(tm_json_get(json, "value"));
    }
    tm_arena_done(&arena);
}
END_TEST

START_TEST(text_of_several_bytes_a_character_comes_back)
{
    static const char *const texts[] = {"", "\xc3\xa4", "a\xc2\x85z", "\xe2\x80\xa8",
            "\xe2\x80\xa9\n", "\xe2\x80\xaa", "\xf0\x9f\x98\x80\"\\", "\xc2\xa0", "\x7f"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct tm_record record = {.key = tm_slice_str(texts[i]), .value = TM_SLICE_NULL};
        TM_BUF_OWN struct tm_buf text = {0};
        struct tm_arena arena = {0};
        tm_record_json_add("t", 0, &record, NULL, &text);
        check_one_line(&text);
        const struct tm_json_value *json = read_back(&text, &arena);
        ck_assert_str_eq(string_of(json, "key"), texts[i]);
        ck_assert_int_eq(tm_json_get(json, "value")->kind, TM_JSON_NULL);
        tm_arena_done(&arena);
    }
}
END_TEST

START_TEST(a_record_is_written_member_by_member)
{
    static const struct tm_header headers[] = {
            {{(const uint8_t *)"n", 1}, {(const uint8_t *)"v", 1}},
            {{(const uint8_t *)"n", 1}, {NULL, 0}},
            {{(const uint8_t *)"\xff", 1}, {(const uint8_t *)"", 0}},
    };
    struct tm_record record = {.offset = INT64_MAX,
            .timestamp_ms = -62135596800000,
            .timestamp_type = TM_TIMESTAMP_APPEND,
            .key = tm_slice_str("k"),
            .value = tm_slice_of("\x00\xff", 2),
            .headers = headers,
            .header_count = 3};
    TM_BUF_OWN struct tm_buf text = {0};
    tm_record_json_add("orders", 2147483647, &record, NULL, &text);
    ck_assert_str_eq(tm_buf_text(&text),
            "{\"topic\":\"orders\",\"partition\":2147483647,\"offset\":9223372036854775807,"
            "\"timestamp_ms\":-62135596800000,\"timestamp_type\":\"append\",\"key\":\"k\","
            "\"value_base64\":\"AP8=\",\"headers\":[{\"name\":\"n\",\"value\":\"v\"},"
            "{\"name\":\"n\",\"value\":null},{\"name_base64\":\"/w==\",\"value\":\"\"}]}");
}
END_TEST

START_TEST(what_is_cut_says_how_long_it_was)
{
    static const struct tm_header headers[] = {
            {{(const uint8_t *)"long", 4}, {(const uint8_t *)"\xff\xfe\xfd\xfc", 4}},
            {{(const uint8_t *)"n", 1}, {(const uint8_t *)"v", 1}},
            {{(const uint8_t *)"n", 1}, {(const uint8_t *)"v", 1}},
    };
    static const struct tm_record_json_limits limits = {3, 8, 10};
    struct tm_record record = {.timestamp_type = TM_TIMESTAMP_CREATE,
            .key = tm_slice_str("ab\xc3\xa4"), /* not in the middle of a character */
            .value = tm_slice_str("123"),
            .headers = headers,
            .header_count = 3};
    TM_BUF_OWN struct tm_buf text = {0};
    tm_record_json_add("t", 0, &record, &limits, &text);
    ck_assert_str_eq(tm_buf_text(&text),
            "{\"topic\":\"t\",\"partition\":0,\"offset\":0,\"timestamp_ms\":0,"
            "\"timestamp_type\":\"create\",\"key\":\"ab\",\"value\":\"123\",\"headers\":["
            "{\"name\":\"lon\",\"value_base64\":\"//79\",\"truncated\":{\"name_bytes\":4,"
            "\"value_bytes\":4}},{\"name\":\"n\",\"value\":\"v\"}],"
            "\"truncated\":{\"key_bytes\":4,\"headers_count\":3}}");
}
END_TEST

START_TEST(base64_is_that_of_the_standard)
{
    static const char *const pairs[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"},
            {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        TM_BUF_OWN struct tm_buf out = {0};
        tm_base64_add(&out, tm_slice_str(pairs[i][0]));
        ck_assert_str_eq(tm_buf_text(&out), pairs[i][1]);
    }
}
END_TEST

/* Exports of the rig's vault ------------------------------------------------------------------ */

struct sink {
    struct tm_buf bytes;
    struct tm_buf topics;
    size_t room; /* more is refused */
};

static enum tm_code begin_topic(void *arg, const char *topic, struct tm_err *failure)
{
    struct sink *sink = arg;
    (void)failure;
    tm_buf_add_fmt(&sink->topics, "%s@%zu ", topic, sink->bytes.len);
    return TM_OK;
}

static enum tm_code write_some(void *arg, struct tm_slice bytes, struct tm_err *failure)
{
    struct sink *sink = arg;
    if (sink->bytes.len + bytes.len > sink->room) {
        return tm_err_set(failure, TM_E_FULL, "no room");
    }
    tm_buf_add(&sink->bytes, bytes.at, bytes.len);
    return TM_OK;
}

static enum tm_code export(struct tm_export_options options, struct sink *sink,
        struct tm_export_result *result, struct tm_err *failure) {
    struct tm_arena arena = {0}; struct tm_point point = {0};
    ck_assert_tm_ok(tm_catalog_point(rig.catalog, &rig.points[1], &arena, &point, &err));
    options.vault = rig.vault;
    options.catalog = rig.catalog;
    options.point = &point;
    options.until = options.until > 0 ? options.until : INT64_MAX;
    options.sink = (struct tm_export_sink){sink, begin_topic, write_some};
    enum tm_code code = tm_export_run(&options, &rig.env, result, failure);
    tm_arena_done(&arena);
    return code;
}

static void done(struct sink *sink, struct tm_export_result *result)
{
    tm_buf_done(&sink->bytes);
    tm_buf_done(&sink->topics);
    tm_export_result_done(result);
}

static void up(void)
{
    verify_up(&rig);
}

/* The 44th record that is exported is not what was stored: orders 0 at offset 2. */
static void altered(void)
{
    (void)setenv("TM_FAULTS", "job.export.altered:fail@44", 1); /* NOLINT(concurrency-mt-unsafe) */
    verify_up(&rig);
}

static void down(void)
{
    verify_down(&rig);
}

/* A record of the binary form, compared with what the rig stored at its offset. */
static void check_binary(struct tm_rd *rd, int32_t partition, int64_t offset, size_t bytes)
{
    char *room = tm_xalloc(bytes, 1);
    struct tm_record expected = verify_record(offset, bytes, room);
    struct tm_header_room headers = {0};
    struct tm_record found = {.leader_epoch = -1};
    uint32_t length = tm_rd_u32(rd);
    size_t left = tm_rd_left(rd);
    ck_assert_uint_eq(tm_rd_v(rd), (uint64_t)partition);
    ck_assert_uint_eq(tm_rd_v(rd), (uint64_t)offset);
    found.timestamp_ms = tm_rd_z(rd);
    ck_assert_uint_eq(tm_rd_u8(rd), 0);
    found.timestamp_type = TM_TIMESTAMP_CREATE;
    tm_record_decode(rd, &headers, &found);
    ck_assert_uint_eq(left - tm_rd_left(rd), length);
    ck_assert(tm_record_same(&expected, &found));
    free(headers.at);
    free(room);
}

START_TEST(the_binary_form_holds_every_record_behind_its_head)
{
    static const char *const logs[] = {"logs"};
    struct tm_select_options topics = {.include = logs, .include_count = 1};
    struct tm_export_options options = {.format = TM_EXPORT_BINARY};
    struct tm_export_result result = {0};
    struct sink sink = {.room = SIZE_MAX};
    TM_OWN(tm_select_free) struct tm_select *select = NULL;
    ck_assert_tm_ok(tm_select_new(&topics, &select, &err));
    options.select = select;
    ck_assert_tm_ok(export(options, &sink, &result, &err));
    struct tm_rd rd = tm_rd_of(tm_buf_slice(&sink.bytes));
    ck_assert(tm_slice_is(tm_rd_bytes(&rd, 4), "TMVX"));
    ck_assert_uint_eq(tm_rd_u16(&rd), 1);
    ck_assert(tm_slice_is(tm_rd_str(&rd), "c1"));
    ck_assert(tm_slice_is(tm_rd_str(&rd), "logs"));
    for (int64_t offset = 0; offset < 51; offset++) {
        if (offset % 5 != 4) {
            check_binary(&rd, 0, offset, offset == 50 ? 200 << 10 : 200);
        }
    }
    ck_assert_uint_eq(tm_rd_left(&rd), 0);
    ck_assert_int_eq(result.records, 41);
    ck_assert_int_eq(result.topics, 1);
    done(&sink, &result);
}
END_TEST

START_TEST(topics_come_by_name_with_their_partitions_and_offsets_chosen)
{
    static const int32_t partitions[] = {0};
    struct tm_export_options options = {
            .partitions = partitions, .partition_count = 1, .from = 38, .until = 51};
    struct tm_export_result result = {0};
    struct sink sink = {.room = SIZE_MAX};
    ck_assert_tm_ok(export(options, &sink, &result, &err));
    ck_assert_ptr_nonnull(strstr(tm_buf_text(&sink.topics), "logs@0 orders@"));
    ck_assert_uint_eq(result.parts.count, 2);
    ck_assert_str_eq(result.parts.at[0].topic, "logs");
    ck_assert_int_eq(result.parts.at[0].first_offset, 38);
    ck_assert_int_eq(result.parts.at[0].last_offset, 50);
    ck_assert_int_eq(result.parts.at[0].records, 10);
    ck_assert_int_eq(result.parts.at[1].records, 13);
    const char *line = tm_buf_text(&sink.bytes);
    for (int i = 0; i < 23; i++) {
        line = strchr(line, '\n');
        ck_assert_ptr_nonnull(line);
        line++;
    }
    ck_assert_str_eq(line, "");
    done(&sink, &result);
}
END_TEST

START_TEST(a_record_that_is_not_what_was_stored_is_named)
{
#ifdef TM_FAULT_POINTS
    struct tm_export_options options = {.format = TM_EXPORT_JSON};
    struct tm_export_result result = {0};
    struct tm_err failure = {0};
    struct sink sink = {.room = SIZE_MAX};
    ck_assert_int_eq(export(options, &sink, &result, &failure), TM_E_CORRUPT);
    ck_assert_str_eq(
            failure.msg, "orders/0: offsets 0 to 39: the records differ from their content proof");
    done(&sink, &result);
#endif
}
END_TEST

START_TEST(what_the_sink_refuses_ends_the_export)
{
    struct tm_export_options options = {.format = TM_EXPORT_JSON};
    struct tm_export_result result = {0};
    struct tm_err failure = {0};
    struct sink sink = {.room = 1000};
    ck_assert_int_eq(export(options, &sink, &result, &failure), TM_E_FULL);
    done(&sink, &result);

    struct tm_export_result nothing = {0};
    failure = (struct tm_err){0};
    static const int32_t partitions[] = {7};
    struct sink other = {.room = SIZE_MAX};
    options.partitions = partitions;
    options.partition_count = 1;
    ck_assert_int_eq(export(options, &other, &nothing, &failure), TM_E_MISSING);
    done(&other, &nothing);
}
END_TEST

int main(void)
{
    tm_codec_init();
    Suite *suite = suite_create("export");
    TCase *json = tcase_create("json");
    tcase_add_loop_test(json, every_byte_comes_back_as_text_or_as_base64, 0, 256);
    tcase_add_test(json, text_of_several_bytes_a_character_comes_back);
    tcase_add_test(json, a_record_is_written_member_by_member);
    tcase_add_test(json, what_is_cut_says_how_long_it_was);
    tcase_add_test(json, base64_is_that_of_the_standard);
    suite_add_tcase(suite, json);

    TCase *vault = tcase_create("vault");
    tcase_add_checked_fixture(vault, up, down);
    tcase_add_test(vault, the_binary_form_holds_every_record_behind_its_head);
    tcase_add_test(vault, topics_come_by_name_with_their_partitions_and_offsets_chosen);
    tcase_add_test(vault, what_the_sink_refuses_ends_the_export);
    suite_add_tcase(suite, vault);

    TCase *faults = tcase_create("faults");
    tcase_add_checked_fixture(faults, altered, down);
    tcase_add_test(faults, a_record_that_is_not_what_was_stored_is_named);
    suite_add_tcase(suite, faults);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
