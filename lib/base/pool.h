/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool - some threads that take work from a queue, first come first served.
 *
 * Used for sealers and topic workers. Work must not wait for other work of the same pool: with all
 * threads waiting nothing would go on. The queue is not bounded here: who submits counts what it
 * has in flight (a byte budget, a number of topics).
 *
 * Threads: any may submit.
 */
#ifndef TM_BASE_POOL_H
#define TM_BASE_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/own.h"

struct tm_pool;
enum { TM_POOL_MAX = 256 /* threads of a pool */ };

/* Start `threads` (>= 1, at most TM_POOL_MAX) threads, named "<name>-0"... (name at most 10 characters). */
struct tm_pool *tm_pool_new(const char *name, unsigned threads);
/* Finish what is queued, join the threads. */
void tm_pool_free(struct tm_pool *pool);
TM_OWNABLE(struct tm_pool *, tm_pool_free);
unsigned tm_pool_threads(const struct tm_pool *pool);
/* Have at least so many threads, at most TM_POOL_MAX; there are never fewer than before. One thread at a time asks this. */
void tm_pool_grow(struct tm_pool *pool, unsigned threads);

/* Have a thread of the pool call fn(arg) once. */
void tm_pool_submit(struct tm_pool *pool, void (*fn)(void *arg), void *arg);

/*
 * Heartbeats, for a watchdog. A thread of a pool that works says so by the way, wherever it looks
 * whether to stop, or is about to do what ends by a time limit of its own: tm_pool_beat(). What it
 * waits for without a limit, since another thread's work ends it, is rest: tm_pool_rest() before,
 * tm_pool_beat() behind. Both do nothing in a thread that belongs to no pool.
 */
void tm_pool_beat(void);
void tm_pool_rest(void);
/* How long the quietest thread that works has been silent at `now_ns` (monotonic); 0: none works. */
int64_t tm_pool_silent_ns(const struct tm_pool *pool, int64_t now_ns);

/*
 * A latch counts work in flight: _add before submitting, _done at the end of each, _wait until none
 * is left. A zeroed-by-init struct in the caller's memory.
 */
struct tm_latch;
struct tm_latch *tm_latch_new(void);
void tm_latch_free(struct tm_latch *latch); /* nothing may be in flight */
TM_OWNABLE(struct tm_latch *, tm_latch_free);
void tm_latch_add(struct tm_latch *latch);
void tm_latch_finish(struct tm_latch *latch);
void tm_latch_wait(struct tm_latch *latch);
/* Wait at most `timeout_ms`; true when nothing is in flight. */
bool tm_latch_wait_ms(struct tm_latch *latch, int64_t timeout_ms);

#endif
