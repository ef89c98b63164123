/* SPDX-License-Identifier: Apache-2.0 */
/*
 * standby - does another daemon back this policy up already?
 *
 * Two daemons on one vault and policy lose nothing and store nothing twice: the log sees to that. They
 * would read everything twice from Kafka, though. So a planned run asks the vault's log first who wrote
 * for the policy last: another daemon, less than one interval of the schedule ago, and since this one
 * started (so that it is not one that this one replaces)? Then that one does the work, and this one is a
 * warm standby that takes over when the other has been silent for an interval.
 *
 * Threads: called on the loop; each question is answered by a thread of its own.
 */
#ifndef TM_DAEMON_STANDBY_H
#define TM_DAEMON_STANDBY_H

#include "tmd.h"

/*
 * `done` is called exactly once on the loop thread, perhaps before this returns. `writer` is the other
 * daemon, "host/instance", borrowed for the call; NULL: none, or the vault does not tell (then the run
 * itself will say why).
 */
typedef void (*tmd_standby_done)(void *arg, const char *writer);
void tmd_standby_ask(
        struct tmd *tmd, const struct tm_config_policy *policy, tmd_standby_done done, void *arg);
size_t tmd_standby_asking(void); /* questions not answered yet */

#endif
