/* SPDX-License-Identifier: Apache-2.0 */
#include "view.h"

#include <inttypes.h>
#include <string.h>

#include "base/ulid.h"

enum { TOPIC_ID_TEXT = 23 };

/* Parts ------------------------------------------------------------------------------------ */

/* As Kafka writes a topic's id: base64url without padding. */
static const char *format_topic_id(const struct tm_id16 *id, char text[TOPIC_ID_TEXT])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < TOPIC_ID_TEXT - 1; i++) {
        size_t bit = 6 * i;
        unsigned two = (unsigned)id->bytes[bit / 8] << 8;
        two |= bit / 8 + 1 < sizeof(id->bytes) ? id->bytes[bit / 8 + 1] : 0;
        text[i] = digits[(two >> (10 - bit % 8)) & 63];
    }
    text[TOPIC_ID_TEXT - 1] = '\0';
    return text;
}

static void add_mark(struct tm_json *json, const struct tm_row_mark *mark)
{
    if (mark->note.len > 0) {
        tm_json_add_slice(json, "note", mark->note);
    }
    struct tm_json *tags = tm_json_add(json, "tags", tm_json_array());
    for (size_t i = 0; i < mark->tag_count; i++) {
        TM_BUF_OWN struct tm_buf tag = {0};
        tm_buf_add(&tag, mark->tags[i].at, mark->tags[i].len);
        tm_json_push_str(tags, tm_buf_text(&tag));
    }
    if (mark->hold_until_ms != 0) {
        struct tm_json *hold = tm_json_add(json, "hold", tm_json_object());
        tm_json_add_slice(hold, "reason", mark->hold_reason);
        if (mark->hold_until_ms > 0) {
            tm_json_add_time(hold, "until", mark->hold_until_ms);
        }
    }
}

static const char *state_name(const struct tm_row_point *row, bool damaged)
{
    if (damaged) {
        return "damaged";
    }
    return (row->flags & TM_POINT_PARTIAL) != 0 ? "partial" : "complete";
}

static struct tm_json *begin_point(const struct tm_row_point *row, const struct tm_row_mark *mark,
        bool damaged, const char *vault)
{
    char id[TM_ULID_NAME_MAX];
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "id", tm_ulid_format(&row->ulid, "rp_", id));
    tm_json_add_slice(json, "policy", row->policy);
    tm_json_add_slice(json, "cluster", row->cluster_name);
    tm_json_add_slice(json, "cluster_id", row->cluster_id);
    tm_json_add_str(json, "vault", vault);
    tm_json_add_str(json, "state", state_name(row, damaged));
    tm_json_add_time(json, "captured_at", row->time_ms);
    add_mark(json, mark);
    return json;
}

void tm_view_add_kept_by(struct tm_json *json, uint32_t kept_by)
{
    if (kept_by == 0) {
        return;
    }
    struct tm_json *rules = tm_json_add(json, "kept_by", tm_json_array());
    for (unsigned rule = 1; rule < 1U << TM_GFS_RULES; rule <<= 1) {
        if ((kept_by & rule) != 0) {
            tm_json_push_str(rules, tm_gfs_rule_name((enum tm_gfs_rule)rule));
        }
    }
}

struct tm_json *tm_view_point_line(
        const struct tm_point_line *line, const char *vault, uint32_t kept_by)
{
    struct tm_json *json = begin_point(&line->row, &line->mark, line->damaged, vault);
    tm_json_add_int(json, "topics_count", line->topics);
    tm_json_add_int(json, "partitions_count", line->partitions);
    tm_json_add_int(json, "messages_count", line->messages);
    tm_json_add_int(json, "source_bytes", line->source_bytes);
    tm_view_add_kept_by(json, kept_by);
    return json;
}

/* Partitions ------------------------------------------------------------------------------- */

static void add_known(struct tm_json *json, const char *key, int64_t offset)
{
    if (offset >= 0) {
        tm_json_add_int(json, key, offset);
    }
}

static void add_record_times(struct tm_json *json, const struct tm_part_totals *totals)
{
    if (totals->ts_min <= totals->ts_max) {
        tm_json_add_time(json, "earliest_record_at", totals->ts_min);
        tm_json_add_time(json, "latest_record_at", totals->ts_max);
    }
}

