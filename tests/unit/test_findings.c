/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/catalog/findings: what is kept of damage, and which points it touches. */
#include <check.h>

#include "catalog/content.h"
#include "catalog/findings.h"
#include "catalog_rig.h"

/* Policies p and q over stream 2, which leaves the points of p and comes back; see the comments. */
static void add_points(struct rig *rig)
{
    EDITS_OWN struct tm_edits edits = entry("p", 9000);
    (void)add_run(add_pack(&edits, 3), 2, 0, 0, 200);
    add_tail(&edits, 1, 0, 150, 150, 1);
    add_tail(&edits, 2, 0, 200, 200, 1);
    add_part(add_point(&edits, 2, "p"), 2, 0, 0, 40);
    add_part(add_point(&edits, 3, "p"), 2, 0, 10, 60);
    add_gone(add_point(&edits, 4, "p"), 2);
    add_part(add_point(&edits, 5, "q"), 2, 0, 30, 80);
    (void)add_point(&edits, 6, "p"); /* nothing changed */
    struct tm_row_point *back = add_point(&edits, 7, "p");
    add_part(back, 2, 0, 50, 100);
    add_part(back, 1, 0, 20, 150);
    struct tm_row_point *again = add_point(&edits, 8, "p");
    add_gone(again, 2);
    add_part(again, 2, 0, 90, 200);
    (void)add_point(&edits, 9, "q");
    rig_must(rig, &edits);
}

static struct rig filled(void)
{
    struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    add_points(&rig);
    return rig;
}

static void put(struct rig *rig, unsigned pack, const struct tm_finding *findings, size_t count)
{
    struct tm_err err = {0};
    struct tm_hash name = pack > 0 ? pack_name(pack) : (struct tm_hash){{0}};
    ok(tm_findings_put(rig->catalog, &name, 1234, findings, count, &err), &err);
}

static struct tm_finding finding(uint32_t stream, int32_t partition, int64_t first, int64_t end)
{
    return (struct tm_finding){
            .kind = TM_FINDING_CORRUPT_PACK,
            .block = 7,
            .stream = stream,
            .partition = partition,
            .first = first,
            .length = end - first,
            .detail = "broken",
    };
}

/* The model: a point is damaged when one of its rows as read meets the range. */
static bool meets(const struct rig *rig, unsigned point, const struct tm_finding *finding)
{
    struct tm_arena arena = {0};
    struct tm_point got = {0};
    struct tm_err err = {0};
    struct tm_id16 ulid = id16(point);
    bool met = false;
    ok(tm_catalog_point(rig->catalog, &ulid, &arena, &got, &err), &err);
    for (size_t i = 0; i < got.row.part_count; i++) {
        const struct tm_row_part *part = &got.row.parts[i];
        met |= part->stream == finding->stream && part->partition == finding->partition &&
               part->start < finding->first + finding->length && part->end > finding->first;
    }
    tm_arena_done(&arena);
    return met;
}

static bool is_damaged(const struct rig *rig, unsigned point)
{
    struct tm_arena arena = {0};
    struct tm_point got = {0};
    struct tm_err err = {0};
    struct tm_id16 ulid = id16(point);
    ok(tm_catalog_point(rig->catalog, &ulid, &arena, &got, &err), &err);
    tm_arena_done(&arena);
    return got.damaged;
}

/* The damaged points by number, "2 3 5", from the newest; by a list, and by tm_findings_points(). */
static void listed(const struct rig *rig, bool whole, struct tm_buf *out)
{
    struct tm_arena arena = {0};
    struct tm_point_line *lines = NULL;
    struct tm_point_query query = {
            .since_ms = INT64_MIN,
            .until_ms = INT64_MAX,
            .states = whole ? 1U << TM_POINT_IS_COMPLETE | 1U << TM_POINT_IS_PARTIAL
                            : 1U << TM_POINT_IS_DAMAGED,
            .limit = 100,
    };
    struct tm_err err = {0};
    size_t count = 0;
    ok(tm_catalog_points(rig->catalog, &query, &arena, &lines, &count, &err), &err);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(lines[i].damaged, !whole);
        tm_buf_add_fmt(out, "%s%d", i > 0 ? " " : "", (int)lines[i].row.id);
    }
    tm_arena_done(&arena);
}

