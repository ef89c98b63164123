/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model - a random walk of the commit protocol and of freeing space, on the real code.
 *
 *   model [--seed N] [--trials N] [--without fence|post-check|recheck]
 *
 * Three daemons over one vault in memory; up to six writers, repairers, expirers, mergers, sweepers, collectors and writers of
 * fulls at a time, stopped at every operation of the store and taken up in an order that the seed decides,
 * some of them days later; killed anywhere; answers lost. What must hold is in checks.h. Seeds count up
 * from N; a violation is told with its seed. With a safeguard switched off a violation must be found.
 */
#include <stdio.h>

#include "base/text.h"
#include "checks.h"
#include "repairer.h"

enum { STEPS = 260, ACTORS_MAX = 6, CHECK_EACH = 65, FIRST_HOURS = 24 };

static const uint8_t key_file[TM_KEY_FILE_BYTES] = {1, 2, 3};

/* Randomness of the vault's own (libsodium): from the seed, so that a trial can be repeated. -------- */

struct random_source { /* as libsodium declares it */
    const char *(*name)(void);
    uint32_t (*number)(void);
    void (*stir)(void);
    uint32_t (*uniform)(uint32_t upper);
    void (*bytes)(void *out, size_t len);
    int (*close)(void);
};
extern int randombytes_set_implementation(struct random_source *source);

static uint64_t noise;

static uint32_t noise_number(void)
{
    noise += UINT64_C(0x9e3779b97f4a7c15); /* SplitMix64 */
    uint64_t z = noise;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) >> 16);
}

static void noise_bytes(void *out, size_t len)
{
    uint8_t *at = out;
    for (size_t i = 0; i < len; i++) {
        at[i] = (uint8_t)noise_number();
    }
}

static const char *noise_name(void)
{
    return "model";
}

static struct random_source noise_source = {.name = noise_name,
        .number = noise_number,
        .bytes = noise_bytes};

/* Making ------------------------------------------------------------------------------------ */

static void must(enum tm_code code, const struct tm_err *err)
{
    if (code != TM_OK) {
        (void)fprintf(stderr, "model: %s\n", err->msg);
        abort();
    }
}

static void open_daemon(struct daemon *daemon, struct tm_store *store)
{
    struct tm_secret key = {TM_SECRET_KEY_FILE, {key_file, sizeof(key_file)}};
    struct tm_err err = {0};
    daemon->store = store;
    must(tm_vault_open(store, &key, "host/model", &daemon->vault, &err), &err);
    tm_vault_set_clock(daemon->vault, world_ns);
    tm_vault_set_wall(daemon->vault, world_ms);
    tm_vault_set_retry_ms(daemon->vault, 0);
    must(tm_catalog_open(":memory:", &daemon->catalog, &err), &err);
    daemon->fold = tm_catalog_fold(daemon->catalog);
}

static void close_daemon(struct daemon *daemon)
{
    tm_catalog_close(daemon->catalog);
    tm_vault_close(daemon->vault);
    tm_store_free(daemon->store);
}

static void copy_objects(const struct mem_objects *from, struct mem_objects *to)
{
    mem_objects_done(to);
    for (size_t i = 0; i < from->list.count; i++) {
        const struct mem_object *object = &from->list.at[i];
        mem_add(to, object->name, object->at, object->len);
    }
}

/* One vault for all trials: they begin with its objects, and with folds that are empty. */
static void make_world(void)
{
    struct tm_err err = {0};
    struct tm_secret key = {TM_SECRET_KEY_FILE, {key_file, sizeof(key_file)}};
    struct tm_vault_params params = {.blocks = tm_block_params_default};
    world.objects.now_ms = world.history.now_ms = world.base.now_ms = world_ms;
    world.now_ms = INT64_C(1700000000000);
    struct tm_store *store = mem_store_new(&world.base);
    must(tm_vault_init(store, &key, &params, &err), &err);
    tm_store_free(store);
    copy_objects(&world.base, &world.objects);
    copy_objects(&world.base, &world.history);
    for (int i = 0; i < DAEMONS; i++) {
        open_daemon(&world.daemons[i], stage_store_new(&world.objects, &world.history));
    }
    open_daemon(&world.fresh, mem_store_new(&world.objects));
    open_daemon(&world.follower, mem_store_new(&world.history));
}

