/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zone - a time zone of the IANA database, as the system has it: what a clock on a wall shows at an instant.
 *
 * Read from TZif files (RFC 9636): their transitions, and behind the last of them the rule of the footer,
 * which has the form of the POSIX variable TZ ("CET-1CEST,M3.5.0,M10.5.0/3").
 *
 * A wall time is milliseconds as if the wall's clock were UTC. Where clocks go forward some wall times do
 * not exist, where they go back some come twice.
 *
 * Threads: a zone does not change once it is loaded.
 */
#ifndef TM_POLICY_ZONE_H
#define TM_POLICY_ZONE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

enum { TM_ZONE_NAME_MAX = 64 };

struct tm_zone;

/*
 * Load "Europe/Berlin" from the system's database (/usr/share/zoneinfo), into `arena`. *out is NULL for "UTC" and "":
 * there is nothing to load. TM_E_USAGE: no such name; TM_E_CORRUPT: a file that is no TZif.
 */
enum tm_code tm_zone_load(const char *name, struct tm_arena *arena, const struct tm_zone **out,
        struct tm_err *err) TM_MUST_CHECK;
/* The same from the bytes of a TZif file. */
enum tm_code tm_zone_parse(struct tm_slice file, struct tm_arena *arena, const struct tm_zone **out,
        struct tm_err *err) TM_MUST_CHECK;

/* What is added to UTC. `zone` NULL: UTC, as everywhere here. */
int64_t tm_zone_offset_ms(const struct tm_zone *zone, int64_t utc_ms);
/* The first instant after `utc_ms` at which the offset changes; INT64_MAX: it stays. */
int64_t tm_zone_next_change_ms(const struct tm_zone *zone, int64_t utc_ms);
/*
 * The instant of a wall time: the first one, where it comes twice; where it does not exist the instant
 * at which clocks went forward over it.
 */
int64_t tm_zone_instant_ms(const struct tm_zone *zone, int64_t wall_ms);

#endif