static void assert_listed(const struct rig *rig, const char *damaged, const char *whole)
{
    TM_BUF_OWN struct tm_buf found = {0};
    TM_BUF_OWN struct tm_buf rest = {0};
    listed(rig, false, &found);
    listed(rig, true, &rest);
    ck_assert_str_eq(tm_buf_text(&found), damaged);
    ck_assert_str_eq(tm_buf_text(&rest), whole);
}

START_TEST(a_finding_damages_the_points_that_have_its_range)
{
    static const struct {
        struct tm_finding at;
        const char *points;
    } cases[] = {
            {{.stream = 2, .first = 0, .length = 1}, "2"},
            {{.stream = 2, .first = 9, .length = 1}, "2"},
            {{.stream = 2, .first = 10, .length = 1}, "3 2"},
            {{.stream = 2, .first = 39, .length = 1}, "9 5 3 2"},
            {{.stream = 2, .first = 40, .length = 1}, "9 5 3"},
            {{.stream = 2, .first = 60, .length = 10}, "9 7 5"},
            {{.stream = 2, .first = 90, .length = 10}, "8 7"},
            {{.stream = 2, .first = 100, .length = 100}, "8"},
            {{.stream = 2, .first = 200, .length = 1}, ""},
            {{.stream = 2, .partition = 1, .first = 0, .length = 100}, ""},
            {{.stream = 1, .first = 0, .length = 20}, "6 4 3 2 1"},
            {{.stream = 1, .first = 149, .length = 1}, "8 7"},
            {{.stream = 4, .first = 0, .length = 1}, ""},
    };
    RIG_OWN struct rig rig = filled();
    struct tm_finding at = cases[_i].at;
    at.kind = TM_FINDING_CORRUPT_PACK;
    at.detail = "";
    put(&rig, 3, &at, 1);
    TM_BUF_OWN struct tm_buf found = {0};
    listed(&rig, false, &found);
    ck_assert_str_eq(tm_buf_text(&found), cases[_i].points);
    struct tm_err err = {0};
    int64_t count = 0;
    ok(tm_findings_points_of(
               rig.catalog, at.stream, at.partition, at.first, at.first + at.length, &count, &err),
            &err);
    size_t expected = 0;
    for (unsigned point = 1; point <= 9; point++) {
        ck_assert_int_eq(is_damaged(&rig, point), meets(&rig, point, &at));
        expected += meets(&rig, point, &at);
    }
    ck_assert_int_eq(count, (int64_t)expected);
}
END_TEST

/* Many sets of points that can be removed: rows move to others, and those are still right. */
START_TEST(damage_follows_rows_that_moved)
{
    RIG_OWN struct rig rig = filled();
    EDITS_OWN struct tm_edits edits = entry("", 10000);
    unsigned set = (unsigned)_i * 73 % 512;
    for (unsigned point = 1; point <= 9; point++) {
        if ((set >> (point - 1) & 1) != 0) {
            remove_point(&edits, point);
        }
    }
    rig_must(&rig, &edits);
    for (int64_t first = 0; first < 200; first += 10) {
        struct tm_finding at = finding(2, 0, first, first + 5);
        put(&rig, 3, &at, 1);
        for (unsigned point = 1; point <= 9; point++) {
            ck_assert_msg(is_damaged(&rig, point) == meets(&rig, point, &at),
                    "set %x, point %u, offset %d", set, point, (int)first);
        }
    }
}
END_TEST

