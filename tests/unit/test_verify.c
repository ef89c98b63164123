/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/job/verify: each kind of damage is found by each depth that can, with its exact text. */
#include "job/verify.h"

#include "base/hash.h"
#include "base/text.h"
#include "catalog/handle.h"
#include "verify_rig.h"

static struct verify_rig rig;

static void setup(void)
{
    verify_up(&rig);
}

static void teardown(void)
{
    verify_down(&rig);
}

static struct tm_verify_options options_of(enum tm_verify_depth depth)
{
    return (struct tm_verify_options){
            .name = "main",
            .vault = rig.vault,
            .catalog = rig.catalog,
            .depth = depth,
            .sample_ratio = 1,
    };
}

static struct tm_verify_result verify_with(const struct tm_verify_options *options)
{
    struct tm_verify_result result = {0};
    ck_assert_tm_ok(tm_verify_run(options, &rig.env, &result, &err));
    return result;
}

static struct tm_verify_result verify(enum tm_verify_depth depth)
{
    struct tm_verify_options options = options_of(depth);
    return verify_with(&options);
}

/* The faults as text, a line each: "kind object#block topic/incarnation/partition [first,last] points: detail". */
static void describe(const struct tm_verify_result *result, struct tm_buf *out)
{
    for (size_t i = 0; i < result->faults.count; i++) {
        const struct tm_verify_fault *fault = &result->faults.at[i];
        const char *object = fault->object;
        for (size_t p = 0; p < PACKS; p++) {
            static const char *const letters[] = {"A", "B", "C"};
            object = strcmp(object, rig.names[p]) == 0 ? letters[p] : object;
        }
        tm_buf_add_fmt(out, "%s %s#%d %s/%u/%d [%d,%d] %d: %s\n", fault->kind, object,
                (int)fault->block, fault->topic != NULL ? fault->topic : "-", fault->incarnation,
                (int)fault->partition, (int)fault->first, (int)fault->last,
                (int)fault->points_count, fault->detail);
    }
}

static void assert_faults(enum tm_verify_depth depth, const char *expected)
{
    struct tm_verify_result result = verify(depth);
    TM_BUF_OWN struct tm_buf text = {0};
    describe(&result, &text);
    /* Names of packs in details become their letters. */
    TM_BUF_OWN struct tm_buf named = {0};
    for (const char *at = tm_buf_text(&text); *at != '\0';) {
        size_t p = 0;
        while (p < PACKS && strncmp(at, rig.names[p], strlen(rig.names[p])) != 0) {
            p++;
        }
        if (p < PACKS) {
            tm_buf_add_fmt(&named, "%c", (char)('A' + p));
            at += strlen(rig.names[p]);
        } else {
            tm_buf_add(&named, at++, 1);
        }
    }
    ck_assert_str_eq(tm_buf_text(&named), expected);
    tm_verify_result_done(&result);
}

static void assert_damaged(bool first, bool second)
{
    const bool expected[] = {first, second};
    for (size_t i = 0; i < LENGTH(expected); i++) {
        struct tm_arena arena = {0};
        struct tm_point point = {0};
        ck_assert_tm_ok(tm_catalog_point(rig.catalog, &rig.points[i], &arena, &point, &err));
        ck_assert_int_eq(point.damaged, expected[i]);
        tm_arena_done(&arena);
    }
}

/* Whole ------------------------------------------------------------------------------------ */

START_TEST(a_whole_vault_has_no_faults)
{
    assert_faults((enum tm_verify_depth)_i, "");
    assert_damaged(false, false);
}
END_TEST

START_TEST(a_full_verification_opens_everything)
{
    struct tm_verify_result result = verify(TM_VERIFY_FULL);
    ck_assert_int_eq(result.packs_count, 3);
    ck_assert_int_eq(result.blocks_count, 6);
    ck_assert_int_eq(result.records_count, 80 + 30 + 20 + 40 + 1 + 20);
    ck_assert_int_eq(result.faults_count, 0);
    ck_assert_uint_eq(result.points.count, 0);
    tm_verify_result_done(&result);
}
END_TEST

START_TEST(a_point_is_verified_by_its_own_ranges)
{
    struct tm_verify_options options = options_of(TM_VERIFY_FULL);
    options.point = &rig.points[0];
    struct tm_verify_result result = verify_with(&options);
    ck_assert_int_eq(result.packs_count, 1);
    ck_assert_int_eq(result.blocks_count, 3);
    tm_verify_result_done(&result);
}
END_TEST

