/* SPDX-License-Identifier: Apache-2.0 */
/* What is missing from a log, and whose doing that is. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "job/backup_run.h"

/* What a record takes on a broker's disk beside keys, values and headers: its batch's header is shared by some. */
enum { RECORD_OVERHEAD = 80 };

bool tm_backup_is_compacted(const struct backup_topic *topic)
{
    if (topic->config.in_force_known) {
        return topic->config.compacts;
    }
    for (size_t i = 0; i < topic->config.set_count; i++) {
        if (strcmp(topic->config.set[i].name, "cleanup.policy") == 0) {
            return strstr(topic->config.set[i].value, "compact") != NULL;
        }
    }
    return false;
}

/* Records below the log start are no younger than the last one that is stored: have those had their time? */
static bool time_explains(const struct backup_topic *topic, const struct backup_part *part)
{
    int64_t retention_ms = topic->config.retention_ms;
    int64_t last_ms = part->tail.back > 0 ? part->tail.timestamp_ms : -1;
    int64_t now_ms = topic->run->planned_ms;
    /* A time that nobody gave, or that lies ahead, tells nothing: the broker goes by the file's then. */
    bool told = last_ms > 0 && last_ms <= now_ms;
    return retention_ms >= 0 && (!told || now_ms - last_ms >= retention_ms);
}

/* Retention by size leaves at least that size: could what is left be so much? */
static bool size_explains(const struct backup_topic *topic, const struct backup_part *part)
{
    struct tm_part_totals totals = {0};
    struct tm_err ignored = {0};
    int64_t limit = topic->config.retention_bytes;
    if (limit < 0 || topic->stream.id == 0 ||
            tm_catalog_part_totals(topic->run->options->catalog, topic->stream.id, part->partition,
                    0, part->tail.next, &totals, &ignored) != TM_OK ||
            totals.messages == 0) {
        return limit >= 0;
    }
    int64_t record = totals.bytes / totals.messages + RECORD_OVERHEAD;
    int64_t left = part->high_watermark - part->log_start;
    int64_t bytes = 0;
    return __builtin_mul_overflow(left, 2 * record, &bytes) || bytes >= limit;
}

enum tm_gap_reason tm_backup_why_gone(
        const struct backup_topic *topic, const struct backup_part *part)
{
    const struct tm_topic_config *config = &topic->config;
    if (!topic->config_known || !config->in_force_known) {
        return TM_GAP_UNKNOWN;
    }
    bool retention = config->deletes && (time_explains(topic, part) || size_explains(topic, part));
    return retention ? TM_GAP_RETENTION : TM_GAP_DELETED;
}

/* Compaction ---------------------------------------------------------------------------------- */

/* When all of the partition was stored last, so that what lies above its watermark came later; 0: not known. */
static enum tm_code last_whole(const struct backup_topic *topic, const struct backup_part *part,
        int64_t *whole_ms, struct tm_err *err)
{
    *whole_ms = part->watch.whole_ms > topic->whole_ms ? part->watch.whole_ms : topic->whole_ms;
    if (*whole_ms > 0) {
        return TM_OK;
    }
    return tm_watch_whole_of(topic->run->options->catalog, topic->stream.id, part->partition,
            part->tail.next, whole_ms, err);
}

/* Tell of it; where the partition has never been whole, to read it again would not be quicker. */
static void judge_outage(struct backup_topic *topic, const struct backup_part *part,
        int64_t whole_ms, const char **why)
{
    const struct backup_run *run = topic->run;
    char away[32];
    char kept[32];
    int64_t since_ms = whole_ms > 0 ? whole_ms : topic->stream.created_ms;
    int64_t away_ms = run->planned_ms - since_ms;
    if (away_ms <= topic->config.delete_retention_ms) {
        return;
    }
    (void)tm_format_duration(away_ms / 1000 * 1000, away);
    (void)tm_format_duration(topic->config.delete_retention_ms, kept);
    bool again = whole_ms > 0 && !run->options->keep_after_outage;
    const char *text = tm_arena_fmt(run->arena,
            "the topic is compacted and %s ago was the last time that all of partition %" PRId32
            " was stored, but tombstones stay for %s only (delete.retention.ms): a key that was "
            "deleted meanwhile may look as if it were still there; %s",
            away, part->partition, kept,
            again ? "the topic is read again as a whole"
                  : "a restore may bring it back until the topic is read again as a whole");
    tm_backup_warn(topic->run, topic->info->name, -1, "compaction-outage", text);
    *why = again ? "tombstones may have gone unseen (compaction-outage): it is read again" : NULL;
}

enum tm_code tm_backup_missed_tombstones(
        struct backup_topic *topic, const char **why, struct tm_err *err)
{
    bool asked = topic->config_known && topic->config.in_force_known;
    if (!asked || !topic->config.compacts || topic->config.delete_retention_ms < 0) {
        return TM_OK;
    }
    size_t warned = topic->run->result->warnings.count;
    for (size_t p = 0; *why == NULL && p < topic->part_count; p++) {
        const struct backup_part *part = &topic->parts[p];
        int64_t whole_ms = 0;
        /* Where nothing was written since, nothing can have been deleted since. */
        if (!part->named || part->unanswered || part->end <= part->tail.next) {
            continue;
        }
        TM_TRY(last_whole(topic, part, &whole_ms, err));
        if (topic->run->result->warnings.count == warned) { /* once a topic */
            judge_outage(topic, part, whole_ms, why);
        }
    }
    return TM_OK;
}
