/* SPDX-License-Identifier: Apache-2.0 */
#include "verify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/metrics.h"
#include "job/verify.h"

enum { CLUSTER_MS = 10 * 1000, FAULTS_SHOWN = 100 };

/* Clusters by their own id ------------------------------------------------------------------- */

/* What a repair reads again: the cluster of that id among those configured; NULL: none answers to it. */
static struct tm_kafka *find_cluster(void *arg, struct tm_slice cluster_id)
{
    const struct tmd_job *job = arg;
    const struct tm_config *config = job->tmd->config;
    struct tm_kafka *found = NULL;
    struct tm_arena arena = {0};
    for (size_t i = 0; found == NULL && i < config->cluster_count; i++) {
        struct tm_kafka *kafka = NULL;
        struct tm_slice id = TM_SLICE_NULL;
        struct tm_err err = {0};
        if (tmd_kafka(job->lease, &config->clusters[i], false, &kafka, &err) == TM_OK &&
                tm_kafka_cluster_id(kafka, CLUSTER_MS, &arena, &id, &err) == TM_OK &&
                tm_slice_eq(cluster_id, id)) {
            found = kafka;
        }
    }
    tm_arena_done(&arena);
    return found;
}

/* Verification -------------------------------------------------------------------------------- */

static void add_fault(struct tm_json *faults, const struct tm_verify_fault *fault)
{
    struct tm_json *json = tm_json_push(faults, tm_json_object());
    tm_json_add_str(json, "kind", fault->kind);
    tm_json_add_str(json, "object", fault->object);
    if (fault->block >= 0) {
        tm_json_add_int(json, "block", fault->block);
    }
    if (fault->topic != NULL) {
        tm_json_add_str(json, "cluster_id", fault->cluster_id);
        tm_json_add_str(json, "topic", fault->topic);
        tm_json_add_int(json, "incarnation", fault->incarnation);
    }
    if (fault->partition >= 0) {
        tm_json_add_int(json, "partition", fault->partition);
    }
    if (fault->first >= 0) {
        tm_json_add_int(json, "first_offset", fault->first);
        tm_json_add_int(json, "last_offset", fault->last);
    }
    tm_json_add_int(json, "recovery_points_count", fault->points_count);
    tm_json_add_str(json, "detail", fault->detail);
}

static void add_repair(struct tm_json *repairs, const struct tm_verify_repair *repair)
{
    struct tm_json *json = tm_json_push(repairs, tm_json_object());
    tm_json_add_str(json, "object", repair->object);
    tm_json_add_bool(json, "repaired", repair->repaired);
    tm_json_add_int(json, "kept_messages_count", repair->records_kept);
    tm_json_add_int(json, "read_again_messages_count", repair->records_read);
    tm_json_add_int(json, "lost_offsets_count", repair->offsets_lost);
    tm_json_add_str(json, "detail", repair->detail);
}

static void add_counts(struct tm_json *json, const struct tm_verify_result *result)
{
    tm_json_add_int(json, "packs_count", result->packs_count);
    tm_json_add_int(json, "blocks_count", result->blocks_count);
    tm_json_add_int(json, "messages_count", result->records_count);
    tm_json_add_int(json, "read_bytes", result->bytes_read);
    tm_json_add_int(json, "packs_left_count", result->packs_left);
    tm_json_add_int(json, "faults_count", result->faults_count);
    tm_json_add_int(json, "findings_count", result->faults_open);
}

static char *result_text(const struct tmd_job *job, const struct tm_verify_result *result)
{
    TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
    char name[TM_ULID_NAME_MAX];
    tm_json_add_str(json, "vault", job->vault->name);
    tm_json_add_str(json, "depth", tm_verify_depth_name((enum tm_verify_depth)job->task.depth));
    add_counts(json, result);
    struct tm_json *faults = tm_json_add(json, "faults", tm_json_array());
    for (size_t i = 0; i < result->faults.count && i < FAULTS_SHOWN; i++) {
        add_fault(faults, &result->faults.at[i]);
    }
    struct tm_json *points = tm_json_add(json, "damaged_recovery_points", tm_json_array());
    for (size_t i = 0; i < result->points.count && i < FAULTS_SHOWN; i++) {
        tm_json_push_str(points, tm_ulid_format(&result->points.at[i], "rp_", name));
    }
    struct tm_json *repairs = tm_json_add(json, "repairs", tm_json_array());
    for (size_t i = 0; i < result->repairs.count && i < FAULTS_SHOWN; i++) {
        add_repair(repairs, &result->repairs.at[i]);
    }
    return tm_json_text(json);
}

