/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/catalog/journal: jobs and targets outlive the process, lists page, old ones go. */
#include "catalog/journal.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "catalog/journal_holds.h"
#include "catalog/journal_proofs.h"
#include "catalog/schema.h"
#include "catalog/sql.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static void ok(enum tm_code code, const struct tm_err *err)
{
    ck_assert_msg(code == TM_OK, "%s", err->msg);
}

static char path[128];

static void set_up(void)
{
    char folder[] = "/tmp/tm-journal-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/journal.db", folder);
}

static void tear_down(void)
{
    const char *const ends[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < LENGTH(ends); i++) {
        char name[160];
        (void)snprintf(name, sizeof(name), "%s%s", path, ends[i]);
        (void)unlink(name);
    }
    *strrchr(path, '/') = '\0';
    ck_assert_int_eq(rmdir(path), 0);
}

static struct tm_journal *opened(void)
{
    struct tm_journal *journal = NULL;
    struct tm_err err = {0};
    ok(tm_journal_open(path, &journal, &err), &err);
    return journal;
}

static struct tm_id16 id_of(unsigned number)
{
    struct tm_id16 id = {{0}};
    id.bytes[15] = (uint8_t)number;
    return id;
}

/* Job n: created at 1,000 * n, otherwise plain. */
static struct tm_job_row job(unsigned number, enum tm_job_state state)
{
    return (struct tm_job_row){
            .id = id_of(number),
            .kind = TM_JOB_BACKUP,
            .state = state,
            .policy = "orders",
            .cluster = "main",
            .requested_by = "schedule",
            .request_id = "r",
            .request = "{}",
            .created_ms = 1000 * (int64_t)number,
    };
}

static void put(struct tm_journal *journal, const struct tm_job_row *row)
{
    struct tm_err err = {0};
    ok(tm_journal_put_job(journal, row, &err), &err);
}

/* The ids a query gives, as "5 4 3". */
static void assert_lists(
        struct tm_journal *journal, const struct tm_job_query *query, const char *expected)
{
    struct tm_arena arena = {0};
    struct tm_job_row *rows = NULL;
    struct tm_err err = {0};
    size_t count = 0;
    char got[128] = "";
    ok(tm_journal_jobs(journal, query, &arena, &rows, &count, &err), &err);
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(got);
        (void)snprintf(
                got + len, sizeof(got) - len, "%s%d", i > 0 ? " " : "", rows[i].id.bytes[15]);
    }
    ck_assert_str_eq(got, expected);
    tm_arena_done(&arena);
}

static void assert_same_text(const char *a, const char *b)
{
    ck_assert_msg((a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0), "\"%s\", \"%s\"",
            a != NULL ? a : "(null)", b != NULL ? b : "(null)");
}

static void assert_same_job(const struct tm_job_row *a, const struct tm_job_row *b)
{
    ck_assert(tm_id16_eq(&a->id, &b->id));
    ck_assert_int_eq(a->kind, b->kind);
    ck_assert_int_eq(a->state, b->state);
    assert_same_text(a->policy, b->policy);
    assert_same_text(a->cluster, b->cluster);
    assert_same_text(a->requested_by, b->requested_by);
    assert_same_text(a->request_id, b->request_id);
    assert_same_text(a->request, b->request);
    assert_same_text(a->result, b->result);
    assert_same_text(a->error, b->error);
    assert_same_text(a->warnings, b->warnings);
    ck_assert_int_eq(a->created_ms, b->created_ms);
    ck_assert_int_eq(a->started_ms, b->started_ms);
    ck_assert_int_eq(a->finished_ms, b->finished_ms);
    ck_assert_int_eq(a->resumed, b->resumed);
}

