/* SPDX-License-Identifier: Apache-2.0 */
#include "job/restore_preflight.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "job/chosen.h"
#include "job/restore_configs.h"
#include "job/restore_look.h"

enum {
    BATCH_BYTES = 1000000, /* librdkafka's batch.size */
};

static const struct tm_row_topic *captured_of(
        const struct tm_restore_plan *plan, const struct tm_restore_topic *line)
{
    const struct tm_row_point *row = &plan->point.row;
    for (size_t i = 0; i < row->topic_count; i++) {
        if (row->topics[i].stream == line->stream) {
            return &row->topics[i];
        }
    }
    tm_assert(false); /* a line stands for a topic of the point */
    return NULL;
}

/* Made by this restore, or to be made: its settings are ours. */
static bool is_mine(const struct tm_restore_topic *line)
{
    return !line->exists || line->created || line->recreate;
}

/* What applies there ---------------------------------------------------------------------------- */

static enum tm_code ask_defaults(struct restore_look *look, struct tm_err *err)
{
    struct tm_settings broker = {0};
    look->defaults = tm_preflight_open();
    enum tm_code code = tm_kafka_broker_settings(look->options->kafka,
            tm_restore_request_ms(look->options), &look->plan->arena, &broker, err);
    if (code != TM_OK) {
        return tm_look_not_known(look, NULL, "the broker's defaults for new topics are",
                "DESCRIBE_CONFIGS on Cluster", err);
    }
    tm_preflight_of_broker(&broker, &look->defaults);
    const struct tm_setting *deletion = tm_setting_find(&broker, "delete.topic.enable");
    look->no_deletion =
            deletion != NULL && deletion->value != NULL && strcmp(deletion->value, "false") == 0;
    return TM_OK;
}

/* Settings and rights of the topics that are there; rows of others stay empty. */
static enum tm_code ask_topics(struct restore_look *look, struct tm_err *err)
{
    const struct tm_restore_plan *plan = look->plan;
    struct tm_arena *arena = &look->plan->arena;
    int64_t timeout_ms = tm_restore_request_ms(look->options);
    size_t total = plan->topics.count;
    struct tm_settings *settings = tm_arena_alloc(arena, total + 1, sizeof(*settings));
    struct tm_rights *rights = tm_arena_alloc(arena, total + 1, sizeof(*rights));
    size_t *of = tm_arena_alloc(arena, total + 1, sizeof(*of));
    size_t count = 0;
    look->settings = tm_arena_alloc(arena, total + 1, sizeof(*look->settings));
    look->rights = tm_arena_alloc(arena, total + 1, sizeof(*look->rights));
    for (size_t i = 0; i < total; i++) {
        if (plan->topics.at[i].exists) {
            settings[count].topic = plan->topics.at[i].target;
            rights[count].topic = plan->topics.at[i].target;
            of[count++] = i;
        }
    }
    if (count == 0) {
        return TM_OK;
    }
    if (tm_kafka_settings(look->options->kafka, settings, count, timeout_ms, arena, err) != TM_OK) {
        return tm_look_not_known(look, NULL, "the settings of topics that are there are",
                "DESCRIBE_CONFIGS on them", err);
    }
    if (tm_kafka_topic_rights(look->options->kafka, rights, count, timeout_ms, arena, err) !=
            TM_OK) {
        TM_TRY(tm_look_not_known(
                look, NULL, "what may be done with the topics is", "DESCRIBE on them", err));
    }
    for (size_t i = 0; i < count; i++) {
        look->settings[of[i]] = settings[i];
        look->rights[of[i]] = rights[i];
    }
    return TM_OK;
}

/* Judgement ------------------------------------------------------------------------------------- */

/* Those of a partition of which something is chosen, about. */
static int64_t count_part(const struct tm_chosen_range *range, int64_t cut_ms)
{
    int64_t count = 0;
    for (size_t i = 0; i < range->source.run_count; i++) {
        const struct tm_run *run = &range->source.runs[i].run;
        if (tm_choice_run(&range->cut, run) != TM_TAKEN_NONE) {
            count += tm_preflight_older(run, cut_ms);
        }
    }
    return count;
}

