/* SPDX-License-Identifier: Apache-2.0 */
#include "vaults_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "base/vec.h"
#include "catalog/findings.h"
#include "hooks.h"

static struct tmd_known_vault *make_known(const struct tm_config_vault *config)
{
    struct tmd_known_vault *known = tm_xalloc(1, sizeof(*known));
    known->config = config;
    return known;
}

struct tmd_vaults *tmd_vaults_new(struct tmd *tmd)
{
    struct tmd_vaults *vaults = tm_xalloc(1, sizeof(*vaults));
    vaults->tmd = tmd;
    vaults->count = tmd->config->vault_count;
    vaults->at = tm_xalloc(vaults->count + 1, sizeof(struct tmd_known_vault *));
    for (size_t i = 0; i < vaults->count; i++) {
        vaults->at[i] = make_known(&tmd->config->vaults[i]);
    }
    tm_assert(uv_timer_init(&tmd->loop, &vaults->timer) == 0);
    vaults->timer.data = vaults;
    return vaults;
}

void tmd_vaults_free(struct tmd_vaults *vaults)
{
    if (vaults == NULL) {
        return;
    }
    for (size_t i = 0; i < vaults->count; i++) {
        free(vaults->at[i]);
    }
    free(vaults->at);
    free(vaults);
}

struct tmd_known_vault *tmd_vault_find(const struct tmd *tmd, const char *name)
{
    for (size_t i = 0; i < tmd->vaults->count; i++) {
        if (strcmp(tmd->vaults->at[i]->config->name, name) == 0) {
            return tmd->vaults->at[i];
        }
    }
    return NULL;
}

static void let_go(struct tmd *tmd, struct tmd_known_vault *known)
{
    tmd_hooks_over(tmd, TM_HOOK_VAULT_DOWN, known->config->name);
    tm_metric_forget("vault", known->config->name);
    free(known);
}

/* It came, or is another one: whether it answers, and what its log holds, is to be found out. */
static void look_anew(struct tmd_known_vault *known)
{
    known->due = true;
    known->unread = true;
}

/* Whether it answers is to be found out anew; what its catalog says stays until that is counted. */
static void change(struct tmd_known_vault *known, const struct tm_config_vault *config)
{
    if (!tm_config_same_vault(known->config, config)) {
        known->probe = (struct tmd_vault_probe){0};
        known->probing = false; /* what goes on is of the section before */
        look_anew(known);
        bool no_quota = known->config->quota > 0 && config->quota == 0;
        if (known->config->type != config->type || no_quota) { /* series that would stand still */
            tm_metric_forget("vault", config->name);
        }
    }
    known->config = config;
}

void tmd_vaults_adopt(struct tmd *tmd)
{
    struct tmd_vaults *vaults = tmd->vaults;
    const struct tm_config *config = tmd->config;
    struct tmd_known_vault **fresh =
            tm_xalloc(config->vault_count + 1, sizeof(struct tmd_known_vault *));
    for (size_t i = 0; i < config->vault_count; i++) {
        fresh[i] = tmd_vault_find(tmd, config->vaults[i].name);
    }
    for (size_t i = 0; i < vaults->count; i++) {
        if (tm_config_find_vault(config, vaults->at[i]->config->name) == NULL) {
            let_go(tmd, vaults->at[i]);
        }
    }
    for (size_t i = 0; i < config->vault_count; i++) {
        if (fresh[i] != NULL) {
            change(fresh[i], &config->vaults[i]);
        } else {
            fresh[i] = make_known(&config->vaults[i]);
            look_anew(fresh[i]);
        }
    }
    free(vaults->at);
    vaults->at = fresh;
    vaults->count = config->vault_count;
    tmd_vaults_start(tmd); /* a look at those that are due */
}

/* Counting ------------------------------------------------------------------------------------ */

struct counted {
    const char *vault; /* its name */
    struct tmd_vault_counts counts;
};

struct counting {
    struct tmd *tmd;
    const char *vault; /* NULL: all; borrowed from a configuration */
    TM_VEC(struct counted) found;
    tm_done_vaults done; /* NULL: nobody waits */
    void *arg;
};

static void count_room(const struct tm_config_vault *config, struct tmd_vault_counts *out)
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
        struct tm_catalog *catalog, struct tmd_vault_counts *out, struct tm_err *err)
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

