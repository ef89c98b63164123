/* SPDX-License-Identifier: Apache-2.0 */
#include "job/restore_lane.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "job/restore_input.h"
#include "job/timeline.h"
#include "kafka/partitioner.h"

enum {
    MARK_RECORDS = 8192, /* of a digest: a difference is named to so many offsets */
    LOOK_RECORDS = 512,  /* between looks at cancel */
    POSITION_MAX = 300,
};

struct digest { /* of what goes to one goal */
    struct tm_proof *proof;
    int64_t count; /* since the last mark */
};

struct lane {
    struct restore_run *run;
    struct restore_topic *topic;
    struct restore_part *goals; /* the first */
    size_t goal_count;
    struct digest *digests; /* one a goal */
    struct tm_restore_input **inputs;
    size_t input_count;
    struct tm_timeline *timeline;
    const struct restore_lane_sink *sink;
    uint32_t epoch;
    struct tm_buf bytes;
    TM_VEC(struct tm_header) headers;
    char position[POSITION_MAX];
    int64_t walked;
    int64_t passed_messages; /* as the progress counts them */
    int64_t passed_bytes;
};

/* Goals --------------------------------------------------------------------------------------- */

bool tm_restore_has_lanes(const struct restore_run *run, const struct restore_topic *topic)
{
    const struct tm_restore_into *into = &run->options->into;
    return into->partitions != TM_PARTITIONS_SAME || into->add_original_position ||
           topic->line->append;
}

void tm_restore_make_goals(struct restore_run *run, struct restore_topic *topic)
{
    topic->lanes = tm_restore_has_lanes(run, topic);
    if (!topic->lanes) {
        topic->goals = topic->parts;
        topic->goal_count = topic->part_count;
        return;
    }
    topic->goal_count = (size_t)topic->line->target_partitions;
    topic->goals = tm_xalloc(topic->goal_count + 1, sizeof(*topic->goals));
    for (size_t p = 0; p < topic->goal_count; p++) {
        topic->goals[p].topic = topic;
        topic->goals[p].partition = (int32_t)p;
    }
}

static int32_t mapped(const struct tm_restore_into *into, int32_t source_partition)
{
    for (size_t i = 0; i < into->map_count; i++) {
        if (into->map[i].from == source_partition) {
            return into->map[i].to;
        }
    }
    return -1;
}

int32_t tm_restore_goal_of(const struct tm_restore_into *into, const struct tm_record *record,
        int32_t source_partition, int32_t target_partitions)
{
    switch (into->partitions) {
    case TM_PARTITIONS_MAP:
        return mapped(into, source_partition);
    case TM_PARTITIONS_HASH:
        return record->key.at != NULL ? tm_partition_of_key(record->key, target_partitions)
                                      : source_partition % target_partitions;
    case TM_PARTITIONS_SAME:
        break;
    }
    return source_partition;
}

bool tm_restore_lane_has(const struct restore_run *run, const struct restore_part *goal,
        const struct restore_part *source)
{
    const struct tm_restore_into *into = &run->options->into;
    return into->partitions == TM_PARTITIONS_HASH ||
           tm_restore_goal_of(into, NULL, source->partition, 0) == goal->partition;
}

/* A record on its way ------------------------------------------------------------------------- */

static void digest(struct lane *lane, struct restore_part *goal, const struct tm_record *record)
{
    struct digest *at = &lane->digests[goal - lane->goals];
    const struct tm_ring *ring = tm_vault_ring(lane->run->options->vault);
    if (at->proof == NULL) {
        at->proof = tm_proof_new(ring, lane->epoch);
    }
    tm_buf_clear(&lane->bytes);
    tm_record_encode(record, &lane->bytes);
    struct tm_id16 tag = tm_ring_tag(ring, lane->epoch, tm_buf_slice(&lane->bytes));
    tm_proof_add(at->proof, record->timestamp_ms, &tag);
    at->count++;
}

static void end_mark(struct lane *lane, struct restore_part *goal)
{
    struct digest *at = &lane->digests[goal - lane->goals];
    if (at->count > 0) {
        *tm_vec_push(&goal->marks) = (struct tm_source_mark){
                .count = at->count, .epoch = lane->epoch, .proof = tm_proof_take(at->proof)};
        at->count = 0;
    }
}

