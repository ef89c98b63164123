/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scale - a log of many partitions and many points, without data, and what it costs to live with it. One
 * measured step in a process of its own, as a line of JSON.
 *
 *   scale make      DIR PARTITIONS DAYS PERMILLE THIN  a vault in DIR: an entry with a point every 5 minutes, in which
 *                                                so many of a thousand partitions have news; at the end of each
 *                                                day its packs are merged, and with THIN 1 points thinned
 *                                                (5 minutes for a day, hours for a week, then days)
 *   scale fold      DIR                          fold the log into a new catalog
 *   scale points    DIR                          list the newest 100 points
 *   scale all-points DIR                         list all of them
 *   scale retention DIR                          plan a retention that keeps 288, 48 hourly and 30 daily points
 *   scale live      DIR                          which packs are live, dead, to be merged
 *
 * Packs are names in the log: no object of theirs is there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/text.h"
#include "base/ulid.h"
#include "job/retention.h"
#include "store/store_fs.h"

enum {
    PER_TOPIC = 100, /* partitions */
    PER_DAY = 288,   /* points */
    PER_HOUR = 12,
    RECORDS = 50, /* of a partition in a point that has news */
    RECORD_BYTES = 300,
    INTERVAL_MS = 300 * 1000,
};

_Noreturn static void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "scale: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static void must(enum tm_code code, const struct tm_err *err)
{
    if (code != TM_OK) {
        die(tm_code_name(code), err->msg);
    }
}

/* The vault and results ------------------------------------------------------------------------ */

struct rig {
    struct tm_store *store;
    struct tm_vault *vault;
    struct tm_catalog *catalog;
    int64_t began_ns;
};

static void open_rig(struct rig *rig, const char *dir, const char *catalog, bool make)
{
    static const uint8_t key[TM_KEY_FILE_BYTES] = "the benchmark's key, not secret";
    struct tm_secret secret = {TM_SECRET_KEY_FILE, {key, sizeof(key)}};
    struct tm_vault_params params = {.blocks = tm_block_params_default};
    struct tm_err err = {0};
    char path[4096];
    tm_codec_init();
    (void)snprintf(path, sizeof(path), "%s/vault", dir);
    must(tm_fs_mkdirs(dir, 0700, &err), &err);
    must(tm_store_fs_open(path, make, &rig->store, &err), &err);
    if (make) {
        must(tm_vault_init(rig->store, &secret, &params, &err), &err);
    }
    must(tm_vault_open(rig->store, &secret, "scale/1", &rig->vault, &err), &err);
    (void)snprintf(path, sizeof(path), "%s/%s", dir, catalog);
    must(tm_catalog_open(path, &rig->catalog, &err), &err);
    rig->began_ns = tm_mono_ns();
}

static void close_rig(struct rig *rig)
{
    tm_catalog_close(rig->catalog);
    tm_vault_close(rig->vault);
    tm_store_free(rig->store);
}

/* End the line that `step` has begun with `what` it counted. */
static void print(const struct rig *rig, const char *step, const char *what, int64_t count)
{
    struct rusage usage;
    struct tm_vault_totals totals = {0};
    struct tm_err err = {0};
    must(tm_catalog_vault_totals(rig->catalog, &totals, &err), &err);
    (void)getrusage(RUSAGE_SELF, &usage);
    double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    (void)printf("{\"step\":\"%s\",\"%s\":%" PRId64 ",\"wall\":%.3f,\"cpu\":%.3f,\"rss_kib\":%ld,"
                 "\"packs\":%" PRId64 ",\"catalog_bytes\":%" PRId64 "}\n",
            step, what, count, (double)(tm_mono_ns() - rig->began_ns) / 1e9, cpu, usage.ru_maxrss,
            totals.packs, totals.database_bytes);
}

/* Making a log --------------------------------------------------------------------------------- */

struct maker {
    struct rig rig;
    uint32_t partitions;
    int64_t permille;
    uint64_t random;
    int64_t began_ms;
    int64_t number;     /* of the point that is being made, from 0 */
    int64_t *next;      /* a partition's watermark, */
    int64_t *day_start; /* and what it was at the day's beginning */
    bool thin;
    bool merges; /* the entry is the one at the end of a day */
};

static uint64_t next_random(uint64_t *state) /* splitmix64 */
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static struct tm_hash name_of(int64_t number, bool merged)
{
    int64_t bytes[] = {number, merged ? 1 : 0};
    return tm_sha256_of(tm_slice_of(bytes, sizeof(bytes)));
}

static int64_t time_of(const struct maker *maker)
{
    return maker->began_ms + maker->number * INTERVAL_MS;
}

static struct tm_run run_of(const struct maker *maker, uint32_t part, int64_t first, int64_t end)
{
    return (struct tm_run){
            .stream = 1 + part / PER_TOPIC,
            .partition = (int32_t)(part % PER_TOPIC),
            .first = first,
            .length = end - first,
            .count = end - first,
            .bytes = (end - first) * RECORD_BYTES,
            .largest = RECORD_BYTES,
            .ts_min = time_of(maker) - INTERVAL_MS,
            .ts_max = time_of(maker),
    };
}

