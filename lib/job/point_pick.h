/* SPDX-License-Identifier: Apache-2.0 */
/*
 * point_pick - which points "policy p, as of 14:00" or "cluster c" means.
 *
 * By record time: the first point that was taken at or after the time, since an older one cannot have what was
 * written in between; the newest one where there is none. By capture time: the newest that was taken at
 * or before it.
 *
 * Threads: pure functions.
 */
#ifndef TM_JOB_POINT_PICK_H
#define TM_JOB_POINT_PICK_H

#include "catalog/retained.h"

enum tm_as_of { TM_AS_OF_RECORD_TIME, TM_AS_OF_CAPTURE_TIME };

struct tm_point_ask {
    const char *policy;  /* or */
    const char *cluster; /* all policies of it, by the name that the points have */
    bool has_at;         /* else the newest */
    int64_t at_ms;
    enum tm_as_of as_of;
};

struct tm_point_picks {              /* heads are borrowed from those given */
    const struct tm_point_head **at; /* one a policy, by policy; in the arena */
    size_t count;
    int64_t newest_ms; /* when the newest point of these policies was taken */
};

/* `heads` as tm_catalog_point_heads() gives them. Of policies of one name it is that of the newest point's cluster. */
void tm_point_pick(const struct tm_point_head *heads, size_t count, const struct tm_point_ask *ask,
        struct tm_arena *arena, struct tm_point_picks *out);

#endif
