/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/job against the mock cluster: what a run stores is what a restore writes, however the runs were
 * cut, and nothing new stores nothing.
 */
#include "job/backup.h"
#include "job/restore.h"

#include <dirent.h>
#include <ftw.h>

#include "base/ulid.h"
#include "fixture.h"
#include "store/store_fs.h"

enum { PARTITIONS = 3 };

struct job_rig {
    struct fixture kafka;
    char dir[64];
    struct tm_store *store;
    struct tm_vault *vault;
    struct tm_catalog *catalog;
    struct tm_journal *journal;
    struct tm_pool *workers;
    struct tm_pool *sealers;
    struct tm_select *select;
    atomic_bool cancel;
    struct tm_progress progress;
    struct tm_job_env env;
};

static uint8_t key_bytes[32] = "a key file of thirty-two bytes.";

static const struct tm_secret key = {TM_SECRET_KEY_FILE, {key_bytes, sizeof(key_bytes)}};

static void rig_up(struct job_rig *rig)
{
    static const char *const include[] = {"orders"};
    struct tm_select_options select = {.include = include, .include_count = 1};
    struct tm_vault_params params = {.blocks = tm_block_params_default};
    struct tm_err err = {0};
    memset(rig, 0, sizeof(*rig));
    tm_codec_init();
    rig->kafka = fixture_up(1);
    ASSERT_OK(tm_mock_topic(rig->kafka.mock, "orders", PARTITIONS, &err), err);
    (void)snprintf(rig->dir, sizeof(rig->dir), "/tmp/tidemark-job-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(rig->dir));
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/vault", rig->dir);
    ASSERT_OK(tm_store_fs_open(path, true, &rig->store, &err), err);
    ASSERT_OK(tm_vault_init(rig->store, &key, &params, &err), err);
    ASSERT_OK(tm_vault_open(rig->store, &key, "host/test", &rig->vault, &err), err);
    (void)snprintf(path, sizeof(path), "%s/catalog.db", rig->dir);
    ASSERT_OK(tm_catalog_open(path, &rig->catalog, &err), err);
    (void)snprintf(path, sizeof(path), "%s/journal.db", rig->dir);
    ASSERT_OK(tm_journal_open(path, &rig->journal, &err), err);
    ASSERT_OK(tm_select_new(&select, &rig->select, &err), err);
    rig->workers = tm_pool_new("worker", 4);
    rig->sealers = tm_pool_new("sealer", 2);
    rig->env = (struct tm_job_env){
            .job_id = "job_test",
            .workers = rig->workers,
            .sealers = rig->sealers,
            .memory_bytes = 32 << 20,
            .cancel = &rig->cancel,
            .progress = &rig->progress,
    };
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

static void rig_down(struct job_rig *rig)
{
    tm_pool_free(rig->workers);
    tm_pool_free(rig->sealers);
    tm_select_free(rig->select);
    tm_journal_close(rig->journal);
    tm_catalog_close(rig->catalog);
    tm_vault_close(rig->vault);
    tm_store_free(rig->store);
    fixture_down(&rig->kafka);
    (void)nftw(rig->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void back_up(struct job_rig *rig, struct tm_backup_result *result)
{
    struct tm_backup_options options = {
            .policy = "p",
            .cluster = "mock",
            .kafka = rig->kafka.kafka,
            .vault = rig->vault,
            .catalog = rig->catalog,
            .select = rig->select,
            .level = 1,
            .checkpoint_ms = 50,
    };
    struct tm_err err = {0};
    memset(result, 0, sizeof(*result));
    ASSERT_OK(tm_backup_run(&options, &rig->env, result, &err), err);
}

static void restore(struct job_rig *rig, const struct tm_id16 *point, const char *target,
        struct tm_restore_result *result)
{
    struct tm_rename rename = {"orders", target};
    struct tm_kafka_options kafka_options = {
            .cluster = "mock", .bootstrap = tm_mock_bootstrap(rig->kafka.mock)};
    struct tm_restore_options options = {
            .job = tm_ulid_make(tm_now_ms()),
            .point = *point,
            .vault = rig->vault,
            .catalog = rig->catalog,
            .journal = rig->journal,
            .target = "mock",
            .kafka = rig->kafka.kafka,
            .kafka_options = &kafka_options,
            .renames = &rename,
            .rename_count = 1,
            .create_topics = TM_CREATE_NEVER,
            .existing = TM_EXISTING_EMPTY_ONLY,
            .original_configs = true,
            .quiet_ms = 100,
    };
    struct tm_err err = {0};
    memset(result, 0, sizeof(*result));
    ASSERT_OK(tm_restore_run(&options, &rig->env, result, &err), err);
}

/* Read [0, count) of the partition and compare each record with the one that must be there. */
static void assert_partition(
        struct job_rig *rig, const char *topic, int32_t partition, int64_t count)
{
    struct tm_reader_options options = {.topic = topic};
    struct tm_reader *reader = NULL;
    struct tm_err err = {0};
    ASSERT_OK(tm_reader_new(rig->kafka.kafka, &options, &reader, &err), err);
    ASSERT_OK(tm_reader_start(reader, partition, 0, count, &err), err);
    struct tm_read_event event = {0};
    int64_t seen = 0;
    while (tm_reader_running(reader) > 0) {
        tm_reader_next(reader, 1000, &event);
        ck_assert_msg(event.kind != TM_READ_FAILED, "%s", event.err.msg);
        if (event.kind == TM_READ_RECORD) {
            assert_made(&event.record, seen++);
        }
    }
    ck_assert_int_eq(seen, count);
    tm_reader_free(reader);
}

START_TEST(what_is_stored_is_what_is_restored)
{
    static const int64_t counts[PARTITIONS] = {5000, 0, 1};
    struct job_rig rig;
    struct tm_backup_result backup;
    struct tm_restore_result back;
    struct tm_err err = {0};
    rig_up(&rig);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        if (counts[p] > 0) {
            write_made(&rig.kafka, "orders", p, 0, counts[p]);
        }
    }
    back_up(&rig, &backup);
    ck_assert(!backup.unchanged);
    ck_assert_msg(
            !backup.partial, "%s", backup.failures.count > 0 ? backup.failures.at[0].detail : "");
    ck_assert_int_eq(backup.messages_count, 5001);
    ck_assert_int_eq(backup.gaps_count, 0);

    ASSERT_OK(tm_mock_topic(rig.kafka.mock, "again", PARTITIONS, &err), err);
    restore(&rig, &backup.point, "again", &back);
    ck_assert_msg(back.proved, "%s", back.failures.count > 0 ? back.failures.at[0].detail : "");
    ck_assert_int_eq(back.messages_count, 5001);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        if (counts[p] > 0) {
            assert_partition(&rig, "again", p, counts[p]);
        }
    }
    tm_restore_result_done(&back);
    tm_backup_result_done(&backup);
    rig_down(&rig);
}
END_TEST

START_TEST(a_run_stores_only_what_is_new)
{
    struct job_rig rig;
    struct tm_backup_result first;
    struct tm_backup_result second;
    struct tm_backup_result third;
    rig_up(&rig);
    write_made(&rig.kafka, "orders", 0, 0, 100);
    back_up(&rig, &first);

    back_up(&rig, &second);
    ck_assert(second.unchanged);
    ck_assert_int_eq(second.stored_bytes, 0);
    ck_assert(tm_id16_eq(&second.point, &first.point));

    write_made(&rig.kafka, "orders", 0, 100, 101);
    back_up(&rig, &third);
    ck_assert(!third.unchanged);
    ck_assert_int_eq(third.messages_count, 1);
    ck_assert(!tm_id16_eq(&third.point, &first.point));
    tm_backup_result_done(&first);
    tm_backup_result_done(&second);
    tm_backup_result_done(&third);
    rig_down(&rig);
}
END_TEST

START_TEST(a_catalog_made_again_gives_the_same_point)
{
    struct job_rig rig;
    struct tm_backup_result backup;
    struct tm_restore_result back;
    struct tm_err err = {0};
    char path[128];
    rig_up(&rig);
    for (int64_t from = 0; from < 300; from += 100) {
        write_made(&rig.kafka, "orders", 1, from, from + 100);
        back_up(&rig, &backup);
        ck_assert_int_eq(backup.messages_count, 100);
        if (from < 200) {
            tm_backup_result_done(&backup);
        }
    }
    tm_catalog_close(rig.catalog);
    (void)snprintf(path, sizeof(path), "%s/another.db", rig.dir);
    ASSERT_OK(tm_catalog_open(path, &rig.catalog, &err), err);
    ASSERT_OK(tm_mock_topic(rig.kafka.mock, "again", PARTITIONS, &err), err);
    restore(&rig, &backup.point, "again", &back); /* folds the log first */
    ck_assert(back.proved);
    assert_partition(&rig, "again", 1, 300);

    struct tm_backup_result idle;
    back_up(&rig, &idle);
    ck_assert(idle.unchanged);
    tm_backup_result_done(&idle);
    tm_restore_result_done(&back);
    tm_backup_result_done(&backup);
    rig_down(&rig);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("job");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, what_is_stored_is_what_is_restored);
    tcase_add_test(tcase, a_run_stores_only_what_is_new);
    tcase_add_test(tcase, a_catalog_made_again_gives_the_same_point);

    Suite *suite = suite_create("job");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
