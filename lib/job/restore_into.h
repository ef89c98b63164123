/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore_into - where in the target a restore puts its records, and how fast: what a request says of it.
 *
 * Threads: plain values; texts and arrays are borrowed.
 */
#ifndef TM_JOB_RESTORE_INTO_H
#define TM_JOB_RESTORE_INTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tm_partitions {
    TM_PARTITIONS_SAME, /* partition p of the source into partition p of the target */
    TM_PARTITIONS_HASH, /* by the record's key, as Kafka's default partitioner; without one by its source partition */
    TM_PARTITIONS_MAP, /* as listed */
};

struct tm_partition_pair {
    int32_t from;
    int32_t to;
};

struct tm_restore_into {
    enum tm_partitions partitions;
    int32_t partition_count; /* of topics that are made; 0: as the source, or as many as the map needs */
    const struct tm_partition_pair *map;
    size_t map_count;
    const char *const *confirm; /* target topics whose records may be deleted: purge, recreate */
    size_t confirm_count;
    bool add_original_position;     /* a header that says where the record lay */
    int64_t write_bytes_per_second; /* of the whole job; 0: no limit */
    int32_t max_in_flight; /* partitions that are written side by side; 0: as many as cores allow */
};

/* The header of add_original_position; its value is "topic/partition@offset". */
#define TM_POSITION_HEADER "tidemark.original_position"

#endif