START_TEST(a_sample_takes_a_block_of_each_stream_at_least)
{
    struct tm_verify_options options = options_of(TM_VERIFY_SAMPLE);
    options.sample_ratio = 1e-9;
    for (options.sample_seed = 1; options.sample_seed < 20; options.sample_seed++) {
        struct tm_verify_result result = verify_with(&options);
        ck_assert_int_eq(result.blocks_count, 2);
        ck_assert_uint_eq(result.sample_seed, options.sample_seed);
        tm_verify_result_done(&result);
    }
    options.sample_seed = 0;
    struct tm_verify_result result = verify_with(&options);
    ck_assert_uint_ne(result.sample_seed, 0);
    tm_verify_result_done(&result);
}
END_TEST

/* Bytes ------------------------------------------------------------------------------------ */

#define ALL_OF_A(kind, detail) \
    kind " A#-1 orders/1/0 [0,79] 2: " detail "\n" kind " A#-1 orders/1/1 [0,29] 2: " detail \
         "\n" kind " A#-1 orders/1/2 [0,19] 2: " detail "\n"
#define ALTERED   "it was altered, or belongs elsewhere"
#define NOT_THOSE "its bytes are not those that were written: the SHA-256 is not its name"

enum region { HEADER, POSITIONS, CONTENT, SHARED, INDEX, FOOTER, REGIONS };

static size_t place_of(enum region region)
{
    TM_BUF_OWN struct tm_buf bytes = verify_read(&rig, rig.names[PACK_A]);
    switch (region) {
    case HEADER:
        return 40; /* in the sealed data key */
    case POSITIONS:
        return verify_frame(&rig, PACK_A, 0, 'P').offset + 3;
    case CONTENT:
        return verify_frame(&rig, PACK_A, 1, 'C').offset + 30;
    case SHARED:
        return verify_frame(&rig, PACK_A, 2, 'C').offset + 5;
    case INDEX:
        return bytes.len - 40;
    case FOOTER:
        return bytes.len - 1;
    case REGIONS:
        break;
    }
    return 0;
}

START_TEST(a_flipped_bit_is_found_block_by_block)
{
    static const char *const expected[REGIONS] = {
            [HEADER] = ALL_OF_A("corrupt_pack", "A: pack index: ciphertext: " ALTERED),
            [POSITIONS] = "corrupt_pack A#0 orders/1/0 [0,39] 2: A: block 0: block: positions: "
                          "frame: " ALTERED "\n",
            [CONTENT] = "corrupt_pack A#1 orders/1/0 [40,79] 2: A: block 1: block: content: "
                        "frame: " ALTERED "\n",
            [SHARED] = "corrupt_pack A#2 orders/1/1 [0,29] 2: A: block 2: block: content: "
                       "frame: " ALTERED "\n"
                       "corrupt_pack A#2 orders/1/2 [0,19] 2: A: block 2: block: content: "
                       "frame: " ALTERED "\n",
            [INDEX] = ALL_OF_A("corrupt_pack", "A: pack index: ciphertext: " ALTERED),
            [FOOTER] = ALL_OF_A("corrupt_pack", "A: pack footer: not the end of a pack"),
    };
    size_t at = place_of((enum region)_i);
    verify_flip(&rig, rig.names[PACK_A], at);
    assert_faults(TM_VERIFY_FULL, expected[_i]);
    assert_damaged(true, true);
    /* The hash of the whole says less than is known already. */
    assert_faults(TM_VERIFY_SCRUB, ALL_OF_A("corrupt_pack", NOT_THOSE));
    struct tm_verify_result result = verify(TM_VERIFY_CATALOG);
    ck_assert_int_eq(result.faults_count, 0);
    ck_assert_int_eq(result.faults_open, _i == POSITIONS || _i == CONTENT ? 1
                                         : _i == SHARED                   ? 2
                                                                          : 3);
    ck_assert_uint_eq(result.points.count, 2);
    tm_verify_result_done(&result);
    verify_flip(&rig, rig.names[PACK_A], at);
    assert_faults(TM_VERIFY_FULL, "");
    assert_damaged(false, false);
}
END_TEST

