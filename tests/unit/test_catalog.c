/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/catalog: what the fold takes, what it refuses, and that a refusal changes nothing. */
#include <check.h>

#include "catalog_rig.h"

/* What is refused -------------------------------------------------------------------------- */

typedef void (*make)(struct tm_edits *edits);

/* clang-format off */
static void stream_number_skipped(struct tm_edits *e) { add_stream(e, 6, "c1", "new", 1); }
static void stream_number_taken(struct tm_edits *e) { add_stream(e, 4, "c1", "new", 1); }
static void incarnation_skipped(struct tm_edits *e) { add_stream(e, 5, "c1", "orders", 4); }
static void incarnation_taken(struct tm_edits *e) { add_stream(e, 5, "c1", "orders", 2); }
static void first_incarnation_not_1(struct tm_edits *e) { add_stream(e, 5, "c2", "logs", 2); }
static void param_no_number(struct tm_edits *e) { add_param(e, "block.min", "1k"); }
static void param_empty(struct tm_edits *e) { add_param(e, "block.min", ""); }
static void param_too_long(struct tm_edits *e) { add_param(e, "x", "1234567890123456789"); }
static void keep_of_no_stream(struct tm_edits *e) { add_keep(e, 5, "p", 1); }
static void keep_too_long(struct tm_edits *e) { add_keep(e, 1, "p", UINT64_MAX); }

static void grow(struct tm_edits *e, int64_t first, int64_t end)
{
    (void)add_run(add_pack(e, 9), 1, 0, first, end);
    add_tail(e, 1, 0, end, 110, 1);
}
static void run_behind_a_hole(struct tm_edits *e) { grow(e, 151, 160); }
static void run_overlapping(struct tm_edits *e) { grow(e, 149, 160); }
static void run_again(struct tm_edits *e) { grow(e, 110, 150); }
static void gap_behind_a_hole(struct tm_edits *e)
{
    add_gap(e, 1, 0, 155, 160, TM_GAP_UNKNOWN);
    add_tail(e, 1, 0, 160, 110, 11);
}
static void hole_within(struct tm_edits *e)
{
    grow(e, 150, 160);
    add_gap(e, 1, 0, 161, 170, TM_GAP_UNKNOWN);
    e->tails.at[0].next = 170;
}
static void overlap_within(struct tm_edits *e)
{
    grow(e, 150, 160);
    add_gap(e, 1, 0, 159, 170, TM_GAP_UNKNOWN);
    e->tails.at[0].next = 170;
}
static void overlap_of_packs(struct tm_edits *e)
{
    grow(e, 150, 160);
    (void)add_run(add_pack(e, 10), 1, 0, 155, 170);
}
static void run_of_no_stream(struct tm_edits *e)
{
    (void)add_run(add_pack(e, 9), 5, 0, 0, 10);
    add_tail(e, 5, 0, 10, 0, 1);
}
static void gap_of_no_stream(struct tm_edits *e)
{
    add_gap(e, 0, 0, 0, 10, TM_GAP_UNKNOWN);
    add_tail(e, 0, 0, 10, 0, 0);
}
static void grown_without_tail(struct tm_edits *e)
{
    struct tm_row_pack *pack = add_pack(e, 9);
    (void)add_run(pack, 1, 0, 150, 160);
    (void)add_run(pack, 1, 2, 500, 501);
    add_tail(e, 1, 2, 501, 0, 1);
}
static void grown_without_last_tail(struct tm_edits *e)
{
    (void)add_run(add_pack(e, 9), 1, 2, 500, 501);
    add_tail(e, 1, 1, 60, 0, 1);
}
static void tail_short_of_its_runs(struct tm_edits *e)
{
    grow(e, 150, 160);
    e->tails.at[0].next = 155;
}
static void tail_moved_without_runs(struct tm_edits *e) { add_tail(e, 1, 0, 151, 110, 2); }
static void tail_taken_back(struct tm_edits *e) { add_tail(e, 1, 0, 149, 110, 0); }
static void tail_of_no_stream(struct tm_edits *e) { add_tail(e, 5, 0, 0, 0, 0); }
static void last_record_before_the_last_run(struct tm_edits *e)
{
    grow(e, 150, 160);
    e->tails.at[0].back = 11;
}
static void last_record_behind_the_last_run(struct tm_edits *e)
{
    grow(e, 150, 160);
    add_gap(e, 1, 0, 160, 170, TM_GAP_NO_RECORDS);
    e->tails.at[0].next = 170;
    e->tails.at[0].back = 5;
}
static void no_last_record_behind_a_run(struct tm_edits *e)
{
    grow(e, 150, 160);
    e->tails.at[0].back = 0;
}
static void last_record_in_a_gap(struct tm_edits *e)
{
    add_gap(e, 1, 0, 150, 160, TM_GAP_NO_RECORDS);
    add_tail(e, 1, 0, 160, 110, 1);
}
static void last_record_forgotten(struct tm_edits *e) { add_tail(e, 1, 0, 150, 110, 0); }
static void last_record_from_nowhere(struct tm_edits *e) { add_tail(e, 1, 3, 9, 0, 1); }
static void covered_taken_back(struct tm_edits *e) { add_tail(e, 1, 0, 150, 109, 1); }
static void covered_ahead_of_points(struct tm_edits *e) { add_tail(e, 1, 0, 150, 111, 1); }
static void covered_ahead_of_the_base(struct tm_edits *e) { add_tail(e, 1, 3, 9, 10, 0); }
static void covered_behind_the_point(struct tm_edits *e)
{
    add_part(add_point(e, 2, "p"), 1, 0, 0, 150);
    add_tail(e, 1, 0, 150, 149, 1);
}
static void lost_gap_above_the_watermark(struct tm_edits *e)
{
    add_gap(e, 1, 0, 150, 160, TM_GAP_LOST_IN_VAULT);
    add_tail(e, 1, 0, 160, 110, 11);
}
static void lost_gap_over_a_live_run(struct tm_edits *e)
{
    add_gap(e, 1, 0, 10, 20, TM_GAP_LOST_IN_VAULT);
}

