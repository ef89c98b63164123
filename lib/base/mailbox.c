/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"

struct message {
    struct message *next;
    void (*fn)(void *arg);
    void *arg;
};

struct tm_mailbox {
    pthread_mutex_t lock;
    pthread_cond_t posted;
    struct message *first;
    struct message **end; /* where the next one is linked */
    void (*wake)(void *arg);
    void *wake_arg;
};

struct tm_mailbox *tm_mailbox_new(void (*wake)(void *arg), void *wake_arg)
{
    struct tm_mailbox *box = tm_xalloc(1, sizeof(*box));
    pthread_condattr_t monotonic;
    tm_assert(pthread_condattr_init(&monotonic) == 0);
    tm_assert(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    tm_assert(pthread_cond_init(&box->posted, &monotonic) == 0);
    (void)pthread_condattr_destroy(&monotonic);
    tm_assert(pthread_mutex_init(&box->lock, NULL) == 0);
    box->end = &box->first;
    box->wake = wake;
    box->wake_arg = wake_arg;
    return box;
}

/* Everything that is in the box; it is empty afterwards. */
static struct message *take_all(struct tm_mailbox *box)
{
    (void)pthread_mutex_lock(&box->lock);
    struct message *first = box->first;
    box->first = NULL;
    box->end = &box->first;
    (void)pthread_mutex_unlock(&box->lock);
    return first;
}

void tm_mailbox_free(struct tm_mailbox *box)
{
    if (box == NULL) {
        return;
    }
    struct message *message = take_all(box);
    while (message != NULL) {
        struct message *next = message->next;
        free(message);
        message = next;
    }
    (void)pthread_cond_destroy(&box->posted);
    (void)pthread_mutex_destroy(&box->lock);
    free(box);
}

void tm_mailbox_post(struct tm_mailbox *box, void (*fn)(void *arg), void *arg)
{
    struct message *message = tm_xalloc(1, sizeof(*message));
    *message = (struct message){.fn = fn, .arg = arg};
    (void)pthread_mutex_lock(&box->lock);
    *box->end = message;
    box->end = &message->next;
    (void)pthread_cond_signal(&box->posted);
    /* Under the lock: once the owner has drained the message it may close what `wake` wakes. */
    if (box->wake != NULL) {
        box->wake(box->wake_arg);
    }
    (void)pthread_mutex_unlock(&box->lock);
}

size_t tm_mailbox_drain(struct tm_mailbox *box)
{
    struct message *message = take_all(box);
    size_t count = 0;
    while (message != NULL) {
        struct message *next = message->next;
        message->fn(message->arg);
        free(message);
        message = next;
        count++;
    }
    return count;
}

bool tm_mailbox_wait(struct tm_mailbox *box, int64_t timeout_ms)
{
    struct timespec until = tm_mono_after_ms(timeout_ms < 0 ? 0 : timeout_ms);
    int result = 0;
    (void)pthread_mutex_lock(&box->lock);
    while (box->first == NULL && result != ETIMEDOUT) {
        result = timeout_ms < 0 ? pthread_cond_wait(&box->posted, &box->lock)
                                : pthread_cond_timedwait(&box->posted, &box->lock, &until);
    }
    bool there = box->first != NULL;
    (void)pthread_mutex_unlock(&box->lock);
    return there;
}
