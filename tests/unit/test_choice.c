/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/job/choice: random choices against a model that asks of each record by itself. */
#include "job/choice.h"

#include <check.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "job/point_pick.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum { OFFSETS = 60, TIMES = 40, MOST = 6 };

/* A generator that is the same everywhere. */
static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

static int64_t below(uint32_t *state, int64_t bound)
{
    return (int64_t)(next_random(state) % (uint32_t)bound);
}

/* A choice of topics "a" and "b" with two partitions each. */
struct sample {
    struct tm_choice choice;
    struct tm_choice_window windows[MOST];
    struct tm_choice_skip skips[MOST];
    struct tm_choice_partitions lists[2];
    int32_t listed[2];
};

static const char *const topics[] = {"a", "b"};

static void make_choice(uint32_t *state, struct sample *out)
{
    memset(out, 0, sizeof(*out));
    struct tm_choice *choice = &out->choice;
    choice->has_from = below(state, 3) == 0;
    choice->from_ms = below(state, TIMES);
    choice->has_until = below(state, 3) == 0;
    choice->until_ms = choice->from_ms + 1 + below(state, TIMES);
    choice->window_count = below(state, 2) == 0 ? 0 : (size_t)below(state, MOST);
    for (size_t i = 0; i < choice->window_count; i++) {
        bool by_time = below(state, 2) == 0;
        int64_t from = below(state, by_time ? TIMES : OFFSETS);
        out->windows[i] = (struct tm_choice_window){
                .topic = topics[below(state, 2)],
                .partition = (int32_t)below(state, by_time ? 3 : 2) - (by_time ? 1 : 0),
                .by_time = by_time,
                .from = by_time && below(state, 8) == 0 ? INT64_MIN : from,
                .to = below(state, 8) == 0 ? INT64_MAX : from + 1 + below(state, 10),
        };
    }
    choice->skip_count = below(state, 2) == 0 ? 0 : (size_t)below(state, MOST);
    for (size_t i = 0; i < choice->skip_count; i++) {
        int64_t first = below(state, OFFSETS);
        out->skips[i] = (struct tm_choice_skip){
                topics[below(state, 2)], (int32_t)below(state, 2), first, first + below(state, 5)};
    }
    choice->partition_count = below(state, 3) == 0 ? 1 : 0;
    out->listed[0] = (int32_t)below(state, 2);
    out->lists[0] = (struct tm_choice_partitions){topics[below(state, 2)], out->listed, 1};
    choice->windows = out->windows;
    choice->skips = out->skips;
    choice->partitions = out->lists;
}

/* The rule as the header says it, asked of one record. */
static bool model_takes(const struct tm_choice *choice, const char *topic, int32_t partition,
        const struct tm_record *r)
{
    bool taken = true;
    for (size_t i = 0; i < choice->partition_count; i++) {
        taken = taken && (strcmp(choice->partitions[i].topic, topic) != 0 ||
                                 choice->partitions[i].at[0] == partition);
    }
    taken = taken && (!choice->has_from || r->timestamp_ms >= choice->from_ms);
    taken = taken && (!choice->has_until || r->timestamp_ms < choice->until_ms);
    bool windowed = choice->window_count == 0;
    for (size_t i = 0; i < choice->window_count; i++) {
        const struct tm_choice_window *w = &choice->windows[i];
        int64_t at = w->by_time ? r->timestamp_ms : r->offset;
        windowed = windowed || (strcmp(w->topic, topic) == 0 &&
                                       (w->partition == -1 || w->partition == partition) &&
                                       at >= w->from && at < w->to);
    }
    for (size_t i = 0; i < choice->skip_count; i++) {
        const struct tm_choice_skip *s = &choice->skips[i];
        taken = taken && !(strcmp(s->topic, topic) == 0 && s->partition == partition &&
                                 r->offset >= s->first && r->offset <= s->last);
    }
    return taken && windowed;
}

/* Records with timestamps out of order; some offsets have none. */
static size_t make_records(uint32_t *state, struct tm_record *records)
{
    size_t count = 0;
    for (int64_t offset = 0; offset < OFFSETS; offset++) {
        if (below(state, 5) > 0) {
            records[count++] = (struct tm_record){
                    .offset = offset, .timestamp_ms = below(state, TIMES + 1) - 1};
        }
    }
    return count;
}

