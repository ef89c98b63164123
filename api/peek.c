/* SPDX-License-Identifier: Apache-2.0 */
/* Records of a recovery point, to be looked at. */
#include "job/peek.h"
#include "base/text.h"
#include "points.h"
#include "routes.h"

enum { LIMIT_DEFAULT = 10 };

/* A whole number of [least, most]; `absent` where it is not given, or, noted, is none. */
static int64_t read_number(
        struct tm_request *request, const char *name, int64_t most, int64_t least, int64_t absent)
{
    const char *text = tm_query_get(request, name);
    int64_t number = absent;
    struct tm_err err = {0};
    if (text != NULL &&
            (tm_parse_i64(text, &number, &err) != TM_OK || number < least || number > most)) {
        struct tm_field_error error = {.parameter = name,
                .detail = tm_arena_fmt(&request->arena, "must be %lld to %lld", (long long)least,
                        (long long)most)};
        tm_problem_note(request, &error);
        return absent;
    }
    return number;
}

static void need(struct tm_request *request, const char *name)
{
    if (tm_query_get(request, name) == NULL) {
        struct tm_field_error error = {.parameter = name, .detail = "is needed"};
        tm_problem_note(request, &error);
    }
}

void tm_points_peek(struct tm_request *request)
{
    struct tm_peek_request peek = {
            .topic = tm_query_get(request, "topic"),
            .partition = (int32_t)read_number(request, "partition", INT32_MAX, 0, 0),
            .offset = read_number(request, "offset", INT64_MAX, 0, -1),
            .limit = read_number(request, "limit", TM_PEEK_RECORDS_MAX, 1, LIMIT_DEFAULT),
    };
    need(request, "topic");
    need(request, "partition");
    if (!tm_points_read_id(request, &peek.point)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    struct tm_caller caller = tm_request_caller(request);
    tm_request_ask(request);
    control->ops->peek(control->self, &peek, &caller, tm_problem_or_json, request);
}
