/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read_pace - a bound of bytes per second that the workers of one run share.
 *
 * Who has taken so many bytes is told how long to wait until they have had their time; he sleeps himself, since only
 * he knows what else may end his wait. Time in which nothing was read is not saved up. While he waits, what is fetched
 * ahead stays below the bound of the reader's queue, and then the library stops fetching.
 *
 * Threads: any number.
 */
#ifndef TM_JOB_READ_PACE_H
#define TM_JOB_READ_PACE_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct tm_read_pace {
    pthread_mutex_t lock;
    int64_t bytes_per_second; /* 0: no bound */
    int64_t free_ns;          /* when all that was taken has had its time; monotonic */
};

void tm_read_pace_init(struct tm_read_pace *pace, int64_t bytes_per_second);
void tm_read_pace_done(struct tm_read_pace *pace);
/* Nanoseconds to wait before more is taken; 0: none. */
int64_t tm_read_pace_take(struct tm_read_pace *pace, size_t bytes);

#endif
