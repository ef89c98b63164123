/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog_model - a vault's state held naively, and random valid entries for it.
 *
 * The model keeps every point whole, so removing one touches no other; the entries it makes carry
 * changed rows only. What the catalog answers must be what the model holds.
 */
#ifndef TM_TESTS_CATALOG_MODEL_H
#define TM_TESTS_CATALOG_MODEL_H

#include "catalog_rig.h"

enum {
    M_STREAMS = 6,
    M_PARTS = 3,
    M_GROUPS = 2,
    M_POLICIES = 2,
    M_CLUSTERS = 2,
    M_PACKS = 700,
    M_POINTS = 400,
    M_RUNS = 4000,
};

struct m_part {
    bool there;
    int64_t start;
    int64_t end;
    int64_t lso;
    int status;
};

/* A number stands for a row: 0 is no row. */
struct m_whole {
    bool in[M_STREAMS];
    struct m_part parts[M_STREAMS][M_PARTS];
    int topics[M_STREAMS];
    int groups[M_GROUPS][M_STREAMS][M_PARTS];
    int acls[M_STREAMS];
};

struct m_point { /* in the order they were made; the ULID is the place in that order, from 1 */
    bool removed;
    uint64_t id; /* one above the greatest that is left: so used again once that is removed */
    int cluster;
    int policy;
    uint32_t flags;
    int64_t time_ms;
    int note; /* of its mark; 0: no mark */
    struct m_whole whole;
};

struct m_tail {
    bool there;
    int64_t next;
    int64_t covered;
    int64_t last; /* offset of the last record; -1: none */
};

enum m_pack_state { M_NONE, M_LIVE, M_DROPPED, M_SWEPT };

struct m_pack {
    enum m_pack_state state;
    int successor; /* 0: none */
    int dep;       /* 0: none */
};

struct m_run {
    int pack; /* 0: dropped */
    struct tm_run run;
};

struct model {
    uint32_t random;
    int64_t now_ms;
    int stream_count;
    int stream_topic[M_STREAMS]; /* 'a' or 'b' */
    struct m_tail tails[M_STREAMS][M_PARTS];
    struct m_pack packs[M_PACKS]; /* from 1 */
    int pack_count;
    struct m_run runs[M_RUNS];
    int run_count;
    struct m_point points[M_POINTS];
    int point_count;
};

static inline int below(struct model *model, int bound)
{
    model->random = model->random * 1664525U + 1013904223U;
    return (int)((model->random >> 16) % (uint32_t)bound);
}

static inline bool chance(struct model *model, int percent)
{
    return below(model, 100) < percent;
}

static inline const char *m_name(const char *const *names, int number)
{
    return names[number];
}

static const char *const m_clusters[M_CLUSTERS] = {"c0", "c1"};
static const char *const m_policies[M_POLICIES] = {"p0", "p1"};
static const char *const m_groups[M_GROUPS] = {"g0", "g1"};

/* Streams are of clusters 0 and 1 in turn. */
static inline int m_cluster_of(int stream)
{
    return stream % M_CLUSTERS;
}

/* Growth ----------------------------------------------------------------------------------- */

static inline void m_add_stream(struct model *model, struct tm_edits *edits)
{
    if (model->stream_count == M_STREAMS) {
        return;
    }
    int stream = model->stream_count++;
    model->stream_topic[stream] = 'a' + below(model, 2);
    uint32_t incarnation = 1;
    for (int i = 0; i < stream; i++) {
        incarnation += m_cluster_of(i) == m_cluster_of(stream) &&
                       model->stream_topic[i] == model->stream_topic[stream];
    }
    add_stream(edits, (uint32_t)stream + 1, m_clusters[m_cluster_of(stream)],
            model->stream_topic[stream] == 'a' ? "a" : "b", incarnation);
}

static inline int m_new_pack(struct model *model, struct tm_edits *edits)
{
    int pack = ++model->pack_count;
    ck_assert_int_lt(pack, M_PACKS);
    model->packs[pack] = (struct m_pack){.state = M_LIVE};
    (void)add_pack(edits, (unsigned)pack);
    return pack;
}

