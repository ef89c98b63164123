/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bucket.h"

#include "base/clock.h"

enum { LOOK_MS = 50 /* between looks at cancel */ };
#define NS_PER_S INT64_C(1000000000)
#define BURST_NS (NS_PER_S / 10)

void tm_bucket_init(struct tm_bucket *bucket, int64_t bytes_per_second)
{
    bucket->per_second = bytes_per_second;
    atomic_store(&bucket->next_ns, tm_mono_ns());
}

static int64_t cost_ns(const struct tm_bucket *bucket, int64_t bytes)
{
    int64_t whole = bytes / bucket->per_second;
    int64_t rest = bytes % bucket->per_second; /* times 10^9 it would not fit */
    return whole * NS_PER_S + (int64_t)((double)rest / (double)bucket->per_second * 1e9);
}

bool tm_bucket_take(struct tm_bucket *bucket, int64_t bytes, const atomic_bool *cancel)
{
    if (bucket->per_second <= 0) {
        return true;
    }
    int64_t cost = cost_ns(bucket, bytes);
    int64_t before = atomic_load(&bucket->next_ns);
    int64_t turn_ns;
    do {
        int64_t oldest = tm_mono_ns() - BURST_NS;
        turn_ns = before > oldest ? before : oldest;
    } while (!atomic_compare_exchange_weak(&bucket->next_ns, &before, turn_ns + cost));
    for (;;) {
        int64_t left_ms = (turn_ns - tm_mono_ns() + 999999) / 1000000;
        if (cancel != NULL && atomic_load(cancel)) {
            return false;
        }
        if (left_ms <= 0) {
            return true;
        }
        tm_sleep_ms(left_ms < LOOK_MS ? left_ms : LOOK_MS);
    }
}
