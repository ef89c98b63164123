/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace - a bound of bytes per second that several transfers share.
 *
 * Who wants to pass n bytes on takes its turn and sleeps until the bytes before its own have had their
 * time. Threads: any number; each call may sleep.
 */
#ifndef TM_HTTP_PACE_H
#define TM_HTTP_PACE_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct tm_pace {
    pthread_mutex_t lock;
    int64_t bytes_per_second; /* 0: no bound */
    int64_t next_ns;          /* when the next bytes may pass; monotonic */
};

void tm_pace_init(struct tm_pace *pace, int64_t bytes_per_second);
void tm_pace_done(struct tm_pace *pace);
void tm_pace_pass(struct tm_pace *pace, size_t bytes); /* sleep until so many may pass */

#endif
