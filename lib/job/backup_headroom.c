/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long the source keeps what is not stored yet. By time: the age of the oldest record that waits, against
 * retention.ms. By size: how long writing goes on at its rate until retention.bytes are there. Where neither is set and
 * the log start moves all the same (somebody deletes records): when it reaches the watermark. Always at the earliest;
 * a broker deletes whole segments, and so later.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "job/backup_run.h"

enum {
    MARGIN_MS = 60 * 60 * 1000,        /* where no time is set */
    RATE_OVER_MS = 1000,               /* a rate is taken over that long at least */
    MOVEMENT_OVER_MS = 30 * 60 * 1000, /* records deleted by hand once are no movement */
};

struct headroom {
    int64_t loses_at_ms; /* 0: not known; INT64_MAX: never */
    int64_t margin_ms;
    const char *by; /* the setting that it goes by */
};

static bool is_nearer(const struct headroom *a, const struct headroom *b)
{
    return a->loses_at_ms != 0 && (b->loses_at_ms == 0 || a->loses_at_ms < b->loses_at_ms);
}

/* base + quantity / rate, where rate is amount / time_ms; INT64_MAX where that is beyond telling. */
static int64_t when_reached(int64_t now_ms, int64_t quantity, int64_t amount, int64_t time_ms)
{
    int64_t product = 0;
    int64_t at = 0;
    if (quantity <= 0) {
        return now_ms;
    }
    if (amount <= 0 || __builtin_mul_overflow(quantity / amount, time_ms, &product) ||
            __builtin_add_overflow(now_ms, product + time_ms * (quantity % amount) / amount, &at)) {
        return INT64_MAX;
    }
    return at;
}

/* When was the oldest record that is not stored written, at the earliest? 0: not known. */
static int64_t oldest_unsaved_ms(const struct backup_topic *topic, const struct backup_part *part)
{
    int64_t now_ms = topic->run->planned_ms;
    bool pinned = part->stuck_since_ms > 0 && !topic->run->options->read_uncommitted;
    if (tm_backup_is_whole(part)) {
        return pinned ? part->stuck_since_ms : now_ms;
    }
    bool as_before = part->has_stored && part->committed <= part->stored.next;
    int64_t whole_ms =
            part->watch.whole_ms > topic->whole_ms ? part->watch.whole_ms : topic->whole_ms;
    if (as_before && whole_ms > 0) {
        return whole_ms;
    }
    int64_t last_ms = part->named && part->tail.back > 0 ? part->tail.timestamp_ms : 0;
    return last_ms > 0 && last_ms <= now_ms ? last_ms : 0;
}

static struct headroom by_time(const struct backup_topic *topic, const struct backup_part *part)
{
    int64_t retention_ms = topic->config.retention_ms;
    int64_t oldest_ms = oldest_unsaved_ms(topic, part);
    struct headroom headroom = {.margin_ms = retention_ms / 8, .by = "retention.ms"};
    if (oldest_ms > 0 && __builtin_add_overflow(oldest_ms, retention_ms, &headroom.loses_at_ms)) {
        headroom.loses_at_ms = INT64_MAX;
    }
    return headroom;
}

/* Bytes of a record of this partition on the average, as they were stored; 0: nothing is. */
static int64_t bytes_of_record(const struct backup_topic *topic, const struct backup_part *part)
{
    struct tm_part_totals totals = {0};
    struct tm_err ignored = {0};
    if (topic->stream.id == 0 ||
            tm_catalog_part_totals(topic->run->options->catalog, topic->stream.id, part->partition,
                    part->log_start, part->committed, &totals, &ignored) != TM_OK) {
        return 0;
    }
    return totals.messages > 0 ? totals.bytes / totals.messages + 1 : 0;
}

static struct headroom by_size(const struct backup_topic *topic, const struct backup_part *part)
{
    const struct tm_watch_mark *mark = &part->watch.old;
    int64_t now_ms = topic->run->planned_ms;
    int64_t record = bytes_of_record(topic, part);
    struct headroom headroom = {.margin_ms = MARGIN_MS, .by = "retention.bytes"};
    if (record == 0 || mark->at_ms == 0 || now_ms - mark->at_ms < RATE_OVER_MS) {
        return headroom;
    }
    int64_t fitting = topic->config.retention_bytes / record; /* records, in what is kept */
    int64_t waiting = part->high_watermark - part->committed;
    headroom.loses_at_ms = when_reached(
            now_ms, fitting - waiting, part->high_watermark - mark->end, now_ms - mark->at_ms);
    return headroom;
}

static struct headroom by_movement(const struct backup_topic *topic, const struct backup_part *part)
{
    const struct tm_watch_mark *mark = &part->watch.old;
    int64_t now_ms = topic->run->planned_ms;
    struct headroom headroom = {.margin_ms = MARGIN_MS, .by = "movement of the log start"};
    bool moved = mark->at_ms > 0 && now_ms - mark->at_ms >= MOVEMENT_OVER_MS &&
                 part->log_start > mark->start;
    if (moved) {
        headroom.loses_at_ms = when_reached(now_ms, part->committed - part->log_start,
                part->log_start - mark->start, now_ms - mark->at_ms);
    } else if (topic->config_known) {
        headroom.loses_at_ms = INT64_MAX;
    }
    return headroom;
}

