/* SPDX-License-Identifier: Apache-2.0 */
#include "problem.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "request.h"
#include "routes.h"
#include "words.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const struct known {
    const char *slug;
    const char *title;
    const char *cause;
    const char *help;
} problems[] = {
#define X(slug, title, cause, help) {slug, title, cause, help},
#include "problems.def"
#undef X
};

static const struct known *find(const char *slug)
{
    for (size_t i = 0; i < LENGTH(problems); i++) {
        if (strcmp(problems[i].slug, slug) == 0) {
            return &problems[i];
        }
    }
    return NULL;
}

static const char *title_of(const char *slug)
{
    const struct known *known = find(slug);
    return known != NULL ? known->title : slug;
}

/* A page for whoever follows the link. The texts are those of the table, without characters that HTML would take for its own. */
void tm_problem_page(struct tm_request *request)
{
    if (tm_problem_noted(request)) {
        return;
    }
    const struct known *known = find(request->name);
    if (known == NULL) {
        const char *slugs[LENGTH(problems)];
        for (size_t i = 0; i < LENGTH(problems); i++) {
            slugs[i] = problems[i].slug;
        }
        tm_problem_not_found(request, "problem", request->name,
                tm_nearest(request->name, slugs, LENGTH(problems)));
        return;
    }
    struct tm_buf page = {0};
    tm_buf_add_fmt(&page,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
            "<meta name=\"viewport\" content=\"width=device-width\"><title>%s</title></head>\n"
            "<body><h1>%s</h1>\n<p>%s</p>\n<p>%s</p>\n<p><code>%s</code></p></body></html>\n",
            known->title, known->title, known->cause, known->help, known->slug);
    tm_request_answer_text(request, 200, "text/html; charset=utf-8", &page);
}

struct tm_json *tm_problem_begin(
        const struct tm_request *request, int status, const char *slug, const char *detail)
{
    char type[128];
    char instance[128];
    (void)snprintf(type, sizeof(type), "/problems/%s", slug);
    (void)snprintf(instance, sizeof(instance), "/requests/%s", request->id);
    struct tm_json *problem = tm_json_object();
    tm_json_add_str(problem, "type", type);
    tm_json_add_str(problem, "title", title_of(slug));
    tm_json_add_int(problem, "status", status);
    if (detail != NULL && detail[0] != '\0') {
        tm_json_add_str(problem, "detail", detail);
    }
    tm_json_add_str(problem, "instance", instance);
    return problem;
}

void tm_problem_send(struct tm_request *request, int status, struct tm_json *problem)
{
    tm_request_answer_problem_json(request, status, problem);
}

void tm_problem_refuse(
        struct tm_request *request, int status, const char *slug, const char *fmt, ...)
{
    char detail[TM_ERR_MSG_MAX * 2];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);
    tm_problem_send(request, status, tm_problem_begin(request, status, slug, detail));
}

/* Errors of fields ------------------------------------------------------------------------- */

void tm_problem_note(struct tm_request *request, const struct tm_field_error *error)
{
    if (request->errors.count < TM_FIELD_ERRORS_MAX) {
        *tm_vec_push(&request->errors) = *error;
    }
}

static void add_error(struct tm_json *errors, const struct tm_field_error *error)
{
    struct tm_json *json = tm_json_push(errors, tm_json_object());
    tm_json_add_str(json, "pointer", error->pointer);
    tm_json_add_str(json, "parameter", error->parameter);
    tm_json_add_str(json, "detail", error->detail);
    if (error->allowed != NULL) {
        (void)tm_json_add(json, "allowed", tm_words_json(error->allowed));
    }
}

/* "/topics: must be an array of strings" */
static const char *describe(struct tm_request *request, const struct tm_field_error *error)
{
    const char *where = error->parameter != NULL ? error->parameter : error->pointer;
    bool whole_body = where == NULL || where[0] == '\0';
    return whole_body ? error->detail
                      : tm_arena_fmt(&request->arena, "%s: %s", where, error->detail);
}