static void pack_there_already(struct tm_edits *e) { (void)add_pack(e, 2); }
static void pack_too_large(struct tm_edits *e) { add_pack(e, 9)->size = UINT64_MAX; }
static void dep_unknown(struct tm_edits *e) { add_dep(add_pack(e, 9), 8); }
static void drop_unknown(struct tm_edits *e) { (void)drop_pack(e, 9); }
static void successor_not_new(struct tm_edits *e) { add_successor(drop_pack(e, 1), 2); }
static void sweep_in_use(struct tm_edits *e) { sweep_pack(e, 2); }
static void merge_with_more(struct tm_edits *e)
{
    add_successor(drop_pack(e, 2), 9);
    (void)add_run(add_pack(e, 9), 1, 0, 110, 151);
}
static void merge_over_the_gap(struct tm_edits *e)
{
    add_successor(drop_pack(e, 1), 9);
    add_successor(drop_pack(e, 2), 9);
    (void)add_run(add_pack(e, 9), 1, 0, 0, 150);
}
static void merge_of_another_partition(struct tm_edits *e)
{
    add_successor(drop_pack(e, 1), 9);
    (void)add_run(add_pack(e, 9), 1, 1, 0, 10);
}
static void merge_twice_the_same(struct tm_edits *e)
{
    struct tm_row_successors *gone = drop_pack(e, 1);
    add_successor(gone, 9);
    add_successor(gone, 10);
    (void)add_run(add_pack(e, 9), 1, 0, 0, 50);
    (void)add_run(add_pack(e, 10), 1, 0, 49, 100);
}
static void lost_and_there(struct tm_edits *e)
{
    add_successor(drop_pack(e, 1), 9);
    (void)add_run(add_pack(e, 9), 1, 0, 0, 50);
    add_gap(e, 1, 0, 40, 100, TM_GAP_LOST_IN_VAULT);
}

