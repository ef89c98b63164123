/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/job/space and what it is made of: drop, merge, sweep, log GC, on real packs. */
#include "space_rig.h"

/* Drop and sweep --------------------------------------------------------------------------- */

START_TEST(a_dead_pack_is_dropped_then_swept_when_its_grace_is_over)
{
    start();
    struct tm_hash first = back_up(2, 0, NULL);
    struct tm_hash second = back_up(2, 2, NULL);
    struct tm_space_result result;
    run_space(TM_SPACE_ALL, &result);
    ck_assert_int_eq(result.packs_dropped, 0);
    tm_space_result_done(&result);

    uint64_t gone = 1;
    struct tm_space_plan plan;
    must(tm_space_plan(&options, &gone, 1, &plan, &err));
    ck_assert_int_eq(plan.packs_dead, 1);
    ck_assert_int_gt(plan.bytes_dead, 0);

    expire(1);
    run_space(TM_SPACE_ALL, &result);
    ck_assert_int_eq(result.packs_dropped, 1);
    ck_assert_int_eq(result.bytes_dropped, plan.bytes_dead);
    ck_assert_int_eq(result.packs_swept, 0);
    tm_space_result_done(&result);
    assert_fate(&first, TM_PACK_DROPPED);
    ck_assert(is_stored(&first));
    must(tm_space_plan(&options, NULL, 0, &plan, &err));
    ck_assert_int_eq(plan.packs_waiting, 1);

    time_ms += 24 * hour_ms - 1;
    run_space(TM_SPACE_ALL, &result);
    ck_assert(is_stored(&first));
    tm_space_result_done(&result);
    time_ms += 1;
    must(tm_space_plan(&options, NULL, 0, &plan, &err));
    ck_assert_int_eq(plan.packs_to_sweep, 1);
    ck_assert_int_eq(plan.packs_waiting, 0);
    run_space(TM_SPACE_ALL, &result);
    ck_assert_int_eq(result.packs_swept, 1);
    ck_assert_int_eq(result.orphans, 0);
    ck_assert_int_eq(result.bytes_reclaimed, plan.bytes_to_sweep);
    tm_space_result_done(&result);
    assert_fate(&first, TM_PACK_SWEPT);
    ck_assert(!is_stored(&first));
    ck_assert(is_stored(&second));
    check_stored(2);
    check_fold();
}
END_TEST

START_TEST(a_pack_that_a_live_one_refers_to_stays)
{
    start();
    struct tm_hash first =
            back_up(5, 0, NULL); /* offsets 0..4 hold contents 0..4 and 7, 8, 9, 0, 1 */
    for (int i = 0; i < 5; i++) {
        (void)back_up(1, 5, NULL);
    }
    struct tm_hash last = back_up(4, 10, &first); /* 10.. repeat the contents of 0.. */
    for (uint64_t point = 1; point < points; point++) {
        expire(point);
    }
    struct tm_space_result result;
    run_space(TM_SPACE_DROP, &result);
    ck_assert_int_eq(result.packs_dropped, 5);
    tm_space_result_done(&result);
    assert_fate(&first, TM_PACK_HELD);
    assert_fate(&last, TM_PACK_HELD);
    check_stored(10);
    (void)back_up(1, 14, NULL);
    expire(7);
    run_space(TM_SPACE_DROP, &result); /* both in one entry */
    ck_assert_int_eq(result.packs_dropped, 2);
    tm_space_result_done(&result);
    assert_fate(&first, TM_PACK_DROPPED);
    check_fold();
}
END_TEST

