/* SPDX-License-Identifier: Apache-2.0 */
#include "channel.h"

#include <inttypes.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "request.h"
#include "words.h"

enum {
    WAITING_MAX = 1 << 20,
    BLOCK = 4096,
    RETRY_MS = 2000,
    ALIVE_SECONDS = 15,
};

static const int64_t ns_per_second = 1000000000;

static const char *const kind_names[] = {
        [TM_FEED_STATE] = "state",
        [TM_FEED_PROGRESS] = "progress",
        [TM_FEED_WARNING] = "warning",
        [TM_FEED_LOG] = "log",
        [TM_FEED_END] = "end",
};

/* Its life ---------------------------------------------------------------------------------- */

static size_t count_of(const struct tm_request *request)
{
    size_t count = 0;
    const struct tm_request *other;
    LIST_FOREACH(other, &request->api->requests, beside)
    {
        count += other->channel != NULL && strcmp(other->who, request->who) == 0 ? 1 : 0;
    }
    return count;
}

bool tm_channel_open(
        struct tm_request *request, const struct tm_id16 *job, bool lines, struct tm_channel **out)
{
    if (count_of(request) >= TM_CHANNELS_MAX) {
        tm_request_add_header(request, "Retry-After", "%d", 1);
        tm_problem_refuse(request, 429, "rate-limited", "%s has %d streams already", request->who,
                (int)TM_CHANNELS_MAX);
        return false;
    }
    struct tm_channel *channel = tm_xalloc(1, sizeof(*channel));
    channel->request = request;
    channel->lines = lines;
    channel->level = TM_LOG_DEBUG;
    if (job != NULL) {
        channel->of_job = true;
        channel->job = *job;
    }
    if (!lines) {
        tm_buf_add_fmt(&channel->out, "retry: %d\n\n", (int)RETRY_MS);
    }
    request->channel = channel;
    request->waited = true;
    *out = channel;
    return true;
}

void tm_channel_start(struct tm_channel *channel)
{
    struct tm_buf none = {0};
    struct tm_request *request = channel->request;
    channel->alive_ns = tm_mono_ns() + ALIVE_SECONDS * ns_per_second;
    if (request->api->quiesced) {
        channel->ended = true;
    }
    if (!channel->ended) {
        channel->listed = true;
        tm_feed_listen(request->api->options.feed, channel);
    }
    tm_request_answer_text(
            request, 200, channel->lines ? "text/plain" : "text/event-stream", &none);
}

void tm_channel_free(struct tm_channel *channel)
{
    if (channel == NULL) {
        return;
    }
    if (channel->listed) {
        LIST_REMOVE(channel, beside);
    }
    tm_buf_done(&channel->out);
    free(channel);
}

/* MHD is to ask for more: there is some, or there will be none. */
static void wake(struct tm_channel *channel)
{
    struct tm_request *request = channel->request;
    if (request->suspended && request->answered) {
        request->suspended = false;
        tm_server_unwatch(request);
        MHD_resume_connection(request->connection);
        tm_server_wake(request->api);
    }
}

void tm_channel_end(struct tm_channel *channel)
{
    channel->ended = true;
    if (channel->listed) {
        channel->listed = false;
        LIST_REMOVE(channel, beside);
    }
    wake(channel);
}

/* What it hears ----------------------------------------------------------------------------- */

bool tm_channel_hears(const struct tm_channel *channel, const struct tm_id16 *job)
{
    return channel->of_job && memcmp(&channel->job, job, sizeof(*job)) == 0;
}

static bool wants(const struct tm_channel *channel, const struct tm_feed_item *item)
{
    if (!channel->of_job) {
        return item->kind == TM_FEED_EVENT &&
               (channel->types == NULL || tm_words_find(channel->types, item->type) >= 0);
    }
    if (item->kind == TM_FEED_EVENT || !tm_channel_hears(channel, &item->job)) {
        return false;
    }
    return !channel->lines || (item->kind == TM_FEED_LOG && item->level <= channel->level);
}

static void add_event(struct tm_channel *channel, const struct tm_feed_item *item)
{
    const char *type = item->kind == TM_FEED_EVENT ? item->type : kind_names[item->kind];
    tm_buf_add_fmt(&channel->out, "id: %" PRId64 "\nevent: %s\ndata: ", item->id, type);
    if (item->kind == TM_FEED_LOG) {
        TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
        tm_json_add_str(json, "level", tm_log_level_name(item->level));
        size_t len = item->len - (item->text[item->len - 1] == '\n' ? 1 : 0);
        tm_json_add_slice(json, "line", tm_slice_of(item->text, len));
        char *text = tm_json_text(json);
        tm_buf_add_text(&channel->out, text);
        free(text);
    } else {
        tm_buf_add_text(&channel->out, item->text);
    }
    tm_buf_add_text(&channel->out, "\n\n");
}

void tm_channel_give(struct tm_channel *channel, const struct tm_feed_item *item)
{
    if (channel->ended) {
        return;
    }
    bool last = item->kind == TM_FEED_END && tm_channel_hears(channel, &item->job);
    if (wants(channel, item)) {
        if (channel->lines) {
            tm_buf_add(&channel->out, item->text, item->len);
        } else {
            add_event(channel, item);
        }
        channel->alive_ns = tm_mono_ns() + ALIVE_SECONDS * ns_per_second;
    }
    if (last || channel->out.len - channel->taken > WAITING_MAX) {
        tm_channel_end(channel);
    } else if (channel->out.len > channel->taken) {
        wake(channel);
    }
}

void tm_channel_keep_alive(struct tm_channel *channel, int64_t now_ns)
{
    if (channel->ended || now_ns < channel->alive_ns) {
        return;
    }
    channel->alive_ns = now_ns + ALIVE_SECONDS * ns_per_second;
    if (!channel->lines) { /* plain text has no comments */
        tm_buf_add_text(&channel->out, ": keep-alive\n\n");
        wake(channel);
    }
}

/* Sending ----------------------------------------------------------------------------------- */

/* MHD's content reader: what waits, or wait for it. */
static ssize_t read_some(void *cls, uint64_t pos, char *buf, size_t max)
{
    struct tm_request *request = tm_request_of(cls);
    struct tm_channel *channel = request->channel;
    (void)pos;
    size_t len = channel->out.len - channel->taken;
    if (len > 0) {
        len = len < max ? len : max;
        memcpy(buf, channel->out.at + channel->taken, len);
        channel->taken += len;
        if (channel->taken == channel->out.len) {
            tm_buf_clear(&channel->out);
            channel->taken = 0;
        }
        return (ssize_t)len;
    }
    if (channel->ended) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    request->suspended = true;
    MHD_suspend_connection(request->connection);
    tm_server_watch(request);
    return 0;
}

struct MHD_Response *tm_channel_response(struct tm_request *request)
{
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_some, request, NULL);
}
