/* SPDX-License-Identifier: Apache-2.0 */
#include "job/choice.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool tm_choice_is_all(const struct tm_choice *choice)
{
    return choice == NULL ||
           (!choice->has_from && !choice->has_until && choice->partition_count == 0 &&
                   choice->window_count == 0 && choice->skip_count == 0 && choice->newest == 0);
}

/* Checking ------------------------------------------------------------------------------------- */

static enum tm_code check_window(const struct tm_choice_window *window, struct tm_err *err)
{
    bool ordered = window->from < window->to;
    bool placed =
            window->by_time ? window->partition >= -1 : window->partition >= 0 && window->from >= 0;
    return ordered && placed ? TM_OK
                             : tm_err_set(err, TM_E_USAGE,
                                       "a window of %.200s is empty, or begins behind its end",
                                       window->topic);
}

static enum tm_code check_counts(const struct tm_choice *choice, struct tm_err *err)
{
    size_t partitions = 0;
    for (size_t i = 0; i < choice->partition_count; i++) {
        partitions += choice->partitions[i].count;
    }
    if (choice->window_count > TM_CHOICE_WINDOWS_MAX || choice->skip_count > TM_CHOICE_SKIPS_MAX ||
            partitions > TM_CHOICE_PARTITIONS_MAX) {
        return tm_err_set(err, TM_E_LIMIT,
                "%zu windows, %zu skips and %zu partitions; at most %d, %d and %d may be given",
                choice->window_count, choice->skip_count, partitions, TM_CHOICE_WINDOWS_MAX,
                TM_CHOICE_SKIPS_MAX, TM_CHOICE_PARTITIONS_MAX);
    }
    return TM_OK;
}

enum tm_code tm_choice_check(const struct tm_choice *choice, struct tm_err *err)
{
    TM_TRY(check_counts(choice, err));
    for (size_t i = 0; i < choice->window_count; i++) {
        TM_TRY(check_window(&choice->windows[i], err));
    }
    for (size_t i = 0; i < choice->skip_count; i++) {
        const struct tm_choice_skip *skip = &choice->skips[i];
        if (skip->partition < 0 || skip->first < 0 || skip->last < skip->first ||
                skip->last == INT64_MAX) {
            return tm_err_set(
                    err, TM_E_USAGE, "a skip of %.200s ends before it begins", skip->topic);
        }
    }
    if (choice->newest < 0) {
        return tm_err_set(
                err, TM_E_USAGE, "the newest %" PRId64 " records cannot be taken", choice->newest);
    }
    if (choice->has_from && choice->has_until && choice->from_ms >= choice->until_ms) {
        return tm_err_set(err, TM_E_USAGE, "\"from\" must lie before \"at\"");
    }
    return TM_OK;
}

/* A decimal number without a sign, up to `max`; *text behind it. */
static bool read_number(const char **text, int64_t max, int64_t *out)
{
    const char *at = *text;
    int64_t value = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        int64_t digit = *at - '0';
        if (value > (max - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    bool any = at != *text;
    *text = at;
    *out = value;
    return any;
}

enum tm_code tm_choice_parse_skip(
        const char *text, struct tm_arena *arena, struct tm_choice_skip *out, struct tm_err *err)
{
    const char *slash = strrchr(text, '/'); /* a topic's name has none */
    const char *at = slash != NULL ? slash + 1 : text;
    int64_t partition = 0;
    int64_t first = 0;
    int64_t last = 0;
    bool fits = slash != NULL && slash != text && read_number(&at, INT32_MAX, &partition) &&
                *at++ == '@' && read_number(&at, INT64_MAX - 1, &first);
    last = first;
    if (fits && *at == '-') {
        at++;
        fits = read_number(&at, INT64_MAX - 1, &last);
    }
    if (!fits || *at != '\0' || last < first) {
        return tm_err_set(err, TM_E_USAGE,
                "\"%.300s\" must be like \"orders/7@4711\" or \"orders/7@5000-5010\"", text);
    }
    *out = (struct tm_choice_skip){
            .topic = tm_arena_str(
                    arena, (struct tm_slice){(const uint8_t *)text, (size_t)(slash - text)}),
            .partition = (int32_t)partition,
            .first = first,
            .last = last,
    };
    return TM_OK;
}

void tm_choice_describe(const struct tm_choice *choice, struct tm_buf *out)
{
    tm_buf_add_fmt(out, "from %d %" PRId64 " until %d %" PRId64 " newest %" PRId64 "\n",
            choice->has_from ? 1 : 0, choice->from_ms, choice->has_until ? 1 : 0, choice->until_ms,
            choice->newest);
    for (size_t i = 0; i < choice->partition_count; i++) {
        tm_buf_add_fmt(out, "partitions %s", choice->partitions[i].topic);
        for (size_t p = 0; p < choice->partitions[i].count; p++) {
            tm_buf_add_fmt(out, " %" PRId32, choice->partitions[i].at[p]);
        }
        tm_buf_add_text(out, "\n");
    }
    for (size_t i = 0; i < choice->window_count; i++) {
        const struct tm_choice_window *window = &choice->windows[i];
        tm_buf_add_fmt(out, "window %s %" PRId32 " %d %" PRId64 " %" PRId64 "\n", window->topic,
                window->partition, window->by_time ? 1 : 0, window->from, window->to);
    }
    for (size_t i = 0; i < choice->skip_count; i++) {
        const struct tm_choice_skip *skip = &choice->skips[i];
        tm_buf_add_fmt(out, "skip %s %" PRId32 " %" PRId64 " %" PRId64 "\n", skip->topic,
                skip->partition, skip->first, skip->last);
    }
}
