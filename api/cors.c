/* SPDX-License-Identifier: Apache-2.0 */
#include "cors.h"

#include <string.h>

/* Seconds for which a browser need not ask again. */
enum { PREFLIGHT_S = 600 };

static const char headers[] = "Authorization, Content-Type, If-Match, If-None-Match, "
                              "Idempotency-Key, Last-Event-ID, X-Request-Id";
static const char exposed[] =
        "ETag, Idempotency-Replayed, Link, Location, Retry-After, WWW-Authenticate, X-Request-Id";

/* The origin of the page that asks, if it may; NULL else. */
static const char *allowed_origin(const struct tm_request *request)
{
    const struct tm_api_options *options = &request->api->options;
    const char *origin = tm_request_header(request, "Origin");
    for (size_t i = 0; origin != NULL && i < options->cors_origin_count; i++) {
        if (strcmp(options->cors_origins[i], origin) == 0) {
            return origin;
        }
    }
    return NULL;
}

void tm_cors_add(struct tm_request *request)
{
    const char *origin = allowed_origin(request);
    if (request->api->options.cors_origin_count > 0) {
        tm_request_add_header(request, "Vary", "%s", "Origin"); /* to whom it is said, too */
    }
    if (origin != NULL) {
        tm_request_add_header(request, "Access-Control-Allow-Origin", "%s", origin);
        tm_request_add_header(request, "Access-Control-Expose-Headers", "%s", exposed);
    }
}

bool tm_cors_preflight(struct tm_request *request, const char *allow)
{
    if (strcmp(request->method, "OPTIONS") != 0 || allowed_origin(request) == NULL ||
            tm_request_header(request, "Access-Control-Request-Method") == NULL) {
        return false;
    }
    struct tm_buf none = {0};
    tm_request_add_header(request, "Access-Control-Allow-Methods", "%s", allow);
    tm_request_add_header(request, "Access-Control-Allow-Headers", "%s", headers);
    tm_request_add_header(request, "Access-Control-Max-Age", "%d", (int)PREFLIGHT_S);
    tm_request_answer_text(request, 204, NULL, &none);
    return true;
}
