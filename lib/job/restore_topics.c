/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/text.h"
#include "job/restore_run.h"

enum {
    CREATE_MS = 60 * 1000,
    QUIET_MS = 5 * 1000, /* a killed producer's last batches have landed by then */
    QUIET_STEP_MS = 500,
    RECORD_OVERHEAD = 512,           /* batch header and varints above a canonical record */
    DEFAULT_MESSAGE_BYTES = 1048588, /* max.message.bytes of a broker that was not told */
};

/*
 * While records are restored nothing may delete, compact, refuse or re-stamp them: old timestamps
 * would be retention's first victims.
 */
static const struct tm_property held[] = {
        {"cleanup.policy", "delete"},
        {"message.timestamp.after.max.ms", "9223372036854775807"},
        {"message.timestamp.before.max.ms", "9223372036854775807"},
        {"message.timestamp.type", "CreateTime"},
        {"retention.bytes", "-1"},
        {"retention.ms", "-1"},
};
enum { HELD = sizeof(held) / sizeof(held[0]) };

/* Configurations that belong to the source cluster, not to the topic, or that newer brokers refuse. */
static bool is_local(const char *name)
{
    static const char *const local[] = {
            "follower.replication.throttled.replicas",
            "leader.replication.throttled.replicas",
            "message.downconversion.enable",
            "message.format.version",
            "message.timestamp.difference.max.ms",
    };
    for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
        if (strcmp(name, local[i]) == 0) {
            return true;
        }
    }
    return strncmp(name, "remote.", 7) == 0 || strncmp(name, "local.retention.", 16) == 0;
}

static bool is_held(const char *name)
{
    for (size_t i = 0; i < HELD; i++) {
        if (strcmp(name, held[i].name) == 0) {
            return true;
        }
    }
    return strcmp(name, "max.message.bytes") == 0;
}

static const char *captured_value(
        const struct restore_topic *topic, const char *name, struct tm_arena *arena)
{
    for (size_t i = 0; i < topic->captured->config_count; i++) {
        if (tm_slice_is(topic->captured->configs[i].key, name)) {
            return tm_arena_str(arena, topic->captured->configs[i].value);
        }
    }
    return NULL;
}

static int64_t message_bytes(const struct restore_topic *topic, struct tm_arena *arena)
{
    int64_t needed = topic->line->largest + RECORD_OVERHEAD;
    int64_t bytes = DEFAULT_MESSAGE_BYTES;
    const char *text = captured_value(topic, "max.message.bytes", arena);
    struct tm_err ignored = {0};
    if (text != NULL && tm_parse_i64(text, &bytes, &ignored) != TM_OK) {
        bytes = DEFAULT_MESSAGE_BYTES; /* not a number: the broker's own affair */
    }
    return bytes > needed ? bytes : needed;
}

/* The configuration while the restore goes on. */
static size_t restore_configs(const struct restore_run *run, const struct restore_topic *topic,
        struct tm_arena *arena, struct tm_property **out)
{
    size_t most = topic->captured->config_count + HELD + 1;
    struct tm_property *configs = tm_arena_alloc(arena, most, sizeof(*configs));
    size_t count = 0;
    for (size_t i = 0; run->options->original_configs && i < topic->captured->config_count; i++) {
        const char *name = tm_arena_str(arena, topic->captured->configs[i].key);
        if (!is_held(name) && !is_local(name)) {
            configs[count++] = (struct tm_property){
                    name, tm_arena_str(arena, topic->captured->configs[i].value)};
        }
    }
    for (size_t i = 0; i < HELD; i++) {
        configs[count++] = held[i];
    }
    configs[count++] = (struct tm_property){
            "max.message.bytes", tm_arena_fmt(arena, "%" PRId64, message_bytes(topic, arena))};
    *out = configs;
    return count;
}

static enum tm_code replication_factor(struct restore_run *run, const struct restore_topic *topic,
        int32_t *out, struct tm_err *err)
{
    if (run->options->replication_factor > 0) {
        *out = run->options->replication_factor;
        return TM_OK;
    }
    int32_t brokers = 0;
    TM_TRY(tm_kafka_brokers(
            run->options->kafka, tm_restore_request_ms(run->options), &brokers, err));
    int32_t captured = (int32_t)topic->captured->replication_factor;
    *out = captured > brokers ? brokers : captured;
    if (captured > brokers) {
        char detail[120];
        (void)snprintf(detail, sizeof(detail),
                "replication factor %" PRId32 " instead of %" PRId32 ": the target has %" PRId32
                " brokers",
                *out, captured, brokers);
        tm_restore_warn(run, topic->line->source, "replication-factor", detail);
    }
    return TM_OK;
}

static enum tm_code make_topic(
        struct restore_run *run, struct restore_topic *topic, struct tm_err *err)
{
    const struct tm_restore_options *options = run->options;
    struct tm_restore_target target = {.topic = topic->line->target, .created = true};
    struct tm_topic_spec spec = {
            .name = topic->line->target, .partitions = topic->line->partitions};
    struct tm_property *configs = NULL;
    TM_TRY(replication_factor(run, topic, &spec.replication_factor, err));
    /* The journal first: a topic that this job made must be known as its own after a crash. */
    TM_TRY(tm_journal_put_target(options->journal, &options->job, &target, err));
    TM_FAULT("job.restore.journalled");

