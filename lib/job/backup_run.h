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

#include "catalog/content.h"
#include "catalog/watch.h"
#include "job/backup.h"
#include "job/read_pace.h"
#include "kafka/groups.h"
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
    int64_t next;          /* worker: first offset not passed */
    struct tm_watch watch; /* what earlier runs saw; stream 0: nothing, or of another stream */
    int64_t stuck_since_ms; /* the LSO stands still below the high watermark since then; 0: it does not */
    /* Guarded by run->lock, but while no worker runs: */
    bool named; /* the log knows this partition of the stream: `tail` is its row */
    struct tm_row_tail tail;
    int64_t watermark; /* as it will be after the commit that is being built */
    int64_t committed; /* the watermark as the newest commit of this run (or the plan) left it */
    int64_t shown;     /* of it, in the lag group by this run */
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
    bool failed; /* the cluster listed it and does not describe it: as if it were not asked for */
    struct tm_topic_config config;
    bool config_known;
    int64_t messages; /* committed in this run */
    int64_t bytes;
    int64_t lost;
    bool begun;        /* this run has committed a new incarnation of it */
    int64_t passed;    /* guarded: offsets of corrupt batches, part of `lost` at the end */
    int64_t whole_ms;  /* all of it was stored then (catalog/watch.h); 0: not known */
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
    struct tm_group_list groups; /* as they stood once the ends were fixed */
    bool groups_asked;
    bool groups_unknown;
    struct tm_kafka *groups_kafka; /* NULL: not needed yet */
    bool lag_failed;
    TM_VEC(const char *) unreadable; /* selected topics that the cluster could not describe */
    struct tm_block_params params;
    struct tm_packer *packer;
    int64_t deadline_ns; /* 0: none */
    bool window_closes;  /* the deadline is that of the window, not the timeout */
    int64_t planned_ms;  /* UTC: before the offsets were asked for */
    struct tm_read_pace pace;
    struct tm_id16 point;     /* name of the point being made, however often the commit is built */
    size_t open_budget;       /* bytes of open blocks, per worker */
    atomic_bool vault_failed; /* workers stop: nothing more can be stored */
    pthread_mutex_t lock;
    uint32_t last_number; /* guarded */
    TM_VEC(struct backup_topic *)
    numbers;              /* guarded: numbers[n - 1] is the topic of number n, NULL retired */
    tm_packed_list packs; /* durable, not committed yet */
    /* Durable, and no commit wanted its runs: later packs may refer to what it holds. Without runs. */
    tm_packed_list left_out;
    struct tm_content *content; /* which pack holds which content */
};

/* backup_plan.c: fill in topics and partitions, and decide what has news. */
enum tm_code tm_backup_plan(struct backup_run *run, struct tm_err *err) TM_MUST_CHECK;
/*
 * Does the cluster still have records below the watermark that the vault has freed? They are, where the
 * policy's newest point does not have the topic: retention kept what points had, and no more. Asked of
 * the fold as it is now.
 */
enum tm_code tm_backup_has_freed(
        const struct backup_topic *topic, bool *freed, struct tm_err *err) TM_MUST_CHECK;
/* Begin a new incarnation of the topic: read it all again, as another stream. */
void tm_backup_reincarnate(struct backup_topic *topic);

/* backup_gaps.c */
/* Why are records below the log start gone that were not stored? By the topic's retention. */
enum tm_gap_reason tm_backup_why_gone(
        const struct backup_topic *topic, const struct backup_part *part);
/* Is it the cleaner's business that records vanish from the topic? */
bool tm_backup_is_compacted(const struct backup_topic *topic);
/*
 * Was the topic compacted while nobody looked for longer than its tombstones stay? Then a key that was deleted meanwhile
 * may look as if it were still there. *why is set where the topic has to be read anew; where that would not help,
 * or is not wanted, it is told.
 */
enum tm_code tm_backup_missed_tombstones(
        struct backup_topic *topic, const char **why, struct tm_err *err) TM_MUST_CHECK;

/* backup_watch.c: what earlier runs saw, and what this one leaves to the next. */
enum tm_code tm_backup_load_watch(struct backup_topic *topic, struct tm_err *err) TM_MUST_CHECK;
/* Tell of transactions that have been open for long. */
enum tm_code tm_backup_watch_transactions(struct backup_run *run, struct tm_err *err) TM_MUST_CHECK;
/* After the last commit; what cannot be written is only told. */
void tm_backup_put_watch(struct backup_run *run);
/* Is all that the log had when the run was planned stored by now? */
bool tm_backup_is_whole(const struct backup_part *part);

