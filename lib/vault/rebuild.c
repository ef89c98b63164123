/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/rebuild.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "vault/log.h"
#include "vault/pack_reader.h"
#include "vault/rebuild_impl.h"

enum {
    NOTE_MAX = 1024,
    SLOTS_MAX = 32,
    PACK_HEX = 64,
    PACK_NAME_LEN = 8 + PACK_HEX, /* "pack/xx/" */
};

void tm_rebuild_note(struct tm_rebuild *rebuild, const char *fmt, ...)
{
    char text[NOTE_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (rebuild->options->note != NULL) {
        rebuild->options->note(rebuild->options->note_arg, text);
    }
}

/* Streams ---------------------------------------------------------------------------------- */

int tm_rebuild_by_stream(const struct tm_rebuild_stream *a, const struct tm_rebuild_stream *b)
{
    int order = tm_slice_cmp(a->cluster_id, b->cluster_id);
    order = order != 0 ? order : tm_slice_cmp(a->topic, b->topic);
    return order != 0 ? order
                      : (a->incarnation > b->incarnation) - (a->incarnation < b->incarnation);
}

/* The number of a pack's stream among all of them, a new one if need be. */
static uint32_t intern(struct tm_rebuild *rebuild, const struct tm_pack_stream *stream)
{
    struct tm_rebuild_stream key = {stream->cluster_id, stream->topic, stream->incarnation, 0};
    size_t low = 0;
    size_t high = rebuild->streams.count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = tm_rebuild_by_stream(&rebuild->streams.at[rebuild->by_name[mid]], &key);
        if (order == 0) {
            return rebuild->by_name[mid];
        }
        low = order < 0 ? mid + 1 : low;
        high = order < 0 ? high : mid;
    }
    uint32_t number = (uint32_t)rebuild->streams.count;
    rebuild->by_name =
            tm_vec_room(rebuild->by_name, number, &rebuild->by_name_room, sizeof(number));
    memmove(rebuild->by_name + low + 1, rebuild->by_name + low, (number - low) * sizeof(number));
    rebuild->by_name[low] = number;
    key.cluster_id = tm_arena_dup(&rebuild->arena, key.cluster_id);
    key.topic = tm_arena_dup(&rebuild->arena, key.topic);
    *tm_vec_push(&rebuild->streams) = key;
    return number;
}

/* The packs -------------------------------------------------------------------------------- */

static enum tm_code collect_pack(
        void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err)
{
    (void)err;
    struct tm_rebuild *rebuild = arg;
    struct tm_rebuild_pack pack = {.size = info->size, .stored_ms = info->modified_ms};
    char should[TM_OBJECT_NAME_MAX];
    if (strlen(name) == PACK_NAME_LEN && tm_parse_hex(name + PACK_NAME_LEN - PACK_HEX,
                                                 pack.name.bytes, sizeof(pack.name.bytes))) {
        tm_pack_name(&pack.name, should);
        if (strcmp(name, should) == 0) {
            *tm_vec_push(&rebuild->packs) = pack;
        }
    }
    return TM_OK;
}

static void take_content(struct tm_rebuild *rebuild, const struct tm_pack_index *index,
        const struct tm_block_info *info, uint32_t pack)
{
    struct tm_rebuild_content content = {
            .id = info->content_id, .pack = pack, .run = rebuild->runs.count - 1};
    if ((info->flags & TM_BLOCK_FOREIGN) != 0) {
        content.own = info->dep == 0;
        content.dep = content.own ? rebuild->packs.at[pack].name : index->deps[info->dep - 1];
        *tm_vec_push(&rebuild->need) = content;
    } else if ((info->flags & TM_BLOCK_HAS_ID) != 0) {
        *tm_vec_push(&rebuild->have) = content;
    }
}

static void take_index(struct tm_rebuild *rebuild, const struct tm_pack *pack, uint32_t number)
{
    const struct tm_pack_index *index = tm_pack_index(pack);
    struct tm_arena arena = {0};
    uint32_t *numbers = tm_arena_alloc(&arena, index->stream_count + 1, sizeof(*numbers));
    for (size_t i = 0; i < index->stream_count; i++) {
        numbers[i] = intern(rebuild, &index->streams[i]);
    }
    for (size_t b = 0; b < index->block_count; b++) {
        const struct tm_block_info *info = &index->blocks[b];
        uint32_t keys = info->positions.key + 1;
        struct tm_rebuild_pack *row = &rebuild->packs.at[number];
        row->keys = keys > row->keys ? keys : row->keys;
        for (size_t r = 0; r < info->run_count; r++) {
            struct tm_rebuild_run *run = tm_vec_push(&rebuild->runs);
            *run = (struct tm_rebuild_run){
                    .run = info->runs[r].run,
                    .proof = info->runs[r].proof,
                    .epoch = tm_pack_block_epoch(pack, b),
                    .pack = number,
                    .block = (uint32_t)b,
                    .index = (uint32_t)r,
            };
            size_t s = 0;
            while (index->streams[s].id != run->run.stream) {
                s++;
            }
            run->run.stream = numbers[s];
        }
        take_content(rebuild, index, info, number);
    }
    tm_arena_done(&arena);
}

/* Does it speak against this pack alone? A store that fails is another matter. */
static bool is_damage(enum tm_code code)
{
    return code == TM_E_CORRUPT || code == TM_E_VERSION || code == TM_E_LIMIT || code == TM_E_KEY ||
           code == TM_E_MISSING;
}

