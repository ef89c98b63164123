/* SPDX-License-Identifier: Apache-2.0 */
/*
 * demo_records - what the demo's topics hold: made-up orders and customers.
 *
 * Record n of a topic is always the same but for its times, which count back from `begin_ms`. Among
 * them is everything that a backup likes to lose: tombstones, empty values, null and empty keys,
 * headers given several times, with null and with empty values, binary ones, timestamps out of order,
 * one record of 100 KB.
 *
 * Threads: one at a time per room.
 */
#ifndef TM_CLI_DEMO_RECORDS_H
#define TM_CLI_DEMO_RECORDS_H

#include "codec/record.h"

enum {
    DEMO_ORDERS_PARTITIONS = 4,
    DEMO_CUSTOMERS_PARTITIONS = 2,
    DEMO_ORDERS = 6000, /* there from the beginning; about 2.6 MB */
    DEMO_CUSTOMERS = 800,
    DEMO_HEADERS_MAX = 8,
};

/* What a record borrows from; zeroed is empty. */
struct demo_room {
    struct tm_buf key;
    struct tm_buf value;
    uint8_t trace[16];
    struct tm_header headers[DEMO_HEADERS_MAX];
};
void demo_room_done(struct demo_room *room);

/* Record `number` (from 0), borrowed from `room`; the partition it goes to. */
int32_t demo_order(int64_t number, int64_t begin_ms, struct demo_room *room, struct tm_record *out);
int32_t demo_customer(
        int64_t number, int64_t begin_ms, struct demo_room *room, struct tm_record *out);

#endif
