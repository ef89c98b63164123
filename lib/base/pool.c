/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"

enum { THREAD_NAME_MAX = 16 /* with the NUL: the kernel's limit */ };

struct work {
    struct work *next;
    void (*fn)(void *arg);
    void *arg;
};

struct member {
    pthread_t id;
    _Atomic int64_t beat_ns; /* when it last said that it goes on; 0: it has nothing to do */
    struct tm_pool *pool;
};

/* Of the thread that asks; NULL: it belongs to no pool. */
static _Thread_local struct member *self;

struct tm_pool {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* work was queued, or the pool is closing */
    struct work *first;
    struct work **end; /* where the next one is linked */
    bool closing;
    char name[THREAD_NAME_MAX];
    atomic_uint threads;
    struct member at[TM_POOL_MAX]; /* they stay where they are when there are more */
};

/* The next piece of work, waited for; NULL when the pool closes and none is left. */
static struct work *take_work(struct tm_pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    while (pool->first == NULL && !pool->closing) {
        (void)pthread_cond_wait(&pool->changed, &pool->lock);
    }
    struct work *work = pool->first;
    if (work != NULL) {
        pool->first = work->next;
        if (pool->first == NULL) {
            pool->end = &pool->first;
        }
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return work;
}

static void *run(void *arg)
{
    self = arg;
    for (;;) {
        tm_pool_rest();
        struct work *work = take_work(self->pool);
        tm_pool_beat();
        if (work == NULL) {
            return NULL;
        }
        work->fn(work->arg);
        free(work);
    }
}

/* Signals are for the event loop's thread, but for those that tell of a bug in this one. */
static void block_signals(sigset_t *before)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    sigset_t all;
    (void)sigfillset(&all);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        (void)sigdelset(&all, own[i]);
    }
    tm_assert(pthread_sigmask(SIG_BLOCK, &all, before) == 0);
}

struct tm_pool *tm_pool_new(const char *name, unsigned threads)
{
    struct tm_pool *pool = tm_xalloc(1, sizeof(*pool));
    tm_assert(pthread_mutex_init(&pool->lock, NULL) == 0);
    tm_assert(pthread_cond_init(&pool->changed, NULL) == 0);
    pool->end = &pool->first;
    (void)snprintf(pool->name, sizeof(pool->name), "%.10s", name);
    tm_assert(threads > 0);
    tm_pool_grow(pool, threads);
    return pool;
}

void tm_pool_grow(struct tm_pool *pool, unsigned threads)
{
    unsigned limit = threads < TM_POOL_MAX ? threads : TM_POOL_MAX;
    sigset_t before;
    block_signals(&before);
    for (unsigned i = pool->threads; i < limit; i++) {
        char name[THREAD_NAME_MAX];
        pool->at[i].pool = pool;
        (void)snprintf(name, sizeof(name), "%.10s-%u", pool->name, i % 10000);
        tm_assert(pthread_create(&pool->at[i].id, NULL, run, &pool->at[i]) == 0);
        (void)pthread_setname_np(pool->at[i].id, name);
        pool->threads = i + 1;
    }
    tm_assert(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
}

void tm_pool_free(struct tm_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    (void)pthread_cond_broadcast(&pool->changed);
    (void)pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->threads; i++) {
        tm_assert(pthread_join(pool->at[i].id, NULL) == 0);
    }
    (void)pthread_cond_destroy(&pool->changed);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool);
}

unsigned tm_pool_threads(const struct tm_pool *pool)
{
    return pool->threads;
}

void tm_pool_submit(struct tm_pool *pool, void (*fn)(void *arg), void *arg)
{
    struct work *work = tm_xalloc(1, sizeof(*work));
    *work = (struct work){.fn = fn, .arg = arg};
    (void)pthread_mutex_lock(&pool->lock);
    *pool->end = work;
    pool->end = &work->next;
    (void)pthread_cond_signal(&pool->changed);
    (void)pthread_mutex_unlock(&pool->lock);
}

void tm_pool_beat(void)
{
    if (self != NULL) {
        atomic_store_explicit(&self->beat_ns, tm_mono_ns(), memory_order_relaxed);
    }
}

void tm_pool_rest(void)
{
    if (self != NULL) {
        atomic_store_explicit(&self->beat_ns, 0, memory_order_relaxed);
    }
}

int64_t tm_pool_silent_ns(const struct tm_pool *pool, int64_t now_ns)
{
    int64_t longest = 0;
    for (unsigned i = 0; i < pool->threads; i++) {
        int64_t beat_ns = atomic_load_explicit(&pool->at[i].beat_ns, memory_order_relaxed);
        if (beat_ns != 0 && now_ns - beat_ns > longest) {
            longest = now_ns - beat_ns;
        }
    }
    return longest;
}

struct tm_latch {
    pthread_mutex_t lock;
    pthread_cond_t none_left;
    uint64_t in_flight;
};

struct tm_latch *tm_latch_new(void)
{
    struct tm_latch *latch = tm_xalloc(1, sizeof(*latch));
    pthread_condattr_t monotonic;
    tm_assert(pthread_condattr_init(&monotonic) == 0);
    tm_assert(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    tm_assert(pthread_cond_init(&latch->none_left, &monotonic) == 0);
    (void)pthread_condattr_destroy(&monotonic);
    tm_assert(pthread_mutex_init(&latch->lock, NULL) == 0);
    return latch;
}

void tm_latch_free(struct tm_latch *latch)
{
    if (latch == NULL) {
        return;
    }
    tm_assert(
            tm_latch_wait_ms(latch, 0)); /* the thread that finished last has left the lock, too */
    (void)pthread_cond_destroy(&latch->none_left);
    (void)pthread_mutex_destroy(&latch->lock);
    free(latch);
}

void tm_latch_add(struct tm_latch *latch)
{
    (void)pthread_mutex_lock(&latch->lock);
    latch->in_flight++;
    (void)pthread_mutex_unlock(&latch->lock);
}

void tm_latch_finish(struct tm_latch *latch)
{
    (void)pthread_mutex_lock(&latch->lock);
    tm_assert(latch->in_flight > 0);
    latch->in_flight--;
    if (latch->in_flight == 0) {
        /* Under the lock: a waiter that frees the latch must first get it. */
        (void)pthread_cond_broadcast(&latch->none_left);
    }
    (void)pthread_mutex_unlock(&latch->lock);
}

void tm_latch_wait(struct tm_latch *latch)
{
    (void)pthread_mutex_lock(&latch->lock);
    while (latch->in_flight > 0) {
        (void)pthread_cond_wait(&latch->none_left, &latch->lock);
    }
    (void)pthread_mutex_unlock(&latch->lock);
}

bool tm_latch_wait_ms(struct tm_latch *latch, int64_t timeout_ms)
{
    struct timespec until = tm_mono_after_ms(timeout_ms);
    int result = 0;
    (void)pthread_mutex_lock(&latch->lock);
    while (latch->in_flight > 0 && result != ETIMEDOUT) {
        result = pthread_cond_timedwait(&latch->none_left, &latch->lock, &until);
    }
    bool none_left = latch->in_flight == 0;
    (void)pthread_mutex_unlock(&latch->lock);
    return none_left;
}