static enum tm_code verify(struct tmd_job *job, struct tm_verify_result *result, struct tm_err *err)
{
    const struct tm_vault_request *task = &job->task;
    TM_OWN(tm_catalog_close) struct tm_catalog *catalog = NULL;
    struct tm_id16 point;
    struct tm_verify_options options = {
            .name = job->vault->name,
            .depth = (enum tm_verify_depth)task->depth,
            .sample_ratio = task->sample_ratio,
            .scrub_budget_bytes = (uint64_t)task->budget_bytes,
            .repair = task->repair,
            .kafka = find_cluster,
            .kafka_arg = job,
            .level = job->vault->compression_level,
    };
    if (task->point != NULL && !tm_ulid_parse(task->point, "rp_", &point)) {
        return tm_err_set(err, TM_E_USAGE, "\"%s\" is not a recovery point", task->point);
    }
    options.point = task->point != NULL ? &point : NULL;
    TM_TRY(tmd_vault(job->lease, job->vault, &options.vault, err));
    TM_TRY(tmd_catalog(job->tmd, job->vault, &catalog, err));
    options.catalog = catalog;
    struct tm_job_env env = tmd_run_env(job);
    return tm_verify_run(&options, &env, result, err);
}

/* Damage is the job's failure, unless it was put right. */
static void judge(struct tmd_job *job, const struct tm_verify_result *result)
{
    bool whole = result->faults_count == 0 || (job->task.repair && result->faults_open == 0);
    if (!whole) {
        struct tm_err err = {0};
        (void)tm_err_set(&err, TM_E_CORRUPT,
                "%" PRId64 " faults found, %zu recovery points are damaged; the result lists them",
                result->faults_count, result->points.count);
        tmd_run_failed(job, &err);
    } else {
        job->outcome->state = TM_JOB_SUCCEEDED;
    }
    /* One point's packs are not the vault's. */
    job->outcome->verified =
            job->task.point == NULL && result->faults_count == 0 && result->packs_left == 0;
    job->outcome->result = tmd_run_keep(job, result_text(job, result));
}

void tmd_run_verify(struct tmd_job *job)
{
    struct tm_verify_result result = {0};
    struct tm_err err = {0};
    if (verify(job, &result, &err) != TM_OK) {
        tmd_run_failed(job, &err);
    } else {
        judge(job, &result);
    }
    job->outcome->warnings = tmd_run_keep(job, tmd_notes_text(&result.warnings));
    tmd_run_log(job, "verify.ended", err.code != TM_OK ? err.msg : NULL);
    tm_verify_result_done(&result);
}

/* The catalog made anew ----------------------------------------------------------------------- */

static enum tm_code import(struct tmd_job *job, struct tm_fold_state *out, struct tm_err *err)
{
    TM_OWN(tm_catalog_close) struct tm_catalog *catalog = NULL;
    struct tm_vault *vault = NULL;
    struct tm_fold_state before;
    TM_TRY(tmd_vault(job->lease, job->vault, &vault, err));
    TM_TRY(tmd_catalog(job->tmd, job->vault, &catalog, err));
    struct tm_fold fold = tm_catalog_fold(catalog);
    TM_TRY(tm_vault_refresh(vault, &fold, err)); /* a log that was rolled back is refused here */
    TM_TRY(fold.ops->state(fold.self, &before, err));
    atomic_store(&job->progress.phase, TM_PHASE_IMPORTING);
    TM_TRY(fold.ops->reset(fold.self, err));
    TM_TRY(tm_vault_refresh(vault, &fold, err));
    TM_TRY(fold.ops->state(fold.self, out, err));
    if (out->empty || out->head.seq < before.head.seq) {
        return tm_err_set(err, TM_E_CORRUPT,
                "the log ends before entry %" PRIu64 ", which the catalog had seen",
                before.head.seq);
    }
    return TM_OK;
}

void tmd_run_import(struct tmd_job *job)
{
    struct tm_fold_state state = {0};
    struct tm_err err = {0};
    if (import(job, &state, &err) != TM_OK) {
        tmd_run_failed(job, &err);
    } else {
        TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
        tm_json_add_str(json, "vault", job->vault->name);
        tm_json_add_int(json, "log_entries_count", (int64_t)(state.head.seq - state.full_seq + 1));
        tm_json_add_int(json, "head_sequence", (int64_t)state.head.seq);
        job->outcome->state = TM_JOB_SUCCEEDED;
        job->outcome->result = tmd_run_keep(job, tm_json_text(json));
    }
    tmd_run_log(job, "import.ended", err.code != TM_OK ? err.msg : NULL);
}
