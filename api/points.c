/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "base/ulid.h"
#include "routes.h"
#include "view.h"

/* Lists ------------------------------------------------------------------------------------ */

static void list_done(
        void *arg, const struct tm_points_answer *answer, const struct tm_problem *problem)
{
    struct tm_request *request = tm_request_told(arg);
    if (request == NULL) {
        return;
    }
    if (problem != NULL) {
        tm_problem_answer(request, problem);
        return;
    }
    struct tm_json *list = tm_json_object();
    struct tm_json *items = tm_json_add(list, "items", tm_json_array());
    for (size_t i = 0; i < answer->count; i++) {
        (void)tm_json_push(items, tm_view_point_line(&answer->at[i], answer->vaults[i]));
    }
    const struct tm_id16 *last = answer->count > 0 ? &answer->at[answer->count - 1].row.ulid : NULL;
    tm_query_answer_page(request, list, last, answer->more);
}

void tm_points_list(struct tm_request *request)
{
    struct tm_points_query query = {
            .catalog =
                    {
                            .cluster_name = tm_query_get(request, "cluster"),
                            .policy = tm_query_get(request, "policy"),
                            .topic = tm_query_get(request, "topic"),
                            .since_ms = tm_query_time(request, "since", INT64_MIN),
                            .until_ms = tm_query_time(request, "until", INT64_MAX),
                            .partial = tm_query_choice(request, "state", "complete partial", -1),
                    },
    };
    if (!tm_query_page(request)) {
        return;
    }
    query.catalog.limit = request->page.limit;
    query.catalog.before = request->page.has_before ? &request->page.before : NULL;
    const struct tm_control *control = tm_request_control(request);
    tm_request_ask(request);
    control->ops->points(control->self, &query, list_done, request);
}

/* One point -------------------------------------------------------------------------------- */

/* Is `etag` among those of an If-None-Match header, or does it say "*"? Weak ones count (RFC 9110). */
static bool is_among(const char *list, const char *etag)
{
    size_t len = strlen(etag);
    while (*list != '\0') {
        list += strspn(list, " \t,");
        list += strncmp(list, "W/", 2) == 0 ? 2 : 0;
        size_t item = strcspn(list, ",");
        size_t trimmed = item;
        while (trimmed > 0 && (list[trimmed - 1] == ' ' || list[trimmed - 1] == '\t')) {
            trimmed--;
        }
        if ((trimmed == 1 && list[0] == '*') || (trimmed == len && strncmp(list, etag, len) == 0)) {
            return true;
        }
        list += item;
    }
    return false;
}

static void answer_point(struct tm_request *request, const struct tm_point_answer *answer)
{
    char *text = NULL;
    {
        TM_OWN(tm_json_free) struct tm_json *json = tm_view_point(answer);
        text = tm_json_text(json);
    }
    struct tm_buf body = {0};
    tm_buf_add_text(&body, text);
    tm_buf_add_text(&body, "\n");
    free(text);

    enum { ETAG_BYTES = 16 };
    char hex[2 * ETAG_BYTES + 1];
    char etag[sizeof(hex) + 2];
    struct tm_hash hash = tm_sha256_of(tm_buf_slice(&body));
    tm_hex(hash.bytes, ETAG_BYTES, hex);
    (void)snprintf(etag, sizeof(etag), "\"%s\"", hex);
    tm_request_add_header(request, "ETag", "%s", etag);
    const char *known = tm_request_header(request, "If-None-Match");
    if (known != NULL && is_among(known, etag)) {
        tm_buf_done(&body);
        tm_request_answer_text(request, 304, NULL, &body);
    } else {
        tm_request_answer_text(request, 200, "application/json", &body);
    }
}

static void point_done(
        void *arg, const struct tm_point_answer *answer, const struct tm_problem *problem)
{
    struct tm_request *request = tm_request_told(arg);
    if (request == NULL) {
        return;
    }
    if (problem != NULL) {
        tm_problem_answer(request, problem);
    } else {
        answer_point(request, answer);
    }
}

/* The ULID of a policy's newest point; false: refused. */
static bool find_latest(struct tm_request *request, const char *policy, struct tm_id16 *out)
{
    const struct tm_control *control = tm_request_control(request);
    const struct tm_policy_view *policies = NULL;
    size_t count = control->ops->policies(control->self, &policies);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(policies[i].name, policy) != 0) {
            continue;
        }
        if (policies[i].newest_point != NULL &&
                tm_ulid_parse(policies[i].newest_point, "rp_", out)) {
            return true;
        }
        tm_problem_refuse(request, 404, "not-found", "policy \"%.200s\" has no point yet", policy);
        return false;
    }
    tm_problem_not_found(request, "policy", policy, NULL);
    return false;
}

void tm_points_get(struct tm_request *request)
{
    struct tm_id16 ulid;
    const char *policy = tm_query_get(request, "policy");
    bool latest = strcmp(request->name, "latest") == 0;
    if (latest != (policy != NULL)) {
        struct tm_field_error error = {
                .parameter = "policy",
                .detail = latest ? "is needed with \"latest\"" : "goes with \"latest\" only",
        };
        tm_problem_note(request, &error);
    }
    if (tm_problem_noted(request)) {
        return;
    }
    if (latest && !find_latest(request, policy, &ulid)) {
        return;
    }
    if (!latest && !tm_ulid_parse(request->name, "rp_", &ulid)) {
        tm_problem_not_found(request, "recovery-point", request->name, NULL);
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    tm_request_ask(request);
    control->ops->point(control->self, &ulid, point_done, request);
}