static void point_number_skipped(struct tm_edits *e) { (void)add_point(e, 3, "p"); }
static void point_number_taken(struct tm_edits *e) { add_point(e, 1, "p")->ulid = id16(2); }
static void point_with_a_used_ulid(struct tm_edits *e) { add_point(e, 2, "p")->ulid = id16(1); }
static void point_over_the_watermark(struct tm_edits *e)
{
    add_part(add_point(e, 2, "p"), 1, 0, 0, 151);
    add_tail(e, 1, 0, 150, 150, 1);
}
static void point_without_its_tail(struct tm_edits *e)
{
    add_part(add_point(e, 2, "p"), 1, 0, 0, 150);
}
static void point_of_a_partition_unknown(struct tm_edits *e)
{
    add_part(add_point(e, 2, "p"), 1, 7, 0, 1);
}
static void point_of_another_cluster(struct tm_edits *e)
{
    add_part(add_point(e, 2, "p"), 4, 0, 0, 0);
}
static void point_of_no_stream(struct tm_edits *e)
{
    add_group(add_point(e, 2, "p"), "g", 5, 0, 1);
}
static void gone_of_no_stream(struct tm_edits *e) { add_gone(add_point(e, 2, "p"), 5); }
static void remove_unknown(struct tm_edits *e) { remove_point(e, 2); }
static void remove_just_added(struct tm_edits *e)
{
    (void)add_point(e, 2, "p");
    remove_point(e, 2);
}
static void mark_unknown(struct tm_edits *e) { add_mark(e, 2, "x", 0); }
static void mark_removed(struct tm_edits *e)
{
    remove_point(e, 1);
    add_mark(e, 1, "x", 0);
}

