/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/catalog: tables and files that are damaged, newer, locked or somebody else's. */
#include <check.h>
#include <errno.h>
#include <sys/stat.h>

#include "catalog_rig.h"

/* Damage ----------------------------------------------------------------------------------- */

static enum tm_code ask_point(
        struct tm_catalog *catalog, struct tm_arena *arena, struct tm_err *err)
{
    struct tm_point point = {.row.id = 99};
    struct tm_id16 ulid = id16(1);
    enum tm_code code = tm_catalog_point(catalog, &ulid, arena, &point, err);
    ck_assert(code == TM_OK || point.row.id == 99);
    return code;
}

static enum tm_code ask_list(struct tm_catalog *catalog, struct tm_arena *arena, struct tm_err *err)
{
    struct tm_point_query query = {
            .topics = TM_NAMES("orders"), .since_ms = INT64_MIN, .until_ms = INT64_MAX, .limit = 9};
    struct tm_point_line *lines = NULL;
    size_t count = 99;
    enum tm_code code = tm_catalog_points(catalog, &query, arena, &lines, &count, err);
    ck_assert_uint_eq(count, code == TM_OK ? 1 : 99);
    return code;
}

static enum tm_code ask_runs(struct tm_catalog *catalog, struct tm_arena *arena, struct tm_err *err)
{
    struct tm_stored_run *runs = NULL;
    size_t count = 99;
    enum tm_code code = tm_catalog_runs(catalog, 1, 0, 0, 200, arena, &runs, &count, err);
    ck_assert_uint_eq(count, code == TM_OK ? 2 : 99);
    return code;
}

static enum tm_code ask_gaps(struct tm_catalog *catalog, struct tm_arena *arena, struct tm_err *err)
{
    struct tm_row_gap *gaps = NULL;
    size_t count = 99;
    enum tm_code code = tm_catalog_gaps(catalog, 1, 0, 0, 200, arena, &gaps, &count, err);
    ck_assert_uint_eq(count, code == TM_OK ? 1 : 99);
    return code;
}

static enum tm_code ask_part(struct tm_catalog *catalog, struct tm_arena *arena, struct tm_err *err)
{
    (void)arena;
    struct tm_part_totals totals = {.messages = 99};
    enum tm_code code = tm_catalog_part_totals(catalog, 1, 0, 0, 200, &totals, err);
    ck_assert_int_eq(totals.messages, code == TM_OK ? 140 : 99);
    return code;
}

static enum tm_code ask_tails(
        struct tm_catalog *catalog, struct tm_arena *arena, struct tm_err *err)
{
    struct tm_row_tail *tails = NULL;
    size_t count = 99;
    enum tm_code code = tm_catalog_tails(catalog, 1, arena, &tails, &count, err);
    ck_assert_uint_eq(count, code == TM_OK ? 3 : 99);
    return code;
}

static enum tm_code ask_stream(
        struct tm_catalog *catalog, struct tm_arena *arena, struct tm_err *err)
{
    struct tm_stream stream = {.id = 99};
    enum tm_code code = tm_catalog_stream(catalog, text("c1"), text("orders"), arena, &stream, err);
    ck_assert_uint_eq(stream.id, code == TM_OK ? 3 : 99);
    return code;
}

static enum tm_code ask_writer(
        struct tm_catalog *catalog, struct tm_arena *arena, struct tm_err *err)
{
    struct tm_row_writer row = {.time_ms = 99};
    enum tm_code code = tm_catalog_writer(catalog, text("c1"), text("p"), arena, &row, err);
    ck_assert_int_eq(row.time_ms, code == TM_OK ? 3000 : 99);
    return code;
}

static enum tm_code ask_packs(
        struct tm_catalog *catalog, struct tm_arena *arena, struct tm_err *err)
{
    (void)arena;
    struct tm_vault_totals totals = {.packs = 99};
    enum tm_code code = tm_catalog_vault_totals(catalog, &totals, err);
    ck_assert_int_eq(totals.packs, code == TM_OK ? 2 : 99);
    return code;
}

static enum tm_code ask_params(
        struct tm_catalog *catalog, struct tm_arena *arena, struct tm_err *err)
{
    (void)arena;
    struct tm_block_params params = {.block_min = 99};
    enum tm_code code = tm_catalog_params(catalog, &params, err);
    ck_assert_uint_eq(params.block_min, code == TM_OK ? 262144 : 99);
    return code;
}

