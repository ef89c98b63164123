/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flush - recovery points that runs between two planned ones leave (mode: continuous).
 *
 * Each flush is a run like any other, and its point can be restored; only that it has the tag TM_FLUSH_TAG, that no rule of
 * retention counts it, and that it goes some flushes later, when the policy's newest point covers it. What is not covered (a topic that was deleted or made
 * again, a log that was cut off) makes it a point like others: its tag is taken away. A planned run's point
 * stays; where it found nothing new, the flush's point becomes the planned one's.
 *
 * Threads: blocks; vault as its header says, the catalog is the caller's own.
 */
#ifndef TM_JOB_FLUSH_H
#define TM_JOB_FLUSH_H

#include "catalog/catalog.h"
#include "vault/vault.h"

#define TM_FLUSH_TAG "tidemark:flush"

struct tm_flush_options {
    struct tm_vault *vault;
    struct tm_catalog *catalog;
    const char *policy;
    const char *cluster;  /* the configuration's name of it */
    struct tm_id16 point; /* of the run that has ended, or the newest where it made none */
    int64_t since_ms;     /* only points that were taken after it are looked at; INT64_MIN: all */
    int64_t grace_ms; /* so old a flush's point gets at least: somebody may be about to use it */
    bool planned;     /* it was a planned run, or one that was asked for */
    bool keep;        /* others may be in use: they stay until the next time */
};

/* Is it the point of a flush? */
bool tm_flush_is(const struct tm_row_mark *mark);

/* Do what the run's end means for the points of flushes. What fails is done at the end of the next one. */
enum tm_code tm_flush_settle(
        const struct tm_flush_options *options, struct tm_err *err) TM_MUST_CHECK;

#endif
