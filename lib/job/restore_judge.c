/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "job/restore_preflight.h"

enum { MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS };

/* Limits -------------------------------------------------------------------------------------- */

struct tm_preflight_limits tm_preflight_open(void)
{
    return (struct tm_preflight_limits){
            .max_message_bytes = INT64_MAX,
            .before_max_ms = INT64_MAX,
            .after_max_ms = INT64_MAX,
            .retention_ms = -1,
            .retention_bytes = -1,
    };
}

static int64_t *number_of(struct tm_preflight_limits *limits, const char *name)
{
    const struct {
        const char *name;
        int64_t *at;
    } numbers[] = {
            {"max.message.bytes", &limits->max_message_bytes},
            {"message.timestamp.before.max.ms", &limits->before_max_ms},
            {"message.timestamp.after.max.ms", &limits->after_max_ms},
            {"retention.ms", &limits->retention_ms},
            {"retention.bytes", &limits->retention_bytes},
            {"min.insync.replicas", &limits->min_insync},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (strcmp(numbers[i].name, name) == 0) {
            return numbers[i].at;
        }
    }
    return NULL;
}

/* Both ways at once, where brokers before 4.0 have it: the narrower limit is the one that refuses. */
static void set_difference(struct tm_preflight_limits *limits, int64_t difference)
{
    limits->before_max_ms = difference < limits->before_max_ms ? difference : limits->before_max_ms;
    limits->after_max_ms = difference < limits->after_max_ms ? difference : limits->after_max_ms;
}

void tm_preflight_set(struct tm_preflight_limits *limits, const char *name, const char *value)
{
    struct tm_err ignored = {0};
    int64_t number = 0;
    int64_t *at = number_of(limits, name);
    if (strcmp(name, "message.timestamp.type") == 0) {
        limits->append_time = strcmp(value, "LogAppendTime") == 0;
    } else if (strcmp(name, "cleanup.policy") == 0) {
        limits->compacts = strstr(value, "compact") != NULL;
        if (strstr(value, "delete") == NULL) { /* retention is not looked at */
            limits->retention_ms = -1;
            limits->retention_bytes = -1;
        }
    } else if (tm_parse_i64(value, &number, &ignored) != TM_OK) {
        return;
    } else if (at != NULL) {
        *at = number;
    } else if (strcmp(name, "message.timestamp.difference.max.ms") == 0) {
        set_difference(limits, number);
    }
}

static void set_from(struct tm_preflight_limits *limits, const struct tm_settings *settings,
        const char *from, const char *name)
{
    const struct tm_setting *setting = tm_setting_find(settings, from);
    if (setting != NULL && setting->value != NULL) {
        tm_preflight_set(limits, name, setting->value);
    }
}

void tm_preflight_of_topic(const struct tm_settings *settings, struct tm_preflight_limits *out)
{
    static const char *const names[] = {"max.message.bytes", "message.timestamp.before.max.ms",
            "message.timestamp.after.max.ms", "message.timestamp.difference.max.ms",
            "message.timestamp.type", "retention.ms", "retention.bytes", "min.insync.replicas",
            "cleanup.policy"}; /* the last: it may take retention away */
    *out = tm_preflight_open();
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        set_from(out, settings, names[i], names[i]);
    }
}

/* In three units, the finest that is set counts. */
static void set_log_retention(
        struct tm_preflight_limits *limits, const struct tm_settings *settings)
{
    static const struct {
        const char *name;
        int64_t unit_ms;
    } units[] = {{"log.retention.ms", 1}, {"log.retention.minutes", MINUTE_MS},
            {"log.retention.hours", HOUR_MS}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        const struct tm_setting *setting = tm_setting_find(settings, units[i].name);
        struct tm_err ignored = {0};
        int64_t number = 0;
        if (setting != NULL && setting->value != NULL &&
                tm_parse_i64(setting->value, &number, &ignored) == TM_OK) {
            bool none = number < 0 || number > INT64_MAX / units[i].unit_ms;
            limits->retention_ms = none ? -1 : number * units[i].unit_ms;
            return;
        }
    }
}

