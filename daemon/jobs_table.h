/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jobs_table - what the files jobs*.c share. Threads: the loop's.
 */
#ifndef TM_DAEMON_JOBS_TABLE_H
#define TM_DAEMON_JOBS_TABLE_H

#include "catalog/journal_keys.h"
#include "tmd.h"

struct tmd_jobs {
    struct tmd_job_list active;   /* queued and running, oldest first */
    struct tmd_job_list unstored; /* ended, but the journal could not take their last row */
    size_t queued;
    size_t running;
    uv_timer_t prune;
    uv_timer_t retry; /* of the rows that are not stored */
};

/* A row on its way into the journal. */
struct tmd_put {
    struct tmd_job *job;
    struct tm_job_row row; /* texts in the job's arena, which outlives this */
    struct tm_key_row key; /* of the request that made it; key.key NULL: it has none */
    struct tm_err err;
    void (*then)(struct tmd_put *put);
    tm_done_job done;
    void *arg;
};

/* jobs_rows.c: the job's row, as it is now, into the journal; then then(put). The job must stay. */
void tmd_job_put(
        struct tmd_job *job, void (*then)(struct tmd_put *put), tm_done_job done, void *arg);
/* The first put of a job that somebody asked for: with the key of his request, if it has one. */
void tmd_job_put_made(struct tmd_job *job, const struct tm_caller *caller,
        void (*then)(struct tmd_put *put), tm_done_job done, void *arg);
/* Call fn(job) when every put of the job that was asked for so far has been done. */
void tmd_job_after_puts(struct tmd_job *job, void (*fn)(void *job));
/* Keep a job that has ended until the journal takes its row. */
void tmd_job_keep_unstored(struct tmd_job *job);

/* Does the job work with the vault of that name, whatever its section says by now? */
bool tmd_job_uses_vault(const struct tmd_job *job, const struct tm_config_vault *vault);
/* A queued job with a fresh id, not in the table yet. */
struct tmd_job *tmd_job_new(struct tmd *tmd, enum tm_job_kind kind);
void tmd_job_free(struct tmd_job *job);
void tmd_job_enter(struct tmd_job *job);
void tmd_job_leave(struct tmd_job *job);
void tmd_job_end_waits(struct tmd_job *job);
/* Answer `done` (may be NULL) why no job can be taken now; false: one can. */
bool tmd_jobs_refuse(struct tmd *tmd, tm_done_job done, void *arg);
void tmd_jobs_pump(struct tmd *tmd); /* start what may be started */
/* End a job that was never started: its last row goes to the journal, then it is freed. */
void tmd_job_end_unstarted(struct tmd_job *job, enum tm_job_state state);

#endif
