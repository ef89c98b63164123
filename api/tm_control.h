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

#include "base/hash.h"
#include "base/log.h"
#include "base/names.h"
#include "base/pair.h"
#include "catalog/catalog.h"
#include "catalog/findings.h"
#include "catalog/journal.h"
#include "catalog/journal_map.h"
#include "job/job.h"
#include "job/point_pick.h"
#include "job/restore.h"
#include "policy/gfs.h"

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
    const char *member;    /* one more member: "hold", "current_etag", ...; static; NULL: none */
    char value[256];       /* its text */
    int64_t retry_after_s; /* 0: none */
    const char *lines; /* each is one of the problem's errors; borrowed for the call; NULL: none */
};

enum { TM_POINT_GOES = 1 << 30 }; /* of kept_by: configured, and nothing keeps it */

struct tm_point_answer { /* GET /v1/recovery-points/{id} */
    struct tm_point point;
    struct tm_part_totals *totals; /* one for each of point.row.parts */
    struct tm_row_gap **gaps;      /* likewise, gap_counts each */
    size_t *gap_counts;
    struct tm_row_gap **gaps_before; /* those below the point's start: at times before it */
    size_t *gap_before_counts;
    const char *vault; /* the configuration's name */
    struct tm_looked looked;
    uint32_t
            kept_by; /* enum tm_gfs_rule: what would keep it if retention ran now, or TM_POINT_GOES;
                          0: its policy is not configured */
};

struct tm_points_query {
    struct tm_point_query
            catalog;        /* `limit` as asked; the daemon merges vaults, and fills in topics */
    struct tm_names topics; /* patterns of select.h, of which any will do */
    bool counted;           /* how many are there in all? */
};
struct tm_points_answer {
    struct tm_point_line *at; /* newest first; the vault's name of each beside it */
    const char **vaults;
    const uint32_t *kept_by; /* likewise; as in tm_point_answer */
    size_t count;
    bool more;     /* there are older ones: give a cursor */
    int64_t total; /* where it was asked for */
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
    const char *mode;     /* "scheduled", "continuous"; static */
    int64_t flush_ms;     /* continuous: between two flushes; else 0 */
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
    const char *last_error;   /* JSON: why the last one failed; NULL when it did not */
    const char *running_job;  /* NULL: none */
    const char *newest_point; /* "rp_..."; NULL: none known */
    int64_t newest_point_ms;
    int64_t oldest_point_ms;
    int64_t interval_ms; /* longest gap between two planned runs; 0: by hand only */
    const char *timezone;
    int64_t jitter_ms;
    bool paused;
    int64_t paused_ms;       /* since when */
    int64_t paused_until_ms; /* 0: until it is resumed */
    const char *pause_reason;
    const char *paused_by;
    const struct tm_pair *labels; /* as configured */
    size_t label_count;
};

struct tm_pause_request {
    const char *policy;
    int64_t until_ms;   /* 0: until it is resumed */
    const char *reason; /* NULL: none */
};

struct tm_status_row { /* one a policy and topic */
    const char *cluster;
    const char *policy;
    const char *topic;
    const char *
            state; /* "ok", "late", "stale", "never", "gap", "losing", worst first in api.md's order */
    int64_t exposure_ms; /* for how long records may have come in that are not stored; -1: not known */
    int64_t behind_messages; /* at the end of the last run; -1: not known */
    int64_t gap_offsets;
    int64_t headroom_ms; /* until source retention deletes what is not stored; -1: never, or not known */
    bool losing;         /* source retention is about to win, whatever the state says */
    int64_t open_transaction_ms; /* how long a transaction was open at the last run; 0: none was */
    const struct tm_policy_view *of; /* the policy */
};

struct tm_backup_request {
    const char *policy;
    const char *const *topics; /* subset; count 0: all */
    size_t topic_count;
    const char *note; /* NULL: none */
    const char *const *tags;
    size_t tag_count;
    int64_t hold_until_ms;   /* 0 none, -1 without end */
    const char *hold_reason; /* NULL: none */
    bool join;               /* if_running: join */
    bool outside_window;     /* run whatever the policy's window says */
};

struct tm_restore_request {
    const char *point;   /* "rp_...", or NULL: `policy`'s newest, or as has_at says */
    const char *policy;  /* NULL where point or cluster is given */
    const char *cluster; /* all of its policies; NULL where another is given */
    bool has_at;         /* the point is to be found by time, as as_of says */
    int64_t at_ms;
    enum tm_as_of as_of;
    const char *const *more_points; /* found with `point`: of the cluster's other policies */
    size_t more_point_count;
    int64_t late_ms;         /* as in struct tm_restore_options; found with `point` */
    struct tm_choice choice; /* which records */
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
    int64_t retention_hold_ms; /* 0: a day */
    bool original_configs;
    int32_t replication_factor;
    bool continue_on_gap;
    struct tm_restore_into into;
    struct tm_restore_groups groups;
    const char *plan_digest; /* NULL: none */
};

