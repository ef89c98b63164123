/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policies_table - what the files policies*.c share. Threads: the loop's.
 */
#ifndef TM_DAEMON_POLICIES_TABLE_H
#define TM_DAEMON_POLICIES_TABLE_H

#include "base/vec.h"
#include "catalog/journal_pauses.h"
#include "hooks.h"
#include "tmd.h"

enum { TMD_LOOK_MS = 30 * 1000 }; /* a timer is never set farther ahead: the wall clock may jump */

struct topic_state {
    char *topic;
    int64_t behind; /* -1: not known */
    int64_t lost;
    int64_t caught_up_ms; /* begin of the last run that found or left nothing behind; 0: not known */
    bool failed;
    int64_t loses_at_ms; /* as in struct tm_backup_topic, like the rest */
    int64_t margin_ms;
    int64_t retention_ms;
    int64_t stuck_ms;
};

struct policy {
    struct tmd *tmd;
    const struct tm_config_policy *config;
    bool fresh;  /* its history is not known, and no run was planned yet */
    bool gone;   /* not configured any more: it starts nothing */
    bool zeroed; /* counters of its topics begin at 0, those known so far */
    uv_timer_t timer;
    uv_timer_t flush;       /* mode: continuous */
    int64_t rests_until_ms; /* no flush before: one has failed */
    bool flushes_seen;      /* those of an earlier life, or of another mode, were looked at */
    bool stands_by;         /* another daemon backed it up when this one last asked */
    int64_t interval_ms;    /* longest between two planned runs; 0: by hand */
    int64_t next_run_ms;    /* 0: none planned */
    int64_t started_ms;
    bool asking; /* the vault, who else writes for it */
    bool again;  /* overlap: queue, and a planned run came while one was going on */
    int64_t last_success_ms;
    int64_t last_attempt_ms;
    int64_t caught_up_ms;    /* when the last success began; 0: never, since the history begins */
    const char *last_result; /* static name of a job state; NULL: none */
    char *last_error;        /* of a last run that failed: a problem object; NULL: none */
    char running[TM_ULID_NAME_MAX];
    char newest[TM_ULID_NAME_MAX];
    struct tm_point_totals totals;
    TM_VEC(struct topic_state) topics; /* by name */
    bool paused;
    struct tm_pause_row pause; /* while it is paused; its texts lie in */
    struct tm_arena pause_texts;
    bool lasting[TMD_LASTING]; /* hooks_watch.c: what was so at the last look */
};

struct tmd_policies {
    struct tmd *tmd;
    struct policy **at; /* in the order of the configuration */
    size_t count;
    TM_VEC(struct policy *) gone; /* who asked something for them may be answered yet */
    TM_VEC(struct tm_policy_view) views;
    TM_VEC(struct tm_status_row) rows;
};

/* The topic's row; find: NULL where it has none. They are in the order of names, so a row moves when one is added. */
struct topic_state *tmd_topic_find(struct policy *policy, const char *topic);
struct topic_state *tmd_topic_add(struct policy *policy, const char *topic);
void tmd_topics_clear(struct policy *policy);
/* Why a run failed, as a policy keeps it, a copy; NULL for one that did not. */
char *tmd_policy_error(enum tm_job_state state, const char *error);
struct policy *tmd_policy_find(struct tmd *tmd, const char *name); /* NULL: none */
/* The first planned run after that; false when there is none. */
bool tmd_policy_next_run(const struct policy *policy, int64_t after_ms, int64_t *next_ms);
void tmd_policy_view(const struct policy *policy, struct tm_policy_view *out);

#endif
