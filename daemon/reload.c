/* SPDX-License-Identifier: Apache-2.0 */
#include "reload.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/vec.h"
#include "clusters.h"
#include "config_check.h"
#include "drills.h"
#include "errand.h"
#include "hooks.h"
#include "http.h"
#include "jobs_table.h"
#include "pauses.h"
#include "proofs.h"
#include "upkeep.h"
#include "vaults.h"

enum {
    WATCH_MS = 10 * 1000,
    AGAIN_MS = 200, /* when too many errands go on */
};

struct waiter {
    tm_done_json done;
    void *arg;
};
typedef TM_VEC(struct waiter) waiter_list;

struct tmd_reload {
    struct tmd *tmd;
    const char *path;
    TM_VEC(struct tm_config *) others;
    bool asked; /* since the one that goes on began */
    bool running;
    waiter_list waiting; /* for the next one */
    waiter_list told;    /* by the one that goes on */
    uv_timer_t again;
    uv_timer_t watch;
    struct tm_buf stamp; /* of the files that are in force; empty: not known yet */
    struct tm_buf seen;  /* by the look that goes on */
    bool looking;
    /* Of the one that goes on. */
    struct tm_config *next;
    struct tmd_tls *tls; /* of `next`; NULL: none */
    struct tm_config_report report;
    struct tm_err err;
    bool tls_told;
    struct tm_json *changes; /* an array; the answer's */
    struct tm_buf refusals;  /* a line each */
    size_t change_count;
};

static void begin(struct tmd_reload *reload);

static void due(uv_timer_t *timer)
{
    begin(timer->data);
}

struct tmd_reload *tmd_reload_new(struct tmd *tmd, const char *path)
{
    struct tmd_reload *reload = tm_xalloc(1, sizeof(*reload));
    reload->tmd = tmd;
    reload->path = path;
    tm_assert(uv_timer_init(&tmd->loop, &reload->again) == 0);
    tm_assert(uv_timer_init(&tmd->loop, &reload->watch) == 0);
    if (tmd->config->server.watch_config && !tm_config_stamp(path, tmd->config, &reload->stamp)) {
        tm_buf_clear(&reload->stamp);
    }
    reload->again.data = reload;
    reload->watch.data = reload;
    return reload;
}

void tmd_reload_free(struct tmd_reload *reload)
{
    if (reload == NULL) {
        return;
    }
    for (size_t i = 0; i < reload->others.count; i++) {
        tm_config_free(reload->others.at[i]);
    }
    tm_vec_done(&reload->others);
    tm_vec_done(&reload->waiting);
    tm_vec_done(&reload->told);
    tm_buf_done(&reload->stamp);
    tm_buf_done(&reload->seen);
    free(reload);
}

/* The end ------------------------------------------------------------------------------------- */

static void notify_ready(const struct tmd *tmd)
{
    char state[80];
    (void)snprintf(state, sizeof(state), "READY=1\nSTATUS=%zu policies", tmd->config->policy_count);
    tmd_notify(state);
}

static void answer(struct tmd_reload *reload, const char *json, const struct tm_problem *problem)
{
    waiter_list told = reload->told;
    memset(&reload->told, 0, sizeof(reload->told));
    for (size_t i = 0; i < told.count; i++) {
        told.at[i].done(told.at[i].arg, json, problem);
    }
    tm_vec_done(&told);
}

static void finish(struct tmd_reload *reload)
{
    struct tmd *tmd = reload->tmd;
    tm_config_report_done(&reload->report);
    tm_buf_done(&reload->refusals);
    tm_json_free(reload->changes);
    memset(&reload->report, 0, sizeof(reload->report));
    memset(&reload->refusals, 0, sizeof(reload->refusals));
    reload->changes = NULL;
    reload->change_count = 0;
    reload->next = NULL;
    reload->tls_told = false;
    reload->err = (struct tm_err){0};
    reload->running = false;
    if (!tmd->draining) {
        notify_ready(tmd);
    }
    if (reload->asked) {
        begin(reload);
    }
}

