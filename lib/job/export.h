/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export - the records of a recovery point out of the vault, without Kafka: as JSON lines (record_json.h)
 * or in the binary form TMVX (docs/export.md).
 *
 * Topics come one after the other, by name; of each the partitions by number, in offset order. What was
 * handed to the sink is digested on the way and compared with the content proofs of what was stored.
 *
 * Threads: block their caller's.
 */
#ifndef TM_JOB_EXPORT_H
#define TM_JOB_EXPORT_H

#include "catalog/catalog.h"
#include "job/choice.h"
#include "job/job.h"
#include "policy/select.h"
#include "vault/vault.h"

enum tm_export_format { TM_EXPORT_JSON, TM_EXPORT_BINARY };

/* Where it goes. An error of either ends the export with it. */
struct tm_export_sink {
    void *arg;
    /* A topic begins; also one without records. */
    enum tm_code (*topic)(void *arg, const char *topic, struct tm_err *err);
    enum tm_code (*write)(void *arg, struct tm_slice bytes, struct tm_err *err);
};

struct tm_export_options {
    struct tm_vault *vault;
    struct tm_catalog *catalog;     /* holds the vault's newest state */
    const struct tm_point *point;   /* of that catalog */
    const struct tm_select *select; /* of the point's topics; NULL: all */
    const int32_t *partitions;      /* of each topic; count 0: all */
    size_t partition_count;
    int64_t from;  /* offsets of the point: at or above */
    int64_t until; /* below; INT64_MAX: to the end */
    const struct tm_choice
            *choice; /* of the records; NULL: all. It may reach below the point: chosen.h */
    enum tm_export_format format;
    bool continue_on_gap; /* else what is missing ends the export before it begins */
    struct tm_export_sink sink;
};

struct tm_export_part {
    const char *topic;
    int32_t partition;
    int64_t first_offset; /* of the records; -1: there are none */
    int64_t last_offset;
    int64_t records;
    int64_t bytes; /* keys, values and headers */
};

struct tm_export_result {
    int64_t topics;
    int64_t records;
    int64_t bytes;
    TM_VEC(struct tm_export_part) parts;
    struct tm_arena arena;
};
void tm_export_result_done(struct tm_export_result *result);

/*
 * TM_OK: all of it went to the sink and is identical to what was stored. TM_E_MISSING: nothing is
 * selected, or a gap; TM_E_CORRUPT: damage, or records that differ from their content proof, by topic,
 * partition and offsets; TM_E_CANCELLED. `out` must be zeroed; _done in any case.
 */
enum tm_code tm_export_run(const struct tm_export_options *options, struct tm_job_env *env,
        struct tm_export_result *out, struct tm_err *err) TM_MUST_CHECK;

#endif
