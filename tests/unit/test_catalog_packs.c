/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/catalog: packs that are merged, repaired, dropped and swept, and who depends on them. */
#include <check.h>

#include "catalog_rig.h"

static const int64_t day_ms = INT64_C(86400000);

/* Merges ----------------------------------------------------------------------------------- */

START_TEST(a_merge_moves_runs_and_no_watermark)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    EDITS_OWN struct tm_edits grow_on = entry("p", 4000);
    (void)add_run(add_pack(&grow_on, 3), 1, 0, 150, 160);
    add_tail(&grow_on, 1, 0, 160, 110, 1);
    rig_must(&rig, &grow_on);

    EDITS_OWN struct tm_edits merge = entry("", 5000);
    add_successor(drop_pack(&merge, 2), 9);
    add_successor(drop_pack(&merge, 3), 9);
    (void)add_run(add_pack(&merge, 9), 1, 0, 110, 160); /* the join of both */
    rig_must(&rig, &merge);
    assert_ranges(&rig, 1, 0, 0, 1000, "[0,100)1 [110,160)9 (100,110)1 ");
    ck_assert_int_eq(tail_of(&rig, 1, 0).next, 160);

    struct tm_vault_totals totals = {0};
    struct tm_err err = {0};
    ok(tm_catalog_vault_totals(rig.catalog, &totals, &err), &err);
    ck_assert_int_eq(totals.packs, 2);
    ck_assert_int_eq(totals.stored_bytes, 1001 + 1009);
    ck_assert_int_gt(totals.database_bytes, 4096);
}
END_TEST

START_TEST(a_repair_records_what_is_lost)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    EDITS_OWN struct tm_edits repair = entry("", 5000);
    add_successor(drop_pack(&repair, 1), 9);
    struct tm_row_pack *pack = add_pack(&repair, 9);
    (void)add_run(pack, 1, 0, 0, 30);
    (void)add_run(pack, 1, 0, 60, 100);
    add_gap(&repair, 1, 0, 30, 60, TM_GAP_LOST_IN_VAULT);
    rig_must(&rig, &repair);
    assert_ranges(&rig, 1, 0, 0, 120, "[0,30)9 [60,100)9 [110,150)2 (30,60)6 (100,110)1 ");

    EDITS_OWN struct tm_edits all = entry("", 6000);
    (void)drop_pack(&all, 2); /* nothing of it could be saved */
    add_gap(&all, 1, 0, 110, 150, TM_GAP_LOST_IN_VAULT);
    rig_must(&rig, &all);
    assert_ranges(&rig, 1, 0, 100, 200, "(100,110)1 (110,150)6 ");
}
END_TEST

/* Packs that are no more --------------------------------------------------------------------- */

/* The lists of a full, as "dropped 1 2 moved 1>9 swept 3". */
static void assert_past(const struct rig *rig, int64_t now_ms, const char *expected)
{
    EDITS_OWN struct tm_edits edits = rig_dump(rig, now_ms);
    TM_BUF_OWN struct tm_buf got = {0};
    tm_buf_add_text(&got, "dropped");
    for (size_t i = 0; i < edits.dropped.count; i++) {
        tm_buf_add_fmt(&got, " %d", edits.dropped.at[i].name.bytes[0]);
    }
    tm_buf_add_text(&got, " moved");
    for (size_t i = 0; i < edits.moved.count; i++) {
        tm_buf_add_fmt(&got, " %d", edits.moved.at[i].name.bytes[0]);
        for (size_t s = 0; s < edits.moved.at[i].successor_count; s++) {
            tm_buf_add_fmt(&got, ">%d", edits.moved.at[i].successors[s].bytes[0]);
        }
    }
    tm_buf_add_text(&got, " swept");
    for (size_t i = 0; i < edits.swept.count; i++) {
        tm_buf_add_fmt(&got, " %d", edits.swept.at[i].name.bytes[0]);
    }
    ck_assert_str_eq(tm_buf_text(&got), expected);
}

/* Replace `old` by `fresh`, with no runs. */
static void move_pack(struct rig *rig, unsigned old, unsigned fresh, int64_t time_ms)
{
    EDITS_OWN struct tm_edits edits = entry("", time_ms);
    add_successor(drop_pack(&edits, old), fresh);
    (void)add_pack(&edits, fresh);
    rig_must(rig, &edits);
}

static void sweep(struct rig *rig, unsigned pack, int64_t time_ms)
{
    EDITS_OWN struct tm_edits edits = entry("", time_ms);
    sweep_pack(&edits, pack);
    rig_must(rig, &edits);
}

START_TEST(what_became_of_a_pack_is_kept_while_it_may_be_asked_for)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    EDITS_OWN struct tm_edits depends = entry("", 0);
    add_dep(add_pack(&depends, 20), 1); /* pack 20 has content in pack 1 */
    (void)add_pack(&depends, 30);
    rig_must(&rig, &depends);
    move_pack(&rig, 1, 2 + 8, 0); /* 1 > 10 > 11, and 30 > 31 */
    move_pack(&rig, 10, 11, 0);
    move_pack(&rig, 30, 31, 0);
    assert_past(&rig, 400 * day_ms, "dropped 1 10 30 moved 1>10 10>11 30>31 swept");

    sweep(&rig, 1, day_ms);
    sweep(&rig, 10, day_ms);
    sweep(&rig, 30, day_ms);
    sweep(&rig, 99, day_ms); /* an orphan: no entry ever named it */
    assert_past(&rig, 31 * day_ms, "dropped moved 1>10 10>11 30>31 swept 1 10 30 99");
    /* Nothing depends on 30; 20 depends on 1, and by way of it on 10. */
    assert_past(&rig, 31 * day_ms + 1, "dropped moved 1>10 10>11 swept");
    /* A dump takes nothing away. */
    assert_past(&rig, 31 * day_ms, "dropped moved 1>10 10>11 30>31 swept 1 10 30 99");

    EDITS_OWN struct tm_edits drop = entry("", 2 * day_ms);
    (void)drop_pack(&drop, 20);
    rig_must(&rig, &drop);
    assert_past(&rig, 32 * day_ms, "dropped 20 moved swept");
}
END_TEST

