/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "tmd.h"

/* How a failure reads outside: one row a code, TM_OK for the rest. */
static const struct {
    enum tm_code code;
    const char *slug;
    const char *title;
    int status;
} problems[] = {
        {TM_E_KAFKA, "kafka-unreachable", "The Kafka cluster does not answer", 502},
        {TM_E_TIMEOUT, "kafka-unreachable", "The Kafka cluster does not answer in time", 502},
        {TM_E_FULL, "vault-full", "No space is left in the vault or the state directory", 507},
        {TM_E_IO, "vault-unreachable", "The vault or the state directory cannot be used", 502},
        {TM_E_UNKNOWN, "vault-unreachable", "The vault's answer was lost", 502},
        {TM_E_KEY, "wrong-key", "The key does not open the vault", 502},
        {TM_E_CORRUPT, "vault-damaged", "Stored bytes contradict their checksum or format", 502},
        {TM_E_DENIED, "access-denied", "The cluster or the vault refuses access", 502},
        {TM_E_CANCELLED, "cancelled", "The job was asked to stop", 409},
        {TM_E_CONFLICT, "conflict", "The state does not allow it", 409},
        {TM_E_EXISTS, "topic-exists", "The target exists", 409},
        {TM_E_MISSING, "not-found", "Something the job needs does not exist", 404},
        {TM_E_USAGE, "invalid-request", "The request cannot be carried out", 422},
        {TM_OK, "internal", "The job failed", 500},
};

static size_t row_of(enum tm_code code)
{
    size_t row = 0;
    while (problems[row].code != TM_OK && problems[row].code != code) {
        row++;
    }
    return row;
}

void tmd_problem_of(const struct tm_err *err, struct tm_problem *out)
{
    size_t row = row_of(err->code);
    *out = (struct tm_problem){.status = problems[row].status, .slug = problems[row].slug};
    (void)snprintf(out->detail, sizeof(out->detail), "%s", err->msg);
    out->retry_after_s = tm_code_retryable(err->code) ? 5 : 0;
}

char *tmd_error_text(const struct tm_err *err)
{
    size_t row = row_of(err->code);
    char type[64];
    (void)snprintf(type, sizeof(type), "/problems/%s", problems[row].slug);
    TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "type", type);
    tm_json_add_str(json, "title", problems[row].title);
    tm_json_add_int(json, "status", problems[row].status);
    tm_json_add_str(json, "detail", err->msg);
    tm_json_add_str(json, "code", tm_code_name(err->code));
    return tm_json_text(json);
}

static struct tm_json *notes_json(const tm_job_notes *notes)
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

char *tmd_notes_text(const tm_job_notes *notes)
{
    if (notes->count == 0) {
        return NULL;
    }
    TM_OWN(tm_json_free) struct tm_json *array = notes_json(notes);
    return tm_json_text(array);
}

char *tmd_backup_result_text(const struct tm_backup_result *result)
{
    TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
    char name[TM_ULID_NAME_MAX];
    if (result->has_point) {
        tm_json_add_str(json, "recovery_point", tm_ulid_format(&result->point, "rp_", name));
    }
    tm_json_add_bool(json, "unchanged", result->unchanged);
    tm_json_add_int(json, "topics_count", result->topics_count);
    tm_json_add_int(json, "partitions_count", result->partitions_count);
    tm_json_add_int(json, "messages_count", result->messages_count);
    tm_json_add_int(json, "source_bytes", result->source_bytes);
    tm_json_add_int(json, "stored_bytes", result->stored_bytes);
    tm_json_add_int(json, "gaps_count", result->gaps_count);
    if (result->failures.count > 0) {
        (void)tm_json_add(json, "failures", notes_json(&result->failures));
    }
    return tm_json_text(json);
}

char *tmd_restore_result_text(const struct tm_restore_result *result)
{
    TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
    tm_json_add_int(json, "topics_count", result->topics_count);
    tm_json_add_int(json, "partitions_count", result->partitions_count);
    tm_json_add_int(json, "messages_count", result->messages_count);
    tm_json_add_int(json, "written_messages_count", result->written_count);
    tm_json_add_int(json, "written_bytes", result->written_bytes);
    tm_json_add_str(json, "proof", result->proved ? "identical" : "failed");
    struct tm_json *topics = tm_json_add(json, "topics", tm_json_array());
    for (size_t i = 0; i < result->topics.count; i++) {
        const struct tm_restore_topic *line = &result->topics.at[i];
        struct tm_json *row = tm_json_push(topics, tm_json_object());
        tm_json_add_str(row, "source", line->source);
        tm_json_add_str(row, "target", line->target);
        tm_json_add_int(row, "partitions_count", line->partitions);
        tm_json_add_int(row, "messages_count", line->messages);
    }
    if (result->failures.count > 0) {
        (void)tm_json_add(json, "failures", notes_json(&result->failures));
    }
    return tm_json_text(json);
}
