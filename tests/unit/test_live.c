/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/catalog/live: which runs points need, what depends on what, what may be dropped. */
#include "base/vec.h"
#include "catalog/live.h"
#include "catalog_rig.h"

static const int64_t now = INT64_C(100000000);

static void read_live(
        struct rig *rig, int64_t now_ms, const uint64_t *removed, size_t count, struct tm_live *out)
{
    struct tm_live_query query = {.now_ms = now_ms, .removed = removed, .removed_count = count};
    struct tm_err err = {0};
    ok(tm_live_read(rig->catalog, &query, out, &err), &err);
}

/* Packs that may be dropped, "1 2 ", with the given points gone. */
static void assert_dead_at(struct rig *rig, int64_t now_ms, const uint64_t *removed, size_t count,
        const char *expected)
{
    struct tm_live live = {0};
    TM_BUF_OWN struct tm_buf got = {0};
    read_live(rig, now_ms, removed, count, &live);
    uint64_t bytes = 0;
    size_t dead = 0;
    for (size_t i = 0; i < live.count; i++) {
        if (live.packs[i].dead) {
            tm_buf_add_fmt(&got, "%u ", live.packs[i].name.bytes[0]);
            bytes += live.packs[i].size;
            dead++;
        }
        ck_assert_ptr_eq(tm_live_find(&live, &live.packs[i].name), &live.packs[i]);
    }
    ck_assert_str_eq(tm_buf_text(&got), expected);
    ck_assert_uint_eq(live.dead_bytes, bytes);
    ck_assert_uint_eq(live.dead_count, dead);
    tm_live_done(&live);
}

static void assert_dead(
        struct rig *rig, const uint64_t *removed, size_t count, const char *expected)
{
    assert_dead_at(rig, now, removed, count, expected);
}

/* Packs 1, 2, 3 hold [0,100), [100,200), [200,300) of partition 0; points 1..3 end with them. */
static void fill(struct rig *rig, int64_t start2, int64_t start3)
{
    rig_start(rig);
    const int64_t starts[] = {0, start2, start3};
    for (unsigned i = 1; i <= 3; i++) {
        EDITS_OWN struct tm_edits edits = entry("p", 1000 * (int64_t)i);
        if (i == 1) {
            add_stream(&edits, 1, "c1", "orders", 1);
        }
        (void)add_run(add_pack(&edits, i), 1, 0, 100 * ((int64_t)i - 1), 100 * (int64_t)i);
        add_tail(&edits, 1, 0, 100 * (int64_t)i, 100 * (int64_t)i, 1);
        add_part(add_point(&edits, i, "p"), 1, 0, starts[i - 1], 100 * (int64_t)i);
        rig_must(rig, &edits);
    }
}

START_TEST(a_pack_lives_as_long_as_a_point_needs_it)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    fill(&rig, 100, 150);
    assert_dead(&rig, NULL, 0, "");
    assert_dead(&rig, (const uint64_t[]){1}, 1, "1 ");
    assert_dead(&rig, (const uint64_t[]){2}, 1, "");
    assert_dead(
            &rig, (const uint64_t[]){1, 2}, 2, "1 "); /* point 3 begins in the middle of pack 2 */
    assert_dead(&rig, (const uint64_t[]){3}, 1, "3 ");
    assert_dead(&rig, (const uint64_t[]){1, 2, 3}, 3, "1 2 3 ");

    struct tm_live live = {0};
    read_live(&rig, now, (const uint64_t[]){1}, 1, &live);
    ck_assert_int_eq(live.packs[0].dead_bytes, 1000);
    ck_assert_int_eq(live.packs[0].live_bytes, 0);
    ck_assert_int_eq(live.packs[1].live_bytes, 1000);
    ck_assert_int_eq(live.packs[1].stored_ms, 5002);
    ck_assert_uint_eq(live.packs[1].size, 1002);
    tm_live_done(&live);
}
END_TEST

START_TEST(a_row_speaks_for_the_points_after_it_until_the_next)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    fill(&rig, 100, 200);
    EDITS_OWN struct tm_edits same = entry("p", 5000);
    (void)add_point(&same, 4, "p"); /* as point 3: no row of its own */
    EDITS_OWN struct tm_edits gone = entry("p", 6000);
    add_gone(add_point(&gone, 5, "p"), 1);
    rig_must(&rig, &same);
    rig_must(&rig, &gone);
    assert_dead(&rig, (const uint64_t[]){3}, 1, "");
    assert_dead(&rig, (const uint64_t[]){3, 4}, 2, "3 "); /* point 5 no longer has the stream */
    assert_dead(&rig, (const uint64_t[]){4, 5}, 2, "");
}
END_TEST

