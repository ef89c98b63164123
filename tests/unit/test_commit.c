/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/vault/commit: who wins a race, lost answers, holes in the log, and a random walk. */
#include "base/clock.h"
#include "fold_double.h"
#include "vault_rig.h"

enum { LENGTH_MAX = 9 };

static struct vault_rig rig;
static int64_t world_ns; /* the vaults' clock */

static int64_t world_now(void)
{
    return world_ns;
}

/* Someone with a vault handle and a fold. */
struct actor {
    struct tm_store *store;
    struct tm_vault *vault;
    struct fold_double fold;
    struct tm_fold table;
    bool busy; /* within a call */
};

static void actor_make(struct actor *actor, tm_store_fault_hook hook, void *arg)
{
    *actor = (struct actor){.fold.state.empty = true};
    actor->table = fold_double_of(&actor->fold);
    actor->store = tm_store_fault_new(rig_open_store(rig.dir), hook, arg);
    actor->vault = rig_open_vault(rig.store); /* without faults, */
    tm_vault_close(actor->vault);
    actor->vault = rig_open_vault(actor->store);
    tm_vault_set_clock(actor->vault, world_now);
    tm_vault_set_retry_ms(actor->vault, 1000);
}

static void actor_drop(struct actor *actor)
{
    tm_vault_close(actor->vault);
    tm_store_free(actor->store);
    fold_double_clear(&actor->fold);
}

static void setup(void)
{
    world_ns = 1;
    rig_make(&rig);
    rig_init_vault(rig.store);
}

static void teardown(void)
{
    rig_drop(&rig);
}

/* A commit of one run: [first, first + length) of a partition, in a pack of its own. */
struct plan {
    const struct fold_double *fold;
    struct tm_hash pack;
    int32_t partition;
    int64_t first;
    int64_t length;
    int builds;
};

static struct plan plan_for(const struct actor *actor, int32_t partition, int64_t length)
{
    struct plan plan = {
            .fold = &actor->fold,
            .partition = partition,
            .first = actor->fold.next[partition],
            .length = length,
    };
    tm_random(&plan.pack, sizeof(plan.pack));
    return plan;
}

static enum tm_code build_run(void *arg, struct tm_edits *out, struct tm_err *err)
{
    struct plan *plan = arg;
    plan->builds++;
    if (plan->fold->next[plan->partition] != plan->first) {
        return tm_err_set(err, TM_E_CONFLICT, "partition %d moved on", (int)plan->partition);
    }
    struct tm_run *run = tm_arena_alloc(&out->arena, 1, sizeof(*run));
    *run = (struct tm_run){
            .stream = 1,
            .partition = plan->partition,
            .first = plan->first,
            .length = plan->length,
            .count = 1,
            .bytes = 10,
            .largest = 10,
    };
    *tm_vec_push(&out->packs) = (struct tm_row_pack){
            .name = plan->pack,
            .size = 1000,
            .runs = run,
            .run_count = 1,
    };
    *tm_vec_push(&out->tails) = (struct tm_row_tail){
            .stream = 1,
            .partition = plan->partition,
            .next = plan->first + plan->length,
            .leader_epoch = -1,
    };
    return TM_OK;
}

static enum tm_code commit(struct actor *actor, struct plan *plan, struct tm_err *err)
{
    return tm_vault_commit(actor->vault, &actor->table, build_run, plan, NULL, err);
}

static void commit_one(struct actor *actor, int32_t partition)
{
    struct plan plan = plan_for(actor, partition, 1);
    ck_assert_tm_ok(commit(actor, &plan, &err));
}

static void remove_below(uint64_t seq)
{
    for (uint64_t i = 0; i < seq; i++) {
        char name[TM_OBJECT_NAME_MAX];
        tm_log_name(i, name);
        ck_assert_tm_ok(tm_store_remove(rig.store, name, &err));
    }
}

/* The fold of the log by someone who comes fresh, without faults. */
static void fold_fresh(struct fold_double *fold)
{
    *fold = (struct fold_double){.state.empty = true};
    struct tm_fold table = fold_double_of(fold);
    TM_OWN(tm_vault_close) struct tm_vault *vault = rig_open_vault(rig.store);
    ck_assert_tm_ok(tm_vault_refresh(vault, &table, &err));
}

