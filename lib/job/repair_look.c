/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "job/repair_run.h"

/*
 * Blocks made anew are not cut by their content: a block holds what its source held. Those that have a content id
 * keep it by the vault's own rule.
 */
enum { BLOCK_BYTES = 4 << 20 };
static const struct tm_block_params uncut = {
        .block_min = INT32_MAX,
        .block_mean = INT32_MAX,
        .block_max = INT32_MAX,
        .solo_min = INT32_MAX,
};

/* Sinks ------------------------------------------------------------------------------------ */

static enum tm_code put_open(struct repair_sink *sink, int64_t end, struct tm_err *err)
{
    struct tm_block *block = TM_TAKE(sink->open);
    tm_block_extend(block, end);
    sink->next = end;
    return tm_packer_put(sink->packer, block, err);
}

enum tm_code tm_repair_sink_add(
        struct repair_sink *sink, const struct tm_record *record, struct tm_err *err)
{
    if (sink->open != NULL && tm_block_bytes(sink->open) >= BLOCK_BYTES) {
        TM_TRY(put_open(sink, record->offset, err));
    }
    if (sink->open == NULL) {
        sink->open = tm_block_new(sink->ring, &uncut, sink->stream);
        tm_block_begin(sink->open, sink->partition, sink->next);
    }
    bool closed = tm_block_add(sink->open, record);
    if (closed) { /* a record of 2 GiB */
        sink->next = record->offset + 1;
        return tm_packer_put(sink->packer, TM_TAKE(sink->open), err);
    }
    return TM_OK;
}

enum tm_code tm_repair_sink_end(struct repair_sink *sink, int64_t end, struct tm_err *err)
{
    return sink->open != NULL ? put_open(sink, end, err) : TM_OK;
}

/* What is whole ---------------------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
    const struct repair_part *x = a;
    const struct repair_part *y = b;
    int order = (x->run.stream > y->run.stream) - (x->run.stream < y->run.stream);
    order = order != 0
                    ? order
                    : (x->run.partition > y->run.partition) - (x->run.partition < y->run.partition);
    return order != 0 ? order : (x->run.first > y->run.first) - (x->run.first < y->run.first);
}

static int by_block(const void *a, const void *b)
{
    const struct repair_part *x = a;
    const struct repair_part *y = b;
    int order = (x->block > y->block) - (x->block < y->block);
    return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

struct parts {
    TM_VEC(struct repair_part) at; /* every run of every block, under the log's streams; by place */
    bool *whole;                   /* by block */
};

/* Open a pack that may be damaged; *out stays NULL where nothing of it can be read. */
static enum tm_code open_pack(struct repair_pack *at, struct tm_err *err)
{
    struct tm_vault *vault = at->run->options->vault;
    struct tm_err why = {0};
    if (!tm_ring_can_read(tm_vault_ring(vault))) {
        return TM_OK;
    }
    at->cache = tm_pack_cache_new(vault);
    TM_TRY(tm_pack_cache_follow(at->cache, at->run->options->catalog, err));
    enum tm_code code =
            tm_pack_cache_take(at->cache, &at->pack.name, at->pack.size, &at->open, &why);
    if (code != TM_OK && !tm_verify_is_fault(code)) {
        *err = why;
        return code;
    }
    return TM_OK;
}

static enum tm_code look_at_blocks(struct repair_pack *at, struct parts *parts, struct tm_err *err)
{
    const struct tm_pack_index *index = tm_pack_index(at->open);
    struct tm_vault *vault = at->run->options->vault;
    TM_OWN(tm_verify_tools_free) struct verify_tools *tools = tm_verify_tools_new(vault);
    parts->whole = tm_arena_alloc(&at->arena, index->block_count + 1, sizeof(*parts->whole));
    for (size_t b = 0; b < index->block_count; b++) {
        int64_t records = 0;
        struct tm_err why = {0};
        enum tm_code code = tm_verify_block(tools, at->open, b, &records, &why);
        if (code != TM_OK && !tm_verify_is_fault(code)) {
            *err = why;
            return code;
        }
        parts->whole[b] = code == TM_OK;
        if (tm_job_cancelled(at->run->env)) {
            return tm_err_set(err, TM_E_CANCELLED, "cancelled before the damaged pack was read");
        }
    }
    return TM_OK;
}

static uint32_t log_stream(const struct repair_pack *at, uint32_t number)
{
    const struct tm_pack_index *index = tm_pack_index(at->open);
    for (size_t i = 0; i < index->stream_count; i++) {
        if (index->streams[i].id == number) {
            return tm_verify_stream_id(&at->run->streams, &index->streams[i]);
        }
    }
    return 0;
}

static void list_parts(struct repair_pack *at, struct parts *parts)
{
    const struct tm_pack_index *index = tm_pack_index(at->open);
    for (size_t b = 0; b < index->block_count; b++) {
        for (size_t r = 0; r < index->blocks[b].run_count; r++) {
            struct repair_part *part = tm_vec_push(&parts->at);
            *part = (struct repair_part){index->blocks[b].runs[r].run, b, r};
            part->run.stream = log_stream(at, part->run.stream);
        }
    }
    if (parts->at.count > 0) {
        qsort(parts->at.at, parts->at.count, sizeof(*parts->at.at), by_place);
    }
}

