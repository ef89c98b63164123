/* SPDX-License-Identifier: Apache-2.0 */
/* What a restore takes: its point or points, how much of them is chosen, and what the request named in vain. */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/ulid.h"
#include "catalog/retained.h"
#include "job/restore_run.h"

enum { NOTES_MAX = 50 /* of one kind: a request may hold 10,000 skips */, NAMES_MAX = 10 };

/* The point ------------------------------------------------------------------------------------ */

static enum tm_code load_point(const struct tm_restore_options *options, const struct tm_id16 *ulid,
        struct tm_arena *arena, struct tm_point *out, struct tm_err *err)
{
    TM_TRY(tm_catalog_point(options->catalog, ulid, arena, out, err));
    if (out->row.id == 0) {
        char name[TM_ULID_NAME_MAX];
        return tm_err_set(err, TM_E_MISSING, "recovery point %s does not exist",
                tm_ulid_format(ulid, "rp_", name));
    }
    return TM_OK;
}

static bool is_selected(const struct tm_restore_options *options, const char *topic)
{
    return (options->select == NULL || tm_select_matches(options->select, topic)) &&
           tm_restore_wants(options, topic);
}

/* The newest point of the same policy that was taken then or before; NULL: there is none. */
static const struct tm_point_head *newest_head(const struct tm_point_head *heads, size_t count,
        const struct tm_point *of, int64_t until_ms)
{
    const struct tm_point_head *newest = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct tm_point_head *head = &heads[i];
        bool same = tm_slice_eq(head->cluster_id, of->row.cluster_id) &&
                    tm_slice_eq(head->policy, of->row.policy) && head->time_ms <= until_ms;
        if (same && (newest == NULL || head->id > newest->id)) {
            newest = head;
        }
    }
    return newest;
}

/* Let the point's partitions end where those of a later point do. */
static void extend_ends(struct tm_point *point, const struct tm_point *later)
{
    size_t at = 0; /* rows of both are sorted by stream and partition */
    for (size_t i = 0; i < point->row.part_count; i++) {
        struct tm_row_part *row = &point->row.parts[i];
        while (at < later->row.part_count &&
                (later->row.parts[at].stream < row->stream ||
                        (later->row.parts[at].stream == row->stream &&
                                later->row.parts[at].partition < row->partition))) {
            at++;
        }
        const struct tm_row_part *other = at < later->row.part_count ? &later->row.parts[at] : NULL;
        if (other != NULL && other->stream == row->stream && other->partition == row->partition) {
            row->end = other->end > row->end ? other->end : row->end;
        }
    }
}

static bool has_stream(const struct tm_point *point, uint32_t stream)
{
    for (size_t i = 0; i < point->row.topic_count; i++) {
        if (point->row.topics[i].stream == stream) {
            return true;
        }
    }
    return false;
}

/* Topics that the policy's last point before the time had, and this one has no more. */
static void warn_gone(const struct tm_restore_options *options, struct tm_restore_plan *plan,
        const struct tm_point *point, const struct tm_point *before)
{
    char name[TM_ULID_NAME_MAX];
    size_t told = 0;
    for (size_t i = 0; i < before->row.topic_count && told < NOTES_MAX; i++) {
        const char *topic =
                tm_arena_str(&plan->arena, tm_point_topic(before, before->row.topics[i].stream));
        if (has_stream(point, before->row.topics[i].stream) || !is_selected(options, topic)) {
            continue;
        }
        told++;
        tm_job_note_add(&plan->warnings, &plan->arena, "topic-gone", topic, -1,
                tm_arena_fmt(&plan->arena,
                        "this topic was deleted, or deleted and made anew, between %s and the "
                        "point that is restored: what it held then is not; restore it from that "
                        "point",
                        tm_ulid_format(&before->row.ulid, "rp_", name)));
    }
}

/* What lies around the point in time: what came late behind it, what was gone before it. */
static enum tm_code look_around(const struct tm_restore_options *options,
        struct tm_restore_plan *plan, struct tm_point *point, struct tm_err *err)
{
    struct tm_point_head *heads = NULL;
    size_t count = 0;
    TM_TRY(tm_catalog_point_heads(options->catalog, &plan->arena, &heads, &count, err));
    const struct tm_point_head *late = newest_head(heads, count, point, options->late_ms);
    if (late != NULL && late->id > point->row.id) {
        struct tm_point later = {0};
        TM_TRY(load_point(options, &late->ulid, &plan->arena, &later, err));
        extend_ends(point, &later);
    }
    int64_t until = options->choice->has_until ? options->choice->until_ms : INT64_MIN;
    const struct tm_point_head *early = newest_head(heads, count, point, until);
    if (early != NULL && early->id < point->row.id) {
        struct tm_point before = {0};
        TM_TRY(load_point(options, &early->ulid, &plan->arena, &before, err));
        warn_gone(options, plan, point, &before);
    }
    return TM_OK;
}

