/* SPDX-License-Identifier: Apache-2.0 */
/* Settings that are held at the target: journalled before they are changed, put back in the end or later. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/text.h"
#include "job/put_back.h"
#include "job/restore_configs.h"
#include "job/restore_run.h"
#include "kafka/cluster_config.h"

enum { DAY_MS = 24 * 3600 * 1000 };

int64_t tm_restore_hold_ms(const struct tm_restore_options *options)
{
    return options->retention_hold_ms > 0 ? options->retention_hold_ms : DAY_MS;
}

static struct tm_hold_row new_row(const struct restore_run *run, const struct restore_topic *topic,
        const char *name, const char *held, const char *original)
{
    return (struct tm_hold_row){.job = run->options->job,
            .cluster = run->options->target,
            .topic = topic->line->target,
            .name = name,
            .held = held,
            .original = original,
            .due_ms = tm_now_ms() + tm_restore_hold_ms(run->options)};
}

/* Into the report, as it is now. */
static void report_row(struct restore_run *run, const struct tm_hold_row *row)
{
    struct tm_arena *arena = &run->result->arena;
    struct tm_hold_row copy = *row;
    copy.cluster = tm_arena_strdup(arena, row->cluster);
    copy.topic = tm_arena_strdup(arena, row->topic);
    copy.name = tm_arena_strdup(arena, row->name);
    copy.held = tm_arena_strdup(arena, row->held);
    copy.original = tm_arena_strdup(arena, row->original);
    copy.note = tm_arena_strdup(arena, row->note);
    *tm_vec_push(&run->result->holds) = copy;
}

static void report_rows(struct restore_run *run, const struct restore_topic *topic,
        const struct tm_hold_row *rows, size_t count, struct tm_arena *arena)
{
    char until[TM_TIME_TEXT_MAX];
    for (size_t i = 0; i < count; i++) {
        const char *original = rows[i].original != NULL ? rows[i].original : "(broker's default)";
        bool retention = tm_restore_is_retention(rows[i].name);
        report_row(run, &rows[i]);
        if (rows[i].state == TM_HOLD_WAITING && (retention || rows[i].note != NULL)) {
            const char *detail =
                    run->options->no_daemon
                            ? tm_arena_fmt(arena,
                                      "topic %s keeps %s=%s, and no daemon puts it back: set %s=%s "
                                      "when the "
                                      "records may age again%s%s",
                                      rows[i].topic, rows[i].name, rows[i].held, rows[i].name,
                                      original, rows[i].note != NULL ? "; " : "",
                                      rows[i].note != NULL ? rows[i].note : "")
                            : tm_arena_fmt(arena,
                                      "topic %s keeps %s=%s until %s, when %s=%s is put back; at "
                                      "once by "
                                      "`tidemark restore put-back %s`%s%s",
                                      rows[i].topic, rows[i].name, rows[i].held,
                                      tm_time_format(rows[i].due_ms, until), rows[i].name, original,
                                      run->env->job_id, rows[i].note != NULL ? "; " : "",
                                      rows[i].note != NULL ? rows[i].note : "");
            tm_restore_warn(run, topic->line->source,
                    retention ? "retention-held" : "settings-held", detail);
        } else if (rows[i].state == TM_HOLD_LEFT || rows[i].state == TM_HOLD_GONE) {
            tm_restore_warn(run, topic->line->source, "topic-configs", rows[i].note);
        }
    }
}

/* Topics made here ---------------------------------------------------------------------------- */

static const char *held_value(
        const struct restore_topic *topic, const char *name, struct tm_arena *arena)
{
    const char *value = tm_restore_held_value(name);
    return value != NULL ? value
                         : tm_arena_fmt(arena, "%" PRId64,
                                   tm_restore_message_bytes(
                                           topic->captured, topic->line->largest, arena));
}

