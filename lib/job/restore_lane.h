/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore_lane - records on their way to other partitions than they came from.
 *
 * A lane is a set of source partitions that are merged in the order of their records' times (timeline.h), and
 * the goals, partitions of the target, among which its records are dealt out: all of a topic where keys are
 * hashed, those of one goal where partitions are mapped. A source's own order is kept, so the records of a
 * key keep theirs. What comes out depends on the point and the request alone: a restore that was killed
 * deals again and leaves out as many records a goal as lie there already.
 *
 * Proof: each run that is read is compared with its stored proof; what goes to each goal is digested as it
 * goes, and the target must arrive at the same when it is read back (restore_proof.c).
 *
 * Threads: a lane belongs to the worker that walks it; no two lanes have a goal in common.
 */
#ifndef TM_JOB_RESTORE_LANE_H
#define TM_JOB_RESTORE_LANE_H

#include "job/restore_run.h"

/* Does this restore change partitions or records, so that topics have lanes? Append has them too. */
bool tm_restore_has_lanes(const struct restore_run *run, const struct restore_topic *topic);
/* Make the topic's goals; before the first use of them. */
void tm_restore_make_goals(struct restore_run *run, struct restore_topic *topic);

/* Where the record of that source partition goes; -1: the map does not say. */
int32_t tm_restore_goal_of(const struct tm_restore_into *into, const struct tm_record *record,
        int32_t source_partition, int32_t target_partitions);

/* Does a record of the source partition ever go to the goal, or another of its lane? */
bool tm_restore_lane_has(const struct restore_run *run, const struct restore_part *goal,
        const struct restore_part *source);

/* What a lane does with a record; `source` is where it comes from. */
struct restore_lane_sink {
    enum tm_code (*send)(void *arg, struct restore_part *goal, const struct restore_part *source,
            const struct tm_record *record, struct tm_err *err); /* it is not in the target yet */
    void (*passed)(void *arg, struct restore_part *goal, const struct restore_part *source,
            const struct tm_record *record); /* it is: number goal->count of it; NULL: never mind */
    void *arg;
};

/*
 * The lane that `goal` belongs to: begin it (false: `goal` is not its first, and somebody else does), walk it,
 * perhaps again after a failure, and end it with what came of it, which is noted in the result.
 */
bool tm_restore_begin_lane(struct restore_run *run, const struct restore_part *goal);
enum tm_code tm_restore_try_lane(struct restore_run *run, struct restore_part *goal,
        const struct restore_lane_sink *sink, struct tm_err *err) TM_MUST_CHECK;
void tm_restore_end_lane(struct restore_run *run, struct restore_part *goal, enum tm_code code,
        const struct tm_err *err);

#endif
