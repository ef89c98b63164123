/* SPDX-License-Identifier: Apache-2.0 */
#include "errand.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { ERRANDS_MAX = 8 };

static size_t errands; /* the loop's */

struct errand {
    struct tmd *tmd;
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
    pthread_t thread;
};

static void finish(void *arg)
{
    struct errand *errand = arg;
    pthread_join(errand->thread, NULL);
    errands--;
    errand->done(errand->arg);
    free(errand);
}

static void *run(void *arg)
{
    struct errand *errand = arg;
    errand->work(errand->arg);
    tmd_post(errand->tmd, finish, errand);
    return NULL;
}

bool tmd_errand(struct tmd *tmd, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
    if (errands >= ERRANDS_MAX || tmd->draining) {
        return false;
    }
    struct errand *errand = tm_xalloc(1, sizeof(*errand));
    *errand = (struct errand){.tmd = tmd, .work = work, .done = done, .arg = arg};
    errands++;
    tm_assert(pthread_create(&errand->thread, NULL, run, errand) == 0);
    (void)pthread_setname_np(errand->thread, "errand");
    return true;
}

void tmd_errand_refused(const struct tmd *tmd, const char *detail, struct tm_problem *out)
{
    *out = (struct tm_problem){.status = 503, .retry_after_s = 2};
    out->slug = tmd->draining ? "draining" : "queue-full";
    (void)snprintf(out->detail, sizeof(out->detail), "%s", detail);
}

size_t tmd_errands(void)
{
    return errands;
}
