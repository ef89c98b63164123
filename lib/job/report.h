/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report - what came of a restore, as the JSON that a job keeps as its result (docs/restore.md, "Report").
 *
 * Threads: any.
 */
#ifndef TM_JOB_REPORT_H
#define TM_JOB_REPORT_H

#include "base/json.h"
#include "job/restore.h"

/* `options` are those it was run with. */
struct tm_json *tm_report_restore(
        const struct tm_restore_options *options, const struct tm_restore_result *result);
/* What a plan says would be done; also where something blocks. */
struct tm_json *tm_report_plan(const struct tm_restore_plan *plan);
/* [{"code","detail","topic","partition"}]; empty where there are none. */
struct tm_json *tm_report_notes(const tm_job_notes *notes);

#endif
