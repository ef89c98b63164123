/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/ulid.h"
#include "body.h"
#include "jobs.h"
#include "routes.h"
#include "view.h"

enum {
    PATTERN_MAX = 512,
    AFFIX_MAX = 249, /* a topic's name is no longer */
    REPLICATION_MAX = 32767,
};

void tm_restores_list(struct tm_request *request)
{
    tm_jobs_answer_list(request, TM_JOB_RESTORE);
}

/* The body --------------------------------------------------------------------------------- */

/* A point by its id, or a policy's newest point. */
static void read_source(const struct tm_part *body, struct tm_restore_request *out)
{
    static const struct tm_known known = {"recovery_point policy", "at as_of cluster"};
    tm_body_require(body, "source");
    struct tm_part source = tm_body_object(body, "source", known);
    if (source.object == NULL) {
        return;
    }
    struct tm_id16 ulid;
    const char *point = tm_body_str(&source, "recovery_point");
    bool latest = point != NULL && strcmp(point, "latest") == 0;
    out->policy = tm_body_str(&source, "policy");
    out->point = latest ? NULL : point;
    if (out->point != NULL && !tm_ulid_parse(out->point, "rp_", &ulid)) {
        tm_body_wrong(
                &source, "recovery_point", "must be \"rp_\" and 26 characters, or \"latest\"");
    }
    if (out->point != NULL && out->policy != NULL) {
        tm_body_wrong(&source, "policy", "goes with \"recovery_point\":\"latest\" only");
    }
    if (!tm_body_has(&source, "policy") && (latest || !tm_body_has(&source, "recovery_point"))) {
        tm_body_wrong(&source, "policy",
                latest ? "is needed with \"latest\"" : "is needed, or \"recovery_point\"");
    }
}

static void read_topics(const struct tm_part *body, struct tm_restore_request *out)
{
    static const struct tm_known known = {"include exclude", "partitions"};
    struct tm_part topics = tm_body_object(body, "topics", known);
    out->include = tm_body_strings(&topics, "include", PATTERN_MAX, &out->include_count);
    out->exclude = tm_body_strings(&topics, "exclude", PATTERN_MAX, &out->exclude_count);
}

static void read_target(const struct tm_part *body, struct tm_restore_request *out)
{
    static const struct tm_known known = {"cluster rename prefix suffix", ""};
    tm_body_require(body, "target");
    struct tm_part target = tm_body_object(body, "target", known);
    if (target.object == NULL) {
        return;
    }
    tm_body_require(&target, "cluster");
    out->target = tm_body_str(&target, "cluster");
    out->renames = tm_body_pairs(&target, "rename", &out->rename_count);
    out->prefix = tm_body_text(&target, "prefix", AFFIX_MAX);
    out->suffix = tm_body_text(&target, "suffix", AFFIX_MAX);
}

static void read_digest(const struct tm_part *body, struct tm_restore_request *out)
{
    static const char prefix[] = "sha256:";
    struct tm_hash ignored;
    const char *digest = tm_body_str(body, "plan_digest");
    if (digest == NULL) {
        return;
    }
    if (strncmp(digest, prefix, sizeof(prefix) - 1) != 0 ||
            !tm_parse_hex(digest + sizeof(prefix) - 1, ignored.bytes, sizeof(ignored.bytes))) {
        tm_body_wrong(
                body, "plan_digest", "must be \"sha256:\" and 64 hex digits, as a plan gave it");
    }
    out->plan_digest = digest;
}

static void read_choices(const struct tm_part *body, struct tm_restore_request *out)
{
    static const struct tm_known creates = {"missing never", "recreate"};
    static const struct tm_known existing = {"fail empty_only", "append"};
    static const struct tm_known retention = {"hold original", ""};
    static const struct tm_known configs = {"original broker", ""};
    static const struct tm_known gaps = {"fail continue", ""};
    out->create_topics = (enum tm_create_topics)tm_body_choice(body, "create_topics", creates);
    out->existing = (enum tm_existing)tm_body_choice(body, "existing", existing);
    out->retention = (enum tm_restore_retention)tm_body_choice(body, "retention", retention);
    out->original_configs = tm_body_choice(body, "topic_configs", configs) == 0;
    out->continue_on_gap = tm_body_choice(body, "on_gap", gaps) == 1;
    out->replication_factor = (int32_t)tm_body_int(body, "replication_factor", 1, REPLICATION_MAX);
}

/* False: the request has been refused. */
static bool read_restore(struct tm_request *request, struct tm_restore_request *out)
{
    static const struct tm_known known = {
            "source topics target create_topics existing retention topic_configs on_gap "
            "replication_factor plan_digest",
            "from partitions offsets consumer_groups headers transactions timestamps limits "
            "windows "
            "skip subset mask delete_after retention_hold_for confirm",
    };
    struct tm_part body;
    if (!tm_body_read(request, known, false, &body)) {
        return false;
    }
    read_source(&body, out);
    read_topics(&body, out);
    read_target(&body, out);
    read_choices(&body, out);
    read_digest(&body, out);
    return !tm_problem_noted(request);
}

/* Plan and restore ------------------------------------------------------------------------- */

static void plan_done(
        void *arg, const struct tm_restore_plan *plan, const struct tm_problem *problem)
{
    struct tm_request *request = tm_request_told(arg);
    if (request == NULL) {
        return;
    }
    if (problem != NULL) {
        tm_problem_answer(request, problem);
    } else {
        tm_request_answer_json(request, 200, tm_view_plan(plan, request->restore));
    }
}

void tm_restores_plan(struct tm_request *request)
{
    struct tm_restore_request *restore = tm_arena_alloc(&request->arena, 1, sizeof(*restore));
    request->restore = restore;
    if (!read_restore(request, restore)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    tm_request_ask(request);
    control->ops->restore_plan(control->self, restore, plan_done, request);
}

void tm_restores_start(struct tm_request *request)
{
    struct tm_restore_request restore = {0};
    request->wait.ms = tm_query_wait_ms(request);
    if (!read_restore(request, &restore)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    struct tm_caller caller = tm_request_caller(request);
    tm_request_ask(request);
    control->ops->restore(control->self, &restore, &caller, tm_jobs_started, request);
}