START_TEST(a_job_is_as_it_was_after_a_new_start)
{
    const struct tm_job_row rows[] = {
            job(1, TM_JOB_QUEUED),
            {
                    .id = id_of(2),
                    .kind = TM_JOB_RESTORE,
                    .state = TM_JOB_PARTIAL,
                    .policy = "",
                    .cluster = "other",
                    .requested_by = "token:oncall",
                    .request_id = "q-1",
                    .request = "{\"point\":\"rp_1\"}",
                    .result = "{}",
                    .error = "{\"code\":\"kafka\"}",
                    .warnings = "[]",
                    .created_ms = -5,
                    .started_ms = 6,
                    .finished_ms = INT64_MAX,
                    .resumed = 2,
            },
    };
    struct tm_journal *journal = opened();
    for (size_t i = 0; i < LENGTH(rows); i++) {
        put(journal, &rows[i]);
    }
    tm_journal_close(journal);

    journal = opened();
    struct tm_arena arena = {0};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct tm_job_row got = {0};
        struct tm_err err = {0};
        bool found = false;
        ok(tm_journal_get_job(journal, &rows[i].id, &arena, &got, &found, &err), &err);
        ck_assert(found);
        assert_same_job(&got, &rows[i]);
    }
    tm_arena_done(&arena);
    tm_journal_close(journal);
}
END_TEST

START_TEST(a_job_that_is_not_there_is_no_error)
{
    TM_OWN(tm_journal_close) struct tm_journal *journal = opened();
    struct tm_arena arena = {0};
    struct tm_job_row got = {.resumed = 9};
    struct tm_err err = {0};
    bool found = true;
    struct tm_id16 id = id_of(1);
    ok(tm_journal_get_job(journal, &id, &arena, &got, &found, &err), &err);
    ck_assert(!found);
    ck_assert_int_eq(got.resumed, 9);
    tm_arena_done(&arena);
}
END_TEST

START_TEST(putting_a_job_again_replaces_all_of_it)
{
    TM_OWN(tm_journal_close) struct tm_journal *journal = opened();
    struct tm_job_row first = job(1, TM_JOB_FAILED);
    first.error = "{}";
    first.warnings = "[]";
    put(journal, &first);
    struct tm_job_row second = job(1, TM_JOB_RUNNING);
    put(journal, &second);

    struct tm_arena arena = {0};
    struct tm_job_row got = {0};
    struct tm_err err = {0};
    bool found = false;
    ok(tm_journal_get_job(journal, &second.id, &arena, &got, &found, &err), &err);
    assert_same_job(&got, &second);
    tm_arena_done(&arena);
}
END_TEST

/* Jobs 1..6; even ones are of policy "logs", 5 is a restore without policy. */
static void fill(struct tm_journal *journal)
{
    for (unsigned i = 1; i <= 6; i++) {
        struct tm_job_row row = job(i, (enum tm_job_state)(i - 1));
        row.policy = i % 2 == 0 ? "logs" : "orders";
        if (i == 5) {
            row.kind = TM_JOB_RESTORE;
            row.policy = "";
        }
        put(journal, &row);
    }
}

#define ANY .since_ms = INT64_MIN, .limit = 100

/* clang-format off */
static const struct {
    const char *why;
    struct tm_job_query query;
    const char *ids;
} lists[] = {
    {"all",            {.since_ms = INT64_MIN, .limit = 100}, "6 5 4 3 2 1"},
    {"the first two",  {.since_ms = INT64_MIN, .limit = 2},   "6 5"},
    {"none wanted",    {.since_ms = INT64_MIN, .limit = 0},   ""},
    {"a kind",         {.kinds = 1U << TM_JOB_RESTORE, .since_ms = INT64_MIN, .limit = 9}, "5"},
    {"a state",        {.states = 1U << TM_JOB_PARTIAL, .since_ms = INT64_MIN, .limit = 9}, "4"},
    {"state number 0", {.states = 1U << TM_JOB_QUEUED, .since_ms = INT64_MIN, .limit = 9},  "1"},
    {"two states",     {.states = 1U << TM_JOB_PARTIAL | 1U << TM_JOB_QUEUED, .since_ms = INT64_MIN, .limit = 9}, "4 1"},
    {"open ones",      {.states = TM_JOBS_OPEN, .since_ms = INT64_MIN, .limit = 9},   "2 1"},
    {"open of policy", {.states = TM_JOBS_OPEN, .policies = TM_NAMES("logs"), .since_ms = INT64_MIN, .limit = 9}, "2"},
    {"a policy",       {.policies = TM_NAMES("logs"), .since_ms = INT64_MIN, .limit = 9}, "6 4 2"},
    {"policy, state",  {.states = 1U << TM_JOB_PARTIAL, .policies = TM_NAMES("logs"), .since_ms = INT64_MIN, .limit = 9}, "4"},
    {"policies",       {.policies = TM_NAMES("logs", "", "x"), .since_ms = INT64_MIN, .limit = 9}, "6 5 4 2"},
    {"no policy",      {.policies = TM_NAMES(""), .since_ms = INT64_MIN, .limit = 9}, "5"},
    {"since",          {.since_ms = 4000, .limit = 9},        "6 5 4"},
    {"until",          {.since_ms = 2000, .until_ms = 4000, .limit = 9}, "3 2"},
};
/* clang-format on */

