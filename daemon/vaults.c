/* SPDX-License-Identifier: Apache-2.0 */
#include "vaults.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "catalog/findings.h"
#include "codec/keys.h"
#include "errand.h"
#include "hooks.h"

enum { PROBE_EVERY_MS = 5 * 60 * 1000 };

struct counts { /* what a vault holds, by its catalog */
    bool known;
    bool has_head;
    struct tm_head head;
    struct tm_id16 vault_id;
    struct tm_vault_totals totals;
    int64_t findings;
    int64_t looked_ms; /* at the pack that was not looked at for longest; 0: never */
    int64_t capacity_bytes;
    int64_t free_bytes;
};

struct probe { /* whether it answers */
    bool done;
    int64_t at_ms;
    struct tm_err err;
    char key[17]; /* "" not opened */
    bool write_only;
};

struct known {
    const struct tm_config_vault *config;
    struct counts counts;
    struct probe probe;
    bool probing;
    char id[2 * sizeof(struct tm_id16) + 1];
    char head[2 * sizeof(struct tm_hash) + 24];
    char where[256]; /* of a bucket */
};

struct tmd_vaults {
    struct tmd *tmd;
    struct known *at;
    size_t count;
    uv_timer_t timer;
};

struct tmd_vaults *tmd_vaults_new(struct tmd *tmd)
{
    struct tmd_vaults *vaults = tm_xalloc(1, sizeof(*vaults));
    vaults->tmd = tmd;
    vaults->count = tmd->config->vault_count;
    vaults->at = tm_xalloc(vaults->count + 1, sizeof(*vaults->at));
    for (size_t i = 0; i < vaults->count; i++) {
        vaults->at[i].config = &tmd->config->vaults[i];
    }
    tm_assert(uv_timer_init(&tmd->loop, &vaults->timer) == 0);
    vaults->timer.data = vaults;
    return vaults;
}

void tmd_vaults_free(struct tmd_vaults *vaults)
{
    if (vaults != NULL) {
        free(vaults->at);
        free(vaults);
    }
}

/* Counting ------------------------------------------------------------------------------------ */

struct counting {
    struct tmd *tmd;
    size_t first; /* vaults [first, end) */
    size_t end;
    struct counts *counts; /* one a vault of the configuration */
    tm_done_vaults done;   /* NULL: nobody waits */
    void *arg;
};

static void count_room(const struct tm_config_vault *config, struct counts *out)
{
    struct statvfs info;
    if (config->type == TM_VAULT_DISK && statvfs(config->path, &info) == 0) {
        out->capacity_bytes = (int64_t)(info.f_blocks * info.f_frsize);
        out->free_bytes = (int64_t)(info.f_bavail * info.f_frsize);
    }
    int64_t left = config->quota - out->totals.stored_bytes;
    if (config->quota > 0 && (out->capacity_bytes == 0 || left < out->free_bytes)) {
        out->capacity_bytes = config->quota;
        out->free_bytes = left > 0 ? left : 0;
    }
}

static enum tm_code count_findings(
        struct tm_catalog *catalog, struct counts *out, struct tm_err *err)
{
    struct tm_arena arena = {0};
    struct tm_kept_pack *packs = NULL;
    size_t count = 0;
    enum tm_code code = tm_findings_count(catalog, &out->findings, err);
    if (code == TM_OK) {
        code = tm_findings_packs(catalog, true, &arena, &packs, &count, err);
    }
    out->looked_ms = code == TM_OK && count > 0 ? packs[0].looked_ms : 0;
    tm_arena_done(&arena);
    return code;
}

static enum tm_code count_one(struct tm_catalog *catalog, struct counts *out, struct tm_err *err)
{
    struct tm_fold fold = tm_catalog_fold(catalog);
    struct tm_fold_state state;
    TM_TRY(tm_catalog_vault_totals(catalog, &out->totals, err));
    TM_TRY(fold.ops->state(fold.self, &state, err));
    TM_TRY(count_findings(catalog, out, err));
    out->has_head = !state.empty;
    out->head = state.head;
    out->vault_id = state.vault_id;
    out->known = true;
    return TM_OK;
}

