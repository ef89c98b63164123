/* SPDX-License-Identifier: Apache-2.0 */
#include "demo_feed.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "demo_records.h"
#include "kafka/writer.h"

enum {
    SETTLE_MS = 30 * 1000,
    PARTITION_BYTES_MAX = 3500 * 1000,
    RECORD_COST = 100, /* of a batch that holds one record alone, and of its headers' lengths */
    ORDERS_A_TIME = 2,
    TIMES_A_CUSTOMER = 4, /* a customer changes at every fourth time */
    PARTITIONS_MAX = DEMO_ORDERS_PARTITIONS,
};

struct demo_topic {
    const char *name;
    int32_t partitions;
    int32_t (*make)(
            int64_t number, int64_t begin_ms, struct demo_room *room, struct tm_record *out);
    struct tm_writer_partition *parts[PARTITIONS_MAX];
    int64_t ends[PARTITIONS_MAX];
    int64_t bytes[PARTITIONS_MAX];
    int64_t count;
};

struct demo_feed {
    struct tm_writer *writer;
    int64_t begin_ms;
    int64_t times; /* that more was asked for */
    bool full;
    struct demo_topic orders;
    struct demo_topic customers;
};

static enum tm_code open_topic(struct demo_feed *feed, struct demo_topic *topic, struct tm_err *err)
{
    enum tm_code code = TM_OK;
    for (int32_t i = 0; i < topic->partitions && code == TM_OK; i++) {
        code = tm_writer_partition(feed->writer, topic->name, i, 0, &topic->parts[i], err);
    }
    return code;
}

enum tm_code demo_feed_open(const char *bootstrap, struct demo_feed **out, struct tm_err *err)
{
    struct tm_kafka_options options = {.cluster = "demo", .bootstrap = bootstrap};
    struct demo_feed *feed = tm_xalloc(1, sizeof(*feed));
    *feed = (struct demo_feed){
            .begin_ms = tm_now_ms(),
            .orders = {.name = "orders", .partitions = DEMO_ORDERS_PARTITIONS, .make = demo_order},
            .customers = {.name = "customers",
                    .partitions = DEMO_CUSTOMERS_PARTITIONS,
                    .make = demo_customer},
    };
    enum tm_code code = tm_writer_open(&options, &feed->writer, err);
    if (code == TM_OK) {
        code = open_topic(feed, &feed->orders, err);
    }
    if (code == TM_OK) {
        code = open_topic(feed, &feed->customers, err);
    }
    if (code != TM_OK) {
        demo_feed_close(feed);
        return code;
    }
    *out = feed;
    return TM_OK;
}

void demo_feed_close(struct demo_feed *feed)
{
    if (feed != NULL) {
        tm_writer_close(feed->writer);
        free(feed);
    }
}

static enum tm_code send_next(struct demo_feed *feed, struct demo_topic *topic, struct tm_err *err)
{
    struct demo_room room = {.key = {0}};
    struct tm_record record;
    int32_t partition = topic->make(topic->count, feed->begin_ms, &room, &record);
    int64_t bytes = topic->bytes[partition] + RECORD_COST + (int64_t)tm_record_length(&record);
    enum tm_code code = TM_OK;
    if (bytes > PARTITION_BYTES_MAX) {
        feed->full = true;
    } else {
        code = tm_writer_send(topic->parts[partition], &record, NULL, err);
        topic->bytes[partition] = bytes;
        topic->ends[partition]++;
        topic->count++;
    }
    demo_room_done(&room);
    return code;
}

enum tm_code demo_feed_settle(struct demo_feed *feed, struct tm_err *err)
{
    return tm_writer_flush(feed->writer, SETTLE_MS, NULL, err);
}

static enum tm_code send_some(
        struct demo_feed *feed, struct demo_topic *topic, int64_t count, struct tm_err *err)
{
    enum tm_code code = TM_OK;
    for (int64_t i = 0; i < count && !feed->full && code == TM_OK; i++) {
        code = send_next(feed, topic, err);
    }
    return code;
}

enum tm_code demo_feed_fill(struct demo_feed *feed, struct tm_err *err)
{
    TM_TRY(send_some(feed, &feed->orders, DEMO_ORDERS, err));
    TM_TRY(send_some(feed, &feed->customers, DEMO_CUSTOMERS, err));
    return demo_feed_settle(feed, err);
}

enum tm_code demo_feed_more(struct demo_feed *feed, bool *full, struct tm_err *err)
{
    bool changes = feed->times++ % TIMES_A_CUSTOMER == 0;
    TM_TRY(send_some(feed, &feed->orders, ORDERS_A_TIME, err));
    TM_TRY(send_some(feed, &feed->customers, changes ? 1 : 0, err));
    *full = feed->full;
    return TM_OK;
}

int64_t demo_feed_orders(const struct demo_feed *feed)
{
    return feed->orders.count;
}

int64_t demo_feed_customers(const struct demo_feed *feed)
{
    return feed->customers.count;
}

static void add_ends(const struct demo_topic *topic, struct tm_json *topics)
{
    struct tm_json *json = tm_json_push(topics, tm_json_object());
    tm_json_add_str(json, "name", topic->name);
    struct tm_json *partitions = tm_json_add(json, "partitions", tm_json_array());
    for (int32_t i = 0; i < topic->partitions; i++) {
        struct tm_json *partition = tm_json_push(partitions, tm_json_object());
        tm_json_add_int(partition, "partition", i);
        tm_json_add_int(partition, "end_offset", topic->ends[i]);
    }
}

void demo_feed_ends(const struct demo_feed *feed, struct tm_buf *out)
{
    TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
    struct tm_json *topics = tm_json_add(json, "topics", tm_json_array());
    add_ends(&feed->customers, topics);
    add_ends(&feed->orders, topics);
    char *text = tm_json_text(json);
    tm_buf_add_text(out, text);
    tm_buf_add_text(out, "\n");
    free(text);
}
