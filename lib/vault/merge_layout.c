/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "vault/merge_impl.h"

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

enum { KEYS_MAX = 60000 }; /* below TM_PACK_KEYS_MAX by more than a block can bring */

void tm_merge_leave(struct merge *merge, size_t source, enum tm_code code, const char *why)
{
    struct tm_merge_left *left = tm_vec_push(&merge->result->left);
    left->name = merge->sources[source].given->name;
    left->code = code;
    (void)snprintf(left->why, sizeof(left->why), "%s", why);
    tm_pack_close(merge->sources[source].pack);
    merge->sources[source].pack = NULL;
}

/* Streams ---------------------------------------------------------------------------------- */

static int by_names(const void *a, const void *b)
{
    const struct merge_stream *x = a;
    const struct merge_stream *y = b;
    int order = tm_slice_cmp(x->names.topic, y->names.topic);
    order = order != 0 ? order : tm_slice_cmp(x->names.cluster_id, y->names.cluster_id);
    return order != 0 ? order : COMPARE(x->names.incarnation, y->names.incarnation);
}

static void sort_streams(struct merge *merge)
{
    size_t count = merge->options->stream_count;
    merge->streams = tm_arena_alloc(&merge->arena, count + 1, sizeof(*merge->streams));
    for (size_t i = 0; i < count; i++) {
        merge->streams[i].names = merge->options->streams[i];
    }
    qsort(merge->streams, count, sizeof(*merge->streams), by_names);
}

/* What the log knows of a pack's stream; NULL: none of the runs that it lists is of it. */
static struct merge_stream *find_stream(
        const struct merge *merge, const struct tm_pack_stream *stream)
{
    struct merge_stream key = {
            .names = {0, stream->cluster_id, stream->topic, stream->incarnation}};
    return bsearch(&key, merge->streams, merge->options->stream_count, sizeof(key), by_names);
}

static void map_streams(struct merge *merge, struct merge_source *source)
{
    const struct tm_pack_index *index = tm_pack_index(source->pack);
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    size_t each = sizeof(*source->streams);
    source->streams = tm_arena_alloc(&merge->arena, index->stream_count + 1, each);
    for (size_t i = 0; i < index->stream_count; i++) {
        source->streams[i] = find_stream(merge, &index->streams[i]);
    }
}

/* The stream that the pack's own number stands for, or NULL. */
static struct merge_stream *stream_at(const struct merge_source *source, uint32_t own)
{
    const struct tm_pack_index *index = tm_pack_index(source->pack);
    size_t low = 0;
    size_t high = index->stream_count;
    while (low < high) { /* sorted by number */
        size_t mid = low + (high - low) / 2;
        bool below = index->streams[mid].id < own;
        low = below ? mid + 1 : low;
        high = below ? high : mid;
    }
    bool there = low < index->stream_count && index->streams[low].id == own;
    return there ? source->streams[low] : NULL;
}

/* The log's number of it; 0: none. */
static uint32_t stream_of(const struct merge_source *source, uint32_t own)
{
    const struct merge_stream *stream = stream_at(source, own);
    return stream != NULL ? stream->names.id : 0;
}

/* What is kept ----------------------------------------------------------------------------- */

static int order_runs(const struct tm_run *x, const struct tm_run *y)
{
    int order = COMPARE(x->stream, y->stream);
    order = order != 0 ? order : COMPARE(x->partition, y->partition);
    return order != 0 ? order : COMPARE(x->first, y->first);
}

/* The run of the log that holds this run of a block; NULL: the log does not list it. */
static const struct tm_merge_run *listed_run(
        const struct tm_merge_source *given, const struct tm_run *run)
{
    size_t low = 0; /* the first that begins behind the run's start; runs are sorted */
    size_t high = given->run_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        bool before = order_runs(&given->runs[mid].run, run) <= 0;
        low = before ? mid + 1 : low;
        high = before ? high : mid;
    }
    const struct tm_merge_run *found = low > 0 ? &given->runs[low - 1] : NULL;
    bool holds = found != NULL && found->run.stream == run->stream &&
                 found->run.partition == run->partition &&
                 run->first + run->length <= found->run.first + found->run.length;
    return holds ? found : NULL;
}

struct verdict {
    bool live;
    bool listed; /* all its runs are */
};

