/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/catalog: points as they read, what removing one leaves, and lists of points. */
#include <check.h>

#include "catalog_rig.h"
#include "codec/parts.h"

/*
 * Points of "p" of c1 on the state of rig_fill(), whose point 1 covers stream 1 partition 0 up to 110:
 *   2  stream 2 comes, with group g; stream 1 goes on to 150
 *   3  stream 2 goes
 *   4  of policy "q" of c1: stream 2 alone; partial
 *   5  stream 2 comes back, without the group; group h at stream 1
 *   6  group h is no more
 */
static void add_points(struct rig *rig)
{
    EDITS_OWN struct tm_edits edits = entry("p", 9000);
    (void)add_run(add_pack(&edits, 3), 2, 0, 0, 80);
    add_tail(&edits, 1, 0, 150, 150, 1);
    add_tail(&edits, 2, 0, 80, 80, 1);

    struct tm_row_point *second = add_point(&edits, 2, "p");
    add_part(second, 1, 0, 0, 150);
    add_part(second, 2, 0, 0, 40);
    add_part(second, 2, 1, 7, 7);
    add_group(second, "g", 2, 0, 5);
    add_gone(add_point(&edits, 3, "p"), 2);
    struct tm_row_point *fourth = add_point(&edits, 4, "q");
    add_part(fourth, 2, 0, 0, 80);
    fourth->flags = TM_POINT_PARTIAL | TM_POINT_READ_UNCOMMITTED;
    struct tm_row_point *fifth = add_point(&edits, 5, "p");
    add_part(fifth, 2, 0, 20, 80);
    add_group(fifth, "h", 1, 0, 9);
    add_group(add_point(&edits, 6, "p"), "h", 1, 0, -1);
    rig_must(rig, &edits);
}

static void remove_points(struct rig *rig, const unsigned *ids, size_t count)
{
    EDITS_OWN struct tm_edits edits = entry("", 10000);
    for (size_t i = 0; i < count; i++) {
        remove_point(&edits, ids[i]);
    }
    rig_must(rig, &edits);
}

/* A point's rows, as "1.0[0,150) 2.0[0,40) g@2.0=5". */
static void describe(const struct tm_point *point, struct tm_buf *out)
{
    tm_buf_clear(out);
    for (size_t i = 0; i < point->row.part_count; i++) {
        const struct tm_row_part *part = &point->row.parts[i];
        tm_buf_add_fmt(out, "%s%u.%d[%d,%d)", out->len > 0 ? " " : "", part->stream,
                (int)part->partition, (int)part->start, (int)part->end);
    }
    for (size_t i = 0; i < point->row.group_count; i++) {
        const struct tm_row_group *group = &point->row.groups[i];
        tm_buf_add_fmt(out, " %.*s@%u.%d=%d", (int)group->group.len, (const char *)group->group.at,
                group->stream, (int)group->partition, (int)group->offset);
    }
}

static void assert_reads(const struct rig *rig, unsigned point, const char *expected)
{
    struct tm_arena arena = {0};
    struct tm_point got = {.row.id = 99};
    struct tm_err err = {0};
    TM_BUF_OWN struct tm_buf rows = {0};
    struct tm_id16 ulid = id16(point);
    ok(tm_catalog_point(rig->catalog, &ulid, &arena, &got, &err), &err);
    ck_assert_uint_eq(got.row.id, expected != NULL ? point : 0);
    if (expected != NULL) {
        describe(&got, &rows);
        ck_assert_msg(strcmp(tm_buf_text(&rows), expected) == 0, "point %u reads %s, not %s", point,
                tm_buf_text(&rows), expected);
    }
    tm_arena_done(&arena);
}

static const char *const as_made[] = {
        NULL,
        "1.0[0,110)",
        "1.0[0,150) 2.0[0,40) 2.1[7,7) g@2.0=5",
        "1.0[0,150)",
        "2.0[0,80)",
        "1.0[0,150) 2.0[20,80) h@1.0=9",
        "1.0[0,150) 2.0[20,80)",
        NULL,
};

START_TEST(a_point_reads_whole)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    add_points(&rig);
    for (unsigned point = 0; point < LENGTH(as_made); point++) {
        assert_reads(&rig, point, as_made[point]);
    }
}
END_TEST

/* Every set of points that can be removed: what is left reads as before. */
START_TEST(removing_points_changes_no_other)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    add_points(&rig);
    unsigned ids[6];
    size_t count = 0;
    for (unsigned point = 1; point <= 6; point++) {
        if ((_i >> (point - 1) & 1) != 0) {
            ids[count++] = point;
        }
    }
    remove_points(&rig, ids, count);
    for (unsigned point = 1; point <= 6; point++) {
        bool removed = (_i >> (point - 1) & 1) != 0;
        assert_reads(&rig, point, removed ? NULL : as_made[point]);
    }
}
END_TEST