static void check_overlap(const struct tm_restore_options *options, struct tm_restore_plan *plan,
        const struct tm_point *other)
{
    for (size_t i = 0; i < other->row.topic_count; i++) {
        struct tm_slice topic = tm_point_topic(other, other->row.topics[i].stream);
        const char *name = tm_arena_str(&plan->arena, topic);
        for (size_t t = 0; is_selected(options, name) && t < plan->point.row.topic_count; t++) {
            if (!tm_slice_eq(
                        tm_point_topic(&plan->point, plan->point.row.topics[t].stream), topic)) {
                continue;
            }
            tm_job_note_add(&plan->blocking, &plan->arena, "invalid-request", name, -1,
                    tm_arena_fmt(&plan->arena,
                            "%s is in points of two policies, %s and %s among them: name the "
                            "policy, or leave the topic out",
                            name, tm_arena_str(&plan->arena, plan->point.row.policy),
                            tm_arena_str(&plan->arena, other->row.policy)));
            break;
        }
    }
}

#define APPEND(arena, to, from, array, count) \
    do { \
        size_t all_ = (to)->count + (from)->count; \
        void *joined_ = tm_arena_alloc((arena), all_ + 1, sizeof(*(to)->array)); \
        if ((to)->count > 0) { \
            memcpy(joined_, (to)->array, (to)->count * sizeof(*(to)->array)); \
        } \
        size_t behind_ = (to)->count * sizeof(*(to)->array); \
        if ((from)->count > 0) { \
            memcpy((char *)joined_ + behind_, (from)->array, \
                    (from)->count * sizeof(*(from)->array)); \
        } \
        (to)->array = joined_; \
        (to)->count = all_; \
    } while (0)

static void add_point(struct tm_restore_plan *plan, const struct tm_point *other)
{
    struct tm_row_point *row = &plan->point.row;
    APPEND(&plan->arena, row, &other->row, topics, topic_count);
    APPEND(&plan->arena, row, &other->row, parts, part_count);
    APPEND(&plan->arena, row, &other->row, groups, group_count);
    APPEND(&plan->arena, &plan->point, other, streams, stream_count);
    row->flags |= other->row.flags;
    plan->point.damaged |= other->damaged;
}

static void warn_early(const struct tm_restore_options *options, struct tm_restore_plan *plan,
        const struct tm_point *point)
{
    char taken[TM_TIME_TEXT_MAX];
    if (options->choice == NULL || !options->choice->has_until ||
            point->row.time_ms >= options->choice->until_ms) {
        return;
    }
    tm_job_note_add(&plan->warnings, &plan->arena, "point-before-at", NULL, -1,
            tm_arena_fmt(&plan->arena,
                    "the point of policy %s was taken at %s, before the time that is asked for: "
                    "what was written in between is not in it",
                    tm_arena_str(&plan->arena, point->row.policy),
                    tm_time_format(point->row.time_ms, taken)));
}

static enum tm_code read_one(const struct tm_restore_options *options, struct tm_restore_plan *plan,
        const struct tm_id16 *ulid, struct tm_point *out, struct tm_err *err)
{
    TM_TRY(load_point(options, ulid, &plan->arena, out, err));
    struct tm_row_point *row = tm_arena_alloc(&plan->arena, 1, sizeof(*row));
    *row = (struct tm_row_point){
            .ulid = out->row.ulid, .time_ms = out->row.time_ms, .policy = out->row.policy};
    plan->points[plan->point_count++] = row;
    warn_early(options, plan, out);
    return options->late_ms > 0 && options->choice != NULL ? look_around(options, plan, out, err)
                                                           : TM_OK;
}

enum tm_code tm_restore_read_point(
        const struct tm_restore_options *options, struct tm_restore_plan *plan, struct tm_err *err)
{
    plan->points = tm_arena_alloc(
            &plan->arena, options->more_point_count + 1, sizeof(struct tm_row_point *));
    TM_TRY(read_one(options, plan, &options->point, &plan->point, err));
    for (size_t i = 0; i < options->more_point_count; i++) {
        struct tm_point other = {0};
        TM_TRY(read_one(options, plan, &options->more_points[i], &other, err));
        if (!tm_slice_eq(other.row.cluster_id, plan->point.row.cluster_id)) {
            return tm_err_set(err, TM_E_USAGE,
                    "policies %.*s and %.*s saved different clusters: name the policy",
                    (int)plan->point.row.policy.len, (const char *)plan->point.row.policy.at,
                    (int)other.row.policy.len, (const char *)other.row.policy.at);
        }
        check_overlap(options, plan, &other);
        add_point(plan, &other);
    }
    return TM_OK;
}

