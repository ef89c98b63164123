/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job - what every job works with: pools, a memory budget, progress, a way to be stopped, findings.
 *
 * Jobs are blocking functions that know nothing of libuv or HTTP. They are called on a thread of
 * their own; what they share with others is in struct tm_job_env.
 *
 * Threads: progress and cancel are atomics; everything else belongs to the job's thread.
 */
#ifndef TM_JOB_JOB_H
#define TM_JOB_JOB_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/pool.h"
#include "base/vec.h"

enum tm_phase {
    TM_PHASE_QUEUED,
    TM_PHASE_PLANNING,
    TM_PHASE_READING, /* backup */
    TM_PHASE_COMMITTING,
    TM_PHASE_CREATING, /* restore */
    TM_PHASE_PRODUCING,
    TM_PHASE_PROVING,
    TM_PHASE_CHECKING, /* verify */
    TM_PHASE_REPAIRING,
    TM_PHASE_EXPIRING, /* retention */
    TM_PHASE_DROPPING,
    TM_PHASE_MERGING,
    TM_PHASE_SWEEPING,
    TM_PHASE_IMPORTING, /* import of a catalog */
    TM_PHASE_DONE,
};
const char *tm_phase_name(enum tm_phase phase); /* "planning", ...; static */

/* Written by the job and its workers, read by anybody. Zeroed at the start. */
struct tm_progress {
    atomic_int phase; /* enum tm_phase */
    _Atomic int64_t done_messages;
    _Atomic int64_t total_messages; /* an estimate where records are not known beforehand */
    _Atomic int64_t done_bytes;
    _Atomic int64_t total_bytes;
    _Atomic int64_t skipped_messages; /* of those done: they lay there already, and took no time */
    _Atomic int64_t skipped_bytes;
    _Atomic int64_t paced_ns; /* CLOCK_MONOTONIC when what is counted began; 0: with the job */
    _Atomic int64_t parts_waiting;
    _Atomic int64_t parts_running;
    _Atomic int64_t parts_done;
    _Atomic int64_t parts_failed;
};

struct tm_job_env {
    const char *job_id; /* "job_...", for log lines */
    struct tm_pool *workers;
    struct tm_pool *sealers;
    size_t memory_bytes; /* for open blocks and what is being sealed */
    atomic_bool *cancel;
    struct tm_progress *progress;
};

/* Something worth telling that did not stop the job. Static code, text in the result's arena. */
struct tm_job_note {
    const char *code; /* "topic-missing", "target-retention", ... */
    const char *detail;
    const char *topic; /* NULL: none */
    int32_t partition; /* -1: none */
};
typedef TM_VEC(struct tm_job_note) tm_job_notes;

/* Append a note, its texts copied into `arena`; `code` must be static. */
void tm_job_note_add(tm_job_notes *notes, struct tm_arena *arena, const char *code,
        const char *topic, int32_t partition, const char *detail);

bool tm_job_cancelled(const struct tm_job_env *env);

#endif
