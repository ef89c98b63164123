/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/vault/rebuild: which ranges a new log holds, of packs that join, overlap, contradict or miss each other. */
#include "vault/rebuild.h"

#include <inttypes.h>

#include "catalog/catalog.h"
#include "vault/packer.h"
#include "vault/slots.h"
#include "vault_rig.h"

enum { NOTES_MAX = 8, NOTE_SIZE = 512, SOLO = 1000 };

static const struct tm_block_params params = {
        .block_min = 1 << 24,
        .block_mean = 1 << 24,
        .block_max = 1 << 24,
        .solo_min = SOLO,
        .pack_target = 1 << 24,
};

static struct vault_rig rig;
static struct tm_vault *vault;
static struct tm_pool *pool;
static struct tm_catalog *catalog; /* of the new log */
static struct tm_rebuild_result result;
static struct tm_err failure;
static char notes[NOTES_MAX][NOTE_SIZE];
static size_t note_count;

static struct tm_catalog *open_catalog(void)
{
    struct tm_catalog *opened = NULL;
    ck_assert_tm_ok(tm_catalog_open(":memory:", &opened, &err));
    return opened;
}

static void setup(void)
{
    char log_name[TM_OBJECT_NAME_MAX];
    rig_make(&rig);
    rig_init_vault(rig.store);
    vault = rig_open_vault(rig.store);
    pool = tm_pool_new("seal", 2);
    catalog = open_catalog();
    note_count = 0;
    tm_log_name(0, log_name);
    ck_assert_tm_ok(tm_store_remove(rig.store, log_name, &err));
}

static void teardown(void)
{
    tm_catalog_close(catalog);
    tm_pool_free(pool);
    tm_vault_close(vault);
    rig_drop(&rig);
}

/* Packs ------------------------------------------------------------------------------------ */

struct range {
    int32_t partition;
    int64_t first;
    int64_t end;
    int seed;  /* of the content */
    bool solo; /* one record, with a content id */
};

struct pack_spec {
    uint32_t incarnation;         /* 0 stands for 1 */
    struct range ranges[4];       /* until one that is empty */
    const struct tm_hash *lookup; /* the pack that is said to hold all content */
};

static enum tm_code find_in(
        void *self, const struct tm_hash *id, bool *found, struct tm_hash *pack, struct tm_err *err)
{
    (void)id;
    (void)err;
    *found = true;
    *pack = *(const struct tm_hash *)self;
    return TM_OK;
}

static struct tm_block *make_block(const struct range *range)
{
    struct tm_block *block = tm_block_new(tm_vault_ring(vault), &params, 1);
    tm_block_begin(block, range->partition, range->first);
    for (int64_t offset = range->first; offset < range->end; offset++) {
        char value[2 * SOLO] = {0};
        (void)snprintf(value, sizeof(value), "%d-%" PRId64, range->seed, range->solo ? 0 : offset);
        struct tm_record record = {
                .offset = offset,
                .timestamp_ms = 1700000000000 + offset,
                .timestamp_type = TM_TIMESTAMP_CREATE,
                .leader_epoch = 3,
                .key = TM_SLICE_NULL,
                .value = tm_slice_of(value, range->solo ? sizeof(value) : strlen(value)),
        };
        (void)tm_block_add(block, &record);
    }
    return block;
}

/* A pack of its own, durable; its name. */
static struct tm_hash make_pack(struct pack_spec spec)
{
    struct tm_packer_options options = {
            .vault = vault, .sealers = pool, .params = params, .level = 1, .budget_bytes = 1 << 26};
    struct tm_hash holder = {{0}};
    if (spec.lookup != NULL) {
        holder = *spec.lookup;
        options.lookup = (struct tm_content_lookup){&holder, find_in};
    }
    TM_OWN(tm_packer_free) struct tm_packer *packer = tm_packer_new(&options);
    tm_packer_add_stream(packer, 1, tm_slice_str("cluster"), tm_slice_str("orders"),
            spec.incarnation > 0 ? spec.incarnation : 1);
    for (size_t i = 0; i < LENGTH(spec.ranges) && spec.ranges[i].end > 0; i++) {
        ck_assert_tm_ok(tm_packer_put(packer, make_block(&spec.ranges[i]), &err));
    }
    tm_packed_list list = {0};
    ck_assert_tm_ok(tm_packer_cut(packer, &list, &err));
    ck_assert_uint_eq(list.count, 1);
    struct tm_hash name = list.at[0].name;
    tm_packed_list_done(&list);
    return name;
}

