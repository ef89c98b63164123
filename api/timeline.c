/* SPDX-License-Identifier: Apache-2.0 */
/* Of what time a topic is stored. */
#include <string.h>

#include "base/clock.h"
#include "problem.h"
#include "routes.h"

enum { TOPIC_NAME_MAX = 249 }; /* Kafka's limit */

static const int64_t week_ms = INT64_C(7) * 24 * 3600 * 1000;

void tm_timeline_get(struct tm_request *request)
{
    int64_t now_ms = tm_now_ms();
    struct tm_timeline_query query = {
            .topic = tm_query_get(request, "topic"),
            .cluster = tm_query_get(request, "cluster"),
            .since_ms = tm_query_time(request, "since", now_ms - week_ms),
            .until_ms = tm_query_time(request, "until", now_ms),
    };
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
    query.until_ms = query.until_ms < now_ms ? query.until_ms : now_ms;
    const struct tm_control *control = tm_request_control(request);
    tm_request_ask(request);
    control->ops->timeline(control->self, &query, tm_problem_or_json, request);
}