START_TEST(a_flipped_bit_is_found_by_its_hash)
{
    size_t at = place_of((enum region)_i);
    verify_flip(&rig, rig.names[PACK_A], at);
    assert_faults(TM_VERIFY_SCRUB, ALL_OF_A("corrupt_pack", NOT_THOSE));
    assert_damaged(true, true);
    verify_flip(&rig, rig.names[PACK_A], at);
    assert_faults(TM_VERIFY_SCRUB, "");
    assert_damaged(false, false);
}
END_TEST

/* What is wrong with one pack as a whole is found by every depth. */
static const char *whole_text(enum tm_verify_depth depth, const char *kind, const char *detail)
{
    static char text[400];
    const char *own = depth == TM_VERIFY_FULL || depth == TM_VERIFY_SAMPLE ? "C: has" : "it has";
    (void)snprintf(text, sizeof(text), "%s C#-1 orders/1/0 [80,99] 1: %s%s\n", kind,
            detail[0] == ' ' ? own : "", detail);
    return text;
}

START_TEST(a_pack_that_is_cut_or_prolonged_is_found_by_every_depth)
{
    enum tm_verify_depth depth = (enum tm_verify_depth)(_i / 2);
    TM_BUF_OWN struct tm_buf bytes = verify_read(&rig, rig.names[PACK_C]);
    char detail[64];
    size_t was = bytes.len;
    if (_i % 2 == 0) {
        bytes.len = was / 2;
    } else {
        tm_buf_add(&bytes, "", 1);
    }
    (void)snprintf(detail, sizeof(detail), " %zu bytes, not %zu", bytes.len, was);
    verify_replace(&rig, rig.names[PACK_C], tm_buf_slice(&bytes));
    assert_faults(depth, whole_text(depth, "corrupt_pack", detail));
    assert_damaged(false, true);
}
END_TEST

START_TEST(a_pack_that_is_gone_is_found_by_every_depth)
{
    enum tm_verify_depth depth = (enum tm_verify_depth)_i;
    verify_unlink(&rig, rig.names[PACK_C]);
    assert_faults(depth, whole_text(depth, "missing_pack", "it is not in the store"));
    assert_damaged(false, true);
}
END_TEST

/* Two packs of one size change places: each is a good pack, and not the one that it should be. */
START_TEST(packs_that_change_places_are_found)
{
    TM_BUF_OWN struct tm_buf a = verify_read(&rig, rig.names[PACK_A]);
    verify_replace(&rig, rig.names[PACK_C], tm_buf_slice(&a));
    char sql[200];
    char hex[2 * sizeof(struct tm_hash) + 1];
    tm_hex(rig.packs[PACK_C].bytes, sizeof(struct tm_hash), hex);
    (void)snprintf(sql, sizeof(sql), "UPDATE pack SET size = %zu WHERE name = x'%s'", a.len, hex);
    ck_assert_tm_ok(tm_sql_exec(rig.catalog->sql, sql, &err));
    assert_faults(TM_VERIFY_SCRUB, "corrupt_pack C#-1 orders/1/0 [80,99] 1: " NOT_THOSE "\n");
    assert_faults(TM_VERIFY_FULL,
            "catalog_mismatch C#-1 orders/1/0 [80,99] 1: the pack's index does "
            "not hold what the log says\n");
}
END_TEST

/* Forged ----------------------------------------------------------------------------------- */

struct forged {
    struct tm_hash name;
    uint64_t size;
};

/* A pack in the place of B: its frames, and an index of which something is not true. */
static enum tm_code build_forged(void *arg, struct tm_edits *edits, struct tm_err *err)
{
    const struct forged *forged = arg;
    struct tm_row_successors *gone = tm_vec_push(&edits->packs_gone);
    struct tm_row_pack *pack = tm_vec_push(&edits->packs);
    edits->time_ms = 3000;
    *gone = (struct tm_row_successors){.name = rig.packs[PACK_B], .successor_count = 1};
    gone->successors = tm_arena_alloc(&edits->arena, 1, sizeof(struct tm_hash));
    gone->successors[0] = forged->name;
    *pack = (struct tm_row_pack){.name = forged->name, .size = forged->size};
    return tm_findings_pack_runs(
            rig.catalog, &rig.packs[PACK_B], &edits->arena, &pack->runs, &pack->run_count, err);
}

