/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics_topics - which topics have series of their own, and which share the one of "_other".
 *
 * A topic is one of a cluster and a policy. Who came first stays: a topic that is shown stays shown, and one
 * that is not never is, so that no counter of "_other" shrinks. Threads: the caller holds metrics' lock.
 */
#ifndef TM_BASE_METRICS_TOPICS_H
#define TM_BASE_METRICS_TOPICS_H

#include <stdbool.h>
#include <stddef.h>

#define TM_TOPIC_OTHER "_other"

enum { TM_TOPIC_LABELS = 3 }; /* kafka_cluster, policy, topic: of every family that has topics */

void tm_topics_limit(size_t max);
/* Is it shown? What is new is let in as long as there is room. */
bool tm_topics_admit(const char *const *labels);
void tm_topics_forget(const char *const *labels);
/* All of a cluster (label 0), a policy (1), or of that name (2). */
void tm_topics_forget_all(size_t label, const char *value);
size_t tm_topics_dropped(void); /* those not shown */

#endif
