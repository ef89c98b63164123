/* SPDX-License-Identifier: Apache-2.0 */
#include "hook.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/vec.h"
#include "hooks_send.h"

enum {
    QUEUE_MAX = 100,
    MARKS_MAX = 10000,
    AGAIN_AFTER_MS = 5 * 60 * 1000, /* what lasts and could not be told */
};

static const int64_t waits_ms[] = {1000, 10000, 60000}; /* before it is tried again */

struct item {
    STAILQ_ENTRY(item) link;
    enum tm_hook_event event;
    const char *suffix; /* static */
    char *subject;
    char *body;
};
STAILQ_HEAD(item_list, item);

struct mark { /* something that lasts, and was told */
    enum tm_hook_event event;
    char *subject;
    int64_t told_ms;
};

struct tmd_hook {
    const struct tm_config_hook *config;
    struct tm_http *http;
    pthread_t thread;
    atomic_bool stop;
    atomic_bool retired; /* not configured any more: what is queued is sent, nothing else */
    atomic_bool ended;   /* the thread */
    bool joined;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t wake;
    struct item_list queue;
    size_t pending; /* with the one that is under way */
    TM_VEC(struct mark) marks;
    int64_t last_ms; /* the last attempt; 0: none yet */
    enum tm_hook_event last_event;
    int last_status;
    char last_error[256];
};

static void count(const struct tmd_hook *hook, enum tm_hook_event event, const char *result, int by)
{
    tm_metric_add(TM_M_NOTIFICATIONS,
            TM_LABELS(hook->config->name, tm_hook_event_name(event), result), by);
}

static void free_item(struct item *item)
{
    free(item->subject);
    free(item->body);
    free(item);
}

/* The thread ---------------------------------------------------------------------------------- */

/* The caller holds the lock. */
static struct mark *find_mark(struct tmd_hook *hook, enum tm_hook_event event, const char *subject)
{
    for (size_t i = 0; i < hook->marks.count; i++) {
        if (hook->marks.at[i].event == event && strcmp(hook->marks.at[i].subject, subject) == 0) {
            return &hook->marks.at[i];
        }
    }
    return NULL;
}

/* False: the hook is to stop. */
static bool wait_until(struct tmd_hook *hook, int64_t until_ns)
{
    struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    (void)pthread_mutex_lock(&hook->lock);
    while (!atomic_load(&hook->stop) && tm_mono_ns() < until_ns) {
        (void)pthread_cond_timedwait(&hook->wake, &hook->lock, &until);
    }
    (void)pthread_mutex_unlock(&hook->lock);
    return !atomic_load(&hook->stop);
}

static void note(
        struct tmd_hook *hook, const struct item *item, int status, const struct tm_err *err)
{
    (void)pthread_mutex_lock(&hook->lock);
    hook->last_ms = tm_now_ms();
    hook->last_event = item->event;
    hook->last_status = status;
    (void)snprintf(hook->last_error, sizeof(hook->last_error), "%.255s",
            err->code != TM_OK ? err->msg : "");
    (void)pthread_mutex_unlock(&hook->lock);
}

/* The next look tells it again, but not at once. */
static void soften(struct tmd_hook *hook, const struct item *item)
{
    (void)pthread_mutex_lock(&hook->lock);
    struct mark *mark = find_mark(hook, item->event, item->subject);
    if (mark != NULL && hook->config->resend_after_ms > AGAIN_AFTER_MS) {
        mark->told_ms -= hook->config->resend_after_ms - AGAIN_AFTER_MS;
    }
    (void)pthread_mutex_unlock(&hook->lock);
}

static void deliver(struct tmd_hook *hook, const struct item *item)
{
    struct tm_err err = {0};
    for (size_t try = 0;; try++) {
        int status = 0;
        err = (struct tm_err){0};
        enum tm_code code = tmd_hook_send(
                hook->http, hook->config, item->suffix, item->body, &hook->stop, &status, &err);
        note(hook, item, status, &err);
        if (code == TM_OK) {
            count(hook, item->event, "success", 1);
            return;
        }
        bool last = code == TM_E_USAGE || code == TM_E_DENIED ||
                    try == sizeof(waits_ms) / sizeof(waits_ms[0]);
        if (last || !wait_until(hook, tm_mono_ns() + waits_ms[try] * 1000000)) {
            break;
        }
    }
    bool stopped = atomic_load(&hook->stop);
    count(hook, item->event, stopped ? "dropped" : "failure", 1);
    soften(hook, item);
    tm_log(TM_LOG_WARNING, "hook.failed", err.msg, TM_LOG_STR("hook", hook->config->name),
            TM_LOG_STR("type", tm_hook_event_name(item->event)),
            TM_LOG_STR("subject", item->subject), TM_LOG_END);
}

