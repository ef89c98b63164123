/* SPDX-License-Identifier: Apache-2.0 */
/*
 * posix_zone - the rule of a time zone in the form of the POSIX variable TZ: "CET-1CEST,M3.5.0,M10.5.0/3".
 *
 * With the extension of RFC 9636: times of a change run from -167 to 167 hours.
 *
 * Threads: plain values.
 */
#ifndef TM_POLICY_POSIX_ZONE_H
#define TM_POLICY_POSIX_ZONE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct tm_posix_day { /* a day of the year, and a wall time of it */
    enum { TM_POSIX_JULIAN, TM_POSIX_ORDINAL, TM_POSIX_WEEKDAY } kind;
    int month; /* WEEKDAY: 1..12 */
    int week;  /* 1..5; 5 is the last */
    int day;   /* WEEKDAY: 0..6; JULIAN: 1..365 without 29 February; ORDINAL: 0..365 */
    int32_t time_s;
};

struct tm_posix_zone {
    int32_t standard_s; /* added to UTC */
    int32_t summer_s;
    bool has_summer;
    struct tm_posix_day begin; /* of summer time, by the standard clock */
    struct tm_posix_day end;   /* by the clock of summer time */
};

bool tm_posix_zone_parse(struct tm_slice text, struct tm_posix_zone *out);
int64_t tm_posix_zone_offset_s(const struct tm_posix_zone *zone, int64_t utc_ms);
/* The first change after `utc_ms`; INT64_MAX: none. */
int64_t tm_posix_zone_next_ms(const struct tm_posix_zone *zone, int64_t utc_ms);

#endif
