/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world - what the actors of the model share: Kafka as counters, the clock, the vault's objects, daemons.
 */
#ifndef TM_TESTS_WORLD_H
#define TM_TESTS_WORLD_H

#include "job/space.h"
#include "stage.h"
#include "tiny_packs.h"
#include "vault/log.h"

enum { PARTS = 3, DAEMONS = 3, CHAINS = 2, REPEATED = 40, READ_MAX = 6 };

struct daemon {
    struct tm_store *store;
    struct tm_vault *vault;
    struct tm_catalog *catalog;
    struct tm_fold fold;
    int busy; /* actors at work */
};

struct acked_point {
    struct tm_id16 ulid;
};

/* What a trial is rich in; by its seed. */
enum mix { MIX_EVEN, MIX_LOG, MIX_MERGE, MIX_SWEEP, MIXES };

struct world {
    enum mix mix;
    int64_t now_ms;
    struct mem_objects objects;
    struct mem_objects history;
    struct mem_objects base; /* of a vault that was just made */
    struct daemon daemons[DAEMONS];
    struct daemon fresh;    /* folds what is stored, from the newest full */
    struct daemon follower; /* folds every entry there ever was */
    int64_t log_start[PARTS];
    int64_t end[PARTS];
    int64_t acked[PARTS]; /* every offset below was acknowledged as stored */
    TM_VEC(struct tm_id16) acked_points;
    TM_VEC(struct tm_id16) expiring;          /* points that someone set out to remove */
    TM_VEC(struct tm_hash) holders[REPEATED]; /* packs that were put with that content */
    uint32_t ulids;
    char violation[700]; /* the first; "" for none */
    int64_t commits;     /* for the closing line */
    int64_t merges;
    int64_t sweeps;
    int64_t log_removed;
    int64_t conflicts;
    int64_t repairs;
};

static struct world world;

static inline int64_t world_ms(void)
{
    return world.now_ms;
}

static inline int64_t world_ns(void)
{
    return world.now_ms * 1000 * 1000;
}

/* What Kafka holds at an offset: two of three repeat. */
static inline uint32_t content_of(int32_t partition, int64_t offset)
{
    return offset % 3 != 0 ? (uint32_t)(partition * 7 + offset) % REPEATED
                           : (uint32_t)(1000 + partition * 1000 + offset);
}

static inline void violate(const char *what, const char *detail)
{
    if (world.violation[0] == '\0') {
        (void)snprintf(world.violation, sizeof(world.violation), "%s: %s", what, detail);
    }
}

static inline bool has_id(const struct tm_id16 *at, size_t count, const struct tm_id16 *id)
{
    for (size_t i = 0; i < count; i++) {
        if (tm_id16_eq(&at[i], id)) {
            return true;
        }
    }
    return false;
}

/*
 * What an actor came to. Lost races, failures of the store and lost answers are daily bread; that what
 * is stored contradicts itself never is.
 */
static inline void settle_outcome(
        const struct actor *actor, const char *who, enum tm_code code, const struct tm_err *err)
{
    world.conflicts += code == TM_E_CONFLICT ? 1 : 0;
    bool never = code == TM_E_CORRUPT || code == TM_E_ROLLED_BACK || code == TM_E_USAGE ||
                 code == TM_E_LIMIT || code == TM_E_KEY || code == TM_E_VERSION;
    if (never && !actor->killed) {
        violate(who, err->msg);
    }
}

#endif
