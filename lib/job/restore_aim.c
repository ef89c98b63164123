/* SPDX-License-Identifier: Apache-2.0 */
#include "job/restore_aim.h"

#include <inttypes.h>
#include <string.h>

#include "job/restore_place.h"
#include "job/restore_run.h"

static void block(
        struct tm_restore_plan *plan, const char *slug, const char *topic, const char *detail)
{
    tm_job_note_add(&plan->blocking, &plan->arena, slug, topic, -1, detail);
}

static bool is_confirmed(const struct tm_restore_into *into, const char *topic)
{
    for (size_t i = 0; i < into->confirm_count; i++) {
        if (strcmp(into->confirm[i], topic) == 0) {
            return true;
        }
    }
    return false;
}

static void need_confirm(const struct tm_restore_options *options, struct tm_restore_plan *plan,
        const struct tm_restore_topic *topic, const char *what)
{
    if (!is_confirmed(&options->into, topic->target)) {
        block(plan, "topic-exists", topic->source,
                tm_arena_fmt(&plan->arena,
                        "topic %s on %s is there, and %s; name it in \"confirm\": [\"%s\"] to "
                        "allow "
                        "that",
                        topic->target, options->target, what, topic->target));
    }
}

/* Partitions ---------------------------------------------------------------------------------- */

static int32_t map_end(const struct tm_restore_into *into)
{
    int32_t end = 0;
    for (size_t i = 0; i < into->map_count; i++) {
        end = into->map[i].to >= end ? into->map[i].to + 1 : end;
    }
    return end;
}

static int32_t count_of_new(
        const struct tm_restore_into *into, const struct tm_restore_topic *topic)
{
    if (into->partitions == TM_PARTITIONS_SAME) {
        return topic->partitions;
    }
    if (into->partition_count > 0) {
        return into->partition_count;
    }
    int32_t end = into->partitions == TM_PARTITIONS_MAP ? map_end(into) : 0;
    return end > topic->partitions ? end : topic->partitions;
}

static bool is_mapped(const struct tm_restore_into *into, int32_t partition)
{
    for (size_t i = 0; i < into->map_count; i++) {
        if (into->map[i].from == partition) {
            return true;
        }
    }
    return false;
}

/* May anything of the partition be restored? */
static bool is_wanted(const struct tm_restore_options *options, struct tm_restore_plan *plan,
        const struct tm_restore_topic *topic, const struct tm_row_part *part)
{
    const struct tm_choice *choice = options->choice;
    struct tm_choice_cut cut;
    tm_choice_cut(choice, topic->source, part->partition, &plan->arena, &cut);
    bool reaches = choice != NULL && (choice->window_count > 0 || choice->has_from);
    return !cut.nothing && (part->start < part->end || (reaches && part->end > 0));
}

/* Every partition that holds something has a place, and each place is there. */
static void check_map(const struct tm_restore_options *options, struct tm_restore_plan *plan,
        const struct tm_restore_topic *topic)
{
    const struct tm_restore_into *into = &options->into;
    const struct tm_row_point *point = &plan->point.row;
    for (size_t i = 0; i < point->part_count; i++) {
        const struct tm_row_part *part = &point->parts[i];
        if (part->stream == topic->stream && !is_mapped(into, part->partition) &&
                is_wanted(options, plan, topic, part)) {
            block(plan, "invalid-request", topic->source,
                    tm_arena_fmt(&plan->arena,
                            "\"partitions\" does not say where partition %" PRId32
                            " of %s goes: list every partition that is restored",
                            part->partition, topic->source));
            return;
        }
    }
    if (map_end(into) > topic->target_partitions) {
        block(plan, "invalid-request", topic->source,
                tm_arena_fmt(&plan->arena,
                        "\"partitions\" names partition %" PRId32
                        ", but topic %s on %s has %" PRId32,
                        map_end(into) - 1, topic->target, options->target,
                        topic->target_partitions));
    }
}

