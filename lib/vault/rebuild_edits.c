/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/ulid.h"
#include "vault/pack_reader.h"
#include "vault/rebuild_impl.h"

enum {
    FILLED_MAX = 65536, /* incarnations of which no pack is left, in all */
    REPLICATION = 3,    /* not known; a restore takes as many brokers as there are */
};

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

/* A partition: its chosen runs, in order. */
struct place {
    uint32_t stream; /* of the log */
    uint32_t
            incarnate; /* 1: the newest incarnation that anything is stored of, 2: the one before */
    int32_t partition;
    struct tm_rebuild_run **runs;
    size_t run_count;
    struct tm_tail tail; /* offset -1: not read */
};

struct build {
    struct tm_rebuild *rebuild;
    struct tm_edits *edits;
    struct tm_rebuild_run **chosen; /* by stream of the log, partition, first */
    size_t chosen_count;
    struct place *places;
    size_t place_count;
};

static int64_t end_of(const struct tm_run *run)
{
    return run->first + run->length;
}

/* Streams ---------------------------------------------------------------------------------- */

static void add_stream(
        struct build *build, const struct tm_rebuild_stream *stream, uint32_t incarnation)
{
    struct tm_edits *edits = build->edits;
    uint32_t id = (uint32_t)edits->streams.count + 1;
    *tm_vec_push(&edits->streams) = (struct tm_row_stream){
            .id = id,
            .cluster_id = stream->cluster_id,
            .topic = stream->topic,
            .incarnation = incarnation,
            .created_ms = edits->time_ms,
    };
}

/* Ids in order of name. Incarnations count from 1 without a hole: those of which nothing is left too. */
static enum tm_code add_streams(struct build *build, struct tm_err *err)
{
    struct tm_rebuild *rebuild = build->rebuild;
    const struct tm_rebuild_stream *before = NULL;
    size_t filled = 0;
    for (size_t i = 0; i < rebuild->streams.count; i++) {
        struct tm_rebuild_stream *stream = &rebuild->streams.at[rebuild->by_name[i]];
        bool same = before != NULL && tm_slice_eq(before->cluster_id, stream->cluster_id) &&
                    tm_slice_eq(before->topic, stream->topic);
        uint32_t next = same ? before->incarnation + 1 : 1;
        if (stream->incarnation < next || stream->incarnation - next > FILLED_MAX - filled) {
            return tm_err_set(err, TM_E_CORRUPT, "%.*s: incarnation %" PRIu32 " cannot be",
                    (int)stream->topic.len, (const char *)stream->topic.at, stream->incarnation);
        }
        for (; next < stream->incarnation; next++, filled++) {
            add_stream(build, stream, next);
        }
        add_stream(build, stream, stream->incarnation);
        stream->id = (uint32_t)build->edits->streams.count;
        before = stream;
    }
    rebuild->result->streams = rebuild->streams.count;
    return TM_OK;
}

/* Places ----------------------------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
    const struct tm_rebuild_run *x = *(struct tm_rebuild_run *const *)a;
    const struct tm_rebuild_run *y = *(struct tm_rebuild_run *const *)b;
    int order = COMPARE(x->run.stream, y->run.stream);
    order = order != 0 ? order : COMPARE(x->run.partition, y->run.partition);
    return order != 0 ? order : COMPARE(x->run.first, y->run.first);
}

/* The chosen runs, their streams numbered as in the log, in order; and what partitions they are of. */
static void find_places(struct build *build)
{
    struct tm_rebuild *rebuild = build->rebuild;
    size_t count = rebuild->runs.count;
    build->chosen = tm_arena_alloc(&rebuild->arena, count + 1, sizeof(struct tm_rebuild_run *));
    build->places = tm_arena_alloc(&rebuild->arena, count + 1, sizeof(*build->places));
    for (size_t i = 0; i < count; i++) {
        struct tm_rebuild_run *run = &rebuild->runs.at[i];
        run->run.stream = rebuild->streams.at[run->run.stream].id;
        if (run->chosen) {
            build->chosen[build->chosen_count++] = run;
            rebuild->result->records += run->run.count;
        }
    }
    qsort(build->chosen, build->chosen_count, sizeof(struct tm_rebuild_run *), by_place);
    struct place *last = NULL;
    for (size_t i = 0; i < build->chosen_count; i++) {
        const struct tm_run *run = &build->chosen[i]->run;
        if (last == NULL || last->stream != run->stream || last->partition != run->partition) {
            last = &build->places[build->place_count++];
            *last = (struct place){.stream = run->stream,
                    .partition = run->partition,
                    .runs = &build->chosen[i],
                    .tail = {.offset = -1}};
        }
        last->run_count++;
    }
    rebuild->result->partitions = build->place_count;
}