static bool holds(const struct fold_double *fold, const struct plan *plan)
{
    size_t found = 0;
    for (size_t i = 0; i < fold->packs.count; i++) {
        const struct tm_row_pack *pack = &fold->packs.at[i];
        if (tm_hash_eq(&pack->name, &plan->pack)) {
            ck_assert_int_eq(pack->runs[0].first, plan->first);
            ck_assert_int_eq(pack->runs[0].partition, plan->partition);
            found++;
        }
    }
    ck_assert_uint_le(found, 1);
    return found == 1;
}

/* Every offset below a watermark is in one run. */
static void check_runs(const struct fold_double *fold, int seed)
{
    size_t used = 0;
    for (int32_t partition = 0; partition < FOLD_DOUBLE_PARTITIONS; partition++) {
        int64_t next = 0;
        for (size_t i = 0; i < fold->packs.count;) {
            const struct tm_run *run = &fold->packs.at[i++].runs[0];
            if (run->partition == partition && run->first == next) {
                next += run->length;
                used++;
                i = 0; /* packs lie in the order of their names */
            }
        }
        ck_assert_msg(next == fold->next[partition], "seed %d: partition %d has a hole at %" PRId64,
                seed, (int)partition, next);
    }
    ck_assert_msg(used == fold->packs.count, "seed %d: a run is there twice", seed);
}

/* Single cases ----------------------------------------------------------------------------- */

/* A hook that does one thing at one object. */
struct trap {
    enum tm_store_op op;
    const char *name;
    enum tm_store_fault fault;
    int times; /* -1: each time */
    void (*meanwhile)(struct actor *other);
    struct actor *other;
};

static enum tm_store_fault spring(void *arg, enum tm_store_op op, const char *name, uint64_t count)
{
    (void)count;
    struct trap *trap = arg;
    if (trap->times == 0 || op != trap->op || strcmp(name, trap->name) != 0) {
        return TM_FAULT_NONE;
    }
    trap->times -= trap->times > 0 ? 1 : 0;
    if (trap->meanwhile != NULL) {
        trap->meanwhile(trap->other);
    }
    return trap->fault;
}

START_TEST(a_commit_is_an_entry_behind_the_head)
{
    struct actor actor;
    actor_make(&actor, NULL, NULL);
    int64_t before_ms = tm_now_ms();
    struct plan plan = plan_for(&actor, 0, 5);
    struct tm_head head;
    ck_assert_tm_ok(tm_vault_commit(actor.vault, &actor.table, build_run, &plan, &head, &err));
    ck_assert_uint_eq(head.seq, 1);
    ck_assert(tm_hash_eq(&head.hash, &actor.fold.state.head.hash));

    TM_BUF_OWN struct tm_buf object = {0};
    ck_assert_tm_ok(tm_store_get(rig.store, "log/0000000000000001", 1 << 20, &object, &err));
    struct tm_entry_place place;
    struct tm_edits edits = {0};
    ck_assert_tm_ok(tm_entry_decode(tm_buf_slice(&object), 1, tm_vault_id(actor.vault),
            tm_vault_ring(actor.vault), &place, &edits, &err));
    ck_assert_uint_eq(place.back, 1);
    ck_assert(tm_slice_is(edits.writer, "host/test"));
    ck_assert_int_ge(edits.time_ms, before_ms);
    ck_assert_int_le(edits.time_ms, tm_now_ms());
    ck_assert_uint_eq(edits.packs.count, 1);
    tm_edits_done(&edits);
    actor_drop(&actor);
}
END_TEST