/* backup_headroom.c: when the source deletes what is not stored. */
/* Before reading: what waits since the last run. Tells of what is about to be lost. */
void tm_backup_warn_headroom(struct backup_run *run);
/* After it: fills in the line, and tells. */
void tm_backup_headroom(struct backup_topic *topic, struct tm_backup_topic *line);

/*
 * backup_corrupt.c: the first offset at or above `from` that can be read, behind a corrupt batch that begins at
 * `corrupt_at`; `end` where there is none below it. Asks with a reader of its own: the partition must not run on another.
 * Some reads of one fetch each.
 */
enum tm_code tm_backup_find_readable(struct backup_topic *topic, struct backup_part *part,
        int64_t corrupt_at, int64_t *readable, struct tm_err *err) TM_MUST_CHECK;
/* After a corrupt batch below `next` was met: when this returns, `next` can be read from. */
void tm_backup_leave_corrupt(struct backup_topic *topic, struct backup_part *part);

/*
 * backup_repair.c: replace packs of the run's topics that verification found damaged, where Kafka still holds all
 * that was lost of them. Before anything new is read: what is damaged has waited longer. Warns of each.
 */
void tm_backup_repair(struct backup_run *run);

/* backup_read.c: the worker. */
void tm_backup_read_topic(void *arg); /* a struct backup_topic */
/* Should the run end now, whatever is left? */
bool tm_backup_stopping(const struct backup_run *run);

/* backup_commit.c */
/* Cut the packer and commit what is durable; with `final`, make the point too if there is cause. */
enum tm_code tm_backup_commit(struct backup_run *run, bool final, struct tm_err *err) TM_MUST_CHECK;
/* backup_content.c */
/* Open run->content, and index some packs it does not know yet. */
enum tm_code tm_backup_open_content(struct backup_run *run, struct tm_err *err) TM_MUST_CHECK;
/*
 * Add the rows of packs that are committed only because an added one refers to them, those of
 * run->packs among them, for which `added` then says so. TM_E_CONFLICT when a pack that one refers to
 * is gone: another writer has dropped it, and the run is to be planned anew.
 */
enum tm_code tm_backup_add_deps(struct backup_run *run, bool *added, struct tm_edits *edits,
        struct tm_err *err) TM_MUST_CHECK;
/* After a commit of the packs that `added` says: their ids may be found, the others are set aside. */
void tm_backup_settle_content(struct backup_run *run, const bool *added);
/* The row of a pack, without runs. */
struct tm_row_pack tm_backup_pack_row(const struct tm_packed *pack, struct tm_edits *edits);

/* backup_point.c: add the point's rows to the edits; *made is false when nothing differs from the
 * newest point (then nothing was added). `newest` is that point. May be called again. */
enum tm_code tm_backup_point(struct backup_run *run, struct tm_edits *edits,
        const struct tm_point *newest, bool *made, struct tm_err *err) TM_MUST_CHECK;

/* backup_groups.c: ask where the consumer groups stand, if the run has cause to; the ends are fixed. */
void tm_backup_capture_groups(struct backup_run *run, bool news);
/* Rows that differ from the newest point's; the topics' streams are assigned. */
typedef TM_VEC(struct tm_row_group) tm_backup_group_rows;
void tm_backup_group_changes(struct backup_run *run, const struct tm_row_point *newest,
        struct tm_edits *edits, tm_backup_group_rows *out);
/* Are the group offsets of the point being made not known? */
bool tm_backup_groups_unknown(const struct backup_run *run, const struct tm_row_point *newest);
/* After a commit: what is stored, as the offsets of group tidemark.POLICY, where lag tools look. */
void tm_backup_show_lag(struct backup_run *run);

/* A topic that is named is not listed: remember why as a failure; asks the cluster. */
void tm_backup_missing(struct backup_run *run, const char *topic);
/* A warning for the log alone: the run is about to mend what it tells of. */
void tm_backup_log(struct backup_run *run, const char *topic, int32_t partition, const char *code,
        const char *detail);
/* Remember a failure, or a warning, of a partition or a topic in the result (take the run's lock). */
void tm_backup_warn(struct backup_run *run, const char *topic, int32_t partition, const char *code,
        const char *detail);
void tm_backup_fail(struct backup_run *run, const char *topic, int32_t partition, const char *code,
        const char *detail);

#endif
