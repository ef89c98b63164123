/* SPDX-License-Identifier: Apache-2.0 */
#include "live.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/vec.h"
#include "jobs_table.h"
#include "tm_feed.h"

enum {
    PROGRESS_MS = 250,
    STAGED_MAX =
            1000, /* lines on their way to the loop; what comes when it is full is in the log alone */
};

struct line {
    struct tm_id16 job;
    enum tm_log_level level;
    char *text;
};
typedef TM_VEC(struct line) line_list;

struct mark { /* an event that lasts and was fed */
    enum tm_hook_event event;
    char *subject;
};

struct tmd_live {
    struct tmd *tmd;
    struct tm_feed *feed;
    uv_timer_t progress;
    TM_VEC(struct mark) marks;
};

/* Lines of the log: any thread puts them in, the loop takes them out. */
static struct {
    pthread_mutex_t lock;
    struct tmd *tmd; /* NULL: nobody takes them */
    line_list lines;
} staged = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void take_lines(void *arg)
{
    struct tmd *tmd = arg;
    (void)pthread_mutex_lock(&staged.lock);
    line_list lines = staged.lines;
    memset(&staged.lines, 0, sizeof(staged.lines));
    (void)pthread_mutex_unlock(&staged.lock);
    for (size_t i = 0; i < lines.count; i++) {
        tm_feed_log(tmd->live->feed, &lines.at[i].job, lines.at[i].level, lines.at[i].text);
        free(lines.at[i].text);
    }
    tm_vec_done(&lines);
}

static void tap(enum tm_log_level level, const char *job, const char *text)
{
    struct tm_id16 id;
    if (!tm_ulid_parse(job, "job_", &id)) {
        return;
    }
    (void)pthread_mutex_lock(&staged.lock);
    bool first = staged.lines.count == 0;
    struct tmd *tmd = staged.tmd;
    if (tmd != NULL && staged.lines.count < STAGED_MAX) {
        size_t size = strlen(text) + 1;
        *tm_vec_push(&staged.lines) =
                (struct line){id, level, memcpy(tm_xalloc(size, 1), text, size)};
        if (first) {
            tmd_post(tmd, take_lines, tmd);
        }
    }
    (void)pthread_mutex_unlock(&staged.lock);
}

/* Progress ------------------------------------------------------------------------------------ */

static void tell_progress(uv_timer_t *timer)
{
    struct tmd *tmd = timer->data;
    struct tmd_job *job;
    if (tmd->jobs->running == 0) {
        (void)uv_timer_stop(timer);
        return;
    }
    TAILQ_FOREACH(job, &tmd->jobs->active, link)
    {
        struct tm_job_view view;
        if (job->started && tm_feed_is_heard(tmd->live->feed, &job->row.id)) {
            tmd_job_view(job, &view);
            if (view.live) {
                tm_feed_job(tmd->live->feed, &view, TM_FEED_PROGRESS);
            }
        }
    }
}

void tmd_live_job(struct tmd_job *job)
{
    struct tmd_live *live = job->tmd->live;
    struct tm_job_view view;
    if (live == NULL || (job->flush && !tm_feed_is_heard(live->feed, &job->row.id))) {
        return; /* hundreds an hour are no news */
    }
    tmd_job_view(job, &view);
    bool ended = view.row.finished_ms > 0;
    if (ended) {
        take_lines(job->tmd); /* what it has logged comes before its end */
    }
    tm_feed_job(live->feed, &view, ended ? TM_FEED_END : TM_FEED_STATE);
    if (job->started && !ended && !uv_is_active((uv_handle_t *)&live->progress)) {
        tm_assert(uv_timer_start(&live->progress, tell_progress, PROGRESS_MS, PROGRESS_MS) == 0);
        uv_unref((uv_handle_t *)&live->progress);
    }
}

/* Events -------------------------------------------------------------------------------------- */

static struct mark *find_mark(struct tmd_live *live, enum tm_hook_event event, const char *subject)
{
    for (size_t i = 0; i < live->marks.count; i++) {
        struct mark *mark = &live->marks.at[i];
        if (mark->event == event && strcmp(mark->subject, subject) == 0) {
            return mark;
        }
    }
    return NULL;
}

void tmd_live_event(
        struct tmd *tmd, enum tm_hook_event event, const char *subject, const char *json)
{
    struct tmd_live *live = tmd->live;
    if (live == NULL || (tm_hook_event_lasts(event) && find_mark(live, event, subject) != NULL)) {
        return;
    }
    if (tm_hook_event_lasts(event)) {
        size_t size = strlen(subject) + 1;
        *tm_vec_push(&live->marks) =
                (struct mark){event, memcpy(tm_xalloc(size, 1), subject, size)};
    }
    tm_feed_event(live->feed, tm_hook_event_name(event), json);
}

void tmd_live_over(struct tmd *tmd, enum tm_hook_event event, const char *subject)
{
    struct mark *mark = tmd->live != NULL ? find_mark(tmd->live, event, subject) : NULL;
    if (mark != NULL) {
        free(mark->subject);
        *mark = tmd->live->marks.at[--tmd->live->marks.count];
    }
}

/* Life ---------------------------------------------------------------------------------------- */

struct tmd_live *tmd_live_new(struct tmd *tmd)
{
    struct tmd_live *live = tm_xalloc(1, sizeof(*live));
    live->tmd = tmd;
    live->feed = tm_feed_new(tm_now_ms());
    live->progress.data = tmd;
    tm_assert(uv_timer_init(&tmd->loop, &live->progress) == 0);
    (void)pthread_mutex_lock(&staged.lock);
    staged.tmd = tmd;
    (void)pthread_mutex_unlock(&staged.lock);
    tm_log_set_tap(tap);
    return live;
}

void tmd_live_free(struct tmd_live *live)
{
    if (live == NULL) {
        return;
    }
    tm_log_set_tap(NULL);
    (void)pthread_mutex_lock(&staged.lock);
    staged.tmd = NULL;
    for (size_t i = 0; i < staged.lines.count; i++) {
        free(staged.lines.at[i].text);
    }
    tm_vec_done(&staged.lines);
    (void)pthread_mutex_unlock(&staged.lock);
    for (size_t i = 0; i < live->marks.count; i++) {
        free(live->marks.at[i].subject);
    }
    tm_vec_done(&live->marks);
    tm_feed_free(live->feed);
    free(live);
}

struct tm_feed *tmd_live_feed(const struct tmd *tmd)
{
    return tmd->live != NULL ? tmd->live->feed : NULL;
}
