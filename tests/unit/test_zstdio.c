/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/codec/zstdio: frames as the format has them, and frames as it has not. */
#include "codec/zstdio.h"

#include <check.h>
#include <stdlib.h>
#include <zstd.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static uint8_t plain[300000];

static void fill_plain(void)
{
    for (size_t i = 0; i < sizeof(plain); i++) {
        plain[i] = (uint8_t)(i * i / 7);
    }
}

START_TEST(what_is_packed_unpacks)
{
    static const size_t lengths[] = {0, 1, 100, 256, 65536, 300000};
    fill_plain();
    TM_OWN(tm_zstd_free) struct tm_zstd *zstd = tm_zstd_new();
    TM_BUF_OWN struct tm_buf frame = {0};
    TM_BUF_OWN struct tm_buf back = {0};
    for (size_t i = 0; i < LENGTH(lengths); i++) {
        for (int level = 1; level <= 19; level += 6) {
            struct tm_err err = {0};
            tm_buf_clear(&frame);
            tm_buf_clear(&back);
            tm_buf_add_text(&back, "before");
            tm_zstd_pack(zstd, level, tm_slice_of(plain, lengths[i]), &frame);
            ck_assert_uint_eq(ZSTD_getFrameContentSize(frame.at, frame.len), lengths[i]);
            ck_assert_uint_ne(frame.at[4] & 4, 0); /* a checksum */
            ck_assert_msg(
                    tm_zstd_unpack(zstd, tm_buf_slice(&frame), lengths[i], &back, &err) == TM_OK,
                    "%s", err.msg);
            ck_assert_uint_eq(back.len, 6 + lengths[i]);
            ck_assert_mem_eq(back.at, "before", 6);
            ck_assert(tm_slice_eq(
                    tm_slice_of(back.at + 6, lengths[i]), tm_slice_of(plain, lengths[i])));
        }
    }
}
END_TEST

/* A frame made with other parameters than ours. */
static void pack_with(ZSTD_cParameter parameter, int value, size_t len, struct tm_buf *out)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    (void)ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    (void)ZSTD_CCtx_setParameter(context, parameter, value);
    uint8_t *to = tm_buf_extend(out, ZSTD_compressBound(len));
    out->len = ZSTD_compress2(context, to, ZSTD_compressBound(len), plain, len);
    ck_assert(!ZSTD_isError(out->len));
    (void)ZSTD_freeCCtx(context);
}

static void assert_refused(struct tm_slice frame, size_t max_bytes, const char *message)
{
    TM_OWN(tm_zstd_free) struct tm_zstd *zstd = tm_zstd_new();
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err = {0};
    ck_assert_int_eq(tm_zstd_unpack(zstd, frame, max_bytes, &out, &err), TM_E_CORRUPT);
    ck_assert_str_eq(err.msg, message);
    ck_assert_uint_eq(out.len, 0);
}

START_TEST(frames_of_another_kind_are_refused)
{
    TM_BUF_OWN struct tm_buf unchecked = {0};
    pack_with(ZSTD_c_checksumFlag, 0, 1000, &unchecked);
    assert_refused(tm_buf_slice(&unchecked), 1000, "zstd frame: it has no checksum");

    TM_BUF_OWN struct tm_buf unsized = {0};
    pack_with(ZSTD_c_contentSizeFlag, 0, 1000, &unsized);
    assert_refused(
            tm_buf_slice(&unsized), 1000, "zstd frame: it does not carry its content's size");

    TM_BUF_OWN struct tm_buf frame = {0};
    pack_with(ZSTD_c_compressionLevel, 1, 1000, &frame);
    assert_refused(tm_buf_slice(&frame), 999, "zstd frame: 1000 bytes, at most 999 expected");
    assert_refused(TM_SLICE_NULL, 999, "zstd frame: not a zstd frame");

    static const uint8_t skippable[] = {0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 0};
    assert_refused(tm_slice_of(skippable, sizeof(skippable)), 999, "zstd frame: not a zstd frame");

    size_t len = frame.len;
    tm_buf_add_u8(&frame, 0);
    assert_refused(tm_buf_slice(&frame), 1000, "zstd frame: cut short, or bytes behind its end");
    assert_refused(
            tm_slice_of(frame.at, len - 1), 1000, "zstd frame: cut short, or bytes behind its end");
    frame.at[len - 1] ^= 1; /* the checksum */
    assert_refused(
            tm_slice_of(frame.at, len), 1000, "zstd frame: Restored data doesn't match checksum");
}
END_TEST

/* RFC 8878 3.1.1.1.2: exponent and mantissa; 0x68 is 8 MiB. */
START_TEST(a_window_that_other_readers_lack_is_refused)
{
    static uint8_t many[9 << 20];
    TM_OWN(tm_zstd_free) struct tm_zstd *zstd = tm_zstd_new();
    TM_BUF_OWN struct tm_buf frame = {0};
    TM_BUF_OWN struct tm_buf out = {0};
    tm_zstd_pack(zstd, 19, tm_slice_of(many, sizeof(many)), &frame);
    struct tm_err err = {0};
    ck_assert_msg(tm_zstd_unpack(zstd, tm_buf_slice(&frame), sizeof(many), &out, &err) == TM_OK,
            "%s", err.msg);
    ck_assert_uint_eq(frame.at[4] & 0x20, 0); /* not a single segment */
    frame.at[5] = 0x69;
    assert_refused(tm_buf_slice(&frame), sizeof(many), "zstd frame: its window exceeds 8 MiB");
    frame.at[4] |= 0x01;
    assert_refused(tm_buf_slice(&frame), sizeof(many), "zstd frame: it needs a dictionary");
}
END_TEST

START_TEST(no_cut_or_flipped_frame_unpacks_to_the_same)
{
    fill_plain();
    TM_OWN(tm_zstd_free) struct tm_zstd *zstd = tm_zstd_new();
    TM_BUF_OWN struct tm_buf frame = {0};
    tm_zstd_pack(zstd, 3, tm_slice_of(plain, 500), &frame);
    for (size_t at = 0; at < frame.len; at++) {
        TM_BUF_OWN struct tm_buf out = {0};
        struct tm_err err = {0};
        ck_assert_int_eq(
                tm_zstd_unpack(zstd, tm_slice_of(frame.at, at), 1 << 20, &out, &err), TM_E_CORRUPT);
        for (unsigned bit = 0; bit < 8; bit++) {
            tm_buf_clear(&out);
            err = (struct tm_err){0};
            frame.at[at] = (uint8_t)(frame.at[at] ^ (1U << bit));
            enum tm_code code = tm_zstd_unpack(zstd, tm_buf_slice(&frame), 1 << 20, &out, &err);
            ck_assert_msg(code == TM_E_CORRUPT ||
                                  tm_slice_eq(tm_buf_slice(&out), tm_slice_of(plain, 500)),
                    "byte %zu, bit %u", at, bit);
            frame.at[at] = (uint8_t)(frame.at[at] ^ (1U << bit));
        }
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("zstdio");
    tcase_add_test(tcase, what_is_packed_unpacks);
    tcase_add_test(tcase, frames_of_another_kind_are_refused);
    tcase_add_test(tcase, a_window_that_other_readers_lack_is_refused);
    tcase_add_test(tcase, no_cut_or_flipped_frame_unpacks_to_the_same);

    Suite *suite = suite_create("zstdio");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
