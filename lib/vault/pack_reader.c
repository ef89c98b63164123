/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/pack_reader.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    /* One get fetches the end of a pack: footer and index of most, and all of a small one. */
    TAIL_BYTES = 64 << 10,
    INDEX_BYTES_MAX = TM_PACK_INDEX_MAX + (1 << 20),
};

struct tm_pack {
    struct tm_vault *vault;
    struct tm_hash hash;
    char name[TM_OBJECT_NAME_MAX];
    uint64_t size;
    struct tm_buf tail; /* the last bytes of the object */
    struct tm_buf header;
    struct tm_arena arena; /* of `keys` */
    struct tm_pack_key *keys;
    size_t key_count;
    struct tm_pack_index index;
    struct tm_pack_deps deps;   /* `take` NULL: none were set */
    atomic_size_t window_bytes; /* 0: no reading ahead */
    pthread_mutex_t ahead;      /* of the next two */
    struct tm_buf window;       /* bytes from window_at on */
    uint64_t window_at;
    pthread_mutex_t lock;      /* of what follows */
    struct tm_data_key **open; /* data keys, opened when first needed; one a key */
};

/* Have the window hold [offset, offset + len), which begins in it or where it ends. */
static enum tm_code move_window(
        struct tm_pack *pack, uint64_t offset, size_t len, struct tm_err *err)
{
    uint64_t left = pack->size - offset;
    size_t window = atomic_load(&pack->window_bytes);
    size_t bytes = len > window ? len : window;
    struct tm_buf next = {0};
    enum tm_code code = tm_store_range(tm_vault_store(pack->vault), pack->name, offset,
            bytes < left ? bytes : (size_t)left, &next, err);
    if (code != TM_OK) {
        tm_buf_done(&next);
        return code;
    }
    tm_buf_done(&pack->window);
    pack->window = next;
    pack->window_at = offset;
    return TM_OK;
}

/* From the window, if the read is part of reading the pack in order; *took: it is. With `ahead` held. */
static enum tm_code read_window(struct tm_pack *pack, uint64_t offset, size_t len,
        struct tm_buf *out, bool *took, struct tm_err *err)
{
    uint64_t end = pack->window_at + pack->window.len;
    *took = offset >= pack->window_at && offset <= end && len <= pack->size - offset;
    if (!*took) {
        return TM_OK;
    }
    if (offset + len > end) {
        TM_TRY(move_window(pack, offset, len, err));
    }
    tm_buf_add(out, pack->window.at + (offset - pack->window_at), len);
    return TM_OK;
}

/* Append bytes of the object, from the tail or the window where they have them. */
static enum tm_code read_bytes(
        struct tm_pack *pack, uint64_t offset, size_t len, struct tm_buf *out, struct tm_err *err)
{
    uint64_t tail_at = pack->size - pack->tail.len;
    if (offset >= tail_at && offset + len <= pack->size) {
        tm_buf_add(out, pack->tail.at + (offset - tail_at), len);
        return TM_OK;
    }
    bool took = false;
    if (atomic_load(&pack->window_bytes) > 0 && pthread_mutex_trylock(&pack->ahead) == 0) {
        enum tm_code code = read_window(pack, offset, len, out, &took, err);
        (void)pthread_mutex_unlock(&pack->ahead);
        TM_TRY(code);
    }
    return took ? TM_OK
                : tm_store_range(tm_vault_store(pack->vault), pack->name, offset, len, out, err);
}

void tm_pack_read_ahead(struct tm_pack *pack, size_t window_bytes)
{
    (void)pthread_mutex_lock(&pack->ahead);
    pack->window_at = pack->header.len; /* where the frames begin */
    tm_buf_done(&pack->window);
    atomic_store(&pack->window_bytes, window_bytes);
    (void)pthread_mutex_unlock(&pack->ahead);
}

