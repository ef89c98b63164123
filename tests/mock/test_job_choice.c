/* SPDX-License-Identifier: Apache-2.0 */
/* Restores of a part on the mock cluster: what is chosen arrives, once and in order, whatever interrupts it. */
#include "job_rig.h"

enum { MANY = 20000, SKIPS = 100 };

/* Two windows by offset, one by time, holes, and of all that the newest 9,000. */
struct sample {
    struct tm_choice_window windows[3];
    struct tm_choice_skip skips[SKIPS];
    struct tm_choice choice;
    int64_t *numbers; /* of the records that are chosen, as plain words have it */
    int64_t count;
};

static bool is_chosen(int64_t number)
{
    bool windowed = (number >= 1000 && number < 9000) || (number >= 8000 && number < 12000) ||
                    number >= 15000;
    return windowed && !(number % 150 < 3 && number / 150 < SKIPS);
}

static void make_sample(struct sample *sample)
{
    *sample = (struct sample){
            .windows = {{"orders", 0, false, 1000, 9000}, {"orders", 0, false, 8000, 12000},
                    {"orders", -1, true, 1 + INT64_C(15000) * 1000, INT64_MAX}},
            .choice = {.window_count = 3, .skip_count = SKIPS, .newest = 9000},
            .numbers = tm_xalloc(MANY, sizeof(int64_t)),
    };
    for (int64_t i = 0; i < SKIPS; i++) {
        sample->skips[i] = (struct tm_choice_skip){"orders", 0, i * 150, i * 150 + 2};
    }
    sample->choice.windows = sample->windows;
    sample->choice.skips = sample->skips;
    int64_t all = 0;
    for (int64_t number = 0; number < MANY; number++) {
        all += is_chosen(number) ? 1 : 0;
    }
    ck_assert_int_gt(all, sample->choice.newest);
    for (int64_t number = 0, seen = 0; number < MANY; number++) {
        if (is_chosen(number) && seen++ >= all - sample->choice.newest) {
            sample->numbers[sample->count++] = number;
        }
    }
}

/* The target holds these records of the source, and nothing else. */
static void assert_numbers(
        struct job_rig *rig, const char *topic, const int64_t *numbers, int64_t count)
{
    struct tm_offsets ends = {.topic = topic};
    struct tm_err err = {0};
    ASSERT_OK(tm_kafka_offsets(rig->kafka.kafka, &ends, 1, 10000, &err), err);
    ck_assert_int_eq(ends.high_watermark, count);
    struct tm_reader *reader = new_reader(&rig->kafka, topic, 0);
    ASSERT_OK(tm_reader_start(reader, 0, 0, count, &err), err);
    for (int64_t i = 0; i < count; i++) {
        struct tm_read_event event;
        struct scratch scratch;
        next_event(reader, &event);
        ck_assert_int_eq(event.kind, TM_READ_RECORD);
        struct tm_record made = made_record(numbers[i], &scratch);
        ck_assert_msg(tm_record_same(&event.record, &made),
                "record %" PRId64 " is not number %" PRId64, i, numbers[i]);
    }
    tm_reader_free(reader);
}

START_TEST(what_is_chosen_arrives_though_the_restore_was_interrupted)
{
    struct job_rig rig;
    struct canceller canceller;
    struct tm_backup_result backup;
    struct tm_restore_result back;
    struct tm_restore_plan plan = {0};
    struct restore_setup setup;
    struct sample sample;
    struct tm_err err = {0};
    rig_up(&rig);
    rig_topic(&rig, "orders", 1);
    write_made(&rig.kafka, "orders", 0, 0, MANY);
    back_up(&rig, &backup);
    rig_topic(&rig, "orders.back", 1);
    make_sample(&sample);
    restore_setup(&rig, &backup.point, &setup);
    setup.options.choice = &sample.choice;
    ASSERT_OK(tm_restore_plan(&setup.options, &rig.env, &plan, &err), err);
    ck_assert(plan.exact);
    ck_assert_int_eq(plan.messages, sample.count);
    tm_restore_plan_done(&plan);

    cancel_begin(&canceller, &rig, 6000);
    ck_assert_int_eq(try_restore(&rig, &setup, &back, &err), TM_E_CANCELLED);
    cancel_end(&canceller);
    tm_restore_result_done(&back);
    struct tm_offsets ends = {.topic = "orders.back"};
    ASSERT_OK(tm_kafka_offsets(rig.kafka.kafka, &ends, 1, 10000, &err), err);
    ASSERT_OK(try_restore(&rig, &setup, &back, &err), err);
    ck_assert_msg(back.proved, "%s", back.failures.count > 0 ? back.failures.at[0].detail : "");
    ck_assert_int_eq(back.messages_count, sample.count);
    ck_assert_int_eq(back.written_count, sample.count - ends.high_watermark);
    assert_numbers(&rig, "orders.back", sample.numbers, sample.count);
    tm_restore_result_done(&back);
    free(sample.numbers);
    tm_backup_result_done(&backup);
    rig_down(&rig);
}
END_TEST

/* What is chosen is part of the digest: a plan of less is another plan. */
START_TEST(a_plan_of_another_choice_has_another_digest)
{
    struct job_rig rig;
    struct tm_backup_result backup;
    struct restore_setup setup;
    struct tm_err err = {0};
    struct tm_choice_skip skip = {"orders", 0, 7, 7};
    struct tm_choice_skip none = {"orders", 0, 5000, 5000};
    const struct tm_choice choices[] = {{0}, {.skips = &skip, .skip_count = 1},
            {.skips = &none, .skip_count = 1}, {.newest = 10}, {.has_from = true, .from_ms = 0}};
    char digests[5][72];
    static const int64_t counts[] = {10, 9, 10, 10, 9}; /* record 2 has no timestamp */
    rig_up(&rig);
    rig_topic(&rig, "orders", 1);
    write_made(&rig.kafka, "orders", 0, 0, 10);
    back_up(&rig, &backup);
    rig_topic(&rig, "orders.back", 1);
    for (size_t i = 0; i < LENGTH(choices); i++) {
        struct tm_restore_plan plan = {0};
        restore_setup(&rig, &backup.point, &setup);
        setup.options.choice = &choices[i];
        ASSERT_OK(tm_restore_plan(&setup.options, &rig.env, &plan, &err), err);
        ck_assert_int_eq(plan.messages, counts[i]);
        ck_assert(has_note(&plan.warnings, "skip-unused") == (i == 2));
        memcpy(digests[i], plan.digest, sizeof(plan.digest));
        for (size_t other = 0; other < i; other++) {
            ck_assert_str_ne(digests[i], digests[other]);
        }
        tm_restore_plan_done(&plan);
    }
    tm_backup_result_done(&backup);
    rig_down(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("job_choice");
    TCase *tcase = tcase_create("job_choice");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, what_is_chosen_arrives_though_the_restore_was_interrupted);
    tcase_add_test(tcase, a_plan_of_another_choice_has_another_digest);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