START_TEST(findings_of_a_pack_take_the_place_of_older_ones)
{
    RIG_OWN struct rig rig = filled();
    struct tm_finding two[] = {finding(2, 0, 0, 5), finding(2, 0, 30, 35)};
    struct tm_arena arena = {0};
    struct tm_finding *found = NULL;
    struct tm_err err = {0};
    size_t count = 0;
    put(&rig, 3, two, 2);
    assert_listed(&rig, "9 5 3 2", "8 7 6 4 1");
    put(&rig, 3, two, 1);
    ok(tm_findings_list(rig.catalog, NULL, &arena, &found, &count, &err), &err);
    ck_assert_uint_eq(count, 1);
    struct tm_hash name = pack_name(3);
    ck_assert(tm_hash_eq(&found->pack, &name));
    ck_assert_int_eq(found->kind, TM_FINDING_CORRUPT_PACK);
    ck_assert_str_eq(tm_finding_kind_name(found->kind), "corrupt_pack");
    ck_assert_int_eq(found->block, 7);
    ck_assert_int_eq(found->length, 5);
    ck_assert_int_eq(found->found_ms, 1234);
    ck_assert_str_eq(found->detail, "broken");
    put(&rig, 3, NULL, 0);
    assert_listed(&rig, "", "9 8 7 6 5 4 3 2 1");
    tm_arena_done(&arena);
}
END_TEST

START_TEST(a_finding_of_no_pack_counts_and_one_of_a_pack_that_is_gone_does_not)
{
    RIG_OWN struct rig rig = filled();
    struct tm_finding at = finding(2, 0, 0, 5);
    struct tm_err err = {0};
    int64_t count = 0;
    put(&rig, 0, &at, 1);
    put(&rig, 99, &at, 1); /* a pack that the fold does not have */
    ok(tm_findings_count(rig.catalog, &count, &err), &err);
    ck_assert_int_eq(count, 1);
    ok(tm_findings_tidy(rig.catalog, &err), &err);
    assert_listed(&rig, "2", "9 8 7 6 5 4 3 1");

    put(&rig, 0, NULL, 0);
    struct tm_finding whole = finding(1, 0, 0, 100);
    put(&rig, 1, &whole, 1);
    assert_listed(&rig, "8 7 6 4 3 2 1", "9 5");
    EDITS_OWN struct tm_edits edits = entry("", 10000);
    (void)drop_pack(&edits, 1);
    rig_must(&rig, &edits);
    assert_listed(&rig, "", "9 8 7 6 5 4 3 2 1");
    ok(tm_findings_count(rig.catalog, &count, &err), &err);
    ck_assert_int_eq(count, 0);
}
END_TEST

START_TEST(findings_outlive_a_reset_of_the_fold)
{
    RIG_OWN struct rig rig = filled();
    struct tm_finding at = finding(2, 0, 0, 5);
    struct tm_err err = {0};
    put(&rig, 3, &at, 1);
    ok(rig.fold.ops->reset(rig.fold.self, &err), &err);
    rig_fill(&rig);
    add_points(&rig);
    assert_listed(&rig, "2", "9 8 7 6 5 4 3 1");
}
END_TEST

START_TEST(packs_come_least_recently_looked_at_first)
{
    RIG_OWN struct rig rig = filled();
    struct tm_arena arena = {0};
    struct tm_kept_pack *packs = NULL;
    struct tm_err err = {0};
    size_t count = 0;
    put(&rig, 1, NULL, 0);
    ok(tm_findings_packs(rig.catalog, true, &arena, &packs, &count, &err), &err);
    ck_assert_uint_eq(count, 3);
    const unsigned order[] = {2, 3, 1};
    for (size_t i = 0; i < count; i++) {
        struct tm_hash name = pack_name(order[i]);
        ck_assert(tm_hash_eq(&packs[i].name, &name));
        ck_assert_uint_eq(packs[i].size, 1000 + order[i]);
        ck_assert_int_eq(packs[i].looked_ms, order[i] == 1 ? 1234 : 0);
    }
    struct tm_kept_pack one = {.size = 9};
    struct tm_hash name = pack_name(2);
    ok(tm_findings_pack(rig.catalog, &name, &one, &err), &err);
    ck_assert_uint_eq(one.size, 1002);
    name = pack_name(50);
    ok(tm_findings_pack(rig.catalog, &name, &one, &err), &err);
    ck_assert_uint_eq(one.size, 0);
    struct tm_run *runs = NULL;
    name = pack_name(1);
    ok(tm_findings_pack_runs(rig.catalog, &name, &arena, &runs, &count, &err), &err);
    ck_assert_uint_eq(count, 2);
    ck_assert_int_eq(runs[1].partition, 1);
    ck_assert_int_eq(runs[1].first, 50);
    tm_arena_done(&arena);
}
END_TEST