static struct headroom of_part(const struct backup_topic *topic, const struct backup_part *part)
{
    const struct tm_topic_config *config = &topic->config;
    bool known = topic->config_known && config->in_force_known;
    struct headroom nearest = {0};
    if (part->unanswered) {
        return nearest;
    }
    if (known && config->deletes && config->retention_ms >= 0) {
        nearest = by_time(topic, part);
    }
    if (known && config->deletes && config->retention_bytes >= 0) {
        struct headroom other = by_size(topic, part);
        nearest = is_nearer(&other, &nearest) ? other : nearest;
    }
    return nearest.by != NULL ? nearest : by_movement(topic, part);
}

/* Telling ------------------------------------------------------------------------------------- */

static void format_left(int64_t ms, char text[48])
{
    int64_t minutes = ms / 60000;
    if (ms < 60000) {
        (void)snprintf(text, 48, "%" PRId64 " s", ms > 0 ? ms / 1000 : 0);
    } else if (minutes < 60) {
        (void)snprintf(text, 48, "%" PRId64 " min", minutes);
    } else if (minutes < 24 * 60) {
        (void)snprintf(text, 48, "%" PRId64 " h %" PRId64 " min", minutes / 60, minutes % 60);
    } else {
        (void)snprintf(text, 48, "%" PRId64 " d %" PRId64 " h", minutes / 1440, minutes / 60 % 24);
    }
}

static bool is_near(const struct backup_run *run, const struct headroom *headroom)
{
    int64_t left_ms = headroom->loses_at_ms - run->planned_ms;
    int64_t next_ms = run->options->interval_ms;
    return headroom->loses_at_ms != 0 && headroom->loses_at_ms != INT64_MAX &&
           (left_ms <= headroom->margin_ms || left_ms <= next_ms);
}

static const char *in_words(const struct backup_topic *topic, const struct backup_part *part,
        const struct headroom *headroom)
{
    char left[48];
    format_left(headroom->loses_at_ms - topic->run->planned_ms, left);
    return tm_arena_fmt(topic->run->arena,
            "%s/%" PRId32 " loses unsaved records in %s (by %s): offsets from %" PRId64
            " on are not stored",
            topic->info->name, part->partition, left, headroom->by, part->committed);
}

/* The partition that loses first; NULL where nothing is known of any. */
static const struct backup_part *find_first(
        const struct backup_topic *topic, bool unsaved_alone, struct headroom *out)
{
    const struct backup_part *first = NULL;
    for (size_t p = 0; p < topic->part_count; p++) {
        const struct backup_part *part = &topic->parts[p];
        bool asked = !unsaved_alone || (part->state == PART_TODO && part->has_stored);
        struct headroom headroom = asked ? of_part(topic, part) : (struct headroom){0};
        if (is_nearer(&headroom, out)) {
            *out = headroom;
            first = part;
        }
    }
    return first;
}

/* Here, before anything is read, in the log alone: what is still so at the end is in the job's warnings. */
void tm_backup_warn_headroom(struct backup_run *run)
{
    for (size_t t = 0; t < run->count; t++) {
        struct headroom headroom = {0};
        const struct backup_part *part = find_first(&run->at[t], true, &headroom);
        int64_t left_ms = headroom.loses_at_ms - run->planned_ms;
        /* The run is about to read it: only what may go before that is worth a word. */
        if (part != NULL && is_near(run, &headroom) && left_ms <= headroom.margin_ms) {
            tm_backup_log(run, run->at[t].info->name, part->partition, "retention-headroom",
                    in_words(&run->at[t], part, &headroom));
        }
    }
}

void tm_backup_headroom(struct backup_topic *topic, struct tm_backup_topic *line)
{
    struct backup_run *run = topic->run;
    struct headroom headroom = {0};
    const struct backup_part *part = find_first(topic, false, &headroom);
    line->loses_at_ms = headroom.loses_at_ms;
    line->margin_ms = headroom.margin_ms;
    line->retention_ms =
            topic->config_known && topic->config.deletes ? topic->config.retention_ms : -1;
    if (part != NULL && is_near(run, &headroom)) {
        tm_backup_warn(run, topic->info->name, part->partition, "retention-headroom",
                in_words(topic, part, &headroom));
    }
    for (size_t p = 0; p < topic->part_count; p++) {
        int64_t since_ms = topic->parts[p].stuck_since_ms;
        int64_t stuck_ms = since_ms > 0 ? run->planned_ms - since_ms : 0;
        line->stuck_ms = stuck_ms > line->stuck_ms ? stuck_ms : line->stuck_ms;
    }
}
