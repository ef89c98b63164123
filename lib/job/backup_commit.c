/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "job/backup_run.h"

enum { IDS_MS = 30 * 1000 };

struct built_tail {
    struct backup_topic *topic;
    struct tm_row_tail row;
};

/* What one call of the build callback works on; `edits` may be built several times. */
struct build {
    struct backup_run *run;
    bool final;
    bool made_point;
    TM_VEC(struct built_tail) tails; /* what the newest build said, for settle() */
    bool *added;                     /* of run->packs: those it added */
    int64_t stored_bytes;
    int64_t deduplicated_bytes;
    int64_t gaps[TM_GAP_CORRUPT_ON_BROKER + 1]; /* by reason */
};

static struct backup_topic *topic_of(const struct backup_run *run, uint32_t number)
{
    struct backup_topic *topic = run->numbers.at[number - 1];
    return topic != NULL && !topic->recreated ? topic : NULL;
}

static void take_run(struct backup_run *run, const struct tm_packed_run *packed)
{
    struct backup_topic *topic = topic_of(run, packed->run.stream);
    if (topic != NULL) {
        *tm_vec_push(&topic->parts[packed->run.partition].runs) = (struct pending_run){
                .first = packed->run.first,
                .end = packed->run.first + packed->run.length,
                .tail = packed->tail,
        };
    }
}

/* Note the stretches of newly durable packs with their partitions, in offset order. */
static void take_runs(struct backup_run *run, size_t first_pack)
{
    pthread_mutex_lock(&run->lock);
    for (size_t i = first_pack; i < run->packs.count; i++) {
        const struct tm_packed *pack = &run->packs.at[i];
        for (size_t r = 0; r < pack->runs.count; r++) {
            take_run(run, &pack->runs.at[r]);
        }
    }
    pthread_mutex_unlock(&run->lock);
}

static bool has_pending(const struct backup_topic *topic)
{
    for (size_t p = 0; p < topic->part_count; p++) {
        if (topic->parts[p].runs.count > 0 || topic->parts[p].gaps.count > 0) {
            return true;
        }
    }
    return false;
}

/* Packs ---------------------------------------------------------------------------------------- */

/* False: all of it was given up, and it is an orphan, for the sweep, unless another refers to it. */
static bool add_pack(struct backup_run *run, const struct tm_packed *pack, struct tm_edits *edits)
{
    struct tm_run *runs = tm_arena_alloc(
            &edits->arena, pack->runs.count > 0 ? pack->runs.count : 1, sizeof(*runs));
    size_t count = 0;
    for (size_t r = 0; r < pack->runs.count; r++) {
        const struct backup_topic *topic = topic_of(run, pack->runs.at[r].run.stream);
        if (topic != NULL) {
            runs[count] = pack->runs.at[r].run;
            runs[count++].stream = topic->assigned;
        }
    }
    count = count > 0 ? tm_runs_join(runs, count) : 0;
    if (count == 0) {
        return false;
    }
    struct tm_row_pack row = tm_backup_pack_row(pack, edits);
    row.runs = runs;
    row.run_count = count;
    *tm_vec_push(&edits->packs) = row;
    return true;
}

/* Partitions ---------------------------------------------------------------------------------- */

/*
 * Walk the pending stretches and gaps of a partition from its watermark on. Gaps that do not join yet
 * (the stretch before them is not durable) wait for a later commit. `*taken` counts the gaps used.
 */
static int64_t walk_pending(const struct backup_part *part, uint32_t stream, struct tm_edits *edits,
        struct tm_tail *last, bool *has_last, size_t *taken)
{
    int64_t cursor = part->committed;
    size_t run = 0;
    for (;;) {
        if (*taken < part->gaps.count && part->gaps.at[*taken].from == cursor) {
            struct tm_row_gap gap = part->gaps.at[(*taken)++];
            gap.stream = stream;
            *tm_vec_push(&edits->gaps) = gap;
            cursor += gap.length;
        } else if (run < part->runs.count && part->runs.at[run].first == cursor) {
            cursor = part->runs.at[run].end;
            *last = part->runs.at[run++].tail;
            *has_last = true;
        } else {
            tm_assert(run == part->runs.count); /* blocks were put in offset order */
            return cursor;
        }
    }
}