static void count_work(struct tmd_keep *keep, void *arg)
{
    struct counting *counting = arg;
    for (size_t i = counting->first; i < counting->end; i++) {
        struct tm_err err = {0};
        if (keep->catalogs[i] != NULL &&
                count_one(keep->catalogs[i], &counting->counts[i], &err) != TM_OK) {
            tm_log(TM_LOG_ERROR, "catalog.unusable", err.msg,
                    TM_LOG_STR("vault", keep->config->vaults[i].name), TM_LOG_END);
        }
        count_room(&keep->config->vaults[i], &counting->counts[i]);
    }
}

static const char *type_name(const struct tm_config_vault *config)
{
    return config->type == TM_VAULT_S3 ? "s3" : "disk";
}

/* The bucket as the store's own messages call it. */
static const char *bucket_of(struct known *known)
{
    const struct tm_config_s3 *s3 = &known->config->s3;
    size_t prefix = strlen(s3->prefix);
    prefix -= prefix > 0 && s3->prefix[prefix - 1] == '/' ? 1 : 0;
    (void)snprintf(known->where, sizeof(known->where), "s3://%s%s%.*s", s3->bucket,
            prefix > 0 ? "/" : "", (int)prefix, s3->prefix);
    return known->where;
}

static void view(struct known *known, struct tm_vault_view *out)
{
    const struct counts *counts = &known->counts;
    const struct probe *probe = &known->probe;
    *out = (struct tm_vault_view){
            .name = known->config->name,
            .type = type_name(known->config),
            .where = known->config->path,
            .opened = probe->done,
            .up = probe->err.code == TM_OK,
            .probed_ms = probe->at_ms,
            .why = probe->err.code != TM_OK ? probe->err.msg : NULL,
            .read = counts->known,
            .key = probe->key[0] != '\0' ? probe->key : NULL,
            .write_only = probe->write_only,
            .read_only = known->config->read_only,
            .points = counts->totals.points,
            .packs = counts->totals.packs,
            .stored_bytes = counts->totals.stored_bytes,
            .source_bytes = counts->totals.source_bytes,
            .capacity_bytes = counts->capacity_bytes,
            .free_bytes = counts->free_bytes,
            .findings = counts->findings,
            .scrubbed_ms = counts->looked_ms,
    };
    if (known->config->type == TM_VAULT_S3) {
        out->where = bucket_of(known);
    }
    if (counts->has_head) {
        char hash[2 * sizeof(counts->head.hash.bytes) + 1];
        tm_hex(counts->head.hash.bytes, sizeof(counts->head.hash.bytes), hash);
        (void)snprintf(known->head, sizeof(known->head), "%" PRIu64 ":%s", counts->head.seq, hash);
        tm_hex(counts->vault_id.bytes, sizeof(counts->vault_id.bytes), known->id);
        out->head = known->head;
        out->vault_id = known->id;
    }
}

static void count_done(void *arg)
{
    struct counting *counting = arg;
    struct tmd_vaults *vaults = counting->tmd->vaults;
    struct tm_vault_view *views = tm_xalloc(vaults->count + 1, sizeof(*views));
    for (size_t i = counting->first; i < counting->end; i++) {
        vaults->at[i].counts = counting->counts[i];
        view(&vaults->at[i], &views[i]);
    }
    if (counting->done != NULL) {
        counting->done(
                counting->arg, views + counting->first, counting->end - counting->first, NULL);
    }
    free(views);
    free(counting->counts);
    free(counting);
}

static void ask_count(struct tmd *tmd, size_t first, size_t end, tm_done_vaults done, void *arg)
{
    struct counting *counting = tm_xalloc(1, sizeof(*counting));
    *counting = (struct counting){.tmd = tmd, .first = first, .end = end, .done = done, .arg = arg};
    counting->counts = tm_xalloc(tmd->vaults->count + 1, sizeof(*counting->counts));
    tmd_keeper_ask(tmd, count_work, count_done, counting);
}

