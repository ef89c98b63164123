/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel - an answer that goes on: server-sent events, or the lines of a job's log.
 *
 * What comes waits in memory until MHD takes it; a client that takes nothing is let go when too much waits. A stream ends
 * with its job, when its client goes, or when the daemon stops.
 *
 * Threads: the loop's.
 */
#ifndef TM_API_CHANNEL_H
#define TM_API_CHANNEL_H

#include <sys/types.h>

#include "base/buf.h"
#include "tm_feed.h"

struct tm_request;
struct MHD_Response;

enum { TM_CHANNELS_MAX = 8 }; /* of an identity */

struct tm_channel {
    LIST_ENTRY(tm_channel) beside;
    bool listed; /* in the feed */
    struct tm_request *request;
    bool of_job;
    struct tm_id16 job;
    bool lines;              /* of the log alone, as they are */
    enum tm_log_level level; /* of lines: those and what is worse */
    const char
            *types; /* of the daemon's events: words (words.h), in the request's arena; NULL: all */
    struct tm_buf out;
    size_t taken;     /* of `out` */
    bool ended;       /* nothing more goes into `out` */
    int64_t alive_ns; /* when it has to be told next that all is well */
};
LIST_HEAD(tm_channel_list, tm_channel);

/*
 * Answer the request (of `job`, or of all events where it is NULL) with a stream; what it has to hold first is put in next. False: it was
 * refused, for its caller has too many.
 */
bool tm_channel_open(
        struct tm_request *request, const struct tm_id16 *job, bool lines, struct tm_channel **out);
/* All is in it that comes before what happens from now on: start. */
void tm_channel_start(struct tm_channel *channel);
void tm_channel_give(struct tm_channel *channel, const struct tm_feed_item *item);
/* A comment, which keeps what lies between from closing the connection. */
void tm_channel_keep_alive(struct tm_channel *channel, int64_t now_ns);
void tm_channel_end(struct tm_channel *channel); /* once what waits has been taken */
void tm_channel_free(struct tm_channel *channel);
bool tm_channel_hears(const struct tm_channel *channel, const struct tm_id16 *job);
/* For MHD, which owns it. NULL: there is no memory. */
struct MHD_Response *tm_channel_response(struct tm_request *request);

#endif
