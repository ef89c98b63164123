/* SPDX-License-Identifier: Apache-2.0 */
/* Which packs an entry must hold because another pack of it refers to them. */
#include "catalog_rig.h"
#include "job/backup_run.h"

static struct rig rig;
static struct tm_backup_options options;
static struct backup_run run;
static bool added[8];
static struct tm_err err;

static void set_up(void)
{
    rig = rig_open(":memory:");
    rig_fill(&rig); /* packs 1 and 2 */
    options = (struct tm_backup_options){.catalog = rig.catalog};
    run = (struct backup_run){.options = &options};
    memset(added, 0, sizeof(added));
    err = (struct tm_err){0};
}

static void tear_down(void)
{
    tm_packed_list_done(&run.packs);
    tm_packed_list_done(&run.left_out);
    rig_done(&rig);
}

/* A pack of the run that refers to another one; 0: to none. */
static void make_packed(struct tm_packed *packed, unsigned name, unsigned dep)
{
    packed->name = pack_name(name);
    packed->size = 1000 + name;
    if (dep != 0) {
        *tm_vec_push(&packed->deps) = pack_name(dep);
    }
}

static void make_pack(unsigned name, unsigned dep)
{
    make_packed(tm_vec_push(&run.packs), name, dep);
}

/* The entry has the run's pack of that place, as one whose runs are wanted. */
static void enter(struct tm_edits *edits, size_t place)
{
    added[place] = true;
    *tm_vec_push(&edits->packs) = tm_backup_pack_row(&run.packs.at[place], edits);
}

/* The entry's packs, as "7 8". */
static void assert_packs(const struct tm_edits *edits, const char *expected)
{
    TM_BUF_OWN struct tm_buf got = {0};
    for (size_t i = 0; i < edits->packs.count; i++) {
        tm_buf_add_fmt(&got, i == 0 ? "%d" : " %d", edits->packs.at[i].name.bytes[0]);
    }
    ck_assert_str_eq(tm_buf_text(&got), expected);
}

START_TEST(a_pack_that_nobody_wants_goes_along_when_another_refers_to_it)
{
    EDITS_OWN struct tm_edits edits = entry("p", 0);
    make_pack(7, 0); /* all its runs were given up */
    make_pack(8, 7); /* likewise */
    make_pack(9, 8);
    make_pack(10, 0);
    enter(&edits, 2);
    ok(tm_backup_add_deps(&run, added, &edits, &err), &err);
    assert_packs(&edits, "9 8 7"); /* by way of others, too */
    ck_assert(added[0] && added[1] && added[2] && !added[3]);
    /* The fold takes the entry. */
    rig_must(&rig, &edits);
}
END_TEST

START_TEST(a_pack_set_aside_by_an_earlier_commit_comes_back_once)
{
    make_packed(tm_vec_push(&run.left_out), 7, 0);
    make_pack(8, 7);
    EDITS_OWN struct tm_edits first = entry("p", 0);
    enter(&first, 0);
    ok(tm_backup_add_deps(&run, added, &first, &err), &err);
    assert_packs(&first, "8 7");
    rig_must(&rig, &first);
    make_pack(9, 7);
    EDITS_OWN struct tm_edits second = entry("p", 0);
    enter(&second, 1);
    ok(tm_backup_add_deps(&run, added, &second, &err), &err);
    assert_packs(&second, "9"); /* it is held now */
    rig_must(&rig, &second);
}
END_TEST

START_TEST(a_pack_that_is_held_or_moved_needs_nothing)
{
    EDITS_OWN struct tm_edits moved = entry("", 0);
    add_successor(drop_pack(&moved, 1), 11);
    (void)add_pack(&moved, 11);
    rig_must(&rig, &moved);
    EDITS_OWN struct tm_edits edits = entry("p", 0);
    make_pack(8, 1);
    make_pack(9, 2);
    enter(&edits, 0);
    enter(&edits, 1);
    ok(tm_backup_add_deps(&run, added, &edits, &err), &err);
    assert_packs(&edits, "8 9");
    rig_must(&rig, &edits);
}
END_TEST

START_TEST(a_pack_that_was_dropped_gives_the_commit_up)
{
    EDITS_OWN struct tm_edits dropped = entry("", 0);
    (void)drop_pack(&dropped, 1);
    rig_must(&rig, &dropped);
    EDITS_OWN struct tm_edits edits = entry("p", 0);
    make_pack(8, 1);
    enter(&edits, 0);
    ck_assert_int_eq(tm_backup_add_deps(&run, added, &edits, &err), TM_E_CONFLICT);
    ck_assert_str_eq(err.msg,
            "pack/01/0101010101010101010101010101010101010101010101010101010101010100: it holds"
            " content that is referred to, and was dropped meanwhile");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("backup_content");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_pack_that_nobody_wants_goes_along_when_another_refers_to_it);
    tcase_add_test(tcase, a_pack_set_aside_by_an_earlier_commit_comes_back_once);
    tcase_add_test(tcase, a_pack_that_is_held_or_moved_needs_nothing);
    tcase_add_test(tcase, a_pack_that_was_dropped_gives_the_commit_up);
    Suite *suite = suite_create("backup_content");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