static const struct tm_row_stream *stream_of(const struct build *build, uint32_t id)
{
    return &build->edits->streams.at[id - 1];
}

/* From the newest stream down; incarnations of one topic are neighbours. */
static void count_incarnations(struct build *build)
{
    const struct place *after = NULL;
    for (size_t i = build->place_count; i-- > 0;) {
        struct place *place = &build->places[i];
        place->incarnate = 1;
        if (after != NULL && after->stream == place->stream) {
            place->incarnate = after->incarnate;
        } else if (after != NULL) {
            const struct tm_row_stream *a = stream_of(build, place->stream);
            const struct tm_row_stream *b = stream_of(build, after->stream);
            bool same =
                    tm_slice_eq(a->cluster_id, b->cluster_id) && tm_slice_eq(a->topic, b->topic);
            place->incarnate = same ? after->incarnate + 1 : 1;
        }
        after = place;
    }
}

/* Tails ------------------------------------------------------------------------------------ */

/* What is open while last records are read. */
struct reading {
    struct tm_pack *pack;
    uint32_t number; /* of the pack */
    struct tm_block_tools *tools;
    struct tm_block_view view;
    uint32_t block; /* in the view; UINT32_MAX: none */
};

static enum tm_code load(struct tm_rebuild *rebuild, struct reading *reading,
        const struct tm_rebuild_run *run, struct tm_err *err)
{
    const struct tm_rebuild_pack *row = &rebuild->packs.at[run->pack];
    if (reading->pack == NULL || reading->number != run->pack) {
        tm_pack_close(reading->pack);
        reading->pack = NULL;
        reading->block = UINT32_MAX;
        TM_TRY(tm_pack_open(rebuild->vault, &row->name, row->size, &reading->pack, err));
        reading->number = run->pack;
    }
    if (reading->block != run->block) {
        reading->block = UINT32_MAX;
        TM_TRY(tm_pack_read_block(reading->pack, run->block, reading->tools, &reading->view, err));
        reading->block = run->block;
    }
    return TM_OK;
}

static void read_tail(struct tm_rebuild *rebuild, struct reading *reading, struct place *place)
{
    const struct tm_rebuild_run *run = place->runs[place->run_count - 1];
    struct tm_err err = {0};
    if (load(rebuild, reading, run, &err) != TM_OK) {
        rebuild->result->tails = false;
        tm_rebuild_note(rebuild,
                "the last record of a partition cannot be read; it stays in the log: %s", err.msg);
        return;
    }
    struct tm_block_iter iter;
    struct tm_record record;
    const struct tm_ring *ring = tm_vault_ring(rebuild->vault);
    tm_block_iter_init(&iter, &reading->view, run->index);
    while (tm_block_iter_next(&iter, &record)) {
        if (iter.position == run->run.count) {
            place->tail = (struct tm_tail){
                    .offset = record.offset,
                    .timestamp_ms = record.timestamp_ms,
                    .leader_epoch = -1,
                    .tag = tm_ring_tag(ring, run->epoch, tm_block_iter_canonical(&iter)),
            };
        }
    }
    tm_block_iter_done(&iter);
}

