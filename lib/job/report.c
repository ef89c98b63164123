/* SPDX-License-Identifier: Apache-2.0 */
#include "job/report.h"

#include "base/ulid.h"
#include "job/holds_json.h"

struct tm_json *tm_report_notes(const tm_job_notes *notes)
{
    struct tm_json *array = tm_json_array();
    for (size_t i = 0; i < notes->count; i++) {
        const struct tm_job_note *note = &notes->at[i];
        struct tm_json *row = tm_json_push(array, tm_json_object());
        tm_json_add_str(row, "code", note->code);
        tm_json_add_str(row, "detail", note->detail);
        tm_json_add_str(row, "topic", note->topic);
        if (note->partition >= 0) {
            tm_json_add_int(row, "partition", note->partition);
        }
    }
    return array;
}

static void add_topic(struct tm_json *topics, const struct tm_restore_topic *line)
{
    struct tm_json *row = tm_json_push(topics, tm_json_object());
    tm_json_add_str(row, "source", line->source);
    tm_json_add_str(row, "target", line->target);
    tm_json_add_int(row, "partitions_count", line->target_partitions);
    tm_json_add_int(row, "messages_count", line->messages);
    tm_json_add_int(row, "source_bytes", line->bytes);
}

/* Those that say how it was done; what is the default of the API is there too. */
static void add_options(struct tm_json *json, const struct tm_restore_options *options)
{
    struct tm_json *out = tm_json_add(json, "options", tm_json_object());
    tm_json_add_str(out, "prefix", options->prefix);
    tm_json_add_str(out, "suffix", options->suffix);
    if (options->rename_count > 0) {
        struct tm_json *renames = tm_json_add(out, "rename", tm_json_object());
        for (size_t i = 0; i < options->rename_count; i++) {
            tm_json_add_str(renames, options->renames[i].from, options->renames[i].to);
        }
    }
    tm_json_add_str(out, "topic_configs", options->original_configs ? "original" : "broker");
    tm_json_add_str(out, "retention",
            options->retention == TM_RETENTION_HOLD       ? "hold"
            : options->retention == TM_RETENTION_HOLD_ALL ? "hold_all"
                                                          : "original");
    tm_json_add_str(out, "on_gap", options->continue_on_gap ? "continue" : "fail");
    if (options->replication_factor > 0) {
        tm_json_add_int(out, "replication_factor", options->replication_factor);
    }
}

struct tm_json *tm_report_restore(
        const struct tm_restore_options *options, const struct tm_restore_result *result)
{
    char name[TM_ULID_NAME_MAX];
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "recovery_point", tm_ulid_format(&options->point, "rp_", name));
    tm_json_add_str(json, "target_cluster", options->target);
    tm_json_add_int(json, "topics_count", result->topics_count);
    tm_json_add_int(json, "partitions_count", result->partitions_count);
    tm_json_add_int(json, "messages_count", result->messages_count);
    tm_json_add_int(json, "written_messages_count", result->written_count);
    tm_json_add_int(json, "written_bytes", result->written_bytes);
    tm_json_add_str(json, "proof", result->proved ? "identical" : "failed");
    struct tm_json *topics = tm_json_add(json, "topics", tm_json_array());
    for (size_t i = 0; i < result->topics.count; i++) {
        add_topic(topics, &result->topics.at[i]);
    }
    add_options(json, options);
    if (result->holds.count > 0) {
        (void)tm_json_add(json, "held", tm_holds_json(result->holds.at, result->holds.count));
    }
    tm_json_add_raw(json, "consumer_groups", result->groups);
    if (result->failures.count > 0) {
        (void)tm_json_add(json, "failures", tm_report_notes(&result->failures));
    }
    return json;
}

struct tm_json *tm_report_plan(const struct tm_restore_plan *plan)
{
    char name[TM_ULID_NAME_MAX];
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "plan_digest", plan->digest);
    tm_json_add_str(json, "recovery_point", tm_ulid_format(&plan->point.row.ulid, "rp_", name));
    tm_json_add_time(json, "resolved_at", plan->point.row.time_ms);
    struct tm_json *topics = tm_json_add(json, "topics", tm_json_array());
    for (size_t i = 0; i < plan->topics.count; i++) {
        add_topic(topics, &plan->topics.at[i]);
    }
    tm_json_add_int(json, "messages_count", plan->messages);
    tm_json_add_int(json, "write_bytes", plan->bytes);
    (void)tm_json_add(json, "warnings", tm_report_notes(&plan->warnings));
    (void)tm_json_add(json, "blocking", tm_report_notes(&plan->blocking));
    return json;
}