/* What of the gap lies in [start, end). */
static void add_gap(struct tm_json *gaps, const struct tm_row_gap *gap, int64_t start, int64_t end)
{
    int64_t gap_end = gap->from + gap->length;
    if (gap->reason == TM_GAP_NO_RECORDS) {
        return; /* a hole, counted as such: nothing is missing there */
    }
    struct tm_json *json = tm_json_push(gaps, tm_json_object());
    tm_json_add_int(json, "start_offset", gap->from > start ? gap->from : start);
    tm_json_add_int(json, "end_offset", gap_end < end ? gap_end : end);
    tm_json_add_str(json, "reason", tm_gap_reason_name(gap->reason));
}

/* What was lost before the point's range begins; the key is left out where nothing was. */
static void add_gaps_before(
        struct tm_json *json, const struct tm_point_answer *answer, size_t place)
{
    size_t count = answer->gap_before_counts != NULL ? answer->gap_before_counts[place] : 0;
    struct tm_json *gaps = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct tm_row_gap *gap = &answer->gaps_before[place][i];
        if (gaps == NULL && gap->reason != TM_GAP_NO_RECORDS) {
            gaps = tm_json_add(json, "gaps_before", tm_json_array());
        }
        if (gaps != NULL) {
            add_gap(gaps, gap, 0, answer->point.row.parts[place].start);
        }
    }
}

/* Why there are offsets without a record: by the topic's configuration in the point. */
static const char *class_of_holes(const struct tm_row_topic *topic)
{
    for (size_t i = 0; i < topic->config_count; i++) {
        const struct tm_config_pair *pair = &topic->configs[i];
        if (tm_slice_is(pair->key, "cleanup.policy") &&
                memmem(pair->value.at, pair->value.len, "compact", strlen("compact")) != NULL) {
            return "compaction";
        }
    }
    return "transactions";
}

static const char *status_name(enum tm_part_status status)
{
    switch (status) {
    case TM_PART_WHOLE:
        return "whole";
    case TM_PART_FAILED:
        return "failed";
    case TM_PART_NOT_REACHED:
        return "not-reached";
    }
    return NULL;
}

static struct tm_json *view_part(
        const struct tm_point_answer *answer, const struct tm_row_topic *topic, size_t place)
{
    const struct tm_row_part *part = &answer->point.row.parts[place];
    const struct tm_part_totals *totals = &answer->totals[place];
    struct tm_json *json = tm_json_object();
    tm_json_add_int(json, "partition", part->partition);
    tm_json_add_int(json, "start_offset", part->start);
    tm_json_add_int(json, "end_offset", part->end);
    add_known(json, "last_stable_offset", part->lso);
    add_known(json, "high_watermark", part->high_watermark);
    tm_json_add_str(json, "status", status_name(part->status));
    tm_json_add_int(json, "messages_count", totals->messages);
    tm_json_add_int(json, "source_bytes", totals->bytes);
    tm_json_add_int(json, "holes_count", totals->holes);
    bool known = (answer->point.row.flags & TM_POINT_CONFIGS_UNKNOWN) == 0;
    if (totals->holes > 0 && known) {
        tm_json_add_str(json, "holes_class", class_of_holes(topic));
    }
    add_record_times(json, totals);
    struct tm_json *gaps = tm_json_add(json, "gaps", tm_json_array());
    for (size_t i = 0; i < answer->gap_counts[place]; i++) {
        add_gap(gaps, &answer->gaps[place][i], part->start, part->end);
    }
    add_gaps_before(json, answer, place);
    return json;
}

/* Topics ----------------------------------------------------------------------------------- */