/* Fetch the tail, having seen that the object has the size it should have. */
static enum tm_code read_tail(struct tm_pack *pack, struct tm_err *err)
{
    const uint64_t least =
            TM_PACK_HEADER_FIXED + TM_PACK_KEY_BYTES + TM_PACK_FOOTER_BYTES + TM_AEAD_NONCE;
    struct tm_store *store = tm_vault_store(pack->vault);
    struct tm_object_info info;
    enum tm_code code = tm_store_stat(store, pack->name, &info, err);
    if (code != TM_OK) {
        return code;
    }
    if (info.size != pack->size || pack->size < least || pack->size > TM_PACK_BYTES_MAX) {
        return tm_err_set(err, TM_E_CORRUPT, "%s: has %" PRIu64 " bytes, not %" PRIu64, pack->name,
                info.size, pack->size);
    }
    size_t len = pack->size < TAIL_BYTES ? (size_t)pack->size : TAIL_BYTES;
    struct tm_buf tail = {0}; /* apart: read_bytes() must not take a half-read tail for one */
    code = tm_store_range(store, pack->name, pack->size - len, len, &tail, err);
    if (code != TM_OK) {
        tm_buf_done(&tail);
        return code;
    }
    pack->tail = tail;
    return TM_OK;
}

static enum tm_code read_header(struct tm_pack *pack, struct tm_err *err)
{
    enum tm_code code =
            read_bytes(pack, 0, TM_PACK_HEADER_FIXED + TM_PACK_KEY_BYTES, &pack->header, err);
    if (code != TM_OK) {
        return code;
    }
    size_t length;
    struct tm_slice fixed = tm_slice_of(pack->header.at, TM_PACK_HEADER_FIXED);
    code = tm_pack_header_length(fixed, &length, err);
    if (code == TM_OK && length > pack->size) {
        code = tm_err_set(err, TM_E_CORRUPT, "header: longer than the pack");
    }
    if (code != TM_OK) {
        return tm_err_wrap(err, "%s", pack->name);
    }
    if (length > pack->header.len) {
        size_t have = pack->header.len;
        code = read_bytes(pack, have, length - have, &pack->header, err);
        if (code != TM_OK) {
            return code;
        }
    }
    code = tm_pack_header_decode(tm_buf_slice(&pack->header), tm_vault_id(pack->vault),
            &pack->arena, &pack->keys, &pack->key_count, err);
    return code == TM_OK ? TM_OK : tm_err_wrap(err, "%s", pack->name);
}

static enum tm_code check_footer(
        const struct tm_pack *pack, uint32_t epoch, uint32_t index_length, struct tm_err *err)
{
    uint64_t rest = pack->size - TM_PACK_FOOTER_BYTES - pack->header.len;
    if (index_length > rest || index_length > INDEX_BYTES_MAX) {
        return tm_err_set(err, TM_E_CORRUPT, "footer: an index of %" PRIu32 " bytes", index_length);
    }
    if (!tm_ring_has_epoch(tm_vault_ring(pack->vault), epoch)) {
        return tm_err_set(
                err, TM_E_KEY, "footer: index of key epoch %" PRIu32 ", not in the ring", epoch);
    }
    return TM_OK;
}

static enum tm_code read_index(struct tm_pack *pack, struct tm_err *err)
{
    uint32_t epoch;
    uint32_t index_length;
    struct tm_slice footer = tm_slice_of(
            pack->tail.at + pack->tail.len - TM_PACK_FOOTER_BYTES, TM_PACK_FOOTER_BYTES);
    enum tm_code code = tm_pack_footer_decode(footer, &epoch, &index_length, err);
    if (code == TM_OK) {
        code = check_footer(pack, epoch, index_length, err);
    }
    if (code != TM_OK) {
        return tm_err_wrap(err, "%s", pack->name);
    }

    struct tm_pack_bounds bounds = {
            .frames_begin = pack->header.len,
            .frames_end = pack->size - TM_PACK_FOOTER_BYTES - index_length,
            .key_count = pack->key_count,
    };
    TM_BUF_OWN struct tm_buf sealed = {0};
    code = read_bytes(pack, bounds.frames_end, index_length, &sealed, err);
    if (code != TM_OK) {
        return code;
    }
    code = tm_pack_index_decode(tm_buf_slice(&sealed), epoch, tm_vault_ring(pack->vault),
            tm_buf_slice(&pack->header), &bounds, &pack->index, err);
    return code == TM_OK ? TM_OK : tm_err_wrap(err, "%s", pack->name);
}

