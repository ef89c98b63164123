/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/codec/block: where blocks end, their ids, and what adding must not do. */
#include <signal.h>

#include "block_sample.h"

/* Cuts --------------------------------------------------------------------------------------- */

/* The rule with numbers of 128 bits: nothing saturates, and floor(2^64 / mean) is what it is. */
static bool model_cuts(const struct tm_block_params *params, const struct tm_id16 *tag,
        size_t block_bytes, size_t record_bytes, size_t runs)
{
    if (block_bytes >= params->block_max) {
        return true;
    }
    if (runs > 1 || block_bytes < params->block_min) {
        return false;
    }
    __extension__ typedef unsigned __int128 wide;
    wide one = 1;
    wide threshold = record_bytes * ((one << 64) / params->block_mean);
    wide low = 0;
    for (int i = 0; i < 8; i++) {
        low |= (wide)tag->bytes[i] << (8 * i);
    }
    return low < threshold;
}

static const uint32_t means[] = {700, 512, 1, 2, 100000, UINT32_MAX};

START_TEST(cuts_follow_the_rule)
{
    fill_pool((uint64_t)_i + 1000);
    struct tm_block_params params = small;
    params.block_mean = means[(size_t)_i % LENGTH(means)];
    bool two_runs = _i % 5 == 4;
    TM_OWN(tm_block_free) struct tm_block *block = tm_block_new(fix.ring, &params, 1);
    tm_block_begin(block, 0, 0);
    size_t bytes = 0;
    int64_t offset = 0;
    for (int i = 0; i < 200; i++) {
        struct tm_record record;
        struct tm_header headers[HEADERS_MAX];
        make_record(&record, headers, TYPES_CREATE);
        record.offset = offset++;
        if (two_runs && tm_block_records(block) == 2) {
            tm_block_begin(block, 1, record.offset);
        }
        TM_BUF_OWN struct tm_buf canonical = {0};
        tm_record_encode(&record, &canonical);
        struct tm_id16 tag = tm_ring_tag(fix.ring, 1, tm_buf_slice(&canonical));
        bytes += canonical.len;
        bool expected = model_cuts(&params, &tag, bytes, canonical.len, tm_block_runs(block));
        ck_assert_msg(tm_block_add(block, &record) == expected, "record %d", i);
        ck_assert_uint_eq(tm_block_bytes(block), bytes);
        struct tm_hash id;
        ck_assert_int_eq(tm_block_content_id(block, &id), expected && tm_block_runs(block) == 1);
        if (expected) {
            tm_block_free(block);
            block = tm_block_new(fix.ring, &params, 1);
            tm_block_begin(block, 0, offset);
            bytes = 0;
        }
    }
}
END_TEST

/* The same records behind others, at other offsets, end in the same blocks: dedup rests on it. */
START_TEST(cuts_find_the_same_blocks_again)
{
    enum { RECORDS = 300, BLOCKS = 200 };
    static struct tm_hash ids[2][BLOCKS];
    size_t counts[2] = {0, 0};
    for (int pass = 0; pass < 2; pass++) {
        int64_t offset = pass == 0 ? 0 : 5000;
        TM_OWN(tm_block_free) struct tm_block *block = tm_block_new(fix.ring, &small, 1);
        tm_block_begin(block, 0, offset);
        for (int i = pass == 0 ? 0 : -20; i < RECORDS; i++) {
            fill_pool((uint64_t)(i + 100));
            struct tm_record record;
            struct tm_header headers[HEADERS_MAX];
            make_record(&record, headers, TYPES_CREATE);
            record.offset = offset++;
            record.timestamp_ms = pass; /* not part of the content */
            record.timestamp_type = TM_TIMESTAMP_CREATE;
            if (!tm_block_add(block, &record)) {
                continue;
            }
            ck_assert(tm_block_content_id(block, &ids[pass][counts[pass]++]));
            tm_block_free(block);
            block = tm_block_new(fix.ring, &small, 1);
            tm_block_begin(block, 0, offset);
        }
    }
    size_t again = 0;
    for (size_t i = 0; i < counts[0]; i++) {
        for (size_t j = 0; j < counts[1]; j++) {
            again += tm_hash_eq(&ids[0][i], &ids[1][j]) ? 1 : 0;
        }
    }
    ck_assert_uint_gt(counts[0], 20);
    ck_assert_uint_gt(again + 10, counts[0]); /* all but the first few */
}
END_TEST

START_TEST(a_block_that_was_not_cut_has_no_id)
{
    TM_OWN(tm_block_free) struct tm_block *block = tm_block_new(fix.ring, &small, 1);
    struct tm_record record = {.offset = 4, .timestamp_ms = -1};
    tm_block_begin(block, 0, 0);
    ck_assert(!tm_block_add(block, &record));
    struct tm_hash id;
    ck_assert(!tm_block_content_id(block, &id));
    struct tm_sealed sealed = sealed_of(block, 1);
    ck_assert_uint_eq(sealed.info.flags, 0);
    tm_sealed_done(&sealed);
}
END_TEST

