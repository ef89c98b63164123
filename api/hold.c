/* SPDX-License-Identifier: Apache-2.0 */
#include "hold.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"

static bool is_null(const struct tm_part *part, const char *name)
{
    const struct tm_json_value *value = tm_json_get(part->object, name);
    return value != NULL && value->kind == TM_JSON_NULL;
}

bool tm_body_until(const struct tm_part *part, int64_t *until_ms)
{
    struct tm_err err = {0};
    int64_t now_ms = tm_now_ms();
    const char *until = is_null(part, "until") ? NULL : tm_body_str(part, "until");
    if (until == NULL) {
        return false;
    }
    if (tm_parse_duration_ms(until, until_ms, &err) == TM_OK) {
        *until_ms += now_ms; /* "2h": from now on */
        return true;
    }
    err = (struct tm_err){0};
    if (tm_time_parse(until, now_ms, until_ms, &err) != TM_OK) {
        tm_body_wrong(part, "until", "%s", err.msg);
    } else if (*until_ms <= now_ms) {
        tm_body_wrong(part, "until", "must be a time to come; null is without end");
    }
    return true;
}

static void read_until(const struct tm_part *hold, struct tm_hold_words *out)
{
    out->has_until = tm_body_has(hold, "until");
    out->until_ms = -1;
    (void)tm_body_until(hold, &out->until_ms);
}

struct tm_hold_words tm_hold_read(const struct tm_part *body, bool may_be_null)
{
    static const struct tm_known known = {"until reason", ""};
    struct tm_hold_words words = {.given = tm_body_has(body, "hold"), .until_ms = -1};
    if (may_be_null && is_null(body, "hold")) {
        words.removed = true;
        return words;
    }
    struct tm_part hold = tm_body_object(body, "hold", known);
    if (hold.object == NULL) {
        return words;
    }
    read_until(&hold, &words);
    words.reason =
            is_null(&hold, "reason") ? "" : tm_body_text(&hold, "reason", TM_HOLD_REASON_MAX);
    return words;
}

static const char own[] = "tidemark:"; /* what the daemon says of its points itself */

const char *const *tm_tags_read(const struct tm_part *body, size_t *count)
{
    const char *const *tags = tm_body_strings(body, "tags", TM_TAG_MAX, count);
    if (*count > TM_TAGS_MAX) {
        tm_body_wrong(body, "tags", "at most %d", (int)TM_TAGS_MAX);
    }
    for (size_t i = 0; i < *count; i++) {
        if (strncmp(tags[i], own, sizeof(own) - 1) == 0) {
            tm_body_wrong(body, "tags", "may not begin with \"%s\"", own);
        }
    }
    return tags;
}
