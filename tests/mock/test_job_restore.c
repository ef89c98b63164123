/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restores on the mock cluster, which cannot create topics: they go into empty ones that are there.
 * What is said to be proved is what was stored; all else is a failure that names its cause.
 */
#include "job_rig.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "job/claim.h"
#include "vault/slots.h"

enum { MANY = 25000 };

/* A rig whose topic "orders" was backed up. */
static void rig_with_point(struct job_rig *rig, const int64_t *counts, int32_t partitions,
        struct tm_backup_result *backup)
{
    rig_up(rig);
    rig_topic(rig, "orders", partitions);
    for (int32_t p = 0; p < partitions; p++) {
        if (counts[p] > 0) {
            write_made(&rig->kafka, "orders", p, 0, counts[p]);
        }
    }
    back_up(rig, backup);
    ck_assert(!backup->partial);
    rig_topic(rig, "orders.back", partitions);
}

static void rig_done(struct job_rig *rig, struct tm_backup_result *backup)
{
    tm_backup_result_done(backup);
    rig_down(rig);
}

/* The restore is refused before it writes anything, with these words in the error. */
static void expect_refused(
        struct job_rig *rig, struct restore_setup *setup, enum tm_code code, const char *words)
{
    struct tm_restore_result result;
    struct tm_err err;
    ck_assert_int_eq(try_restore(rig, setup, &result, &err), code);
    ck_assert_msg(strstr(err.msg, words) != NULL, "%s", err.msg);
    ck_assert(!result.proved);
    ck_assert_int_eq(result.written_count, 0);
    tm_restore_result_done(&result);
}

START_TEST(what_is_stored_is_what_is_restored)
{
    static const int64_t counts[] = {5000, 0, 1};
    struct job_rig rig;
    struct tm_backup_result backup;
    struct tm_restore_result back;
    struct restore_setup setup;
    struct tm_err err;
    rig_with_point(&rig, counts, 3, &backup);
    ck_assert_int_eq(backup.messages_count, 5001);
    ck_assert_int_eq(backup.gaps_count, 0);
    restore_setup(&rig, &backup.point, &setup);
    ASSERT_OK(try_restore(&rig, &setup, &back, &err), err);
    ck_assert_msg(back.proved, "%s", back.failures.count > 0 ? back.failures.at[0].detail : "");
    ck_assert_int_eq(back.messages_count, 5001);
    ck_assert_int_eq(back.written_count, 5001);
    ck_assert_int_eq(atomic_load(&rig.progress.done_messages), 5001);
    ck_assert_int_eq(atomic_load(&rig.progress.total_messages), 5001);
    ck_assert_int_eq(atomic_load(&rig.progress.parts_done), 3);
    for (int32_t p = 0; p < 3; p++) {
        assert_partition(&rig, "orders.back", p, counts[p]);
    }
    tm_restore_result_done(&back);
    rig_done(&rig, &backup);
}
END_TEST

START_TEST(a_catalog_made_again_gives_the_same_point)
{
    struct job_rig rig;
    struct tm_backup_result backup;
    struct tm_restore_result back;
    struct restore_setup setup;
    struct tm_err err;
    rig_up(&rig);
    rig_topic(&rig, "orders", 2);
    for (int64_t from = 0; from < 300; from += 100) {
        write_made(&rig.kafka, "orders", 1, from, from + 100);
        back_up(&rig, &backup);
        ck_assert_int_eq(backup.messages_count, 100);
        if (from < 200) {
            tm_backup_result_done(&backup);
        }
    }
    tm_catalog_close(rig.catalog);
    rig.catalog = rig_catalog(&rig);
    rig_topic(&rig, "orders.back", 2);
    restore_setup(&rig, &backup.point, &setup);
    ASSERT_OK(try_restore(&rig, &setup, &back, &err), err); /* folds the log first */
    ck_assert(back.proved);
    assert_partition(&rig, "orders.back", 1, 300);
    tm_restore_result_done(&back);
    rig_done(&rig, &backup);
}
END_TEST

