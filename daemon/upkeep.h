/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upkeep - what is done to vaults by the clock: retention, the daily scrub, planned verifications.
 *
 * A job that finds another one in its vault is tried again after some minutes, until it is due anew. Retention
 * and scrub that were due while the daemon was down are made up for once, right after its start; a
 * planned verification waits for its next time.
 *
 * Threads: the loop's.
 */
#ifndef TM_DAEMON_UPKEEP_H
#define TM_DAEMON_UPKEEP_H

#include "tmd.h"

struct tmd_upkeep *tmd_upkeep_new(struct tmd *tmd);
void tmd_upkeep_free(struct tmd_upkeep *upkeep);
void tmd_upkeep_start(struct tmd *tmd);
void tmd_upkeep_stop(struct tmd *tmd);
void tmd_upkeep_adopt(struct tmd *tmd); /* the configuration is another one */

/* How far after the planned time a vault's own jobs start: the same for a name, below `span_ms`. */
int64_t tmd_upkeep_offset_ms(const char *name, int64_t span_ms);

#endif