/* What can go wrong with the create of log/1, and with the look at log/0 behind it. */
static const struct {
    const char *why;
    enum tm_store_op op;
    const char *name;
    enum tm_store_fault fault;
    int times;
    enum tm_code code;
    bool there; /* in the log afterwards */
} troubles[] = {
        {"lost answer", TM_OP_CREATE, "log/0000000000000001", TM_FAULT_LOST_ACK, 1, TM_OK, true},
        {"lost answers", TM_OP_CREATE, "log/0000000000000001", TM_FAULT_LOST_ACK, 3, TM_OK, true},
        {"failure", TM_OP_CREATE, "log/0000000000000001", TM_FAULT_IO, 2, TM_OK, true},
        {"failures", TM_OP_CREATE, "log/0000000000000001", TM_FAULT_IO, -1, TM_E_UNKNOWN, false},
        {"full", TM_OP_CREATE, "log/0000000000000001", TM_FAULT_FULL, 1, TM_E_FULL, false},
        {"check fails", TM_OP_GET, "log/0000000000000000", TM_FAULT_IO, 1, TM_OK, true},
        {"check fails on", TM_OP_GET, "log/0000000000000000", TM_FAULT_IO, -1, TM_E_UNKNOWN, true},
        {"check is damaged", TM_OP_GET, "log/0000000000000000", TM_FAULT_FLIP, 1, TM_OK, true},
};

START_TEST(an_entry_that_breaks_a_rule_is_never_written)
{
    struct actor actor;
    actor_make(&actor, NULL, NULL);
    actor.fold.refuse_checks = true;
    struct plan plan = plan_for(&actor, 0, 5);
    struct tm_err why = {0};
    ck_assert_int_eq(commit(&actor, &plan, &why), TM_E_CORRUPT);
    ck_assert_str_eq(why.msg, "log/0000000000000001: not written: breaks a rule");
    struct tm_object_info info;
    struct tm_err gone = {0};
    ck_assert_int_eq(tm_store_stat(rig.store, "log/0000000000000001", &info, &gone), TM_E_MISSING);
    actor_drop(&actor);
}
END_TEST

START_TEST(troubles_of_a_create_are_told_apart)
{
    struct trap trap = {.op = troubles[_i].op, .name = troubles[_i].name};
    struct actor actor;
    actor_make(&actor, spring, &trap);
    tm_vault_set_retry_ms(actor.vault, troubles[_i].times < 0 ? 30 : 1000);
    ck_assert_tm_ok(tm_vault_refresh(actor.vault, &actor.table, &err));
    trap.fault = troubles[_i].fault;
    trap.times = troubles[_i].times;

    struct plan plan = plan_for(&actor, 0, 5);
    struct tm_err trouble = {0};
    enum tm_code code = commit(&actor, &plan, &trouble);
    ck_assert_msg(code == troubles[_i].code, "%s: %s", troubles[_i].why, trouble.msg);
    ck_assert_int_eq(plan.builds, 1);

    /* The next look decides. */
    trap.times = 0;
    struct fold_double fresh;
    fold_fresh(&fresh);
    ck_assert_msg(holds(&fresh, &plan) == troubles[_i].there, "%s", troubles[_i].why);
    ck_assert_tm_ok(tm_vault_refresh(actor.vault, &actor.table, &err));
    ck_assert_uint_eq(actor.fold.state.head.seq, troubles[_i].there ? 1 : 0);
    fold_double_clear(&fresh);
    actor_drop(&actor);
}
END_TEST

static void commit_to_1(struct actor *other)
{
    commit_one(other, 1);
}

static void commit_to_0(struct actor *other)
{
    commit_one(other, 0);
}

START_TEST(who_loses_the_race_builds_anew_on_the_winner)
{
    struct actor other;
    actor_make(&other, NULL, NULL);
    struct trap trap = {
            TM_OP_CREATE, "log/0000000000000001", TM_FAULT_NONE, 1, commit_to_1, &other};
    struct actor actor;
    actor_make(&actor, spring, &trap);
    struct plan plan = plan_for(&actor, 0, 5);
    ck_assert_tm_ok(commit(&actor, &plan, &err));
    ck_assert_int_eq(plan.builds, 2);
    ck_assert_uint_eq(actor.fold.state.head.seq, 2);
    ck_assert_int_eq(actor.fold.next[0], 5);
    ck_assert_int_eq(actor.fold.next[1], 1);
    actor_drop(&actor);
    actor_drop(&other);
}
END_TEST

