/* SPDX-License-Identifier: Apache-2.0 */
#include "proofs.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/metrics.h"

static void show(const struct tm_proof_row *row)
{
    bool drill = row->kind == TM_JOB_DRILL;
    tm_metric_set(drill ? TM_M_DRILL_LAST_SUCCESS : TM_M_VERIFY_LAST_SUCCESS,
            TM_LABELS(row->of, row->how), (double)row->at_ms / 1000);
}

/* Keeping ------------------------------------------------------------------------------------- */

struct keeping {
    struct tm_arena arena;
    struct tm_proof_row row;
};

static void keep_work(struct tmd_keep *keep, void *arg)
{
    const struct keeping *keeping = arg;
    struct tm_err err = {0};
    if (tm_journal_put_proof(keep->journal, &keeping->row, &err) != TM_OK) {
        tm_log(TM_LOG_ERROR, "journal.failed", err.msg, TM_LOG_END); /* known until a restart */
    }
}

static void keep_done(void *arg)
{
    struct keeping *keeping = arg;
    tm_arena_done(&keeping->arena);
    free(keeping);
}

void tmd_proof(struct tmd *tmd, const struct tm_proof_row *row)
{
    struct keeping *keeping = tm_xalloc(1, sizeof(*keeping));
    keeping->row = *row;
    keeping->row.of = tm_arena_strdup(&keeping->arena, row->of);
    keeping->row.how = tm_arena_strdup(&keeping->arena, row->how);
    show(row);
    tmd_keeper_ask(tmd, keep_work, keep_done, keeping);
}

/* Loading ------------------------------------------------------------------------------------- */

struct load {
    struct tmd *tmd;
    struct tm_arena arena;
    struct tm_proof_row *rows;
    size_t count;
};

static bool is_configured(const struct tm_config *config, const struct tm_proof_row *row)
{
    if (row->kind != TM_JOB_DRILL) {
        return tm_config_find_vault(config, row->of) != NULL;
    }
    const struct tm_config_policy *policy = tm_config_find_policy(config, row->how);
    return policy != NULL && strcmp(policy->cluster->name, row->of) == 0;
}

static void load_work(struct tmd_keep *keep, void *arg)
{
    struct load *load = arg;
    struct tm_err err = {0};
    if (tm_journal_proofs(keep->journal, &load->arena, &load->rows, &load->count, &err) != TM_OK) {
        tm_log(TM_LOG_ERROR, "journal.failed", err.msg, TM_LOG_END);
        load->count = 0;
    }
}

static void load_done(void *arg)
{
    struct load *load = arg;
    for (size_t i = 0; i < load->count; i++) {
        if (is_configured(load->tmd->config, &load->rows[i])) {
            show(&load->rows[i]);
        }
    }
    tm_arena_done(&load->arena);
    free(load);
}

void tmd_proofs_load(struct tmd *tmd)
{
    struct load *load = tm_xalloc(1, sizeof(*load));
    load->tmd = tmd;
    tmd_keeper_ask(tmd, load_work, load_done, load);
}