enum tm_code tm_pack_open(struct tm_vault *vault, const struct tm_hash *name, uint64_t size,
        struct tm_pack **out, struct tm_err *err)
{
    TM_OWN(tm_pack_close) struct tm_pack *pack = tm_xalloc(1, sizeof(*pack));
    pack->vault = vault;
    pack->hash = *name;
    pack->size = size;
    tm_pack_name(name, pack->name);
    tm_assert(pthread_mutex_init(&pack->lock, NULL) == 0);
    tm_assert(pthread_mutex_init(&pack->ahead, NULL) == 0);

    enum tm_code code = read_tail(pack, err);
    if (code == TM_OK) {
        code = read_header(pack, err);
    }
    if (code == TM_OK) {
        code = read_index(pack, err);
    }
    if (code == TM_OK) {
        pack->open = tm_xalloc(pack->key_count, sizeof(struct tm_data_key *));
        *out = TM_TAKE(pack);
    }
    return code;
}

void tm_pack_close(struct tm_pack *pack)
{
    if (pack == NULL) {
        return;
    }
    for (size_t i = 0; pack->open != NULL && i < pack->key_count; i++) {
        tm_data_key_free(pack->open[i]);
    }
    free(pack->open);
    (void)pthread_mutex_destroy(&pack->lock);
    (void)pthread_mutex_destroy(&pack->ahead);
    tm_buf_done(&pack->window);
    tm_pack_index_done(&pack->index);
    tm_arena_done(&pack->arena);
    tm_buf_done(&pack->header);
    tm_buf_done(&pack->tail);
    free(pack);
}

const struct tm_pack_index *tm_pack_index(const struct tm_pack *pack)
{
    return &pack->index;
}

const struct tm_hash *tm_pack_hash(const struct tm_pack *pack)
{
    return &pack->hash;
}

const struct tm_pack_key *tm_pack_keys(const struct tm_pack *pack)
{
    return pack->keys;
}

uint32_t tm_pack_block_epoch(const struct tm_pack *pack, size_t block)
{
    tm_assert(block < pack->index.block_count);
    return pack->keys[pack->index.blocks[block].positions.key].epoch;
}

/* Blocks ----------------------------------------------------------------------------------- */

static enum tm_code open_key(
        struct tm_pack *pack, uint32_t number, const struct tm_data_key **out, struct tm_err *err)
{
    const struct tm_ring *ring = tm_vault_ring(pack->vault);
    const struct tm_pack_key *key = &pack->keys[number];
    if (!tm_ring_has_epoch(ring, key->epoch)) {
        return tm_err_set(err, TM_E_KEY, "data key %" PRIu32 ": epoch %" PRIu32 " not in the ring",
                number, key->epoch);
    }
    enum tm_code code = TM_OK;
    (void)pthread_mutex_lock(&pack->lock);
    if (pack->open[number] == NULL) {
        code = tm_data_key_open(ring, key->epoch, key->stored, &pack->open[number], err);
    }
    const struct tm_data_key *opened = pack->open[number];
    (void)pthread_mutex_unlock(&pack->lock);
    if (code == TM_OK) {
        *out = opened;
    }
    return code;
}

/* Ciphertexts of a block, both in `bytes`. */
struct frames {
    struct tm_buf bytes;
    struct tm_slice positions;
    struct tm_slice content;
};

/* Where a block's content is: in the pack itself, or another that is open for the call. */
struct place {
    struct tm_pack *pack;
    const struct tm_frame *frame;
    struct tm_pack *taken; /* to be given back */
};

static enum tm_code read_frames(struct tm_pack *pack, const struct tm_frame *positions,
        const struct place *content, struct frames *out, struct tm_err *err)
{
    size_t positions_len = (size_t)positions->stored;
    size_t content_len = (size_t)content->frame->stored;
    bool adjacent = content->pack == pack &&
                    content->frame->offset == positions->offset + positions->stored;
    size_t first_len = adjacent ? positions_len + content_len : positions_len;
    enum tm_code code = read_bytes(pack, positions->offset, first_len, &out->bytes, err);
    if (code == TM_OK && !adjacent) {
        code = read_bytes(content->pack, content->frame->offset, content_len, &out->bytes, err);
    }
    if (code == TM_OK) {
        out->positions = tm_slice_of(out->bytes.at, positions_len);
        out->content = tm_slice_of(out->bytes.at + positions_len, content_len);
    }
    return code;
}

