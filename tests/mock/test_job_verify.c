/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repair against the mock cluster: what is damaged in the vault comes back from what is whole of it and from
 * Kafka, and what neither has is named as lost, with all else as it was.
 */
#include "catalog/findings.h"
#include "job/space.h"
#include "job/verify.h"
#include "job_rig.h"
#include "vault/pack_reader.h"

enum { RECORDS = 3000, MANY = 60000 /* some blocks that are cut by content */ };

static const struct tm_block_params small_blocks = {
        .block_min = 16 << 10,
        .block_mean = 32 << 10,
        .block_max = 128 << 10,
        .solo_min = 64 << 10,
        .pack_target = 1 << 20,
};

/* Damage ----------------------------------------------------------------------------------- */

/* The one pack that holds the offset. */
static struct tm_stored_run run_at(struct job_rig *rig, const char *topic, int64_t offset)
{
    struct tm_arena arena = {0};
    struct tm_stored_run *runs = NULL;
    struct tm_err err = {0};
    size_t count = 0;
    struct tm_stream stream = stream_of(rig, rig->catalog, topic, &arena);
    ASSERT_OK(tm_catalog_runs(
                      rig->catalog, stream.id, 0, offset, offset + 1, &arena, &runs, &count, &err),
            err);
    ck_assert_uint_eq(count, 1);
    struct tm_stored_run run = *runs;
    tm_arena_done(&arena);
    return run;
}

static void object_path(struct job_rig *rig, const struct tm_hash *pack, char path[256])
{
    char name[TM_OBJECT_NAME_MAX];
    tm_pack_name(pack, name);
    (void)snprintf(path, 256, "%s/vault/%s", rig->dir, name);
}

static void flip(struct job_rig *rig, const struct tm_hash *pack, long at)
{
    char path[256];
    object_path(rig, pack, path);
    ck_assert_int_eq(chmod(path, 0600), 0);
    FILE *file = fopen(path, "r+b");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, at, SEEK_SET), 0);
    int byte = fgetc(file);
    ck_assert_int_eq(fseek(file, at, SEEK_SET), 0);
    ck_assert_int_ne(fputc(byte ^ 4, file), EOF);
    ck_assert_int_eq(fclose(file), 0);
}

/* A byte in the content of a block of the pack; gives the block's first run. */
static struct tm_run flip_block(struct job_rig *rig, const struct tm_stored_run *run, size_t block)
{
    struct tm_pack *pack = NULL;
    struct tm_err err = {0};
    ASSERT_OK(tm_pack_open(rig->vault, &run->pack, run->pack_size, &pack, &err), err);
    ck_assert_uint_gt(tm_pack_index(pack)->block_count, block);
    const struct tm_block_info *info = &tm_pack_index(pack)->blocks[block];
    struct tm_run broken = info->runs[0].run;
    flip(rig, &run->pack, (long)info->content.offset + 7);
    tm_pack_close(pack);
    return broken;
}

static void remove_pack(struct job_rig *rig, const struct tm_hash *pack)
{
    char path[256];
    object_path(rig, pack, path);
    ck_assert_int_eq(remove(path), 0);
}

/* Verification ----------------------------------------------------------------------------- */

static struct tm_kafka *rig_cluster(void *arg, struct tm_slice cluster_id)
{
    (void)cluster_id;
    return arg;
}

static struct tm_verify_result verify(
        struct job_rig *rig, enum tm_verify_depth depth, struct tm_kafka *kafka, bool repair)
{
    struct tm_verify_options options = {
            .name = "main",
            .vault = rig->vault,
            .catalog = rig->catalog,
            .depth = depth,
            .repair = repair,
            .kafka = kafka != NULL ? rig_cluster : NULL,
            .kafka_arg = kafka,
            .level = 1,
    };
    struct tm_verify_result result = {0};
    struct tm_err err = {0};
    ASSERT_OK(tm_verify_run(&options, &rig->env, &result, &err), err);
    return result;
}

