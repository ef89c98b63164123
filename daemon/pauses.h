/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pauses - policies whose planned runs wait until somebody, or the clock, sets them going again.
 *
 * What is paused is in the journal before it is answered, and is found there by the next daemon. A run that is under
 * way goes on. Threads: the loop's.
 */
#ifndef TM_DAEMON_PAUSES_H
#define TM_DAEMON_PAUSES_H

#include "policies_table.h"

/* Is it paused now? One whose time is over is not, and is told so in the log. */
bool tmd_policy_is_paused(struct policy *policy);
/* What the journal has, once, before the schedules start: then done(tmd). */
void tmd_pauses_load(struct tmd *tmd, void (*done)(struct tmd *tmd));

/* Functions of struct tm_control_ops. */
void tmd_control_pause(void *self, const struct tm_pause_request *request,
        const struct tm_caller *caller, tm_done_policy done, void *arg);
void tmd_control_resume(void *self, const char *policy, const struct tm_caller *caller,
        tm_done_policy done, void *arg);
size_t tmd_control_planned(
        void *self, const char *policy, int64_t *at_ms, int64_t *offset_ms, size_t count);

#endif
