/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/catalog/watch: what earlier runs saw of the partitions, and what points say in its place. */
#include "catalog/watch.h"

#include "catalog_rig.h"

static struct tm_watch row(uint32_t stream, int32_t partition, int64_t seed)
{
    return (struct tm_watch){
            .stream = stream,
            .partition = partition,
            .whole_ms = seed,
            .stuck_at = seed + 1,
            .stuck_ms = seed + 2,
            .old = {seed + 3, seed + 4, seed + 5},
            .young = {seed + 6, seed + 7, seed + 8},
    };
}

static void assert_rows(
        const struct rig *rig, uint32_t stream, const struct tm_watch *expected, size_t count)
{
    struct tm_arena arena = {0};
    struct tm_watch *rows = NULL;
    struct tm_err err = {0};
    size_t found = 0;
    ok(tm_watch_read(rig->catalog, stream, &arena, &rows, &found, &err), &err);
    ck_assert_uint_eq(found, count);
    for (size_t i = 0; i < count; i++) {
        ck_assert_mem_eq(&rows[i], &expected[i], sizeof(rows[i]));
    }
    tm_arena_done(&arena);
}

START_TEST(rows_come_back_as_they_were_put_and_take_the_place_of_older_ones)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    struct tm_err err = {0};
    rig_fill(&rig);
    assert_rows(&rig, 1, NULL, 0);
    struct tm_watch rows[] = {row(1, 2, 100), row(1, -1, 200), row(2, 0, INT64_MAX - 9)};
    ok(tm_watch_put(rig.catalog, rows, 3, &err), &err);
    assert_rows(&rig, 1, (struct tm_watch[]){rows[1], rows[0]}, 2);
    assert_rows(&rig, 2, &rows[2], 1);
    struct tm_watch again = row(1, 2, 300);
    ok(tm_watch_put(rig.catalog, &again, 1, &err), &err);
    assert_rows(&rig, 1, (struct tm_watch[]){rows[1], again}, 2);
    ok(tm_watch_put(rig.catalog, NULL, 0, &err), &err);
    assert_rows(&rig, 2, &rows[2], 1);
}
END_TEST

static void add_seen(struct tm_row_point *point, int64_t end, int64_t lso, int64_t high_watermark,
        enum tm_part_status status)
{
    add_part(point, 1, 0, 0, end);
    struct tm_row_part *part = &point->parts[point->part_count - 1];
    part->lso = lso;
    part->high_watermark = high_watermark;
    part->status = status;
}

/* Points of two policies: 2 of "p" (2000 ms), 3 of "q", 4 of "p", 5 of "q". */
START_TEST(points_say_when_a_partition_was_whole_and_since_when_its_end_stands_still)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    struct tm_err err = {0};
    rig_fill(&rig);
    EDITS_OWN struct tm_edits edits = entry("p", 9000);
    add_seen(add_point(&edits, 2, "p"), 120, 120, 120, TM_PART_WHOLE);
    add_seen(add_point(&edits, 3, "q"), 120, 120, 125, TM_PART_WHOLE);
    add_seen(add_point(&edits, 4, "p"), 120, 120, 130, TM_PART_FAILED);
    add_seen(add_point(&edits, 5, "q"), 150, 150, 150, TM_PART_NOT_REACHED);
    add_tail(&edits, 1, 0, 150, 150, 1);
    rig_must(&rig, &edits);
    static const struct {
        int64_t offset;
        int64_t whole_ms;
        int64_t stuck_ms;
    } rows[] = {{120, 3000, 3000}, {150, 0, 0}, {121, 0, 0}};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        int64_t whole_ms = -1;
        int64_t stuck_ms = -1;
        ok(tm_watch_whole_of(rig.catalog, 1, 0, rows[i].offset, &whole_ms, &err), &err);
        ok(tm_watch_stuck_of(rig.catalog, 1, 0, rows[i].offset, &stuck_ms, &err), &err);
        ck_assert_int_eq(whole_ms, rows[i].whole_ms);
        ck_assert_int_eq(stuck_ms, rows[i].stuck_ms);
    }
    int64_t none_ms = -1;
    ok(tm_watch_whole_of(rig.catalog, 1, 1, 120, &none_ms, &err), &err);
    ck_assert_int_eq(none_ms, 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("watch");
    tcase_add_test(tcase, rows_come_back_as_they_were_put_and_take_the_place_of_older_ones);
    tcase_add_test(
            tcase, points_say_when_a_partition_was_whole_and_since_when_its_end_stands_still);
    Suite *suite = suite_create("watch");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
