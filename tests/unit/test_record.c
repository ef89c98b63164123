/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/codec/record: the canonical bytes, and what reading them refuses. */
#include "codec/record.h"

#include <check.h>
#include <stdlib.h>

#include "codec/varint.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT(literal) \
    { \
        (const uint8_t *)(literal), sizeof(literal) - 1 \
    }
#define NOTHING \
    { \
        NULL, 0 \
    }

static const struct tm_header one_header[] = {{TEXT("trace"), TEXT("abc")}};
static const struct tm_header null_header[] = {{TEXT("t"), NOTHING}};
static const struct tm_header empty_header[] = {{TEXT(""), TEXT("")}};
static const struct tm_header repeated[] = {
        {TEXT("b"), TEXT("2")}, {TEXT("a"), TEXT("1")}, {TEXT("b"), TEXT("2")}};

/* clang-format off */
static const struct {
    const char *why;
    struct tm_slice key;
    struct tm_slice value;
    const struct tm_header *headers;
    size_t header_count;
    struct tm_slice bytes;
} forms[] = {
    {"nothing at all",           NOTHING,    NOTHING,    NULL, 0,           TEXT("\0\0\0")},
    {"empty key, empty value",   TEXT(""),   TEXT(""),   NULL, 0,           TEXT("\0\1\1")},
    {"key and value",            TEXT("k1"), TEXT("v"),  NULL, 0,           TEXT("\0\3k1\2v")},
    {"a tombstone",              TEXT("k"),  NOTHING,    NULL, 0,           TEXT("\0\2k\0")},
    {"value without key",        NOTHING,    TEXT("v"),  NULL, 0,           TEXT("\0\0\2v")},
    {"a header",                 NOTHING,    NOTHING,    one_header, 1,     TEXT("\1\5trace\4abc\0\0")},
    {"a header of null",         NOTHING,    NOTHING,    null_header, 1,    TEXT("\1\1t\0\0\0")},
    {"an empty name and value",  NOTHING,    NOTHING,    empty_header, 1,   TEXT("\1\0\1\0\0")},
    {"order and repeats stay",   TEXT(""),   TEXT(""),   repeated, 3,       TEXT("\3\1b\2""2\1a\2""1\1b\2""2\1\1")},
};
/* clang-format on */

START_TEST(canonical_bytes_are_those_of_the_format)
{
    struct tm_record record = {
            .key = forms[_i].key,
            .value = forms[_i].value,
            .headers = forms[_i].headers,
            .header_count = forms[_i].header_count,
    };
    TM_BUF_OWN struct tm_buf out = {0};
    tm_record_encode(&record, &out);
    ck_assert_msg(tm_slice_eq(tm_buf_slice(&out), forms[_i].bytes), "%s", forms[_i].why);
    ck_assert_uint_eq(tm_record_length(&record), forms[_i].bytes.len);

    struct tm_header_room room = {0};
    struct tm_record back = {0};
    struct tm_rd rd = tm_rd_of(forms[_i].bytes);
    tm_record_decode(&rd, &room, &back);
    ck_assert_msg(tm_rd_ok(&rd) && tm_rd_left(&rd) == 0, "%s", forms[_i].why);
    ck_assert_msg(tm_record_same(&record, &back), "%s", forms[_i].why);
    free(room.at);
}
END_TEST

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13; /* xorshift64 */
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static struct tm_slice random_bytes(uint64_t *state, const uint8_t *pool, size_t most)
{
    size_t len = (size_t)(next_random(state) % (most + 2));
    return len == most + 1 ? TM_SLICE_NULL : tm_slice_of(pool, len);
}

START_TEST(any_record_reads_back_as_it_was)
{
    static const uint8_t pool[40000];
    uint64_t state = 88172645463325252U + (unsigned)_i;
    struct tm_header headers[20];
    struct tm_record record = {
            .key = random_bytes(&state, pool, 300),
            .value = random_bytes(&state, pool, _i % 2 == 0 ? 130 : sizeof(pool)),
            .headers = headers,
            .header_count = (size_t)(next_random(&state) % 20),
    };
    for (size_t i = 0; i < record.header_count; i++) {
        headers[i].name = tm_slice_of(pool, (size_t)(next_random(&state) % 200));
        headers[i].value = random_bytes(&state, pool, 200);
    }
    TM_BUF_OWN struct tm_buf out = {0};
    tm_buf_add_text(&out, "before");
    tm_record_encode(&record, &out);
    ck_assert_uint_eq(out.len - 6, tm_record_length(&record));

    struct tm_header_room room = {0};
    struct tm_record back = {.offset = 7, .timestamp_ms = 0, .leader_epoch = 9};
    struct tm_rd rd = tm_rd_of(tm_slice_of(out.at + 6, out.len - 6));
    tm_record_decode(&rd, &room, &back);
    ck_assert(tm_rd_ok(&rd) && tm_rd_left(&rd) == 0 && tm_record_same(&record, &back));
    ck_assert_int_eq(back.offset, 7); /* not part of the canonical bytes */
    ck_assert_int_eq(back.leader_epoch, 9);

    /* Every way to cut it short fails, and stepping over it fails alike. */
    for (size_t len = 0; len < out.len - 6 && len < 600; len++) {
        struct tm_record untouched = {.header_count = 77};
        struct tm_slice cut = tm_slice_of(out.at + 6, len);
        rd = tm_rd_of(cut);
        tm_record_decode(&rd, &room, &untouched);
        ck_assert(!tm_rd_ok(&rd) && untouched.header_count == 77);
        rd = tm_rd_of(cut);
        tm_record_skip(&rd);
        ck_assert(!tm_rd_ok(&rd));
    }
    rd = tm_rd_of(tm_slice_of(out.at + 6, out.len - 6));
    tm_record_skip(&rd);
    ck_assert(tm_rd_ok(&rd) && tm_rd_left(&rd) == 0);
    free(room.at);
}
END_TEST

