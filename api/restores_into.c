/* SPDX-License-Identifier: Apache-2.0 */
#include "restores_into.h"

#include <string.h>

#include "base/text.h"

enum {
    TOPIC_MAX = 249,
    PARTITIONS_MAX = 100000, /* of a topic; Kafka has no limit of its own that would be lower */
    MAP_MAX = 100000,
    IN_FLIGHT_MAX = 1000,
};
#define RATE_MIN 1024 /* less would never end */
#define RATE_MAX (INT64_C(1) << 50)

/* {"0": 3}: false when a key or value is none that a partition can have. */
static bool read_pair(const struct tm_json_value *at, struct tm_partition_pair *out)
{
    int64_t from = -1;
    struct tm_err ignored = {0};
    if (tm_parse_i64(at->key, &from, &ignored) != TM_OK || from < 0 || from >= PARTITIONS_MAX ||
            at->kind != TM_JSON_INT || at->integer < 0 || at->integer >= PARTITIONS_MAX) {
        return false;
    }
    *out = (struct tm_partition_pair){(int32_t)from, (int32_t)at->integer};
    return true;
}

static void read_map(
        const struct tm_part *body, const struct tm_json_value *map, struct tm_restore_into *out)
{
    out->partitions = TM_PARTITIONS_MAP;
    if (map->count == 0 || map->count > MAP_MAX) {
        tm_body_wrong(body, "partitions", "as a map it has 1 to %d entries", MAP_MAX);
        return;
    }
    struct tm_partition_pair *pairs =
            tm_arena_alloc(&body->request->arena, map->count, sizeof(*pairs));
    for (const struct tm_json_value *at = map->first; at != NULL; at = at->next) {
        if (!read_pair(at, &pairs[out->map_count])) {
            tm_body_wrong(body, "partitions",
                    "\"%.100s\": a map is of partition numbers, like {\"0\": 3}", at->key);
            return;
        }
        out->map_count++;
    }
    out->map = pairs;
}

static void read_partitions(const struct tm_part *body, struct tm_restore_into *out)
{
    static const struct tm_known words = {"same hash", ""};
    const struct tm_json_value *value = tm_json_get(body->object, "partitions");
    if (value != NULL && value->kind == TM_JSON_OBJECT) {
        read_map(body, value, out);
    } else if (value != NULL && value->kind != TM_JSON_STRING) {
        tm_body_wrong(body, "partitions", "must be \"same\", \"hash\" or a map like {\"0\": 3}");
    } else {
        out->partitions = tm_body_choice(body, "partitions", words) == 1 ? TM_PARTITIONS_HASH
                                                                         : TM_PARTITIONS_SAME;
    }
    out->partition_count = (int32_t)tm_body_int(body, "partition_count", 1, PARTITIONS_MAX);
    if (out->partition_count > 0 && out->partitions == TM_PARTITIONS_SAME) {
        tm_body_wrong(body, "partition_count",
                "goes with \"partitions\": \"hash\" or a map: with \"same\" there are as many as "
                "the "
                "source has");
    }
}

/* A field of which there is one value today, and why there are no others. */
static void read_only_value(
        const struct tm_part *body, const char *name, const char *only, const char *why)
{
    const char *value = tm_body_str(body, name);
    if (value != NULL && strcmp(value, only) != 0) {
        tm_body_wrong(body, name, "can only be \"%s\": %s", only, why);
    }
}

void tm_restores_into_read(const struct tm_part *body, struct tm_restore_into *out)
{
    static const struct tm_known header_names = {"add_original_position", ""};
    static const struct tm_known limit_names = {
            "write_bytes_per_second max_in_flight_partitions", ""};
    read_partitions(body, out);
    out->confirm = tm_body_strings(body, "confirm", TOPIC_MAX, &out->confirm_count);
    struct tm_part headers = tm_body_object(body, "headers", header_names);
    out->add_original_position = tm_body_bool(&headers, "add_original_position", false);
    struct tm_part limits = tm_body_object(body, "limits", limit_names);
    out->write_bytes_per_second =
            tm_body_int(&limits, "write_bytes_per_second", RATE_MIN, RATE_MAX);
    out->max_in_flight =
            (int32_t)tm_body_int(&limits, "max_in_flight_partitions", 1, IN_FLIGHT_MAX);
    read_only_value(body, "transactions", "committed",
            "a recovery point of a policy that reads committed records holds no others");
    read_only_value(body, "offsets", "append",
            "Kafka numbers records itself, and to come to the original numbers records would have "
            "to be invented where the source has gaps");
    read_only_value(body, "timestamps", "preserve",
            "a restored record has the time it was written at; to set others comes later");
}
