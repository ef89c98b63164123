/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "etag.h"
#include "narrow.h"
#include "policy/select.h"
#include "routes.h"
#include "view.h"
#include "words.h"

/* Worst first. */
static const char states[] = "breached losing gap never stale late paused ok";

/* Policies --------------------------------------------------------------------------------- */

/* The worst that is known of the policy's topics, in the words of GET /v1/status. */
static int worst_of(struct tm_request *request, const char *policy)
{
    const struct tm_control *control = tm_request_control(request);
    const struct tm_status_row *rows = NULL;
    size_t count = control->ops->status(control->self, &rows);
    int worst = INT_MAX;
    for (size_t i = 0; i < count; i++) {
        int state = tm_words_find(states, rows[i].state);
        worst = strcmp(rows[i].policy, policy) == 0 && state < worst ? state : worst;
    }
    return worst;
}

/* INT_MAX, for a policy of which nothing is known, is none of them. */
static bool is_among(unsigned places, int place)
{
    return place < 32 && (places >> place & 1) != 0;
}

void tm_policies_list(struct tm_request *request)
{
    struct tm_names clusters = tm_query_names(request, "cluster");
    unsigned wanted_states = tm_query_choices(request, "state", states);
    const struct tm_control *control = tm_request_control(request);
    const struct tm_policy_view *policies = NULL;
    size_t wanted_count = 0;
    size_t from = 0;
    size_t rows = 0;
    size_t count = control->ops->policies(control->self, &policies);
    const char **wanted = tm_arena_alloc(&request->arena, count + 1, sizeof(*wanted));
    for (size_t i = 0; i < count; i++) {
        if (tm_names_has(&clusters, policies[i].cluster) &&
                tm_narrow_sees(request, policies[i].name, NULL)) {
            wanted[wanted_count++] = tm_arena_strdup(&request->arena, policies[i].name);
        }
    }
    size_t left = 0;
    for (size_t i = 0; i < wanted_count; i++) {
        wanted[left] = wanted[i];
        left += wanted_states == 0 || is_among(wanted_states, worst_of(request, wanted[i])) ? 1 : 0;
    }
    if (!tm_query_rows(request, left, &from, &rows)) {
        return;
    }
    struct tm_json *list = tm_json_object();
    struct tm_json *items = tm_json_add(list, "items", tm_json_array());
    count = control->ops->policies(control->self, &policies);
    size_t at = 0;
    for (size_t i = 0; i < count && at < from + rows; i++) { /* both are in the same order */
        if (strcmp(policies[i].name, wanted[at]) == 0 && at++ >= from) {
            (void)tm_json_push(items, tm_view_policy(&policies[i]));
        }
    }
    tm_query_answer_rows(request, list, from + rows, left);
}

static const char *nearest_policy(
        struct tm_request *request, const struct tm_policy_view *policies, size_t count)
{
    const char **names = tm_arena_alloc(&request->arena, count + 1, sizeof(*names));
    for (size_t i = 0; i < count; i++) {
        names[i] = policies[i].name;
    }
    return tm_nearest(request->name, names, count);
}

const struct tm_policy_view *tm_policies_find(struct tm_request *request)
{
    const struct tm_control *control = tm_request_control(request);
    const struct tm_policy_view *policies = NULL;
    size_t count = control->ops->policies(control->self, &policies);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(policies[i].name, request->name) == 0) {
            return &policies[i];
        }
    }
    tm_problem_not_found(
            request, "policy", request->name, nearest_policy(request, policies, count));
    return NULL;
}

void tm_policies_get(struct tm_request *request)
{
    if (tm_problem_noted(request)) {
        return;
    }
    const struct tm_policy_view *policy = tm_policies_find(request);
    if (policy == NULL) {
        return;
    }
    char etag[TM_ETAG_MAX];
    TM_OWN(tm_json_free) struct tm_json *json = tm_view_policy(policy);
    char *text = tm_json_text(json);
    tm_etag_of(text, etag);
    tm_etag_answer(request, text, etag);
    free(text);
}

/* Status ----------------------------------------------------------------------------------- */