static void forge(void (*change)(struct tm_block_info *blocks))
{
    TM_BUF_OWN struct tm_buf bytes = verify_read(&rig, rig.names[PACK_B]);
    struct tm_pack *open = NULL;
    ck_assert_tm_ok(tm_pack_open(rig.vault, &rig.packs[PACK_B], bytes.len, &open, &err));
    struct tm_pack_index index = *tm_pack_index(open);
    struct tm_block_info blocks[2] = {index.blocks[0], index.blocks[1]};
    struct tm_block_run runs[2] = {*blocks[0].runs, *blocks[1].runs};
    ck_assert_uint_eq(index.block_count, 2);
    index.blocks = blocks;
    blocks[0].runs = &runs[0];
    blocks[1].runs = &runs[1];
    change(blocks);

    size_t header = 0;
    ck_assert_tm_ok(
            tm_pack_header_length(tm_slice_of(bytes.at, TM_PACK_HEADER_FIXED), &header, &err));
    TM_BUF_OWN struct tm_buf object = {0};
    const struct tm_frame *last = &blocks[1].content;
    tm_buf_add(&object, bytes.at, (size_t)(last->offset + last->stored));
    tm_pack_index_encode(&index, tm_vault_ring(rig.vault), tm_slice_of(bytes.at, header), &object);
    struct forged forged = {tm_sha256_of(tm_buf_slice(&object)), object.len};
    struct tm_fold fold = tm_catalog_fold(rig.catalog);
    char name[TM_OBJECT_NAME_MAX];
    tm_pack_name(&forged.name, name);
    ck_assert_tm_ok(tm_store_create(rig.base.store, name, tm_buf_slice(&object), &err));
    ck_assert_tm_ok(tm_vault_commit(rig.vault, &fold, build_forged, &forged, NULL, &err));
    tm_pack_close(open);
    (void)snprintf(rig.names[PACK_B], sizeof(rig.names[PACK_B]), "%s", name);
}

static void change_proof(struct tm_block_info *blocks)
{
    blocks[0].runs[0].proof.bytes[3] ^= 1;
}

static void change_content_id(struct tm_block_info *blocks)
{
    blocks[1].content_id.bytes[31] ^= 1;
}

static void change_times(struct tm_block_info *blocks)
{
    blocks[0].runs[0].run.ts_max++;
}

static void swap_frames(struct tm_block_info *blocks)
{
    blocks[0].positions.counter += 2;
}

START_TEST(a_pack_that_lies_is_found_though_its_hash_is_right)
{
    static const struct {
        void (*change)(struct tm_block_info *blocks);
        const char *faults;
    } cases[] = {
            {change_proof,
                    "corrupt_pack B#0 logs/1/0 [0,49] 1: B: block 0: partition 0, offsets from 0: "
                    "records differ from their content proof\n"},
            {change_content_id, "corrupt_pack B#1 logs/1/0 [50,50] 1: B: block 1: its content has "
                                "another content "
                                "id\n"},
            {change_times, "corrupt_pack B#0 logs/1/0 [0,49] 1: B: block 0: block: positions: "
                           "timestamps are "
                           "not those of the index row at byte 80\n"},
            {swap_frames,
                    "corrupt_pack B#0 logs/1/0 [0,49] 1: B: block 0: block: positions: frame: "
                    "" ALTERED "\n"},
    };
    forge(cases[_i].change);
    assert_faults(TM_VERIFY_SCRUB, "");
    assert_faults(TM_VERIFY_FULL, cases[_i].faults);
    assert_damaged(false, true);
    assert_faults(TM_VERIFY_SCRUB, "");
    assert_damaged(false, true); /* its bytes are as they were written, and that was wrong */
}
END_TEST

/* Log, catalog, slots ---------------------------------------------------------------------- */

START_TEST(a_log_entry_that_is_gone_is_found)
{
    verify_unlink(&rig, "log/0000000000000001");
    assert_faults(TM_VERIFY_CATALOG,
            "broken_log log/0000000000000001#-1 -/0/-1 [-1,-1] 0: it is not "
            "in the store, and later ones are\n");
}
END_TEST

