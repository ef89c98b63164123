/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retained - what retention asks: every point without its rows, streams of a policy, archive windows.
 *
 * Threads: as the handle.
 */
#ifndef TM_CATALOG_RETAINED_H
#define TM_CATALOG_RETAINED_H

#include "catalog/catalog.h"

struct tm_point_head { /* a point, and what protects it */
    uint64_t id;
    struct tm_id16 ulid;
    int64_t time_ms;
    uint32_t flags;
    struct tm_slice cluster_id;
    struct tm_slice cluster_name;
    struct tm_slice policy;
    struct tm_row_mark mark; /* empty when it has none */
};

/* All points, by cluster id, policy and id; O(points). In `arena`. */
enum tm_code tm_catalog_point_heads(struct tm_catalog *catalog, struct tm_arena *arena,
        struct tm_point_head **out, size_t *count, struct tm_err *err) TM_MUST_CHECK;
/* One of them; out->id is 0 when there is none of that name. */
enum tm_code tm_catalog_point_head(struct tm_catalog *catalog, const struct tm_id16 *ulid,
        struct tm_arena *arena, struct tm_point_head *out, struct tm_err *err) TM_MUST_CHECK;

/* Streams that points of the policy of that cluster name, by id; O(streams * log(rows)). */
enum tm_code tm_catalog_policy_streams(struct tm_catalog *catalog, struct tm_slice cluster_id,
        struct tm_slice policy, struct tm_arena *arena, uint32_t **out, size_t *count,
        struct tm_err *err) TM_MUST_CHECK;

/* Does the newest point of the policy of that cluster have the stream? O(log(rows)). */
enum tm_code tm_catalog_policy_has(struct tm_catalog *catalog, struct tm_slice cluster_id,
        struct tm_slice policy, uint32_t stream, bool *has, struct tm_err *err) TM_MUST_CHECK;

/* The archive windows in force, by stream and policy. */
enum tm_code tm_catalog_keeps(struct tm_catalog *catalog, struct tm_arena *arena,
        struct tm_row_keep **out, size_t *count, struct tm_err *err) TM_MUST_CHECK;

#endif