static int by_state(const void *a, const void *b)
{
    const struct tm_status_row *left = *(const struct tm_status_row *const *)a;
    const struct tm_status_row *right = *(const struct tm_status_row *const *)b;
    int order = tm_words_find(states, left->state) - tm_words_find(states, right->state);
    if (order == 0) { /* the longest exposed first */
        order = (left->exposure_ms < right->exposure_ms) - (left->exposure_ms > right->exposure_ms);
    }
    return order != 0 ? order : (left > right) - (left < right); /* as control had them */
}

static void add_worst(struct tm_json *status, const struct tm_status_row *row)
{
    struct tm_json *worst = tm_json_add(status, "worst", tm_json_object());
    tm_json_add_str(worst, "cluster", row->cluster);
    tm_json_add_str(worst, "policy", row->policy);
    tm_json_add_str(worst, "topic", row->topic[0] != '\0' ? row->topic : NULL);
    tm_json_add_str(worst, "state", row->state);
    if (row->exposure_ms >= 0) {
        tm_json_add_int(worst, "exposure_seconds", row->exposure_ms / 1000);
    }
    if (row->of != NULL) {
        tm_view_add_seconds(worst, "rpo_seconds", row->of->rpo_ms);
    }
}

/* All but the rows. */
static struct tm_json *view_status(
        const struct tm_status_row *const *rows, size_t count, int64_t unprotected)
{
    struct tm_json *status = tm_json_object();
    bool ok = count == 0 || strcmp(rows[0]->state, "ok") == 0;
    int64_t breached = 0;
    for (size_t i = 0; i < count; i++) {
        breached += strcmp(rows[i]->state, "breached") == 0 ? 1 : 0;
    }
    tm_json_add_time(status, "as_of", tm_now_ms());
    tm_json_add_bool(status, "ok", ok);
    tm_json_add_int(status, "breached_count", breached);
    if (unprotected >= 0) {
        tm_json_add_int(status, "unprotected_topics_count", unprotected);
    }
    if (!ok) {
        add_worst(status, rows[0]);
    }
    return status;
}

/* `wanted`: 1 those that are, 0 those that are not, -1 all. */
static bool is_breached(const struct tm_status_row *row, int wanted)
{
    return wanted < 0 || (strcmp(row->state, "breached") == 0) == (wanted == 1);
}

void tm_status_get(struct tm_request *request)
{
    struct tm_names clusters = tm_query_names(request, "cluster");
    struct tm_names policies = tm_query_names(request, "policy");
    TM_OWN(tm_select_free) struct tm_select *topics = tm_query_topics(request);
    int breached = tm_query_choice(request, "breached", "false true", -1);
    size_t from = 0;
    size_t on_page = 0;
    const struct tm_control *control = tm_request_control(request);
    const struct tm_status_row *rows = NULL;
    size_t count = control->ops->status(control->self, &rows);
    const struct tm_status_row **wanted =
            tm_arena_alloc(&request->arena, count + 1, sizeof(const struct tm_status_row *));
    size_t wanted_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (tm_names_has(&clusters, rows[i].cluster) && tm_names_has(&policies, rows[i].policy) &&
                (topics == NULL || tm_select_matches(topics, rows[i].topic)) &&
                is_breached(&rows[i], breached) && tm_narrow_sees(request, rows[i].policy, NULL)) {
            wanted[wanted_count++] = &rows[i];
        }
    }
    qsort(wanted, wanted_count, sizeof(const struct tm_status_row *), by_state);
    if (!tm_query_rows(request, wanted_count, &from, &on_page)) {
        return;
    }
    int64_t unprotected = tm_narrow_is(request) ? -1 : control->ops->unprotected(control->self);
    struct tm_json *status = view_status(wanted, wanted_count, unprotected);
    struct tm_json *items = tm_json_add(status, "items", tm_json_array());
    for (size_t i = from; i < from + on_page; i++) {
        (void)tm_json_push(items, tm_view_status_row(wanted[i]));
    }
    tm_query_answer_rows(request, status, from + on_page, wanted_count);
}
