/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/vault/packer and own_ids: content that the vault holds is not stored again. */
#include "base/hash.h"
#include "vault/own_ids.h"
#include "vault/pack_reader.h"
#include "vault/packer.h"
#include "vault_rig.h"

enum { LEN = 9000, STREAM = 7, KINDS = 26 };

static const struct tm_block_params small = {
        .block_min = 2000,
        .block_mean = 4000,
        .block_max = 16000,
        .solo_min = 8000,
        .pack_target = 1 << 20,
};

static struct vault_rig rig;
static struct tm_vault *vault;
static struct tm_pool *pool;

static void setup(void)
{
    rig_make(&rig);
    rig_init_vault(rig.store);
    vault = rig_open_vault(rig.store);
    tm_vault_set_retry_ms(vault, 0);
    pool = tm_pool_new("seal", 2);
}

static void teardown(void)
{
    tm_pool_free(pool);
    tm_vault_close(vault);
    rig_drop(&rig);
}

/* What the packer asks: answers from a table of its own. */
struct known {
    struct tm_own_ids ids; /* number: index in `packs`, from 1 */
    struct tm_hash packs[64];
    size_t count;
    size_t asked;
    bool broken;
};

static enum tm_code find_known(
        void *self, const struct tm_hash *id, bool *found, struct tm_hash *pack, struct tm_err *err)
{
    struct known *known = self;
    known->asked++;
    if (known->broken) {
        return tm_err_set(err, TM_E_IO, "x.db: disk I/O error");
    }
    uint64_t number = tm_own_ids_find(&known->ids, id);
    *found = number > 0;
    if (number > 0) {
        *pack = known->packs[number - 1];
    }
    return TM_OK;
}

static void learn(struct known *known, const struct tm_packed *packed)
{
    known->packs[known->count++] = packed->name;
    for (size_t i = 0; i < packed->ids.count; i++) {
        tm_own_ids_add(&known->ids, &packed->ids.at[i], known->count);
    }
}

static struct tm_packer *make_packer(struct known *known)
{
    struct tm_packer_options options = {
            .vault = vault,
            .sealers = pool,
            .params = small,
            .level = 1,
            .budget_bytes = 1 << 20,
    };
    if (known != NULL) {
        options.lookup = (struct tm_content_lookup){known, find_known};
    }
    struct tm_packer *packer = tm_packer_new(&options);
    tm_packer_add_stream(packer, STREAM, tm_slice_str("cluster"), tm_slice_str("topic"), 1);
    return packer;
}

/* A record of LEN bytes that `kind` says all of: a block of its own. */
static void put_solo(struct tm_packer *packer, int64_t offset, int kind)
{
    char value[LEN];
    uint64_t state = (uint64_t)kind;
    for (size_t i = 0; i < LEN; i++) {
        value[i] = (char)rig_below(&state, 256);
    }
    struct tm_block *block = tm_block_new(tm_vault_ring(vault), &small, STREAM);
    tm_block_begin(block, 0, offset);
    struct tm_record record = {
            .offset = offset,
            .timestamp_ms = 1000 + offset,
            .timestamp_type = TM_TIMESTAMP_CREATE,
            .leader_epoch = -1,
            .value = tm_slice_of(value, LEN),
    };
    ck_assert(tm_block_add(block, &record));
    ck_assert_tm_ok(tm_packer_put(packer, block, &err));
}

static struct tm_packed cut_one(struct tm_packer *packer)
{
    tm_packed_list cut = {0};
    ck_assert_tm_ok(tm_packer_cut(packer, &cut, &err));
    ck_assert_uint_eq(cut.count, 1);
    struct tm_packed packed = cut.at[0];
    cut.at[0] = (struct tm_packed){0};
    tm_packed_list_done(&cut);
    return packed;
}

