/* SPDX-License-Identifier: Apache-2.0 */
/* What a job's own thread does: open what it needs, call lib/job, put what came of it into words. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "job/flush.h"
#include "tmd.h"

struct tm_job_env tmd_run_env(struct tmd_job *job)
{
    return (struct tm_job_env){
            .job_id = job->name,
            .workers = job->tmd->workers,
            .sealers = job->tmd->sealers,
            .memory_bytes = job->memory_bytes,
            .cancel = &job->cancel,
            .progress = &job->progress,
    };
}

const char *tmd_run_keep(struct tmd_job *job, char *text)
{
    const char *kept = tm_arena_strdup(&job->arena, text);
    free(text);
    return kept;
}

void tmd_run_log(const struct tmd_job *job, const char *event, const char *error)
{
    const struct tmd_outcome *outcome = job->outcome;
    enum tm_log_level good = job->flush ? TM_LOG_DEBUG : TM_LOG_INFO;
    bool expected = job->flush && outcome->state == TM_JOB_CANCELLED; /* a run had to go first */
    enum tm_log_level level = outcome->state == TM_JOB_SUCCEEDED || expected ? good : TM_LOG_ERROR;
    tm_log(level, event, error != NULL ? error : tm_job_state_name(outcome->state),
            TM_LOG_STR("job", job->name), TM_LOG_STR("state", tm_job_state_name(outcome->state)),
            TM_LOG_STR("policy", job->row.policy), TM_LOG_STR("cluster", job->row.cluster),
            TM_LOG_STR("result", outcome->result), TM_LOG_END);
}

void tmd_run_failed(struct tmd_job *job, const struct tm_err *err)
{
    struct tmd_outcome *outcome = job->outcome;
    outcome->code = err->code;
    outcome->state = err->code == TM_E_CANCELLED ? TM_JOB_CANCELLED : TM_JOB_FAILED;
    outcome->error = tmd_run_keep(job, tmd_error_text(err));
    const struct tm_config_vault *vault = job->policy != NULL ? job->policy->vault : job->vault;
    if (err->code == TM_E_ROLLED_BACK && vault != NULL) {
        tmd_vault_alarm(vault, err);
    }
}

/* Backup -------------------------------------------------------------------------------------- */

enum { GRACE_FLUSHES = 12 };

/* What was stored is stored, whatever comes of this. */
static void settle_flushes(const struct tmd_job *job, const struct tm_backup_options *backup)
{
    struct tm_err err = {0};
    struct tm_flush_options options = {
            .vault = backup->vault,
            .catalog = backup->catalog,
            .policy = backup->policy,
            .cluster = backup->cluster,
            .point = job->outcome->backup.point,
            .since_ms = job->flushes_since_ms,
            .grace_ms = job->policy->continuous ? GRACE_FLUSHES * job->policy->flush_ms : 0,
            .planned = !job->flush && job->backup.topic_count == 0,
            .keep = job->keep_flushes,
    };
    if (job->outcome->backup.has_point && tm_flush_settle(&options, &err) != TM_OK) {
        tm_log(TM_LOG_WARNING, "flush.unsettled", err.msg, TM_LOG_STR("job", job->name),
                TM_LOG_STR("policy", backup->policy), TM_LOG_END);
    }
}

static enum tm_code backup(struct tmd_job *job, struct tm_err *err)
{
    struct tmd *tmd = job->tmd;
    const struct tm_config_policy *policy = job->policy;
    struct tm_backup_options options = {
            .policy = policy->name,
            .cluster = policy->cluster->name,
            .select = policy->select,
            .only = job->backup.topics,
            .only_count = job->backup.topic_count,
            .read_uncommitted = policy->read_uncommitted,
            .from = policy->from_latest ? TM_FROM_LATEST : TM_FROM_EARLIEST,
            .level = policy->vault->compression_level,
            .timeout_ms = policy->timeout_ms,
            .topic_workers = policy->workers,
            .bytes_per_second = policy->read_bytes_per_second,
            .stop_at_ms = job->backup.outside_window || !policy->window.limited
                                  ? 0
                                  : tm_window_closes_ms(&policy->window, tm_now_ms()),
            .skip_corrupt = policy->skip_corrupt,
            .keep_after_outage = policy->keep_after_outage,
            .open_transaction_ms = policy->open_transaction_ms,
            .interval_ms = tm_schedule_interval_ms(&policy->schedule),
            .note = job->backup.note,
            .tags = job->backup.tags,
            .tag_count = job->backup.tag_count,
            .own_tag = job->flush ? TM_FLUSH_TAG : NULL,
            .hold_until_ms = job->backup.hold_until_ms,
            .hold_reason = job->backup.hold_reason,
            .no_groups = !policy->consumer_groups,
            .no_configs = !policy->topic_configs,
            .lag_group = policy->lag_group,
    };
    TM_OWN(tm_catalog_close) struct tm_catalog *catalog = NULL;
    TM_TRY(tmd_vault(job->lease, policy->vault, &options.vault, err));
    TM_TRY(tmd_catalog(tmd, policy->vault, &catalog, err));
    TM_TRY(tmd_kafka(job->lease, policy->cluster, policy->read_uncommitted, &options.kafka, err));
    struct tm_kafka_options groups_options = tmd_kafka_options(policy->cluster);
    groups_options.groups = true;
    options.groups_options = policy->consumer_groups || policy->lag_group ? &groups_options : NULL;
    options.catalog = catalog;
    struct tm_job_env env = tmd_run_env(job);
    enum tm_code code = tm_backup_run(&options, &env, &job->outcome->backup, err);
    if (code == TM_OK && job->flushes_since_ms != INT64_MAX) {
        settle_flushes(job, &options);
    }
    return code;
}

