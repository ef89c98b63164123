/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schedule - when a policy runs: by hand only, by cron, or every so often.
 *
 *   ""                by hand only
 *   "0 4 * * 0"       cron (cron.h), or one of its words: "@daily"; by the clock on the wall of `zone`
 *   "@every 5m"       at the multiples of 5 minutes since the epoch, so that a restart keeps the rhythm
 *
 * Where clocks change, as vixie-cron has it: what is planned for every hour goes on with real time. Other
 * runs come once: those of an hour that is left out at the moment clocks go forward (several of them
 * are one run), those of an hour that comes twice the first time.
 *
 * Threads: plain values.
 */
#ifndef TM_POLICY_SCHEDULE_H
#define TM_POLICY_SCHEDULE_H

#include "policy/cron.h"
#include "policy/zone.h"

enum tm_schedule_kind { TM_SCHEDULE_BY_HAND, TM_SCHEDULE_CRON, TM_SCHEDULE_EVERY };

struct tm_schedule {
    enum tm_schedule_kind kind;
    struct tm_cron cron;        /* of TM_SCHEDULE_CRON */
    int64_t every_ms;           /* of TM_SCHEDULE_EVERY: at least 1000 */
    const struct tm_zone *zone; /* borrowed; NULL: UTC. Parsing leaves it NULL */
};

/* TM_E_USAGE says what is wrong, without the text's place: the caller knows where it stands. */
enum tm_code tm_schedule_parse(
        const char *text, struct tm_schedule *out, struct tm_err *err) TM_MUST_CHECK;

/* The first run strictly after `after_ms`; false when there is none (by hand, or after 9999). */
bool tm_schedule_next(const struct tm_schedule *schedule, int64_t after_ms, int64_t *next_ms);

/*
 * The longest time between two consecutive runs; 0 by hand. For cron see tm_cron_longest_gap_ms(); in a zone whose
 * clocks change an hour more, but for what runs every hour.
 */
int64_t tm_schedule_interval_ms(const struct tm_schedule *schedule);

/* How much later than planned a policy's runs begin: below `jitter_ms`, by a hash of its name. 0 without jitter. */
int64_t tm_schedule_delay_ms(const char *name, int64_t jitter_ms);

#endif
