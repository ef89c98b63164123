/* SPDX-License-Identifier: Apache-2.0 */
/* Which pack holds the content of an id, beside a fold that goes its own way. */
#include <pthread.h>

#include "catalog/content.h"
#include "catalog/findings.h"
#include "catalog_rig.h"

static char path[128];
static struct rig rig;
static struct tm_content *content;
static struct tm_err err;

static void set_up(void)
{
    rig_temp_path(path);
    rig = rig_open(path);
    rig_fill(&rig); /* packs 1 and 2 */
    err = (struct tm_err){0};
    content = NULL;
    ok(tm_content_open(rig.catalog, &content, &err), &err);
}

static void tear_down(void)
{
    tm_content_close(content);
    rig_done(&rig);
    char name[160];
    static const char *const tails[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < LENGTH(tails); i++) {
        (void)snprintf(name, sizeof(name), "%s%s", path, tails[i]);
        (void)unlink(name);
    }
    *strrchr(path, '/') = '\0';
    ck_assert_int_eq(rmdir(path), 0);
}

static struct tm_hash id_of(unsigned number)
{
    struct tm_hash id = pack_name(number);
    id.bytes[0] = 0xc0;
    return id;
}

static void add(unsigned pack, unsigned first, unsigned count)
{
    struct tm_hash name = pack_name(pack);
    struct tm_hash ids[16];
    ck_assert_uint_le(count, LENGTH(ids));
    for (unsigned i = 0; i < count; i++) {
        ids[i] = id_of(first + i);
    }
    ok(tm_content_add(content, &name, ids, count, &err), &err);
}

/* The number of the pack that holds the id; 0: none is found. */
static unsigned holder(unsigned id)
{
    struct tm_hash hash = id_of(id);
    struct tm_hash pack;
    bool found = true;
    struct tm_content_lookup lookup = tm_content_lookup(content);
    ok(lookup.find(lookup.self, &hash, &found, &pack, &err), &err);
    return found ? pack.bytes[0] : 0;
}

static void forget(unsigned pack)
{
    struct tm_hash name = pack_name(pack);
    ok(tm_content_forget(content, &name, &err), &err);
}

/* The packs that want to be indexed, as "2 1". */
static void assert_missing(size_t limit, const char *expected)
{
    struct tm_arena arena = {0};
    struct tm_content_pack *packs = NULL;
    size_t count = 0;
    TM_BUF_OWN struct tm_buf got = {0};
    ok(tm_content_missing(content, limit, &arena, &packs, &count, &err), &err);
    for (size_t i = 0; i < count; i++) {
        tm_buf_add_fmt(&got, i == 0 ? "%d" : " %d", packs[i].name.bytes[0]);
        ck_assert_uint_eq(packs[i].size, 1000U + packs[i].name.bytes[0]);
    }
    ck_assert_str_eq(tm_buf_text(&got), expected);
    tm_arena_done(&arena);
}

static int64_t rows_of(const char *query)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    bool row = false;
    ok(tm_sql_use(rig.catalog->sql, query, &stmt, &err), &err);
    ok(tm_sql_step(&stmt, &row, &err), &err);
    return tm_sql_i64(&stmt, 0);
}

static void move_pack(unsigned old, unsigned fresh)
{
    EDITS_OWN struct tm_edits edits = entry("", 0);
    add_successor(drop_pack(&edits, old), fresh);
    (void)add_pack(&edits, fresh);
    rig_must(&rig, &edits);
}

START_TEST(an_id_is_found_in_the_pack_that_was_added_with_it)
{
    ck_assert_uint_eq(holder(5), 0);
    add(1, 5, 2);
    add(2, 7, 1);
    ck_assert_uint_eq(holder(5), 1);
    ck_assert_uint_eq(holder(6), 1);
    ck_assert_uint_eq(holder(7), 2);
    ck_assert_uint_eq(holder(8), 0);
}
END_TEST

START_TEST(an_id_stays_with_its_pack_while_that_can_be_used)
{
    add(1, 5, 1);
    add(2, 5, 1);
    ck_assert_uint_eq(holder(5), 1);
    forget(1);
    ck_assert_uint_eq(holder(5), 0);
    add(2, 5, 1);
    ck_assert_uint_eq(holder(5), 2);
}
END_TEST

START_TEST(a_pack_that_is_not_committed_is_never_found)
{
    add(9, 5, 1);
    ck_assert_uint_eq(holder(5), 0);
    EDITS_OWN struct tm_edits edits = entry("", 0);
    (void)add_pack(&edits, 9);
    rig_must(&rig, &edits);
    ck_assert_uint_eq(holder(5), 9);
}
END_TEST

START_TEST(a_pack_that_was_merged_away_is_not_found_and_its_successor_is_to_be_indexed)
{
    add(1, 5, 1);
    add(2, 6, 1);
    assert_missing(10, "");
    move_pack(1, 10);
    ck_assert_uint_eq(holder(5), 0);
    ck_assert_uint_eq(holder(6), 2);
    assert_missing(10, "10");
    add(10, 5, 1);
    ck_assert_uint_eq(holder(5), 10);
    assert_missing(10, "");
}
END_TEST

START_TEST(a_forgotten_pack_is_not_found_nor_asked_for_again)
{
    forget(1); /* before it was indexed */
    assert_missing(10, "2");
    add(1, 5, 3);
    ck_assert_uint_eq(holder(5), 0);
    ck_assert_int_eq(rows_of("SELECT count(*) FROM content"), 0);
    forget(1);
    assert_missing(10, "2");
}
END_TEST

