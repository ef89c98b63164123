/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits - how often somebody may ask, and how fast keys to the door may be tried.
 *
 * Each identity (a token, a certificate) has a bucket of requests of its own, and all wrong tokens and certificates of a
 * listener together have one: beyond it their refusals are held back for a second. The right token is never held back,
 * whoever tries others beside it.
 *
 * Threads: the loop's.
 */
#ifndef TM_API_LIMITS_H
#define TM_API_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

struct tm_limits;

/* `per_second` requests of each identity, twice as many at once; 0: any number. */
struct tm_limits *tm_limits_new(int64_t per_second);
void tm_limits_free(struct tm_limits *limits);

/* One more request of `who` at CLOCK_MONOTONIC `now_ns`: may it be served? */
bool tm_limits_take(struct tm_limits *limits, const char *who, int64_t now_ns);
/* One more refusal: until when it is held back; 0: not at all. */
int64_t tm_limits_refused(struct tm_limits *limits, int64_t now_ns);

#endif