/* An older point is restored as it was, not as the topic is now. */
START_TEST(an_older_point_ends_where_it_ended)
{
    static const int64_t counts[] = {100};
    struct job_rig rig;
    struct tm_backup_result backup;
    struct tm_restore_result back;
    struct restore_setup setup;
    struct tm_err err;
    rig_with_point(&rig, counts, 1, &backup);
    write_made(&rig.kafka, "orders", 0, 100, 250);
    struct tm_backup_options options = backup_options(&rig);
    struct tm_backup_result later;
    back_up_with(&rig, &options, &later);
    tm_backup_result_done(&later);
    restore_setup(&rig, &backup.point, &setup);
    ASSERT_OK(try_restore(&rig, &setup, &back, &err), err);
    ck_assert(back.proved);
    assert_partition(&rig, "orders.back", 0, 100);
    tm_restore_result_done(&back);
    rig_done(&rig, &backup);
}
END_TEST

/* Interrupted --------------------------------------------------------------------------------- */

/* Cancelled in the middle; the same job again goes on where the target ends. */
START_TEST(a_cancelled_restore_is_taken_up_where_it_was)
{
    static const int64_t counts[] = {MANY, 10};
    struct job_rig rig;
    struct canceller canceller;
    struct tm_backup_result backup;
    struct tm_restore_result back;
    struct restore_setup setup;
    struct tm_err err;
    rig_with_point(&rig, counts, 2, &backup);
    restore_setup(&rig, &backup.point, &setup);
    cancel_begin(&canceller, &rig, 2000);
    ck_assert_int_eq(try_restore(&rig, &setup, &back, &err), TM_E_CANCELLED);
    cancel_end(&canceller);
    tm_restore_result_done(&back);
    struct tm_offsets ends = {.topic = "orders.back"};
    ASSERT_OK(tm_kafka_offsets(rig.kafka.kafka, &ends, 1, 10000, &err), err);
    ck_assert_int_lt(ends.high_watermark, MANY);

    ASSERT_OK(try_restore(&rig, &setup, &back, &err), err);
    ck_assert_msg(back.proved, "%s", back.failures.count > 0 ? back.failures.at[0].detail : "");
    ck_assert_int_eq(back.messages_count, MANY + 10);
    ck_assert_int_le(back.written_count, MANY + 10 - ends.high_watermark);
    assert_partition(&rig, "orders.back", 0, MANY);
    assert_partition(&rig, "orders.back", 1, 10);
    tm_restore_result_done(&back);

    /* And once more: nothing is left to write, all of it is proved again. */
    ASSERT_OK(try_restore(&rig, &setup, &back, &err), err);
    ck_assert(back.proved);
    ck_assert_int_eq(back.written_count, 0);
    ck_assert_int_eq(back.messages_count, MANY + 10);
    assert_partition(&rig, "orders.back", 0, MANY);
    tm_restore_result_done(&back);
    rig_done(&rig, &backup);
}
END_TEST

/* Cancels when the proof begins. */
static void *cancel_proof(void *arg)
{
    struct job_rig *rig = arg;
    while (atomic_load(&rig->progress.phase) != TM_PHASE_PROVING) {
        tm_sleep_ms(1);
    }
    atomic_store(&rig->cancel, true);
    return NULL;
}

START_TEST(a_restore_cancelled_at_its_proof_is_no_failed_proof)
{
    static const int64_t counts[] = {MANY};
    struct job_rig rig;
    struct tm_backup_result backup;
    struct tm_restore_result back;
    struct restore_setup setup;
    struct tm_err err;
    pthread_t thread;
    rig_with_point(&rig, counts, 1, &backup);
    restore_setup(&rig, &backup.point, &setup);
    atomic_store(&rig.progress.phase, TM_PHASE_QUEUED);
    ck_assert_int_eq(pthread_create(&thread, NULL, cancel_proof, &rig), 0);
    ck_assert_int_eq(try_restore(&rig, &setup, &back, &err), TM_E_CANCELLED);
    pthread_join(thread, NULL);
    ck_assert(!back.proved);
    tm_restore_result_done(&back);
    atomic_store(&rig.cancel, false);
    ASSERT_OK(try_restore(&rig, &setup, &back, &err), err);
    ck_assert(back.proved);
    ck_assert_int_eq(back.written_count, 0);
    tm_restore_result_done(&back);
    rig_done(&rig, &backup);
}
END_TEST

