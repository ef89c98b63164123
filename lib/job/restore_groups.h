/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore_groups - consumer groups of a restore: chosen and checked by the plan, set when all is proved.
 *
 * A group comes to stand at the first restored record at or after the offset it had. Where a target
 * partition takes records of several source partitions it stands at the first record there that it has
 * not had of any: it reads some again rather than to miss one.
 *
 * Threads: the job's.
 */
#ifndef TM_JOB_RESTORE_GROUPS_H
#define TM_JOB_RESTORE_GROUPS_H

#include "base/buf.h"
#include "job/restore.h"

struct restore_run;

/* Choose the groups, and find what stands in their way at the target. */
enum tm_code tm_restore_plan_groups(const struct tm_restore_options *options,
        struct tm_restore_plan *plan, struct tm_err *err) TM_MUST_CHECK;
/* All of it that is the groups', for the plan's digest. */
void tm_restore_describe_groups(const struct tm_restore_options *options,
        const struct tm_restore_plan *plan, struct tm_buf *out);

/* Before anything is noted in run->map: for these offsets its answers are to be exact. */
void tm_restore_watch_groups(struct restore_run *run);
/*
 * All is proved: keep the map with the job, translate, set, read back, and keep what came of it. Of a
 * resumed job that did this already only the report is read: the groups' consumers may be at work by now.
 * A group that failed is in the report (groups_failed); an error is one of the journal.
 */
enum tm_code tm_restore_set_groups(struct restore_run *run, struct tm_err *err) TM_MUST_CHECK;

#endif
