/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proofs - when vaults were last verified and policies last drilled with success, as metrics that outlive the daemon.
 *
 * Threads: the loop's.
 */
#ifndef TM_DAEMON_PROOFS_H
#define TM_DAEMON_PROOFS_H

#include "catalog/journal_proofs.h"
#include "tmd.h"

/* It has just been so; the texts are copied. */
void tmd_proof(struct tmd *tmd, const struct tm_proof_row *row);
/* What the journal knows, of vaults and policies that are configured; at start, and after each reload. */
void tmd_proofs_load(struct tmd *tmd);

#endif
