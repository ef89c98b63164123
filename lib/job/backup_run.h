/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup_run - the state of one backup run, shared by the files backup*.c and by nothing else.
 *
 * The run belongs to the job's thread. A topic belongs to its worker while that runs, but for what a
 * comment says is guarded by the run's lock: that is what the committer reads while workers go on.
 */
#ifndef TM_JOB_BACKUP_RUN_H
#define TM_JOB_BACKUP_RUN_H

#include <pthread.h>

#include "job/backup.h"
#include "vault/packer.h"

enum part_state {
    PART_IDLE,   /* nothing new */
    PART_TODO,   /* has news; at the end of the run: not reached */
    PART_DONE,   /* read to its captured end */
    PART_FAILED, /* stored up to `next` */
};

/* A stored stretch that no commit has named yet. */
struct pending_run {
    int64_t first;
    int64_t end;
    struct tm_tail tail;
};

struct backup_part {
    int32_t partition;
    enum part_state state;
    bool unanswered; /* the cluster gave no offsets: nothing is known of it now; set by the plan */
    int64_t log_start;
    int64_t lso;
    int64_t high_watermark;
    int64_t end;     /* captured: LSO, or high watermark for read_uncommitted */
    bool has_stored; /* planned on a watermark that the log has, which is `stored` */
    struct tm_row_tail stored;
    int64_t next; /* worker: first offset not passed */
    /* Guarded by run->lock, but while no worker runs: */
    bool named; /* the log knows this partition of the stream: `tail` is its row */
    struct tm_row_tail tail;
    int64_t watermark; /* as it will be after the commit that is being built */
    int64_t committed; /* the watermark as the newest commit of this run (or the plan) left it */
    TM_VEC(struct pending_run) runs;
    TM_VEC(struct tm_row_gap) gaps; /* `stream` is not set */
};

struct backup_topic {
    struct backup_run *run;
    const struct tm_topic_info *info;
    struct tm_stream stream; /* id 0: to be made by the first commit that needs it */
    uint32_t number;         /* of its blocks; guarded: a topic that starts anew gets a fresh one */
    struct backup_part *parts;
    size_t part_count;
    bool news;      /* a worker reads it */
    bool recreated; /* guarded: another topic id was seen before a commit; nothing more is committed */
    bool failed;
    struct tm_topic_config config;
    bool config_known;
    int64_t messages; /* committed in this run */
    int64_t bytes;
    int64_t lost;
    bool shrunk;       /* the log knows partitions that the topic no longer has */
    uint32_t assigned; /* stream id given by the build that is being committed; 0: not part of it */
    uint32_t built_as; /* `number` at that build: a topic may start anew while it is committed */
};

struct backup_run {
    const struct tm_backup_options *options;
    struct tm_job_env *env;
    struct tm_backup_result *result;
    struct tm_arena *arena; /* the result's */
    struct tm_slice cluster_id;
    struct tm_topic_list topics;
    struct backup_topic *at; /* selected topics, by name */
    size_t count;
    size_t todo; /* topics with news */
    bool configs_asked;
    bool configs_unknown;
    TM_VEC(const char *) unreadable; /* selected topics that the cluster could not describe */
    struct tm_block_params params;
    struct tm_packer *packer;
    int64_t deadline_ns;      /* 0: none */
    struct tm_id16 point;     /* name of the point being made, however often the commit is built */
    size_t open_budget;       /* bytes of open blocks, per worker */
    atomic_bool vault_failed; /* workers stop: nothing more can be stored */
    pthread_mutex_t lock;
    uint32_t last_number; /* guarded */
    TM_VEC(struct backup_topic *)
    numbers;              /* guarded: numbers[n - 1] is the topic of number n, NULL retired */
    tm_packed_list packs; /* durable, not committed yet */
};

/* backup_plan.c: fill in topics and partitions, and decide what has news. */
enum tm_code tm_backup_plan(struct backup_run *run, struct tm_err *err) TM_MUST_CHECK;
/* Begin a new incarnation of the topic: read it all again, as another stream. */
void tm_backup_reincarnate(struct backup_topic *topic);

/* backup_read.c: the worker. */
void tm_backup_read_topic(void *topic);
/* Should the run end now, whatever is left? */
bool tm_backup_stopping(const struct backup_run *run);

/* backup_commit.c */
/* Cut the packer and commit what is durable; with `final`, make the point too if there is cause. */
enum tm_code tm_backup_commit(struct backup_run *run, bool final, struct tm_err *err) TM_MUST_CHECK;
/* backup_point.c: add the point's rows to the edits; *made is false when nothing differs from the
 * newest point (then nothing was added). `newest` is that point. May be called again. */
enum tm_code tm_backup_point(struct backup_run *run, struct tm_edits *edits,
        const struct tm_point *newest, bool *made, struct tm_err *err) TM_MUST_CHECK;

/* Remember a failure, or a warning, of a partition or a topic in the result (take the run's lock). */
void tm_backup_warn(struct backup_run *run, const char *topic, int32_t partition, const char *code,
        const char *detail);
void tm_backup_fail(struct backup_run *run, const char *topic, int32_t partition, const char *code,
        const char *detail);

#endif
