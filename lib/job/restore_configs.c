/* SPDX-License-Identifier: Apache-2.0 */
#include "job/restore_configs.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"

enum {
    RECORD_OVERHEAD = 512, /* batch header and varints above a canonical record */
    DEFAULT_MESSAGE_BYTES =
            1048588, /* max.message.bytes of a broker that was not told; a batch fits */
};

static const struct tm_pair held[] = {
        {"cleanup.policy", "delete"},
        {"message.timestamp.after.max.ms", "9223372036854775807"},
        {"message.timestamp.before.max.ms", "9223372036854775807"},
        {"message.timestamp.type", "CreateTime"},
        {"retention.bytes", "-1"},
        {"retention.ms", "-1"},
};
enum { HELD = sizeof(held) / sizeof(held[0]) };

const struct tm_pair *tm_restore_held(size_t *count)
{
    *count = HELD;
    return held;
}

const char *tm_restore_held_value(const char *name)
{
    for (size_t i = 0; i < HELD; i++) {
        if (strcmp(name, held[i].name) == 0) {
            return held[i].value;
        }
    }
    return NULL;
}

bool tm_restore_is_retention(const char *name)
{
    return strcmp(name, "retention.ms") == 0 || strcmp(name, "retention.bytes") == 0;
}

/* Settings that belong to the source cluster, not to the topic, or that newer brokers refuse. */
static bool is_local(const char *name)
{
    static const char *const local[] = {
            "follower.replication.throttled.replicas",
            "leader.replication.throttled.replicas",
            "message.downconversion.enable",
            "message.format.version",
            "message.timestamp.difference.max.ms",
    };
    for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
        if (strcmp(name, local[i]) == 0) {
            return true;
        }
    }
    return strncmp(name, "remote.", 7) == 0 || strncmp(name, "local.retention.", 16) == 0;
}

const char *tm_restore_captured(
        const struct tm_row_topic *captured, const char *name, struct tm_arena *arena)
{
    for (size_t i = 0; i < captured->config_count; i++) {
        if (tm_slice_is(captured->configs[i].key, name)) {
            return tm_arena_str(arena, captured->configs[i].value);
        }
    }
    return NULL;
}

int64_t tm_restore_record_bytes(int64_t largest)
{
    return largest < INT64_MAX - RECORD_OVERHEAD ? largest + RECORD_OVERHEAD : INT64_MAX;
}

int64_t tm_restore_message_bytes(
        const struct tm_row_topic *captured, int64_t largest, struct tm_arena *arena)
{
    int64_t needed = tm_restore_record_bytes(largest);
    int64_t bytes = 0;
    const char *text = tm_restore_captured(captured, "max.message.bytes", arena);
    struct tm_err ignored = {0};
    if (text != NULL && tm_parse_i64(text, &bytes, &ignored) != TM_OK) {
        bytes = 0; /* not a number: the broker's own affair */
    }
    needed = needed > DEFAULT_MESSAGE_BYTES ? needed : DEFAULT_MESSAGE_BYTES;
    return bytes > needed ? bytes : needed;
}

bool tm_restore_refused(const struct tm_restore_topic *line, const char *name)
{
    for (size_t i = 0; i < line->refused_count; i++) {
        if (strcmp(line->refused[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void add(const struct tm_restore_topic *line, struct tm_pair *configs, size_t *count,
        const char *name, const char *value)
{
    if (!tm_restore_refused(line, name)) {
        configs[(*count)++] = (struct tm_pair){name, value};
    }
}

size_t tm_restore_first_configs(const struct tm_restore_options *options,
        const struct tm_restore_topic *line, const struct tm_row_topic *captured,
        struct tm_arena *arena, struct tm_pair **out)
{
    struct tm_pair *configs =
            tm_arena_alloc(arena, captured->config_count + HELD + 2, sizeof(*configs));
    size_t count = 0;
    for (size_t i = 0; options->original_configs && i < captured->config_count; i++) {
        const char *name = tm_arena_str(arena, captured->configs[i].key);
        bool other = tm_restore_held_value(name) != NULL ||
                     strcmp(name, "max.message.bytes") == 0 ||
                     (line->min_insync > 0 && strcmp(name, "min.insync.replicas") == 0);
        if (!other && !is_local(name)) {
            add(line, configs, &count, name, tm_arena_str(arena, captured->configs[i].value));
        }
    }
    for (size_t i = 0; i < HELD; i++) {
        add(line, configs, &count, held[i].name, held[i].value);
    }
    if (line->min_insync > 0) {
        add(line, configs, &count, "min.insync.replicas",
                tm_arena_fmt(arena, "%" PRId32, line->min_insync));
    }
    add(line, configs, &count, "max.message.bytes",
            tm_arena_fmt(
                    arena, "%" PRId64, tm_restore_message_bytes(captured, line->largest, arena)));
    *out = configs;
    return count;
}

size_t tm_restore_last_configs(const struct tm_restore_options *options,
        const struct tm_restore_topic *line, const struct tm_row_topic *captured, bool retention,
        struct tm_arena *arena, struct tm_pair **out)
{
    struct tm_pair *configs = tm_arena_alloc(arena, HELD + 1, sizeof(*configs));
    size_t count = 0;
    for (size_t i = 0; i < HELD + 1; i++) {
        const char *name = i < HELD ? held[i].name : "max.message.bytes";
        if (retention || !tm_restore_is_retention(name)) {
            add(line, configs, &count, name,
                    options->original_configs ? tm_restore_captured(captured, name, arena) : NULL);
        }
    }
    *out = configs;
    return count;
}
