/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify - is what the vault says it holds there, and whole? And: put right what can be put right.
 *
 * catalog: the log once more from the store (chain, seals, state), the list of packs against it,
 * key slots. scrub: the SHA-256 of packs against their names, least recently scrubbed first; needs no
 * key. sample, full: blocks opened, decompressed and compared with ids, counts, offsets and proofs,
 * as a restore to nowhere. Each fault goes to the log (event verify.fault), into the result, and into
 * the catalog's findings, where it marks the points it touches as damaged until the pack is found
 * whole, is repaired, or is no longer in use.
 *
 * repair: a damaged pack gets successors with what is whole of it and what Kafka still holds of the
 * rest; what neither has becomes gaps of reason lost-in-vault (docs/format.md, "Fold").
 *
 * Threads: tm_verify_run() blocks its caller's thread and uses the pools of the environment.
 */
#ifndef TM_JOB_VERIFY_H
#define TM_JOB_VERIFY_H

#include "catalog/catalog.h"
#include "job/job.h"
#include "kafka/kafka.h"
#include "vault/vault.h"

enum tm_verify_depth { TM_VERIFY_CATALOG, TM_VERIFY_SCRUB, TM_VERIFY_SAMPLE, TM_VERIFY_FULL };
const char *tm_verify_depth_name(enum tm_verify_depth depth); /* "catalog", "scrub", ...; static */

enum {
    TM_VERIFY_FAULTS_MAX = 1000
}; /* listed in a result and in the log; all are counted and kept */

struct tm_verify_options {
    const char
            *name; /* the configuration's name of the vault: metrics, log lines; NULL: no metrics */
    struct tm_vault *vault;
    struct tm_catalog *catalog;
    /*
     * A scrub without any key: `vault` and `catalog` are NULL, and every pack that this store lists
     * is hashed. Faults then name no streams, and nothing is kept of them.
     */
    struct tm_store *store;
    enum tm_verify_depth depth;
    double sample_ratio;         /* of the blocks, in (0, 1]; at least one a stream and pack */
    uint64_t sample_seed;        /* 0: a new one, told in the result */
    const struct tm_id16 *point; /* its ranges alone; NULL: all that is stored. Not for scrub */
    uint64_t scrub_budget_bytes; /* of packs hashed by this run; 0: all */
    bool repair;                 /* needs a full ring to give anything up as lost */
    /* The handle for a cluster id, borrowed; NULL where there is none: nothing is read again. */
    struct tm_kafka *(*kafka)(void *arg, struct tm_slice cluster_id);
    void *kafka_arg;
    int level; /* zstd, of packs that a repair makes; 0: none */
};

/* One fault, at one range of one partition, or of an object alone. Strings lie in the result's arena. */
struct tm_verify_fault {
    const char *
            kind; /* "missing_pack", "corrupt_pack", "catalog_mismatch", "broken_log", "broken_key" */
    const char
            *object; /* "pack/ab/ab12...", "log/0000000000000007"; "" for the catalog as a whole */
    int64_t block;   /* number in the pack's index; -1: the object as a whole */
    const char *cluster_id; /* NULL, with the next one, where the fault is of no stream */
    const char *topic;
    uint32_t incarnation;
    int32_t partition; /* -1 likewise */
    int64_t first;     /* offsets, both inclusive; -1 likewise */
    int64_t last;
    int64_t points_count; /* points it touches */
    const char *detail;
};

struct tm_verify_repair { /* what became of one damaged pack */
    const char *object;
    bool repaired;        /* it has successors, or nothing of it was in use */
    int64_t records_kept; /* from what was whole of it */
    int64_t records_read; /* again, from Kafka */
    int64_t offsets_lost; /* in gaps of reason lost-in-vault */
    const char *detail;   /* "" or why it could not be repaired, or what is not as it was */
};

typedef TM_VEC(struct tm_verify_repair) tm_repair_list;

struct tm_verify_result {
    int64_t packs_count;  /* looked at */
    int64_t blocks_count; /* opened; 0 for catalog and scrub */
    int64_t records_count;
    int64_t bytes_read;                    /* from the store */
    int64_t packs_left;                    /* scrub: not looked at, beyond the budget */
    uint64_t sample_seed;                  /* sample: gives the same blocks again */
    int64_t faults_count;                  /* all of them, repaired or not */
    int64_t faults_open;                   /* findings of the vault that are left after this run */
    TM_VEC(struct tm_verify_fault) faults; /* the first TM_VERIFY_FAULTS_MAX */
    TM_VEC(struct tm_id16) points;         /* ULIDs of the points that are damaged now, ascending */
    tm_repair_list repairs;
    tm_job_notes warnings;
    struct tm_arena arena;
};
void tm_verify_result_done(struct tm_verify_result *result);

/*
 * TM_OK with *out filled in, faults or none; else why it could not be verified (TM_E_KEY: full and
 * sample need a ring with secret keys; TM_E_MISSING: no such point; TM_E_CANCELLED). `out` must be
 * zeroed; _done in any case. Faults are counted in tidemark_verify_faults_total here (where `name` is
 * set); the time of the last success is the caller's to set: faults_count is 0, and packs_left too.
 */
enum tm_code tm_verify_run(const struct tm_verify_options *options, struct tm_job_env *env,
        struct tm_verify_result *out, struct tm_err *err) TM_MUST_CHECK;

#endif
