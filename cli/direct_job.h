/* SPDX-License-Identifier: Apache-2.0 */
/*
 * direct_job - what a job needs that the command runs itself: pools, progress, Ctrl-C.
 *
 * Threads: the main thread; progress is shown by one of its own.
 */
#ifndef TM_CLI_DIRECT_JOB_H
#define TM_CLI_DIRECT_JOB_H

#include <pthread.h>

#include "job/job.h"

struct cli_direct_job {
    struct tm_job_env env;
    struct tm_progress progress;
    atomic_bool over;
    pthread_t thread;
};

/* From here on SIGINT and SIGTERM ask the job to stop at its next safe point. */
void cli_direct_job_begin(struct cli_direct_job *job);
void cli_direct_job_end(struct cli_direct_job *job);

#endif
