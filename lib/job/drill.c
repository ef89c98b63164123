/* SPDX-License-Identifier: Apache-2.0 */
#include "job/drill.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/ulid.h"
#include "job/report.h"
#include "kafka/removal.h"

enum { DELETE_MS = 60 * 1000, DELETE_TRIES = 5, DELETE_WAIT_MS = 2000, REQUEST_MS = 30 * 1000 };

/* In the journal's list of target topics: no topic has this name. Its text is what the drill found. */
static const char found_mark[] = "(drill)";

struct drill {
    const struct tm_drill_options *options;
    struct tm_job_env *env;
    struct tm_drill_result *result;
    struct tm_restore_options restore; /* with the choice */
    struct tm_choice choice;
    struct tm_restore_result restored;
    struct tm_json *checks;
    int64_t expected; /* messages, of the plan; -1: not known */
    bool exact;
};

void tm_drill_result_done(struct tm_drill_result *result)
{
    free(result->report);
    tm_vec_done(&result->warnings);
    tm_arena_done(&result->arena);
}

static struct tm_json *add_check(struct drill *drill, const char *name, bool passed)
{
    struct tm_json *check = tm_json_push(drill->checks, tm_json_object());
    tm_json_add_str(check, "name", name);
    tm_json_add_str(check, "result", passed ? "passed" : "failed");
    return check;
}

/* Before ------------------------------------------------------------------------------------- */

static enum tm_code check_source(struct drill *drill, struct tm_err *err)
{
    const struct tm_restore_options *restore = &drill->restore;
    struct tm_arena arena = {0};
    struct tm_point point = {0};
    struct tm_slice id = TM_SLICE_NULL;
    enum tm_code code = tm_catalog_point(restore->catalog, &restore->point, &arena, &point, err);
    if (code == TM_OK) {
        code = tm_kafka_cluster_id(restore->kafka, REQUEST_MS, &arena, &id, err);
    }
    if (code == TM_OK && point.row.id != 0 && tm_slice_eq(id, point.row.cluster_id) &&
            (!drill->options->allow_source || restore->prefix == NULL ||
                    restore->prefix[0] == '\0')) {
        code = tm_err_set(err, TM_E_CONFLICT,
                "%s is the cluster that was backed up; a drill into it needs a topic prefix and "
                "allow_source",
                restore->target);
    }
    tm_arena_done(&arena);
    return code;
}

/* How many records of each partition, if all of them are too many bytes. */
static int64_t newest_of(const struct tm_restore_plan *plan, int64_t max_bytes)
{
    int64_t parts = 0;
    for (size_t t = 0; t < plan->topics.count; t++) {
        parts += plan->topics.at[t].messages > 0 ? plan->topics.at[t].partitions : 0;
    }
    int64_t record_bytes = plan->messages > 0 ? plan->bytes / plan->messages + 1 : 1;
    int64_t newest = max_bytes / record_bytes / (parts > 0 ? parts : 1);
    return newest > 0 ? newest : 1;
}

static enum tm_code limit(struct drill *drill, struct tm_err *err)
{
    struct tm_restore_plan plan = {0};
    enum tm_code code = tm_restore_plan(&drill->restore, drill->env, &plan, err);
    if (code == TM_OK && drill->options->max_bytes > 0 && plan.bytes > drill->options->max_bytes) {
        drill->choice.newest = newest_of(&plan, drill->options->max_bytes);
        drill->restore.choice = &drill->choice;
    }
    if (code == TM_OK) {
        drill->expected = drill->choice.newest > 0 ? -1 : plan.messages;
        drill->exact = plan.exact;
    }
    tm_restore_plan_done(&plan);
    return code;
}

/* What was found ----------------------------------------------------------------------------- */

static void add_content_checks(struct drill *drill)
{
    const struct tm_restore_result *restored = &drill->restored;
    bool known = drill->expected >= 0 && drill->exact;
    bool equal = !known || restored->messages_count == drill->expected;
    struct tm_json *count = add_check(drill, "message-count", equal && restored->proved);
    if (known) {
        tm_json_add_int(count, "expected", drill->expected);
    }
    tm_json_add_int(count, "actual", restored->messages_count);
    struct tm_json *content = add_check(drill, "content-digest", restored->proved);
    tm_json_add_int(content, "partitions_count", restored->partitions_count);
    if (restored->failures.count > 0) {
        tm_json_add_str(content, "detail", restored->failures.at[0].detail);
    }
    drill->result->passed = restored->proved && equal;
}