static inline struct tm_row_pack *m_row(struct tm_edits *edits, int pack)
{
    struct tm_hash name = pack_name((unsigned)pack);
    for (size_t i = 0; i < edits->packs.count; i++) {
        if (tm_hash_eq(&edits->packs.at[i].name, &name)) {
            return &edits->packs.at[i];
        }
    }
    ck_abort_msg("no pack %d", pack);
}

static inline void m_add_run(
        struct model *model, struct tm_edits *edits, int pack, const struct tm_run *run)
{
    struct tm_row_pack *row = m_row(edits, pack);
    ck_assert_uint_lt(row->run_count, RIG_ROWS);
    row->runs[row->run_count++] = *run;
    ck_assert_int_lt(model->run_count, M_RUNS);
    model->runs[model->run_count++] = (struct m_run){pack, *run};
}

/* Runs and gaps from the watermark on, into a pack. */
static inline void m_grow(
        struct model *model, struct tm_edits *edits, int stream, int part, int pack)
{
    struct m_tail *tail = &model->tails[stream][part];
    if (!tail->there) {
        *tail = (struct m_tail){.there = true, .next = below(model, 50), .last = -1};
    }
    for (int pieces = below(model, 4); pieces > 0; pieces--) {
        int64_t end = tail->next + 1 + below(model, 40);
        if (chance(model, 30)) {
            int reason = 1 + below(model, 5);
            add_gap(edits, (uint32_t)stream + 1, part, tail->next, end, (enum tm_gap_reason)reason);
        } else {
            struct tm_run run = {
                    .stream = (uint32_t)stream + 1,
                    .partition = part,
                    .first = tail->next,
                    .length = end - tail->next,
                    .count = 1 + below(model, (int)(end - tail->next)),
                    .bytes = 5 + below(model, 1000),
                    .largest = 5,
                    .ts_min = below(model, 100),
                    .ts_max = 100 + below(model, 100),
            };
            tail->last = tail->next + below(model, (int)run.length);
            m_add_run(model, edits, pack, &run);
        }
        tail->next = end;
    }
}

/* Points ----------------------------------------------------------------------------------- */

static inline const struct m_point *m_newest(const struct model *model, int cluster, int policy)
{
    for (int i = model->point_count - 1; i >= 0; i--) {
        const struct m_point *point = &model->points[i];
        if (!point->removed && point->cluster == cluster && point->policy == policy) {
            return point;
        }
    }
    return NULL;
}

static inline uint64_t m_next_id(const struct model *model)
{
    uint64_t last = 0;
    for (int i = 0; i < model->point_count; i++) {
        const struct m_point *point = &model->points[i];
        last = !point->removed && point->id > last ? point->id : last;
    }
    return last + 1;
}

static inline void m_leave(struct m_whole *whole, int stream)
{
    whole->in[stream] = false;
    whole->topics[stream] = 0;
    whole->acls[stream] = 0;
    for (int part = 0; part < M_PARTS; part++) {
        whole->parts[stream][part] = (struct m_part){0};
        for (int group = 0; group < M_GROUPS; group++) {
            whole->groups[group][stream][part] = 0;
        }
    }
}

/* A partition as it is now; rows do not vanish while the stream is in the point. */
static inline void m_change_part(struct model *model, struct m_whole *whole, int stream, int part)
{
    const struct m_tail *tail = &model->tails[stream][part];
    if (!tail->there || chance(model, 30)) {
        return;
    }
    int64_t start = below(model, (int)tail->next + 1);
    int64_t end =
            chance(model, 70) ? tail->next : start + below(model, (int)(tail->next - start) + 1);
    whole->in[stream] = true;
    whole->parts[stream][part] = (struct m_part){
            .there = true,
            .start = start,
            .end = end,
            .lso = end - below(model, 3),
            .status = below(model, 3),
    };
    int group = below(model, M_GROUPS);
    whole->groups[group][stream][part] = below(model, 4); /* 0: it is gone */
}