static struct verdict judge(const struct merge_source *source, const struct tm_block_info *block)
{
    struct verdict verdict = {.listed = true};
    for (size_t r = 0; r < block->run_count; r++) {
        struct tm_run run = block->runs[r].run;
        run.stream = stream_of(source, run.stream);
        const struct tm_merge_run *listed = listed_run(source->given, &run);
        verdict.listed = verdict.listed && listed != NULL;
        verdict.live = verdict.live || (listed != NULL && listed->live);
    }
    return verdict;
}

static bool holds_content(const struct tm_block_info *block)
{
    return (block->flags & TM_BLOCK_HAS_ID) != 0 && (block->flags & TM_BLOCK_FOREIGN) == 0;
}

static void keep_holders(const struct merge_source *source, const struct tm_hash *id)
{
    const struct tm_pack_index *index = tm_pack_index(source->pack);
    for (size_t b = 0; b < index->block_count; b++) {
        if (holds_content(&index->blocks[b]) && tm_hash_eq(&index->blocks[b].content_id, id)) {
            source->kept[b] = true;
        }
    }
}

/* A block whose content a kept block of the pack refers to is kept. */
static void keep_referred(const struct merge_source *source)
{
    const struct tm_pack_index *index = tm_pack_index(source->pack);
    for (size_t b = 0; b < index->block_count; b++) {
        const struct tm_block_info *block = &index->blocks[b];
        if (source->kept[b] && (block->flags & TM_BLOCK_FOREIGN) != 0 && block->dep == 0) {
            keep_holders(source, &block->content_id);
        }
    }
}

/* NULL, or why the pack stays as it is. */
static const char *choose_blocks(struct merge *merge, struct merge_source *source)
{
    const struct tm_pack_index *index = tm_pack_index(source->pack);
    source->kept = tm_arena_alloc(&merge->arena, index->block_count + 1, sizeof(*source->kept));
    for (size_t b = 0; b < index->block_count; b++) {
        source->kept[b] = source->given->whole || judge(source, &index->blocks[b]).live;
    }
    keep_referred(source);
    int64_t listed = 0;
    for (size_t b = 0; b < index->block_count; b++) {
        if (source->kept[b] && !judge(source, &index->blocks[b]).listed) {
            return "a block that is needed has runs that the log does not list";
        }
        source->thinned = source->thinned || !source->kept[b];
        listed += source->kept[b] ? 1 : 0;
    }
    return listed == 0 && source->given->whole ? "others depend on a pack without blocks" : NULL;
}

/* Offsets that the log lists as live, and those that the kept blocks have of them, must be the same. */
static bool covers_live(const struct merge_source *source)
{
    const struct tm_pack_index *index = tm_pack_index(source->pack);
    int64_t live = 0;
    int64_t held = 0;
    for (size_t i = 0; i < source->given->run_count; i++) {
        live += source->given->runs[i].live ? source->given->runs[i].run.length : 0;
    }
    for (size_t b = 0; b < index->block_count; b++) {
        for (size_t r = 0; source->kept[b] && r < index->blocks[b].run_count; r++) {
            struct tm_run run = index->blocks[b].runs[r].run;
            run.stream = stream_of(source, run.stream);
            const struct tm_merge_run *listed = listed_run(source->given, &run);
            held += listed != NULL && listed->live ? run.length : 0;
        }
    }
    return live == held;
}

static enum tm_code open_source(struct merge *merge, size_t number, struct tm_err *err)
{
    struct merge_source *source = &merge->sources[number];
    source->given = &merge->options->sources[number];
    struct tm_err why = {0};
    enum tm_code code = tm_pack_open(
            merge->options->vault, &source->given->name, source->given->size, &source->pack, &why);
    if (code == TM_E_CORRUPT || code == TM_E_MISSING) {
        tm_merge_leave(merge, number, code, why.msg);
        return TM_OK;
    }
    if (code != TM_OK) {
        *err = why;
        return code;
    }
    map_streams(merge, source);
    const char *refused = choose_blocks(merge, source);
    if (refused != NULL) {
        tm_merge_leave(merge, number, TM_E_UNSUPPORTED, refused);
    } else if (!covers_live(source)) {
        tm_merge_leave(merge, number, TM_E_CORRUPT, "the pack does not hold what the log says");
    }
    return TM_OK;
}