/* A backup of the restore's targets, as another policy makes it. */
static void *back_up_targets(void *arg)
{
    static const char *const include[] = {"*.back"};
    struct tm_select_options select = {.include = include, .include_count = 1};
    struct job_rig *rig = arg;
    struct tm_progress progress = {0};
    struct tm_job_env env = rig->env;
    struct tm_backup_options options = backup_options(rig);
    struct tm_backup_result result = {0};
    struct tm_catalog *catalog = rig_catalog(rig);
    struct tm_select *selected = NULL;
    struct tm_err err = {0};
    ASSERT_OK(tm_select_new(&select, &selected, &err), err);
    env.progress = &progress;
    options.catalog = catalog;
    options.policy = "q";
    options.select = selected;
    ASSERT_OK(tm_backup_run(&options, &env, &result, &err), err);
    tm_backup_result_done(&result);
    tm_select_free(selected);
    tm_catalog_close(catalog);
    return NULL;
}

struct releaser {
    struct job_rig *rig;
    const struct tm_claim *claim;
    pthread_t backup;
};

/* Once the proof has begun and the backup has had time to take the thread. */
static void *release_later(void *arg)
{
    struct releaser *releaser = arg;
    while (atomic_load(&releaser->rig->progress.phase) != TM_PHASE_PROVING) {
        tm_sleep_ms(1);
    }
    ck_assert_int_eq(pthread_create(&releaser->backup, NULL, back_up_targets, releaser->rig), 0);
    tm_sleep_ms(700);
    tm_claim_release(releaser->claim);
    return NULL;
}

/*
 * The pool has one thread. A backup of the targets has it and waits for a topic; the restore's proof
 * is queued behind it. What the backup waits for must not be held by what waits for the thread.
 */
START_TEST(a_restore_and_a_backup_of_its_target_do_not_wait_for_each_other)
{
    struct job_rig rig;
    struct tm_backup_result backup;
    struct tm_restore_result back;
    struct restore_setup setup;
    struct tm_err err = {0};
    pthread_t thread;
    rig_up(&rig);
    rig_topic(&rig, "a", 1);
    rig_topic(&rig, "b", 1);
    write_made(&rig.kafka, "a", 0, 0, MANY);
    write_made(&rig.kafka, "b", 0, 0, 10);
    back_up(&rig, &backup);
    rig_topic(&rig, "a.back", 1);
    rig_topic(&rig, "b.back", 1);
    tm_pool_free(rig.workers);
    rig.workers = tm_pool_new("worker", 1);
    rig.env.workers = rig.workers;

    struct tm_claim claim = {rig.kafka.kafka, "b.back", &rig};
    ASSERT_OK(tm_claim_topic(&claim, &rig.cancel, 0, &err), err); /* as a third job would */
    struct releaser releaser = {.rig = &rig, .claim = &claim};
    ck_assert_int_eq(pthread_create(&thread, NULL, release_later, &releaser), 0);
    restore_setup(&rig, &backup.point, &setup);
    ASSERT_OK(try_restore(&rig, &setup, &back, &err), err);
    pthread_join(thread, NULL);
    pthread_join(releaser.backup, NULL);
    ck_assert(back.proved);
    tm_restore_result_done(&back);
    rig_done(&rig, &backup);
}
END_TEST

/* Damage -------------------------------------------------------------------------------------- */