START_TEST(a_point_of_another_policy_keeps_its_own)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    fill(&rig, 100, 200);
    EDITS_OWN struct tm_edits other = entry("q", 5000);
    add_part(add_point(&other, 4, "q"), 1, 0, 50, 150);
    rig_must(&rig, &other);
    assert_dead(&rig, (const uint64_t[]){1, 2, 3}, 3, "3 ");
    assert_dead(&rig, (const uint64_t[]){1, 4}, 2, "1 ");
}
END_TEST

START_TEST(progress_that_waits_for_its_point_lives)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    fill(&rig, 100, 200);
    EDITS_OWN struct tm_edits progress = entry("p", 5000);
    (void)add_run(add_pack(&progress, 4), 1, 0, 300, 350);
    (void)add_run(add_pack(&progress, 5), 1, 1, 0, 10); /* a partition no point has had */
    add_tail(&progress, 1, 0, 350, 300, 1);
    add_tail(&progress, 1, 1, 10, 0, 1);
    rig_must(&rig, &progress);
    assert_dead(&rig, (const uint64_t[]){1, 2, 3}, 3, "1 2 3 ");
}
END_TEST

START_TEST(an_archive_window_keeps_what_is_younger)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    fill(&rig, 100, 200);
    EDITS_OWN struct tm_edits keep = entry("p", 5000);
    add_keep(&keep, 1, "p", 10);
    add_keep(&keep, 1, "q", 20); /* the greatest counts */
    rig_must(&rig, &keep);
    const uint64_t all[] = {1, 2, 3}; /* stored at 5001, 5002, 5003 */
    assert_dead_at(&rig, 25000, all, 3, "");
    assert_dead_at(&rig, 25001, all, 3, "1 ");
    assert_dead_at(&rig, 25003, all, 3, "1 2 3 ");

    EDITS_OWN struct tm_edits longer = entry("p", 6000);
    add_keep(&longer, 1, "p", INT64_MAX);
    rig_must(&rig, &longer);
    assert_dead_at(&rig, INT64_MAX, all, 3, "");

    EDITS_OWN struct tm_edits none = entry("p", 7000);
    add_keep(&none, 1, "p", 0);
    add_keep(&none, 1, "q", 0);
    rig_must(&rig, &none);
    assert_dead_at(&rig, 25000, all, 3, "1 2 3 ");
}
END_TEST

START_TEST(what_a_pack_that_stays_depends_on_stays)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    fill(&rig, 100, 200);
    EDITS_OWN struct tm_edits more = entry("p", 5000);
    struct tm_row_pack *fourth = add_pack(&more, 4);
    (void)add_run(fourth, 1, 0, 300, 400);
    add_dep(fourth, 2);
    add_tail(&more, 1, 0, 400, 400, 1);
    add_part(add_point(&more, 4, "p"), 1, 0, 300, 400);
    rig_must(&rig, &more);
    EDITS_OWN struct tm_edits fifth = entry("p", 5500);
    struct tm_row_pack *pack = add_pack(&fifth, 5);
    (void)add_run(pack, 1, 0, 400, 500);
    add_dep(pack, 4);
    add_tail(&fifth, 1, 0, 500, 500, 1);
    add_part(add_point(&fifth, 5, "p"), 1, 0, 400, 500);
    rig_must(&rig, &fifth);
    assert_dead(&rig, (const uint64_t[]){1, 2, 3, 4}, 4, "1 3 "); /* 5 needs 4, which needs 2 */
    assert_dead(&rig, (const uint64_t[]){1, 2, 3, 4, 5}, 5, "1 2 3 4 5 ");

    EDITS_OWN struct tm_edits merge = entry("", 6000); /* 1 and 2 become 9: who needed 2 needs 9 */
    add_successor(drop_pack(&merge, 1), 9);
    add_successor(drop_pack(&merge, 2), 9);
    (void)add_run(add_pack(&merge, 9), 1, 0, 0, 200);
    rig_must(&rig, &merge);
    assert_dead(&rig, (const uint64_t[]){1, 2, 3}, 3, "3 ");
    assert_dead(&rig, (const uint64_t[]){1, 2, 3, 4, 5}, 5, "3 4 5 9 ");

    struct tm_live live = {0};
    read_live(&rig, now, NULL, 0, &live);
    for (size_t i = 0; i < live.count; i++) {
        unsigned name = live.packs[i].name.bytes[0];
        ck_assert_int_eq(live.packs[i].has_dependants, name == 9 || name == 4);
    }
    tm_live_done(&live);

    struct tm_arena arena = {0};
    struct tm_hash *names = NULL;
    size_t count = 0;
    struct tm_hash two = pack_name(2);
    struct tm_err err = {0};
    ok(tm_live_successors(rig.catalog, &two, &arena, &names, &count, &err), &err);
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(names[0].bytes[0], 9);
    tm_arena_done(&arena);
}
END_TEST

