/* SPDX-License-Identifier: Apache-2.0 */
#include "upkeep.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/vec.h"
#include "vaults.h"

enum {
    LOOK_MS = 30 * 1000,       /* a timer is never set farther ahead: the wall clock may jump */
    CATCH_UP_MS = 5 * 1000,    /* after the start: what was due meanwhile */
    HISTORY = 200,             /* jobs of a kind that are looked through for it */
    AGAIN_MS = 10 * 60 * 1000, /* another job is in the vault */
    OFFSET_MAX_MS = 6 * 3600 * 1000,
    SCRUBS = 30, /* of a month: each reads that part of the vault */
    SCRUB_DEPTH = 1,
};

enum what { RETENTION, SCRUB, VERIFY };

struct chore {
    struct tmd *tmd;
    enum what what;
    bool gone; /* not configured any more: it starts nothing */
    const struct tm_config_vault *vault;
    const struct tm_config_verify *verify; /* of VERIFY */
    const struct tm_schedule *schedule;
    int64_t offset_ms;
    uv_timer_t timer;
    int64_t next_ms; /* 0: never */
};

typedef TM_VEC(struct chore *) chore_list;

struct tmd_upkeep {
    chore_list at;
    chore_list gone; /* who asked something for them may be answered yet */
    struct tm_schedule daily;
};

int64_t tmd_upkeep_offset_ms(const char *name, int64_t span_ms)
{
    struct tm_hash hash = tm_sha256_of(tm_slice_str(name));
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof(number); i++) {
        number = number << 8 | hash.bytes[i];
    }
    return span_ms > 0 ? (int64_t)(number % (uint64_t)span_ms) : 0;
}

/* "@daily" of many vaults must not be one moment; what is written as cron or @every is meant so. */
static int64_t offset_of(const struct tm_config_vault *vault)
{
    bool word =
            vault->maintenance_text[0] == '@' && strncmp(vault->maintenance_text, "@every", 6) != 0;
    int64_t quarter_ms = tm_schedule_interval_ms(&vault->maintenance) / 4;
    int64_t span_ms = quarter_ms < OFFSET_MAX_MS ? quarter_ms : OFFSET_MAX_MS;
    return word ? tmd_upkeep_offset_ms(vault->name, span_ms) : 0;
}

static void add(chore_list *list, const struct chore *chore)
{
    struct chore *copy = tm_xalloc(1, sizeof(*copy));
    *copy = *chore;
    *tm_vec_push(list) = copy; /* NOLINT(bugprone-sizeof-expression) */
}

/* What a configuration asks for; no timer is made yet. */
static void plan_chores(struct tmd_upkeep *upkeep, struct tmd *tmd, chore_list *out)
{
    const struct tm_config *config = tmd->config;
    for (size_t i = 0; i < config->vault_count; i++) {
        const struct tm_config_vault *vault = &config->vaults[i];
        if (!vault->read_only) { /* else that is its writer's */
            add(out, &(struct chore){.tmd = tmd,
                             .what = RETENTION,
                             .vault = vault,
                             .schedule = &vault->maintenance,
                             .offset_ms = offset_of(vault)});
        }
        add(out, &(struct chore){.tmd = tmd,
                         .what = SCRUB,
                         .vault = vault,
                         .schedule = &upkeep->daily,
                         .offset_ms =
                                 OFFSET_MAX_MS + tmd_upkeep_offset_ms(vault->name, OFFSET_MAX_MS)});
    }
    for (size_t i = 0; i < config->verify_count; i++) {
        const struct tm_config_verify *verify = &config->verify[i];
        add(out, &(struct chore){.tmd = tmd,
                         .what = VERIFY,
                         .vault = verify->vault,
                         .verify = verify,
                         .schedule = &verify->schedule});
    }
}

static void start_chore(struct chore *chore)
{
    tm_assert(uv_timer_init(&chore->tmd->loop, &chore->timer) == 0);
    chore->timer.data = chore;
}

struct tmd_upkeep *tmd_upkeep_new(struct tmd *tmd)
{
    struct tmd_upkeep *upkeep = tm_xalloc(1, sizeof(*upkeep));
    struct tm_err err = {0};
    enum tm_code code = tm_schedule_parse("@daily", &upkeep->daily, &err);
    tm_assert(code == TM_OK);
    plan_chores(upkeep, tmd, &upkeep->at);
    for (size_t i = 0; i < upkeep->at.count; i++) {
        start_chore(upkeep->at.at[i]);
    }
    return upkeep;
}

static void free_list(chore_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->at[i]);
    }
    tm_vec_done(list);
}

