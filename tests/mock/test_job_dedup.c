/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the vault holds is not stored again: a topic whose records another one has, with whatever
 * happens to the packs that hold them. The catalog may be a new one each time.
 */
#include <check.h>

#include "catalog/content.h"
#include "catalog/handle.h"
#include "job/space.h"
#include "job_rig.h"

enum { MANY = 60000 }; /* some 1.7 MB: about 40 blocks cut by content */

static const struct tm_block_params blocks = {
        .block_min = 16 << 10,
        .block_mean = 32 << 10,
        .block_max = 128 << 10,
        .solo_min = 64 << 10,
        .pack_target = 8 << 20,
};

static void back_up_by(
        struct job_rig *rig, struct tm_catalog *catalog, struct tm_backup_result *result)
{
    struct tm_backup_options options = backup_options(rig);
    options.catalog = catalog;
    options.checkpoint_ms = 60000;
    options.level = 0; /* packs larger than what a reader keeps of them */
    back_up_with(rig, &options, result);
    ck_assert(!result->partial);
}

/* Back up a topic with nothing like it in the vault; stored bytes. */
static int64_t back_up_first(struct job_rig *rig)
{
    struct tm_backup_result result;
    rig_topic(rig, "orders", 1);
    write_made(&rig->kafka, "orders", 0, 0, MANY);
    back_up_by(rig, rig->catalog, &result);
    ck_assert_int_eq(result.messages_count, MANY);
    ck_assert_int_eq(result.deduplicated_bytes, 0);
    int64_t stored = result.stored_bytes;
    tm_backup_result_done(&result);
    return stored;
}

static void add_mirror(struct job_rig *rig, const char *topic)
{
    rig_topic(rig, topic, 1);
    write_made(&rig->kafka, topic, 0, 0, MANY);
}

/* All but the last block, which nothing but the end of the topic has cut, is found. */
static void assert_found(const struct tm_backup_result *result, int64_t first_stored)
{
    ck_assert_int_eq(result->messages_count, MANY);
    ck_assert_int_gt(result->deduplicated_bytes, result->source_bytes / 10 * 8);
    ck_assert_int_le(result->deduplicated_bytes, result->source_bytes);
    ck_assert_int_lt(result->stored_bytes, first_stored / 5);
}

START_TEST(records_that_another_topic_has_are_stored_once)
{
    struct job_rig rig;
    struct tm_backup_result result;
    rig_up(&rig);
    int64_t stored = back_up_first(&rig);
    add_mirror(&rig, "mirror");
    back_up_by(&rig, rig.catalog, &result);
    assert_found(&result, stored);
    assert_stored(&rig, "mirror", 0, 0, MANY);
    assert_stored(&rig, "orders", 0, 0, MANY);
    tm_backup_result_done(&result);
    rig_down(&rig);
}
END_TEST

START_TEST(topics_of_one_run_share_what_they_have_in_common)
{
    struct job_rig rig;
    struct tm_backup_result result;
    rig_up(&rig);
    static const char *const topics[] = {"orders", "mirror"};
    for (size_t i = 0; i < LENGTH(topics); i++) {
        add_mirror(&rig, topics[i]);
    }
    /* One after the other, with commits between: what refers to an earlier pack of the run, too. */
    struct tm_backup_options options = backup_options(&rig);
    options.topic_workers = 1;
    options.checkpoint_bytes = 256 << 10;
    back_up_with(&rig, &options, &result);
    ck_assert(!result.partial);
    ck_assert_int_eq(result.messages_count, 2 * MANY);
    ck_assert_int_gt(result.deduplicated_bytes, result.source_bytes / 10 * 3);
    assert_stored(&rig, "orders", 0, 0, MANY);
    assert_stored(&rig, "mirror", 0, 0, MANY);
    tm_backup_result_done(&result);
    rig_down(&rig);
}
END_TEST

START_TEST(a_new_catalog_learns_what_the_packs_hold)
{
    struct job_rig rig;
    struct tm_backup_result result;
    rig_up(&rig);
    int64_t stored = back_up_first(&rig);
    add_mirror(&rig, "mirror");
    struct tm_catalog *catalog = rig_catalog(&rig);
    back_up_by(&rig, catalog, &result);
    assert_found(&result, stored);
    tm_backup_result_done(&result);
    tm_catalog_close(catalog);
    rig_down(&rig);
}
END_TEST