bool tm_problem_noted(struct tm_request *request)
{
    size_t count = request->errors.count;
    if (count == 0) {
        return false;
    }
    bool times_only = true;
    for (size_t i = 0; i < count; i++) {
        times_only = times_only && request->errors.at[i].time;
    }
    const char *detail = describe(request, &request->errors.at[0]);
    if (count > 1) {
        detail = tm_arena_fmt(&request->arena, "%s; and %zu more", detail, count - 1);
    }
    int status = times_only ? 400 : 422;
    struct tm_json *problem =
            tm_problem_begin(request, status, times_only ? "bad-time" : "invalid-request", detail);
    struct tm_json *errors = tm_json_add(problem, "errors", tm_json_array());
    for (size_t i = 0; i < count; i++) {
        add_error(errors, &request->errors.at[i]);
    }
    tm_problem_send(request, status, problem);
    return true;
}

/* What control says ------------------------------------------------------------------------ */

static void add_if(struct tm_json *problem, const char *key, const char *text)
{
    if (text[0] != '\0') {
        tm_json_add_str(problem, key, text);
    }
}

static void add_similar(struct tm_json *problem, const char *similar)
{
    if (similar != NULL && similar[0] != '\0') {
        tm_json_push_str(tm_json_add(problem, "similar", tm_json_array()), similar);
    }
}

static void add_lines(struct tm_json *problem, const char *lines)
{
    struct tm_json *errors = tm_json_add(problem, "errors", tm_json_array());
    for (const char *line = lines; *line != '\0'; line += strspn(line, "\n")) {
        char text[TM_ERR_MSG_MAX];
        int len = (int)strcspn(line, "\n");
        (void)snprintf(text, sizeof(text), "%.*s", len, line);
        add_error(errors, &(struct tm_field_error){.detail = text});
        line += len;
    }
}

void tm_problem_answer(struct tm_request *request, const struct tm_problem *problem)
{
    const char *slug = problem->slug != NULL ? problem->slug : "internal";
    int status = problem->status >= 400 && problem->status < 600 ? problem->status : 500;
    struct tm_json *json = tm_problem_begin(request, status, slug, problem->detail);
    if (status == 500) {
        tm_json_add_str(json, "request_id", request->id);
    }
    add_if(json, "job", problem->job);
    add_if(json, "kind", problem->kind);
    add_if(json, "name", problem->name);
    if (problem->member != NULL) {
        tm_json_add_str(json, problem->member, problem->value);
    }
    add_similar(json, problem->similar);
    if (problem->pointer[0] != '\0') {
        struct tm_field_error error = {.pointer = problem->pointer, .detail = problem->detail};
        add_error(tm_json_add(json, "errors", tm_json_array()), &error);
    }
    if (problem->lines != NULL) {
        add_lines(json, problem->lines);
    }
    if (problem->retry_after_s > 0) {
        tm_request_add_header(request, "Retry-After", "%" PRId64, problem->retry_after_s);
    }
    if (problem->retry_after_s > 0 && status == 429) {
        tm_json_add_int(json, "retry_after_seconds", problem->retry_after_s);
    }
    tm_problem_send(request, status, json);
}

void tm_problem_not_found(
        struct tm_request *request, const char *kind, const char *name, const char *similar)
{
    char detail[TM_ERR_MSG_MAX];
    (void)snprintf(detail, sizeof(detail), "there is no %s \"%.200s\"", kind, name);
    struct tm_json *problem = tm_problem_begin(request, 404, "not-found", detail);
    tm_json_add_str(problem, "kind", kind);
    tm_json_add_str(problem, "name", name);
    add_similar(problem, similar);
    tm_problem_send(request, 404, problem);
}

struct tm_request *tm_problem_told(void *arg, const struct tm_problem *problem)
{
    struct tm_request *request = tm_request_told(arg);
    if (request != NULL && problem != NULL) {
        tm_problem_answer(request, problem);
        return NULL;
    }
    return request;
}

void tm_problem_or_json(void *arg, const char *json, const struct tm_problem *problem)
{
    struct tm_request *request = tm_problem_told(arg, problem);
    if (request == NULL) {
        return;
    }
    struct tm_buf body = {0};
    tm_buf_add_text(&body, json);
    tm_buf_add_text(&body, "\n"); /* for terminals */
    tm_request_answer_text(request, 200, "application/json", &body);
}