struct tm_drill_request {
    const char *policy;
    const char *point;  /* "rp_...", or NULL: the newest that is complete */
    const char *target; /* NULL: as the policy's configuration says; likewise the rest */
    const char *prefix;
    int64_t max_bytes; /* -1 likewise */
    int cleanup;       /* 0, 1, -1 likewise */
    int allow_source;
};

struct tm_peek_request { /* GET /v1/recovery-points/{id}/messages */
    struct tm_id16 point;
    const char *topic;
    int32_t partition;
    int64_t offset; /* -1: the first */
    int64_t limit;
};

struct tm_timeline_query { /* GET /v1/timeline */
    const char *topic;
    const char *cluster; /* NULL: any */
    int64_t since_ms;
    int64_t until_ms;
    int64_t step_ms; /* 0: no series; else there are at most TM_TIMELINE_STEPS */
};
enum { TM_TIMELINE_STEPS = 2000 };

struct tm_topics_query { /* GET /v1/clusters/{cluster}/topics */
    const char *cluster;
    const char *contains; /* in the name; NULL: all */
    int covered;          /* 1: those that a policy selects, 0: the others, -1: both */
    const char *after;    /* names behind that one; NULL: from the first */
    size_t limit;
};

struct tm_vault_request { /* a job of a vault: verify, retention, delete or import */
    const char *vault;
    const char *point; /* verify: its ranges alone, NULL for all; delete: "rp_..." */
    /* verify */
    int depth; /* 0 catalog, 1 scrub, 2 sample, 3 full */
    double sample_ratio;
    bool repair;
    int64_t budget_bytes; /* scrub: of packs read; 0: all */
    /* retention */
    const char *const *policies; /* count 0: all of the vault */
    size_t policy_count;
    bool merge;
    const char *plan_digest; /* NULL: none */
};

struct tm_vault_view {
    const char *name;
    const char *type;  /* "disk", "s3" */
    const char *where; /* the folder or bucket */
    bool opened;       /* the next four are known */
    bool up;           /* at the last probe, */
    int64_t probed_ms;
    const char *why;      /* it is not up; NULL: it is */
    bool read;            /* the rest is known, but what is 0 or NULL */
    const char *vault_id; /* 32 hex digits */
    const char *head;     /* "SEQ:HASH" of the newest entry folded */
    const char *key;      /* fingerprint of the key ring; NULL: not opened yet */
    bool write_only;      /* the key opens a writer's slot: this host cannot read records */
    bool read_only;       /* nothing is written to it */
    int64_t points;
    int64_t packs;
    int64_t stored_bytes;
    int64_t source_bytes;   /* of all that is stored, as it was in Kafka */
    int64_t capacity_bytes; /* of the file system, or the quota; 0: not known */
    int64_t free_bytes;
    int64_t findings;    /* open, of scrub and verify; -1: not known */
    int64_t scrubbed_ms; /* when the pack not looked at for longest was; 0: never */
};

/* Changes of a point's note, tags and hold (a merge patch: what is not given stays). */
struct tm_point_patch {
    bool has_note;
    const char *note; /* "" removes */
    bool has_tags;
    const char *const *tags;
    size_t tag_count;
    bool has_hold;
    int64_t hold_until_ms;   /* 0 removes, -1 without end */
    const char *hold_reason; /* "" none */
    /* What the caller saw: the change is refused when they are others by now. */
    struct tm_row_mark was;
};

struct tm_key_request { /* an Idempotency-Key */
    const char *who;
    const char *key;
    struct tm_hash request; /* of the route and the body */
};
struct tmd_key; /* the daemon's: the key is in use by a request on its way to a job */

struct tm_caller {
    char who[128]; /* "socket:uid=0", "token:oncall" */
    char request_id[72];
    const struct tm_key_request *key; /* NULL: none; borrowed for the call */
    const char *body;                 /* the request's JSON as received, for the journal */
};

typedef void (*tm_done_points)(
        void *arg, const struct tm_points_answer *answer, const struct tm_problem *problem);
typedef void (*tm_done_point)(
        void *arg, const struct tm_point_answer *answer, const struct tm_problem *problem);
typedef void (*tm_done_job)(
        void *arg, const struct tm_job_view *job, bool created, const struct tm_problem *problem);
typedef void (*tm_done_jobs)(void *arg, const struct tm_job_view *jobs, size_t count, bool more,
        int64_t total, const struct tm_problem *problem); /* total -1: not asked for */
typedef void (*tm_done_vaults)(void *arg, const struct tm_vault_view *vaults, size_t count,
        const struct tm_problem *problem);
/* `json`: a whole document. */
typedef void (*tm_done_json)(void *arg, const char *json, const struct tm_problem *problem);
/* One of them: the key is free and `held` from now on; the job that was made for it; why not. */
typedef void (*tm_done_key)(void *arg, struct tmd_key *held, const struct tm_job_view *job,
        const struct tm_problem *problem);
