/* SPDX-License-Identifier: Apache-2.0 */
#include "hooks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/vec.h"
#include "errand.h"
#include "hook.h"
#include "hooks_send.h"
#include "live.h"

enum { LOOK_EVERY_MS = 1000 };

struct tmd_hooks {
    struct tmd *tmd;
    struct tmd_hook **at; /* those that are configured */
    size_t count;
    TM_VEC(struct tmd_hook *) retired; /* a test of one may go on: they stay until the end */
    uv_timer_t timer;
    bool started;
};

struct tmd_hooks *tmd_hooks_new(struct tmd *tmd)
{
    struct tmd_hooks *hooks = tm_xalloc(1, sizeof(*hooks));
    hooks->tmd = tmd;
    hooks->count = tmd->config->hook_count;
    hooks->at = tm_xalloc(hooks->count + 1, sizeof(struct tmd_hook *));
    tm_assert(uv_timer_init(&tmd->loop, &hooks->timer) == 0);
    hooks->timer.data = hooks;
    for (size_t i = 0; i < hooks->count; i++) {
        hooks->at[i] = tmd_hook_new(&tmd->config->hooks[i]);
    }
    return hooks;
}

static void hurry(struct tmd_hooks *hooks)
{
    for (size_t i = 0; i < hooks->count; i++) {
        tmd_hook_hurry(hooks->at[i]);
    }
    for (size_t i = 0; i < hooks->retired.count; i++) {
        tmd_hook_hurry(hooks->retired.at[i]);
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
        tmd_hook_free(hooks->at[i]);
    }
    for (size_t i = 0; i < hooks->retired.count; i++) {
        tmd_hook_free(hooks->retired.at[i]);
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
static struct tmd_hook *take_same(struct tmd_hooks *hooks, const struct tm_config_hook *config)
{
    for (size_t i = 0; i < hooks->count; i++) {
        struct tmd_hook *hook = hooks->at[i];
        if (hook != NULL && tm_config_same_hook(tmd_hook_config(hook), config)) {
            hooks->at[i] = NULL;
            return hook;
        }
    }
    return NULL;
}

static void retire(struct tmd_hooks *hooks, struct tmd_hook *hook)
{
    tmd_hook_retire(hook);
    *tm_vec_push(&hooks->retired) = hook; /* NOLINT(bugprone-sizeof-expression) */
}

void tmd_hooks_adopt(struct tmd *tmd)
{
    struct tmd_hooks *hooks = tmd->hooks;
    const struct tm_config *config = tmd->config;
    struct tmd_hook **next = tm_xalloc(config->hook_count + 1, sizeof(struct tmd_hook *));
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
        tmd_hook_reap(hooks->retired.at[i]);
    }
    for (size_t i = 0; i < config->hook_count; i++) {
        next[i] = next[i] != NULL ? next[i] : tmd_hook_new(&config->hooks[i]);
    }
    free(hooks->at);
    hooks->at = next;
    hooks->count = config->hook_count;
    set_timer(hooks);
}

size_t tmd_hooks_pending(const struct tmd *tmd)
{
    const struct tmd_hooks *hooks = tmd->hooks;
    size_t pending = 0;
    for (size_t i = 0; hooks != NULL && i < hooks->count; i++) {
        pending += tmd_hook_pending(hooks->at[i]);
    }
    for (size_t i = 0; hooks != NULL && i < hooks->retired.count; i++) {
        pending += tmd_hook_pending(hooks->retired.at[i]);
    }
    return pending;
}

/* Telling ------------------------------------------------------------------------------------- */

/* What the policy is labelled with goes along, so that a receiver can tell whose it is. */
static void add_labels(const struct tmd *tmd, const char *name, struct tm_json *data)
{
    const struct tm_config_policy *policy =
            name != NULL ? tm_config_find_policy(tmd->config, name) : NULL;
    if (policy != NULL) {
        tm_json_add_pairs(data, "labels", policy->labels, policy->label_count);
    }
}

void tmd_hooks_tell(struct tmd *tmd, enum tm_hook_event event, const char *policy,
        const char *subject, struct tm_json *data)
{
    add_labels(tmd, policy, data);
    char *body = tmd_hook_body(tm_hook_event_name(event), subject, data);
    tmd_live_event(tmd, event, subject, body);
    for (size_t i = 0; tmd->hooks != NULL && i < tmd->hooks->count; i++) {
        tmd_hook_tell(tmd->hooks->at[i], event, policy, subject, body);
    }
    free(body);
}

void tmd_hooks_over(struct tmd *tmd, enum tm_hook_event event, const char *subject)
{
    tmd_live_over(tmd, event, subject);
    for (size_t i = 0; tmd->hooks != NULL && i < tmd->hooks->count; i++) {
        tmd_hook_over(tmd->hooks->at[i], event, subject);
    }
}

/* The API ------------------------------------------------------------------------------------- */

void tmd_control_hooks(void *self, tm_done_json done, void *arg)
{
    struct tmd *tmd = self;
    struct tm_json *list = tm_json_object();
    struct tm_json *items = tm_json_add(list, "items", tm_json_array());
    for (size_t i = 0; i < tmd->hooks->count; i++) {
        (void)tm_json_push(items, tmd_hook_view(tmd->hooks->at[i]));
    }
    char *text = tm_json_text(list);
    tm_json_free(list);
    done(arg, text, NULL);
    free(text);
}

struct test {
    struct tmd_hook *hook;
    char *body;
    int status;
    struct tm_err err;
    tm_done_json done;
    void *arg;
};

static void test_work(void *arg)
{
    struct test *test = arg;
    TM_LATER(tmd_hook_try(test->hook, test->body, &test->status, &test->err));
}

static void test_done(void *arg)
{
    struct test *test = arg;
    if (test->err.code != TM_OK) {
        struct tm_problem problem = {.status = 502, .slug = "hook-failed", .member = "cause"};
        (void)snprintf(problem.detail, sizeof(problem.detail), "hook %s: %.900s",
                tmd_hook_config(test->hook)->name, test->err.msg);
        (void)snprintf(problem.value, sizeof(problem.value), "%s", tm_code_name(test->err.code));
        test->done(test->arg, NULL, &problem);
    } else {
        struct tm_json *json = tm_json_object();
        tm_json_add_str(json, "hook", tmd_hook_config(test->hook)->name);
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
    struct tmd_hook *hook = NULL;
    for (size_t i = 0; i < tmd->hooks->count; i++) {
        hook = strcmp(tmd_hook_config(tmd->hooks->at[i])->name, name) == 0 ? tmd->hooks->at[i]
                                                                           : hook;
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
