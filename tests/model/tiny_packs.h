/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tiny_packs - real packs of few records, and reading them back.
 *
 * Each record is a solo block with a content id; its value is made of a small number, the content. A
 * record may lie elsewhere: its block then refers to a pack that holds the same content. All are of one
 * stream, cluster "c1" topic "orders". For the model and the tests of merges.
 */
#ifndef TM_TESTS_TINY_PACKS_H
#define TM_TESTS_TINY_PACKS_H

#include <stdio.h>
#include <string.h>

#include "catalog/live.h"
#include "vault/pack_reader.h"
#include "vault/pack_writer.h"

enum { TINY_VALUE = 48, TINY_RECORDS = 64 };

struct tiny_record {
    int32_t partition;
    int64_t offset;
    uint32_t content;
    const struct tm_hash *elsewhere; /* the pack that holds it, or NULL */
};

static const struct tm_block_params tiny_params = {
        .block_min = 1 << 18,
        .block_mean = 891290,
        .block_max = 4 << 20,
        .solo_min = TINY_VALUE,
        .pack_target = 64 << 20,
};

static inline void tiny_value(uint32_t content, uint8_t out[TINY_VALUE])
{
    memset(out, (int)(content & 0xff), TINY_VALUE);
    (void)snprintf((char *)out, TINY_VALUE, "content %u", content);
}

static inline struct tm_pack_stream tiny_stream(void)
{
    return (struct tm_pack_stream){
            .id = 1,
            .cluster_id = tm_slice_str("c1"),
            .topic = tm_slice_str("orders"),
            .incarnation = 1,
    };
}

struct tiny_pack { /* on its way */
    struct tm_vault *vault;
    struct tm_data_key *key;
    struct tm_pack_writer *writer;
    struct tm_block_tools *tools;
    struct tm_sealed sealed[TINY_RECORDS];
    struct tm_block_info blocks[TINY_RECORDS];
    struct tm_hash deps[TINY_RECORDS];
    size_t dep_count;
    uint64_t end;
};

static inline void tiny_add_dep(struct tiny_pack *pack, const struct tm_hash *dep)
{
    size_t at = 0;
    while (at < pack->dep_count && memcmp(pack->deps[at].bytes, dep->bytes, 32) < 0) {
        at++;
    }
    if (at < pack->dep_count && tm_hash_eq(&pack->deps[at], dep)) {
        return;
    }
    memmove(&pack->deps[at + 1], &pack->deps[at], (pack->dep_count - at) * sizeof(*dep));
    pack->deps[at] = *dep;
    pack->dep_count++;
}

static inline uint32_t tiny_dep_number(const struct tiny_pack *pack, const struct tm_hash *dep)
{
    uint32_t at = 0;
    while (!tm_hash_eq(&pack->deps[at], dep)) {
        at++;
    }
    return at + 1;
}

static inline enum tm_code tiny_seal(
        struct tiny_pack *pack, const struct tiny_record *record, size_t number, struct tm_err *err)
{
    uint8_t value[TINY_VALUE];
    tiny_value(record->content, value);
    struct tm_record given = {
            .offset = record->offset,
            .timestamp_ms = 1000000 + record->offset,
            .timestamp_type = TM_TIMESTAMP_CREATE,
            .leader_epoch = -1,
            .value = tm_slice_of(value, sizeof(value)),
    };
    TM_OWN(tm_block_free)
    struct tm_block *block = tm_block_new(tm_vault_ring(pack->vault), &tiny_params, 1);
    tm_block_begin(block, record->partition, record->offset);
    (void)tm_block_add(block, &given);
    struct tm_seal_options options = {
            .vault_id = tm_vault_id(pack->vault),
            .key = pack->key,
            .counter = 2 * number,
            .foreign = record->elsewhere != NULL,
    };
    struct tm_sealed *sealed = &pack->sealed[number];
    TM_TRY(tm_block_seal(block, &options, pack->tools, sealed, err));
    struct tm_block_info *info = &pack->blocks[number];
    *info = sealed->info;
    if (record->elsewhere != NULL) {
        (void)tm_block_content_id(block, &info->content_id);
        info->flags |= TM_BLOCK_FOREIGN;
        info->dep = tiny_dep_number(pack, record->elsewhere);
    }
    for (size_t i = 0; i < info->run_count; i++) {
        info->runs[i].run.stream = 1;
    }
    info->positions.offset = pack->end;
    TM_TRY(tm_pack_writer_copy(pack->writer, pack->end, tm_buf_slice(&sealed->positions), err));
    pack->end += sealed->positions.len;
    if (record->elsewhere == NULL) {
        info->content.offset = pack->end;
        TM_TRY(tm_pack_writer_copy(pack->writer, pack->end, tm_buf_slice(&sealed->content), err));
        pack->end += sealed->content.len;
    }
    return TM_OK;
}

