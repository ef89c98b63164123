/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restores_groups - "consumer_groups" of a restore's body. Threads: the loop's.
 */
#ifndef TM_API_RESTORES_GROUPS_H
#define TM_API_RESTORES_GROUPS_H

#include "body.h"
#include "tm_control.h"

void tm_restores_read_groups(const struct tm_part *body, struct tm_restore_groups *out);

#endif
