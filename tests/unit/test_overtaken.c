/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/catalog/overtaken: an entry that lost a race is told so, and is no breach of a rule. */
#include "catalog_rig.h"

static void assert_overtaken(const struct rig *rig, struct tm_edits *edits, const char *message)
{
    struct tm_err err = {0};
    tm_edits_sort(edits);
    enum tm_code code = rig->fold.ops->overtaken(rig->fold.self, edits, 10000, &err);
    ck_assert_str_eq(err.msg, message);
    ck_assert_int_eq(code, message[0] == '\0' ? TM_OK : TM_E_CONFLICT);
}

/* Pack 3 was dropped, 4 merged into 5, 6 swept. */
static void fill(struct rig *rig)
{
    rig_fill(rig);
    EDITS_OWN struct tm_edits more = entry("p", 4000);
    (void)add_run(add_pack(&more, 3), 1, 0, 150, 160);
    (void)add_run(add_pack(&more, 4), 1, 0, 160, 170);
    add_tail(&more, 1, 0, 170, 110, 1);
    rig_must(rig, &more);
    EDITS_OWN struct tm_edits gone = entry("", 5000);
    (void)drop_pack(&gone, 3);
    add_successor(drop_pack(&gone, 4), 5);
    (void)add_run(add_pack(&gone, 5), 1, 0, 160, 170);
    sweep_pack(&gone, 6);
    rig_must(rig, &gone);
}

START_TEST(a_pack_whose_name_was_used_is_given_up)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    fill(&rig);
    static const struct {
        unsigned name;
        const char *message;
    } rows[] = {
            {1, "pack 0101010101010101 is in use already"},
            {3, "pack 0303030303030303 was dropped meanwhile"},
            {4, "pack 0404040404040404 was dropped meanwhile"},
            {6, "pack 0606060606060606 was swept meanwhile: it lay unused for too long"},
            {7, ""},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        EDITS_OWN struct tm_edits edits = entry("p", 6000);
        (void)add_run(add_pack(&edits, rows[i].name), 1, 0, 170, 180);
        assert_overtaken(&rig, &edits, rows[i].message);
    }
}
END_TEST

START_TEST(a_pack_that_refers_to_what_was_dropped_is_given_up)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    fill(&rig);
    static const struct {
        unsigned dep;
        const char *message;
    } rows[] = {
            {1, ""},
            {3, "pack 0303030303030303 was dropped or merged meanwhile, and a new pack refers to "
                "it"},
            {4, "pack 0404040404040404 was dropped or merged meanwhile, and a new pack refers to "
                "it"},
            {5, ""},
            {6, "pack 0606060606060606 was dropped or merged meanwhile, and a new pack refers to "
                "it"},
            {8, ""}, /* of the same entry */
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        EDITS_OWN struct tm_edits edits = entry("p", 6000);
        struct tm_row_pack *pack = add_pack(&edits, 7);
        (void)add_run(pack, 1, 0, 170, 180);
        add_dep(pack, rows[i].dep);
        (void)add_run(add_pack(&edits, 8), 1, 0, 180, 190);
        assert_overtaken(&rig, &edits, rows[i].message);
    }
}
END_TEST

START_TEST(a_merge_keeps_references_to_what_has_moved)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    fill(&rig);
    EDITS_OWN struct tm_edits edits = entry("", 6000);
    add_successor(drop_pack(&edits, 1), 7);
    struct tm_row_pack *pack = add_pack(&edits, 7);
    (void)add_run(pack, 1, 0, 0, 100);
    (void)add_run(pack, 1, 1, 50, 60);
    add_dep(pack, 4);
    assert_overtaken(&rig, &edits, "");
}
END_TEST

START_TEST(a_drop_or_sweep_that_lost_the_race_is_given_up)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    fill(&rig);
    EDITS_OWN struct tm_edits drop = entry("", 6000);
    (void)drop_pack(&drop, 4);
    assert_overtaken(&rig, &drop, "pack 0404040404040404 is not there any more");
    EDITS_OWN struct tm_edits drop_new = entry("", 6000);
    (void)drop_pack(&drop_new, 5);
    assert_overtaken(&rig, &drop_new, "");
    EDITS_OWN struct tm_edits sweep = entry("", 6000);
    sweep_pack(&sweep, 3);
    assert_overtaken(&rig, &sweep, "");
    sweep_pack(&sweep, 5);
    assert_overtaken(&rig, &sweep, "pack 0505050505050505 was taken into use meanwhile");
}
END_TEST

START_TEST(a_point_that_is_gone_or_held_is_not_removed)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    fill(&rig);
    EDITS_OWN struct tm_edits more = entry("p", 6000);
    for (unsigned i = 2; i <= 4; i++) {
        (void)add_point(&more, i, "p");
    }
    add_mark(&more, 2, "held", -1);
    add_mark(&more, 3, "held", 10001);
    add_mark(&more, 4, "no longer held", 10000);
    rig_must(&rig, &more);
    static const char *const messages[] = {"", "", "point 2 is held", "point 3 is held", "",
            "point 5 was removed by another meanwhile"};
    for (unsigned i = 1; i <= 5; i++) {
        EDITS_OWN struct tm_edits edits = entry("", 7000);
        remove_point(&edits, i);
        assert_overtaken(&rig, &edits, messages[i]);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("overtaken");
    tcase_add_test(tcase, a_pack_whose_name_was_used_is_given_up);
    tcase_add_test(tcase, a_pack_that_refers_to_what_was_dropped_is_given_up);
    tcase_add_test(tcase, a_merge_keeps_references_to_what_has_moved);
    tcase_add_test(tcase, a_drop_or_sweep_that_lost_the_race_is_given_up);
    tcase_add_test(tcase, a_point_that_is_gone_or_held_is_not_removed);
    Suite *suite = suite_create("overtaken");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
