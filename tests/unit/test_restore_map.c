/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/job/restore_map against a list of every record, which needs no cleverness. */
#include "job/restore_map.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { STREAM = 7, SOURCES = 3, TARGETS = 4, RECORDS = 1500, SEEDS = 12 };

struct noted {
    int32_t source_partition;
    int64_t source;
    int32_t target_partition;
    int64_t target;
};

struct world {
    struct tm_restore_map *map;
    struct noted all[RECORDS];
    size_t count;
    int64_t next_source[SOURCES];
    int64_t next_target[TARGETS];
    bool watched[2 * RECORDS * 4]; /* of source partition 0 */
};

static uint64_t random_state;

static uint64_t random_below(uint64_t limit)
{
    random_state ^= random_state << 13; /* xorshift64 */
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % limit;
}

/* What the rest of the file compares with: the lowest target offset of the records it is about. */
static bool naive(const struct world *world, int32_t source_partition, int64_t offset,
        int32_t target_partition, int64_t *target, bool *exact)
{
    for (size_t i = 0; i < world->count; i++) { /* in source order of each partition */
        const struct noted *noted = &world->all[i];
        if (noted->source_partition == source_partition && noted->source >= offset &&
                noted->target_partition == target_partition) {
            *target = noted->target;
            *exact = noted->source == offset;
            return true;
        }
    }
    return false;
}

static int64_t last_target(const struct world *world, int32_t from, int32_t to)
{
    int64_t last = -1;
    for (size_t i = 0; i < world->count; i++) {
        const struct noted *noted = &world->all[i];
        if (noted->source_partition == from && noted->target_partition == to) {
            last = noted->target;
        }
    }
    return last;
}

static void note_one(struct world *world, unsigned source_gaps, unsigned target_gaps, bool spread)
{
    int32_t from = (int32_t)random_below(SOURCES);
    int32_t to = spread ? (int32_t)random_below(TARGETS) : from;
    if (random_below(100) < source_gaps) {
        world->next_source[from] += 1 + (int64_t)random_below(5);
    }
    if (random_below(100) < target_gaps) {
        world->next_target[to] += 1; /* a marker of a transaction */
    }
    struct noted *noted = &world->all[world->count++];
    *noted = (struct noted){from, world->next_source[from]++, to, world->next_target[to]++};
    tm_restore_map_note(world->map, STREAM, from, noted->source, to, noted->target);
}

static struct world *make_world(
        uint64_t seed, size_t most, unsigned source_gaps, unsigned target_gaps, bool spread)
{
    struct world *world = calloc(1, sizeof(*world));
    ck_assert_ptr_nonnull(world);
    random_state = seed * 2654435761U + 88172645463325252U;
    world->map = tm_restore_map_new(most);
    tm_restore_map_add(world->map, STREAM + 1, 2);
    tm_restore_map_add(world->map, STREAM, SOURCES);
    for (int i = 0; i < 50; i++) {
        int64_t offset = (int64_t)random_below(RECORDS);
        world->watched[offset] = true;
        tm_restore_map_watch(world->map, STREAM, 0, offset);
    }
    while (world->count < RECORDS) {
        note_one(world, source_gaps, target_gaps, spread);
    }
    return world;
}

static void free_world(struct world *world)
{
    tm_restore_map_free(world->map);
    free(world);
}

/* Compare the answers for all offsets of a pair: how many were not exact, though right. */
static size_t compare_pair(struct world *world, int32_t from, int32_t to)
{
    size_t low = 0;
    for (int64_t offset = 0; offset < world->next_source[from] + 3; offset++) {
        int64_t target = -1;
        int64_t expected = -1;
        bool exact = false;
        enum tm_map_answer answer;
        ck_assert(tm_restore_map_find(world->map, STREAM, from, offset, to, &answer, &target));
        if (!naive(world, from, offset, to, &expected, &exact)) {
            ck_assert_int_eq(answer, TM_MAP_BEYOND);
            bool any = naive(world, from, 0, to, &expected, &exact);
            ck_assert_int_eq(target, any ? last_target(world, from, to) + 1 : -1);
            continue;
        }
        if (answer == TM_MAP_BEFORE) {
            ck_assert_int_le(target, expected);
            ck_assert(from != 0 || !world->watched[offset]);
            low++;
            continue;
        }
        ck_assert_int_eq(answer, exact ? TM_MAP_EXACT : TM_MAP_NEXT);
        ck_assert_int_eq(target, expected);
    }
    return low;
}

static size_t compare_all(struct world *world)
{
    size_t low = 0;
    for (int32_t from = 0; from < SOURCES; from++) {
        for (int32_t to = 0; to < TARGETS; to++) {
            low += compare_pair(world, from, to);
        }
    }
    return low;
}

START_TEST(every_answer_is_exact_while_there_is_room)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world *world = make_world(seed, 0, seed % 3 == 0 ? 0 : 20, seed % 2 * 10, false);
        ck_assert_uint_eq(compare_all(world), 0);
        free_world(world);
    }
}
END_TEST

START_TEST(a_thinned_map_never_answers_too_high_and_watches_stay_exact)
{
    size_t low = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world *world = make_world(seed, 1, 30, seed % 2 * 30, false);
        low += compare_all(world);
        free_world(world);
    }
    ck_assert_uint_gt(low, 0); /* else nothing was thinned, and nothing shown */
}
END_TEST

START_TEST(records_spread_over_partitions_have_an_answer_for_each)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world *world = make_world(seed, seed % 2, 10, 10, true);
        (void)compare_all(world);
        free_world(world);
    }
}
END_TEST

