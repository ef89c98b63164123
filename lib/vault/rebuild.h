/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rebuild - a new log for a vault that has lost it, made from the packs alone.
 *
 * A pack's index names streams, runs and what it depends on, so packs alone give back every range. What
 * stood in the log only is gone: points and their marks, group offsets, configurations, topic ids,
 * archive windows, and which packs had been dropped (their ranges come back). For each cluster there is
 * one new point of the policy "recovered" with all that is stored of the newest incarnation of each
 * topic; older incarnations are in older points of that policy.
 *
 * Where packs overlap (a merge and its sources, a run that was never committed and the one after it),
 * ranges are chosen so that as many offsets as can be are covered, and a merge is preferred. What that
 * leaves out, or finds contradicting, is told.
 *
 * Threads: as vault.h.
 */
#ifndef TM_VAULT_REBUILD_H
#define TM_VAULT_REBUILD_H

#include "vault/vault.h"

struct tm_rebuild_options {
    struct tm_store *store;
    const struct tm_secret *secret; /* a writer's will do; then tails are left empty */
    const char *writer;             /* "host/instance" */
    const struct tm_fold *fold; /* an empty one: the entry is tried on it before it is written */
    void (*note)(void *arg, const char *text); /* called for each thing that somebody should know */
    void *note_arg;
};

struct tm_rebuild_result {
    size_t packs;      /* in the store */
    size_t unreadable; /* of them; each had a note */
    size_t left_out;   /* readable, but all that they hold is in others */
    size_t streams;
    size_t partitions;
    int64_t records;
    size_t gaps;      /* holes between what is stored: reason `unknown` */
    size_t conflicts; /* the same offsets with another content in two packs; each had a note */
    size_t lost;      /* runs whose content is nowhere, or that overlap; each had a note */
    bool tails;       /* the last records were read: the next backup compares them */
};

/* The policy of the points that are made. */
#define TM_REBUILD_POLICY "recovered"

/*
 * Read the index of every pack and write log/0. TM_E_EXISTS when the store has any log entry: the log
 * that is there comes first. TM_E_MISSING: no slot, or no pack that can be read. TM_E_KEY: the secret
 * opens no slot. A pack that is damaged is passed over with a note; a store that fails ends it all, and
 * nothing has been written then.
 */
enum tm_code tm_vault_rebuild_log(const struct tm_rebuild_options *options,
        struct tm_rebuild_result *out, struct tm_err *err) TM_MUST_CHECK;

#endif
