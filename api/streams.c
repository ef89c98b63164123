/* SPDX-License-Identifier: Apache-2.0 */
/* Routes whose answers go on: events of a job and of the daemon, and the log of a job. */
#include <string.h>

#include "base/text.h"
#include "channel.h"
#include "jobs.h"
#include "routes.h"
#include "view.h"
#include "words.h"

enum { REPLAY_MAX = 1000 };

/* Of the header Last-Event-ID; -1: there is none, or it is none of ours. */
static int64_t last_seen(const struct tm_request *request)
{
    const char *text = tm_request_header(request, "Last-Event-ID");
    int64_t id = -1;
    struct tm_err ignored = {0};
    return text != NULL && tm_parse_i64(text, &id, &ignored) == TM_OK && id >= 0 ? id : -1;
}

static void replay(struct tm_channel *channel, int64_t after)
{
    const struct tm_feed_item *item = tm_feed_after(channel->request->api->options.feed, after);
    for (size_t i = 0; i < REPLAY_MAX && item != NULL; item = TAILQ_NEXT(item, link), i++) {
        tm_channel_give(channel, item);
    }
}

static void add_now(struct tm_channel *channel, const struct tm_job_view *job)
{
    TM_OWN(tm_json_free) struct tm_json *json = tm_view_job(job);
    char *text = tm_json_text(json);
    bool ended = tm_view_job_ended(job);
    tm_buf_add_fmt(&channel->out, "event: %s\ndata: %s\n\n", ended ? "end" : "state", text);
    channel->ended = ended;
    free(text);
}

static void events_done(
        void *arg, const struct tm_job_view *job, bool created, const struct tm_problem *problem)
{
    (void)created;
    struct tm_request *request = tm_problem_told(arg, problem);
    struct tm_channel *channel = NULL;
    if (request == NULL || !tm_channel_open(request, &job->row.id, false, &channel)) {
        return;
    }
    int64_t after = last_seen(request);
    if (after >= 0) {
        replay(channel, after);
    }
    if (!channel->ended && (after < 0 || tm_view_job_ended(job))) {
        add_now(channel,
                job); /* it ended in an earlier life, or so long ago that its end is not kept */
    }
    tm_channel_start(channel);
}

static void ask(struct tm_request *request, tm_done_job done)
{
    struct tm_id16 id;
    if (tm_problem_noted(request) || !tm_jobs_read_id(request, &id)) {
        return;
    }
    const struct tm_control *control = tm_request_control(request);
    tm_request_ask(request);
    control->ops->job(control->self, &id, 0, done, request);
}

void tm_streams_job(struct tm_request *request)
{
    ask(request, events_done);
}

/* The log of a job -------------------------------------------------------------------------- */

static const char levels[] = "error warning info debug"; /* in the order of enum tm_log_level */

static void log_done(
        void *arg, const struct tm_job_view *job, bool created, const struct tm_problem *problem)
{
    (void)created;
    struct tm_request *request = tm_problem_told(arg, problem);
    struct tm_channel *channel = NULL;
    if (request == NULL || !tm_channel_open(request, &job->row.id, true, &channel)) {
        return;
    }
    channel->level =
            (enum tm_log_level)tm_query_choice(request, "level", levels, (int)TM_LOG_DEBUG);
    const struct tm_feed_item *item = tm_feed_after(request->api->options.feed, -1);
    for (; item != NULL; item = TAILQ_NEXT(item, link)) {
        tm_channel_give(channel, item);
    }
    bool follows = tm_query_choice(request, "follow", "false true", 0) == 1;
    channel->ended = channel->ended || !follows || tm_view_job_ended(job);
    tm_channel_start(channel);
}

void tm_streams_log(struct tm_request *request)
{
    (void)tm_query_choice(request, "level", levels, 0);
    (void)tm_query_choice(request, "follow", "false true", 0);
    ask(request, log_done);
}

/* Events of the daemon ---------------------------------------------------------------------- */

void tm_streams_events(struct tm_request *request)
{
    struct tm_channel *channel = NULL;
    const char *types = tm_query_get(request, "types");
    if (tm_problem_noted(request) || !tm_channel_open(request, NULL, false, &channel)) {
        return;
    }
    if (types != NULL) { /* "a,b" as words */
        char *words = tm_arena_strdup(&request->arena, types);
        for (char *at = strchr(words, ','); at != NULL; at = strchr(at, ',')) {
            *at = ' ';
        }
        channel->types = words;
    }
    int64_t after = last_seen(request);
    if (after >= 0) {
        replay(channel, after);
    }
    tm_channel_start(channel);
}