static const struct {
    make make;
    const char *message;
} broken[] = {
    {stream_number_skipped,   "stream 6 is new, but 5 is the next number"},
    {stream_number_taken,     "stream 4 is new, but 5 is the next number"},
    {incarnation_skipped,     "stream 5 is incarnation 4 of its topic, but 3 is the next one"},
    {incarnation_taken,       "stream 5 is incarnation 2 of its topic, but 3 is the next one"},
    {first_incarnation_not_1, "stream 5 is incarnation 2 of its topic, but 1 is the next one"},
    {param_no_number,         "param \"block.min\" is no number"},
    {param_empty,             "param \"block.min\" is no number"},
    {param_too_long,          "param \"x\" is no number"},
    {keep_of_no_stream,       "archive window: there is no stream 5"},
    {keep_too_long,           "archive window of stream 1: 18446744073709551615 seconds cannot be"},

    {run_behind_a_hole,       "stream 1 partition 0: runs and gaps join at 150, not 151"},
    {run_overlapping,         "stream 1 partition 0: runs and gaps join at 150, not 149"},
    {run_again,               "stream 1 partition 0: runs and gaps join at 150, not 110"},
    {gap_behind_a_hole,       "stream 1 partition 0: runs and gaps join at 150, not 155"},
    {hole_within,             "stream 1 partition 0: the gap [161, 170) leaves a hole before it"},
    {overlap_within,          "stream 1 partition 0: the gap [159, 170) overlaps the one before it"},
    {overlap_of_packs,        "stream 1 partition 0: the run [155, 170) overlaps the one before it"},
    {run_of_no_stream,        "run: there is no stream 5"},
    {gap_of_no_stream,        "gap: there is no stream 0"},
    {grown_without_tail,      "stream 1 partition 0: grows without a tail"},
    {grown_without_last_tail, "stream 1 partition 2: grows without a tail"},
    {tail_short_of_its_runs,  "stream 1 partition 0: the tail's next is 160, not 155"},
    {tail_moved_without_runs, "stream 1 partition 0: the tail's next is 150, not 151"},
    {tail_taken_back,         "stream 1 partition 0: the tail's next is 150, not 149"},
    {tail_of_no_stream,       "tail: there is no stream 5"},
    {last_record_before_the_last_run,
        "stream 1 partition 0: the last run is [150, 160), the tail's last record is 149"},
    {last_record_behind_the_last_run,
        "stream 1 partition 0: the last run is [150, 160), the tail's last record is 165"},
    {no_last_record_behind_a_run,
        "stream 1 partition 0: the last run is [150, 160), the tail's last record is -1"},
    {last_record_in_a_gap,    "stream 1 partition 0: the last record is 149, not 159"},
    {last_record_forgotten,   "stream 1 partition 0: the last record is 149, not -1"},
    {last_record_from_nowhere, "stream 1 partition 3: the last record is -1, not 8"},
    {covered_taken_back,      "stream 1 partition 0: a point reaches 110, not 109"},
    {covered_ahead_of_points, "stream 1 partition 0: points reach no further than 110, not 111"},
    {covered_ahead_of_the_base, "stream 1 partition 3: points reach no further than 9, not 10"},
    {covered_behind_the_point, "stream 1 partition 0: a point reaches 150, not 149"},
    {lost_gap_above_the_watermark, "stream 1 partition 0: the gap [150, 160)"
        " is not within the runs of the packs that were dropped"},
    {lost_gap_over_a_live_run, "stream 1 partition 0: the gap [10, 20)"
        " is not within the runs of the packs that were dropped"},

    {pack_there_already,      "pack 0202020202020202 is new, but is already held"},
    {pack_too_large,          "pack 0909090909090909: 18446744073709551615 bytes cannot be"},
    {dep_unknown,             "pack 0909090909090909 depends on pack 0808080808080808, which is not there"},
    {drop_unknown,            "pack 0909090909090909 is dropped, but is not there"},
    {successor_not_new,       "pack 0101010101010101: its successor 0202020202020202 is not in the entry"},
    {sweep_in_use,            "pack 0202020202020202 is swept, but is in use"},
    {merge_with_more,         "stream 1 partition 0: the run [110, 151)"
        " is not within the runs of the packs that were dropped"},
    {merge_over_the_gap,      "stream 1 partition 0: the run [0, 150)"
        " is not within the runs of the packs that were dropped"},
    {merge_of_another_partition, "stream 1 partition 1: the run [0, 10)"
        " is not within the runs of the packs that were dropped"},
    {merge_twice_the_same,    "stream 1 partition 0: the run [49, 100) overlaps the one before it"},
    {lost_and_there,          "stream 1 partition 0: the gap [40, 100) overlaps the one before it"},

    {point_number_skipped,    "point 3 is new, but 2 is the next number"},
    {point_number_taken,      "point 1 is new, but 2 is the next number"},
    {point_with_a_used_ulid,  "point 2 has the ULID of point 1"},
    {point_over_the_watermark, "point 2: stream 1 partition 0 ends at 151, its tail has next 150, covered 150"},
    {point_without_its_tail,  "point 2: stream 1 partition 0 ends at 150, its tail has next 150, covered 110"},
    {point_of_a_partition_unknown, "point 2: stream 1 partition 7 ends at 1, its tail has next 0, covered 0"},
    {point_of_another_cluster, "point 2: stream 4 is of another cluster"},
    {point_of_no_stream,      "point 2: there is no stream 5"},
    {gone_of_no_stream,       "point 2: there is no stream 5"},
    {remove_unknown,          "point 2 is removed, but is not there"},
    {remove_just_added,       "point 2 is removed, but is not there"},
    {mark_unknown,            "point 2 is marked, but is not there"},
    {mark_removed,            "point 1 is marked, but is not there"},
};
/* clang-format on */

START_TEST(an_entry_that_breaks_a_rule_changes_nothing)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    EDITS_OWN struct tm_edits edits = entry("p", 4000);
    /* Something good comes first in each. */
    add_mark(&edits, 1, "good", 0);
    if (broken[_i].make == mark_removed) {
        edits.marks.count = 0;
    }
    broken[_i].make(&edits);
    struct tm_entry_place place = rig_place(&rig, false);
    assert_refused(&rig, &place, &edits, TM_E_CORRUPT, broken[_i].message);
}
END_TEST

