/* SPDX-License-Identifier: Apache-2.0 */
/* Where the records of a restore went: JSON, or CSV for who asks for text/csv. */
#include <string.h>

#include "base/text.h"
#include "jobs.h"
#include "routes.h"

enum { ROWS_DEFAULT = 1000, ROWS_MAX = 10000 };

static bool wants_csv(const struct tm_request *request)
{
    const char *accept = tm_request_header(request, "Accept");
    return accept != NULL && strstr(accept, "text/csv") != NULL;
}

static void told(void *arg, const char *text, const struct tm_problem *problem)
{
    struct tm_request *request = tm_problem_told(arg, problem);
    if (request == NULL) {
        return;
    }
    struct tm_buf body = {0};
    tm_buf_add_text(&body, text);
    tm_request_answer_text(
            request, 200, wants_csv(request) ? "text/csv" : "application/json", &body);
}

/* A number of the query; `absent` where it is not given. What is wrong is noted. */
static int64_t number(
        struct tm_request *request, const char *name, int64_t most, int64_t absent, bool *wrong)
{
    const char *text = tm_query_get(request, name);
    int64_t value = absent;
    struct tm_err ignored = {0};
    if (text != NULL &&
            (tm_parse_i64(text, &value, &ignored) != TM_OK || value < 0 || value > most)) {
        *wrong = true;
    }
    return value;
}

void tm_restores_offset_map(struct tm_request *request)
{
    bool wrong = false;
    struct tm_map_query query = {.topic = tm_query_get(request, "topic")};
    query.partition = (int32_t)number(request, "partition", INT32_MAX, -1, &wrong);
    query.limit = (size_t)number(request, "limit", ROWS_MAX, ROWS_DEFAULT, &wrong);
    query.from = number(request, "cursor", INT64_MAX, 0, &wrong);
    if (tm_problem_noted(request) || !tm_jobs_read_id(request, &query.job)) {
        return;
    }
    if (wrong || query.limit == 0) {
        tm_problem_refuse(request, 422, "invalid-request",
                "partition and cursor are numbers from 0, limit one from 1 to %d", (int)ROWS_MAX);
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    tm_request_ask(request);
    control->ops->offset_map(control->self, &query, wants_csv(request), told, request);
}