START_TEST(a_list_gives_the_newest_that_match)
{
    TM_OWN(tm_journal_close) struct tm_journal *journal = opened();
    fill(journal);
    assert_lists(journal, &lists[_i].query, lists[_i].ids);
}
END_TEST

START_TEST(pages_follow_each_other_without_a_gap)
{
    TM_OWN(tm_journal_close) struct tm_journal *journal = opened();
    fill(journal);
    struct tm_id16 before = id_of(5);
    assert_lists(journal, &(struct tm_job_query){ANY, .before = &before}, "4 3 2 1");
    assert_lists(journal,
            &(struct tm_job_query){ANY, .before = &before, .policies = TM_NAMES("logs")}, "4 2");
    before = id_of(1);
    assert_lists(journal, &(struct tm_job_query){ANY, .before = &before}, "");
}
END_TEST

static void put_target(struct tm_journal *journal, unsigned job_number, const char *topic)
{
    struct tm_err err = {0};
    struct tm_id16 id = id_of(job_number);
    struct tm_restore_target target = {.topic = topic};
    ok(tm_journal_put_target(journal, &id, &target, &err), &err);
}

static size_t count_targets(struct tm_journal *journal, unsigned job_number)
{
    struct tm_arena arena = {0};
    struct tm_restore_target *targets = NULL;
    struct tm_err err = {0};
    size_t count = 99;
    struct tm_id16 id = id_of(job_number);
    ok(tm_journal_targets(journal, &id, &arena, &targets, &count, &err), &err);
    tm_arena_done(&arena);
    return count;
}

START_TEST(pruning_takes_finished_jobs_and_their_targets_alone)
{
    TM_OWN(tm_journal_close) struct tm_journal *journal = opened();
    fill(journal); /* 1 is queued, 2 runs */
    put_target(journal, 1, "a");
    put_target(journal, 4, "a");
    put_target(journal, 5, "a");
    struct tm_err err = {0};
    int64_t removed = -1;
    ok(tm_journal_prune_jobs(journal, 5000, &removed, &err), &err);
    ck_assert_int_eq(removed, 2);
    assert_lists(journal, &(struct tm_job_query){ANY}, "6 5 2 1");
    ck_assert_uint_eq(count_targets(journal, 1), 1);
    ck_assert_uint_eq(count_targets(journal, 4), 0);
    ck_assert_uint_eq(count_targets(journal, 5), 1);
}
END_TEST

static struct tm_hold_row hold_of(unsigned job, const char *topic, const char *name)
{
    return (struct tm_hold_row){.job = id_of(job),
            .cluster = "dr",
            .topic = topic,
            .name = name,
            .held = "-1",
            .due_ms = 77};
}

static size_t count_holds(struct tm_journal *journal, const struct tm_id16 *job, bool waiting)
{
    struct tm_arena arena = {0};
    struct tm_hold_row *rows = NULL;
    struct tm_err err = {0};
    size_t count = 99;
    ok(tm_journal_holds(journal, job, waiting, &arena, &rows, &count, &err), &err);
    tm_arena_done(&arena);
    return count;
}