START_TEST(rows_of_a_removed_point_go_to_the_next_one)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    add_points(&rig);
    remove_points(&rig, (const unsigned[]){2, 3}, 2);
    EDITS_OWN struct tm_edits dump = rig_dump(&rig, 0);
    /* Point 5 has its own part of stream 2, partition 0 of stream 1 from point 2, and that 2 had gone. */
    const struct tm_row_point *fifth = &dump.points.at[2];
    ck_assert_uint_eq(fifth->id, 5);
    ck_assert_uint_eq(fifth->gone_count, 1);
    ck_assert_uint_eq(fifth->gone[0], 2);
    ck_assert_uint_eq(fifth->part_count, 2);
    struct tm_parts_walk walk = tm_parts_walk(fifth);
    struct tm_row_part part;
    ck_assert(tm_parts_next(&walk, &part));
    ck_assert_uint_eq(part.stream, 1);
    ck_assert_int_eq(part.end, 150);
    ck_assert(tm_parts_next(&walk, &part));
    ck_assert_int_eq(part.start, 20);
    ck_assert(!tm_parts_next(&walk, &part));
    ck_assert_uint_eq(fifth->group_count, 1);
}
END_TEST

START_TEST(a_new_point_follows_the_one_its_entry_removes)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    EDITS_OWN struct tm_edits edits = entry("p", 9000);
    (void)add_point(&edits, 2, "p"); /* nothing has changed since point 1 */
    remove_point(&edits, 1);
    rig_must(&rig, &edits);
    assert_reads(&rig, 2, "1.0[0,110)");
}
END_TEST

START_TEST(the_newest_point_is_that_of_cluster_and_policy)
{
    static const struct {
        const char *cluster;
        const char *policy;
        unsigned id;
    } asked[] = {{"c1", "p", 6}, {"c1", "q", 4}, {"c2", "p", 0}, {"c1", "x", 0}};
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    add_points(&rig);
    struct tm_arena arena = {0};
    for (size_t i = 0; i < LENGTH(asked); i++) {
        struct tm_point got = {.row.id = 99};
        struct tm_err err = {0};
        TM_BUF_OWN struct tm_buf rows = {0};
        ok(tm_catalog_newest_point(
                   rig.catalog, text(asked[i].cluster), text(asked[i].policy), &arena, &got, &err),
                &err);
        ck_assert_uint_eq(got.row.id, asked[i].id);
        describe(&got, &rows);
        ck_assert_str_eq(tm_buf_text(&rows), asked[i].id != 0 ? as_made[asked[i].id] : "");
    }
    tm_arena_done(&arena);
}
END_TEST

START_TEST(a_point_says_what_its_row_says)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    add_points(&rig);
    struct tm_arena arena = {0};
    struct tm_point got = {0};
    struct tm_err err = {0};
    struct tm_id16 ulid = id16(4);
    ok(tm_catalog_point(rig.catalog, &ulid, &arena, &got, &err), &err);
    ck_assert(tm_id16_eq(&got.row.ulid, &ulid));
    ck_assert_int_eq(got.row.time_ms, 4000);
    ck_assert(tm_slice_is(got.row.cluster_id, "c1"));
    ck_assert(tm_slice_is(got.row.cluster_name, "main"));
    ck_assert(tm_slice_is(got.row.policy, "q"));
    ck_assert_uint_eq(got.row.flags, TM_POINT_PARTIAL | TM_POINT_READ_UNCOMMITTED);
    ck_assert_int_eq(got.row.parts[0].lso, 80);
    ck_assert_int_eq(got.row.parts[0].high_watermark, 81);
    ck_assert_uint_eq(got.stream_count, 1);
    ck_assert_uint_eq(got.streams[0].id, 2);
    ck_assert(tm_slice_is(got.streams[0].topic, "logs"));
    ck_assert(!got.damaged);
    tm_arena_done(&arena);
}
END_TEST

/* Marks ------------------------------------------------------------------------------------ */

static struct tm_row_mark mark_of(const struct rig *rig, unsigned point, struct tm_arena *arena)
{
    struct tm_point got = {0};
    struct tm_err err = {0};
    struct tm_id16 ulid = id16(point);
    ok(tm_catalog_point(rig->catalog, &ulid, arena, &got, &err), &err);
    return got.mark;
}

