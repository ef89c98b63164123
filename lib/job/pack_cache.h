/* SPDX-License-Identifier: Apache-2.0 */
/* pack_cache - the part of restore_source.h that only the sources use. Threads: any. */
#ifndef TM_JOB_PACK_CACHE_H
#define TM_JOB_PACK_CACHE_H

#include "job/restore_source.h"

/* An open pack, held until it is given back. */
enum tm_code tm_pack_cache_take(struct tm_pack_cache *cache, const struct tm_hash *name,
        uint64_t size, struct tm_pack **out, struct tm_err *err) TM_MUST_CHECK;
void tm_pack_cache_give(struct tm_pack_cache *cache, struct tm_pack *pack);

#endif
