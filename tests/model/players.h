/* SPDX-License-Identifier: Apache-2.0 */
/* players - what the actors of the model do: back up, expire, free space, write fulls. */
#ifndef TM_TESTS_PLAYERS_H
#define TM_TESTS_PLAYERS_H

#include "world.h"

static inline struct daemon *daemon_of(const struct actor *actor)
{
    return &world.daemons[actor->daemon];
}

/* Back up --------------------------------------------------------------------------------- */

struct write {
    struct daemon *daemon;
    int64_t from[PARTS];
    int64_t end[PARTS];
    int64_t log_start[PARTS]; /* when it was planned */
    bool point;
    const char *policy;
    struct tm_id16 ulid;
    struct tm_row_pack row;
    struct tm_arena arena;
};

static const char *const policies[CHAINS] = {"p", "q"};

/* Tails of the stream by partition; next is 0 where there is none. */
static inline enum tm_code read_tails(
        struct tm_catalog *catalog, struct tm_row_tail out[PARTS], struct tm_err *err)
{
    struct tm_arena arena = {0};
    struct tm_row_tail *rows = NULL;
    size_t count = 0;
    enum tm_code code = tm_catalog_tails(catalog, 1, &arena, &rows, &count, err);
    for (int p = 0; p < PARTS; p++) {
        out[p] = (struct tm_row_tail){.stream = 1, .partition = p, .leader_epoch = -1};
    }
    for (size_t i = 0; code == TM_OK && i < count; i++) {
        out[rows[i].partition] = rows[i];
    }
    tm_arena_done(&arena);
    return code;
}

/* The greatest start that a newest point has: the log of Kafka begins no earlier by now. */
static inline enum tm_code newest_start(
        struct tm_catalog *catalog, int64_t start[PARTS], struct tm_err *err)
{
    enum tm_code code = TM_OK;
    for (int c = 0; code == TM_OK && c < CHAINS; c++) {
        struct tm_arena arena = {0};
        struct tm_point point = {0};
        code = tm_catalog_newest_point(
                catalog, tm_slice_str("c1"), tm_slice_str(policies[c]), &arena, &point, err);
        for (size_t i = 0; code == TM_OK && i < point.row.part_count; i++) {
            const struct tm_row_part *part = &point.row.parts[i];
            start[part->partition] =
                    part->start > start[part->partition] ? part->start : start[part->partition];
        }
        tm_arena_done(&arena);
    }
    return code;
}

static inline enum tm_code add_point(const struct write *write,
        const struct tm_row_tail tails[PARTS], uint64_t id, struct tm_edits *edits,
        struct tm_err *err)
{
    int64_t start[PARTS];
    memcpy(start, write->log_start, sizeof(start));
    TM_TRY(newest_start(write->daemon->catalog, start, err));
    struct tm_row_part *parts = tm_arena_alloc(&edits->arena, PARTS, sizeof(*parts));
    size_t count = 0;
    for (int p = 0; p < PARTS; p++) {
        int64_t end = write->end[p] > tails[p].next ? write->end[p] : tails[p].next;
        if (end > 0) {
            parts[count++] = (struct tm_row_part){.stream = 1,
                    .partition = p,
                    .start = start[p] < end ? start[p] : end,
                    .end = end,
                    .lso = end,
                    .high_watermark = end};
        }
    }
    *tm_vec_push(&edits->points) = (struct tm_row_point){
            .id = id,
            .ulid = write->ulid,
            .time_ms = world.now_ms,
            .cluster_id = tm_slice_str("c1"),
            .cluster_name = tm_slice_str("main"),
            .policy = tm_slice_str(write->policy),
            .parts = parts,
            .part_count = count,
    };
    return TM_OK;
}