/* The runs that some records make, each with what a catalog would know of it, judged by the cut. */
static void check_runs(uint32_t *state, const struct tm_choice_cut *cut,
        const struct tm_record *records, size_t count)
{
    for (size_t from = 0, to = 0; from < count; from = to) {
        struct tm_run run = {
                .first = from == 0 ? 0 : records[from - 1].offset + 1,
                .ts_min = INT64_MAX,
                .ts_max = INT64_MIN,
        };
        int64_t taken = 0;
        size_t most = from + 1 + (size_t)below(state, 9);
        for (to = from; to < count && to < most; to++) {
            const struct tm_record *r = &records[to];
            run.ts_min = r->timestamp_ms < run.ts_min ? r->timestamp_ms : run.ts_min;
            run.ts_max = r->timestamp_ms > run.ts_max ? r->timestamp_ms : run.ts_max;
            run.length = r->offset + 1 - run.first;
            run.count++;
            taken += tm_choice_record(cut, r) ? 1 : 0;
        }
        enum tm_taken judged = tm_choice_run(cut, &run);
        ck_assert(judged != TM_TAKEN_NONE || taken == 0);
        ck_assert(judged != TM_TAKEN_ALL || taken == run.count);
        int64_t first = -1;
        struct tm_choice_absent all = {
                {run.first, run.first + run.length}, {run.ts_min, run.ts_max}, true};
        ck_assert_int_ge(tm_choice_missing(cut, &all, &first), taken);
    }
}

START_TEST(a_record_is_taken_as_the_model_takes_it)
{
    uint32_t state = (uint32_t)_i * 7919U + 1;
    struct tm_arena arena = {0};
    struct tm_err err = {0};
    struct sample sample;
    make_choice(&state, &sample);
    ck_assert_msg(tm_choice_check(&sample.choice, &err) == TM_OK ||
                          (sample.choice.has_from && sample.choice.has_until),
            "%s", err.msg);
    for (size_t t = 0; t < LENGTH(topics); t++) {
        for (int32_t partition = 0; partition < 2; partition++) {
            struct tm_record records[OFFSETS];
            struct tm_choice_cut cut;
            size_t count = make_records(&state, records);
            tm_choice_cut(&sample.choice, topics[t], partition, &arena, &cut);
            for (size_t i = 0; i < count; i++) {
                ck_assert_msg(
                        tm_choice_record(&cut, &records[i]) ==
                                model_takes(&sample.choice, topics[t], partition, &records[i]),
                        "seed %d: %s/%" PRId32 " offset %" PRId64 " time %" PRId64, _i, topics[t],
                        partition, records[i].offset, records[i].timestamp_ms);
            }
            check_runs(&state, &cut, records, count);
        }
    }
    tm_arena_done(&arena);
}
END_TEST

/* Counting what is missing agrees with asking offset by offset, where only offsets decide. */
START_TEST(missing_offsets_are_those_that_would_have_been_taken)
{
    uint32_t state = (uint32_t)_i * 104729U + 3;
    struct tm_arena arena = {0};
    struct sample sample;
    make_choice(&state, &sample);
    sample.choice.has_from = false;
    sample.choice.has_until = false;
    for (size_t i = 0; i < sample.choice.window_count; i++) {
        struct tm_choice_window *window = &sample.windows[i];
        window->by_time = false;
        window->partition = window->partition < 0 ? 0 : window->partition;
    }
    struct tm_choice_cut cut;
    tm_choice_cut(&sample.choice, "a", 0, &arena, &cut);
    int64_t from = below(&state, OFFSETS);
    int64_t to = from + below(&state, OFFSETS);
    int64_t count = 0;
    int64_t expected = -1;
    for (int64_t offset = from; offset < to; offset++) {
        struct tm_record record = {.offset = offset, .timestamp_ms = 5};
        if (model_takes(&sample.choice, "a", 0, &record)) {
            expected = expected < 0 ? offset : expected;
            count++;
        }
    }
    int64_t first = -2;
    struct tm_choice_absent absent = {{from, to}, {5, 5}, true};
    ck_assert_int_eq(tm_choice_missing(&cut, &absent, &first), count);
    ck_assert_int_eq(first, expected);
    tm_arena_done(&arena);
}
END_TEST

