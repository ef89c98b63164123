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
#include "catalog/journal_holds.h"
#include "job/choice.h"
#include "job/job.h"
#include "job/restore_into.h"
#include "kafka/kafka.h"
#include "policy/select.h"
#include "vault/vault.h"

/* The journal keeps their numbers: new ones go behind. */
enum tm_create_topics { TM_CREATE_MISSING, TM_CREATE_NEVER, TM_CREATE_RECREATE };
enum tm_existing {
    TM_EXISTING_FAIL,
    TM_EXISTING_EMPTY_ONLY,
    TM_EXISTING_APPEND, /* behind what is there, in transactions */
    TM_EXISTING_PURGE,  /* the records that are there are deleted first; the topic stays */
};
enum tm_restore_retention {
    TM_RETENTION_HOLD, /* on topics made here, until it is put back */
    TM_RETENTION_ORIGINAL,
    TM_RETENTION_HOLD_ALL, /* on topics that were there too */
};

struct tm_rename {
    const char *from;
    const char *to;
};

enum tm_groups_mode {
    TM_GROUPS_NONE,
    TM_GROUPS_TRANSLATE, /* set their offsets at the target, once all is proved */
    TM_GROUPS_REPORT,    /* only say where they would stand */
};

struct tm_restore_groups {
    enum tm_groups_mode mode;
    const char *const *patterns; /* names, globs and regular expressions, as of topics */
    size_t pattern_count;        /* 0: all groups of the point */
    const struct tm_rename *renames;
    size_t rename_count;
};

struct tm_restore_group { /* of a plan */
    const char *source;
    const char *target;  /* its name at the target */
    size_t offset_count; /* in restored topics */
    bool exists;         /* at the target, without members */
};

struct tm_restore_options {
    struct tm_id16 job;   /* ULID */
    struct tm_id16 point; /* ULID */
    /*
     * Points of other policies of the same cluster that are restored with it; none of them may have a topic that
     * another one has.
     */
    const struct tm_id16 *more_points;
    size_t more_point_count;
    /*
     * What was captured later is taken too, up to the end of the policy's newest point that was taken then or
     * before; 0: no. For a choice by record time: a point may have been taken after a time and yet not
     * have read all that was written before it.
     */
    int64_t late_ms;
    const struct tm_choice *choice; /* which records; NULL: all. Checked by tm_choice_check() */
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
    enum tm_restore_retention retention;
    bool no_daemon;             /* nothing puts back later what is held: it is only told */
    int64_t retention_hold_ms;  /* so long after its end; 0: a day */
    bool original_configs;      /* topic_configs: original (else the broker's defaults) */
    int32_t replication_factor; /* 0: as captured, at most the brokers there are */
    bool continue_on_gap;       /* on_gap: continue */
    struct tm_restore_into into;
    struct tm_restore_groups groups;
    struct tm_kafka *groups_kafka; /* of the target, opened with `groups`; NULL: without groups */
    int64_t request_ms;            /* 0: 30 s */
    int64_t quiet_ms;              /* a resumed job waits for the log end to stand still; 0: 5 s */
};

struct tm_restore_topic {
    const char *source;
    const char *target;
    uint32_t stream;
    bool exists;
    bool created;       /* made by this job: its configuration is ours to set */
    bool ours;          /* made (or taken, empty) by this job before it was interrupted */
    bool configured;    /* proved and given its final configuration before it was interrupted */
    bool recreate;      /* it is there, and is deleted and made anew */
    bool purge;         /* it is there, and its records are deleted first */
    bool append;        /* it is there, and is written to in transactions */
    int32_t partitions; /* of the source */
    int32_t target_partitions; /* of the target: as it is, or as it will be made */
    int64_t messages;          /* exact once restored */
    int64_t bytes;
    bool exact;   /* messages and bytes; else they are upper bounds (struct tm_chosen_totals) */
    int64_t lost; /* offsets that might have been chosen and are not stored */
    int64_t lost_first;     /* the first of them, */
    int32_t lost_partition; /* of this one */
    bool short_of_from;     /* the vault does not reach back to the time asked for */
    int64_t largest;
    int64_t ts_min;             /* of the records to restore; INT64_MAX: there is none */
    int64_t ts_max;             /* INT64_MIN likewise */
    int64_t part_bytes;         /* of its largest partition */
    int32_t replicas;           /* of a topic that is there; 0: not known */
    int32_t replication_factor; /* it is made with; 0: as the broker has it */
    int32_t min_insync; /* it is made with, for the captured one is too large; 0: as captured */
    int64_t max_message_bytes; /* of a topic that was there; 0: not known */
    const char **refused;      /* settings that the target does not take */
    size_t refused_count;
};

struct tm_restore_plan {
    TM_VEC(struct tm_restore_topic) topics;
    tm_job_notes warnings;
    tm_job_notes blocking; /* code is a problem slug: "topic-exists", "no-coverage", ... */
    int64_t messages;
    int64_t bytes;
    bool exact;                         /* as in struct tm_restore_topic */
    char digest[72];                    /* "sha256:<hex>" over what would be done */
    const struct tm_row_point **points; /* as they are in the catalog; without their lists */
    size_t point_count;
    struct tm_point point; /* of several: the first's row, with the topics and rows of all */
    TM_VEC(struct tm_restore_group) groups; /* by source name */
    struct tm_row_group *group_rows; /* of these, in restored topics: by group, stream, partition */
    size_t group_row_count;
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
    TM_VEC(struct tm_hold_row) holds; /* settings at the target that are not what they were to be */
    const char *groups;    /* JSON array: what became of each group; NULL: none was asked for */
    size_t groups_failed;  /* of them */
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