/* Records of the topic with a timestamp below the cut, about. */
static enum tm_code count_older(struct restore_look *look, const struct tm_restore_topic *line,
        int64_t cut_ms, int64_t *out, struct tm_err *err)
{
    const struct tm_restore_plan *plan = look->plan;
    const struct tm_stream *stream = tm_point_stream(&plan->point, line->stream);
    int64_t count = 0;
    enum tm_code code = TM_OK;
    tm_assert(stream != NULL); /* a point has the stream of each of its topics */
    for (size_t i = 0; code == TM_OK && i < plan->point.row.part_count; i++) {
        const struct tm_row_part *row = &plan->point.row.parts[i];
        struct tm_arena arena = {0};
        struct tm_chosen_range range;
        if (row->stream != line->stream) {
            continue;
        }
        struct tm_chosen_part part = {stream, row->partition, row->start, row->end};
        code = tm_chosen_range(
                look->options->catalog, look->options->choice, &part, &arena, &range, err);
        count += code == TM_OK ? count_part(&range, cut_ms) : 0;
        tm_arena_done(&arena);
    }
    *out = count < line->messages ? count : line->messages;
    return code;
}

static int64_t minus(int64_t left, int64_t right) /* right >= 0; stops at the end of numbers */
{
    return left < INT64_MIN + right ? INT64_MIN : left - right;
}

static enum tm_code count_stamps(struct restore_look *look, const struct tm_restore_topic *line,
        const struct tm_preflight_limits *now, const struct tm_preflight_limits *later,
        struct tm_preflight_facts *facts, struct tm_err *err)
{
    bool none = line->messages == 0 || line->ts_min > line->ts_max;
    if (!none && now->before_max_ms >= 0 && now->before_max_ms < INT64_MAX &&
            line->ts_min < minus(look->now_ms, now->before_max_ms)) {
        TM_TRY(count_older(
                look, line, minus(look->now_ms, now->before_max_ms), &facts->early, err));
    }
    if (!none && now->after_max_ms >= 0 && now->after_max_ms < INT64_MAX - look->now_ms &&
            line->ts_max > look->now_ms + now->after_max_ms) {
        int64_t inside = 0;
        TM_TRY(count_older(look, line, look->now_ms + now->after_max_ms + 1, &inside, err));
        facts->late = line->messages - inside > 0 ? line->messages - inside : 1;
    }
    if (!none && later->retention_ms >= 0 &&
            line->ts_min < minus(look->now_ms, later->retention_ms)) {
        TM_TRY(count_older(
                look, line, minus(look->now_ms, later->retention_ms), &facts->expired, err));
    }
    return TM_OK;
}

static void hold_limits(struct tm_preflight_limits *limits, const struct tm_restore_topic *line,
        const struct tm_preflight_limits *where_refused)
{
    size_t count = 0;
    const struct tm_pair *held = tm_restore_held(&count);
    *limits = *where_refused;
    for (size_t i = 0; i < count; i++) {
        if (!tm_restore_refused(line, held[i].name)) {
            tm_preflight_set(limits, held[i].name, held[i].value);
        }
    }
    if (!tm_restore_refused(line, "max.message.bytes")) {
        limits->max_message_bytes = INT64_MAX;
    }
    limits->min_insync = line->min_insync > 0 ? line->min_insync : limits->min_insync;
}

/* The settings of a topic made here, once nothing is held any more. */
static void later_limits(struct restore_look *look, const struct tm_row_topic *captured,
        struct tm_preflight_limits *limits)
{
    static const char *const names[] = {"retention.ms", "retention.bytes", "cleanup.policy"};
    *limits = look->defaults;
    for (size_t i = 0; look->options->original_configs && i < 3; i++) {
        const char *value = tm_restore_captured(captured, names[i], &look->plan->arena);
        if (value != NULL) {
            tm_preflight_set(limits, names[i], value);
        }
    }
}

