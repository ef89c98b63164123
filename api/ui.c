/* SPDX-License-Identifier: Apache-2.0 */
/* The dashboard: files alone. What they show they ask the API for, with a token that the page is given. */
#include <string.h>

#include "problem.h"
#include "routes.h"
#include "ui/ui_files.h"

static const struct tm_ui_file *find(const char *name)
{
    const struct tm_ui_file *file = tm_ui_files;
    while (file->name != NULL && strcmp(file->name, name) != 0) {
        file++;
    }
    return file->name != NULL ? file : NULL;
}

/* Nothing from elsewhere, no frame around it, nothing sent but by its script. */
static void add_headers(struct tm_request *request)
{
    tm_request_add_header(request, "Content-Security-Policy", "%s",
            "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    tm_request_add_header(request, "X-Frame-Options", "%s", "DENY");
    tm_request_add_header(request, "Referrer-Policy", "%s", "no-referrer");
}

static void answer_file(struct tm_request *request, const char *name)
{
    if (tm_problem_noted(request)) {
        return;
    }
    const struct tm_ui_file *file = find(name);
    if (file == NULL) {
        tm_problem_not_found(request, "path", request->path, "/ui");
        return;
    }
    struct tm_buf body = {0};
    tm_buf_add(&body, file->bytes, file->len);
    add_headers(request);
    tm_request_answer_text(request, 200, file->type, &body);
}

void tm_ui_page(struct tm_request *request)
{
    answer_file(request, "index.html");
}

void tm_ui_file_get(struct tm_request *request)
{
    answer_file(request, request->name);
}
