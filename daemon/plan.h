/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan - a restore request, from its words to its plan: find the point, ask the target cluster.
 *
 * Threads: called on the loop; the plan itself is made on a thread of its own, at most four at a time.
 */
#ifndef TM_DAEMON_PLAN_H
#define TM_DAEMON_PLAN_H

#include "tmd.h"

struct tmd_plan_answer {                      /* borrowed for the call */
    const struct tm_restore_plan *plan;       /* NULL: see `problem` */
    const struct tm_restore_request *request; /* its point is a name now */
    const struct tm_config_vault *vault;
    const struct tm_problem *problem;
};

typedef void (*tmd_planned)(void *arg, const struct tmd_plan_answer *answer);

/* `done` is called exactly once, on the loop thread, perhaps before this returns. */
void tmd_plan(
        struct tmd *tmd, const struct tm_restore_request *request, tmd_planned done, void *arg);
size_t tmd_plans(void); /* going on now */

#endif
