/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_vault - what the HTTP side asks of a vault: jobs, and changes of a point. The functions of
 * tm_control_ops of those names.
 *
 * Threads: the loop's.
 */
#ifndef TM_DAEMON_CONTROL_VAULT_H
#define TM_DAEMON_CONTROL_VAULT_H

#include "tmd.h"

void tmd_control_vault_job(void *self, enum tm_job_kind kind,
        const struct tm_vault_request *request, const struct tm_caller *caller, tm_done_job done,
        void *arg);
void tmd_control_retention_plan(
        void *self, const struct tm_vault_request *request, tm_done_json done, void *arg);
void tmd_control_patch_point(void *self, const struct tm_id16 *ulid,
        const struct tm_point_patch *patch, const struct tm_caller *caller, tm_done_point done,
        void *arg);

#endif
