/* SPDX-License-Identifier: Apache-2.0 */
#include "job/pack_cache.h"

#include <pthread.h>
#include <stdlib.h>

enum { KEPT_MAX = 8 }; /* idle packs kept open: an index each */

struct kept {
    struct kept *next;
    struct tm_pack *pack;
    unsigned users;
};

struct tm_pack_cache {
    pthread_mutex_t lock;
    struct tm_vault *vault;
    struct kept *packs; /* most recently used first */
};

struct tm_pack_cache *tm_pack_cache_new(struct tm_vault *vault)
{
    struct tm_pack_cache *cache = tm_xalloc(1, sizeof(*cache));
    pthread_mutex_init(&cache->lock, NULL);
    cache->vault = vault;
    return cache;
}

void tm_pack_cache_free(struct tm_pack_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    while (cache->packs != NULL) {
        struct kept *first = cache->packs;
        tm_assert(first->users == 0);
        cache->packs = first->next;
        tm_pack_close(first->pack);
        free(first);
    }
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static struct kept *find(struct tm_pack_cache *cache, const struct tm_hash *name)
{
    for (struct kept **at = &cache->packs; *at != NULL; at = &(*at)->next) {
        if (tm_hash_eq(tm_pack_hash((*at)->pack), name)) {
            struct kept *found = *at; /* to the front */
            *at = found->next;
            found->next = cache->packs;
            cache->packs = found;
            return found;
        }
    }
    return NULL;
}

/* Close what was not used for longest, beyond the number that is kept. */
static void trim(struct tm_pack_cache *cache)
{
    unsigned idle = 0;
    struct kept **at = &cache->packs;
    while (*at != NULL) {
        struct kept *one = *at;
        idle += one->users == 0 ? 1 : 0;
        if (one->users == 0 && idle > KEPT_MAX) {
            *at = one->next;
            tm_pack_close(one->pack);
            free(one);
        } else {
            at = &one->next;
        }
    }
}

enum tm_code tm_pack_cache_take(struct tm_pack_cache *cache, const struct tm_hash *name,
        uint64_t size, struct tm_pack **out, struct tm_err *err)
{
    enum tm_code code = TM_OK;
    pthread_mutex_lock(&cache->lock); /* held while opening: others would open the same one */
    struct kept *kept = find(cache, name);
    if (kept == NULL) {
        struct tm_pack *pack = NULL;
        code = tm_pack_open(cache->vault, name, size, &pack, err);
        if (code == TM_OK) {
            kept = tm_xalloc(1, sizeof(*kept));
            *kept = (struct kept){.next = cache->packs, .pack = pack};
            cache->packs = kept;
        }
    }
    if (code == TM_OK) {
        kept->users++;
        *out = kept->pack;
    }
    pthread_mutex_unlock(&cache->lock);
    return code;
}

void tm_pack_cache_give(struct tm_pack_cache *cache, struct tm_pack *pack)
{
    pthread_mutex_lock(&cache->lock);
    for (struct kept *at = cache->packs; at != NULL; at = at->next) {
        if (at->pack == pack) {
            tm_assert(at->users > 0);
            at->users--;
        }
    }
    trim(cache);
    pthread_mutex_unlock(&cache->lock);
}