/* Every record of the pack, in the order of offsets from `first`, is of the kind that is named. */
static void check_kinds(const struct tm_packed *packed, int64_t first, const char *kinds)
{
    TM_OWN(tm_pack_close) struct tm_pack *pack = NULL;
    ck_assert_tm_ok(tm_pack_open(vault, &packed->name, packed->size, &pack, &err));
    const struct tm_pack_index *index = tm_pack_index(pack);
    TM_OWN(tm_block_tools_free) struct tm_block_tools *tools = tm_block_tools_new();
    struct tm_block_view view = {0};
    ck_assert_uint_eq(index->block_count, strlen(kinds));
    for (size_t b = 0; b < index->block_count; b++) {
        struct tm_block_iter iter = {0};
        struct tm_record record = {0};
        ck_assert_tm_ok(tm_pack_read_block(pack, b, tools, &view, &err));
        tm_block_iter_init(&iter, &view, 0);
        ck_assert(tm_block_iter_next(&iter, &record));
        uint64_t state = (uint64_t)(kinds[record.offset - first] - 'a');
        ck_assert_uint_eq(record.value.len, LEN);
        for (size_t i = 0; i < LEN; i++) {
            ck_assert_uint_eq(record.value.at[i], rig_below(&state, 256));
        }
        ck_assert_int_eq(record.timestamp_ms, 1000 + record.offset);
        tm_block_iter_done(&iter);
    }
    tm_block_view_done(&view);
}

static size_t foreign_blocks(const struct tm_packed *packed)
{
    TM_OWN(tm_pack_close) struct tm_pack *pack = NULL;
    ck_assert_tm_ok(tm_pack_open(vault, &packed->name, packed->size, &pack, &err));
    const struct tm_pack_index *index = tm_pack_index(pack);
    size_t count = 0;
    for (size_t b = 0; b < index->block_count; b++) {
        count += (index->blocks[b].flags & TM_BLOCK_FOREIGN) != 0 ? 1 : 0;
    }
    ck_assert_uint_eq(index->dep_count, packed->deps.count);
    for (size_t i = 0; i < index->dep_count; i++) {
        ck_assert(tm_hash_eq(&index->deps[i], &packed->deps.at[i]));
    }
    return count;
}

START_TEST(content_repeated_in_a_pack_is_stored_once)
{
    TM_OWN(tm_packer_free) struct tm_packer *packer = make_packer(NULL);
    const char kinds[] = "abaabcc";
    for (int64_t i = 0; kinds[i] != '\0'; i++) {
        put_solo(packer, i, kinds[i] - 'a');
    }
    struct tm_packed packed = cut_one(packer);
    ck_assert_uint_eq(packed.ids.count, 3);
    ck_assert_uint_eq(packed.deps.count, 0);
    ck_assert_uint_eq(foreign_blocks(&packed), 4);
    ck_assert_int_ge(packed.deduplicated_bytes, 4 * LEN);
    ck_assert_int_lt(packed.deduplicated_bytes, 4 * (LEN + 20));
    ck_assert_uint_lt(packed.size, 3 * LEN + 3000);
    check_kinds(&packed, 0, kinds);
    tm_packed_done(&packed);
}
END_TEST

START_TEST(a_later_pack_refers_to_one_of_the_same_packer_until_that_is_settled)
{
    TM_OWN(tm_packer_free) struct tm_packer *packer = make_packer(NULL);
    put_solo(packer, 0, 0);
    struct tm_packed first = cut_one(packer);
    ck_assert_uint_eq(first.number, 1);
    put_solo(packer, 1, 0);
    put_solo(packer, 2, 1);
    struct tm_packed second = cut_one(packer);
    ck_assert_uint_eq(second.number, 2);
    ck_assert_uint_eq(second.deps.count, 1);
    ck_assert(tm_hash_eq(&second.deps.at[0], &first.name));
    ck_assert_uint_eq(second.ids.count, 1);
    check_kinds(&second, 1, "ab");

    tm_packer_settle(packer, 1);
    put_solo(packer, 3, 0);
    put_solo(packer, 4, 1);
    struct tm_packed third = cut_one(packer);
    ck_assert_uint_eq(third.deps.count, 1);
    ck_assert(tm_hash_eq(&third.deps.at[0], &second.name));
    ck_assert_uint_eq(foreign_blocks(&third), 1);
    check_kinds(&third, 3, "ab");
    tm_packed_done(&first);
    tm_packed_done(&second);
    tm_packed_done(&third);
}
END_TEST

