/* SPDX-License-Identifier: Apache-2.0 */
#include "pauses.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "catalog/journal_pauses.h"
#include "kinds.h"

static void set(struct policy *policy, const struct tm_pause_row *row)
{
    tm_arena_done(&policy->pause_texts);
    policy->paused = row != NULL;
    if (row != NULL) {
        policy->pause = *row;
        policy->pause.policy = policy->config->name;
        policy->pause.reason = tm_arena_strdup(&policy->pause_texts, row->reason);
        policy->pause.who = tm_arena_strdup(&policy->pause_texts, row->who);
    }
}

bool tmd_policy_is_paused(struct policy *policy)
{
    if (policy->paused && policy->pause.until_ms != 0 && policy->pause.until_ms <= tm_now_ms()) {
        tm_log(TM_LOG_INFO, "policy.resumed", "the time for which the policy was paused is over",
                TM_LOG_STR("policy", policy->config->name), TM_LOG_END);
        set(policy, NULL); /* its row in the journal says the same at the next start */
    }
    return policy->paused;
}

/* What was there before ------------------------------------------------------------------------ */

struct load {
    struct tmd *tmd;
    void (*done)(struct tmd *tmd);
    struct tm_arena arena;
    struct tm_pause_row *rows;
    size_t count;
};

static void load_work(struct tmd_keep *keep, void *arg)
{
    struct load *load = arg;
    struct tm_err err = {0};
    if (tm_journal_pauses(keep->journal, &load->arena, &load->rows, &load->count, &err) != TM_OK) {
        tm_log(TM_LOG_ERROR, "journal.failed", err.msg, TM_LOG_END);
        load->count = 0;
    }
}

static void load_done(void *arg)
{
    struct load *load = arg;
    struct tmd *tmd = load->tmd;
    for (size_t i = 0; i < load->count; i++) {
        struct policy *policy = tmd_policy_find(tmd, load->rows[i].policy);
        if (policy != NULL) {
            set(policy, &load->rows[i]);
        }
    }
    void (*done)(struct tmd * tmd) = load->done;
    tm_arena_done(&load->arena);
    free(load);
    done(tmd);
}

void tmd_pauses_load(struct tmd *tmd, void (*done)(struct tmd *tmd))
{
    struct load *load = tm_xalloc(1, sizeof(*load));
    load->tmd = tmd;
    load->done = done;
    tmd_keeper_ask(tmd, load_work, load_done, load);
}

/* By request ----------------------------------------------------------------------------------- */

struct change {
    struct tmd *tmd;
    struct tm_arena arena;
    const char *policy;
    bool pause;
    struct tm_pause_row row;
    struct tm_err err;
    tm_done_policy done;
    void *arg;
};

static void change_work(struct tmd_keep *keep, void *arg)
{
    struct change *change = arg;
    TM_LATER(change->pause ? tm_journal_put_pause(keep->journal, &change->row, &change->err)
                           : tm_journal_remove_pause(keep->journal, change->policy, &change->err));
}

static void change_done(void *arg)
{
    struct change *change = arg;
    struct policy *policy = tmd_policy_find(change->tmd, change->policy);
    struct tm_problem problem;
    if (policy == NULL) { /* it went while the journal was asked */
        tmd_unknown(&problem, "policy", change->policy);
        change->done(change->arg, NULL, &problem);
    } else if (change->err.code != TM_OK) {
        tmd_problem_of(&change->err, &problem);
        change->done(change->arg, NULL, &problem);
    } else {
        struct tm_policy_view view;
        set(policy, change->pause ? &change->row : NULL);
        tmd_policy_view(policy, &view);
        change->done(change->arg, &view, NULL);
    }
    tm_arena_done(&change->arena);
    free(change);
}

static struct change *begin(struct tmd *tmd, const char *policy, const struct tm_caller *caller,
        tm_done_policy done, void *arg)
{
    if (tmd_policy_find(tmd, policy) == NULL) {
        struct tm_problem problem;
        tmd_unknown_policy(tmd, policy, &problem);
        done(arg, NULL, &problem);
        return NULL;
    }
    struct change *change = tm_xalloc(1, sizeof(*change));
    *change = (struct change){.tmd = tmd, .done = done, .arg = arg};
    change->policy = tm_arena_strdup(&change->arena, policy);
    change->row.policy = change->policy;
    change->row.who = tm_arena_strdup(&change->arena, caller->who);
    return change;
}

static void audit(const struct tm_caller *caller, const char *what, const char *policy)
{
    tm_log(TM_LOG_INFO, "audit", what, TM_LOG_STR("who", caller->who),
            TM_LOG_STR("request_id", caller->request_id), TM_LOG_STR("policy", policy), TM_LOG_END);
}

void tmd_control_pause(void *self, const struct tm_pause_request *request,
        const struct tm_caller *caller, tm_done_policy done, void *arg)
{
    struct change *change = begin(self, request->policy, caller, done, arg);
    if (change != NULL) {
        change->pause = true;
        change->row.since_ms = tm_now_ms();
        change->row.until_ms = request->until_ms;
        change->row.reason =
                tm_arena_strdup(&change->arena, request->reason != NULL ? request->reason : "");
        audit(caller, "policy paused", request->policy);
        tmd_keeper_ask(self, change_work, change_done, change);
    }
}

void tmd_control_resume(void *self, const char *policy, const struct tm_caller *caller,
        tm_done_policy done, void *arg)
{
    struct change *change = begin(self, policy, caller, done, arg);
    if (change != NULL) {
        audit(caller, "policy resumed", policy);
        tmd_keeper_ask(self, change_work, change_done, change);
    }
}

size_t tmd_control_planned(
        void *self, const char *policy, int64_t *at_ms, int64_t *offset_ms, size_t count)
{
    const struct policy *found = tmd_policy_find(self, policy);
    size_t planned = 0;
    int64_t after_ms = tm_now_ms();
    while (found != NULL && planned < count &&
            tmd_policy_next_run(found, after_ms, &at_ms[planned])) {
        offset_ms[planned] = tm_zone_offset_ms(found->config->schedule.zone, at_ms[planned]);
        after_ms = at_ms[planned++];
    }
    return planned;
}
