/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retention_warn - what an operator should hear before retention surprises him. For retention.c alone.
 *
 * "frees-between-points": points of a policy get so far apart that the topic's own retention has
 * removed records between two of them, and keep_data does not hold those either (docs/retention.md).
 * "policy-not-configured": points of a policy that nobody configures stay, and keep their space.
 *
 * Threads: as the catalog's handle.
 */
#ifndef TM_JOB_RETENTION_WARN_H
#define TM_JOB_RETENTION_WARN_H

#include "job/retention.h"

/* In retention.c: the policy that a point was made by, or NULL. */
const struct tm_retention_policy *tm_retention_policy_of(
        const struct tm_retention_options *options, const struct tm_point_head *point);

/* Adds to plan->warnings; reads the plan's lines. */
enum tm_code tm_retention_warn(const struct tm_retention_options *options,
        struct tm_retention_plan *plan, struct tm_err *err) TM_MUST_CHECK;

#endif
