/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/codec/entry: log entries as objects, and what reading them refuses. */
#include "codec/entry.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>

#include "edits_sample.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT(literal) \
    { \
        (const uint8_t *)(literal), sizeof(literal) - 1 \
    }

static const struct tm_id16 vault_id = {{1, 2, 3, 4}};

static const struct tm_entry_place at_nine = {.vault_id = {{1, 2, 3, 4}},
        .seq = 9,
        .back = 4,
        .prev = {{7, 7}}};

static void entry_of(struct tm_edits *edits, const struct tm_entry_place *place,
        const struct tm_ring *ring, struct tm_buf *out)
{
    struct tm_err err = {0};
    ck_assert_msg(tm_entry_encode(edits, place, ring, out, &err) == TM_OK, "%s", err.msg);
}

START_TEST(an_entry_reads_back)
{
    bool full = _i == 1;
    TM_OWN(tm_ring_free) struct tm_ring *ring = tm_ring_new(0);
    struct tm_edits edits = {0};
    make_edits(&edits, 77, full, 10);
    tm_edits_sort(&edits);
    struct tm_entry_place place = at_nine;
    place.back = full ? 0 : 4;
    TM_BUF_OWN struct tm_buf object = {0};
    tm_buf_add_text(&object, "before");
    entry_of(&edits, &place, ring, &object);
    struct tm_slice bytes = tm_slice_of(object.at + 6, object.len - 6);
    ck_assert_mem_eq(bytes.at, full ? "TMVL\1\0\2\0" : "TMVL\1\0\1\0", 8);
    ck_assert_mem_eq(bytes.at + 8, vault_id.bytes, 16);
    ck_assert_mem_eq(bytes.at + 24, "\1\0\0\0", 4);
    ck_assert_mem_eq(bytes.at + 28, full ? "\0\0\0\0" : "\4\0\0\0", 4);
    ck_assert_mem_eq(bytes.at + 32, "\11\0\0\0\0\0\0\0", 8);
    ck_assert_mem_eq(bytes.at + 40, place.prev.bytes, 32);

    struct tm_edits back = {0};
    struct tm_entry_place place_back = {0};
    struct tm_err err = {0};
    ck_assert_msg(tm_entry_decode(bytes, 9, &vault_id, ring, &place_back, &back, &err) == TM_OK,
            "%s", err.msg);
    memset(object.at, 0, object.len); /* the edits do not borrow from the object */
    ck_assert_uint_eq(place_back.seq, 9);
    ck_assert_uint_eq(place_back.back, place.back);
    ck_assert(tm_hash_eq(&place_back.prev, &place.prev));
    ck_assert(tm_id16_eq(&place_back.vault_id, &vault_id));
    TM_BUF_OWN struct tm_buf told = {0};
    TM_BUF_OWN struct tm_buf told_back = {0};
    tell_edits(&told, &edits);
    tell_edits(&told_back, &back);
    ck_assert_str_eq(tm_buf_text(&told), tm_buf_text(&told_back));
    tm_edits_done(&back);
    tm_edits_done(&edits);
}
END_TEST

/* clang-format off */
static const struct {
    size_t at;
    uint8_t value;
    enum tm_code code;
    const char *message;
} heads[] = {
    {0,  'X', TM_E_CORRUPT, "log entry 9: not a log entry"},
    {4,  2,   TM_E_VERSION, "log entry 9: version 2, this program knows 1"},
    {6,  0,   TM_E_CORRUPT, "log entry 9: a kind of entry that is not known"},
    {6,  3,   TM_E_CORRUPT, "log entry 9: a kind of entry that is not known"},
    {6,  2,   TM_E_CORRUPT, "log entry 9: a full that points back to another"},
    {7,  1,   TM_E_CORRUPT, "log entry 9: a kind of entry that is not known"},
    {8,  9,   TM_E_CORRUPT, "log entry 9: it is of another vault"},
    {24, 2,   TM_E_KEY,     "log entry 9: the key ring has no epoch 2; the keys of the vault were rotated; hint: "
                        "open it again (restart the daemon)"},
    {28, 0,   TM_E_CORRUPT, "log entry 9: the full it points back to cannot be"},
    {28, 10,  TM_E_CORRUPT, "log entry 9: the full it points back to cannot be"},
    {28, 9,   TM_E_CORRUPT, "log entry 9: ciphertext: it was altered, or belongs elsewhere"},
    {32, 8,   TM_E_CORRUPT, "log entry 9: it is entry 8"},
    {40, 0,   TM_E_CORRUPT, "log entry 9: ciphertext: it was altered, or belongs elsewhere"},
};
/* clang-format on */