/* Flip a byte in the middle of every pack that is there now; `name` is that of the last one. */
static void damage_packs(struct job_rig *rig, char *name, size_t size)
{
    char command[256];
    (void)snprintf(command, sizeof(command), "find %s/vault/pack -type f", rig->dir);
    FILE *list = popen(command, "r");
    char path[256];
    int damaged = 0;
    while (fgets(path, sizeof(path), list) != NULL) {
        path[strcspn(path, "\n")] = '\0';
        struct stat info;
        ck_assert_int_eq(chmod(path, 0600), 0);
        int fd = open(path, O_RDWR);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(fstat(fd, &info), 0);
        uint8_t byte = 0;
        ck_assert_int_eq(pread(fd, &byte, 1, 150), 1); /* within the first block's frames */
        byte ^= 1;
        ck_assert_int_eq(pwrite(fd, &byte, 1, 150), 1);
        ck_assert_int_eq(close(fd), 0);
        (void)snprintf(name, size, "%.240s", strstr(path, "pack/"));
        damaged++;
    }
    ck_assert_int_eq(pclose(list), 0);
    ck_assert_int_gt(damaged, 0);
}

START_TEST(a_damaged_pack_fails_the_partitions_it_holds)
{
    static const int64_t counts[] = {2000, 0};
    struct job_rig rig;
    struct tm_backup_result backup;
    struct tm_backup_result later;
    struct tm_restore_result back;
    struct restore_setup setup;
    struct tm_err err;
    char name[256];
    rig_with_point(&rig, counts, 2, &backup);
    damage_packs(&rig, name, sizeof(name));
    write_made(&rig.kafka, "orders", 1, 0, 500);
    back_up(&rig, &later); /* into a pack of its own */
    restore_setup(&rig, &later.point, &setup);
    ASSERT_OK(try_restore(&rig, &setup, &back, &err), err);
    ck_assert(!back.proved);
    ck_assert_uint_eq(back.failures.count, 1);
    ck_assert_int_eq(back.failures.at[0].partition, 0);
    ck_assert_str_eq(back.failures.at[0].code, "corrupt");
    ck_assert_msg(strstr(back.failures.at[0].detail, name) != NULL, "%s names no %s",
            back.failures.at[0].detail, name);
    assert_partition(&rig, "orders.back", 0, 0);
    assert_partition(&rig, "orders.back", 1, 500);
    tm_restore_result_done(&back);
    tm_backup_result_done(&later);
    rig_done(&rig, &backup);
}
END_TEST

/* Reads of packs go wrong on their way: a flipped bit is found, whatever it hits. */
struct flips {
    unsigned every;
    unsigned reads;
};

static enum tm_store_fault flip_some(
        void *arg, enum tm_store_op op, const char *name, uint64_t count)
{
    struct flips *flips = arg;
    (void)count;
    bool of_pack = op == TM_OP_RANGE && strncmp(name, "pack/", 5) == 0;
    return of_pack && ++flips->reads % flips->every == 0 ? TM_FAULT_FLIP : TM_FAULT_NONE;
}

START_TEST(a_flipped_bit_on_the_way_is_never_restored)
{
    static const int64_t counts[] = {900, 900, 900};
    struct job_rig rig;
    struct tm_backup_result backup;
    rig_with_point(&rig, counts, 3, &backup);
    char suffix[16];
    for (unsigned every = 1; every <= 6; every++) {
        struct flips flips = {.every = every};
        struct restore_setup setup;
        struct tm_restore_result back;
        struct tm_err err;
        char target[32];
        (void)snprintf(suffix, sizeof(suffix), ".flip%u", every);
        (void)snprintf(target, sizeof(target), "orders%s", suffix);
        rig_topic(&rig, target, 3);
        restore_setup(&rig, &backup.point, &setup);
        setup.options.suffix = suffix;
        rig.hook_arg = &flips;
        rig.hook = flip_some;
        ASSERT_OK(try_restore(&rig, &setup, &back, &err), err);
        rig.hook = NULL;
        ck_assert(back.proved == (back.failures.count == 0));
        ck_assert(!back.proved || flips.reads < every);
        for (int32_t p = 0; p < 3; p++) {
            bool failed = false;
            for (size_t i = 0; i < back.failures.count; i++) {
                failed |= back.failures.at[i].partition == p;
            }
            assert_partition(&rig, target, p, failed ? 0 : 900);
        }
        tm_restore_result_done(&back);
    }
    rig_done(&rig, &backup);
}
END_TEST

