/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/catalog: what it answers about streams, runs, params and writers. */
#include <check.h>

#include "catalog_rig.h"

START_TEST(a_topic_answers_with_its_newest_stream)
{
    static const struct {
        const char *cluster;
        const char *topic;
        uint32_t id;
        uint32_t incarnation;
    } asked[] = {{"c1", "orders", 3, 2}, {"c1", "logs", 2, 1}, {"c2", "orders", 4, 1},
            {"c2", "logs", 0, 0}};
    RIG_OWN struct rig rig = rig_open(":memory:");
    struct tm_arena arena = {0};
    struct tm_err err = {0};
    rig_fill(&rig);
    for (size_t i = 0; i < LENGTH(asked); i++) {
        struct tm_stream stream = {.id = 9};
        ok(tm_catalog_stream(rig.catalog, text(asked[i].cluster), text(asked[i].topic), &arena,
                   &stream, &err),
                &err);
        ck_assert_uint_eq(stream.id, asked[i].id);
        ck_assert_uint_eq(stream.incarnation, asked[i].incarnation);
    }
    struct tm_stream stream = {0};
    struct tm_id16 topic_id = id16(3);
    ok(tm_catalog_stream_by_id(rig.catalog, 3, &arena, &stream, &err), &err);
    ck_assert(tm_slice_is(stream.topic, "orders"));
    ck_assert(tm_slice_is(stream.cluster_id, "c1"));
    ck_assert(tm_id16_eq(&stream.topic_id, &topic_id));
    ck_assert_int_eq(stream.created_ms, 1003);
    ok(tm_catalog_stream_by_id(rig.catalog, 5, &arena, &stream, &err), &err);
    ck_assert_uint_eq(stream.id, 0);
    tm_arena_done(&arena);
}
END_TEST

START_TEST(the_next_ids_follow_the_greatest_there_are)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    uint32_t stream = 9;
    uint64_t point = 9;
    struct tm_err err = {0};
    ok(tm_catalog_last_ids(rig.catalog, &stream, &point, &err), &err);
    ck_assert_uint_eq(stream, 0);
    ck_assert_uint_eq(point, 0);
    rig_fill(&rig);
    ok(tm_catalog_last_ids(rig.catalog, &stream, &point, &err), &err);
    ck_assert_uint_eq(stream, 4);
    ck_assert_uint_eq(point, 1);
}
END_TEST

START_TEST(params_are_the_defaults_until_the_log_says_otherwise)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    struct tm_block_params params = {0};
    struct tm_err err = {0};
    ok(tm_catalog_params(rig.catalog, &params, &err), &err);
    ck_assert_mem_eq(&params, &tm_block_params_default, sizeof(params));

    rig_start(&rig);
    EDITS_OWN struct tm_edits edits = entry("", 1);
    add_param(&edits, "block.min", "1");
    add_param(&edits, "block.mean", "2");
    add_param(&edits, "block.max", "3");
    add_param(&edits, "solo.min", "4");
    add_param(&edits, "pack.target", "4294967295");
    add_param(&edits, "unknown", "999999999999999999");
    rig_must(&rig, &edits);
    ok(tm_catalog_params(rig.catalog, &params, &err), &err);
    const struct tm_block_params expected = {1, 2, 3, 4, UINT32_MAX};
    ck_assert_mem_eq(&params, &expected, sizeof(params));

    static const struct {
        const char *value;
        const char *message;
    } refused[] = {
            {"4294967296", ":memory:: param \"solo.min\" cannot be 4294967296"},
            {"0", ":memory:: param \"solo.min\" cannot be 0"},
            {"007", ":memory:: param \"solo.min\" cannot be 007"},
    };
    for (size_t i = 0; i < LENGTH(refused); i++) {
        EDITS_OWN struct tm_edits bad = entry("", 2);
        add_param(&bad, "solo.min", refused[i].value);
        rig_must(&rig, &bad);
        err = (struct tm_err){0};
        ck_assert_int_eq(tm_catalog_params(rig.catalog, &params, &err), TM_E_CORRUPT);
        ck_assert_str_eq(err.msg, refused[i].message);
        ck_assert_mem_eq(&params, &expected, sizeof(params));
    }
}
END_TEST

