/* SPDX-License-Identifier: Apache-2.0 */
#include "job/put_back.h"

#include <string.h>

#include "kafka/cluster_config.h"

struct batch {
    struct tm_kafka *kafka;
    int64_t now_ms;
    int64_t timeout_ms;
    struct tm_arena *arena;
};

static void settle(const struct batch *batch, struct tm_hold_row *row, enum tm_hold_state state,
        const char *note)
{
    row->state = state;
    row->note = note;
    row->done_ms = state == TM_HOLD_WAITING ? 0 : batch->now_ms;
}

/* Is it still as it was held? Else the row is settled. */
static bool still_held(
        const struct batch *batch, struct tm_hold_row *row, const struct tm_settings *settings)
{
    if (settings->code == TM_E_MISSING) {
        settle(batch, row, TM_HOLD_GONE, "the topic is gone");
        return false;
    }
    if (settings->code != TM_OK) {
        settle(batch, row, TM_HOLD_WAITING,
                tm_arena_fmt(batch->arena, "%s; needs the right DESCRIBE_CONFIGS on Topic %s",
                        settings->error, row->topic));
        return false;
    }
    const struct tm_setting *found = tm_setting_find(settings, row->name);
    const char *value = found != NULL && found->value != NULL ? found->value : "(not set)";
    if (found == NULL || found->from != TM_SETTING_TOPIC || strcmp(value, row->held) != 0) {
        settle(batch, row, TM_HOLD_LEFT,
                tm_arena_fmt(batch->arena,
                        "it was changed in between: %s is %s, not %s; left alone", row->name, value,
                        row->held));
        return false;
    }
    return true;
}

static enum tm_code put_one(const struct batch *batch, struct tm_hold_row *row, struct tm_err *err)
{
    struct tm_pair change = {row->name, row->original};
    enum tm_code code =
            tm_kafka_alter_topic(batch->kafka, row->topic, &change, 1, batch->timeout_ms, err);
    if (code == TM_OK) {
        settle(batch, row, TM_HOLD_PUT_BACK, NULL);
    } else if (code == TM_E_MISSING) {
        settle(batch, row, TM_HOLD_GONE, "the topic is gone");
    } else if (code == TM_E_USAGE) {
        settle(batch, row, TM_HOLD_LEFT,
                tm_arena_fmt(batch->arena, "the cluster refuses %s=%s (%s)", row->name,
                        row->original != NULL ? row->original : "(default)", err->msg));
    } else if (code == TM_E_DENIED) {
        settle(batch, row, TM_HOLD_WAITING,
                tm_arena_fmt(batch->arena, "%s; needs the right ALTER_CONFIGS on Topic %s",
                        err->msg, row->topic));
    } else {
        return code;
    }
    *err = (struct tm_err){0};
    return TM_OK;
}

/* The rows of one topic: all that is still held at once, each on its own where that is refused. */
static enum tm_code put_topic(const struct batch *batch, struct tm_hold_row *rows, size_t count,
        const struct tm_settings *settings, struct tm_err *err)
{
    struct tm_pair *changes = tm_arena_alloc(batch->arena, count + 1, sizeof(*changes));
    struct tm_hold_row **held = tm_arena_alloc(batch->arena, count + 1, sizeof(*held));
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        if (still_held(batch, &rows[i], settings)) {
            changes[left] = (struct tm_pair){rows[i].name, rows[i].original};
            held[left++] = &rows[i];
        }
    }
    if (left == 0) {
        return TM_OK;
    }
    enum tm_code code = tm_kafka_alter_topic(
            batch->kafka, rows[0].topic, changes, left, batch->timeout_ms, err);
    if (code == TM_OK) {
        for (size_t i = 0; i < left; i++) {
            settle(batch, held[i], TM_HOLD_PUT_BACK, NULL);
        }
        return TM_OK;
    }
    if (tm_code_retryable(code)) {
        return code;
    }
    for (size_t i = 0; i < left; i++) {
        *err = (struct tm_err){0};
        TM_TRY(put_one(batch, held[i], err));
    }
    return TM_OK;
}

static size_t same_topic(const struct tm_hold_row *rows, size_t count)
{
    size_t some = 1;
    while (some < count && strcmp(rows[some].topic, rows[0].topic) == 0) {
        some++;
    }
    return some;
}

enum tm_code tm_put_back(struct tm_kafka *kafka, struct tm_hold_row *rows, size_t count,
        int64_t now_ms, int64_t timeout_ms, struct tm_arena *arena, struct tm_err *err)
{
    struct batch batch = {kafka, now_ms, timeout_ms, arena};
    struct tm_settings *settings = tm_arena_alloc(arena, count + 1, sizeof(*settings));
    size_t topics = 0;
    for (size_t i = 0; i < count; i += same_topic(rows + i, count - i)) {
        settings[topics++].topic = rows[i].topic;
    }
    if (topics == 0) {
        return TM_OK;
    }
    TM_TRY(tm_kafka_settings(kafka, settings, topics, timeout_ms, arena, err));
    size_t topic = 0;
    for (size_t i = 0; i < count; topic++) {
        size_t some = same_topic(rows + i, count - i);
        TM_TRY(put_topic(&batch, rows + i, some, &settings[topic], err));
        i += some;
    }
    return TM_OK;
}
