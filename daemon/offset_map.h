/* SPDX-License-Identifier: Apache-2.0 */
/*
 * offset_map - tm_control_ops.offset_map: what the journal keeps of where a restore's records went.
 *
 * Threads: the loop's.
 */
#ifndef TM_DAEMON_OFFSET_MAP_H
#define TM_DAEMON_OFFSET_MAP_H

#include "tmd.h"

void tmd_control_offset_map(
        void *self, const struct tm_map_query *query, bool csv, tm_done_json done, void *arg);

#endif
