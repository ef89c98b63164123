/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/ulid.h"
#include "body.h"
#include "digest.h"
#include "jobs.h"
#include "narrow.h"
#include "restores_choice.h"
#include "restores_groups.h"
#include "restores_into.h"
#include "routes.h"
#include "view.h"

enum {
    PATTERN_MAX = 512,
    AFFIX_MAX = 249, /* a topic's name is no longer */
    REPLICATION_MAX = 32767,
};

void tm_restores_list(struct tm_request *request)
{
    tm_jobs_answer_list(request, 1U << TM_JOB_RESTORE);
}

/* The body --------------------------------------------------------------------------------- */

static void read_topics(const struct tm_part *body, struct tm_restore_request *out)
{
    static const struct tm_known known = {"include exclude partitions", ""};
    struct tm_part topics = tm_body_object(body, "topics", known);
    out->include = tm_body_strings(&topics, "include", PATTERN_MAX, &out->include_count);
    out->exclude = tm_body_strings(&topics, "exclude", PATTERN_MAX, &out->exclude_count);
    tm_restores_read_partitions(&topics, out);
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

/* How long retention stays held after the end. */
static void read_hold(const struct tm_part *body, struct tm_restore_request *out)
{
    struct tm_err err = {0};
    const char *text = tm_body_str(body, "retention_hold_for");
    if (text == NULL) {
        return;
    }
    if (tm_parse_duration_ms(text, &out->retention_hold_ms, &err) != TM_OK) {
        tm_body_wrong(body, "retention_hold_for", "%s", err.msg);
    } else if (out->retention_hold_ms == 0 || out->retention == TM_RETENTION_ORIGINAL) {
        tm_body_wrong(body, "retention_hold_for",
                "must be above 0; \"retention\":\"original\" holds nothing");
    }
}

static void read_choices(const struct tm_part *body, struct tm_restore_request *out)
{
    static const struct tm_known creates = {"missing never recreate", ""};
    static const struct tm_known existing = {"fail empty_only append purge", ""};
    static const struct tm_known retention = {"hold original hold_all", ""};
    static const struct tm_known configs = {"original broker", ""};
    static const struct tm_known gaps = {"fail continue", ""};
    out->create_topics = (enum tm_create_topics)tm_body_choice(body, "create_topics", creates);
    out->existing = (enum tm_existing)tm_body_choice(body, "existing", existing);
    out->retention = (enum tm_restore_retention)tm_body_choice(body, "retention", retention);
    read_hold(body, out);
    out->original_configs = tm_body_choice(body, "topic_configs", configs) == 0;
    out->continue_on_gap = tm_body_choice(body, "on_gap", gaps) == 1;
    out->replication_factor = (int32_t)tm_body_int(body, "replication_factor", 1, REPLICATION_MAX);
}

/* False: the request has been refused. */
static bool read_restore(struct tm_request *request, struct tm_restore_request *out)
{
    static const struct tm_known known = {
            "source topics target create_topics existing retention retention_hold_for "
            "topic_configs on_gap "
            "replication_factor plan_digest consumer_groups from windows skip "
            "subset " TM_RESTORES_INTO_FIELDS,
            "mask delete_after",
    };
    struct tm_part body;
    if (!tm_body_read(request, known, false, &body)) {
        return false;
    }
    tm_restores_read_source(&body, out);
    tm_restores_read_choice(&body, out);
    read_topics(&body, out);
    read_target(&body, out);
    read_choices(&body, out);
    tm_restores_into_read(&body, &out->into);
    tm_restores_read_groups(&body, &out->groups);
    out->plan_digest = tm_digest_read(&body);
    return !tm_problem_noted(request);
}

/* Plan and restore ------------------------------------------------------------------------- */

static void plan_done(
        void *arg, const struct tm_restore_plan *plan, const struct tm_problem *problem)
{
    struct tm_request *request = tm_problem_told(arg, problem);
    if (request != NULL) {
        tm_request_answer_json(request, 200, tm_view_plan(plan, request->restore));
    }
}

static void ask_plan(struct tm_request *request)
{
    const struct tm_control *control = tm_request_control(request);
    tm_request_ask(request);
    control->ops->restore_plan(control->self, request->restore, plan_done, request);
}

static void ask_restore(struct tm_request *request)
{
    const struct tm_control *control = tm_request_control(request);
    struct tm_caller caller = tm_request_caller(request);
    tm_request_ask(request);
    control->ops->restore(control->self, request->restore, &caller, tm_jobs_started, request);
}

/* then(request), if the token may have what is restored, and write where it goes. */
static void check_narrow(struct tm_request *request, void (*then)(struct tm_request *request))
{
    const struct tm_restore_request *restore = request->restore;
    struct tm_id16 ulid;
    if (!tm_narrow_target(request, restore->target)) {
        return;
    }
    if (restore->point != NULL && tm_ulid_parse(restore->point, "rp_", &ulid)) {
        tm_narrow_point(request, &ulid, then);
    } else if (restore->cluster != NULL ? tm_narrow_source(request, restore->cluster)
                                        : tm_narrow_policy(request, restore->policy)) {
        then(request);
    }
}

static void read_then(struct tm_request *request, void (*then)(struct tm_request *request))
{
    struct tm_restore_request *restore = tm_arena_alloc(&request->arena, 1, sizeof(*restore));
    request->restore = restore;
    if (read_restore(request, restore)) {
        check_narrow(request, then);
    }
}

void tm_restores_plan(struct tm_request *request)
{
    read_then(request, ask_plan);
}

void tm_restores_start(struct tm_request *request)
{
    request->wait.ms = tm_query_wait_ms(request);
    read_then(request, ask_restore);
}
