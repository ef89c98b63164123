/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/codec/block: what an opened block refuses, and how it says so. */
#include <stdio.h>

#include "block_sample.h"

/* Damage ------------------------------------------------------------------------------------- */

static struct tm_sealed small_block(bool solo, int level)
{
    sample.count = 0;
    fill_pool(1);
    TM_OWN(tm_block_free)
    struct tm_block *block = tm_block_new(fix.ring, solo ? &small : &tm_block_params_default, 1);
    tm_block_begin(block, 0, 100);
    if (solo) {
        struct tm_record record = {.offset = 101,
                .timestamp_ms = 5,
                .timestamp_type = TM_TIMESTAMP_CREATE,
                .key = tm_slice_str("k"),
                .value = tm_slice_of(pool, 520)};
        (void)tm_block_add(block, &record);
    } else {
        for (int64_t i = 0; i < 5; i++) {
            (void)tm_block_add(block, add_to_sample(0, 100 + 2 * i, TYPES_MIXED));
        }
        tm_block_begin(block, 1, 0);
        (void)tm_block_add(block, add_to_sample(1, 3, TYPES_MIXED));
    }
    return sealed_of(block, level);
}

START_TEST(a_flipped_byte_anywhere_is_found)
{
    struct tm_sealed sealed = small_block(_i % 2 == 1, _i < 2 ? 0 : 3);
    struct tm_block_view view = {0};
    struct tm_buf *frames[] = {&sealed.positions, &sealed.content};
    const char *messages[] = {"block: positions: frame: it was altered, or belongs elsewhere",
            "block: content: frame: it was altered, or belongs elsewhere"};
    for (size_t f = 0; f < LENGTH(frames); f++) {
        for (size_t at = 0; at < frames[f]->len; at++) {
            frames[f]->at[at] ^= (uint8_t)(1U << (at % 8));
            struct tm_err err = {0};
            ck_assert_int_eq(open_sealed(&sealed, &view, &err), TM_E_CORRUPT);
            ck_assert_str_eq(err.msg, messages[f]);
            ck_assert_ptr_null(view.info);
            frames[f]->at[at] ^= (uint8_t)(1U << (at % 8));
        }
    }
    struct tm_err err = {0};
    ck_assert_int_eq(open_sealed(&sealed, &view, &err), TM_OK); /* the same view, after failures */
    tm_block_view_done(&view);
    tm_sealed_done(&sealed);
}
END_TEST

/* An index row altered in any one field no longer fits the frames, or itself. */
START_TEST(a_row_that_does_not_fit_its_frames_is_refused)
{
    struct tm_sealed sealed = small_block(false, 0);
    struct tm_block_info *info = &sealed.info;
    struct tm_run *run = &info->runs[0].run;
    struct tm_run *second = &info->runs[1].run;
    struct tm_run kept[2] = {*run, *second};
    struct tm_block_info kept_info = *info;
    const struct {
        int64_t *field;
        int64_t delta;
        const char *message;
    } edits[] = {
            {&run->length, -1, "block: positions: an offset outside of its run at byte 5"},
            {&run->count, 1,
                    "block: content: records' lengths are not those of the index row at byte 919"},
            {&run->ts_max, 1,
                    "block: positions: timestamps are not those of the index row at byte 28"},
            {&run->bytes, 1, "block: the content's length is not the sum of the runs' bytes"},
            {&run->largest, 1,
                    "block: content: records' lengths are not those of the index row at byte 771"},
            {&run->count, -5, "block: a run's count of records does not fit its length"},
            {&run->first, -101, "block: a run's offsets are no range"},
            {&run->first, INT64_MAX - 105, "block: a run's offsets are no range"},
            {&second->bytes, INT32_MAX, "block: a run holds more bytes than its records can have"},
            {&second->largest, INT32_MAX, "block: a run's largest record does not fit its bytes"},
    };
    for (size_t i = 0; i < LENGTH(edits); i++) {
        struct tm_block_view view = {0};
        struct tm_err err = {0};
        *edits[i].field += edits[i].delta;
        ck_assert_int_eq(open_sealed(&sealed, &view, &err), TM_E_CORRUPT);
        ck_assert_str_eq(err.msg, edits[i].message);
        *run = kept[0];
        *second = kept[1];
        *info = kept_info;
        tm_block_view_done(&view);
    }
    tm_sealed_done(&sealed);
}
END_TEST

