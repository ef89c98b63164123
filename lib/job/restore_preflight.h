/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore_preflight - what the target would reject, delete or alter, found before the first record.
 *
 * Two kinds of findings go into the plan: blocking ones (nothing would come through, or not as it was)
 * and warnings (with numbers). What a cluster does not tell is a warning of its own ("not-known") and
 * stops nothing. docs/restore.md has a table of every code.
 *
 * Threads: those of the plan; the judgement itself is pure.
 */
#ifndef TM_JOB_RESTORE_PREFLIGHT_H
#define TM_JOB_RESTORE_PREFLIGHT_H

#include "base/buf.h"
#include "job/restore.h"
#include "kafka/cluster_config.h"

/* What applies to a topic while records are written to it. What is not known lets everything pass. */
struct tm_preflight_limits {
    int64_t max_message_bytes; /* INT64_MAX: not known */
    int64_t before_max_ms;     /* how old a timestamp may be; INT64_MAX: as old as it likes */
    int64_t after_max_ms;      /* how far in the future, likewise */
    int64_t retention_ms;      /* -1: none, or not known */
    int64_t retention_bytes;   /* a partition; likewise */
    int64_t min_insync;        /* 0: not known */
    bool append_time;          /* the broker sets timestamps */
    bool compacts;
};
/* All open. */
struct tm_preflight_limits tm_preflight_open(void);
/* From the effective settings of a topic. */
void tm_preflight_of_topic(const struct tm_settings *settings, struct tm_preflight_limits *out);
/* From a broker's settings: what a topic has that sets nothing. */
void tm_preflight_of_broker(const struct tm_settings *settings, struct tm_preflight_limits *out);
/* One more setting, by the topic's name of it; others and what is no number change nothing. */
void tm_preflight_set(struct tm_preflight_limits *limits, const char *name, const char *value);

struct tm_preflight_facts {
    const char *source; /* names, for the text */
    const char *target;
    const char *cluster;
    bool exists;         /* it was there: its settings are somebody's */
    bool held;           /* retention is held while records are written */
    int64_t put_back_ms; /* and is put back so long after the end; 0: at the end */
    int64_t messages;
    int64_t record_bytes; /* the largest as the broker counts it */
    int64_t part_bytes;   /* of the largest partition */
    int64_t early;        /* records that before_max_ms refuses */
    int64_t late;         /* that after_max_ms refuses */
    int64_t expired;      /* that are older than `later.retention_ms` */
    int64_t replicas;     /* 0: not known */
};

/* `now` applies while records are written, `later` when the restore is over and nothing is held. */
void tm_preflight_judge(const struct tm_preflight_limits *now,
        const struct tm_preflight_limits *later, const struct tm_preflight_facts *facts,
        struct tm_restore_plan *plan);

/* About how many of the run's records have a timestamp below `cut_ms`: even between its ends. */
int64_t tm_preflight_older(const struct tm_run *run, int64_t cut_ms);

/* A topic that Kafka keeps for itself and that no restore may write to. */
bool tm_preflight_internal(const char *topic);

/* All of it, into the plan; after the target's topics have been looked at. TM_E_KAFKA...: no answer. */
enum tm_code tm_restore_preflight(const struct tm_restore_options *options,
        struct tm_restore_plan *plan, struct tm_err *err) TM_MUST_CHECK;
/* What of it belongs into the plan's digest: which findings there are, not their changing numbers. */
void tm_preflight_digest(const struct tm_restore_options *options,
        const struct tm_restore_plan *plan, struct tm_buf *out);

#endif