/* Strangers ----------------------------------------------------------------------------------- */

START_TEST(a_target_that_holds_a_record_is_refused)
{
    static const int64_t counts[] = {10, 10};
    struct job_rig rig;
    struct tm_backup_result backup;
    struct restore_setup setup;
    rig_with_point(&rig, counts, 2, &backup);
    write_made(&rig.kafka, "orders.back", 1, 0, 1);
    restore_setup(&rig, &backup.point, &setup);
    expect_refused(
            &rig, &setup, TM_E_CONFLICT, "topic orders.back on mock is not empty (partition 1)");
    assert_partition(&rig, "orders.back", 0, 0);
    rig_done(&rig, &backup);
}
END_TEST

/* Somebody writes into the target while it is restored. */
static void *write_stranger(void *arg)
{
    struct job_rig *rig = arg;
    struct tm_writer_partition *part = NULL;
    struct tm_err err = {0};
    struct scratch scratch;
    struct tm_record record = made_record(5, &scratch);
    ASSERT_OK(tm_writer_partition(rig->kafka.writer, "orders.back", 0, 0, &part, &err), err);
    while (atomic_load(&rig->progress.phase) != TM_PHASE_PRODUCING ||
            atomic_load(&rig->progress.done_messages) < 1000) {
        tm_sleep_ms(1);
    }
    ASSERT_OK(tm_writer_send(part, &record, NULL, &err), err);
    TM_LATER(tm_writer_flush(rig->kafka.writer, 10000, NULL, &err)); /* not at offset 0: it fails */
    return NULL;
}

START_TEST(a_strangers_record_in_the_middle_is_a_conflict)
{
    static const int64_t counts[] = {MANY};
    struct job_rig rig;
    struct tm_backup_result backup;
    struct tm_restore_result back;
    struct restore_setup setup;
    struct tm_err err;
    pthread_t thread;
    rig_with_point(&rig, counts, 1, &backup);
    restore_setup(&rig, &backup.point, &setup);
    ck_assert_int_eq(pthread_create(&thread, NULL, write_stranger, &rig), 0);
    enum tm_code code = try_restore(&rig, &setup, &back, &err);
    pthread_join(thread, NULL);
    ck_assert(!back.proved);
    ck_assert_msg(code == TM_E_CONFLICT || (code == TM_OK && back.failures.count > 0), "%s: %s",
            tm_code_name(code), err.msg);
    tm_restore_result_done(&back);

    /* Nor does the same job take it for its own when it is taken up again. */
    code = try_restore(&rig, &setup, &back, &err);
    ck_assert(!back.proved);
    ck_assert(code == TM_E_CONFLICT || (code == TM_OK && back.failures.count > 0));
    tm_restore_result_done(&back);
    rig_done(&rig, &backup);
}
END_TEST

/* Names --------------------------------------------------------------------------------------- */

/* A rig with a point of topics "a", "b" and "c", one record in each. */
static void rig_with_three(struct job_rig *rig, struct tm_backup_result *backup)
{
    static const char *const names[] = {"a", "b", "c"};
    rig_up(rig);
    for (size_t i = 0; i < LENGTH(names); i++) {
        rig_topic(rig, names[i], 1);
        write_made(&rig->kafka, names[i], 0, 0, 1);
    }
    back_up(rig, backup);
}