static inline enum tm_code add_tails(const struct write *write,
        const struct tm_row_tail tails[PARTS], struct tm_edits *edits, struct tm_err *err)
{
    for (int p = 0; p < PARTS; p++) {
        struct tm_row_tail row = tails[p];
        bool grows = write->end[p] > write->from[p];
        if (grows && row.next != write->from[p]) {
            return tm_err_set(err, TM_E_CONFLICT, "partition %d was stored by another", p);
        }
        if (grows) {
            row.next = write->end[p];
            row.back = 1;
        }
        row.covered = write->point && row.next > row.covered ? row.next : row.covered;
        if (grows || row.covered != tails[p].covered) {
            *tm_vec_push(&edits->tails) = row;
        }
    }
    return TM_OK;
}

static inline enum tm_code build_write(void *arg, struct tm_edits *edits, struct tm_err *err)
{
    struct write *write = arg;
    struct tm_row_tail tails[PARTS];
    uint32_t last_stream = 0;
    uint64_t last_point = 0;
    TM_TRY(read_tails(write->daemon->catalog, tails, err));
    TM_TRY(tm_catalog_last_ids(write->daemon->catalog, &last_stream, &last_point, err));
    edits->policy = tm_slice_str(write->policy);
    if (last_stream == 0) {
        *tm_vec_push(&edits->streams) = (struct tm_row_stream){
                .id = 1,
                .cluster_id = tm_slice_str("c1"),
                .topic = tm_slice_str("orders"),
                .incarnation = 1,
        };
    }
    TM_TRY(add_tails(write, tails, edits, err));
    if (write->row.run_count > 0) {
        *tm_vec_push(&edits->packs) = write->row;
    }
    return write->point ? add_point(write, tails, last_point + 1, edits, err) : TM_OK;
}

/* Does the pack hold the content? Read past the stage, as a catalog's index would know it. */
static inline bool holds(const struct tm_hash *name, uint32_t content)
{
    struct tm_pack *pack = NULL;
    struct tm_err err = {0};
    bool found = false;
    enum tm_code code = tiny_open(world.fresh.vault, name, &pack, &err);
    const struct tm_pack_index *index = code == TM_OK ? tm_pack_index(pack) : NULL;
    for (size_t b = 0; index != NULL && b < index->block_count && !found; b++) {
        struct tm_err other = {0};
        found = (index->blocks[b].flags & TM_BLOCK_FOREIGN) == 0 &&
                tiny_check_block(pack, b, content, &other) == TM_OK;
    }
    tm_pack_close(pack);
    return found;
}

/* A pack the fold has that holds the content: one that was put with it, or took such a one's place. */
static inline bool find_holder(struct tm_catalog *catalog, uint32_t content, struct tm_hash *out)
{
    if (content >= REPEATED || below(4) == 0) {
        return false;
    }
    bool found = false;
    for (size_t i = world.holders[content].count; i > 0 && !found; i--) {
        struct tm_arena arena = {0};
        struct tm_hash *names = NULL;
        size_t count = 0;
        struct tm_err err = {0};
        const struct tm_hash *holder = &world.holders[content].at[i - 1];
        enum tm_code code = tm_live_successors(catalog, holder, &arena, &names, &count, &err);
        for (size_t n = 0; code == TM_OK && n < count && !found; n++) {
            found = tm_hash_eq(&names[n], holder) || holds(&names[n], content);
            *out = names[n];
        }
        tm_arena_done(&arena);
    }
    return found;
}

static inline enum tm_code put_pack(struct write *write, struct tm_err *err)
{
    struct tiny_record records[TINY_RECORDS];
    struct tm_hash elsewhere[TINY_RECORDS];
    size_t count = 0;
    for (int p = 0; p < PARTS; p++) {
        for (int64_t o = write->from[p]; o < write->end[p]; o++) {
            uint32_t content = content_of(p, o);
            bool found = find_holder(write->daemon->catalog, content, &elsewhere[count]);
            records[count] = (struct tiny_record){p, o, content, found ? &elsewhere[count] : NULL};
            count++;
        }
    }
    if (count == 0) {
        return TM_OK;
    }
    int64_t stored_ms = world.now_ms;
    TM_TRY(tiny_put(write->daemon->vault, records, count, 1, &write->arena, &write->row, err));
    write->row.stored_ms = stored_ms;
    for (size_t i = 0; i < count; i++) {
        if (records[i].elsewhere == NULL && records[i].content < REPEATED) {
            *tm_vec_push(&world.holders[records[i].content]) = write->row.name;
        }
    }
    return TM_OK;
}

