/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vault_jobs - the rows of kinds.c for jobs of a vault. Threads: the loop's, but for tmd_run_*().
 */
#ifndef TM_DAEMON_VAULT_JOBS_H
#define TM_DAEMON_VAULT_JOBS_H

#include "tmd.h"

enum tm_code tmd_vault_resume(struct tmd_job *job, struct tm_err *err) TM_MUST_CHECK;
void tmd_vault_ended(struct tmd_job *job);
void tmd_run_delete(struct tmd_job *job);

#endif
