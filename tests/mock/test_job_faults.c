/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs on a store that fails at random, and two daemons at one vault: each record is stored once,
 * whatever happens and however often the run has to be made again.
 */
#include "job_rig.h"

enum {
    PARTITIONS = 3,
    RECORDS = 300, /* of a partition, in each of two helpings */
    SEEDS_S = 7,   /* seconds */
    SEEDS_MAX = 400,
    ATTEMPTS_MAX = 40,
};

/* Small blocks and packs, so that a short run has many operations and commits. */
static const struct tm_block_params small = {
        .block_min = 1024,
        .block_mean = 2048,
        .block_max = 8192,
        .solo_min = 4096,
        .pack_target = 4096,
};

struct dice {
    pthread_mutex_t lock;
    uint64_t state;
    unsigned one_in; /* 0: nothing fails */
    unsigned faults;
};

static uint64_t roll(struct dice *dice)
{
    dice->state ^= dice->state << 13;
    dice->state ^= dice->state >> 7;
    dice->state ^= dice->state << 17;
    return dice->state >> 8;
}

static enum tm_store_fault fail_at_random(
        void *arg, enum tm_store_op op, const char *name, uint64_t count)
{
    static const enum tm_store_fault writes[] = {TM_FAULT_IO, TM_FAULT_LOST_ACK, TM_FAULT_FULL};
    static const enum tm_store_fault reads[] = {TM_FAULT_IO, TM_FAULT_FLIP, TM_FAULT_SHORT};
    struct dice *dice = arg;
    (void)name;
    (void)count;
    if (dice->one_in == 0 || roll(dice) % dice->one_in != 0) {
        return TM_FAULT_NONE;
    }
    dice->faults++;
    size_t which = roll(dice) % 3;
    return op == TM_OP_GET || op == TM_OP_RANGE ? reads[which] : writes[which];
}

/* A vault for this seed alone, in the rig's place. */
static void fresh_vault(struct job_rig *rig, unsigned seed)
{
    struct tm_vault_params params = {.blocks = small};
    struct tm_store *store = NULL;
    struct tm_err err = {0};
    char path[128];
    tm_catalog_close(rig->catalog);
    tm_vault_close(rig->vault);
    tm_store_free(rig->store);
    (void)snprintf(path, sizeof(path), "%s/vault-%u", rig->dir, seed);
    ASSERT_OK(tm_store_fs_open(path, true, &store, &err), err);
    rig->store = tm_store_fault_new(store, rig_hook, rig);
    ASSERT_OK(tm_vault_init(rig->store, &key, &params, &err), err);
    ASSERT_OK(tm_vault_open(rig->store, &key, "host/test", &rig->vault, &err), err);
    tm_vault_set_retry_ms(rig->vault, 5);
    rig->catalog = rig_catalog(rig);
}

/* What is stored so far is a prefix of each partition; how many records that is. */
static int64_t assert_prefix(struct job_rig *rig)
{
    int64_t total = 0;
    struct tm_arena arena = {0};
    struct tm_err err = {0};
    struct tm_catalog *catalog = rig_catalog(rig);
    struct tm_fold fold = tm_catalog_fold(catalog);
    ASSERT_OK(tm_vault_refresh(rig->vault, &fold, &err), err);
    struct tm_stream stream = stream_of(rig, catalog, "orders", &arena);
    for (int32_t p = 0; stream.id != 0 && p < PARTITIONS; p++) {
        int64_t end = tail_of(rig, catalog, "orders", p).next;
        if (end > 0) {
            assert_stream(rig, catalog, &stream, p, 0, end);
            total += end;
        }
    }
    tm_catalog_close(catalog);
    tm_arena_done(&arena);
    return total;
}

/* Runs, until one goes through whole. */
static void back_up_until_whole(struct job_rig *rig, struct dice *dice, int64_t total)
{
    struct tm_backup_options options = backup_options(rig);
    bool whole = false;
    unsigned one_in = dice->one_in;
    options.checkpoint_ms = 1;
    options.checkpoint_bytes = 1;
    for (int attempt = 0; !whole; attempt++) {
        struct tm_backup_result result;
        struct tm_err err;
        dice->one_in = attempt < ATTEMPTS_MAX ? one_in : 0;
        options.catalog = rig->catalog;
        whole = try_back_up(rig, &options, &result, &err) == TM_OK && !result.partial;
        tm_backup_result_done(&result);
        dice->one_in = 0;
        ck_assert_msg(attempt <= ATTEMPTS_MAX, "%s", err.msg);
        int64_t stored = attempt % 4 == 3 || whole ? assert_prefix(rig) : 0;
        ck_assert(!whole || stored == total);
        if (roll(dice) % 4 == 0) { /* a daemon that lost its catalog */
            tm_catalog_close(rig->catalog);
            rig->catalog = rig_catalog(rig);
        }
    }
    dice->one_in = one_in;
}

