/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench - one measured step in a process of its own, as a line of JSON: wall and CPU seconds, peak
 * memory, records and bytes (of keys and values).
 *
 *   bench produce BOOTSTRAP TOPIC CORPUS MEGABYTES   raw idempotent production: the restore's floor
 *   bench consume BOOTSTRAP TOPIC                    raw librdkafka consumption: the backup's floor
 *   bench backup  BOOTSTRAP TOPIC DIR LEVEL          lib/job's backup into a new vault in DIR
 *   bench mirror  BOOTSTRAP TOPIC DIR LEVEL          the same of another topic, into the vault that is in DIR
 *   bench restore BOOTSTRAP TOPIC DIR TARGET         lib/job's restore of its point, proof included
 *   bench verify  DIR DEPTH                          lib/job's verification: catalog, scrub, full; stored: bytes read
 *
 * Corpora: orders (JSON, ~300 B), random (1 KiB), logs (lines of ~150 B). The topic is there already.
 * The floors call librdkafka alone, with the settings that lib/kafka uses.
 */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "base/ulid.h"
#include "job/backup.h"
#include "job/restore.h"
#include "job/verify.h"
#include "store/store_fs.h"

enum { PARTITIONS = 4, VALUE_MAX = 2048, BATCH = 1000 };

struct totals {
    int64_t records;
    int64_t bytes;
};

_Noreturn static void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "bench: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

/* Results ------------------------------------------------------------------------------------- */

static double cpu_seconds(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void print(
        const char *step, int64_t began_ns, double cpu, struct totals totals, int64_t stored)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    (void)printf("{\"step\":\"%s\",\"wall\":%.3f,\"cpu\":%.3f,\"rss_kib\":%ld,\"records\":%" PRId64
                 ",\"bytes\":%" PRId64 ",\"stored\":%" PRId64 "}\n",
            step, (double)(tm_mono_ns() - began_ns) / 1e9, cpu_seconds() - cpu, usage.ru_maxrss,
            totals.records, totals.bytes, stored);
}

/* Corpora ------------------------------------------------------------------------------------- */

/* splitmix64: the same numbers on every machine (prng.di.unimi.it/splitmix64.c, public domain rule). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static size_t make_order(uint64_t *random, int64_t number, char *value)
{
    static const char *const states[] = {"created", "paid", "packed", "shipped", "returned"};
    uint64_t r = next_random(random);
    int len = snprintf(value, VALUE_MAX,
            "{\"order_id\":\"ord-%09" PRId64 "\",\"customer\":{\"id\":%" PRIu64
            ",\"country\":\"%c%c\"},\"status\":\"%s\",\"currency\":\"EUR\",\"total_cents\":%" PRIu64
            ",\"items\":[{\"sku\":\"SKU-%05" PRIu64 "\",\"quantity\":%" PRIu64
            ",\"price_cents\":%" PRIu64 "}],\"placed_at\":\"2026-11-%02" PRIu64 "T%02" PRIu64
            ":%02" PRIu64 ":%02" PRIu64 "Z\",\"note\":\"leave at the door\",\"channel\":\"web\"}",
            number, r % 100000, 'A' + (char)(r % 26), 'A' + (char)((r >> 8) % 26), states[r % 5],
            (r >> 16) % 1000000, (r >> 20) % 50000, 1 + (r >> 40) % 9, (r >> 24) % 100000,
            1 + (r >> 30) % 28, (r >> 35) % 24, (r >> 41) % 60, (r >> 47) % 60);
    return (size_t)len;
}

static size_t make_log(uint64_t *random, int64_t number, char *value)
{
    static const char *const paths[] = {"/api/orders", "/api/cart", "/static/app.js", "/login"};
    uint64_t r = next_random(random);
    int len = snprintf(value, VALUE_MAX,
            "2026-11-23T07:%02" PRIu64 ":%02" PRIu64 ".%03" PRIu64 "Z INFO web-%02" PRIu64
            " request id=%08" PRIx64 " seq=%" PRId64
            " method=GET path=%s status=%d duration_ms=%" PRIu64 " bytes=%" PRIu64,
            r % 60, (r >> 6) % 60, (r >> 12) % 1000, (r >> 22) % 16, r >> 32, number,
            paths[(r >> 27) % 4], (r >> 29) % 20 == 0 ? 500 : 200, (r >> 34) % 900,
            (r >> 44) % 65536);
    return (size_t)len;
}

static size_t make_random(uint64_t *random, char *value)
{
    for (size_t at = 0; at < 1024; at += sizeof(uint64_t)) {
        uint64_t r = next_random(random);
        memcpy(value + at, &r, sizeof(r));
    }
    return 1024;
}

static size_t make_value(const char *corpus, uint64_t *random, int64_t number, char *value)
{
    if (strcmp(corpus, "orders") == 0) {
        return make_order(random, number, value);
    }
    return strcmp(corpus, "logs") == 0 ? make_log(random, number, value)
                                       : make_random(random, value);
}

/* Floors -------------------------------------------------------------------------------------- */

