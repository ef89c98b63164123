/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "job/backup_run.h"

enum {
    OPEN_TRANSACTION_MS = 5 * 60 * 1000,
    MARK_APART_MS =
            30 * 60 *
            1000, /* a mark is followed by a younger one, and replaced by it, after so long */
};

enum tm_code tm_backup_load_watch(struct backup_topic *topic, struct tm_err *err)
{
    struct backup_run *run = topic->run;
    struct tm_watch *rows = NULL;
    size_t count = 0;
    enum tm_code code =
            tm_watch_read(run->options->catalog, topic->stream.id, run->arena, &rows, &count, err);
    for (size_t i = 0; code == TM_OK && i < count; i++) {
        if (rows[i].partition < 0) {
            topic->whole_ms = rows[i].whole_ms;
        } else if ((size_t)rows[i].partition < topic->part_count) {
            topic->parts[rows[i].partition].watch = rows[i];
        }
    }
    return code;
}

/* Transactions -------------------------------------------------------------------------------- */

/* Since when the LSO stands where it does: as the last run has seen it, or as points tell. */
static enum tm_code find_since(
        struct backup_topic *topic, struct backup_part *part, struct tm_err *err)
{
    int64_t since_ms = 0;
    const struct tm_watch *watch = &part->watch;
    if (watch->stuck_ms > 0 && watch->stuck_at == part->lso) {
        since_ms = watch->stuck_ms;
    } else if (topic->stream.id != 0) {
        TM_TRY(tm_watch_stuck_of(topic->run->options->catalog, topic->stream.id, part->partition,
                part->lso, &since_ms, err));
    }
    bool sane = since_ms > 0 && since_ms <= topic->run->planned_ms; /* clocks go back */
    part->stuck_since_ms = sane ? since_ms : topic->run->planned_ms;
    return TM_OK;
}

static void tell_if_old(const struct backup_topic *topic, const struct backup_part *part)
{
    struct backup_run *run = topic->run;
    int64_t limit_ms = run->options->open_transaction_ms > 0 ? run->options->open_transaction_ms
                                                             : OPEN_TRANSACTION_MS;
    int64_t age_ms = run->planned_ms - part->stuck_since_ms;
    if (age_ms < limit_ms) {
        return;
    }
    char detail[320];
    (void)snprintf(detail, sizeof(detail),
            "a transaction has been open for %" PRId64 " s at least: the last stable offset stands "
            "at %" PRId64 ", %" PRId64 " below the high watermark, and what lies above it %s",
            age_ms / 1000, part->lso, part->high_watermark - part->lso,
            run->options->read_uncommitted ? "may yet be taken back"
                                           : "is not backed up until it ends");
    tm_backup_warn(run, topic->info->name, part->partition, "open-transaction", detail);
}

enum tm_code tm_backup_watch_transactions(struct backup_run *run, struct tm_err *err)
{
    for (size_t t = 0; t < run->count; t++) {
        struct backup_topic *topic = &run->at[t];
        for (size_t p = 0; p < topic->part_count; p++) {
            struct backup_part *part = &topic->parts[p];
            if (part->unanswered || part->lso < 0 || part->lso >= part->high_watermark) {
                continue;
            }
            TM_TRY(find_since(topic, part, err));
            tell_if_old(topic, part);
        }
    }
    return TM_OK;
}

/* For the next run ---------------------------------------------------------------------------- */

bool tm_backup_is_whole(const struct backup_part *part)
{
    return !part->unanswered && (part->state == PART_IDLE || part->state == PART_DONE) &&
           part->committed >= part->end;
}

/* Two marks, so that a rate is always taken over a while, and not over the time since the last segment went. */
static void move_marks(struct tm_watch *watch, const struct backup_part *part, int64_t now_ms)
{
    struct tm_watch_mark now = {now_ms, part->log_start, part->high_watermark};
    if (watch->old.at_ms == 0) {
        watch->old = now;
    } else if (watch->young.at_ms == 0 && now_ms - watch->old.at_ms >= MARK_APART_MS) {
        watch->young = now;
    } else if (watch->young.at_ms != 0 && now_ms - watch->young.at_ms >= MARK_APART_MS) {
        watch->old = watch->young;
        watch->young = now;
    }
}

static bool same_mark(const struct tm_watch_mark *a, const struct tm_watch_mark *b)
{
    return a->at_ms == b->at_ms && a->start == b->start && a->end == b->end;
}

/* The row of a partition, if there is something to keep of it that its stream's row does not say. */
static bool make_row(const struct backup_topic *topic, const struct backup_part *part,
        bool stream_whole, struct tm_watch *out)
{
    const struct backup_run *run = topic->run;
    const struct tm_topic_config *config = &topic->config;
    struct tm_watch row = part->watch;
    row.stream = topic->stream.id;
    row.partition = part->partition;
    if (part->unanswered) {
        return false;
    }
    if (!stream_whole) {
        int64_t before_ms = row.whole_ms > topic->whole_ms ? row.whole_ms : topic->whole_ms;
        row.whole_ms = tm_backup_is_whole(part) ? run->planned_ms : before_ms;
    }
    row.stuck_ms = part->stuck_since_ms;
    row.stuck_at = part->stuck_since_ms > 0 ? part->lso : 0;
    /* Movement matters where time does not tell what goes: see backup_headroom.c. */
    bool timed = topic->config_known && config->deletes && config->retention_ms >= 0 &&
                 config->retention_bytes < 0;
    if (run->configs_asked && !timed) {
        move_marks(&row, part, run->planned_ms);
    }
    const struct tm_watch *was = &part->watch;
    bool same = row.whole_ms == was->whole_ms && row.stuck_ms == was->stuck_ms &&
                row.stuck_at == was->stuck_at && same_mark(&row.old, &was->old) &&
                same_mark(&row.young, &was->young);
    *out = row;
    return !same;
}

void tm_backup_put_watch(struct backup_run *run)
{
    TM_VEC(struct tm_watch) rows = {0};
    struct tm_err err = {0};
    for (size_t t = 0; t < run->count; t++) {
        const struct backup_topic *topic = &run->at[t];
        if (topic->stream.id == 0 || topic->recreated || topic->failed) {
            continue;
        }
        bool whole = true;
        for (size_t p = 0; p < topic->part_count; p++) {
            whole &= tm_backup_is_whole(&topic->parts[p]);
        }
        if (whole) {
            *tm_vec_push(&rows) = (struct tm_watch){
                    .stream = topic->stream.id, .partition = -1, .whole_ms = run->planned_ms};
        }
        for (size_t p = 0; p < topic->part_count; p++) {
            struct tm_watch row = {0};
            if (make_row(topic, &topic->parts[p], whole, &row)) {
                *tm_vec_push(&rows) = row;
            }
        }
    }
    if (tm_watch_put(run->options->catalog, rows.at, rows.count, &err) != TM_OK) {
        tm_log(TM_LOG_WARNING, "backup.warning", err.msg, TM_LOG_STR("job", run->env->job_id),
                TM_LOG_STR("policy", run->options->policy), TM_LOG_STR("code", "watch"),
                TM_LOG_END);
    }
    tm_vec_done(&rows);
}