/* Where an entry stands ---------------------------------------------------------------------- */

static const struct {
    const char *message;
    int64_t seq; /* added to the right one; likewise the next two */
    int back;
    unsigned vault;
    enum tm_code code;
    bool full;
    bool other_prev;
} places[] = {
        {.seq = 1,
                .back = 1,
                .code = TM_E_CONFLICT,
                .message = "entry 4 cannot follow entry 2, the last one folded"},
        {.seq = -1,
                .back = -1,
                .code = TM_E_CONFLICT,
                .message = "entry 2 cannot follow entry 2, the last one folded"},
        {.seq = 5,
                .full = true,
                .code = TM_E_CONFLICT,
                .message = "entry 8 cannot follow entry 2, the last one folded"},
        {.other_prev = true,
                .code = TM_E_CORRUPT,
                .message = "the entry follows another entry 2 than the one that is folded"},
        {.vault = 1, .code = TM_E_CORRUPT, .message = "the entry belongs to another vault"},
        {.back = 1,
                .code = TM_E_CORRUPT,
                .message = "the newest full is 3 entries back, the entry says 4"},
        {.full = true,
                .back = 1,
                .code = TM_E_CORRUPT,
                .message = "a full names a newer full, 1 entries back"},
};

START_TEST(an_entry_out_of_place_is_refused)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    EDITS_OWN struct tm_edits edits = entry("", 4000);
    edits.full = places[_i].full;
    struct tm_entry_place place = rig_place(&rig, places[_i].full);
    place.seq += (uint64_t)places[_i].seq;
    place.back += (uint32_t)places[_i].back;
    place.vault_id.bytes[0] ^= (uint8_t)places[_i].vault;
    place.prev.bytes[0] ^= places[_i].other_prev;
    assert_refused(&rig, &place, &edits, places[_i].code, places[_i].message);
}
END_TEST

START_TEST(a_delta_cannot_begin_a_fold)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    EDITS_OWN struct tm_edits edits = entry("", 1);
    struct tm_entry_place place = {.vault_id = id16(77), .seq = 5, .back = 1};
    struct tm_err err = {0};
    ck_assert_int_eq(rig_apply_at(&rig, &place, &edits, &err), TM_E_CONFLICT);
    ck_assert_str_eq(err.msg, "nothing is folded yet, and entry 5 is not a full");
    ck_assert(rig_state(&rig).empty);
}
END_TEST

START_TEST(the_head_counts_entries_and_bytes)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    ck_assert(rig_state(&rig).empty);
    rig_fill(&rig);
    struct tm_fold_state state = rig_state(&rig);
    struct tm_hash hash = entry_hash(2);
    struct tm_id16 vault = id16(77);
    ck_assert(!state.empty);
    ck_assert_uint_eq(state.head.seq, 2);
    ck_assert(tm_hash_eq(&state.head.hash, &hash));
    ck_assert(tm_id16_eq(&state.vault_id, &vault));
    ck_assert_uint_eq(state.full_seq, 0);
    ck_assert_uint_eq(state.full_bytes, 100);
    ck_assert_uint_eq(state.delta_bytes, 200);
}
END_TEST

/* What is taken ---------------------------------------------------------------------------- */

START_TEST(an_entry_moves_the_watermark_to_the_end_of_what_it_adds)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    assert_ranges(&rig, 1, 0, 0, 1000, "[0,100)1 [110,150)2 (100,110)1 ");
    struct tm_row_tail tail = tail_of(&rig, 1, 0);
    struct tm_id16 tag = id16(149);
    ck_assert_int_eq(tail.next, 150);
    ck_assert_int_eq(tail.covered, 110);
    ck_assert_int_eq(tail.back, 1);
    ck_assert_int_eq(tail.leader_epoch, 3);
    ck_assert_int_eq(tail.timestamp_ms, 100149);
    ck_assert(tm_id16_eq(&tail.tag, &tag));
}
END_TEST