START_TEST(settings_held_are_kept_until_they_are_dealt_with_and_their_job_is_pruned)
{
    TM_OWN(tm_journal_close) struct tm_journal *journal = opened();
    fill(journal); /* 3 and 4 have ended before 5000 */
    struct tm_hold_row rows[] = {hold_of(4, "b", "retention.ms"), hold_of(4, "a", "retention.ms"),
            hold_of(3, "z", "retention.bytes")};
    struct tm_err err = {0};
    rows[0].original = "604800000";
    ok(tm_journal_put_holds(journal, rows, 3, &err), &err);
    rows[0].state = TM_HOLD_LEFT;
    rows[0].note = "somebody's";
    rows[0].done_ms = 99;
    ok(tm_journal_put_holds(journal, rows, 1, &err), &err);
    tm_journal_close(journal);

    journal = opened(); /* a file that has the table already */
    struct tm_arena arena = {0};
    struct tm_hold_row *got = NULL;
    size_t count = 0;
    struct tm_id16 four = id_of(4);
    ok(tm_journal_holds(journal, &four, false, &arena, &got, &count, &err), &err);
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(got[0].topic, "a");
    ck_assert_ptr_null(got[0].original);
    ck_assert_int_eq(got[0].due_ms, 77);
    ck_assert_str_eq(got[1].original, "604800000");
    ck_assert_str_eq(got[1].note, "somebody's");
    ck_assert_int_eq(got[1].state, TM_HOLD_LEFT);
    ck_assert_int_eq(got[1].done_ms, 99);
    tm_arena_done(&arena);
    ck_assert_uint_eq(count_holds(journal, NULL, true), 2);
    int64_t removed = -1;
    ok(tm_journal_prune_jobs(journal, 5000, &removed, &err), &err);
    ck_assert_uint_eq(count_holds(journal, NULL, true), 2); /* what waits outlives its job */
    ck_assert_uint_eq(count_holds(journal, NULL, false), 2);
}
END_TEST

START_TEST(targets_are_kept_by_job_and_topic)
{
    struct tm_id16 id = id_of(3);
    const struct tm_restore_target rows[] = {
            {.topic = "b", .created = true, .configs = "{\"k\":\"v\"}"},
            {.topic = "a"},
            {.topic = "b", .created = true, .configured = true},
    };
    struct tm_journal *journal = opened();
    struct tm_err err = {0};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        ok(tm_journal_put_target(journal, &id, &rows[i], &err), &err);
    }
    tm_journal_close(journal);

    journal = opened();
    struct tm_arena arena = {0};
    struct tm_restore_target *got = NULL;
    size_t count = 0;
    ok(tm_journal_targets(journal, &id, &arena, &got, &count, &err), &err);
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(got[0].topic, "a");
    ck_assert(!got[0].created && !got[0].configured);
    ck_assert_str_eq(got[1].topic, "b");
    ck_assert(got[1].created && got[1].configured);
    ck_assert_ptr_null(got[1].configs);
    ck_assert_uint_eq(count_targets(journal, 4), 0);
    tm_arena_done(&arena);
    tm_journal_close(journal);
}
END_TEST

START_TEST(names_of_kinds_and_states_are_those_of_the_api)
{
    const char *const kinds[] = {
            "backup", "restore", "verify", "retention", "delete", "import", "drill"};
    ck_assert_uint_eq(LENGTH(kinds), TM_JOB_KINDS);
    for (size_t i = 0; i < LENGTH(kinds); i++) {
        ck_assert_str_eq(tm_job_kind_name((enum tm_job_kind)i), kinds[i]);
    }
    const char *const states[] = {
            "queued", "running", "succeeded", "partial", "failed", "cancelled"};
    for (size_t i = 0; i < LENGTH(states); i++) {
        ck_assert_str_eq(tm_job_state_name((enum tm_job_state)i), states[i]);
    }
}
END_TEST

/* Run SQL on the file as it lies there. */
static void run_sql(const char *sql_text)
{
    struct tm_sql *sql = NULL;
    struct tm_err err = {0};
    ok(tm_sql_open(path, &tm_schema_journal, &sql, &err), &err);
    ok(tm_sql_exec(sql, sql_text, &err), &err);
    tm_sql_close(sql);
}

static void assert_refused(enum tm_code code, const char *message)
{
    struct tm_journal *journal = NULL;
    struct tm_err err = {0};
    char expected[TM_ERR_MSG_MAX];
    (void)snprintf(expected, sizeof(expected), "%s: %s", path, message);
    ck_assert_int_eq(tm_journal_open(path, &journal, &err), code);
    ck_assert_str_eq(err.msg, expected);
    ck_assert_ptr_null(journal);
}