/* The rebuild ------------------------------------------------------------------------------ */

static void keep_note(void *arg, const char *text)
{
    (void)arg;
    ck_assert_uint_lt(note_count, NOTES_MAX);
    (void)snprintf(notes[note_count++], NOTE_SIZE, "%s", text);
}

static enum tm_code run(const struct tm_secret *secret)
{
    TM_OWN(tm_catalog_close) struct tm_catalog *scratch = open_catalog();
    struct tm_fold fold = tm_catalog_fold(scratch);
    struct tm_rebuild_options options = {.store = rig.store,
            .secret = secret,
            .writer = "host/test",
            .fold = &fold,
            .note = keep_note};
    failure = (struct tm_err){0};
    return tm_vault_rebuild_log(&options, &result, &failure);
}

/* Rebuild, and fold what came of it. */
static void rebuild(void)
{
    struct tm_secret secret = rig_secret();
    ck_assert_msg(run(&secret) == TM_OK, "%s", failure.msg);
    TM_OWN(tm_vault_close) struct tm_vault *again = rig_open_vault(rig.store);
    struct tm_fold fold = tm_catalog_fold(catalog);
    ck_assert_tm_ok(tm_vault_refresh(again, &fold, &err));
}

/* The runs of partition 0 of a stream as text: "[0,10)a [10,20)b", a and b being packs. */
static void assert_runs(
        uint32_t stream, const char *expected, const struct tm_hash *packs, size_t count)
{
    struct tm_arena arena = {0};
    struct tm_stored_run *runs = NULL;
    size_t run_count = 0;
    char text[256] = "";
    ck_assert_tm_ok(
            tm_catalog_runs(catalog, stream, 0, 0, INT64_MAX, &arena, &runs, &run_count, &err));
    for (size_t i = 0; i < run_count; i++) {
        size_t p = 0;
        while (p < count && !tm_hash_eq(&packs[p], &runs[i].pack)) {
            p++;
        }
        size_t len = strlen(text);
        (void)snprintf(text + len, sizeof(text) - len, "%s[%" PRId64 ",%" PRId64 ")%c",
                i > 0 ? " " : "", runs[i].run.first, runs[i].run.first + runs[i].run.length,
                (char)('a' + p));
    }
    ck_assert_str_eq(text, expected);
    tm_arena_done(&arena);
}

static const char *name_of(const struct tm_hash *hash)
{
    static char name[TM_OBJECT_NAME_MAX];
    tm_pack_name(hash, name);
    return name;
}

START_TEST(packs_that_join_give_one_history)
{
    struct tm_hash packs[] = {
            make_pack((struct pack_spec){.ranges = {{0, 0, 10, 1, false}, {1, 5, 6, 1, false}}}),
            make_pack((struct pack_spec){.ranges = {{0, 10, 20, 1, false}}}),
    };
    rebuild();
    assert_runs(1, "[0,10)a [10,20)b", packs, LENGTH(packs));
    ck_assert_uint_eq(note_count, 0);
    ck_assert_uint_eq(result.packs, 2);
    ck_assert_uint_eq(result.partitions, 2);
    ck_assert_int_eq(result.records, 21);
    ck_assert_uint_eq(result.gaps + result.left_out + result.lost + result.conflicts, 0);

    struct tm_arena arena = {0};
    struct tm_row_tail *tails = NULL;
    size_t count = 0;
    ck_assert_tm_ok(tm_catalog_tails(catalog, 1, &arena, &tails, &count, &err));
    ck_assert_uint_eq(count, 2);
    ck_assert(result.tails);
    ck_assert_int_eq(tails[0].next, 20);
    ck_assert_int_eq(tails[0].back, 1);
    ck_assert_int_eq(tails[0].timestamp_ms, 1700000000000 + 19);
    ck_assert_int_eq(tails[0].leader_epoch, -1);
    tm_arena_done(&arena);
}
END_TEST

