/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drill - a restore made to see that it works: a point into a scratch cluster, or under a prefix, read
 * back, proved, timed, and taken away again.
 *
 * Only topics that this very job has made are removed: the journal names them before they are made, so
 * that a drill which was killed cleans up when it is taken up again. What it found is in the journal
 * before the first of them goes.
 *
 * Threads: block their caller's; use the pools of the environment.
 */
#ifndef TM_JOB_DRILL_H
#define TM_JOB_DRILL_H

#include "base/json.h"
#include "job/restore.h"

struct tm_drill_options {
    struct tm_restore_options restore; /* with a journal; its choice is the drill's own */
    const char *policy;
    int64_t max_bytes; /* the newest records of each partition that are about this much; 0: all */
    bool cleanup;      /* else the topics stay */
    bool allow_source; /* the target may be the cluster that the point is of */
    bool (*keep)(
            void *arg); /* asked once it was cancelled: will it be taken up again? Nothing goes */
    void *keep_arg;
};

struct tm_drill_result {
    bool passed;
    char *report; /* JSON object (docs/restore.md, "Drills"); for free(); NULL: it was cancelled */
    int64_t duration_ms; /* from the beginning to the proof: the measured recovery time; 0: none */
    int64_t written_messages;
    int64_t written_bytes;
    tm_job_notes warnings;
    struct tm_arena arena;
};
void tm_drill_result_done(struct tm_drill_result *result);

/*
 * TM_OK: it passed. TM_E_CORRUPT: content differs, with the report. Any other error: why it could not be
 * done; `report` then says so too, but for TM_E_CANCELLED. `out` must be zeroed; _done in any case.
 */
enum tm_code tm_drill_run(const struct tm_drill_options *options, struct tm_job_env *env,
        struct tm_drill_result *out, struct tm_err *err) TM_MUST_CHECK;

#endif