static enum tm_code ask_count(
        struct tm_catalog *catalog, struct tm_arena *arena, struct tm_err *err)
{
    (void)arena;
    struct tm_point_totals totals = {.count = 99};
    enum tm_code code = tm_catalog_point_totals(catalog, "p", &totals, err);
    ck_assert_int_eq(totals.count, code == TM_OK ? 1 : 99);
    return code;
}

static enum tm_code ask_dump(struct tm_catalog *catalog, struct tm_arena *arena, struct tm_err *err)
{
    (void)arena;
    struct tm_fold fold = tm_catalog_fold(catalog);
    struct tm_edits edits = {0};
    enum tm_code code = fold.ops->dump(fold.self, 0, &edits, err);
    ck_assert_uint_eq(edits.packs.count, code == TM_OK ? 2 : 0);
    tm_edits_done(&edits);
    return code;
}

/* An entry that touches every table. */
static enum tm_code ask_apply(
        struct tm_catalog *catalog, struct tm_arena *arena, struct tm_err *err)
{
    struct rig rig = {catalog, tm_catalog_fold(catalog)};
    (void)arena;
    EDITS_OWN struct tm_edits edits = entry("p", 4000);
    add_param(&edits, "solo.min", "9");
    add_stream(&edits, 5, "c1", "new", 1);
    add_keep(&edits, 1, "p", 0);
    add_keep(&edits, 1, "q", 9);
    add_successor(drop_pack(&edits, 2), 8);
    (void)add_run(add_pack(&edits, 8), 1, 0, 110, 150);
    (void)add_run(add_pack(&edits, 9), 1, 0, 150, 160);
    add_dep(&edits.packs.at[1], 1);
    sweep_pack(&edits, 77);
    add_gap(&edits, 1, 0, 160, 170, TM_GAP_UNKNOWN);
    add_tail(&edits, 1, 0, 170, 170, 11);
    struct tm_row_point *point = add_point(&edits, 2, "p");
    add_part(point, 1, 0, 0, 170);
    add_group(point, "g", 1, 0, 1);
    add_gone(point, 2);
    point->topics[point->topic_count++] = (struct tm_row_topic){.stream = 1};
    point->acls[point->acl_count++] = (struct tm_row_acl){.stream = 1};
    remove_point(&edits, 1);
    add_mark(&edits, 2, "x", 0);
    /* As a failed apply, it must change nothing: the next question finds the same. */
    struct tm_entry_place place = {
            .vault_id = id16(77), .seq = 3, .back = 3, .prev = entry_hash(2)};
    return rig_apply_at(&rig, &place, &edits, err);
}

/* clang-format off */
static const struct {
    const char *name;
    enum tm_code (*ask)(struct tm_catalog *catalog, struct tm_arena *arena, struct tm_err *err);
} questions[] = {
    {"point", ask_point}, {"list", ask_list}, {"runs", ask_runs}, {"gaps", ask_gaps},
    {"part", ask_part}, {"tails", ask_tails}, {"stream", ask_stream}, {"writer", ask_writer},
    {"packs", ask_packs}, {"params", ask_params}, {"count", ask_count}, {"dump", ask_dump},
    {"apply", ask_apply},
};
static const struct {
    const char *table;
    const char *fail; /* the questions that do */
} tables[] = {
    {"head",        "apply"},
    {"param",       "params dump apply"},
    {"stream",      "point list stream dump apply"},
    {"keep",        "dump apply"},
    {"chain",       "point list count dump apply"},
    {"point",       "point list packs count dump apply"},
    {"point_gone",  "point list dump apply"},
    {"point_topic", "point dump apply"},
    {"point_part",  "point list dump apply"},
    {"point_group", "point dump apply"},
    {"point_acl",   "point dump apply"},
    {"mark",        "point list dump apply"},
    {"pack",        "point list runs packs dump apply"},
    {"dep",         "dump apply"},
    {"run",         "list runs part packs dump apply"},
    {"gap",         "gaps part dump apply"},
    {"tail",        "tails dump apply"},
    {"dropped",     "dump apply"},
    {"moved",       "dump apply"},
    {"swept",       "dump apply"},
    {"writer",      "writer dump apply"},
};
/* clang-format on */