START_TEST(dependants_and_loose_ends_are_found_through_moves)
{
    RIG_OWN struct rig rig = filled();
    EDITS_OWN struct tm_edits merge =
            entry("", 10000); /* 5 takes the place of 1, on which 4 depends */
    EDITS_OWN struct tm_edits edits = entry("p", 9500);
    struct tm_row_pack *pack = add_pack(&edits, 4);
    (void)add_run(pack, 2, 0, 200, 210);
    add_dep(pack, 1);
    add_tail(&edits, 2, 0, 210, 200, 1);
    rig_must(&rig, &edits);
    add_successor(drop_pack(&merge, 1), 5);
    struct tm_row_pack *merged = add_pack(&merge, 5);
    (void)add_run(merged, 1, 0, 0, 100);
    rig_must(&rig, &merge);

    struct tm_arena arena = {0};
    struct tm_hash *names = NULL;
    struct tm_loose_dep *loose = NULL;
    struct tm_err err = {0};
    size_t count = 0;
    struct tm_hash name = pack_name(5);
    struct tm_hash dependant = pack_name(4);
    ok(tm_findings_dependants(rig.catalog, &name, &arena, &names, &count, &err), &err);
    ck_assert_uint_eq(count, 1);
    ck_assert(tm_hash_eq(names, &dependant));
    ok(tm_findings_loose_deps(rig.catalog, &arena, &loose, &count, &err), &err);
    ck_assert_uint_eq(count, 0);
    ok(tm_sql_exec(rig.catalog->sql, "DELETE FROM moved", &err), &err);
    ok(tm_findings_loose_deps(rig.catalog, &arena, &loose, &count, &err), &err);
    ck_assert_uint_eq(count, 1);
    struct tm_hash target = pack_name(1);
    ck_assert(tm_hash_eq(&loose->pack, &dependant));
    ck_assert(tm_hash_eq(&loose->target, &target));
    tm_arena_done(&arena);
}
END_TEST

static struct tm_looked looked_at(struct rig *rig, const struct tm_row_part *parts, size_t count)
{
    struct tm_looked looked = {9, 9, 9};
    struct tm_err err = {0};
    ok(tm_findings_looked(rig->catalog, parts, count, &looked, &err), &err);
    return looked;
}

START_TEST(a_point_is_verified_once_all_that_it_needs_was_looked_at)
{
    RIG_OWN struct rig rig =
            filled(); /* 1: (1, 0) [0, 100), (1, 1); 2: (1, 0) [110, 150); 3: (2, 0) */
    const struct tm_row_part parts[] = {
            {.stream = 1, .partition = 0, .start = 0, .end = 110},
            {.stream = 1, .partition = 1, .start = 50, .end = 60},
            {.stream = 2, .partition = 0, .start = 10, .end = 60},
    };
    struct tm_looked looked = looked_at(&rig, parts, 3);
    ck_assert_int_eq(looked.packs, 2); /* nothing of pack 2 */
    ck_assert_int_eq(looked.never, 2);
    ck_assert_int_eq(looked.oldest_ms, 0);
    put(&rig, 1, NULL, 0);
    looked = looked_at(&rig, parts, 3);
    ck_assert_int_eq(looked.never, 1);
    ck_assert_int_eq(looked.oldest_ms, 1234);
    struct tm_err err = {0};
    struct tm_hash third = pack_name(3);
    ok(tm_findings_put(rig.catalog, &third, 1000, NULL, 0, &err), &err);
    looked = looked_at(&rig, parts, 3);
    ck_assert_int_eq(looked.never, 0);
    ck_assert_int_eq(looked.oldest_ms, 1000);
    looked = looked_at(&rig, parts, 0);
    ck_assert_int_eq(looked.packs, 0);
    const struct tm_row_part edge = {.stream = 1, .partition = 0, .start = 100, .end = 110};
    ck_assert_int_eq(looked_at(&rig, &edge, 1).packs, 0); /* up to it, and from it on */
}
END_TEST

