/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drills - restores made to see that they work, by request and by the policies' schedules.
 *
 * A drill that was due while the daemon was down is not made up for.
 *
 * Threads: the loop's, but for tmd_run_drill().
 */
#ifndef TM_DAEMON_DRILLS_H
#define TM_DAEMON_DRILLS_H

#include "tmd.h"

struct tmd_drills *tmd_drills_new(struct tmd *tmd);
void tmd_drills_free(struct tmd_drills *drills);
void tmd_drills_start(struct tmd *tmd); /* planned drills begin, or are planned anew */
void tmd_drills_stop(struct tmd *tmd);

/* Rows of kinds.c. */
enum tm_code tmd_drill_resume(struct tmd_job *job, struct tm_err *err) TM_MUST_CHECK;
void tmd_run_drill(struct tmd_job *job);
void tmd_drill_ended(struct tmd_job *job);

/* jobs_submit.c: queue it; its point, target and switches are set, the texts are copied. */
void tmd_drill(struct tmd *tmd, const struct tm_drill_request *request,
        const struct tm_config_policy *policy, const struct tm_caller *caller, tm_done_job done,
        void *arg);
/* The policy's that is queued or running; NULL: none. */
struct tmd_job *tmd_job_of_drill(struct tmd *tmd, const char *policy);

/* request_drill.c */
char *tmd_drill_request_text(const struct tm_drill_request *request); /* for free() */
enum tm_code tmd_drill_request_read(const char *text, struct tm_arena *arena,
        struct tm_drill_request *out, struct tm_err *err) TM_MUST_CHECK;
void tmd_drill_request_copy(
        const struct tm_drill_request *from, struct tm_arena *arena, struct tm_drill_request *to);

#endif
