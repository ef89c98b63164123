/* SPDX-License-Identifier: Apache-2.0 */
#include "standby.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

enum { ASKING_MAX = 64 }; /* threads; who comes later runs unasked */

struct asking {
    struct tmd *tmd;
    const struct tm_config_policy *policy;
    tmd_standby_done done;
    void *arg;
    pthread_t thread;
    struct tm_arena arena;
    const char *writer;
};

static size_t asked; /* the loop's */

/* The cluster's id, as the policy's newest point has it: Kafka is not asked. */
static enum tm_code find_cluster(
        struct asking *asking, struct tm_catalog *catalog, struct tm_slice *out, struct tm_err *err)
{
    struct tm_point_line *lines = NULL;
    size_t count = 0;
    struct tm_point_query query = {.policies = tm_names_one(&asking->policy->name),
            .clusters = tm_names_one(&asking->policy->cluster->name),
            .since_ms = INT64_MIN,
            .until_ms = INT64_MAX,
            .limit = 1};
    TM_TRY(tm_catalog_points(catalog, &query, &asking->arena, &lines, &count, err));
    *out = count > 0 ? lines[0].row.cluster_id : TM_SLICE_NULL;
    return TM_OK;
}

/* Another one's entry, of less than an interval ago, made while this daemon was there. */
static bool is_at_work(
        const struct asking *asking, const struct tm_vault *vault, const struct tm_row_writer *row)
{
    int64_t interval_ms = tm_schedule_interval_ms(&asking->policy->schedule);
    int64_t age_ms = tm_now_ms() - row->time_ms; /* below 0 where its clock is ahead */
    return row->writer.len > 0 && !tm_slice_is(row->writer, tm_vault_writer(vault)) &&
           age_ms < interval_ms && age_ms > -interval_ms && row->time_ms > asking->tmd->started_ms;
}

static enum tm_code look(struct asking *asking, struct tm_err *err)
{
    const struct tm_config_policy *policy = asking->policy;
    struct tm_vault *vault = NULL;
    TM_OWN(tmd_lease_free) struct tmd_lease *lease = tmd_lease_new(asking->tmd);
    TM_OWN(tm_catalog_close) struct tm_catalog *catalog = NULL;
    TM_TRY(tmd_vault(lease, policy->vault, &vault, err));
    TM_TRY(tmd_catalog(asking->tmd, policy->vault, &catalog, err));
    struct tm_fold fold = tm_catalog_fold(catalog);
    TM_TRY(tm_vault_refresh(vault, &fold, err));

    struct tm_slice cluster = TM_SLICE_NULL;
    struct tm_row_writer row = {0};
    TM_TRY(find_cluster(asking, catalog, &cluster, err));
    if (cluster.at == NULL) {
        return TM_OK; /* no point yet */
    }
    TM_TRY(tm_catalog_writer(
            catalog, cluster, tm_slice_str(policy->name), &asking->arena, &row, err));
    if (is_at_work(asking, vault, &row)) {
        asking->writer = tm_arena_str(&asking->arena, row.writer);
    }
    return TM_OK;
}

static void finish(struct asking *asking)
{
    asked--;
    asking->done(asking->arg, asking->writer);
    tm_arena_done(&asking->arena);
    free(asking);
}

static void looked(void *arg)
{
    struct asking *asking = arg;
    pthread_join(asking->thread, NULL);
    finish(asking);
}

static void *run(void *arg)
{
    struct asking *asking = arg;
    struct tm_err err = {0};
    if (look(asking, &err) != TM_OK) { /* the run will fail the same way, and say so */
        tm_log(TM_LOG_DEBUG, "standby.unknown", err.msg, TM_LOG_STR("policy", asking->policy->name),
                TM_LOG_END);
    }
    tmd_post(asking->tmd, looked, asking);
    return NULL;
}

void tmd_standby_ask(
        struct tmd *tmd, const struct tm_config_policy *policy, tmd_standby_done done, void *arg)
{
    struct asking *asking = tm_xalloc(1, sizeof(*asking));
    asking->tmd = tmd;
    asking->policy = policy;
    asking->done = done;
    asking->arg = arg;
    asked++;
    if (asked > ASKING_MAX || pthread_create(&asking->thread, NULL, run, asking) != 0) {
        finish(asking);
    }
}

size_t tmd_standby_asking(void)
{
    return asked;
}