static void assert_whole(struct job_rig *rig)
{
    struct tm_verify_result result = verify(rig, TM_VERIFY_FULL, NULL, false);
    ck_assert_int_eq(result.faults_count, 0);
    ck_assert_int_eq(result.faults_open, 0);
    ck_assert_uint_eq(result.points.count, 0);
    tm_verify_result_done(&result);
    result = verify(rig, TM_VERIFY_CATALOG, NULL, false);
    ck_assert_int_eq(result.faults_count, 0);
    tm_verify_result_done(&result);
}

static void assert_found(struct job_rig *rig, enum tm_verify_depth depth)
{
    struct tm_verify_result result = verify(rig, depth, NULL, false);
    ck_assert_int_eq(result.faults_count, 1);
    ck_assert_int_eq(result.faults_open, 1);
    ck_assert_uint_gt(result.points.count, 0);
    ck_assert_str_eq(result.faults.at[0].topic, "orders");
    tm_verify_result_done(&result);
}

/* A run without progress commits: what a pack holds does not hang on the machine's mood. */
static void store_at_once(struct job_rig *rig, int64_t messages, bool deduplicates)
{
    struct tm_backup_options options = backup_options(rig);
    struct tm_backup_result result;
    options.checkpoint_ms = 600000;
    back_up_with(rig, &options, &result);
    ck_assert_int_eq(result.messages_count, messages);
    ck_assert_int_eq(result.deduplicated_bytes > 0, deduplicates);
    tm_backup_result_done(&result);
}

/* Two topics, each stored by runs of its own. */
static void store_some(struct job_rig *rig)
{
    rig_up(rig);
    rig_topic(rig, "orders", 1);
    rig_topic(rig, "other", 1);
    write_made(&rig->kafka, "orders", 0, 0, RECORDS);
    write_made(&rig->kafka, "other", 0, 0, 10);
    store_at_once(rig, RECORDS + 10, false);
    write_made(&rig->kafka, "orders", 0, RECORDS, RECORDS + 100);
    store_at_once(rig, 100, false);
}

/* Repair ----------------------------------------------------------------------------------- */

enum damage { FLIPPED, MISSING, INDEX, DAMAGES };

static void do_damage(struct job_rig *rig, enum damage damage)
{
    struct tm_stored_run run = run_at(rig, "orders", RECORDS + 5);
    if (damage == FLIPPED) {
        (void)flip_block(rig, &run, 0);
    } else if (damage == MISSING) {
        remove_pack(rig, &run.pack);
    } else {
        flip(rig, &run.pack, (long)run.pack_size - 50);
    }
}

START_TEST(the_next_backup_repairs_what_was_found)
{
    struct job_rig rig;
    struct tm_backup_result result;
    store_some(&rig);
    do_damage(&rig, (enum damage)_i);
    assert_found(&rig, TM_VERIFY_FULL);
    back_up(&rig, &result);
    ck_assert(has_note(&result.warnings, "repaired"));
    ck_assert(!has_note(&result.warnings, "damaged"));
    ck_assert(!result.partial);
    tm_backup_result_done(&result);
    assert_whole(&rig);
    assert_stored(&rig, "orders", 0, 0, RECORDS + 100);
    assert_stored(&rig, "other", 0, 0, 10);

    back_up(&rig, &result);
    ck_assert_uint_eq(result.warnings.count, 0);
    tm_backup_result_done(&result);
    rig_down(&rig);
}
END_TEST

static int64_t records_of(struct job_rig *rig, const struct tm_hash *pack)
{
    struct tm_arena arena = {0};
    struct tm_run *runs = NULL;
    struct tm_err err = {0};
    size_t count = 0;
    int64_t sum = 0;
    ASSERT_OK(tm_findings_pack_runs(rig->catalog, pack, &arena, &runs, &count, &err), err);
    for (size_t i = 0; i < count; i++) {
        sum += runs[i].count;
    }
    tm_arena_done(&arena);
    return sum;
}