/* The newest pack of the catalog */
static struct tm_hash newest_pack(struct tm_catalog *catalog)
{
    TM_STMT_OWN struct tm_stmt stmt = {0};
    struct tm_err err = {0};
    struct tm_hash name;
    bool row = false;
    static const char query[] = "SELECT name FROM pack ORDER BY stored_ms DESC LIMIT 1";
    ASSERT_OK(tm_sql_use(catalog->sql, query, &stmt, &err), err);
    ASSERT_OK(tm_sql_step(&stmt, &row, &err), err);
    ck_assert(row);
    tm_sql_copy(&stmt, 0, name.bytes, sizeof(name.bytes));
    return name;
}

START_TEST(a_forgotten_pack_is_not_referred_to)
{
    struct job_rig rig;
    struct tm_backup_result result;
    struct tm_err err = {0};
    rig_up(&rig);
    (void)back_up_first(&rig);
    struct tm_hash name = newest_pack(rig.catalog);
    struct tm_content *content = NULL;
    ASSERT_OK(tm_content_open(rig.catalog, &content, &err), err);
    ASSERT_OK(tm_content_forget(content, &name, &err), err);
    tm_content_close(content);
    add_mirror(&rig, "mirror");
    back_up_by(&rig, rig.catalog, &result);
    ck_assert_int_eq(result.deduplicated_bytes, 0);
    tm_backup_result_done(&result);
    rig_down(&rig);
}
END_TEST

/* Another writer, which drops a pack in the very moment before a log entry is created. */
struct dropper {
    struct job_rig *rig;
    struct tm_catalog *catalog;
    struct tm_vault *vault;
    struct tm_store *store;
    struct tm_hash pack;
    int drops;
};

static enum tm_code build_drop(void *arg, struct tm_edits *edits, struct tm_err *err)
{
    const struct dropper *dropper = arg;
    (void)err;
    struct tm_row_successors *row = tm_vec_push(&edits->packs_gone);
    row->name = dropper->pack;
    return TM_OK;
}

static enum tm_store_fault drop_first(
        void *arg, enum tm_store_op op, const char *name, uint64_t count)
{
    struct dropper *dropper = arg;
    struct tm_err err = {0};
    (void)count;
    if (op == TM_OP_CREATE && strncmp(name, "log/", 4) == 0 && dropper->drops == 0) {
        struct tm_fold fold = tm_catalog_fold(dropper->catalog);
        dropper->drops++;
        ASSERT_OK(tm_vault_commit(dropper->vault, &fold, build_drop, dropper, NULL, &err), err);
    }
    return TM_FAULT_NONE;
}

START_TEST(a_pack_dropped_before_the_commit_has_its_content_stored_again)
{
    struct job_rig rig;
    struct tm_backup_result result;
    struct tm_err err = {0};
    struct dropper dropper = {.rig = &rig};
    char path[128];
    rig_up(&rig);
    (void)back_up_first(&rig);
    dropper.pack = newest_pack(rig.catalog);
    dropper.catalog = rig_catalog(&rig);
    (void)snprintf(path, sizeof(path), "%s/vault", rig.dir);
    ASSERT_OK(tm_store_fs_open(path, true, &dropper.store, &err), err);
    ASSERT_OK(tm_vault_open(dropper.store, &key, "other/test", &dropper.vault, &err), err);

    add_mirror(&rig, "mirror");
    rig.hook = drop_first;
    rig.hook_arg = &dropper;
    back_up_by(&rig, rig.catalog, &result);
    rig.hook = NULL;
    ck_assert_int_eq(dropper.drops, 1);
    ck_assert_int_eq(result.messages_count, MANY);
    ck_assert_int_eq(result.deduplicated_bytes, 0);
    /* What it is read from is its own. */
    char object[TM_OBJECT_NAME_MAX];
    tm_pack_name(&dropper.pack, object);
    ASSERT_OK(tm_store_remove(dropper.store, object, &err), err);
    assert_stored(&rig, "mirror", 0, 0, MANY);

    tm_backup_result_done(&result);
    tm_vault_close(dropper.vault);
    tm_store_free(dropper.store);
    tm_catalog_close(dropper.catalog);
    rig_down(&rig);
}
END_TEST

/* Packs merged and the old ones gone ---------------------------------------------------------- */

/* A reader that listed what it needs before packs were merged. */
struct reading {
    struct tm_catalog *catalog;
    struct tm_pack_cache *cache;
    struct tm_source *source;
    struct tm_arena arena;
    int64_t next;
};

