/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stage - actors that take turns at each operation of the store, so that a seed decides the order.
 *
 * Each actor is a thread; exactly one thread runs at any time: the director, or the actor it has given
 * the turn to, until that one comes to its next store operation or to its end. There the operation may
 * fail, or be done and its answer lost. A killed actor's operations are not done any more, and give an
 * error that nobody tries again, so that its thread finds its end.
 */
#ifndef TM_TESTS_STAGE_H
#define TM_TESTS_STAGE_H

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>

#include "mem_store.h"

struct actor {
    pthread_t thread;
    sem_t go;
    bool killed;
    bool done;
    void (*play)(struct actor *actor);
    void *arg;
    int daemon; /* whose it is */
};

static _Thread_local struct actor *self; /* NULL: the director, who is never held up */
static sem_t turn;                       /* the director's */
static uint64_t dice;                    /* thrown by whoever has the turn */

static inline uint32_t below(uint32_t bound)
{
    dice = dice * 6364136223846793005U + 1442695040888963407U; /* Knuth's MMIX */
    return (uint32_t)(dice >> 33) % bound;
}

static inline void *actor_main(void *arg)
{
    self = arg;
    (void)sem_wait(&self->go);
    self->play(self);
    self->done = true;
    (void)sem_post(&turn);
    return NULL;
}

static inline struct actor *actor_start(void (*play)(struct actor *), void *arg, int daemon)
{
    struct actor *actor = tm_xalloc(1, sizeof(*actor));
    actor->play = play;
    actor->arg = arg;
    actor->daemon = daemon;
    (void)sem_init(&actor->go, 0, 0);
    tm_assert(pthread_create(&actor->thread, NULL, actor_main, actor) == 0);
    return actor;
}

/* Let the actor go on to its next operation, or to its end. */
static inline void actor_step(struct actor *actor)
{
    (void)sem_post(&actor->go);
    (void)sem_wait(&turn);
}

/* After its end. */
static inline void actor_free(struct actor *actor)
{
    tm_assert(actor->done && pthread_join(actor->thread, NULL) == 0);
    (void)sem_destroy(&actor->go);
    free(actor);
}

/* The store ------------------------------------------------------------------------------- */

struct stage_store {
    struct tm_store base;
    struct tm_store *inner;
    struct mem_objects *history; /* every entry of the log that was ever created */
};

enum gate { GATE_DO, GATE_FAIL, GATE_LOSE };
static bool calm; /* no faults */

/* Wait for the turn; what is to become of the operation? */
static inline enum gate gate_pass(bool changes, const char *name, struct tm_err *err)
{
    if (self == NULL) {
        return GATE_DO;
    }
    (void)sem_post(&turn);
    (void)sem_wait(&self->go);
    if (self->killed) {
        (void)tm_err_set(err, TM_E_DENIED, "%s: killed", name);
        return GATE_FAIL;
    }
    uint32_t throw = calm ? 1000 : below(1000);
    if (throw < 6) {
        (void)tm_err_set(err, TM_E_IO, "%s: failed", name);
        return GATE_FAIL;
    }
    if (changes && throw < 60) {
        return GATE_LOSE;
    }
    return GATE_DO;
}

static inline struct stage_store *stage_of(struct tm_store *store)
{
    return (struct stage_store *)store;
}

static inline enum tm_code stage_answer(
        enum gate gate, const char *name, enum tm_code code, struct tm_err *err)
{
    return code == TM_OK && gate == GATE_LOSE
                   ? tm_err_set(err, TM_E_UNKNOWN, "%s: the answer was lost", name)
                   : code;
}

static inline enum tm_code stage_get(struct tm_store *store, const char *name, size_t max_bytes,
        struct tm_buf *out, struct tm_err *err)
{
    return gate_pass(false, name, err) == GATE_FAIL
                   ? err->code
                   : tm_store_get(stage_of(store)->inner, name, max_bytes, out, err);
}

static inline enum tm_code stage_range(struct tm_store *store, const char *name, uint64_t offset,
        size_t len, struct tm_buf *out, struct tm_err *err)
{
    return gate_pass(false, name, err) == GATE_FAIL
                   ? err->code
                   : tm_store_range(stage_of(store)->inner, name, offset, len, out, err);
}

static inline enum tm_code stage_create(
        struct tm_store *store, const char *name, struct tm_slice bytes, struct tm_err *err)
{
    enum gate gate = gate_pass(true, name, err);
    if (gate == GATE_FAIL) {
        return err->code;
    }
    struct mem_objects *history = stage_of(store)->history;
    enum tm_code code = tm_store_create(stage_of(store)->inner, name, bytes, err);
    if (code == TM_OK && strncmp(name, "log/", 4) == 0 && mem_find(history, name) == NULL) {
        mem_add(history, name, bytes.at, bytes.len);
    }
    return stage_answer(gate, name, code, err);
}

static inline enum tm_code stage_spool_open(
        struct tm_store *store, struct tm_spool *out, struct tm_err *err)
{
    return tm_store_spool_open(stage_of(store)->inner, out, err);
}

static inline void stage_spool_drop(struct tm_store *store, struct tm_spool *spool)
{
    tm_store_spool_drop(stage_of(store)->inner, spool);
}

static inline enum tm_code stage_put(
        struct tm_store *store, const char *name, struct tm_spool *spool, struct tm_err *err)
{
    enum gate gate = gate_pass(true, name, err);
    if (gate == GATE_FAIL) {
        return err->code;
    }
    enum tm_code code = tm_store_put(stage_of(store)->inner, name, spool, err);
    return stage_answer(gate, name, code, err);
}

static inline enum tm_code stage_list(struct tm_store *store, const char *prefix,
        enum tm_code (*each)(
                void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err),
        void *arg, struct tm_err *err)
{
    return gate_pass(false, prefix, err) == GATE_FAIL
                   ? err->code
                   : tm_store_list(stage_of(store)->inner, prefix, each, arg, err);
}

static inline enum tm_code stage_remove(
        struct tm_store *store, const char *name, struct tm_err *err)
{
    enum gate gate = gate_pass(true, name, err);
    if (gate == GATE_FAIL) {
        return err->code;
    }
    return stage_answer(gate, name, tm_store_remove(stage_of(store)->inner, name, err), err);
}

static inline enum tm_code stage_stat(
        struct tm_store *store, const char *name, struct tm_object_info *out, struct tm_err *err)
{
    return gate_pass(false, name, err) == GATE_FAIL
                   ? err->code
                   : tm_store_stat(stage_of(store)->inner, name, out, err);
}

static inline void stage_free(struct tm_store *store)
{
    tm_store_free(stage_of(store)->inner);
    free(store);
}

static inline struct tm_store *stage_store_new(
        struct mem_objects *objects, struct mem_objects *history)
{
    static const struct tm_store_ops ops = {
            .get = stage_get,
            .range = stage_range,
            .create = stage_create,
            .spool_open = stage_spool_open,
            .spool_drop = stage_spool_drop,
            .put = stage_put,
            .list = stage_list,
            .remove = stage_remove,
            .stat = stage_stat,
            .free = stage_free,
    };
    struct stage_store *store = tm_xalloc(1, sizeof(*store));
    store->base.ops = &ops;
    store->base.backend = "stage";
    (void)snprintf(store->base.where, sizeof(store->base.where), "stage");
    store->inner = mem_store_new(objects);
    store->history = history;
    return &store->base;
}

#endif