START_TEST(what_is_whole_of_a_pack_is_kept)
{
    struct job_rig rig;
    store_some(&rig);
    struct tm_stored_run run = run_at(&rig, "orders", 5);
    int64_t records = records_of(&rig, &run.pack);
    struct tm_run broken = flip_block(&rig, &run, 0);
    struct tm_verify_result result = verify(&rig, TM_VERIFY_FULL, rig.kafka.kafka, true);
    ck_assert_int_eq(result.faults_count, 1);
    ck_assert_int_eq(result.faults_open, 0);
    ck_assert_uint_eq(result.repairs.count, 1);
    ck_assert(result.repairs.at[0].repaired);
    ck_assert_str_eq(result.repairs.at[0].detail, "");
    ck_assert_int_eq(result.repairs.at[0].records_read, broken.count);
    ck_assert_int_eq(result.repairs.at[0].records_kept, records - broken.count);
    ck_assert_int_eq(result.repairs.at[0].offsets_lost, 0);
    tm_verify_result_done(&result);
    assert_whole(&rig);
    assert_stored(&rig, "orders", 0, 0, RECORDS + 100);
    assert_stored(&rig, "other", 0, 0, 10);
    rig_down(&rig);
}
END_TEST

/* What nobody has any more becomes a gap when it is asked for, and not before. */
START_TEST(what_is_lost_is_named_and_all_else_stays)
{
    struct job_rig rig;
    store_some(&rig);
    struct tm_stored_run run = run_at(&rig, "orders", RECORDS + 5);
    remove_pack(&rig, &run.pack);
    struct tm_verify_result result = verify(&rig, TM_VERIFY_SCRUB, NULL, true);
    ck_assert_int_eq(result.faults_count, 1);
    ck_assert_int_eq(result.faults_open, 0);
    ck_assert_uint_eq(result.repairs.count, 1);
    ck_assert(result.repairs.at[0].repaired);
    ck_assert_int_eq(result.repairs.at[0].offsets_lost, 100);
    ck_assert_str_eq(result.repairs.at[0].detail,
            "100 offsets are lost in the vault: no cluster is there to be asked");
    tm_verify_result_done(&result);
    assert_whole(&rig);
    struct tm_arena arena = {0};
    struct tm_row_gap *gaps = NULL;
    struct tm_err err = {0};
    size_t count = 0;
    struct tm_stream stream = stream_of(&rig, rig.catalog, "orders", &arena);
    ASSERT_OK(tm_catalog_gaps(rig.catalog, stream.id, 0, 0, INT64_MAX, &arena, &gaps, &count, &err),
            err);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(gaps[0].reason, TM_GAP_LOST_IN_VAULT);
    ck_assert_int_eq(gaps[0].from, RECORDS);
    ck_assert_int_eq(gaps[0].length, 100);
    assert_stream(&rig, rig.catalog, &stream, 0, 0, RECORDS);
    tm_arena_done(&arena);
    write_made(&rig.kafka, "orders", 0, RECORDS + 100, RECORDS + 110);
    expect_backup(&rig, 10);
    assert_whole(&rig);
    rig_down(&rig);
}
END_TEST

/* Records [0, count), each with the content of the one after it. */
static void write_others(struct fixture *fixture, const char *topic, int64_t count)
{
    struct tm_writer_partition *part = NULL;
    struct scratch scratch;
    ASSERT_OK(
            tm_writer_partition(fixture->writer, topic, 0, 0, &part, &fixture->err), fixture->err);
    for (int64_t number = 0; number < count; number++) {
        struct tm_record record = made_record(number + 1, &scratch);
        record.offset = number;
        ASSERT_OK(tm_writer_send(part, &record, NULL, &fixture->err), fixture->err);
    }
    ASSERT_OK(tm_writer_flush(fixture->writer, 30000, NULL, &fixture->err), fixture->err);
}

