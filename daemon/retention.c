/* SPDX-License-Identifier: Apache-2.0 */
#include "retention.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "job/retention.h"

/* What a plan and a run work with. */
struct setup {
    struct tm_catalog *catalog;
    struct tm_retention_policy *policies;
    struct tm_retention_options options;
    struct tmd_lease *lease;
};

static void setup_done(struct setup *setup)
{
    tm_catalog_close(setup->catalog);
    tmd_lease_free(setup->lease);
    free(setup->policies);
}

static bool is_asked(const struct tm_vault_request *request, const char *policy)
{
    bool asked = request->policy_count == 0;
    for (size_t i = 0; !asked && i < request->policy_count; i++) {
        asked = strcmp(request->policies[i], policy) == 0;
    }
    return asked;
}

static size_t take_policies(const struct tm_config *config, const struct tm_config_vault *vault,
        const struct tm_vault_request *request, struct tm_retention_policy *out)
{
    size_t count = 0;
    for (size_t i = 0; i < config->policy_count; i++) {
        const struct tm_config_policy *policy = &config->policies[i];
        if (strcmp(policy->vault->name, vault->name) != 0 || !is_asked(request, policy->name)) {
            continue;
        }
        out[count++] = (struct tm_retention_policy){
                .policy = policy->name,
                .cluster = policy->cluster->name,
                .rules = policy->retention,
                .keep_data_s = policy->keep_data_ms / 1000,
                .interval_ms = tm_schedule_interval_ms(&policy->schedule),
        };
    }
    return count;
}

static enum tm_code set_up(struct tmd *tmd, const struct tm_config_vault *config,
        const struct tm_vault_request *request, struct setup *out, struct tm_err *err)
{
    const struct tm_config *now = tmd->config; /* a reload may put another one there meanwhile */
    struct tm_retention_options *options = &out->options;
    out->lease = tmd_lease_new(tmd);
    TM_TRY(tmd_vault(out->lease, config, &options->vault, err));
    TM_TRY(tmd_catalog(tmd, config, &out->catalog, err));
    out->policies = tm_xalloc(now->policy_count + 1, sizeof(*out->policies));
    options->catalog = out->catalog;
    options->policies = out->policies;
    options->policy_count = take_policies(now, config, request, out->policies);
    options->all_policies = request->policy_count == 0;
    options->plan_digest = request->plan_digest;
    options->space = tm_space_defaults(options->vault, options->catalog);
    options->space.steps = TM_SPACE_ALL;
    if (!config->merge || !request->merge) {
        options->space.steps &= ~(unsigned)TM_SPACE_MERGE;
    }
    options->space.lock_ms =
            config->s3.lock_mode != TM_VAULT_LOCK_NONE ? config->s3.lock_max_ms : 0;
    /* 0 stands for the usual there; here it is none */
    options->space.grace_ms = config->sweep_grace_ms > 0 ? config->sweep_grace_ms : 1;
    return TM_OK;
}

/* The plan ------------------------------------------------------------------------------------ */

static void add_line(struct tm_json *points, const struct tm_retention_line *line)
{
    char name[TM_ULID_NAME_MAX];
    struct tm_json *json = tm_json_push(points, tm_json_object());
    tm_json_add_str(json, "recovery_point", tm_ulid_format(&line->point.ulid, "rp_", name));
    tm_json_add_slice(json, "policy", line->point.policy);
    tm_json_add_slice(json, "cluster", line->point.cluster_name);
    tm_json_add_time(json, "captured_at", line->point.time_ms);
    tm_json_add_bool(json, "complete", line->whole);
    tm_json_add_str(json, "action", line->goes ? "remove" : "keep");
    struct tm_json *rules = tm_json_add(json, "kept_by", tm_json_array());
    for (unsigned rule = 1; rule < 1U << TM_GFS_RULES; rule <<= 1) {
        if ((line->kept_by & rule) != 0) {
            tm_json_push_str(rules, tm_gfs_rule_name((enum tm_gfs_rule)rule));
        }
    }
    if (!line->configured) {
        tm_json_push_str(rules, "policy_not_configured");
    }
    if (line->goes) {
        tm_json_add_str(json, "removed_by", line->too_old ? "max_age" : "no_rule_keeps_it");
    }
}

static void add_space(struct tm_json *json, const struct tm_space_plan *plan)
{
    struct tm_json *space = tm_json_add(json, "space", tm_json_object());
    tm_json_add_int(space, "packs_to_drop_count", plan->packs_dead);
    tm_json_add_int(space, "drop_bytes", plan->bytes_dead);
    tm_json_add_int(space, "packs_in_grace_count", plan->packs_waiting);
    tm_json_add_int(space, "in_grace_bytes", plan->bytes_waiting);
    tm_json_add_int(space, "packs_to_sweep_count", plan->packs_to_sweep);
    tm_json_add_int(space, "sweep_bytes", plan->bytes_to_sweep);
    tm_json_add_int(space, "orphans_count", plan->orphans);
    tm_json_add_int(space, "orphans_bytes", plan->bytes_orphans);
    tm_json_add_int(space, "packs_to_merge_count", plan->packs_to_merge);
    tm_json_add_int(space, "merge_bytes", plan->bytes_to_merge);
}