/* Frames that are well sealed and wrong inside: the row, both frames' bytes, and what is said. */
struct hostile {
    const char *message; /* NULL: nothing is wrong */
    unsigned flags;
    struct tm_run run;
    struct tm_slice positions;
    struct tm_slice content;
};

#define BYTES(literal) \
    { \
        (const uint8_t *)(literal), sizeof(literal) - 1 \
    }
#define EMPTY "\0\0\0" /* a record without anything */
/* Two empty records at offsets 10 and 12 of [10, 14), timestamps 7 and 5. */
#define RUN \
    { \
        .first = 10, .length = 4, .count = 2, .bytes = 6, .largest = 3, .ts_min = 5, .ts_max = 7 \
    }
/* The same with values, of which one should be longer. */
#define UNEVEN \
    { \
        .first = 10, .length = 4, .count = 2, .bytes = 8, .largest = 5, .ts_min = 5, .ts_max = 7 \
    }
/* One record at offset 11, without key, of the value "ab". */
#define ONE \
    { \
        .first = 10, .length = 4, .count = 1, .bytes = 5, .largest = 5, .ts_min = 5, .ts_max = 5 \
    }

/* clang-format off */
static const struct hostile hostiles[] = {
    {NULL, 0, RUN, BYTES("\0\1\4\3"), BYTES(EMPTY EMPTY)},
    {NULL, TM_BLOCK_MIXED_TYPES, RUN, BYTES("\0\1\4\3\2"), BYTES(EMPTY EMPTY)},
    {"block: positions: an offset outside of its run at byte 2", 0, RUN,
            BYTES("\0\3\4\3"), BYTES(EMPTY EMPTY)},
    {"block: positions: an offset outside of its run at byte 10", 0, RUN,
            BYTES("\377\377\377\377\377\377\377\377\377\1\4\3"), BYTES(EMPTY EMPTY)},
    {"block: positions: timestamps are not those of the index row at byte 4", 0, RUN,
            BYTES("\0\1\6\5"), BYTES(EMPTY EMPTY)},
    {"block: positions: timestamps are not those of the index row at byte 4", 0, RUN,
            BYTES("\0\1\2\2"), BYTES(EMPTY EMPTY)},
    {"block: positions: trailing bytes at byte 4", 0, RUN,
            BYTES("\0\1\4\3\2"), BYTES(EMPTY EMPTY)},
    {"block: positions: cut short at byte 4", TM_BLOCK_MIXED_TYPES, RUN,
            BYTES("\0\1\4\3"), BYTES(EMPTY EMPTY)},
    {"block: positions: bits behind the last timestamp type at byte 5", TM_BLOCK_MIXED_TYPES, RUN,
            BYTES("\0\1\4\3\4"), BYTES(EMPTY EMPTY)},
    {"block: positions: number not in its shortest form at byte 1", 0, RUN,
            BYTES("\0\201\0\4\3"), BYTES(EMPTY EMPTY)},
    {"block: positions shorter than the records need", 0, RUN,
            BYTES("\0\1\4"), BYTES(EMPTY EMPTY)},
    {"block: content: records' lengths are not those of the index row at byte 8", 0, UNEVEN,
            BYTES("\0\1\4\3"), BYTES("\0\0\2a" "\0\0\2b")},
    {"block: content: a length exceeds what is left at byte 6", 0, RUN,
            BYTES("\0\1\4\3"), BYTES(EMPTY "\0\0\2")},
    {"block: content: count larger than what follows at byte 0", 0, RUN,
            BYTES("\0\1\4\3"), BYTES("\7" "\0\0\0\0\0")},
    {"block: the content's length is not the sum of the runs' bytes", 0, RUN,
            BYTES("\0\1\4\3"), BYTES(EMPTY EMPTY "\0")},
    {"block: mixed timestamp types, and one type for all",
            TM_BLOCK_MIXED_TYPES | TM_BLOCK_LOG_APPEND, RUN,
            BYTES("\0\1\4\3\0"), BYTES(EMPTY EMPTY)},
    {"block: more than one record, and solo", TM_BLOCK_SOLO, RUN,
            BYTES("\0\1\4\3"), BYTES(EMPTY EMPTY)},
    {"block: a flag that is not known", 32, RUN, BYTES("\0\1\4\3"), BYTES(EMPTY EMPTY)},
    {NULL, TM_BLOCK_SOLO, ONE, BYTES("\1\0" "\0\0"), BYTES("ab")},
    {"block: more than one record, and solo", TM_BLOCK_SOLO | TM_BLOCK_MIXED_TYPES, ONE,
            BYTES("\1\0\0" "\0\0"), BYTES("ab")},
    {"block: positions: an offset outside of its run at byte 1", TM_BLOCK_SOLO, ONE,
            BYTES("\4\0" "\0\0"), BYTES("ab")},
    {"block: positions: timestamps are not those of the index row at byte 2", TM_BLOCK_SOLO, ONE,
            BYTES("\1\2" "\0\0"), BYTES("ab")},
    {"block: positions: the record's length is not that of the index row at byte 5", TM_BLOCK_SOLO,
            ONE, BYTES("\1\0" "\0\2k"), BYTES("ab")},
    {"block: positions: trailing bytes at byte 4", TM_BLOCK_SOLO, ONE,
            BYTES("\1\0" "\0\0" "\0"), BYTES("ab")},
    {"block: positions: cut short at byte 3", TM_BLOCK_SOLO, ONE, BYTES("\1\0" "\0"), BYTES("ab")},
    {"block: a solo record smaller than its value", TM_BLOCK_SOLO, ONE,
            BYTES("\1\0" "\0\0"), BYTES("abc")},
    {"block: positions: the record's length is not that of the index row at byte 4", TM_BLOCK_SOLO,
            ONE, BYTES("\1\0" "\0\0"), BYTES("a")},
};
/* clang-format on */