/* What is set now, each on its own where the cluster refuses something among it. */
static enum tm_code set_each(struct restore_run *run, const struct restore_topic *topic,
        const struct tm_pair *changes, size_t count, struct tm_err *err)
{
    int64_t timeout_ms = tm_restore_request_ms(run->options);
    enum tm_code code = tm_kafka_alter_topic(
            run->options->kafka, topic->line->target, changes, count, timeout_ms, err);
    if (code == TM_OK || tm_code_retryable(code) || code == TM_E_DENIED) {
        return code;
    }
    for (size_t i = 0; i < count; i++) {
        *err = (struct tm_err){0};
        code = tm_kafka_alter_topic(
                run->options->kafka, topic->line->target, &changes[i], 1, timeout_ms, err);
        if (tm_code_retryable(code) || code == TM_E_DENIED) {
            return code;
        }
        if (code != TM_OK) {
            tm_restore_warn(run, topic->line->source, "topic-configs", err->msg);
        }
    }
    *err = (struct tm_err){0};
    return TM_OK;
}

/* The point's settings in place of those that held; retention is left as it is, and put back later. */
static enum tm_code configure_made(struct restore_run *run, struct restore_topic *topic,
        struct tm_arena *arena, struct tm_err *err)
{
    const struct tm_restore_options *options = run->options;
    bool hold = options->retention != TM_RETENTION_ORIGINAL;
    struct tm_pair *last = NULL;
    size_t all = tm_restore_last_configs(options, topic->line, topic->captured, true, arena, &last);
    struct tm_pair *changes = tm_arena_alloc(arena, all + 1, sizeof(*changes));
    struct tm_hold_row *rows = tm_arena_alloc(arena, all + 1, sizeof(*rows));
    size_t now = 0;
    size_t later = 0;
    for (size_t i = 0; i < all; i++) {
        const char *held = held_value(topic, last[i].name, arena);
        bool same = last[i].value != NULL && strcmp(last[i].value, held) == 0;
        if (!hold || !tm_restore_is_retention(last[i].name)) {
            changes[now++] = last[i];
        } else if (!same) {
            rows[later++] = new_row(run, topic, last[i].name, held, last[i].value);
        }
    }
    TM_TRY(tm_journal_put_holds(options->journal, rows, later, err));
    TM_FAULT("job.restore.hold-journalled");
    enum tm_code code = set_each(run, topic, changes, now, err);
    if (code != TM_OK) { /* they wait for the cluster, or for the right, like the others */
        for (size_t i = 0; i < now; i++) {
            struct tm_hold_row *row = &rows[later++];
            *row = new_row(run, topic, changes[i].name, held_value(topic, changes[i].name, arena),
                    changes[i].value);
            row->due_ms = tm_now_ms();
            row->note = tm_arena_strdup(arena, err->msg);
        }
        *err = (struct tm_err){0};
        TM_TRY(tm_journal_put_holds(options->journal, rows, later, err));
    }
    report_rows(run, topic, rows, later, arena);
    return TM_OK;
}

/* Topics that were there ---------------------------------------------------------------------- */

/* This job's rows of the topic that wait. */
static enum tm_code load_rows(struct restore_run *run, const struct restore_topic *topic,
        struct tm_arena *arena, struct tm_hold_row **out, size_t *count, struct tm_err *err)
{
    struct tm_hold_row *rows = NULL;
    size_t all = 0;
    TM_TRY(tm_journal_holds(
            run->options->journal, &run->options->job, true, arena, &rows, &all, err));
    *count = 0;
    for (size_t i = 0; i < all; i++) {
        if (strcmp(rows[i].topic, topic->line->target) == 0) {
            rows[(*count)++] = rows[i];
        }
    }
    *out = rows;
    return TM_OK;
}

/* What must be held there and is not so already. */
static enum tm_code make_rows(struct restore_run *run, struct restore_topic *topic,
        struct tm_arena *arena, struct tm_hold_row **out, size_t *count, struct tm_err *err)
{
    size_t held_count = 0;
    const struct tm_pair *held = tm_restore_held(&held_count);
    struct tm_settings settings = {.topic = topic->line->target};
    struct tm_hold_row *rows = tm_arena_alloc(arena, held_count + 1, sizeof(*rows));
    TM_TRY(tm_kafka_settings(
            run->options->kafka, &settings, 1, tm_restore_request_ms(run->options), arena, err));
    if (settings.code != TM_OK) {
        return tm_err_set(err, settings.code, "its settings: %s", settings.error);
    }
    *count = 0;
    for (size_t i = 0; i < held_count + 1; i++) {
        const char *name = i < held_count ? held[i].name : "max.message.bytes";
        const char *value = held_value(topic, name, arena);
        const struct tm_setting *found = tm_setting_find(&settings, name);
        struct tm_err ignored = {0};
        int64_t present = 0;
        bool unlike = found != NULL && found->value != NULL && strcmp(found->value, value) != 0;
        if (i == held_count && unlike && tm_parse_i64(found->value, &present, &ignored) == TM_OK) {
            unlike = present < tm_restore_record_bytes(topic->line->largest);
        }
        if (unlike) {
            rows[(*count)++] = new_row(
                    run, topic, name, value, found->from == TM_SETTING_TOPIC ? found->value : NULL);
        }
    }
    *out = rows;
    return tm_journal_put_holds(run->options->journal, rows, *count, err);
}