START_TEST(who_finds_its_ranges_taken_gives_up)
{
    struct actor other;
    actor_make(&other, NULL, NULL);
    struct trap trap = {
            TM_OP_CREATE, "log/0000000000000001", TM_FAULT_NONE, 1, commit_to_0, &other};
    struct actor actor;
    actor_make(&actor, spring, &trap);
    struct plan plan = plan_for(&actor, 0, 5);
    struct tm_err err = {0};
    ck_assert_int_eq(commit(&actor, &plan, &err), TM_E_CONFLICT);
    ck_assert_str_eq(err.msg, "partition 0 moved on");
    ck_assert_int_eq(plan.builds, 2);
    ck_assert_int_eq(actor.fold.next[0], 1); /* the winner's */
    actor_drop(&actor);
    actor_drop(&other);
}
END_TEST

/* A week passes: others commit, write a full, and log GC takes what is below it. */
static void a_week(struct actor *other)
{
    commit_one(other, 1);
    commit_one(other, 1);
    ck_assert_tm_ok(tm_log_write_full(other->vault, &other->table, &err));
    commit_one(other, 1);
    world_ns += INT64_C(8) * 24 * 3600 * 1000000000;
    remove_below(other->fold.state.full_seq);
}

START_TEST(an_entry_written_into_a_hole_is_not_committed)
{
    struct actor other;
    actor_make(&other, NULL, NULL);
    struct trap trap = {TM_OP_CREATE, "log/0000000000000001", TM_FAULT_NONE, 1, a_week, &other};
    struct actor actor;
    actor_make(&actor, spring, &trap);
    struct plan plan = plan_for(&actor, 0, 5);
    ck_assert_tm_ok(commit(&actor, &plan, &err));
    ck_assert_int_eq(plan.builds, 2);
    ck_assert_int_eq(actor.fold.resets, 1);

    struct fold_double fresh;
    fold_fresh(&fresh);
    ck_assert(holds(&fresh, &plan));
    ck_assert_uint_eq(fresh.state.head.seq, actor.fold.state.head.seq);
    ck_assert_uint_eq(fresh.state.head.seq, 5);
    fold_double_clear(&fresh);
    actor_drop(&actor);
    actor_drop(&other);
}
END_TEST

/* The bytes of a log/1 that was not to be, as a sleeper may still write them. */
static void take_log_1(struct tm_buf *out)
{
    struct actor sleeper;
    actor_make(&sleeper, NULL, NULL);
    commit_one(&sleeper, 0);
    ck_assert_tm_ok(tm_store_get(rig.store, "log/0000000000000001", 1 << 20, out, &err));
    ck_assert_tm_ok(tm_store_remove(rig.store, "log/0000000000000001", &err));
    actor_drop(&sleeper);
}

static struct tm_buf sleepers;

/* As above, and another sleeper puts its stale entry before the number in question. */
static void a_week_and_a_sleeper(struct actor *other)
{
    a_week(other);
    ck_assert_tm_ok(
            tm_store_create(rig.store, "log/0000000000000001", tm_buf_slice(&sleepers), &err));
}

START_TEST(a_stale_predecessor_is_told_by_its_hash)
{
    take_log_1(&sleepers);
    struct actor other;
    actor_make(&other, NULL, NULL);
    commit_one(&other, 1); /* log/1 */
    struct trap trap = {
            TM_OP_CREATE, "log/0000000000000002", TM_FAULT_NONE, 1, a_week_and_a_sleeper, &other};
    struct actor actor;
    actor_make(&actor, spring, &trap);
    struct plan plan = plan_for(&actor, 0, 5);
    ck_assert_tm_ok(commit(&actor, &plan, &err));
    ck_assert_int_eq(plan.builds, 2);

    struct fold_double fresh;
    fold_fresh(&fresh);
    ck_assert(holds(&fresh, &plan));
    fold_double_clear(&fresh);
    actor_drop(&actor);
    actor_drop(&other);
    tm_buf_done(&sleepers);
}
END_TEST

/*
 * A fold a week behind, and a sleeper's entry that follows its head: genuine bytes, in a hole. The
 * head itself is gone, so it is not the entry that was first written there.
 */
