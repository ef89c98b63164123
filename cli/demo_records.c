/* SPDX-License-Identifier: Apache-2.0 */
#include "demo_records.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"

enum {
    CUSTOMERS = 500,
    LARGE_ORDER = 1000, /* the one of 100 KB */
    LARGE_BYTES = 100 * 1000,
    LINES_MAX = 4,
    ORDER_MS = 250, /* between two of them, as fast as the feed goes on */
    CUSTOMER_MS = 2000,
    LATE_MS = 10 * 60 * 1000,
};

/* Numbers that look random: the n-th of splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t noise(uint64_t n)
{
    uint64_t x = (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

void demo_room_done(struct demo_room *room)
{
    tm_buf_done(&room->key);
    tm_buf_done(&room->value);
}

static const char *pick(uint64_t random, const char *const *list, size_t count)
{
    return list[random % count];
}

static void add_line(uint64_t random, struct tm_buf *out)
{
    tm_buf_add_fmt(out, "{\"sku\":\"SKU-%05u\",\"quantity\":%u,\"cents\":%u}",
            (unsigned)(random % 20000), (unsigned)(random >> 20) % 9 + 1,
            (unsigned)(random >> 32) % 25000 + 99);
}

static void write_order(int64_t number, uint64_t customer, int64_t time_ms, struct tm_buf *out)
{
    static const char *const cities[] = {"Lisboa", "Zürich", "Łódź", "Αθήνα", "Reykjavík"};
    static const char *const words[] = {"ring twice", "gift wrap", "leave at the door", "fragile"};
    char time[TM_TIME_TEXT_MAX];
    uint64_t random = noise((uint64_t)number);
    tm_buf_add_fmt(out, "{\"order\":%" PRId64 ",\"customer\":\"c-%04u\",\"placed_at\":\"%s\"",
            number, (unsigned)customer, tm_time_format(time_ms, time));
    tm_buf_add_fmt(
            out, ",\"currency\":\"EUR\",\"city\":\"%s\",\"lines\":[", pick(random, cities, 5));
    for (uint64_t i = 0; i <= random % LINES_MAX; i++) {
        tm_buf_add_text(out, i > 0 ? "," : "");
        add_line(noise(random + i), out);
    }
    tm_buf_add_fmt(out, "],\"note\":\"%s", pick(random >> 8, words, 4));
    while (number == LARGE_ORDER && out->len < LARGE_BYTES) {
        tm_buf_add_fmt(out, "; %s", pick(noise(out->len), words, 4));
    }
    tm_buf_add_text(out, "\"}");
}

static struct tm_slice text(const char *at)
{
    return tm_slice_str(at);
}

static void add_header(
        struct demo_room *room, struct tm_record *record, const char *name, struct tm_slice value)
{
    tm_assert(record->header_count < DEMO_HEADERS_MAX);
    room->headers[record->header_count++] = (struct tm_header){text(name), value};
    record->headers = room->headers;
}

static void add_order_headers(int64_t number, struct demo_room *room, struct tm_record *record)
{
    if (number % 5 == 0) {
        return; /* none at all */
    }
    uint64_t half[2] = {noise((uint64_t)number), noise(~(uint64_t)number)};
    memcpy(room->trace, half, sizeof(room->trace));
    add_header(room, record, "trace-id", tm_slice_of(room->trace, sizeof(room->trace)));
    add_header(room, record, "content-type", text("application/json"));
    if (number % 7 == 3) {
        add_header(room, record, "retry", text("1"));
        add_header(room, record, "retry", text("2"));
        add_header(room, record, "retry", text("1"));
    }
    if (number % 11 == 4) {
        add_header(room, record, "reason", TM_SLICE_NULL);
    }
    if (number % 13 == 5) {
        add_header(room, record, "reason", text(""));
    }
}

int32_t demo_order(int64_t number, int64_t begin_ms, struct demo_room *room, struct tm_record *out)
{
    uint64_t customer = noise((uint64_t)number + CUSTOMERS) % CUSTOMERS;
    int32_t partition = (int32_t)(customer % DEMO_ORDERS_PARTITIONS);
    int64_t time_ms = begin_ms + (number - DEMO_ORDERS) * ORDER_MS;
    *out = (struct tm_record){
            .timestamp_ms = number % 29 == 8 ? time_ms - LATE_MS : time_ms,
            .timestamp_type = TM_TIMESTAMP_CREATE,
    };
    tm_buf_clear(&room->key);
    tm_buf_clear(&room->value);
    tm_buf_add_fmt(&room->key, "c-%04u", (unsigned)customer);
    write_order(number, customer, time_ms, &room->value);
    out->key = tm_buf_slice(&room->key);
    out->value = tm_buf_slice(&room->value);
    add_order_headers(number, room, out);
    if (number % 41 == 7 || number % 97 == 13) { /* not of a customer */
        out->key = number % 41 == 7 ? TM_SLICE_NULL : text("");
        partition = (int32_t)(number % DEMO_ORDERS_PARTITIONS);
    }
    if (number % 53 == 11) {
        out->value = TM_SLICE_NULL;
    } else if (number % 89 == 17) {
        out->value = text("");
    }
    return partition;
}

int32_t demo_customer(
        int64_t number, int64_t begin_ms, struct demo_room *room, struct tm_record *out)
{
    static const char *const names[] = {"Ada", "Børge", "Çelik", "Dagný", "Émile", "Fumiko"};
    static const char *const levels[] = {"basic", "silver", "gold"};
    unsigned customer = (unsigned)(number % CUSTOMERS);
    uint64_t random = noise((uint64_t)number);
    *out = (struct tm_record){
            .timestamp_ms = begin_ms + (number - DEMO_CUSTOMERS) * CUSTOMER_MS,
            .timestamp_type = TM_TIMESTAMP_CREATE,
    };
    tm_buf_clear(&room->key);
    tm_buf_clear(&room->value);
    tm_buf_add_fmt(&room->key, "c-%04u", customer);
    tm_buf_add_fmt(&room->value,
            "{\"customer\":\"c-%04u\",\"name\":\"%s\",\"level\":\"%s\",\"version\":%" PRId64 "}",
            customer, pick(random, names, 6), pick(random >> 8, levels, 3), number / CUSTOMERS + 1);
    out->key = tm_buf_slice(&room->key);
    out->value = number % 37 == 9 ? TM_SLICE_NULL : tm_buf_slice(&room->value); /* has left */
    add_header(room, out, "source", text("crm"));
    return (int32_t)(customer % DEMO_CUSTOMERS_PARTITIONS);
}
