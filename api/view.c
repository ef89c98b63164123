/* SPDX-License-Identifier: Apache-2.0 */
#include "view.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/ulid.h"
#include "restores_choice.h"

/* Parts ------------------------------------------------------------------------------------ */

void tm_view_add_time(struct tm_json *object, const char *key, int64_t time_ms)
{
    if (time_ms != 0) {
        tm_json_add_time(object, key, time_ms);
    }
}

void tm_view_add_seconds(struct tm_json *object, const char *key, int64_t ms)
{
    if (ms % 1000 != 0) {
        tm_json_add_real(object, key, (double)ms / 1000);
    } else if (ms != 0) {
        tm_json_add_int(object, key, ms / 1000);
    }
}

static void add_if(struct tm_json *object, const char *key, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        tm_json_add_str(object, key, text);
    }
}

static struct tm_json *strings(const char *const *list, size_t count)
{
    struct tm_json *array = tm_json_array();
    for (size_t i = 0; i < count; i++) {
        tm_json_push_str(array, list[i]);
    }
    return array;
}

/* Jobs ------------------------------------------------------------------------------------- */

bool tm_view_job_ended(const struct tm_job_view *job)
{
    return job->row.state != TM_JOB_QUEUED && job->row.state != TM_JOB_RUNNING;
}

/* To four digits: 0.3333. */
static double ratio(int64_t done, int64_t total)
{
    if (done >= total) {
        return 1;
    }
    return (double)(int64_t)((double)done / (double)total * 10000) / 10000;
}

static void add_progress(struct tm_json *json, const struct tm_progress_values *progress)
{
    struct tm_json *out = tm_json_add(json, "progress", tm_json_object());
    tm_json_add_str(out, "phase", tm_phase_name(progress->phase));
    tm_json_add_int(out, "done_messages", progress->done_messages);
    tm_json_add_int(out, "total_messages", progress->total_messages);
    tm_json_add_int(out, "done_bytes", progress->done_bytes);
    tm_json_add_int(out, "total_bytes", progress->total_bytes);
    if (progress->total_messages > 0) {
        tm_json_add_real(
                out, "done_ratio", ratio(progress->done_messages, progress->total_messages));
    }
    tm_json_add_int(out, "throughput_bytes_per_second", progress->bytes_per_second);
    if (progress->eta_seconds >= 0) {
        tm_json_add_int(out, "eta_seconds", progress->eta_seconds);
    }
    struct tm_json *parts = tm_json_add(out, "partitions", tm_json_object());
    tm_json_add_int(parts, "done", progress->parts_done);
    tm_json_add_int(parts, "running", progress->parts_running);
    tm_json_add_int(parts, "waiting", progress->parts_waiting);
    tm_json_add_int(parts, "failed", progress->parts_failed);
}

static void add_links(struct tm_json *json, const struct tm_job_view *job, const char *id)
{
    char link[64];
    struct tm_json *links = tm_json_add(json, "links", tm_json_object());
    (void)snprintf(link, sizeof(link), "/v1/jobs/%s", id);
    tm_json_add_str(links, "self", link);
    if (!tm_view_job_ended(job)) {
        (void)snprintf(link, sizeof(link), "/v1/jobs/%s/cancel", id);
        tm_json_add_str(links, "cancel", link);
    }
}

/* What a job of a vault works on, out of its request. */
static void add_vault(struct tm_json *json, const char *request)
{
    static const char *const names[][2] = {{"vault", "vault"}, {"point", "recovery_point"}};
    struct tm_arena arena = {0};
    const struct tm_json_value *object = NULL;
    struct tm_json_pos pos;
    struct tm_err ignored = {0};
    if (tm_json_read(tm_slice_str(request), &arena, &object, &pos, &ignored) == TM_OK) {
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            const struct tm_json_value *value = tm_json_get(object, names[i][0]);
            bool text = value != NULL && value->kind == TM_JSON_STRING;
            add_if(json, names[i][1], text ? value->string : NULL);
        }
    }
    tm_arena_done(&arena);
}