/* The partition's new watermark row; none where nothing changes. */
static void add_tail(struct build *build, struct backup_topic *topic, struct backup_part *part,
        struct tm_edits *edits)
{
    struct tm_tail last = {0};
    bool has_last = false;
    size_t taken = 0;
    int64_t cursor = walk_pending(part, topic->assigned, edits, &last, &has_last, &taken);
    part->watermark = cursor;
    struct tm_row_tail row =
            part->named ? part->tail
                        : (struct tm_row_tail){.partition = part->partition, .leader_epoch = -1};
    int64_t covered = build->final && cursor > row.covered ? cursor : row.covered;
    if (part->named && cursor == row.next && covered == row.covered) {
        return;
    }
    if (!part->named && !build->final && cursor == part->committed) {
        return; /* not read yet: the commit that names it sets its base */
    }
    if (has_last) {
        row.back = cursor - last.offset;
        row.leader_epoch = last.leader_epoch;
        row.timestamp_ms = last.timestamp_ms;
        row.tag = last.tag;
    } else if (row.back > 0) {
        row.back += cursor - row.next;
    }
    row.stream = topic->assigned;
    row.next = cursor;
    row.covered = covered;
    *tm_vec_push(&edits->tails) = row;
    *tm_vec_push(&build->tails) = (struct built_tail){topic, row};
}

/*
 * Take the row of a partition as the fold has it now. Points that others made meanwhile may have
 * changed `covered`; and where they stored more of a partition that this run has nothing of, the
 * point covers that. False: what this run has no longer joins.
 */
static bool take_tail(struct backup_part *part, const struct tm_row_tail *held, bool is_final)
{
    bool pending = part->runs.count > 0 || part->gaps.count > 0;
    bool moved = held == NULL ? part->named : held->next != part->committed;
    if (moved && (pending || held == NULL)) {
        return false;
    }
    if (moved && !is_final) {
        return true; /* a worker may still have it in hand: its runs will not join */
    }
    if (moved && !part->named) {
        part->log_start = held->next; /* where its history begins is for the next run to say */
    }
    part->named = held != NULL;
    if (held != NULL) {
        part->tail = *held;
        part->committed = held->next;
    }
    return true;
}

static enum tm_code take_tails(
        const struct build *build, struct backup_topic *topic, struct tm_err *err)
{
    struct tm_row_tail *fold = NULL;
    struct tm_arena arena = {0};
    size_t count = 0;
    size_t at = 0; /* both are in order of partition */
    enum tm_code code = tm_catalog_tails(
            build->run->options->catalog, topic->stream.id, &arena, &fold, &count, err);
    for (size_t p = 0; code == TM_OK && p < topic->part_count; p++) {
        struct backup_part *part = &topic->parts[p];
        while (at < count && fold[at].partition < part->partition) {
            at++;
        }
        bool there = at < count && fold[at].partition == part->partition;
        if (!take_tail(part, there ? &fold[at] : NULL, build->final)) {
            code = tm_err_set(err, TM_E_CONFLICT,
                    "topic %s partition %" PRId32 ": another writer has stored it meanwhile",
                    topic->info->name, part->partition);
        }
    }
    tm_arena_done(&arena);
    return code;
}

/* Retention may have freed, since the plan, what this point would be the first to have. */
static enum tm_code check_freed(const struct backup_topic *topic, struct tm_err *err)
{
    bool freed = false;
    TM_TRY(tm_backup_has_freed(topic, &freed, err));
    return !freed ? TM_OK
                  : tm_err_set(err, TM_E_CONFLICT,
                            "topic %s: what was stored of it has been freed meanwhile",
                            topic->info->name);
}

/* Which stream the topic's rows go to: the one planned on, or a new one with the next free id. */
static enum tm_code resolve_stream(const struct build *build, struct backup_topic *topic,
        uint32_t *next_id, struct tm_edits *edits, struct tm_err *err)
{
    struct backup_run *run = build->run;
    struct tm_stream newest = {0};
    topic->built_as = topic->number;
    TM_TRY(tm_catalog_stream(run->options->catalog, run->cluster_id,
            tm_slice_str(topic->info->name), &edits->arena, &newest, err));
    if (topic->stream.id != 0) {
        topic->assigned = topic->stream.id;
        if (newest.id != topic->stream.id) {
            return tm_err_set(err, TM_E_CONFLICT,
                    "topic %s: another writer has begun a new incarnation", topic->info->name);
        }
        TM_TRY(take_tails(build, topic, err));
        return build->final ? check_freed(topic, err) : TM_OK;
    }
    if (newest.incarnation + 1 != topic->stream.incarnation) {
        return tm_err_set(err, TM_E_CONFLICT,
                "topic %s: another writer has begun incarnation %" PRIu32, topic->info->name,
                newest.incarnation);
    }
    topic->assigned = (*next_id)++;
    *tm_vec_push(&edits->streams) = (struct tm_row_stream){
            .id = topic->assigned,
            .cluster_id = run->cluster_id,
            .topic = tm_slice_str(topic->info->name),
            .incarnation = topic->stream.incarnation,
            .topic_id = topic->info->has_id ? topic->info->id : (struct tm_id16){{0}},
            .created_ms = tm_now_ms(),
    };
    return TM_OK;
}