static void forget(struct daemon *daemon)
{
    struct tm_err err = {0};
    tm_vault_doubt(daemon->vault);
    must(daemon->fold.ops->reset(daemon->fold.self, &err), &err);
}

static void clear_lists(void)
{
    tm_vec_done(&world.acked_points);
    tm_vec_done(&world.expiring);
    for (int i = 0; i < REPEATED; i++) {
        tm_vec_done(&world.holders[i]);
    }
}

static void begin_trial(uint64_t seed)
{
    dice = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    noise = ~seed;
    world.now_ms = INT64_C(1700000000000);
    copy_objects(&world.base, &world.objects);
    copy_objects(&world.base, &world.history);
    for (int i = 0; i < DAEMONS; i++) {
        forget(&world.daemons[i]);
    }
    forget(&world.fresh);
    forget(&world.follower);
    clear_lists();
    memset(world.log_start, 0, sizeof(world.log_start));
    memset(world.end, 0, sizeof(world.end));
    memset(world.acked, 0, sizeof(world.acked));
    world.ulids = 0;
    world.violation[0] = '\0';
    world.mix = (enum mix)(seed % MIXES);
}

/* Walking ----------------------------------------------------------------------------------- */

static struct actor *cast[ACTORS_MAX];
static int cast_count;

static void leave(int index)
{
    world.daemons[cast[index]->daemon].busy--;
    actor_free(cast[index]);
    for (int i = index; i + 1 < cast_count; i++) {
        cast[i] = cast[i + 1];
    }
    cast_count--;
}

static void finish(int index)
{
    while (!cast[index]->done) {
        actor_step(cast[index]);
    }
    leave(index);
}

static void enter(void)
{
    uint32_t throw = below(100);
    int daemon = (int)below(DAEMONS);
    if (world.daemons[daemon].busy == 0 && below(12) == 0) {
        forget(&world.daemons[daemon]); /* another host, or a catalog that was deleted */
    }
    static const struct {
        uint32_t writer;
        uint32_t expirer;
        uint32_t spacer;
    } bounds[MIXES] = {
            [MIX_EVEN] = {52, 66, 93},
            [MIX_LOG] = {48, 52, 76},
            [MIX_MERGE] = {50, 62, 96},
            [MIX_SWEEP] = {50, 64, 96},
    };
    void (*play)(struct actor *) = throw < 4                           ? play_repairer
                                   : throw < bounds[world.mix].writer  ? play_writer
                                   : throw < bounds[world.mix].expirer ? play_expirer
                                   : throw < bounds[world.mix].spacer  ? play_spacer
                                                                       : play_fuller;
    world.daemons[daemon].busy++;
    cast[cast_count++] = actor_start(play, NULL, daemon);
}

static void pass_time(void)
{
    uint32_t throw = below(100);
    world.now_ms += throw < 70 ? 1000 * below(600)
                    : throw < (world.mix == MIX_LOG ? 90 : 95)
                            ? 1000 * below(3600)
                            : INT64_C(3600000) * below(FIRST_HOURS);
    if (below(5) < 2) {
        world.end[below(PARTS)] += 1 + below(4);
    }
    int p = (int)below(PARTS);
    if (below(10) == 0 && world.log_start[p] < world.end[p]) {
        world.log_start[p] += below((uint32_t)(world.end[p] - world.log_start[p]));
    }
}

static void step(void)
{
    pass_time();
    if (cast_count < ACTORS_MAX && below(2) == 0) {
        enter();
    }
    if (cast_count == 0) {
        return;
    }
    int recent = cast_count < 3 ? cast_count : 3;
    int chosen = below(100) < 96 ? cast_count - 1 - (int)below((uint32_t)recent) : 0;
    if (below(100) < 2) {
        cast[chosen]->killed = true; /* nothing it does from here on is seen by anybody */
        finish(chosen);
        return;
    }
    actor_step(cast[chosen]);
    if (cast[chosen]->done) {
        leave(chosen);
    }
}

