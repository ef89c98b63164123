/* SPDX-License-Identifier: Apache-2.0 */
#include "job/verify.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/metrics.h"
#include "job/repair.h"
#include "job/verify_run.h"

const char *tm_verify_depth_name(enum tm_verify_depth depth)
{
    static const char *const names[] = {
            [TM_VERIFY_CATALOG] = "catalog",
            [TM_VERIFY_SCRUB] = "scrub",
            [TM_VERIFY_SAMPLE] = "sample",
            [TM_VERIFY_FULL] = "full",
    };
    tm_assert((size_t)depth < sizeof(names) / sizeof(names[0]));
    return names[depth];
}

void tm_verify_result_done(struct tm_verify_result *result)
{
    tm_vec_done(&result->faults);
    tm_vec_done(&result->points);
    tm_vec_done(&result->repairs);
    tm_vec_done(&result->warnings);
    tm_arena_done(&result->arena);
}

bool tm_verify_is_fault(enum tm_code code)
{
    return code == TM_E_MISSING || code == TM_E_CORRUPT || code == TM_E_VERSION ||
           code == TM_E_LIMIT || code == TM_E_UNSUPPORTED;
}

/* Streams ---------------------------------------------------------------------------------- */

static int by_id(const void *key, const void *element)
{
    const uint32_t *id = key;
    const struct tm_stream *stream = element;
    return (*id > stream->id) - (*id < stream->id);
}

const struct tm_stream *tm_verify_stream(const struct verify_run *run, uint32_t id)
{
    if (run->stream_count == 0) {
        return NULL;
    }
    return bsearch(&id, run->streams, run->stream_count, sizeof(*run->streams), by_id);
}

uint32_t tm_verify_stream_id(const struct verify_run *run, const struct tm_pack_stream *stream)
{
    for (size_t i = 0; i < run->stream_count; i++) {
        const struct tm_stream *at = &run->streams[i];
        if (at->incarnation == stream->incarnation &&
                tm_slice_eq(at->cluster_id, stream->cluster_id) &&
                tm_slice_eq(at->topic, stream->topic)) {
            return at->id;
        }
    }
    return 0;
}

/* Faults ----------------------------------------------------------------------------------- */

static void log_fault(const struct verify_run *run, const struct tm_verify_fault *fault)
{
    tm_log(TM_LOG_ERROR, "verify.fault", fault->detail, TM_LOG_STR("job", run->env->job_id),
            TM_LOG_STR("vault", run->options->name), TM_LOG_STR("kind", fault->kind),
            TM_LOG_STR("object", fault->object), TM_LOG_INT("block", fault->block),
            TM_LOG_STR("cluster_id", fault->cluster_id), TM_LOG_STR("topic", fault->topic),
            TM_LOG_INT("incarnation", fault->incarnation),
            TM_LOG_INT("partition", fault->partition), TM_LOG_INT("first_offset", fault->first),
            TM_LOG_INT("last_offset", fault->last), TM_LOG_INT("points", fault->points_count),
            TM_LOG_END);
}

enum tm_code tm_verify_note(struct verify_run *run, const char *kind, const char *object,
        int64_t block, const struct tm_run *at, const char *detail, struct tm_err *err)
{
    struct tm_verify_result *result = run->result;
    if (run->options->name != NULL) {
        tm_metric_add(TM_M_VERIFY_FAULTS, TM_LABELS(run->options->name, kind), 1);
    }
    result->faults_count++;
    if (result->faults.count >= TM_VERIFY_FAULTS_MAX) {
        return TM_OK;
    }
    struct tm_verify_fault fault = {
            .kind = kind,
            .object = tm_arena_strdup(run->arena, object),
            .block = block,
            .partition = -1,
            .first = -1,
            .last = -1,
            .detail = tm_arena_strdup(run->arena, detail),
    };
    if (at != NULL) {
        const struct tm_stream *stream = tm_verify_stream(run, at->stream);
        fault.cluster_id = stream != NULL ? tm_arena_str(run->arena, stream->cluster_id) : NULL;
        fault.topic = stream != NULL ? tm_arena_str(run->arena, stream->topic) : NULL;
        fault.incarnation = stream != NULL ? stream->incarnation : 0;
        fault.partition = at->partition;
        fault.first = at->first;
        fault.last = at->first + at->length - 1;
        TM_TRY(tm_findings_points_of(run->options->catalog, at->stream, at->partition, at->first,
                at->first + at->length, &fault.points_count, err));
    }
    *tm_vec_push(&result->faults) = fault;
    log_fault(run, &fault);
    return TM_OK;
}