static rd_kafka_t *client(rd_kafka_type_t type, const char *bootstrap, const char *const *set)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bool good = rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, why, sizeof(why)) ==
                RD_KAFKA_CONF_OK;
    for (; good && *set != NULL; set += 2) {
        good = rd_kafka_conf_set(conf, set[0], set[1], why, sizeof(why)) == RD_KAFKA_CONF_OK;
    }
    rd_kafka_t *rk = good ? rd_kafka_new(type, conf, why, sizeof(why)) : NULL;
    if (rk == NULL) {
        die("librdkafka", why);
    }
    return rk;
}

static void count_failure(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    (void)opaque;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        die("produce", rd_kafka_err2str(message->err));
    }
}

static rd_kafka_t *producer(const char *bootstrap)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_dr_msg_cb(conf, count_failure);
    if (rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, why, sizeof(why)) != 0 ||
            rd_kafka_conf_set(conf, "enable.idempotence", "true", why, sizeof(why)) != 0 ||
            rd_kafka_conf_set(conf, "queue.buffering.max.kbytes", "32768", why, sizeof(why)) != 0) {
        die("librdkafka", why);
    }
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    if (rk == NULL) {
        die("librdkafka", why);
    }
    return rk;
}

static void send_one(rd_kafka_t *rk, const char *topic, int32_t partition, int64_t stamp,
        const char *key, const char *value, size_t len)
{
    for (;;) {
        rd_kafka_resp_err_t err = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic),
                RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_TIMESTAMP(stamp),
                RD_KAFKA_V_KEY((void *)(uintptr_t)key, strlen(key)),
                RD_KAFKA_V_VALUE((void *)(uintptr_t)value, len),
                RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            return;
        }
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            die("produce", rd_kafka_err2str(err));
        }
        (void)rd_kafka_poll(rk, 10);
    }
}

static void produce(const char *bootstrap, const char *topic, const char *corpus, int64_t megabytes)
{
    rd_kafka_t *rk = producer(bootstrap);
    uint64_t random = 42;
    struct totals totals = {0};
    char key[32];
    char value[VALUE_MAX];
    int64_t began_ns = tm_mono_ns();
    double cpu = cpu_seconds();
    int64_t stamp = tm_now_ms() - INT64_C(3600000);
    for (int64_t number = 0; totals.bytes < megabytes * 1000000; number++) {
        size_t len = make_value(corpus, &random, number, value);
        int key_len = snprintf(key, sizeof(key), "key-%" PRId64, number % 100000);
        send_one(rk, topic, (int32_t)(number % PARTITIONS), stamp + number / 100, key, value, len);
        totals.records++;
        totals.bytes += key_len + (int64_t)len;
        if (number % 1000 == 0) {
            (void)rd_kafka_poll(rk, 0);
        }
    }
    (void)rd_kafka_flush(rk, 60000);
    print("produce", began_ns, cpu, totals, 0);
    rd_kafka_destroy(rk);
}