struct tm_json *tm_view_job(const struct tm_job_view *job)
{
    const struct tm_job_row *row = &job->row;
    char id[TM_ULID_NAME_MAX];
    (void)tm_ulid_format(&row->id, "job_", id);
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "id", id);
    tm_json_add_str(json, "kind", tm_job_kind_name(row->kind));
    tm_json_add_str(json, "state", tm_job_state_name(row->state));
    add_if(json, "requested_by", row->requested_by);
    add_if(json, "request_id", row->request_id);
    tm_view_add_time(json, "created_at", row->created_ms);
    tm_view_add_time(json, "started_at", row->started_ms);
    tm_view_add_time(json, "finished_at", row->finished_ms);
    if (row->resumed > 0) {
        tm_json_add_int(json, "resumed_count", row->resumed);
    }
    add_if(json, "policy", row->policy);
    add_if(json, "cluster", row->cluster);
    if (row->kind >= TM_JOB_VERIFY) {
        add_vault(json, row->request);
    }
    if (job->live) {
        add_progress(json, &job->progress);
    }
    tm_json_add_raw(json, "result", row->result);
    tm_json_add_raw(json, "error", row->error);
    tm_json_add_raw(json, "warnings", row->warnings);
    add_links(json, job, id);
    return json;
}

/* Policies and status ---------------------------------------------------------------------- */

static void add_policy_state(struct tm_json *json, const struct tm_policy_view *policy)
{
    if (policy->newest_point != NULL) {
        tm_json_add_str(json, "newest_point", policy->newest_point);
        tm_view_add_time(json, "newest_point_at", policy->newest_point_ms);
        tm_view_add_time(json, "oldest_point_at", policy->oldest_point_ms);
    }
    tm_view_add_time(json, "last_success_at", policy->last_success_ms);
    tm_json_add_str(json, "last_result", policy->last_result);
    tm_json_add_raw(json, "last_error", policy->last_error);
    tm_view_add_time(json, "next_run_at", policy->next_run_ms);
}

void tm_view_add_pause(struct tm_json *json, const struct tm_policy_view *policy)
{
    if (policy->paused) {
        struct tm_json *pause = tm_json_add(json, "paused", tm_json_object());
        tm_view_add_time(pause, "since", policy->paused_ms);
        tm_view_add_time(pause, "until", policy->paused_until_ms);
        add_if(pause, "reason", policy->pause_reason);
        add_if(pause, "by", policy->paused_by);
    }
}

struct tm_json *tm_view_policy(const struct tm_policy_view *policy)
{
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "name", policy->name);
    tm_json_add_str(json, "cluster", policy->cluster);
    tm_json_add_str(json, "vault", policy->vault);
    struct tm_json *topics = tm_json_add(json, "topics", tm_json_object());
    (void)tm_json_add(topics, "include", strings(policy->include, policy->include_count));
    (void)tm_json_add(topics, "exclude", strings(policy->exclude, policy->exclude_count));
    tm_json_add_str(json, "mode", policy->mode);
    tm_view_add_seconds(json, "flush_seconds", policy->flush_ms);
    add_if(json, "schedule", policy->schedule);
    add_if(json, "timezone", policy->timezone);
    tm_view_add_seconds(json, "jitter_seconds", policy->jitter_ms);
    tm_view_add_pause(json, policy);
    tm_view_add_seconds(json, "interval_seconds", policy->interval_ms);
    tm_view_add_seconds(json, "rpo_seconds", policy->rpo_ms);
    add_policy_state(json, policy);
    tm_view_add_time(json, "last_attempt_at", policy->last_attempt_ms);
    tm_json_add_str(json, "running_job", policy->running_job);
    tm_json_add_pairs(json, "labels", policy->labels, policy->label_count);
    return json;
}

struct tm_json *tm_view_status_row(const struct tm_status_row *row)
{
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "cluster", row->cluster);
    tm_json_add_str(json, "policy", row->policy);
    add_if(json, "topic", row->topic);
    tm_json_add_str(json, "state", row->state);
    if (row->exposure_ms >= 0) {
        tm_json_add_int(json, "exposure_seconds", row->exposure_ms / 1000);
    }
    if (row->behind_messages >= 0) {
        tm_json_add_int(json, "behind_messages", row->behind_messages);
    }
    tm_json_add_int(json, "coverage_gap_offsets", row->gap_offsets);
    if (row->headroom_ms >= 0) {
        tm_json_add_int(json, "retention_headroom_seconds", row->headroom_ms / 1000);
    }
    if (row->open_transaction_ms > 0) {
        tm_json_add_int(json, "open_transaction_seconds", row->open_transaction_ms / 1000);
    }
    if (row->of != NULL) {
        tm_view_add_seconds(json, "rpo_seconds", row->of->rpo_ms);
        add_policy_state(json, row->of);
    }
    return json;
}