START_TEST(a_log_entry_that_is_damaged_is_found)
{
    verify_flip(&rig, "log/0000000000000001", 120);
    assert_faults(TM_VERIFY_CATALOG,
            "broken_log log/0000000000000001#-1 -/0/-1 [-1,-1] 0: log entry 1: "
            "ciphertext: " ALTERED "\n");
}
END_TEST

START_TEST(a_catalog_that_differs_from_the_log_is_found)
{
    static const struct {
        const char *sql;
        const char *faults;
    } cases[] = {
            {"UPDATE run SET count = count - 1 WHERE part = 2",
                    "catalog_mismatch #-1 -/0/-1 [-1,-1] 0: the catalog does not hold what the log "
                    "gives\n"},
            {"DELETE FROM run WHERE part = 2",
                    "catalog_mismatch #-1 -/0/-1 [-1,-1] 0: the catalog does not hold what the log "
                    "gives\n"
                    "catalog_mismatch #-1 orders/1/2 [0,19] 2: points have these offsets, and "
                    "neither "
                    "run nor gap tells of them\n"},
            {"UPDATE run SET length = 7, first = 3, count = 7 WHERE part = 2",
                    "catalog_mismatch #-1 -/0/-1 [-1,-1] 0: the catalog does not hold what the log "
                    "gives\n"
                    "catalog_mismatch #-1 orders/1/2 [0,2] 2: points have these offsets, and "
                    "neither "
                    "run nor gap tells of them\n"
                    "catalog_mismatch #-1 orders/1/2 [10,19] 2: points have these offsets, and "
                    "neither "
                    "run nor gap tells of them\n"},
            {"INSERT INTO dep (pack, target) VALUES (1, zeroblob(32))",
                    "catalog_mismatch #-1 -/0/-1 [-1,-1] 0: the catalog does not hold what the log "
                    "gives\n"
                    "catalog_mismatch A#-1 -/0/-1 [-1,-1] 0: it depends on "
                    "pack/00/0000000000000000000000000000000000000000000000000000000000000000, "
                    "which "
                    "leads to no pack\n"},
    };
    ck_assert_tm_ok(tm_sql_exec(rig.catalog->sql, cases[_i].sql, &err));
    assert_faults(TM_VERIFY_CATALOG, cases[_i].faults);
    assert_damaged(_i == 1 || _i == 2, _i == 1 || _i == 2);
}
END_TEST

static enum tm_code note_name(
        void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err)
{
    (void)info;
    (void)err;
    (void)snprintf(arg, TM_OBJECT_NAME_MAX, "%s", name);
    return TM_OK;
}

START_TEST(a_key_slot_that_is_gone_or_broken_is_found)
{
    char slot[TM_OBJECT_NAME_MAX];
    char expected[300];
    ck_assert_tm_ok(tm_store_list(rig.base.store, "key/", note_name, slot, &err));
    verify_flip(&rig, slot, 0);
    (void)snprintf(expected, sizeof(expected),
            "broken_key %s#-1 -/0/-1 [-1,-1] 0: key slot: not a key slot\n"
            "broken_key key/#-1 -/0/-1 [-1,-1] 0: no key slot of this vault is there\n",
            slot);
    assert_faults(TM_VERIFY_CATALOG, expected);
}
END_TEST

/* Keys, budgets ---------------------------------------------------------------------------- */

START_TEST(a_scrub_needs_no_key)
{
    struct tm_verify_options options = {.store = rig.base.store, .depth = TM_VERIFY_SCRUB};
    struct tm_verify_result result = verify_with(&options);
    ck_assert_int_eq(result.packs_count, 3);
    ck_assert_int_eq(result.faults_count, 0);
    tm_verify_result_done(&result);
    verify_flip(&rig, rig.names[PACK_B], 300);
    result = verify_with(&options);
    ck_assert_int_eq(result.faults_count, 1);
    ck_assert_int_eq(result.faults_open, 1);
    ck_assert_str_eq(result.faults.at[0].object, rig.names[PACK_B]);
    ck_assert_str_eq(result.faults.at[0].detail, NOT_THOSE);
    ck_assert_ptr_null(result.faults.at[0].topic);
    tm_verify_result_done(&result);
}
END_TEST

