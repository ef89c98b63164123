/* SPDX-License-Identifier: Apache-2.0 */
#include "points.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/ulid.h"
#include "narrow.h"
#include "router.h"
#include "routes.h"
#include "view.h"
#include "words.h"

/* Lists ------------------------------------------------------------------------------------ */

static void list_done(
        void *arg, const struct tm_points_answer *answer, const struct tm_problem *problem)
{
    struct tm_request *request = tm_problem_told(arg, problem);
    if (request == NULL) {
        return;
    }
    struct tm_json *list = tm_json_object();
    struct tm_json *items = tm_json_add(list, "items", tm_json_array());
    for (size_t i = 0; i < answer->count; i++) {
        const struct tm_row_point *row = &answer->at[i].row;
        if (tm_narrow_sees_slices(request, row->policy, row->cluster_name)) {
            (void)tm_json_push(items,
                    tm_view_point_line(&answer->at[i], answer->vaults[i], answer->kept_by[i]));
        }
    }
    tm_query_add_total(request, list, answer->total);
    const struct tm_id16 *last = answer->count > 0 ? &answer->at[answer->count - 1].row.ulid : NULL;
    tm_query_answer_page(request, list, last, answer->more);
}

void tm_points_list(struct tm_request *request)
{
    struct tm_points_query query = {
            .catalog =
                    {
                            .clusters = tm_query_names(request, "cluster"),
                            .policies = tm_query_names(request, "policy"),
                            .since_ms = tm_query_time(request, "since", INT64_MIN),
                            .until_ms = tm_query_time(request, "until", INT64_MAX),
                            .states =
                                    tm_query_choices(request, "state", "complete partial damaged"),
                            .tag = tm_query_get(request, "tag"),
                    },
            .topics = tm_query_names(request, "topic"),
    };
    tm_select_free(tm_query_topics(request)); /* what is no pattern is refused here */
    int held = tm_query_choice(request, "held", "false true", -1);
    query.catalog.held_ms = held == 1 ? tm_now_ms() : 0;
    query.catalog.not_held_ms = held == 0 ? tm_now_ms() : 0;
    query.counted = tm_query_counted(request);
    int64_t at_ms = tm_query_time(request, "at", INT64_MIN);
    /* A point that can restore a time was made after it, and its policy has stored what was before. */
    if (at_ms != INT64_MIN) {
        query.catalog.covers_ms = at_ms != 0 ? at_ms : 1;
        query.catalog.since_ms = at_ms > query.catalog.since_ms ? at_ms : query.catalog.since_ms;
    }
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

/* The point's document, and the ETag made from it. */
static void make_document(
        const struct tm_point_answer *answer, struct tm_buf *body, char etag[TM_ETAG_MAX])
{
    TM_OWN(tm_json_free) struct tm_json *json = tm_view_point(answer);
    TM_OWN(tm_json_free) struct tm_json *beside = tm_json_object();
    char *text = tm_json_text(json);
    tm_etag_of(text, etag);
    /* Other points come and go, packs are looked at: no change of this one. */
    tm_view_add_kept_by(beside, answer->kept_by);
    tm_view_add_verified(beside, answer);
    char *more = tm_json_text(beside);
    /* One object of both, without writing thousands of topics twice. */
    tm_buf_add(body, text, strlen(text) - strlen("}"));
    tm_buf_add_text(body, ",");
    tm_buf_add_text(body, more + strlen("{"));
    free(more);
    free(text);
}

void tm_points_etag(const struct tm_point_answer *answer, char out[TM_ETAG_MAX])
{
    TM_BUF_OWN struct tm_buf body = {0};
    make_document(answer, &body, out);
}

void tm_points_answer(struct tm_request *request, const struct tm_point_answer *answer)
{
    TM_BUF_OWN struct tm_buf body = {0};
    char etag[TM_ETAG_MAX];
    make_document(answer, &body, etag);
    tm_etag_answer(request, tm_buf_text(&body), etag);
}

static void point_done(
        void *arg, const struct tm_point_answer *answer, const struct tm_problem *problem)
{
    struct tm_request *request = tm_problem_told(arg, problem);
    if (request != NULL) {
        tm_points_answer(request, answer);
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

bool tm_points_read_id(struct tm_request *request, struct tm_id16 *out)
{
    bool takes_latest = tm_words_find(request->route->params, "policy") >= 0;
    const char *policy = takes_latest ? tm_query_get(request, "policy") : NULL;
    bool latest = takes_latest && strcmp(request->name, "latest") == 0;
    if (latest != (policy != NULL)) {
        struct tm_field_error error = {
                .parameter = "policy",
                .detail = latest ? "is needed with \"latest\"" : "goes with \"latest\" only",
        };
        tm_problem_note(request, &error);
    }
    if (tm_problem_noted(request)) {
        return false;
    }
    if (latest) {
        return find_latest(request, policy, out);
    }
    if (!tm_ulid_parse(request->name, "rp_", out)) {
        tm_problem_not_found(request, "recovery-point", request->name, NULL);
        return false;
    }
    return true;
}

void tm_points_get(struct tm_request *request)
{
    struct tm_id16 ulid;
    if (!tm_points_read_id(request, &ulid)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    tm_request_ask(request);
    control->ops->point(control->self, &ulid, point_done, request);
}
