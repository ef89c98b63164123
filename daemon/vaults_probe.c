/* SPDX-License-Identifier: Apache-2.0 */
/* Whether vaults answer: asked by the clock, by request, and when a reload has made another one of one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/keys.h"
#include "errand.h"
#include "hooks.h"
#include "vaults_table.h"

enum {
    PROBE_EVERY_MS = 5 * 60 * 1000,
    AGAIN_MS = 1000, /* when too many errands go on */
};

struct probing {
    struct tmd *tmd;
    const struct tm_config_vault *config; /* of when it began */
    bool read_log;
    struct tmd_vault_probe probe;
    tm_done_vaults done; /* NULL: nobody waits */
    void *arg;
};

/* The commits that the catalog does not know yet. */
static enum tm_code read_log(struct tmd *tmd, const struct tm_config_vault *config,
        struct tm_vault *vault, struct tm_err *err)
{
    TM_OWN(tm_catalog_close) struct tm_catalog *catalog = NULL;
    TM_TRY(tmd_catalog(tmd, config, &catalog, err));
    struct tm_fold fold = tm_catalog_fold(catalog);
    enum tm_code code = tm_vault_refresh(vault, &fold, err);
    if (code == TM_OK || code == TM_E_ROLLED_BACK) {
        tmd_vault_alarm(config, err);
    }
    return code;
}

static enum tm_code probe_vault(struct probing *probing, struct tm_err *err)
{
    struct tm_vault *vault = NULL;
    struct tmd *tmd = probing->tmd;
    TM_OWN(tmd_lease_free) struct tmd_lease *lease = tmd_lease_new(tmd);
    TM_TRY(tmd_vault(lease, probing->config, &vault, err));
    const struct tm_ring *ring = tm_vault_ring(vault);
    tm_ring_fingerprint(ring, probing->probe.key);
    probing->probe.write_only = !tm_ring_can_read(ring);
    TM_TRY(tm_store_probe(tm_vault_store(vault), err));
    return probing->read_log ? read_log(tmd, probing->config, vault, err) : TM_OK;
}

static void probe_work(void *arg)
{
    struct probing *probing = arg;
    TM_LATER(probe_vault(probing, &probing->probe.err));
    probing->probe.done = true;
    probing->probe.at_ms = tm_now_ms();
}

static void tell_change(
        struct tmd *tmd, const struct tmd_known_vault *known, const struct tmd_vault_probe *was)
{
    bool up = known->probe.err.code == TM_OK;
    if (!up) {
        tmd_hooks_vault(tmd, known->config->name, known->probe.err.msg);
        tm_log(TM_LOG_ERROR, "vault.down", known->probe.err.msg,
                TM_LOG_STR("vault", known->config->name), TM_LOG_END);
    } else if (was->done && was->err.code != TM_OK) {
        tmd_hooks_vault(tmd, known->config->name, NULL);
        tm_log(TM_LOG_INFO, "vault.up", "answers again", TM_LOG_STR("vault", known->config->name),
                TM_LOG_END);
    }
}

static void answer_failure(const struct probing *probing)
{
    struct tm_problem problem;
    tmd_problem_of(&probing->probe.err, &problem);
    problem.status = 502; /* it is the vault that fails, whatever its reason */
    problem.slug = problem.slug != NULL && strcmp(problem.slug, "not-found") == 0
                           ? "vault-unreachable"
                           : problem.slug;
    problem.member = "vault";
    (void)snprintf(problem.value, sizeof(problem.value), "%s", probing->config->name);
    probing->done(probing->arg, NULL, 0, &problem);
}

/* What was found out is of a section that may not be in force any more. */
static void keep_probe(const struct probing *probing)
{
    struct tmd *tmd = probing->tmd;
    struct tmd_known_vault *known = tmd_vault_find(tmd, probing->config->name);
    if (known == NULL || !tm_config_same_vault(known->config, probing->config)) {
        return;
    }
    struct tmd_vault_probe was = known->probe;
    known->probe = probing->probe;
    known->probing = false;
    tell_change(tmd, known, &was);
    if (known->unread && known->probe.err.code == TM_OK) {
        known->unread = false;
        tmd_policies_reload(tmd); /* it may hold points of theirs */
    }
}

static void probe_done(void *arg)
{
    struct probing *probing = arg;
    keep_probe(probing);
    if (probing->done != NULL && probing->probe.err.code != TM_OK) {
        answer_failure(probing);
    } else {
        tmd_vaults_ask_count(probing->tmd, probing->config->name, probing->done, probing->arg);
    }
    free(probing);
}

/* False: it cannot be probed now. */
static bool probe(struct tmd *tmd, struct tmd_known_vault *known, tm_done_vaults done, void *arg)
{
    struct probing *probing = tm_xalloc(1, sizeof(*probing));
    *probing = (struct probing){
            .tmd = tmd,
            .config = known->config,
            /* Of one that others write; in others each job sees to it, but for the first time. */
            .read_log = known->config->read_only || known->unread,
            .done = done,
            .arg = arg,
    };
    if (!tmd_errand(tmd, probe_work, probe_done, probing)) {
        free(probing);
        return false;
    }
    known->probing = true;
    known->due = false;
    return true;
}

static void look(uv_timer_t *timer)
{
    struct tmd_vaults *vaults = timer->data;
    uint64_t now_ms = uv_now(timer->loop);
    bool all = now_ms >= vaults->all_due_ms;
    bool refused = false;
    if (all) {
        vaults->all_due_ms = now_ms + PROBE_EVERY_MS;
    }
    for (size_t i = 0; i < vaults->count; i++) {
        struct tmd_known_vault *known = vaults->at[i];
        known->due =
                (known->due || all) && !known->probing; /* a store that hangs is not asked twice */
        refused |= known->due && !probe(vaults->tmd, known, NULL, NULL);
    }
    uint64_t wait_ms = refused ? AGAIN_MS : vaults->all_due_ms - now_ms;
    tm_assert(uv_timer_start(timer, look, wait_ms, 0) == 0);
    uv_unref((uv_handle_t *)timer);
}

void tmd_vaults_start(struct tmd *tmd)
{
    tm_assert(uv_timer_start(&tmd->vaults->timer, look, 0, 0) == 0);
    uv_unref((uv_handle_t *)&tmd->vaults->timer);
}

void tmd_vaults_stop(struct tmd *tmd)
{
    (void)uv_timer_stop(&tmd->vaults->timer);
}

/* By request ----------------------------------------------------------------------------------- */

void tmd_vaults_probe(void *self, const char *name, const struct tm_caller *caller,
        tm_done_vaults done, void *arg)
{
    struct tmd *tmd = self;
    struct tmd_known_vault *known = tmd_vault_find_or_refuse(tmd, name, done, arg);
    if (known == NULL) {
        return;
    }
    tm_log(TM_LOG_INFO, "audit", "vault probed", TM_LOG_STR("who", caller->who),
            TM_LOG_STR("request_id", caller->request_id), TM_LOG_STR("vault", name), TM_LOG_END);
    if (!probe(tmd, known, done, arg)) {
        struct tm_problem problem;
        tmd_errand_refused(tmd, "no vault can be probed now", &problem);
        done(arg, NULL, 0, &problem);
    }
}
