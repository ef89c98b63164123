/* SPDX-License-Identifier: Apache-2.0 */
#include "series.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/own.h"

struct tmd_series_step {
    int64_t points;
    int64_t messages;
    int64_t bytes;
    int64_t lost_offsets;
};

void tmd_series_init(struct tmd_series *series, int64_t since_ms, int64_t until_ms, int64_t step_ms)
{
    int64_t past = since_ms % step_ms;
    int64_t begin_ms = since_ms - (past < 0 ? past + step_ms : past);
    int64_t length_ms = until_ms > begin_ms ? until_ms - begin_ms : 0;
    *series = (struct tmd_series){
            .begin_ms = begin_ms,
            .step_ms = step_ms,
            .count = (size_t)((length_ms + step_ms - 1) / step_ms),
    };
    series->at = tm_xalloc(series->count + 1, sizeof(*series->at));
}

void tmd_series_done(struct tmd_series *series)
{
    free(series->at);
    series->at = NULL;
}

void tmd_series_add(struct tmd_series *series, int64_t at_ms, int64_t messages, int64_t bytes,
        int64_t lost_offsets)
{
    if (at_ms < series->begin_ms ||
            (size_t)((at_ms - series->begin_ms) / series->step_ms) >= series->count) {
        return;
    }
    struct tmd_series_step *step = &series->at[(at_ms - series->begin_ms) / series->step_ms];
    step->points++;
    step->messages += messages;
    step->bytes += bytes;
    step->lost_offsets += lost_offsets;
}

void tmd_series_write(const struct tmd_series *series, struct tm_json *json)
{
    struct tm_json *all = tm_json_add(json, "series", tm_json_object());
    tm_json_add_int(all, "step_seconds", series->step_ms / 1000);
    struct tm_json *at = tm_json_add(all, "at", tm_json_array());
    struct tm_json *points = tm_json_add(all, "points_count", tm_json_array());
    struct tm_json *messages = tm_json_add(all, "new_messages_count", tm_json_array());
    struct tm_json *bytes = tm_json_add(all, "new_source_bytes", tm_json_array());
    struct tm_json *lost = tm_json_add(all, "lost_offsets", tm_json_array());
    for (size_t i = 0; i < series->count; i++) {
        const struct tmd_series_step *step = &series->at[i];
        char text[TM_TIME_TEXT_MAX];
        tm_json_push_str(at, tm_time_format(series->begin_ms + (int64_t)i * series->step_ms, text));
        tm_json_push_int(points, step->points);
        tm_json_push_int(messages, step->messages);
        tm_json_push_int(bytes, step->bytes);
        tm_json_push_int(lost, step->lost_offsets);
    }
}