/* On this thread, since a cluster may have ten thousand topics. */
static void count_topics(const struct tmd_job *job)
{
    const struct tm_backup_result *result = &job->outcome->backup;
    const char *cluster = job->policy->cluster->name;
    for (size_t i = 0; i < result->topics.count; i++) {
        const struct tm_backup_topic *topic = &result->topics.at[i];
        const char *const *labels = TM_LABELS(cluster, job->policy->name, topic->topic);
        tm_metric_add(TM_M_BACKUP_MESSAGES, labels, (double)topic->messages);
        tm_metric_add(TM_M_BACKUP_BYTES, labels, (double)topic->bytes);
        tm_metric_add(TM_M_TOPIC_GAPS, labels, (double)topic->lost);
        tm_metric_add(TM_M_TOPIC_INCARNATIONS, labels, topic->begun ? 1 : 0);
        tm_metric_set(TM_M_TOPIC_LAG, labels, (double)topic->behind);
        tm_metric_set(TM_M_TOPIC_LAG_MOST, labels, (double)topic->behind_most);
        tm_metric_set(TM_M_TOPIC_OPEN_TXN, labels, (double)topic->stuck_ms / 1000);
    }
}

void tmd_run_backup(struct tmd_job *job)
{
    struct tmd_outcome *outcome = job->outcome;
    struct tm_err err = {0};
    if (backup(job, &err) != TM_OK) {
        tmd_run_failed(job, &err);
    } else {
        /* A run that was whole before it heard of the cancel is whole. */
        bool cancelled = outcome->backup.partial && atomic_load(&job->cancel);
        outcome->has_backup = true;
        count_topics(job);
        tmd_vault_alarm(job->policy->vault, &err); /* its log was read: nothing wrong */
        outcome->state = cancelled                 ? TM_JOB_CANCELLED
                         : outcome->backup.partial ? TM_JOB_PARTIAL
                                                   : TM_JOB_SUCCEEDED;
        outcome->result = tmd_run_keep(job, tmd_backup_result_text(&outcome->backup));
    }
    char *warnings = tmd_notes_text(&outcome->backup.warnings);
    outcome->warnings = tmd_run_keep(job, warnings);
    if (outcome->has_backup && !outcome->backup.unchanged) {
        char head[TM_HEAD_TEXT_MAX]; /* at every commit: what expect_head will ask for */
        (void)tm_head_format(&outcome->backup.head, head);
        tm_log(job->flush ? TM_LOG_DEBUG : TM_LOG_INFO, "vault.head", "committed",
                TM_LOG_STR("job", job->name), TM_LOG_STR("vault", job->policy->vault->name),
                TM_LOG_STR("head", head), TM_LOG_END);
    }
    tmd_run_log(job, "backup.ended", err.code != TM_OK ? err.msg : NULL);
}

/* Restore ------------------------------------------------------------------------------------- */

static enum tm_code select_topics(
        const struct tm_restore_request *request, struct tmd_restore_setup *out, struct tm_err *err)
{
    static const char *const everything[] = {"*"};
    struct tm_select_options select = {
            .include = request->include_count > 0 ? request->include : everything,
            .include_count = request->include_count > 0 ? request->include_count : 1,
            .exclude = request->exclude,
            .exclude_count = request->exclude_count,
            .internal_topics = true, /* the point holds only what its policy selected */
    };
    return tm_select_new(&select, &out->select, err);
}

