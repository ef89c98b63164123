/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore_aim - the plan's part about where records go: how many partitions each target has, what becomes of
 * topics that are there, and what of that the request does not allow.
 *
 * Threads: the plan's.
 */
#ifndef TM_JOB_RESTORE_AIM_H
#define TM_JOB_RESTORE_AIM_H

#include "base/buf.h"
#include "job/restore.h"

/*
 * Decide what is done with a target topic that is there (`info`) or not (NULL), in this order: recreate, append,
 * purge. Sets target_partitions and the flags of `topic`; what does not go is added to plan->blocking. True: its
 * records, if it has any, are no hindrance.
 */
bool tm_restore_aim(const struct tm_restore_options *options, struct tm_restore_plan *plan,
        struct tm_restore_topic *topic, const struct tm_topic_info *info);

/* Is the row one of a purge or re-creation that was begun and is not known to be through? */
bool tm_restore_aim_pending(const struct tm_restore_target *row);

/* Purges that the brokers would refuse. */
enum tm_code tm_restore_aim_check(const struct tm_restore_options *options,
        struct tm_restore_plan *plan, struct tm_err *err) TM_MUST_CHECK;

/* Add what decides where records go to the text that the plan's digest is made of; not how fast. */
void tm_restore_aim_digest(const struct tm_restore_into *into, struct tm_buf *text);

#endif