static int64_t drain(rd_kafka_queue_t *queue, struct totals *totals)
{
    rd_kafka_message_t *batch[BATCH];
    int64_t ends = 0;
    ssize_t count = rd_kafka_consume_batch_queue(queue, 20, batch, BATCH);
    for (ssize_t i = 0; i < count; i++) {
        if (batch[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            totals->records++;
            totals->bytes += (int64_t)(batch[i]->len + batch[i]->key_len);
        } else if (batch[i]->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            ends++;
        }
        rd_kafka_message_destroy(batch[i]);
    }
    return ends;
}

static void consume(const char *bootstrap, const char *topic)
{
    static const char *const set[] = {"enable.partition.eof", "true", "fetch.queue.backoff.ms",
            "10", "fetch.wait.max.ms", "100", "queued.max.messages.kbytes", "16384",
            "auto.offset.reset", "error", "check.crcs", "true", NULL};
    int64_t began_ns = tm_mono_ns();
    double cpu = cpu_seconds();
    struct totals totals = {0};
    rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, bootstrap, set);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        (void)rd_kafka_consume_start_queue(handle, p, RD_KAFKA_OFFSET_BEGINNING, queue);
    }
    for (int64_t ends = 0; ends < PARTITIONS;) {
        ends += drain(queue, &totals);
    }
    print("consume", began_ns, cpu, totals, 0);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        (void)rd_kafka_consume_stop(handle, p);
    }
    rd_kafka_topic_destroy(handle);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
}

/* Ours ---------------------------------------------------------------------------------------- */

struct rig {
    struct tm_store *store;
    struct tm_vault *vault;
    struct tm_catalog *catalog;
    struct tm_kafka_options options;
    struct tm_kafka *kafka;
    atomic_bool cancel;
    struct tm_progress progress;
    struct tm_job_env env;
};

static void must(enum tm_code code, const struct tm_err *err)
{
    if (code != TM_OK) {
        die(tm_code_name(code), err->msg);
    }
}

static void open_rig(struct rig *rig, const char *bootstrap, const char *dir, bool make)
{
    static const uint8_t key[TM_KEY_FILE_BYTES] = "the benchmark's key, not secret";
    struct tm_secret secret = {TM_SECRET_KEY_FILE, {key, sizeof(key)}};
    struct tm_vault_params params = {.blocks = tm_block_params_default};
    struct tm_err err = {0};
    char path[4096];
    memset(rig, 0, sizeof(*rig));
    tm_codec_init();
    (void)snprintf(path, sizeof(path), "%s/vault", dir);
    must(tm_store_fs_open(path, make, &rig->store, &err), &err);
    if (make) {
        must(tm_vault_init(rig->store, &secret, &params, &err), &err);
    }
    must(tm_vault_open(rig->store, &secret, "bench/1", &rig->vault, &err), &err);
    (void)snprintf(path, sizeof(path), "%s/catalog.db", dir);
    must(tm_catalog_open(path, &rig->catalog, &err), &err);
    rig->options = (struct tm_kafka_options){.cluster = "bench", .bootstrap = bootstrap};
    must(tm_kafka_open(&rig->options, &rig->kafka, &err), &err);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    rig->env = (struct tm_job_env){
            .job_id = "bench",
            .workers = tm_pool_new("worker", 8),
            .sealers = tm_pool_new("sealer", cores > 0 ? (unsigned)cores : 1),
            .memory_bytes = 96 << 20, /* workers.memory's default */
            .cancel = &rig->cancel,
            .progress = &rig->progress,
    };
}

static void close_rig(struct rig *rig)
{
    tm_pool_free(rig->env.workers);
    tm_pool_free(rig->env.sealers);
    tm_kafka_close(rig->kafka);
    tm_catalog_close(rig->catalog);
    tm_vault_close(rig->vault);
    tm_store_free(rig->store);
}

/* `step` "backup" makes the vault, "mirror" adds to it. */
static void backup(
        const char *step, const char *bootstrap, const char *topic, const char *dir, int level)
{
    int64_t began_ns = tm_mono_ns();
    double cpu = cpu_seconds();
    struct rig rig;
    struct tm_err err = {0};
    struct tm_select_options select = {.include = &topic, .include_count = 1};
    struct tm_select *selected = NULL;
    must(tm_fs_mkdirs(dir, 0700, &err), &err);
    open_rig(&rig, bootstrap, dir, strcmp(step, "backup") == 0);
    must(tm_select_new(&select, &selected, &err), &err);
    struct tm_backup_options options = {
            .policy = "bench",
            .cluster = "bench",
            .kafka = rig.kafka,
            .vault = rig.vault,
            .catalog = rig.catalog,
            .select = selected,
            .level = level,
    };
    struct tm_backup_result result = {0};
    must(tm_backup_run(&options, &rig.env, &result, &err), &err);
    if (result.partial) {
        die("backup", result.failures.at[0].detail);
    }
    struct totals totals = {result.messages_count, result.source_bytes};
    print(step, began_ns, cpu, totals, result.stored_bytes);
    tm_backup_result_done(&result);
    tm_select_free(selected);
    close_rig(&rig);
}

