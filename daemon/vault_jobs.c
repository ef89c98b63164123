/* SPDX-License-Identifier: Apache-2.0 */
#include "vault_jobs.h"

#include "base/json.h"
#include "job/marks.h"
#include "job/verify.h"
#include "proofs.h"
#include "vaults.h"

enum tm_code tmd_vault_resume(struct tmd_job *job, struct tm_err *err)
{
    TM_TRY(tmd_vault_request_read(job->row.request, &job->arena, &job->task, err));
    job->vault = tm_config_find_vault(job->tmd->config, job->task.vault);
    return job->vault != NULL ? TM_OK
                              : tm_err_set(err, TM_E_MISSING, "there is no vault \"%s\" any more",
                                        job->task.vault);
}

/* Points may have gone: what is known of the policies is read again. */
void tmd_vault_ended(struct tmd_job *job)
{
    if (job->row.finished_ms != 0 && job->row.started_ms != 0) {
        if (job->row.kind == TM_JOB_VERIFY && job->outcome->verified) {
            tmd_proof(job->tmd,
                    &(struct tm_proof_row){.kind = TM_JOB_VERIFY,
                            .of = job->vault->name,
                            .how = tm_verify_depth_name((enum tm_verify_depth)job->task.depth),
                            .at_ms = job->row.finished_ms});
        }
        tmd_policies_reload(job->tmd);
        tmd_vaults_count(job->tmd, job->vault);
    }
}

/* A vault's handle, and a catalog of the job's own. */
static enum tm_code open_both(struct tmd_job *job, struct tm_vault **vault,
        struct tm_catalog **catalog, struct tm_err *err)
{
    TM_TRY(tmd_vault(job->lease, job->vault, vault, err));
    return tmd_catalog(job->tmd, job->vault, catalog, err);
}

/* Delete -------------------------------------------------------------------------------------- */

static enum tm_code delete_point(struct tmd_job *job, struct tm_err *err)
{
    TM_OWN(tm_catalog_close) struct tm_catalog *catalog = NULL;
    struct tm_vault *vault = NULL;
    struct tm_id16 point;
    if (job->task.point == NULL || !tm_ulid_parse(job->task.point, "rp_", &point)) {
        return tm_err_set(err, TM_E_USAGE, "the job names no recovery point");
    }
    TM_TRY(open_both(job, &vault, &catalog, err));
    enum tm_code code = tm_marks_delete_point(vault, catalog, &point, err);
    /* Taken up again after it had done its work: that is no failure. */
    return code == TM_E_MISSING && job->row.resumed > 0 ? TM_OK : code;
}

void tmd_run_delete(struct tmd_job *job)
{
    struct tmd_outcome *outcome = job->outcome;
    struct tm_err err = {0};
    if (delete_point(job, &err) != TM_OK) {
        tmd_run_failed(job, &err);
    } else {
        TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
        tm_json_add_str(json, "vault", job->vault->name);
        tm_json_add_str(json, "recovery_point", job->task.point);
        outcome->state = TM_JOB_SUCCEEDED;
        outcome->result = tmd_run_keep(job, tm_json_text(json));
    }
    tmd_run_log(job, "delete.ended", outcome->state == TM_JOB_SUCCEEDED ? NULL : err.msg);
}