static inline enum tm_code tiny_fill(struct tiny_pack *pack, const struct tiny_record *records,
        size_t count, struct tm_row_pack *row, struct tm_err *err)
{
    struct tm_pack_key key = {.epoch = tm_ring_epoch(tm_vault_ring(pack->vault))};
    pack->key = tm_data_key_new(tm_vault_ring(pack->vault), key.epoch, key.stored);
    TM_TRY(tm_pack_writer_open_copy(pack->vault, &key, 1, &pack->writer, err));
    pack->end = tm_pack_writer_bytes(pack->writer);
    for (size_t i = 0; i < count; i++) {
        if (records[i].elsewhere != NULL) {
            tiny_add_dep(pack, records[i].elsewhere);
        }
    }
    for (size_t i = 0; i < count; i++) {
        TM_TRY(tiny_seal(pack, &records[i], i, err));
    }
    struct tm_pack_stream stream = tiny_stream();
    struct tm_pack_index index = {
            .streams = &stream,
            .stream_count = 1,
            .deps = pack->deps,
            .dep_count = pack->dep_count,
            .blocks = pack->blocks,
            .block_count = count,
    };
    return tm_pack_writer_finish_copy(pack->writer, &index, pack->end, &row->name, &row->size, err);
}

/* Runs of the log, `stream` the log's number; records are in order of partition and offset. */
static inline void tiny_runs(struct tiny_pack *pack, size_t count, uint32_t stream,
        struct tm_arena *arena, struct tm_row_pack *row)
{
    row->runs = tm_arena_alloc(arena, count, sizeof(*row->runs));
    for (size_t i = 0; i < count; i++) {
        struct tm_run run = pack->blocks[i].runs[0].run;
        run.stream = stream;
        struct tm_run *last = row->run_count > 0 ? &row->runs[row->run_count - 1] : NULL;
        if (last != NULL && last->partition == run.partition &&
                last->first + last->length == run.first) {
            last->length += run.length;
            last->count += run.count;
            last->bytes += run.bytes;
            last->largest = run.largest > last->largest ? run.largest : last->largest;
            last->ts_max = run.ts_max;
        } else {
            row->runs[row->run_count++] = run;
        }
    }
    row->deps = tm_arena_alloc(arena, pack->dep_count + 1, sizeof(*row->deps));
    memcpy(row->deps, pack->deps, pack->dep_count * sizeof(*row->deps));
    row->dep_count = pack->dep_count;
}

/* Store a pack of up to TINY_RECORDS records; its row for the log goes to *row, but for `stored_ms`. */
static inline enum tm_code tiny_put(struct tm_vault *vault, const struct tiny_record *records,
        size_t count, uint32_t stream, struct tm_arena *arena, struct tm_row_pack *row,
        struct tm_err *err)
{
    struct tiny_pack *pack = tm_xalloc(1, sizeof(*pack));
    pack->vault = vault;
    pack->tools = tm_block_tools_new();
    *row = (struct tm_row_pack){0};
    enum tm_code code = tiny_fill(pack, records, count, row, err);
    if (code == TM_OK) {
        tiny_runs(pack, count, stream, arena, row);
    }
    for (size_t i = 0; i < count; i++) {
        tm_sealed_done(&pack->sealed[i]);
    }
    tm_pack_writer_free(pack->writer);
    tm_data_key_free(pack->key);
    tm_block_tools_free(pack->tools);
    free(pack);
    return code;
}

/* Reading back ----------------------------------------------------------------------------- */

/* The only record of that block must be of that content. */
static inline enum tm_code tiny_check_block(
        struct tm_pack *pack, size_t number, uint32_t content, struct tm_err *err)
{
    struct tm_block_tools *tools = tm_block_tools_new();
    struct tm_block_view view = {0};
    enum tm_code code = tm_pack_read_block(pack, number, tools, &view, err);
    if (code == TM_OK) {
        uint8_t value[TINY_VALUE];
        tiny_value(content, value);
        struct tm_block_iter iter;
        struct tm_record record;
        tm_block_iter_init(&iter, &view, 0);
        bool same = tm_block_iter_next(&iter, &record) &&
                    tm_slice_eq(record.value, tm_slice_of(value, sizeof(value)));
        tm_block_iter_done(&iter);
        code = same ? TM_OK : tm_err_set(err, TM_E_CORRUPT, "a block has other content");
    }
    tm_block_view_done(&view);
    tm_block_tools_free(tools);
    return code;
}

