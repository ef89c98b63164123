/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/base/pool and lib/base/mailbox: work to threads, and messages back. */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mailbox.h"
#include "base/pool.h"

enum { WORK = 1000, LONG_MS = 20000, SHORT_MS = 30 };

static atomic_int counted;

static void count(void *arg)
{
    (void)arg;
    (void)atomic_fetch_add(&counted, 1);
}

static void *count_in_thread(void *arg)
{
    struct tm_pool *pool = arg;
    for (int i = 0; i < WORK; i++) {
        tm_pool_submit(pool, count, NULL);
    }
    return NULL;
}

START_TEST(pool_does_all_work_of_all_submitters_before_it_is_freed)
{
    enum { SUBMITTERS = 3, ALL_WORK = SUBMITTERS * WORK };
    struct tm_pool *pool = tm_pool_new("test", 4);
    ck_assert_uint_eq(tm_pool_threads(pool), 4);
    pthread_t submitters[SUBMITTERS];
    for (int i = 0; i < SUBMITTERS; i++) {
        ck_assert_int_eq(pthread_create(&submitters[i], NULL, count_in_thread, pool), 0);
    }
    for (int i = 0; i < SUBMITTERS; i++) {
        ck_assert_int_eq(pthread_join(submitters[i], NULL), 0);
    }
    tm_pool_free(pool);
    ck_assert_int_eq(atomic_load(&counted), ALL_WORK);
    tm_pool_free(NULL);
}
END_TEST

static int order[WORK];
static int ordered;

static void note_order(void *arg)
{
    order[ordered++] = *(const int *)arg;
}

START_TEST(one_thread_takes_work_in_the_order_submitted)
{
    static int numbers[WORK];
    struct tm_pool *pool = tm_pool_new("test", 1);
    for (int i = 0; i < WORK; i++) {
        numbers[i] = i;
        tm_pool_submit(pool, note_order, &numbers[i]);
    }
    tm_pool_free(pool);
    for (int i = 0; i < WORK; i++) {
        ck_assert_int_eq(order[i], i);
    }
}
END_TEST

struct meeting {
    struct tm_latch *arrivals;
    struct tm_latch *all_done;
};

/* Ends only when as many run at once as the latch was told of. */
static void meet(void *arg)
{
    struct meeting *meeting = arg;
    tm_latch_finish(meeting->arrivals);
    tm_latch_wait(meeting->arrivals);
    tm_latch_finish(meeting->all_done);
}

START_TEST(threads_work_at_the_same_time)
{
    enum { THREADS = 3 };
    TM_OWN(tm_pool_free) struct tm_pool *pool = tm_pool_new("test", THREADS);
    TM_OWN(tm_latch_free) struct tm_latch *arrivals = tm_latch_new();
    TM_OWN(tm_latch_free) struct tm_latch *all_done = tm_latch_new();
    struct meeting meeting = {.arrivals = arrivals, .all_done = all_done};
    for (int i = 0; i < THREADS; i++) {
        tm_latch_add(arrivals);
        tm_latch_add(all_done);
    }
    for (int i = 0; i < THREADS; i++) {
        tm_pool_submit(pool, meet, &meeting);
    }
    ck_assert(tm_latch_wait_ms(all_done, LONG_MS));
}
END_TEST

struct looked_at {
    char name[16];
    bool sigterm_blocked;
    bool sigsegv_blocked;
};

static void look_at_thread(void *arg)
{
    struct looked_at *seen = arg;
    sigset_t blocked;
    (void)pthread_getname_np(pthread_self(), seen->name, sizeof(seen->name));
    (void)pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    seen->sigterm_blocked = sigismember(&blocked, SIGTERM) == 1;
    seen->sigsegv_blocked = sigismember(&blocked, SIGSEGV) == 1;
}

START_TEST(threads_have_names_and_leave_signals_to_others)
{
    struct looked_at seen = {0};
    struct tm_pool *pool = tm_pool_new("tm-sealers-cut", 1);
    /* Its name is set after it starts. */
    tm_sleep_ms(SHORT_MS);
    tm_pool_submit(pool, look_at_thread, &seen);
    tm_pool_free(pool);
    ck_assert_str_eq(seen.name, "tm-sealers-0");
    ck_assert(seen.sigterm_blocked);
    ck_assert(!seen.sigsegv_blocked);

    sigset_t here;
    ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, NULL, &here), 0);
    ck_assert_int_eq(sigismember(&here, SIGTERM), 0);
}
END_TEST

