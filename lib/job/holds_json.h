/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holds_json - held settings as JSON. Threads: any.
 */
#ifndef TM_JOB_HOLDS_JSON_H
#define TM_JOB_HOLDS_JSON_H

#include "base/json.h"
#include "catalog/journal_holds.h"

/* {"restore": ..., "items": [...]}; for free(). */
char *tm_holds_text(const struct tm_id16 *job, const struct tm_hold_row *rows, size_t count);
/* The array alone. */
struct tm_json *tm_holds_json(const struct tm_hold_row *rows, size_t count);

#endif
