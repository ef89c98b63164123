/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/base/buf and lib/base/rd: the vault's primitive types, out and in. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/rd.h"
#include "base/text.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static void assert_bytes(const struct tm_buf *buf, const char *hex)
{
    TM_BUF_OWN struct tm_buf got = {0};
    tm_buf_add_hex(&got, buf->at, buf->len);
    ck_assert_str_eq(tm_buf_text(&got), hex);
    ck_assert_uint_eq(buf->at[buf->len], 0);
}

/* The bytes that `hex` spells, in a buffer of exactly that size, so that ASan sees a read beyond. */
static struct tm_slice bytes_of(const char *hex, void **to_free)
{
    size_t len = strlen(hex) / 2;
    uint8_t *bytes = malloc(len > 0 ? len : 1);
    ck_assert(tm_parse_hex(hex, bytes, len));
    *to_free = bytes;
    return tm_slice_of(bytes, len);
}

/* clang-format off */
static const struct {
    uint64_t value;
    const char *hex;
} varints[] = {
    {0,                         "00"},
    {1,                         "01"},
    {127,                       "7f"},
    {128,                       "8001"},
    {300,                       "ac02"},
    {16383,                     "ff7f"},
    {16384,                     "808001"},
    {UINT32_MAX,                "ffffffff0f"},
    {INT64_MAX,                 "ffffffffffffffff7f"},
    {(uint64_t)INT64_MAX + 1,   "80808080808080808001"},
    {UINT64_MAX,                "ffffffffffffffffff01"},
};

static const struct {
    int64_t value;
    const char *hex;
} zigzags[] = {
    {0,         "00"},
    {-1,        "01"},
    {1,         "02"},
    {-64,       "7f"},
    {64,        "8001"},
    {INT64_MAX, "feffffffffffffffff01"},
    {INT64_MIN, "ffffffffffffffffff01"},
};
/* clang-format on */

START_TEST(v_is_minimal_leb128_and_reads_back)
{
    TM_BUF_OWN struct tm_buf buf = {0};
    struct tm_err err = {0};
    tm_buf_add_v(&buf, varints[_i].value);
    assert_bytes(&buf, varints[_i].hex);

    struct tm_rd rd = tm_rd_of(tm_buf_slice(&buf));
    ck_assert_uint_eq(tm_rd_v(&rd), varints[_i].value);
    ck_assert_int_eq(tm_rd_finish(&rd, "number", &err), TM_OK);
}
END_TEST

START_TEST(z_is_zigzag_and_reads_back)
{
    TM_BUF_OWN struct tm_buf buf = {0};
    struct tm_err err = {0};
    tm_buf_add_z(&buf, zigzags[_i].value);
    assert_bytes(&buf, zigzags[_i].hex);

    struct tm_rd rd = tm_rd_of(tm_buf_slice(&buf));
    ck_assert_int_eq(tm_rd_z(&rd), zigzags[_i].value);
    ck_assert_int_eq(tm_rd_finish(&rd, "number", &err), TM_OK);
}
END_TEST

START_TEST(integers_are_little_endian)
{
    TM_BUF_OWN struct tm_buf buf = {0};
    struct tm_err err = {0};
    tm_buf_add_u8(&buf, 0x01);
    tm_buf_add_u16(&buf, 0x0203);
    tm_buf_add_u32(&buf, 0x04050607);
    tm_buf_add_u64(&buf, 0x08090a0b0c0d0e0f);
    assert_bytes(&buf, "01"
                       "0302"
                       "07060504"
                       "0f0e0d0c0b0a0908");

    struct tm_rd rd = tm_rd_of(tm_buf_slice(&buf));
    ck_assert_uint_eq(tm_rd_u8(&rd), 0x01);
    ck_assert_uint_eq(tm_rd_u16(&rd), 0x0203);
    ck_assert_uint_eq(tm_rd_u32(&rd), 0x04050607);
    ck_assert_uint_eq(tm_rd_u64(&rd), 0x08090a0b0c0d0e0f);
    ck_assert_int_eq(tm_rd_finish(&rd, "integers", &err), TM_OK);
}
END_TEST

