/* SPDX-License-Identifier: Apache-2.0 */
#include "body.h"
#include "hold.h"
#include "jobs.h"
#include "narrow.h"
#include "routes.h"

enum { TOPIC_NAME_MAX = 249 }; /* Kafka's limit */

void tm_backups_list(struct tm_request *request)
{
    tm_jobs_answer_list(request, 1U << TM_JOB_BACKUP);
}

static void read_backup(const struct tm_part *body, struct tm_backup_request *out)
{
    tm_body_require(body, "policy");
    *out = (struct tm_backup_request){
            .policy = tm_body_str(body, "policy"),
            .note = tm_body_text(body, "note", TM_NOTE_MAX),
            .outside_window = tm_body_bool(body, "outside_window", false),
            .join = tm_body_choice(body, "if_running", (struct tm_known){"conflict join", ""}) == 1,
    };
    out->topics = tm_body_strings(body, "topics", TOPIC_NAME_MAX, &out->topic_count);
    out->tags = tm_tags_read(body, &out->tag_count);
    struct tm_hold_words hold = tm_hold_read(body, false);
    out->hold_until_ms = hold.given ? hold.until_ms : 0;
    out->hold_reason = hold.reason;
    if (out->topics != NULL && out->topic_count == 0) {
        tm_body_wrong(body, "topics", "may not be empty; leave it out for all topics");
    }
}

void tm_backups_start(struct tm_request *request)
{
    static const struct tm_known known = {
            "policy topics note tags hold if_running outside_window", ""};
    struct tm_part body;
    struct tm_backup_request backup;
    request->wait.ms = tm_query_wait_ms(request);
    if (!tm_body_read(request, known, false, &body)) {
        return;
    }
    read_backup(&body, &backup);
    if (tm_problem_noted(request) || !tm_narrow_policy(request, backup.policy)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    struct tm_caller caller = tm_request_caller(request);
    tm_request_ask(request);
    control->ops->backup(control->self, &backup, &caller, tm_jobs_started, request);
}
