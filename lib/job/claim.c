/* SPDX-License-Identifier: Apache-2.0 */
#include "job/claim.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/own.h"
#include "base/pool.h"

enum { LOOK_MS = 200 }; /* between looks at *cancel: nobody signals that */

struct held {
    struct held *next;
    const struct tm_kafka *kafka;
    const void *owner;
    unsigned times;
    char *topic;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t released;
static struct held *all; /* under `lock`; as many as topics are being read */

static void init(void)
{
    pthread_condattr_t monotonic;
    tm_assert(pthread_condattr_init(&monotonic) == 0);
    tm_assert(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    tm_assert(pthread_cond_init(&released, &monotonic) == 0);
    (void)pthread_condattr_destroy(&monotonic);
}

static struct held **find(const struct tm_claim *claim)
{
    struct held **at = &all;
    while (*at != NULL &&
            ((*at)->kafka != claim->kafka || strcmp((*at)->topic, claim->topic) != 0)) {
        at = &(*at)->next;
    }
    return at;
}

static void hold(const struct tm_claim *claim)
{
    struct held *held = *find(claim);
    if (held == NULL) {
        held = tm_xalloc(1, sizeof(*held));
        held->next = all;
        held->kafka = claim->kafka;
        held->owner = claim->owner;
        held->topic = strdup(claim->topic);
        tm_assert(held->topic != NULL);
        all = held;
    }
    held->times++;
}

static enum tm_code wait_for(const struct tm_claim *claim, const atomic_bool *cancel,
        int64_t deadline_ns, struct tm_err *err)
{
    for (;;) {
        const struct held *held = *find(claim);
        if (held == NULL || held->owner == claim->owner) {
            return TM_OK;
        }
        if (atomic_load_explicit(cancel, memory_order_relaxed)) {
            return tm_err_set(err, TM_E_CANCELLED, "topic %s: cancelled while another run read it",
                    claim->topic);
        }
        if (deadline_ns != 0 && tm_mono_ns() >= deadline_ns) {
            return tm_err_set(err, TM_E_TIMEOUT,
                    "topic %s: the run's time was over while another run read it", claim->topic);
        }
        tm_pool_beat();
        struct timespec until = tm_mono_after_ms(LOOK_MS);
        (void)pthread_cond_timedwait(&released, &lock, &until);
    }
}

enum tm_code tm_claim_topic(const struct tm_claim *claim, const atomic_bool *cancel,
        int64_t deadline_ns, struct tm_err *err)
{
    tm_assert(pthread_once(&once, init) == 0);
    pthread_mutex_lock(&lock);
    enum tm_code code = wait_for(claim, cancel, deadline_ns, err);
    if (code == TM_OK) {
        hold(claim);
    }
    pthread_mutex_unlock(&lock);
    return code;
}

void tm_claim_release(const struct tm_claim *claim)
{
    pthread_mutex_lock(&lock);
    struct held **at = find(claim);
    struct held *held = *at;
    tm_assert(held != NULL && held->owner == claim->owner);
    if (--held->times == 0) {
        *at = held->next;
        pthread_cond_broadcast(&released);
        free(held->topic);
        free(held);
    }
    pthread_mutex_unlock(&lock);
}
