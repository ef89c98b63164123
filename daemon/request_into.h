/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request_into - where a restore puts its records, as the journal keeps it.
 *
 * Threads: any.
 */
#ifndef TM_DAEMON_REQUEST_INTO_H
#define TM_DAEMON_REQUEST_INTO_H

#include "base/json.h"
#include "job/restore_into.h"

void tmd_request_into_add(struct tm_json *json, const struct tm_restore_into *into);
/* Texts and arrays lie in `arena`; what is absent is its default. */
void tmd_request_into_read(
        const struct tm_json_value *json, struct tm_arena *arena, struct tm_restore_into *out);
void tmd_request_into_copy(
        const struct tm_restore_into *from, struct tm_arena *arena, struct tm_restore_into *to);

#endif