static void seal_hostile(
        enum tm_frame_kind kind, struct tm_slice plain, struct tm_frame *frame, struct tm_buf *out)
{
    *frame =
            (struct tm_frame){.counter = kind, .stored = plain.len + TM_AEAD_TAG, .raw = plain.len};
    tm_frame_seal(fix.key, &vault_id, kind, frame->counter, plain, out);
}

START_TEST(hostile_frames_are_refused_by_name)
{
    const struct hostile *hostile = &hostiles[_i];
    struct tm_block_run row = {.run = hostile->run};
    struct tm_sealed sealed = {0};
    sealed.info.flags = (uint8_t)hostile->flags;
    sealed.info.runs = &row;
    sealed.info.run_count = 1;
    seal_hostile(TM_FRAME_POSITIONS, hostile->positions, &sealed.info.positions, &sealed.positions);
    seal_hostile(TM_FRAME_CONTENT, hostile->content, &sealed.info.content, &sealed.content);

    struct tm_block_view view = {0};
    struct tm_err err = {0};
    enum tm_code code = open_sealed(&sealed, &view, &err);
    if (hostile->message == NULL) {
        ck_assert_msg(code == TM_OK, "%s", err.msg);
        ck_assert_ptr_eq(view.info, &sealed.info);
    } else {
        ck_assert_int_eq(code, TM_E_CORRUPT);
        ck_assert_str_eq(err.msg, hostile->message);
        ck_assert_ptr_null(view.info);
    }
    tm_block_view_done(&view);
    tm_buf_done(&sealed.positions);
    tm_buf_done(&sealed.content);
}
END_TEST

