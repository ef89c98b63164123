/* SPDX-License-Identifier: Apache-2.0 */
/*
 * point_rules - what keeps the points of a vault, by the configuration's rules of retention as of now.
 *
 * Threads: the keeper's.
 */
#ifndef TM_DAEMON_POINT_RULES_H
#define TM_DAEMON_POINT_RULES_H

#include "tmd.h"

struct tmd_point_rule {
    struct tm_id16 ulid;
    uint32_t kept_by; /* as tm_point_answer.kept_by */
};

/*
 * Of all points whose policy is configured for that vault, by ULID; in `arena`. O(points * log(points)).
 */
enum tm_code tmd_point_rules(const struct tmd_keep *keep, size_t vault, struct tm_arena *arena,
        struct tmd_point_rule **out, size_t *count, struct tm_err *err) TM_MUST_CHECK;

/* The point's; 0 where it is not among them. */
uint32_t tmd_point_rule_of(
        const struct tmd_point_rule *rules, size_t count, const struct tm_id16 *ulid);

#endif