START_TEST(what_the_look_up_knows_is_referred_to_whatever_the_order)
{
    struct known known = {0};
    char kinds[KINDS + 1] = {0};
    for (int i = 0; i < KINDS; i++) { /* every kind in a pack of its own */
        TM_OWN(tm_packer_free) struct tm_packer *packer = make_packer(NULL);
        put_solo(packer, 0, i);
        struct tm_packed packed = cut_one(packer);
        learn(&known, &packed);
        tm_packed_done(&packed);
        kinds[i] = (char)('a' + i);
    }
    TM_OWN(tm_packer_free) struct tm_packer *packer = make_packer(&known);
    for (int i = 0; i < KINDS; i++) {
        put_solo(packer, i, i);
    }
    struct tm_packed packed = cut_one(packer);
    ck_assert_uint_eq(known.asked, KINDS);
    ck_assert_uint_eq(packed.deps.count, KINDS);
    ck_assert_uint_eq(packed.ids.count, 0);
    for (size_t i = 1; i < packed.deps.count; i++) {
        ck_assert_int_lt(memcmp(packed.deps.at[i - 1].bytes, packed.deps.at[i].bytes, 32), 0);
    }
    ck_assert_uint_eq(foreign_blocks(&packed), KINDS);
    ck_assert_uint_lt(packed.size, 10000);
    check_kinds(&packed, 0, kinds);
    tm_packed_done(&packed);
    tm_own_ids_done(&known.ids);
}
END_TEST

START_TEST(a_block_cut_short_is_not_looked_up)
{
    struct known known = {.broken = true};
    TM_OWN(tm_packer_free) struct tm_packer *packer = make_packer(&known);
    for (int64_t i = 0; i < 2; i++) {
        struct tm_block *block = tm_block_new(tm_vault_ring(vault), &small, STREAM);
        tm_block_begin(block, 0, i);
        struct tm_record record = {.offset = i, .timestamp_ms = -1, .value = tm_slice_str("short")};
        ck_assert(!tm_block_add(block, &record));
        ck_assert_tm_ok(tm_packer_put(packer, block, &err));
    }
    struct tm_packed packed = cut_one(packer);
    ck_assert_uint_eq(known.asked, 0);
    ck_assert_uint_eq(packed.ids.count, 0);
    ck_assert_uint_eq(foreign_blocks(&packed), 0);
    tm_packed_done(&packed);
}
END_TEST

START_TEST(a_look_up_that_fails_is_the_packers_failure)
{
    struct known known = {.broken = true};
    TM_OWN(tm_packer_free) struct tm_packer *packer = make_packer(&known);
    struct tm_block *block = tm_block_new(tm_vault_ring(vault), &small, STREAM);
    char value[LEN] = {0};
    tm_block_begin(block, 0, 0);
    struct tm_record record = {.timestamp_ms = -1, .value = tm_slice_of(value, LEN)};
    ck_assert(tm_block_add(block, &record));
    struct tm_err err = {0};
    ck_assert_int_eq(tm_packer_put(packer, block, &err), TM_E_IO);
    ck_assert_str_eq(err.msg, "x.db: disk I/O error");
    tm_packed_list cut = {0};
    err = (struct tm_err){0};
    ck_assert_int_eq(tm_packer_cut(packer, &cut, &err), TM_E_IO);
    ck_assert_str_eq(err.msg, "x.db: disk I/O error");
}
END_TEST

/* Finding packs ---------------------------------------------------------------------------- */

struct shelf {
    struct tm_pack *pack;
    struct tm_hash asked;
    int taken;
    int given;
};

static enum tm_code take(void *self, const struct tm_hash *dep, const struct tm_hash *id,
        struct tm_pack **out, struct tm_err *err)
{
    struct shelf *shelf = self;
    shelf->asked = *dep;
    shelf->taken++;
    if (shelf->pack == NULL) {
        return tm_err_set(err, TM_E_MISSING, "it is nowhere");
    }
    ck_assert(tm_pack_holds(shelf->pack, id));
    *out = shelf->pack;
    return TM_OK;
}

static void give(void *self, struct tm_pack *pack)
{
    struct shelf *shelf = self;
    ck_assert_ptr_eq(pack, shelf->pack);
    shelf->given++;
}