START_TEST(buffer_stays_a_c_string_while_it_grows)
{
    TM_BUF_OWN struct tm_buf buf = {0};
    ck_assert_str_eq(tm_buf_text(&buf), "");
    ck_assert_ptr_nonnull(tm_buf_slice(&buf).at); /* empty, not null */

    for (size_t len = 0; len < 1000; len++) {
        ck_assert_uint_eq(buf.len, len);
        ck_assert_uint_eq(strlen(tm_buf_text(&buf)), len);
        if (len % 3 == 0) {
            tm_buf_add_u8(&buf, 'x');
        } else if (len % 3 == 1) {
            tm_buf_add_text(&buf, "y");
        } else {
            *tm_buf_extend(&buf, 1) = 'z';
        }
    }
    tm_buf_clear(&buf);
    ck_assert_uint_eq(buf.len, 0);
    ck_assert_str_eq(tm_buf_text(&buf), "");
    ck_assert_uint_gt(buf.capacity, 0);
}
END_TEST

START_TEST(fmt_makes_the_room_it_needs)
{
    TM_BUF_OWN struct tm_buf buf = {0};
    char word[301];
    memset(word, 'w', sizeof(word) - 1);
    word[sizeof(word) - 1] = '\0';

    for (int i = 0; i < 5; i++) {
        tm_buf_add_fmt(&buf, "%s-%d;", word, i);
    }
    ck_assert_uint_eq(buf.len, UINT64_C(5) * 303);
    ck_assert_str_eq(tm_buf_text(&buf) + 1512, "-4;");
}
END_TEST

START_TEST(reserve_spares_the_appends_after_it_from_moving)
{
    TM_BUF_OWN struct tm_buf buf = {0};
    tm_buf_reserve(&buf, 100);
    const uint8_t *at = buf.at;
    for (int i = 0; i < 100; i++) {
        tm_buf_add_u8(&buf, 1);
    }
    ck_assert_ptr_eq(buf.at, at);
}
END_TEST

START_TEST(taken_text_leaves_the_buffer_empty)
{
    struct tm_buf buf = {0};
    char *nothing = tm_buf_take_text(&buf);
    ck_assert_str_eq(nothing, "");
    free(nothing);

    tm_buf_add_text(&buf, "abc");
    char *text = tm_buf_take_text(&buf);
    ck_assert_str_eq(text, "abc");
    ck_assert_ptr_null(buf.at);
    ck_assert_uint_eq(buf.len, 0);
    free(text);
}
END_TEST

START_TEST(str_and_bytes_read_back_without_a_copy)
{
    TM_BUF_OWN struct tm_buf buf = {0};
    struct tm_err err = {0};
    tm_buf_add_str(&buf, tm_slice_str("orders"));
    tm_buf_add_str(&buf, TM_SLICE_NULL);
    tm_buf_add(&buf, NULL, 0);
    tm_buf_add(&buf, "\x01\x02", 2);
    assert_bytes(&buf, "066f7264657273"
                       "00"
                       "0102");

    struct tm_rd rd = tm_rd_of(tm_buf_slice(&buf));
    struct tm_slice text = tm_rd_str(&rd);
    ck_assert(tm_slice_is(text, "orders"));
    ck_assert_ptr_eq(text.at, buf.at + 1);
    struct tm_slice empty = tm_rd_str(&rd);
    ck_assert_uint_eq(empty.len, 0);
    ck_assert_ptr_nonnull(empty.at);
    ck_assert_uint_eq(tm_rd_left(&rd), 2);
    uint8_t copy[2] = {9, 9};
    tm_rd_copy(&rd, copy, 2);
    ck_assert_uint_eq(copy[1], 2);
    ck_assert_int_eq(tm_rd_finish(&rd, "text", &err), TM_OK);
}
END_TEST

/* What each reader says of bytes that are not what it reads. */
enum what { U8, U16, U32, U64, V, V63, Z, STR, BYTES3, COPY3, COUNT4 };

static uint64_t read_one(struct tm_rd *rd, enum what what)
{
    uint8_t copy[3] = {1, 1, 1};
    switch (what) {
    case U8:
        return tm_rd_u8(rd);
    case U16:
        return tm_rd_u16(rd);
    case U32:
        return tm_rd_u32(rd);
    case U64:
        return tm_rd_u64(rd);
    case V:
        return tm_rd_v(rd);
    case V63:
        return (uint64_t)tm_rd_v63(rd);
    case Z:
        return (uint64_t)tm_rd_z(rd);
    case STR:
        return tm_rd_str(rd).at != NULL;
    case BYTES3:
        return tm_rd_bytes(rd, 3).at != NULL;
    case COPY3:
        tm_rd_copy(rd, copy, sizeof(copy));
        return copy[0] | copy[1] | copy[2];
    case COUNT4:
        return tm_rd_count(rd, 4);
    default:
        ck_abort();
    }
}

