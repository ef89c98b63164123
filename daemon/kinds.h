/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kinds - what the kinds of jobs differ in, one row each. The table of jobs, the journal, resuming
 * and waiting are the same for all of them.
 *
 * Threads: the loop's, but for run().
 */
#ifndef TM_DAEMON_KINDS_H
#define TM_DAEMON_KINDS_H

#include "tmd.h"

struct tmd_kind {
    /* Only one job of such kinds may be in a vault at a time. Backups and restores go on beside it. */
    bool alone_in_vault;
    /*
     * A job of the last life: read job->row.request, and find in the configuration what it names.
     * job->vault of a restore is found already, or NULL. An error ends the job as failed.
     */
    enum tm_code (*resume)(struct tmd_job *job, struct tm_err *err);
    void (*started)(struct tmd_job *job); /* NULL: nothing more */
    void (*run)(struct tmd_job *job);     /* on the job's thread; fills in job->outcome */
    /*
     * It is about to leave the table; NULL: nothing more. row.finished_ms is 0 for a job that the next
     * start takes up, row.started_ms for one that never ran.
     */
    void (*ended)(struct tmd_job *job);
};

const struct tmd_kind *tmd_kind(enum tm_job_kind kind);

/* "success", "partial" or "failure": the job's result in metrics. */
const char *tmd_result_label(enum tm_job_state state);

#endif