static enum tm_code read_packs(struct tm_rebuild *rebuild, struct tm_err *err)
{
    TM_TRY(tm_store_list(rebuild->options->store, "pack/", collect_pack, rebuild, err));
    rebuild->result->packs = rebuild->packs.count;
    for (size_t i = 0; i < rebuild->packs.count; i++) {
        TM_OWN(tm_pack_close) struct tm_pack *pack = NULL;
        const struct tm_rebuild_pack *row = &rebuild->packs.at[i];
        struct tm_err why = {0};
        enum tm_code code = tm_pack_open(rebuild->vault, &row->name, row->size, &pack, &why);
        if (code == TM_OK) {
            take_index(rebuild, pack, (uint32_t)i);
        } else if (is_damage(code)) {
            rebuild->result->unreadable++;
            tm_rebuild_note(rebuild, "left out, its index cannot be read: %s", why.msg);
        } else {
            *err = why;
            return code;
        }
    }
    if (rebuild->runs.count == 0) {
        return tm_err_set(err, TM_E_MISSING, "%s: no pack that can be read, of %zu",
                rebuild->options->store->where, rebuild->packs.count);
    }
    return TM_OK;
}

/* The vault -------------------------------------------------------------------------------- */

struct vault_ids {
    struct tm_store *store;
    struct tm_id16 at[SLOTS_MAX];
    size_t count;
};

static enum tm_code collect_id(
        void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err)
{
    (void)info;
    struct vault_ids *ids = arg;
    uint64_t number;
    TM_BUF_OWN struct tm_buf object = {0};
    struct tm_slot_info slot;
    struct tm_err ignored = {0};
    if (ids->count == SLOTS_MAX || !tm_log_parse_name(name, "key", &number)) {
        return TM_OK;
    }
    TM_TRY(tm_store_get(ids->store, name, TM_SLOT_BYTES_MAX, &object, err));
    if (tm_slot_peek(tm_buf_slice(&object), &slot, &ignored) == TM_OK) {
        ids->at[ids->count++] = slot.vault_id;
    }
    return TM_OK;
}

/* Without a log the slots tell which vault this is: the id of one that the secret opens. */
static enum tm_code open_by_slots(struct tm_rebuild *rebuild, struct tm_err *err)
{
    const struct tm_rebuild_options *options = rebuild->options;
    struct vault_ids ids = {.store = options->store};
    TM_TRY(tm_store_list(options->store, "key/", collect_id, &ids, err));
    enum tm_code code =
            tm_err_set(err, TM_E_MISSING, "%s: there is no key slot", options->store->where);
    for (size_t i = 0; i < ids.count && code != TM_OK; i++) {
        *err = (struct tm_err){0};
        code = tm_vault_open_as(
                options->store, options->secret, &ids.at[i], options->writer, &rebuild->vault, err);
    }
    if (code == TM_OK) {
        *err = (struct tm_err){0};
    }
    return code;
}

static enum tm_code check_no_log(const struct tm_rebuild_options *options, struct tm_err *err)
{
    struct tm_log_span span;
    TM_TRY(tm_log_list(options->store, &span, err));
    if (span.empty) {
        return TM_OK;
    }
    char name[TM_OBJECT_NAME_MAX];
    tm_log_name(span.newest, name);
    return tm_err_set(err, TM_E_EXISTS,
            "%s: has a log (%s), which is not written over; hint: if it is damaged, move all of "
            "log/ "
            "out of the vault first",
            options->store->where, name);
}

/* The entry -------------------------------------------------------------------------------- */

static enum tm_code write_entry(
        struct tm_rebuild *rebuild, struct tm_edits *edits, struct tm_err *err)
{
    const struct tm_fold *fold = rebuild->options->fold;
    struct tm_entry_place place = {.vault_id = *tm_vault_id(rebuild->vault)};
    TM_BUF_OWN struct tm_buf object = {0};
    char name[TM_OBJECT_NAME_MAX];
    tm_log_name(0, name);
    tm_edits_sort(edits);
    TM_TRY(tm_entry_encode(edits, &place, tm_vault_ring(rebuild->vault), &object, err));
    enum tm_code code = fold->ops->check(fold->self, &place, edits, err);
    if (code != TM_OK) {
        return tm_err_wrap(err, "%s: not written", name);
    }
    bool mine;
    TM_TRY(tm_log_create(rebuild->options->store, name, tm_buf_slice(&object),
            tm_vault_retry_ms(rebuild->vault), &mine, err));
    return mine ? TM_OK : tm_err_set(err, TM_E_EXISTS, "%s: another log was begun meanwhile", name);
}

static enum tm_code rebuild_all(struct tm_rebuild *rebuild, struct tm_err *err)
{
    TM_TRY(check_no_log(rebuild->options, err));
    TM_TRY(open_by_slots(rebuild, err));
    TM_TRY(read_packs(rebuild, err));
    tm_rebuild_choose(rebuild);
    struct tm_edits edits = {0};
    enum tm_code code = tm_rebuild_edits(rebuild, &edits, err);
    if (code == TM_OK) {
        code = write_entry(rebuild, &edits, err);
    }
    tm_edits_done(&edits);
    return code;
}

enum tm_code tm_vault_rebuild_log(
        const struct tm_rebuild_options *options, struct tm_rebuild_result *out, struct tm_err *err)
{
    struct tm_rebuild_result result = {0};
    struct tm_rebuild rebuild = {.options = options, .result = &result};
    enum tm_code code = rebuild_all(&rebuild, err);
    tm_vec_done(&rebuild.streams);
    tm_vec_done(&rebuild.packs);
    tm_vec_done(&rebuild.runs);
    tm_vec_done(&rebuild.have);
    tm_vec_done(&rebuild.need);
    free(rebuild.by_name);
    tm_arena_done(&rebuild.arena);
    tm_vault_close(rebuild.vault);
    if (code == TM_OK) {
        *out = result;
    }
    return code;
}
