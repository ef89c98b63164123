/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timeline - which of several inputs goes next, when they are merged in the order of their records' times.
 *
 * Each input shows the time of its next record. The smallest goes first; of equal ones the input with the
 * smaller number. An input's own order is never changed: a record whose time lies before its predecessor's
 * goes right behind it. So the order that comes out depends on what the inputs hold and on nothing else.
 *
 * Threads: a timeline belongs to one thread.
 */
#ifndef TM_JOB_TIMELINE_H
#define TM_JOB_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/own.h"

struct tm_timeline;
struct tm_timeline *tm_timeline_new(size_t inputs);
void tm_timeline_free(struct tm_timeline *timeline);
TM_OWNABLE(struct tm_timeline *, tm_timeline_free);

/* The next record of `input` (which shows none now) has this time. O(log inputs). */
void tm_timeline_put(struct tm_timeline *timeline, size_t input, int64_t time_ms);
/* Take the input whose record is next; it shows none then. False: no input shows any. */
bool tm_timeline_take(struct tm_timeline *timeline, size_t *input);

#endif
