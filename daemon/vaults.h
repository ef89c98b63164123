/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vaults - what is known of each vault: whether it answers, what it holds, how much room it has.
 *
 * Probed when the daemon starts and every few minutes; counted after each job that may have changed it.
 *
 * Threads: the loop's, where a comment does not say another.
 */
#ifndef TM_DAEMON_VAULTS_H
#define TM_DAEMON_VAULTS_H

#include "tmd.h"

struct tmd_vaults *tmd_vaults_new(struct tmd *tmd);
void tmd_vaults_free(struct tmd_vaults *vaults);
void tmd_vaults_start(struct tmd *tmd); /* probes begin */
void tmd_vaults_stop(struct tmd *tmd);
/* The configuration is another one: vaults come, change and go; those that are not as they were are probed soon. */
void tmd_vaults_adopt(struct tmd *tmd);

/* Count again what the vault holds. */
void tmd_vaults_count(struct tmd *tmd, const struct tm_config_vault *vault);
void tmd_vaults_metrics(struct tmd *tmd);

/* tm_control_ops.vaults and .probe. */
void tmd_vaults_ask(void *self, const char *name, tm_done_vaults done, void *arg);
void tmd_vaults_probe(void *self, const char *name, const struct tm_caller *caller,
        tm_done_vaults done, void *arg);

#endif