static const struct tm_frame *find_content(const struct tm_pack *pack, const struct tm_hash *id)
{
    for (size_t i = 0; i < pack->index.block_count; i++) {
        const struct tm_block_info *info = &pack->index.blocks[i];
        bool holds = (info->flags & TM_BLOCK_HAS_ID) != 0 && (info->flags & TM_BLOCK_FOREIGN) == 0;
        if (holds && tm_hash_eq(&info->content_id, id)) {
            return &info->content;
        }
    }
    return NULL;
}

bool tm_pack_holds(const struct tm_pack *pack, const struct tm_hash *id)
{
    return find_content(pack, id) != NULL;
}

void tm_pack_set_deps(struct tm_pack *pack, const struct tm_pack_deps *deps)
{
    pack->deps = *deps;
}

/* Open a pack of which only the name is known. */
static enum tm_code open_dep(struct tm_vault *vault, const struct tm_hash *hash,
        struct tm_pack **out, struct tm_err *err)
{
    char name[TM_OBJECT_NAME_MAX];
    tm_pack_name(hash, name);
    struct tm_object_info info;
    enum tm_code code = tm_store_stat(tm_vault_store(vault), name, &info, err);
    return code == TM_OK ? tm_pack_open(vault, hash, info.size, out, err) : code;
}

static enum tm_code take_dep(struct tm_pack *pack, const struct tm_block_info *info,
        struct tm_pack **out, struct tm_err *err)
{
    const struct tm_hash *dep = &pack->index.deps[info->dep - 1];
    return pack->deps.take != NULL
                   ? pack->deps.take(pack->deps.self, dep, &info->content_id, out, err)
                   : open_dep(pack->vault, dep, out, err);
}

static void give_dep(const struct tm_pack *pack, struct tm_pack *taken)
{
    if (taken != NULL && pack->deps.give != NULL) {
        pack->deps.give(pack->deps.self, taken);
    } else {
        tm_pack_close(taken);
    }
}

static enum tm_code find_place(struct tm_pack *pack, const struct tm_block_info *info,
        struct place *out, struct tm_err *err)
{
    if ((info->flags & TM_BLOCK_FOREIGN) == 0) {
        *out = (struct place){.pack = pack, .frame = &info->content};
        return TM_OK;
    }
    struct tm_pack *taken = NULL;
    enum tm_code code = info->dep > 0 ? take_dep(pack, info, &taken, err) : TM_OK;
    if (code != TM_OK) {
        return code;
    }
    struct tm_pack *holder = taken != NULL ? taken : pack;
    const struct tm_frame *frame = find_content(holder, &info->content_id);
    if (frame == NULL) {
        (void)tm_err_set(err, TM_E_CORRUPT, "its content is not in %s", holder->name);
        give_dep(pack, taken);
        return TM_E_CORRUPT;
    }
    *out = (struct place){.pack = holder, .frame = frame, .taken = taken};
    return TM_OK;
}

static enum tm_code open_block(struct tm_pack *pack, const struct tm_block_info *info,
        const struct place *content, struct tm_block_tools *tools, struct tm_block_view *view,
        struct tm_err *err)
{
    struct tm_open_options options = {
            .vault_id = tm_vault_id(pack->vault),
            .content_frame = content->frame,
    };
    enum tm_code code = open_key(pack, info->positions.key, &options.positions_key, err);
    if (code == TM_OK) {
        code = open_key(content->pack, content->frame->key, &options.content_key, err);
    }
    struct frames frames = {0};
    if (code == TM_OK) {
        code = read_frames(pack, &info->positions, content, &frames, err);
    }
    if (code == TM_OK) {
        code = tm_block_open(info, &options, frames.positions, frames.content, tools, view, err);
    }
    tm_buf_done(&frames.bytes);
    return code;
}

enum tm_code tm_pack_read_block(struct tm_pack *pack, size_t block, struct tm_block_tools *tools,
        struct tm_block_view *view, struct tm_err *err)
{
    tm_assert(block < pack->index.block_count);
    const struct tm_block_info *info = &pack->index.blocks[block];
    struct place content = {0};
    enum tm_code code = find_place(pack, info, &content, err);
    if (code == TM_OK) {
        code = open_block(pack, info, &content, tools, view, err);
    }
    give_dep(pack, content.taken);
    return code == TM_OK ? TM_OK : tm_err_wrap(err, "%s: block %zu", pack->name, block);
}
