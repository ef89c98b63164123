/* SPDX-License-Identifier: Apache-2.0 */
/*
 * errand - what blocks but is no job: nothing of it is kept, and somebody waits for its answer.
 *
 * Threads: the loop's; each errand runs on a thread of its own.
 */
#ifndef TM_DAEMON_ERRAND_H
#define TM_DAEMON_ERRAND_H

#include "tmd.h"

/*
 * Have work(arg) done on a thread of its own, then done(arg) on the loop's. False, and nothing is
 * called: there are too many of them, or the daemon is stopping.
 */
bool tmd_errand(struct tmd *tmd, void (*work)(void *arg), void (*done)(void *arg), void *arg);
/* The problem to answer after a false; `detail`: what cannot be done now. */
void tmd_errand_refused(const struct tmd *tmd, const char *detail, struct tm_problem *out);
size_t tmd_errands(void); /* going on now */

#endif
