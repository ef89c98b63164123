/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "difference.h"
#include "kafka/reader.h"

enum {
    ANSWER_MS = 20 * 1000,
    STALL_MS = 30 * 1000,
    LOOK_MS = 1000,
};

/* One of the two topics, and the partition of it that is being read. */
struct side {
    const char *topic;
    struct tm_reader *reader;
    struct tm_read_event event; /* holds the record that was read last */
    bool running;
};

struct comparison {
    struct tm_kafka *kafka;
    struct side source;
    struct side target;
    int32_t partitions;
    int64_t records;          /* compared so far, pairs */
    struct tm_buf difference; /* the first; "" while there is none */
};

static enum tm_code count_partitions(
        const struct tm_topic_list *list, const char *topic, int32_t *out, struct tm_err *err)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct tm_topic_info *info = &list->at[i];
        if (strcmp(info->name, topic) != 0) {
            continue;
        }
        if (info->code != TM_OK) {
            return tm_err_set(err, info->code, "topic %s: %s", topic, info->error);
        }
        *out = info->partitions;
        return TM_OK;
    }
    return tm_err_set(err, TM_E_MISSING, "there is no topic %s", topic);
}

static enum tm_code look_up(struct comparison *all, struct tm_err *err)
{
    struct tm_topic_list list = {0};
    int32_t meant = 0;
    int32_t is = 0;
    TM_TRY(tm_kafka_topics(all->kafka, ANSWER_MS, &list, err));
    enum tm_code code = count_partitions(&list, all->source.topic, &meant, err);
    if (code == TM_OK) {
        code = count_partitions(&list, all->target.topic, &is, err);
    }
    tm_topic_list_done(&list);
    if (code == TM_OK && is != meant) {
        tm_buf_add_fmt(&all->difference, "%s has %" PRId32 " partitions, %s has %" PRId32,
                all->target.topic, is, all->source.topic, meant);
    }
    all->partitions = meant;
    return code;
}

/* Start a partition from its log start to what a read_committed consumer can see of it now. */
static enum tm_code start_side(
        const struct comparison *all, struct side *side, int32_t partition, struct tm_err *err)
{
    struct tm_offsets row = {.topic = side->topic, .partition = partition};
    TM_TRY(tm_kafka_offsets(all->kafka, &row, 1, ANSWER_MS, err));
    if (row.code != TM_OK) {
        return tm_err_set(err, row.code, "%s/%" PRId32 ": %s", side->topic, partition, row.error);
    }
    bool is_open = row.lso >= 0 && row.lso < row.high_watermark; /* a transaction is */
    int64_t end = is_open ? row.lso : row.high_watermark;
    side->running = row.log_start < end;
    return side->running ? tm_reader_start(side->reader, partition, row.log_start, end, err)
                         : TM_OK;
}

/* The side's next record, borrowed until its next call; NULL at the end. */
static enum tm_code next_record(struct side *side, const struct tm_record **out, struct tm_err *err)
{
    while (side->running) {
        tm_reader_next(side->reader, LOOK_MS, &side->event);
        switch (side->event.kind) {
        case TM_READ_RECORD:
            *out = &side->event.record;
            return TM_OK;
        case TM_READ_END:
            side->running = false;
            break;
        case TM_READ_FAILED:
            *err = side->event.err;
            return err->code;
        case TM_READ_IDLE: /* the reader itself fails what has stalled */
            break;
        }
    }
    *out = NULL;
    return TM_OK;
}

static void describe(struct comparison *all, int32_t partition, const struct tm_record *is,
        const struct tm_record *meant)
{
    TM_BUF_OWN struct tm_buf words = {0};
    const struct side *longer = is == NULL ? &all->source : &all->target;
    const struct side *shorter = is == NULL ? &all->target : &all->source;
    if (is == NULL || meant == NULL) {
        const struct tm_record *extra = is == NULL ? meant : is;
        tm_buf_add_fmt(&all->difference,
                "%s/%" PRId32 " has a record at offset %" PRId64 " where %s/%" PRId32 " has ended",
                longer->topic, partition, extra->offset, shorter->topic, partition);
    } else if (cli_difference(is, meant, &words)) {
        tm_buf_add_fmt(&all->difference,
                "%s/%" PRId32 " at offset %" PRId64 " and %s/%" PRId32 " at offset %" PRId64 ": %s",
                all->target.topic, partition, is->offset, all->source.topic, partition,
                meant->offset, tm_buf_text(&words));
    }
}