START_TEST(a_pack_swept_again_is_swept_anew)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    sweep(&rig, 99, 0); /* an orphan that could not be deleted then */
    sweep(&rig, 99, 10 * day_ms);
    assert_past(&rig, 40 * day_ms, "dropped moved swept 99");
    assert_past(&rig, 40 * day_ms + 1, "dropped moved swept");
}
END_TEST

START_TEST(moves_out_of_use_go_together_whatever_their_names)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    EDITS_OWN struct tm_edits edits = entry("", 0);
    (void)add_pack(&edits, 50);
    rig_must(&rig, &edits);
    for (unsigned pack = 50; pack > 20; pack -= 10) { /* 50 > 40 > 30 > 20 */
        move_pack(&rig, pack, pack - 10, 0);
        sweep(&rig, pack, day_ms);
    }
    assert_past(&rig, 31 * day_ms, "dropped moved 30>20 40>30 50>40 swept 30 40 50");
    assert_past(&rig, 31 * day_ms + 1, "dropped moved swept");
}
END_TEST

START_TEST(a_full_prunes_the_fold_it_is_applied_to)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    move_pack(&rig, 1, 10, 0);
    sweep(&rig, 1, day_ms);
    EDITS_OWN struct tm_edits full = rig_dump(&rig, 40 * day_ms);
    rig_must(&rig, &full);
    assert_past(&rig, 0, "dropped moved swept");
}
END_TEST

START_TEST(a_name_is_not_used_again)
{
    static const struct {
        unsigned pack;
        const char *message;
    } used[] = {
            {1, "pack 0101010101010101 is new, but is already dropped"},
            {2, "pack 0202020202020202 is new, but is already swept"},
            {10, "pack 0a0a0a0a0a0a0a0a is new, but is already held"},
            {40, "pack 2828282828282828 is new, but is already moved"},
    };
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    EDITS_OWN struct tm_edits depends = entry("", 0);
    (void)add_pack(&depends, 40);
    add_dep(add_pack(&depends, 41), 40);
    rig_must(&rig, &depends);
    move_pack(&rig, 40, 42, 0);
    sweep(&rig, 40, day_ms);
    EDITS_OWN struct tm_edits full = rig_dump(&rig, 40 * day_ms);
    rig_must(&rig, &full); /* 40 is no longer known as swept */
    move_pack(&rig, 1, 10, 41 * day_ms);
    move_pack(&rig, 2, 11, 41 * day_ms);
    sweep(&rig, 2, 42 * day_ms);
    for (size_t i = 0; i < LENGTH(used); i++) {
        EDITS_OWN struct tm_edits edits = entry("", 43 * day_ms);
        (void)add_pack(&edits, used[i].pack);
        struct tm_entry_place place = rig_place(&rig, false);
        assert_refused(&rig, &place, &edits, TM_E_CORRUPT, used[i].message);
    }
}
END_TEST

START_TEST(dependencies_are_found_where_packs_moved_to)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    move_pack(&rig, 1, 10, 0);
    EDITS_OWN struct tm_edits depends = entry("", 1);
    add_dep(add_pack(&depends, 20), 1);
    rig_must(&rig, &depends);

    EDITS_OWN struct tm_edits drop = entry("", 2);
    (void)drop_pack(&drop, 10);
    struct tm_entry_place place = rig_place(&rig, false);
    assert_refused(&rig, &place, &drop, TM_E_CORRUPT,
            "pack 0a0a0a0a0a0a0a0a is dropped, but pack 1414141414141414 depends on it");

    EDITS_OWN struct tm_edits both = entry("", 3);
    (void)drop_pack(&both, 10);
    (void)drop_pack(&both, 20);
    rig_must(&rig, &both);

    EDITS_OWN struct tm_edits late = entry("", 4);
    add_dep(add_pack(&late, 21), 1); /* moved to 10, which is gone */
    place = rig_place(&rig, false);
    assert_refused(&rig, &place, &late, TM_E_CORRUPT,
            "pack 1515151515151515 depends on pack 0101010101010101, which is not there");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("catalog_packs");
    tcase_add_test(tcase, a_merge_moves_runs_and_no_watermark);
    tcase_add_test(tcase, a_repair_records_what_is_lost);
    tcase_add_test(tcase, what_became_of_a_pack_is_kept_while_it_may_be_asked_for);
    tcase_add_test(tcase, a_pack_swept_again_is_swept_anew);
    tcase_add_test(tcase, moves_out_of_use_go_together_whatever_their_names);
    tcase_add_test(tcase, a_full_prunes_the_fold_it_is_applied_to);
    tcase_add_test(tcase, a_name_is_not_used_again);
    tcase_add_test(tcase, dependencies_are_found_where_packs_moved_to);

    Suite *suite = suite_create("catalog_packs");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