START_TEST(what_lies_around_a_gap_says_whether_it_matters)
{
    struct tm_arena arena = {0};
    struct tm_choice choice = {
            .has_from = true, .from_ms = 100, .has_until = true, .until_ms = 200};
    struct tm_choice_cut cut;
    int64_t first = 0;
    tm_choice_cut(&choice, "a", 0, &arena, &cut);
    struct tm_choice_absent older = {{10, 20}, {50, 99}, true};
    struct tm_choice_absent younger = {{10, 20}, {200, 300}, true};
    struct tm_choice_absent across = {{10, 20}, {50, 300}, true};
    struct tm_choice_absent leading = {{10, 20}, {INT64_MIN, 150}, false};
    ck_assert_int_eq(tm_choice_missing(&cut, &older, &first), 0);
    ck_assert_int_eq(first, -1);
    ck_assert_int_eq(tm_choice_missing(&cut, &younger, &first), 0);
    ck_assert_int_eq(tm_choice_missing(&cut, &across, &first), 10);
    ck_assert_int_eq(first, 10);
    ck_assert_int_eq(tm_choice_missing(&cut, &leading, &first), 0);
    tm_arena_done(&arena);
}
END_TEST

START_TEST(no_choice_takes_everything)
{
    struct tm_arena arena = {0};
    struct tm_choice none = {0};
    struct tm_choice_cut cut;
    ck_assert(tm_choice_is_all(NULL));
    ck_assert(tm_choice_is_all(&none));
    tm_choice_cut(NULL, "a", 0, &arena, &cut);
    static const int64_t times[] = {INT64_MIN, -1, 0, INT64_MAX};
    for (size_t i = 0; i < LENGTH(times); i++) {
        struct tm_record record = {.offset = 1, .timestamp_ms = times[i]};
        struct tm_run run = {
                .first = 1, .length = 1, .count = 1, .ts_min = times[i], .ts_max = times[i]};
        ck_assert(tm_choice_record(&cut, &record));
        ck_assert_int_eq(tm_choice_run(&cut, &run), TM_TAKEN_ALL);
    }
    struct tm_choice newest = {.newest = 1};
    ck_assert(!tm_choice_is_all(&newest));
    tm_arena_done(&arena);
}
END_TEST

/* clang-format off */
static const struct {
    const char *text;
    const char *topic; /* NULL: refused */
    int32_t partition;
    int64_t first;
    int64_t last;
} skips[] = {
    {"orders/7@4711",                    "orders", 7, 4711, 4711},
    {"orders/7@5000-5010",               "orders", 7, 5000, 5010},
    {"a.b_c-d/0@0",                      "a.b_c-d", 0, 0, 0},
    {"a/2147483647@9223372036854775806", "a", INT32_MAX, INT64_MAX - 1, INT64_MAX - 1},
    {"a/2147483648@1",                   NULL, 0, 0, 0},
    {"a/0@9223372036854775807",          NULL, 0, 0, 0},
    {"a/0@18446744073709551617",         NULL, 0, 0, 0},
    {"orders/7@5010-5000",               NULL, 0, 0, 0},
    {"orders/7@",                        NULL, 0, 0, 0},
    {"orders/7@1-",                      NULL, 0, 0, 0},
    {"orders/7@1 ",                      NULL, 0, 0, 0},
    {"orders/@1",                        NULL, 0, 0, 0},
    {"orders/-1@1",                      NULL, 0, 0, 0},
    {"orders/7",                         NULL, 0, 0, 0},
    {"/7@1",                             NULL, 0, 0, 0},
    {"orders@7",                         NULL, 0, 0, 0},
    {"",                                 NULL, 0, 0, 0},
};
/* clang-format on */

START_TEST(a_skip_is_a_partition_and_offsets)
{
    struct tm_arena arena = {0};
    struct tm_err err = {0};
    struct tm_choice_skip skip = {0};
    enum tm_code code = tm_choice_parse_skip(skips[_i].text, &arena, &skip, &err);
    if (skips[_i].topic == NULL) {
        ck_assert_int_eq(code, TM_E_USAGE);
        ck_assert_ptr_nonnull(strstr(err.msg, "orders/7@4711"));
    } else {
        ck_assert_msg(code == TM_OK, "%s", err.msg);
        ck_assert_str_eq(skip.topic, skips[_i].topic);
        ck_assert_int_eq(skip.partition, skips[_i].partition);
        ck_assert_int_eq(skip.first, skips[_i].first);
        ck_assert_int_eq(skip.last, skips[_i].last);
    }
    tm_arena_done(&arena);
}
END_TEST

static enum tm_code checked(const struct tm_choice *choice)
{
    struct tm_err err = {0};
    return tm_choice_check(choice, &err);
}