START_TEST(what_the_dead_packs_of_one_entry_need_goes_with_them)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    fill(&rig, 100, 200);
    EDITS_OWN struct tm_edits more = entry("p", 5000);
    struct tm_row_pack *fourth = add_pack(&more, 4);
    (void)add_run(fourth, 1, 0, 300, 400);
    add_dep(fourth, 1);
    add_tail(&more, 1, 0, 400, 400, 1);
    add_part(add_point(&more, 4, "p"), 1, 0, 300, 400);
    rig_must(&rig, &more);
    EDITS_OWN struct tm_edits drop = entry("", 6000);
    for (unsigned i = 1; i <= 4; i++) {
        remove_point(&drop, i);
        (void)drop_pack(&drop, i);
    }
    rig_must(&rig, &drop);
    struct tm_hash name = pack_name(4);
    enum tm_pack_fate fate = TM_PACK_UNKNOWN;
    int64_t time_ms = 0;
    struct tm_err err = {0};
    ok(tm_live_fate(rig.catalog, &name, &fate, &time_ms, &err), &err);
    ck_assert_int_eq(fate, TM_PACK_DROPPED);
    ck_assert_int_eq(time_ms, 6000);
    EDITS_OWN struct tm_edits sweep = entry("", 7000);
    sweep_pack(&sweep, 4);
    rig_must(&rig, &sweep);
    ok(tm_live_fate(rig.catalog, &name, &fate, &time_ms, &err), &err);
    ck_assert_int_eq(fate, TM_PACK_SWEPT);
    ck_assert_int_eq(time_ms, 7000);
    name = pack_name(77);
    ok(tm_live_fate(rig.catalog, &name, &fate, &time_ms, &err), &err);
    ck_assert_int_eq(fate, TM_PACK_UNKNOWN);
}
END_TEST

/* A random history against the plain reading of its points ---------------------------------- */

enum { PARTS = 4, STEPS = 60 };

struct history {
    uint64_t seed;
    uint64_t last_point;
    int64_t next[PARTS];
    int64_t start[PARTS];
    TM_VEC(uint64_t) points; /* that are there */
};

static uint32_t below(struct history *history, uint32_t bound)
{
    history->seed = history->seed * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(history->seed >> 33) % bound;
}

static void grow(struct rig *rig, struct history *history, unsigned step)
{
    EDITS_OWN struct tm_edits edits = entry(below(history, 3) == 0 ? "q" : "p", 1000 + step);
    struct tm_row_pack *pack = add_pack(&edits, step);
    bool point = below(history, 4) != 0;
    struct tm_row_point *row = NULL;
    if (point) {
        row = add_point(
                &edits, history->last_point + 1, tm_slice_is(edits.policy, "q") ? "q" : "p");
        row->ulid = id16(1000 + step);
        history->last_point++;
        *tm_vec_push(&history->points) = history->last_point;
        if (below(history, 8) == 0) {
            add_gone(row, 1);
        }
    }
    for (int p = 0; p < PARTS; p++) {
        int64_t length = below(history, 3) == 0 ? 0 : 1 + below(history, 20);
        if (length > 0) {
            (void)add_run(pack, 1, p, history->next[p], history->next[p] + length);
            history->next[p] += length;
        }
        int64_t room = history->next[p] - history->start[p];
        history->start[p] += room > 0 ? below(history, (uint32_t)room + 1) / 2 : 0;
        struct tm_row_tail old = tail_of(rig, 1, p);
        bool named = point && below(history, 3) != 0;
        add_tail(&edits, 1, p, history->next[p], named ? history->next[p] : old.covered,
                history->next[p] > 0 ? 1 : 0);
        if (length == 0 && old.next >= 0) {
            struct tm_row_tail *tail = &edits.tails.at[edits.tails.count - 1];
            int64_t covered = tail->covered;
            *tail = old;
            tail->stream = 1;
            tail->covered = covered;
        }
        if (named) {
            add_part(row, 1, p, history->start[p], history->next[p]);
        }
    }
    rig_must(rig, &edits);
}

/* By reading each point as a whole. */
static bool is_needed(struct rig *rig, const struct tm_run *run, const uint64_t *retained,
        const struct tm_id16 *ulids, size_t count)
{
    bool needed = run->first + run->length > tail_of(rig, run->stream, run->partition).covered;
    for (size_t i = 0; !needed && i < count; i++) {
        struct tm_arena arena = {0};
        struct tm_point point = {0};
        struct tm_err err = {0};
        ok(tm_catalog_point(rig->catalog, &ulids[i], &arena, &point, &err), &err);
        ck_assert_uint_eq(point.row.id, retained[i]);
        for (size_t p = 0; p < point.row.part_count; p++) {
            const struct tm_row_part *part = &point.row.parts[p];
            needed = needed ||
                     (part->partition == run->partition && part->start < part->end &&
                             part->start < run->first + run->length && run->first < part->end);
        }
        tm_arena_done(&arena);
    }
    return needed;
}

