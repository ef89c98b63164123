/* SPDX-License-Identifier: Apache-2.0 */
/* What hooks are told: of jobs, of planned runs, of vaults, and of policies whose state changes. */
#include <stdlib.h>
#include <string.h>

#include "policies_table.h"

/* Jobs ---------------------------------------------------------------------------------------- */

static struct tm_json *view_job(const struct tmd_job *job)
{
    const struct tm_job_row *row = &job->row;
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "job", job->name);
    tm_json_add_str(json, "kind", tm_job_kind_name(row->kind));
    tm_json_add_str(json, "state", tm_job_state_name(row->state));
    if (row->policy[0] != '\0') {
        tm_json_add_str(json, "policy", row->policy);
    }
    if (row->cluster[0] != '\0') {
        tm_json_add_str(json, "cluster", row->cluster);
    }
    if (job->vault != NULL) {
        tm_json_add_str(json, "vault", job->vault->name);
    }
    tm_json_add_str(json, "requested_by", row->requested_by);
    if (row->started_ms != 0) {
        tm_json_add_time(json, "started_at", row->started_ms);
    }
    if (row->finished_ms != 0) {
        tm_json_add_time(json, "finished_at", row->finished_ms);
        tm_json_add_raw(json, "result", row->result);
        tm_json_add_raw(json, "error", row->error);
    }
    return json;
}

static const char *policy_of(const struct tmd_job *job)
{
    return job->row.policy[0] != '\0' ? job->row.policy : NULL;
}

static void tell_job(const struct tmd_job *job, enum tm_hook_event event)
{
    const char *policy = policy_of(job);
    bool of_policy = job->row.kind == TM_JOB_BACKUP || job->row.kind == TM_JOB_DRILL;
    const char *subject = of_policy && policy != NULL                            ? policy
                          : job->row.kind == TM_JOB_VERIFY && job->vault != NULL ? job->vault->name
                                                                                 : job->name;
    tmd_hooks_tell(job->tmd, event, policy, subject, view_job(job));
}

void tmd_hooks_job_started(struct tmd_job *job)
{
    if (job->row.resumed > 0) {
        tmd_hooks_tell(job->tmd, TM_HOOK_JOB_INTERRUPTED, policy_of(job), job->name, view_job(job));
    }
    if (job->row.kind == TM_JOB_BACKUP) {
        tell_job(job, TM_HOOK_BACKUP_STARTED);
    } else if (job->row.kind == TM_JOB_RESTORE) {
        tell_job(job, TM_HOOK_RESTORE_STARTED);
    }
}

static void backup_ended(struct tmd_job *job)
{
    enum tm_job_state state = job->row.state;
    if (state == TM_JOB_SUCCEEDED) {
        tmd_hooks_over(job->tmd, TM_HOOK_BACKUP_FAILED, job->row.policy);
        tmd_hooks_over(job->tmd, TM_HOOK_BACKUP_PARTIAL, job->row.policy);
        tmd_hooks_over(job->tmd, TM_HOOK_BACKUP_MISSED, job->row.policy);
        tell_job(job, TM_HOOK_BACKUP_SUCCEEDED);
    } else if (state == TM_JOB_PARTIAL) {
        tell_job(job, TM_HOOK_BACKUP_PARTIAL);
    } else if (state == TM_JOB_FAILED) {
        tell_job(job, TM_HOOK_BACKUP_FAILED);
    } /* else somebody cancelled it */
}

void tmd_hooks_job_ended(struct tmd_job *job)
{
    bool good = job->row.state == TM_JOB_SUCCEEDED;
    if (job->row.finished_ms == 0 || job->row.state == TM_JOB_CANCELLED) {
        if (job->row.finished_ms != 0 && job->row.kind == TM_JOB_RESTORE) {
            tell_job(job, TM_HOOK_RESTORE_FINISHED);
        }
        return;
    }
    if (job->row.kind == TM_JOB_BACKUP) {
        backup_ended(job);
    } else if (job->row.kind == TM_JOB_RESTORE) {
        tell_job(job, TM_HOOK_RESTORE_FINISHED);
    } else if (job->row.kind == TM_JOB_DRILL) {
        if (good) {
            tmd_hooks_over(job->tmd, TM_HOOK_DRILL_FAILED, job->row.policy);
        }
        tell_job(job, good ? TM_HOOK_DRILL_PASSED : TM_HOOK_DRILL_FAILED);
    } else if (job->row.kind == TM_JOB_VERIFY && !good) {
        tell_job(job, TM_HOOK_VERIFY_FAILED);
    } else if (job->row.kind == TM_JOB_VERIFY && job->vault != NULL) {
        tmd_hooks_over(job->tmd, TM_HOOK_VERIFY_FAILED, job->vault->name);
    }
}

void tmd_hooks_flush_ended(struct tmd_job *job)
{
    if (job->row.state == TM_JOB_SUCCEEDED) {
        tmd_hooks_over(job->tmd, TM_HOOK_BACKUP_FAILED, job->row.policy);
        tmd_hooks_over(job->tmd, TM_HOOK_BACKUP_PARTIAL, job->row.policy);
    } else if (job->row.finished_ms != 0) {
        backup_ended(job);
    }
}

