/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metrics_topics.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/vec.h"

struct topic {
    char *labels[TM_TOPIC_LABELS]; /* in one allocation, at [0] */
    bool shown;
};

static TM_VEC(struct topic) topics; /* in the order of their labels */
static size_t shown;
static size_t limit = SIZE_MAX;

static int compare(const struct topic *topic, const char *const *labels)
{
    int order = 0;
    for (size_t i = 0; i < TM_TOPIC_LABELS && order == 0; i++) {
        order = strcmp(topic->labels[i], labels[i]);
    }
    return order;
}

/* Where the topic is or belongs; true when it is there. */
static bool find(const char *const *labels, size_t *index)
{
    size_t low = 0;
    size_t high = topics.count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = compare(&topics.at[mid], labels);
        if (order == 0) {
            *index = mid;
            return true;
        }
        low = order < 0 ? mid + 1 : low;
        high = order < 0 ? high : mid;
    }
    *index = low;
    return false;
}

static struct topic make(const char *const *labels)
{
    /* A topic of that very name would be told twice. */
    bool fits = shown < limit && strcmp(labels[TM_TOPIC_LABELS - 1], TM_TOPIC_OTHER) != 0;
    struct topic topic = {.shown = fits};
    size_t size = 0;
    for (size_t i = 0; i < TM_TOPIC_LABELS; i++) {
        size += strlen(labels[i]) + 1;
    }
    char *to = tm_xalloc(size, 1);
    for (size_t i = 0; i < TM_TOPIC_LABELS; i++) {
        size_t len = strlen(labels[i]) + 1;
        topic.labels[i] = memcpy(to, labels[i], len);
        to += len;
    }
    return topic;
}

void tm_topics_limit(size_t max)
{
    limit = max;
}

bool tm_topics_admit(const char *const *labels)
{
    size_t index = 0;
    if (!find(labels, &index)) {
        struct topic topic = make(labels);
        *tm_vec_push(&topics) = (struct topic){0};
        for (size_t i = topics.count - 1; i > index; i--) {
            topics.at[i] = topics.at[i - 1];
        }
        topics.at[index] = topic;
        shown += topic.shown ? 1 : 0;
    }
    return topics.at[index].shown;
}

static void drop(struct topic *topic)
{
    shown -= topic->shown ? 1 : 0;
    free(topic->labels[0]);
}

void tm_topics_forget(const char *const *labels)
{
    size_t index = 0;
    if (find(labels, &index)) {
        drop(&topics.at[index]);
        topics.count--;
        for (size_t i = index; i < topics.count; i++) {
            topics.at[i] = topics.at[i + 1];
        }
    }
}

void tm_topics_forget_all(size_t label, const char *value)
{
    size_t kept = 0;
    for (size_t i = 0; i < topics.count; i++) {
        if (strcmp(topics.at[i].labels[label], value) == 0) {
            drop(&topics.at[i]);
        } else {
            topics.at[kept++] = topics.at[i];
        }
    }
    topics.count = kept;
}

size_t tm_topics_dropped(void)
{
    return topics.count - shown;
}
