/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/text.h"
#include "job/restore_configs.h"
#include "job/restore_place.h"
#include "job/restore_run.h"

enum {
    CREATE_MS = 60 * 1000,
    QUIET_MS = 5 * 1000, /* a killed producer's last batches have landed by then */
    QUIET_STEP_MS = 500,
};

static enum tm_code make_topic(
        struct restore_run *run, struct restore_topic *topic, struct tm_err *err)
{
    const struct tm_restore_options *options = run->options;
    struct tm_restore_target target = {.topic = topic->line->target, .created = true};
    struct tm_topic_spec spec = {.name = topic->line->target,
            .partitions = topic->line->target_partitions,
            .replication_factor = topic->line->replication_factor};
    struct tm_pair *configs = NULL;
    /* The journal first: a topic that this job made must be known as its own after a crash. */
    TM_TRY(tm_journal_put_target(options->journal, &options->job, &target, err));
    TM_FAULT("job.restore.journalled");

    struct tm_arena arena = {0};
    spec.config_count =
            tm_restore_first_configs(options, topic->line, topic->captured, &arena, &configs);
    spec.configs = configs;
    enum tm_code code = tm_kafka_create_topic(options->kafka, &spec, CREATE_MS, err);
    tm_arena_done(&arena);
    if (code == TM_OK) {
        topic->line->ours = true;
        topic->line->created = true;
        TM_FAULT("job.restore.created");
    }
    return code;
}

/* A topic that was there, empty: remember where its log began, so that a resumed job counts right. */
static enum tm_code take_topic(
        struct restore_run *run, struct restore_topic *topic, struct tm_err *err)
{
    size_t count = topic->goal_count;
    struct tm_offsets *rows = tm_xalloc(count > 0 ? count : 1, sizeof(*rows));
    for (size_t p = 0; p < count; p++) {
        rows[p] = (struct tm_offsets){.topic = topic->line->target, .partition = (int32_t)p};
    }
    enum tm_code code = count == 0 ? TM_OK : tm_restore_offsets(run, rows, count, err);
    TM_OWN(tm_json_free) struct tm_json *bases = tm_json_array();
    for (size_t p = 0; code == TM_OK && p < count; p++) {
        if (rows[p].code != TM_OK) {
            code = tm_err_set(err, rows[p].code, "partition %zu: %s", p, rows[p].error);
        } else if (rows[p].log_start != rows[p].high_watermark) {
            code = tm_err_set(err, TM_E_CONFLICT,
                    "partition %zu is no longer empty: something else writes to it", p);
        } else {
            tm_json_push_int(bases, rows[p].log_start);
        }
    }
    free(rows);
    if (code != TM_OK) {
        return code;
    }
    char *text = tm_json_text(bases);
    struct tm_restore_target target = {.topic = topic->line->target, .configs = text};
    code = tm_journal_put_target(run->options->journal, &run->options->job, &target, err);
    free(text);
    topic->line->ours = code == TM_OK;
    return code;
}

enum tm_code tm_restore_make_topics(struct restore_run *run, struct tm_err *err)
{
    atomic_store(&run->env->progress->phase, TM_PHASE_CREATING);
    for (size_t t = 0; t < run->topic_count; t++) {
        struct restore_topic *topic = &run->topics[t];
        enum tm_code code = TM_OK;
        const struct tm_restore_topic *line = topic->line;
        topic->fresh = !line->append && (!line->exists || !line->ours);
        if (line->recreate) {
            code = tm_restore_delete(run, topic, err);
        } else if (line->purge) {
            code = tm_restore_purge(run, topic, err);
        }
        if (code == TM_OK && (!line->exists || line->recreate)) {
            code = make_topic(run, topic, err);
        } else if (code == TM_OK && !line->ours && !line->append) {
            code = take_topic(run, topic, err);
        }
        code = code == TM_OK ? tm_restore_hold(run, topic, err) : code;
        if (code != TM_OK) {
            return tm_err_wrap(err, "topic %s", topic->line->target);
        }
    }
    return TM_OK;
}

/* Ends ---------------------------------------------------------------------------------------- */

static enum tm_code ask_ends(struct restore_run *run, struct tm_offsets *rows, struct tm_err *err)
{
    for (size_t i = 0; i < run->own_count; i++) {
        rows[i] = (struct tm_offsets){
                .topic = run->parts[i]->topic->line->target, .partition = run->parts[i]->partition};
    }
    TM_TRY(tm_restore_offsets(run, rows, run->own_count, err));
    for (size_t i = 0; i < run->own_count; i++) {
        if (rows[i].code != TM_OK) {
            return tm_err_set(err, rows[i].code, "topic %s partition %" PRId32 ": %s",
                    rows[i].topic, rows[i].partition, rows[i].error);
        }
    }
    return TM_OK;
}