static void begin_reading(struct job_rig *rig, const char *topic, struct reading *out)
{
    struct tm_stored_run *runs = NULL;
    size_t count = 0;
    struct tm_err err = {0};
    *out = (struct reading){.catalog = rig_catalog(rig), .cache = tm_pack_cache_new(rig->vault)};
    struct tm_fold fold = tm_catalog_fold(out->catalog);
    ASSERT_OK(tm_vault_refresh(rig->vault, &fold, &err), err);
    struct tm_stream stream = stream_of(rig, out->catalog, topic, &out->arena);
    ASSERT_OK(
            tm_catalog_runs(out->catalog, stream.id, 0, 0, MANY, &out->arena, &runs, &count, &err),
            err);
    ASSERT_OK(tm_pack_cache_follow(out->cache, out->catalog, &err), err);
    struct tm_source_range range = {
            .runs = runs,
            .run_count = count,
            .stream = stream.id,
            .cluster_id = stream.cluster_id,
            .topic = stream.topic,
            .incarnation = stream.incarnation,
            .end = MANY,
    };
    out->source = tm_source_new(rig->vault, out->cache, &range);
}

static void read_up_to(struct reading *reading, int64_t end)
{
    struct tm_record record;
    struct tm_err err = {0};
    bool more = true;
    while (reading->next < end) {
        ASSERT_OK(tm_source_next(reading->source, &record, &more, &err), err);
        ck_assert(more);
        assert_made(&record, reading->next++);
    }
}

static void end_reading(struct reading *reading)
{
    struct tm_record record;
    struct tm_err err = {0};
    bool more = true;
    read_up_to(reading, MANY);
    ASSERT_OK(tm_source_next(reading->source, &record, &more, &err), err);
    ck_assert(!more);
    tm_source_free(reading->source);
    tm_pack_cache_free(reading->cache);
    tm_catalog_close(reading->catalog);
    tm_arena_done(&reading->arena);
}

/* Merge the packs stored before a time, and delete them. */
static void merge_older(struct job_rig *rig, int64_t before_ms)
{
    struct tm_space_options options = tm_space_defaults(rig->vault, rig->catalog);
    struct tm_space_result result = {0};
    struct tm_err err = {0};
    options.merge_min_packs = 2;
    options.merge_age_ms = tm_now_ms() - before_ms;
    options.grace_ms = -1000;
    options.now_ms = tm_now_ms;
    ASSERT_OK(tm_space_run(&options, &rig->env, &result, &err), err);
    ck_assert_int_gt(result.packs_merged_in, 1);
    ck_assert_int_ge(result.packs_swept, result.packs_merged_in);
    tm_space_result_done(&result);
}

START_TEST(content_is_found_where_merges_have_put_it)
{
    struct job_rig rig;
    struct tm_backup_result result;
    struct reading before;
    struct reading within;
    struct reading mirror;
    struct tm_block_params several = blocks;
    several.pack_target = 256 << 10;
    rig_blocks = &several;
    rig_up(&rig);
    int64_t stored = back_up_first(&rig);
    int64_t before_ms = tm_now_ms();
    add_mirror(&rig, "mirror");
    back_up_by(&rig, rig.catalog, &result);
    tm_backup_result_done(&result);
    begin_reading(&rig, "orders", &before);
    begin_reading(&rig, "mirror", &within);
    begin_reading(&rig, "mirror", &mirror);
    read_up_to(&within, MANY / 2);
    merge_older(&rig, before_ms); /* what the mirror refers to, not what refers to it */

    end_reading(&before); /* the packs it was told of are gone */
    end_reading(&mirror);
    end_reading(&within);
    assert_stored(&rig, "mirror", 0, 0, MANY);
    assert_stored(&rig, "orders", 0, 0, MANY);
    /* And what is looked up next is found in the new packs. */
    add_mirror(&rig, "third");
    back_up_by(&rig, rig.catalog, &result);
    assert_found(&result, stored);
    assert_stored(&rig, "third", 0, 0, MANY);
    tm_backup_result_done(&result);
    rig_down(&rig);
}
END_TEST

int main(void)
{
    rig_blocks = &blocks;
    TCase *tcase = tcase_create("job_dedup");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, records_that_another_topic_has_are_stored_once);
    tcase_add_test(tcase, topics_of_one_run_share_what_they_have_in_common);
    tcase_add_test(tcase, a_new_catalog_learns_what_the_packs_hold);
    tcase_add_test(tcase, a_forgotten_pack_is_not_referred_to);
    tcase_add_test(tcase, a_pack_dropped_before_the_commit_has_its_content_stored_again);
    tcase_add_test(tcase, content_is_found_where_merges_have_put_it);
    Suite *suite = suite_create("job_dedup");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