START_TEST(a_table_that_is_gone_is_damage_and_not_emptiness)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    char drop[64];
    char expected[TM_ERR_MSG_MAX];
    struct tm_err err = {0};
    (void)snprintf(drop, sizeof(drop), "DROP TABLE %s", tables[_i].table);
    (void)snprintf(expected, sizeof(expected),
            ":memory:: the catalog is damaged (no such table: %s); hint: delete it, it is made "
            "again"
            " from the vault",
            tables[_i].table);
    ok(tm_sql_exec(rig.catalog->sql, drop, &err), &err);

    struct tm_arena arena = {0};
    TM_BUF_OWN struct tm_buf failed = {0};
    for (size_t i = 0; i < LENGTH(questions); i++) {
        err = (struct tm_err){0};
        enum tm_code code = questions[i].ask(rig.catalog, &arena, &err);
        if (code != TM_OK) {
            ck_assert_int_eq(code, TM_E_CORRUPT);
            ck_assert_str_eq(err.msg, expected);
            tm_buf_add_fmt(&failed, "%s%s", failed.len > 0 ? " " : "", questions[i].name);
        }
    }
    tm_arena_done(&arena);
    ck_assert_str_eq(tm_buf_text(&failed), tables[_i].fail);
}
END_TEST

/* Files ------------------------------------------------------------------------------------ */

static char path[128];

static void set_up(void)
{
    rig_temp_path(path);
}

static void tear_down(void)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < LENGTH(ends); i++) {
        char name[160];
        (void)snprintf(name, sizeof(name), "%s%s", path, ends[i]);
        (void)unlink(name);
    }
    *strrchr(path, '/') = '\0';
    ck_assert_int_eq(rmdir(path), 0);
}

START_TEST(a_catalog_is_as_it_was_when_opened_again)
{
    TM_BUF_OWN struct tm_buf before = {0};
    TM_BUF_OWN struct tm_buf after = {0};
    struct rig rig = rig_open(path);
    rig_fill(&rig);
    rig_body(&rig, 9999, &before);
    rig_done(&rig);
    rig = rig_open(path);
    rig_body(&rig, 9999, &after);
    assert_same_body(&before, &after, "opened again");
    ck_assert_uint_eq(rig_state(&rig).head.seq, 2);
    rig_done(&rig);
}
END_TEST

START_TEST(the_size_of_a_catalog_is_that_of_its_files)
{
    RIG_OWN struct rig rig = rig_open(path);
    rig_fill(&rig);
    struct tm_vault_totals totals = {0};
    struct tm_err err = {0};
    char wal[160];
    struct stat info = {0};
    (void)snprintf(wal, sizeof(wal), "%s-wal", path);
    ck_assert_int_eq(stat(wal, &info), 0);
    ok(tm_catalog_vault_totals(rig.catalog, &totals, &err), &err);
    ck_assert_int_eq(totals.packs, 2);
    ck_assert_int_gt(info.st_size, 0);
    ck_assert_int_gt(totals.database_bytes, info.st_size);
}
END_TEST

START_TEST(two_handles_see_each_others_entries)
{
    RIG_OWN struct rig one = rig_open(path);
    RIG_OWN struct rig two = rig_open(path);
    rig_fill(&one);
    EDITS_OWN struct tm_edits edits = entry("p", 4000);
    rig_must(&two, &edits);
    ck_assert_uint_eq(rig_state(&one).head.seq, 3);
}
END_TEST

START_TEST(a_locked_catalog_is_busy)
{
    RIG_OWN struct rig one = rig_open(path);
    RIG_OWN struct rig two = rig_open(path);
    rig_fill(&one);
    struct tm_err err = {0};
    ok(tm_sql_exec(one.catalog->sql, "BEGIN IMMEDIATE", &err), &err);
    tm_sql_set_busy_timeout(two.catalog->sql, 20);
    EDITS_OWN struct tm_edits edits = entry("p", 4000);
    ck_assert_int_eq(rig_apply(&two, &edits, &err), TM_E_BUSY);
    char expected[TM_ERR_MSG_MAX];
    (void)snprintf(
            expected, sizeof(expected), "%s: locked by someone else for longer than 20 ms", path);
    ck_assert_str_eq(err.msg, expected);
    ck_assert(tm_code_retryable(err.code));

    /* Readers are not kept waiting, and the next try succeeds. */
    ck_assert_int_eq(tail_of(&two, 1, 0).next, 150);
    err = (struct tm_err){0};
    ok(tm_sql_exec(one.catalog->sql, "COMMIT", &err), &err);
    rig_must(&two, &edits);
}
END_TEST

