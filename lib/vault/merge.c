/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/merge.h"

#include <stdlib.h>

#include "base/fault.h"
#include "base/hash.h"
#include "vault/log.h"
#include "vault/merge_impl.h"

void tm_merge_result_done(struct tm_merge_result *result)
{
    tm_vec_done(&result->packs);
    tm_vec_done(&result->gone);
    tm_vec_done(&result->thinned);
    tm_vec_done(&result->left);
    tm_arena_done(&result->arena);
}

static void merge_done(struct merge *merge)
{
    for (size_t i = 0; i < merge->options->source_count; i++) {
        tm_pack_close(merge->sources[i].pack);
    }
    for (size_t i = 0; i < merge->outputs.count; i++) {
        struct merge_output *output = &merge->outputs.at[i];
        tm_pack_writer_free(output->writer);
        tm_vec_done(&output->keys);
        tm_vec_done(&output->streams);
        tm_vec_done(&output->deps);
    }
    tm_vec_done(&merge->outputs);
    tm_vec_done(&merge->blocks);
    free(merge->sources);
    tm_arena_done(&merge->arena);
}

/* Copying ---------------------------------------------------------------------------------- */

static enum tm_code open_outputs(struct merge *merge, struct tm_err *err)
{
    enum tm_code code = TM_OK;
    for (size_t i = 0; code == TM_OK && i < merge->outputs.count; i++) {
        struct merge_output *output = &merge->outputs.at[i];
        code = tm_pack_writer_open_copy(
                merge->options->vault, output->keys.at, output->keys.count, &output->writer, err);
    }
    return code;
}

/* The whole object, and only if it is what its name says. */
static enum tm_code read_source(
        struct merge *merge, size_t number, struct tm_buf *out, struct tm_err *err)
{
    const struct tm_merge_source *given = merge->sources[number].given;
    char name[TM_OBJECT_NAME_MAX];
    tm_pack_name(&given->name, name);
    enum tm_code code = tm_store_range(
            tm_vault_store(merge->options->vault), name, 0, (size_t)given->size, out, err);
    if (code == TM_OK) {
        struct tm_hash hash = tm_sha256_of(tm_buf_slice(out));
        if (!tm_hash_eq(&hash, &given->name)) {
            code = tm_err_set(err, TM_E_CORRUPT, "%s: is not what its name says", name);
        }
    }
    if (code == TM_E_CORRUPT || code == TM_E_MISSING) {
        err->code = code = TM_E_CORRUPT;
        tm_merge_leave(merge, number, code, err->msg);
    }
    return code;
}

static enum tm_code copy_frame(const struct merge *merge, const struct merge_block *block,
        const struct tm_frame *from, const struct tm_frame *to, const struct tm_buf *bytes,
        struct tm_err *err)
{
    tm_assert(from->offset + from->stored <= bytes->len); /* the index was checked to be so */
    return tm_pack_writer_copy(merge->outputs.at[block->output].writer, to->offset,
            tm_slice_of(bytes->at + from->offset, (size_t)from->stored), err);
}

static enum tm_code copy_block(const struct merge *merge, const struct merge_block *block,
        const struct tm_buf *bytes, struct tm_err *err)
{
    const struct tm_pack_index *index = tm_pack_index(merge->sources[block->source].pack);
    const struct tm_block_info *from = &index->blocks[block->number];
    TM_TRY(copy_frame(merge, block, &from->positions, &block->info.positions, bytes, err));
    return (from->flags & TM_BLOCK_FOREIGN) != 0
                   ? TM_OK
                   : copy_frame(merge, block, &from->content, &block->info.content, bytes, err);
}

/* Blocks of the layout by source: [first[n], first[n + 1]) of `order` are those of source n. */
struct by_source {
    size_t *first;
    size_t *order;
};

static struct by_source group_by_source(struct merge *merge)
{
    size_t sources = merge->options->source_count;
    struct by_source by = {
            .first = tm_arena_alloc(&merge->arena, sources + 2, sizeof(*by.first)),
            .order = tm_arena_alloc(&merge->arena, merge->blocks.count + 1, sizeof(*by.order)),
    };
    for (size_t i = 0; i < merge->blocks.count; i++) {
        by.first[merge->blocks.at[i].source + 2]++;
    }
    for (size_t i = 2; i < sources + 2; i++) {
        by.first[i] += by.first[i - 1];
    }
    for (size_t i = 0; i < merge->blocks.count; i++) { /* shifts the bounds into their place */
        by.order[by.first[merge->blocks.at[i].source + 1]++] = i;
    }
    return by;
}

/* Copy the blocks of source `number`, which are those at `order`. */
static enum tm_code copy_source(
        struct merge *merge, size_t number, const size_t *order, size_t count, struct tm_err *err)
{
    if (merge->options->cancel != NULL && atomic_load(merge->options->cancel)) {
        return tm_err_set(err, TM_E_CANCELLED, "stopped while packs are merged");
    }
    TM_BUF_OWN struct tm_buf bytes = {0};
    enum tm_code code = read_source(merge, number, &bytes, err);
    for (size_t i = 0; code == TM_OK && i < count; i++) {
        code = copy_block(merge, &merge->blocks.at[order[i]], &bytes, err);
    }
    if (code == TM_OK) {
        merge->result->bytes_in += bytes.len;
        TM_FAULT("merge.copied");
    }
    return code;
}