/* How much ------------------------------------------------------------------------------------- */

bool tm_restore_wants(const struct tm_restore_options *options, const char *topic)
{
    const struct tm_choice *choice = options->choice;
    bool wanted = choice == NULL || choice->window_count == 0;
    for (size_t i = 0; !wanted && i < choice->window_count; i++) {
        wanted = strcmp(choice->windows[i].topic, topic) == 0;
    }
    return wanted;
}

/* Is the oldest record that is stored younger than the oldest that was asked for, and not the topic's first? */
static bool falls_short(const struct tm_chosen_range *range)
{
    const struct tm_choice_cut *cut = &range->cut;
    int64_t asked = cut->time.from;
    if (cut->time_count > 0 && cut->times[0].from > asked) {
        asked = cut->times[0].from;
    }
    const struct tm_run *oldest = range->source.run_count > 0 ? &range->source.runs[0].run : NULL;
    return asked != INT64_MIN && oldest != NULL && oldest->first > 0 && oldest->ts_min > asked;
}

static void add_part(const struct tm_chosen_range *range, struct tm_chosen_budget *budget,
        struct tm_restore_topic *topic)
{
    struct tm_chosen_totals totals;
    tm_chosen_totals(range, budget, &totals);
    topic->messages += totals.messages;
    topic->bytes += totals.bytes;
    topic->exact = topic->exact && totals.exact;
    topic->largest = totals.largest > topic->largest ? totals.largest : topic->largest;
    topic->ts_min = totals.ts_min < topic->ts_min ? totals.ts_min : topic->ts_min;
    topic->ts_max = totals.ts_max > topic->ts_max ? totals.ts_max : topic->ts_max;
    topic->part_bytes = totals.bytes > topic->part_bytes ? totals.bytes : topic->part_bytes;
    if (range->lost > 0 && topic->lost == 0) {
        topic->lost_partition = range->source.partition;
        topic->lost_first = range->lost_first;
    }
    topic->lost += range->lost;
    topic->short_of_from = topic->short_of_from || falls_short(range);
}

enum tm_code tm_restore_count(const struct tm_restore_options *options,
        const struct tm_restore_plan *plan, struct tm_restore_topic *topic,
        struct tm_chosen_budget *budget, struct tm_err *err)
{
    const struct tm_stream *stream = tm_point_stream(&plan->point, topic->stream);
    tm_assert(stream != NULL); /* a point has the stream of each of its topics */
    enum tm_code code = TM_OK;
    topic->exact = true;
    for (size_t i = 0; code == TM_OK && i < plan->point.row.part_count; i++) {
        const struct tm_row_part *row = &plan->point.row.parts[i];
        if (row->stream != topic->stream) {
            continue;
        }
        struct tm_arena arena = {0};
        struct tm_chosen_range range;
        struct tm_chosen_part part = {stream, row->partition, row->start, row->end};
        code = tm_chosen_range(options->catalog, options->choice, &part, &arena, &range, err);
        if (code == TM_OK) {
            add_part(&range, budget, topic);
        }
        tm_arena_done(&arena);
    }
    return code;
}

/* Names that stand for nothing ----------------------------------------------------------------- */

static const struct tm_restore_topic *find_topic(
        const struct tm_restore_plan *plan, const char *source)
{
    for (size_t i = 0; i < plan->topics.count; i++) {
        if (strcmp(plan->topics.at[i].source, source) == 0) {
            return &plan->topics.at[i];
        }
    }
    return NULL;
}

/* Something of the request is for a topic that is not restored, or a partition that it lacks. */
static bool check_place(
        struct tm_restore_plan *plan, const char *what, const char *topic, int32_t partition)
{
    const struct tm_restore_topic *line = find_topic(plan, topic);
    if (line != NULL && partition < line->partitions) {
        return true;
    }
    const char *detail =
            line == NULL
                    ? tm_arena_fmt(&plan->arena,
                              "%s of topic %s: the point does not have it, or the request does not "
                              "select it",
                              what, topic)
                    : tm_arena_fmt(&plan->arena,
                              "%s of %s/%" PRId32 ": it has %" PRId32 " partitions", what, topic,
                              partition, line->partitions);
    tm_job_note_add(&plan->blocking, &plan->arena, "invalid-request", topic, partition, detail);
    return false;
}

