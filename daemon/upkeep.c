/* SPDX-License-Identifier: Apache-2.0 */
#include "upkeep.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
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
    const struct tm_config_vault *vault;
    const struct tm_config_verify *verify; /* of VERIFY */
    const struct tm_schedule *schedule;
    int64_t offset_ms;
    uv_timer_t timer;
    int64_t next_ms; /* 0: never */
};

struct tmd_upkeep {
    struct chore *at;
    size_t count;
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

static struct chore *add(struct tmd_upkeep *upkeep, struct tmd *tmd, enum what what,
        const struct tm_config_vault *vault, const struct tm_schedule *schedule)
{
    struct chore *chore = &upkeep->at[upkeep->count++];
    *chore = (struct chore){.tmd = tmd, .what = what, .vault = vault, .schedule = schedule};
    tm_assert(uv_timer_init(&tmd->loop, &chore->timer) == 0);
    chore->timer.data = chore;
    return chore;
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

struct tmd_upkeep *tmd_upkeep_new(struct tmd *tmd)
{
    const struct tm_config *config = tmd->config;
    struct tmd_upkeep *upkeep = tm_xalloc(1, sizeof(*upkeep));
    struct tm_err err = {0};
    enum tm_code code = tm_schedule_parse("@daily", &upkeep->daily, &err);
    tm_assert(code == TM_OK);
    upkeep->at = tm_xalloc(2 * config->vault_count + config->verify_count + 1, sizeof(*upkeep->at));
    for (size_t i = 0; i < config->vault_count; i++) {
        const struct tm_config_vault *vault = &config->vaults[i];
        if (!vault->read_only) { /* else that is its writer's */
            add(upkeep, tmd, RETENTION, vault, &vault->maintenance)->offset_ms = offset_of(vault);
        }
        add(upkeep, tmd, SCRUB, vault, &upkeep->daily)->offset_ms =
                OFFSET_MAX_MS + tmd_upkeep_offset_ms(vault->name, OFFSET_MAX_MS);
    }
    for (size_t i = 0; i < config->verify_count; i++) {
        const struct tm_config_verify *verify = &config->verify[i];
        add(upkeep, tmd, VERIFY, verify->vault, &verify->schedule)->verify = verify;
    }
    return upkeep;
}

void tmd_upkeep_free(struct tmd_upkeep *upkeep)
{
    if (upkeep != NULL) {
        free(upkeep->at);
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
    if (problem == NULL || chore->tmd->draining) {
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
    if (problem != NULL || count == 0 || !vaults[0].read || vaults[0].head == NULL ||
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

struct history {
    struct tmd *tmd;
    int64_t *last_ms; /* of each chore: when its last job ended; 0: none is known */
};

static bool is_of(const struct chore *chore, const struct tm_vault_request *request)
{
    return strcmp(request->vault, chore->vault->name) == 0 &&
           (chore->what == RETENTION || request->depth == SCRUB_DEPTH);
}

static void find_last(struct tmd_keep *keep, const struct chore *chore, int64_t *out)
{
    struct tm_arena arena = {0};
    struct tm_job_row *rows = NULL;
    struct tm_err err = {0};
    size_t count = 0;
    struct tm_job_query query = {
            .kinds = 1U << (chore->what == RETENTION ? TM_JOB_RETENTION : TM_JOB_VERIFY),
            .since_ms = INT64_MIN,
            .limit = HISTORY,
    };
    if (tm_journal_jobs(keep->journal, &query, &arena, &rows, &count, &err) != TM_OK) {
        tm_log(TM_LOG_ERROR, "journal.failed", err.msg, TM_LOG_END);
        count = 0;
    }
    for (size_t i = 0; *out == 0 && i < count; i++) {
        struct tm_vault_request request = {0};
        struct tm_err ignored = {0};
        if (tmd_vault_request_read(rows[i].request, &arena, &request, &ignored) == TM_OK &&
                is_of(chore, &request)) {
            *out = rows[i].finished_ms;
        }
    }
    tm_arena_done(&arena);
}

static void history_work(struct tmd_keep *keep, void *arg)
{
    struct history *history = arg;
    const struct tmd_upkeep *upkeep = history->tmd->upkeep;
    for (size_t i = 0; i < upkeep->count; i++) {
        if (upkeep->at[i].what != VERIFY) { /* what a chore is made of never changes */
            find_last(keep, &upkeep->at[i], &history->last_ms[i]);
        }
    }
}

static void history_done(void *arg)
{
    struct history *history = arg;
    struct tmd *tmd = history->tmd;
    int64_t now_ms = tm_now_ms();
    for (size_t i = 0; !tmd->draining && i < tmd->upkeep->count; i++) {
        struct chore *chore = &tmd->upkeep->at[i];
        int64_t last_ms = history->last_ms[i];
        int64_t planned_ms = last_ms > 0 ? planned_after(chore, last_ms) : 0;
        if (planned_ms > 0 && planned_ms < now_ms) {
            chore->next_ms = now_ms + CATCH_UP_MS;
            set_timer(chore);
        }
    }
    free(history->last_ms);
    free(history);
}

void tmd_upkeep_start(struct tmd *tmd)
{
    struct history *history = tm_xalloc(1, sizeof(*history));
    history->tmd = tmd;
    history->last_ms = tm_xalloc(tmd->upkeep->count + 1, sizeof(*history->last_ms));
    tmd_keeper_ask(tmd, history_work, history_done, history);
    for (size_t i = 0; i < tmd->upkeep->count; i++) {
        struct chore *chore = &tmd->upkeep->at[i];
        chore->next_ms = planned_after(chore, tm_now_ms());
        if (chore->next_ms != 0) {
            set_timer(chore);
        }
    }
}

void tmd_upkeep_stop(struct tmd *tmd)
{
    for (size_t i = 0; i < tmd->upkeep->count; i++) {
        (void)uv_timer_stop(&tmd->upkeep->at[i].timer);
    }
}