START_TEST(the_first_entry_that_names_a_partition_sets_its_base)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    EDITS_OWN struct tm_edits edits = entry("p", 4000);
    (void)add_run(add_pack(&edits, 3), 1, 4, 77, 80);
    add_tail(&edits, 1, 4, 80, 77, 3); /* covered up to the base: nothing below it to be freed */
    rig_must(&rig, &edits);
    ck_assert_int_eq(tail_of(&rig, 1, 2).next, 500);
    ck_assert_int_eq(tail_of(&rig, 1, 2).leader_epoch, -1);
    ck_assert_int_eq(tail_of(&rig, 1, 4).next, 80);
    assert_ranges(&rig, 1, 4, 0, 1000, "[77,80)3 ");
}
END_TEST

START_TEST(a_point_covers_what_its_own_entry_stores)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    EDITS_OWN struct tm_edits edits = entry("p", 4000);
    (void)add_run(add_pack(&edits, 3), 1, 0, 150, 200);
    add_tail(&edits, 1, 0, 200, 200, 1);
    add_tail(&edits, 1, 1, 60, 60, 1); /* [60, 60): may count as reaching its end */
    struct tm_row_point *point = add_point(&edits, 2, "p");
    add_part(point, 1, 0, 20, 200);
    add_part(point, 1, 1, 60, 60);
    add_part(point, 1, 9, 5, 5); /* nothing there: needs no tail */
    rig_must(&rig, &edits);
    ck_assert_int_eq(tail_of(&rig, 1, 0).covered, 200);
}
END_TEST

/* Fulls ------------------------------------------------------------------------------------ */

START_TEST(a_full_is_taken_where_it_says_what_the_fold_holds)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    EDITS_OWN struct tm_edits full = rig_dump(&rig, 5000);
    rig_must(&rig, &full);
    struct tm_fold_state state = rig_state(&rig);
    ck_assert_uint_eq(state.head.seq, 3);
    ck_assert_uint_eq(state.full_seq, 3);
    ck_assert_uint_eq(state.delta_bytes, 0);
    EDITS_OWN struct tm_edits next = entry("p", 6000);
    rig_must(&rig, &next); /* its `back` is 1 */
    ck_assert_uint_eq(rig_state(&rig).delta_bytes, 100);
}
END_TEST

START_TEST(a_full_of_another_state_is_refused)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    rig_fill(&rig);
    EDITS_OWN struct tm_edits full = rig_dump(&rig, 5000);
    full.tails.at[0].covered--;
    struct tm_entry_place place = rig_place(&rig, true);
    assert_refused(&rig, &place, &full, TM_E_CORRUPT,
            "the state in this full is not what the log before it gives");
}
END_TEST

/* clang-format off */
static void full_overlap(struct tm_edits *e) { e->gaps.at[0].from = 99; }
static void full_tail_short(struct tm_edits *e) { e->tails.at[0].next = 149; }
static void full_covered_ahead(struct tm_edits *e) { e->tails.at[0].covered = 151; }
static void full_covered_behind(struct tm_edits *e) { e->tails.at[0].covered = 109; }
static void full_without_tail(struct tm_edits *e) { e->tails.at[1].partition = 5; }
static void full_stream_missing(struct tm_edits *e) { e->streams.at[1].id = 9; }
static void full_empty_mark(struct tm_edits *e) { add_mark(e, 1, "", 0); }
static void full_keep_of_nothing(struct tm_edits *e) { e->keeps.at[0].seconds = 0; }
static void full_point_0(struct tm_edits *e) { e->points.at[0].id = 0; }
static void full_moved_nowhere(struct tm_edits *e)
{
    *tm_vec_push(&e->moved) = (struct tm_row_successors){.name = pack_name(60)};
}
static void full_held_and_dropped(struct tm_edits *e)
{
    *tm_vec_push(&e->dropped) = (struct tm_row_dated){.name = pack_name(1)};
}
static void full_two_writers(struct tm_edits *e)
{
    *tm_vec_push(&e->writers) = (struct tm_row_writer){text("c1"), text("p"), text("x"), 1};
}

