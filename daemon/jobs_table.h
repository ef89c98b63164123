/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jobs_table - what the files jobs*.c share. Threads: the loop's.
 */
#ifndef TM_DAEMON_JOBS_TABLE_H
#define TM_DAEMON_JOBS_TABLE_H

#include "tmd.h"

struct tmd_jobs {
    struct tmd_job_list active; /* queued and running, oldest first */
    size_t queued;
    size_t running;
    uv_timer_t prune;
};

/* A queued job with a fresh id, not in the table yet. */
struct tmd_job *tmd_job_new(struct tmd *tmd, enum tm_job_kind kind);
void tmd_job_enter(struct tmd_job *job);
void tmd_jobs_pump(struct tmd *tmd); /* start what may be started */
/* End a job that was never started: its last row goes to the journal, then it is freed. */
void tmd_job_end_unstarted(struct tmd_job *job, enum tm_job_state state);

#endif
