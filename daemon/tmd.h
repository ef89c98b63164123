/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tmd - the daemon's parts, and what each of its files gives the others.
 *
 * All mutable state belongs to the loop thread (main). Three kinds of other threads work for it: the
 * keeper (keeper.c: the journal and the catalogs' questions), one thread for each running job (jobs.c)
 * and the pools. They answer by the loop's mailbox: tmd_post().
 *
 * Threads: the loop's, where a comment does not say another.
 */
#ifndef TM_DAEMON_TMD_H
#define TM_DAEMON_TMD_H

#include <stdatomic.h>
#include <sys/queue.h>
#include <uv.h>

#include "base/mailbox.h"
#include "base/pool.h"
#include "base/ulid.h"
#include "catalog/catalog.h"
#include "catalog/journal.h"
#include "job/backup.h"
#include "job/restore.h"
#include "kafka/kafka.h"
#include "sources.h"
#include "tm_api.h"
#include "tm_config.h"
#include "vault/vault.h"

struct tmd_question; /* control.c: asked of the journal, not answered yet */
TAILQ_HEAD(tmd_question_list, tmd_question);

LIST_HEAD(tmd_key_list, tmd_key);

struct tmd {
    uv_loop_t loop;
    uv_async_t wake;
    struct tm_mailbox *box;
    /*
     * Of now: a reload puts another one here. Those before it live as long as the process, so that whoever holds a
     * part of one goes on with it; what is known of a section is found by its name, not by where it stands.
     */
    struct tm_config *_Atomic config;
    struct tm_pool *workers;
    struct tm_pool *sealers;
    struct tmd_sources *sources;
    struct tmd_keeper *keeper;
    struct tmd_jobs *jobs;
    struct tmd_policies *policies;
    struct tmd_vaults *vaults;
    struct tmd_upkeep *upkeep;
    struct tmd_put_back *put_back;
    struct tmd_drills *drills;
    struct tmd_hooks *hooks;
    struct tmd_clusters *clusters;
    struct tmd_live *live;
    struct tmd_http *http;
    struct tmd_reload *reload;
    struct tmd_question_list questions;
    struct tmd_key_list keys; /* of requests on their way to a job */
    int64_t started_ms;
    bool ready;
    bool draining;
    void (*drained)(struct tmd *tmd); /* called when the last job has ended, while draining */
};

/* Have fn(arg) called on the loop thread. Any thread. */
void tmd_post(struct tmd *tmd, void (*fn)(void *arg), void *arg);

/* keeper.c: the thread that owns the journal and answers questions from the catalogs. */
struct tmd_keep { /* what a question works with, on the keeper's thread */
    struct tm_journal *journal;
    struct tm_catalog **catalogs; /* one for each vault of `config`; NULL: not to be had */
    const struct tm_config *config;
};
/* By the vault's name; NULL: not to be had, or no vault of the configuration. The keeper's thread. */
struct tm_catalog *tmd_keep_catalog(const struct tmd_keep *keep, const char *vault);
enum tm_code tmd_keeper_start(struct tmd *tmd, struct tm_err *err) TM_MUST_CHECK;
void tmd_keeper_stop(struct tmd *tmd); /* what was asked is done first */
void tmd_keeper_adopt(
        struct tmd *tmd); /* what is asked from now on is of the configuration of now */
/* work(keep, arg) on the keeper's thread, then done(arg) on the loop's. Asked in order. */
void tmd_keeper_ask(struct tmd *tmd, void (*work)(struct tmd_keep *keep, void *arg),
        void (*done)(void *arg), void *arg);

/* jobs.c: the table of jobs that are queued or running. */
struct tmd_job;
TAILQ_HEAD(tmd_job_list, tmd_job);

struct tmd_wait { /* somebody waits for the job's end */
    TAILQ_ENTRY(tmd_wait) link;
    struct tmd_job *job;
    tm_done_job done;
    void *arg;
    uv_timer_t *timer;
};
TAILQ_HEAD(tmd_wait_list, tmd_wait);

struct tmd_job {
    TAILQ_ENTRY(tmd_job) link;
    struct tmd *tmd;
    struct tm_job_row
            row; /* texts lie in `arena`; the loop's, but result/error/warnings while it runs */
    char name[TM_ULID_NAME_MAX];
    struct tm_arena arena;
    struct tm_progress progress;
    atomic_bool cancel;
    bool cancelled_by_user;
    size_t memory_bytes; /* its share of workers.memory, set when it starts */
    bool durable;        /* its row is in the journal: it may start */
    bool settled;        /* its last row is, or cannot be: until then it reads as going on */
    bool retrying;       /* ended, and its last row is being offered to the journal again */
    bool started;
    bool flush; /* a backup between two planned ones: it is in no list, and not taken up again */
    bool keep_flushes;        /* of a backup: a restore or a drill was at work when it began */
    int64_t flushes_since_ms; /* of a backup: points of flushes to look at; INT64_MAX: none */
    pthread_t thread;
    struct tmd_lease *lease;               /* while its thread runs */
    const struct tm_config_policy *policy; /* of a backup, a drill */
    struct tm_backup_request backup;       /* of a backup; texts in `arena` */
    struct tm_restore_request restore;     /* of a restore */
    struct tm_drill_request drill;         /* of a drill; texts in `arena` */
    const struct tm_config_vault *vault; /* of a restore: where its point lies; of a vault's job */
    struct tm_vault_request task;        /* of a vault's job; texts in `arena` */
    struct tmd_outcome *outcome;         /* what the thread found; the loop's after it ended */
    struct tmd_wait_list waits;
};

struct tmd_outcome {
    enum tm_job_state state;
    const char *result; /* JSON; in the job's arena, like the next two */
    const char *error;
    const char *warnings;
    struct tm_backup_result backup; /* of a backup, for the policy's view */
    bool has_backup;
    bool verified;            /* of a verification: all of the vault was looked at, and is whole */
    int64_t drill_ms;         /* of a drill: the recovery time; 0: none */
    int64_t written_messages; /* of a restore, by this process */
    int64_t written_bytes;
    enum tm_code code;
};

struct tmd_jobs *tmd_jobs_new(struct tmd *tmd);
void tmd_jobs_free(struct tmd_jobs *jobs);
/* Take up what the journal has as queued or running; `done` when they are in the table. */
void tmd_jobs_resume(struct tmd *tmd, void (*done)(struct tmd *tmd));
/*
 * Queue a backup of the policy. `done` (may be NULL) as tm_control_ops.backup says. NULL `request`: a
 * run by schedule.
 */
void tmd_backup(struct tmd *tmd, const struct tm_config_policy *policy,
        const struct tm_backup_request *request, const struct tm_caller *caller, tm_done_job done,
        void *arg);
/* Store what is new of a policy that is `mode: continuous`, if nothing else is done for it now. */
void tmd_flush(struct tmd *tmd, const struct tm_config_policy *policy);
/* The job of that name that is queued, running, or ended and not in the journal yet; NULL: none. */
struct tmd_job *tmd_job_find(struct tmd *tmd, const struct tm_id16 *id);
/* The policy's backup that is no flush, */
struct tmd_job *tmd_job_of_policy(struct tmd *tmd, const char *policy);
/* and its flush. */
struct tmd_job *tmd_flush_of_policy(struct tmd *tmd, const char *policy);
/* The one that has the vault for itself (kinds.h). */
struct tmd_job *tmd_job_of_vault(struct tmd *tmd, const struct tm_config_vault *vault);
size_t tmd_jobs_active(const struct tmd *tmd);
void tmd_jobs_metrics(struct tmd *tmd);
void tmd_job_view(const struct tmd_job *job, struct tm_job_view *out);
void tmd_job_wait(struct tmd_job *job, int64_t wait_ms, tm_done_job done, void *arg);
void tmd_job_forget(struct tmd *tmd, const void *arg);
void tmd_job_cancel(struct tmd_job *job, bool by_user);
/* Ask all running jobs to stop; queued ones stay in the journal for the next start. */
void tmd_jobs_stop(struct tmd *tmd);
/* Queue a restore whose request has been planned, of a policy ("": of several); the texts are copied. */
void tmd_restore(struct tmd *tmd, const struct tm_restore_request *request, const char *policy,
        const struct tm_config_vault *vault, const struct tm_caller *caller, tm_done_job done,
        void *arg);

/* Does this daemon write to the vault? False: *problem says why not. */
bool tmd_vault_is_writable(const struct tm_config_vault *vault, struct tm_problem *problem);
/*
 * Queue a job of a vault, unless there is none of that name, or it would write to one that is read_only; the texts are
 * copied. NULL `caller`: by schedule. Policies of the request are the caller's to check.
 */
void tmd_vault_job(struct tmd *tmd, enum tm_job_kind kind, const struct tm_vault_request *request,
        const struct tm_caller *caller, tm_done_job done, void *arg);

/* run.c: what a job's thread does. Called on that thread; fills in job->outcome. */
void tmd_run_backup(struct tmd_job *job);
void tmd_run_failed(struct tmd_job *job, const struct tm_err *err); /* it ends with this error */
struct tm_job_env tmd_run_env(struct tmd_job *job);
const char *tmd_run_keep(struct tmd_job *job, char *text); /* in the job's arena; frees `text` */
void tmd_run_log(const struct tmd_job *job, const char *event, const char *error);
void tmd_run_restore(struct tmd_job *job);
/* Options of a restore from a request; texts borrowed. Any thread. */
struct tmd_restore_setup {
    struct tm_arena arena;
    struct tmd_lease *lease;
    struct tm_kafka_options kafka_options;
    struct tm_select *select;
    struct tm_catalog *catalog;
    struct tm_kafka *groups_kafka; /* NULL: none is needed */
    struct tm_restore_options options;
};
enum tm_code tmd_restore_setup(struct tmd *tmd, const struct tm_restore_request *request,
        const struct tm_config_vault *vault, struct tmd_restore_setup *out,
        struct tm_err *err) TM_MUST_CHECK;
void tmd_restore_setup_done(struct tmd_restore_setup *setup);

/* request.c: requests as the journal keeps them. */
char *tmd_restore_request_text(const struct tm_restore_request *request); /* for free() */
char *tmd_backup_request_text(const struct tm_backup_request *request);
enum tm_code tmd_restore_request_read(const char *text, struct tm_arena *arena,
        struct tm_restore_request *out, struct tm_err *err) TM_MUST_CHECK;
enum tm_code tmd_backup_request_read(const char *text, struct tm_arena *arena,
        struct tm_backup_request *out, struct tm_err *err) TM_MUST_CHECK;
void tmd_restore_request_copy(const struct tm_restore_request *from, struct tm_arena *arena,
        struct tm_restore_request *to);
void tmd_backup_request_copy(
        const struct tm_backup_request *from, struct tm_arena *arena, struct tm_backup_request *to);
char *tmd_vault_request_text(const struct tm_vault_request *request);
enum tm_code tmd_vault_request_read(const char *text, struct tm_arena *arena,
        struct tm_vault_request *out, struct tm_err *err) TM_MUST_CHECK;
void tmd_vault_request_copy(
        const struct tm_vault_request *from, struct tm_arena *arena, struct tm_vault_request *to);

/* outcome.c: results and errors as JSON. Any thread. */
char *tmd_backup_result_text(const struct tm_backup_result *result);
char *tmd_restore_result_text(
        const struct tm_restore_options *options, const struct tm_restore_result *result);
char *tmd_notes_text(const tm_job_notes *notes);      /* a JSON array; NULL when there is none */
char *tmd_error_text(const struct tm_err *err);       /* a problem object */
char *tmd_interrupted_text(const struct tm_err *err); /* of a job that cannot be taken up again */
void tmd_problem_of(const struct tm_err *err, struct tm_problem *out);

/* policies.c: schedules, and what is known of each policy. */
struct tmd_policies *tmd_policies_new(struct tmd *tmd);
void tmd_policies_free(struct tmd_policies *policies);
/* Read history (of those that are new) and newest points from journal and catalogs; `done` when they are known. */
void tmd_policies_load(struct tmd *tmd, void (*done)(struct tmd *tmd));
void tmd_policies_reload(struct tmd *tmd); /* points have gone: count them again */
/* The configuration is another one: its policies from now on. Load and start what is new after it. */
void tmd_policies_adopt(struct tmd *tmd);
void tmd_policies_start(struct tmd *tmd); /* planned runs begin, or are planned anew */
void tmd_policies_stop(struct tmd *tmd);
void tmd_policy_started(struct tmd *tmd, struct tmd_job *job);
void tmd_policy_ended(struct tmd *tmd, const struct tmd_job *job);
size_t tmd_policy_views(struct tmd *tmd, const struct tm_policy_view **out);
size_t tmd_status_rows(struct tmd *tmd, const struct tm_status_row **out);
void tmd_policy_metrics(struct tmd *tmd);

/* control.c: the table that the HTTP side calls. */
struct tm_control tmd_control(struct tmd *tmd);
void tmd_unknown(struct tm_problem *out, const char *kind, const char *name);
/* The same, with the nearest of those there are. */
void tmd_unknown_among(struct tm_problem *out, const char *kind, const char *name,
        const char *const *names, size_t count);
/* control_vault.c: no vault of that name; with the nearest one. */
void tmd_unknown_policy(const struct tmd *tmd, const char *name, struct tm_problem *out);
void tmd_unknown_vault(const struct tmd *tmd, const char *name, struct tm_problem *out);
/* control_points.c: tm_control_ops.points and .point. */
void tmd_points(void *self, const struct tm_points_query *query, tm_done_points done, void *arg);
void tmd_point(void *self, const struct tm_id16 *ulid, tm_done_point done, void *arg);

/* drills.c: tm_control_ops.drill. NULL `caller`: by schedule. */
void tmd_control_drill(void *self, const struct tm_drill_request *request,
        const struct tm_caller *caller, tm_done_job done, void *arg);
/* peek.c: tm_control_ops.peek. */
void tmd_control_peek(void *self, const struct tm_peek_request *request,
        const struct tm_caller *caller, tm_done_json done, void *arg);

/* notify.c: systemd's readiness protocol; nothing where NOTIFY_SOCKET is not set. */
void tmd_notify(const char *state); /* "READY=1\nSTATUS=..." */
/* A socket that the manager listens on for us (LISTEN_FDS); -1: there is none. It must be that of `path`. */
enum tm_code tmd_listen_fd(const char *path, int *out, struct tm_err *err) TM_MUST_CHECK;
/* Half of WATCHDOG_USEC in ms, 0: no watchdog. */
int64_t tmd_watchdog_ms(void);

#endif