static const struct tm_problem draining = {.status = 503,
        .slug = "draining",
        .retry_after_s = 2,
        .detail = "the daemon is stopping"};

static void give_up(struct tmd_reload *reload)
{
    answer(reload, NULL, &draining);
    finish(reload);
}

/* The configuration in force stays: somebody believes otherwise. */
static void tell_hooks(struct tmd *tmd, const char *slug, const char *detail)
{
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "reason", slug);
    tm_json_add_str(json, "detail", detail);
    tmd_hooks_tell(tmd, TM_HOOK_CONFIG_REFUSED, NULL, "tidemarkd", json);
}

/* `lines`: what is wrong, one a line. */
static void refuse(struct tmd_reload *reload, const char *slug, const char *lines)
{
    struct tm_problem problem = {.status = 422, .slug = slug, .lines = lines};
    int first = (int)strcspn(lines, "\n");
    (void)snprintf(problem.detail, sizeof(problem.detail), "the configuration in force stays: %.*s",
            first < 800 ? first : 800, lines);
    tm_metric_set(TM_M_RELOAD_OK, TM_NO_LABELS, 0);
    for (const char *line = lines; *line != '\0'; line += strspn(line, "\n")) {
        char text[512];
        int len = (int)strcspn(line, "\n");
        (void)snprintf(text, sizeof(text), "%.*s", len, line);
        tm_log(TM_LOG_ERROR, "config.refused", text, TM_LOG_END);
        line += len;
    }
    tell_hooks(reload->tmd, slug, problem.detail);
    answer(reload, NULL, &problem);
    finish(reload);
}

static void succeed(struct tmd_reload *reload)
{
    struct tm_json *json = tm_json_object();
    tm_json_add_bool(json, "changed", reload->change_count > 0);
    (void)tm_json_add(json, "changes", reload->changes);
    reload->changes = NULL;
    char *text = tm_json_text(json);
    tm_metric_set(TM_M_RELOAD_OK, TM_NO_LABELS, 1);
    tm_metric_set(TM_M_RELOAD_TIME, TM_NO_LABELS, (double)tm_now_ms() / 1000);
    tmd_hooks_over(reload->tmd, TM_HOOK_CONFIG_REFUSED, "tidemarkd");
    tm_log(TM_LOG_INFO, "config.reloaded", "the configuration was read again",
            TM_LOG_INT("changes", (int64_t)reload->change_count), TM_LOG_END);
    answer(reload, text, NULL);
    free(text);
    tm_json_free(json);
    finish(reload);
}

/* The watch of the files ---------------------------------------------------------------------- */

/* The files' times; a disk may take its time, so not on the loop. */
static void look(void *arg)
{
    struct tmd_reload *reload = arg;
    if (!tm_config_stamp(reload->path, reload->tmd->config, &reload->seen)) {
        tm_buf_clear(&reload->seen);
    }
}

static void looked(void *arg)
{
    struct tmd_reload *reload = arg;
    reload->looking = false;
    bool known = reload->stamp.len > 0;
    bool same = tm_slice_eq(tm_buf_slice(&reload->stamp), tm_buf_slice(&reload->seen));
    if (reload->seen.len == 0 || same) {
        return; /* a file that is away for a moment comes back as another one */
    }
    tm_buf_done(&reload->stamp);
    reload->stamp = reload->seen;
    memset(&reload->seen, 0, sizeof(reload->seen));
    if (known && !reload->tmd->draining) {
        tmd_reload_ask(reload->tmd, NULL, NULL);
    }
}

static void watch(uv_timer_t *timer)
{
    struct tmd_reload *reload = timer->data;
    if (!reload->looking) {
        tm_buf_clear(&reload->seen);
        reload->looking = tmd_errand(reload->tmd, look, looked, reload);
    }
}

