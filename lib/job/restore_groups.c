/* SPDX-License-Identifier: Apache-2.0 */
#include "job/restore_groups.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/journal_map.h"
#include "job/restore_run.h"
#include "kafka/groups.h"

static void block(struct tm_restore_plan *plan, const char *slug, const char *detail)
{
    tm_job_note_add(&plan->blocking, &plan->arena, slug, NULL, -1, detail);
}

static void warn(struct tm_restore_plan *plan, const char *code, const char *detail)
{
    tm_job_note_add(&plan->warnings, &plan->arena, code, NULL, -1, detail);
}

/* Which ------------------------------------------------------------------------------------------ */

static const struct tm_restore_topic *find_topic(
        const struct tm_restore_plan *plan, uint32_t stream)
{
    for (size_t i = 0; i < plan->topics.count; i++) {
        if (plan->topics.at[i].stream == stream) {
            return &plan->topics.at[i];
        }
    }
    return NULL;
}

static int by_group(const void *left, const void *right)
{
    const struct tm_row_group *a = left;
    const struct tm_row_group *b = right;
    int order = tm_slice_cmp(a->group, b->group);
    if (order == 0) {
        order = (a->stream > b->stream) - (a->stream < b->stream);
    }
    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

static const char *target_name(
        const struct tm_restore_groups *groups, struct tm_restore_plan *plan, const char *source)
{
    for (size_t i = 0; i < groups->rename_count; i++) {
        if (strcmp(groups->renames[i].from, source) == 0) {
            return tm_arena_strdup(&plan->arena, groups->renames[i].to);
        }
    }
    return source;
}

static void list_groups(const struct tm_restore_groups *groups, struct tm_restore_plan *plan)
{
    for (size_t i = 0; i < plan->group_row_count; i++) {
        const struct tm_row_group *row = &plan->group_rows[i];
        if (i == 0 || !tm_slice_eq(row->group, plan->group_rows[i - 1].group)) {
            const char *source = tm_arena_str(&plan->arena, row->group);
            *tm_vec_push(&plan->groups) = (struct tm_restore_group){
                    .source = source, .target = target_name(groups, plan, source)};
        }
        plan->groups.at[plan->groups.count - 1].offset_count++;
    }
}

static enum tm_code choose(const struct tm_restore_options *options, struct tm_restore_plan *plan,
        const struct tm_select *select)
{
    const struct tm_row_point *point = &plan->point.row;
    plan->group_rows =
            tm_arena_alloc(&plan->arena, point->group_count + 1, sizeof(*plan->group_rows));
    for (size_t i = 0; i < point->group_count; i++) {
        const struct tm_row_group *row = &point->groups[i];
        const struct tm_restore_topic *topic = find_topic(plan, row->stream);
        if (row->offset >= 0 && topic != NULL && row->partition < topic->partitions &&
                tm_select_matches(select, tm_arena_str(&plan->arena, row->group))) {
            plan->group_rows[plan->group_row_count++] = *row;
        }
    }
    if (plan->group_row_count > 0) {
        qsort(plan->group_rows, plan->group_row_count, sizeof(*plan->group_rows), by_group);
    }
    list_groups(&options->groups, plan);
    return TM_OK;
}

static enum tm_code select_groups(
        const struct tm_restore_options *options, struct tm_restore_plan *plan, struct tm_err *err)
{
    static const char *const everything[] = {"*"};
    bool all = options->groups.pattern_count == 0;
    struct tm_select_options wanted = {
            .include = all ? everything : options->groups.patterns,
            .include_count = all ? 1 : options->groups.pattern_count,
            .internal_topics = true, /* groups have no such names */
    };
    TM_OWN(tm_select_free) struct tm_select *select = NULL;
    if (tm_select_new(&wanted, &select, err) != TM_OK) {
        return tm_err_wrap(err, "consumer_groups.groups");
    }
    TM_TRY(choose(options, plan, select));
    for (size_t entry = 0; !all && entry < tm_select_count(select); entry++) {
        bool met = false;
        for (size_t i = 0; i < plan->groups.count && !met; i++) {
            met = tm_select_entry_matches(select, entry, plan->groups.at[i].source);
        }
        if (!met) {
            warn(plan, "group-missing",
                    tm_arena_fmt(&plan->arena,
                            "the point has no offsets, in the topics that are restored, of group "
                            "\"%s\"",
                            tm_select_entry(select, entry)));
        }
    }
    return TM_OK;
}

/* What stands in their way ------------------------------------------------------------------------ */

static void check_names(const struct tm_restore_groups *groups, struct tm_restore_plan *plan)
{
    for (size_t i = 0; i < plan->groups.count; i++) {
        for (size_t other = 0; other < i; other++) {
            const struct tm_restore_group *a = &plan->groups.at[other];
            const struct tm_restore_group *b = &plan->groups.at[i];
            if (groups->rename_count > 0 && strcmp(a->target, b->target) == 0) {
                block(plan, "invalid-request",
                        tm_arena_fmt(&plan->arena, "groups %s and %s would both become %s",
                                a->source, b->source, b->target));
            }
        }
    }
    for (size_t r = 0; r < groups->rename_count; r++) {
        bool met = false;
        for (size_t i = 0; i < plan->groups.count && !met; i++) {
            met = strcmp(plan->groups.at[i].source, groups->renames[r].from) == 0;
        }
        if (!met) {
            warn(plan, "rename-unused",
                    tm_arena_fmt(&plan->arena,
                            "no group \"%s\" is restored: its new name is not used",
                            groups->renames[r].from));
        }
    }
}

static int by_name(const void *key, const void *element)
{
    return strcmp(key, ((const struct tm_group *)element)->name);
}

/* A job that is taken up again is not given up for it: the brokers refuse what they have to. */
static bool has_begun(const struct tm_restore_plan *plan)
{
    bool ours = false;
    for (size_t i = 0; i < plan->topics.count; i++) {
        ours |= plan->topics.at[i].ours;
    }
    return ours;
}

static void check_group(const struct tm_restore_options *options, struct tm_restore_plan *plan,
        const struct tm_group_list *list, struct tm_restore_group *group)
{
    const struct tm_group *there = list->count == 0 ? NULL
                                                    : bsearch(group->target, list->at, list->count,
                                                              sizeof(*list->at), by_name);
    if (there != NULL && there->active) {
        tm_job_note_add(has_begun(plan) ? &plan->warnings : &plan->blocking, &plan->arena,
                "groups-active", NULL, -1,
                tm_arena_fmt(&plan->arena,
                        "group %s has active members on %s (%s): stop its consumers, or give the "
                        "group another name with consumer_groups.rename",
                        group->target, options->target, there->state));
    } else if (there != NULL) {
        group->exists = true;
        warn(plan, "group-exists",
                tm_arena_fmt(&plan->arena,
                        "group %s is known on %s: its offsets in the restored topics are set anew",
                        group->target, options->target));
    }
}

/* Did this very job set them before it was interrupted? Then members are what there should be. */
static enum tm_code are_set(const struct tm_restore_options *options, struct tm_restore_plan *plan,
        bool *out, struct tm_err *err)
{
    const char *report = NULL;
    if (options->journal != NULL) {
        TM_TRY(tm_journal_groups(options->journal, &options->job, &plan->arena, &report, err));
    }
    *out = report != NULL;
    return TM_OK;
}

static enum tm_code check_target(
        const struct tm_restore_options *options, struct tm_restore_plan *plan, struct tm_err *err)
{
    bool set = false;
    struct tm_group_list list = {0};
    struct tm_err failed = {0};
    TM_TRY(are_set(options, plan, &set, err));
    if (set || plan->groups.count == 0) {
        return TM_OK;
    }
    if (tm_kafka_groups(options->groups_kafka, tm_restore_request_ms(options), &list, &failed) !=
            TM_OK) {
        warn(plan, "groups-unchecked",
                tm_arena_fmt(&plan->arena,
                        "whether groups are active at the target is not known before they are set: "
                        "%s",
                        failed.msg));
    }
    for (size_t i = 0; i < plan->groups.count; i++) {
        check_group(options, plan, &list, &plan->groups.at[i]);
    }
    tm_group_list_done(&list);
    return TM_OK;
}

/* Of each offset the map keeps what it comes to in each partition that the records may go to. */
static void check_bounds(const struct tm_restore_options *options, struct tm_restore_plan *plan)
{
    uint64_t answers = 0;
    for (size_t i = 0; i < plan->group_row_count; i++) {
        const struct tm_restore_topic *topic = find_topic(plan, plan->group_rows[i].stream);
        bool spread = options->into.partitions == TM_PARTITIONS_HASH;
        answers += spread ? (uint64_t)topic->target_partitions : 1;
    }
    if (answers > TM_MAP_ANSWERS_MAX) {
        block(plan, "invalid-request",
                tm_arena_fmt(&plan->arena,
                        "%zu offsets of groups come to %" PRIu64
                        " in the target; %d are the most: name fewer groups",
                        plan->group_row_count, answers, (int)TM_MAP_ANSWERS_MAX));
    }
}

enum tm_code tm_restore_plan_groups(
        const struct tm_restore_options *options, struct tm_restore_plan *plan, struct tm_err *err)
{
    if (options->groups.mode == TM_GROUPS_NONE) {
        return TM_OK;
    }
    if ((plan->point.row.flags & TM_POINT_GROUPS_UNKNOWN) != 0) {
        block(plan, "no-coverage",
                "where the consumer groups stood is not known at this point: choose another one, "
                "or "
                "restore without them");
        return TM_OK;
    }
    if (options->groups_kafka == NULL && options->groups.mode == TM_GROUPS_TRANSLATE) {
        return tm_err_set(err, TM_E_USAGE, "no handle on the groups of the target");
    }
    TM_TRY(select_groups(options, plan, err));
    check_names(&options->groups, plan);
    check_bounds(options, plan);
    return options->groups.mode == TM_GROUPS_TRANSLATE ? check_target(options, plan, err) : TM_OK;
}

void tm_restore_describe_groups(const struct tm_restore_options *options,
        const struct tm_restore_plan *plan, struct tm_buf *out)
{
    if (options->groups.mode == TM_GROUPS_NONE) {
        return;
    }
    tm_buf_add_fmt(out, "groups %d\n", (int)options->groups.mode);
    for (size_t i = 0; i < plan->groups.count; i++) {
        const struct tm_restore_group *group = &plan->groups.at[i];
        tm_buf_add_fmt(out, "%s\n%s\n%zu\n", group->source, group->target, group->offset_count);
    }
}
