/* SPDX-License-Identifier: Apache-2.0 */
/* Of what time a topic is stored. */
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "problem.h"
#include "routes.h"

enum { TOPIC_NAME_MAX = 249 }; /* Kafka's limit */

static const int64_t week_ms = INT64_C(7) * 24 * 3600 * 1000;

/* Also where `since` or `until` cannot be read: what is wrong with them has been noted. */
static void take_step(struct tm_request *request, struct tm_timeline_query *query)
{
    struct tm_field_error error = {.parameter = "step"};
    struct tm_err err = {0};
    const char *text = tm_query_get(request, "step");
    if (text == NULL) {
        return;
    }
    if (tm_parse_duration_ms(text, &query->step_ms, &err) != TM_OK) {
        error.detail = tm_arena_strdup(&request->arena, err.msg);
    } else if (query->step_ms < 1000 || query->step_ms % 1000 != 0) {
        error.detail = "is a number of whole seconds";
    } else { /* the first one and the last one are parts of a step */
        int64_t steps = (query->until_ms - query->since_ms) / query->step_ms + 2;
        query->step_ms *= steps > TM_TIMELINE_STEPS ? steps / (TM_TIMELINE_STEPS - 2) + 1 : 1;
        return;
    }
    tm_problem_note(request, &error);
}

void tm_timeline_get(struct tm_request *request)
{
    int64_t now_ms = tm_now_ms();
    struct tm_timeline_query query = {
            .topic = tm_query_get(request, "topic"),
            .cluster = tm_query_get(request, "cluster"),
            .since_ms = tm_query_time(request, "since", now_ms - week_ms),
            .until_ms = tm_query_time(request, "until", now_ms),
    };
    query.until_ms = query.until_ms < now_ms ? query.until_ms : now_ms;
    take_step(request, &query);
    if (query.topic == NULL) {
        struct tm_field_error error = {.parameter = "topic", .detail = "is needed"};
        tm_problem_note(request, &error);
    } else if (strlen(query.topic) > TOPIC_NAME_MAX) {
        struct tm_field_error error = {.parameter = "topic", .detail = "has at most 249 bytes"};
        tm_problem_note(request, &error);
    }
    if (tm_problem_noted(request)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    tm_request_ask(request);
    control->ops->timeline(control->self, &query, tm_problem_or_json, request);
}
