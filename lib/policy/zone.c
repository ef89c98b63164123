/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/zone.h"

#include <string.h>

#include "base/fs.h"
#include "policy/posix_zone.h"

enum {
    FILE_MAX = 256 << 10, /* the largest of the database has a few KiB */
    HEADER_BYTES = 44,
    CHANGES_MAX = 4096,
    TYPES_MAX = 256,
    TYPE_BYTES = 6,
    SECOND_MS = 1000,
    OFFSET_MAX = 26 * 3600, /* RFC 9636: from -25:59:59 to 25:59:59 */
};

static const int64_t day_ms = INT64_C(24) * 3600 * 1000;
static const int64_t latest_ms = INT64_C(253402300800000); /* the end of 9999 */

struct tm_zone {
    const int64_t *at_ms;  /* rising */
    const int32_t *offset; /* seconds from at_ms[i] on */
    size_t count;
    int32_t first; /* before the first change */
    bool has_rule; /* from the last change on, else its offset stays */
    struct tm_posix_zone rule;
};

/* Reading --------------------------------------------------------------------------------------- */

struct header { /* counts, in the file's order */
    uint32_t utc, standard, leaps, times, types, chars;
};

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int64_t get_i64(const uint8_t *at)
{
    return (int64_t)((uint64_t)get_u32(at) << 32 | get_u32(at + 4));
}

static enum tm_code broken(struct tm_err *err)
{
    return tm_err_set(err, TM_E_CORRUPT, "the file of the time zone is damaged, or no TZif file");
}

static bool read_header(struct tm_slice file, size_t at, struct header *out)
{
    if (file.len < HEADER_BYTES || at > file.len - HEADER_BYTES ||
            memcmp(file.at + at, "TZif", 4) != 0 || file.at[at + 4] < '2') {
        return false; /* version 1 has no 64-bit times; no system of today writes it */
    }
    const uint8_t *counts = file.at + at + 20;
    *out = (struct header){get_u32(counts), get_u32(counts + 4), get_u32(counts + 8),
            get_u32(counts + 12), get_u32(counts + 16), get_u32(counts + 20)};
    return out->times <= CHANGES_MAX && out->types >= 1 && out->types <= TYPES_MAX &&
           out->chars <= FILE_MAX && out->leaps <= CHANGES_MAX && out->utc <= TYPES_MAX &&
           out->standard <= TYPES_MAX;
}

static size_t body_bytes(const struct header *header, size_t time_bytes)
{
    return header->times * (time_bytes + 1) + header->types * (size_t)TYPE_BYTES + header->chars +
           header->leaps * (time_bytes + 4) + header->standard + header->utc;
}

static bool read_offset(const uint8_t *types, size_t type, int32_t *out)
{
    *out = (int32_t)get_u32(types + type * TYPE_BYTES);
    return *out > -OFFSET_MAX && *out < OFFSET_MAX;
}

/* Changes as the file has them. */
static bool read_changes(const uint8_t *body, const struct header *header, struct tm_arena *arena,
        struct tm_zone *out)
{
    const uint8_t *indexes = body + header->times * 8;
    const uint8_t *types = indexes + header->times;
    int64_t *at_ms = tm_arena_alloc(arena, header->times + 1, sizeof(*at_ms));
    int32_t *offset = tm_arena_alloc(arena, header->times + 1, sizeof(*offset));
    bool good = read_offset(types, 0, &out->first);
    for (size_t i = 0; good && i < header->times; i++) {
        int64_t seconds = get_i64(body + i * 8);
        bool far = seconds < -(INT64_C(1) << 40) || seconds > INT64_C(1) << 40;
        good = indexes[i] < header->types && read_offset(types, indexes[i], &offset[i]) &&
               (!far || i == 0); /* some files begin at the big bang */
        at_ms[i] = far ? INT64_MIN / 2 : seconds * SECOND_MS;
        good = good && (i == 0 || at_ms[i] > at_ms[i - 1]);
    }
    out->at_ms = at_ms;
    out->offset = offset;
    out->count = header->times;
    return good;
}

