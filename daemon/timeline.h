/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timeline - of what time is a topic stored? From its recovery points, oldest to newest.
 *
 * Threads: the loop's; the points are read on a thread of their own.
 */
#ifndef TM_DAEMON_TIMELINE_H
#define TM_DAEMON_TIMELINE_H

#include "tmd.h"

/* tm_control_ops.timeline. */
void tmd_control_timeline(
        void *self, const struct tm_timeline_query *query, tm_done_json done, void *arg);

#endif