static void finish_later(void *arg)
{
    tm_sleep_ms(SHORT_MS);
    tm_latch_finish(arg);
}

START_TEST(latch_waits_for_the_last_in_flight)
{
    TM_OWN(tm_pool_free) struct tm_pool *pool = tm_pool_new("test", 2);
    TM_OWN(tm_latch_free) struct tm_latch *latch = tm_latch_new();
    tm_latch_wait(latch); /* nothing in flight */
    ck_assert(tm_latch_wait_ms(latch, 0));

    tm_latch_add(latch);
    int64_t before_ns = tm_mono_ns();
    ck_assert(!tm_latch_wait_ms(latch, SHORT_MS));
    ck_assert_int_ge(tm_mono_ns() - before_ns, SHORT_MS * INT64_C(1000000));

    tm_latch_add(latch);
    tm_pool_submit(pool, finish_later, latch);
    ck_assert(!tm_latch_wait_ms(latch, INT64_C(3) * SHORT_MS)); /* one of two */
    tm_pool_submit(pool, finish_later, latch);
    tm_latch_wait(latch);
    ck_assert(tm_latch_wait_ms(latch, 0));
}
END_TEST

START_TEST(finishing_more_than_was_added_is_a_bug)
{
    struct tm_latch *latch = tm_latch_new();
    tm_latch_finish(latch); /* aborts */
}
END_TEST

struct silence {
    struct tm_latch *begun;
    struct tm_latch *may_end;
    void (*says)(void);
};

static void be_silent(void *arg)
{
    struct silence *silence = arg;
    silence->says();
    tm_latch_finish(silence->begun);
    tm_latch_wait(silence->may_end);
}

/* How long a pool seems silent, asked an hour after a thread of it said so. */
static int64_t silent_after(void (*says)(void))
{
    TM_OWN(tm_latch_free) struct tm_latch *begun = tm_latch_new();
    TM_OWN(tm_latch_free) struct tm_latch *may_end = tm_latch_new();
    struct silence silence = {begun, may_end, says};
    tm_latch_add(begun);
    tm_latch_add(may_end);
    struct tm_pool *pool = tm_pool_new("test", 2);
    tm_pool_submit(pool, be_silent, &silence);
    tm_latch_wait(begun);
    int64_t silent_ns = tm_pool_silent_ns(pool, tm_mono_ns() + INT64_C(3600000000000));
    tm_latch_finish(may_end);
    tm_pool_free(pool);
    return silent_ns;
}

START_TEST(who_works_is_silent_since_its_last_beat_and_who_rests_is_not)
{
    tm_pool_beat(); /* of no pool: nothing */
    tm_pool_rest();
    int64_t silent_ns = silent_after(tm_pool_beat);
    ck_assert_int_ge(silent_ns, INT64_C(3600000000000));
    ck_assert_int_lt(silent_ns, INT64_C(3660000000000));
    ck_assert_int_eq(silent_after(tm_pool_rest), 0);
}
END_TEST

START_TEST(pool_without_threads_is_a_bug)
{
    (void)tm_pool_new("test", 0); /* aborts */
}
END_TEST

/* Mailbox ---------------------------------------------------------------------------------- */

struct sender {
    struct tm_mailbox *box;
    int numbers[WORK];
};

static int received[2]; /* next number expected of each sender */

static void receive_first(void *arg)
{
    ck_assert_int_eq(*(int *)arg, received[0]);
    received[0]++;
}

static void receive_second(void *arg)
{
    ck_assert_int_eq(*(int *)arg, received[1]);
    received[1]++;
}

static void *send_first(void *arg)
{
    struct sender *sender = arg;
    for (int i = 0; i < WORK; i++) {
        sender->numbers[i] = i;
        tm_mailbox_post(sender->box, receive_first, &sender->numbers[i]);
    }
    return NULL;
}

static void *send_second(void *arg)
{
    struct sender *sender = arg;
    for (int i = 0; i < WORK; i++) {
        sender->numbers[i] = i;
        tm_mailbox_post(sender->box, receive_second, &sender->numbers[i]);
    }
    return NULL;
}

