/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tm_feed - what happens, as it happens: states of jobs, their progress and log lines, events of the daemon. Given to the
 * streams that listen (channel.h), and kept for a while for those that come back.
 *
 * Ids count up and begin with the time of the start in microseconds, so that an id of an earlier life is below all of this one.
 * What is kept is bounded by number and bytes, the oldest going first; progress is not kept.
 *
 * Threads: the loop's.
 */
#ifndef TM_API_TM_FEED_H
#define TM_API_TM_FEED_H

#include <sys/queue.h>

#include "tm_control.h"

enum tm_feed_kind {
    TM_FEED_STATE,    /* of a job: its document */
    TM_FEED_PROGRESS, /* likewise */
    TM_FEED_WARNING,  /* of a job that has ended: one of its warnings */
    TM_FEED_LOG,      /* a line of a job's */
    TM_FEED_END,      /* of a job: its document; nothing of it comes after this */
    TM_FEED_EVENT,    /* of the daemon, as hooks are told it */
};

struct tm_feed_item {
    TAILQ_ENTRY(tm_feed_item) link;
    int64_t id;
    enum tm_feed_kind kind;
    struct tm_id16 job;      /* of all but TM_FEED_EVENT */
    enum tm_log_level level; /* of TM_FEED_LOG */
    char type[32];           /* of TM_FEED_EVENT: "backup.failed" */
    size_t len;
    char text[]; /* JSON without a newline, or the line of a log with its own */
};

struct tm_channel;
struct tm_feed;

struct tm_feed *tm_feed_new(int64_t now_ms);
void tm_feed_free(struct tm_feed *feed); /* no stream may listen any more */

/* `kind`: STATE, PROGRESS or END, which tells the job's warnings first. */
void tm_feed_job(struct tm_feed *feed, const struct tm_job_view *job, enum tm_feed_kind kind);
void tm_feed_log(
        struct tm_feed *feed, const struct tm_id16 *job, enum tm_log_level level, const char *line);
void tm_feed_event(struct tm_feed *feed, const char *type, const char *json);
/* Does anybody listen to that job? */
bool tm_feed_is_heard(const struct tm_feed *feed, const struct tm_id16 *job);

/* channel.c: */
void tm_feed_listen(struct tm_feed *feed, struct tm_channel *channel);
/* Items that are kept, in their order, behind `after`; NULL: the first. Next: TAILQ_NEXT. */
const struct tm_feed_item *tm_feed_after(const struct tm_feed *feed, int64_t after);

#endif
