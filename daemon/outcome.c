/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "job/report.h"
#include "tmd.h"

/* How a failure reads outside: one row a code, TM_OK for the rest. */
static const struct {
    enum tm_code code;
    int status;
    const char *slug;
    const char *title;
} problems[] = {
        {TM_E_KAFKA, 502, "kafka-unreachable", "The Kafka cluster does not answer"},
        {TM_E_TIMEOUT, 502, "kafka-unreachable", "The Kafka cluster does not answer in time"},
        {TM_E_FULL, 507, "vault-full", "No space is left in the vault or the state directory"},
        {TM_E_IO, 502, "vault-unreachable", "The vault or the state directory cannot be used"},
        {TM_E_UNKNOWN, 502, "vault-unreachable", "The vault's answer was lost"},
        {TM_E_KEY, 502, "wrong-key", "The key does not open the vault, or cannot read it"},
        {TM_E_ROLLED_BACK, 502, "vault-rolled-back",
                "The vault's log is older than the one seen before, or another"},
        {TM_E_CORRUPT, 502, "vault-damaged", "Stored bytes contradict their checksum or format"},
        {TM_E_DENIED, 502, "access-denied", "The cluster or the vault refuses access"},
        {TM_E_CANCELLED, 409, "cancelled", "The job was asked to stop"},
        {TM_E_CONFLICT, 409, "conflict", "The state does not allow it"},
        {TM_E_EXISTS, 409, "topic-exists", "The target exists"},
        {TM_E_MISSING, 404, "not-found", "Something the job needs does not exist"},
        {TM_E_USAGE, 422, "invalid-request", "The request cannot be carried out"},
        {TM_OK, 500, "internal", "The job failed"},
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

static char *problem_text(const char *slug, const char *title, int status, const struct tm_err *err)
{
    char type[64];
    (void)snprintf(type, sizeof(type), "/problems/%s", slug);
    TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "type", type);
    tm_json_add_str(json, "title", title);
    tm_json_add_int(json, "status", status);
    tm_json_add_str(json, "detail", err->msg);
    tm_json_add_str(json, "code", tm_code_name(err->code));
    return tm_json_text(json);
}

char *tmd_error_text(const struct tm_err *err)
{
    size_t row = row_of(err->code);
    return problem_text(problems[row].slug, problems[row].title, problems[row].status, err);
}

char *tmd_interrupted_text(const struct tm_err *err)
{
    return problem_text("interrupted", "The job was interrupted", 409, err);
}

char *tmd_notes_text(const tm_job_notes *notes)
{
    if (notes->count == 0) {
        return NULL;
    }
    TM_OWN(tm_json_free) struct tm_json *array = tm_report_notes(notes);
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
    tm_json_add_int(json, "deduplicated_bytes", result->deduplicated_bytes);
    tm_json_add_int(json, "gaps_count", result->gaps_count);
    if (result->throttled_ms > 0) {
        tm_json_add_real(json, "throttled_seconds", (double)result->throttled_ms / 1000);
    }
    if (result->failures.count > 0) {
        (void)tm_json_add(json, "failures", tm_report_notes(&result->failures));
    }
    return tm_json_text(json);
}

char *tmd_restore_result_text(
        const struct tm_restore_options *options, const struct tm_restore_result *result)
{
    TM_OWN(tm_json_free) struct tm_json *json = tm_report_restore(options, result);
    return tm_json_text(json);
}
