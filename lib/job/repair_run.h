/* SPDX-License-Identifier: Apache-2.0 */
/* repair_run - the state of one repair, shared by the files repair*.c and by nothing else. Threads: the job's. */
#ifndef TM_JOB_REPAIR_RUN_H
#define TM_JOB_REPAIR_RUN_H

#include "catalog/findings.h"
#include "job/pack_cache.h"
#include "job/repair.h"
#include "job/verify_run.h"
#include "vault/packer.h"

struct repair_run {
    const struct tm_repair_options *options;
    struct tm_job_env *env;
    struct tm_arena *arena;    /* of the caller's rows */
    struct verify_run streams; /* only its streams are set */
    tm_repair_list *out;
};

/* Offsets of a damaged pack that are to be had again from Kafka. */
struct repair_stretch {
    struct tm_run run; /* under the log's stream: what was stored */
    bool has_proof;
    struct tm_id16 proof;
    uint32_t epoch; /* of the proof */
    /* What repair_read.c found: */
    bool taken;      /* Kafka has records for [from, end of the run) */
    bool identical;  /* and they are those that were stored, all of them */
    int64_t from;    /* offsets below are lost */
    int64_t records; /* that it has */
    const char *why; /* not identical: the reason; static, or in the caller's arena */
};

/* A whole block of it, or the runs of it that the log has. */
struct repair_part {
    struct tm_run run; /* under the log's stream */
    size_t block;
    size_t index; /* of the run in the block */
};

struct repair_pack {
    struct repair_run *run;
    struct tm_kept_pack pack;
    struct tm_run *runs; /* of the log */
    size_t run_count;
    struct tm_pack_cache *cache;
    struct tm_pack *open; /* NULL: its index cannot be read, or nothing can be with this key */
    TM_VEC(struct repair_part) whole; /* by block and run */
    TM_VEC(struct repair_stretch) lost;
    struct tm_packer *packer;
    tm_packed_list packed;
    struct tm_verify_repair row;
    struct tm_arena arena;
};

/* repair_look.c: what is whole of the pack, and what is to be read again. */
enum tm_code tm_repair_look(struct repair_pack *at, struct tm_err *err) TM_MUST_CHECK;
/* Put the whole blocks, and those of the stretches that are taken, into the packer. */
enum tm_code tm_repair_copy(struct repair_pack *at, struct tm_err *err) TM_MUST_CHECK;

/* repair_read.c: ask Kafka for the stretches; a cluster that does not answer has nothing. */
enum tm_code tm_repair_ask(struct repair_pack *at, struct tm_err *err) TM_MUST_CHECK;
/* Put the records of the stretches taken into the packer. TM_E_CONFLICT: they have changed since. */
enum tm_code tm_repair_fetch(struct repair_pack *at, struct tm_err *err) TM_MUST_CHECK;

/* In repair_look.c too: records of a run into blocks of the packer, without cuts by content. */
struct repair_sink {
    struct tm_packer *packer;
    const struct tm_ring *ring;
    uint32_t stream;
    int32_t partition;
    int64_t next; /* first offset that no run covers yet */
    struct tm_block *open;
};
enum tm_code tm_repair_sink_add(
        struct repair_sink *sink, const struct tm_record *record, struct tm_err *err) TM_MUST_CHECK;
/* Cover offsets up to `end`; the sink must have been given a record. */
enum tm_code tm_repair_sink_end(
        struct repair_sink *sink, int64_t end, struct tm_err *err) TM_MUST_CHECK;

#endif