static void watch_files(struct tmd_reload *reload)
{
    if (!reload->tmd->config->server.watch_config) {
        (void)uv_timer_stop(&reload->watch);
    } else if (!uv_is_active((uv_handle_t *)&reload->watch)) {
        tm_assert(uv_timer_start(&reload->watch, watch, 0, WATCH_MS) == 0);
        uv_unref((uv_handle_t *)&reload->watch);
    }
}

/* Taking effect ------------------------------------------------------------------------------- */

static void pauses_known(struct tmd *tmd)
{
    if (tmd->draining) {
        give_up(tmd->reload);
        return;
    }
    tmd_policies_start(tmd);
    tmd_drills_start(tmd);
    tmd_clusters_start(tmd);
    tmd_policy_metrics(tmd);
    tmd_proofs_load(tmd); /* of those that came back */
    tmd_jobs_pump(tmd);   /* there may be room for more now */
    succeed(tmd->reload);
}

static void policies_known(struct tmd *tmd)
{
    if (tmd->draining) {
        give_up(tmd->reload);
        return;
    }
    tmd_pauses_load(tmd, pauses_known);
}

static void trim(void *tmd)
{
    tmd_sources_trim(tmd);
}

static void trimmed(void *tmd)
{
    (void)tmd;
}

static void apply(struct tmd_reload *reload)
{
    struct tmd *tmd = reload->tmd;
    struct tm_err err = {0};
    enum tm_code code = tmd_http_adopt(tmd, reload->next, reload->tls, &err);
    reload->tls = NULL;
    if (code != TM_OK) {
        tm_config_free(reload->next);
        refuse(reload, "config-invalid", err.msg);
        return;
    }
    *tm_vec_push(&reload->others) = reload->next; /* NOLINT(bugprone-sizeof-expression) */
    tmd->config = reload->next;
    tmd_keeper_adopt(tmd);
    tmd_log_level_reset(tmd);
    tm_log_set_format(tmd->config->log.format);
    tm_metrics_limit_topics((size_t)tmd->config->metrics.max_topics);
    tm_pool_grow(tmd->workers, (unsigned)tmd->config->workers.max);
    watch_files(reload);
    tmd_http_take_tokens(tmd);
    tmd_hooks_adopt(tmd);
    tmd_vaults_adopt(tmd);
    tmd_upkeep_adopt(tmd);
    tmd_clusters_adopt(tmd);
    tmd_policies_adopt(tmd);
    tmd_policies_load(tmd, policies_known);
    (void)tmd_errand(tmd, trim, trimmed, tmd); /* if not now, then with the next lease that ends */
}

static const char *change_name(enum tm_config_change change)
{
    return change == TM_CONFIG_ADDED     ? "added"
           : change == TM_CONFIG_REMOVED ? "removed"
                                         : "changed";
}

static void told(void *arg, const struct tm_config_difference *difference)
{
    struct tmd_reload *reload = arg;
    reload->tls_told |= strncmp(difference->path, "server.tls.", strlen("server.tls.")) == 0 ||
                        strcmp(difference->path, "server.client_scopes") == 0;
    if (difference->change == TM_CONFIG_RESTART) {
        tm_buf_add_text(&reload->refusals, difference->path);
        if (difference->name != NULL) {
            tm_buf_add_fmt(&reload->refusals, " (%s)", difference->name);
        }
        tm_buf_add_text(
                &reload->refusals, ": differs, and is read at start alone; restart the daemon\n");
        return;
    }
    struct tm_json *json = tm_json_push(reload->changes, tm_json_object());
    tm_json_add_str(json, "change", change_name(difference->change));
    tm_json_add_str(json, "path", difference->path);
    tm_json_add_str(json, "name", difference->name);
    reload->change_count++;
}

static void drop_next(struct tmd_reload *reload)
{
    tmd_tls_free(reload->tls);
    reload->tls = NULL;
    tm_config_free(reload->next);
}