static struct tm_id16 ulid_of(struct rig *rig, uint64_t id)
{
    struct tm_point_query query = {.since_ms = INT64_MIN, .until_ms = INT64_MAX, .limit = 1000};
    struct tm_arena arena = {0};
    struct tm_point_line *lines = NULL;
    size_t count = 0;
    struct tm_err err = {0};
    struct tm_id16 ulid = {{0}};
    ok(tm_catalog_points(rig->catalog, &query, &arena, &lines, &count, &err), &err);
    for (size_t i = 0; i < count; i++) {
        ulid = lines[i].row.id == id ? lines[i].row.ulid : ulid;
    }
    tm_arena_done(&arena);
    return ulid;
}

static void compare(struct rig *rig, struct history *history)
{
    uint64_t removed[STEPS + 1];
    uint64_t retained[STEPS + 1];
    struct tm_id16 ulids[STEPS + 1];
    size_t removed_count = 0;
    size_t retained_count = 0;
    for (size_t i = 0; i < history->points.count; i++) {
        uint64_t id = history->points.at[i];
        if (below(history, 2) == 0) {
            removed[removed_count++] = id;
        } else {
            ulids[retained_count] = ulid_of(rig, id);
            retained[retained_count++] = id;
        }
    }
    struct tm_live live = {0};
    struct tm_arena arena = {0};
    struct tm_live_run *runs = NULL;
    size_t count = 0;
    struct tm_err err = {0};
    read_live(rig, now, removed, removed_count, &live);
    TM_VEC(struct tm_hash) names = {0};
    for (size_t i = 0; i < live.count; i++) {
        *tm_vec_push(&names) = live.packs[i].name;
    }
    struct tm_live_query query = {
            .now_ms = now, .removed = removed, .removed_count = removed_count};
    ok(tm_live_runs(rig->catalog, &query, names.at, names.count, &arena, &runs, &count, &err),
            &err);
    ck_assert_uint_gt(count, 0);
    for (size_t i = 0; i < count; i++) {
        bool needed = is_needed(rig, &runs[i].run, retained, ulids, retained_count);
        ck_assert_msg(runs[i].live == needed, "partition %d [%d, %d): %d, not %d",
                runs[i].run.partition, (int)runs[i].run.first,
                (int)(runs[i].run.first + runs[i].run.length), runs[i].live, needed);
        const struct tm_live_pack *pack = tm_live_find(&live, &runs[i].pack);
        ck_assert(!needed || !pack->dead);
    }
    tm_vec_done(&names);
    tm_arena_done(&arena);
    tm_live_done(&live);
}

START_TEST(a_random_history_reads_the_same_point_by_point)
{
    struct history history = {.seed = (uint64_t)_i + 1};
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_start(&rig);
    EDITS_OWN struct tm_edits first = entry("p", 500);
    add_stream(&first, 1, "c1", "orders", 1);
    rig_must(&rig, &first);
    for (unsigned step = 1; step <= STEPS; step++) {
        grow(&rig, &history, step);
        if (history.points.count > 6 && below(&history, 5) == 0) {
            EDITS_OWN struct tm_edits edits = entry("", 1000 + step);
            size_t index = below(&history, (uint32_t)history.points.count - 1);
            remove_point(&edits, history.points.at[index]);
            memmove(&history.points.at[index], &history.points.at[index + 1],
                    (history.points.count - index - 1) * sizeof(uint64_t));
            history.points.count--;
            rig_must(&rig, &edits);
        }
        if (step % 20 == 0) {
            compare(&rig, &history);
        }
    }
    tm_vec_done(&history.points);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("live");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_pack_lives_as_long_as_a_point_needs_it);
    tcase_add_test(tcase, a_row_speaks_for_the_points_after_it_until_the_next);
    tcase_add_test(tcase, a_point_of_another_policy_keeps_its_own);
    tcase_add_test(tcase, progress_that_waits_for_its_point_lives);
    tcase_add_test(tcase, an_archive_window_keeps_what_is_younger);
    tcase_add_test(tcase, what_a_pack_that_stays_depends_on_stays);
    tcase_add_test(tcase, what_the_dead_packs_of_one_entry_need_goes_with_them);
    tcase_add_loop_test(tcase, a_random_history_reads_the_same_point_by_point, 0, 10);
    Suite *suite = suite_create("live");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
