/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/log.h"
#include "tmd.h"

struct tmd_keeper {
    struct tmd *tmd;
    struct tm_mailbox *box;
    pthread_t thread;
    struct tmd_keep keep;
    bool stop; /* the keeper's own */
};

struct question {
    struct tmd *tmd;
    void (*work)(struct tmd_keep *keep, void *arg);
    void (*done)(void *arg);
    void *arg;
};

static void finish_question(void *arg)
{
    struct question *question = arg;
    if (question->done != NULL) {
        question->done(question->arg);
    }
    free(question);
}

static void work_question(void *arg)
{
    struct question *question = arg;
    question->work(&question->tmd->keeper->keep, question->arg);
    tmd_post(question->tmd, finish_question, question);
}

void tmd_keeper_ask(struct tmd *tmd, void (*work)(struct tmd_keep *keep, void *arg),
        void (*done)(void *arg), void *arg)
{
    struct question *question = tm_xalloc(1, sizeof(*question));
    *question = (struct question){.tmd = tmd, .work = work, .done = done, .arg = arg};
    tm_mailbox_post(tmd->keeper->box, work_question, question);
}

static void set_stop(void *arg)
{
    struct tmd_keeper *keeper = arg;
    keeper->stop = true;
}

static void *keep_books(void *arg)
{
    struct tmd_keeper *keeper = arg;
    while (!keeper->stop) {
        (void)tm_mailbox_wait(keeper->box, -1);
        (void)tm_mailbox_drain(keeper->box);
    }
    return NULL;
}

/* A catalog that cannot be opened leaves its vault without answers; its jobs fail with the cause. */
static struct tm_catalog *open_catalog(struct tmd *tmd, const struct tm_config_vault *vault)
{
    struct tm_catalog *catalog = NULL;
    struct tm_err err = {0};
    if (tmd_catalog(tmd, vault, &catalog, &err) != TM_OK) {
        tm_log(TM_LOG_ERROR, "catalog.unusable", err.msg, TM_LOG_STR("vault", vault->name),
                TM_LOG_END);
    }
    return catalog;
}

static void open_catalogs(struct tmd *tmd, struct tmd_keep *keep)
{
    keep->catalogs = tm_xalloc(keep->config->vault_count + 1, sizeof(struct tm_catalog *));
    for (size_t i = 0; i < keep->config->vault_count; i++) {
        keep->catalogs[i] = open_catalog(tmd, &keep->config->vaults[i]);
    }
}

static void close_catalogs(struct tmd_keep *keep)
{
    for (size_t i = 0; i < keep->config->vault_count; i++) {
        tm_catalog_close(keep->catalogs[i]);
    }
    free(keep->catalogs);
    keep->catalogs = NULL;
}

/* Its slot; NULL: no vault of that name. */
static struct tm_catalog **find_catalog(const struct tmd_keep *keep, const char *vault)
{
    for (size_t i = 0; i < keep->config->vault_count; i++) {
        if (strcmp(keep->config->vaults[i].name, vault) == 0) {
            return &keep->catalogs[i];
        }
    }
    return NULL;
}

struct tm_catalog *tmd_keep_catalog(const struct tmd_keep *keep, const char *vault)
{
    struct tm_catalog **slot = find_catalog(keep, vault);
    return slot != NULL ? *slot : NULL;
}

/* Another configuration ----------------------------------------------------------------------- */

struct adoption {
    struct tmd *tmd;
    const struct tm_config *config;
};

static void adopt(struct tmd_keep *keep, void *arg)
{
    struct adoption *adoption = arg;
    struct tmd_keep before = *keep;
    const struct tm_config *config = adoption->config;
    keep->config = config;
    keep->catalogs = tm_xalloc(config->vault_count + 1, sizeof(struct tm_catalog *));
    for (size_t i = 0; i < config->vault_count; i++) {
        /* Where a catalog lies goes by its vault's name alone. */
        struct tm_catalog **slot = find_catalog(&before, config->vaults[i].name);
        keep->catalogs[i] = slot != NULL ? TM_TAKE(*slot) : NULL;
        if (keep->catalogs[i] == NULL) {
            keep->catalogs[i] = open_catalog(adoption->tmd, &config->vaults[i]);
        }
    }
    close_catalogs(&before);
    free(adoption);
}

void tmd_keeper_adopt(struct tmd *tmd)
{
    struct adoption *adoption = tm_xalloc(1, sizeof(*adoption));
    *adoption = (struct adoption){.tmd = tmd, .config = tmd->config};
    tmd_keeper_ask(tmd, adopt, NULL, adoption);
}

/* Start and stop ------------------------------------------------------------------------------ */

/* Whatever was committed while this daemon was not there, or before its catalog was deleted. */
static void read_vaults(struct tmd_keep *keep, void *arg)
{
    struct tmd *tmd = arg;
    for (size_t i = 0; i < keep->config->vault_count; i++) {
        const struct tm_config_vault *config = &keep->config->vaults[i];
        struct tm_vault *vault = NULL;
        struct tm_err err = {0};
        if (keep->catalogs[i] == NULL) {
            continue;
        }
        struct tm_fold fold = tm_catalog_fold(keep->catalogs[i]);
        TM_OWN(tmd_lease_free) struct tmd_lease *lease = tmd_lease_new(tmd);
        if (tmd_vault(lease, config, &vault, &err) != TM_OK ||
                tm_vault_refresh(vault, &fold, &err) != TM_OK) {
            tm_log(TM_LOG_ERROR, "vault.unusable", err.msg, TM_LOG_STR("vault", config->name),
                    TM_LOG_END);
        }
        tmd_vault_alarm(config, &err);
    }
}

enum tm_code tmd_keeper_start(struct tmd *tmd, struct tm_err *err)
{
    char path[4096];
    const char *dir = tmd->config->state.dir;
    (void)snprintf(path, sizeof(path), "%s/catalog", dir);
    TM_TRY(tm_fs_mkdirs(path, 0700, err));
    (void)snprintf(path, sizeof(path), "%s/journal.db", dir);
    struct tm_journal *journal = NULL;
    TM_TRY(tm_journal_open(path, &journal, err));

    struct tmd_keeper *keeper = tm_xalloc(1, sizeof(*keeper));
    keeper->tmd = tmd;
    keeper->box = tm_mailbox_new(NULL, NULL);
    keeper->keep = (struct tmd_keep){.journal = journal, .config = tmd->config};
    open_catalogs(tmd, &keeper->keep);
    tmd->keeper = keeper;
    tm_assert(pthread_create(&keeper->thread, NULL, keep_books, keeper) == 0);
    (void)pthread_setname_np(keeper->thread, "keeper");
    tmd_keeper_ask(tmd, read_vaults, NULL, tmd); /* before anything is asked of the catalogs */
    return TM_OK;
}

void tmd_keeper_stop(struct tmd *tmd)
{
    struct tmd_keeper *keeper = tmd->keeper;
    if (keeper == NULL) {
        return;
    }
    tm_mailbox_post(keeper->box, set_stop, keeper);
    pthread_join(keeper->thread, NULL);
    (void)tm_mailbox_drain(tmd->box); /* answers that were on their way */
    close_catalogs(&keeper->keep);
    tm_journal_close(keeper->keep.journal);
    tm_mailbox_free(keeper->box);
    free(keeper);
    tmd->keeper = NULL;
}