static bool takes_part(const struct build *build, const struct backup_topic *topic)
{
    return !topic->recreated && !topic->failed && (build->final || has_pending(topic));
}

static enum tm_code add_topic(struct build *build, struct backup_topic *topic, uint32_t *next_id,
        struct tm_edits *edits, struct tm_err *err)
{
    TM_TRY(resolve_stream(build, topic, next_id, edits, err));
    for (size_t p = 0; p < topic->part_count; p++) {
        if (!topic->parts[p].unanswered) {
            add_tail(build, topic, &topic->parts[p], edits);
        }
    }
    return TM_OK;
}

static enum tm_code add_topics(struct build *build, struct tm_edits *edits, struct tm_err *err)
{
    struct backup_run *run = build->run;
    uint32_t last_stream = 0;
    uint64_t last_point = 0;
    TM_TRY(tm_catalog_last_ids(run->options->catalog, &last_stream, &last_point, err));
    last_stream++;
    build->tails.count = 0;
    enum tm_code code = TM_OK;
    for (size_t t = 0; code == TM_OK && t < run->count; t++) {
        struct backup_topic *topic = &run->at[t];
        topic->assigned = 0;
        if (takes_part(build, topic)) {
            code = add_topic(build, topic, &last_stream, edits, err);
        }
    }
    for (size_t i = 0; code == TM_OK && i < run->packs.count; i++) {
        build->added[i] = add_pack(run, &run->packs.at[i], edits);
    }
    return code == TM_OK ? tm_backup_add_deps(run, build->added, edits, err) : code;
}

static enum tm_code add_point(struct build *build, struct tm_edits *edits, struct tm_err *err)
{
    struct backup_run *run = build->run;
    struct tm_point newest = {0};
    TM_TRY(tm_catalog_newest_point(run->options->catalog, run->cluster_id,
            tm_slice_str(run->options->policy), &edits->arena, &newest, err));
    TM_TRY(tm_backup_point(run, edits, &newest, &build->made_point, err));
    if (!build->made_point) {
        run->result->has_point = newest.row.id != 0;
        run->result->point = newest.row.ulid;
    }
    return TM_OK;
}

static void remember(struct build *build, const struct tm_edits *edits)
{
    const tm_packed_list *packs = &build->run->packs;
    build->stored_bytes = 0;
    build->deduplicated_bytes = 0;
    memset(build->gaps, 0, sizeof(build->gaps));
    for (size_t i = 0; i < packs->count; i++) {
        build->deduplicated_bytes += build->added[i] ? packs->at[i].deduplicated_bytes : 0;
    }
    for (size_t i = 0; i < edits->packs.count; i++) {
        build->stored_bytes += (int64_t)edits->packs.at[i].size;
    }
    for (size_t i = 0; i < edits->gaps.count; i++) {
        enum tm_gap_reason reason = edits->gaps.at[i].reason;
        build->gaps[reason] += reason != TM_GAP_NO_RECORDS && reason != TM_GAP_SKIPPED ? 1 : 0;
    }
}

static enum tm_code build_edits(void *arg, struct tm_edits *edits, struct tm_err *err)
{
    struct build *build = arg;
    struct backup_run *run = build->run;
    edits->policy = tm_slice_str(run->options->policy);
    build->made_point = false;

    pthread_mutex_lock(&run->lock);
    enum tm_code code = add_topics(build, edits, err);
    if (code == TM_OK && build->final) {
        code = add_point(build, edits, err);
    }
    pthread_mutex_unlock(&run->lock);
    if (code != TM_OK) {
        return code;
    }
    remember(build, edits);
    bool nothing = !build->made_point && edits->packs.count == 0 && edits->gaps.count == 0 &&
                   edits->tails.count == 0;
    return nothing ? tm_err_set(err, TM_E_EXISTS, "nothing new") /* tm_backup_commit() expects it */
                   : TM_OK;
}

/* After a commit ------------------------------------------------------------------------------ */

static void settle_part(struct backup_part *part, const struct tm_row_tail *row)
{
    size_t left = 0;
    for (size_t g = 0; g < part->gaps.count; g++) {
        if (part->gaps.at[g].from >= row->next) {
            part->gaps.at[left++] = part->gaps.at[g];
        }
    }
    part->gaps.count = left;
    part->runs.count = 0;
    part->named = true;
    part->tail = *row;
    part->committed = row->next;
}

static void count_run(struct backup_run *run, const struct tm_run *stored)
{
    struct backup_topic *topic = topic_of(run, stored->stream);
    if (topic != NULL) {
        topic->messages += stored->count;
        topic->bytes += stored->bytes;
        run->result->messages_count += stored->count;
        run->result->source_bytes += stored->bytes;
    }
}