START_TEST(ranges_give_the_runs_and_gaps_that_meet_them)
{
    static const struct {
        int64_t start;
        int64_t end;
        const char *ranges;
    } asked[] = {
            {0, 0, ""},
            {0, 1, "[0,100)1 "},
            {99, 100, "[0,100)1 "},
            {99, 101, "[0,100)1 (100,110)1 "},
            {100, 110, "(100,110)1 "},
            {105, 111, "[110,150)2 (100,110)1 "},
            {149, 1000, "[110,150)2 "},
            {150, 1000, ""},
            {20, 10, ""},
            {0, INT64_MAX, "[0,100)1 [110,150)2 (100,110)1 "},
    };
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    for (size_t i = 0; i < LENGTH(asked); i++) {
        assert_ranges(&rig, 1, 0, asked[i].start, asked[i].end, asked[i].ranges);
    }
    assert_ranges(&rig, 2, 0, 0, 1000, "");
}
END_TEST

/* Stream 1 partition 5: 30 records of 300 bytes in [0, 90), a loss [90, 100), skipped [100, 110). */
START_TEST(totals_take_a_run_that_is_cut_by_its_share)
{
    static const struct {
        int64_t start;
        int64_t end;
        struct tm_part_totals totals;
    } asked[] = {
            {0, 90, {30, 300, 77, 5, 6, 60, 0}},
            {0, 30, {10, 100, 77, 5, 6, 20, 0}},
            {30, 90, {20, 200, 77, 5, 6, 40, 0}},
            {1, 2, {0, 3, 77, 5, 6, 1, 0}},
            {2, 3, {1, 4, 77, 5, 6, 0, 0}},
            {90, 120, {0, 0, 0, INT64_MAX, INT64_MIN, 0, 10}},
            {95, 105, {0, 0, 0, INT64_MAX, INT64_MIN, 0, 5}},
            {50, 50, {0, 0, 0, INT64_MAX, INT64_MIN, 0, 0}},
    };
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    EDITS_OWN struct tm_edits edits = entry("p", 4000);
    struct tm_run *run = add_run(add_pack(&edits, 3), 1, 5, 0, 90);
    run->count = 30;
    run->bytes = 300;
    run->largest = 77;
    run->ts_min = 5;
    run->ts_max = 6;
    add_gap(&edits, 1, 5, 90, 100, TM_GAP_RETENTION);
    add_gap(&edits, 1, 5, 100, 110, TM_GAP_SKIPPED);
    add_tail(&edits, 1, 5, 110, 0, 25);
    rig_must(&rig, &edits);
    for (size_t i = 0; i < LENGTH(asked); i++) {
        struct tm_part_totals got = {0};
        struct tm_err err = {0};
        ok(tm_catalog_part_totals(rig.catalog, 1, 5, asked[i].start, asked[i].end, &got, &err),
                &err);
        ck_assert_msg(memcmp(&got, &asked[i].totals, sizeof(got)) == 0,
                "[%d, %d): %d messages, %d bytes, %d holes, %d lost", (int)asked[i].start,
                (int)asked[i].end, (int)got.messages, (int)got.bytes, (int)got.holes,
                (int)got.lost);
    }
}
END_TEST

START_TEST(large_runs_share_without_overflow)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    EDITS_OWN struct tm_edits edits = entry("p", 4000);
    struct tm_run *run = add_run(add_pack(&edits, 3), 2, 0, 0, 1);
    run->length = INT64_MAX - 1;
    run->count = INT64_MAX - 1;
    run->bytes = INT64_MAX;
    add_tail(&edits, 2, 0, INT64_MAX - 1, 0, 0);
    edits.tails.at[0].back = 1;
    rig_must(&rig, &edits);
    struct tm_part_totals got = {0};
    struct tm_err err = {0};
    ok(tm_catalog_part_totals(rig.catalog, 2, 0, 0, INT64_C(1) << 62, &got, &err), &err);
    ck_assert_int_eq(got.messages, INT64_C(1) << 62);
    ck_assert_int_eq(got.bytes, INT64_C(1) << 62);
}
END_TEST

