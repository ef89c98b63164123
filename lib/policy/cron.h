/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cron - the five fields of cron, in UTC: minute hour day month weekday.
 *
 * Each field is a list of "*", N and N-M, each with an optional step behind a slash ("9-17/2"); "N/S"
 * runs from N to the end of the field. Months and weekdays have names (jan, sun; three letters, any case);
 * weekday 7 is Sunday, also as the end of a range (fri-sun). Or one of the words @hourly @daily
 * @weekly @monthly @yearly.
 *
 * Day and weekday are joined as Vixie cron does it: when neither field begins with "*", a day on
 * which either matches is meant; otherwise both must match.
 *
 * Threads: plain values.
 */
#ifndef TM_POLICY_CRON_H
#define TM_POLICY_CRON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { TM_CRON_TEXT_MAX = 256 }; /* bytes of an expression */

/* Invariant: every mask has a bit set, and some date matches. */
struct tm_cron {
    uint64_t minutes;  /* bit n: minute n, 0..59 */
    uint32_t hours;    /* 0..23 */
    uint32_t days;     /* 1..31 */
    uint32_t months;   /* 1..12 */
    uint32_t weekdays; /* 0..6, Sunday is 0 */
    bool either_day;   /* a match of `days` or of `weekdays` is enough */
};

/* TM_E_USAGE says which field is wrong and what it takes: "field 2 (hour) is 0..23, got 25". */
enum tm_code tm_cron_parse(const char *text, struct tm_cron *out, struct tm_err *err) TM_MUST_CHECK;

/* The first match strictly after `after_ms`; false when it lies beyond the year 9999. */
bool tm_cron_next(const struct tm_cron *cron, int64_t after_ms, int64_t *next_ms);

/*
 * The longest time between two consecutive matches, ever: eight years for 29 February. Looks at all
 * days of the 400 years after which the calendar repeats, about a millisecond.
 */
int64_t tm_cron_longest_gap_ms(const struct tm_cron *cron);

#endif