void tmd_vaults_count(struct tmd *tmd, const struct tm_config_vault *vault)
{
    size_t index = (size_t)(vault - tmd->config->vaults);
    ask_count(tmd, index, index + 1, NULL, NULL);
}

/* Probing ------------------------------------------------------------------------------------- */

struct probing {
    struct tmd *tmd;
    size_t index;
    struct probe probe;
    tm_done_vaults done; /* NULL: nobody waits */
    void *arg;
};

/* Of a vault that others write, their commits are read; in others each job sees to that. */
static enum tm_code follow(struct tmd *tmd, const struct tm_config_vault *config,
        struct tm_vault *vault, struct tm_err *err)
{
    TM_OWN(tm_catalog_close) struct tm_catalog *catalog = NULL;
    TM_TRY(tmd_catalog(tmd->sources, config, &catalog, err));
    struct tm_fold fold = tm_catalog_fold(catalog);
    return tm_vault_refresh(vault, &fold, err);
}

static enum tm_code probe_vault(struct probing *probing, struct tm_err *err)
{
    struct tm_vault *vault = NULL;
    struct tmd *tmd = probing->tmd;
    const struct tm_config_vault *config = &tmd->config->vaults[probing->index];
    TM_TRY(tmd_vault(tmd->sources, config, &vault, err));
    const struct tm_ring *ring = tm_vault_ring(vault);
    tm_ring_fingerprint(ring, probing->probe.key);
    probing->probe.write_only = !tm_ring_can_read(ring);
    TM_TRY(tm_store_probe(tm_vault_store(vault), err));
    return config->read_only ? follow(tmd, config, vault, err) : TM_OK;
}

static void probe_work(void *arg)
{
    struct probing *probing = arg;
    TM_LATER(probe_vault(probing, &probing->probe.err));
    probing->probe.done = true;
    probing->probe.at_ms = tm_now_ms();
}

static void tell_change(struct tmd *tmd, const struct known *known, const struct probe *was)
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

static void probe_done(void *arg)
{
    struct probing *probing = arg;
    struct known *known = &probing->tmd->vaults->at[probing->index];
    struct probe was = known->probe;
    known->probe = probing->probe;
    known->probing = false;
    tell_change(probing->tmd, known, &was);
    if (probing->done != NULL && probing->probe.err.code != TM_OK) {
        struct tm_problem problem;
        tmd_problem_of(&probing->probe.err, &problem);
        problem.status = 502; /* it is the vault that fails, whatever its reason */
        problem.slug = problem.slug != NULL && strcmp(problem.slug, "not-found") == 0
                               ? "vault-unreachable"
                               : problem.slug;
        problem.member = "vault";
        (void)snprintf(problem.value, sizeof(problem.value), "%s", known->config->name);
        probing->done(probing->arg, NULL, 0, &problem);
    } else {
        ask_count(probing->tmd, probing->index, probing->index + 1, probing->done, probing->arg);
    }
    free(probing);
}

/* False: it cannot be probed now. */
static bool probe(struct tmd *tmd, size_t index, tm_done_vaults done, void *arg)
{
    struct probing *probing = tm_xalloc(1, sizeof(*probing));
    *probing = (struct probing){.tmd = tmd, .index = index, .done = done, .arg = arg};
    if (!tmd_errand(tmd, probe_work, probe_done, probing)) {
        free(probing);
        return false;
    }
    tmd->vaults->at[index].probing = true;
    return true;
}

static void probe_all(uv_timer_t *timer)
{
    struct tmd_vaults *vaults = timer->data;
    for (size_t i = 0; i < vaults->count; i++) {
        if (!vaults->at[i].probing) { /* a store that hangs is not asked twice */
            (void)probe(vaults->tmd, i, NULL, NULL);
        }
    }
}

void tmd_vaults_start(struct tmd *tmd)
{
    tm_assert(uv_timer_start(&tmd->vaults->timer, probe_all, 0, PROBE_EVERY_MS) == 0);
    uv_unref((uv_handle_t *)&tmd->vaults->timer);
}

void tmd_vaults_stop(struct tmd *tmd)
{
    (void)uv_timer_stop(&tmd->vaults->timer);
}