/* Where it goes ---------------------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
    const struct merge_block *x = a;
    const struct merge_block *y = b;
    int order = COMPARE(x->stream, y->stream);
    order = order != 0 ? order : COMPARE(x->partition, y->partition);
    order = order != 0 ? order : COMPARE(x->first, y->first);
    order = order != 0 ? order : COMPARE(x->source, y->source);
    return order != 0 ? order : COMPARE(x->number, y->number);
}

static void collect_blocks(struct merge *merge, size_t number)
{
    const struct merge_source *source = &merge->sources[number];
    if (source->pack == NULL) {
        return;
    }
    const struct tm_pack_index *index = tm_pack_index(source->pack);
    for (size_t b = 0; b < index->block_count; b++) {
        if (source->kept[b]) {
            const struct tm_run *run = &index->blocks[b].runs[0].run;
            *tm_vec_push(&merge->blocks) = (struct merge_block){
                    .source = number,
                    .number = b,
                    .stream = stream_of(source, run->stream),
                    .partition = run->partition,
                    .first = run->first,
                    .info = index->blocks[b],
            };
        }
    }
}

static uint64_t frame_bytes(const struct tm_block_info *info)
{
    bool foreign = (info->flags & TM_BLOCK_FOREIGN) != 0;
    return info->positions.stored + (foreign ? 0 : info->content.stored);
}

static void cut_outputs(struct merge *merge)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < merge->blocks.count; i++) {
        uint64_t more = frame_bytes(&merge->blocks.at[i].info);
        bool begin = merge->outputs.count == 0 || bytes + more > merge->options->target_bytes;
        if (begin) {
            tm_vec_push(&merge->outputs)->first = i;
            bytes = 0;
        }
        bytes += more;
        merge->outputs.at[merge->outputs.count - 1].end = i + 1;
        merge->blocks.at[i].output = merge->outputs.count - 1;
    }
}

/* Keys, streams and references of a new pack ------------------------------------------------ */

/* A data key as it stands in the new header: found, or added. */
static uint32_t key_in(struct merge_output *output, const struct tm_pack *pack, uint32_t number)
{
    const struct tm_pack_key *key = &tm_pack_keys(pack)[number];
    for (size_t i = output->keys.count; i > 0; i--) {
        const struct tm_pack_key *at = &output->keys.at[i - 1];
        if (at->epoch == key->epoch && memcmp(at->stored, key->stored, sizeof(key->stored)) == 0) {
            return (uint32_t)(i - 1);
        }
    }
    *tm_vec_push(&output->keys) = *key;
    return (uint32_t)(output->keys.count - 1);
}

/* The stream's number in the new pack; a stream new to it gets the next one. */
static uint32_t stream_in(struct merge_output *output, size_t number, struct merge_stream *stream)
{
    tm_assert(stream != NULL); /* the log lists the run, else its block had stayed behind */
    if (stream->in != number + 1) {
        struct tm_pack_stream *added = tm_vec_push(&output->streams);
        *added = (struct tm_pack_stream){(uint32_t)output->streams.count, stream->names.cluster_id,
                stream->names.topic, stream->names.incarnation};
        stream->in = number + 1;
        stream->own = added->id;
    }
    return stream->own;
}

static int by_hash(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct tm_hash));
}

/* Content ids whose content the new pack holds, sorted. */
typedef TM_VEC(struct tm_hash) hash_list;

static void sort_hashes(struct tm_hash *at, size_t *count)
{
    if (*count == 0) {
        return;
    }
    qsort(at, *count, sizeof(*at), by_hash);
    size_t last = 0;
    for (size_t i = 1; i < *count; i++) {
        if (!tm_hash_eq(&at[i], &at[last])) {
            at[++last] = at[i];
        }
    }
    *count = last + 1;
}

static bool has_hash(const struct tm_hash *at, size_t count, const struct tm_hash *hash)
{
    return count > 0 && bsearch(hash, at, count, sizeof(*hash), by_hash) != NULL;
}

/* By which name the block refers to its content. */
static struct tm_hash holder_of(const struct merge *merge, const struct merge_block *block)
{
    const struct merge_source *source = &merge->sources[block->source];
    const struct tm_pack_index *index = tm_pack_index(source->pack);
    uint32_t dep = index->blocks[block->number].dep;
    return dep == 0 ? source->given->name : index->deps[dep - 1];
}