void tmd_upkeep_free(struct tmd_upkeep *upkeep)
{
    if (upkeep != NULL) {
        free_list(&upkeep->at);
        free_list(&upkeep->gone);
        free(upkeep);
    }
}

/* Starting ------------------------------------------------------------------------------------ */

static void look(uv_timer_t *timer);

static void set_timer(struct chore *chore)
{
    int64_t wait_ms = chore->next_ms - tm_now_ms();
    wait_ms = wait_ms < 0 ? 0 : wait_ms > LOOK_MS ? LOOK_MS : wait_ms;
    tm_assert(uv_timer_start(&chore->timer, look, (uint64_t)wait_ms, 0) == 0);
    uv_unref((uv_handle_t *)&chore->timer);
}

static int64_t planned_after(const struct chore *chore, int64_t after_ms)
{
    int64_t planned_ms = 0;
    bool any = tm_schedule_next(chore->schedule, after_ms - chore->offset_ms, &planned_ms);
    return any ? planned_ms + chore->offset_ms : 0;
}

static const char *name_of(const struct chore *chore)
{
    return chore->what == RETENTION ? "retention" : chore->what == SCRUB ? "scrub" : "verify";
}

static void accepted(
        void *arg, const struct tm_job_view *job, bool created, const struct tm_problem *problem)
{
    struct chore *chore = arg;
    (void)job;
    (void)created;
    if (problem == NULL || chore->tmd->draining || chore->gone) {
        return;
    }
    tm_log(TM_LOG_WARNING, "upkeep.delayed", problem->detail,
            TM_LOG_STR("vault", chore->vault->name), TM_LOG_STR("what", name_of(chore)),
            TM_LOG_END);
    int64_t again_ms = tm_now_ms() + AGAIN_MS;
    if (chore->next_ms == 0 || again_ms < chore->next_ms) {
        chore->next_ms = again_ms;
        set_timer(chore);
    }
}

/* Anything in it? An empty vault, or one that was never opened, needs none of this. */
static void counted(void *arg, const struct tm_vault_view *vaults, size_t count,
        const struct tm_problem *problem)
{
    struct chore *chore = arg;
    if (problem != NULL || count == 0 || !vaults[0].read || vaults[0].head == NULL || chore->gone ||
            chore->tmd->draining || !chore->tmd->ready) {
        return;
    }
    const struct tm_config_verify *verify = chore->verify;
    struct tm_vault_request request = {.vault = chore->vault->name, .merge = true};
    enum tm_job_kind kind = TM_JOB_VERIFY;
    if (chore->what == RETENTION) {
        kind = TM_JOB_RETENTION;
    } else if (chore->what == SCRUB) {
        int64_t budget = chore->vault->scrub_bytes_per_day;
        request.depth = SCRUB_DEPTH;
        request.budget_bytes = budget > 0 ? budget : vaults[0].stored_bytes / SCRUBS + 1;
    } else {
        request.depth = verify->depth;
        request.sample_ratio = (double)verify->sample_millionths / 1e6;
    }
    tmd_vault_job(chore->tmd, kind, &request, NULL, accepted, chore);
}

static void look(uv_timer_t *timer)
{
    struct chore *chore = timer->data;
    int64_t now_ms = tm_now_ms();
    if (now_ms < chore->next_ms) {
        set_timer(chore);
        return;
    }
    chore->next_ms = planned_after(chore, now_ms);
    if (chore->next_ms != 0) {
        set_timer(chore);
    }
    tmd_vaults_ask(chore->tmd, chore->vault->name, counted, chore);
}

/* What was due while the daemon was down ------------------------------------------------------ */

struct last {
    struct chore *chore; /* the loop's */
    enum what what;
    const char *vault;
    int64_t ended_ms; /* its last job; 0: none is known */
};

struct history {
    struct tmd *tmd;
    TM_VEC(struct last) at;
};

static bool is_of(const struct last *last, const struct tm_vault_request *request)
{
    return strcmp(request->vault, last->vault) == 0 &&
           (last->what == RETENTION || request->depth == SCRUB_DEPTH);
}

static void find_last(struct tmd_keep *keep, struct last *last)
{
    struct tm_arena arena = {0};
    struct tm_job_row *rows = NULL;
    struct tm_err err = {0};
    size_t count = 0;
    struct tm_job_query query = {
            .kinds = 1U << (last->what == RETENTION ? TM_JOB_RETENTION : TM_JOB_VERIFY),
            .since_ms = INT64_MIN,
            .limit = HISTORY,
    };
    if (tm_journal_jobs(keep->journal, &query, &arena, &rows, &count, &err) != TM_OK) {
        tm_log(TM_LOG_ERROR, "journal.failed", err.msg, TM_LOG_END);
        count = 0;
    }
    for (size_t i = 0; last->ended_ms == 0 && i < count; i++) {
        struct tm_vault_request request = {0};
        struct tm_err ignored = {0};
        if (tmd_vault_request_read(rows[i].request, &arena, &request, &ignored) == TM_OK &&
                is_of(last, &request)) {
            last->ended_ms = rows[i].finished_ms;
        }
    }
    tm_arena_done(&arena);
}

