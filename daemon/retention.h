/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retention - the configuration's rules for a vault, the plan as a document, the job.
 *
 * Threads: plan and run block; on an errand's or a job's thread.
 */
#ifndef TM_DAEMON_RETENTION_H
#define TM_DAEMON_RETENTION_H

#include "tmd.h"

/*
 * What POST /v1/retention/plan answers, for free(). `digest`: of the plan, "sha256:...". The request
 * names a vault of the configuration, and policies of that.
 */
enum tm_code tmd_retention_plan_text(struct tmd *tmd, const struct tm_vault_request *request,
        char **out, char digest[72], struct tm_err *err) TM_MUST_CHECK;

void tmd_run_retention(struct tmd_job *job);

#endif
