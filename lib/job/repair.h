/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repair - put successors in the place of damaged packs: what is whole of them, what Kafka still holds of the
 * rest, and gaps of reason lost-in-vault for what neither has.
 *
 * A block is whole when it opens and agrees with its proofs. What is not whole is read again from the topic that
 * it came from, while that is the newest incarnation of its stream and has the same topic id: its records must be
 * those of before (same count, bytes and timestamps, and the same content proof where the damaged pack's index
 * still tells it). A compacted topic may have fewer by now; then what is left is taken and told as such.
 * One log entry does it: packs added, the damaged one dropped with them as its successors, gaps (docs/format.md).
 *
 * Nothing is given up without being told to: a missing pack may come back from a copy of the vault.
 *
 * Threads: blocks its caller's thread; uses the pool of sealers.
 */
#ifndef TM_JOB_REPAIR_H
#define TM_JOB_REPAIR_H

#include "job/verify.h"

struct tm_repair_options {
    struct tm_vault *vault;
    struct tm_catalog *catalog;
    struct tm_kafka *(*kafka)(
            void *arg, struct tm_slice cluster_id); /* NULL: nothing is read again */
    void *kafka_arg;
    bool give_up; /* what cannot be had any more becomes gaps; else such a pack is left as it is */
    int level;    /* zstd */
    /* Only packs with a finding in one of these streams; count 0: all. */
    const uint32_t *streams;
    size_t stream_count;
    size_t packs_max;    /* 0: all */
    int64_t deadline_ns; /* monotonic; 0: none */
};

/*
 * Repair the packs that have findings, one commit each; what became of each is appended to `out`, its strings in
 * `arena`. A pack that cannot be repaired is no failure: its row says why. Failures are those of vault and catalog.
 */
enum tm_code tm_repair_run(const struct tm_repair_options *options, struct tm_job_env *env,
        tm_repair_list *out, struct tm_arena *arena, struct tm_err *err) TM_MUST_CHECK;

#endif