static inline void m_change(struct model *model, struct m_whole *whole, int stream)
{
    if (whole->in[stream] && chance(model, 15)) {
        m_leave(whole, stream);
        return;
    }
    if (!whole->in[stream] && chance(model, 60)) {
        return;
    }
    for (int part = 0; part < M_PARTS; part++) {
        m_change_part(model, whole, stream, part);
    }
    if (whole->in[stream] && chance(model, 40)) {
        whole->topics[stream] = 1 + below(model, 4);
    }
    if (whole->in[stream] && chance(model, 20)) {
        whole->acls[stream] = 1 + below(model, 3);
    }
}

/* Rows as numbers become rows. */
static inline struct tm_row_topic m_topic(struct tm_arena *arena, int stream, int number)
{
    struct tm_row_topic topic = {
            .stream = (uint32_t)stream + 1,
            .partitions = (uint32_t)number,
            .replication_factor = 3,
            .configs = tm_arena_alloc(arena, 1, sizeof(*topic.configs)),
            .config_count = number > 2,
    };
    topic.configs[0] = (struct tm_config_pair){text("cleanup.policy"), text("compact")};
    return topic;
}

static inline struct tm_row_acl m_acl(struct tm_arena *arena, int stream, int number)
{
    struct tm_row_acl acl = {
            .stream = (uint32_t)stream + 1,
            .acls = tm_arena_alloc(arena, 1, sizeof(*acl.acls)),
            .acl_count = number > 1,
    };
    acl.acls[0] = text(number == 2 ? "User:a\t*" : "User:b\t*");
    return acl;
}

static inline struct tm_row_part m_part_row(int stream, int part, const struct m_part *from)
{
    return (struct tm_row_part){
            .stream = (uint32_t)stream + 1,
            .partition = part,
            .start = from->start,
            .end = from->end,
            .lso = from->lso,
            .high_watermark = from->end + 1,
            .status = (enum tm_part_status)from->status,
    };
}

static inline bool m_same_part(const struct m_part *a, const struct m_part *b)
{
    return a->there == b->there && a->start == b->start && a->end == b->end && a->lso == b->lso &&
           a->status == b->status;
}

/* The rows of `now` that differ from `before`; all of them when before is empty. */
static inline void m_diff_stream(struct tm_arena *arena, struct tm_row_point *row, int stream,
        const struct m_whole *before, const struct m_whole *now)
{
    if (now->topics[stream] != before->topics[stream]) {
        row->topics[row->topic_count++] = m_topic(arena, stream, now->topics[stream]);
    }
    if (now->acls[stream] != before->acls[stream]) {
        row->acls[row->acl_count++] = m_acl(arena, stream, now->acls[stream]);
    }
    for (int part = 0; part < M_PARTS; part++) {
        const struct m_part *after = &now->parts[stream][part];
        if (!m_same_part(after, &before->parts[stream][part])) {
            row->parts[row->part_count++] = m_part_row(stream, part, after);
        }
        for (int group = 0; group < M_GROUPS; group++) {
            int offset = now->groups[group][stream][part];
            if (offset != before->groups[group][stream][part]) {
                add_group(
                        row, m_groups[group], (uint32_t)stream + 1, part, offset > 0 ? offset : -1);
            }
        }
    }
}

static inline void m_diff(struct tm_arena *arena, struct tm_row_point *row,
        const struct m_whole *before, const struct m_whole *now)
{
    for (int stream = 0; stream < M_STREAMS; stream++) {
        if (before->in[stream] && !now->in[stream]) {
            add_gone(row, (uint32_t)stream + 1);
        } else {
            m_diff_stream(arena, row, stream, before, now);
        }
    }
}

static inline void m_cover(struct model *model, const struct m_whole *whole)
{
    for (int stream = 0; stream < M_STREAMS; stream++) {
        for (int part = 0; part < M_PARTS; part++) {
            const struct m_part *row = &whole->parts[stream][part];
            struct m_tail *tail = &model->tails[stream][part];
            if (row->there && row->end > row->start && row->end > tail->covered) {
                tail->covered = row->end;
            }
        }
    }
}

