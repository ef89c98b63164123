/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon_rig - the daemon's parts on a loop of the test's own, with the mock cluster: everything but
 * HTTP, signals and systemd. Up and down again over the same state is a restart.
 */
#ifndef TM_TESTS_MOCK_DAEMON_RIG_H
#define TM_TESTS_MOCK_DAEMON_RIG_H

#include <fcntl.h>
#include <ftw.h>
#include <stddef.h>

#include "errand.h"
#include "fixture.h"
#include "jobs_table.h"
#include "upkeep.h"
#include "vaults.h"

struct daemon_rig {
    struct fixture kafka;
    char dir[64];
    struct tmd tmd;
    bool drained;
};

/* Loop until `condition` holds; the time allowed is for slow machines. */
#define UNTIL(rig, condition) \
    do { \
        int64_t give_up_ = tm_mono_ns() + INT64_C(30000000000); \
        while (!(condition)) { \
            turn(rig); \
            ck_assert_msg(tm_mono_ns() < give_up_, "not within 30 s: %s", #condition); \
        } \
    } while (0)

void tmd_post(struct tmd *tmd, void (*fn)(void *arg), void *arg)
{
    tm_mailbox_post(tmd->box, fn, arg);
}

static void wake_loop(void *arg)
{
    struct tmd *tmd = arg;
    (void)uv_async_send(&tmd->wake);
}

static void drain_box(uv_async_t *async)
{
    struct tmd *tmd = async->data;
    (void)tm_mailbox_drain(tmd->box);
}

UNUSED static void turn(struct daemon_rig *rig)
{
    (void)uv_run(&rig->tmd.loop, UV_RUN_NOWAIT);
    tm_sleep_ms(2);
}

static void policies_known(struct tmd *tmd)
{
    if (!tmd->draining) {
        tmd->ready = true;
        tmd_policies_start(tmd);
        tmd_vaults_start(tmd);
        tmd_upkeep_start(tmd);
    }
}

static void jobs_known(struct tmd *tmd)
{
    tmd_policies_load(tmd, policies_known);
}

UNUSED static void write_file(const struct daemon_rig *rig, const char *name, const char *text)
{
    char path[160];
    (void)snprintf(path, sizeof(path), "%s/%s", rig->dir, name);
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(close(fd), 0);
}

/* A mock cluster, and a folder for state, vault and key. */
UNUSED static void rig_up(struct daemon_rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    tm_codec_init();
    rig->kafka = fixture_up(1);
    (void)snprintf(rig->dir, sizeof(rig->dir), "/tmp/tidemark-daemon-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(rig->dir));
    write_file(rig, "key", "a key file of thirty-two bytes..");
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

UNUSED static void rig_down(struct daemon_rig *rig)
{
    fixture_down(&rig->kafka);
    (void)nftw(rig->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static struct tm_config *load_config(const struct daemon_rig *rig, const char *rest)
{
    struct tm_config_load_options options = {.read_secrets = true};
    struct tm_config_report report = {0};
    struct tm_config *config = NULL;
    struct tm_err err = {0};
    struct tm_buf text = {0};
    tm_buf_add_fmt(&text,
            "version: 1\n"
            "server: {socket: %s/api.sock, listen: \"\", metrics_listen: \"\"}\n"
            "state: {dir: %s/state}\n"
            "clusters: [{name: mock, bootstrap: [\"%s\"]}]\n"
            "vaults:\n"
            "  - {name: main, type: disk, path: %s/vault, key_file: %s/key, create: true}\n"
            "  - {name: spare, type: disk, path: %s/spare, key_file: %s/key, create: true}\n"
            "%s",
            rig->dir, rig->dir, tm_mock_bootstrap(rig->kafka.mock), rig->dir, rig->dir, rig->dir,
            rig->dir, rest);
    enum tm_code code =
            tm_config_parse(tm_buf_slice(&text), "test.yaml", &options, &config, &report, &err);
    ck_assert_msg(code == TM_OK, "%s", tm_buf_text(&report.text));
    tm_config_report_done(&report);
    tm_buf_done(&text);
    return config;
}

/* All parts, none of which has had an answer from another yet. */
UNUSED static void daemon_begin(struct daemon_rig *rig, const char *config)
{
    struct tmd *tmd = &rig->tmd;
    struct tm_err err = {0};
    memset(tmd, 0, sizeof(*tmd));
    rig->drained = false;
    tmd->config = load_config(rig, config);
    ck_assert_int_eq(uv_loop_init(&tmd->loop), 0);
    tmd->wake.data = tmd;
    ck_assert_int_eq(uv_async_init(&tmd->loop, &tmd->wake, drain_box), 0);
    tmd->box = tm_mailbox_new(wake_loop, tmd);
    TAILQ_INIT(&tmd->questions);
    tmd->sources = tmd_sources_new(tmd, "host/test");
    tmd->workers = tm_pool_new("worker", 4);
    tmd->sealers = tm_pool_new("sealer", 2);
    tmd->jobs = tmd_jobs_new(tmd);
    tmd->policies = tmd_policies_new(tmd);
    tmd->vaults = tmd_vaults_new(tmd);
    tmd->upkeep = tmd_upkeep_new(tmd);
    ASSERT_OK(tmd_keeper_start(tmd, &err), err);
    tmd_jobs_resume(tmd, jobs_known);
}

UNUSED static void daemon_up(struct daemon_rig *rig, const char *config)
{
    daemon_begin(rig, config);
    UNTIL(rig, rig->tmd.ready);
}

static void on_drained(struct tmd *tmd)
{
    struct daemon_rig *rig = (struct daemon_rig *)((char *)tmd - offsetof(struct daemon_rig, tmd));
    tmd->drained = NULL;
    rig->drained = true;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

/* As SIGTERM does. */
UNUSED static void daemon_down(struct daemon_rig *rig)
{
    struct tmd *tmd = &rig->tmd;
    tmd->draining = true;
    tmd->drained = on_drained;
    tmd_policies_stop(tmd);
    tmd_vaults_stop(tmd);
    tmd_upkeep_stop(tmd);
    tmd_jobs_stop(tmd);
    if (tmd_jobs_active(tmd) == 0) {
        on_drained(tmd);
    }
    UNTIL(rig, rig->drained && tmd_errands() == 0);
    tmd_keeper_stop(tmd);
    uv_walk(&tmd->loop, close_handle, NULL);
    (void)uv_run(&tmd->loop, UV_RUN_DEFAULT);
    tmd_policies_free(tmd->policies);
    tmd_vaults_free(tmd->vaults);
    tmd_upkeep_free(tmd->upkeep);
    tmd_jobs_free(tmd->jobs);
    tm_pool_free(tmd->workers);
    tm_pool_free(tmd->sealers);
    tmd_sources_free(tmd->sources);
    tm_mailbox_free(tmd->box);
    ck_assert_int_eq(uv_loop_close(&tmd->loop), 0);
    tm_config_free(tmd->config);
}

/* Asking -------------------------------------------------------------------------------------- */

/* What a request was answered; the texts are copies. */
struct answer {
    bool done;
    bool created;
    bool has_job;
    struct tm_id16 id;
    enum tm_job_state state;
    int64_t started_ms;
    int64_t finished_ms;
    int64_t resumed;
    char result[2000];
    char error[600];
    struct tm_problem problem; /* status 0: none */
};

UNUSED static void take_answer(
        void *arg, const struct tm_job_view *job, bool created, const struct tm_problem *problem)
{
    struct answer *answer = arg;
    ck_assert(!answer->done);
    *answer = (struct answer){.done = true, .created = created, .has_job = job != NULL};
    if (problem != NULL) {
        answer->problem = *problem;
    }
    if (job != NULL) {
        answer->id = job->row.id;
        answer->state = job->row.state;
        answer->started_ms = job->row.started_ms;
        answer->finished_ms = job->row.finished_ms;
        answer->resumed = job->row.resumed;
        (void)snprintf(answer->result, sizeof(answer->result), "%s",
                job->row.result != NULL ? job->row.result : "");
        (void)snprintf(answer->error, sizeof(answer->error), "%s",
                job->row.error != NULL ? job->row.error : "");
    }
}

static const struct tm_caller caller = {.who = "test", .request_id = "r1"};

UNUSED static void ask_backup(
        struct daemon_rig *rig, const struct tm_backup_request *request, struct answer *answer)
{
    struct tm_control control = tmd_control(&rig->tmd);
    *answer = (struct answer){0};
    control.ops->backup(control.self, request, &caller, take_answer, answer);
}

/* A run of the policy by hand, once its row is durable. */
UNUSED static struct answer back_up(struct daemon_rig *rig, const char *policy)
{
    struct answer answer;
    struct tm_backup_request request = {.policy = policy};
    ask_backup(rig, &request, &answer);
    UNTIL(rig, answer.done);
    return answer;
}

/* The job as it reads outside, after waiting for its end that long. */
UNUSED static struct answer job_of(
        struct daemon_rig *rig, const struct tm_id16 *id, int64_t wait_ms)
{
    struct tm_control control = tmd_control(&rig->tmd);
    struct answer answer = {0};
    control.ops->job(control.self, id, wait_ms, take_answer, &answer);
    UNTIL(rig, answer.done);
    return answer;
}

UNUSED static struct answer cancel(struct daemon_rig *rig, const struct tm_id16 *id)
{
    struct tm_control control = tmd_control(&rig->tmd);
    struct answer answer = {0};
    control.ops->cancel(control.self, id, &caller, take_answer, &answer);
    UNTIL(rig, answer.done);
    return answer;
}

UNUSED static struct tm_policy_view policy_view(struct daemon_rig *rig, const char *name)
{
    const struct tm_policy_view *views = NULL;
    size_t count = tmd_policy_views(&rig->tmd, &views);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(views[i].name, name) == 0) {
            return views[i];
        }
    }
    ck_abort_msg("no policy %s", name);
}

#endif