/* A cut at block.max of a block with two runs gives no id: its end is not a place by content. */
START_TEST(a_content_id_is_the_keyed_hash_of_the_tags)
{
    struct tm_block_params params = small;
    params.block_mean = UINT32_MAX; /* only block.max cuts */
    for (int runs = 1; runs <= 2; runs++) {
        TM_OWN(tm_block_free) struct tm_block *block = tm_block_new(fix.ring, &params, 1);
        TM_BUF_OWN struct tm_buf tags = {0};
        tm_block_begin(block, 0, 0);
        bool full = false;
        for (int64_t i = 0; !full; i++) {
            struct tm_record record = {
                    .offset = i, .timestamp_ms = -1, .value = tm_slice_of(pool + i, 100)};
            if (i == 1 && runs == 2) {
                tm_block_begin(block, 1, 0);
            }
            TM_BUF_OWN struct tm_buf canonical = {0};
            tm_record_encode(&record, &canonical);
            struct tm_id16 tag = tm_ring_tag(fix.ring, 1, tm_buf_slice(&canonical));
            tm_buf_add(&tags, tag.bytes, sizeof(tag.bytes));
            full = tm_block_add(block, &record);
        }
        struct tm_sealed sealed = sealed_of(block, 1);
        ck_assert_uint_eq(sealed.info.flags, runs == 1 ? TM_BLOCK_HAS_ID : 0);
        struct tm_hash expected = tm_ring_content_id(fix.ring, 1, tm_buf_slice(&tags));
        ck_assert_int_eq(tm_hash_eq(&sealed.info.content_id, &expected), runs == 1);
        tm_sealed_done(&sealed);
    }
}
END_TEST

/* Bugs --------------------------------------------------------------------------------------- */

static struct tm_block *block_with(int32_t partition, int64_t offset, size_t value_len)
{
    struct tm_block *block = tm_block_new(fix.ring, &small, 1);
    struct tm_record record = {
            .offset = offset, .timestamp_ms = -1, .value = tm_slice_of(pool, value_len)};
    tm_block_begin(block, partition, offset);
    (void)tm_block_add(block, &record);
    return block;
}

START_TEST(joining_a_closed_block_is_a_bug)
{
    tm_block_join(block_with(0, 0, 10), block_with(1, 0, 600)); /* solo; aborts */
}
END_TEST

START_TEST(joining_beyond_the_largest_block_is_a_bug)
{
    struct tm_block *block = block_with(0, 0, 10);
    for (int32_t i = 1; i < 10; i++) {
        tm_block_join(block, block_with(i, 0, 255)); /* aborts in the end */
    }
}
END_TEST

START_TEST(joining_an_overlapping_run_is_a_bug)
{
    struct tm_block *block = block_with(0, 5, 10);
    tm_block_extend(block, 9);
    tm_block_join(block, block_with(0, 8, 10)); /* aborts */
}
END_TEST

START_TEST(adding_to_a_closed_block_is_a_bug)
{
    struct tm_block *block = block_with(0, 0, 600);
    struct tm_record record = {.offset = 1, .timestamp_ms = -1};
    (void)tm_block_add(block, &record); /* aborts */
}
END_TEST

START_TEST(extending_a_closed_block_is_a_bug)
{
    tm_block_extend(block_with(0, 0, 600), 9); /* aborts */
}
END_TEST

START_TEST(a_large_value_among_others_is_a_bug)
{
    struct tm_block *block = block_with(0, 0, 10);
    struct tm_record record = {
            .offset = 1, .timestamp_ms = -1, .value = tm_slice_of(pool, small.solo_min)};
    (void)tm_block_add(block, &record); /* aborts */
}
END_TEST

START_TEST(an_offset_that_goes_back_is_a_bug)
{
    struct tm_block *block = block_with(0, 5, 10);
    struct tm_record record = {.offset = 5, .timestamp_ms = -1};
    (void)tm_block_add(block, &record); /* aborts */
}
END_TEST

START_TEST(a_run_that_begins_inside_another_is_a_bug)
{
    struct tm_block *block = block_with(3, 5, 10);
    tm_block_extend(block, 10);
    tm_block_begin(block, 3, 9); /* aborts */
}
END_TEST

int main(void)
{
    tm_codec_init();
    TCase *tcase = tcase_create("block_cut");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, cuts_follow_the_rule, 0, 30);
    tcase_add_test(tcase, cuts_find_the_same_blocks_again);
    tcase_add_test(tcase, a_block_that_was_not_cut_has_no_id);
    tcase_add_test(tcase, a_content_id_is_the_keyed_hash_of_the_tags);
    tcase_add_test_raise_signal(tcase, joining_a_closed_block_is_a_bug, SIGABRT);
    tcase_add_test_raise_signal(tcase, joining_beyond_the_largest_block_is_a_bug, SIGABRT);
    tcase_add_test_raise_signal(tcase, joining_an_overlapping_run_is_a_bug, SIGABRT);
    tcase_add_test_raise_signal(tcase, adding_to_a_closed_block_is_a_bug, SIGABRT);
    tcase_add_test_raise_signal(tcase, extending_a_closed_block_is_a_bug, SIGABRT);
    tcase_add_test_raise_signal(tcase, a_large_value_among_others_is_a_bug, SIGABRT);
    tcase_add_test_raise_signal(tcase, an_offset_that_goes_back_is_a_bug, SIGABRT);
    tcase_add_test_raise_signal(tcase, a_run_that_begins_inside_another_is_a_bug, SIGABRT);

    Suite *suite = suite_create("block_cut");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