START_TEST(an_orphan_is_announced_and_deleted_when_it_is_old)
{
    start();
    (void)back_up(1, 0, NULL);
    struct tiny_record record = {0, 99, 1, NULL};
    struct tm_row_pack orphan;
    must(tiny_put(vault, &record, 1, 1, &arena, &orphan, &err));
    time_ms += 24 * hour_ms - 1;
    struct tm_space_result result;
    run_space(TM_SPACE_SWEEP, &result);
    ck_assert(is_stored(&orphan.name));
    tm_space_result_done(&result);
    time_ms += 1;
    struct tm_space_plan plan;
    must(tm_space_plan(&options, NULL, 0, &plan, &err));
    ck_assert_int_eq(plan.orphans, 1);
    run_space(TM_SPACE_SWEEP, &result);
    ck_assert_int_eq(result.packs_swept, 1);
    ck_assert_int_eq(result.orphans, 1);
    tm_space_result_done(&result);
    assert_fate(&orphan.name, TM_PACK_SWEPT);
    ck_assert(!is_stored(&orphan.name));
    check_stored(0);
}
END_TEST

START_TEST(a_sweep_that_was_stopped_is_taken_up_again)
{
    start();
    struct tm_hash packs[3];
    for (int i = 0; i < 3; i++) {
        packs[i] = back_up(1, i, NULL);
    }
    (void)back_up(1, 3, NULL);
    for (uint64_t point = 1; point <= 3; point++) {
        expire(point);
    }
    struct tm_space_result result;
    run_space(TM_SPACE_DROP, &result);
    tm_space_result_done(&result);
    time_ms += 24 * hour_ms;
    trouble.op = TM_OP_REMOVE;
    trouble.fault = TM_FAULT_IO;
    trouble.name = "pack/";
    trouble.skip = 1;
    trouble.left = 1;
    options.steps = TM_SPACE_SWEEP;
    struct tm_err why = {0};
    result = (struct tm_space_result){0};
    ck_assert_int_eq(tm_space_run(&options, &env, &result, &why), TM_E_IO);
    ck_assert_int_eq(result.packs_swept, 1);
    tm_space_result_done(&result);
    ck_assert_uint_eq(stored_count("pack/"), 3);
    struct tm_fold_state before;
    must(fold.ops->state(fold.self, &before, &err));

    run_space(TM_SPACE_SWEEP, &result); /* nothing is announced a second time */
    ck_assert_int_eq(result.packs_swept, 2);
    ck_assert_uint_eq(result.head.seq, before.head.seq);
    tm_space_result_done(&result);
    ck_assert_uint_eq(stored_count("pack/"), 1);
    for (int i = 0; i < 3; i++) {
        assert_fate(&packs[i], TM_PACK_SWEPT);
    }
    check_stored(3);
}
END_TEST

START_TEST(what_is_locked_waits_until_the_lock_has_passed)
{
    start();
    struct tm_hash first = back_up(1, 0, NULL);
    (void)back_up(1, 1, NULL);
    expire(1);
    options.lock_ms = 100 * hour_ms;
    struct tm_space_result result;
    run_space(TM_SPACE_DROP, &result);
    tm_space_result_done(&result);
    time_ms += 100 * hour_ms - 1;
    run_space(TM_SPACE_SWEEP, &result);
    ck_assert_int_eq(result.packs_swept, 0);
    tm_space_result_done(&result);
    assert_fate(&first, TM_PACK_DROPPED);
    time_ms += 1;
    run_space(TM_SPACE_SWEEP, &result);
    ck_assert_int_eq(result.packs_swept, 1);
    tm_space_result_done(&result);
}
END_TEST

START_TEST(a_cancelled_run_stops_between_steps)
{
    start();
    (void)back_up(1, 0, NULL);
    (void)back_up(1, 1, NULL);
    expire(1);
    atomic_store(&cancel, true);
    options.steps = TM_SPACE_ALL;
    struct tm_space_result result = {0};
    struct tm_err why = {0};
    ck_assert_int_eq(tm_space_run(&options, &env, &result, &why), TM_E_CANCELLED);
    ck_assert_int_eq(result.packs_dropped, 0);
    ck_assert_str_eq(why.msg, "stopped; what was done until then stays done");
    tm_space_result_done(&result);
}
END_TEST

