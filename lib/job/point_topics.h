/* SPDX-License-Identifier: Apache-2.0 */
/*
 * point_topics - patterns of topics, as lists of points take them, become the names that a catalog has.
 *
 * Threads: as the catalog's handle.
 */
#ifndef TM_JOB_POINT_TOPICS_H
#define TM_JOB_POINT_TOPICS_H

#include "catalog/catalog.h"

/*
 * Topics that the vault has had and one of the `patterns` (policy/select.h; at least one) meets, a name once or several
 * times, in `arena`. None of it means that no point has one: to a query that would be any. TM_E_USAGE: no pattern.
 */
enum tm_code tm_point_topics(struct tm_catalog *catalog, const struct tm_names *patterns,
        struct tm_arena *arena, struct tm_names *out, struct tm_err *err) TM_MUST_CHECK;

#endif