/* A host with a writer's key cannot tell which blocks are whole: it repairs what can be had again, and no more. */
START_TEST(a_writer_gives_nothing_up)
{
    struct job_rig rig;
    struct tm_err err = {0};
    uint8_t bytes[32] = "another key file of thirty-two b";
    struct tm_secret other = {TM_SECRET_KEY_FILE, {bytes, sizeof(bytes)}};
    TM_BUF_OWN struct tm_buf slot = {0};
    struct tm_vault *full = NULL;
    store_some(&rig);
    ASSERT_OK(tm_slot_encode(tm_vault_ring(rig.vault), tm_vault_id(rig.vault), &other, true, false,
                      &slot, &err),
            err);
    ASSERT_OK(tm_store_create(rig.store, "key/0123456789abcdef", tm_buf_slice(&slot), &err), err);
    full = rig.vault;
    ASSERT_OK(tm_vault_open(rig.store, &other, "host/writer", &rig.vault, &err), err);
    struct tm_stored_run run = run_at(&rig, "orders", RECORDS + 5);
    flip(&rig, &run.pack, 300);

    struct tm_verify_result result = verify(&rig, TM_VERIFY_SCRUB, NULL, true);
    ck_assert_uint_eq(result.repairs.count, 1);
    ck_assert(!result.repairs.at[0].repaired);
    ck_assert_str_eq(result.repairs.at[0].detail,
            "topic orders partition 0 offsets 3000 to 3099 cannot be had again as they were: no "
            "cluster is there to be asked; a writer's key cannot tell what else of the pack is "
            "whole");
    ck_assert_int_eq(result.faults_open, 1);
    tm_verify_result_done(&result);
    result = verify(&rig, TM_VERIFY_SCRUB, rig.kafka.kafka, true);
    ck_assert_int_eq(result.repairs.at[0].records_read, 100);
    ck_assert_int_eq(result.faults_open, 0);
    tm_verify_result_done(&result);

    tm_vault_close(rig.vault);
    rig.vault = full;
    assert_whole(&rig);
    assert_stored(&rig, "orders", 0, 0, RECORDS + 100);
    rig_down(&rig);
}
END_TEST

/* Another cluster in the place of the first: its records are not those that were stored. */
START_TEST(other_records_are_not_taken_for_those_that_were_lost)
{
    struct job_rig rig;
    struct fixture other = fixture_up(1);
    struct tm_err err = {0};
    store_some(&rig);
    ASSERT_OK(tm_mock_topic(other.mock, "orders", 1, &err), err);
    write_others(&other, "orders", RECORDS + 100);
    struct tm_stored_run run = run_at(&rig, "orders", RECORDS + 5);
    (void)flip_block(&rig, &run, 0);
    assert_found(&rig, TM_VERIFY_FULL);

    struct tm_verify_result result = verify(&rig, TM_VERIFY_CATALOG, other.kafka, true);
    ck_assert_uint_eq(result.repairs.count, 1);
    ck_assert_int_eq(result.repairs.at[0].records_read, 0);
    ck_assert_int_eq(result.repairs.at[0].offsets_lost, 100);
    ck_assert_str_eq(result.repairs.at[0].detail,
            "100 offsets are lost in the vault: Kafka holds other records there");
    tm_verify_result_done(&result);
    fixture_down(&other);
    rig_down(&rig);
}
END_TEST

/* A copy of the topic refers to the first one's content: both are damaged, and both are repaired. */
START_TEST(packs_that_refer_to_lost_content_are_repaired_with_it)
{
    struct job_rig rig;
    struct tm_backup_result result;
    rig_up(&rig);
    rig_topic(&rig, "orders", 1);
    rig_topic(&rig, "copy", 1);
    write_made(&rig.kafka, "orders", 0, 0, MANY);
    store_at_once(&rig, MANY, false);
    write_made(&rig.kafka, "copy", 0, 0, MANY);
    store_at_once(&rig, MANY, true);
    struct tm_stored_run run = run_at(&rig, "orders", 5);
    if (_i == 0) {
        (void)flip_block(&rig, &run, 0);
    } else {
        remove_pack(&rig, &run.pack);
    }
    struct tm_verify_result found = verify(&rig, TM_VERIFY_FULL, NULL, false);
    bool copy = false;
    for (size_t i = 0; i < found.faults.count; i++) {
        copy |= strcmp(found.faults.at[i].topic, "copy") == 0;
    }
    ck_assert(copy);
    tm_verify_result_done(&found);
    back_up(&rig, &result);
    ck_assert(has_note(&result.warnings, "repaired"));
    ck_assert(!has_note(&result.warnings, "damaged"));
    tm_backup_result_done(&result);
    assert_whole(&rig);
    assert_stored(&rig, "orders", 0, 0, MANY);
    assert_stored(&rig, "copy", 0, 0, MANY);
    rig_down(&rig);
}
END_TEST

struct counted { /* the hook is called under the store's lock */
    int requests;
};

