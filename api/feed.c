/* SPDX-License-Identifier: Apache-2.0 */
#include "tm_feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "view.h"

enum { KEPT_ITEMS = 5000, KEPT_BYTES = 4 << 20 };

TAILQ_HEAD(item_list, tm_feed_item);

struct tm_feed {
    int64_t next_id;
    struct item_list items;
    size_t count;
    size_t bytes;
    struct tm_channel_list channels;
};

struct tm_feed *tm_feed_new(int64_t now_ms)
{
    struct tm_feed *feed = tm_xalloc(1, sizeof(*feed));
    feed->next_id = now_ms * 1000;
    TAILQ_INIT(&feed->items);
    LIST_INIT(&feed->channels);
    return feed;
}

static void drop_oldest(struct tm_feed *feed)
{
    struct tm_feed_item *oldest = TAILQ_FIRST(&feed->items);
    TAILQ_REMOVE(&feed->items, oldest, link);
    feed->count--;
    feed->bytes -= oldest->len;
    free(oldest);
}

void tm_feed_free(struct tm_feed *feed)
{
    if (feed != NULL) {
        tm_assert(LIST_EMPTY(&feed->channels));
        while (!TAILQ_EMPTY(&feed->items)) {
            drop_oldest(feed);
        }
        free(feed);
    }
}

static struct tm_feed_item *make_item(
        struct tm_feed *feed, enum tm_feed_kind kind, const char *text)
{
    size_t len = strlen(text);
    struct tm_feed_item *item = tm_xalloc(1, sizeof(*item) + len + 1);
    item->id = feed->next_id++;
    item->kind = kind;
    item->len = len;
    memcpy(item->text, text, len + 1);
    return item;
}

/* To who listens, and onto the shelf; ownership moves. */
static void give(struct tm_feed *feed, struct tm_feed_item *item)
{
    struct tm_channel *next = NULL;
    for (struct tm_channel *channel = LIST_FIRST(&feed->channels); channel != NULL;
            channel = next) {
        next = LIST_NEXT(channel, beside);
        tm_channel_give(channel, item);
    }
    if (item->kind == TM_FEED_PROGRESS) {
        free(item);
        return;
    }
    TAILQ_INSERT_TAIL(&feed->items, item, link);
    feed->count++;
    feed->bytes += item->len;
    while (feed->count > KEPT_ITEMS || feed->bytes > KEPT_BYTES) {
        drop_oldest(feed);
    }
}

static void give_job(struct tm_feed *feed, const struct tm_id16 *job, enum tm_feed_kind kind,
        const char *text, enum tm_log_level level)
{
    struct tm_feed_item *item = make_item(feed, kind, text);
    item->job = *job;
    item->level = level;
    give(feed, item);
}

static void give_warnings(struct tm_feed *feed, const struct tm_job_row *row)
{
    struct tm_arena arena = {0};
    struct tm_err err = {0};
    const struct tm_json_value *notes = NULL;
    if (row->warnings != NULL &&
            tm_json_read(tm_slice_str(row->warnings), &arena, &notes, NULL, &err) == TM_OK) {
        for (const struct tm_json_value *note = notes->first; note != NULL; note = note->next) {
            TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
            for (const struct tm_json_value *part = note->first; part != NULL; part = part->next) {
                if (part->kind == TM_JSON_STRING) {
                    tm_json_add_str(json, part->key, part->string);
                } else if (part->kind == TM_JSON_INT) {
                    tm_json_add_int(json, part->key, part->integer);
                }
            }
            char *text = tm_json_text(json);
            give_job(feed, &row->id, TM_FEED_WARNING, text, TM_LOG_WARNING);
            free(text);
        }
    }
    tm_arena_done(&arena);
}

void tm_feed_job(struct tm_feed *feed, const struct tm_job_view *job, enum tm_feed_kind kind)
{
    if (kind == TM_FEED_END) {
        give_warnings(feed, &job->row);
    }
    TM_OWN(tm_json_free) struct tm_json *json = tm_view_job(job);
    char *text = tm_json_text(json);
    give_job(feed, &job->row.id, kind, text, TM_LOG_INFO);
    free(text);
}

void tm_feed_log(
        struct tm_feed *feed, const struct tm_id16 *job, enum tm_log_level level, const char *line)
{
    give_job(feed, job, TM_FEED_LOG, line, level);
}

void tm_feed_event(struct tm_feed *feed, const char *type, const char *json)
{
    struct tm_feed_item *item = make_item(feed, TM_FEED_EVENT, json);
    (void)snprintf(item->type, sizeof(item->type), "%s", type);
    give(feed, item);
}

bool tm_feed_is_heard(const struct tm_feed *feed, const struct tm_id16 *job)
{
    const struct tm_channel *channel;
    LIST_FOREACH(channel, &feed->channels, beside)
    {
        if (tm_channel_hears(channel, job)) {
            return true;
        }
    }
    return false;
}

void tm_feed_listen(struct tm_feed *feed, struct tm_channel *channel)
{
    LIST_INSERT_HEAD(&feed->channels, channel, beside);
}

const struct tm_feed_item *tm_feed_after(const struct tm_feed *feed, int64_t after)
{
    const struct tm_feed_item *item;
    TAILQ_FOREACH(item, &feed->items, link)
    {
        if (item->id > after) {
            return item;
        }
    }
    return NULL;
}
