/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request_choice - which records a restore takes, as the journal keeps it. A restart takes a job up from what is
 * read here: it must be what was written.
 *
 * Threads: any.
 */
#ifndef TM_DAEMON_REQUEST_CHOICE_H
#define TM_DAEMON_REQUEST_CHOICE_H

#include "base/json.h"
#include "tm_control.h"

void tmd_choice_add(struct tm_json *json, const struct tm_restore_request *request);
/* Texts of `json` are borrowed. TM_E_CORRUPT: it is not what was written. */
enum tm_code tmd_choice_read(const struct tm_json_value *json, struct tm_arena *arena,
        struct tm_restore_request *request, struct tm_err *err) TM_MUST_CHECK;
/* Copy what tmd_choice_add() writes into `arena`; the rest of `to` is left as it is. */
void tmd_choice_copy(const struct tm_restore_request *from, struct tm_arena *arena,
        struct tm_restore_request *to);

#endif