/* *more while both have a record and the two are the same. */
static enum tm_code compare_next(
        struct comparison *all, int32_t partition, bool *more, struct tm_err *err)
{
    const struct tm_record *meant = NULL;
    const struct tm_record *is = NULL;
    TM_TRY(next_record(&all->source, &meant, err));
    TM_TRY(next_record(&all->target, &is, err));
    if (meant != NULL || is != NULL) {
        describe(all, partition, is, meant);
    }
    *more = meant != NULL && is != NULL && all->difference.len == 0;
    all->records += *more ? 1 : 0;
    return TM_OK;
}

static enum tm_code compare_partition(struct comparison *all, int32_t partition, struct tm_err *err)
{
    bool more = true;
    enum tm_code code = TM_OK;
    TM_TRY(start_side(all, &all->source, partition, err));
    TM_TRY(start_side(all, &all->target, partition, err));
    while (code == TM_OK && more) {
        code = compare_next(all, partition, &more, err);
    }
    return code;
}

static enum tm_code compare_topics(struct comparison *all, struct tm_err *err)
{
    struct tm_reader_options source = {.topic = all->source.topic, .stall_ms = STALL_MS};
    struct tm_reader_options target = {.topic = all->target.topic, .stall_ms = STALL_MS};
    TM_TRY(look_up(all, err));
    TM_TRY(tm_reader_new(all->kafka, &source, &all->source.reader, err));
    TM_TRY(tm_reader_new(all->kafka, &target, &all->target.reader, err));
    enum tm_code code = TM_OK;
    for (int32_t i = 0; i < all->partitions && all->difference.len == 0 && code == TM_OK; i++) {
        code = compare_partition(all, i, err);
    }
    return code;
}

static int compare(const char *bootstrap, const char *source, const char *target)
{
    struct tm_kafka_options options = {.cluster = bootstrap, .bootstrap = bootstrap};
    struct comparison all = {.source = {.topic = source}, .target = {.topic = target}};
    struct tm_err err = {0};
    if (tm_kafka_open(&options, &all.kafka, &err) == TM_OK) {
        (void)compare_topics(&all, &err);
    }
    tm_reader_free(all.source.reader);
    tm_reader_free(all.target.reader);
    tm_kafka_close(all.kafka);
    int status = CLI_DONE;
    if (err.code != TM_OK) {
        status = cli_fail(&err);
    } else if (all.difference.len > 0) {
        (void)printf("different: %s\n", tm_buf_text(&all.difference));
        status = CLI_DIFFERENT;
    } else {
        (void)printf("identical: %" PRId64 " records in %" PRId32 " partitions\n", all.records,
                all.partitions);
    }
    tm_buf_done(&all.difference);
    return status;
}

static int run_compare(const struct cli_command *command, int argc, char **argv)
{
    static const struct option longs[] = {
            {"bootstrap", required_argument, NULL, 'b'},
            CLI_HELP_OPTION,
            {NULL, 0, NULL, 0},
    };
    const char *bootstrap = NULL;
    for (int option; (option = cli_next_option(argc, argv, longs)) != -1;) {
        if (option != 'b') {
            return cli_answer(command, option);
        }
        bootstrap = optarg;
    }
    if (argc - optind != 2 || bootstrap == NULL) {
        return cli_misuse(command, "--bootstrap, SOURCE and TARGET are needed");
    }
    if (strcmp(argv[optind], argv[optind + 1]) == 0) {
        return cli_misuse(command, "SOURCE and TARGET are the same topic");
    }
    return compare(bootstrap, argv[optind], argv[optind + 1]);
}

const struct cli_command cli_demo_compare = {
        .words = "demo compare",
        .operands = "--bootstrap HOST:PORT[,...] SOURCE TARGET",
        .does = "compare two topics record by record",
        .help = "Read both topics, partition by partition, from the log's start to its end as a\n"
                "read_committed consumer sees it, and compare each record: key, value, null "
                "against\n"
                "empty, headers in order, timestamp and its type, partition, order. Prints\n"
                "\"identical: N records in P partitions\", or the first difference (exit status "
                "9).\n"
                "\n"
                "examples:\n"
                "  tidemark demo compare --bootstrap localhost:9092 orders orders.restored\n"
                "  . demo/demo.env && tidemark demo compare --bootstrap \"$BOOTSTRAP\" \\\n"
                "      customers customers.restored\n",
        .run = run_compare,
};
