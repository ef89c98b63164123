/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup_worker - one topic's reading by one worker: what backup_read.c and backup_fence.c share.
 *
 * Threads: a worker belongs to its thread.
 */
#ifndef TM_JOB_BACKUP_WORKER_H
#define TM_JOB_BACKUP_WORKER_H

#include "job/backup_run.h"
#include "kafka/reader.h"

enum {
    BACKUP_ACTIVE_MAX =
            32, /* partitions read side by side by a worker: a fetch answer each is buffered */
    BACKUP_WAIT_MS = 200, /* between looks at cancel and deadline */
};

/* What a worker has in hand. */
struct backup_worker {
    struct backup_topic *topic;
    struct backup_run *run;
    struct tm_reader *reader;
    struct tm_block **open;  /* one for each partition; NULL: none */
    struct tm_block *shared; /* small runs of finished partitions */
    size_t open_bytes;       /* memory of `open` */
    size_t next_start;       /* partitions below were started or need no reading */
    bool reading;            /* past the fence: started partitions count as running */
    unsigned since_look;     /* records taken since cancel and deadline were looked at */
    struct tm_err err;       /* set: the vault side failed, and the whole run with it */
    bool *tail_due; /* of each partition: its stored record was found, and comes first once more */
    bool diverged;  /* the log is not the one that is stored: begin a new incarnation */
};

enum fence {
    FENCE_PASSED,  /* every partition that has news and has not failed goes on where it ended */
    FENCE_OTHER,   /* Kafka holds another history */
    FENCE_STOPPED, /* the run ends before all were compared */
};

/* Compare the record at each tail with what is stored, before anything is read. */
enum fence tm_backup_pass_fence(struct backup_worker *worker);

/*
 * Between the fence and the reading a log may be cut off and refilled. So a partition whose stored record was found
 * is read from that record on, which is compared again by the very fetch that its news come by.
 *
 * Where to begin: at the stored record where `tail_due` is set, else behind what is stored.
 */
int64_t tm_backup_first_offset(struct backup_worker *worker, const struct backup_part *part);
/* The first record of such a partition, or NULL: there is none up to the end. May set worker->diverged. */
void tm_backup_see_tail_again(struct backup_worker *worker, const struct backup_part *part,
        const struct tm_record *record);

#endif
