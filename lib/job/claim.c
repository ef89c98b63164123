/* SPDX-License-Identifier: Apache-2.0 */
#include "job/claim.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/own.h"

struct claim {
    struct claim *next;
    const struct tm_kafka *kafka;
    char *topic;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t released = PTHREAD_COND_INITIALIZER;
static struct claim *claims; /* under `lock`; as many as topics are being read */

static struct claim **find(const struct tm_kafka *kafka, const char *topic)
{
    struct claim **at = &claims;
    while (*at != NULL && ((*at)->kafka != kafka || strcmp((*at)->topic, topic) != 0)) {
        at = &(*at)->next;
    }
    return at;
}

enum tm_code tm_claim_topic(const struct tm_kafka *kafka, const char *topic,
        const atomic_bool *cancel, struct tm_err *err)
{
    pthread_mutex_lock(&lock);
    while (*find(kafka, topic) != NULL) {
        if (atomic_load_explicit(cancel, memory_order_relaxed)) {
            pthread_mutex_unlock(&lock);
            return tm_err_set(
                    err, TM_E_CANCELLED, "topic %s: cancelled while another run read it", topic);
        }
        struct timespec until; /* looks at *cancel now and then: nobody signals that */
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 1;
        (void)pthread_cond_timedwait(&released, &lock, &until);
    }
    struct claim *mine = tm_xalloc(1, sizeof(*mine));
    *mine = (struct claim){.next = claims, .kafka = kafka, .topic = strdup(topic)};
    tm_assert(mine->topic != NULL);
    claims = mine;
    pthread_mutex_unlock(&lock);
    return TM_OK;
}

void tm_claim_release(const struct tm_kafka *kafka, const char *topic)
{
    pthread_mutex_lock(&lock);
    struct claim **at = find(kafka, topic);
    tm_assert(*at != NULL);
    struct claim *mine = *at;
    *at = mine->next;
    pthread_cond_broadcast(&released);
    pthread_mutex_unlock(&lock);
    free(mine->topic);
    free(mine);
}