START_TEST(a_stale_successor_is_not_folded)
{
    struct actor behind;
    actor_make(&behind, NULL, NULL);
    ck_assert_tm_ok(tm_vault_refresh(behind.vault, &behind.table, &err)); /* log/0 */
    take_log_1(&sleepers);
    struct actor other;
    actor_make(&other, NULL, NULL);
    a_week_and_a_sleeper(&other);
    ck_assert_tm_ok(tm_vault_refresh(behind.vault, &behind.table, &err));
    ck_assert_int_eq(behind.fold.next[0], 0);
    ck_assert_int_eq(behind.fold.next[1], 3);
    actor_drop(&behind);
    actor_drop(&other);
    tm_buf_done(&sleepers);
}
END_TEST

START_TEST(a_full_follows_when_the_deltas_have_grown)
{
    struct actor actor;
    actor_make(&actor, NULL, NULL);
    commit_one(&actor, 0);
    ck_assert_uint_eq(actor.fold.state.full_seq, 0);
    if (_i == 0) {
        actor.fold.state.delta_bytes = (1 << 20) + 1;
        commit_one(&actor, 0); /* log/2, and log/3 is the full */
    } else {
        for (int i = 0; i < 1023; i++) {
            ck_assert_uint_eq(actor.fold.state.full_seq, 0);
            commit_one(&actor, 0);
        }
    }
    uint64_t full_seq = _i == 0 ? 3 : 1025;
    ck_assert_uint_eq(actor.fold.state.full_seq, full_seq);
    ck_assert_uint_eq(actor.fold.state.delta_bytes, 0);

    remove_below(full_seq);
    struct fold_double fresh;
    fold_fresh(&fresh);
    ck_assert_int_eq(fresh.applied, 1);
    ck_assert_int_eq(fresh.next[0], actor.fold.next[0]);
    ck_assert_uint_eq(fresh.packs.count, actor.fold.packs.count);
    fold_double_clear(&fresh);
    actor_drop(&actor);
}
END_TEST

START_TEST(a_full_that_fails_does_not_undo_the_commit)
{
    struct trap trap = {TM_OP_CREATE, "log/0000000000000002", TM_FAULT_FULL, -1, NULL, NULL};
    struct actor actor;
    actor_make(&actor, spring, &trap);
    ck_assert_tm_ok(tm_vault_refresh(actor.vault, &actor.table, &err));
    actor.fold.state.delta_bytes = (1 << 20) + 1;
    struct plan plan = plan_for(&actor, 0, 5);
    struct tm_head head;
    ck_assert_tm_ok(tm_vault_commit(actor.vault, &actor.table, build_run, &plan, &head, &err));
    ck_assert_uint_eq(head.seq, 1);
    ck_assert_uint_eq(actor.fold.state.head.seq, 1);
    ck_assert_uint_eq(actor.fold.state.full_seq, 0);
    actor_drop(&actor);
}
END_TEST

/* Random walk ------------------------------------------------------------------------------ */

enum { ACTORS = 4, STEPS = 40, DEEPEST = 3 };

/*
 * Actors commit, write fulls, run log GC and are interrupted at any operation on the store by one
 * another; answers are lost, operations fail, bytes flip, a week may pass between any two of them.
 * What was acknowledged must be in the log once, and nothing twice.
 */
struct world {
    uint64_t random;
    int seed;
    int depth;
    bool calm; /* no more faults */
    struct actor actors[ACTORS];
    TM_VEC(struct plan) acked;
    const struct tm_store_ops *real; /* of a faulty store, */
    struct tm_store_ops ops;         /* and with interruptions */
};

static struct world world;

static bool chance(uint32_t percent)
{
    return rig_below(&world.random, 100) < percent;
}

static bool may_happen(enum tm_code code)
{
    return code == TM_OK || code == TM_E_CONFLICT || code == TM_E_BUSY || code == TM_E_UNKNOWN ||
           code == TM_E_IO || code == TM_E_CORRUPT ||
           code == TM_E_ROLLED_BACK; /* when the head itself came with a flipped bit */
}