static bool same_ends(const struct tm_offsets *a, const struct tm_offsets *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (a[i].high_watermark != b[i].high_watermark) {
            return false;
        }
    }
    return true;
}

/*
 * The log ends once they stand still. An idempotent producer's log is always a prefix of what it
 * sent, so the end says how much of the restore is there; batches in flight of a process that was
 * killed must have landed first.
 */
static enum tm_code quiet_ends(struct restore_run *run, struct tm_offsets *rows, struct tm_err *err)
{
    const struct tm_restore_options *options = run->options;
    int64_t quiet_ns = (options->quiet_ms > 0 ? options->quiet_ms : QUIET_MS) * INT64_C(1000000);
    struct tm_offsets *before = tm_xalloc(run->own_count, sizeof(*before));
    enum tm_code code = ask_ends(run, rows, err);
    bool something = false;
    for (size_t i = 0; code == TM_OK && i < run->own_count; i++) {
        something |= rows[i].high_watermark != rows[i].log_start;
    }
    int64_t since_ns = tm_mono_ns();
    while (code == TM_OK && something && tm_mono_ns() - since_ns < quiet_ns) {
        memcpy(before, rows, run->own_count * sizeof(*before));
        tm_sleep_ms(QUIET_STEP_MS);
        code = tm_job_cancelled(run->env) ? tm_err_set(err, TM_E_CANCELLED, "cancelled")
                                          : ask_ends(run, rows, err);
        if (code == TM_OK && !same_ends(before, rows, run->own_count)) {
            since_ns = tm_mono_ns();
        }
    }
    free(before);
    return code;
}

static void set_bases(
        struct restore_run *run, const char *target, const struct tm_json_value *bases)
{
    for (size_t t = 0; t < run->topic_count; t++) {
        struct restore_topic *topic = &run->topics[t];
        const struct tm_json_value *base = bases->first;
        bool same = strcmp(topic->line->target, target) == 0;
        for (size_t p = 0; same && p < topic->goal_count && base != NULL; p++) {
            topic->goals[p].base = base->integer;
            base = base->next;
        }
    }
}

/* Bases of topics that were there, empty, when this job began; 0 for those it made. */
static enum tm_code load_bases(struct restore_run *run, struct tm_err *err)
{
    struct tm_arena arena = {0};
    struct tm_restore_target *targets = NULL;
    size_t count = 0;
    enum tm_code code = tm_journal_targets(
            run->options->journal, &run->options->job, &arena, &targets, &count, err);
    for (size_t i = 0; code == TM_OK && i < count; i++) {
        const struct tm_json_value *bases = NULL;
        struct tm_json_pos pos;
        if (targets[i].created || tm_restore_placing(targets[i].configs) != TM_PLACING_TAKEN) {
            continue;
        }
        code = tm_json_read(tm_slice_str(targets[i].configs), &arena, &bases, &pos, err);
        if (code == TM_OK) {
            set_bases(run, targets[i].topic, bases);
        }
    }
    tm_arena_done(&arena);
    return code;
}

enum tm_code tm_restore_find_ends(struct restore_run *run, struct tm_err *err)
{
    if (run->own_count == 0) {
        return TM_OK;
    }
    TM_TRY(load_bases(run, err));
    struct tm_offsets *rows = tm_xalloc(run->own_count, sizeof(*rows));
    enum tm_code code = quiet_ends(run, rows, err);
    for (size_t i = 0; code == TM_OK && i < run->own_count; i++) {
        struct restore_part *part = run->parts[i];
        part->there = rows[i].high_watermark - part->base;
        if (part->there > 0 && part->topic->fresh) {
            code = tm_err_set(err, TM_E_CONFLICT,
                    "topic %s partition %" PRId32
                    " is no longer empty: something else writes to it",
                    part->topic->line->target, part->partition);
        } else if (part->there < 0 || (part->there > 0 && rows[i].log_start > part->base)) {
            code = tm_err_set(err, TM_E_CONFLICT,
                    "topic %s partition %" PRId32 ": records of this restore were deleted "
                    "meanwhile; delete the topic and restore "
                    "again",
                    part->topic->line->target, part->partition);
        }
    }
    free(rows);
    return code;
}