/* clang-format off */
static const struct {
    struct tm_slice bytes;
    const char *message;
} damaged[] = {
    {TEXT(""),                      "record: cut short at byte 0"},
    {TEXT("\2\0\0"),                "record: count larger than what follows at byte 0"},
    {TEXT("\377\377\377\377\17"),   "record: count larger than what follows at byte 0"},
    {TEXT("\1\5ab\0\0"),            "record: a length exceeds what is left at byte 2"},
    {TEXT("\0\12ab\0"),             "record: a length exceeds what is left at byte 2"},
    {TEXT("\0\0\3a"),               "record: a length exceeds what is left at byte 3"},
    {TEXT("\0\0"),                  "record: cut short at byte 2"},
    {TEXT("\0\201\0\0"),            "record: number not in its shortest form at byte 1"},
    {TEXT("\0\0\377\377\377\377\377\377\377\377\377\1"),
                                    "record: a length exceeds what is left at byte 12"},
    {TEXT("\0\0\0x"),               "record: trailing bytes at byte 3"},
};
/* clang-format on */

START_TEST(damage_is_named)
{
    for (int skip = 0; skip < 2; skip++) {
        struct tm_header_room room = {0};
        struct tm_record out = {0};
        struct tm_err err = {0};
        struct tm_rd rd = tm_rd_of(damaged[_i].bytes);
        if (skip == 1) {
            tm_record_skip(&rd);
        } else {
            tm_record_decode(&rd, &room, &out);
        }
        ck_assert_int_eq(tm_rd_finish(&rd, "record", &err), TM_E_CORRUPT);
        ck_assert_str_eq(err.msg, damaged[_i].message);
        free(room.at);
    }
}
END_TEST

static const struct tm_header other_name[] = {{TEXT("tracf"), TEXT("abc")}};
static const struct tm_header other_value[] = {{TEXT("trace"), TEXT("abd")}};
static const struct tm_header value_gone[] = {{TEXT("trace"), NOTHING}};

START_TEST(records_differ_by_each_part_but_offset_and_epoch)
{
    const struct tm_record base = {
            .offset = 5,
            .timestamp_ms = 1000,
            .timestamp_type = TM_TIMESTAMP_CREATE,
            .leader_epoch = 3,
            .key = TEXT("k"),
            .value = TEXT(""),
            .headers = one_header,
            .header_count = 1,
    };
    struct tm_record others[] = {base, base, base, base, base, base, base, base, base};
    others[0].timestamp_ms = 1001;
    others[1].timestamp_type = TM_TIMESTAMP_APPEND;
    others[2].key = (struct tm_slice)TEXT("l");
    others[3].value = TM_SLICE_NULL; /* null is not empty */
    others[4].header_count = 0;
    others[5].headers = other_name;
    others[6].headers = other_value;
    others[7].headers = value_gone;
    others[8].key = (struct tm_slice)TEXT("");
    for (size_t i = 0; i < LENGTH(others); i++) {
        ck_assert_msg(!tm_record_same(&base, &others[i]), "other %zu", i);
        ck_assert_msg(!tm_record_same(&others[i], &base), "other %zu", i);
    }
    struct tm_record moved = base;
    moved.offset = 6;
    moved.leader_epoch = -1;
    ck_assert(tm_record_same(&base, &moved));
}
END_TEST

START_TEST(varints_are_as_long_as_they_say_and_read_back)
{
    for (unsigned shift = 0; shift < 64; shift++) {
        for (int64_t delta = -1; delta <= 1; delta++) {
            uint64_t value = (1ULL << shift) + (uint64_t)delta;
            uint8_t bytes[TM_VARINT_MAX];
            size_t len = (size_t)(tm_varint_put(bytes, value) - bytes);
            ck_assert_uint_eq(len, tm_varint_length(value));
            struct tm_rd rd = tm_rd_of(tm_slice_of(bytes, len));
            ck_assert_uint_eq(tm_rd_v(&rd), value);

            (void)tm_varint_put(bytes, tm_zigzag((int64_t)value));
            rd = tm_rd_of(tm_slice_of(bytes, sizeof(bytes)));
            ck_assert_int_eq(tm_rd_z(&rd), (int64_t)value);
        }
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("record");
    tcase_add_loop_test(tcase, canonical_bytes_are_those_of_the_format, 0, (int)LENGTH(forms));
    tcase_add_loop_test(tcase, any_record_reads_back_as_it_was, 0, 60);
    tcase_add_loop_test(tcase, damage_is_named, 0, (int)LENGTH(damaged));
    tcase_add_test(tcase, records_differ_by_each_part_but_offset_and_epoch);
    tcase_add_test(tcase, varints_are_as_long_as_they_say_and_read_back);

    Suite *suite = suite_create("record");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