static inline void m_add_point(struct model *model, struct tm_edits *edits)
{
    static const struct m_whole nothing;
    int cluster = below(model, M_CLUSTERS);
    int policy = below(model, M_POLICIES);
    const struct m_point *before = m_newest(model, cluster, policy);
    ck_assert_int_lt(model->point_count, M_POINTS);
    uint64_t id = m_next_id(model);
    struct m_point *point = &model->points[model->point_count++];
    *point = (struct m_point){
            .id = id,
            .cluster = cluster,
            .policy = policy,
            .flags = (uint32_t)below(model, 4),
            .time_ms = model->now_ms,
            .whole = before != NULL ? before->whole : nothing,
    };
    for (int stream = 0; stream < model->stream_count; stream++) {
        if (m_cluster_of(stream) == cluster) {
            m_change(model, &point->whole, stream);
        }
    }
    struct tm_row_point *row = add_point(edits, id, m_policies[policy]);
    row->ulid = id16((unsigned)model->point_count);
    row->cluster_id = text(m_clusters[cluster]);
    row->cluster_name = text(cluster == 0 ? "main" : "other");
    row->flags = point->flags;
    row->time_ms = point->time_ms;
    m_diff(&edits->arena, row, before != NULL ? &before->whole : &nothing, &point->whole);
    m_cover(model, &point->whole);
}

/* Only a point that was there before the entry. */
static inline void m_remove_point(struct model *model, struct tm_edits *edits, int before)
{
    int at = before > 0 ? below(model, before) : -1;
    if (at < 0 || model->points[at].removed) {
        return;
    }
    model->points[at].removed = true;
    remove_point(edits, model->points[at].id);
}

static inline void m_mark_point(struct model *model, struct tm_edits *edits)
{
    int at = model->point_count > 0 ? below(model, model->point_count) : -1;
    if (at < 0 || model->points[at].removed) {
        return;
    }
    int note = below(model, 3);
    model->points[at].note = note;
    add_mark(edits, model->points[at].id, note == 0 ? "" : note == 1 ? "one" : "two", 0);
}

/* Packs ------------------------------------------------------------------------------------ */

/* Would a search for `from` come to `pack`? */
static inline bool m_leads_to(const struct model *model, int from, int pack)
{
    while (from != 0 && from != pack) {
        from = model->packs[from].successor;
    }
    return from == pack;
}

static inline bool m_is_needed(const struct model *model, int pack)
{
    for (int other = 1; other <= model->pack_count; other++) {
        const struct m_pack *row = &model->packs[other];
        if (row->state == M_LIVE && row->dep != 0 && m_leads_to(model, row->dep, pack)) {
            return true;
        }
    }
    return false;
}

/* A live pack made before this entry; 0: none found. */
static inline int m_some_pack(struct model *model, int before)
{
    int pack = before > 0 ? 1 + below(model, before) : 0;
    return pack != 0 && model->packs[pack].state == M_LIVE ? pack : 0;
}

static inline void m_drop(struct model *model, struct tm_edits *edits, int before)
{
    int pack = m_some_pack(model, before);
    if (pack == 0) {
        return;
    }
    model->packs[pack].state = M_DROPPED;
    if (m_is_needed(model, pack)) {
        model->packs[pack].state = M_LIVE;
        return;
    }
    for (int i = 0; i < model->run_count; i++) {
        model->runs[i].pack = model->runs[i].pack == pack ? 0 : model->runs[i].pack;
    }
    (void)drop_pack(edits, (unsigned)pack);
}

/* Up to three packs become one; some runs are dead and stay behind, some are lost. */
static inline void m_merge(struct model *model, struct tm_edits *edits, int before)
{
    int sources[3] = {0};
    for (int i = 0; i < 3; i++) {
        int pack = m_some_pack(model, before);
        bool twice = (i > 0 && pack == sources[0]) || (i > 1 && pack == sources[1]);
        sources[i] = twice ? 0 : pack;
    }
    if (sources[0] == 0) {
        return;
    }
    int into = m_new_pack(model, edits);
    int old_runs = model->run_count;
    for (int i = 0; i < 3; i++) {
        if (sources[i] == 0) {
            continue;
        }
        model->packs[sources[i]].state = M_DROPPED;
        model->packs[sources[i]].successor = into;
        add_successor(drop_pack(edits, (unsigned)sources[i]), (unsigned)into);
        for (int r = 0; r < old_runs; r++) {
            struct m_run *run = &model->runs[r];
            if (run->pack != sources[i]) {
                continue;
            }
            run->pack = 0;
            if (chance(model, 80) && m_row(edits, into)->run_count < RIG_ROWS) {
                m_add_run(model, edits, into, &run->run);
            } else if (chance(model, 50)) {
                add_gap(edits, run->run.stream, run->run.partition, run->run.first,
                        run->run.first + run->run.length, TM_GAP_LOST_IN_VAULT);
            }
        }
    }
}

