/* SPDX-License-Identifier: Apache-2.0 */
#include "restore_choice.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"

/* Reading ------------------------------------------------------------------------------------ */

/* The option's time; *given is false where it is not there. */
static enum tm_code read_time(const struct cli_args *args, const char *name, bool *given,
        int64_t *out, struct tm_err *err)
{
    const char *text = cli_arg(args, name);
    *given = text != NULL;
    enum tm_code code = text != NULL ? tm_time_parse(text, tm_now_ms(), out, err) : TM_OK;
    return code == TM_OK ? TM_OK : tm_err_wrap(err, "--%s", name);
}

/* One end of a window: a time, or an offset. An empty one is open. */
static enum tm_code read_end(const char *text, const struct tm_choice_window *window, int64_t open,
        int64_t *out, struct tm_err *err)
{
    if (text[0] == '\0') {
        *out = open;
        return TM_OK;
    }
    return window->by_time ? tm_time_parse(text, tm_now_ms(), out, err)
                           : tm_parse_i64(text, out, err);
}

/* "orders/7@100..200", "orders@14:00..": cut into its parts in a copy. */
static enum tm_code read_window(
        const char *text, struct tm_arena *arena, struct tm_choice_window *out, struct tm_err *err)
{
    char *topic = tm_arena_strdup(arena, text);
    char *at = strchr(topic, '@');
    char *dots = at != NULL ? strstr(at, "..") : NULL;
    if (dots == NULL) {
        return tm_err_set(err, TM_E_USAGE,
                "--window takes TOPIC/PARTITION@FROM..TO or TOPIC@TIME..TIME, not \"%.200s\"",
                text);
    }
    *at = '\0';
    *dots = '\0';
    char *slash = strrchr(topic, '/');
    int64_t partition = -1;
    if (slash != NULL) {
        *slash = '\0';
        TM_TRY(tm_parse_i64(slash + 1, &partition, err));
    }
    *out = (struct tm_choice_window){.topic = topic, .by_time = slash == NULL};
    out->partition = partition >= 0 && partition <= INT32_MAX ? (int32_t)partition : -1;
    TM_TRY(read_end(at + 1, out, out->by_time ? INT64_MIN : 0, &out->from, err));
    return read_end(dots + 2, out, INT64_MAX, &out->to, err);
}

/* "orders=0,1,7" */
static enum tm_code read_partitions(const char *text, struct tm_arena *arena,
        struct tm_choice_partitions *out, struct tm_err *err)
{
    char *topic = tm_arena_strdup(arena, text);
    char *at = strchr(topic, '=');
    int32_t *numbers = tm_arena_alloc(arena, strlen(text) + 1, sizeof(*numbers));
    *out = (struct tm_choice_partitions){.topic = topic, .at = numbers};
    while (at != NULL) {
        *at++ = '\0';
        char *comma = strchr(at, ',');
        int64_t number = -1;
        if (comma != NULL) {
            *comma = '\0';
        }
        TM_TRY(tm_parse_i64(at, &number, err));
        if (number < 0 || number > INT32_MAX) {
            break;
        }
        numbers[out->count++] = (int32_t)number;
        at = comma;
        if (at == NULL) {
            return TM_OK;
        }
    }
    return tm_err_set(err, TM_E_USAGE, "--partitions takes TOPIC=P,P..., not \"%.200s\"", text);
}

static enum tm_code read_lists(const struct cli_args *args, struct tm_arena *arena,
        struct tm_choice *out, struct tm_err *err)
{
    struct tm_choice_window *windows = tm_arena_alloc(arena, CLI_ARGS_MAX, sizeof(*windows));
    struct tm_choice_skip *skips = tm_arena_alloc(arena, CLI_ARGS_MAX, sizeof(*skips));
    struct tm_choice_partitions *lists = tm_arena_alloc(arena, CLI_ARGS_MAX, sizeof(*lists));
    const char *text = NULL;
    for (size_t at = 0; (text = cli_arg_next(args, "window", &at)) != NULL;) {
        TM_TRY(read_window(text, arena, &windows[out->window_count++], err));
    }
    for (size_t at = 0; (text = cli_arg_next(args, "skip", &at)) != NULL;) {
        if (tm_choice_parse_skip(text, arena, &skips[out->skip_count++], err) != TM_OK) {
            return tm_err_wrap(err, "--skip");
        }
    }
    for (size_t at = 0; (text = cli_arg_next(args, "partitions", &at)) != NULL;) {
        TM_TRY(read_partitions(text, arena, &lists[out->partition_count++], err));
    }
    out->windows = windows;
    out->skips = skips;
    out->partitions = lists;
    return TM_OK;
}

static bool by_capture(const struct cli_args *args)
{
    const char *as_of = cli_arg(args, "as-of");
    return as_of != NULL && strcmp(as_of, "capture_time") == 0;
}