START_TEST(an_entry_that_does_not_fit_is_refused)
{
    TM_OWN(tm_ring_free) struct tm_ring *ring = tm_ring_new(0);
    struct tm_edits edits = {0};
    TM_BUF_OWN struct tm_buf object = {0};
    entry_of(&edits, &at_nine, ring, &object);
    object.at[heads[_i].at] = heads[_i].value;
    struct tm_edits back = {0};
    struct tm_entry_place place = {.seq = 77};
    struct tm_err err = {0};
    ck_assert_int_eq(
            tm_entry_decode(tm_buf_slice(&object), 9, &vault_id, ring, &place, &back, &err),
            heads[_i].code);
    ck_assert_str_eq(err.msg, heads[_i].message);
    ck_assert_uint_eq(place.seq, 77);
}
END_TEST

START_TEST(a_flipped_or_cut_entry_is_refused)
{
    TM_OWN(tm_ring_free) struct tm_ring *ring = tm_ring_new(0);
    TM_OWN(tm_ring_free) struct tm_ring *other_ring = tm_ring_new(0);
    struct tm_edits edits = {0};
    TM_BUF_OWN struct tm_buf object = {0};
    entry_of(&edits, &at_nine, ring, &object);
    struct tm_edits back = {0};
    struct tm_entry_place place;
    for (size_t at = 0; at < object.len; at++) {
        struct tm_err err = {0};
        ck_assert_int_ne(tm_entry_decode(tm_slice_of(object.at, at), 9, &vault_id, ring, &place,
                                 &back, &err),
                TM_OK);
        object.at[at] ^= 0x20;
        err = (struct tm_err){0};
        ck_assert_int_ne(
                tm_entry_decode(tm_buf_slice(&object), 9, &vault_id, ring, &place, &back, &err),
                TM_OK);
        object.at[at] ^= 0x20;
    }
    struct tm_err err = {0};
    ck_assert_int_eq(
            tm_entry_decode(tm_buf_slice(&object), 9, &vault_id, other_ring, &place, &back, &err),
            TM_E_CORRUPT);
    ck_assert_str_eq(err.msg, "log entry 9: ciphertext: it was altered, or belongs elsewhere");
}
END_TEST

START_TEST(the_first_entry_is_a_full_without_predecessor)
{
    TM_OWN(tm_ring_free) struct tm_ring *ring = tm_ring_new(0);
    struct tm_edits edits = {.full = true};
    struct tm_entry_place place = {.vault_id = vault_id};
    TM_BUF_OWN struct tm_buf object = {0};
    entry_of(&edits, &place, ring, &object);
    struct tm_edits back = {0};
    struct tm_err err = {0};
    ck_assert_int_eq(
            tm_entry_decode(tm_buf_slice(&object), 0, &vault_id, ring, &place, &back, &err), TM_OK);
    ck_assert(back.full);
    tm_edits_done(&back);
    object.at[71] = 1;
    ck_assert_int_eq(
            tm_entry_decode(tm_buf_slice(&object), 0, &vault_id, ring, &place, &back, &err),
            TM_E_CORRUPT);
    ck_assert_str_eq(err.msg, "log entry 0: the first entry names one before it");
}
END_TEST

START_TEST(a_delta_as_first_entry_is_a_bug)
{
    TM_OWN(tm_ring_free) struct tm_ring *ring = tm_ring_new(0);
    struct tm_edits edits = {0};
    struct tm_entry_place place = {.vault_id = vault_id};
    TM_BUF_OWN struct tm_buf object = {0};
    struct tm_err err = {0};
    (void)!tm_entry_encode(&edits, &place, ring, &object, &err); /* aborts */
}
END_TEST

int main(void)
{
    tm_codec_init();
    TCase *tcase = tcase_create("entry");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, an_entry_reads_back, 0, 2);
    tcase_add_loop_test(tcase, an_entry_that_does_not_fit_is_refused, 0, (int)LENGTH(heads));
    tcase_add_test(tcase, a_flipped_or_cut_entry_is_refused);
    tcase_add_test(tcase, the_first_entry_is_a_full_without_predecessor);
    tcase_add_test_raise_signal(tcase, a_delta_as_first_entry_is_a_bug, SIGABRT);

    Suite *suite = suite_create("entry");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
