/* SPDX-License-Identifier: Apache-2.0 */
/* pack_cache - the part of restore_source.h that only the sources use. Threads: any. */
#ifndef TM_JOB_PACK_CACHE_H
#define TM_JOB_PACK_CACHE_H

#include "job/restore_source.h"

/* An open pack, held until it is given back. */
enum tm_code tm_pack_cache_take(struct tm_pack_cache *cache, const struct tm_hash *name,
        uint64_t size, struct tm_pack **out, struct tm_err *err) TM_MUST_CHECK;
void tm_pack_cache_give(struct tm_pack_cache *cache, struct tm_pack *pack);

/*
 * Fold what the log has beyond the catalog, and give the runs that meet [from, end) of the partition as it is
 * then: after a pack was not there. TM_E_MISSING when the cache does not follow a catalog.
 */
struct tm_pack_cache_ask {
    uint32_t stream;
    int32_t partition;
    int64_t from;
    int64_t end;
};
enum tm_code tm_pack_cache_refold(struct tm_pack_cache *cache, const struct tm_pack_cache_ask *ask,
        struct tm_arena *arena, struct tm_stored_run **out, size_t *count,
        struct tm_err *err) TM_MUST_CHECK;

#endif