/* The record with one header more, which says where it lay; borrows from the lane until the next. */
static void add_position(
        struct lane *lane, const struct restore_part *source, struct tm_record *record)
{
    int len = snprintf(lane->position, sizeof(lane->position), "%s/%" PRId32 "@%" PRId64,
            lane->topic->line->source, source->partition, record->offset);
    lane->headers.count = 0;
    for (size_t i = 0; i < record->header_count; i++) {
        *tm_vec_push(&lane->headers) = record->headers[i];
    }
    *tm_vec_push(&lane->headers) = (struct tm_header){
            tm_slice_str(TM_POSITION_HEADER), tm_slice_of(lane->position, (size_t)len)};
    record->headers = lane->headers.at;
    record->header_count = lane->headers.count;
}

static enum tm_code deal(struct lane *lane, const struct restore_part *source,
        const struct tm_record *given, struct tm_err *err)
{
    const struct tm_restore_into *into = &lane->run->options->into;
    struct tm_record record = *given;
    int32_t to = tm_restore_goal_of(
            into, &record, source->partition, lane->topic->line->target_partitions);
    struct restore_part *goal = &lane->topic->goals[to];
    tm_assert(goal >= lane->goals && goal < lane->goals + lane->goal_count);
    if (into->add_original_position) {
        add_position(lane, source, &record);
    }
    digest(lane, goal, &record);
    enum tm_code code = TM_OK;
    if (goal->count >= goal->there) {
        code = lane->sink->send(lane->sink->arg, goal, source, &record, err);
    } else if (lane->sink->passed != NULL) {
        lane->sink->passed(lane->sink->arg, goal, source, &record);
    }
    if (code == TM_OK) {
        if (!lane->topic->line->append) { /* else where it lies is known once it is committed */
            tm_restore_map_note(lane->run->map, lane->topic->line->stream, source->partition,
                    given->offset, goal->partition, goal->base + goal->count);
        }
        tm_restore_passed(lane->run, goal, given);
        lane->passed_messages++;
        lane->passed_bytes += (int64_t)tm_record_length(given);
        goal->count++;
    }
    if (lane->digests[goal - lane->goals].count >= MARK_RECORDS) {
        end_mark(lane, goal);
    }
    return code;
}

/* The walk ------------------------------------------------------------------------------------ */

/* Show the input's next record in the timeline, if it has one. */
static enum tm_code show(struct lane *lane, size_t input, struct tm_err *err)
{
    bool more = false;
    enum tm_code code = tm_restore_input_next(lane->inputs[input], &more, err);
    if (code != TM_OK) {
        return tm_err_wrap(err, "source partition %" PRId32,
                tm_restore_input_part(lane->inputs[input])->partition);
    }
    if (more) {
        tm_timeline_put(
                lane->timeline, input, tm_restore_input_record(lane->inputs[input])->timestamp_ms);
    }
    return TM_OK;
}

static enum tm_code open_inputs(struct lane *lane, struct tm_err *err)
{
    struct restore_topic *topic = lane->topic;
    lane->inputs = tm_xalloc(topic->part_count + 1, sizeof(struct tm_restore_input *));
    size_t count = 0;
    for (size_t p = 0; p < topic->part_count; p++) {
        count += tm_restore_lane_has(lane->run, lane->goals, &topic->parts[p]) ? 1 : 0;
    }
    enum tm_code code = TM_OK;
    for (size_t p = 0; code == TM_OK && p < topic->part_count; p++) {
        struct restore_part *part = &topic->parts[p];
        if (tm_restore_lane_has(lane->run, lane->goals, part)) {
            code = tm_restore_input_open(
                    lane->run, part, count, &lane->inputs[lane->input_count], err);
            lane->input_count += code == TM_OK ? 1 : 0;
        }
    }
    lane->timeline = tm_timeline_new(lane->input_count);
    for (size_t i = 0; code == TM_OK && i < lane->input_count; i++) {
        code = show(lane, i, err);
    }
    return code;
}

