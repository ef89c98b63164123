/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock - the two clocks, and times as people write them.
 *
 * Data carries UTC milliseconds since the epoch (Kafka's own unit); intervals are measured in
 * monotonic nanoseconds. The two are never mixed. Threads: any.
 */
#ifndef TM_BASE_CLOCK_H
#define TM_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "base/err.h"

enum { TM_TIME_TEXT_MAX = 40 };

int64_t tm_now_ms(void);  /* UTC, milliseconds since the epoch */
int64_t tm_mono_ns(void); /* CLOCK_MONOTONIC */
int64_t tm_boot_ns(void); /* CLOCK_BOOTTIME: goes on while the machine sleeps */
/* CLOCK_MONOTONIC `ms` from now, as the timed waits of pthreads take it; far ahead is capped. */
struct timespec tm_mono_after_ms(int64_t ms);
void tm_sleep_ms(int64_t ms); /* at least that long; for back-off loops, never on the event loop */

/* "2026-11-22T23:30:00.000Z"; years below 0 or above 9999 are written as plain milliseconds. */
const char *tm_time_format(int64_t time_ms, char text[TM_TIME_TEXT_MAX]);

/*
 * Read a time of a request: RFC 3339 with an offset, epoch milliseconds (13 digits), or relative to
 * `now_ms`: "-2h", "now-2h", "2h ago", "now". TM_E_USAGE names what is accepted.
 */
enum tm_code tm_time_parse(
        const char *text, int64_t now_ms, int64_t *out, struct tm_err *err) TM_MUST_CHECK;

#endif
