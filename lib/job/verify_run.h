/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_run - the state of one verification, shared by the files verify*.c and by nothing else.
 *
 * The run belongs to the job's thread, and with it catalog, result and findings. A pack that is looked at belongs
 * to its task until that is done; tasks run side by side on the pool of sealers.
 */
#ifndef TM_JOB_VERIFY_RUN_H
#define TM_JOB_VERIFY_RUN_H

#include <pthread.h>

#include "catalog/findings.h"
#include "job/verify.h"
#include "vault/pack_reader.h"

struct verify_run {
    const struct tm_verify_options *options;
    struct tm_job_env *env;
    struct tm_verify_result *result;
    struct tm_arena *arena;    /* the result's */
    struct tm_stream *streams; /* of the fold, by id */
    size_t stream_count;
    struct tm_store *store;
};

/* What is wrong with a pack, or with a block of it. */
struct verify_found {
    enum tm_finding_kind kind;
    int64_t block;       /* -1: the pack as a whole */
    struct tm_run *runs; /* of the log's streams; in the task's arena */
    size_t run_count;
    const char *detail;
};

/* Ranges that a verification of a point is about, by stream and partition; borrowed. */
struct verify_scope {
    const struct tm_row_part *parts;
    size_t count;
};

struct verify_task {
    struct verify_run *run;
    struct tm_kept_pack pack;
    struct tm_run *runs; /* of the pack, as the log has them */
    size_t run_count;
    const struct verify_scope *scope; /* NULL: all of it */
    bool partly;                 /* blocks are chosen: what is not found wrong need not be right */
    void *shared;                /* of the depth */
    const uint32_t *streams_due; /* sample: at least one block of each of these */
    size_t streams_due_count;
    /* What came out: */
    struct tm_err err; /* no fault, but a failure: the verification cannot go on */
    TM_VEC(struct verify_found) found;
    int64_t blocks_count;
    int64_t records_count;
    int64_t bytes_read;
    struct tm_arena arena;
    struct verify_task *next;
};

/* verify.c --------------------------------------------------------------------------------- */

/* Note a fault, of an object alone (`run` NULL) or at a run of a stream. Counts, logs, lists it. */
enum tm_code tm_verify_note(struct verify_run *run, const char *kind, const char *object,
        int64_t block, const struct tm_run *at, const char *detail,
        struct tm_err *err) TM_MUST_CHECK;
const struct tm_stream *tm_verify_stream(const struct verify_run *run, uint32_t id);
/* The id of the stream that a pack calls so; 0: the fold has none. */
uint32_t tm_verify_stream_id(const struct verify_run *run, const struct tm_pack_stream *stream);
/* May a failure to read an object be a fault of that object (and not of the way to it)? */
bool tm_verify_is_fault(enum tm_code code);

/* verify_packs.c --------------------------------------------------------------------------- */

/* Look at packs, each by a call of `look` on a thread of the pool; then note what was found. */
struct verify_packs {
    void (*look)(struct verify_task *task);
    /* May give the task something more before it is begun; NULL: nothing. *skip: leave the pack out. */
    enum tm_code (*prepare)(void *arg, struct verify_task *task, bool *skip, struct tm_err *err);
    void *arg;
    const struct tm_kept_pack *packs;
    size_t count;
};
enum tm_code tm_verify_packs(
        struct verify_run *run, const struct verify_packs *packs, struct tm_err *err) TM_MUST_CHECK;
/* For a task: the pack, or the block of it, is not right. `runs` NULL: all of the pack's. */
void tm_verify_found(struct verify_task *task, enum tm_finding_kind kind, int64_t block,
        const struct tm_run *runs, size_t run_count, const char *detail);

/* The depths ------------------------------------------------------------------------------- */

enum tm_code tm_verify_catalog(struct verify_run *run, struct tm_err *err) TM_MUST_CHECK;
enum tm_code tm_verify_scrub(struct verify_run *run, struct tm_err *err) TM_MUST_CHECK;
enum tm_code tm_verify_blocks(struct verify_run *run, struct tm_err *err) TM_MUST_CHECK;

/* verify_block.c: open the block and compare all of it with its index row; what differs is in `err`. */
struct verify_tools;
struct verify_tools *tm_verify_tools_new(struct tm_vault *vault);
void tm_verify_tools_free(struct verify_tools *tools);
TM_OWNABLE(struct verify_tools *, tm_verify_tools_free);
enum tm_code tm_verify_block(struct verify_tools *tools, struct tm_pack *pack, size_t block,
        int64_t *records, struct tm_err *err) TM_MUST_CHECK;

#endif