static size_t count_looked_at(void)
{
    size_t looked = 0;
    for (size_t i = 0; i < PACKS; i++) {
        struct tm_kept_pack pack;
        ck_assert_tm_ok(tm_findings_pack(rig.catalog, &rig.packs[i], &pack, &err));
        looked += pack.looked_ms > 0 ? 1 : 0;
    }
    return looked;
}

START_TEST(a_scrub_goes_on_where_the_last_one_ended)
{
    struct tm_verify_options options = options_of(TM_VERIFY_SCRUB);
    options.scrub_budget_bytes = 1; /* one pack at a time */
    for (size_t run = 0; run < PACKS; run++) {
        struct tm_verify_result result = verify_with(&options);
        ck_assert_int_eq(result.packs_count, 1);
        ck_assert_int_eq(result.packs_left, PACKS - 1);
        ck_assert_uint_eq(count_looked_at(), run + 1);
        tm_verify_result_done(&result);
    }
}
END_TEST

START_TEST(a_writer_cannot_verify_records_and_is_told_so)
{
    struct tm_secret secret = rig_secret();
    TM_BUF_OWN struct tm_buf slot = {0};
    struct tm_vault *writer = NULL;
    uint8_t other_key[TM_KEY_FILE_BYTES] = {9};
    struct tm_secret other = {TM_SECRET_KEY_FILE, {other_key, sizeof(other_key)}};
    (void)secret;
    ck_assert_tm_ok(tm_slot_encode(
            tm_vault_ring(rig.vault), tm_vault_id(rig.vault), &other, true, false, &slot, &err));
    ck_assert_tm_ok(
            tm_store_create(rig.base.store, "key/0123456789abcdef", tm_buf_slice(&slot), &err));
    ck_assert_tm_ok(tm_vault_open(rig.base.store, &other, "host/writer", &writer, &err));
    struct tm_verify_options options = options_of(TM_VERIFY_FULL);
    options.vault = writer;
    struct tm_verify_result result = {0};
    struct tm_err err = {0};
    ck_assert_int_eq(tm_verify_run(&options, &rig.env, &result, &err), TM_E_KEY);
    ck_assert_str_eq(err.msg, "verify: depth full reads records, and the key opens a writer's ring "
                              "that cannot; hint: "
                              "depth catalog or scrub, or the key of a full slot");
    options.depth = TM_VERIFY_SCRUB;
    result = verify_with(&options);
    ck_assert_int_eq(result.packs_count, 3);
    tm_verify_result_done(&result);
    options.depth = TM_VERIFY_CATALOG;
    result = verify_with(&options);
    ck_assert_int_eq(result.faults_count, 0);
    tm_verify_result_done(&result);
    tm_vault_close(writer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verify");
    TCase *tcase = tcase_create("verify");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, a_whole_vault_has_no_faults, 0, TM_VERIFY_FULL + 1);
    tcase_add_test(tcase, a_full_verification_opens_everything);
    tcase_add_test(tcase, a_point_is_verified_by_its_own_ranges);
    tcase_add_test(tcase, a_sample_takes_a_block_of_each_stream_at_least);
    tcase_add_loop_test(tcase, a_flipped_bit_is_found_block_by_block, 0, REGIONS);
    tcase_add_loop_test(tcase, a_flipped_bit_is_found_by_its_hash, 0, REGIONS);
    tcase_add_loop_test(tcase, a_pack_that_is_cut_or_prolonged_is_found_by_every_depth, 0, 8);
    tcase_add_loop_test(tcase, a_pack_that_is_gone_is_found_by_every_depth, 0, 4);
    tcase_add_test(tcase, packs_that_change_places_are_found);
    tcase_add_loop_test(tcase, a_pack_that_lies_is_found_though_its_hash_is_right, 0, 4);
    tcase_add_test(tcase, a_log_entry_that_is_gone_is_found);
    tcase_add_test(tcase, a_log_entry_that_is_damaged_is_found);
    tcase_add_loop_test(tcase, a_catalog_that_differs_from_the_log_is_found, 0, 4);
    tcase_add_test(tcase, a_key_slot_that_is_gone_or_broken_is_found);
    tcase_add_test(tcase, a_scrub_needs_no_key);
    tcase_add_test(tcase, a_scrub_goes_on_where_the_last_one_ended);
    tcase_add_test(tcase, a_writer_cannot_verify_records_and_is_told_so);
    suite_add_tcase(suite, tcase);
    return rig_run(suite);
}
