/* SPDX-License-Identifier: Apache-2.0 */
/*
 * space - free what no point needs any more, and merge small packs.
 *
 * Four steps, each safe by itself and against every other writer, merger or sweeper of the vault:
 *   drop   one entry takes out the packs that are dead (catalog/live.h), asked anew on the very fold it
 *          is built on. No later commit can refer to them.
 *   merge  small packs are copied, ciphertext as it is, into large ones; one entry puts those in place.
 *   sweep  objects of packs that were dropped `grace_ms` ago, and orphans that are `orphan_ms` old by
 *          the store's own clock, are announced by an entry and then deleted. The store is listed
 *          before the log is read, so a pack that a commit has just taken into use is not among them.
 *   log    entries below the newest full that is `log_gc_ms` old are deleted, oldest first; a full is
 *          written when the newest one is older than that.
 * Being killed anywhere costs a part of the work, which the next run does.
 *
 * Threads: a run belongs to its thread; others may use vault and catalog file meanwhile.
 */
#ifndef TM_JOB_SPACE_H
#define TM_JOB_SPACE_H

#include "catalog/catalog.h"
#include "job/job.h"
#include "vault/vault.h"

enum tm_space_step {
    TM_SPACE_DROP = 1,
    TM_SPACE_MERGE = 2,
    TM_SPACE_SWEEP = 4,
    TM_SPACE_LOG = 8,
    TM_SPACE_ALL = 15,
};

/*
 * Begin with tm_space_defaults(). Without a clock only vault, catalog, steps (0: all) and lock_ms are looked at, and the
 * rest is as there.
 */
struct tm_space_options {
    struct tm_vault *vault;
    struct tm_catalog *catalog;
    unsigned steps;    /* of enum tm_space_step */
    int64_t grace_ms;  /* from drop to deletion: 24 h */
    int64_t orphan_ms; /* age of an object that no entry names: 24 h */
    int64_t lock_ms;   /* objects are locked for so long after they were stored: 0 */
    size_t merge_min_packs;
    uint64_t merge_small_bytes;  /* packs below are small: 16 MiB */
    int64_t merge_age_ms;        /* since they were stored: 1 h */
    uint64_t merge_target_bytes; /* of the new packs: 64 MiB */
    size_t merge_max_packs;      /* in one entry: 512 */
    int64_t log_gc_ms;           /* 7 d */
    int64_t (*now_ms)(void);     /* tm_now_ms; for tests */
};
struct tm_space_options tm_space_defaults(struct tm_vault *vault, struct tm_catalog *catalog);

struct tm_space_plan { /* bytes are stored bytes */
    int64_t packs_dead;
    int64_t bytes_dead;
    int64_t packs_waiting; /* dropped and still stored: grace or lock has not passed */
    int64_t bytes_waiting;
    int64_t packs_to_sweep; /* dropped, and to be deleted now */
    int64_t bytes_to_sweep;
    int64_t orphans;
    int64_t bytes_orphans;
    int64_t packs_to_merge;
    int64_t bytes_to_merge;
};
/* What a run would do now, with `removed` points (ids, sorted) taken as gone. Changes nothing. */
enum tm_code tm_space_plan(const struct tm_space_options *options, const uint64_t *removed,
        size_t removed_count, struct tm_space_plan *out, struct tm_err *err) TM_MUST_CHECK;

struct tm_space_result {
    int64_t packs_dropped;
    int64_t packs_swept; /* objects deleted, orphans among them */
    int64_t orphans;
    int64_t packs_merged_in;
    int64_t packs_merged_out;
    int64_t log_entries_removed;
    bool full_written;
    int64_t bytes_dropped;   /* stored bytes of the packs dropped: freed when grace has passed */
    int64_t bytes_reclaimed; /* of the objects deleted */
    int64_t bytes_rewritten; /* of the new packs of merges */
    struct tm_head head;     /* of the log, after the run */
    tm_job_notes warnings;   /* "space-locked", "space-conflict", "log-locked" */
    struct tm_arena arena;
};
void tm_space_result_done(struct tm_space_result *result);

/*
 * Do the steps, in the order drop, merge, sweep, log. TM_E_CANCELLED between two steps or packs; what
 * was done until then stays, and stands in *out in any case. `out` must be zeroed; _done in any case.
 */
enum tm_code tm_space_run(const struct tm_space_options *options, struct tm_job_env *env,
        struct tm_space_result *out, struct tm_err *err) TM_MUST_CHECK;

#endif
