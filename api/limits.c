/* SPDX-License-Identifier: Apache-2.0 */
#include "limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/vec.h"

enum {
    BURST_SECONDS = 2,
    ASKERS_MAX = 256, /* beyond it the one who has asked for least of late is forgotten */
    REFUSALS = 10,    /* at once, and one more each second */
    HOLD_NS = 1000 * 1000 * 1000,
};

static const double ns_per_second = 1e9;

struct bucket {
    double left;
    int64_t filled_ns;
};

struct asker {
    char who[128];
    struct bucket bucket;
};

struct tm_limits {
    double per_second;
    TM_VEC(struct asker) askers;
    struct bucket refusals;
};

struct tm_limits *tm_limits_new(int64_t per_second)
{
    struct tm_limits *limits = tm_xalloc(1, sizeof(*limits));
    limits->per_second = (double)per_second;
    limits->refusals.left = REFUSALS;
    return limits;
}

void tm_limits_free(struct tm_limits *limits)
{
    if (limits != NULL) {
        tm_vec_done(&limits->askers);
        free(limits);
    }
}

static void fill(struct bucket *bucket, double per_second, double most, int64_t now_ns)
{
    bucket->left += (double)(now_ns - bucket->filled_ns) / ns_per_second * per_second;
    bucket->left = bucket->left > most ? most : bucket->left;
    bucket->filled_ns = now_ns;
}

static bool take(struct bucket *bucket)
{
    bool enough = bucket->left >= 1;
    bucket->left -= enough ? 1 : 0;
    return enough;
}

static struct asker *find(struct tm_limits *limits, const char *who, int64_t now_ns)
{
    struct asker *idle = NULL;
    for (size_t i = 0; i < limits->askers.count; i++) {
        struct asker *asker = &limits->askers.at[i];
        if (strcmp(asker->who, who) == 0) {
            return asker;
        }
        if (idle == NULL || asker->bucket.left > idle->bucket.left) {
            idle = asker;
        }
    }
    struct asker *made = limits->askers.count < ASKERS_MAX ? tm_vec_push(&limits->askers) : idle;
    (void)snprintf(made->who, sizeof(made->who), "%s", who);
    made->bucket = (struct bucket){BURST_SECONDS * limits->per_second, now_ns};
    return made;
}

bool tm_limits_take(struct tm_limits *limits, const char *who, int64_t now_ns)
{
    if (limits->per_second <= 0) {
        return true;
    }
    struct asker *asker = find(limits, who, now_ns);
    fill(&asker->bucket, limits->per_second, BURST_SECONDS * limits->per_second, now_ns);
    return take(&asker->bucket);
}

int64_t tm_limits_refused(struct tm_limits *limits, int64_t now_ns)
{
    fill(&limits->refusals, 1, REFUSALS, now_ns);
    return take(&limits->refusals) ? 0 : now_ns + HOLD_NS;
}