static void history_work(struct tmd_keep *keep, void *arg)
{
    struct history *history = arg;
    for (size_t i = 0; i < history->at.count; i++) {
        find_last(keep, &history->at.at[i]);
    }
}

static void history_done(void *arg)
{
    struct history *history = arg;
    int64_t now_ms = tm_now_ms();
    for (size_t i = 0; !history->tmd->draining && i < history->at.count; i++) {
        struct chore *chore = history->at.at[i].chore;
        int64_t ended_ms = history->at.at[i].ended_ms;
        int64_t planned_ms = ended_ms > 0 ? planned_after(chore, ended_ms) : 0;
        if (!chore->gone && planned_ms > 0 && planned_ms < now_ms) {
            chore->next_ms = now_ms + CATCH_UP_MS;
            set_timer(chore);
        }
    }
    tm_vec_done(&history->at);
    free(history);
}

static void ask_history(struct tmd *tmd)
{
    struct history *history = tm_xalloc(1, sizeof(*history));
    history->tmd = tmd;
    for (size_t i = 0; i < tmd->upkeep->at.count; i++) {
        struct chore *chore = tmd->upkeep->at.at[i];
        if (chore->what != VERIFY) {
            *tm_vec_push(&history->at) =
                    (struct last){.chore = chore, .what = chore->what, .vault = chore->vault->name};
        }
    }
    tmd_keeper_ask(tmd, history_work, history_done, history);
}

static void plan_first(struct chore *chore)
{
    chore->next_ms = planned_after(chore, tm_now_ms());
    if (chore->next_ms != 0) {
        set_timer(chore);
    }
}

void tmd_upkeep_start(struct tmd *tmd)
{
    ask_history(tmd);
    for (size_t i = 0; i < tmd->upkeep->at.count; i++) {
        plan_first(tmd->upkeep->at.at[i]);
    }
}

void tmd_upkeep_stop(struct tmd *tmd)
{
    for (size_t i = 0; i < tmd->upkeep->at.count; i++) {
        (void)uv_timer_stop(&tmd->upkeep->at.at[i]->timer);
    }
}

/* Another configuration ----------------------------------------------------------------------- */

/* Is it the same work at the same times? Then what was planned, or is to be tried again, stays so. */
static bool is_same(const struct chore *a, const struct chore *b)
{
    if (a->what != b->what || strcmp(a->vault->name, b->vault->name) != 0) {
        return false;
    }
    switch (a->what) {
    case RETENTION:
        return strcmp(a->vault->maintenance_text, b->vault->maintenance_text) == 0;
    case SCRUB:
        return true;
    case VERIFY:
        return tm_config_same_verify(a->verify, b->verify);
    }
    return false;
}

static struct chore *take_same(chore_list *list, const struct chore *as)
{
    for (size_t i = 0; i < list->count; i++) {
        struct chore *chore = list->at[i];
        if (chore != NULL && is_same(chore, as)) {
            list->at[i] = NULL;
            return chore;
        }
    }
    return NULL;
}

static void let_go(struct tmd_upkeep *upkeep, struct chore *chore)
{
    (void)uv_timer_stop(&chore->timer);
    chore->gone = true;
    *tm_vec_push(&upkeep->gone) = chore; /* NOLINT(bugprone-sizeof-expression) */
}

void tmd_upkeep_adopt(struct tmd *tmd)
{
    struct tmd_upkeep *upkeep = tmd->upkeep;
    chore_list before = upkeep->at;
    upkeep->at = (chore_list){0};
    plan_chores(upkeep, tmd, &upkeep->at);
    for (size_t i = 0; i < upkeep->at.count; i++) {
        struct chore *planned = upkeep->at.at[i];
        struct chore *same = take_same(&before, planned);
        if (same == NULL) {
            start_chore(planned);
            plan_first(planned);
            continue;
        }
        same->vault = planned->vault;
        same->verify = planned->verify;
        same->schedule = planned->schedule;
        upkeep->at.at[i] = same;
        free(planned);
    }
    for (size_t i = 0; i < before.count; i++) {
        if (before.at[i] != NULL) {
            let_go(upkeep, before.at[i]);
        }
    }
    tm_vec_done(&before);
}
