/* SPDX-License-Identifier: Apache-2.0 */
#include "job/pack_cache.h"

#include <pthread.h>
#include <stdlib.h>

enum { KEPT_MAX = 16 }; /* idle packs kept open: an index each */

struct kept {
    struct kept *next;
    struct tm_pack *pack;
    unsigned users;
    bool stale; /* opened before packs were found gone: not taken any more */
};

struct tm_pack_cache {
    pthread_mutex_t lock;
    struct tm_vault *vault;
    struct tm_catalog *catalog; /* NULL: packs are sought under their old names */
    struct kept *packs;         /* most recently used first */
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
    tm_catalog_close(cache->catalog);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static struct kept *find(struct tm_pack_cache *cache, const struct tm_hash *name)
{
    for (struct kept **at = &cache->packs; *at != NULL; at = &(*at)->next) {
        if (!(*at)->stale && tm_hash_eq(tm_pack_hash((*at)->pack), name)) {
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
        if (one->users == 0 && (one->stale || idle > KEPT_MAX)) {
            *at = one->next;
            tm_pack_close(one->pack);
            free(one);
        } else {
            at = &one->next;
        }
    }
}

static const struct tm_pack_deps deps_of_cache;

/* With the lock held while opening: others would open the same one. */
static enum tm_code take(struct tm_pack_cache *cache, const struct tm_hash *name, uint64_t size,
        struct tm_pack **out, struct tm_err *err)
{
    struct kept *kept = find(cache, name);
    if (kept == NULL) {
        struct tm_pack *pack = NULL;
        TM_TRY(tm_pack_open(cache->vault, name, size, &pack, err));
        struct tm_pack_deps deps = deps_of_cache;
        deps.self = cache;
        tm_pack_set_deps(pack, &deps);
        kept = tm_xalloc(1, sizeof(*kept));
        *kept = (struct kept){.next = cache->packs, .pack = pack};
        cache->packs = kept;
    }
    kept->users++;
    *out = kept->pack;
    return TM_OK;
}

static void give(struct tm_pack_cache *cache, const struct tm_pack *pack)
{
    for (struct kept *at = cache->packs; at != NULL; at = at->next) {
        if (at->pack == pack) {
            tm_assert(at->users > 0);
            at->users--;
        }
    }
    trim(cache);
}

enum tm_code tm_pack_cache_take(struct tm_pack_cache *cache, const struct tm_hash *name,
        uint64_t size, struct tm_pack **out, struct tm_err *err)
{
    pthread_mutex_lock(&cache->lock);
    enum tm_code code = take(cache, name, size, out, err);
    pthread_mutex_unlock(&cache->lock);
    return code;
}

void tm_pack_cache_give(struct tm_pack_cache *cache, struct tm_pack *pack)
{
    pthread_mutex_lock(&cache->lock);
    give(cache, pack);
    pthread_mutex_unlock(&cache->lock);
}

/* Content of other packs ---------------------------------------------------------------------- */

/* Without a catalog: the pack by its own name, of the size that the store says. */
static enum tm_code place_in_store(struct tm_pack_cache *cache, const struct tm_hash *dep,
        struct tm_arena *arena, struct tm_pack_place **out, size_t *count, struct tm_err *err)
{
    char name[TM_OBJECT_NAME_MAX];
    struct tm_object_info info;
    tm_pack_name(dep, name);
    TM_TRY(tm_store_stat(tm_vault_store(cache->vault), name, &info, err));
    *out = tm_arena_alloc(arena, 1, sizeof(**out));
    **out = (struct tm_pack_place){.name = *dep, .size = info.size};
    *count = 1;
    return TM_OK;
}

/* Take the first of the packs in which the content of `dep` may be now that holds it; NULL: none does. */
static enum tm_code take_holder(struct tm_pack_cache *cache, const struct tm_hash *dep,
        const struct tm_hash *id, struct tm_pack **out, struct tm_err *err)
{
    struct tm_arena arena = {0};
    struct tm_pack_place *places = NULL;
    size_t count = 0;
    struct tm_pack *holder = NULL;
    enum tm_code code =
            cache->catalog != NULL
                    ? tm_catalog_pack_places(cache->catalog, dep, &arena, &places, &count, err)
                    : place_in_store(cache, dep, &arena, &places, &count, err);
    for (size_t i = 0; code == TM_OK && holder == NULL && i < count; i++) {
        struct tm_pack *pack = NULL;
        code = take(cache, &places[i].name, places[i].size, &pack, err);
        if (code == TM_OK && tm_pack_holds(pack, id)) {
            holder = pack;
        } else if (code == TM_OK) {
            give(cache, pack);
        }
    }
    tm_arena_done(&arena);
    *out = code == TM_OK ? holder : NULL;
    return code;
}

/* Learn what became of packs. What is open may be gone: none of it is taken again. */
static enum tm_code fold(struct tm_pack_cache *cache, struct tm_err *err)
{
    for (struct kept *at = cache->packs; at != NULL; at = at->next) {
        at->stale = true;
    }
    trim(cache);
    struct tm_fold fold = tm_catalog_fold(cache->catalog);
    return tm_vault_refresh(cache->vault, &fold, err);
}

static enum tm_code find_holder(struct tm_pack_cache *cache, const struct tm_hash *dep,
        const struct tm_hash *id, struct tm_pack **out, struct tm_err *err)
{
    struct kept *kept = find(cache, dep);
    if (kept != NULL && tm_pack_holds(kept->pack, id)) {
        kept->users++;
        *out = kept->pack;
        return TM_OK;
    }
    struct tm_pack *pack = NULL;
    enum tm_code code = take_holder(cache, dep, id, &pack, err);
    bool gone = code == TM_E_MISSING || (code == TM_OK && pack == NULL);
    /* Merged, and perhaps swept, since the catalog was folded. */
    if (gone && cache->catalog != NULL) {
        *err = (struct tm_err){0};
        code = fold(cache, err);
        code = code == TM_OK ? take_holder(cache, dep, id, &pack, err) : code;
    }
    if (code == TM_OK && pack == NULL) {
        char name[TM_OBJECT_NAME_MAX];
        tm_pack_name(dep, name);
        code = tm_err_set(
                err, TM_E_CORRUPT, "its content is in no pack that holds what %s held", name);
    }
    if (code == TM_OK) {
        *out = pack;
    }
    return code;
}

static enum tm_code take_dep(void *self, const struct tm_hash *dep, const struct tm_hash *id,
        struct tm_pack **out, struct tm_err *err)
{
    struct tm_pack_cache *cache = self;
    pthread_mutex_lock(&cache->lock);
    enum tm_code code = find_holder(cache, dep, id, out, err);
    pthread_mutex_unlock(&cache->lock);
    return code;
}

static void give_dep(void *self, struct tm_pack *pack)
{
    tm_pack_cache_give(self, pack);
}

static const struct tm_pack_deps deps_of_cache = {.take = take_dep, .give = give_dep};

/* Packs that moved ---------------------------------------------------------------------------- */

enum tm_code tm_pack_cache_follow(
        struct tm_pack_cache *cache, const struct tm_catalog *catalog, struct tm_err *err)
{
    tm_assert(cache->catalog == NULL);
    return tm_catalog_twin(catalog, &cache->catalog, err);
}

enum tm_code tm_pack_cache_refold(struct tm_pack_cache *cache, const struct tm_pack_cache_ask *ask,
        struct tm_arena *arena, struct tm_stored_run **out, size_t *count, struct tm_err *err)
{
    if (cache->catalog == NULL) {
        return tm_err_set(err, TM_E_MISSING, "no catalog says where it went");
    }
    pthread_mutex_lock(&cache->lock);
    enum tm_code code = fold(cache, err);
    if (code == TM_OK) {
        code = tm_catalog_runs(cache->catalog, ask->stream, ask->partition, ask->from, ask->end,
                arena, out, count, err);
    }
    pthread_mutex_unlock(&cache->lock);
    return code;
}