typedef void (*tm_done_policy)(
        void *arg, const struct tm_policy_view *policy, const struct tm_problem *problem);
typedef void (*tm_done_plan)(
        void *arg, const struct tm_restore_plan *plan, const struct tm_problem *problem);

struct tm_control_ops {
    /* Answer at once. An array is borrowed until its function is called again, or the loop turns. */
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
    /*
     * A job of a vault. `kind`: TM_JOB_VERIFY and the kinds behind it. One such job goes on in a vault at
     * a time: 409 already-running names it. The vault of a deletion is where the point is.
     */
    void (*vault_job)(void *self, enum tm_job_kind kind, const struct tm_vault_request *request,
            const struct tm_caller *caller, tm_done_job done, void *arg);
    void (*retention_plan)(
            void *self, const struct tm_vault_request *request, tm_done_json done, void *arg);
    /* All vaults, or the one of that name. */
    void (*vaults)(void *self, const char *name, tm_done_vaults done, void *arg);
    /* Write, read and remove an object there; then what is known of the vault. */
    void (*probe)(void *self, const char *name, const struct tm_caller *caller, tm_done_vaults done,
            void *arg);
    /* Committed when `done` comes, with the point as it is then. */
    void (*patch_point)(void *self, const struct tm_id16 *ulid, const struct tm_point_patch *patch,
            const struct tm_caller *caller, tm_done_point done, void *arg);
    void (*drill)(void *self, const struct tm_drill_request *request,
            const struct tm_caller *caller, tm_done_job done, void *arg);
    /* Records of a point, as a JSON document. */
    void (*peek)(void *self, const struct tm_peek_request *request, const struct tm_caller *caller,
            tm_done_json done, void *arg);
    /* What a restore holds at its target: put back now, or only told. A document with all of its rows. */
    void (*put_back)(void *self, const struct tm_id16 *job, const struct tm_caller *caller,
            tm_done_json done, void *arg);
    void (*holds)(void *self, const struct tm_id16 *job, tm_done_json done, void *arg);
    /* Rows of where a restore's records went, as JSON or CSV; `limit` of them at most. */
    void (*offset_map)(
            void *self, const struct tm_map_query *query, bool csv, tm_done_json done, void *arg);
    void (*restore_plan)(
            void *self, const struct tm_restore_request *request, tm_done_plan done, void *arg);
    /* Is there a job for this key already? What is held is given back once the request has made its job, or none. */
    void (*key)(void *self, const struct tm_key_request *request, tm_done_key done, void *arg);
    void (*release_key)(void *self, struct tmd_key *key);
    /* A document of all clusters as they were last seen; of one, asked now; of a page of its topics, asked now. */
    void (*clusters)(void *self, tm_done_json done, void *arg);
    void (*cluster)(void *self, const char *name, tm_done_json done, void *arg);
    void (*cluster_topics)(
            void *self, const struct tm_topics_query *query, tm_done_json done, void *arg);
    /* At once: topics that no policy selects, as last seen; -1: not known. */
    int64_t (*unprotected)(void *self);
    /* A document of the topic's points, and of what time is stored. */
    void (*timeline)(
            void *self, const struct tm_timeline_query *query, tm_done_json done, void *arg);
    /* A document of all hooks. */
    void (*hooks)(void *self, tm_done_json done, void *arg);
    /* Send a test: a document with the receiver's answer, or the problem hook-failed. */
    void (*hook_test)(void *self, const char *hook, const struct tm_caller *caller,
            tm_done_json done, void *arg);
    /* Planned runs wait, and go on. Durable when `done` comes. */
    void (*pause)(void *self, const struct tm_pause_request *request,
            const struct tm_caller *caller, tm_done_policy done, void *arg);
    void (*resume)(void *self, const char *policy, const struct tm_caller *caller,
            tm_done_policy done, void *arg);
    /* Read the configuration again: a document of what changed, or config-invalid, or restart-needed. */
    void (*reload)(void *self, const struct tm_caller *caller, tm_done_json done, void *arg);
    /* At once: the configuration in force, without its secrets. */
    struct tm_json *(*config)(void *self);
    /* What is wrong with that text as a configuration: a document. The text is copied. */
    void (*check_config)(void *self, struct tm_slice text, tm_done_json done, void *arg);
    /* Another level of the log, for a time or (0) until a restart or a reload. */
    void (*log_level)(void *self, enum tm_log_level level, int64_t for_ms,
            const struct tm_caller *caller, tm_done_json done, void *arg);
    /* At once: the next runs of the policy as planned, with what the clock there is ahead of UTC then. */
    size_t (*planned)(
            void *self, const char *policy, int64_t *at_ms, int64_t *offset_ms, size_t count);
};

struct tm_control {
    void *self;
    const struct tm_control_ops *ops;
};

#endif
