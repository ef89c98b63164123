/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore_append - records behind what lies in topics that others write to, too.
 *
 * In transactions (kafka/txn_writer.h): readers of committed records see each record of the restore once, though
 * the restore is killed at any moment. Where the records of a transaction lie is put into the journal before it is
 * committed; what is found there of one that was not is dropped, by the count that the transaction itself commits.
 * So the proof looks at exactly our records, and leaves those of others alone.
 *
 * Threads: the job's.
 */
#ifndef TM_JOB_RESTORE_APPEND_H
#define TM_JOB_RESTORE_APPEND_H

#include "job/restore_run.h"

/* Nothing to do where no topic is appended to. Finds out how far each goal has come (goal->there). */
enum tm_code tm_restore_append_open(struct restore_run *run, struct tm_err *err) TM_MUST_CHECK;
/* Write what is missing; failures of partitions are noted in the result. */
void tm_restore_append_write(struct restore_run *run);
void tm_restore_append_close(struct restore_run *run);
/* The restore is over: take its progress out of the cluster and the journal. */
void tm_restore_append_forget(struct restore_run *run);

#endif
