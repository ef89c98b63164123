/* SPDX-License-Identifier: Apache-2.0 */
#include "job/point_pick.h"

static bool is_asked(const struct tm_point_head *head, const struct tm_point_ask *ask)
{
    return ask->policy != NULL ? tm_slice_is(head->policy, ask->policy)
                               : tm_slice_is(head->cluster_name, ask->cluster);
}

/* One policy of one cluster: heads [from, to), the oldest first. */
static const struct tm_point_head *pick_one(
        const struct tm_point_head *heads, size_t from, size_t to, const struct tm_point_ask *ask)
{
    const struct tm_point_head *before = NULL;
    for (size_t i = from; ask->has_at && i < to; i++) {
        if (ask->as_of == TM_AS_OF_RECORD_TIME && heads[i].time_ms >= ask->at_ms) {
            return &heads[i];
        }
        before = heads[i].time_ms <= ask->at_ms ? &heads[i] : before;
    }
    return ask->has_at && ask->as_of == TM_AS_OF_CAPTURE_TIME ? before : &heads[to - 1];
}

static bool same_chain(const struct tm_point_head *a, const struct tm_point_head *b)
{
    return tm_slice_eq(a->cluster_id, b->cluster_id) && tm_slice_eq(a->policy, b->policy);
}

void tm_point_pick(const struct tm_point_head *heads, size_t count, const struct tm_point_ask *ask,
        struct tm_arena *arena, struct tm_point_picks *out)
{
    const struct tm_point_head *newest = NULL;
    for (size_t i = 0; i < count; i++) {
        if (is_asked(&heads[i], ask) && (newest == NULL || heads[i].time_ms > newest->time_ms)) {
            newest = &heads[i];
        }
    }
    *out = (struct tm_point_picks){
            .at = tm_arena_alloc(arena, count + 1, sizeof(struct tm_point_head *)),
            .newest_ms = newest != NULL ? newest->time_ms : 0,
    };
    for (size_t from = 0, to = 0; from < count; from = to) {
        for (to = from; to < count && same_chain(&heads[from], &heads[to]); to++) {
        }
        bool ours = is_asked(&heads[to - 1], ask) &&
                    tm_slice_eq(heads[from].cluster_id, newest->cluster_id);
        const struct tm_point_head *picked = ours ? pick_one(heads, from, to, ask) : NULL;
        if (picked != NULL) {
            out->at[out->count++] = picked;
        }
    }
}