START_TEST(whatever_the_store_does_each_record_is_stored_once)
{
    struct job_rig rig;
    unsigned seed = 1;
    unsigned faults = 0;
    rig_up(&rig);
    rig_topic(&rig, "orders", PARTITIONS);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        write_made(&rig.kafka, "orders", p, 0, RECORDS);
    }
    int64_t until_ns = tm_mono_ns() + SEEDS_S * INT64_C(1000000000);
    for (; seed <= SEEDS_MAX && tm_mono_ns() < until_ns; seed++) {
        struct dice dice = {.state = seed * UINT64_C(0x9e3779b97f4a7c15), .one_in = 3 + seed % 24};
        rig.hook = NULL;
        fresh_vault(&rig, seed);
        rig.hook_arg = &dice;
        rig.hook = fail_at_random;
        back_up_until_whole(&rig, &dice, (int64_t)PARTITIONS * RECORDS);
        faults += dice.faults;
    }
    (void)fprintf(stderr, "%u seeds, %u faults\n", seed - 1, faults);
    ck_assert_uint_gt(faults, 0);
    rig.hook = NULL;
    rig_down(&rig);
}
END_TEST

/* Two daemons --------------------------------------------------------------------------------- */

struct daemon {
    struct job_rig *rig;
    const char *policy;
    struct tm_kafka *kafka;
    struct tm_store *store;
    struct tm_vault *vault;
    struct tm_catalog *catalog;
    struct tm_progress progress;
    struct tm_backup_result result;
    struct tm_err err;
    enum tm_code code;
    pthread_t thread;
};

static void daemon_up(struct daemon *daemon, struct job_rig *rig, const char *policy)
{
    struct tm_err err = {0};
    char path[128];
    *daemon = (struct daemon){.rig = rig, .policy = policy, .kafka = rig->kafka.kafka};
    (void)snprintf(path, sizeof(path), "%s/vault", rig->dir);
    ASSERT_OK(tm_store_fs_open(path, false, &daemon->store, &err), err);
    ASSERT_OK(tm_vault_open(daemon->store, &key, policy, &daemon->vault, &err), err);
    daemon->catalog = rig_catalog(rig);
}

static void daemon_down(struct daemon *daemon)
{
    tm_catalog_close(daemon->catalog);
    tm_vault_close(daemon->vault);
    tm_store_free(daemon->store);
}

static void *run_daemon(void *arg)
{
    struct daemon *daemon = arg;
    struct tm_backup_options options = backup_options(daemon->rig);
    struct tm_job_env env = daemon->rig->env;
    env.progress = &daemon->progress;
    options.policy = daemon->policy;
    options.kafka = daemon->kafka;
    options.vault = daemon->vault;
    options.catalog = daemon->catalog;
    options.checkpoint_ms = 1;
    options.checkpoint_bytes = 1;
    memset(&daemon->result, 0, sizeof(daemon->result));
    daemon->err = (struct tm_err){0};
    daemon->code = tm_backup_run(&options, &env, &daemon->result, &daemon->err);
    return NULL;
}

/* Rounds of two runs at once; how many records the two say to have stored together. */
static int64_t race(struct job_rig *rig, struct daemon daemons[2], int64_t from, int64_t end)
{
    enum { STEP = 120 };
    int64_t stored = 0;
    for (int64_t at = from; at < end; at += STEP) {
        for (int32_t p = 0; p < PARTITIONS; p++) {
            write_made(&rig->kafka, "orders", p, at, at + STEP);
        }
        for (size_t i = 0; i < 2; i++) {
            ck_assert_int_eq(pthread_create(&daemons[i].thread, NULL, run_daemon, &daemons[i]), 0);
        }
        for (size_t i = 0; i < 2; i++) {
            pthread_join(daemons[i].thread, NULL);
            ASSERT_OK(daemons[i].code, daemons[i].err);
            ck_assert(!daemons[i].result.partial);
            ck_assert(daemons[i].result.has_point);
            stored += daemons[i].result.messages_count;
            tm_backup_result_done(&daemons[i].result);
        }
    }
    return stored;
}

/* trap: manifest_overwritten_by_two_writers */
START_TEST(two_daemons_at_one_vault_store_each_record_once)
{
    enum { HALF = 600 };
    struct job_rig rig;
    struct daemon daemons[2];
    struct tm_kafka *another = NULL;
    struct tm_err err = {0};
    rig_up(&rig);
    rig_topic(&rig, "orders", PARTITIONS);
    daemon_up(&daemons[0], &rig, "p");
    daemon_up(&daemons[1], &rig, "q");
    /* First on one handle, where they take turns, then each on its own. */
    ck_assert_int_eq(race(&rig, daemons, 0, HALF), (int64_t)PARTITIONS * HALF);
    struct tm_kafka_options options = {
            .cluster = "mock", .bootstrap = tm_mock_bootstrap(rig.kafka.mock)};
    ASSERT_OK(tm_kafka_open(&options, &another, &err), err);
    daemons[1].kafka = another;
    ck_assert_int_eq(race(&rig, daemons, HALF, 2 * HALF), (int64_t)PARTITIONS * HALF);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        assert_stored(&rig, "orders", p, 0, (int64_t)2 * HALF);
    }
    daemon_down(&daemons[0]);
    daemon_down(&daemons[1]);
    tm_kafka_close(another);
    rig_down(&rig);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("faults");
    tcase_add_test(tcase, whatever_the_store_does_each_record_is_stored_once);
    tcase_add_test(tcase, two_daemons_at_one_vault_store_each_record_once);
    return run_case(tcase, "job_faults");
}