static inline enum tm_code plan_write(struct write *write, struct tm_err *err)
{
    struct tm_row_tail tails[PARTS];
    TM_TRY(tm_vault_refresh(write->daemon->vault, &write->daemon->fold, err));
    TM_TRY(read_tails(write->daemon->catalog, tails, err));
    for (int p = 0; p < PARTS; p++) {
        int64_t news = world.end[p] - tails[p].next;
        int64_t read = news > 0 ? below(READ_MAX + 1) : 0;
        write->from[p] = tails[p].next;
        write->end[p] = tails[p].next + (read < news ? read : news);
        write->log_start[p] = world.log_start[p];
    }
    return TM_OK;
}

static inline void note_acked(const struct write *write)
{
    world.commits++;
    for (int p = 0; p < PARTS; p++) {
        if (write->end[p] > write->from[p] && write->end[p] > world.acked[p]) {
            world.acked[p] = write->end[p];
        }
    }
    if (write->point) {
        *tm_vec_push(&world.acked_points) = write->ulid;
    }
}

static inline void play_writer(struct actor *actor)
{
    struct write *write = tm_xalloc(1, sizeof(*write));
    struct tm_err err = {0};
    write->daemon = daemon_of(actor);
    write->point = below(3) != 0; /* else it is progress that waits for its point */
    write->policy = policies[below(CHAINS)];
    uint32_t number = ++world.ulids;
    memcpy(write->ulid.bytes, &number, sizeof(number));
    enum tm_code code = plan_write(write, &err);
    if (code == TM_OK) {
        code = put_pack(write, &err);
    }
    if (code == TM_OK && (write->point || write->row.run_count > 0)) {
        code = tm_vault_commit(
                write->daemon->vault, &write->daemon->fold, build_write, write, NULL, &err);
        if (code == TM_OK && !actor->killed) {
            note_acked(write);
        }
    }
    settle_outcome(actor, "writer", code, &err);
    tm_arena_done(&write->arena);
    free(write);
}

/* Expire ---------------------------------------------------------------------------------- */

enum { EXPIRED_MAX = 3, LISTED_MAX = 50 };

struct expiry {
    uint64_t points[EXPIRED_MAX];
    size_t count;
};

static inline enum tm_code build_expiry(void *arg, struct tm_edits *edits, struct tm_err *err)
{
    (void)err;
    const struct expiry *expiry = arg;
    for (size_t i = 0; i < expiry->count; i++) {
        *tm_vec_push(&edits->points_gone) = expiry->points[i];
    }
    return TM_OK;
}

/* Some points, but never the newest of a policy. */
static inline enum tm_code choose_points(
        struct daemon *daemon, struct expiry *expiry, struct tm_err *err)
{
    struct tm_point_query query = {
            .since_ms = INT64_MIN, .until_ms = INT64_MAX, .limit = LISTED_MAX};
    struct tm_arena arena = {0};
    struct tm_point_line *lines = NULL;
    size_t count = 0;
    enum tm_code code = tm_catalog_points(daemon->catalog, &query, &arena, &lines, &count, err);
    uint64_t newest[CHAINS] = {0};
    for (size_t i = 0; code == TM_OK && i < count; i++) {
        int chain = tm_slice_is(lines[i].row.policy, policies[1]) ? 1 : 0;
        newest[chain] = lines[i].row.id > newest[chain] ? lines[i].row.id : newest[chain];
    }
    for (size_t i = 0; code == TM_OK && i < count; i++) {
        int chain = tm_slice_is(lines[i].row.policy, policies[1]) ? 1 : 0;
        if (lines[i].row.id != newest[chain] && expiry->count < EXPIRED_MAX && below(3) != 0) {
            expiry->points[expiry->count++] = lines[i].row.id;
            *tm_vec_push(&world.expiring) = lines[i].row.ulid;
        }
    }
    tm_arena_done(&arena);
    return code;
}

