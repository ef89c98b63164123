/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys - idempotency keys of requests that make jobs: the same request again is answered with the job it made.
 *
 * Threads: the loop's.
 */
#ifndef TM_DAEMON_KEYS_H
#define TM_DAEMON_KEYS_H

#include "tmd.h"

/* Functions of struct tm_control_ops. */
void tmd_control_key(void *self, const struct tm_key_request *request, tm_done_key done, void *arg);
void tmd_control_release_key(void *self, struct tmd_key *key);

#endif