/* The run ---------------------------------------------------------------------------------- */

static enum tm_code check_options(const struct tm_verify_options *options, struct tm_err *err)
{
    bool reads = options->depth == TM_VERIFY_SAMPLE || options->depth == TM_VERIFY_FULL;
    if (options->vault == NULL && options->depth != TM_VERIFY_SCRUB) {
        return tm_err_set(err, TM_E_KEY, "verify: depth %s needs a key; depth scrub needs none",
                tm_verify_depth_name(options->depth));
    }
    if (reads && !tm_ring_can_read(tm_vault_ring(options->vault))) {
        return tm_err_set(err, TM_E_KEY,
                "verify: depth %s reads records, and the key opens a writer's ring that cannot; "
                "hint: depth catalog or scrub, or the key of a full slot",
                tm_verify_depth_name(options->depth));
    }
    if (options->depth == TM_VERIFY_SCRUB && options->point != NULL) {
        return tm_err_set(err, TM_E_USAGE, "verify: a scrub is of a vault, not of a point");
    }
    if (options->depth == TM_VERIFY_SAMPLE &&
            !(options->sample_ratio > 0 && options->sample_ratio <= 1)) {
        return tm_err_set(err, TM_E_USAGE, "verify: a sample's ratio is above 0 and at most 1");
    }
    return TM_OK;
}

static enum tm_code begin(struct verify_run *run, struct tm_err *err)
{
    const struct tm_verify_options *options = run->options;
    run->store = options->vault != NULL ? tm_vault_store(options->vault) : options->store;
    if (options->vault == NULL) {
        return TM_OK;
    }
    struct tm_fold fold = tm_catalog_fold(options->catalog);
    TM_TRY(tm_vault_refresh(options->vault, &fold, err));
    TM_TRY(tm_findings_tidy(options->catalog, err));
    return tm_catalog_streams(options->catalog, run->arena, &run->streams, &run->stream_count, err);
}

static enum tm_code look(struct verify_run *run, struct tm_err *err)
{
    switch (run->options->depth) {
    case TM_VERIFY_CATALOG:
        return tm_verify_catalog(run, err);
    case TM_VERIFY_SCRUB:
        return tm_verify_scrub(run, err);
    case TM_VERIFY_SAMPLE:
    case TM_VERIFY_FULL:
        return tm_verify_blocks(run, err);
    }
    return TM_OK;
}

/* Every damaged pack, whoever found it. */
static enum tm_code repair(struct verify_run *run, struct tm_err *err)
{
    const struct tm_verify_options *options = run->options;
    if (!options->repair || options->vault == NULL) {
        return TM_OK;
    }
    atomic_store(&run->env->progress->phase, TM_PHASE_REPAIRING);
    struct tm_repair_options repair = {
            .vault = options->vault,
            .catalog = options->catalog,
            .kafka = options->kafka,
            .kafka_arg = options->kafka_arg,
            .give_up = true,
            .level = options->level,
    };
    return tm_repair_run(&repair, run->env, &run->result->repairs, run->arena, err);
}

static enum tm_code finish(struct verify_run *run, struct tm_err *err)
{
    struct tm_verify_result *result = run->result;
    struct tm_catalog *catalog = run->options->catalog;
    if (catalog == NULL) {
        result->faults_open = result->faults_count;
        return TM_OK;
    }
    struct tm_id16 *points = NULL;
    size_t count = 0;
    TM_TRY(tm_findings_count(catalog, &result->faults_open, err));
    TM_TRY(tm_findings_points(catalog, run->arena, &points, &count, err));
    for (size_t i = 0; i < count; i++) {
        *tm_vec_push(&result->points) = points[i];
    }
    return TM_OK;
}

enum tm_code tm_verify_run(const struct tm_verify_options *options, struct tm_job_env *env,
        struct tm_verify_result *out, struct tm_err *err)
{
    struct verify_run run = {.options = options, .env = env, .result = out, .arena = &out->arena};
    TM_TRY(check_options(options, err));
    atomic_store(&env->progress->phase, TM_PHASE_PLANNING);
    enum tm_code code = begin(&run, err);
    if (code == TM_OK) {
        atomic_store(&env->progress->phase, TM_PHASE_CHECKING);
        code = look(&run, err);
    }
    if (code == TM_OK) {
        code = repair(&run, err);
    }
    if (code == TM_OK) {
        code = finish(&run, err);
    }
    atomic_store(&env->progress->phase, TM_PHASE_DONE);
    return code;
}