START_TEST(a_newer_schema_is_refused)
{
    struct rig rig = rig_open(path);
    struct tm_err err = {0};
    ok(tm_sql_exec(rig.catalog->sql, "PRAGMA user_version = 9", &err), &err);
    rig_done(&rig);
    struct tm_catalog *catalog = NULL;
    char expected[TM_ERR_MSG_MAX];
    (void)snprintf(expected, sizeof(expected),
            "%s: the catalog was written by a newer version (schema 9, this one knows 3)", path);
    ck_assert_int_eq(tm_catalog_open(path, &catalog, &err), TM_E_VERSION);
    ck_assert_str_eq(err.msg, expected);
    ck_assert_ptr_null(catalog);
}
END_TEST

START_TEST(a_database_that_is_not_ours_is_left_alone)
{
    struct rig rig = rig_open(path);
    struct tm_err err = {0};
    ok(tm_sql_exec(rig.catalog->sql, "PRAGMA user_version = 0; PRAGMA application_id = 0", &err),
            &err);
    rig_done(&rig);
    struct tm_catalog *catalog = NULL;
    char expected[TM_ERR_MSG_MAX];
    (void)snprintf(expected, sizeof(expected), "%s: is not a catalog", path);
    ck_assert_int_eq(tm_catalog_open(path, &catalog, &err), TM_E_CORRUPT);
    ck_assert_str_eq(err.msg, expected);
}
END_TEST

START_TEST(a_damaged_file_is_named_with_what_to_do)
{
    struct rig rig = rig_open(path);
    rig_fill(&rig);
    rig_done(&rig);
    FILE *file = fopen(path, "r+");
    ck_assert_ptr_nonnull(file);
    /* Every page behind the first: the header still says that this is a catalog. */
    ck_assert_int_eq(fseek(file, 4096, SEEK_SET), 0);
    for (int i = 0; i < 50 * 4096; i++) {
        ck_assert_int_ne(fputc(0xa5, file), EOF);
    }
    ck_assert_int_eq(fclose(file), 0);

    struct tm_catalog *catalog = NULL;
    struct tm_err err = {0};
    char expected[TM_ERR_MSG_MAX];
    (void)snprintf(expected, sizeof(expected),
            "%s: the catalog is damaged (database disk image is malformed); hint: delete it, it is"
            " made again from the vault",
            path);
    ck_assert_int_eq(tm_catalog_open(path, &catalog, &err), TM_E_CORRUPT);
    ck_assert_str_eq(err.msg, expected);
    ck_assert_ptr_null(catalog);
}
END_TEST

START_TEST(no_catalog_is_made_in_a_folder_that_is_not_there)
{
    struct tm_catalog *catalog = NULL;
    struct tm_err err = {0};
    ck_assert_int_eq(tm_catalog_open("/dev/null/x.db", &catalog, &err), TM_E_IO);
    ck_assert_str_eq(err.msg, "/dev/null/x.db: unable to open database file");
    ck_assert_int_eq(err.sys_errno, ENOTDIR);
}
END_TEST

START_TEST(the_library_says_its_version)
{
    ck_assert_int_eq(tm_catalog_sqlite_version()[0], '3');
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("catalog_damage");
    tcase_add_loop_test(
            tcase, a_table_that_is_gone_is_damage_and_not_emptiness, 0, (int)LENGTH(tables));
    tcase_add_test(tcase, no_catalog_is_made_in_a_folder_that_is_not_there);
    tcase_add_test(tcase, the_library_says_its_version);
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, set_up, tear_down);
    tcase_add_test(files, a_catalog_is_as_it_was_when_opened_again);
    tcase_add_test(files, the_size_of_a_catalog_is_that_of_its_files);
    tcase_add_test(files, two_handles_see_each_others_entries);
    tcase_add_test(files, a_locked_catalog_is_busy);
    tcase_add_test(files, a_newer_schema_is_refused);
    tcase_add_test(files, a_database_that_is_not_ours_is_left_alone);
    tcase_add_test(files, a_damaged_file_is_named_with_what_to_do);

    Suite *suite = suite_create("catalog_damage");
    suite_add_tcase(suite, tcase);
    suite_add_tcase(suite, files);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