static enum tm_code judge(struct restore_look *look, size_t index, struct tm_err *err)
{
    struct tm_restore_topic *line = &look->plan->topics.at[index];
    const struct tm_restore_options *options = look->options;
    const struct tm_row_topic *captured = captured_of(look->plan, line);
    const struct tm_settings *settings = &look->settings[index];
    struct tm_preflight_limits now = tm_preflight_open();
    struct tm_preflight_limits later = now;
    bool mine = is_mine(line);
    bool all = options->retention == TM_RETENTION_HOLD_ALL;
    struct tm_preflight_facts facts = {
            .source = line->source,
            .target = line->target,
            .cluster = options->target,
            .exists = !mine,
            .held = mine || all,
            .put_back_ms =
                    options->retention == TM_RETENTION_ORIGINAL ? 0 : tm_restore_hold_ms(options),
            .messages = line->messages,
            .record_bytes = tm_restore_record_bytes(line->largest),
            .part_bytes = line->part_bytes,
            .replicas = line->exists && !line->recreate ? line->replicas : line->replication_factor,
    };
    if (mine) {
        later_limits(look, captured, &later);
        hold_limits(&now, line, &look->defaults);
    } else if (settings->count > 0) {
        tm_preflight_of_topic(settings, &later);
        now = later;
        line->max_message_bytes = later.max_message_bytes < INT64_MAX ? later.max_message_bytes : 0;
        if (all) {
            hold_limits(&now, line, &later);
        }
    }
    TM_TRY(count_stamps(look, line, &now, &later, &facts, err));
    tm_preflight_judge(&now, &later, &facts, look->plan);
    return TM_OK;
}

static void lacks(struct restore_look *look, const struct tm_restore_topic *line, const char *right,
        const char *why)
{
    tm_look_block(look, "not-authorized", line->source,
            tm_arena_fmt(&look->plan->arena,
                    "this client may not do it: needs the right %s on Topic %s of %s, %s", right,
                    line->target, look->options->target, why));
}

/* A topic that is deleted and cannot be made again would be lost: either right to make topics will do. */
static enum tm_code judge_remaking(
        struct restore_look *look, const struct tm_restore_topic *line, struct tm_err *err)
{
    struct tm_rights cluster = {0};
    enum tm_code code = tm_kafka_cluster_rights(
            look->options->kafka, tm_restore_request_ms(look->options), &cluster, err);
    if (code != TM_OK) {
        return tm_look_not_known(
                look, line->source, "whether topics may be made is", "CREATE on Cluster", err);
    }
    if (cluster.known && (cluster.operations & TM_MAY_CREATE) == 0) {
        lacks(look, line, "CREATE", "or on Cluster, to make it anew");
    }
    return TM_OK;
}

/* Rights on a topic that is there. */
static enum tm_code judge_rights(struct restore_look *look, size_t index, struct tm_err *err)
{
    const struct tm_restore_topic *line = &look->plan->topics.at[index];
    const struct tm_rights *rights = &look->rights[index];
    const struct tm_settings *settings = &look->settings[index];
    const struct {
        uint32_t operation;
        const char *name;
        const char *why;
        bool asked;
    } needed[] = {
            {TM_MAY_WRITE, "WRITE", "to restore into it", true},
            {TM_MAY_READ, "READ", "to prove what was restored", true},
            {TM_MAY_ALTER_CONFIGS, "ALTER_CONFIGS", "to set its configuration",
                    line->created || look->options->retention == TM_RETENTION_HOLD_ALL},
            {TM_MAY_DELETE, "DELETE", "to delete what is there", line->purge || line->recreate},
    };
    if (settings->code != TM_OK) {
        (void)tm_err_set(err, settings->code, "%s", settings->error);
        TM_TRY(tm_look_not_known(look, line->source, "the topic's settings are",
                "DESCRIBE_CONFIGS on Topic of its name", err));
    }
    for (size_t i = 0; rights->known && i < sizeof(needed) / sizeof(needed[0]); i++) {
        if (needed[i].asked && (rights->operations & needed[i].operation) == 0) {
            lacks(look, line, needed[i].name, needed[i].why);
        }
    }
    bool remakes = rights->known && line->recreate && (rights->operations & TM_MAY_CREATE) == 0;
    return remakes ? judge_remaking(look, line, err) : TM_OK;
}

