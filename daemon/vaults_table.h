/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vaults_table - what the files vaults*.c share. Threads: the loop's.
 */
#ifndef TM_DAEMON_VAULTS_TABLE_H
#define TM_DAEMON_VAULTS_TABLE_H

#include "vaults.h"

struct tmd_vault_counts { /* what a vault holds, by its catalog */
    bool known;
    bool has_head;
    struct tm_head head;
    struct tm_id16 vault_id;
    struct tm_vault_totals totals;
    int64_t findings;
    int64_t looked_ms; /* at the pack that was not looked at for longest; 0: never */
    int64_t capacity_bytes;
    int64_t free_bytes;
};

struct tmd_vault_probe { /* whether it answers */
    bool done;
    int64_t at_ms;
    struct tm_err err;
    char key[17]; /* "" not opened */
    bool write_only;
};

struct tmd_known_vault {
    const struct tm_config_vault *config;
    struct tmd_vault_counts counts;
    struct tmd_vault_probe probe;
    bool probing;
    bool due;    /* to be probed as soon as it can be */
    bool unread; /* since it came with a reload: its log is not in the catalog */
    char id[2 * sizeof(struct tm_id16) + 1];
    char head[2 * sizeof(struct tm_hash) + 24];
    char where[256]; /* of a bucket */
};

struct tmd_vaults {
    struct tmd *tmd;
    struct tmd_known_vault **at; /* in the order of the configuration */
    size_t count;
    uint64_t all_due_ms; /* by the loop's clock */
    uv_timer_t timer;
};

/* NULL: none of that name, any more or at all. */
struct tmd_known_vault *tmd_vault_find(const struct tmd *tmd, const char *name);
/* The same; where there is none, `done` has been told. */
struct tmd_known_vault *tmd_vault_find_or_refuse(
        struct tmd *tmd, const char *name, tm_done_vaults done, void *arg);
/* Count what the vault (NULL: each) holds, and answer `done` (may be NULL). `vault` is a configuration's. */
void tmd_vaults_ask_count(struct tmd *tmd, const char *vault, tm_done_vaults done, void *arg);

#endif