enum tm_code tm_restore_hold(
        struct restore_run *run, struct restore_topic *topic, struct tm_err *err)
{
    struct tm_arena arena = {0};
    struct tm_hold_row *rows = NULL;
    size_t count = 0;
    if (run->options->retention != TM_RETENTION_HOLD_ALL || topic->line->created) {
        return TM_OK;
    }
    enum tm_code code = load_rows(run, topic, &arena, &rows, &count, err);
    if (code == TM_OK && count == 0) {
        code = make_rows(run, topic, &arena, &rows, &count, err);
    }
    TM_FAULT("job.restore.hold-journalled");
    struct tm_pair *changes = tm_arena_alloc(&arena, count + 1, sizeof(*changes));
    for (size_t i = 0; i < count; i++) {
        changes[i] = (struct tm_pair){rows[i].name, rows[i].held};
    }
    if (code == TM_OK) {
        code = tm_kafka_alter_topic(run->options->kafka, topic->line->target, changes, count,
                tm_restore_request_ms(run->options), err);
    }
    tm_arena_done(&arena);
    return code;
}

/* All but retention is put back now, retention later. */
static enum tm_code configure_there(struct restore_run *run, struct restore_topic *topic,
        struct tm_arena *arena, struct tm_err *err)
{
    struct tm_hold_row *rows = NULL;
    struct tm_hold_row *now = NULL;
    size_t count = 0;
    size_t now_count = 0;
    int64_t now_ms = tm_now_ms();
    TM_TRY(load_rows(run, topic, arena, &rows, &count, err));
    now = tm_arena_alloc(arena, count + 1, sizeof(*now));
    for (size_t i = 0; i < count; i++) {
        bool retention = tm_restore_is_retention(rows[i].name);
        rows[i].due_ms = retention ? now_ms + tm_restore_hold_ms(run->options) : now_ms;
        if (!retention) {
            now[now_count++] = rows[i];
        }
    }
    TM_TRY(tm_journal_put_holds(run->options->journal, rows, count, err));
    struct tm_err failed = {0};
    if (tm_put_back(run->options->kafka, now, now_count, now_ms,
                tm_restore_request_ms(run->options), arena, &failed) != TM_OK) {
        for (size_t i = 0; i < now_count; i++) {
            now[i].note = now[i].state == TM_HOLD_WAITING ? tm_arena_strdup(arena, failed.msg)
                                                          : now[i].note;
        }
    }
    TM_TRY(tm_journal_put_holds(run->options->journal, now, now_count, err));
    for (size_t i = 0; i < count; i++) {
        if (tm_restore_is_retention(rows[i].name)) {
            now[now_count++] = rows[i];
        }
    }
    report_rows(run, topic, now, now_count, arena);
    return TM_OK;
}

void tm_restore_configure(struct restore_run *run)
{
    for (size_t t = 0; t < run->topic_count; t++) {
        struct restore_topic *topic = &run->topics[t];
        struct tm_arena arena = {0};
        struct tm_err err = {0};
        bool made = topic->line->created;
        enum tm_code code = TM_OK;
        if (topic->failed || (!made && run->options->retention != TM_RETENTION_HOLD_ALL)) {
            continue;
        }
        code = made ? configure_made(run, topic, &arena, &err)
                    : configure_there(run, topic, &arena, &err);
        if (code == TM_OK && made) {
            struct tm_restore_target target = {
                    .topic = topic->line->target, .created = true, .configured = true};
            code = tm_journal_put_target(run->options->journal, &run->options->job, &target, &err);
        }
        if (code != TM_OK) {
            tm_restore_warn(run, topic->line->source, "topic-configs", err.msg);
        }
        tm_arena_done(&arena);
    }
}