START_TEST(two_topics_may_not_become_one)
{
    static const struct tm_rename onto_other = {"a", "b.back"};
    static const struct tm_rename onto_each_other[] = {{"a", "x"}, {"c", "x"}};
    static const struct tm_rename bad = {"a", "no/topic"};
    struct job_rig rig;
    struct tm_backup_result backup;
    struct restore_setup setup;
    rig_with_three(&rig, &backup);
    restore_setup(&rig, &backup.point, &setup);
    setup.options.renames = &onto_other;
    setup.options.rename_count = 1;
    expect_refused(&rig, &setup, TM_E_CONFLICT, "a and b would both be restored into b.back");
    setup.options.renames = onto_each_other;
    setup.options.rename_count = 2;
    expect_refused(&rig, &setup, TM_E_CONFLICT, "a and c would both be restored into x");
    setup.options.renames = &bad;
    setup.options.rename_count = 1;
    expect_refused(&rig, &setup, TM_E_CONFLICT, "\"no/topic\" is not a topic name Kafka takes");
    rig_done(&rig, &backup);
}
END_TEST

START_TEST(topics_of_other_names_are_made_or_not_at_all)
{
    struct job_rig rig;
    struct tm_backup_result backup;
    struct restore_setup setup;
    rig_with_three(&rig, &backup);
    restore_setup(&rig, &backup.point, &setup);
    setup.options.prefix = "pre.";
    expect_refused(&rig, &setup, TM_E_CONFLICT,
            "topic pre.a.back is not on mock, and create_topics is never");
    setup.options.prefix = NULL;
    setup.options.suffix = NULL;
    setup.options.existing = TM_EXISTING_FAIL;
    expect_refused(&rig, &setup, TM_E_CONFLICT, "topic a exists on mock");
    rig_done(&rig, &backup);
}
END_TEST

START_TEST(only_what_is_selected_is_restored)
{
    static const char *const include[] = {"a", "c"};
    static const char *const nothing[] = {"z"};
    static const struct tm_rename renames[] = {{"a", "another"}, {"aa", "slip"}};
    struct job_rig rig;
    struct tm_backup_result backup;
    struct tm_restore_result back;
    struct restore_setup setup;
    struct tm_err err = {0};
    rig_with_three(&rig, &backup);
    rig_topic(&rig, "another", 1);
    rig_topic(&rig, "c.back", 1);
    restore_setup(&rig, &backup.point, &setup);
    struct tm_select_options options = {.include = include, .include_count = LENGTH(include)};
    struct tm_select *select = NULL;
    ASSERT_OK(tm_select_new(&options, &select, &err), err);
    setup.options.select = select;
    setup.options.renames = renames;
    setup.options.rename_count = LENGTH(renames);
    ASSERT_OK(try_restore(&rig, &setup, &back, &err), err);
    ck_assert(back.proved);
    ck_assert_int_eq(back.topics_count, 2);
    ck_assert_int_eq(back.messages_count, 2);
    ck_assert(has_note(&back.warnings, "rename-unused"));
    assert_partition(&rig, "another", 0, 1);
    assert_partition(&rig, "c.back", 0, 1);
    tm_restore_result_done(&back);
    tm_select_free(select);

    options = (struct tm_select_options){.include = nothing, .include_count = 1};
    ASSERT_OK(tm_select_new(&options, &select, &err), err);
    setup.options.select = select;
    setup.options.job = tm_ulid_make(tm_now_ms());
    expect_refused(&rig, &setup, TM_E_CONFLICT, "the point has no topic that the request selects");
    tm_select_free(select);
    rig_done(&rig, &backup);
}
END_TEST

START_TEST(a_point_that_is_not_there_is_missing)
{
    static const int64_t counts[] = {1};
    struct job_rig rig;
    struct tm_backup_result backup;
    struct restore_setup setup;
    rig_with_point(&rig, counts, 1, &backup);
    struct tm_id16 unknown = tm_ulid_make(1);
    restore_setup(&rig, &unknown, &setup);
    expect_refused(&rig, &setup, TM_E_MISSING, "recovery point rp_");
    rig_done(&rig, &backup);
}
END_TEST

