/* SPDX-License-Identifier: Apache-2.0 */
#include "job/job.h"

#include "base/pool.h"

static const char *const phases[] = {
        [TM_PHASE_QUEUED] = "queued",
        [TM_PHASE_PLANNING] = "planning",
        [TM_PHASE_READING] = "reading",
        [TM_PHASE_COMMITTING] = "committing",
        [TM_PHASE_CREATING] = "creating",
        [TM_PHASE_PRODUCING] = "producing",
        [TM_PHASE_PROVING] = "proving",
        [TM_PHASE_CHECKING] = "checking",
        [TM_PHASE_REPAIRING] = "repairing",
        [TM_PHASE_EXPIRING] = "expiring",
        [TM_PHASE_DROPPING] = "dropping",
        [TM_PHASE_MERGING] = "merging",
        [TM_PHASE_SWEEPING] = "sweeping",
        [TM_PHASE_IMPORTING] = "importing",
        [TM_PHASE_DONE] = "done",
};

const char *tm_phase_name(enum tm_phase phase)
{
    tm_assert((size_t)phase < sizeof(phases) / sizeof(phases[0]));
    return phases[phase];
}

void tm_job_note_add(tm_job_notes *notes, struct tm_arena *arena, const char *code,
        const char *topic, int32_t partition, const char *detail)
{
    *tm_vec_push(notes) = (struct tm_job_note){
            .code = code,
            .detail = tm_arena_strdup(arena, detail),
            .topic = tm_arena_strdup(arena, topic),
            .partition = partition,
    };
}

bool tm_job_cancelled(const struct tm_job_env *env)
{
    tm_pool_beat(); /* who can be stopped is not stuck */
    return atomic_load_explicit(env->cancel, memory_order_relaxed);
}