static struct tm_row_pack *add_pack(const struct maker *maker, struct tm_edits *edits, bool merged)
{
    struct tm_row_pack *pack = tm_vec_push(&edits->packs);
    *pack = (struct tm_row_pack){
            .name = name_of(maker->number, merged),
            .size = 1 << 20,
            .stored_ms = time_of(maker),
            .runs = tm_arena_alloc(&edits->arena, maker->partitions, sizeof(*pack->runs)),
    };
    return pack;
}

static void add_streams(const struct maker *maker, struct tm_edits *edits)
{
    for (uint32_t stream = 1; stream <= (maker->partitions + PER_TOPIC - 1) / PER_TOPIC; stream++) {
        *tm_vec_push(&edits->streams) = (struct tm_row_stream){
                .id = stream,
                .cluster_id = tm_slice_str("scale"),
                .topic = tm_slice_str(tm_arena_fmt(&edits->arena, "topic-%05u", stream)),
                .incarnation = 1,
                .created_ms = maker->began_ms,
        };
    }
}

static struct tm_row_point *add_point(const struct maker *maker, struct tm_edits *edits)
{
    struct tm_row_point *point = tm_vec_push(&edits->points);
    *point = (struct tm_row_point){
            .id = (uint64_t)maker->number + 1,
            .ulid = tm_ulid_make(time_of(maker)),
            .time_ms = time_of(maker),
            .cluster_id = tm_slice_str("scale"),
            .cluster_name = tm_slice_str("scale"),
            .policy = tm_slice_str("p"),
            .flags = TM_POINT_GROUPS_UNKNOWN | TM_POINT_CONFIGS_UNKNOWN,
            .parts = tm_arena_alloc(&edits->arena, maker->partitions, sizeof(*point->parts)),
    };
    return point;
}

/* The partition has RECORDS more. */
static void add_news(struct maker *maker, uint32_t part, struct tm_row_pack *pack,
        struct tm_row_point *point, struct tm_edits *edits)
{
    int64_t first = maker->next[part];
    int64_t end = first + RECORDS;
    struct tm_run run = run_of(maker, part, first, end);
    pack->runs[pack->run_count++] = run;
    point->parts[point->part_count++] = (struct tm_row_part){
            .stream = run.stream,
            .partition = run.partition,
            .end = end,
            .lso = end,
            .high_watermark = end,
    };
    *tm_vec_push(&edits->tails) = (struct tm_row_tail){
            .stream = run.stream,
            .partition = run.partition,
            .next = end,
            .covered = end,
            .back = 1,
            .timestamp_ms = run.ts_max,
            .tag = point->ulid, /* any 16 bytes */
    };
    maker->next[part] = end;
}

static void build_point(struct maker *maker, struct tm_edits *edits)
{
    edits->policy = tm_slice_str("p");
    if (maker->number == 0) {
        add_streams(maker, edits);
    }
    struct tm_row_pack *pack = add_pack(maker, edits, false);
    struct tm_row_point *point = add_point(maker, edits);
    for (uint32_t part = 0; part < maker->partitions; part++) {
        bool news = (int64_t)(next_random(&maker->random) % 1000) < maker->permille;
        if (maker->number == 0 || news) {
            add_news(maker, part, pack, point, edits);
        }
    }
}

/* Of the points of a day, leave those that end a stretch of so many. */
static void thin_day(int64_t first, int64_t keep, int64_t were, struct tm_edits *edits)
{
    for (int64_t i = first; first >= 0 && i < first + PER_DAY; i++) {
        if ((i + 1) % were == 0 && (i + 1) % keep != 0) {
            *tm_vec_push(&edits->points_gone) = (uint64_t)i + 1;
        }
    }
}

/* The day's packs become one; those of the day before are announced as deleted. */
static void build_merge(struct maker *maker, struct tm_edits *edits)
{
    struct tm_row_pack *pack = add_pack(maker, edits, true);
    for (uint32_t part = 0; part < maker->partitions; part++) {
        if (maker->next[part] > maker->day_start[part]) {
            pack->runs[pack->run_count++] =
                    run_of(maker, part, maker->day_start[part], maker->next[part]);
        }
        maker->day_start[part] = maker->next[part];
    }
    int64_t first = maker->number + 1 - PER_DAY;
    for (int64_t i = first; i <= maker->number; i++) {
        struct tm_row_successors *gone = tm_vec_push(&edits->packs_gone);
        gone->name = name_of(i, false);
        gone->successors = &pack->name;
        gone->successor_count = 1;
        if (i >= PER_DAY) {
            *tm_vec_push(&edits->sweep) = name_of(i - PER_DAY, false);
        }
    }
    if (maker->thin) {
        thin_day(first - PER_DAY, PER_HOUR, 1, edits);
        thin_day(first - 7 * PER_DAY, PER_DAY, PER_HOUR, edits);
    }
}

static enum tm_code build(void *arg, struct tm_edits *edits, struct tm_err *err)
{
    struct maker *maker = arg;
    (void)err;
    if (maker->merges) {
        build_merge(maker, edits);
    } else {
        build_point(maker, edits);
    }
    return TM_OK;
}