START_TEST(the_last_writer_of_a_policy_is_known)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    EDITS_OWN struct tm_edits other = entry("p", 7000);
    other.writer = text("other/2");
    add_tail(&other, 4, 0, 0, 0, 0); /* of c2 */
    rig_must(&rig, &other);
    EDITS_OWN struct tm_edits maintenance = entry("", 8000);
    add_tail(&maintenance, 4, 1, 0, 0, 0);
    rig_must(&rig, &maintenance);
    EDITS_OWN struct tm_edits point = entry("q", 9000);
    (void)add_point(&point, 2, "q");
    rig_must(&rig, &point);

    static const struct {
        const char *cluster;
        const char *policy;
        const char *writer;
        int64_t time_ms;
    } asked[] = {
            {"c1", "p", "host/1", 3000},
            {"c2", "p", "other/2", 7000},
            {"c1", "q", "host/1", 9000},
            {"c2", "q", "", 0},
            {"c2", "", "", 0},
    };
    struct tm_arena arena = {0};
    for (size_t i = 0; i < LENGTH(asked); i++) {
        struct tm_row_writer row = {.time_ms = 1};
        struct tm_err err = {0};
        ok(tm_catalog_writer(
                   rig.catalog, text(asked[i].cluster), text(asked[i].policy), &arena, &row, &err),
                &err);
        ck_assert(tm_slice_is(row.writer, asked[i].writer));
        ck_assert_int_eq(row.time_ms, asked[i].time_ms);
    }
    tm_arena_done(&arena);
}
END_TEST

START_TEST(a_full_makes_nobody_the_last_writer)
{
    RIG_OWN struct rig from = rig_open(":memory:");
    RIG_OWN struct rig to = rig_open(":memory:");
    rig_fill(&from);
    EDITS_OWN struct tm_edits full = rig_dump(&from, 9000);
    full.policy = text("p");
    full.writer = text("other/2");
    struct tm_entry_place place = rig_place(&from, true);
    struct tm_err err = {0};
    ok(rig_apply_at(&to, &place, &full, &err), &err);
    struct tm_arena arena = {0};
    struct tm_row_writer row = {0};
    ok(tm_catalog_writer(to.catalog, text("c1"), text("p"), &arena, &row, &err), &err);
    ck_assert(tm_slice_is(row.writer, "host/1"));
    ck_assert_int_eq(row.time_ms, 3000);
    tm_arena_done(&arena);
}
END_TEST

START_TEST(an_archive_window_of_nothing_is_removed)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    EDITS_OWN struct tm_edits edits = entry("p", 4000);
    add_keep(&edits, 1, "p", 0);
    add_keep(&edits, 1, "q", INT64_MAX);
    rig_must(&rig, &edits);
    EDITS_OWN struct tm_edits dump = rig_dump(&rig, 5000);
    ck_assert_uint_eq(dump.keeps.count, 1);
    ck_assert(tm_slice_is(dump.keeps.at[0].policy, "q"));
    ck_assert_uint_eq(dump.keeps.at[0].seconds, INT64_MAX);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("catalog_queries");
    tcase_add_test(tcase, a_topic_answers_with_its_newest_stream);
    tcase_add_test(tcase, the_next_ids_follow_the_greatest_there_are);
    tcase_add_test(tcase, params_are_the_defaults_until_the_log_says_otherwise);
    tcase_add_test(tcase, ranges_give_the_runs_and_gaps_that_meet_them);
    tcase_add_test(tcase, totals_take_a_run_that_is_cut_by_its_share);
    tcase_add_test(tcase, large_runs_share_without_overflow);
    tcase_add_test(tcase, the_last_writer_of_a_policy_is_known);
    tcase_add_test(tcase, a_full_makes_nobody_the_last_writer);
    tcase_add_test(tcase, an_archive_window_of_nothing_is_removed);

    Suite *suite = suite_create("catalog_queries");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