void tm_preflight_of_broker(const struct tm_settings *settings, struct tm_preflight_limits *out)
{
    *out = tm_preflight_open();
    set_from(out, settings, "message.max.bytes", "max.message.bytes");
    set_from(out, settings, "log.message.timestamp.before.max.ms",
            "message.timestamp.before.max.ms");
    set_from(out, settings, "log.message.timestamp.after.max.ms", "message.timestamp.after.max.ms");
    set_from(out, settings, "log.message.timestamp.difference.max.ms",
            "message.timestamp.difference.max.ms");
    set_from(out, settings, "log.message.timestamp.type", "message.timestamp.type");
    set_from(out, settings, "log.retention.bytes", "retention.bytes");
    set_from(out, settings, "min.insync.replicas", "min.insync.replicas");
    set_log_retention(out, settings);
    set_from(out, settings, "log.cleanup.policy", "cleanup.policy");
}

/* Counts -------------------------------------------------------------------------------------- */

int64_t tm_preflight_older(const struct tm_run *run, int64_t cut_ms)
{
    int64_t count = (int64_t)run->count;
    /* -1 is no timestamp, which no limit looks at and which no retention counts from. */
    int64_t first_ms = run->ts_min == -1 ? run->ts_max : run->ts_min;
    if (count <= 0 || first_ms == -1 || first_ms >= cut_ms) {
        return 0;
    }
    if (run->ts_max < cut_ms) {
        return count;
    }
    uint64_t span = (uint64_t)run->ts_max - (uint64_t)first_ms + 1;
    uint64_t below = (uint64_t)cut_ms - (uint64_t)first_ms;
    span = span == 0 ? UINT64_MAX : span; /* all of time */
    uint64_t step = span / (uint64_t)count;
    uint64_t older = step > 0 ? below / step : below * ((uint64_t)count / span);
    return older < 1 ? 1 : older > (uint64_t)count ? count : (int64_t)older;
}

bool tm_preflight_internal(const char *topic)
{
    static const char *const names[] = {"__cluster_metadata", "__consumer_offsets",
            "__share_group_state", "__transaction_state"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], topic) == 0) {
            return true;
        }
    }
    return false;
}

/* Findings ------------------------------------------------------------------------------------ */

struct bench { /* what the judges have before them */
    const struct tm_preflight_limits *now;
    const struct tm_preflight_limits *later;
    const struct tm_preflight_facts *facts;
    struct tm_restore_plan *plan;
};

static void block(const struct bench *bench, const char *code, const char *detail)
{
    tm_job_note_add(
            &bench->plan->blocking, &bench->plan->arena, code, bench->facts->source, -1, detail);
}

static void warn(const struct bench *bench, const char *code, const char *detail)
{
    tm_job_note_add(
            &bench->plan->warnings, &bench->plan->arena, code, bench->facts->source, -1, detail);
}

/* How to change it: by hand, or by the restore itself. */
static const char *remedy(const struct bench *bench, const char *name, const char *value)
{
    return tm_arena_fmt(&bench->plan->arena,
            "%s%s --alter --entity-type topics --entity-name %s --add-config %s=%s%s",
            bench->facts->exists ? "set it for the time of the restore with "
                                 : "the cluster must allow it: ",
            "kafka-configs.sh", bench->facts->target, name, value,
            bench->facts->exists ? ", or restore with \"retention\": \"hold_all\"" : "");
}

static void judge_size(const struct bench *bench)
{
    const struct tm_preflight_facts *facts = bench->facts;
    struct tm_arena *arena = &bench->plan->arena;
    if (facts->messages > 0 && facts->record_bytes > bench->now->max_message_bytes) {
        block(bench, "message-too-large",
                tm_arena_fmt(arena,
                        "the largest record of %s needs %" PRId64 " bytes, and topic %s on %s has "
                        "max.message.bytes=%" PRId64 ": %s",
                        facts->source, facts->record_bytes, facts->target, facts->cluster,
                        bench->now->max_message_bytes,
                        remedy(bench, "max.message.bytes",
                                tm_arena_fmt(arena, "%" PRId64, facts->record_bytes))));
    }
}