void tmd_hooks_missed(struct tmd *tmd, const struct tm_config_policy *policy, const char *reason)
{
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "policy", policy->name);
    tm_json_add_str(json, "cluster", policy->cluster->name);
    tm_json_add_str(json, "reason", reason);
    tmd_hooks_tell(tmd, TM_HOOK_BACKUP_MISSED, policy->name, policy->name, json);
}

void tmd_hooks_vault(struct tmd *tmd, const char *vault, const char *why)
{
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "vault", vault);
    if (why != NULL) {
        tm_json_add_str(json, "cause", why);
        tmd_hooks_tell(tmd, TM_HOOK_VAULT_DOWN, NULL, vault, json);
    } else {
        tmd_hooks_over(tmd, TM_HOOK_VAULT_DOWN, vault);
        tmd_hooks_tell(tmd, TM_HOOK_VAULT_UP, NULL, vault, json);
    }
}

void tmd_hooks_daemon(struct tmd *tmd, enum tm_hook_event event)
{
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "version", TM_VERSION);
    tmd_hooks_tell(tmd, event, NULL, "tidemarkd", json);
}

/* Policies ------------------------------------------------------------------------------------ */

/* Of one policy and one of what may last: how many topics, and the worst of them. */
struct lasting {
    size_t topics;
    const struct tm_status_row *worst;
};

static const enum tm_hook_event events[TMD_LASTING] = {
        TM_HOOK_RPO_BREACHED, TM_HOOK_COVERAGE_GAP, TM_HOOK_RETENTION_RACE};

static void add(struct lasting *lasting, const struct tm_status_row *row, bool is_worse)
{
    lasting->topics++;
    if (lasting->worst == NULL || is_worse) {
        lasting->worst = row;
    }
}

static void add_row(struct lasting found[TMD_LASTING], const struct tm_status_row *row)
{
    if (row->of->rpo_ms > 0 && row->exposure_ms > row->of->rpo_ms) {
        add(&found[0], row,
                found[0].worst != NULL && row->exposure_ms > found[0].worst->exposure_ms);
    }
    if (row->gap_offsets > 0) {
        add(&found[1], row,
                found[1].worst != NULL && row->gap_offsets > found[1].worst->gap_offsets);
    }
    if (row->losing) {
        add(&found[2], row,
                found[2].worst != NULL && row->headroom_ms < found[2].worst->headroom_ms);
    }
}

static struct tm_json *view_lasting(const struct lasting *lasting, enum tm_hook_event event)
{
    const struct tm_status_row *row = lasting->worst;
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "policy", row->policy);
    tm_json_add_str(json, "cluster", row->cluster);
    tm_json_add_int(json, "topics_count", (int64_t)lasting->topics);
    struct tm_json *worst = tm_json_add(json, "worst", tm_json_object());
    tm_json_add_str(worst, "topic", row->topic);
    if (event == TM_HOOK_RPO_BREACHED) {
        tm_json_add_int(worst, "exposure_seconds", row->exposure_ms / 1000);
        tm_json_add_int(json, "rpo_seconds", row->of->rpo_ms / 1000);
    } else if (event == TM_HOOK_COVERAGE_GAP) {
        tm_json_add_int(worst, "coverage_gap_offsets", row->gap_offsets);
    } else {
        tm_json_add_int(worst, "retention_headroom_seconds", row->headroom_ms / 1000);
    }
    return json;
}

static void tell_policy(struct tmd *tmd, const char *policy, const char *cluster,
        const struct lasting found[TMD_LASTING], bool was[TMD_LASTING])
{
    for (size_t i = 0; i < TMD_LASTING; i++) {
        if (found[i].topics > 0) { /* told when it begins; hooks know when to tell it again */
            tmd_hooks_tell(tmd, events[i], policy, policy, view_lasting(&found[i], events[i]));
        } else if (was[i]) {
            tmd_hooks_over(tmd, events[i], policy);
            if (events[i] == TM_HOOK_RPO_BREACHED) {
                struct tm_json *json = tm_json_object();
                tm_json_add_str(json, "policy", policy);
                tm_json_add_str(json, "cluster", cluster);
                tmd_hooks_tell(tmd, TM_HOOK_RPO_RECOVERED, policy, policy, json);
            }
        }
        was[i] = found[i].topics > 0;
    }
}

void tmd_hooks_forget(struct tmd *tmd, const char *policy)
{
    static const enum tm_hook_event lasting[] = {TM_HOOK_RPO_BREACHED, TM_HOOK_COVERAGE_GAP,
            TM_HOOK_RETENTION_RACE, TM_HOOK_BACKUP_FAILED, TM_HOOK_BACKUP_PARTIAL,
            TM_HOOK_BACKUP_MISSED, TM_HOOK_DRILL_FAILED};
    for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++) {
        tmd_hooks_over(tmd, lasting[i], policy);
    }
}

void tmd_hooks_look(struct tmd *tmd)
{
    const struct tm_status_row *rows = NULL;
    size_t count = tmd_status_rows(tmd, &rows);
    size_t at = 0;
    for (size_t i = 0; i < tmd->policies->count; i++) {
        struct policy *state = tmd->policies->at[i];
        const struct tm_config_policy *policy = state->config;
        struct lasting found[TMD_LASTING] = {0};
        for (; at < count && strcmp(rows[at].policy, policy->name) == 0; at++) {
            add_row(found, &rows[at]);
        }
        tell_policy(tmd, policy->name, policy->cluster->name, found, state->lasting);
    }
}
