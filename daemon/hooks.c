/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks.h"

#include <errno.h>
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
#include "errand.h"
#include "hooks_send.h"
#include "live.h"

enum {
    QUEUE_MAX = 100,
    MARKS_MAX = 10000,
    LOOK_EVERY_MS = 1000,
    AGAIN_AFTER_MS = 5 * 60 * 1000, /* what lasts and could not be told */
};

static const int64_t waits_ms[] = {1000, 10 * 1000, 60 * 1000}; /* before it is tried again */

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

struct hook {
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

struct tmd_hooks {
    struct tmd *tmd;
    struct hook **at; /* those that are configured */
    size_t count;
    TM_VEC(struct hook *) retired; /* a test of one may go on: they stay until the end */
    uv_timer_t timer;
    bool started;
};

static void count(const struct hook *hook, enum tm_hook_event event, const char *result, int by)
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
static struct mark *find_mark(struct hook *hook, enum tm_hook_event event, const char *subject)
{
    for (size_t i = 0; i < hook->marks.count; i++) {
        if (hook->marks.at[i].event == event && strcmp(hook->marks.at[i].subject, subject) == 0) {
            return &hook->marks.at[i];
        }
    }
    return NULL;
}

/* False: the hook is to stop. */
static bool wait_until(struct hook *hook, int64_t until_ns)
{
    struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    (void)pthread_mutex_lock(&hook->lock);
    while (!atomic_load(&hook->stop) && tm_mono_ns() < until_ns) {
        (void)pthread_cond_timedwait(&hook->wake, &hook->lock, &until);
    }
    (void)pthread_mutex_unlock(&hook->lock);
    return !atomic_load(&hook->stop);
}

static void note(struct hook *hook, const struct item *item, int status, const struct tm_err *err)
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
static void soften(struct hook *hook, const struct item *item)
{
    (void)pthread_mutex_lock(&hook->lock);
    struct mark *mark = find_mark(hook, item->event, item->subject);
    if (mark != NULL && hook->config->resend_after_ms > AGAIN_AFTER_MS) {
        mark->told_ms -= hook->config->resend_after_ms - AGAIN_AFTER_MS;
    }
    (void)pthread_mutex_unlock(&hook->lock);
}

static void deliver(struct hook *hook, const struct item *item)
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
    struct hook *hook = arg;
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

static struct hook *new_hook(const struct tm_config_hook *config)
{
    static const char *const results[] = {"success", "failure", "dropped"};
    struct hook *hook = tm_xalloc(1, sizeof(*hook));
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

struct tmd_hooks *tmd_hooks_new(struct tmd *tmd)
{
    struct tmd_hooks *hooks = tm_xalloc(1, sizeof(*hooks));
    hooks->tmd = tmd;
    hooks->count = tmd->config->hook_count;
    hooks->at = tm_xalloc(hooks->count + 1, sizeof(struct hook *));
    tm_assert(uv_timer_init(&tmd->loop, &hooks->timer) == 0);
    hooks->timer.data = hooks;
    for (size_t i = 0; i < hooks->count; i++) {
        hooks->at[i] = new_hook(&tmd->config->hooks[i]);
    }
    return hooks;
}

static void join(struct hook *hook)
{
    if (!hook->joined) {
        (void)pthread_join(hook->thread, NULL);
        hook->joined = true;
    }
}

static void free_hook(struct hook *hook)
{
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

/* Its thread looks at the flag now. */
static void raise_flag(struct hook *hook, atomic_bool *flag)
{
    (void)pthread_mutex_lock(&hook->lock);
    atomic_store(flag, true);
    (void)pthread_cond_broadcast(&hook->wake);
    (void)pthread_mutex_unlock(&hook->lock);
}

static void hurry(struct tmd_hooks *hooks)
{
    for (size_t i = 0; i < hooks->count; i++) {
        raise_flag(hooks->at[i], &hooks->at[i]->stop);
    }
    for (size_t i = 0; i < hooks->retired.count; i++) {
        raise_flag(hooks->retired.at[i], &hooks->retired.at[i]->stop);
    }
}

void tmd_hooks_hurry(struct tmd *tmd)
{
    hurry(tmd->hooks);
}

void tmd_hooks_free(struct tmd_hooks *hooks)
{
    if (hooks == NULL) {
        return;
    }
    hurry(hooks);
    for (size_t i = 0; i < hooks->count; i++) {
        free_hook(hooks->at[i]);
    }
    for (size_t i = 0; i < hooks->retired.count; i++) {
        free_hook(hooks->retired.at[i]);
    }
    tm_vec_done(&hooks->retired);
    free(hooks->at);
    free(hooks);
}

static void look(uv_timer_t *timer)
{
    struct tmd_hooks *hooks = timer->data;
    tmd_hooks_look(hooks->tmd);
}

static void set_timer(struct tmd_hooks *hooks)
{
    if (hooks->started && hooks->count > 0) {
        tm_assert(uv_timer_start(&hooks->timer, look, 0, LOOK_EVERY_MS) == 0);
    } else {
        (void)uv_timer_stop(&hooks->timer);
    }
}

void tmd_hooks_start(struct tmd *tmd)
{
    tmd->hooks->started = true;
    set_timer(tmd->hooks);
}

void tmd_hooks_stop(struct tmd *tmd)
{
    tmd->hooks->started = false;
    set_timer(tmd->hooks);
}

/* The hook that goes on as it is under the configuration; NULL: there is none. It is taken out. */
static struct hook *take_same(struct tmd_hooks *hooks, const struct tm_config_hook *config)
{
    for (size_t i = 0; i < hooks->count; i++) {
        struct hook *hook = hooks->at[i];
        if (hook != NULL && tm_config_same_hook(hook->config, config)) {
            hooks->at[i] = NULL;
            return hook;
        }
    }
    return NULL;
}

static void retire(struct tmd_hooks *hooks, struct hook *hook)
{
    raise_flag(hook, &hook->retired);
    *tm_vec_push(&hooks->retired) = hook; /* NOLINT(bugprone-sizeof-expression) */
}

void tmd_hooks_adopt(struct tmd *tmd)
{
    struct tmd_hooks *hooks = tmd->hooks;
    const struct tm_config *config = tmd->config;
    struct hook **next = tm_xalloc(config->hook_count + 1, sizeof(struct hook *));
    for (size_t i = 0; i < config->hook_count; i++) {
        next[i] = take_same(hooks, &config->hooks[i]);
    }
    for (size_t i = 0; i < hooks->count; i++) {
        if (hooks->at[i] != NULL) {
            retire(hooks, hooks->at[i]);
        }
    }
    for (size_t i = 0; i < hooks->retired.count;
            i++) { /* a thread that has ended keeps its stack until then */
        if (atomic_load(&hooks->retired.at[i]->ended)) {
            join(hooks->retired.at[i]);
        }
    }
    for (size_t i = 0; i < config->hook_count; i++) {
        next[i] = next[i] != NULL ? next[i] : new_hook(&config->hooks[i]);
    }
    free(hooks->at);
    hooks->at = next;
    hooks->count = config->hook_count;
    set_timer(hooks);
}

static size_t pending_of(struct hook *hook)
{
    (void)pthread_mutex_lock(&hook->lock);
    size_t pending = hook->pending;
    (void)pthread_mutex_unlock(&hook->lock);
    return pending;
}

size_t tmd_hooks_pending(const struct tmd *tmd)
{
    const struct tmd_hooks *hooks = tmd->hooks;
    size_t pending = 0;
    for (size_t i = 0; hooks != NULL && i < hooks->count; i++) {
        pending += pending_of(hooks->at[i]);
    }
    for (size_t i = 0; hooks != NULL && i < hooks->retired.count; i++) {
        pending += pending_of(hooks->retired.at[i]);
    }
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
static bool was_told(struct hook *hook, enum tm_hook_event event, const char *subject)
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

static void enqueue(struct hook *hook, enum tm_hook_event event, const char *suffix,
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

/* What the policy is labelled with goes along, so that a receiver can tell whose it is. */
static void add_labels(const struct tmd *tmd, const char *name, struct tm_json *data)
{
    const struct tm_config_policy *policy =
            name != NULL ? tm_config_find_policy(tmd->config, name) : NULL;
    size_t count = policy != NULL ? policy->label_count : 0;
    struct tm_json *map = count > 0 ? tm_json_add(data, "labels", tm_json_object()) : NULL;
    for (size_t i = 0; i < count; i++) {
        tm_json_add_str(map, policy->labels[i].name, policy->labels[i].value);
    }
}

void tmd_hooks_tell(struct tmd *tmd, enum tm_hook_event event, const char *policy,
        const char *subject, struct tm_json *data)
{
    add_labels(tmd, policy, data);
    char *body = tmd_hook_body(tm_hook_event_name(event), subject, data);
    tmd_live_event(tmd, event, subject, body);
    for (size_t i = 0; tmd->hooks != NULL && i < tmd->hooks->count; i++) {
        struct hook *hook = tmd->hooks->at[i];
        const struct tm_config_hook *config = hook->config;
        const char *suffix = config->healthchecks              ? ping_of(config, event)
                             : (config->on & 1U << event) != 0 ? ""
                                                               : NULL;
        if (suffix == NULL || !is_of_hook(config, policy)) {
            continue;
        }
        (void)pthread_mutex_lock(&hook->lock);
        if (config->healthchecks || !tm_hook_event_lasts(event) ||
                !was_told(hook, event, subject)) {
            enqueue(hook, event, suffix, subject, body);
        }
        (void)pthread_mutex_unlock(&hook->lock);
    }
    free(body);
}

void tmd_hooks_over(struct tmd *tmd, enum tm_hook_event event, const char *subject)
{
    tmd_live_over(tmd, event, subject);
    for (size_t i = 0; tmd->hooks != NULL && i < tmd->hooks->count; i++) {
        struct hook *hook = tmd->hooks->at[i];
        (void)pthread_mutex_lock(&hook->lock);
        struct mark *mark = find_mark(hook, event, subject);
        if (mark != NULL) {
            free(mark->subject);
            *mark = hook->marks.at[--hook->marks.count];
        }
        (void)pthread_mutex_unlock(&hook->lock);
    }
}

/* The API ------------------------------------------------------------------------------------- */

static struct tm_json *view(struct hook *hook)
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

void tmd_control_hooks(void *self, tm_done_json done, void *arg)
{
    struct tmd *tmd = self;
    struct tm_json *list = tm_json_object();
    struct tm_json *items = tm_json_add(list, "items", tm_json_array());
    for (size_t i = 0; i < tmd->hooks->count; i++) {
        (void)tm_json_push(items, view(tmd->hooks->at[i]));
    }
    char *text = tm_json_text(list);
    tm_json_free(list);
    done(arg, text, NULL);
    free(text);
}

struct test {
    struct hook *hook;
    char *body;
    int status;
    struct tm_err err;
    tm_done_json done;
    void *arg;
};

static void test_work(void *arg)
{
    struct test *test = arg;
    TM_LATER(tmd_hook_send(test->hook->http, test->hook->config, "", test->body, &test->hook->stop,
            &test->status, &test->err));
}

static void test_done(void *arg)
{
    struct test *test = arg;
    if (test->err.code != TM_OK) {
        struct tm_problem problem = {.status = 502, .slug = "hook-failed", .member = "cause"};
        (void)snprintf(problem.detail, sizeof(problem.detail), "hook %s: %.900s",
                test->hook->config->name, test->err.msg);
        (void)snprintf(problem.value, sizeof(problem.value), "%s", tm_code_name(test->err.code));
        test->done(test->arg, NULL, &problem);
    } else {
        struct tm_json *json = tm_json_object();
        tm_json_add_str(json, "hook", test->hook->config->name);
        tm_json_add_int(json, "status", test->status);
        char *text = tm_json_text(json);
        test->done(test->arg, text, NULL);
        free(text);
        tm_json_free(json);
    }
    free(test->body);
    free(test);
}

void tmd_control_hook_test(
        void *self, const char *name, const struct tm_caller *caller, tm_done_json done, void *arg)
{
    struct tmd *tmd = self;
    struct tm_problem problem = {0};
    struct hook *hook = NULL;
    for (size_t i = 0; i < tmd->hooks->count; i++) {
        hook = strcmp(tmd->hooks->at[i]->config->name, name) == 0 ? tmd->hooks->at[i] : hook;
    }
    if (hook == NULL) {
        tmd_unknown(&problem, "hook", name);
        done(arg, NULL, &problem);
        return;
    }
    tm_log(TM_LOG_INFO, "audit", "hook tested", TM_LOG_STR("who", caller->who),
            TM_LOG_STR("request_id", caller->request_id), TM_LOG_STR("name", name), TM_LOG_END);
    struct test *test = tm_xalloc(1, sizeof(*test));
    *test = (struct test){.hook = hook, .done = done, .arg = arg};
    struct tm_json *data = tm_json_object();
    tm_json_add_str(data, "requested_by", caller->who);
    test->body = tmd_hook_body("hook.test", name, data);
    if (!tmd_errand(tmd, test_work, test_done, test)) {
        tmd_errand_refused(tmd, "too much is asked at once", &problem);
        done(arg, NULL, &problem);
        free(test->body);
        free(test);
    }
}