static enum tm_store_fault count_packs(
        void *arg, enum tm_store_op op, const char *name, uint64_t count)
{
    struct counted *counted = arg;
    (void)op;
    (void)count;
    counted->requests += strncmp(name, "pack/", 5) == 0 ? 1 : 0;
    return TM_FAULT_NONE;
}

/* Size, end, beginning, and what lies between: not one for each block. */
START_TEST(a_full_verification_asks_little_of_the_store)
{
    struct job_rig rig;
    struct counted counted = {0};
    rig_up(&rig);
    rig_topic(&rig, "orders", 1);
    write_made(&rig.kafka, "orders", 0, 0, MANY);
    store_at_once(&rig, MANY, false);
    rig.hook = count_packs;
    rig.hook_arg = &counted;
    struct tm_verify_result result = verify(&rig, TM_VERIFY_FULL, NULL, false);
    ck_assert_int_eq(result.faults_count, 0);
    ck_assert_int_gt(result.blocks_count, 10 * result.packs_count);
    ck_assert_int_le(counted.requests, 4 * (int)result.packs_count);
    tm_verify_result_done(&result);
    rig.hook = NULL;
    rig_down(&rig);
}
END_TEST

/* Content whose pack was merged away is where that went, and that is no fault. */
START_TEST(content_that_has_moved_is_no_fault)
{
    struct job_rig rig;
    struct tm_space_result space = {0};
    struct tm_err err = {0};
    rig_up(&rig);
    rig_topic(&rig, "orders", 1);
    rig_topic(&rig, "copy", 1);
    write_made(&rig.kafka, "orders", 0, 0, MANY - 1000);
    store_at_once(&rig, MANY - 1000, false);
    write_made(&rig.kafka, "orders", 0, MANY - 1000, MANY);
    store_at_once(&rig, 1000, false);
    tm_sleep_ms(5);
    int64_t between_ms = tm_now_ms(); /* only what is older is merged */
    tm_sleep_ms(5);
    write_made(&rig.kafka, "copy", 0, 0, MANY);
    store_at_once(&rig, MANY, true);
    struct tm_space_options options = tm_space_defaults(rig.vault, rig.catalog);
    options.steps = TM_SPACE_MERGE;
    options.merge_min_packs = 2;
    options.merge_age_ms = tm_now_ms() - between_ms;
    options.merge_max_packs = 2;
    ASSERT_OK(tm_space_run(&options, &rig.env, &space, &err), err);
    ck_assert_int_gt(space.packs_merged_in, 0);
    tm_space_result_done(&space);
    space = (struct tm_space_result){0};
    options.steps = TM_SPACE_SWEEP;
    options.grace_ms = 1;
    tm_sleep_ms(5); /* and now they are gone from the store too */
    ASSERT_OK(tm_space_run(&options, &rig.env, &space, &err), err);
    ck_assert_int_gt(space.packs_swept, 0);
    tm_space_result_done(&space);
    assert_whole(&rig);

    struct tm_stored_run run = run_at(&rig, "copy", 5);
    (void)flip_block(&rig, &run, 0);
    struct tm_verify_result found = verify(&rig, TM_VERIFY_FULL, rig.kafka.kafka, true);
    ck_assert_int_gt(found.faults_count, 0);
    ck_assert_int_eq(found.faults_open, 0);
    tm_verify_result_done(&found);
    assert_whole(&rig);
    assert_stored(&rig, "orders", 0, 0, MANY);
    assert_stored(&rig, "copy", 0, 0, MANY);
    rig_down(&rig);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("job_verify");
    rig_blocks = &small_blocks;
    tcase_add_loop_test(tcase, the_next_backup_repairs_what_was_found, 0, DAMAGES);
    tcase_add_test(tcase, what_is_whole_of_a_pack_is_kept);
    tcase_add_test(tcase, what_is_lost_is_named_and_all_else_stays);
    tcase_add_test(tcase, other_records_are_not_taken_for_those_that_were_lost);
    tcase_add_loop_test(tcase, packs_that_refer_to_lost_content_are_repaired_with_it, 0, 2);
    tcase_add_test(tcase, a_writer_gives_nothing_up);
    tcase_add_test(tcase, a_full_verification_asks_little_of_the_store);
    tcase_add_test(tcase, content_that_has_moved_is_no_fault);
    return run_case(tcase, "job_verify");
}
