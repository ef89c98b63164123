/* SPDX-License-Identifier: Apache-2.0 */
#include "http/pace.h"

#include "base/clock.h"

static const int64_t second_ns = INT64_C(1000) * 1000 * 1000;

void tm_pace_init(struct tm_pace *pace, int64_t bytes_per_second)
{
    pthread_mutex_init(&pace->lock, NULL);
    pace->bytes_per_second = bytes_per_second;
    pace->next_ns = 0;
}

void tm_pace_done(struct tm_pace *pace)
{
    pthread_mutex_destroy(&pace->lock);
}

void tm_pace_pass(struct tm_pace *pace, size_t bytes)
{
    if (pace->bytes_per_second <= 0 || bytes == 0) {
        return;
    }
    int64_t takes_ns =
            (int64_t)((double)bytes * (double)second_ns / (double)pace->bytes_per_second);
    pthread_mutex_lock(&pace->lock);
    int64_t now_ns = tm_mono_ns();
    /* Time in which nothing was sent is not saved up. */
    int64_t turn_ns = pace->next_ns > now_ns ? pace->next_ns : now_ns;
    pace->next_ns = turn_ns + takes_ns;
    pthread_mutex_unlock(&pace->lock);
    if (turn_ns > now_ns) {
        tm_sleep_ms((turn_ns - now_ns + 999999) / 1000000);
    }
}