START_TEST(each_senders_messages_come_in_its_order)
{
    static struct sender senders[2];
    TM_OWN(tm_mailbox_free) struct tm_mailbox *box = tm_mailbox_new(NULL, NULL);
    pthread_t threads[2];
    senders[0].box = box;
    senders[1].box = box;
    ck_assert_int_eq(pthread_create(&threads[0], NULL, send_first, &senders[0]), 0);
    ck_assert_int_eq(pthread_create(&threads[1], NULL, send_second, &senders[1]), 0);

    size_t drained = 0;
    while (drained < 2 * (size_t)WORK) {
        ck_assert(tm_mailbox_wait(box, LONG_MS));
        drained += tm_mailbox_drain(box);
    }
    ck_assert_int_eq(pthread_join(threads[0], NULL), 0);
    ck_assert_int_eq(pthread_join(threads[1], NULL), 0);
    ck_assert_int_eq(received[0], WORK);
    ck_assert_int_eq(received[1], WORK);
    ck_assert_uint_eq(tm_mailbox_drain(box), 0);
}
END_TEST

START_TEST(each_post_wakes)
{
    int wakes = 0;
    TM_OWN(tm_mailbox_free) struct tm_mailbox *box = tm_mailbox_new(count, &wakes);
    tm_mailbox_post(box, count, NULL);
    ck_assert_int_eq(atomic_load(&counted), 1); /* the wake, not the message */
    tm_mailbox_post(box, count, NULL);
    ck_assert_int_eq(atomic_load(&counted), 2);
    ck_assert_uint_eq(tm_mailbox_drain(box), 2);
    ck_assert_int_eq(atomic_load(&counted), 4);
}
END_TEST

static void post_again(void *arg)
{
    tm_mailbox_post(arg, count, NULL);
}

START_TEST(message_posted_by_a_message_waits_for_the_next_drain)
{
    TM_OWN(tm_mailbox_free) struct tm_mailbox *box = tm_mailbox_new(NULL, NULL);
    tm_mailbox_post(box, post_again, box);
    ck_assert_uint_eq(tm_mailbox_drain(box), 1);
    ck_assert_int_eq(atomic_load(&counted), 0);
    ck_assert_uint_eq(tm_mailbox_drain(box), 1);
    ck_assert_int_eq(atomic_load(&counted), 1);
}
END_TEST

START_TEST(freeing_a_box_drops_its_messages)
{
    struct tm_mailbox *box = tm_mailbox_new(NULL, NULL);
    tm_mailbox_post(box, count, NULL);
    tm_mailbox_post(box, count, NULL);
    tm_mailbox_free(box);
    ck_assert_int_eq(atomic_load(&counted), 0);
    tm_mailbox_free(NULL);
}
END_TEST

static void *post_later(void *arg)
{
    tm_sleep_ms(SHORT_MS);
    tm_mailbox_post(arg, count, NULL);
    return NULL;
}

START_TEST(wait_ends_with_a_message_or_its_time)
{
    TM_OWN(tm_mailbox_free) struct tm_mailbox *box = tm_mailbox_new(NULL, NULL);
    int64_t before_ns = tm_mono_ns();
    ck_assert(!tm_mailbox_wait(box, 0));
    ck_assert(!tm_mailbox_wait(box, SHORT_MS));
    ck_assert_int_ge(tm_mono_ns() - before_ns, SHORT_MS * INT64_C(1000000));

    pthread_t poster;
    ck_assert_int_eq(pthread_create(&poster, NULL, post_later, box), 0);
    ck_assert(tm_mailbox_wait(box, -1));
    ck_assert_int_eq(pthread_join(poster, NULL), 0);
    ck_assert(tm_mailbox_wait(box, 0)); /* still there */
    ck_assert_uint_eq(tm_mailbox_drain(box), 1);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("pool_mailbox");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, pool_does_all_work_of_all_submitters_before_it_is_freed);
    tcase_add_test(tcase, one_thread_takes_work_in_the_order_submitted);
    tcase_add_test(tcase, threads_work_at_the_same_time);
    tcase_add_test(tcase, threads_have_names_and_leave_signals_to_others);
    tcase_add_test(tcase, latch_waits_for_the_last_in_flight);
    tcase_add_test_raise_signal(tcase, finishing_more_than_was_added_is_a_bug, SIGABRT);
    tcase_add_test(tcase, who_works_is_silent_since_its_last_beat_and_who_rests_is_not);
    tcase_add_test_raise_signal(tcase, pool_without_threads_is_a_bug, SIGABRT);
    tcase_add_test(tcase, each_senders_messages_come_in_its_order);
    tcase_add_test(tcase, each_post_wakes);
    tcase_add_test(tcase, message_posted_by_a_message_waits_for_the_next_drain);
    tcase_add_test(tcase, freeing_a_box_drops_its_messages);
    tcase_add_test(tcase, wait_ends_with_a_message_or_its_time);

    Suite *suite = suite_create("pool_mailbox");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