/* Equal spans on both sides, yet not at one distance: a gap of the source and a marker of the target. */
START_TEST(a_joined_entry_of_equal_spans_is_not_taken_for_an_even_one)
{
    struct tm_restore_map *map = tm_restore_map_new(1);
    tm_restore_map_add(map, STREAM, 1);
    for (int64_t i = 0; i < 1000; i++) { /* sources 0 1 3, 4 5 7, ...; targets 0 2 3, 4 6 7, ... */
        tm_restore_map_note(map, STREAM, 0, i / 3 * 4 + (i % 3 == 2 ? 3 : i % 3), 0,
                i / 3 * 4 + (i % 3 == 0 ? 0 : 1 + i % 3));
    }
    for (int64_t offset = 0; offset < 1000; offset++) {
        int64_t target = -1;
        enum tm_map_answer answer;
        int64_t within = offset % 4 == 0 ? 0 : offset % 4 == 1 ? 2 : 3;
        ck_assert(tm_restore_map_find(map, STREAM, 0, offset, 0, &answer, &target));
        ck_assert_int_le(target, offset / 4 * 4 + within);
        ck_assert_int_gt(target, offset - 200); /* and it is of some use still */
    }
    tm_restore_map_free(map);
}
END_TEST

START_TEST(entries_are_listed_in_pages_and_hold_every_record_once)
{
    struct world *world = make_world(3, 0, 20, 10, true);
    struct tm_map_entry page[7];
    size_t from = 0;
    int64_t records = 0;
    struct tm_map_entry last = {.source_partition = -1};
    size_t count = tm_restore_map_entries(world->map, STREAM, from, 7, page);
    for (; count > 0; count = tm_restore_map_entries(world->map, STREAM, from, 7, page)) {
        for (size_t i = 0; i < count; i++) {
            const struct tm_map_entry *entry = &page[i];
            bool same = entry->source_partition == last.source_partition &&
                        entry->target_partition == last.target_partition;
            ck_assert(!same || entry->source_first > last.source_last);
            ck_assert(!same || entry->target_first > last.target_last);
            ck_assert_int_eq(entry->source_last - entry->source_first + 1, entry->records);
            records += entry->records;
            last = *entry;
        }
        from += count;
    }
    ck_assert_int_eq(records, RECORDS);
    ck_assert_uint_gt(from, 100);
    free_world(world);
}
END_TEST

START_TEST(what_is_forgotten_is_noted_again)
{
    struct world *world = make_world(5, 0, 20, 10, false);
    tm_restore_map_forget(world->map, STREAM, 0);
    int64_t target = -1;
    enum tm_map_answer answer;
    ck_assert(tm_restore_map_find(world->map, STREAM, 0, 0, 0, &answer, &target));
    ck_assert_int_eq(answer, TM_MAP_BEYOND);
    for (size_t i = 0; i < world->count; i++) {
        const struct noted *noted = &world->all[i];
        if (noted->source_partition == 0) {
            tm_restore_map_note(
                    world->map, STREAM, 0, noted->source, noted->target_partition, noted->target);
        }
    }
    ck_assert_uint_eq(compare_all(world), 0);
    free_world(world);
}
END_TEST

START_TEST(what_was_not_added_is_not_known)
{
    struct tm_restore_map *map = tm_restore_map_new(0);
    tm_restore_map_add(map, STREAM, 2);
    tm_restore_map_note(map, STREAM, 2, 0, 0, 0);
    tm_restore_map_note(map, STREAM + 1, 0, 0, 0, 0);
    tm_restore_map_note(NULL, STREAM, 0, 0, 0, 0);
    int64_t target = -1;
    enum tm_map_answer answer;
    ck_assert(!tm_restore_map_find(map, STREAM, 2, 0, 0, &answer, &target));
    ck_assert(!tm_restore_map_find(map, STREAM + 1, 0, 0, 0, &answer, &target));
    ck_assert(tm_restore_map_find(map, STREAM, 1, 0, 0, &answer, &target));
    ck_assert_int_eq(answer, TM_MAP_BEYOND);
    tm_restore_map_free(map);
}
END_TEST

/* A million pairs of partitions are more than are kept: what is not, says so. */
START_TEST(more_pairs_than_are_kept_are_told)
{
    struct tm_restore_map *map = tm_restore_map_new(0);
    tm_restore_map_add(map, STREAM, 1);
    enum { PAIRS = 300 * 1000 };
    for (int32_t i = 0; i < PAIRS; i++) {
        tm_restore_map_note(map, STREAM, 0, i, i, 5);
    }
    int64_t target = -1;
    enum tm_map_answer answer;
    ck_assert(tm_restore_map_find(map, STREAM, 0, 0, 0, &answer, &target));
    ck_assert_int_eq(target, 5);
    ck_assert(!tm_restore_map_find(map, STREAM, 0, 0, PAIRS - 1, &answer, &target));
    tm_restore_map_free(map);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("restore_map");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, every_answer_is_exact_while_there_is_room);
    tcase_add_test(tcase, a_thinned_map_never_answers_too_high_and_watches_stay_exact);
    tcase_add_test(tcase, records_spread_over_partitions_have_an_answer_for_each);
    tcase_add_test(tcase, a_joined_entry_of_equal_spans_is_not_taken_for_an_even_one);
    tcase_add_test(tcase, entries_are_listed_in_pages_and_hold_every_record_once);
    tcase_add_test(tcase, what_is_forgotten_is_noted_again);
    tcase_add_test(tcase, what_was_not_added_is_not_known);
    tcase_add_test(tcase, more_pairs_than_are_kept_are_told);
    Suite *suite = suite_create("restore_map");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