START_TEST(a_mark_replaces_the_one_before)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    struct tm_arena arena = {0};
    rig_fill(&rig);
    EDITS_OWN struct tm_edits first = entry("", 1);
    add_mark(&first, 1, "before the upgrade", -1);
    struct tm_slice tags[] = {text("a"), text("b")};
    first.marks.at[0].tags = tags;
    first.marks.at[0].tag_count = 2;
    first.marks.at[0].hold_reason = text("audit");
    rig_must(&rig, &first);
    struct tm_row_mark mark = mark_of(&rig, 1, &arena);
    ck_assert(tm_slice_is(mark.note, "before the upgrade"));
    ck_assert_uint_eq(mark.tag_count, 2);
    ck_assert(tm_slice_is(mark.tags[1], "b"));
    ck_assert_int_eq(mark.hold_until_ms, -1);
    ck_assert(tm_slice_is(mark.hold_reason, "audit"));

    EDITS_OWN struct tm_edits second = entry("", 2);
    add_mark(&second, 1, "", 5);
    rig_must(&rig, &second);
    mark = mark_of(&rig, 1, &arena);
    ck_assert_uint_eq(mark.note.len, 0);
    ck_assert_uint_eq(mark.tag_count, 0);
    ck_assert_int_eq(mark.hold_until_ms, 5);

    EDITS_OWN struct tm_edits none = entry("", 3);
    add_mark(&none, 1, "", 0);
    rig_must(&rig, &none);
    ck_assert_int_eq(mark_of(&rig, 1, &arena).hold_until_ms, 0);
    EDITS_OWN struct tm_edits dump = rig_dump(&rig, 0);
    ck_assert_uint_eq(dump.marks.count, 0);
    tm_arena_done(&arena);
}
END_TEST

START_TEST(a_mark_goes_with_its_point)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    EDITS_OWN struct tm_edits edits = entry("p", 1);
    (void)add_point(&edits, 2, "p");
    add_mark(&edits, 2, "marked when made", 0);
    rig_must(&rig, &edits);
    remove_points(&rig, (const unsigned[]){2}, 1);

    /* The next point has the same number: it must not inherit the mark. */
    EDITS_OWN struct tm_edits again = entry("p", 2);
    add_point(&again, 2, "p")->ulid = id16(50);
    rig_must(&rig, &again);
    struct tm_arena arena = {0};
    ck_assert_uint_eq(mark_of(&rig, 50, &arena).note.len, 0);
    tm_arena_done(&arena);
}
END_TEST

/* Lists ------------------------------------------------------------------------------------ */

static const struct tm_id16 five = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5}};

/* clang-format off */
#define EVER .since_ms = INT64_MIN, .until_ms = INT64_MAX
static const struct {
    const char *why;
    struct tm_point_query query;
    const char *ids;
} lists[] = {
    {"all",             {EVER, .limit = 500},                              "6 5 4 3 2 1"},
    {"a page",          {EVER, .limit = 2},                                "6 5"},
    {"the next page",   {EVER, .limit = 2, .before = &five},               "4 3"},
    {"none wanted",     {EVER, .limit = 0},                                ""},
    {"a policy",        {EVER, .limit = 9, .policies = TM_NAMES("p")},                 "6 5 3 2 1"},
    {"a policy's page", {EVER, .limit = 2, .policies = TM_NAMES("p"), .before = &five}, "3 2"},
    {"no such policy",  {EVER, .limit = 9, .policies = TM_NAMES("x")},                 ""},
    {"policies",        {EVER, .limit = 9, .policies = TM_NAMES("q", "x", "p")},          "6 5 4 3 2 1"},
    {"a cluster",       {EVER, .limit = 9, .clusters = TM_NAMES("main")},        "6 5 4 3 2 1"},
    {"no such cluster", {EVER, .limit = 9, .clusters = TM_NAMES("c1")},          ""},
    {"clusters",        {EVER, .limit = 9, .clusters = TM_NAMES("c1", "main")},           "6 5 4 3 2 1"},
    {"partial",         {EVER, .states = 1U << TM_POINT_IS_PARTIAL, .limit = 9},                                 "4"},
    {"complete",        {EVER, .states = 1U << TM_POINT_IS_COMPLETE, .limit = 9},                                 "6 5 3 2 1"},
    {"since",           {.since_ms = 3000, .until_ms = INT64_MAX, .limit = 9}, "6 5 4 3"},
    {"until",           {.since_ms = INT64_MIN, .until_ms = 3000, .limit = 9}, "2 1"},
    {"a topic",         {EVER, .limit = 9, .topics = TM_NAMES("logs")},               "6 5 4 2"},
    {"a topic's page",  {EVER, .limit = 2, .topics = TM_NAMES("logs"), .before = &five}, "4 2"},
    {"topic, policy",   {EVER, .limit = 9, .topics = TM_NAMES("logs"), .policies = TM_NAMES("p")}, "6 5 2"},
    {"topic always in", {EVER, .limit = 9, .topics = TM_NAMES("orders")},             "6 5 3 2 1"},
    {"topics",          {EVER, .limit = 9, .topics = TM_NAMES("log", "logs", "orders")},  "6 5 4 3 2 1"},
    {"topics, policies", {EVER, .limit = 9, .topics = TM_NAMES("logs", "x"), .policies = TM_NAMES("p", "q")}, "6 5 4 2"},
    {"no such topic",   {EVER, .limit = 9, .topics = TM_NAMES("log")},                ""},
};
/* clang-format on */