static int by_block(const void *a, const void *b)
{
    const struct place *x = *(struct place *const *)a;
    const struct place *y = *(struct place *const *)b;
    const struct tm_rebuild_run *run = x->runs[x->run_count - 1];
    const struct tm_rebuild_run *other = y->runs[y->run_count - 1];
    int order = COMPARE(run->pack, other->pack);
    return order != 0 ? order : COMPARE(run->block, other->block);
}

/* Each pack and block is opened once: small partitions share them. */
static void read_tails(struct build *build)
{
    struct tm_rebuild *rebuild = build->rebuild;
    if (!tm_ring_can_read(tm_vault_ring(rebuild->vault))) {
        tm_rebuild_note(rebuild,
                "a writer's key cannot read records: the next backup does not compare "
                "where it begins with what is stored");
        return;
    }
    rebuild->result->tails = true;
    struct place **order =
            tm_arena_alloc(&rebuild->arena, build->place_count + 1, sizeof(struct place *));
    for (size_t i = 0; i < build->place_count; i++) {
        order[i] = &build->places[i];
    }
    qsort(order, build->place_count, sizeof(struct place *), by_block);
    struct reading reading = {.tools = tm_block_tools_new(), .block = UINT32_MAX};
    for (size_t i = 0; i < build->place_count; i++) {
        read_tail(rebuild, &reading, order[i]);
    }
    tm_block_view_done(&reading.view);
    tm_block_tools_free(reading.tools);
    tm_pack_close(reading.pack);
}

static void add_tails(struct build *build)
{
    for (size_t i = 0; i < build->place_count; i++) {
        const struct place *place = &build->places[i];
        int64_t next = end_of(&place->runs[place->run_count - 1]->run);
        *tm_vec_push(&build->edits->tails) = (struct tm_row_tail){
                .stream = place->stream,
                .partition = place->partition,
                .next = next,
                .covered = next,
                .back = place->tail.offset < 0 ? 0 : next - place->tail.offset,
                .leader_epoch = place->tail.leader_epoch,
                .timestamp_ms = place->tail.timestamp_ms,
                .tag = place->tail.tag,
        };
    }
}

static void add_gaps(struct build *build)
{
    for (size_t i = 1; i < build->chosen_count; i++) {
        const struct tm_run *before = &build->chosen[i - 1]->run;
        const struct tm_run *run = &build->chosen[i]->run;
        if (before->stream == run->stream && before->partition == run->partition &&
                end_of(before) < run->first) {
            *tm_vec_push(&build->edits->gaps) = (struct tm_row_gap){run->stream, run->partition,
                    end_of(before), run->first - end_of(before), TM_GAP_UNKNOWN};
        }
    }
    build->rebuild->result->gaps = build->edits->gaps.count;
}

/* Packs ------------------------------------------------------------------------------------ */

static int by_pack(const void *a, const void *b)
{
    const struct tm_rebuild_run *x = *(struct tm_rebuild_run *const *)a;
    const struct tm_rebuild_run *y = *(struct tm_rebuild_run *const *)b;
    int order = COMPARE(x->pack, y->pack);
    return order != 0 ? order : by_place(a, b);
}

static void join_run(struct tm_row_pack *row, const struct tm_run *run)
{
    struct tm_run *last = row->run_count > 0 ? &row->runs[row->run_count - 1] : NULL;
    if (last == NULL || last->stream != run->stream || last->partition != run->partition ||
            end_of(last) != run->first) {
        row->runs[row->run_count++] = *run;
        return;
    }
    last->length += run->length;
    last->count += run->count;
    last->bytes += run->bytes;
    last->largest = run->largest > last->largest ? run->largest : last->largest;
    last->ts_min = run->ts_min < last->ts_min ? run->ts_min : last->ts_min;
    last->ts_max = run->ts_max > last->ts_max ? run->ts_max : last->ts_max;
}

static bool add_hash(struct tm_hash *hashes, size_t *count, const struct tm_hash *hash)
{
    for (size_t i = 0; i < *count; i++) {
        if (tm_hash_eq(&hashes[i], hash)) {
            return false;
        }
    }
    hashes[(*count)++] = *hash;
    return true;
}