static enum tm_code copy_sources(struct merge *merge, struct tm_err *err)
{
    struct by_source by = group_by_source(merge);
    enum tm_code code = TM_OK;
    for (size_t n = 0; code == TM_OK && n < merge->options->source_count; n++) {
        size_t count = by.first[n + 1] - by.first[n];
        if (count > 0) {
            code = copy_source(merge, n, &by.order[by.first[n]], count, err);
        }
    }
    return code;
}

static enum tm_code store_output(
        struct merge *merge, struct merge_output *output, struct tm_err *err)
{
    size_t count = output->end - output->first;
    struct tm_block_info *blocks = tm_xalloc(count, sizeof(*blocks));
    for (size_t i = 0; i < count; i++) {
        blocks[i] = merge->blocks.at[output->first + i].info;
    }
    struct tm_pack_index index = {
            .streams = output->streams.at,
            .stream_count = output->streams.count,
            .deps = output->deps.at,
            .dep_count = output->deps.count,
            .blocks = blocks,
            .block_count = count,
    };
    enum tm_code code = tm_pack_writer_finish_copy(
            output->writer, &index, output->frames_end, &output->name, &output->size, err);
    free(blocks);
    if (code == TM_OK) {
        merge->result->bytes_out += output->size;
        TM_FAULT("merge.put");
    }
    return code;
}

/* Rows of the log -------------------------------------------------------------------------- */

static void add_pack_row(struct merge *merge, const struct merge_output *output)
{
    struct tm_arena *arena = &merge->result->arena;
    size_t count = 0;
    for (size_t i = output->first; i < output->end; i++) {
        count += merge->blocks.at[i].info.run_count;
    }
    struct tm_run *runs = tm_arena_alloc(arena, count, sizeof(*runs));
    size_t at = 0;
    for (size_t i = output->first; i < output->end; i++) {
        const struct merge_block *block = &merge->blocks.at[i];
        for (size_t r = 0; r < block->info.run_count; r++) {
            runs[at] = block->info.runs[r].run;
            runs[at++].stream = block->stream; /* a block is of one stream */
        }
    }
    struct tm_hash *deps = tm_arena_alloc(arena, output->deps.count + 1, sizeof(*deps));
    if (output->deps.count > 0) {
        memcpy(deps, output->deps.at, output->deps.count * sizeof(*deps));
    }
    *tm_vec_push(&merge->result->packs) = (struct tm_row_pack){
            .name = output->name,
            .size = output->size,
            .stored_ms = output->stored_ms,
            .deps = deps,
            .dep_count = output->deps.count,
            .runs = runs,
            .run_count = tm_runs_join(runs, count),
    };
}

static void add_gone_row(struct merge *merge, size_t number)
{
    const struct merge_source *source = &merge->sources[number];
    if (source->pack == NULL) {
        return;
    }
    size_t count = merge->outputs.count;
    bool *has = tm_xalloc(count + 1, sizeof(*has));
    for (size_t i = 0; i < merge->blocks.count; i++) {
        if (merge->blocks.at[i].source == number) {
            has[merge->blocks.at[i].output] = true;
        }
    }
    struct tm_row_successors *row = tm_vec_push(&merge->result->gone);
    row->name = source->given->name;
    row->successors = tm_arena_alloc(&merge->result->arena, count + 1, sizeof(*row->successors));
    for (size_t i = 0; i < count; i++) {
        if (has[i]) {
            row->successors[row->successor_count++] = merge->outputs.at[i].name;
        }
    }
    free(has);
    if (source->thinned) {
        *tm_vec_push(&merge->result->thinned) = source->given->name;
    }
}

static enum tm_code run(struct merge *merge, struct tm_err *err)
{
    TM_TRY(tm_merge_layout(merge, err));
    TM_TRY(open_outputs(merge, err));
    TM_TRY(copy_sources(merge, err));
    enum tm_code code = TM_OK;
    for (size_t i = 0; code == TM_OK && i < merge->outputs.count; i++) {
        code = store_output(merge, &merge->outputs.at[i], err);
    }
    TM_TRY(code);
    for (size_t i = 0; i < merge->outputs.count; i++) {
        add_pack_row(merge, &merge->outputs.at[i]);
    }
    for (size_t i = 0; i < merge->options->source_count; i++) {
        add_gone_row(merge, i);
    }
    return TM_OK;
}

enum tm_code tm_merge_packs(
        const struct tm_merge_options *options, struct tm_merge_result *out, struct tm_err *err)
{
    struct merge merge = {
            .options = options,
            .result = out,
            .sources = tm_xalloc(options->source_count, sizeof(*merge.sources)),
    };
    enum tm_code code = run(&merge, err);
    merge_done(&merge);
    return code;
}
