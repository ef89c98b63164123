/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restores_into - the fields of a restore's body that say where in the target records go, and how.
 *
 * Threads: the loop's.
 */
#ifndef TM_API_RESTORES_INTO_H
#define TM_API_RESTORES_INTO_H

#include "body.h"
#include "job/restore_into.h"

/* Names of those fields, for struct tm_known. */
#define TM_RESTORES_INTO_FIELDS \
    "partitions partition_count confirm headers transactions offsets timestamps limits"

/* Read them; errors are noted. Arrays and texts lie in the request's arena. */
void tm_restores_into_read(const struct tm_part *body, struct tm_restore_into *out);

#endif