/* A frame that is authentic and decompresses to more, or less, than its row says. */
START_TEST(a_compressed_frame_must_have_its_length)
{
    struct tm_sealed sealed = small_block(false, 0);
    struct tm_frame *frame = &sealed.info.content;
    uint8_t zeros[4000] = {0};
    size_t len = _i == 0 ? sizeof(zeros) : (size_t)frame->raw - 1;
    TM_BUF_OWN struct tm_buf packed = {0};
    TM_OWN(tm_zstd_free) struct tm_zstd *zstd = tm_zstd_new();
    tm_zstd_pack(zstd, 1, tm_slice_of(zeros, len), &packed);
    tm_buf_clear(&sealed.content);
    tm_frame_seal(fix.key, &vault_id, TM_FRAME_CONTENT, frame->counter, tm_buf_slice(&packed),
            &sealed.content);
    frame->codec = 1;
    frame->stored = sealed.content.len;
    struct tm_block_view view = {0};
    struct tm_err err = {0};
    ck_assert_int_eq(open_sealed(&sealed, &view, &err), TM_E_CORRUPT);
    char expected[TM_ERR_MSG_MAX];
    (void)snprintf(expected, sizeof(expected),
            _i == 0 ? "block: content: zstd frame: %zu bytes, at most %d expected"
                    : "block: content: %zu bytes when opened, not %d",
            len, (int)frame->raw);
    ck_assert_str_eq(err.msg, expected);
    tm_block_view_done(&view);
    tm_sealed_done(&sealed);
}
END_TEST

START_TEST(a_frame_must_have_its_stored_length)
{
    struct tm_sealed sealed = small_block(false, 3);
    struct tm_block_view view = {0};
    struct tm_err err = {0};
    sealed.content.len--;
    ck_assert_int_eq(open_sealed(&sealed, &view, &err), TM_E_CORRUPT);
    char expected[TM_ERR_MSG_MAX];
    int stored = (int)sealed.info.content.stored;
    (void)snprintf(expected, sizeof(expected),
            "block: content: %d bytes, not the %d of its index row", stored - 1, stored);
    ck_assert_str_eq(err.msg, expected);
    tm_block_view_done(&view);
    tm_sealed_done(&sealed);
}
END_TEST

#ifdef TM_FAULT_POINTS
START_TEST(a_frame_that_opens_to_other_bytes_is_not_given_out)
{
    ck_assert_int_eq(
            setenv("TM_FAULTS", _i == 0 ? "codec.block.sealed:fail@1" : "codec.block.sealed:fail@2",
                    1),
            0);
    TM_OWN(tm_block_free)
    struct tm_block *block = tm_block_new(fix.ring, &tm_block_params_default, 1);
    struct tm_record record = {.timestamp_ms = -1};
    tm_block_begin(block, 0, 0);
    (void)tm_block_add(block, &record);
    struct tm_seal_options options = seal_options(1);
    struct tm_sealed sealed = {0};
    struct tm_err err = {0};
    ck_assert_int_eq(tm_block_seal(block, &options, fix.tools, &sealed, &err), TM_E_CORRUPT);
    ck_assert_str_eq(err.msg,
            _i == 0 ? "block: sealed positions (faulty memory, or a bug): frame: it was altered, "
                      "or "
                      "belongs elsewhere"
                    : "block: sealed content (faulty memory, or a bug): frame: it was altered, or "
                      "belongs elsewhere");
    ck_assert_ptr_null(sealed.info.runs);
    ck_assert_ptr_null(sealed.positions.at);
}
END_TEST
#endif

int main(void)
{
    tm_codec_init();
    TCase *tcase = tcase_create("block_damage");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, a_flipped_byte_anywhere_is_found, 0, 4);
    tcase_add_test(tcase, a_row_that_does_not_fit_its_frames_is_refused);
    tcase_add_loop_test(tcase, hostile_frames_are_refused_by_name, 0, (int)LENGTH(hostiles));
    tcase_add_loop_test(tcase, a_compressed_frame_must_have_its_length, 0, 2);
    tcase_add_test(tcase, a_frame_must_have_its_stored_length);
#ifdef TM_FAULT_POINTS
    tcase_add_loop_test(tcase, a_frame_that_opens_to_other_bytes_is_not_given_out, 0, 2);
#endif

    Suite *suite = suite_create("block_damage");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
