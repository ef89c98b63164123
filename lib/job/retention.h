/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retention - which recovery points go and why, and what that frees.
 *
 * plan: every point of every policy with the rules that keep it, or with none; the packs that would
 * then be dead; warnings where a policy frees records between its points. run: remove those points and
 * bring the archive windows (`keep_data`) up to date in one commit, then free space (space.h). A run
 * decides anew on the newest state: a point that was held meanwhile stays.
 *
 * Points of a policy that is not among the given ones are never removed: it may be another daemon's,
 * or a slip of the pen in the configuration.
 *
 * Threads: block their caller's thread.
 */
#ifndef TM_JOB_RETENTION_H
#define TM_JOB_RETENTION_H

#include "catalog/retained.h"
#include "job/job.h"
#include "job/space.h"
#include "policy/gfs.h"

struct tm_retention_policy {
    const char *policy;
    const char *cluster; /* the configuration's name: points made under another one are not meant */
    struct tm_gfs_rules rules;
    int64_t keep_data_s; /* archive window of the streams of its points; 0: none */
    int64_t interval_ms; /* of its schedule; 0: by hand */
};

struct tm_retention_options {
    struct tm_vault *vault;
    struct tm_catalog *catalog;
    const struct tm_retention_policy *policies; /* those to look at; others' points stay */
    size_t policy_count;
    bool all_policies; /* they are all that use the vault: points of others are worth a warning */
    const char *
            plan_digest; /* run: TM_E_CONFLICT when the plan is another now; NULL: whatever it is */
    struct tm_space_options space; /* vault and catalog are filled in */
};

struct tm_retention_line { /* a point, and what becomes of it */
    struct tm_point_head point;
    bool configured; /* its policy is among those given; else it stays, and no rule is asked */
    bool whole;
    bool too_old;
    bool goes;
    uint32_t kept_by; /* enum tm_gfs_rule */
};

struct tm_retention_plan {
    TM_VEC(struct tm_retention_line) lines; /* by cluster id and policy, newest first */
    size_t goes_count;
    TM_VEC(struct tm_row_keep) keeps; /* changes of archive windows; 0 seconds takes one away */
    struct tm_space_plan space;       /* what would be freed with those points gone */
    tm_job_notes warnings;
    char digest[72]; /* "sha256:<hex>" over what would go and change */
    struct tm_arena arena;
};
void tm_retention_plan_done(struct tm_retention_plan *plan);

/* On the newest state. `out` must be zeroed; _done in any case. */
enum tm_code tm_retention_plan(const struct tm_retention_options *options, struct tm_job_env *env,
        struct tm_retention_plan *out, struct tm_err *err) TM_MUST_CHECK;

struct tm_retention_removed { /* of a policy, for metrics */
    const char *policy;
    const char *cluster;
    int64_t points;
};

struct tm_retention_result {
    int64_t points_removed;
    int64_t points_kept;
    TM_VEC(struct tm_retention_removed) removed; /* one a given policy */
    struct tm_space_result space;
    tm_job_notes warnings;
    struct tm_arena arena;
};
void tm_retention_result_done(struct tm_retention_result *result);

/*
 * TM_E_CONFLICT: `plan_digest` is not what would be done now. When freeing space fails the points are
 * gone all the same, and the next run goes on.
 */
enum tm_code tm_retention_run(const struct tm_retention_options *options, struct tm_job_env *env,
        struct tm_retention_result *out, struct tm_err *err) TM_MUST_CHECK;

#endif