START_TEST(another_number_of_partitions_is_refused)
{
    struct job_rig rig;
    struct tm_backup_result backup;
    struct restore_setup setup;
    rig_up(&rig);
    rig_topic(&rig, "orders", 2);
    back_up(&rig, &backup);
    rig_topic(&rig, "orders.back", 3);
    restore_setup(&rig, &backup.point, &setup);
    expect_refused(
            &rig, &setup, TM_E_CONFLICT, "topic orders.back on mock has 3 partitions, the point 2");
    rig_done(&rig, &backup);
}
END_TEST

/* A host whose key opens a writer's ring backs up, twice; only who has the other key gets it back. */
START_TEST(a_write_only_host_backs_up_what_another_restores)
{
    static uint8_t writer_bytes[TM_KEY_FILE_BYTES] = "the key file of a writer's host";
    const struct tm_secret secret = {TM_SECRET_KEY_FILE, {writer_bytes, sizeof(writer_bytes)}};
    struct job_rig rig;
    struct tm_backup_result backup;
    struct tm_restore_result back;
    struct restore_setup setup;
    struct tm_err err = {0};
    char slot[TM_OBJECT_NAME_MAX];
    rig_up(&rig);
    rig_topic(&rig, "orders", 1);
    ASSERT_OK(tm_slots_add(rig.vault, &secret, true, true, slot, &err), err);
    struct tm_vault *full = rig.vault;
    ASSERT_OK(tm_vault_open(rig.store, &secret, "host/writer", &rig.vault, &err), err);
    write_made(&rig.kafka, "orders", 0, 0, 3000);
    expect_backup(&rig, 3000);
    write_made(&rig.kafka, "orders", 0, 3000, 5000);
    back_up(&rig, &backup); /* which looks at the record stored last, in the log alone */
    ck_assert_int_eq(backup.messages_count, 2000);

    rig_topic(&rig, "orders.back", 1);
    restore_setup(&rig, &backup.point, &setup);
    expect_refused(&rig, &setup, TM_E_KEY, ": this key can write but not read (slot key/");
    assert_partition(&rig, "orders.back", 0, 0);
    struct tm_vault *writer = rig.vault;
    rig.vault = full;
    restore_setup(&rig, &backup.point, &setup);
    ASSERT_OK(try_restore(&rig, &setup, &back, &err), err);
    ck_assert(back.proved);
    assert_partition(&rig, "orders.back", 0, 5000);
    tm_vault_close(writer);
    tm_restore_result_done(&back);
    rig_done(&rig, &backup);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("restore");
    tcase_add_test(tcase, what_is_stored_is_what_is_restored);
    tcase_add_test(tcase, a_catalog_made_again_gives_the_same_point);
    tcase_add_test(tcase, an_older_point_ends_where_it_ended);
    tcase_add_test(tcase, a_cancelled_restore_is_taken_up_where_it_was);
    tcase_add_test(tcase, a_restore_cancelled_at_its_proof_is_no_failed_proof);
    tcase_add_test(tcase, a_restore_and_a_backup_of_its_target_do_not_wait_for_each_other);
    tcase_add_test(tcase, a_damaged_pack_fails_the_partitions_it_holds);
    tcase_add_test(tcase, a_flipped_bit_on_the_way_is_never_restored);
    tcase_add_test(tcase, a_target_that_holds_a_record_is_refused);
    tcase_add_test(tcase, a_strangers_record_in_the_middle_is_a_conflict);
    tcase_add_test(tcase, two_topics_may_not_become_one);
    tcase_add_test(tcase, topics_of_other_names_are_made_or_not_at_all);
    tcase_add_test(tcase, only_what_is_selected_is_restored);
    tcase_add_test(tcase, a_point_that_is_not_there_is_missing);
    tcase_add_test(tcase, another_number_of_partitions_is_refused);
    tcase_add_test(tcase, a_write_only_host_backs_up_what_another_restores);
    return run_case(tcase, "job_restore");
}
