/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's job table, schedules and shutdown, with real jobs on the mock cluster.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "daemon_rig.h"
#include "http.h"
#include "standby.h"

#define POLICY(name, topics, rest) \
    "  - {name: " name ", cluster: mock, vault: main, topics: {include: [" topics "]}, " rest "}" \
    "\n"

static const char one_policy[] = "policies:\n" POLICY("p", "orders", "schedule: \"\"");
static const char three_policies[] =
        "jobs: {max_running: 1, max_queued: 1}\n"
        "policies:\n" POLICY("a", "orders", "schedule: \"\"")
                POLICY("b", "orders", "schedule: \"\"") POLICY("c", "orders", "schedule: \"\"");

static void rig_with_topic(struct daemon_rig *rig, int64_t records)
{
    struct tm_err err = {0};
    rig_up(rig);
    ASSERT_OK(tm_mock_topic(rig->kafka.mock, "orders", 1, &err), err);
    if (records > 0) {
        write_made(&rig->kafka, "orders", 0, 0, records);
    }
}

static void slow_down(struct daemon_rig *rig, bool slow)
{
    tm_mock_round_trip(rig->kafka.mock, 1, slow ? 300 : 0);
}

/* Jobs ---------------------------------------------------------------------------------------- */

START_TEST(a_backup_is_durable_before_it_is_accepted_and_reads_the_same_after_a_restart)
{
    struct daemon_rig rig;
    rig_with_topic(&rig, 10);
    daemon_up(&rig, one_policy);
    struct answer answer = back_up(&rig, "p");
    ck_assert(answer.created);
    ck_assert_int_eq(answer.state, TM_JOB_QUEUED);
    struct answer ended = job_of(&rig, &answer.id, 20000);
    ck_assert_int_eq(ended.state, TM_JOB_SUCCEEDED);
    ck_assert_ptr_nonnull(strstr(ended.result, "\"messages_count\":10"));
    struct answer row = job_of(&rig, &answer.id, 0);
    ck_assert_int_eq(row.state, TM_JOB_SUCCEEDED);
    ck_assert_str_eq(row.result, ended.result);
    ck_assert_int_eq(cancel(&rig, &answer.id).problem.status, 409);
    ck_assert_str_eq(policy_view(&rig, "p").last_result, "succeeded");
    int64_t success_ms = policy_view(&rig, "p").last_success_ms;
    ck_assert_int_eq(success_ms, row.finished_ms);
    daemon_down(&rig);

    daemon_up(&rig, one_policy);
    row = job_of(&rig, &answer.id, 1000); /* a job that has ended is not waited for */
    ck_assert_int_eq(row.state, TM_JOB_SUCCEEDED);
    ck_assert_str_eq(row.result, ended.result);
    ck_assert_int_eq(policy_view(&rig, "p").last_success_ms, success_ms);
    ck_assert_ptr_nonnull(policy_view(&rig, "p").newest_point);
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

START_TEST(jobs_wait_in_line_and_the_line_has_an_end)
{
    struct daemon_rig rig;
    struct answer full = {0};
    struct answer joined;
    struct answer waited = {0};
    rig_with_topic(&rig, 10);
    daemon_up(&rig, three_policies);
    slow_down(&rig, true);
    struct answer first = back_up(&rig, "a");
    UNTIL(&rig, job_of(&rig, &first.id, 0).state == TM_JOB_RUNNING);
    struct answer second = back_up(&rig, "b");
    ck_assert_int_eq(job_of(&rig, &second.id, 0).state, TM_JOB_QUEUED);
    struct tm_backup_request request = {.policy = "c"};
    ask_backup(&rig, &request, &full);
    ck_assert(full.done);
    ck_assert_int_eq(full.problem.status, 503);
    ck_assert_str_eq(full.problem.slug, "queue-full");

    /* The same policy again: in the way, or joined. */
    request = (struct tm_backup_request){.policy = "a"};
    ask_backup(&rig, &request, &joined);
    ck_assert_int_eq(joined.problem.status, 409);
    ck_assert_str_eq(joined.problem.slug, "already-running");
    request.join = true;
    ask_backup(&rig, &request, &joined);
    ck_assert(joined.has_job && !joined.created);
    ck_assert(tm_id16_eq(&joined.id, &first.id));

    /* A job in line is cancelled without ever having been started; who waits for it is told. */
    struct tm_control control = tmd_control(&rig.tmd);
    control.ops->job(control.self, &second.id, 20000, take_answer, &waited);
    ck_assert(!waited.done);
    (void)cancel(&rig, &second.id);
    (void)cancel(&rig, &second.id); /* twice does not end it twice */
    UNTIL(&rig, waited.done);
    ck_assert_int_eq(waited.state, TM_JOB_CANCELLED);
    ck_assert_int_eq(waited.started_ms, 0);
    ck_assert_int_eq(job_of(&rig, &second.id, 0).state, TM_JOB_CANCELLED);
    ck_assert_str_eq(policy_view(&rig, "b").last_result, "cancelled");
    ck_assert_int_eq(policy_view(&rig, "b").last_success_ms, 0);
    slow_down(&rig, false);
    ck_assert_int_eq(job_of(&rig, &first.id, 20000).state, TM_JOB_SUCCEEDED);
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

START_TEST(a_job_cancelled_before_it_is_durable_never_starts)
{
    struct daemon_rig rig;
    struct answer answer;
    rig_with_topic(&rig, 10);
    daemon_up(&rig, one_policy);
    struct tm_backup_request request = {.policy = "p"};
    ask_backup(&rig, &request, &answer);
    struct tmd_job *job = tmd_job_of_policy(&rig.tmd, "p");
    ck_assert_ptr_nonnull(job);
    struct tm_id16 id = job->row.id;
    ck_assert(!job->durable);
    tmd_job_cancel(job, true);
    UNTIL(&rig, answer.done && tmd_job_of_policy(&rig.tmd, "p") == NULL);
    struct answer row = job_of(&rig, &id, 0);
    ck_assert_int_eq(row.state, TM_JOB_CANCELLED);
    ck_assert_int_eq(row.started_ms, 0);
    ck_assert_ptr_null(policy_view(&rig, "p").newest_point);
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

START_TEST(a_running_job_is_cancelled)
{
    struct daemon_rig rig;
    rig_with_topic(&rig, 10);
    daemon_up(&rig, one_policy);
    slow_down(&rig, true);
    struct answer answer = back_up(&rig, "p");
    UNTIL(&rig, job_of(&rig, &answer.id, 0).state == TM_JOB_RUNNING);
    (void)cancel(&rig, &answer.id);
    struct answer ended = job_of(&rig, &answer.id, 20000);
    ck_assert_int_eq(ended.state, TM_JOB_CANCELLED);
    slow_down(&rig, false);
    answer = back_up(&rig, "p");
    ended = job_of(&rig, &answer.id, 20000);
    ck_assert_int_eq(ended.state, TM_JOB_SUCCEEDED);
    ck_assert_ptr_nonnull(strstr(ended.result, "\"messages_count\":10"));
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

/* Restarts ------------------------------------------------------------------------------------ */

START_TEST(what_ran_and_what_waited_goes_on_after_a_restart)
{
    struct daemon_rig rig;
    rig_with_topic(&rig, 10);
    daemon_up(&rig, three_policies);
    slow_down(&rig, true);
    struct answer first = back_up(&rig, "a");
    UNTIL(&rig, job_of(&rig, &first.id, 0).state == TM_JOB_RUNNING);
    struct answer second = back_up(&rig, "b");
    daemon_down(&rig);
    slow_down(&rig, false);

    daemon_up(&rig, three_policies);
    struct answer ended = job_of(&rig, &first.id, 20000);
    ck_assert_int_eq(ended.state, TM_JOB_SUCCEEDED);
    ck_assert_int_eq(ended.resumed, 1);
    ended = job_of(&rig, &second.id, 20000);
    ck_assert_int_eq(ended.state, TM_JOB_SUCCEEDED);
    ck_assert_int_eq(ended.resumed, 0); /* it had not begun */
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

START_TEST(a_job_whose_policy_is_gone_ends_at_the_restart)
{
    struct daemon_rig rig;
    rig_with_topic(&rig, 10);
    daemon_up(&rig, three_policies);
    slow_down(&rig, true);
    struct answer first = back_up(&rig, "a");
    UNTIL(&rig, job_of(&rig, &first.id, 0).state == TM_JOB_RUNNING);
    daemon_down(&rig);
    slow_down(&rig, false);
    daemon_up(&rig, one_policy);
    struct answer ended = job_of(&rig, &first.id, 20000);
    ck_assert_int_eq(ended.state, TM_JOB_FAILED);
    ck_assert_ptr_nonnull(strstr(ended.error, "interrupted by a restart, and cannot go on"));
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

/* Asked to stop before it knew its jobs, the daemon leaves them for the next start. */
START_TEST(a_stop_while_starting_leaves_the_jobs_alone)
{
    struct daemon_rig rig;
    rig_with_topic(&rig, 10);
    daemon_up(&rig, three_policies);
    slow_down(&rig, true);
    struct answer first = back_up(&rig, "a");
    UNTIL(&rig, job_of(&rig, &first.id, 0).state == TM_JOB_RUNNING);
    daemon_down(&rig);
    slow_down(&rig, false);
    daemon_begin(&rig, one_policy); /* which lacks the policy: it would end the job */
    daemon_down(&rig);
    daemon_begin(&rig, three_policies);
    daemon_down(&rig);
    daemon_up(&rig, three_policies);
    struct answer ended = job_of(&rig, &first.id, 20000);
    ck_assert_int_eq(ended.state, TM_JOB_SUCCEEDED);
    ck_assert_int_eq(ended.resumed, 1);
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

static void dawdle(struct tmd_keep *keep, void *arg)
{
    (void)keep;
    (void)arg;
    tm_sleep_ms(700);
}

/* The job ends before the journal has taken the row that says that it runs. */
START_TEST(a_stop_right_after_a_start_leaves_nothing_behind)
{
    struct daemon_rig rig;
    struct answer answer;
    rig_with_topic(&rig, 10);
    daemon_up(&rig, one_policy);
    struct tm_backup_request request = {.policy = "p"};
    ask_backup(&rig, &request, &answer);
    tmd_keeper_ask(&rig.tmd, dawdle, NULL, NULL);
    UNTIL(&rig, answer.done);
    const struct tmd_job *job = tmd_job_find(&rig.tmd, &answer.id);
    ck_assert(job != NULL && job->started);
    daemon_down(&rig);
    daemon_up(&rig, one_policy);
    ck_assert_int_eq(job_of(&rig, &answer.id, 20000).state, TM_JOB_SUCCEEDED);
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

/* The journal cannot be written --------------------------------------------------------------- */

static void set_file_limit(rlim_t bytes)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(a_job_that_the_journal_cannot_take_is_refused)
{
    struct daemon_rig rig;
    rig_with_topic(&rig, 10);
    (void)signal(SIGXFSZ, SIG_IGN);
    daemon_up(&rig, one_policy);
    set_file_limit(1);
    struct answer answer = back_up(&rig, "p");
    set_file_limit(RLIM_INFINITY);
    ck_assert(!answer.has_job);
    ck_assert_int_eq(answer.problem.status, 503);
    ck_assert_str_eq(answer.problem.slug, "catalog-read-only");
    ck_assert_ptr_null(tmd_job_of_policy(&rig.tmd, "p"));
    answer = back_up(&rig, "p");
    ck_assert_int_eq(job_of(&rig, &answer.id, 20000).state, TM_JOB_SUCCEEDED);
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

START_TEST(the_end_of_a_job_is_told_though_the_journal_cannot_take_it)
{
    struct daemon_rig rig;
    rig_with_topic(&rig, 10);
    (void)signal(SIGXFSZ, SIG_IGN);
    daemon_up(&rig, one_policy);
    struct answer answer = back_up(&rig, "p");
    struct tmd_job *job = tmd_job_of_policy(&rig.tmd, "p");
    ck_assert_ptr_nonnull(job);
    while (atomic_load(&job->progress.phase) != TM_PHASE_DONE) {
        tm_sleep_ms(1); /* the loop stands still: nothing of the end is in the journal */
    }
    tm_sleep_ms(100);
    set_file_limit(1);
    struct answer ended = job_of(&rig, &answer.id, 20000);
    ck_assert_int_eq(ended.state, TM_JOB_SUCCEEDED);
    UNTIL(&rig, tmd_job_of_policy(&rig.tmd, "p") == NULL); /* the policy's next run may come */
    ended = job_of(&rig, &answer.id, 1000);
    ck_assert_int_eq(ended.state, TM_JOB_SUCCEEDED);
    ck_assert_int_eq(cancel(&rig, &answer.id).problem.status, 409);

    /* Once the journal can be written again, the row is. */
    set_file_limit(RLIM_INFINITY);
    struct tmd_jobs *jobs = rig.tmd.jobs;
    ck_assert(!TAILQ_EMPTY(&jobs->unstored));
    ck_assert(uv_is_active((uv_handle_t *)&jobs->retry));
    ck_assert_int_eq(uv_timer_start(&jobs->retry, jobs->retry.timer_cb, 0, 0), 0);
    UNTIL(&rig, TAILQ_EMPTY(&jobs->unstored));
    daemon_down(&rig);
    daemon_up(&rig, one_policy);
    ended = job_of(&rig, &answer.id, 0);
    ck_assert_int_eq(ended.state, TM_JOB_SUCCEEDED);
    ck_assert_int_eq(ended.resumed, 0);
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

/* Schedules ----------------------------------------------------------------------------------- */

static size_t runs_of(struct daemon_rig *rig)
{
    struct tm_job_row *rows = NULL;
    struct tm_journal *journal = NULL;
    struct tm_arena arena = {0};
    struct tm_err err = {0};
    size_t count = 0;
    char path[160];
    struct tm_job_query query = {
            .states = 1U << TM_JOB_SUCCEEDED, .since_ms = INT64_MIN, .limit = 100};
    (void)snprintf(path, sizeof(path), "%s/state/journal.db", rig->dir);
    ASSERT_OK(tm_journal_open(path, &journal, &err), err);
    ASSERT_OK(tm_journal_jobs(journal, &query, &arena, &rows, &count, &err), err);
    tm_journal_close(journal);
    tm_arena_done(&arena);
    return count;
}

/* Is there a job of the policy, or is the vault asked whether there may be one? */
static bool is_begun(struct daemon_rig *rig, const char *policy)
{
    return tmd_job_of_policy(&rig->tmd, policy) != NULL || tmd_standby_asking() > 0;
}

START_TEST(planned_runs_come_and_one_that_met_another_comes_after_it)
{
    static const char config[] =
            "policies:\n" POLICY("p", "orders", "schedule: \"@every 1s\", overlap: queue");
    struct daemon_rig rig;
    rig_with_topic(&rig, 10);
    slow_down(&rig, true); /* a run takes longer than the time between two */
    daemon_up(&rig, config);
    UNTIL(&rig, tmd_job_of_policy(&rig.tmd, "p") != NULL);
    ck_assert_int_gt(policy_view(&rig, "p").next_run_ms, 0);
    UNTIL(&rig, policy_view(&rig, "p").last_success_ms > 0);
    ck_assert(is_begun(&rig, "p")); /* at once: one was due meanwhile */
    slow_down(&rig, false);
    UNTIL(&rig, runs_of(&rig) >= 2);
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

START_TEST(a_run_missed_while_the_daemon_was_down_is_made_up_for)
{
    static const char often[] =
            "policies:\n" POLICY("p", "orders", "schedule: \"@every 1s\", catch_up: once");
    static const char never[] =
            "policies:\n" POLICY("p", "orders", "schedule: \"@yearly\", catch_up: once");
    struct daemon_rig rig;
    rig_with_topic(&rig, 10);
    daemon_up(&rig, often);
    UNTIL(&rig, policy_view(&rig, "p").last_success_ms > 0);
    UNTIL(&rig, tmd_job_of_policy(&rig.tmd, "p") == NULL);
    daemon_down(&rig);
    tm_sleep_ms(1100);
    daemon_begin(&rig, often);
    UNTIL(&rig, rig.tmd.ready);
    ck_assert(is_begun(&rig, "p"));
    UNTIL(&rig, !is_begun(&rig, "p"));
    daemon_down(&rig);
    daemon_begin(&rig, never); /* nothing was due */
    UNTIL(&rig, rig.tmd.ready);
    ck_assert(!is_begun(&rig, "p"));
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

START_TEST(a_run_of_some_topics_is_no_success_of_the_policy)
{
    static const char config[] = "policies:\n" POLICY("p", "orders, payments", "schedule: \"\"");
    static const char *const topics[] = {"orders"};
    struct daemon_rig rig;
    struct answer answer;
    struct tm_err err = {0};
    rig_with_topic(&rig, 10);
    ASSERT_OK(tm_mock_topic(rig.kafka.mock, "payments", 1, &err), err);
    daemon_up(&rig, config);
    struct tm_backup_request request = {.policy = "p", .topics = topics, .topic_count = 1};
    ask_backup(&rig, &request, &answer);
    UNTIL(&rig, answer.done);
    ck_assert_int_eq(job_of(&rig, &answer.id, 20000).state, TM_JOB_SUCCEEDED);
    UNTIL(&rig, tmd_job_of_policy(&rig.tmd, "p") == NULL);
    ck_assert_int_eq(policy_view(&rig, "p").last_success_ms, 0);
    ck_assert_int_gt(policy_view(&rig, "p").last_attempt_ms, 0);
    daemon_down(&rig);
    daemon_up(&rig, config);
    ck_assert_int_eq(policy_view(&rig, "p").last_success_ms, 0);
    ck_assert_int_gt(policy_view(&rig, "p").last_attempt_ms, 0);

    answer = back_up(&rig, "p");
    ck_assert_int_eq(job_of(&rig, &answer.id, 20000).state, TM_JOB_SUCCEEDED);
    UNTIL(&rig, policy_view(&rig, "p").last_success_ms > 0);
    const struct tm_status_row *rows = NULL;
    ck_assert_uint_eq(tmd_status_rows(&rig.tmd, &rows), 2);
    ask_backup(&rig, &request, &answer);
    UNTIL(&rig, answer.done);
    (void)job_of(&rig, &answer.id, 20000);
    UNTIL(&rig, tmd_job_of_policy(&rig.tmd, "p") == NULL);
    ck_assert_uint_eq(tmd_status_rows(&rig.tmd, &rows), 2); /* the other topic is still there */
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

/* Questions ----------------------------------------------------------------------------------- */

struct point_answer {
    bool done;
    struct tm_problem problem;
};

static void take_point(
        void *arg, const struct tm_point_answer *point, const struct tm_problem *problem)
{
    struct point_answer *answer = arg;
    (void)point;
    answer->done = true;
    answer->problem = problem != NULL ? *problem : (struct tm_problem){0};
}

/* Overwrite a file that SQLite has open: what it reads next is damaged. */
static void spoil(const struct daemon_rig *rig, const char *name)
{
    char path[160];
    uint8_t rubbish[4096];
    struct stat info;
    memset(rubbish, 0x5a, sizeof(rubbish));
    (void)snprintf(path, sizeof(path), "%s/state/catalog/%s", rig->dir, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &info), 0);
    for (off_t at = 0; at < info.st_size; at += (off_t)sizeof(rubbish)) {
        ck_assert_int_eq(pwrite(fd, rubbish, sizeof(rubbish), at), sizeof(rubbish));
    }
    ck_assert_int_eq(close(fd), 0);
}

struct spoiling {
    struct daemon_rig *rig;
    bool done;
};

/* On the keeper's thread: catalogs that have read nothing but their schema yet. */
static void reopen_and_spoil(struct tmd_keep *keep, void *arg)
{
    struct spoiling *spoiling = arg;
    for (size_t v = 0; v < keep->config->vault_count; v++) {
        struct tm_err err = {0};
        char path[160];
        char name[40];
        tm_catalog_close(keep->catalogs[v]); /* the last one writes the WAL back */
        (void)snprintf(name, sizeof(name), "%s.db", keep->config->vaults[v].name);
        (void)snprintf(path, sizeof(path), "%s/state/catalog/%s", spoiling->rig->dir, name);
        ASSERT_OK(tm_catalog_open(path, &keep->catalogs[v], &err), err);
        spoil(spoiling->rig, name);
    }
}

static void spoiled(void *arg)
{
    struct spoiling *spoiling = arg;
    spoiling->done = true;
}

START_TEST(catalogs_that_cannot_be_read_are_an_answer)
{
    struct daemon_rig rig;
    struct spoiling spoiling = {.rig = &rig};
    struct point_answer answer = {0};
    struct tm_id16 id = tm_ulid_make(1);
    rig_with_topic(&rig, 1);
    daemon_up(&rig, one_policy);
    struct tm_control control = tmd_control(&rig.tmd);
    control.ops->point(control.self, &id, take_point, &answer);
    UNTIL(&rig, answer.done);
    ck_assert_int_eq(answer.problem.status, 404);
    tmd_keeper_ask(&rig.tmd, reopen_and_spoil, spoiled, &spoiling);
    UNTIL(&rig, spoiling.done);
    answer = (struct point_answer){0};
    control.ops->point(control.self, &id, take_point, &answer);
    UNTIL(&rig, answer.done);
    ck_assert_int_eq(answer.problem.status, 502);
    ck_assert_str_eq(answer.problem.slug, "vault-damaged");
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

/* Restores ------------------------------------------------------------------------------------ */

START_TEST(a_restore_is_planned_made_and_proved)
{
    struct daemon_rig rig;
    struct answer answer = {0};
    struct tm_err err = {0};
    rig_with_topic(&rig, 50);
    ASSERT_OK(tm_mock_topic(rig.kafka.mock, "orders.back", 1, &err), err);
    daemon_up(&rig, one_policy);
    struct answer backup = back_up(&rig, "p");
    ck_assert_int_eq(job_of(&rig, &backup.id, 20000).state, TM_JOB_SUCCEEDED);
    struct tm_control control = tmd_control(&rig.tmd);
    struct tm_restore_request request = {.policy = "p",
            .target = "mock",
            .suffix = ".back",
            .create_topics = TM_CREATE_NEVER,
            .existing = TM_EXISTING_EMPTY_ONLY,
            .original_configs = true,
            .plan_digest = "sha256:other"};
    control.ops->restore(control.self, &request, &caller, take_answer, &answer);
    UNTIL(&rig, answer.done);
    ck_assert_int_eq(answer.problem.status, 412);
    ck_assert_str_eq(answer.problem.slug, "plan-changed");

    request.plan_digest = NULL;
    answer = (struct answer){0};
    control.ops->restore(control.self, &request, &caller, take_answer, &answer);
    UNTIL(&rig, answer.done);
    ck_assert(answer.created);
    struct answer ended = job_of(&rig, &answer.id, 30000);
    ck_assert_msg(ended.state == TM_JOB_SUCCEEDED, "%s %s", ended.error, ended.result);
    ck_assert_ptr_nonnull(strstr(ended.result, "\"proof\":\"identical\""));

    answer = (struct answer){0}; /* the target is not empty any more */
    control.ops->restore(control.self, &request, &caller, take_answer, &answer);
    UNTIL(&rig, answer.done);
    ck_assert_int_eq(answer.problem.status, 409);
    ck_assert_str_eq(answer.problem.slug, "topic-exists");
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

/* A daemon that was refused its state directory leaves the socket of the one that has it. */
START_TEST(a_daemon_that_never_listened_removes_no_socket)
{
    struct daemon_rig rig;
    char path[160];
    struct stat info;
    rig_up(&rig);
    write_file(&rig, "api.sock", "");
    (void)snprintf(path, sizeof(path), "%s/api.sock", rig.dir);
    daemon_up(&rig, one_policy);
    tmd_http_stop(&rig.tmd);
    ck_assert_int_eq(stat(path, &info), 0);
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("daemon");
    tcase_add_test(
            tcase, a_backup_is_durable_before_it_is_accepted_and_reads_the_same_after_a_restart);
    tcase_add_test(tcase, jobs_wait_in_line_and_the_line_has_an_end);
    tcase_add_test(tcase, a_job_cancelled_before_it_is_durable_never_starts);
    tcase_add_test(tcase, a_running_job_is_cancelled);
    tcase_add_test(tcase, what_ran_and_what_waited_goes_on_after_a_restart);
    tcase_add_test(tcase, a_job_whose_policy_is_gone_ends_at_the_restart);
    tcase_add_test(tcase, a_stop_while_starting_leaves_the_jobs_alone);
    tcase_add_test(tcase, a_stop_right_after_a_start_leaves_nothing_behind);
    tcase_add_test(tcase, a_job_that_the_journal_cannot_take_is_refused);
    tcase_add_test(tcase, the_end_of_a_job_is_told_though_the_journal_cannot_take_it);
    tcase_add_test(tcase, planned_runs_come_and_one_that_met_another_comes_after_it);
    tcase_add_test(tcase, a_run_missed_while_the_daemon_was_down_is_made_up_for);
    tcase_add_test(tcase, a_run_of_some_topics_is_no_success_of_the_policy);
    tcase_add_test(tcase, catalogs_that_cannot_be_read_are_an_answer);
    tcase_add_test(tcase, a_restore_is_planned_made_and_proved);
    tcase_add_test(tcase, a_daemon_that_never_listened_removes_no_socket);
    return run_case(tcase, "daemon");
}