static enum tm_code walk(struct lane *lane, struct tm_err *err)
{
    size_t input = 0;
    enum tm_code code = tm_job_cancelled(lane->run->env)
                                ? tm_err_set(err, TM_E_CANCELLED, "cancelled")
                                : open_inputs(lane, err);
    while (code == TM_OK && tm_timeline_take(lane->timeline, &input)) {
        if (lane->walked++ % LOOK_RECORDS == 0 && tm_job_cancelled(lane->run->env)) {
            return tm_err_set(err, TM_E_CANCELLED, "cancelled");
        }
        code = deal(lane, tm_restore_input_part(lane->inputs[input]),
                tm_restore_input_record(lane->inputs[input]), err);
        if (code == TM_OK) {
            code = show(lane, input, err);
        }
    }
    for (size_t g = 0; code == TM_OK && g < lane->goal_count; g++) {
        struct restore_part *goal = &lane->goals[g];
        end_mark(lane, goal);
        if (goal->count < goal->there) {
            code = tm_err_set(err, TM_E_CONFLICT,
                    "partition %" PRId32 " of the target holds %" PRId64
                    " records, the point gives it only %" PRId64 ": something else wrote to it",
                    goal->partition, goal->there, goal->count);
        }
    }
    return code;
}

static bool goes_together(const struct restore_run *run)
{
    return run->options->into.partitions == TM_PARTITIONS_HASH;
}

static void begin(struct lane *lane)
{
    lane->epoch = tm_ring_epoch(tm_vault_ring(lane->run->options->vault));
    lane->digests = tm_xalloc(lane->goal_count, sizeof(*lane->digests));
    for (size_t g = 0; g < lane->goal_count; g++) {
        lane->goals[g].count = 0;
        lane->goals[g].zero_stamps = 0;
        lane->goals[g].marks.count = 0;
    }
}

static void end(struct lane *lane)
{
    for (size_t i = 0; i < lane->input_count; i++) {
        lane->goals->zero_stamps += tm_restore_input_zero_stamps(lane->inputs[i]);
        tm_restore_input_close(lane->inputs[i]);
    }
    for (size_t g = 0; g < lane->goal_count; g++) {
        tm_proof_free(lane->digests[g].proof);
    }
    free(lane->inputs);
    free(lane->digests);
    tm_timeline_free(lane->timeline);
    tm_vec_done(&lane->headers);
    tm_buf_done(&lane->bytes);
}

enum tm_code tm_restore_try_lane(struct restore_run *run, struct restore_part *goal,
        const struct restore_lane_sink *sink, struct tm_err *err)
{
    struct lane lane = {
            .run = run,
            .topic = goal->topic,
            .goals = goal,
            .goal_count = goes_together(run) ? goal->topic->goal_count : 1,
            .sink = sink,
    };
    struct tm_progress *progress = run->env->progress;
    begin(&lane);
    enum tm_code code = walk(&lane, err);
    end(&lane);
    if (code != TM_OK) { /* what is tried again is counted again */
        atomic_fetch_sub(&progress->done_messages, lane.passed_messages);
        atomic_fetch_sub(&progress->done_bytes, lane.passed_bytes);
    }
    return code;
}

void tm_restore_end_lane(struct restore_run *run, struct restore_part *goal, enum tm_code code,
        const struct tm_err *err)
{
    size_t count = goes_together(run) ? goal->topic->goal_count : 1;
    for (size_t g = 0; code != TM_OK && g < count; g++) {
        goal[g].failed = true;
        goal[g].count = 0;
    }
    if (code != TM_OK) { /* once, though it may concern several */
        tm_restore_fail(run, goal, tm_code_name(code), err->msg);
    }
    struct tm_progress *progress = run->env->progress;
    atomic_fetch_sub(&progress->parts_running, (int64_t)count);
    atomic_fetch_add(
            code == TM_OK ? &progress->parts_done : &progress->parts_failed, (int64_t)count);
}

bool tm_restore_begin_lane(struct restore_run *run, const struct restore_part *goal)
{
    if (goes_together(run) && goal != goal->topic->goals) {
        return false;
    }
    int64_t goals = goes_together(run) ? (int64_t)goal->topic->goal_count : 1;
    atomic_fetch_sub(&run->env->progress->parts_waiting, goals);
    atomic_fetch_add(&run->env->progress->parts_running, goals);
    return true;
}