/* clang-format off */
static const struct {
    enum what what;
    const char *hex;
    const char *message;
} damaged[] = {
    {U8,     "",                       "entry: cut short at byte 0"},
    {U16,    "01",                     "entry: cut short at byte 0"},
    {U32,    "010203",                 "entry: cut short at byte 0"},
    {U64,    "01020304050607",         "entry: cut short at byte 0"},
    {V,      "",                       "entry: cut short at byte 0"},
    {V,      "80",                     "entry: cut short at byte 0"},
    {V,      "808080808080808080",     "entry: cut short at byte 0"},
    {V,      "8000",                   "entry: number not in its shortest form at byte 0"},
    {V,      "ffff00",                 "entry: number not in its shortest form at byte 0"},
    {V,      "80808080808080808000",   "entry: number not in its shortest form at byte 0"},
    {V,      "ffffffffffffffffff02",   "entry: number larger than 64 bits at byte 0"},
    {V,      "8080808080808080808001", "entry: number larger than 64 bits at byte 0"},
    {Z,      "8000",                   "entry: number not in its shortest form at byte 0"},
    {V63,    "80808080808080808001",   "entry: number larger than 63 bits at byte 0"},
    {STR,    "0461",                   "entry: cut short at byte 1"},
    {STR,    "808004",                 "entry: text longer than 65535 bytes at byte 0"},
    {BYTES3, "0102",                   "entry: cut short at byte 0"},
    {COPY3,  "0102",                   "entry: cut short at byte 0"},
    {COUNT4, "0201020304050607",       "entry: count larger than what follows at byte 0"},
    {COUNT4, "ffffffffffffffffff01",   "entry: count larger than what follows at byte 0"},
    {U8,     "0102",                   "entry: trailing bytes at byte 1"},
};
/* clang-format on */

START_TEST(damage_is_named_and_gives_zero)
{
    void *to_free = NULL;
    struct tm_slice bytes = bytes_of(damaged[_i].hex, &to_free);
    struct tm_rd rd = tm_rd_of(bytes);
    struct tm_err err = {0};
    uint64_t value = read_one(&rd, damaged[_i].what);
    ck_assert_uint_eq(value, tm_rd_ok(&rd) ? 1 : 0);
    ck_assert_int_eq(tm_rd_finish(&rd, "entry", &err), TM_E_CORRUPT);
    ck_assert_str_eq(err.msg, damaged[_i].message);
    free(to_free);
}
END_TEST

START_TEST(what_just_fits_is_read)
{
    void *to_free = NULL;
    struct tm_slice bytes = bytes_of("02"
                                     "01020304"
                                     "05060708",
            &to_free);
    struct tm_rd rd = tm_rd_of(bytes);
    ck_assert_uint_eq(tm_rd_count(&rd, 4), 2);
    ck_assert_uint_eq(tm_rd_bytes(&rd, 8).len, 8);
    ck_assert(tm_rd_ok(&rd));
    free(to_free);

    TM_BUF_OWN struct tm_buf longest = {0};
    tm_buf_add_v(&longest, 65535);
    memset(tm_buf_extend(&longest, 65535), 'x', 65535);
    rd = tm_rd_of(tm_buf_slice(&longest));
    ck_assert_uint_eq(tm_rd_str(&rd).len, 65535);
}
END_TEST

START_TEST(failed_reader_stays_failed_and_keeps_the_first_reason)
{
    void *to_free = NULL;
    struct tm_slice bytes = bytes_of("05"
                                     "8000"
                                     "070809",
            &to_free);
    struct tm_rd rd = tm_rd_of(bytes);
    struct tm_err err = {0};
    ck_assert_uint_eq(tm_rd_u8(&rd), 5);
    ck_assert_uint_eq(tm_rd_v(&rd), 0);
    ck_assert(!tm_rd_ok(&rd));
    for (int what = U8; what <= COUNT4; what++) {
        ck_assert_uint_eq(read_one(&rd, (enum what)what), 0);
    }
    ck_assert_ptr_null(tm_rd_bytes(&rd, 0).at);
    ck_assert_uint_eq(tm_rd_left(&rd), 0);
    tm_rd_fail(&rd, "another reason");
    ck_assert_int_eq(tm_rd_finish(&rd, "entry", &err), TM_E_CORRUPT);
    ck_assert_str_eq(err.msg, "entry: number not in its shortest form at byte 1");
    free(to_free);
}
END_TEST

