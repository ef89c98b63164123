/* SPDX-License-Identifier: Apache-2.0 */
/*
 * window - the hours of a day in which a policy may read from its cluster: "22:00-06:00", on the wall of a zone.
 *
 * A window may go over midnight. Its end is not part of it. "": always open. One that begins where it ends would be
 * open either always or never, and is refused.
 *
 * Threads: plain values.
 */
#ifndef TM_POLICY_WINDOW_H
#define TM_POLICY_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "policy/schedule.h"

struct tm_window {
    bool limited;    /* false: always open */
    int64_t from_ms; /* after midnight, below 24 h */
    int64_t until_ms;
    const struct tm_zone *zone; /* borrowed; NULL: UTC. Parsing leaves it NULL */
};

/* TM_E_USAGE says what is wrong. */
enum tm_code tm_window_parse(
        const char *text, struct tm_window *out, struct tm_err *err) TM_MUST_CHECK;
bool tm_window_is_open(const struct tm_window *window, int64_t now_ms);
/* When it closes next; of one that is always open INT64_MAX. Closed: `now_ms`. */
int64_t tm_window_closes_ms(const struct tm_window *window, int64_t now_ms);
/* When it opens next, at or after `now_ms`; `now_ms` while it is open. */
int64_t tm_window_opens_ms(const struct tm_window *window, int64_t now_ms);
/* As tm_schedule_next(), of runs that begin while the window is open; false when two years have none. */
bool tm_window_next_run(const struct tm_window *window, const struct tm_schedule *schedule,
        int64_t after_ms, int64_t *next_ms);

#endif
