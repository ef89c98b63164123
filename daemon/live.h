/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live - feeds what listens over HTTP (tm_feed.h): states, progress and log lines of jobs, and what hooks are told.
 *
 * Threads: the loop's.
 */
#ifndef TM_DAEMON_LIVE_H
#define TM_DAEMON_LIVE_H

#include "tmd.h"

struct tmd_live *tmd_live_new(struct tmd *tmd); /* takes the log's tap: one at a time */
void tmd_live_free(struct tmd_live *live);
struct tm_feed *tmd_live_feed(const struct tmd *tmd);

/* The job is queued, has begun, or has ended. */
void tmd_live_job(struct tmd_job *job);
/* Hooks would be told this; one that lasts is fed once until it is over. */
void tmd_live_event(
        struct tmd *tmd, enum tm_hook_event event, const char *subject, const char *json);
void tmd_live_over(struct tmd *tmd, enum tm_hook_event event, const char *subject);

#endif