static const struct {
    make make;
    const char *message;
} broken_fulls[] = {
    {full_overlap,         "stream 1 partition 0: the gap [99, 109) overlaps the one before it"},
    {full_tail_short,      "stream 1 partition 0: the tail's next is 150, not 149"},
    {full_covered_ahead,   "stream 1 partition 0: points reach no further than 150, not 151"},
    {full_covered_behind,  "point 1: stream 1 partition 0 ends at 110, its tail has next 150, covered 109"},
    {full_without_tail,    "stream 1 partition 1: grows without a tail"},
    {full_stream_missing,  "stream 3 is new, but 2 is the next number"},
    {full_empty_mark,      "point 1 has an empty mark"},
    {full_keep_of_nothing, "archive window of stream 1: 0 seconds cannot be"},
    {full_point_0,         "a point cannot have number 0"},
    {full_moved_nowhere,   "pack 3c3c3c3c3c3c3c3c has moved nowhere"},
    {full_held_and_dropped, "pack 0101010101010101 is new, but is already dropped"},
    {full_two_writers,     ":memory:: a row contradicts others:"
                           " UNIQUE constraint failed: writer.cluster_id, writer.policy"},
};
/* clang-format on */

START_TEST(a_full_that_breaks_a_rule_loads_nothing)
{
    RIG_OWN struct rig from = rig_open(":memory:");
    RIG_OWN struct rig to = rig_open(":memory:");
    rig_fill(&from);
    EDITS_OWN struct tm_edits full = rig_dump(&from, 5000);
    broken_fulls[_i].make(&full);
    struct tm_entry_place place = rig_place(&from, true);
    assert_refused(&to, &place, &full, TM_E_CORRUPT, broken_fulls[_i].message);
    ck_assert(rig_state(&to).empty);
}
END_TEST

START_TEST(reset_forgets_everything)
{
    RIG_OWN struct rig rig = rig_open(":memory:");
    RIG_OWN struct rig fresh = rig_open(":memory:");
    rig_fill(&rig);
    struct tm_err err = {0};
    ok(rig.fold.ops->reset(rig.fold.self, &err), &err);
    ck_assert(rig_state(&rig).empty);
    rig_fill(&rig);
    rig_fill(&fresh);
    TM_BUF_OWN struct tm_buf a = {0};
    TM_BUF_OWN struct tm_buf b = {0};
    rig_body(&rig, 9999, &a);
    rig_body(&fresh, 9999, &b);
    assert_same_body(&a, &b, "after a reset");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("catalog");
    tcase_add_loop_test(tcase, an_entry_that_breaks_a_rule_changes_nothing, 0, (int)LENGTH(broken));
    tcase_add_loop_test(tcase, an_entry_out_of_place_is_refused, 0, (int)LENGTH(places));
    tcase_add_test(tcase, a_delta_cannot_begin_a_fold);
    tcase_add_test(tcase, the_head_counts_entries_and_bytes);
    tcase_add_test(tcase, an_entry_moves_the_watermark_to_the_end_of_what_it_adds);
    tcase_add_test(tcase, the_first_entry_that_names_a_partition_sets_its_base);
    tcase_add_test(tcase, a_point_covers_what_its_own_entry_stores);
    tcase_add_test(tcase, a_full_is_taken_where_it_says_what_the_fold_holds);
    tcase_add_test(tcase, a_full_of_another_state_is_refused);
    tcase_add_loop_test(
            tcase, a_full_that_breaks_a_rule_loads_nothing, 0, (int)LENGTH(broken_fulls));
    tcase_add_test(tcase, reset_forgets_everything);

    Suite *suite = suite_create("catalog");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