START_TEST(a_pack_that_is_found_damaged_is_not_found_until_it_is_whole)
{
    struct tm_hash one = pack_name(1);
    struct tm_finding finding = {
            .kind = TM_FINDING_CORRUPT_PACK, .block = 3, .stream = 1, .length = 10, .detail = "x"};
    add(1, 5, 3);
    ok(tm_findings_put(rig.catalog, &one, 1000, &finding, 1, &err), &err);
    ck_assert_uint_eq(holder(5), 0);
    add(2, 5, 1); /* stored again */
    ck_assert_uint_eq(holder(5), 2);
    ok(tm_findings_put(rig.catalog, &one, 2000, NULL, 0, &err), &err);
    ck_assert_uint_eq(holder(5), 2);
    ck_assert_uint_eq(holder(6), 1);
}
END_TEST

START_TEST(packs_to_be_indexed_come_newest_first_and_no_more_than_asked_for)
{
    assert_missing(10, "2 1");
    assert_missing(1, "2");
    assert_missing(0, "");
    add(2, 0, 0); /* a pack without ids counts as indexed */
    assert_missing(10, "1");
}
END_TEST

START_TEST(ids_of_packs_that_are_gone_are_freed)
{
    add(1, 5, 3);
    add(2, 8, 2);
    ok(tm_content_prune(content, &err), &err);
    ck_assert_int_eq(rows_of("SELECT count(*) FROM content"), 5);
    move_pack(1, 10);
    ok(tm_content_prune(content, &err), &err);
    ck_assert_int_eq(rows_of("SELECT count(*) FROM content "), 2);
    ck_assert_int_eq(rows_of("SELECT count(*) FROM content_pack"), 1);
    ck_assert_uint_eq(holder(8), 2);
    /* The number of a pack that is gone is not given to another one. */
    move_pack(2, 11);
    ok(tm_content_prune(content, &err), &err);
    add(11, 20, 1);
    ck_assert_int_eq(rows_of("SELECT id FROM content_pack"), 3);
}
END_TEST

START_TEST(it_is_no_part_of_the_fold_and_goes_with_it)
{
    TM_BUF_OWN struct tm_buf before = {0};
    TM_BUF_OWN struct tm_buf after = {0};
    rig_body(&rig, 9999, &before);
    add(1, 5, 3);
    rig_body(&rig, 9999, &after);
    assert_same_body(&before, &after, "with content");
    ok(rig.fold.ops->reset(rig.fold.self, &err), &err);
    ck_assert_int_eq(rows_of("SELECT count(*) FROM content"), 0);
    ck_assert_int_eq(rows_of("SELECT count(*) FROM content_pack"), 0);
    ck_assert_uint_eq(holder(5), 0);
    assert_missing(10, "");
}
END_TEST

enum { THREADS = 4, ASKED = 200 };

static void *ask(void *arg)
{
    uintptr_t wrong = 0;
    struct tm_err own = {0};
    (void)arg;
    for (unsigned i = 0; i < ASKED; i++) {
        struct tm_hash id = id_of(i % 10);
        struct tm_hash pack;
        bool found = false;
        enum tm_code code = tm_content_find(content, &id, &found, &pack, &own);
        wrong += code != TM_OK || !found || pack.bytes[0] != 1 ? 1 : 0;
    }
    return (void *)wrong; /* NOLINT(performance-no-int-to-ptr) */
}

START_TEST(any_thread_may_ask)
{
    add(1, 0, 10);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask, NULL), 0);
    }
    for (unsigned i = 0; i < ASKED / 10; i++) {
        add(2, 100 + i, 10);
    }
    for (size_t i = 0; i < THREADS; i++) {
        void *wrong = NULL;
        ck_assert_int_eq(pthread_join(threads[i], &wrong), 0);
        ck_assert_ptr_null(wrong);
    }
}
END_TEST

START_TEST(an_older_catalog_is_emptied_and_made_anew)
{
    add(1, 5, 1);
    tm_content_close(content);
    content = NULL;
    ok(tm_sql_exec(rig.catalog->sql,
               "DROP TABLE content; DROP TABLE content_pack; PRAGMA user_version = 1", &err),
            &err);
    rig_done(&rig);
    rig = rig_open(path);
    ck_assert(rig_state(&rig).empty);
    ck_assert_int_eq(rows_of("SELECT count(*) FROM content"), 0);
    ck_assert_int_eq(rows_of("SELECT count(*) FROM run"), 0);
    rig_fill(&rig);
    rig_done(&rig);
    rig = rig_open(path);
    ck_assert(!rig_state(&rig).empty);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("content");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, an_id_is_found_in_the_pack_that_was_added_with_it);
    tcase_add_test(tcase, an_id_stays_with_its_pack_while_that_can_be_used);
    tcase_add_test(tcase, a_pack_that_is_not_committed_is_never_found);
    tcase_add_test(
            tcase, a_pack_that_was_merged_away_is_not_found_and_its_successor_is_to_be_indexed);
    tcase_add_test(tcase, a_forgotten_pack_is_not_found_nor_asked_for_again);
    tcase_add_test(tcase, a_pack_that_is_found_damaged_is_not_found_until_it_is_whole);
    tcase_add_test(tcase, packs_to_be_indexed_come_newest_first_and_no_more_than_asked_for);
    tcase_add_test(tcase, ids_of_packs_that_are_gone_are_freed);
    tcase_add_test(tcase, it_is_no_part_of_the_fold_and_goes_with_it);
    tcase_add_test(tcase, any_thread_may_ask);
    tcase_add_test(tcase, an_older_catalog_is_emptied_and_made_anew);
    Suite *suite = suite_create("content");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
