/* SPDX-License-Identifier: Apache-2.0 */
#include "job/read_pace.h"

#include "base/clock.h"

static const int64_t second_ns = INT64_C(1000) * 1000 * 1000;

void tm_read_pace_init(struct tm_read_pace *pace, int64_t bytes_per_second)
{
    pthread_mutex_init(&pace->lock, NULL);
    pace->bytes_per_second = bytes_per_second;
    pace->free_ns = 0;
}

void tm_read_pace_done(struct tm_read_pace *pace)
{
    pthread_mutex_destroy(&pace->lock);
}

/* `bytes` are those of a record: below 2^31, so that nothing overflows. */
static int64_t time_of(const struct tm_read_pace *pace, size_t bytes)
{
    int64_t per_second = pace->bytes_per_second;
    int64_t rest = (int64_t)bytes % per_second;
    return (int64_t)bytes / per_second * second_ns + rest * second_ns / per_second;
}

int64_t tm_read_pace_take(struct tm_read_pace *pace, size_t bytes)
{
    if (pace->bytes_per_second <= 0 || bytes == 0) {
        return 0;
    }
    pthread_mutex_lock(&pace->lock);
    int64_t now_ns = tm_mono_ns();
    pace->free_ns = (pace->free_ns > now_ns ? pace->free_ns : now_ns) + time_of(pace, bytes);
    int64_t wait_ns = pace->free_ns - now_ns;
    pthread_mutex_unlock(&pace->lock);
    return wait_ns;
}