static char *plan_text(const struct tm_retention_plan *plan, const char *vault)
{
    TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "vault", vault);
    tm_json_add_str(json, "plan_digest", plan->digest);
    tm_json_add_int(json, "remove_count", (int64_t)plan->goes_count);
    tm_json_add_int(json, "keep_count", (int64_t)(plan->lines.count - plan->goes_count));
    /* What is stored and needed by nothing once those points are gone. */
    tm_json_add_int(json, "freed_bytes", plan->space.bytes_dead);
    struct tm_json *points = tm_json_add(json, "points", tm_json_array());
    for (size_t i = 0; i < plan->lines.count; i++) {
        add_line(points, &plan->lines.at[i]);
    }
    tm_json_add_int(json, "keep_data_changes_count", (int64_t)plan->keeps.count);
    add_space(json, &plan->space);
    char *warnings = tmd_notes_text(&plan->warnings);
    tm_json_add_raw(json, "warnings", warnings != NULL ? warnings : "[]");
    free(warnings);
    return tm_json_text(json);
}

enum tm_code tmd_retention_plan_text(struct tmd *tmd, const struct tm_vault_request *request,
        char **out, char digest[72], struct tm_err *err)
{
    const struct tm_config_vault *config = tm_config_find_vault(tmd->config, request->vault);
    if (config == NULL) { /* a reload took it away since it was looked for */
        return tm_err_set(err, TM_E_MISSING, "there is no vault \"%s\" any more", request->vault);
    }
    struct setup setup = {0};
    struct tm_retention_plan plan = {0};
    atomic_bool never = false;
    struct tm_progress progress = {0};
    struct tm_job_env env = {.job_id = "plan",
            .workers = tmd->workers,
            .sealers = tmd->sealers,
            .cancel = &never,
            .progress = &progress};
    enum tm_code code = set_up(tmd, config, request, &setup, err);
    if (code == TM_OK) {
        code = tm_retention_plan(&setup.options, &env, &plan, err);
    }
    if (code == TM_OK) {
        *out = plan_text(&plan, config->name);
        memcpy(digest, plan.digest, sizeof(plan.digest));
    }
    tm_retention_plan_done(&plan);
    setup_done(&setup);
    return code;
}

/* The job ------------------------------------------------------------------------------------- */

static void format_head(const struct tm_head *head, char *out, size_t size)
{
    char hash[2 * sizeof(head->hash.bytes) + 1];
    tm_hex(head->hash.bytes, sizeof(head->hash.bytes), hash);
    (void)snprintf(out, size, "%" PRIu64 ":%s", head->seq, hash);
}

static char *result_text(const struct tm_retention_result *result, const char *vault)
{
    const struct tm_space_result *space = &result->space;
    TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "vault", vault);
    tm_json_add_int(json, "points_removed_count", result->points_removed);
    tm_json_add_int(json, "points_kept_count", result->points_kept);
    tm_json_add_int(json, "packs_dropped_count", space->packs_dropped);
    tm_json_add_int(json, "dropped_bytes", space->bytes_dropped);
    tm_json_add_int(json, "packs_merged_count", space->packs_merged_in);
    tm_json_add_int(json, "packs_made_count", space->packs_merged_out);
    tm_json_add_int(json, "rewritten_bytes", space->bytes_rewritten);
    tm_json_add_int(json, "objects_swept_count", space->packs_swept);
    tm_json_add_int(json, "orphans_count", space->orphans);
    tm_json_add_int(json, "reclaimed_bytes", space->bytes_reclaimed);
    tm_json_add_int(json, "log_entries_removed_count", space->log_entries_removed);
    return tm_json_text(json);
}

static void count(const struct tmd_job *job, const struct tm_retention_result *result)
{
    for (size_t i = 0; i < result->removed.count; i++) {
        const struct tm_retention_removed *removed = &result->removed.at[i];
        tm_metric_add(TM_M_RETENTION_POINTS, TM_LABELS(removed->cluster, removed->policy),
                (double)removed->points);
    }
    tm_metric_add(TM_M_RETENTION_BYTES, TM_LABELS(job->vault->name),
            (double)result->space.bytes_reclaimed);
}

static enum tm_code retain(
        struct tmd_job *job, struct tm_retention_result *result, struct tm_err *err)
{
    struct setup setup = {0};
    struct tm_job_env env = tmd_run_env(job);
    enum tm_code code = set_up(job->tmd, job->vault, &job->task, &setup, err);
    if (code == TM_OK) {
        /* Taken up again, it may have done a part of the plan: what is left is another one. */
        setup.options.plan_digest = job->row.resumed > 0 ? NULL : setup.options.plan_digest;
        code = tm_retention_run(&setup.options, &env, result, err);
    }
    setup_done(&setup);
    return code;
}

void tmd_run_retention(struct tmd_job *job)
{
    struct tmd_outcome *outcome = job->outcome;
    struct tm_retention_result result = {0};
    struct tm_err err = {0};
    if (retain(job, &result, &err) != TM_OK) {
        tmd_run_failed(job, &err);
    } else {
        outcome->state = TM_JOB_SUCCEEDED;
        outcome->result = tmd_run_keep(job, result_text(&result, job->vault->name));
    }
    outcome->warnings = tmd_run_keep(job, tmd_notes_text(&result.warnings));
    count(job, &result);
    if (result.space.head.seq > 0) {
        char head[100];
        format_head(&result.space.head, head, sizeof(head));
        tm_log(TM_LOG_INFO, "vault.head", "committed", TM_LOG_STR("job", job->name),
                TM_LOG_STR("vault", job->vault->name), TM_LOG_STR("head", head), TM_LOG_END);
    }
    tmd_run_log(job, "retention.ended", err.code != TM_OK ? err.msg : NULL);
    tm_retention_result_done(&result);
}
