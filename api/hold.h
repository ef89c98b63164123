/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold - the "hold" of a body: what keeps a recovery point from being removed.
 *
 * Threads: the loop's.
 */
#ifndef TM_API_HOLD_H
#define TM_API_HOLD_H

#include "body.h"

enum { TM_HOLD_REASON_MAX = 1024, TM_NOTE_MAX = 4096, TM_TAG_MAX = 128, TM_TAGS_MAX = 64 };

struct tm_hold_words {
    bool given;
    bool removed;   /* null */
    bool has_until; /* until_ms is a time, or -1 for null: without end */
    int64_t until_ms;
    const char *reason; /* NULL: not given; "" for null */
};

/* {"until": time or null, "reason": text}; `may_be_null`: null removes. */
struct tm_hold_words tm_hold_read(const struct tm_part *body, bool may_be_null);

/* "until" of a body, a time to come: RFC 3339 or from now on. False, and *until_ms as it was: null, or not given. */
bool tm_body_until(const struct tm_part *part, int64_t *until_ms);

/* "tags" of a body; NULL: not given or wrong. */
const char *const *tm_tags_read(const struct tm_part *body, size_t *count);

#endif