/* A run that was never committed, and the one that was made after it. */
START_TEST(orphans_are_left_out_or_taken_so_that_all_is_covered)
{
    struct tm_hash packs[] = {
            make_pack((struct pack_spec){.ranges = {{0, 0, 10, 1, false}}}),
            make_pack((struct pack_spec){.ranges = {{0, 10, 12, 1, false}}}),
            make_pack((struct pack_spec){.ranges = {{0, 10, 20, 1, false}, {0, 20, 25, 1, false}}}),
            make_pack((struct pack_spec){.ranges = {{0, 20, 23, 1, false}}}),
    };
    rebuild();
    assert_runs(1, "[0,10)a [10,25)c", packs, LENGTH(packs));
    ck_assert_uint_eq(result.left_out, 2);
    ck_assert_uint_eq(result.lost, 0);
    ck_assert_uint_eq(note_count, 0);
}
END_TEST

START_TEST(the_same_offsets_with_another_content_are_told)
{
    struct tm_hash packs[] = {
            make_pack((struct pack_spec){.ranges = {{0, 0, 10, 1, false}}}),
            make_pack((struct pack_spec){.ranges = {{0, 0, 10, 2, false}, {0, 10, 11, 2, false}}}),
    };
    rebuild();
    assert_runs(1, "[0,11)b", packs, LENGTH(packs));
    ck_assert_uint_eq(result.conflicts, 1);
    ck_assert_uint_eq(note_count, 1);
    char expected[NOTE_SIZE];
    char taken[TM_OBJECT_NAME_MAX];
    tm_pack_name(&packs[1], taken);
    (void)snprintf(expected, sizeof(expected),
            "orders (incarnation 1) partition 0 offsets 0 to 9: has another content in %s; taken "
            "from %s",
            name_of(&packs[0]), taken);
    ck_assert_str_eq(notes[0], expected);
}
END_TEST

START_TEST(a_hole_is_a_gap_of_unknown_reason)
{
    make_pack((struct pack_spec){.ranges = {{0, 0, 10, 1, false}}});
    make_pack((struct pack_spec){.ranges = {{0, 15, 20, 1, false}}});
    rebuild();
    struct tm_arena arena = {0};
    struct tm_row_gap *gaps = NULL;
    size_t count = 0;
    ck_assert_tm_ok(tm_catalog_gaps(catalog, 1, 0, 0, INT64_MAX, &arena, &gaps, &count, &err));
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(gaps[0].from, 10);
    ck_assert_int_eq(gaps[0].length, 5);
    ck_assert_int_eq(gaps[0].reason, TM_GAP_UNKNOWN);
    tm_arena_done(&arena);
}
END_TEST

/* Cannot come of one history: then it is said, and nothing of it is silently gone. */
START_TEST(what_cannot_be_covered_is_told)
{
    struct tm_hash packs[] = {
            make_pack((struct pack_spec){.ranges = {{0, 0, 10, 1, false}}}),
            make_pack((struct pack_spec){.ranges = {{0, 5, 12, 1, false}}}),
    };
    rebuild();
    assert_runs(1, "[0,10)a", packs, LENGTH(packs));
    ck_assert_uint_eq(result.lost, 1);
    char expected[NOTE_SIZE];
    (void)snprintf(expected, sizeof(expected),
            "orders (incarnation 1) partition 0 offsets 5 to 11: overlaps other runs and is not in "
            "the new "
            "log, but there in %s",
            name_of(&packs[1]));
    ck_assert_str_eq(notes[0], expected);
}
END_TEST

