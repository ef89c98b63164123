/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/base/arena and lib/base/vec: memory that grows. */
#include <check.h>
#include <signal.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/vec.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum { LARGEST = 100000 };

static const size_t sizes[] = {1, 15, 16, 17, 100, 255, 1000, 5000, 16385, LARGEST};
static const uint8_t zeros[LARGEST];

START_TEST(objects_are_zeroed_aligned_and_apart)
{
    enum { OBJECTS = 300 };
    struct tm_arena arena = {0};
    uint8_t *objects[OBJECTS];
    size_t size = sizes[_i];
    for (size_t i = 0; i < OBJECTS; i++) {
        /* Now and then a small one between, so that chunks are left in every state. */
        (void)tm_arena_alloc(&arena, i % 3, 7);
        objects[i] = tm_arena_alloc(&arena, 1, size);
        ck_assert_uint_eq((uintptr_t)objects[i] % alignof(max_align_t), 0);
        ck_assert(memcmp(objects[i], zeros, size) == 0);
        memset(objects[i], (int)(i % 255) + 1, size);
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        ck_assert_uint_eq(objects[i][0], i % 255 + 1);
        ck_assert_uint_eq(objects[i][size - 1], i % 255 + 1);
    }
    tm_arena_done(&arena);
    ck_assert_ptr_null(arena.chunks);
}
END_TEST

START_TEST(empty_objects_have_addresses_of_their_own)
{
    struct tm_arena arena = {0};
    const void *first = tm_arena_alloc(&arena, 0, 8);
    const void *second = tm_arena_alloc(&arena, 0, 8);
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_ne(first, second);
    tm_arena_done(&arena);
}
END_TEST

START_TEST(dup_tells_null_from_empty)
{
    struct tm_arena arena = {0};
    ck_assert_ptr_null(tm_arena_dup(&arena, TM_SLICE_NULL).at);
    struct tm_slice empty = tm_arena_dup(&arena, tm_slice_str(""));
    ck_assert_ptr_nonnull(empty.at);
    ck_assert_uint_eq(empty.len, 0);

    char source[] = "key";
    struct tm_slice copy = tm_arena_dup(&arena, tm_slice_str(source));
    source[0] = 'X';
    ck_assert(tm_slice_is(copy, "key"));
    tm_arena_done(&arena);
}
END_TEST

START_TEST(strings_end_with_nul)
{
    struct tm_arena arena = {0};
    ck_assert_str_eq(tm_arena_str(&arena, tm_slice_of("orders-eu", 6)), "orders");
    ck_assert_str_eq(tm_arena_str(&arena, TM_SLICE_NULL), "");
    ck_assert_str_eq(tm_arena_strdup(&arena, "abc"), "abc");
    ck_assert_ptr_null(tm_arena_strdup(&arena, NULL));
    ck_assert_str_eq(tm_arena_fmt(&arena, "%s-%d", "p", 3), "p-3");

    char word[1001];
    memset(word, 'w', sizeof(word) - 1);
    word[sizeof(word) - 1] = '\0';
    const char *longer = tm_arena_fmt(&arena, "<%s>", word);
    ck_assert_uint_eq(strlen(longer), 1002);
    ck_assert_str_eq(longer + 1001, ">");
    tm_arena_done(&arena);
}
END_TEST

START_TEST(product_that_overflows_is_a_bug)
{
    struct tm_arena arena = {0};
    (void)tm_arena_alloc(&arena, SIZE_MAX / 2, 3); /* aborts */
}
END_TEST

START_TEST(vector_keeps_its_elements_and_zeroes_new_ones)
{
    struct pair {
        int64_t left;
        char right;
    };
    TM_VEC(struct pair) pairs = {0};
    for (int64_t i = 0; i < 1000; i++) {
        struct pair *pair = tm_vec_push(&pairs);
        ck_assert_int_eq(pair->left, 0);
        ck_assert_int_eq(pair->right, 0);
        *pair = (struct pair){.left = i, .right = 'r'};
    }
    ck_assert_uint_eq(pairs.count, 1000);
    for (int64_t i = 0; i < 1000; i++) {
        ck_assert_int_eq(pairs.at[i].left, i);
        ck_assert_int_eq(pairs.at[i].right, 'r');
    }
    pairs.count = 3;
    ck_assert_int_eq(tm_vec_push(&pairs)->left, 0); /* not the one that was there before */

    tm_vec_done(&pairs);
    ck_assert_ptr_null(pairs.at);
    ck_assert_uint_eq(pairs.count + pairs.capacity, 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("arena_vec");
    tcase_add_loop_test(tcase, objects_are_zeroed_aligned_and_apart, 0, (int)LENGTH(sizes));
    tcase_add_test(tcase, empty_objects_have_addresses_of_their_own);
    tcase_add_test(tcase, dup_tells_null_from_empty);
    tcase_add_test(tcase, strings_end_with_nul);
    tcase_add_test_raise_signal(tcase, product_that_overflows_is_a_bug, SIGABRT);
    tcase_add_test(tcase, vector_keeps_its_elements_and_zeroes_new_ones);

    Suite *suite = suite_create("arena_vec");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