static void check_windows(const struct tm_choice *choice, struct tm_restore_plan *plan)
{
    size_t wrong = 0;
    for (size_t i = 0; i < choice->window_count && wrong < NOTES_MAX; i++) {
        const struct tm_choice_window *window = &choice->windows[i];
        wrong += check_place(plan, "there is a window", window->topic, window->partition) ? 0 : 1;
    }
    for (size_t i = 0; i < choice->partition_count && wrong < NOTES_MAX; i++) {
        const struct tm_choice_partitions *entry = &choice->partitions[i];
        for (size_t p = 0; p < entry->count && wrong < NOTES_MAX; p++) {
            wrong += check_place(plan, "there are partitions listed", entry->topic, entry->at[p])
                             ? 0
                             : 1;
        }
    }
}

/* Where the partition ends in the point; -1: the point does not have it. */
static int64_t end_of(const struct tm_restore_plan *plan, uint32_t stream, int32_t partition)
{
    for (size_t i = 0; i < plan->point.row.part_count; i++) {
        const struct tm_row_part *row = &plan->point.row.parts[i];
        if (row->stream == stream && row->partition == partition) {
            return row->end;
        }
    }
    return -1;
}

/*
 * A list of records never to be restored again may be longer than one restore: a topic that is not restored is
 * a warning. A partition that the topic lacks is a slip of the pen.
 */
static void check_skips(const struct tm_choice *choice, struct tm_restore_plan *plan)
{
    size_t told = 0;
    for (size_t i = 0; i < choice->skip_count && told < NOTES_MAX; i++) {
        const struct tm_choice_skip *skip = &choice->skips[i];
        const struct tm_restore_topic *line = find_topic(plan, skip->topic);
        if (line != NULL && skip->partition >= line->partitions) {
            told += check_place(plan, "there is a skip", skip->topic, skip->partition) ? 0 : 1;
        } else if (line == NULL || skip->first >= end_of(plan, line->stream, skip->partition)) {
            told++;
            tm_job_note_add(&plan->warnings, &plan->arena, "skip-unused", skip->topic,
                    skip->partition,
                    tm_arena_fmt(&plan->arena,
                            "nothing that is restored has offset %" PRId64
                            " of this partition: the skip leaves nothing out",
                            skip->first));
        }
    }
}

/* Topics that are selected and left out, because no window is of them. */
static void check_unwindowed(const struct tm_restore_options *options, struct tm_restore_plan *plan)
{
    TM_BUF_OWN struct tm_buf names = {0};
    size_t count = 0;
    for (size_t i = 0; i < plan->point.row.topic_count; i++) {
        const char *topic = tm_arena_str(
                &plan->arena, tm_point_topic(&plan->point, plan->point.row.topics[i].stream));
        bool selected = options->select == NULL || tm_select_matches(options->select, topic);
        if (selected && !tm_restore_wants(options, topic)) {
            if (count < NAMES_MAX) {
                tm_buf_add_fmt(&names, "%s%s", count == 0 ? "" : ", ", topic);
            }
            count++;
        }
    }
    if (count > 0) {
        tm_job_note_add(&plan->warnings, &plan->arena, "no-window", NULL, -1,
                tm_arena_fmt(&plan->arena,
                        "%zu selected topics are left out, because no window is of them: %s%s",
                        count, tm_buf_text(&names), count > NAMES_MAX ? ", ..." : ""));
    }
}

static void check_reach(struct tm_restore_plan *plan)
{
    for (size_t i = 0; i < plan->topics.count; i++) {
        const struct tm_restore_topic *topic = &plan->topics.at[i];
        if (topic->short_of_from) {
            tm_job_note_add(&plan->warnings, &plan->arena, "from-not-reached", topic->source, -1,
                    "the oldest record that is stored of a partition is younger than the time "
                    "asked for, and was not its first: older ones were never stored, or are freed");
        }
    }
}

enum tm_code tm_restore_check_choice(
        const struct tm_restore_options *options, struct tm_restore_plan *plan, struct tm_err *err)
{
    const struct tm_choice *choice = options->choice;
    if (tm_choice_is_all(choice)) {
        return TM_OK;
    }
    TM_TRY(tm_choice_check(choice, err));
    check_windows(choice, plan);
    check_skips(choice, plan);
    check_unwindowed(options, plan);
    check_reach(plan);
    if (plan->topics.count > 0 && plan->messages == 0) {
        tm_job_note_add(&plan->warnings, &plan->arena, "nothing-chosen", NULL, -1,
                "no record is chosen: topics would be made, and stay empty");
    }
    return TM_OK;
}

void tm_restore_describe_choice(const struct tm_restore_options *options, struct tm_buf *out)
{
    char point[TM_ULID_NAME_MAX];
    for (size_t i = 0; i < options->more_point_count; i++) {
        tm_buf_add_fmt(out, "%s\n", tm_ulid_format(&options->more_points[i], "rp_", point));
    }
    if (options->choice != NULL) {
        tm_choice_describe(options->choice, out);
    }
}