static void walk_commit(struct actor *actor)
{
    int32_t partition = (int32_t)rig_below(&world.random, 3);
    int64_t length = 1 + (int64_t)rig_below(&world.random, LENGTH_MAX);
    struct plan plan = plan_for(actor, partition, length);
    struct tm_err err = {0};
    enum tm_code code = commit(actor, &plan, &err);
    ck_assert_msg(may_happen(code), "seed %d: %s", world.seed, err.msg);
    if (code == TM_OK) {
        *tm_vec_push(&world.acked) = plan;
    }
}

typedef TM_VEC(uint64_t) seq_list;

static enum tm_code add_entry(
        void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err)
{
    (void)info;
    (void)err;
    uint64_t seq;
    ck_assert(tm_log_parse_name(name, "log", &seq));
    seq_list *seqs = arg;
    *tm_vec_push(seqs) = seq;
    return TM_OK;
}

/* A week passes; entries below what was the newest full go, oldest first; maybe not all of them. */
static void walk_gc(void)
{
    struct fold_double fold;
    fold_fresh(&fold);
    world_ns += INT64_C(8) * 24 * 3600 * 1000000000;
    seq_list seqs = {0};
    ck_assert_tm_ok(tm_store_list(rig.store, "log/", add_entry, &seqs, &err));
    for (size_t i = 0; i < seqs.count && seqs.at[i] < fold.state.full_seq && !chance(5); i++) {
        char name[TM_OBJECT_NAME_MAX];
        tm_log_name(seqs.at[i], name);
        ck_assert_tm_ok(tm_store_remove(rig.store, name, &err));
    }
    tm_vec_done(&seqs);
    fold_double_clear(&fold);
}

static void walk_step(void)
{
    struct actor *actor = &world.actors[rig_below(&world.random, ACTORS)];
    if (actor->busy) {
        return;
    }
    world_ns += INT64_C(60) * 1000000000;
    actor->busy = true;
    world.depth++;
    struct tm_err err = {0};
    enum tm_code code = TM_OK;
    uint32_t what = rig_below(&world.random, 100);
    if (what < 65) {
        walk_commit(actor);
    } else if (what < 80) {
        code = tm_vault_refresh(actor->vault, &actor->table, &err);
    } else if (what < 90) {
        code = actor->fold.state.empty ? TM_OK
                                       : tm_log_write_full(actor->vault, &actor->table, &err);
    } else {
        walk_gc();
    }
    ck_assert_msg(may_happen(code), "seed %d: %s", world.seed, err.msg);
    world.depth--;
    actor->busy = false;
}

static enum tm_store_fault walk_hook(
        void *arg, enum tm_store_op op, const char *name, uint64_t count)
{
    (void)arg;
    (void)name;
    (void)count;
    if (world.calm) {
        return TM_FAULT_NONE;
    }
    if (op == TM_OP_CREATE && chance(15)) {
        return TM_FAULT_LOST_ACK;
    }
    if (op == TM_OP_GET && chance(2)) {
        return TM_FAULT_FLIP;
    }
    return chance(3) ? TM_FAULT_IO : TM_FAULT_NONE;
}

/* Let others act before an operation. Not from the hook: that one runs under its store's lock. */
static void interrupt(uint32_t percent)
{
    while (!world.calm && world.depth < DEEPEST && chance(percent)) {
        walk_step();
    }
}

static enum tm_code walk_get(struct tm_store *store, const char *name, size_t max_bytes,
        struct tm_buf *out, struct tm_err *err)
{
    interrupt(10);
    return world.real->get(store, name, max_bytes, out, err);
}

static enum tm_code walk_create(
        struct tm_store *store, const char *name, struct tm_slice bytes, struct tm_err *err)
{
    interrupt(40);
    return world.real->create(store, name, bytes, err);
}

static enum tm_code walk_list(struct tm_store *store, const char *prefix,
        enum tm_code (*each)(
                void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err),
        void *arg, struct tm_err *err)
{
    interrupt(10);
    return world.real->list(store, prefix, each, arg, err);
}

