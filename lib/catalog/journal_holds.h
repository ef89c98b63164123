/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal_holds - settings of target topics that restores hold, until they are put back.
 *
 * A row is durable before the setting is changed at the cluster, and stays when it has been dealt with:
 * it then says what came of it. Rows outlive their job's row as long as something waits.
 *
 * Threads: as journal.h.
 */
#ifndef TM_CATALOG_JOURNAL_HOLDS_H
#define TM_CATALOG_JOURNAL_HOLDS_H

#include "catalog/journal.h"

/* The journal keeps their numbers. */
enum tm_hold_state {
    TM_HOLD_WAITING,  /* held, to be put back when it is due */
    TM_HOLD_PUT_BACK, /* as it was to be */
    TM_HOLD_LEFT, /* left alone: somebody changed it in between, or the cluster refuses the value */
    TM_HOLD_GONE, /* there is no such topic any more */
};
const char *tm_hold_state_name(enum tm_hold_state state); /* "held", "put-back", "left", "gone" */

struct tm_hold_row {
    struct tm_id16 job;
    const char *cluster; /* the configuration's name */
    const char *topic;
    const char *name;     /* of the setting */
    const char *held;     /* its value while it is held */
    const char *original; /* to be put back; NULL: none, the broker's default */
    int64_t due_ms;
    enum tm_hold_state state;
    const char *note; /* why it still waits, or was left; NULL: nothing to say */
    int64_t done_ms;  /* 0: it waits */
};

/* Insert or replace, by job, topic and name; durable when this returns. */
enum tm_code tm_journal_put_holds(struct tm_journal *journal, const struct tm_hold_row *rows,
        size_t count, struct tm_err *err) TM_MUST_CHECK;
/* Of a job (NULL: of all), those that wait or all; by cluster, job, topic and name, in `arena`. */
enum tm_code tm_journal_holds(struct tm_journal *journal, const struct tm_id16 *job, bool waiting,
        struct tm_arena *arena, struct tm_hold_row **out, size_t *count,
        struct tm_err *err) TM_MUST_CHECK;

#endif
