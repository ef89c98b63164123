/* SPDX-License-Identifier: Apache-2.0 */
#include "kinds.h"

#include "base/metrics.h"
#include "drills.h"
#include "put_back.h"
#include "retention.h"
#include "vault_jobs.h"
#include "vaults.h"
#include "verify.h"

const char *tmd_result_label(enum tm_job_state state)
{
    return state == TM_JOB_SUCCEEDED ? "success" : state == TM_JOB_PARTIAL ? "partial" : "failure";
}

/* Backup -------------------------------------------------------------------------------------- */

static enum tm_code backup_resume(struct tmd_job *job, struct tm_err *err)
{
    TM_TRY(tmd_backup_request_read(job->row.request, &job->arena, &job->backup, err));
    job->policy = tm_config_find_policy(job->tmd->config, job->row.policy);
    if (job->policy == NULL) {
        return tm_err_set(err, TM_E_MISSING, "there is no policy \"%s\" any more", job->row.policy);
    }
    job->row.policy = job->policy->name;
    return TM_OK;
}

static void backup_started(struct tmd_job *job)
{
    tmd_policy_started(job->tmd, job);
}

static void backup_ended(struct tmd_job *job)
{
    tmd_policy_ended(job->tmd, job);
    bool nothing = job->flush && job->outcome->has_backup && job->outcome->backup.unchanged;
    if (job->policy != NULL && job->row.finished_ms != 0 && !nothing) {
        tmd_vaults_count(job->tmd, job->policy->vault);
    }
}

/* Restore ------------------------------------------------------------------------------------- */

static enum tm_code restore_resume(struct tmd_job *job, struct tm_err *err)
{
    TM_TRY(tmd_restore_request_read(job->row.request, &job->arena, &job->restore, err));
    if (tm_config_find_cluster(job->tmd->config, job->row.cluster) == NULL) {
        return tm_err_set(
                err, TM_E_MISSING, "there is no cluster \"%s\" any more", job->row.cluster);
    }
    return job->vault != NULL ? TM_OK
                              : tm_err_set(err, TM_E_MISSING, "recovery point \"%s\" is gone",
                                        job->restore.point != NULL ? job->restore.point : "");
}

static void restore_ended(struct tmd_job *job)
{
    const char *cluster = job->row.cluster;
    tmd_put_back_look(job->tmd);
    if (job->row.finished_ms == 0 || job->row.started_ms == 0) {
        return;
    }
    tm_metric_add(TM_M_RESTORE_RUNS, TM_LABELS(cluster, tmd_result_label(job->row.state)), 1);
    tm_metric_add(
            TM_M_RESTORE_MESSAGES, TM_LABELS(cluster), (double)job->outcome->written_messages);
    tm_metric_add(TM_M_RESTORE_BYTES, TM_LABELS(cluster), (double)job->outcome->written_bytes);
}

/* The table ----------------------------------------------------------------------------------- */

static const struct tmd_kind kinds[TM_JOB_KINDS] = {
        [TM_JOB_BACKUP] = {.resume = backup_resume,
                .started = backup_started,
                .run = tmd_run_backup,
                .ended = backup_ended},
        [TM_JOB_RESTORE] = {.resume = restore_resume,
                .run = tmd_run_restore,
                .ended = restore_ended},
        [TM_JOB_VERIFY] = {.alone_in_vault = true,
                .resume = tmd_vault_resume,
                .run = tmd_run_verify,
                .ended = tmd_vault_ended},
        [TM_JOB_RETENTION] = {.alone_in_vault = true,
                .resume = tmd_vault_resume,
                .run = tmd_run_retention,
                .ended = tmd_vault_ended},
        [TM_JOB_DELETE] = {.alone_in_vault = true,
                .resume = tmd_vault_resume,
                .run = tmd_run_delete,
                .ended = tmd_vault_ended},
        [TM_JOB_DRILL] = {.resume = tmd_drill_resume,
                .run = tmd_run_drill,
                .ended = tmd_drill_ended},
        [TM_JOB_IMPORT] = {.alone_in_vault = true,
                .resume = tmd_vault_resume,
                .run = tmd_run_import,
                .ended = tmd_vault_ended},
};

const struct tmd_kind *tmd_kind(enum tm_job_kind kind)
{
    return &kinds[kind];
}