/* A block may name the pack in which its records are, and that may be another one by now. */
START_TEST(what_a_pack_refers_to_has_to_be_looked_at_too)
{
    RIG_OWN struct rig rig = filled();
    EDITS_OWN struct tm_edits edits = entry("p", 9500);
    EDITS_OWN struct tm_edits merge = entry("", 10000);
    struct tm_row_pack *pack = add_pack(&edits, 4);
    (void)add_run(pack, 2, 0, 200, 210);
    add_dep(pack, 1);
    add_tail(&edits, 2, 0, 210, 200, 1);
    rig_must(&rig, &edits);
    const struct tm_row_part part = {.stream = 2, .partition = 0, .start = 200, .end = 210};
    put(&rig, 4, NULL, 0);
    ck_assert_int_eq(looked_at(&rig, &part, 1).packs, 2);
    ck_assert_int_eq(looked_at(&rig, &part, 1).never, 1);
    put(&rig, 1, NULL, 0);
    ck_assert_int_eq(looked_at(&rig, &part, 1).never, 0);
    add_successor(drop_pack(&merge, 1), 5);
    (void)add_run(add_pack(&merge, 5), 1, 0, 0, 100);
    rig_must(&rig, &merge);
    ck_assert_int_eq(looked_at(&rig, &part, 1).packs, 2);
    ck_assert_int_eq(looked_at(&rig, &part, 1).never, 1); /* 5 was not */
}
END_TEST

START_TEST(content_of_a_damaged_pack_is_not_found)
{
    char path[128];
    rig_temp_path(path);
    RIG_OWN struct rig rig = rig_open(path);
    rig_fill(&rig);
    struct tm_content *content = NULL;
    struct tm_hash id = pack_name(200);
    struct tm_hash pack = pack_name(1);
    struct tm_err err = {0};
    bool found = false;
    ok(tm_content_open(rig.catalog, &content, &err), &err);
    ok(tm_content_add(content, &pack, &id, 1, &err), &err);
    ok(tm_content_find(content, &id, &found, &pack, &err), &err);
    ck_assert(found);
    struct tm_finding whole = finding(1, 0, 0, 100);
    put(&rig, 1, &whole, 1);
    ok(tm_content_find(content, &id, &found, &pack, &err), &err);
    ck_assert(!found);
    tm_content_close(content);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("findings");
    TCase *tcase = tcase_create("findings");
    tcase_add_loop_test(tcase, a_finding_damages_the_points_that_have_its_range, 0, 13);
    tcase_add_loop_test(tcase, damage_follows_rows_that_moved, 0, 100);
    tcase_add_test(tcase, findings_of_a_pack_take_the_place_of_older_ones);
    tcase_add_test(tcase, a_finding_of_no_pack_counts_and_one_of_a_pack_that_is_gone_does_not);
    tcase_add_test(tcase, findings_outlive_a_reset_of_the_fold);
    tcase_add_test(tcase, packs_come_least_recently_looked_at_first);
    tcase_add_test(tcase, dependants_and_loose_ends_are_found_through_moves);
    tcase_add_test(tcase, a_point_is_verified_once_all_that_it_needs_was_looked_at);
    tcase_add_test(tcase, what_a_pack_refers_to_has_to_be_looked_at_too);
    tcase_add_test(tcase, content_of_a_damaged_pack_is_not_found);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
