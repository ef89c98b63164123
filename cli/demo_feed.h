/* SPDX-License-Identifier: Apache-2.0 */
/*
 * demo_feed - the demo's producer: fills its topics, then adds a few records now and then.
 *
 * The mock cluster drops the oldest records of a partition beyond 5 MiB, so a feed is full before a
 * partition has 4 MB, with an allowance for what a record costs besides its bytes.
 *
 * Threads: one at a time.
 */
#ifndef TM_CLI_DEMO_FEED_H
#define TM_CLI_DEMO_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct demo_feed;

enum tm_code demo_feed_open(
        const char *bootstrap, struct demo_feed **out, struct tm_err *err) TM_MUST_CHECK;
void demo_feed_close(struct demo_feed *feed);

/* The records that are there from the beginning; all acknowledged when this returns. */
enum tm_code demo_feed_fill(struct demo_feed *feed, struct tm_err *err) TM_MUST_CHECK;
/* A few more; *full when no partition may get more. Does not wait for the cluster. */
enum tm_code demo_feed_more(struct demo_feed *feed, bool *full, struct tm_err *err) TM_MUST_CHECK;
/* Wait until all is acknowledged. */
enum tm_code demo_feed_settle(struct demo_feed *feed, struct tm_err *err) TM_MUST_CHECK;

int64_t demo_feed_orders(const struct demo_feed *feed);
int64_t demo_feed_customers(const struct demo_feed *feed);
/* {"topics":[{"name":"orders","partitions":[{"partition":0,"end_offset":1503},...]},...]}, by name. */
void demo_feed_ends(const struct demo_feed *feed, struct tm_buf *out);

#endif
