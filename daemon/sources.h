/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sources - handles on clusters and vaults, opened when first needed, shared by all who use them at the same time.
 *
 * Who uses some holds a lease on them. A handle that nobody uses stays open while its section of the configuration is in
 * force; of a section that a reload changed or took away, it is closed with the last lease that has it.
 *
 * Threads: any; a lease belongs to one thread at a time.
 */
#ifndef TM_DAEMON_SOURCES_H
#define TM_DAEMON_SOURCES_H

#include "catalog/catalog.h"
#include "kafka/kafka.h"
#include "tm_config.h"
#include "vault/vault.h"

struct tmd;
struct tmd_lease;

struct tmd_sources *tmd_sources_new(struct tmd *tmd, const char *writer);
void tmd_sources_free(struct tmd_sources *sources); /* no lease may be there any more */
/* Close what nobody uses and the configuration does not have (any more); closing may take its time. */
void tmd_sources_trim(struct tmd *tmd);

struct tmd_lease *tmd_lease_new(struct tmd *tmd);
void tmd_lease_free(struct tmd_lease *lease); /* NULL: nothing. Closing may take its time */
TM_OWNABLE(struct tmd_lease *, tmd_lease_free);

/* The cluster's client, until the lease ends. A failure is tried again by the next call. */
enum tm_code tmd_kafka(struct tmd_lease *lease, const struct tm_config_cluster *cluster,
        bool read_uncommitted, struct tm_kafka **out, struct tm_err *err) TM_MUST_CHECK;
/*
 * The vault, until the lease ends: opened (or made, with `create: true` and no catalog that knows of one). A failure is
 * tried again by the next call.
 */
enum tm_code tmd_vault(struct tmd_lease *lease, const struct tm_config_vault *vault,
        struct tm_vault **out, struct tm_err *err) TM_MUST_CHECK;

/* sources_open.c: handles of the caller's own. */

/* Options for a client of the cluster; arrays and texts are the configuration's. */
struct tm_kafka_options tmd_kafka_options(const struct tm_config_cluster *cluster);
enum tm_code tmd_open_kafka(const struct tm_config_cluster *cluster, bool read_uncommitted,
        struct tm_kafka **out, struct tm_err *err) TM_MUST_CHECK;
/* `writer`: who commits by it, borrowed. The store is to be freed after the vault. */
enum tm_code tmd_open_vault(struct tmd *tmd, const struct tm_config_vault *vault,
        const char *writer, struct tm_store **store, struct tm_vault **out,
        struct tm_err *err) TM_MUST_CHECK;
enum tm_code tmd_catalog(struct tmd *tmd, const struct tm_config_vault *vault,
        struct tm_catalog **out, struct tm_err *err) TM_MUST_CHECK;
/*
 * Tell what came of reading the vault's log (an `err` with TM_OK: nothing wrong): a log that was
 * rolled back or replaced is an event of its own, vault.rolled-back, and a metric.
 */
void tmd_vault_alarm(const struct tm_config_vault *vault, const struct tm_err *err);

#endif
