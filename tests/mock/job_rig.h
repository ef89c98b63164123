/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job_rig - a mock cluster, a vault that can be made to fail, catalog, journal and pools: what a job
 * needs. And the question that every test ends with: is each record of Kafka stored once, as it was?
 */
#ifndef TM_TESTS_MOCK_JOB_RIG_H
#define TM_TESTS_MOCK_JOB_RIG_H

#include <ftw.h>
#include <pthread.h>

#include "base/ulid.h"
#include "fixture.h"
#include "job/backup.h"
#include "job/restore.h"
#include "job/restore_source.h"
#include "store/store_fault.h"
#include "store/store_fs.h"
#include "vault/log.h"

struct job_rig {
    struct fixture kafka;
    char dir[64];
    struct tm_store *store;
    struct tm_vault *vault;
    struct tm_catalog *catalog;
    struct tm_journal *journal;
    struct tm_pool *workers;
    struct tm_pool *sealers;
    struct tm_select *select; /* every topic, but what restores are made into */
    atomic_bool cancel;
    struct tm_progress progress;
    struct tm_job_env env;
    tm_store_fault_hook hook; /* NULL: the store does as it is told */
    void *hook_arg;
    int catalogs; /* opened so far */
};

static uint8_t key_bytes[32] = "a key file of thirty-two bytes.";
static const struct tm_secret key = {TM_SECRET_KEY_FILE, {key_bytes, sizeof(key_bytes)}};

static enum tm_store_fault rig_hook(
        void *arg, enum tm_store_op op, const char *name, uint64_t count)
{
    struct job_rig *rig = arg;
    return rig->hook != NULL ? rig->hook(rig->hook_arg, op, name, count) : TM_FAULT_NONE;
}

/* Another catalog of the vault, empty. */
UNUSED static struct tm_catalog *rig_catalog(struct job_rig *rig)
{
    struct tm_catalog *catalog = NULL;
    struct tm_err err = {0};
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/catalog-%d.db", rig->dir, rig->catalogs++);
    ASSERT_OK(tm_catalog_open(path, &catalog, &err), err);
    return catalog;
}

/* Of the vault that is made; a test may set it before. */
static const struct tm_block_params *rig_blocks = &tm_block_params_default;

static void rig_open_vault(struct job_rig *rig)
{
    struct tm_vault_params params = {.blocks = *rig_blocks};
    struct tm_store *store = NULL;
    struct tm_err err = {0};
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/vault", rig->dir);
    ASSERT_OK(tm_store_fs_open(path, true, &store, &err), err);
    rig->store = tm_store_fault_new(store, rig_hook, rig);
    ASSERT_OK(tm_vault_init(rig->store, &key, &params, &err), err);
    ASSERT_OK(tm_vault_open(rig->store, &key, "host/test", &rig->vault, &err), err);
    tm_vault_set_retry_ms(rig->vault, 200);
    rig->catalog = rig_catalog(rig);
}

