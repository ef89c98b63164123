/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jobs - lists of jobs, and answers that are a job which has been started.
 *
 * Threads: the loop's.
 */
#ifndef TM_API_JOBS_H
#define TM_API_JOBS_H

#include "request.h"

/* The job that the path names, "job_..." or "rst_..."; false: it is none, and that has been answered. */
bool tm_jobs_read_id(struct tm_request *request, struct tm_id16 *out);
/* The query parameters they share; `kinds_asked`: 1 << enum tm_job_kind, or 0: as `kind=` says, or any. */
void tm_jobs_answer_list(struct tm_request *request, unsigned kinds_asked);
/*
 * The `done` of a call that starts a job: 202 with the job, 200 where it was joined. With `wait` the
 * answer comes when the job has ended (200), at the latest after that time (202).
 */
void tm_jobs_started(
        void *arg, const struct tm_job_view *job, bool created, const struct tm_problem *problem);

#endif