static void check_count(const struct tm_restore_options *options, struct tm_restore_plan *plan,
        const struct tm_restore_topic *topic)
{
    const struct tm_restore_into *into = &options->into;
    if (into->partitions == TM_PARTITIONS_SAME && topic->target_partitions != topic->partitions) {
        block(plan, "invalid-request", topic->source,
                tm_arena_fmt(&plan->arena,
                        "topic %s on %s has %" PRId32 " partitions, the point %" PRId32
                        "; pass \"partitions\": \"hash\" to deal the records out by their keys, or "
                        "a map like {\"0\": 3} to say where each partition goes",
                        topic->target, options->target, topic->target_partitions,
                        topic->partitions));
    } else if (into->partition_count > 0 && topic->target_partitions != into->partition_count) {
        block(plan, "invalid-request", topic->source,
                tm_arena_fmt(&plan->arena,
                        "topic %s on %s has %" PRId32
                        " partitions, and \"partition_count\" asks for %" PRId32,
                        topic->target, options->target, topic->target_partitions,
                        into->partition_count));
    }
    if (into->partitions == TM_PARTITIONS_MAP) {
        check_map(options, plan, topic);
    }
}

/* Topics that are there ----------------------------------------------------------------------- */

bool tm_restore_aim_pending(const struct tm_restore_target *row)
{
    enum tm_placing placing = tm_restore_placing(row->configs);
    return placing == TM_PLACING_PURGE || placing == TM_PLACING_RECREATE;
}

static bool use_existing(const struct tm_restore_options *options, struct tm_restore_plan *plan,
        struct tm_restore_topic *topic)
{
    if (options->create_topics == TM_CREATE_RECREATE) {
        topic->recreate = true;
        need_confirm(options, plan, topic, "would be deleted and made anew");
    } else if (options->existing == TM_EXISTING_APPEND) {
        topic->append = true;
    } else if (options->existing == TM_EXISTING_PURGE) {
        topic->purge = true;
        need_confirm(options, plan, topic, "its records would be deleted");
    }
    return topic->recreate || topic->append || topic->purge;
}

bool tm_restore_aim(const struct tm_restore_options *options, struct tm_restore_plan *plan,
        struct tm_restore_topic *topic, const struct tm_topic_info *info)
{
    bool decided = info != NULL && !topic->ours && use_existing(options, plan, topic);
    topic->target_partitions = info != NULL && !topic->recreate
                                       ? info->partitions
                                       : count_of_new(&options->into, topic);
    check_count(options, plan, topic);
    return decided;
}

/* Does the configuration let DeleteRecords through? Kafka wants `delete` among the policies. */
static bool may_be_purged(const struct tm_topic_config *config)
{
    for (size_t i = 0; i < config->set_count; i++) {
        if (strcmp(config->set[i].name, "cleanup.policy") == 0) {
            return strstr(config->set[i].value, "delete") != NULL;
        }
    }
    return true;
}

enum tm_code tm_restore_aim_check(
        const struct tm_restore_options *options, struct tm_restore_plan *plan, struct tm_err *err)
{
    for (size_t i = 0; i < plan->topics.count; i++) {
        const struct tm_restore_topic *topic = &plan->topics.at[i];
        struct tm_topic_config config = {.topic = topic->target};
        if (!topic->purge) {
            continue;
        }
        TM_TRY(tm_kafka_topic_configs(
                options->kafka, &config, 1, tm_restore_request_ms(options), &plan->arena, err));
        if (config.code == TM_OK && !may_be_purged(&config)) {
            block(plan, "invalid-request", topic->source,
                    tm_arena_fmt(&plan->arena,
                            "topic %s on %s has cleanup.policy=compact, of which Kafka deletes no "
                            "records by request; restore under another name, or pass "
                            "\"create_topics\": \"recreate\"",
                            topic->target, options->target));
        }
    }
    return TM_OK;
}

void tm_restore_aim_digest(const struct tm_restore_into *into, struct tm_buf *text)
{
    tm_buf_add_fmt(text, "%d %" PRId32 " %d\n", (int)into->partitions, into->partition_count,
            into->add_original_position ? 1 : 0);
    for (size_t i = 0; i < into->map_count; i++) {
        tm_buf_add_fmt(text, "%" PRId32 " %" PRId32 "\n", into->map[i].from, into->map[i].to);
    }
}