enum tm_code cli_choice_read(const struct cli_args *args, struct tm_arena *arena,
        struct tm_choice *out, struct tm_err *err)
{
    const char *newest = cli_arg(args, "newest");
    const char *as_of = cli_arg(args, "as-of");
    *out = (struct tm_choice){0};
    if (as_of != NULL && (cli_arg(args, "at") == NULL ||
                                 (!by_capture(args) && strcmp(as_of, "record_time") != 0))) {
        return tm_err_set(
                err, TM_E_USAGE, "--as-of takes record_time or capture_time, and goes with --at");
    }
    TM_TRY(read_time(args, "at", &out->has_until, &out->until_ms, err));
    TM_TRY(read_time(args, "from", &out->has_from, &out->from_ms, err));
    if (newest != NULL && (tm_parse_i64(newest, &out->newest, err) != TM_OK || out->newest < 1)) {
        return tm_err_set(err, TM_E_USAGE, "--newest takes a number from 1");
    }
    TM_TRY(read_lists(args, arena, out, err));
    return tm_choice_check(out, err);
}

static bool is_relative(const char *text)
{
    struct tm_err err = {0};
    int64_t early = 0;
    int64_t late = 0;
    return tm_time_parse(text, 0, &early, &err) == TM_OK &&
           tm_time_parse(text, 1000, &late, &err) == TM_OK && early != late;
}

/* Does a window by time, "orders@FROM..TO", have an end that is counted from now? */
static bool has_relative_end(const char *window)
{
    char text[128];
    const char *at = strchr(window, '@');
    const char *dots = at != NULL ? strstr(at, "..") : NULL;
    if (dots == NULL || (size_t)(dots - at) > sizeof(text)) {
        return false;
    }
    memcpy(text, at + 1, (size_t)(dots - at) - 1);
    text[dots - at - 1] = '\0';
    return is_relative(text) || is_relative(dots + 2);
}

enum tm_code cli_choice_absolute(const struct cli_args *args, struct tm_err *err)
{
    static const char *const names[] = {"at", "from", "window"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *text = NULL;
        for (size_t at = 0; (text = cli_arg_next(args, names[i], &at)) != NULL;) {
            if (is_relative(text) || has_relative_end(text)) {
                return tm_err_set(err, TM_E_USAGE,
                        "--%s: give the time itself, not one from now: the restore may have to be "
                        "taken up again",
                        names[i]);
            }
        }
    }
    return TM_OK;
}

/* For a daemon ------------------------------------------------------------------------------- */

static void add_windows(struct tm_json *body, const struct tm_choice *choice)
{
    struct tm_json *list =
            choice->window_count > 0 ? tm_json_add(body, "windows", tm_json_array()) : NULL;
    for (size_t i = 0; i < choice->window_count; i++) {
        const struct tm_choice_window *window = &choice->windows[i];
        struct tm_json *part = tm_json_push(list, tm_json_object());
        tm_json_add_str(part, "topic", window->topic);
        if (window->partition >= 0) {
            tm_json_add_int(part, "partition", window->partition);
        }
        if (window->from != INT64_MIN) {
            tm_json_add_int(part, window->by_time ? "from" : "from_offset", window->from);
        }
        if (window->to != INT64_MAX) {
            tm_json_add_int(part, window->by_time ? "to" : "to_offset", window->to);
        }
    }
}

static void add_partitions(struct tm_json *topics, const struct tm_choice *choice)
{
    struct tm_json *map = choice->partition_count > 0
                                  ? tm_json_add(topics, "partitions", tm_json_object())
                                  : NULL;
    for (size_t i = 0; i < choice->partition_count; i++) {
        struct tm_json *list = tm_json_add(map, choice->partitions[i].topic, tm_json_array());
        for (size_t p = 0; p < choice->partitions[i].count; p++) {
            tm_json_push_int(list, choice->partitions[i].at[p]);
        }
    }
}

void cli_choice_add(const struct cli_args *args, const struct tm_choice *choice,
        struct tm_json *body, struct tm_json *source, struct tm_json *topics)
{
    struct tm_json *skips = NULL;
    const char *text = NULL;
    if (choice->has_until) { /* what was relative is absolute now: plan and restore mean the same */
        tm_json_add_int(source, "at", choice->until_ms);
        tm_json_add_str(source, "as_of", cli_arg(args, "as-of"));
    }
    if (choice->has_from) {
        tm_json_add_int(body, "from", choice->from_ms);
    }
    if (choice->newest > 0) {
        struct tm_json *subset = tm_json_add(body, "subset", tm_json_object());
        tm_json_add_int(subset, "newest", choice->newest);
    }
    for (size_t at = 0; (text = cli_arg_next(args, "skip", &at)) != NULL;) {
        skips = skips != NULL ? skips : tm_json_add(body, "skip", tm_json_array());
        tm_json_push_str(skips, text);
    }
    add_windows(body, choice);
    add_partitions(topics, choice);
}