static enum tm_code count_one(
        struct tm_catalog *catalog, struct tmd_vault_counts *out, struct tm_err *err)
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
    for (size_t i = 0; i < keep->config->vault_count; i++) {
        const struct tm_config_vault *config = &keep->config->vaults[i];
        struct tm_err err = {0};
        if (counting->vault != NULL && strcmp(counting->vault, config->name) != 0) {
            continue;
        }
        struct counted *counted = tm_vec_push(&counting->found);
        counted->vault = config->name;
        if (keep->catalogs[i] != NULL &&
                count_one(keep->catalogs[i], &counted->counts, &err) != TM_OK) {
            tm_log(TM_LOG_ERROR, "catalog.unusable", err.msg, TM_LOG_STR("vault", config->name),
                    TM_LOG_END);
        }
        count_room(config, &counted->counts);
    }
}

static const char *type_name(const struct tm_config_vault *config)
{
    return config->type == TM_VAULT_S3 ? "s3" : "disk";
}

/* The bucket as the store's own messages call it. */
static const char *bucket_of(struct tmd_known_vault *known)
{
    const struct tm_config_s3 *s3 = &known->config->s3;
    size_t prefix = strlen(s3->prefix);
    prefix -= prefix > 0 && s3->prefix[prefix - 1] == '/' ? 1 : 0;
    (void)snprintf(known->where, sizeof(known->where), "s3://%s%s%.*s", s3->bucket,
            prefix > 0 ? "/" : "", (int)prefix, s3->prefix);
    return known->where;
}

static void view(struct tmd_known_vault *known, struct tm_vault_view *out)
{
    const struct tmd_vault_counts *counts = &known->counts;
    const struct tmd_vault_probe *probe = &known->probe;
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
    struct tm_vault_view *views = tm_xalloc(counting->found.count + 1, sizeof(*views));
    size_t count = 0;
    for (size_t i = 0; i < counting->found.count; i++) {
        const struct counted *counted = &counting->found.at[i];
        struct tmd_known_vault *known = tmd_vault_find(counting->tmd, counted->vault);
        if (known != NULL) { /* it may have gone meanwhile */
            known->counts = counted->counts;
            view(known, &views[count++]);
        }
    }
    if (counting->done != NULL && counting->vault != NULL && count == 0) {
        struct tm_problem problem;
        tmd_unknown_vault(counting->tmd, counting->vault, &problem);
        counting->done(counting->arg, NULL, 0, &problem);
    } else if (counting->done != NULL) {
        counting->done(counting->arg, views, count, NULL);
    }
    free(views);
    tm_vec_done(&counting->found);
    free(counting);
}

void tmd_vaults_ask_count(struct tmd *tmd, const char *vault, tm_done_vaults done, void *arg)
{
    struct counting *counting = tm_xalloc(1, sizeof(*counting));
    *counting = (struct counting){.tmd = tmd, .vault = vault, .done = done, .arg = arg};
    tmd_keeper_ask(tmd, count_work, count_done, counting);
}

void tmd_vaults_count(struct tmd *tmd, const struct tm_config_vault *vault)
{
    tmd_vaults_ask_count(tmd, vault->name, NULL, NULL);
}

/* Asking -------------------------------------------------------------------------------------- */

struct tmd_known_vault *tmd_vault_find_or_refuse(
        struct tmd *tmd, const char *name, tm_done_vaults done, void *arg)
{
    struct tmd_known_vault *known = tmd_vault_find(tmd, name);
    if (known == NULL) {
        struct tm_problem problem;
        tmd_unknown_vault(tmd, name, &problem);
        done(arg, NULL, 0, &problem);
    }
    return known;
}

void tmd_vaults_ask(void *self, const char *name, tm_done_vaults done, void *arg)
{
    struct tmd *tmd = self;
    if (name == NULL) {
        tmd_vaults_ask_count(tmd, NULL, done, arg);
        return;
    }
    const struct tmd_known_vault *known = tmd_vault_find_or_refuse(tmd, name, done, arg);
    if (known != NULL) {
        tmd_vaults_ask_count(tmd, known->config->name, done, arg);
    }
}

/* Metrics ------------------------------------------------------------------------------------- */

void tmd_vaults_metrics(struct tmd *tmd)
{
    static const char *const faults[] = {"missing_pack", "corrupt_pack", "catalog_mismatch"};
    int64_t database_bytes = 0;
    bool any = false;
    for (size_t i = 0; i < tmd->vaults->count; i++) {
        const struct tmd_known_vault *known = tmd->vaults->at[i];
        const struct tmd_vault_counts *counts = &known->counts;
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