static void loaded(void *arg)
{
    struct tmd_reload *reload = arg;
    if (reload->tmd->draining) {
        drop_next(reload);
        give_up(reload);
        return;
    }
    if (reload->err.code != TM_OK) {
        bool found = reload->report.errors > 0;
        refuse(reload, "config-invalid",
                found ? tm_buf_text(&reload->report.text) : reload->err.msg);
        return;
    }
    reload->changes = tm_json_array();
    tm_config_differ(reload->tmd->config, reload->next, told, reload);
    if (!reload->tls_told && !tmd_http_has_tls(reload->tmd, reload->tls)) { /* in the files */
        told(reload, &(struct tm_config_difference){TM_CONFIG_CHANGED, "server.tls", NULL});
    }
    if (reload->refusals.len > 0) {
        drop_next(reload);
        refuse(reload, "restart-needed", tm_buf_text(&reload->refusals));
    } else if (reload->change_count == 0) {
        drop_next(reload);
        succeed(reload);
    } else {
        apply(reload);
    }
}

/* The begin ----------------------------------------------------------------------------------- */

static void load(void *arg)
{
    struct tmd_reload *reload = arg;
    struct tm_config_load_options options = {
            .path = reload->path, .check_property = tm_kafka_check_property, .read_secrets = true};
    if (tm_config_load(&options, &reload->next, &reload->report, &reload->err) == TM_OK &&
            tmd_tls_load(reload->next, &reload->tls, &reload->err) != TM_OK) {
        tm_config_free(reload->next);
        reload->next = NULL;
    }
}

static void begin(struct tmd_reload *reload)
{
    struct tmd *tmd = reload->tmd;
    if (reload->running || !tmd->ready || tmd->draining) {
        return; /* its end, or tmd_reload_start(), comes back here */
    }
    if (!tmd_errand(tmd, load, loaded, reload)) {
        tm_assert(uv_timer_start(&reload->again, due, AGAIN_MS, 0) == 0);
        return;
    }
    char state[64];
    (void)snprintf(
            state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRId64, tm_mono_ns() / 1000);
    tmd_notify(state);
    reload->running = true;
    reload->asked = false;
    tm_vec_done(&reload->told);
    reload->told = reload->waiting;
    memset(&reload->waiting, 0, sizeof(reload->waiting));
}

void tmd_reload_ask(struct tmd *tmd, tm_done_json done, void *arg)
{
    struct tmd_reload *reload = tmd->reload;
    if (done != NULL && tmd->draining) {
        done(arg, NULL, &draining);
    } else if (done != NULL) {
        *tm_vec_push(&reload->waiting) = (struct waiter){done, arg};
    }
    reload->asked = true;
    begin(reload);
}

void tmd_reload_start(struct tmd *tmd)
{
    struct tmd_reload *reload = tmd->reload;
    tm_metric_set(TM_M_RELOAD_OK, TM_NO_LABELS, 1);
    tm_metric_set(TM_M_RELOAD_TIME, TM_NO_LABELS, (double)tm_now_ms() / 1000);
    watch_files(reload);
    if (reload->asked) {
        begin(reload);
    }
}

void tmd_reload_stop(struct tmd *tmd)
{
    struct tmd_reload *reload = tmd->reload;
    (void)uv_timer_stop(&reload->watch);
    (void)uv_timer_stop(&reload->again);
    reload->asked = false;
    for (size_t i = 0; i < reload->waiting.count; i++) {
        reload->waiting.at[i].done(reload->waiting.at[i].arg, NULL, &draining);
    }
    tm_vec_done(&reload->waiting);
}

void tmd_control_reload(void *self, const struct tm_caller *caller, tm_done_json done, void *arg)
{
    tm_log(TM_LOG_INFO, "audit", "configuration to be reloaded", TM_LOG_STR("who", caller->who),
            TM_LOG_STR("request_id", caller->request_id), TM_LOG_END);
    tmd_reload_ask(self, done, arg);
}