/* Plans ------------------------------------------------------------------------------------ */

static struct tm_json *view_notes(const tm_job_notes *notes)
{
    struct tm_json *array = tm_json_array();
    for (size_t i = 0; i < notes->count; i++) {
        const struct tm_job_note *note = &notes->at[i];
        struct tm_json *json = tm_json_push(array, tm_json_object());
        tm_json_add_str(json, "code", note->code);
        tm_json_add_str(json, "detail", note->detail);
        tm_json_add_str(json, "topic", note->topic);
        if (note->partition >= 0) {
            tm_json_add_int(json, "partition", note->partition);
        }
    }
    return array;
}

static struct tm_json *view_plan_topic(
        const struct tm_restore_topic *topic, const struct tm_restore_request *request)
{
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "source", topic->source);
    tm_json_add_str(json, "target", topic->target);
    tm_json_add_bool(json, "exists", topic->exists);
    tm_json_add_int(json, "partitions_count", topic->target_partitions);
    tm_json_add_int(json, "messages_count", topic->messages);
    tm_json_add_int(json, "source_bytes", topic->bytes);
    tm_json_add_bool(json, "counts_exact", topic->exact);
    tm_json_add_int(json, "gap_offsets", topic->lost);
    struct tm_json *actions = tm_json_add(json, "actions", tm_json_array());
    bool creates = topic->recreate || (!topic->exists && request->create_topics != TM_CREATE_NEVER);
    if (topic->recreate) {
        tm_json_push_str(actions, "delete");
    } else if (topic->purge) {
        tm_json_push_str(actions, "purge");
    }
    if (creates) {
        tm_json_push_str(actions, "create");
    }
    tm_json_push_str(actions, topic->append ? "append" : "produce");
    if (request->retention == TM_RETENTION_HOLD_ALL ||
            (creates && request->retention == TM_RETENTION_HOLD)) {
        tm_json_push_str(actions, "hold-retention");
    }
    return json;
}

static void add_plan_groups(struct tm_json *json, const struct tm_restore_plan *plan)
{
    struct tm_json *groups = tm_json_add(json, "groups", tm_json_array());
    for (size_t i = 0; i < plan->groups.count; i++) {
        const struct tm_restore_group *group = &plan->groups.at[i];
        struct tm_json *row = tm_json_push(groups, tm_json_object());
        tm_json_add_str(row, "group", group->source);
        tm_json_add_str(row, "target", group->target);
        tm_json_add_int(row, "offsets_count", (int64_t)group->offset_count);
        tm_json_add_bool(row, "exists", group->exists);
    }
}

struct tm_json *tm_view_plan(
        const struct tm_restore_plan *plan, const struct tm_restore_request *request)
{
    char point[TM_ULID_NAME_MAX];
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "plan_digest", plan->digest);
    tm_json_add_str(json, "recovery_point", tm_ulid_format(&plan->point.row.ulid, "rp_", point));
    tm_view_add_time(json, "resolved_at", plan->point.row.time_ms);
    tm_restores_view_choice(json, plan, request);
    struct tm_json *topics = tm_json_add(json, "topics", tm_json_array());
    for (size_t i = 0; i < plan->topics.count; i++) {
        (void)tm_json_push(topics, view_plan_topic(&plan->topics.at[i], request));
    }
    tm_json_add_int(json, "messages_count", plan->messages);
    tm_json_add_int(json, "write_bytes", plan->bytes);
    if (request->groups.mode != TM_GROUPS_NONE) {
        add_plan_groups(json, plan);
    }
    (void)tm_json_add(json, "warnings", view_notes(&plan->warnings));
    (void)tm_json_add(json, "blocking", view_notes(&plan->blocking));
    return json;
}