/* The dependency is not in the log: say which pack took its place. */
static void add_moved(
        struct build *build, const struct tm_hash *gone, const struct tm_hash *successor)
{
    struct tm_edits *edits = build->edits;
    struct tm_row_successors *row = NULL;
    for (size_t i = 0; i < edits->moved.count && row == NULL; i++) {
        row = tm_hash_eq(&edits->moved.at[i].name, gone) ? &edits->moved.at[i] : NULL;
    }
    if (row == NULL) {
        row = tm_vec_push(&edits->moved);
        row->name = *gone;
    }
    struct tm_hash *all = tm_arena_alloc(&edits->arena, row->successor_count + 1, sizeof(*all));
    for (size_t i = 0; i < row->successor_count; i++) {
        all[i] = row->successors[i];
    }
    row->successors = all;
    (void)add_hash(all, &row->successor_count, successor);
}

/* What the pack's chosen blocks need of others; `next` is the first of its needs. */
static size_t add_deps(struct build *build, uint32_t number, struct tm_row_pack *row, size_t next)
{
    const struct tm_rebuild *rebuild = build->rebuild;
    size_t end = next;
    while (end < rebuild->need.count && rebuild->need.at[end].pack == number) {
        end++;
    }
    row->deps = tm_arena_alloc(&build->edits->arena, end - next + 1, sizeof(*row->deps));
    for (; next < end; next++) {
        const struct tm_rebuild_content *need = &rebuild->need.at[next];
        if (need->own || !rebuild->runs.at[need->run].chosen) {
            continue;
        }
        (void)add_hash(row->deps, &row->dep_count, &need->dep);
        const struct tm_rebuild_content *have = tm_rebuild_find(rebuild, need);
        const struct tm_hash *holder = &rebuild->packs.at[have->pack].name;
        if (!tm_hash_eq(holder, &need->dep)) {
            add_moved(build, &need->dep, holder);
        }
    }
    return end;
}

static void add_packs(struct build *build)
{
    struct tm_rebuild *rebuild = build->rebuild;
    struct tm_edits *edits = build->edits;
    struct tm_rebuild_run **order = tm_arena_alloc(
            &rebuild->arena, build->chosen_count + 1, sizeof(struct tm_rebuild_run *));
    memcpy(order, build->chosen, build->chosen_count * sizeof(struct tm_rebuild_run *));
    qsort(order, build->chosen_count, sizeof(struct tm_rebuild_run *), by_pack);
    size_t next_run = 0;
    size_t next_need = 0;
    for (uint32_t i = 0; i < rebuild->packs.count; i++) {
        const struct tm_rebuild_pack *pack = &rebuild->packs.at[i];
        struct tm_row_pack row = {
                .name = pack->name, .size = pack->size, .stored_ms = pack->stored_ms};
        size_t end = next_run;
        while (end < build->chosen_count && order[end]->pack == i) {
            end++;
        }
        row.runs = tm_arena_alloc(&edits->arena, end - next_run + 1, sizeof(*row.runs));
        for (; next_run < end; next_run++) {
            join_run(&row, &order[next_run]->run);
        }
        next_need = add_deps(build, i, &row, next_need);
        if (pack->listed) {
            *tm_vec_push(&edits->packs) = row;
        } else if (pack->keys > 0) {
            rebuild->result->left_out++;
        }
    }
}

/* Points ----------------------------------------------------------------------------------- */

static void add_part(struct build *build, struct tm_row_point *point, const struct place *place)
{
    (void)build;
    int64_t end = end_of(&place->runs[place->run_count - 1]->run);
    struct tm_row_topic *topic =
            point->topic_count > 0 ? &point->topics[point->topic_count - 1] : NULL;
    if (topic == NULL || topic->stream != place->stream) {
        topic = &point->topics[point->topic_count++];
        topic->stream = place->stream;
        topic->replication_factor = REPLICATION;
    }
    topic->partitions = (uint32_t)place->partition + 1;
    point->parts[point->part_count++] = (struct tm_row_part){
            .stream = place->stream,
            .partition = place->partition,
            .start = place->runs[0]->run.first,
            .end = end,
            .lso = end,
            .high_watermark = end,
    };
}

