/* SPDX-License-Identifier: Apache-2.0 */
/*
 * point_list - the parts of tm_catalog_points(). Threads: as the handle; the caller holds a
 * transaction.
 */
#ifndef TM_CATALOG_POINT_LIST_H
#define TM_CATALOG_POINT_LIST_H

#include "base/vec.h"
#include "catalog/catalog.h"
#include "catalog/sql.h"

struct tm_listed {
    int64_t chain;
    struct tm_point_line *line;
};

/*
 * In point_sums.c: fill in topics, partitions, messages and bytes of `count` points of one chain, sorted
 * by id. O(partitions * (points + log(rows)) + rows between the points + runs of the partitions).
 */
enum tm_code tm_point_sums_fill(struct tm_sql *sql, const struct tm_listed *points, size_t count,
        struct tm_err *err) TM_MUST_CHECK;

/* Points [from, until) of a chain have a topic. */
struct tm_presence {
    int64_t chain;
    int64_t from;
    int64_t until;
};
struct tm_presences {
    TM_VEC(struct tm_presence) list;
};
void tm_presences_done(struct tm_presences *presences);

/* In presence.c: which points have the topic; O(changed partition rows of its streams). */
enum tm_code tm_presences_read(struct tm_sql *sql, const char *topic, struct tm_presences *out,
        struct tm_err *err) TM_MUST_CHECK;
void tm_presences_join(struct tm_presences *presences); /* those that touch become one */
bool tm_presences_has(const struct tm_presences *presences, int64_t chain, int64_t point);

#endif