/* Parts are in the order of their streams: the first of this one, or of one behind it. */
static size_t first_part(const struct tm_row_point *row, uint32_t stream)
{
    size_t low = 0;
    size_t high = row->part_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (row->parts[mid].stream < stream) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static void add_config(struct tm_json *json, const struct tm_row_topic *topic)
{
    struct tm_json *config = tm_json_add(json, "config", tm_json_object());
    for (size_t i = 0; i < topic->config_count; i++) {
        TM_BUF_OWN struct tm_buf key = {0};
        tm_buf_add(&key, topic->configs[i].key.at, topic->configs[i].key.len);
        tm_json_add_slice(config, tm_buf_text(&key), topic->configs[i].value);
    }
}

static struct tm_json *view_topic(
        const struct tm_point_answer *answer, const struct tm_row_topic *topic)
{
    const struct tm_row_point *row = &answer->point.row;
    const struct tm_stream *stream = tm_point_stream(&answer->point, topic->stream);
    struct tm_json *json = tm_json_object();
    char id[TOPIC_ID_TEXT];
    if (stream != NULL) {
        tm_json_add_slice(json, "name", stream->topic);
        tm_json_add_int(json, "incarnation", stream->incarnation);
    }
    if (stream != NULL && !tm_id16_is_zero(&stream->topic_id)) {
        tm_json_add_str(json, "topic_id", format_topic_id(&stream->topic_id, id));
    }
    add_known(json, "replication_factor", topic->replication_factor);
    struct tm_json *parts = tm_json_add(json, "partitions", tm_json_array());
    for (size_t i = first_part(row, topic->stream);
            i < row->part_count && row->parts[i].stream == topic->stream; i++) {
        (void)tm_json_push(parts, view_part(answer, topic, i));
    }
    if ((row->flags & TM_POINT_CONFIGS_UNKNOWN) == 0) {
        add_config(json, topic);
    }
    return json;
}

/* Groups and the whole --------------------------------------------------------------------- */

static void add_groups(struct tm_json *json, const struct tm_point *point)
{
    struct tm_json *groups = tm_json_add(json, "consumer_groups", tm_json_array());
    struct tm_json *offsets = NULL;
    struct tm_slice group_shown = TM_SLICE_NULL;
    for (size_t i = 0; i < point->row.group_count; i++) {
        const struct tm_row_group *row = &point->row.groups[i];
        const struct tm_stream *stream = tm_point_stream(point, row->stream);
        if (row->offset < 0 || stream == NULL) {
            continue;
        }
        if (offsets == NULL || !tm_slice_eq(row->group, group_shown)) {
            group_shown = row->group;
            struct tm_json *group = tm_json_push(groups, tm_json_object());
            tm_json_add_slice(group, "group", row->group);
            offsets = tm_json_add(group, "offsets", tm_json_array());
        }
        struct tm_json *offset = tm_json_push(offsets, tm_json_object());
        tm_json_add_slice(offset, "topic", stream->topic);
        tm_json_add_int(offset, "partition", row->partition);
        tm_json_add_int(offset, "offset", row->offset);
        if (row->metadata.len > 0) {
            tm_json_add_slice(offset, "metadata", row->metadata);
        }
    }
}

static void add_totals(struct tm_json *json, const struct tm_point_answer *answer)
{
    struct tm_part_totals sum = {.ts_min = INT64_MAX, .ts_max = INT64_MIN};
    for (size_t i = 0; i < answer->point.row.part_count; i++) {
        const struct tm_part_totals *part = &answer->totals[i];
        sum.messages += part->messages;
        sum.bytes += part->bytes;
        sum.ts_min = part->ts_min < sum.ts_min ? part->ts_min : sum.ts_min;
        sum.ts_max = part->ts_max > sum.ts_max ? part->ts_max : sum.ts_max;
    }
    tm_json_add_int(json, "topics_count", (int64_t)answer->point.row.topic_count);
    tm_json_add_int(json, "partitions_count", (int64_t)answer->point.row.part_count);
    tm_json_add_int(json, "messages_count", sum.messages);
    tm_json_add_int(json, "source_bytes", sum.bytes);
    add_record_times(json, &sum);
}

void tm_view_add_verified(struct tm_json *json, const struct tm_point_answer *answer)
{
    const struct tm_looked *looked = &answer->looked;
    struct tm_json *verified = tm_json_add(json, "verified", tm_json_object());
    const char *result = answer->point.damaged           ? "damaged"
                         : looked->never == 0            ? "ok"
                         : looked->never < looked->packs ? "partly"
                                                         : "never";
    tm_json_add_str(verified, "result", result);
    if (looked->never == 0 && looked->oldest_ms != 0) {
        tm_json_add_time(verified, "at", looked->oldest_ms);
    }
    tm_json_add_int(verified, "packs_count", looked->packs);
    tm_json_add_int(verified, "unverified_packs_count", looked->never);
}

struct tm_json *tm_view_point(const struct tm_point_answer *answer)
{
    const struct tm_row_point *row = &answer->point.row;
    struct tm_json *json =
            begin_point(row, &answer->point.mark, answer->point.damaged, answer->vault);
    add_totals(json, answer);
    struct tm_json *topics = tm_json_add(json, "topics", tm_json_array());
    for (size_t i = 0; i < row->topic_count; i++) {
        (void)tm_json_push(topics, view_topic(answer, &row->topics[i]));
    }
    if ((row->flags & TM_POINT_GROUPS_UNKNOWN) == 0) {
        add_groups(json, &answer->point);
    }
    return json;
}
