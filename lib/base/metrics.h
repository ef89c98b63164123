/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics - what the program counts, for GET /metrics in Prometheus' text format 0.0.4.
 *
 * Families are declared once, in metrics.def. A series is a family with label values; it is made by
 * the first touch, and lives until tm_metric_forget(). Values are doubles; counters only grow.
 *
 * Threads: any; one short lock inside, never held while rendering to a socket.
 */
#ifndef TM_BASE_METRICS_H
#define TM_BASE_METRICS_H

#include "base/buf.h"

enum tm_metric {
#define X(symbol, name, type, labels, help) TM_M_##symbol,
#include "base/metrics.def"
#undef X
    TM_METRIC_COUNT
};

enum { TM_METRIC_LABELS_MAX = 4 };

/*
 * `labels` are the values in the order of the family's declaration; as many as it has. A value is
 * copied; it may hold any UTF-8.
 */
#define TM_LABELS(...) ((const char *const[]){__VA_ARGS__})
#define TM_NO_LABELS   NULL

void tm_metric_add(
        enum tm_metric metric, const char *const *labels, double by); /* counter, gauge */
/* A gauge; or a counter that is kept elsewhere, whose value may not shrink (it is left alone then). */
void tm_metric_set(enum tm_metric metric, const char *const *labels, double value);
void tm_metric_observe(
        enum tm_metric metric, const char *const *labels, double value); /* histogram */
/* Drop every series of every family whose label `name` has `value` (a policy that is gone). */
void tm_metric_forget(const char *name, const char *value);
/* Drop all series of one topic: its cluster, policy and name, in that order. */
void tm_metric_forget_topic(const char *const *labels);
/*
 * How many topics have series of their own; those that come later share the one of "_other": sums, or the worst.
 * Without a call all have. Call before the first topic.
 */
void tm_metrics_limit_topics(size_t max);
size_t tm_metrics_topics_dropped(void); /* how many have none */
/* The value of a series, of a histogram the number of observations; 0 where there is no series. For
 * tests and status. */
double tm_metric_value(enum tm_metric metric, const char *const *labels);

/* Append all families that have a series, in the order of metrics.def, series sorted by labels. */
void tm_metrics_render(struct tm_buf *out);
/* The same as OpenMetrics 1.0.0. */
void tm_metrics_render_open(struct tm_buf *out);
/* Set the process_* families from /proc/self and getrusage; call before rendering. */
void tm_metrics_refresh_process(void);

#endif