static void lose(struct repair_pack *at, const struct tm_run *run, const struct repair_part *part)
{
    struct repair_stretch *lost = tm_vec_push(&at->lost);
    *lost = (struct repair_stretch){.run = *run};
    if (part != NULL) {
        lost->has_proof = true;
        lost->proof = tm_pack_index(at->open)->blocks[part->block].runs[part->index].proof;
        lost->epoch = tm_pack_block_epoch(at->open, part->block);
    }
}

/* Do the parts from `first` on make up the run of the log, and nothing else? */
static size_t parts_of(const struct parts *parts, size_t first, const struct tm_run *run)
{
    int64_t end = run->first;
    int64_t count = 0;
    size_t i = first;
    for (; i < parts->at.count; i++) {
        const struct tm_run *at = &parts->at.at[i].run;
        if (at->stream != run->stream || at->partition != run->partition || at->first != end ||
                at->first + at->length > run->first + run->length) {
            break;
        }
        end += at->length;
        count += at->count;
    }
    return end == run->first + run->length && count == run->count ? i - first : 0;
}

/* Each run of the log, from blocks that are whole, or to be had again. */
static void divide(struct repair_pack *at, const struct parts *parts)
{
    size_t next = 0;
    for (size_t i = 0; i < at->run_count; i++) {
        const struct tm_run *run = &at->runs[i];
        struct repair_part key = {.run = *run};
        while (next < parts->at.count && by_place(&parts->at.at[next], &key) < 0) {
            next++;
        }
        size_t count = parts_of(parts, next, run);
        for (size_t p = next; p < next + count; p++) {
            const struct repair_part *part = &parts->at.at[p];
            if (parts->whole[part->block]) {
                *tm_vec_push(&at->whole) = *part;
            } else {
                lose(at, &part->run, part);
            }
        }
        if (count == 0) {
            lose(at, run, NULL);
        }
    }
    if (at->whole.count > 0) {
        qsort(at->whole.at, at->whole.count, sizeof(*at->whole.at), by_block);
    }
}

enum tm_code tm_repair_look(struct repair_pack *at, struct tm_err *err)
{
    struct parts parts = {0};
    TM_TRY(open_pack(at, err));
    enum tm_code code = TM_OK;
    if (at->open != NULL) {
        code = look_at_blocks(at, &parts, err);
        list_parts(at, &parts);
    }
    if (code == TM_OK) {
        divide(at, &parts);
    }
    tm_vec_done(&parts.at);
    return code;
}

/* Copying ---------------------------------------------------------------------------------- */

/* All of a run of the view into a block; *closed: it was cut, and nothing more goes in. */
static void copy_run(struct tm_block *block, const struct tm_block_view *view,
        const struct repair_part *part, bool *closed)
{
    struct tm_block_iter iter;
    struct tm_record record;
    tm_block_begin(block, part->run.partition, part->run.first);
    tm_block_iter_init(&iter, view, part->index);
    while (!*closed && tm_block_iter_next(&iter, &record)) {
        *closed = tm_block_add(block, &record);
    }
    tm_block_iter_done(&iter);
    if (!*closed) {
        tm_block_extend(block, part->run.first + part->run.length);
    }
}

/* The same block again, by the vault's own rule of cutting; NULL where that gives another one. */
static struct tm_block *copy_with_id(const struct repair_pack *at, const struct tm_block_view *view,
        const struct repair_part *part, const struct tm_block_params *params)
{
    struct tm_block *block =
            tm_block_new(tm_vault_ring(at->run->options->vault), params, part->run.stream);
    bool closed = false;
    copy_run(block, view, part, &closed);
    if (!closed || tm_block_records(block) != part->run.count) {
        tm_block_free(block);
        return NULL;
    }
    return block;
}

/* Runs [first, end) of at->whole, which are of one block. */
static enum tm_code copy_block(struct repair_pack *at, const struct tm_block_view *view,
        size_t first, size_t end, struct tm_err *err)
{
    const struct repair_part *parts = at->whole.at;
    const struct tm_block_info *info = &tm_pack_index(at->open)->blocks[parts[first].block];
    struct tm_block_params params;
    TM_TRY(tm_catalog_params(at->run->options->catalog, &params, err));
    struct tm_block *block = NULL;
    if ((info->flags & (TM_BLOCK_HAS_ID | TM_BLOCK_FOREIGN)) != 0) {
        block = copy_with_id(at, view, &parts[first], &params);
    }
    bool closed = false;
    if (block == NULL) {
        block = tm_block_new(
                tm_vault_ring(at->run->options->vault), &uncut, parts[first].run.stream);
        for (size_t i = first; i < end; i++) {
            copy_run(block, view, &parts[i], &closed);
        }
    }
    for (size_t i = first; i < end; i++) {
        at->row.records_kept += parts[i].run.count;
    }
    return tm_packer_put(at->packer, block, err);
}

enum tm_code tm_repair_copy(struct repair_pack *at, struct tm_err *err)
{
    TM_OWN(tm_block_tools_free) struct tm_block_tools *tools = tm_block_tools_new();
    struct tm_block_view view = {0};
    enum tm_code code = TM_OK;
    for (size_t first = 0; code == TM_OK && first < at->whole.count;) {
        size_t end = first + 1;
        while (end < at->whole.count && at->whole.at[end].block == at->whole.at[first].block) {
            end++;
        }
        code = tm_pack_read_block(at->open, at->whole.at[first].block, tools, &view, err);
        code = code == TM_OK ? copy_block(at, &view, first, end, err) : code;
        first = end;
    }
    tm_block_view_done(&view);
    return code;
}
