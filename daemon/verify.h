/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify - the jobs that look at what a vault holds: verification, and the catalog made anew.
 *
 * Threads: a job's.
 */
#ifndef TM_DAEMON_VERIFY_H
#define TM_DAEMON_VERIFY_H

#include "tmd.h"

void tmd_run_verify(struct tmd_job *job);
void tmd_run_import(struct tmd_job *job);

#endif