static void list(const struct rig *rig, const struct tm_point_query *query, struct tm_arena *arena,
        struct tm_point_line **lines, size_t *count)
{
    struct tm_err err = {0};
    ok(tm_catalog_points(rig->catalog, query, arena, lines, count, &err), &err);
}

START_TEST(a_list_gives_the_newest_points_that_match)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    add_points(&rig);
    struct tm_arena arena = {0};
    struct tm_point_line *lines = NULL;
    size_t count = 0;
    TM_BUF_OWN struct tm_buf got = {0};
    list(&rig, &lists[_i].query, &arena, &lines, &count);
    for (size_t i = 0; i < count; i++) {
        tm_buf_add_fmt(&got, "%s%d", i > 0 ? " " : "", (int)lines[i].row.id);
    }
    ck_assert_msg(strcmp(tm_buf_text(&got), lists[_i].ids) == 0, "%s: %s, not %s", lists[_i].why,
            tm_buf_text(&got), lists[_i].ids);
    tm_arena_done(&arena);
}
END_TEST

START_TEST(a_line_sums_what_is_stored_within_the_point)
{
    /* Of stream 1 partition 0, [100, 110) is a gap. */
    static const struct {
        int64_t topics;
        int64_t partitions;
        int64_t messages;
        int64_t source_bytes;
    } sums[] = {
            {2, 2, 140 + 60, 1400 + 600}, /* 2.1 went with the stream and did not come back */
            {2, 2, 140 + 60, 1400 + 600},
            {1, 1, 80, 800},
            {1, 1, 140, 1400},
            {2, 3, 140 + 40, 1400 + 400},
            {1, 1, 100, 1000},
    };
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    add_points(&rig);
    struct tm_arena arena = {0};
    struct tm_point_line *lines = NULL;
    size_t count = 0;
    list(&rig, &lists[0].query, &arena, &lines, &count);
    ck_assert_uint_eq(count, LENGTH(sums));
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(lines[i].topics, sums[i].topics);
        ck_assert_int_eq(lines[i].partitions, sums[i].partitions);
        ck_assert_int_eq(lines[i].messages, sums[i].messages);
        ck_assert_int_eq(lines[i].source_bytes, sums[i].source_bytes);
    }
    tm_arena_done(&arena);
}
END_TEST

START_TEST(a_line_carries_the_mark)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    EDITS_OWN struct tm_edits edits = entry("", 1);
    add_mark(&edits, 1, "kept", -1);
    rig_must(&rig, &edits);
    struct tm_arena arena = {0};
    struct tm_point_line *lines = NULL;
    size_t count = 0;
    list(&rig, &lists[0].query, &arena, &lines, &count);
    ck_assert_uint_eq(count, 1);
    ck_assert(tm_slice_is(lines[0].mark.note, "kept"));
    ck_assert_int_eq(lines[0].mark.hold_until_ms, -1);
    tm_arena_done(&arena);
}
END_TEST

START_TEST(totals_of_a_policy_are_over_all_its_points)
{
    static const struct {
        const char *policy;
        struct tm_point_totals totals;
    } asked[] = {{"p", {5, 1000, 6000}}, {"q", {1, 4000, 4000}}, {"x", {0, 0, 0}}};
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    add_points(&rig);
    for (size_t i = 0; i < LENGTH(asked); i++) {
        struct tm_point_totals got = {9, 9, 9};
        struct tm_err err = {0};
        ok(tm_catalog_point_totals(rig.catalog, asked[i].policy, &got, &err), &err);
        ck_assert_mem_eq(&got, &asked[i].totals, sizeof(got));
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("catalog_points");
    tcase_add_test(tcase, a_point_reads_whole);
    tcase_add_loop_test(tcase, removing_points_changes_no_other, 0, 64);
    tcase_add_test(tcase, rows_of_a_removed_point_go_to_the_next_one);
    tcase_add_test(tcase, a_new_point_follows_the_one_its_entry_removes);
    tcase_add_test(tcase, the_newest_point_is_that_of_cluster_and_policy);
    tcase_add_test(tcase, a_point_says_what_its_row_says);
    tcase_add_test(tcase, a_mark_replaces_the_one_before);
    tcase_add_test(tcase, a_mark_goes_with_its_point);
    tcase_add_loop_test(tcase, a_list_gives_the_newest_points_that_match, 0, (int)LENGTH(lists));
    tcase_add_test(tcase, a_line_sums_what_is_stored_within_the_point);
    tcase_add_test(tcase, a_line_carries_the_mark);
    tcase_add_test(tcase, totals_of_a_policy_are_over_all_its_points);

    Suite *suite = suite_create("catalog_points");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