static enum tm_code more_points(const struct tm_restore_request *request,
        struct tmd_restore_setup *out, struct tm_restore_options *options, struct tm_err *err)
{
    struct tm_id16 *points =
            tm_arena_alloc(&out->arena, request->more_point_count + 1, sizeof(*points));
    for (size_t i = 0; i < request->more_point_count; i++) {
        if (!tm_ulid_parse(request->more_points[i], "rp_", &points[i])) {
            return tm_err_set(err, TM_E_USAGE, "\"%s\" is not a point", request->more_points[i]);
        }
    }
    options->more_points = points;
    options->more_point_count = request->more_point_count;
    return TM_OK;
}

enum tm_code tmd_restore_setup(struct tmd *tmd, const struct tm_restore_request *request,
        const struct tm_config_vault *vault, struct tmd_restore_setup *out, struct tm_err *err)
{
    const struct tm_config_cluster *target = tm_config_find_cluster(tmd->config, request->target);
    struct tm_restore_options options = {
            .target = request->target,
            .renames = request->renames,
            .rename_count = request->rename_count,
            .prefix = request->prefix,
            .suffix = request->suffix,
            .create_topics = request->create_topics,
            .existing = request->existing,
            .retention = request->retention,
            .retention_hold_ms = request->retention_hold_ms,
            .original_configs = request->original_configs,
            .replication_factor = request->replication_factor,
            .continue_on_gap = request->continue_on_gap,
            .into = request->into,
            .choice = &request->choice,
            .late_ms = request->late_ms,
            .groups = request->groups,
    };
    if (target == NULL || !tm_ulid_parse(request->point, "rp_", &options.point)) {
        return tm_err_set(err, TM_E_USAGE, "no cluster \"%s\", or \"%s\" is not a point",
                request->target, request->point);
    }
    TM_TRY(more_points(request, out, &options, err));
    TM_TRY(select_topics(request, out, err));
    out->lease = tmd_lease_new(tmd);
    TM_TRY(tmd_vault(out->lease, vault, &options.vault, err));
    TM_TRY(tmd_catalog(tmd, vault, &out->catalog, err));
    TM_TRY(tmd_kafka(out->lease, target, false, &options.kafka, err));
    out->kafka_options = tmd_kafka_options(target);
    if (request->groups.mode != TM_GROUPS_NONE) {
        struct tm_kafka_options groups_options = out->kafka_options;
        groups_options.groups = true;
        TM_TRY(tm_kafka_open(&groups_options, &out->groups_kafka, err));
        options.groups_kafka = out->groups_kafka;
    }
    options.catalog = out->catalog;
    options.select = out->select;
    options.kafka_options = &out->kafka_options;
    out->options = options;
    return TM_OK;
}

void tmd_restore_setup_done(struct tmd_restore_setup *setup)
{
    tm_catalog_close(setup->catalog);
    tm_kafka_close(setup->groups_kafka);
    tm_select_free(setup->select);
    tmd_lease_free(setup->lease);
    tm_arena_done(&setup->arena);
}

static enum tm_code restore(struct tmd_job *job, struct tmd_restore_setup *setup,
        struct tm_restore_result *result, struct tm_err *err)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/journal.db", job->tmd->config->state.dir);
    TM_OWN(tm_journal_close) struct tm_journal *journal = NULL;
    TM_TRY(tmd_restore_setup(job->tmd, &job->restore, job->vault, setup, err));
    TM_TRY(tm_journal_open(path, &journal, err));
    setup->options.job = job->row.id;
    setup->options.journal = journal;
    struct tm_job_env env = tmd_run_env(job);
    return tm_restore_run(&setup->options, &env, result, err);
}

void tmd_run_restore(struct tmd_job *job)
{
    struct tmd_outcome *outcome = job->outcome;
    struct tmd_restore_setup setup = {0};
    struct tm_restore_result result = {0};
    struct tm_err err = {0};
    if (restore(job, &setup, &result, &err) != TM_OK) {
        tmd_run_failed(job, &err);
    } else {
        outcome->state =
                result.proved && result.groups_failed == 0 ? TM_JOB_SUCCEEDED : TM_JOB_PARTIAL;
        outcome->result = tmd_run_keep(job, tmd_restore_result_text(&setup.options, &result));
    }
    outcome->written_messages = result.written_count;
    outcome->written_bytes = result.written_bytes;
    outcome->warnings = tmd_run_keep(job, tmd_notes_text(&result.warnings));
    tmd_run_log(job, "restore.ended", err.code != TM_OK ? err.msg : NULL);
    tm_restore_result_done(&result);
    tmd_restore_setup_done(&setup);
}