static void count_stored(struct backup_run *run)
{
    for (size_t i = 0; i < run->packs.count; i++) {
        const struct tm_packed *pack = &run->packs.at[i];
        for (size_t r = 0; r < pack->runs.count; r++) {
            count_run(run, &pack->runs.at[r].run);
        }
    }
}

static void settle(struct build *build)
{
    struct backup_run *run = build->run;
    pthread_mutex_lock(&run->lock);
    count_stored(run);
    run->result->stored_bytes += build->stored_bytes;
    run->result->deduplicated_bytes += build->deduplicated_bytes;
    for (size_t r = 0; r < sizeof(build->gaps) / sizeof(build->gaps[0]); r++) {
        run->result->gaps_count += build->gaps[r];
        run->result->gaps_by_reason[r] += build->gaps[r];
    }
    /* A topic that started anew after the build belongs to its new stream already. */
    for (size_t t = 0; t < run->count; t++) {
        struct backup_topic *topic = &run->at[t];
        if (topic->assigned != 0 && topic->number == topic->built_as) {
            topic->begun |= topic->stream.id == 0 && topic->stream.incarnation > 1;
            topic->stream.id = topic->assigned;
        }
    }
    for (size_t i = 0; i < build->tails.count; i++) {
        const struct built_tail *tail = &build->tails.at[i];
        if (tail->topic->number == tail->topic->built_as) {
            settle_part(&tail->topic->parts[tail->row.partition], &tail->row);
        }
    }
    pthread_mutex_unlock(&run->lock);
    tm_backup_settle_content(run, build->added);
}

/* Identity ------------------------------------------------------------------------------------ */

static void compare_identity(struct backup_topic *topic, const struct tm_topic_info *now)
{
    if (now->has_id && tm_id16_eq(&now->id, &topic->info->id)) {
        return;
    }
    pthread_mutex_lock(&topic->run->lock);
    topic->recreated = true;
    pthread_mutex_unlock(&topic->run->lock);
    tm_backup_fail(topic->run, topic->info->name, -1, "topic-recreated",
            "the topic was deleted or created again while it was read; nothing of that is kept");
}

/*
 * Ask for the topic ids again: a topic that was created anew while it was read gives its records at
 * the old offsets without a word (docs/design.md, "Kafka"). What was read of it is not committed; the next
 * run begins a new incarnation. A cluster that does not answer leaves the question open, and then
 * nothing is committed.
 */
static enum tm_code check_identity(struct backup_run *run, struct tm_err *err)
{
    struct tm_topic_list list = {0};
    list.at = tm_arena_alloc(&list.arena, run->count > 0 ? run->count : 1, sizeof(*list.at));
    pthread_mutex_lock(&run->lock);
    for (size_t t = 0; t < run->count; t++) {
        const struct backup_topic *topic = &run->at[t];
        if (topic->info->has_id && !topic->recreated && has_pending(topic)) {
            list.at[list.count++] = (struct tm_topic_info){.name = topic->info->name};
        }
    }
    pthread_mutex_unlock(&run->lock);
    enum tm_code code =
            list.count == 0 ? TM_OK : tm_kafka_topic_ids(run->options->kafka, IDS_MS, &list, err);
    size_t at = 0;
    for (size_t t = 0; code == TM_OK && t < run->count && at < list.count; t++) {
        if (strcmp(run->at[t].info->name, list.at[at].name) == 0) {
            compare_identity(&run->at[t], &list.at[at++]);
        }
    }
    tm_topic_list_done(&list);
    return code;
}

enum tm_code tm_backup_commit(struct backup_run *run, bool final, struct tm_err *err)
{
    size_t before = run->packs.count;
    TM_TRY(tm_packer_cut(run->packer, &run->packs, err));
    take_runs(run, before);
    if (!final && run->packs.count == 0) {
        return TM_OK;
    }
    TM_TRY(check_identity(run, err));
    TM_FAULT("job.backup.cut");

    struct build build = {.run = run, .final = final};
    build.added = tm_xalloc(run->packs.count + 1, sizeof(*build.added));
    struct tm_fold fold = tm_catalog_fold(run->options->catalog);
    enum tm_code code = tm_vault_commit(
            run->options->vault, &fold, build_edits, &build, &run->result->head, err);
    if (code == TM_OK) {
        settle(&build);
        tm_backup_show_lag(run);
    } else if (code == TM_E_EXISTS) {
        *err = (struct tm_err){0};
        run->result->unchanged = true;
        code = TM_OK;
    }
    tm_vec_done(&build.tails);
    free(build.added);
    TM_FAULT("job.backup.committed");
    return code;
}