enum tm_code tm_zone_parse(struct tm_slice file, struct tm_arena *arena, const struct tm_zone **out,
        struct tm_err *err)
{
    struct header first;
    struct header header;
    if (!read_header(file, 0, &first)) {
        return broken(err);
    }
    size_t second = HEADER_BYTES + body_bytes(&first, 4); /* of 32-bit times: passed over */
    if (!read_header(file, second, &header)) {
        return broken(err);
    }
    size_t body = second + HEADER_BYTES;
    size_t footer = body + body_bytes(&header, 8);
    struct tm_zone *zone = tm_arena_alloc(arena, 1, sizeof(*zone));
    if (footer + 2 > file.len || file.at[footer] != '\n' ||
            !read_changes(file.at + body, &header, arena, zone)) {
        return broken(err);
    }
    const uint8_t *end = memchr(file.at + footer + 1, '\n', file.len - footer - 1);
    if (end == NULL) {
        return broken(err);
    }
    struct tm_slice rule = {file.at + footer + 1, (size_t)(end - file.at) - footer - 1};
    zone->has_rule = rule.len > 0;
    if (zone->has_rule && !tm_posix_zone_parse(rule, &zone->rule)) {
        return broken(err);
    }
    *out = zone;
    return TM_OK;
}

static bool is_name(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_+-/";
    return strlen(name) < TM_ZONE_NAME_MAX && name[strspn(name, letters)] == '\0' &&
           name[0] != '/' && name[strlen(name) - 1] != '/' && strstr(name, "//") == NULL;
}

enum tm_code tm_zone_load(
        const char *name, struct tm_arena *arena, const struct tm_zone **out, struct tm_err *err)
{
    static const char folder[] = "/usr/share/zoneinfo/";
    char path[sizeof(folder) + TM_ZONE_NAME_MAX];
    TM_BUF_OWN struct tm_buf file = {0};
    *out = NULL;
    if (name[0] == '\0' || strcmp(name, "UTC") == 0) {
        return TM_OK;
    }
    if (!is_name(name)) {
        return tm_err_set(err, TM_E_USAGE,
                "not a name of the IANA time zone database; write one like Europe/Berlin");
    }
    memcpy(path, folder, sizeof(folder));
    memcpy(path + sizeof(folder) - 1, name, strlen(name) + 1);
    struct tm_err missing = {0};
    if (tm_fs_read(path, FILE_MAX, &file, &missing) != TM_OK) {
        return tm_err_set(err, TM_E_USAGE,
                "the system's time zone database has no %s (%s); install tzdata, or write a name "
                "like Europe/Berlin",
                name, path);
    }
    enum tm_code code = tm_zone_parse(tm_buf_slice(&file), arena, out, err);
    return code == TM_OK ? TM_OK : tm_err_wrap(err, "%s", path);
}

/* Asking ---------------------------------------------------------------------------------------- */

/* How many changes lie at or before the instant? */
static size_t changes_until(const struct tm_zone *zone, int64_t utc_ms)
{
    size_t low = 0;
    size_t high = zone->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->at_ms[middle] <= utc_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

int64_t tm_zone_offset_ms(const struct tm_zone *zone, int64_t utc_ms)
{
    if (zone == NULL) {
        return 0;
    }
    size_t passed = changes_until(zone, utc_ms);
    if (passed == zone->count && zone->has_rule) {
        return tm_posix_zone_offset_s(&zone->rule, utc_ms) * SECOND_MS;
    }
    return (passed == 0 ? zone->first : zone->offset[passed - 1]) * (int64_t)SECOND_MS;
}

int64_t tm_zone_next_change_ms(const struct tm_zone *zone, int64_t utc_ms)
{
    if (zone == NULL) {
        return INT64_MAX;
    }
    for (size_t i = changes_until(zone, utc_ms); i < zone->count; i++) {
        if (tm_zone_offset_ms(zone, zone->at_ms[i]) != tm_zone_offset_ms(zone, utc_ms)) {
            return zone->at_ms[i]; /* others change only the zone's abbreviation */
        }
    }
    int64_t last_ms = zone->count > 0 ? zone->at_ms[zone->count - 1] : utc_ms;
    int64_t from_ms = last_ms > utc_ms ? last_ms : utc_ms; /* the rule begins there */
    return zone->has_rule && utc_ms < latest_ms ? tm_posix_zone_next_ms(&zone->rule, from_ms)
                                                : INT64_MAX;
}

int64_t tm_zone_instant_ms(const struct tm_zone *zone, int64_t wall_ms)
{
    if (zone == NULL) {
        return wall_ms;
    }
    /* No offset is as large as a day and a bit, and no zone changes twice within so few days. */
    int64_t before = tm_zone_offset_ms(zone, wall_ms - 2 * day_ms);
    int64_t after = tm_zone_offset_ms(zone, wall_ms + 2 * day_ms);
    int64_t early = wall_ms - before;
    int64_t late = wall_ms - after;
    if (tm_zone_offset_ms(zone, early) == before) {
        return early;
    }
    if (tm_zone_offset_ms(zone, late) == after) {
        return late;
    }
    return tm_zone_next_change_ms(zone, wall_ms - 2 * day_ms);
}