static void make(const char *dir, int64_t partitions, int64_t days, int64_t permille, bool thin)
{
    struct maker maker = {
            .partitions = (uint32_t)partitions,
            .permille = permille,
            .random = 42,
            .began_ms = tm_now_ms() - days * PER_DAY * INTERVAL_MS,
            .next = tm_xalloc((size_t)partitions, sizeof(int64_t)),
            .day_start = tm_xalloc((size_t)partitions, sizeof(int64_t)),
            .thin = thin,
    };
    struct tm_err err = {0};
    open_rig(&maker.rig, dir, "maker.db", true);
    struct tm_fold fold = tm_catalog_fold(maker.rig.catalog);
    struct tm_head head = {0};
    for (; maker.number < days * PER_DAY; maker.number++) {
        must(tm_vault_commit(maker.rig.vault, &fold, build, &maker, &head, &err), &err);
        maker.merges = (maker.number + 1) % PER_DAY == 0;
        if (maker.merges) {
            must(tm_vault_commit(maker.rig.vault, &fold, build, &maker, &head, &err), &err);
            maker.merges = false;
        }
    }
    print(&maker.rig, "make", "entries", (int64_t)head.seq);
    close_rig(&maker.rig);
    free(maker.next);
    free(maker.day_start);
}

/* Living with it ------------------------------------------------------------------------------- */

static void fold_log(const char *dir)
{
    struct rig rig;
    struct tm_err err = {0};
    struct tm_fold_state state = {0};
    open_rig(&rig, dir, "folded.db", false);
    struct tm_fold fold = tm_catalog_fold(rig.catalog);
    must(tm_vault_refresh(rig.vault, &fold, &err), &err);
    must(fold.ops->state(fold.self, &state, &err), &err);
    print(&rig, "fold", "deltas", (int64_t)(state.head.seq - state.full_seq));
    close_rig(&rig);
}

static void list_points(const char *dir, const char *step, size_t limit)
{
    struct rig rig;
    struct tm_err err = {0};
    struct tm_arena arena = {0};
    struct tm_point_line *lines = NULL;
    size_t count = 0;
    struct tm_point_query query = {.since_ms = INT64_MIN, .until_ms = INT64_MAX, .limit = limit};
    open_rig(&rig, dir, "maker.db", false);
    must(tm_catalog_points(rig.catalog, &query, &arena, &lines, &count, &err), &err);
    print(&rig, step, "points", (int64_t)count);
    tm_arena_done(&arena);
    close_rig(&rig);
}

static void plan_retention(const char *dir)
{
    struct rig rig;
    struct tm_err err = {0};
    atomic_bool cancel = false;
    struct tm_progress progress = {0};
    struct tm_job_env env = {.job_id = "scale", .cancel = &cancel, .progress = &progress};
    struct tm_retention_policy policy = {
            .policy = "p",
            .cluster = "scale",
            .rules = {.keep_last = PER_DAY, .keep_hourly = 48, .keep_daily = 30},
            .interval_ms = INTERVAL_MS,
    };
    struct tm_retention_plan plan = {0};
    open_rig(&rig, dir, "maker.db", false);
    struct tm_retention_options options = {
            .vault = rig.vault,
            .catalog = rig.catalog,
            .policies = &policy,
            .policy_count = 1,
            .all_policies = true,
            .space = tm_space_defaults(rig.vault, rig.catalog),
    };
    must(tm_retention_plan(&options, &env, &plan, &err), &err);
    print(&rig, "retention", "points_gone", (int64_t)plan.goes_count);
    tm_retention_plan_done(&plan);
    close_rig(&rig);
}

static void plan_space(const char *dir)
{
    struct rig rig;
    struct tm_err err = {0};
    struct tm_space_plan plan = {0};
    open_rig(&rig, dir, "maker.db", false);
    struct tm_space_options options = tm_space_defaults(rig.vault, rig.catalog);
    must(tm_space_plan(&options, NULL, 0, &plan, &err), &err);
    print(&rig, "live", "packs_to_merge", plan.packs_to_merge);
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
    const char *step = argc > 2 ? argv[1] : "";
    if (argc == 7 && strcmp(step, "make") == 0) {
        make(argv[2], number(argv[3]), number(argv[4]), number(argv[5]), number(argv[6]) == 1);
    } else if (argc == 3 && strcmp(step, "fold") == 0) {
        fold_log(argv[2]);
    } else if (argc == 3 && strcmp(step, "points") == 0) {
        list_points(argv[2], "points", 100);
    } else if (argc == 3 && strcmp(step, "all-points") == 0) {
        list_points(argv[2], "all-points", 1000000);
    } else if (argc == 3 && strcmp(step, "retention") == 0) {
        plan_retention(argv[2]);
    } else if (argc == 3 && strcmp(step, "live") == 0) {
        plan_space(argv[2]);
    } else {
        (void)fputs("usage: scale make|fold|points|all-points|retention|live DIR ... (scale.c)\n",
                stderr);
        return 2;
    }
    return EXIT_SUCCESS;
}