UNUSED static void rig_up_brokers(struct job_rig *rig, int brokers)
{
    static const char *const include[] = {"*"};
    static const char *const exclude[] = {"*.back"};
    struct tm_select_options select = {
            .include = include, .include_count = 1, .exclude = exclude, .exclude_count = 1};
    struct tm_err err = {0};
    char path[128];
    memset(rig, 0, sizeof(*rig));
    tm_codec_init();
    rig->kafka = fixture_up(brokers);
    (void)snprintf(rig->dir, sizeof(rig->dir), "/tmp/tidemark-job-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(rig->dir));
    rig_open_vault(rig);
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

UNUSED static void rig_up(struct job_rig *rig)
{
    rig_up_brokers(rig, 1);
}

UNUSED static void rig_topic(struct job_rig *rig, const char *topic, int32_t partitions)
{
    struct tm_err err = {0};
    ASSERT_OK(tm_mock_topic(rig->kafka.mock, topic, partitions, &err), err);
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

UNUSED static void rig_down(struct job_rig *rig)
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

/* Backups ------------------------------------------------------------------------------------- */

UNUSED static struct tm_backup_options backup_options(const struct job_rig *rig)
{
    return (struct tm_backup_options){
            .policy = "p",
            .cluster = "mock",
            .kafka = rig->kafka.kafka,
            .vault = rig->vault,
            .catalog = rig->catalog,
            .select = rig->select,
            .level = 1,
            .checkpoint_ms = 50,
    };
}

UNUSED static enum tm_code try_back_up(struct job_rig *rig, const struct tm_backup_options *options,
        struct tm_backup_result *result, struct tm_err *err)
{
    memset(result, 0, sizeof(*result));
    *err = (struct tm_err){0};
    return tm_backup_run(options, &rig->env, result, err);
}

UNUSED static void back_up_with(struct job_rig *rig, const struct tm_backup_options *options,
        struct tm_backup_result *result)
{
    struct tm_err err;
    ASSERT_OK(try_back_up(rig, options, result, &err), err);
}

UNUSED static void back_up(struct job_rig *rig, struct tm_backup_result *result)
{
    struct tm_backup_options options = backup_options(rig);
    back_up_with(rig, &options, result);
}

/* A run that must find nothing amiss and store so many records. */
UNUSED static void expect_backup(struct job_rig *rig, int64_t messages)
{
    struct tm_backup_result result;
    back_up(rig, &result);
    ck_assert_msg(!result.partial, "%s: %s",
            result.failures.count > 0 ? result.failures.at[0].code : "",
            result.failures.count > 0 ? result.failures.at[0].detail : "");
    ck_assert_int_eq(result.messages_count, messages);
    tm_backup_result_done(&result);
}

UNUSED static bool has_note(const tm_job_notes *notes, const char *code)
{
    for (size_t i = 0; i < notes->count; i++) {
        if (strcmp(notes->at[i].code, code) == 0) {
            return true;
        }
    }
    return false;
}

/* What is stored ------------------------------------------------------------------------------ */

UNUSED static struct tm_stream stream_of(
        struct job_rig *rig, struct tm_catalog *catalog, const char *topic, struct tm_arena *arena)
{
    struct tm_slice cluster = {0};
    struct tm_stream stream;
    struct tm_err err = {0};
    ASSERT_OK(tm_kafka_cluster_id(rig->kafka.kafka, 10000, arena, &cluster, &err), err);
    ASSERT_OK(tm_catalog_stream(catalog, cluster, tm_slice_str(topic), arena, &stream, &err), err);
    return stream;
}

/* The tail of a partition; `next` is -1 where there is none. */
UNUSED static struct tm_row_tail tail_of(
        struct job_rig *rig, struct tm_catalog *catalog, const char *topic, int32_t partition)
{
    struct tm_arena arena = {0};
    struct tm_err err = {0};
    struct tm_row_tail *tails = NULL;
    struct tm_row_tail found = {.next = -1};
    size_t count = 0;
    struct tm_stream stream = stream_of(rig, catalog, topic, &arena);
    ASSERT_OK(tm_catalog_tails(catalog, stream.id, &arena, &tails, &count, &err), err);
    for (size_t i = 0; i < count; i++) {
        found = tails[i].partition == partition ? tails[i] : found;
    }
    tm_arena_done(&arena);
    return found;
}

/* Records [from, end) of the stream partition are stored, each once, each as it was made. */
UNUSED static void assert_stream(struct job_rig *rig, struct tm_catalog *catalog,
        const struct tm_stream *stream, int32_t partition, int64_t from, int64_t end)
{
    struct tm_arena arena = {0};
    struct tm_stored_run *runs = NULL;
    struct tm_err err = {0};
    size_t count = 0;
    ASSERT_OK(
            tm_catalog_runs(catalog, stream->id, partition, from, end, &arena, &runs, &count, &err),
            err);
    struct tm_source_range range = {
            .runs = runs,
            .run_count = count,
            .stream = stream->id,
            .cluster_id = stream->cluster_id,
            .topic = stream->topic,
            .incarnation = stream->incarnation,
            .partition = partition,
            .start = from,
            .end = end,
    };
    struct tm_pack_cache *cache = tm_pack_cache_new(rig->vault);
    ASSERT_OK(tm_pack_cache_follow(cache, catalog, &err), err);
    struct tm_source *source = tm_source_new(rig->vault, cache, &range);
    struct tm_record record;
    int64_t number = from;
    for (bool more = true; more;) {
        ASSERT_OK(tm_source_next(source, &record, &more, &err), err);
        if (more) {
            assert_made(&record, number++);
        }
    }
    ck_assert_msg(number == end, "partition %" PRId32 " is stored up to %" PRId64 ", not %" PRId64,
            partition, number, end);
    tm_source_free(source);
    tm_pack_cache_free(cache);
    tm_arena_done(&arena);
}

/* The log folds anew, and holds [from, end) of the topic's newest incarnation, and no more. */
UNUSED static void assert_stored(
        struct job_rig *rig, const char *topic, int32_t partition, int64_t from, int64_t end)
{
    struct tm_arena arena = {0};
    struct tm_err err = {0};
    struct tm_catalog *catalog = rig_catalog(rig);
    struct tm_fold fold = tm_catalog_fold(catalog);
    ASSERT_OK(tm_vault_refresh(rig->vault, &fold, &err), err);
    struct tm_stream stream = stream_of(rig, catalog, topic, &arena);
    ck_assert_uint_ne(stream.id, 0);
    ck_assert_int_eq(tail_of(rig, catalog, topic, partition).next, end);
    if (from < end) {
        assert_stream(rig, catalog, &stream, partition, from, end);
    }
    tm_catalog_close(catalog);
    tm_arena_done(&arena);
}

UNUSED static struct tm_point point_of(
        struct job_rig *rig, const struct tm_id16 *ulid, struct tm_arena *arena)
{
    struct tm_point point;
    struct tm_err err = {0};
    ASSERT_OK(tm_catalog_point(rig->catalog, ulid, arena, &point, &err), err);
    ck_assert_uint_ne(point.row.id, 0);
    return point;
}

/* The point's row of a partition of the topic's newest incarnation; NULL: it has none. */
UNUSED static const struct tm_row_part *row_of(
        const struct tm_point *point, const char *topic, int32_t partition)
{
    const struct tm_row_part *found = NULL;
    uint32_t newest = 0;
    for (size_t i = 0; i < point->row.part_count; i++) {
        const struct tm_row_part *row = &point->row.parts[i];
        for (size_t s = 0; s < point->stream_count; s++) {
            const struct tm_stream *stream = &point->streams[s];
            if (stream->id == row->stream && tm_slice_is(stream->topic, topic) &&
                    row->partition == partition && stream->incarnation > newest) {
                newest = stream->incarnation;
                found = row;
            }
        }
    }
    return found;
}

/* Restores ------------------------------------------------------------------------------------ */

struct restore_setup {
    struct tm_kafka_options kafka;
    struct tm_restore_options options;
};

/* Every topic of the point into an empty topic of its name and ".back". */
UNUSED static void restore_setup(
        struct job_rig *rig, const struct tm_id16 *point, struct restore_setup *out)
{
    *out = (struct restore_setup){
            .kafka = {.cluster = "mock", .bootstrap = tm_mock_bootstrap(rig->kafka.mock)},
            .options =
                    {
                            .job = tm_ulid_make(tm_now_ms()),
                            .point = *point,
                            .vault = rig->vault,
                            .catalog = rig->catalog,
                            .journal = rig->journal,
                            .target = "mock",
                            .kafka = rig->kafka.kafka,
                            .suffix = ".back",
                            .create_topics = TM_CREATE_NEVER,
                            .existing = TM_EXISTING_EMPTY_ONLY,
                            .original_configs = true,
                            .quiet_ms = 100,
                    },
    };
    out->options.kafka_options = &out->kafka;
}

UNUSED static enum tm_code try_restore(struct job_rig *rig, struct restore_setup *setup,
        struct tm_restore_result *result, struct tm_err *err)
{
    memset(result, 0, sizeof(*result));
    *err = (struct tm_err){0};
    atomic_store(&rig->progress.done_messages, 0);
    atomic_store(&rig->progress.parts_done, 0);
    setup->options.kafka_options = &setup->kafka;
    return tm_restore_run(&setup->options, &rig->env, result, err);
}

/* The partition holds the records [0, count) as they were made, and nothing else. */
UNUSED static void assert_partition(
        struct job_rig *rig, const char *topic, int32_t partition, int64_t count)
{
    struct tm_offsets ends = {.topic = topic, .partition = partition};
    struct tm_err err = {0};
    ASSERT_OK(tm_kafka_offsets(rig->kafka.kafka, &ends, 1, 10000, &err), err);
    ck_assert_int_eq(ends.high_watermark, count);
    if (count > 0) {
        struct tm_reader *reader = new_reader(&rig->kafka, topic, 0);
        ASSERT_OK(tm_reader_start(reader, partition, 0, count, &err), err);
        expect_range(reader, partition, 0, count);
        tm_reader_free(reader);
    }
}

/* Doing something while a job runs ------------------------------------------------------------ */

/* Sets the rig's cancel flag once so many records have passed. */
struct canceller {
    struct job_rig *rig;
    int64_t after;
    pthread_t thread;
    atomic_bool over;
};

static void *cancel_later(void *arg)
{
    struct canceller *canceller = arg;
    while (!atomic_load(&canceller->over) &&
            atomic_load(&canceller->rig->progress.done_messages) < canceller->after) {
        tm_sleep_ms(1);
    }
    atomic_store(&canceller->rig->cancel, true);
    return NULL;
}

UNUSED static void cancel_begin(struct canceller *canceller, struct job_rig *rig, int64_t after)
{
    *canceller = (struct canceller){.rig = rig, .after = after};
    atomic_store(&rig->progress.done_messages, 0);
    ck_assert_int_eq(pthread_create(&canceller->thread, NULL, cancel_later, canceller), 0);
}

UNUSED static void cancel_end(struct canceller *canceller)
{
    atomic_store(&canceller->over, true);
    pthread_join(canceller->thread, NULL);
    atomic_store(&canceller->rig->cancel, false);
}

#endif
