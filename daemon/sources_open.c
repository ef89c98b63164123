/* SPDX-License-Identifier: Apache-2.0 */
/* From a section of the configuration to an open handle; nothing is shared or kept here. */
#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "base/metrics.h"
#include "store/store_open.h"
#include "tmd.h"

/* Clusters ------------------------------------------------------------------------------------ */

static enum tm_kafka_auth auth_of(const struct tm_config_cluster *cluster)
{
    switch (cluster->auth) {
    case TM_CLUSTER_RDKAFKA:
        return TM_KAFKA_AUTH_RDKAFKA;
    case TM_CLUSTER_TOKEN_FILE:
        return TM_KAFKA_AUTH_TOKEN_FILE;
    case TM_CLUSTER_MSK_IAM:
        return TM_KAFKA_AUTH_MSK_IAM;
    }
    return TM_KAFKA_AUTH_RDKAFKA;
}

struct tm_kafka_options tmd_kafka_options(const struct tm_config_cluster *cluster)
{
    return (struct tm_kafka_options){
            .cluster = cluster->name,
            .bootstrap = cluster->bootstrap,
            .properties = cluster->rdkafka,
            .property_count = cluster->rdkafka_count,
            .auth = auth_of(cluster),
            .token_file = cluster->token_file,
            .region = cluster->region,
            .credentials = {.mode = cluster->is_static ? TM_AWS_STATIC : TM_AWS_AUTO,
                    .access_key_id = cluster->access_key_id,
                    .secret = cluster->secret_access_key},
    };
}

enum tm_code tmd_open_kafka(const struct tm_config_cluster *cluster, bool read_uncommitted,
        struct tm_kafka **out, struct tm_err *err)
{
    struct tm_kafka_options options = tmd_kafka_options(cluster);
    options.read_uncommitted = read_uncommitted;
    return tm_kafka_open(&options, out, err);
}

/* Vaults -------------------------------------------------------------------------------------- */

enum tm_code tmd_catalog(struct tmd *tmd, const struct tm_config_vault *vault,
        struct tm_catalog **out, struct tm_err *err)
{
    char path[4096];
    int len = snprintf(path, sizeof(path), "%s/catalog/%s.db", tmd->config->state.dir, vault->name);
    if (len < 0 || (size_t)len >= sizeof(path)) {
        return tm_err_set(err, TM_E_USAGE, "state.dir: the path is too long");
    }
    return tm_catalog_open(path, out, err);
}

/* A vault that the catalog knows and the store no longer has is never made anew. */
static enum tm_code make_vault(struct tmd *tmd, const struct tm_config_vault *vault,
        struct tm_store *store, const struct tm_secret *secret, struct tm_err *err)
{
    TM_OWN(tm_catalog_close) struct tm_catalog *catalog = NULL;
    struct tm_fold_state state;
    TM_TRY(tmd_catalog(tmd, vault, &catalog, err));
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

static enum tm_code ensure_vault(struct tmd *tmd, const struct tm_config_vault *vault,
        struct tm_store *store, const struct tm_secret *secret, struct tm_err *err)
{
    bool there = false;
    TM_TRY(tm_vault_exists(store, &there, err));
    /* A vault whose head is known is never made. */
    bool make = !there && vault->create && vault->expect_head[0] == '\0';
    return !make ? TM_OK : make_vault(tmd, vault, store, secret, err);
}

static enum tm_s3_lock lock_mode(enum tm_vault_lock mode)
{
    switch (mode) {
    case TM_VAULT_LOCK_NONE:
        return TM_S3_LOCK_NONE;
    case TM_VAULT_LOCK_GOVERNANCE:
        return TM_S3_LOCK_GOVERNANCE;
    case TM_VAULT_LOCK_COMPLIANCE:
        return TM_S3_LOCK_COMPLIANCE;
    }
    return TM_S3_LOCK_NONE;
}

static enum tm_code open_store(struct tmd *tmd, const struct tm_config_vault *vault,
        struct tm_store **out, struct tm_err *err)
{
    char spool[4096];
    int len = snprintf(spool, sizeof(spool), "%s/spool", tmd->config->state.dir);
    if (len < 0 || (size_t)len >= sizeof(spool)) {
        return tm_err_set(err, TM_E_USAGE, "state.dir: the path is too long");
    }
    const struct tm_config_s3 *s3 = &vault->s3;
    const struct tm_store_place place = {
            .in_bucket = vault->type == TM_VAULT_S3,
            .path = vault->path,
            .make = vault->create,
            .trust_single_writer = vault->trust_single_writer,
            .read_only = vault->read_only,
            .vault = vault->name,
            .s3 =
                    {
                            .bucket = s3->bucket,
                            .prefix = s3->prefix,
                            .region = s3->region,
                            .endpoint = s3->endpoint,
                            .path_style = s3->path_style,
                            .ca_file = s3->ca_file,
                            .credentials = {.mode = s3->is_static ? TM_AWS_STATIC : TM_AWS_AUTO,
                                    .access_key_id = s3->access_key_id,
                                    .secret = s3->secret_access_key},
                            .bytes_per_second = s3->bandwidth,
                            .spool_folder = spool,
                            .lock_mode = lock_mode(s3->lock_mode),
                            .lock_ms = s3->lock_max_ms,
                    },
    };
    return tm_store_open(&place, out, err);
}

enum tm_code tmd_open_vault(struct tmd *tmd, const struct tm_config_vault *vault,
        const char *writer, struct tm_store **store_out, struct tm_vault **out, struct tm_err *err)
{
    struct tm_secret secret = {
            .kind = vault->key_is_passphrase ? TM_SECRET_PASSPHRASE : TM_SECRET_KEY_FILE,
            .bytes = vault->key,
    };
    TM_OWN(tm_store_free) struct tm_store *store = NULL;
    TM_TRY(open_store(tmd, vault, &store, err));
    TM_TRY(ensure_vault(tmd, vault, store, &secret, err));
    if (vault->expect_head[0] != '\0') {
        struct tm_head expected;
        TM_TRY(tm_head_parse(vault->expect_head, &expected, err));
        TM_TRY(tm_vault_expect_head(store, &expected, err));
    }
    TM_TRY(tm_store_probe(store, err));
    TM_TRY(tm_vault_open(store, &secret, writer, out, err));
    *store_out = TM_TAKE(store);
    return TM_OK;
}

void tmd_vault_alarm(const struct tm_config_vault *vault, const struct tm_err *err)
{
    if (err->code == TM_E_ROLLED_BACK) {
        tm_log(TM_LOG_ERROR, "vault.rolled-back", err->msg, TM_LOG_STR("vault", vault->name),
                TM_LOG_END);
    }
    tm_metric_set(
            TM_M_VAULT_ROLLED_BACK, TM_LABELS(vault->name), err->code == TM_E_ROLLED_BACK ? 1 : 0);
}