/* Merge ------------------------------------------------------------------------------------ */

START_TEST(small_packs_are_merged_and_read_as_before)
{
    start();
    struct tm_hash packs[12];
    for (int i = 0; i < 12; i++) {
        packs[i] = back_up(3, 0, NULL);
    }
    options.merge_target_bytes = (uint64_t)1 << (_i == 0 ? 26 : 12);
    struct tm_space_result result;
    run_space(TM_SPACE_MERGE, &result);
    ck_assert_int_eq(result.packs_merged_in, 0); /* too young */
    tm_space_result_done(&result);
    time_ms += hour_ms;
    struct tm_space_plan plan;
    must(tm_space_plan(&options, NULL, 0, &plan, &err));
    ck_assert_int_eq(plan.packs_to_merge, 12);
    options.merge_max_packs = _i == 2 ? 5 : 512;
    run_space(TM_SPACE_MERGE, &result);
    ck_assert_int_ge(result.packs_merged_in, 12);
    ck_assert_int_lt(result.packs_merged_out, result.packs_merged_in);
    ck_assert(_i != 0 || result.packs_merged_out == 1);
    ck_assert(_i == 0 || result.packs_merged_out > 1);
    ck_assert_uint_eq(result.warnings.count, 0);
    tm_space_result_done(&result);
    for (int i = 0; i < 12; i++) {
        assert_fate(&packs[i], TM_PACK_DROPPED);
    }
    check_stored(0);
    check_fold();
    time_ms += 24 * hour_ms;
    run_space(TM_SPACE_SWEEP, &result);
    ck_assert_int_ge(result.packs_swept, 12);
    tm_space_result_done(&result);
    check_stored(0);
    check_fold();
}
END_TEST

START_TEST(references_survive_merges)
{
    start();
    struct tm_hash first = back_up(10, 0, NULL);
    (void)back_up(10, 0, &first);
    (void)back_up(10, 0, &first);
    (void)back_up(10, 0, NULL);
    time_ms += hour_ms;
    options.merge_min_packs = _i == 2 ? 2 : 4;
    options.merge_max_packs = _i == 2 ? 2 : 512; /* not all of them in one merge */
    options.merge_target_bytes = _i == 0 ? 1 << 26 : 1 << 11;
    options.merge_small_bytes = _i == 0 ? 16 << 20 : 1 << 14;
    struct tm_space_result result;
    run_space(TM_SPACE_MERGE, &result);
    ck_assert_int_ge(result.packs_merged_in, 2);
    tm_space_result_done(&result);
    check_stored(0);
    time_ms += 24 * hour_ms;
    run_space(TM_SPACE_SWEEP, &result);
    tm_space_result_done(&result);
    ck_assert(!is_stored(&first));
    check_stored(0);
    check_fold();
}
END_TEST

START_TEST(a_merge_leaves_dead_blocks_behind_but_not_those_others_need)
{
    start();
    struct tm_hash first = back_up(10, 0, NULL);
    for (int i = 0; i < 4; i++) {
        (void)back_up(2, 0, NULL); /* 10 .. 17 */
    }
    if (_i == 1) {
        (void)back_up(2, 15, &first);
    } else {
        (void)back_up(2, 15, NULL);
    }
    for (uint64_t point = 1; point < points; point++) {
        expire(point);
    }
    time_ms += hour_ms;
    options.merge_min_packs = 2;
    struct tm_space_result result;
    run_space(TM_SPACE_MERGE, &result); /* without a drop before: all but what is wholly dead */
    ck_assert_int_ge(result.packs_merged_in, 2);
    tm_space_result_done(&result);
    check_stored(15);
    struct tm_arena local = {0};
    struct tm_stored_run *runs = NULL;
    size_t count = 0;
    must(tm_catalog_runs(catalog, 1, 0, 0, 10, &local, &runs, &count, &err));
    ck_assert_uint_eq(count, 1);
    if (_i == 1) { /* merged whole */
        ck_assert(!tm_hash_eq(&runs[0].pack, &first));
        must(tiny_check_run(vault, catalog, &runs[0], content_of, &err));
    } else { /* dead as a whole: not merged, for the next drop */
        ck_assert(tm_hash_eq(&runs[0].pack, &first));
    }
    tm_arena_done(&local);
    check_fold();
}
END_TEST