    struct tm_arena arena = {0};
    spec.config_count = restore_configs(run, topic, &arena, &configs);
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
    size_t count = topic->part_count;
    struct tm_offsets *rows = tm_xalloc(count > 0 ? count : 1, sizeof(*rows));
    for (size_t p = 0; p < count; p++) {
        rows[p] = (struct tm_offsets){.topic = topic->line->target, .partition = (int32_t)p};
    }
    enum tm_code code = count == 0 ? TM_OK
                                   : tm_kafka_offsets(run->options->kafka, rows, count,
                                             tm_restore_request_ms(run->options), err);
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
        topic->fresh = !topic->line->exists || !topic->line->ours;
        if (!topic->line->exists) {
            code = make_topic(run, topic, err);
        } else if (!topic->line->ours) {
            code = take_topic(run, topic, err);
        }
        if (code != TM_OK) {
            return tm_err_wrap(err, "topic %s", topic->line->target);
        }
    }
    return TM_OK;
}

/* Ends ---------------------------------------------------------------------------------------- */

static enum tm_code ask_ends(struct restore_run *run, struct tm_offsets *rows, struct tm_err *err)
{
    for (size_t i = 0; i < run->part_count; i++) {
        rows[i] = (struct tm_offsets){
                .topic = run->parts[i]->topic->line->target, .partition = run->parts[i]->partition};
    }
    TM_TRY(tm_kafka_offsets(
            run->options->kafka, rows, run->part_count, tm_restore_request_ms(run->options), err));
    for (size_t i = 0; i < run->part_count; i++) {
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
    struct tm_offsets *before = tm_xalloc(run->part_count, sizeof(*before));
    enum tm_code code = ask_ends(run, rows, err);
    bool something = false;
    for (size_t i = 0; code == TM_OK && i < run->part_count; i++) {
        something |= rows[i].high_watermark != rows[i].log_start;
    }
    int64_t since_ns = tm_mono_ns();
    while (code == TM_OK && something && tm_mono_ns() - since_ns < quiet_ns) {
        memcpy(before, rows, run->part_count * sizeof(*before));
        tm_sleep_ms(QUIET_STEP_MS);
        code = tm_job_cancelled(run->env) ? tm_err_set(err, TM_E_CANCELLED, "cancelled")
                                          : ask_ends(run, rows, err);
        if (code == TM_OK && !same_ends(before, rows, run->part_count)) {
            since_ns = tm_mono_ns();
        }
    }
    free(before);
    return code;
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
        if (targets[i].created || targets[i].configs == NULL) {
            continue;
        }
        code = tm_json_read(tm_slice_str(targets[i].configs), &arena, &bases, &pos, err);
        for (size_t t = 0; code == TM_OK && t < run->topic_count; t++) {
            struct restore_topic *topic = &run->topics[t];
            const struct tm_json_value *base = bases->first;
            bool same = strcmp(topic->line->target, targets[i].topic) == 0;
            for (size_t p = 0; same && p < topic->part_count && base != NULL; p++) {
                topic->parts[p].base = base->integer;
                base = base->next;
            }
        }
    }
    tm_arena_done(&arena);
    return code;
}

enum tm_code tm_restore_find_ends(struct restore_run *run, struct tm_err *err)
{
    if (run->part_count == 0) {
        return TM_OK;
    }
    TM_TRY(load_bases(run, err));
    struct tm_offsets *rows = tm_xalloc(run->part_count, sizeof(*rows));
    enum tm_code code = quiet_ends(run, rows, err);
    for (size_t i = 0; code == TM_OK && i < run->part_count; i++) {
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

/* The final configuration --------------------------------------------------------------------- */

static bool stays_held(const struct restore_run *run, const char *name)
{
    return run->options->retention == TM_RETENTION_HOLD && strncmp(name, "retention.", 10) == 0;
}

static void configure_topic(struct restore_run *run, struct restore_topic *topic)
{
    struct tm_arena arena = {0};
    struct tm_err err = {0};
    struct tm_property changes[HELD + 1];
    size_t count = 0;
    for (size_t i = 0; i < HELD; i++) {
        const char *value =
                run->options->original_configs ? captured_value(topic, held[i].name, &arena) : NULL;
        if (!stays_held(run, held[i].name)) {
            changes[count++] = (struct tm_property){held[i].name, value};
        }
    }
    const char *bytes = run->options->original_configs
                                ? captured_value(topic, "max.message.bytes", &arena)
                                : NULL;
    changes[count++] = (struct tm_property){"max.message.bytes", bytes};
    enum tm_code code = tm_kafka_alter_topic(run->options->kafka, topic->line->target, changes,
            count, tm_restore_request_ms(run->options), &err);
    if (code != TM_OK) {
        tm_restore_warn(run, topic->line->source, "topic-configs", err.msg);
    } else {
        struct tm_restore_target target = {
                .topic = topic->line->target, .created = true, .configured = true};
        code = tm_journal_put_target(run->options->journal, &run->options->job, &target, &err);
    }
    if (run->options->retention == TM_RETENTION_HOLD) {
        const char *original = captured_value(topic, "retention.ms", &arena);
        tm_restore_warn(run, topic->line->source, "retention-held",
                tm_arena_fmt(&arena,
                        "%s keeps retention.ms=-1 and retention.bytes=-1; set retention.ms=%s when "
                        "the records may age again",
                        topic->line->target, original != NULL ? original : "(broker's default)"));
    }
    tm_arena_done(&arena);
}

void tm_restore_configure(struct restore_run *run)
{
    for (size_t t = 0; t < run->topic_count; t++) {
        struct restore_topic *topic = &run->topics[t];
        if (!topic->failed && topic->line->created) {
            configure_topic(run, topic);
        }
    }
}