static inline void m_sweep(struct model *model, struct tm_edits *edits)
{
    if (model->pack_count == 0) {
        return;
    }
    int pack = 1 + below(model, model->pack_count);
    if (model->packs[pack].state == M_DROPPED || model->packs[pack].state == M_SWEPT) {
        model->packs[pack].state = M_SWEPT;
        sweep_pack(edits, (unsigned)pack);
    }
}

/* Entries ---------------------------------------------------------------------------------- */

static inline void m_put_tails(
        const struct model *model, struct m_tail before[M_STREAMS][M_PARTS], struct tm_edits *edits)
{
    for (int stream = 0; stream < M_STREAMS; stream++) {
        for (int part = 0; part < M_PARTS; part++) {
            const struct m_tail *tail = &model->tails[stream][part];
            const struct m_tail *old = &before[stream][part];
            if (tail->there &&
                    (!old->there || tail->next != old->next || tail->covered != old->covered)) {
                add_tail(edits, (uint32_t)stream + 1, part, tail->next, tail->covered,
                        tail->last >= 0 ? tail->next - tail->last : 0);
            }
        }
    }
}

static inline void m_progress(struct model *model, struct tm_edits *edits, int packs_before)
{
    int pack = m_new_pack(model, edits);
    int dep = m_some_pack(model, packs_before);
    if (dep != 0 && chance(model, 40)) {
        model->packs[pack].dep = dep;
        add_dep(m_row(edits, pack), (unsigned)dep);
    }
    for (int stream = 0; stream < model->stream_count; stream++) {
        for (int part = 0; part < M_PARTS; part++) {
            if (chance(model, 25)) {
                m_grow(model, edits, stream, part, pack);
            }
        }
    }
}

/* A random valid entry; the model is as after it. */
static inline struct tm_edits m_entry(struct model *model)
{
    static const char *const seconds[] = {"1", "20", "300"};
    struct m_tail before[M_STREAMS][M_PARTS];
    memcpy(before, model->tails, sizeof(before));
    int points_before = model->point_count;
    int packs_before = model->pack_count;
    model->now_ms += (int64_t)below(model, 5 * 24) * 3600000;

    struct tm_edits edits = entry(chance(model, 70) ? "p0" : "", model->now_ms);
    if (chance(model, 30)) {
        m_add_stream(model, &edits);
    }
    if (chance(model, 20)) {
        add_param(&edits, "pack.target", m_name(seconds, below(model, 3)));
    }
    if (model->stream_count > 0 && chance(model, 20)) {
        add_keep(&edits, 1 + (uint32_t)below(model, model->stream_count), "p0",
                (uint64_t)below(model, 3));
    }
    if (chance(model, 30)) {
        m_merge(model, &edits, packs_before);
    }
    if (chance(model, 20)) {
        m_drop(model, &edits, packs_before);
    }
    if (chance(model, 70)) {
        m_progress(model, &edits, packs_before);
    }
    if (chance(model, 60)) {
        m_add_point(model, &edits);
    }
    if (chance(model, 40)) {
        m_remove_point(model, &edits, points_before);
    }
    if (chance(model, 40)) {
        m_remove_point(model, &edits, points_before);
    }
    if (chance(model, 30)) {
        m_mark_point(model, &edits);
    }
    if (chance(model, 40)) {
        m_sweep(model, &edits);
    }
    m_put_tails(model, before, &edits);
    return edits;
}

#endif