static void collect_references(
        const struct merge *merge, struct merge_output *output, hash_list *contents)
{
    for (size_t i = output->first; i < output->end; i++) {
        if (holds_content(&merge->blocks.at[i].info)) {
            *tm_vec_push(contents) = merge->blocks.at[i].info.content_id;
        }
    }
    sort_hashes(contents->at, &contents->count);
    for (size_t i = output->first; i < output->end; i++) {
        const struct merge_block *block = &merge->blocks.at[i];
        bool elsewhere = (block->info.flags & TM_BLOCK_FOREIGN) != 0 &&
                         !has_hash(contents->at, contents->count, &block->info.content_id);
        if (elsewhere) {
            *tm_vec_push(&output->deps) = holder_of(merge, block);
        }
    }
    sort_hashes(output->deps.at, &output->deps.count);
}

static uint32_t dep_in(const struct merge *merge, const struct merge_output *output,
        const hash_list *contents, const struct merge_block *block)
{
    if (has_hash(contents->at, contents->count, &block->info.content_id)) {
        return 0;
    }
    struct tm_hash holder = holder_of(merge, block);
    const struct tm_hash *found =
            bsearch(&holder, output->deps.at, output->deps.count, sizeof(holder), by_hash);
    return (uint32_t)(found - output->deps.at) + 1;
}

/* The block's row in the new index, but for the offsets of its frames. */
static void describe(struct merge *merge, struct merge_output *output, const hash_list *contents,
        struct merge_block *block)
{
    const struct merge_source *source = &merge->sources[block->source];
    struct tm_block_info *info = &block->info;
    struct tm_block_run *runs = tm_arena_alloc(&merge->arena, info->run_count, sizeof(*info->runs));
    memcpy(runs, info->runs, info->run_count * sizeof(*runs));
    for (size_t r = 0; r < info->run_count; r++) {
        runs[r].run.stream =
                stream_in(output, block->output, stream_at(source, info->runs[r].run.stream));
    }
    info->runs = runs;
    info->positions.key = key_in(output, source->pack, info->positions.key);
    if ((info->flags & TM_BLOCK_FOREIGN) != 0) {
        info->dep = dep_in(merge, output, contents, block);
    } else {
        info->content.key = key_in(output, source->pack, info->content.key);
    }
    int64_t stored_ms = source->given->stored_ms;
    output->stored_ms = stored_ms > output->stored_ms ? stored_ms : output->stored_ms;
}

static void place_frames(struct merge *merge, struct merge_output *output)
{
    uint64_t at = TM_PACK_HEADER_FIXED + TM_PACK_KEY_BYTES * (uint64_t)output->keys.count;
    for (size_t i = output->first; i < output->end; i++) {
        struct tm_block_info *info = &merge->blocks.at[i].info;
        info->positions.offset = at;
        at += info->positions.stored;
        if ((info->flags & TM_BLOCK_FOREIGN) == 0) {
            info->content.offset = at;
            at += info->content.stored;
        }
    }
    output->frames_end = at;
}

static enum tm_code lay_out(struct merge *merge, struct merge_output *output, struct tm_err *err)
{
    hash_list contents = {0};
    output->stored_ms = INT64_MIN;
    collect_references(merge, output, &contents);
    for (size_t i = output->first; i < output->end; i++) {
        describe(merge, output, &contents, &merge->blocks.at[i]);
    }
    tm_vec_done(&contents);
    if (output->keys.count > KEYS_MAX) {
        return tm_err_set(err, TM_E_LIMIT, "a merge of blocks under %zu data keys; %d is the limit",
                output->keys.count, KEYS_MAX);
    }
    place_frames(merge, output);
    return TM_OK;
}

enum tm_code tm_merge_layout(struct merge *merge, struct tm_err *err)
{
    sort_streams(merge);
    enum tm_code code = TM_OK;
    for (size_t i = 0; code == TM_OK && i < merge->options->source_count; i++) {
        code = open_source(merge, i, err);
    }
    TM_TRY(code);
    for (size_t i = 0; i < merge->options->source_count; i++) {
        collect_blocks(merge, i);
    }
    if (merge->blocks.count > 0) {
        qsort(merge->blocks.at, merge->blocks.count, sizeof(*merge->blocks.at), by_place);
    }
    cut_outputs(merge);
    for (size_t i = 0; code == TM_OK && i < merge->outputs.count; i++) {
        code = lay_out(merge, &merge->outputs.at[i], err);
    }
    return code;
}
