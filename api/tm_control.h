/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tm_control - what the HTTP side may ask of the daemon: a table of functions that the daemon
 * implements, and the plain structs that go through it.
 *
 * Asking never blocks. A function either answers at once (its comment says so) or takes a `done`
 * callback that is called exactly once, later or before it returns, on the loop thread. What `done` is given is
 * borrowed for the call.
 *
 * Threads: the loop thread only.
 */
#ifndef TM_API_TM_CONTROL_H
#define TM_API_TM_CONTROL_H

#include "catalog/catalog.h"
#include "catalog/journal.h"
#include "job/job.h"
#include "job/restore.h"

/* Why something was refused: becomes a problem+json document. */
struct tm_problem {
    int status;       /* HTTP */
    const char *slug; /* "not-found", "already-running", ...; static */
    char detail[1024];
    char job[32];          /* already-running: the job that is; "" else */
    char kind[32];         /* not-found: "policy", "recovery-point", ... */
    char name[256];        /* not-found: what was asked for */
    char similar[256];     /* not-found: nearest name; "" none */
    char pointer[128];     /* invalid-request: JSON Pointer of the field; "" none */
    int64_t retry_after_s; /* 0: none */
};

struct tm_point_answer { /* GET /v1/recovery-points/{id} */
    struct tm_point point;
    struct tm_part_totals *totals; /* one for each of point.row.parts */
    struct tm_row_gap **gaps;      /* likewise, gap_counts each */
    size_t *gap_counts;
    const char *vault; /* the configuration's name */
};

struct tm_points_query {
    struct tm_point_query catalog; /* `limit` as asked; the daemon merges vaults */
};
struct tm_points_answer {
    struct tm_point_line *at; /* newest first; the vault's name of each beside it */
    const char **vaults;
    size_t count;
    bool more; /* there are older ones: give a cursor */
};

struct tm_job_view { /* a job as it reads now */
    struct tm_job_row row;
    bool live; /* running here: `progress` is meaningful */
    struct tm_progress_values {
        enum tm_phase phase;
        int64_t done_messages, total_messages, done_bytes, total_bytes;
        int64_t parts_waiting, parts_running, parts_done, parts_failed;
        int64_t bytes_per_second; /* since the job started */
        int64_t eta_seconds;      /* -1: not known */
    } progress;
};

struct tm_policy_view {
    const char *name;
    const char *cluster;
    const char *vault;
    const char *schedule; /* as written; "": by hand only */
    const char *const *include;
    size_t include_count;
    const char *const *exclude;
    size_t exclude_count;
    int64_t rpo_ms;
    int64_t next_run_ms;     /* 0: none planned */
    int64_t last_success_ms; /* 0: never, since the history begins */
    int64_t last_attempt_ms;
    const char *last_result;  /* "succeeded", "partial", "failed", "cancelled"; NULL: none yet */
    const char *running_job;  /* NULL: none */
    const char *newest_point; /* "rp_..."; NULL: none known */
    int64_t newest_point_ms;
    int64_t oldest_point_ms;
    int64_t interval_ms; /* longest gap between two planned runs; 0: by hand only */
};

struct tm_status_row { /* one a policy and topic */
    const char *cluster;
    const char *policy;
    const char *topic;
    const char *state; /* "ok", "late", "stale", "never", "gap", worst first in api.md's order */
    int64_t behind_messages; /* at the end of the last run; -1: not known */
    int64_t gap_offsets;
    const struct tm_policy_view *of; /* the policy */
};

struct tm_backup_request {
    const char *policy;
    const char *const *topics; /* subset; count 0: all */
    size_t topic_count;
    const char *note; /* NULL: none */
    const char *const *tags;
    size_t tag_count;
    bool join; /* if_running: join */
};

struct tm_restore_request {
    const char *point;  /* "rp_...", or NULL: `policy`'s newest */
    const char *policy; /* NULL where point is given */
    const char *const *include;
    size_t include_count; /* 0: all topics of the point */
    const char *const *exclude;
    size_t exclude_count;
    const char *target;
    const struct tm_rename *renames;
    size_t rename_count;
    const char *prefix;
    const char *suffix;
    enum tm_create_topics create_topics;
    enum tm_existing existing;
    enum tm_restore_retention retention;
    bool original_configs;
    int32_t replication_factor;
    bool continue_on_gap;
    const char *plan_digest; /* NULL: none */
};

struct tm_caller {
    char who[128]; /* "socket:uid=0", "token:oncall" */
    char request_id[72];
    const char *body; /* the request's JSON as received, for the journal */
};

typedef void (*tm_done_points)(
        void *arg, const struct tm_points_answer *answer, const struct tm_problem *problem);
typedef void (*tm_done_point)(
        void *arg, const struct tm_point_answer *answer, const struct tm_problem *problem);
typedef void (*tm_done_job)(
        void *arg, const struct tm_job_view *job, bool created, const struct tm_problem *problem);
typedef void (*tm_done_jobs)(void *arg, const struct tm_job_view *jobs, size_t count, bool more,
        const struct tm_problem *problem);
typedef void (*tm_done_plan)(
        void *arg, const struct tm_restore_plan *plan, const struct tm_problem *problem);

struct tm_control_ops {
    /* Answer at once. The arrays are borrowed until control is called again. */
    size_t (*policies)(void *self, const struct tm_policy_view **out);
    size_t (*status)(void *self, const struct tm_status_row **out);
    bool (*ready)(void *self, const char **why_not); /* "starting", "draining", ... */
    void (*refresh_metrics)(void *self); /* gauges that are not kept up as things happen */

    void (*points)(void *self, const struct tm_points_query *query, tm_done_points done, void *arg);
    void (*point)(void *self, const struct tm_id16 *ulid, tm_done_point done, void *arg);
    void (*jobs)(void *self, const struct tm_job_query *query, tm_done_jobs done, void *arg);
    /*
     * One job; with wait_ms > 0 the answer comes when it has ended, or after that time. A wait can be
     * called off by job_forget(arg): `done` is then not called any more.
     */
    void (*job)(void *self, const struct tm_id16 *id, int64_t wait_ms, tm_done_job done, void *arg);
    void (*job_forget)(void *self, void *arg);
    void (*cancel)(void *self, const struct tm_id16 *id, const struct tm_caller *caller,
            tm_done_job done, void *arg);
    /* `done` when the job's row is durable; created is false for a job that was joined. */
    void (*backup)(void *self, const struct tm_backup_request *request,
            const struct tm_caller *caller, tm_done_job done, void *arg);
    void (*restore)(void *self, const struct tm_restore_request *request,
            const struct tm_caller *caller, tm_done_job done, void *arg);
    void (*restore_plan)(
            void *self, const struct tm_restore_request *request, tm_done_plan done, void *arg);
};

struct tm_control {
    void *self;
    const struct tm_control_ops *ops;
};

#endif
