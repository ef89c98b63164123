/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kafka/partitioner, job/timeline: a key goes where Kafka's own producers put it, and partitions that are
 * merged come in the order of a model that is too simple to be wrong.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "job/timeline.h"
#include "kafka/partitioner.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* The vectors of Kafka's UtilsTest.testMurmur2. */
static const struct {
    const char *key;
    int32_t hash;
} vectors[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
};

START_TEST(murmur2_gives_what_kafkas_own_test_expects)
{
    ck_assert_int_eq((int32_t)tm_murmur2(tm_slice_str(vectors[_i].key)), vectors[_i].hash);
}
END_TEST

START_TEST(a_partition_is_never_negative_and_always_there)
{
    ck_assert_int_eq(tm_partition_of_key(tm_slice_str("abc"), 7), 479470107 % 7);
    /* 1173551340 is -973932308 without its sign bit. */
    ck_assert_int_eq(tm_partition_of_key(tm_slice_str("21"), 1000), 340);
    uint8_t key[9] = {0};
    for (unsigned number = 0; number < 20000; number++) {
        memcpy(key, &number, sizeof(number));
        int32_t at = tm_partition_of_key(tm_slice_of(key, number % 10), 13);
        ck_assert_int_ge(at, 0);
        ck_assert_int_lt(at, 13);
    }
    ck_assert_int_eq(tm_partition_of_key(tm_slice_of("", 0), 1), 0);
}
END_TEST

/* The model: look at every input's next record, take the first of the smallest. */
static size_t naive(int64_t times[][64], const size_t *next, const size_t *ends, size_t inputs)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < inputs; i++) {
        if (next[i] < ends[i] &&
                (best == SIZE_MAX || times[i][next[i]] < times[best][next[best]])) {
            best = i;
        }
    }
    return best;
}

START_TEST(inputs_are_merged_as_by_the_simplest_model)
{
    enum { INPUTS = 9 };
    static int64_t times[INPUTS][64];
    size_t next[INPUTS] = {0};
    size_t ends[INPUTS];
    size_t inputs = 1 + (size_t)_i % INPUTS;
    size_t left = 0;
    srand((unsigned)_i);
    for (size_t i = 0; i < inputs; i++) {
        ends[i] = (size_t)(rand() % 64);
        left += ends[i];
        for (size_t r = 0; r < ends[i]; r++) { /* few values: many are equal, many out of order */
            times[i][r] = rand() % 12 - 1;
        }
    }
    TM_OWN(tm_timeline_free) struct tm_timeline *timeline = tm_timeline_new(inputs);
    for (size_t i = 0; i < inputs; i++) {
        if (ends[i] > 0) {
            tm_timeline_put(timeline, i, times[i][0]);
        }
    }
    size_t input = 0;
    while (tm_timeline_take(timeline, &input)) {
        ck_assert_uint_eq(input, naive(times, next, ends, inputs));
        left--;
        if (++next[input] < ends[input]) {
            tm_timeline_put(timeline, input, times[input][next[input]]);
        }
    }
    ck_assert_uint_eq(left, 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("merge_order");
    tcase_add_loop_test(tcase, murmur2_gives_what_kafkas_own_test_expects, 0, (int)LENGTH(vectors));
    tcase_add_test(tcase, a_partition_is_never_negative_and_always_there);
    tcase_add_loop_test(tcase, inputs_are_merged_as_by_the_simplest_model, 0, 60);
    Suite *suite = suite_create("merge_order");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