static void *serve(void *arg)
{
    struct tmd_hook *hook = arg;
    (void)pthread_mutex_lock(&hook->lock);
    while (!atomic_load(&hook->stop)) {
        struct item *item = STAILQ_FIRST(&hook->queue);
        if (item == NULL && atomic_load(&hook->retired)) {
            break;
        }
        if (item == NULL) {
            (void)pthread_cond_wait(&hook->wake, &hook->lock);
            continue;
        }
        STAILQ_REMOVE_HEAD(&hook->queue, link);
        (void)pthread_mutex_unlock(&hook->lock);
        deliver(hook, item);
        free_item(item);
        (void)pthread_mutex_lock(&hook->lock);
        hook->pending--;
    }
    (void)pthread_mutex_unlock(&hook->lock);
    atomic_store(&hook->ended, true);
    return NULL;
}

/* Start and stop ------------------------------------------------------------------------------ */

struct tmd_hook *tmd_hook_new(const struct tm_config_hook *config)
{
    static const char *const results[] = {"success", "failure", "dropped"};
    struct tmd_hook *hook = tm_xalloc(1, sizeof(*hook));
    pthread_condattr_t attributes;
    sigset_t all;
    sigset_t before;
    hook->config = config;
    hook->http = tmd_hook_client(config);
    STAILQ_INIT(&hook->queue);
    (void)pthread_mutex_init(&hook->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&hook->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    for (int event = 0; event < TM_HOOK_EVENTS; event++) {
        for (size_t i = 0; (config->on & 1U << event) != 0 && i < 3; i++) {
            count(hook, (enum tm_hook_event)event, results[i], 0);
        }
    }
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the main thread's */
    tm_assert(pthread_create(&hook->thread, NULL, serve, hook) == 0);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_setname_np(hook->thread, "hook");
    return hook;
}

static void join(struct tmd_hook *hook)
{
    if (!hook->joined) {
        (void)pthread_join(hook->thread, NULL);
        hook->joined = true;
    }
}

/* Its thread looks at the flag now. */
static void raise_flag(struct tmd_hook *hook, atomic_bool *flag)
{
    (void)pthread_mutex_lock(&hook->lock);
    atomic_store(flag, true);
    (void)pthread_cond_broadcast(&hook->wake);
    (void)pthread_mutex_unlock(&hook->lock);
}

void tmd_hook_hurry(struct tmd_hook *hook)
{
    raise_flag(hook, &hook->stop);
}

void tmd_hook_retire(struct tmd_hook *hook)
{
    raise_flag(hook, &hook->retired);
}

void tmd_hook_reap(struct tmd_hook *hook)
{
    if (atomic_load(&hook->ended)) {
        join(hook);
    }
}

const struct tm_config_hook *tmd_hook_config(const struct tmd_hook *hook)
{
    return hook->config;
}

void tmd_hook_free(struct tmd_hook *hook)
{
    tmd_hook_hurry(hook);
    join(hook);
    while (!STAILQ_EMPTY(&hook->queue)) {
        struct item *item = STAILQ_FIRST(&hook->queue);
        STAILQ_REMOVE_HEAD(&hook->queue, link);
        count(hook, item->event, "dropped", 1);
        free_item(item);
    }
    for (size_t i = 0; i < hook->marks.count; i++) {
        free(hook->marks.at[i].subject);
    }
    tm_vec_done(&hook->marks);
    (void)pthread_cond_destroy(&hook->wake);
    (void)pthread_mutex_destroy(&hook->lock);
    tm_http_free(hook->http);
    free(hook);
}

size_t tmd_hook_pending(struct tmd_hook *hook)
{
    (void)pthread_mutex_lock(&hook->lock);
    size_t pending = hook->pending;
    (void)pthread_mutex_unlock(&hook->lock);
    return pending;
}

/* Telling ------------------------------------------------------------------------------------- */

/* What healthchecks.io is pinged with; NULL: nothing. A run's start and failure come with its success. */
static const char *ping_of(const struct tm_config_hook *hook, enum tm_hook_event event)
{
    bool backups = (hook->on & 1U << TM_HOOK_BACKUP_SUCCEEDED) != 0;
    bool drills = (hook->on & 1U << TM_HOOK_DRILL_PASSED) != 0;
    if (event == TM_HOOK_BACKUP_STARTED) {
        return backups ? "/start" : NULL;
    }
    if (event == TM_HOOK_BACKUP_SUCCEEDED || event == TM_HOOK_DRILL_PASSED) {
        return (hook->on & 1U << event) != 0 ? "" : NULL;
    }
    if (event == TM_HOOK_BACKUP_FAILED || event == TM_HOOK_BACKUP_PARTIAL ||
            event == TM_HOOK_BACKUP_MISSED) {
        return backups ? "/fail" : NULL;
    }
    if (event == TM_HOOK_DRILL_FAILED) {
        return drills ? "/fail" : NULL;
    }
    return (hook->on & 1U << event) != 0 ? "/fail" : NULL;
}

static bool is_of_hook(const struct tm_config_hook *hook, const char *policy)
{
    for (size_t i = 0; policy != NULL && i < hook->policy_count; i++) {
        if (strcmp(hook->policies[i], policy) == 0) {
            return true;
        }
    }
    return hook->policy_count == 0;
}

/* Was it told already? Else it is from now on. The caller holds the lock. */
static bool was_told(struct tmd_hook *hook, enum tm_hook_event event, const char *subject)
{
    struct mark *mark = find_mark(hook, event, subject);
    int64_t now_ms = tm_now_ms();
    int64_t after_ms = hook->config->resend_after_ms;
    if (mark != NULL) {
        bool again = after_ms > 0 && now_ms - mark->told_ms >= after_ms;
        mark->told_ms = again ? now_ms : mark->told_ms;
        return !again;
    }
    if (hook->marks.count < MARKS_MAX) {
        char *copy = strdup(subject);
        tm_assert(copy != NULL);
        *tm_vec_push(&hook->marks) =
                (struct mark){.event = event, .subject = copy, .told_ms = now_ms};
    }
    return false;
}

static void enqueue(struct tmd_hook *hook, enum tm_hook_event event, const char *suffix,
        const char *subject, const char *body)
{
    if (hook->pending >= QUEUE_MAX) {
        count(hook, event, "dropped", 1);
        return;
    }
    struct item *item = tm_xalloc(1, sizeof(*item));
    *item = (struct item){.event = event, .suffix = suffix};
    item->subject = strdup(subject);
    item->body = strdup(body);
    tm_assert(item->subject != NULL && item->body != NULL);
    STAILQ_INSERT_TAIL(&hook->queue, item, link);
    hook->pending++;
    (void)pthread_cond_signal(&hook->wake);
}

void tmd_hook_tell(struct tmd_hook *hook, enum tm_hook_event event, const char *policy,
        const char *subject, const char *body)
{
    const struct tm_config_hook *config = hook->config;
    const char *suffix = config->healthchecks              ? ping_of(config, event)
                         : (config->on & 1U << event) != 0 ? ""
                                                           : NULL;
    if (suffix == NULL || !is_of_hook(config, policy)) {
        return;
    }
    (void)pthread_mutex_lock(&hook->lock);
    if (config->healthchecks || !tm_hook_event_lasts(event) || !was_told(hook, event, subject)) {
        enqueue(hook, event, suffix, subject, body);
    }
    (void)pthread_mutex_unlock(&hook->lock);
}

void tmd_hook_over(struct tmd_hook *hook, enum tm_hook_event event, const char *subject)
{
    (void)pthread_mutex_lock(&hook->lock);
    struct mark *mark = find_mark(hook, event, subject);
    if (mark != NULL) {
        free(mark->subject);
        *mark = hook->marks.at[--hook->marks.count];
    }
    (void)pthread_mutex_unlock(&hook->lock);
}

enum tm_code tmd_hook_try(struct tmd_hook *hook, const char *body, int *status, struct tm_err *err)
{
    return tmd_hook_send(hook->http, hook->config, "", body, &hook->stop, status, err);
}

struct tm_json *tmd_hook_view(struct tmd_hook *hook)
{
    const struct tm_config_hook *config = hook->config;
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "name", config->name);
    tm_json_add_str(json, "format", config->healthchecks ? "healthchecks" : "json");
    tm_json_add_bool(json, "signed", config->secret[0] != '\0');
    struct tm_json *on = tm_json_add(json, "on", tm_json_array());
    for (size_t i = 0; i < config->event_count; i++) {
        tm_json_push_str(on, config->events[i]);
    }
    struct tm_json *policies = tm_json_add(json, "policies", tm_json_array());
    for (size_t i = 0; i < config->policy_count; i++) {
        tm_json_push_str(policies, config->policies[i]);
    }
    (void)pthread_mutex_lock(&hook->lock);
    tm_json_add_int(json, "queued_count", (int64_t)hook->pending);
    if (hook->last_ms != 0) {
        struct tm_json *last = tm_json_add(json, "last", tm_json_object());
        tm_json_add_time(last, "at", hook->last_ms);
        tm_json_add_str(last, "type", tm_hook_event_name(hook->last_event));
        if (hook->last_status != 0) {
            tm_json_add_int(last, "status", hook->last_status);
        }
        tm_json_add_bool(last, "ok", hook->last_error[0] == '\0');
        if (hook->last_error[0] != '\0') {
            tm_json_add_str(last, "error", hook->last_error);
        }
    }
    (void)pthread_mutex_unlock(&hook->lock);
    return json;
}