START_TEST(content_of_a_pack_that_is_gone_is_taken_from_another_that_has_it)
{
    struct tm_hash first = make_pack((struct pack_spec){.ranges = {{0, 0, 1, 7, true}}});
    struct tm_hash second =
            make_pack((struct pack_spec){.ranges = {{0, 1, 2, 7, true}}, .lookup = &first});
    struct tm_hash third = make_pack((struct pack_spec){.ranges = {{0, 2, 3, 7, true}}});
    ck_assert_tm_ok(tm_store_remove(rig.store, name_of(&first), &err));
    rebuild();
    struct tm_hash packs[] = {first, second, third};
    assert_runs(1, "[1,2)b [2,3)c", packs, LENGTH(packs));
    ck_assert_uint_eq(note_count, 0);

    struct tm_fold fold = tm_catalog_fold(catalog);
    struct tm_edits edits = {0};
    ck_assert_tm_ok(fold.ops->dump(fold.self, 0, &edits, &err));
    ck_assert_uint_eq(edits.moved.count, 1);
    ck_assert(tm_hash_eq(&edits.moved.at[0].name, &first));
    ck_assert(tm_hash_eq(&edits.moved.at[0].successors[0], &third));
    tm_edits_done(&edits);
}
END_TEST

START_TEST(content_that_is_nowhere_is_told)
{
    struct tm_hash first = make_pack((struct pack_spec){.ranges = {{0, 0, 1, 7, true}}});
    struct tm_hash second = make_pack((struct pack_spec){
            .ranges = {{0, 1, 2, 7, true}, {0, 2, 5, 7, false}}, .lookup = &first});
    ck_assert_tm_ok(tm_store_remove(rig.store, name_of(&first), &err));
    rebuild();
    assert_runs(1, "[2,5)a", &second, 1);
    ck_assert_uint_eq(result.lost, 1);
    char expected[NOTE_SIZE];
    (void)snprintf(expected, sizeof(expected),
            "orders (incarnation 1) partition 0 offsets 1 to 1: its content is in a pack that is "
            "gone; its "
            "positions are in %s",
            name_of(&second));
    ck_assert_str_eq(notes[0], expected);
}
END_TEST

START_TEST(a_damaged_pack_is_passed_over_and_told)
{
    struct tm_hash good = make_pack((struct pack_spec){.ranges = {{0, 0, 10, 1, false}}});
    struct tm_hash bad = make_pack((struct pack_spec){.ranges = {{0, 10, 20, 1, false}}});
    TM_BUF_OWN struct tm_buf object = {0};
    ck_assert_tm_ok(tm_store_get(rig.store, name_of(&bad), 1 << 20, &object, &err));
    object.at[object.len - 20] ^= 1;
    rig_write(&rig, name_of(&bad), object.at, object.len);
    rebuild();
    assert_runs(1, "[0,10)a", &good, 1);
    ck_assert_uint_eq(result.unreadable, 1);
    ck_assert_uint_eq(note_count, 1);
    char start[NOTE_SIZE];
    (void)snprintf(start, sizeof(start), "left out, its index cannot be read: %s: ", name_of(&bad));
    ck_assert_msg(strncmp(notes[0], start, strlen(start)) == 0, "%s", notes[0]);
}
END_TEST