static void judge_stamps(const struct bench *bench)
{
    const struct tm_preflight_facts *facts = bench->facts;
    struct tm_arena *arena = &bench->plan->arena;
    if (bench->now->append_time && facts->messages > 0) {
        block(bench, "timestamps-rewritten",
                tm_arena_fmt(arena,
                        "topic %s on %s has message.timestamp.type=LogAppendTime: the broker would "
                        "give all %" PRId64 " records the time of the restore; %s",
                        facts->target, facts->cluster, facts->messages,
                        remedy(bench, "message.timestamp.type", "CreateTime")));
        return; /* the limits are not looked at then */
    }
    const struct {
        const char *name;
        const char *words;
        int64_t count;
        int64_t limit;
    } sides[] = {
            {"message.timestamp.before.max.ms", "older", facts->early, bench->now->before_max_ms},
            {"message.timestamp.after.max.ms", "later", facts->late, bench->now->after_max_ms}};
    for (size_t i = 0; i < sizeof(sides) / sizeof(sides[0]); i++) {
        if (sides[i].count > 0) {
            block(bench, "timestamps-refused",
                    tm_arena_fmt(arena,
                            "about %" PRId64 " of %" PRId64
                            " records of %s are %s than topic %s on "
                            "%s takes (%s=%" PRId64 "): %s",
                            sides[i].count, facts->messages, facts->source, sides[i].words,
                            facts->target, facts->cluster, sides[i].name, sides[i].limit,
                            remedy(bench, sides[i].name, "9223372036854775807")));
        }
    }
}

static void judge_compaction(const struct bench *bench)
{
    const struct tm_preflight_facts *facts = bench->facts;
    if (bench->now->compacts && facts->messages > 0) {
        warn(bench, "target-compacted",
                tm_arena_fmt(&bench->plan->arena,
                        "topic %s on %s is compacted: of records with the same key the older ones "
                        "may vanish while they are restored, so that the proof fails, and records "
                        "without a key are refused; %s",
                        facts->target, facts->cluster, remedy(bench, "cleanup.policy", "delete")));
    }
}

/* When the broker may delete what is older than the topic's retention. */
static const char *when(const struct bench *bench)
{
    char text[24];
    const struct tm_preflight_facts *facts = bench->facts;
    if (!facts->held) {
        return facts->exists ? "at once" : "when the restore has ended";
    }
    return facts->put_back_ms > 0 ? tm_arena_fmt(&bench->plan->arena,
                                            "when retention is put back, %s after the restore",
                                            tm_format_duration(facts->put_back_ms, text))
                                  : "when the restore has ended";
}

static void judge_retention(const struct bench *bench)
{
    const struct tm_preflight_facts *facts = bench->facts;
    const struct tm_preflight_limits *later = bench->later;
    struct tm_arena *arena = &bench->plan->arena;
    bool at_once = facts->exists && !facts->held;
    if (later->retention_ms >= 0 && facts->expired > 0) {
        const char *detail = tm_arena_fmt(arena,
                "topic %s on %s has retention.ms=%" PRId64 "; about %" PRId64 " of %" PRId64
                " records are older, and the broker may delete them %s%s%s",
                facts->target, facts->cluster, later->retention_ms, facts->expired, facts->messages,
                when(bench), at_once ? ": " : "",
                at_once ? remedy(bench, "retention.ms", "-1") : "");
        if (at_once && facts->expired >= facts->messages) {
            block(bench, "target-retention", detail);
        } else {
            warn(bench, "target-retention", detail);
        }
    }
    if (later->retention_bytes >= 0 && facts->part_bytes > later->retention_bytes) {
        warn(bench, "target-retention",
                tm_arena_fmt(arena,
                        "topic %s on %s has retention.bytes=%" PRId64 ", and up to %" PRId64
                        " bytes are restored to a partition: the broker may "
                        "delete the oldest of them %s",
                        facts->target, facts->cluster, later->retention_bytes, facts->part_bytes,
                        when(bench)));
    }
}

static void judge_replicas(const struct bench *bench)
{
    const struct tm_preflight_facts *facts = bench->facts;
    if (facts->replicas > 0 && bench->now->min_insync > facts->replicas) {
        block(bench, "not-enough-replicas",
                tm_arena_fmt(&bench->plan->arena,
                        "topic %s on %s has %" PRId64 " replicas and min.insync.replicas=%" PRId64
                        ": it takes no record; lower the one or raise the other",
                        facts->target, facts->cluster, facts->replicas, bench->now->min_insync));
    }
}

void tm_preflight_judge(const struct tm_preflight_limits *now,
        const struct tm_preflight_limits *later, const struct tm_preflight_facts *facts,
        struct tm_restore_plan *plan)
{
    struct bench bench = {now, later, facts, plan};
    judge_size(&bench);
    judge_stamps(&bench);
    judge_compaction(&bench);
    judge_retention(&bench);
    judge_replicas(&bench);
}
