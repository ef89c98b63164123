/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/codec/parts: rows packed and not are the same rows. */
#include "codec/parts.h"

#include <check.h>
#include <stdlib.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static struct tm_row_part rows[] = {
        {1, 0, 0, 0, 0, 0, TM_PART_WHOLE},
        {1, INT32_MAX, 5, INT64_MAX, INT64_MAX, 0, TM_PART_FAILED},
        {UINT32_MAX, 3, INT64_MAX, INT64_MAX, 0, INT64_MAX, TM_PART_NOT_REACHED},
};

static bool same(const struct tm_row_part *a, const struct tm_row_part *b)
{
    return a->stream == b->stream && a->partition == b->partition && a->start == b->start &&
           a->end == b->end && a->lso == b->lso && a->high_watermark == b->high_watermark &&
           a->status == b->status;
}

static void assert_walk(const struct tm_row_point *point)
{
    struct tm_parts_walk walk = tm_parts_walk(point);
    struct tm_row_part part;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        ck_assert(tm_parts_next(&walk, &part));
        ck_assert(same(&part, &rows[i]));
    }
    ck_assert(!tm_parts_next(&walk, &part));
    ck_assert(tm_rd_ok(&walk.rd));
}

START_TEST(packed_rows_are_the_rows)
{
    TM_BUF_OWN struct tm_buf packed = {0};
    tm_parts_pack(rows, LENGTH(rows), &packed);
    struct tm_row_point point = {.part_count = LENGTH(rows), .packed_parts = tm_buf_slice(&packed)};
    assert_walk(&point);
    struct tm_row_point plain = {.part_count = LENGTH(rows), .parts = rows};
    assert_walk(&plain);
}
END_TEST

START_TEST(a_point_without_rows_has_none)
{
    struct tm_row_point point = {0};
    struct tm_parts_walk walk = tm_parts_walk(&point);
    struct tm_row_part part;
    ck_assert(!tm_parts_next(&walk, &part));
    ck_assert(tm_rd_ok(&walk.rd));
}
END_TEST

START_TEST(rows_that_are_cut_short_end_the_walk_and_say_so)
{
    TM_BUF_OWN struct tm_buf packed = {0};
    tm_parts_pack(rows, LENGTH(rows), &packed);
    for (size_t len = 0; len < packed.len; len++) {
        struct tm_row_point point = {
                .part_count = LENGTH(rows), .packed_parts = tm_slice_of(packed.at, len)};
        struct tm_parts_walk walk = tm_parts_walk(&point);
        struct tm_row_part part;
        size_t count = 0;
        while (tm_parts_next(&walk, &part)) {
            ck_assert(same(&part, &rows[count]));
            count++;
        }
        ck_assert_uint_lt(count, LENGTH(rows));
        ck_assert(!tm_rd_ok(&walk.rd));
    }
}
END_TEST

/* Out of bounds as structs: packed, they are read as a failure and not as other rows. */
START_TEST(rows_out_of_bounds_are_no_rows)
{
    static const struct tm_row_part bad[] = {
            {1, -1, 0, 0, 0, 0, TM_PART_WHOLE},
            {1, 0, -1, 0, 0, 0, TM_PART_WHOLE},
            {1, 0, 5, 4, 0, 0, TM_PART_WHOLE},
            {1, 0, 0, 1, INT64_MIN, 0, TM_PART_WHOLE},
            {1, 0, 0, 1, 0, INT64_MIN, TM_PART_WHOLE},
            {1, 0, 0, 0, 0, 0, (enum tm_part_status)7},
    };
    TM_BUF_OWN struct tm_buf packed = {0};
    tm_parts_pack(&bad[_i], 1, &packed);
    struct tm_row_point point = {.part_count = 1, .packed_parts = tm_buf_slice(&packed)};
    struct tm_parts_walk walk = tm_parts_walk(&point);
    struct tm_row_part part;
    ck_assert(!tm_parts_next(&walk, &part));
    ck_assert(!tm_rd_ok(&walk.rd));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("parts");
    TCase *tcase = tcase_create("parts");
    tcase_add_test(tcase, packed_rows_are_the_rows);
    tcase_add_test(tcase, a_point_without_rows_has_none);
    tcase_add_test(tcase, rows_that_are_cut_short_end_the_walk_and_say_so);
    tcase_add_loop_test(tcase, rows_out_of_bounds_are_no_rows, 0, 6);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
