/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ulid - ids that sort by time: 48 bits of milliseconds, 80 random bits (github.com/ulid/spec).
 *
 * Outside they are 26 characters of Crockford's base32, upper case, behind a prefix: "rp_", "job_".
 * Two made in the same millisecond by this process still sort in the order they were made.
 * Threads: any.
 */
#ifndef TM_BASE_ULID_H
#define TM_BASE_ULID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum { TM_ULID_TEXT_LEN = 26, TM_ULID_NAME_MAX = 32 /* prefix of up to 5, text, NUL */ };

struct tm_id16 tm_ulid_make(int64_t now_ms);
int64_t tm_ulid_time_ms(const struct tm_id16 *ulid);

/* `prefix` (at most 5 characters) and the text into `name`; gives `name`. */
const char *tm_ulid_format(
        const struct tm_id16 *ulid, const char *prefix, char name[TM_ULID_NAME_MAX]);
/* Exactly `prefix` and 26 digits (either case) that fit 128 bits; false leaves *out as it was. */
bool tm_ulid_parse(const char *name, const char *prefix, struct tm_id16 *out);

#endif