static void restore(const char *bootstrap, const char *topic, const char *dir, const char *target)
{
    int64_t began_ns = tm_mono_ns();
    double cpu = cpu_seconds();
    struct rig rig;
    struct tm_err err = {0};
    char path[4096];
    open_rig(&rig, bootstrap, dir, false);
    struct tm_journal *journal = NULL;
    (void)snprintf(path, sizeof(path), "%s/journal.db", dir);
    must(tm_journal_open(path, &journal, &err), &err);
    struct tm_arena arena = {0};
    struct tm_point_line *line = NULL;
    size_t count = 0;
    struct tm_point_query query = {.since_ms = INT64_MIN, .until_ms = INT64_MAX, .limit = 1};
    must(tm_catalog_points(rig.catalog, &query, &arena, &line, &count, &err), &err);
    if (count == 0) {
        die("restore", "the vault has no point");
    }
    struct tm_rename rename = {topic, target};
    struct tm_restore_options options = {
            .job = tm_ulid_make(tm_now_ms()),
            .point = line->row.ulid,
            .vault = rig.vault,
            .catalog = rig.catalog,
            .journal = journal,
            .target = "bench",
            .kafka = rig.kafka,
            .kafka_options = &rig.options,
            .renames = &rename,
            .rename_count = 1,
            .original_configs = true,
    };
    struct tm_restore_result result = {0};
    must(tm_restore_run(&options, &rig.env, &result, &err), &err);
    if (!result.proved) {
        die("restore", result.failures.at[0].detail);
    }
    struct totals totals = {result.messages_count, result.written_bytes};
    print("restore", began_ns, cpu, totals, 0);
    tm_restore_result_done(&result);
    tm_arena_done(&arena);
    tm_journal_close(journal);
    close_rig(&rig);
}

static void verify(const char *dir, const char *depth)
{
    struct rig rig;
    struct tm_err err = {0};
    open_rig(&rig, "127.0.0.1:1", dir, false);
    struct tm_verify_options options = {
            .vault = rig.vault,
            .catalog = rig.catalog,
            .depth = strcmp(depth, "full") == 0    ? TM_VERIFY_FULL
                     : strcmp(depth, "scrub") == 0 ? TM_VERIFY_SCRUB
                                                   : TM_VERIFY_CATALOG,
    };
    struct tm_verify_result result = {0};
    int64_t began_ns = tm_mono_ns();
    double cpu = cpu_seconds();
    must(tm_verify_run(&options, &rig.env, &result, &err), &err);
    if (result.faults_count > 0) {
        die("verify", result.faults.at[0].detail);
    }
    struct totals totals = {result.records_count, 0};
    print(depth, began_ns, cpu, totals, result.bytes_read);
    tm_verify_result_done(&result);
    close_rig(&rig);
}

static int64_t number(const char *text)
{
    int64_t value = 0;
    struct tm_err err = {0};
    must(tm_parse_i64(text, &value, &err), &err);
    return value;
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "produce") == 0) {
        produce(argv[2], argv[3], argv[4], number(argv[5]));
    } else if (argc == 4 && strcmp(argv[1], "consume") == 0) {
        consume(argv[2], argv[3]);
    } else if (argc == 6 && (strcmp(argv[1], "backup") == 0 || strcmp(argv[1], "mirror") == 0)) {
        backup(argv[1], argv[2], argv[3], argv[4], (int)number(argv[5]));
    } else if (argc == 6 && strcmp(argv[1], "restore") == 0) {
        restore(argv[2], argv[3], argv[4], argv[5]);
    } else if (argc == 4 && strcmp(argv[1], "verify") == 0) {
        verify(argv[2], argv[3]);
    } else {
        (void)fputs("usage: bench produce|consume|backup|mirror|restore|verify ... (see bench.c)\n",
                stderr);
        return 2;
    }
    return EXIT_SUCCESS;
}
