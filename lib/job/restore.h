/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore - the topics of a recovery point into a cluster, in their order, and the proof of it.
 *
 * plan: what would be read, created and written, and everything that stands in the way, found before
 * the first record is written. run: create topics with the point's configuration and retention held,
 * produce each partition in offset order with every delivery checked, read the target back and compare
 * content proofs, set the final configuration.
 *
 * A run that was killed is taken up again with the same job id: topics that its journal names as its
 * own are known, and each partition goes on at the target's log end (what lies there is a prefix).
 *
 * Threads: block their caller's thread; use the pools of the environment.
 */
#ifndef TM_JOB_RESTORE_H
#define TM_JOB_RESTORE_H

#include "catalog/catalog.h"
#include "catalog/journal.h"
#include "job/job.h"
#include "kafka/kafka.h"
#include "policy/select.h"
#include "vault/vault.h"

enum tm_create_topics { TM_CREATE_MISSING, TM_CREATE_NEVER };
enum tm_existing { TM_EXISTING_FAIL, TM_EXISTING_EMPTY_ONLY };
enum tm_restore_retention { TM_RETENTION_HOLD, TM_RETENTION_ORIGINAL };

struct tm_rename {
    const char *from;
    const char *to;
};

struct tm_restore_options {
    struct tm_id16 job;   /* ULID */
    struct tm_id16 point; /* ULID */
    struct tm_vault *vault;
    struct tm_catalog *catalog;
    struct tm_journal *journal; /* NULL for a plan */
    const char *target;         /* the configuration's name of the target cluster */
    struct tm_kafka *kafka;     /* handle on it */
    const struct tm_kafka_options *kafka_options; /* for the producer */
    const struct tm_select *select;               /* of the point's topics; NULL: all */
    const struct tm_rename *renames;
    size_t rename_count;
    const char *prefix; /* NULL or "": none */
    const char *suffix;
    enum tm_create_topics create_topics;
    enum tm_existing existing;
    enum tm_restore_retention retention; /* hold: retention.ms=-1 stays on topics made here */
    bool original_configs;               /* topic_configs: original (else the broker's defaults) */
    int32_t replication_factor;          /* 0: as captured, at most the brokers there are */
    bool continue_on_gap;                /* on_gap: continue */
    int64_t request_ms;                  /* 0: 30 s */
    int64_t quiet_ms; /* a resumed job waits for the log end to stand still; 0: 5 s */
};

struct tm_restore_topic {
    const char *source;
    const char *target;
    uint32_t stream;
    bool exists;
    bool created;    /* made by this job: its configuration is ours to set */
    bool ours;       /* made (or taken, empty) by this job before it was interrupted */
    bool configured; /* proved and given its final configuration before it was interrupted */
    int32_t partitions;
    int64_t messages; /* exact once restored */
    int64_t bytes;
    int64_t lost; /* offsets in gaps that are a loss */
    int64_t largest;
};

struct tm_restore_plan {
    TM_VEC(struct tm_restore_topic) topics;
    tm_job_notes warnings;
    tm_job_notes blocking; /* code is a problem slug: "topic-exists", "no-coverage", ... */
    int64_t messages;
    int64_t bytes;
    char digest[72]; /* "sha256:<hex>" over what would be done */
    struct tm_point point;
    struct tm_arena arena;
};
void tm_restore_plan_done(struct tm_restore_plan *plan);

/* TM_OK also when something blocks; TM_E_MISSING no such point; TM_E_KAFKA... the target does not answer. */
enum tm_code tm_restore_plan(const struct tm_restore_options *options, struct tm_job_env *env,
        struct tm_restore_plan *out, struct tm_err *err) TM_MUST_CHECK;

struct tm_restore_result {
    int64_t topics_count;
    int64_t partitions_count;
    int64_t messages_count; /* in the target after the restore */
    int64_t written_count;  /* by this process: less than that when resumed */
    int64_t written_bytes;
    int64_t timestamps_changed; /* records with timestamp 0, written as 1 */
    bool proved;                /* target re-read, every content proof equal */
    TM_VEC(struct tm_restore_topic) topics;
    tm_job_notes warnings;
    tm_job_notes failures; /* differences, by partition and offset; empty when proved */
    struct tm_arena arena;
};
void tm_restore_result_done(struct tm_restore_result *result);

/*
 * Plan again and execute. TM_OK with `failures` when some partitions did not come through or do not
 * compare equal; else why nothing was (or could be) done. `out` must be zeroed; _done in any case.
 */
enum tm_code tm_restore_run(const struct tm_restore_options *options, struct tm_job_env *env,
        struct tm_restore_result *out, struct tm_err *err) TM_MUST_CHECK;

#endif
