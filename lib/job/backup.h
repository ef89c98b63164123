/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup - one run of a policy: plan, read, seal, commit, and the recovery point.
 *
 * plan: topics and their ids, then log start, last stable offset and high watermark of all selected
 * partitions in bulk; the captured end is fixed here. A partition whose end is its watermark costs
 * nothing more. fence: a partition with news is read from its tail's record on, which is compared with
 * what is stored; another topic id, an end below the watermark, a lower leader epoch or another record
 * there begin a new incarnation. read: workers fill blocks, the packer seals them. commit: progress
 * every checkpoint, the point at the end. An error fails its partition, and the run is partial: never
 * is an error taken for an end.
 *
 * Threads: tm_backup_run() blocks its caller's thread and uses the pools of the environment.
 */
#ifndef TM_JOB_BACKUP_H
#define TM_JOB_BACKUP_H

#include "catalog/catalog.h"
#include "job/job.h"
#include "kafka/kafka.h"
#include "policy/select.h"
#include "vault/vault.h"

enum tm_backup_from { TM_FROM_EARLIEST, TM_FROM_LATEST };

struct tm_backup_options {
    const char *policy;
    const char *cluster; /* the configuration's name of it */
    struct tm_kafka *kafka;
    /* With `groups`, for a handle that is opened when it is needed; NULL: nothing of groups is done. */
    const struct tm_kafka_options *groups_options;
    struct tm_vault *vault;
    struct tm_catalog *catalog;
    const struct tm_select *select;
    const char *const *only; /* a subset of the topics, by name; others keep their rows */
    size_t only_count;       /* 0: all */
    bool read_uncommitted;
    enum tm_backup_from from; /* for partitions seen first by the first run of a topic */
    int level;                /* zstd, 0: none */
    int64_t timeout_ms;       /* then the run ends partial; 0: none */
    int64_t stall_ms;         /* a partition that does not move for that long fails; 0: 60 s */
    int64_t request_ms;       /* of one question to the cluster; 0: 30 s */
    int64_t checkpoint_ms;    /* 0: 60 s */
    int64_t checkpoint_bytes; /* 0: 1 GiB */
    unsigned topic_workers;   /* topics read side by side by this run; 0: 4 */
    int64_t bytes_per_second; /* of records read, over all workers; 0: no bound */
    int64_t stop_at_ms; /* UTC: the policy's window closes then, and the run ends partial; 0: none */
    bool skip_corrupt; /* pass a batch that the broker cannot give intact, as a gap; else its partition fails */
    bool keep_after_outage; /* a compacted topic whose tombstones may have gone unseen is not read anew, only told */
    int64_t open_transaction_ms; /* an open transaction is told when it is that old; 0: 5 min */
    int64_t interval_ms;         /* between two runs of the policy, 0: not known */
    const char *note;            /* NULL or text: makes a point even where nothing is new */
    const char *const *tags;
    size_t tag_count;
    const char *own_tag;     /* of a point that is made, and makes none by itself; NULL: none */
    int64_t hold_until_ms;   /* 0 none, -1 without end; makes a point, too */
    const char *hold_reason; /* NULL: none */
    bool no_groups;          /* consumer_groups: false */
    bool no_configs;         /* topic_configs: false */
    bool lag_group;          /* show what is stored as the offsets of group tidemark.POLICY */
    int64_t groups_idle_ms; /* where nothing is new, ask for groups once a point is that old; 0: 5 min */
};

struct tm_backup_topic { /* for metrics and status */
    const char *topic;
    int64_t messages;
    int64_t bytes;
    int64_t behind;      /* high watermark minus what is stored, at the end of the run */
    int64_t behind_most; /* of one partition */
    int64_t lost; /* offsets that were gone, or not to be read, before capture; in this run */
    bool begun;   /* a new incarnation was committed: the topic was created again, or cut off */
    bool failed;
    /*
     * When the source deletes the first record that is not stored, at the earliest: INT64_MAX where nothing is deleted,
     * 0 where nothing is known of it. It is told when that is nearer than margin_ms, or than the next run.
     */
    int64_t loses_at_ms;
    int64_t margin_ms;
    int64_t retention_ms; /* by time; -1: none, or not asked for in this run */
    int64_t stuck_ms; /* how long the last stable offset has stood still below the high watermark; 0: nowhere */
};

struct tm_backup_result {
    bool unchanged; /* nothing new: `point` is the newest one there is */
    bool partial;
    bool has_point;
    struct tm_id16 point; /* ULID */
    struct tm_head head;  /* of the log, after the run */
    int64_t topics_count;
    int64_t partitions_count;
    int64_t messages_count;
    int64_t source_bytes;
    int64_t stored_bytes;
    int64_t deduplicated_bytes; /* of the source's, whose content the vault held already */
    int64_t gaps_count;
    int64_t gaps_by_reason[TM_GAP_CORRUPT_ON_BROKER + 1]; /* the same, by enum tm_gap_reason */
    int64_t throttled_ms; /* for which brokers held back answers meanwhile (quota), to this and other runs */
    TM_VEC(struct tm_backup_topic) topics;
    tm_job_notes warnings;
    tm_job_notes failures; /* partitions and topics that were not read to their end */
    struct tm_arena arena;
};
void tm_backup_result_done(struct tm_backup_result *result);

/*
 * TM_OK with *out filled in (partial or not), or why no run could be made: then nothing was committed
 * but perhaps progress, which the next run goes on from. `out` must be zeroed; _done in any case.
 */
enum tm_code tm_backup_run(const struct tm_backup_options *options, struct tm_job_env *env,
        struct tm_backup_result *out, struct tm_err *err) TM_MUST_CHECK;

#endif