START_TEST(callers_reason_is_reported_where_reading_stood)
{
    struct tm_rd rd = tm_rd_of(tm_slice_of("\x05\x06", 2));
    struct tm_err err = {0};
    (void)tm_rd_u8(&rd);
    tm_rd_fail(&rd, "unknown kind");
    ck_assert_int_eq(tm_rd_finish(&rd, "entry", &err), TM_E_CORRUPT);
    ck_assert_str_eq(err.msg, "entry: unknown kind at byte 1");
}
END_TEST

START_TEST(nothing_is_read_from_a_null_slice)
{
    struct tm_rd rd = tm_rd_of(TM_SLICE_NULL);
    struct tm_err err = {0};
    struct tm_slice none = tm_rd_bytes(&rd, 0);
    ck_assert_ptr_nonnull(none.at);
    ck_assert_uint_eq(none.len, 0);
    ck_assert_int_eq(tm_rd_finish(&rd, "nothing", &err), TM_OK);
}
END_TEST

/* A number of `bits` random bits at most, from a generator that is the same everywhere. */
static uint64_t next_number(uint64_t *state, unsigned bits)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U; /* Knuth's MMIX */
    uint64_t high = *state >> 32;
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    uint64_t number = high << 32 | *state >> 32;
    return bits == 0 ? 0 : number >> (64 - bits);
}

START_TEST(any_mixture_reads_back_as_written)
{
    enum { NUMBERS = 500 };
    TM_BUF_OWN struct tm_buf buf = {0};
    uint64_t written = (uint64_t)_i;
    uint64_t read = written;
    for (unsigned i = 0; i < NUMBERS; i++) {
        uint64_t number = next_number(&written, i % 65);
        tm_buf_add_v(&buf, number);
        tm_buf_add_z(&buf, (int64_t)number);
        tm_buf_add_u32(&buf, (uint32_t)number);
    }
    struct tm_rd rd = tm_rd_of(tm_buf_slice(&buf));
    struct tm_err err = {0};
    for (unsigned i = 0; i < NUMBERS; i++) {
        uint64_t number = next_number(&read, i % 65);
        ck_assert_uint_eq(tm_rd_v(&rd), number);
        ck_assert_int_eq(tm_rd_z(&rd), (int64_t)number);
        ck_assert_uint_eq(tm_rd_u32(&rd), (uint32_t)number);
    }
    ck_assert_int_eq(tm_rd_finish(&rd, "mixture", &err), TM_OK);
}
END_TEST

START_TEST(growing_beyond_all_memory_is_a_bug)
{
    TM_BUF_OWN struct tm_buf buf = {0};
    tm_buf_add_u8(&buf, 1);
    tm_buf_reserve(&buf, SIZE_MAX - 1); /* aborts */
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("buf_rd");
    tcase_add_loop_test(tcase, v_is_minimal_leb128_and_reads_back, 0, (int)LENGTH(varints));
    tcase_add_loop_test(tcase, z_is_zigzag_and_reads_back, 0, (int)LENGTH(zigzags));
    tcase_add_test(tcase, integers_are_little_endian);
    tcase_add_test(tcase, buffer_stays_a_c_string_while_it_grows);
    tcase_add_test(tcase, fmt_makes_the_room_it_needs);
    tcase_add_test(tcase, reserve_spares_the_appends_after_it_from_moving);
    tcase_add_test(tcase, taken_text_leaves_the_buffer_empty);
    tcase_add_test(tcase, str_and_bytes_read_back_without_a_copy);
    tcase_add_loop_test(tcase, damage_is_named_and_gives_zero, 0, (int)LENGTH(damaged));
    tcase_add_test(tcase, what_just_fits_is_read);
    tcase_add_test(tcase, failed_reader_stays_failed_and_keeps_the_first_reason);
    tcase_add_test(tcase, callers_reason_is_reported_where_reading_stood);
    tcase_add_test(tcase, nothing_is_read_from_a_null_slice);
    tcase_add_loop_test(tcase, any_mixture_reads_back_as_written, 0, 10);
    tcase_add_test_raise_signal(tcase, growing_beyond_all_memory_is_a_bug, SIGABRT);

    Suite *suite = suite_create("buf_rd");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
