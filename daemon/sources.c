/* SPDX-License-Identifier: Apache-2.0 */
#include "sources.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "tmd.h"

/* A cluster or a vault, and what is open of it. */
struct source {
    const struct tm_config_cluster *cluster; /* as its handles were opened with; NULL: it is a */
    const struct tm_config_vault *vault;
    size_t users;              /* leases; under the lock of all */
    pthread_mutex_t opening;   /* held while a handle is opened: others would open it too */
    struct tm_kafka *kafka[2]; /* [0] read_committed, [1] read_uncommitted */
    struct tm_store *store;
    struct tm_vault *opened;
};
typedef TM_VEC(struct source *) source_list;

struct tmd_sources {
    struct tmd *tmd;
    char *writer;
    pthread_mutex_t lock; /* of the list and of who uses what; nothing waits under it */
    source_list list;
};

struct tmd_lease {
    struct tmd_sources *sources;
    source_list held; /* once for each call */
};

struct tmd_sources *tmd_sources_new(struct tmd *tmd, const char *writer)
{
    struct tmd_sources *sources = tm_xalloc(1, sizeof(*sources));
    pthread_mutex_init(&sources->lock, NULL);
    sources->tmd = tmd;
    sources->writer = strdup(writer);
    tm_assert(sources->writer != NULL);
    return sources;
}

static void close_source(struct source *source)
{
    tm_kafka_close(source->kafka[0]);
    tm_kafka_close(source->kafka[1]);
    tm_vault_close(source->opened);
    tm_store_free(source->store);
    pthread_mutex_destroy(&source->opening);
    free(source);
}

static void close_all(source_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        close_source(list->at[i]);
    }
    tm_vec_done(list);
}

void tmd_sources_free(struct tmd_sources *sources)
{
    if (sources == NULL) {
        return;
    }
    close_all(&sources->list);
    free(sources->writer);
    pthread_mutex_destroy(&sources->lock);
    free(sources);
}

/* Is the source what the configuration has under its name? */
static bool is_in_force(const struct tm_config *config, const struct source *source)
{
    if (source->cluster != NULL) {
        const struct tm_config_cluster *now = tm_config_find_cluster(config, source->cluster->name);
        return now != NULL && tm_config_same_cluster(now, source->cluster);
    }
    const struct tm_config_vault *now = tm_config_find_vault(config, source->vault->name);
    return now != NULL && tm_config_same_vault(now, source->vault);
}

/* Take those out of the list that can go; under the lock. */
static void take_unused(struct tmd_sources *sources, source_list *out)
{
    const struct tm_config *config = sources->tmd->config;
    size_t kept = 0;
    for (size_t i = 0; i < sources->list.count; i++) {
        struct source *source = sources->list.at[i];
        if (source->users > 0 || is_in_force(config, source)) {
            sources->list.at[kept++] = source;
        } else {
            *tm_vec_push(out) = source; /* NOLINT(bugprone-sizeof-expression) */
        }
    }
    sources->list.count = kept;
}

void tmd_sources_trim(struct tmd *tmd)
{
    source_list unused = {0};
    pthread_mutex_lock(&tmd->sources->lock);
    take_unused(tmd->sources, &unused);
    pthread_mutex_unlock(&tmd->sources->lock);
    close_all(&unused);
}

/* Leases -------------------------------------------------------------------------------------- */

struct tmd_lease *tmd_lease_new(struct tmd *tmd)
{
    struct tmd_lease *lease = tm_xalloc(1, sizeof(*lease));
    lease->sources = tmd->sources;
    return lease;
}

void tmd_lease_free(struct tmd_lease *lease)
{
    if (lease == NULL) {
        return;
    }
    source_list unused = {0};
    pthread_mutex_lock(&lease->sources->lock);
    for (size_t i = 0; i < lease->held.count; i++) {
        lease->held.at[i]->users--;
    }
    take_unused(lease->sources, &unused);
    pthread_mutex_unlock(&lease->sources->lock);
    close_all(&unused);
    tm_vec_done(&lease->held);
    free(lease);
}

/* One that was configured before is the same one while its settings are. */
static bool is_of(const struct source *source, const struct tm_config_cluster *cluster,
        const struct tm_config_vault *vault)
{
    if (cluster != NULL) {
        return source->cluster != NULL &&
               (source->cluster == cluster || tm_config_same_cluster(source->cluster, cluster));
    }
    return source->vault != NULL &&
           (source->vault == vault || tm_config_same_vault(source->vault, vault));
}

/* The source, from now on the lease's too; one of the two is given. */
static struct source *use(struct tmd_lease *lease, const struct tm_config_cluster *cluster,
        const struct tm_config_vault *vault)
{
    struct tmd_sources *sources = lease->sources;
    struct source *found = NULL;
    pthread_mutex_lock(&sources->lock);
    for (size_t i = 0; found == NULL && i < sources->list.count; i++) {
        found = is_of(sources->list.at[i], cluster, vault) ? sources->list.at[i] : NULL;
    }
    if (found == NULL) {
        found = tm_xalloc(1, sizeof(*found));
        found->cluster = cluster;
        found->vault = vault;
        pthread_mutex_init(&found->opening, NULL);
        *tm_vec_push(&sources->list) = found; /* NOLINT(bugprone-sizeof-expression) */
    }
    found->users++;
    pthread_mutex_unlock(&sources->lock);
    *tm_vec_push(&lease->held) = found; /* NOLINT(bugprone-sizeof-expression) */
    return found;
}

enum tm_code tmd_kafka(struct tmd_lease *lease, const struct tm_config_cluster *cluster,
        bool read_uncommitted, struct tm_kafka **out, struct tm_err *err)
{
    struct source *source = use(lease, cluster, NULL);
    struct tm_kafka **slot = &source->kafka[read_uncommitted ? 1 : 0];
    enum tm_code code = TM_OK;
    pthread_mutex_lock(&source->opening);
    if (*slot == NULL) {
        code = tmd_open_kafka(cluster, read_uncommitted, slot, err);
    }
    if (code == TM_OK) {
        *out = *slot;
    }
    pthread_mutex_unlock(&source->opening);
    return code;
}

enum tm_code tmd_vault(struct tmd_lease *lease, const struct tm_config_vault *vault,
        struct tm_vault **out, struct tm_err *err)
{
    struct tmd_sources *sources = lease->sources;
    struct source *source = use(lease, NULL, vault);
    enum tm_code code = TM_OK;
    pthread_mutex_lock(&source->opening);
    if (source->opened == NULL) {
        code = tmd_open_vault(
                sources->tmd, vault, sources->writer, &source->store, &source->opened, err);
    }
    if (code == TM_OK) {
        *out = source->opened;
    } else {
        (void)tm_err_wrap(err, "vault %s", vault->name);
    }
    pthread_mutex_unlock(&source->opening);
    return code;
}