START_TEST(a_newer_schema_is_refused)
{
    run_sql("PRAGMA user_version = 2");
    assert_refused(TM_E_VERSION,
            "the journal was written by a newer version (schema 2, this one knows 1)");
}
END_TEST

START_TEST(a_file_of_another_kind_is_refused)
{
    run_sql("PRAGMA application_id = 5");
    assert_refused(TM_E_CORRUPT, "is not a journal");
}
END_TEST

START_TEST(a_damaged_file_is_named_with_what_to_do)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_ge(fputs("no database at all\n", file), 0);
    }
    ck_assert_int_eq(fclose(file), 0);
    assert_refused(TM_E_CORRUPT, "the journal is damaged (file is not a database); hint: move it"
                                 " away, only the history of jobs is lost");
}
END_TEST

START_TEST(a_folder_that_is_not_there_is_an_io_failure)
{
    struct tm_journal *journal = NULL;
    struct tm_err err = {0};
    ck_assert_int_eq(tm_journal_open("/dev/null/journal.db", &journal, &err), TM_E_IO);
    ck_assert_str_eq(err.msg, "/dev/null/journal.db: unable to open database file");
    ck_assert_int_eq(err.sys_errno, ENOTDIR);
}
END_TEST

START_TEST(proofs_outlive_the_file_and_the_newest_counts)
{
    static const struct tm_proof_row rows[] = {
            {TM_JOB_VERIFY, "main", "full", 1000},
            {TM_JOB_DRILL, "prod", "p", 2000},
            {TM_JOB_VERIFY, "main", "scrub", 3000},
            {TM_JOB_VERIFY, "main", "full", 4000},
    };
    static const struct tm_proof_row kept[] = {
            {TM_JOB_VERIFY, "main", "full", 4000},
            {TM_JOB_VERIFY, "main", "scrub", 3000},
            {TM_JOB_DRILL, "prod", "p", 2000},
    };
    TM_OWN(tm_journal_close) struct tm_journal *journal = opened();
    struct tm_err err = {0};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        ok(tm_journal_put_proof(journal, &rows[i], &err), &err);
    }
    int64_t removed = -1;
    ok(tm_journal_prune_jobs(journal, INT64_MAX, &removed, &err), &err);
    tm_journal_close(journal);
    journal = opened();
    struct tm_arena arena = {0};
    struct tm_proof_row *got = NULL;
    size_t count = 0;
    ok(tm_journal_proofs(journal, &arena, &got, &count, &err), &err);
    ck_assert_uint_eq(count, LENGTH(kept));
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(got[i].kind, kept[i].kind);
        ck_assert_str_eq(got[i].of, kept[i].of);
        ck_assert_str_eq(got[i].how, kept[i].how);
        ck_assert_int_eq(got[i].at_ms, kept[i].at_ms);
    }
    tm_arena_done(&arena);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("journal");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_job_is_as_it_was_after_a_new_start);
    tcase_add_test(tcase, a_job_that_is_not_there_is_no_error);
    tcase_add_test(tcase, putting_a_job_again_replaces_all_of_it);
    tcase_add_loop_test(tcase, a_list_gives_the_newest_that_match, 0, (int)LENGTH(lists));
    tcase_add_test(tcase, pages_follow_each_other_without_a_gap);
    tcase_add_test(tcase, pruning_takes_finished_jobs_and_their_targets_alone);
    tcase_add_test(tcase, proofs_outlive_the_file_and_the_newest_counts);
    tcase_add_test(tcase, settings_held_are_kept_until_they_are_dealt_with_and_their_job_is_pruned);
    tcase_add_test(tcase, targets_are_kept_by_job_and_topic);
    tcase_add_test(tcase, names_of_kinds_and_states_are_those_of_the_api);
    tcase_add_test(tcase, a_newer_schema_is_refused);
    tcase_add_test(tcase, a_file_of_another_kind_is_refused);
    tcase_add_test(tcase, a_damaged_file_is_named_with_what_to_do);
    tcase_add_test(tcase, a_folder_that_is_not_there_is_an_io_failure);

    Suite *suite = suite_create("journal");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
