/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holes - offsets that points have and the fold knows nothing of.
 *
 * Where packs were dropped for good, no run covers their offsets any more; that is right as long as no point
 * has them. Threads: as the handle; the caller must not hold a transaction.
 */
#ifndef TM_CATALOG_HOLES_H
#define TM_CATALOG_HOLES_H

#include "catalog/catalog.h"

/*
 * The parts of points' ranges that neither run nor gap covers, by stream, partition and offset; of each run only
 * stream, partition, first and length are set. One pass over runs and gaps; points are asked only where they
 * leave a hole.
 */
enum tm_code tm_holes_needed(struct tm_catalog *catalog, struct tm_arena *arena,
        struct tm_run **out, size_t *count, struct tm_err *err) TM_MUST_CHECK;

struct tm_holes_range {
    uint32_t stream;
    int32_t partition;
    int64_t from;
    int64_t end;
};
/* Is there an offset in the range that neither run nor gap covers? O(runs and gaps in it). */
enum tm_code tm_holes_any(struct tm_catalog *catalog, const struct tm_holes_range *range, bool *any,
        struct tm_err *err) TM_MUST_CHECK;

#endif
