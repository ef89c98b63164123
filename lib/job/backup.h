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
    const char *note;         /* NULL or text: makes a point even where nothing is new */
    const char *const *tags;
    size_t tag_count;
};

struct tm_backup_topic { /* for metrics and status */
    const char *topic;
    int64_t messages;
    int64_t bytes;
    int64_t behind; /* high watermark minus what is stored, at the end of the run */
    int64_t lost;   /* offsets that source retention or deletion took before capture, in this run */
    bool failed;
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
    int64_t gaps_count;
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
