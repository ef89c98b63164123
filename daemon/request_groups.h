/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request_groups - the consumer groups of a restore's request, as the journal keeps them. Threads: any.
 */
#ifndef TM_DAEMON_REQUEST_GROUPS_H
#define TM_DAEMON_REQUEST_GROUPS_H

#include "base/json.h"
#include "job/restore.h"

/* As a member of the request's object; nothing for none. */
void tmd_request_add_groups(struct tm_json *json, const struct tm_restore_groups *groups);
/* Texts lie in `arena`, or are those of `json`. */
void tmd_request_read_groups(
        const struct tm_json_value *json, struct tm_arena *arena, struct tm_restore_groups *out);
void tmd_request_copy_groups(
        const struct tm_restore_groups *from, struct tm_arena *arena, struct tm_restore_groups *to);

#endif
