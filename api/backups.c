/* SPDX-License-Identifier: Apache-2.0 */
#include "body.h"
#include "jobs.h"
#include "routes.h"

enum {
    NOTE_MAX = 4096,
    TAG_MAX = 128,
    TAGS_MAX = 64,
    TOPIC_NAME_MAX = 249, /* Kafka's limit */
};

void tm_backups_list(struct tm_request *request)
{
    tm_jobs_answer_list(request, TM_JOB_BACKUP);
}

static void read_backup(const struct tm_part *body, struct tm_backup_request *out)
{
    tm_body_require(body, "policy");
    *out = (struct tm_backup_request){
            .policy = tm_body_str(body, "policy"),
            .note = tm_body_text(body, "note", NOTE_MAX),
            .join = tm_body_choice(body, "if_running", (struct tm_known){"conflict join", ""}) == 1,
    };
    out->topics = tm_body_strings(body, "topics", TOPIC_NAME_MAX, &out->topic_count);
    out->tags = tm_body_strings(body, "tags", TAG_MAX, &out->tag_count);
    if (out->topics != NULL && out->topic_count == 0) {
        tm_body_wrong(body, "topics", "may not be empty; leave it out for all topics");
    }
    if (out->tag_count > TAGS_MAX) {
        tm_body_wrong(body, "tags", "at most %d", (int)TAGS_MAX);
    }
}

void tm_backups_start(struct tm_request *request)
{
    static const struct tm_known known = {"policy topics note tags if_running", "hold"};
    struct tm_part body;
    struct tm_backup_request backup;
    request->wait.ms = tm_query_wait_ms(request);
    if (!tm_body_read(request, known, false, &body)) {
        return;
    }
    read_backup(&body, &backup);
    if (tm_problem_noted(request)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    struct tm_caller caller = tm_request_caller(request);
    tm_request_ask(request);
    control->ops->backup(control->self, &backup, &caller, tm_jobs_started, request);
}