/* Incarnations count from 1 without a hole; each but the newest is in an older point. */
START_TEST(incarnations_have_points_of_their_own)
{
    struct tm_hash packs[] = {
            make_pack((struct pack_spec){2, .ranges = {{0, 0, 10, 1, false}}}),
            make_pack((struct pack_spec){4, .ranges = {{0, 0, 4, 2, false}}}),
    };
    rebuild();
    assert_runs(2, "[0,10)a", packs, LENGTH(packs));
    assert_runs(4, "[0,4)b", packs, LENGTH(packs));
    struct tm_arena arena = {0};
    struct tm_point_line *lines = NULL;
    size_t count = 0;
    struct tm_point_query query = {.policies = TM_NAMES("recovered"),
            .since_ms = INT64_MIN,
            .until_ms = INT64_MAX,
            .limit = 9};
    ck_assert_tm_ok(tm_catalog_points(catalog, &query, &arena, &lines, &count, &err));
    ck_assert_uint_eq(count, 2);
    ck_assert_int_eq(lines[0].messages, 4);
    ck_assert_int_eq(lines[1].messages, 10);
    ck_assert_int_eq(lines[0].row.flags, TM_POINT_GROUPS_UNKNOWN | TM_POINT_CONFIGS_UNKNOWN);
    tm_arena_done(&arena);
}
END_TEST

START_TEST(a_writers_key_will_do)
{
    uint8_t bytes[TM_KEY_FILE_BYTES] = {9};
    struct tm_secret writers = {TM_SECRET_KEY_FILE, {bytes, sizeof(bytes)}};
    char slot[TM_OBJECT_NAME_MAX];
    make_pack((struct pack_spec){.ranges = {{0, 0, 10, 1, false}}});
    ck_assert_tm_ok(tm_slots_add(vault, &writers, true, true, slot, &err));
    ck_assert_msg(run(&writers) == TM_OK, "%s", failure.msg);
    ck_assert(!result.tails);
    ck_assert_uint_eq(note_count, 1);
    ck_assert_str_eq(notes[0],
            "a writer's key cannot read records: the next backup does not compare where it "
            "begins with what is stored");
}
END_TEST

START_TEST(a_log_is_never_written_over)
{
    struct tm_secret secret = rig_secret();
    make_pack((struct pack_spec){.ranges = {{0, 0, 10, 1, false}}});
    rig_write(&rig, "log/0000000000000007", "rubbish", 7);
    ck_assert_int_eq(run(&secret), TM_E_EXISTS);
    char expected[NOTE_SIZE];
    (void)snprintf(expected, sizeof(expected),
            "%s: has a log (log/0000000000000007), which is not written over; hint: if it is "
            "damaged, move all "
            "of log/ out of the vault first",
            rig.store->where);
    ck_assert_str_eq(failure.msg, expected);
}
END_TEST

START_TEST(without_packs_or_key_there_is_nothing_to_rebuild)
{
    struct tm_secret secret = rig_secret();
    char expected[NOTE_SIZE];
    (void)snprintf(
            expected, sizeof(expected), "%s: no pack that can be read, of 0", rig.store->where);
    ck_assert_int_eq(run(&secret), TM_E_MISSING);
    ck_assert_str_eq(failure.msg, expected);
    uint8_t bytes[TM_KEY_FILE_BYTES] = {8};
    struct tm_secret other = {TM_SECRET_KEY_FILE, {bytes, sizeof(bytes)}};
    ck_assert_int_eq(run(&other), TM_E_KEY);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rebuild");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, packs_that_join_give_one_history);
    tcase_add_test(tcase, orphans_are_left_out_or_taken_so_that_all_is_covered);
    tcase_add_test(tcase, the_same_offsets_with_another_content_are_told);
    tcase_add_test(tcase, a_hole_is_a_gap_of_unknown_reason);
    tcase_add_test(tcase, what_cannot_be_covered_is_told);
    tcase_add_test(tcase, content_of_a_pack_that_is_gone_is_taken_from_another_that_has_it);
    tcase_add_test(tcase, content_that_is_nowhere_is_told);
    tcase_add_test(tcase, a_damaged_pack_is_passed_over_and_told);
    tcase_add_test(tcase, incarnations_have_points_of_their_own);
    tcase_add_test(tcase, a_writers_key_will_do);
    tcase_add_test(tcase, a_log_is_never_written_over);
    tcase_add_test(tcase, without_packs_or_key_there_is_nothing_to_rebuild);
    suite_add_tcase(suite, tcase);
    return rig_run(suite);
}