START_TEST(a_damaged_pack_is_left_alone_and_told)
{
    start();
    struct tm_hash packs[6];
    for (int i = 0; i < 6; i++) {
        packs[i] = back_up(3, 0, NULL);
    }
    char name[TM_OBJECT_NAME_MAX];
    tm_pack_name(&packs[2], name);
    struct mem_object *object = mem_find(&objects, name);
    ck_assert_ptr_nonnull(object);
    object->at[150] ^= 1; /* in a frame: only the hash tells */
    time_ms += hour_ms;
    struct tm_space_result result;
    run_space(TM_SPACE_MERGE, &result);
    ck_assert_int_eq(result.packs_merged_in, 5);
    ck_assert_uint_eq(result.warnings.count, 1);
    ck_assert_str_eq(result.warnings.at[0].code, "space-damaged");
    char expected[300];
    (void)snprintf(expected, sizeof(expected), "%s was not merged: %s: is not what its name says",
            name, name);
    ck_assert_str_eq(result.warnings.at[0].detail, expected);
    tm_space_result_done(&result);
    assert_fate(&packs[2], TM_PACK_HELD);
    check_fold();
}
END_TEST

static void writer_only_vault(void)
{
    static const uint8_t writer_key[TM_KEY_FILE_BYTES] = {9};
    struct tm_secret key = {TM_SECRET_KEY_FILE, {writer_key, sizeof(writer_key)}};
    TM_BUF_OWN struct tm_buf slot = {0};
    must(tm_slot_encode(tm_vault_ring(vault), tm_vault_id(vault), &key, true, true, &slot, &err));
    must(tm_store_create(store, "key/00000000000000aa", tm_buf_slice(&slot), &err));
    struct tm_vault *writer = NULL;
    must(tm_vault_open(store, &key, "host/writer", &writer, &err));
    tm_vault_set_clock(writer, world_ns);
    tm_vault_set_wall(writer, world_ms);
    ck_assert(!tm_ring_can_read(tm_vault_ring(writer)));
    options.vault = writer;
    struct tm_space_result result;
    run_space(TM_SPACE_ALL, &result);
    ck_assert_int_eq(result.packs_merged_in, 6);
    tm_space_result_done(&result);
    options.vault = vault;
    tm_vault_close(writer);
}

START_TEST(a_host_that_cannot_read_merges_as_well)
{
    start();
    for (int i = 0; i < 6; i++) {
        (void)back_up(3, 0, NULL);
    }
    time_ms += hour_ms;
    writer_only_vault();
    must(tm_vault_refresh(vault, &fold, &err));
    check_stored(0);
}
END_TEST

/* A merge that another merge overtook: the copies are rubbish, and nothing is lost. */
static bool overtake_once;
static enum tm_store_fault overtaking(
        void *arg, enum tm_store_op op, const char *name, uint64_t count)
{
    (void)arg;
    (void)count;
    if (op == TM_OP_CREATE && strncmp(name, "log/", 4) == 0 && overtake_once) {
        overtake_once = false;
        struct tm_store *plain = mem_store_new(&objects);
        struct tm_secret key = secret();
        struct tm_vault *other = NULL;
        struct tm_catalog *other_catalog = NULL;
        must(tm_vault_open(plain, &key, "host/other", &other, &err));
        tm_vault_set_clock(other, world_ns);
        tm_vault_set_wall(other, world_ms);
        must(tm_catalog_open(":memory:", &other_catalog, &err));
        struct tm_space_options space = options;
        space.vault = other;
        space.catalog = other_catalog;
        struct tm_space_result result = {0};
        must(tm_space_run(&space, &env, &result, &err));
        ck_assert_int_eq(result.packs_merged_in, 6);
        tm_space_result_done(&result);
        tm_catalog_close(other_catalog);
        tm_vault_close(other);
        tm_store_free(plain);
    }
    return TM_FAULT_NONE;
}

