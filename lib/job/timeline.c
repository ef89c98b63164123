/* SPDX-License-Identifier: Apache-2.0 */
#include "job/timeline.h"

#include <stdlib.h>

#include "base/err.h"

struct head {
    int64_t time_ms;
    size_t input;
};

struct tm_timeline { /* a binary heap: no head comes before its parent */
    struct head *heads;
    size_t count;
    size_t inputs;
};

struct tm_timeline *tm_timeline_new(size_t inputs)
{
    struct tm_timeline *timeline = tm_xalloc(1, sizeof(*timeline));
    timeline->heads = tm_xalloc(inputs + 1, sizeof(*timeline->heads));
    timeline->inputs = inputs;
    return timeline;
}

void tm_timeline_free(struct tm_timeline *timeline)
{
    if (timeline != NULL) {
        free(timeline->heads);
        free(timeline);
    }
}

static bool goes_before(const struct head *a, const struct head *b)
{
    return a->time_ms < b->time_ms || (a->time_ms == b->time_ms && a->input < b->input);
}

static void swap(struct head *a, struct head *b)
{
    struct head kept = *a;
    *a = *b;
    *b = kept;
}

void tm_timeline_put(struct tm_timeline *timeline, size_t input, int64_t time_ms)
{
    tm_assert(input < timeline->inputs && timeline->count < timeline->inputs);
    struct head *heads = timeline->heads;
    size_t at = timeline->count++;
    heads[at] = (struct head){time_ms, input};
    while (at > 0 && goes_before(&heads[at], &heads[(at - 1) / 2])) {
        swap(&heads[at], &heads[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

bool tm_timeline_take(struct tm_timeline *timeline, size_t *input)
{
    struct head *heads = timeline->heads;
    if (timeline->count == 0) {
        return false;
    }
    *input = heads[0].input;
    heads[0] = heads[--timeline->count];
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < timeline->count; child++) {
            least = goes_before(&heads[child], &heads[least]) ? child : least;
        }
        if (least == at) {
            return true;
        }
        swap(&heads[at], &heads[least]);
        at = least;
    }
}
