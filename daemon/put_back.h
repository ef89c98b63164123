/* SPDX-License-Identifier: Apache-2.0 */
/*
 * put_back - settings that restores hold on their topics, given back when they are due or when asked.
 *
 * What waits stands in the journal: a daemon that was killed or stopped does it at its next start. A
 * cluster that is away is tried again, less and less often, up to every five minutes. Rows of a restore that is still
 * going on are its own affair.
 *
 * Threads: the loop's; the work is an errand.
 */
#ifndef TM_DAEMON_PUT_BACK_H
#define TM_DAEMON_PUT_BACK_H

#include "tmd.h"

struct tmd_put_back *tmd_put_back_new(struct tmd *tmd);
void tmd_put_back_free(struct tmd_put_back *put_back);
void tmd_put_back_start(struct tmd *tmd);
void tmd_put_back_stop(struct tmd *tmd);
/* A restore has ended, or something else that may be due: look when the next one is. */
void tmd_put_back_look(struct tmd *tmd);

/* tm_control_ops.put_back and .holds. */
void tmd_control_put_back(void *self, const struct tm_id16 *job, const struct tm_caller *caller,
        tm_done_json done, void *arg);
void tmd_control_holds(void *self, const struct tm_id16 *job, tm_done_json done, void *arg);

#endif