/* Asking -------------------------------------------------------------------------------------- */

/* False: there is none of that name, and `done` has been told. */
static bool find(struct tmd *tmd, const char *name, tm_done_vaults done, void *arg, size_t *index)
{
    for (size_t i = 0; i < tmd->vaults->count; i++) {
        if (strcmp(tmd->vaults->at[i].config->name, name) == 0) {
            *index = i;
            return true;
        }
    }
    struct tm_problem problem;
    tmd_unknown_vault(tmd, name, &problem);
    done(arg, NULL, 0, &problem);
    return false;
}

void tmd_vaults_ask(void *self, const char *name, tm_done_vaults done, void *arg)
{
    struct tmd *tmd = self;
    size_t index = 0;
    if (name == NULL) {
        ask_count(tmd, 0, tmd->vaults->count, done, arg);
    } else if (find(tmd, name, done, arg, &index)) {
        ask_count(tmd, index, index + 1, done, arg);
    }
}

void tmd_vaults_probe(void *self, const char *name, const struct tm_caller *caller,
        tm_done_vaults done, void *arg)
{
    struct tmd *tmd = self;
    size_t index = 0;
    if (!find(tmd, name, done, arg, &index)) {
        return;
    }
    tm_log(TM_LOG_INFO, "audit", "vault probed", TM_LOG_STR("who", caller->who),
            TM_LOG_STR("request_id", caller->request_id), TM_LOG_STR("vault", name), TM_LOG_END);
    if (!probe(tmd, index, done, arg)) {
        struct tm_problem problem = {.status = 503, .slug = "queue-full", .retry_after_s = 2};
        problem.slug = tmd->draining ? "draining" : problem.slug;
        (void)snprintf(problem.detail, sizeof(problem.detail), "no vault can be probed now");
        done(arg, NULL, 0, &problem);
    }
}

/* Metrics ------------------------------------------------------------------------------------- */

void tmd_vaults_metrics(struct tmd *tmd)
{
    static const char *const faults[] = {"missing_pack", "corrupt_pack", "catalog_mismatch"};
    int64_t database_bytes = 0;
    bool any = false;
    for (size_t i = 0; i < tmd->vaults->count; i++) {
        const struct known *known = &tmd->vaults->at[i];
        const struct counts *counts = &known->counts;
        const char *name = known->config->name;
        if (known->probe.done) {
            tm_metric_set(TM_M_VAULT_UP, TM_LABELS(name, type_name(known->config)),
                    known->probe.err.code == TM_OK ? 1 : 0);
        }
        if (counts->known) {
            tm_metric_set(TM_M_VAULT_STORED, TM_LABELS(name), (double)counts->totals.stored_bytes);
            tm_metric_set(TM_M_VAULT_LOGICAL, TM_LABELS(name), (double)counts->totals.source_bytes);
            tm_metric_set(TM_M_VAULT_PACKS, TM_LABELS(name), (double)counts->totals.packs);
            database_bytes += counts->totals.database_bytes;
            any = true;
        }
        if (counts->capacity_bytes > 0) {
            tm_metric_set(TM_M_VAULT_CAPACITY, TM_LABELS(name), (double)counts->capacity_bytes);
            tm_metric_set(TM_M_VAULT_FREE, TM_LABELS(name), (double)counts->free_bytes);
        }
        tm_metric_add(TM_M_VAULT_WRITTEN, TM_LABELS(name), 0);
        tm_metric_add(TM_M_VAULT_READ, TM_LABELS(name), 0);
        tm_metric_add(TM_M_VAULT_DEDUPLICATED, TM_LABELS(name), 0);
        tm_metric_add(TM_M_RETENTION_BYTES, TM_LABELS(name), 0);
        for (size_t k = 0; k < sizeof(faults) / sizeof(faults[0]); k++) {
            tm_metric_add(TM_M_VERIFY_FAULTS, TM_LABELS(name, faults[k]), 0);
        }
    }
    if (any) {
        tm_metric_set(TM_M_CATALOG_BYTES, TM_NO_LABELS, (double)database_bytes);
    }
}