static void keep_warnings(struct drill *drill)
{
    for (size_t i = 0; i < drill->restored.warnings.count; i++) {
        const struct tm_job_note *note = &drill->restored.warnings.at[i];
        tm_job_note_add(&drill->result->warnings, &drill->result->arena, note->code, note->topic,
                note->partition, note->detail);
    }
}

/* The report, as far as it is known before the topics go. */
static struct tm_json *make_report(struct drill *drill, const struct tm_err *failure)
{
    char name[TM_ULID_NAME_MAX];
    struct tm_json *json = NULL;
    if (failure == NULL) {
        json = tm_report_restore(&drill->restore, &drill->restored);
        add_content_checks(drill);
    } else {
        json = tm_json_object();
        tm_json_add_str(json, "recovery_point", tm_ulid_format(&drill->restore.point, "rp_", name));
        tm_json_add_str(json, "target_cluster", drill->restore.target);
        tm_json_add_str(add_check(drill, "restore", false), "detail", failure->msg);
    }
    tm_json_add_str(json, "policy", drill->options->policy);
    tm_json_add_str(json, "result", drill->result->passed ? "passed" : "failed");
    if (drill->result->duration_ms > 0) {
        tm_json_add_real(json, "duration_seconds", (double)drill->result->duration_ms / 1000);
    }
    if (drill->choice.newest > 0) {
        tm_json_add_int(json, "max_bytes", drill->options->max_bytes);
        tm_json_add_int(json, "newest_per_partition", drill->choice.newest);
    }
    return json;
}

/* Cleaning up --------------------------------------------------------------------------------- */

static enum tm_code remove_topic(struct drill *drill, const char *topic, struct tm_err *err)
{
    enum tm_code code = TM_OK;
    for (int tries = 0; tries < DELETE_TRIES; tries++) {
        *err = (struct tm_err){0};
        code = tm_kafka_delete_topic(drill->restore.kafka, topic, DELETE_MS, err);
        if (code == TM_OK || !tm_code_retryable(code)) {
            break;
        }
        tm_sleep_ms(DELETE_WAIT_MS);
    }
    return code;
}

/* Every topic that the journal has as made by this job. What stays is a warning, and a failed check. */
static enum tm_code clean(struct drill *drill, bool *all, struct tm_err *err)
{
    struct tm_arena arena = {0};
    struct tm_restore_target *targets = NULL;
    size_t count = 0;
    size_t removed = 0;
    size_t made = 0;
    enum tm_code code = tm_journal_targets(
            drill->restore.journal, &drill->restore.job, &arena, &targets, &count, err);
    for (size_t i = 0; code == TM_OK && i < count; i++) {
        struct tm_err failure = {0};
        if (!targets[i].created) {
            continue;
        }
        made++;
        if (remove_topic(drill, targets[i].topic, &failure) == TM_OK) {
            removed++;
            TM_FAULT("job.drill.removed");
        } else {
            tm_job_note_add(&drill->result->warnings, &drill->result->arena, "topic-stays",
                    targets[i].topic, -1, failure.msg);
        }
    }
    if (code == TM_OK) {
        *all = removed == made;
        tm_json_add_int(add_check(drill, "cleanup", *all), "topics_count", (int64_t)removed);
    }
    tm_arena_done(&arena);
    return code;
}

/* The run ------------------------------------------------------------------------------------- */

/* Two lines: the checks so far, and the report without them. */
static enum tm_code put_found(struct drill *drill, const char *report, struct tm_err *err)
{
    TM_BUF_OWN struct tm_buf text = {0};
    char *checks = tm_json_text(drill->checks);
    tm_buf_add_fmt(&text, "%s\n%s", checks, report);
    free(checks);
    struct tm_restore_target row = {
            .topic = found_mark, .configured = true, .configs = tm_buf_text(&text)};
    return tm_journal_put_target(drill->restore.journal, &drill->restore.job, &row, err);
}

/* A drill that was killed while it cleaned up: what it had found. NULL: it had not come so far. */
static enum tm_code get_found(
        struct drill *drill, struct tm_arena *arena, const char **out, struct tm_err *err)
{
    struct tm_restore_target *targets = NULL;
    size_t count = 0;
    TM_TRY(tm_journal_targets(
            drill->restore.journal, &drill->restore.job, arena, &targets, &count, err));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(targets[i].topic, found_mark) == 0) {
            *out = targets[i].configs;
        }
    }
    return TM_OK;
}

/* The report's text, with the checks as its last member. */
static char *finish_text(const char *found, const struct tm_json *checks)
{
    struct tm_buf text = {0};
    char *list = tm_json_text(checks);
    size_t len = strlen(found);
    tm_buf_add(&text, found, len - 1); /* without its brace */
    tm_buf_add_fmt(&text, ",\"checks\":%s}", list);
    free(list);
    return tm_buf_take_text(&text);
}