static void judge_deletion(struct restore_look *look, const struct tm_restore_topic *line)
{
    if (line->recreate && look->no_deletion) {
        tm_look_block(look, "target-refuses", line->source,
                tm_arena_fmt(&look->plan->arena,
                        "%s has delete.topic.enable=false: topic %s cannot be made anew; restore "
                        "with \"existing\": \"purge\"",
                        look->options->target, line->target));
    }
}

static enum tm_code look_at(struct restore_look *look, size_t index, struct tm_err *err)
{
    struct tm_restore_topic *line = &look->plan->topics.at[index];
    const struct tm_row_topic *captured = captured_of(look->plan, line);
    if (tm_preflight_internal(line->target)) {
        tm_look_block(look, "internal-topic", line->source,
                tm_arena_fmt(&look->plan->arena,
                        "%s is Kafka's own: records of another life would be taken for state of "
                        "this cluster; restore it under another name (target.rename)",
                        line->target));
        return TM_OK;
    }
    if (!line->exists && look->options->create_topics != TM_CREATE_NEVER) {
        tm_look_choose_replicas(look, line, captured);
        TM_TRY(tm_look_check_creation(look, line, captured, err));
    } else if (line->recreate) {
        tm_look_choose_replicas(look, line, captured);
    }
    judge_deletion(look, line);
    TM_TRY(judge_rights(look, index, err));
    return judge(look, index, err);
}

enum tm_code tm_restore_preflight(
        const struct tm_restore_options *options, struct tm_restore_plan *plan, struct tm_err *err)
{
    struct restore_look look = {.options = options, .plan = plan, .now_ms = tm_now_ms()};
    TM_TRY(tm_kafka_brokers(options->kafka, tm_restore_request_ms(options), &look.brokers, err));
    TM_TRY(ask_defaults(&look, err));
    TM_TRY(ask_topics(&look, err));
    for (size_t i = 0; i < plan->topics.count; i++) {
        TM_TRY(look_at(&look, i, err));
    }
    return TM_OK;
}

static void add_notes(const tm_job_notes *notes, struct tm_buf *out)
{
    for (size_t i = 0; i < notes->count; i++) {
        tm_buf_add_fmt(out, "%s %s\n", notes->at[i].code,
                notes->at[i].topic != NULL ? notes->at[i].topic : "");
    }
}

void tm_preflight_digest(const struct tm_restore_options *options,
        const struct tm_restore_plan *plan, struct tm_buf *out)
{
    tm_buf_add_fmt(out, "held %" PRId64 "\n", options->retention_hold_ms);
    for (size_t i = 0; i < plan->topics.count; i++) {
        const struct tm_restore_topic *line = &plan->topics.at[i];
        tm_buf_add_fmt(
                out, "%" PRId32 " %" PRId32 "\n", line->replication_factor, line->min_insync);
        for (size_t r = 0; r < line->refused_count; r++) {
            tm_buf_add_fmt(out, "%s\n", line->refused[r]);
        }
    }
    add_notes(&plan->warnings, out);
    add_notes(&plan->blocking, out);
}

struct tm_kafka_options tm_restore_writer_options(
        const struct restore_run *run, struct tm_arena *arena)
{
    struct tm_kafka_options options = *run->options->kafka_options;
    int64_t bytes = BATCH_BYTES;
    for (size_t t = 0; t < run->topic_count; t++) {
        int64_t most = run->topics[t].line->max_message_bytes;
        bytes = most > 0 && most < bytes ? most : bytes;
    }
    if (bytes < BATCH_BYTES) {
        size_t count = options.property_count;
        struct tm_pair *properties = tm_arena_alloc(arena, count + 1, sizeof(*properties));
        for (size_t i = 0; i < count; i++) {
            properties[i] = options.properties[i];
        }
        properties[count] = (struct tm_pair){"batch.size", tm_arena_fmt(arena, "%" PRId64, bytes)};
        options.properties = properties;
        options.property_count = count + 1;
    }
    return options;
}