START_TEST(what_no_choice_can_be_is_refused)
{
    struct tm_choice_window windows[TM_CHOICE_WINDOWS_MAX + 1];
    struct tm_choice_skip skip = {"a", 0, 2, 1};
    for (size_t i = 0; i < LENGTH(windows); i++) {
        windows[i] = (struct tm_choice_window){.topic = "a", .from = 0, .to = 1};
    }
    struct tm_choice choice = {.windows = windows, .window_count = TM_CHOICE_WINDOWS_MAX};
    ck_assert_int_eq(checked(&choice), TM_OK);
    choice.window_count++;
    ck_assert_int_eq(checked(&choice), TM_E_LIMIT);
    windows[0].to = 0;
    choice.window_count = 1;
    ck_assert_int_eq(checked(&choice), TM_E_USAGE);
    choice = (struct tm_choice){.skips = &skip, .skip_count = 1};
    ck_assert_int_eq(checked(&choice), TM_E_USAGE);
    choice = (struct tm_choice){.has_from = true, .has_until = true, .from_ms = 5, .until_ms = 5};
    ck_assert_int_eq(checked(&choice), TM_E_USAGE);
}
END_TEST

/* Points ---------------------------------------------------------------------------------------- */

#define HEAD(id_, time, cluster, policy_) \
    { \
        .id = (id_), .time_ms = (time), .cluster_id = {(const uint8_t *)(cluster), 1}, \
        .cluster_name = {(const uint8_t *)(cluster), 1}, .policy = { \
            (const uint8_t *)(policy_), \
            1 \
        } \
    }

/* As the catalog gives them: by cluster, policy and id. */
static const struct tm_point_head heads[] = {HEAD(1, 100, "c", "p"), HEAD(3, 200, "c", "p"),
        HEAD(4, 300, "c", "p"), HEAD(2, 150, "c", "q"), HEAD(5, 120, "d", "p")};

/* clang-format off */
static const struct {
    struct tm_point_ask ask;
    uint64_t ids[2];
    size_t count;
} picks[] = {
    {{.policy = "p"},                                {4, 0}, 1},
    {{.policy = "p", .has_at = true, .at_ms = 150},  {3, 0}, 1},
    {{.policy = "p", .has_at = true, .at_ms = 200},  {3, 0}, 1},
    {{.policy = "p", .has_at = true, .at_ms = 301},  {4, 0}, 1},
    {{.policy = "p", .has_at = true, .at_ms = -5},   {1, 0}, 1},
    {{.policy = "p", .has_at = true, .at_ms = 199, .as_of = TM_AS_OF_CAPTURE_TIME}, {1, 0}, 1},
    {{.policy = "p", .has_at = true, .at_ms = 200, .as_of = TM_AS_OF_CAPTURE_TIME}, {3, 0}, 1},
    {{.policy = "p", .has_at = true, .at_ms = 99,  .as_of = TM_AS_OF_CAPTURE_TIME}, {0, 0}, 0},
    {{.cluster = "c"},                               {4, 2}, 2},
    {{.cluster = "c", .has_at = true, .at_ms = 160}, {3, 2}, 2},
    {{.cluster = "c", .has_at = true, .at_ms = 120, .as_of = TM_AS_OF_CAPTURE_TIME}, {1, 0}, 1},
    {{.cluster = "d"},                               {5, 0}, 1},
    {{.cluster = "e"},                               {0, 0}, 0},
    {{.policy = "x"},                                {0, 0}, 0},
};
/* clang-format on */

START_TEST(a_source_means_a_point_of_each_policy)
{
    struct tm_arena arena = {0};
    struct tm_point_picks found;
    tm_point_pick(heads, LENGTH(heads), &picks[_i].ask, &arena, &found);
    ck_assert_uint_eq(found.count, picks[_i].count);
    for (size_t i = 0; i < found.count; i++) {
        ck_assert_uint_eq(found.at[i]->id, picks[_i].ids[i]);
    }
    tm_arena_done(&arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("choice");
    TCase *tcase = tcase_create("choice");
    tcase_add_loop_test(tcase, a_record_is_taken_as_the_model_takes_it, 0, 500);
    tcase_add_loop_test(tcase, missing_offsets_are_those_that_would_have_been_taken, 0, 200);
    tcase_add_test(tcase, what_lies_around_a_gap_says_whether_it_matters);
    tcase_add_test(tcase, no_choice_takes_everything);
    tcase_add_loop_test(tcase, a_skip_is_a_partition_and_offsets, 0, (int)LENGTH(skips));
    tcase_add_test(tcase, what_no_choice_can_be_is_refused);
    tcase_add_loop_test(tcase, a_source_means_a_point_of_each_policy, 0, (int)LENGTH(picks));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