/* A point of one cluster, [from, to) of the places: what is `incarnate` of them. */
static void add_point(struct build *build, size_t from, size_t to, uint32_t incarnate)
{
    struct tm_edits *edits = build->edits;
    const struct tm_rebuild_result *result = build->rebuild->result;
    struct tm_slice cluster = stream_of(build, build->places[from].stream)->cluster_id;
    struct tm_row_point *point = tm_vec_push(&edits->points);
    *point = (struct tm_row_point){
            .id = edits->points.count,
            .ulid = tm_ulid_make(edits->time_ms),
            .time_ms = edits->time_ms,
            .cluster_id = cluster,
            .cluster_name = cluster,
            .policy = tm_slice_str(TM_REBUILD_POLICY),
            .flags = TM_POINT_GROUPS_UNKNOWN | TM_POINT_CONFIGS_UNKNOWN,
            .gone = tm_arena_alloc(&edits->arena, to - from, sizeof(*point->gone)),
            .topics = tm_arena_alloc(&edits->arena, to - from, sizeof(*point->topics)),
            .parts = tm_arena_alloc(&edits->arena, to - from, sizeof(*point->parts)),
    };
    point->flags |= result->lost + result->unreadable > 0 ? TM_POINT_PARTIAL : 0;
    for (size_t i = from; i < to; i++) {
        const struct place *place = &build->places[i];
        if (place->incarnate == incarnate) {
            add_part(build, point, place);
        } else if (place->incarnate == incarnate + 1 &&
                   (point->gone_count == 0 ||
                           point->gone[point->gone_count - 1] != place->stream)) {
            point->gone[point->gone_count++] = place->stream;
        }
    }
}

/* Of each cluster one point an incarnation, the oldest first. */
static void add_points(struct build *build)
{
    for (size_t from = 0; from < build->place_count;) {
        struct tm_slice cluster = stream_of(build, build->places[from].stream)->cluster_id;
        uint32_t oldest = 0;
        size_t to = from;
        while (to < build->place_count &&
                tm_slice_eq(stream_of(build, build->places[to].stream)->cluster_id, cluster)) {
            uint32_t at = build->places[to++].incarnate;
            oldest = at > oldest ? at : oldest;
        }
        for (uint32_t incarnate = oldest; incarnate > 0; incarnate--) {
            add_point(build, from, to, incarnate);
        }
        from = to;
    }
}

/* The params are gone too; only writers go by them, and any values will do. */
static void add_params(struct tm_edits *edits)
{
    const struct tm_block_params *params = &tm_block_params_default;
    const struct {
        const char *name;
        uint32_t value;
    } rows[] = {
            {"block.max", params->block_max},
            {"block.mean", params->block_mean},
            {"block.min", params->block_min},
            {"pack.target", params->pack_target},
            {"solo.min", params->solo_min},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        *tm_vec_push(&edits->params) = (struct tm_row_param){
                .name = tm_slice_str(rows[i].name),
                .value = tm_slice_str(tm_arena_fmt(&edits->arena, "%" PRIu32, rows[i].value)),
        };
    }
}

enum tm_code tm_rebuild_edits(struct tm_rebuild *rebuild, struct tm_edits *out, struct tm_err *err)
{
    struct build build = {.rebuild = rebuild, .edits = out};
    out->time_ms = tm_now_ms();
    out->writer = tm_slice_str(rebuild->options->writer);
    out->full = true;
    add_params(out);
    TM_TRY(add_streams(&build, err));
    find_places(&build);
    count_incarnations(&build);
    read_tails(&build);
    add_tails(&build);
    add_gaps(&build);
    add_packs(&build);
    add_points(&build);
    return TM_OK;
}
