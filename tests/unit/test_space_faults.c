/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults of the store while space is freed: each operation in turn fails, finds no room, loses its answer, finds
 * nothing or reads wrong bytes. The run ends in an error or does its work; the next one does the rest; and
 * everything that points cover reads as before.
 */
#include "space_rig.h"

enum { PACKS = 6, OPS_MAX = 400 };

static struct {
    uint64_t at; /* the operation that fails, counted from the arming; 0: none */
    uint64_t count;
    enum tm_store_fault fault;
} plan;

static enum tm_store_fault fail_nth(
        void *arg, enum tm_store_op op, const char *name, uint64_t count)
{
    (void)arg;
    (void)op;
    (void)name;
    (void)count;
    return plan.at > 0 && ++plan.count == plan.at ? plan.fault : TM_FAULT_NONE;
}

/* Packs to be merged, dropped and swept, an orphan, and old entries of the log. */
static void fill(void)
{
    start();
    for (int i = 0; i < PACKS; i++) {
        (void)back_up(2, i < 2 ? 0 : 4, NULL);
    }
    expire(1);
    expire(2);
    struct tiny_record record = {0, 99, 1, NULL};
    struct tm_row_pack orphan;
    must(tiny_put(vault, &record, 1, 1, &arena, &orphan, &err));
    must(tm_log_write_full(vault, &fold, &err));
    time_ms += 8 * 24 * hour_ms;
    options.grace_ms = 0;
    options.merge_min_packs = 2;
}

static void check_all(const char *what, uint64_t at)
{
    struct tm_space_result result;
    run_space(TM_SPACE_ALL, &result);
    tm_space_result_done(&result);
    run_space(TM_SPACE_ALL, &result); /* what the failed run dropped or announced last */
    tm_space_result_done(&result);
    time_ms += 25 * hour_ms; /* copies that no entry names are orphans */
    run_space(TM_SPACE_ALL, &result);
    tm_space_result_done(&result);
    check_stored(4);
    check_fold();
    ck_assert_msg(stored_count("pack/") == 1, "%s of operation %d: %d packs are left", what,
            (int)at, (int)stored_count("pack/"));
}

static const struct {
    enum tm_store_fault fault;
    const char *name;
} faults[] = {
        {TM_FAULT_IO, "failure"},
        {TM_FAULT_FULL, "no room"},
        {TM_FAULT_LOST_ACK, "lost answer"},
        {TM_FAULT_MISSING, "absence"},
        {TM_FAULT_FLIP, "flipped bit"},
        {TM_FAULT_SHORT, "short read"},
};

/* One run with that fault; true while there was such an operation. */
static bool run_with(enum tm_store_fault fault, const char *name, uint64_t at)
{
    setup();
    tm_catalog_close(catalog);
    tm_vault_close(vault);
    tm_store_free(store);
    store = tm_store_fault_new(mem_store_new(&objects), fail_nth, NULL);
    open_vault();
    fill();
    plan.at = at;
    plan.count = 0;
    plan.fault = fault;
    struct tm_space_result result = {0};
    struct tm_err why = {0};
    options.steps = TM_SPACE_ALL;
    enum tm_code code = tm_space_run(&options, &env, &result, &why);
    bool reached = plan.count >= at;
    plan.at = 0;
    ck_assert_msg(
            code == TM_OK || why.msg[0] != '\0', "%s of operation %d: no message", name, (int)at);
    tm_space_result_done(&result);
    check_all(name, at);
    teardown();
    objects = (struct mem_objects){0};
    arena = (struct tm_arena){0};
    return reached;
}

START_TEST(a_fault_costs_no_record)
{
    uint64_t at = 1;
    while (at < OPS_MAX && run_with(faults[_i].fault, faults[_i].name, at)) {
        at++;
    }
    ck_assert_uint_gt(at, 40); /* there was something to fail */
    ck_assert_uint_lt(at, OPS_MAX);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("space_faults");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, a_fault_costs_no_record, 0, (int)LENGTH(faults));
    Suite *suite = suite_create("space_faults");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
