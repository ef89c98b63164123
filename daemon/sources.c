/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "store/store_fs.h"
#include "tmd.h"

struct cluster {
    struct tm_kafka *handles[2]; /* [0] read_committed, [1] read_uncommitted */
};

struct vault {
    struct tm_store *store;
    struct tm_vault *vault;
};

struct tmd_sources {
    pthread_mutex_t lock; /* held while a handle is opened: others would open it too */
    const struct tm_config *config;
    char *writer;
    struct cluster *clusters;
    struct vault *vaults;
};

struct tmd_sources *tmd_sources_new(const struct tm_config *config, const char *writer)
{
    struct tmd_sources *sources = tm_xalloc(1, sizeof(*sources));
    pthread_mutex_init(&sources->lock, NULL);
    sources->config = config;
    sources->writer = strdup(writer);
    tm_assert(sources->writer != NULL);
    sources->clusters = tm_xalloc(config->cluster_count + 1, sizeof(*sources->clusters));
    sources->vaults = tm_xalloc(config->vault_count + 1, sizeof(*sources->vaults));
    return sources;
}

void tmd_sources_free(struct tmd_sources *sources)
{
    if (sources == NULL) {
        return;
    }
    for (size_t i = 0; i < sources->config->cluster_count; i++) {
        tm_kafka_close(sources->clusters[i].handles[0]);
        tm_kafka_close(sources->clusters[i].handles[1]);
    }
    for (size_t i = 0; i < sources->config->vault_count; i++) {
        tm_vault_close(sources->vaults[i].vault);
        tm_store_free(sources->vaults[i].store);
    }
    free(sources->clusters);
    free(sources->vaults);
    free(sources->writer);
    pthread_mutex_destroy(&sources->lock);
    free(sources);
}

void tmd_kafka_options(const struct tm_config_cluster *cluster, struct tm_arena *arena,
        struct tm_kafka_options *out)
{
    struct tm_property *properties =
            tm_arena_alloc(arena, cluster->rdkafka_count + 1, sizeof(*properties));
    for (size_t i = 0; i < cluster->rdkafka_count; i++) {
        properties[i] = (struct tm_property){cluster->rdkafka[i].name, cluster->rdkafka[i].value};
    }
    *out = (struct tm_kafka_options){
            .cluster = cluster->name,
            .bootstrap = cluster->bootstrap,
            .properties = properties,
            .property_count = cluster->rdkafka_count,
    };
}

enum tm_code tmd_kafka(struct tmd_sources *sources, const struct tm_config_cluster *cluster,
        bool read_uncommitted, struct tm_kafka **out, struct tm_err *err)
{
    size_t index = (size_t)(cluster - sources->config->clusters);
    struct tm_kafka **slot = &sources->clusters[index].handles[read_uncommitted ? 1 : 0];
    enum tm_code code = TM_OK;
    pthread_mutex_lock(&sources->lock);
    if (*slot == NULL) {
        struct tm_arena arena = {0};
        struct tm_kafka_options options;
        tmd_kafka_options(cluster, &arena, &options);
        options.read_uncommitted = read_uncommitted;
        code = tm_kafka_open(&options, slot, err);
        tm_arena_done(&arena);
    }
    if (code == TM_OK) {
        *out = *slot;
    }
    pthread_mutex_unlock(&sources->lock);
    return code;
}

enum tm_code tmd_catalog(struct tmd_sources *sources, const struct tm_config_vault *vault,
        struct tm_catalog **out, struct tm_err *err)
{
    char path[4096];
    int len = snprintf(
            path, sizeof(path), "%s/catalog/%s.db", sources->config->state.dir, vault->name);
    if (len < 0 || (size_t)len >= sizeof(path)) {
        return tm_err_set(err, TM_E_USAGE, "state.dir: the path is too long");
    }
    return tm_catalog_open(path, out, err);
}

/* A vault that the catalog knows and the store no longer has is never made anew. */
static enum tm_code make_vault(struct tmd_sources *sources, const struct tm_config_vault *vault,
        struct tm_store *store, const struct tm_secret *secret, struct tm_err *err)
{
    TM_OWN(tm_catalog_close) struct tm_catalog *catalog = NULL;
    struct tm_fold_state state;
    TM_TRY(tmd_catalog(sources, vault, &catalog, err));
    struct tm_fold fold = tm_catalog_fold(catalog);
    TM_TRY(fold.ops->state(fold.self, &state, err));
    if (!state.empty) {
        return tm_err_set(err, TM_E_MISSING,
                "%s has no vault, but the catalog knows one there (head %" PRIu64
                "); hint: is the disk mounted?",
                store->where, state.head.seq);
    }
    struct tm_vault_params params = {.blocks = tm_block_params_default};
    TM_TRY(tm_vault_init(store, secret, &params, err));
    tm_log(TM_LOG_INFO, "vault.created", "made a new vault", TM_LOG_STR("vault", vault->name),
            TM_LOG_STR("where", store->where), TM_LOG_END);
    return TM_OK;
}

static enum tm_code open_vault(struct tmd_sources *sources, const struct tm_config_vault *vault,
        struct vault *slot, struct tm_err *err)
{
    struct tm_secret secret = {
            .kind = vault->key_is_passphrase ? TM_SECRET_PASSPHRASE : TM_SECRET_KEY_FILE,
            .bytes = vault->key,
    };
    TM_OWN(tm_store_free) struct tm_store *store = NULL;
    TM_TRY(tm_store_fs_open(vault->path, vault->create, &store, err));
    bool there = false;
    TM_TRY(tm_vault_exists(store, &there, err));
    if (!there && vault->create) {
        TM_TRY(make_vault(sources, vault, store, &secret, err));
    }
    TM_TRY(tm_store_probe(store, err));
    TM_TRY(tm_vault_open(store, &secret, sources->writer, &slot->vault, err));
    slot->store = TM_TAKE(store);
    return TM_OK;
}

enum tm_code tmd_vault(struct tmd_sources *sources, const struct tm_config_vault *vault,
        struct tm_vault **out, struct tm_err *err)
{
    struct vault *slot = &sources->vaults[vault - sources->config->vaults];
    enum tm_code code = TM_OK;
    pthread_mutex_lock(&sources->lock);
    if (slot->vault == NULL) {
        code = open_vault(sources, vault, slot, err);
    }
    if (code == TM_OK) {
        *out = slot->vault;
    } else {
        (void)tm_err_wrap(err, "vault %s", vault->name);
    }
    pthread_mutex_unlock(&sources->lock);
    return code;
}