static void make_interruptible(struct tm_store *store)
{
    world.real = store->ops; /* the same table for all of them */
    world.ops = *store->ops;
    world.ops.get = walk_get;
    world.ops.create = walk_create;
    world.ops.list = walk_list;
    store->ops = &world.ops;
}

static void check_world(void)
{
    world.calm = true;
    struct fold_double fresh;
    fold_fresh(&fresh);
    check_runs(&fresh, world.seed);
    for (size_t i = 0; i < world.acked.count; i++) {
        ck_assert_msg(holds(&fresh, &world.acked.at[i]), "seed %d: an acknowledged commit is lost",
                world.seed);
    }
    for (size_t i = 0; i < ACTORS; i++) {
        struct actor *actor = &world.actors[i];
        struct tm_err err = {0};
        ck_assert_msg(tm_vault_refresh(actor->vault, &actor->table, &err) == TM_OK, "seed %d: %s",
                world.seed, err.msg);
        ck_assert_msg(memcmp(actor->fold.next, fresh.next, sizeof(fresh.next)) == 0,
                "seed %d: two folds of one log differ", world.seed);
    }
    fold_double_clear(&fresh);
}

START_TEST(an_acknowledged_commit_is_in_the_log_once)
{
    world = (struct world){.seed = _i, .random = (uint64_t)_i, .calm = true};
    for (size_t i = 0; i < ACTORS; i++) {
        actor_make(&world.actors[i], walk_hook, NULL);
        tm_vault_set_retry_ms(world.actors[i].vault, _i % 8 == 0 ? 15 : 0);
    }
    for (size_t i = 0; i < ACTORS; i++) {
        make_interruptible(world.actors[i].store);
    }
    world.calm = false;
    for (int step = 0; step < STEPS; step++) {
        walk_step();
    }
    check_world();
    ck_assert_uint_gt(world.acked.count, 0);
    tm_vec_done(&world.acked);
    for (size_t i = 0; i < ACTORS; i++) {
        actor_drop(&world.actors[i]);
    }
}
END_TEST

START_TEST(a_pack_that_waited_a_day_for_its_entry_is_given_up)
{
    static const int64_t day_ns = INT64_C(24) * 3600 * 1000 * 1000 * 1000;
    struct actor actor;
    actor_make(&actor, NULL, NULL);
    commit_one(&actor, 0);
    struct plan plan = plan_for(&actor, 0, 1);
    tm_vault_note_put(actor.vault, &plan.pack, world_ns);
    world_ns += day_ns + 1;
    struct tm_err why = {0};
    ck_assert_int_eq(commit(&actor, &plan, &why), TM_E_CONFLICT);
    ck_assert_ptr_nonnull(strstr(why.msg, ": stored more than 24 h ago and not committed since"));

    struct plan late = plan_for(&actor, 0, 1);
    tm_vault_note_put(actor.vault, &late.pack, world_ns);
    world_ns += day_ns;
    ck_assert_tm_ok(commit(&actor, &late, &err));
    actor_drop(&actor);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("commit");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_commit_is_an_entry_behind_the_head);
    tcase_add_test(tcase, an_entry_that_breaks_a_rule_is_never_written);
    tcase_add_loop_test(tcase, troubles_of_a_create_are_told_apart, 0, (int)LENGTH(troubles));
    tcase_add_test(tcase, who_loses_the_race_builds_anew_on_the_winner);
    tcase_add_test(tcase, who_finds_its_ranges_taken_gives_up);
    tcase_add_test(tcase, a_pack_that_waited_a_day_for_its_entry_is_given_up);
    tcase_add_test(tcase, an_entry_written_into_a_hole_is_not_committed);
    tcase_add_test(tcase, a_stale_predecessor_is_told_by_its_hash);
    tcase_add_test(tcase, a_stale_successor_is_not_folded);
    tcase_add_loop_test(tcase, a_full_follows_when_the_deltas_have_grown, 0, 2);
    tcase_add_test(tcase, a_full_that_fails_does_not_undo_the_commit);
    tcase_add_loop_test(tcase, an_acknowledged_commit_is_in_the_log_once, 0, 200);

    Suite *suite = suite_create("commit");
    suite_add_tcase(suite, tcase);
    return rig_run(suite);
}