static bool trial(uint64_t seed)
{
    begin_trial(seed);
    for (int i = 1; i <= STEPS && world.violation[0] == '\0'; i++) {
        step();
        if (i % CHECK_EACH == 0) {
            check_world(false);
        }
    }
    while (cast_count > 0) { /* some come to their end, some never do */
        cast[0]->killed = world.violation[0] != '\0' || below(2) == 0;
        finish(0);
    }
    if (world.violation[0] == '\0') {
        check_world(seed % 8 < 2);
    }
    return world.violation[0] == '\0';
}

/* Running ----------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    const char *faults;
} safeguards[] = {
        {"fence", "space.sweep.unannounced:fail"},
        {"post-check", "vault.commit.unchecked:fail"},
        {"recheck", "vault.commit.unseen:fail"},
};

static bool switch_off(const char *name)
{
    for (size_t i = 0; i < sizeof(safeguards) / sizeof(safeguards[0]); i++) {
        if (strcmp(safeguards[i].name, name) == 0) {
            return setenv("TM_FAULTS", safeguards[i].faults, 1) == 0;
        }
    }
    return false;
}

struct arguments {
    int64_t seed;
    int64_t trials;
    const char *without;
};

static bool parse(int argc, char **argv, struct arguments *out)
{
    struct tm_err err = {0};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0 &&
                tm_parse_i64(argv[i + 1], &out->seed, &err) == TM_OK) {
            continue;
        }
        if (strcmp(argv[i], "--trials") == 0 &&
                tm_parse_i64(argv[i + 1], &out->trials, &err) == TM_OK) {
            continue;
        }
        if (strcmp(argv[i], "--without") == 0 && switch_off(argv[i + 1])) {
            out->without = argv[i + 1];
            continue;
        }
        return false;
    }
    return argc % 2 == 1;
}

static int tell(const struct arguments *arguments, int64_t trials, int64_t found)
{
    (void)printf(
            "%d trials: %d commits, %d packs merged into, %d objects swept, %d log entries removed,"
            " %d repairs, %d conflicts, %d violations\n",
            (int)trials, (int)world.commits, (int)world.merges, (int)world.sweeps,
            (int)world.log_removed, (int)world.repairs, (int)world.conflicts, (int)found);
    bool negative = arguments->without != NULL;
    int64_t failed = negative ? (found == 0 ? 1 : 0) : found;
    int checks = negative ? 1 : (int)trials; /* as Check says it, for tests/run */
    (void)printf("%d%%: Checks: %d, Failures: %d, Errors: 0\n",
            (int)(100 * (checks - failed) / checks), checks, (int)failed);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.seed = 1, .trials = 100};
    if (!parse(argc, argv, &arguments)) {
        (void)fprintf(stderr,
                "usage: model [--seed N] [--trials N] [--without fence|post-check|recheck]\n");
        return 2;
    }
#ifndef TM_FAULT_POINTS
    if (arguments.without != NULL) {
        (void)printf("cannot run: built without fault points\n");
        return 77;
    }
#endif
    tm_codec_init();
    (void)randombytes_set_implementation(&noise_source);
    (void)sem_init(&turn, 0, 0);
    make_world();
    /* What the look back is for comes with log GC: from seed 1 on, every fourth is rich in that. */
    bool sparse = arguments.without != NULL && strcmp(arguments.without, "post-check") == 0;
    int64_t stride = sparse ? MIXES : 1;
    int64_t found = 0;
    int64_t done = 0;
    while (done < arguments.trials && (found == 0 || (arguments.without == NULL && found < 3))) {
        uint64_t seed = (uint64_t)(arguments.seed + done * stride);
        done++;
        if (!trial(seed)) {
            found++;
            (void)printf("seed %d: %s\n", (int)seed, world.violation);
        }
    }
    clear_lists();
    for (int i = 0; i < DAEMONS; i++) {
        close_daemon(&world.daemons[i]);
    }
    close_daemon(&world.fresh);
    close_daemon(&world.follower);
    mem_objects_done(&world.objects);
    mem_objects_done(&world.history);
    mem_objects_done(&world.base);
    return tell(&arguments, done, found);
}
