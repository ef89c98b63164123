/* SPDX-License-Identifier: Apache-2.0 */
/* What a target says to the topics that a restore would make there. */
#include <inttypes.h>

#include "job/restore_configs.h"
#include "job/restore_look.h"

void tm_look_warn(
        struct restore_look *look, const char *code, const char *topic, const char *detail)
{
    tm_job_note_add(&look->plan->warnings, &look->plan->arena, code, topic, -1, detail);
}

void tm_look_block(
        struct restore_look *look, const char *code, const char *topic, const char *detail)
{
    tm_job_note_add(&look->plan->blocking, &look->plan->arena, code, topic, -1, detail);
}

enum tm_code tm_look_not_known(struct restore_look *look, const char *topic, const char *what,
        const char *acl, struct tm_err *err)
{
    if (tm_code_retryable(err->code)) {
        return err->code;
    }
    bool unsupported = err->code == TM_E_UNSUPPORTED;
    if (!unsupported || !look->unsupported) { /* of a cluster without a controller: once */
        tm_look_warn(look, "not-known", topic,
                tm_arena_fmt(&look->plan->arena, "%s not known (%s)%s%s",
                        unsupported ? "what the target would refuse is" : what, err->msg,
                        unsupported ? "" : "; needs the right ", unsupported ? "" : acl));
    }
    look->unsupported |= unsupported;
    *err = (struct tm_err){0};
    return TM_OK;
}

/* Topics to be made ----------------------------------------------------------------------------- */

static void add_refused(struct restore_look *look, struct tm_restore_topic *line, const char *name)
{
    struct tm_arena *arena = &look->plan->arena;
    const char **names = tm_arena_alloc(arena, line->refused_count + 1, sizeof(*names));
    for (size_t i = 0; i < line->refused_count; i++) {
        names[i] = line->refused[i];
    }
    names[line->refused_count++] = name;
    line->refused = names;
}

static struct tm_topic_spec spec_of(const struct tm_restore_topic *line)
{
    return (struct tm_topic_spec){.name = line->target,
            .partitions = line->target_partitions,
            .replication_factor = line->replication_factor};
}

static enum tm_code try_spec(
        struct restore_look *look, const struct tm_topic_spec *spec, struct tm_err *err)
{
    *err = (struct tm_err){0};
    return tm_kafka_check_topic(
            look->options->kafka, spec, tm_restore_request_ms(look->options), err);
}

/* Which of the settings does the cluster refuse? Each on its own; `keep`: they are left out from now. */
static enum tm_code refuse_each(struct restore_look *look, struct tm_restore_topic *line,
        const struct tm_pair *configs, size_t count, bool keep, struct tm_err *err)
{
    for (size_t i = 0; i < count; i++) {
        struct tm_topic_spec spec = spec_of(line);
        spec.configs = &configs[i];
        spec.config_count = 1;
        enum tm_code code = configs[i].value == NULL ? TM_OK : try_spec(look, &spec, err);
        if (code == TM_OK) {
            continue;
        }
        if (code != TM_E_USAGE) {
            return code;
        }
        tm_look_warn(look, "topic-configs", line->source,
                tm_arena_fmt(&look->plan->arena, "%s refuses %s=%s for topic %s (%s): left out",
                        look->options->target, configs[i].name, configs[i].value, line->target,
                        err->msg));
        if (keep) {
            add_refused(look, line, configs[i].name);
        }
    }
    *err = (struct tm_err){0};
    return TM_OK;
}

static void refuse_topic(
        struct restore_look *look, const struct tm_restore_topic *line, struct tm_err *err)
{
    bool denied = err->code == TM_E_DENIED;
    bool there = err->code == TM_E_EXISTS;
    tm_look_block(look, denied || there ? "not-authorized" : "target-refuses", line->source,
            tm_arena_fmt(&look->plan->arena, "%s would not create topic %s (%s)%s",
                    look->options->target, line->target, err->msg,
                    denied  ? ": needs the right CREATE on Cluster, or on Topic of that name"
                    : there ? ": it is there, and may not be seen; needs the right DESCRIBE on it"
                            : ""));
    *err = (struct tm_err){0};
}

/* The settings it gets in the end: what is refused then is told now. */
static enum tm_code check_last(struct restore_look *look, struct tm_restore_topic *line,
        const struct tm_row_topic *captured, struct tm_err *err)
{
    struct tm_pair *last = NULL;
    struct tm_topic_spec spec = spec_of(line);
    size_t all =
            tm_restore_last_configs(look->options, line, captured, true, &look->plan->arena, &last);
    size_t count = 0;
    for (size_t i = 0; i < all; i++) {
        if (last[i].value != NULL) {
            last[count++] = last[i];
        }
    }
    spec.configs = last;
    spec.config_count = count;
    enum tm_code code = count > 0 ? try_spec(look, &spec, err) : TM_OK;
    return code == TM_E_USAGE ? refuse_each(look, line, last, count, false, err) : code;
}

enum tm_code tm_look_check_creation(struct restore_look *look, struct tm_restore_topic *line,
        const struct tm_row_topic *captured, struct tm_err *err)
{
    struct tm_topic_spec spec = spec_of(line);
    struct tm_topic_spec bare = spec;
    struct tm_pair *first = NULL;
    spec.config_count =
            tm_restore_first_configs(look->options, line, captured, &look->plan->arena, &first);
    spec.configs = first;
    enum tm_code code = try_spec(look, &spec, err);
    if (code == TM_E_USAGE && try_spec(look, &bare, err) == TM_OK) {
        TM_TRY(refuse_each(look, line, first, spec.config_count, true, err));
        spec.config_count =
                tm_restore_first_configs(look->options, line, captured, &look->plan->arena, &first);
        spec.configs = first;
        code = try_spec(look, &spec, err);
    }
    if (code == TM_OK) {
        return check_last(look, line, captured, err);
    }
    if (code == TM_E_UNSUPPORTED) {
        return tm_look_not_known(look, line->source, "", "", err);
    }
    if (tm_code_retryable(err->code)) {
        return err->code;
    }
    refuse_topic(look, line, err);
    return TM_OK;
}

void tm_look_choose_replicas(struct restore_look *look, struct tm_restore_topic *line,
        const struct tm_row_topic *captured)
{
    const struct tm_restore_options *options = look->options;
    struct tm_arena *arena = &look->plan->arena;
    int32_t wanted = (int32_t)captured->replication_factor;
    line->replication_factor = options->replication_factor;
    if (options->replication_factor <= 0) {
        line->replication_factor = wanted > look->brokers ? look->brokers : wanted;
        if (wanted > look->brokers) {
            tm_look_warn(look, "replication-factor", line->source,
                    tm_arena_fmt(arena,
                            "replication factor %" PRId32 " instead of %" PRId32
                            ": the target has %" PRId32 " brokers",
                            line->replication_factor, wanted, look->brokers));
        }
    }
    struct tm_preflight_limits limits = look->defaults;
    const char *text = options->original_configs
                               ? tm_restore_captured(captured, "min.insync.replicas", arena)
                               : NULL;
    if (text != NULL) {
        tm_preflight_set(&limits, "min.insync.replicas", text);
    }
    if (line->replication_factor > 0 && limits.min_insync > line->replication_factor) {
        line->min_insync = line->replication_factor;
        tm_look_warn(look, "min-insync-replicas", line->source,
                tm_arena_fmt(arena,
                        "min.insync.replicas=%" PRId32 " instead of %" PRId64
                        ": topic %s would take no record with %" PRId32 " replicas",
                        line->min_insync, limits.min_insync, line->target,
                        line->replication_factor));
    }
}