START_TEST(a_merge_that_lost_the_race_is_given_up)
{
    start();
    for (int i = 0; i < 6; i++) {
        (void)back_up(3, 0, NULL);
    }
    time_ms += hour_ms;
    close_vault();
    tm_store_free(store);
    store = tm_store_fault_new(mem_store_new(&objects), overtaking, NULL);
    open_vault();
    overtake_once = true;
    struct tm_space_result result;
    run_space(TM_SPACE_MERGE, &result);
    ck_assert(!overtake_once);
    ck_assert_int_eq(result.packs_merged_in, 0);
    ck_assert_uint_eq(result.warnings.count, 1);
    ck_assert_str_eq(result.warnings.at[0].code, "space-conflict");
    tm_space_result_done(&result);
    check_stored(0);
    check_fold();
}
END_TEST

/* Log -------------------------------------------------------------------------------------- */

START_TEST(old_entries_are_removed_below_an_old_full)
{
    start();
    for (int i = 0; i < 5; i++) {
        (void)back_up(1, 0, NULL);
    }
    struct tm_space_result result;
    run_space(TM_SPACE_LOG, &result);
    ck_assert_int_eq(result.log_entries_removed, 0);
    ck_assert(!result.full_written);
    tm_space_result_done(&result);

    time_ms += 7 * 24 * hour_ms; /* log/0 is an old full: another follows, nothing lies below it */
    run_space(TM_SPACE_LOG, &result);
    ck_assert_int_eq(result.log_entries_removed, 0);
    ck_assert(result.full_written);
    ck_assert_uint_eq(stored_count("log/"), 7);
    tm_space_result_done(&result);
    (void)back_up(1, 0, NULL);
    time_ms += 7 * 24 * hour_ms - 1;
    run_space(TM_SPACE_LOG, &result);
    ck_assert_int_eq(result.log_entries_removed, 0);
    tm_space_result_done(&result);
    time_ms += 1;
    run_space(TM_SPACE_LOG, &result);
    ck_assert_int_eq(result.log_entries_removed, 6);
    ck_assert(result.full_written);
    ck_assert_uint_eq(stored_count("log/"), 3);
    tm_space_result_done(&result);
    check_stored(0);
    check_fold();
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("space");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_dead_pack_is_dropped_then_swept_when_its_grace_is_over);
    tcase_add_test(tcase, a_pack_that_a_live_one_refers_to_stays);
    tcase_add_test(tcase, an_orphan_is_announced_and_deleted_when_it_is_old);
    tcase_add_test(tcase, a_sweep_that_was_stopped_is_taken_up_again);
    tcase_add_test(tcase, what_is_locked_waits_until_the_lock_has_passed);
    tcase_add_test(tcase, a_cancelled_run_stops_between_steps);
    tcase_add_loop_test(tcase, small_packs_are_merged_and_read_as_before, 0, 3);
    tcase_add_loop_test(tcase, references_survive_merges, 0, 3);
    tcase_add_loop_test(tcase, a_merge_leaves_dead_blocks_behind_but_not_those_others_need, 0, 2);
    tcase_add_test(tcase, a_damaged_pack_is_left_alone_and_told);
    tcase_add_test(tcase, a_host_that_cannot_read_merges_as_well);
    tcase_add_test(tcase, a_merge_that_lost_the_race_is_given_up);
    tcase_add_test(tcase, old_entries_are_removed_below_an_old_full);
    Suite *suite = suite_create("space");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
