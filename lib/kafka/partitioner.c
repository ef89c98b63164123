/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/partitioner.h"

#include "base/err.h"

enum { MIX = 0x5bd1e995, SHIFT = 24 };
#define SEED UINT32_C(0x9747b28c)

static uint32_t word_at(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

uint32_t tm_murmur2(struct tm_slice bytes)
{
    uint32_t hash = SEED ^ (uint32_t)bytes.len;
    size_t words = bytes.len / 4;
    for (size_t i = 0; i < words; i++) {
        uint32_t word = word_at(bytes.at + 4 * i) * MIX;
        word = (word ^ word >> SHIFT) * MIX;
        hash = hash * MIX ^ word;
    }
    size_t rest = bytes.len % 4;
    for (size_t i = rest; i > 0; i--) {
        hash ^= (uint32_t)bytes.at[4 * words + i - 1] << 8 * (i - 1);
    }
    hash = rest > 0 ? hash * MIX : hash;
    hash = (hash ^ hash >> 13) * MIX;
    return hash ^ hash >> 15;
}

int32_t tm_partition_of_key(struct tm_slice key, int32_t partitions)
{
    tm_assert(partitions > 0);
    return (int32_t)(tm_murmur2(key) & INT32_MAX) % partitions;
}
