/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restores_choice - what of a restore's body says which records, and how a plan tells it again.
 *
 * Errors are noted as body.h says. Times that are relative are absolute in the request.
 * Threads: the loop's.
 */
#ifndef TM_API_RESTORES_CHOICE_H
#define TM_API_RESTORES_CHOICE_H

#include "body.h"
#include "tm_control.h"

/* "source". */
void tm_restores_read_source(const struct tm_part *body, struct tm_restore_request *out);
/* "partitions" of the body's "topics". */
void tm_restores_read_partitions(const struct tm_part *topics, struct tm_restore_request *out);
/* "from", "windows", "skip", "subset"; after the source. */
void tm_restores_read_choice(const struct tm_part *body, struct tm_restore_request *out);
/* Add "source" and "counts_exact" to a plan's answer. */
void tm_restores_view_choice(struct tm_json *json, const struct tm_restore_plan *plan,
        const struct tm_restore_request *request);

#endif
