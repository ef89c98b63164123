/* SPDX-License-Identifier: Apache-2.0 */
#include "job/holds_json.h"

#include "base/clock.h"
#include "base/ulid.h"

static void add_time(struct tm_json *json, const char *key, int64_t ms)
{
    char text[TM_TIME_TEXT_MAX];
    if (ms != 0) {
        tm_json_add_str(json, key, tm_time_format(ms, text));
    }
}

struct tm_json *tm_holds_json(const struct tm_hold_row *rows, size_t count)
{
    struct tm_json *items = tm_json_array();
    for (size_t i = 0; i < count; i++) {
        struct tm_json *item = tm_json_push(items, tm_json_object());
        tm_json_add_str(item, "cluster", rows[i].cluster);
        tm_json_add_str(item, "topic", rows[i].topic);
        tm_json_add_str(item, "setting", rows[i].name);
        tm_json_add_str(item, "held", rows[i].held);
        tm_json_add_str(item, "original", rows[i].original);
        tm_json_add_str(item, "state", tm_hold_state_name(rows[i].state));
        add_time(item, "put_back_at",
                rows[i].state == TM_HOLD_WAITING ? rows[i].due_ms : rows[i].done_ms);
        tm_json_add_str(item, "detail", rows[i].note);
    }
    return items;
}

char *tm_holds_text(const struct tm_id16 *job, const struct tm_hold_row *rows, size_t count)
{
    char name[TM_ULID_NAME_MAX];
    TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "restore", tm_ulid_format(job, "job_", name));
    (void)tm_json_add(json, "items", tm_holds_json(rows, count));
    return tm_json_text(json);
}
