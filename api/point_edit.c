/* SPDX-License-Identifier: Apache-2.0 */
/* A recovery point changed or removed by hand. */
#include <stdio.h>
#include <string.h>

#include "body.h"
#include "hold.h"
#include "jobs.h"
#include "points.h"
#include "routes.h"

struct tm_point_edit { /* what a PATCH asks for, until the point is known */
    struct tm_id16 ulid;
    struct tm_point_patch patch;
    struct tm_hold_words hold;
    const char *if_match;
};

/* A merge patch: null removes. */
static void read_patch(const struct tm_part *body, struct tm_point_edit *edit)
{
    struct tm_point_patch *patch = &edit->patch;
    const struct tm_json_value *note = tm_json_get(body->object, "note");
    const struct tm_json_value *tags = tm_json_get(body->object, "tags");
    patch->has_note = note != NULL;
    patch->note = "";
    if (note != NULL && note->kind != TM_JSON_NULL) {
        patch->note = tm_body_text(body, "note", TM_NOTE_MAX);
    }
    patch->has_tags = tags != NULL;
    if (tags != NULL && tags->kind != TM_JSON_NULL) {
        patch->tags = tm_tags_read(body, &patch->tag_count);
    }
    edit->hold = tm_hold_read(body, true);
    if (body->object->count == 0) {
        tm_body_wrong(body, "note", "is needed, or tags or hold");
    }
}

/* The hold as it will be: what the patch does not name stays. */
static void merge_hold(struct tm_request *request, struct tm_point_edit *edit)
{
    struct tm_point_patch *patch = &edit->patch;
    const struct tm_hold_words *hold = &edit->hold;
    const struct tm_row_mark *was = &patch->was;
    patch->has_hold = hold->given;
    patch->hold_reason = "";
    if (!hold->given || hold->removed) {
        return;
    }
    bool was_held = was->hold_until_ms != 0;
    patch->hold_until_ms = !hold->has_until && was_held ? was->hold_until_ms : hold->until_ms;
    patch->hold_reason =
            hold->reason != NULL ? hold->reason : tm_arena_str(&request->arena, was->hold_reason);
}

static void copy_mark(
        const struct tm_row_mark *from, struct tm_arena *arena, struct tm_row_mark *to)
{
    *to = *from;
    to->note = tm_arena_dup(arena, from->note);
    to->hold_reason = tm_arena_dup(arena, from->hold_reason);
    to->tags = tm_arena_alloc(arena, from->tag_count + 1, sizeof(*to->tags));
    for (size_t i = 0; i < from->tag_count; i++) {
        to->tags[i] = tm_arena_dup(arena, from->tags[i]);
    }
}

static void patched(
        void *arg, const struct tm_point_answer *answer, const struct tm_problem *problem)
{
    struct tm_request *request = tm_problem_told(arg, problem);
    if (request != NULL) {
        tm_points_answer(request, answer);
    }
}

/* The point is known: is it the version that the client has seen? */
static void seen(void *arg, const struct tm_point_answer *answer, const struct tm_problem *problem)
{
    struct tm_request *request = tm_problem_told(arg, problem);
    if (request == NULL) {
        return;
    }
    struct tm_point_edit *edit = request->edit;
    char etag[TM_ETAG_MAX];
    tm_points_etag(answer, etag);
    if (!tm_etag_among(edit->if_match, etag)) {
        struct tm_problem changed = {.status = 412, .slug = "precondition-failed"};
        (void)snprintf(changed.detail, sizeof(changed.detail),
                "the recovery point is no longer the one of that ETag");
        changed.member = "current_etag";
        (void)snprintf(changed.value, sizeof(changed.value), "%s", etag);
        tm_problem_answer(request, &changed);
        return;
    }
    copy_mark(&answer->point.mark, &request->arena, &edit->patch.was);
    merge_hold(request, edit);
    const struct tm_control *control = tm_request_control(request);
    struct tm_caller caller = tm_request_caller(request);
    tm_request_ask(request);
    control->ops->patch_point(control->self, &edit->ulid, &edit->patch, &caller, patched, request);
}

void tm_points_patch(struct tm_request *request)
{
    struct tm_part body;
    struct tm_point_edit *edit = tm_arena_alloc(&request->arena, 1, sizeof(*edit));
    if (!tm_body_read(request, (struct tm_known){"note tags hold", ""}, false, &body)) {
        return;
    }
    read_patch(&body, edit);
    if (tm_problem_noted(request) || !tm_points_read_id(request, &edit->ulid)) {
        return;
    }
    edit->if_match = tm_request_header(request, "If-Match");
    if (edit->if_match == NULL) {
        struct tm_problem problem = {.status = 428, .slug = "precondition-required"};
        (void)snprintf(problem.detail, sizeof(problem.detail),
                "send the ETag of the recovery point as If-Match, or If-Match: *");
        problem.member = "header";
        (void)snprintf(problem.value, sizeof(problem.value), "If-Match");
        tm_problem_answer(request, &problem);
        return;
    }
    request->edit = edit;
    const struct tm_control *control = tm_request_control(request);
    tm_request_ask(request);
    control->ops->point(control->self, &edit->ulid, seen, request);
}

void tm_points_delete(struct tm_request *request)
{
    struct tm_id16 ulid;
    request->wait.ms = tm_query_wait_ms(request);
    if (tm_problem_noted(request) || !tm_points_read_id(request, &ulid)) {
        return;
    }
    struct tm_vault_request job = {.point = request->name};
    const struct tm_control *control = tm_request_control(request);
    struct tm_caller caller = tm_request_caller(request);
    tm_request_ask(request);
    control->ops->vault_job(control->self, TM_JOB_DELETE, &job, &caller, tm_jobs_started, request);
}