START_TEST(content_elsewhere_is_asked_for_and_given_back)
{
    TM_OWN(tm_packer_free) struct tm_packer *packer = make_packer(NULL);
    put_solo(packer, 0, 0);
    struct tm_packed first = cut_one(packer);
    put_solo(packer, 1, 0);
    struct tm_packed second = cut_one(packer);

    struct shelf shelf = {0};
    TM_OWN(tm_pack_close) struct tm_pack *holder = NULL;
    TM_OWN(tm_pack_close) struct tm_pack *pack = NULL;
    ck_assert_tm_ok(tm_pack_open(vault, &first.name, first.size, &holder, &err));
    ck_assert_tm_ok(tm_pack_open(vault, &second.name, second.size, &pack, &err));
    tm_pack_set_deps(pack, &(struct tm_pack_deps){&shelf, take, give});
    TM_OWN(tm_block_tools_free) struct tm_block_tools *tools = tm_block_tools_new();
    struct tm_block_view view = {0};
    struct tm_err refused = {0};
    char expected[TM_ERR_MSG_MAX];
    char name[TM_OBJECT_NAME_MAX];
    tm_pack_name(&second.name, name);
    (void)snprintf(expected, sizeof(expected), "%s: block 0: it is nowhere", name);
    ck_assert_int_eq(tm_pack_read_block(pack, 0, tools, &view, &refused), TM_E_MISSING);
    ck_assert_str_eq(refused.msg, expected);
    ck_assert_int_eq(shelf.given, 0);

    shelf.pack = holder;
    ck_assert_tm_ok(tm_pack_read_block(pack, 0, tools, &view, &err));
    ck_assert(tm_hash_eq(&shelf.asked, &first.name));
    ck_assert_int_eq(shelf.taken, 2);
    ck_assert_int_eq(shelf.given, 1);
    tm_block_view_done(&view);
    tm_packed_done(&first);
    tm_packed_done(&second);
}
END_TEST

/* The table -------------------------------------------------------------------------------- */

static struct tm_hash nth(uint32_t number)
{
    return tm_sha256_of(tm_slice_of(&number, sizeof(number)));
}

START_TEST(the_table_of_ids_finds_what_was_noted_last)
{
    enum { IDS = 2000 };
    struct tm_own_ids ids = {0};
    struct tm_hash id = nth(0);
    ck_assert_uint_eq(tm_own_ids_find(&ids, &id), 0);
    tm_own_ids_forget(&ids, 10);
    for (uint32_t round = 1; round <= 2; round++) {
        for (uint32_t i = 0; i < IDS; i += round) {
            id = nth(i);
            tm_own_ids_add(&ids, &id, round * 100 + i % 7);
        }
    }
    ck_assert_uint_eq(ids.count, IDS);
    tm_own_ids_forget(&ids, 103);
    size_t left = 0;
    for (uint32_t i = 0; i < IDS + 10; i++) {
        id = nth(i);
        uint64_t noted = i >= IDS ? 0 : i % 2 == 0 ? 200 + i % 7 : 100 + i % 7;
        noted = noted <= 103 ? 0 : noted;
        ck_assert_uint_eq(tm_own_ids_find(&ids, &id), noted);
        left += noted > 0 ? 1 : 0;
    }
    ck_assert_uint_eq(ids.count, left);
    tm_own_ids_forget(&ids, UINT64_MAX);
    ck_assert_uint_eq(ids.count, 0);
    ck_assert_uint_eq(ids.capacity, 64);
    tm_own_ids_done(&ids);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("packer_content");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, content_repeated_in_a_pack_is_stored_once);
    tcase_add_test(tcase, a_later_pack_refers_to_one_of_the_same_packer_until_that_is_settled);
    tcase_add_test(tcase, what_the_look_up_knows_is_referred_to_whatever_the_order);
    tcase_add_test(tcase, a_block_cut_short_is_not_looked_up);
    tcase_add_test(tcase, a_look_up_that_fails_is_the_packers_failure);
    tcase_add_test(tcase, content_elsewhere_is_asked_for_and_given_back);
    TCase *table = tcase_create("own_ids");
    tcase_add_test(table, the_table_of_ids_finds_what_was_noted_last);
    Suite *suite = suite_create("packer_content");
    suite_add_tcase(suite, tcase);
    suite_add_tcase(suite, table);
    return rig_run(suite);
}