/* Does a block of `pack` hold the content of that id itself, and is it that content? */
static inline enum tm_code tiny_check_content(struct tm_pack *pack, const struct tm_hash *id,
        uint32_t content, bool *found, struct tm_err *err)
{
    const struct tm_pack_index *index = tm_pack_index(pack);
    *found = false;
    for (size_t b = 0; b < index->block_count && !*found; b++) {
        if ((index->blocks[b].flags & TM_BLOCK_FOREIGN) == 0 &&
                tm_hash_eq(&index->blocks[b].content_id, id)) {
            *found = true;
            TM_TRY(tiny_check_block(pack, b, content, err));
        }
    }
    return TM_OK;
}

static inline enum tm_code tiny_open(struct tm_vault *vault, const struct tm_hash *name,
        struct tm_pack **out, struct tm_err *err)
{
    char object[TM_OBJECT_NAME_MAX];
    struct tm_object_info info;
    tm_pack_name(name, object);
    TM_TRY(tm_store_stat(tm_vault_store(vault), object, &info, err));
    return tm_pack_open(vault, name, info.size, out, err);
}

/* Follow a reference through the packs that took the place of `dep`. */
static inline enum tm_code tiny_follow(struct tm_vault *vault, struct tm_catalog *catalog,
        const struct tm_hash *dep, const struct tm_hash *id, uint32_t content, struct tm_err *err)
{
    struct tm_arena arena = {0};
    struct tm_hash *names = NULL;
    size_t count = 0;
    bool found = false;
    enum tm_code code = tm_live_successors(catalog, dep, &arena, &names, &count, err);
    for (size_t i = 0; code == TM_OK && i < count && !found; i++) {
        struct tm_pack *pack = NULL;
        code = tiny_open(vault, &names[i], &pack, err);
        if (code == TM_OK) {
            code = tiny_check_content(pack, id, content, &found, err);
        }
        tm_pack_close(pack);
    }
    tm_arena_done(&arena);
    if (code == TM_OK && !found) {
        code = tm_err_set(err, TM_E_MISSING, "no pack has the content that a block refers to");
    }
    return code;
}

static inline enum tm_code tiny_check_one(struct tm_vault *vault, struct tm_catalog *catalog,
        struct tm_pack *pack, size_t number, uint32_t content, struct tm_err *err)
{
    const struct tm_pack_index *index = tm_pack_index(pack);
    const struct tm_block_info *info = &index->blocks[number];
    if ((info->flags & TM_BLOCK_FOREIGN) == 0) {
        return tiny_check_block(pack, number, content, err);
    }
    if (info->dep > 0) {
        return tiny_follow(
                vault, catalog, &index->deps[info->dep - 1], &info->content_id, content, err);
    }
    bool found = false;
    TM_TRY(tiny_check_content(pack, &info->content_id, content, &found, err));
    return found ? TM_OK
                 : tm_err_set(err, TM_E_MISSING, "a pack lacks the content that it refers to");
}

/* Read a run of the log: each of its offsets must be there once, with its content. */
static inline enum tm_code tiny_check_run(struct tm_vault *vault, struct tm_catalog *catalog,
        const struct tm_stored_run *stored, uint32_t (*content_of)(int32_t, int64_t),
        struct tm_err *err)
{
    const struct tm_run *run = &stored->run;
    struct tm_pack *pack = NULL;
    int64_t seen = 0;
    enum tm_code code = tm_pack_open(vault, &stored->pack, stored->pack_size, &pack, err);
    const struct tm_pack_index *index = code == TM_OK ? tm_pack_index(pack) : NULL;
    for (size_t b = 0; code == TM_OK && b < index->block_count; b++) {
        const struct tm_run *at = &index->blocks[b].runs[0].run;
        if (at->partition == run->partition && at->first >= run->first &&
                at->first < run->first + run->length) {
            seen++;
            code = tiny_check_one(
                    vault, catalog, pack, b, content_of(at->partition, at->first), err);
        }
    }
    tm_pack_close(pack);
    if (code == TM_OK && (seen != run->length || run->count != run->length)) {
        code = tm_err_set(err, TM_E_CORRUPT, "partition %d: %d records in a run of %d",
                (int)run->partition, (int)seen, (int)run->length);
    }
    return code;
}

#endif
