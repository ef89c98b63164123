/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hooks - whoever asked for it is told what happens, by HTTP.
 *
 * Each hook has a thread and a queue of its own: nothing here waits for a receiver, and a receiver that hangs holds
 * nobody else up. What does not fit into the queue is dropped and counted. A notification is tried again after 1, 10
 * and 60 s, then given up. What lasts is told once, and again after resend_after until it is over; what was told is
 * forgotten with the process.
 *
 * Threads: the loop's, where a comment does not say another.
 */
#ifndef TM_DAEMON_HOOKS_H
#define TM_DAEMON_HOOKS_H

#include "base/json.h"
#include "tmd.h"

struct tmd_hooks *tmd_hooks_new(struct tmd *tmd);
void tmd_hooks_free(struct tmd_hooks *hooks); /* NULL does nothing; joins the threads */
void tmd_hooks_start(struct tmd *tmd);        /* looks at the policies from now on */
void tmd_hooks_stop(struct tmd *tmd);         /* no more looks */
/*
 * Those of the configuration in force: what is the same goes on, with what it has told; what is not configured any more
 * sends what is queued, and ends.
 */
void tmd_hooks_adopt(struct tmd *tmd);
/* Notifications that are not sent yet. */
size_t tmd_hooks_pending(const struct tmd *tmd);
/* Give up what is not sent yet, within a second. */
void tmd_hooks_hurry(struct tmd *tmd);

/*
 * Tell those that want it. `policy` is NULL for what belongs to none; `subject` is what it is about: the name of a
 * policy, a vault, a cluster or a job. `data` is taken.
 */
void tmd_hooks_tell(struct tmd *tmd, enum tm_hook_event event, const char *policy,
        const char *subject, struct tm_json *data);
/* A lasting event is over: the next one is told at once. */
void tmd_hooks_over(struct tmd *tmd, enum tm_hook_event event, const char *subject);

/* hooks_watch.c: what jobs, planned runs and vaults have to tell. */
void tmd_hooks_job_started(struct tmd_job *job);
void tmd_hooks_job_ended(struct tmd_job *job);
/* Of a flush its failure alone is told, and that it is over. */
void tmd_hooks_flush_ended(struct tmd_job *job);
void tmd_hooks_missed(struct tmd *tmd, const struct tm_config_policy *policy, const char *reason);
void tmd_hooks_vault(struct tmd *tmd, const char *vault, const char *why); /* NULL: it is up */
void tmd_hooks_daemon(struct tmd *tmd, enum tm_hook_event event);
/* Which policies are past their objective, lose records, or have lost some. */
enum { TMD_LASTING = 3 };
void tmd_hooks_look(struct tmd *tmd);
void tmd_hooks_forget(struct tmd *tmd, const char *policy); /* it is not configured any more */

/* Functions of struct tm_control_ops. */
void tmd_control_hooks(void *self, tm_done_json done, void *arg);
void tmd_control_hook_test(
        void *self, const char *name, const struct tm_caller *caller, tm_done_json done, void *arg);

#endif