static enum tm_code verdict(const struct drill *drill, struct tm_err *err)
{
    const tm_job_notes *failures = &drill->restored.failures;
    if (drill->result->passed) {
        return TM_OK;
    }
    return tm_err_set(err, TM_E_CORRUPT, "the drill has failed: %s",
            failures->count > 0 ? failures->at[0].detail
                                : "what was restored is not what was stored");
}

static enum tm_code run_restore(struct drill *drill, struct tm_err *err)
{
    int64_t started_ns = tm_mono_ns();
    TM_TRY(check_source(drill, err));
    TM_TRY(limit(drill, err));
    TM_TRY(tm_restore_run(&drill->restore, drill->env, &drill->restored, err));
    drill->result->duration_ms = (tm_mono_ns() - started_ns) / 1000000 + 1;
    return TM_OK;
}

/* Restored, or not: what was found into the journal, then the topics go. */
static enum tm_code conclude(struct drill *drill, const struct tm_err *failure, struct tm_err *err)
{
    bool all = true;
    TM_OWN(tm_json_free) struct tm_json *report = make_report(drill, failure);
    keep_warnings(drill);
    drill->result->written_messages = drill->restored.written_count;
    drill->result->written_bytes = drill->restored.written_bytes;
    char *text = tm_json_text(report);
    enum tm_code code = put_found(drill, text, err);
    TM_FAULT("job.drill.found");
    if (code == TM_OK && drill->options->cleanup) {
        code = clean(drill, &all, err);
    }
    drill->result->report = finish_text(text, drill->checks);
    free(text);
    return code;
}

static void read_checks(struct drill *drill, const struct tm_json_value *checks)
{
    for (const struct tm_json_value *at = checks->first; at != NULL; at = at->next) {
        const struct tm_json_value *name = tm_json_get(at, "name");
        const struct tm_json_value *result = tm_json_get(at, "result");
        if (name != NULL && result != NULL && name->kind == TM_JSON_STRING &&
                result->kind == TM_JSON_STRING) {
            bool passed = strcmp(result->string, "passed") == 0;
            (void)add_check(drill, name->string, passed);
            drill->result->passed = drill->result->passed && passed;
        }
    }
}

/* Taken up again while it cleaned up: the rest of that, and the report it had made. */
static enum tm_code go_on(struct drill *drill, const char *found, struct tm_err *err)
{
    bool all = true;
    struct tm_arena arena = {0};
    const struct tm_json_value *checks = NULL;
    size_t len = strcspn(found, "\n");
    enum tm_code code = found[len] != '\0'
                                ? tm_json_read(tm_slice_of(found, len), &arena, &checks, NULL, err)
                                : tm_err_set(err, TM_E_CORRUPT, "the journal's drill is damaged");
    if (code == TM_OK) {
        drill->result->passed = true;
        read_checks(drill, checks);
    }
    if (code == TM_OK && drill->options->cleanup) {
        code = clean(drill, &all, err);
    }
    if (code == TM_OK) {
        drill->result->report = finish_text(found + len + 1, drill->checks);
    }
    tm_arena_done(&arena);
    return code;
}

static enum tm_code run(struct drill *drill, struct tm_arena *arena, struct tm_err *err)
{
    const char *found = NULL;
    TM_TRY(get_found(drill, arena, &found, err));
    if (found != NULL) {
        TM_TRY(go_on(drill, found, err));
        return verdict(drill, err);
    }
    struct tm_err failure = {0};
    enum tm_code code = run_restore(drill, &failure);
    bool stays = code == TM_E_CANCELLED && drill->options->keep != NULL &&
                 drill->options->keep(drill->options->keep_arg);
    if (stays) {
        *err = failure;
        return code;
    }
    TM_TRY(conclude(drill, code == TM_OK ? NULL : &failure, err));
    if (code != TM_OK) {
        *err = failure;
        return code;
    }
    return verdict(drill, err);
}

enum tm_code tm_drill_run(const struct tm_drill_options *options, struct tm_job_env *env,
        struct tm_drill_result *out, struct tm_err *err)
{
    struct tm_arena arena = {0};
    struct drill drill = {.options = options,
            .env = env,
            .result = out,
            .restore = options->restore,
            .checks = tm_json_array(),
            .expected = -1};
    enum tm_code code = run(&drill, &arena, err);
    tm_json_free(drill.checks);
    tm_restore_result_done(&drill.restored);
    tm_arena_done(&arena);
    return code;
}