static inline void play_expirer(struct actor *actor)
{
    struct daemon *daemon = daemon_of(actor);
    struct expiry expiry = {0};
    struct tm_err err = {0};
    enum tm_code code = tm_vault_refresh(daemon->vault, &daemon->fold, &err);
    if (code == TM_OK) {
        code = choose_points(daemon, &expiry, &err);
    }
    if (code == TM_OK && expiry.count > 0) {
        code = tm_vault_commit(daemon->vault, &daemon->fold, build_expiry, &expiry, NULL, &err);
    }
    settle_outcome(actor, "expirer", code, &err);
}

/* Free space ------------------------------------------------------------------------------ */

static inline struct tm_space_options space_options(struct daemon *daemon)
{
    static const int64_t hour_ms = 3600 * 1000;
    struct tm_space_options options = tm_space_defaults(daemon->vault, daemon->catalog);
    static const unsigned steps[MIXES][4] = {
            [MIX_EVEN] = {TM_SPACE_MERGE | TM_SPACE_DROP, TM_SPACE_SWEEP, TM_SPACE_LOG,
                    TM_SPACE_ALL},
            [MIX_LOG] = {TM_SPACE_LOG, TM_SPACE_LOG, TM_SPACE_LOG, TM_SPACE_ALL},
            [MIX_MERGE] = {TM_SPACE_MERGE, TM_SPACE_MERGE, TM_SPACE_DROP, TM_SPACE_SWEEP},
            [MIX_SWEEP] = {TM_SPACE_SWEEP, TM_SPACE_SWEEP, TM_SPACE_DROP, TM_SPACE_ALL},
    };
    options.steps = steps[world.mix][below(4)];
    options.grace_ms = 4 * hour_ms;
    options.orphan_ms =
            2 * hour_ms; /* less than some writers take: that must cost them their work only */
    options.merge_min_packs = 2;
    options.merge_max_packs = 2 + below(4);
    options.merge_small_bytes = 1 << 13;
    options.merge_age_ms = 0;
    options.merge_target_bytes = below(2) == 0 ? 1 << 16 : 1 << 10;
    options.log_gc_ms = 26 * hour_ms;
    options.now_ms = world_ms;
    return options;
}

static inline void play_spacer(struct actor *actor)
{
    struct tm_progress progress = {0};
    atomic_bool cancel = false;
    struct tm_job_env env = {.job_id = "job_1", .cancel = &cancel, .progress = &progress};
    struct tm_space_options options = space_options(daemon_of(actor));
    struct tm_space_result result = {0};
    struct tm_err err = {0};
    enum tm_code code = tm_space_run(&options, &env, &result, &err);
    world.merges += result.packs_merged_out;
    world.sweeps += result.packs_swept;
    world.log_removed += result.log_entries_removed;
    for (size_t i = 0; i < result.warnings.count && !actor->killed; i++) {
        if (strcmp(result.warnings.at[i].code, "space-damaged") == 0 &&
                strstr(result.warnings.at[i].detail, "no such object") == NULL) {
            violate("merge", result.warnings.at[i].detail);
        }
    }
    settle_outcome(actor, "spacer", code, &err);
    tm_space_result_done(&result);
}

static inline void play_fuller(struct actor *actor)
{
    struct daemon *daemon = daemon_of(actor);
    struct tm_err err = {0};
    enum tm_code code = tm_vault_refresh(daemon->vault, &daemon->fold, &err);
    if (code == TM_OK) {
        code = tm_log_write_full(daemon->vault, &daemon->fold, &err);
    }
    settle_outcome(actor, "fuller", code, &err);
}

#endif
