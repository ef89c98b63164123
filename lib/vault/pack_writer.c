/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/pack_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/text.h"
#include "vault/log.h"
#include "vault/own_ids.h"

enum { READ_BYTES = 1 << 20 };

struct tm_pack_writer {
    struct tm_vault *vault;
    struct tm_spool spool;
    struct tm_data_key *key;
    struct tm_buf header;
    TM_VEC(struct tm_sealed) placed; /* their ciphertexts are empty */
    uint64_t end;                    /* offset of the next frame */
    TM_VEC(struct tm_hash) deps;     /* in the order of their numbers; sorted at the end */
    struct tm_own_ids dep_numbers;
};

static enum tm_code spool_failed(
        const struct tm_pack_writer *writer, const char *what, struct tm_err *err)
{
    int sys_errno = errno;
    return tm_err_set(err, tm_fs_code(sys_errno), "%s: spool of a pack: %s: %s",
            tm_vault_store(writer->vault)->where, what, tm_errno_text(sys_errno));
}

static enum tm_code write_at(const struct tm_pack_writer *writer, uint64_t offset,
        struct tm_slice bytes, struct tm_err *err)
{
    while (bytes.len > 0) {
        ssize_t wrote = pwrite(writer->spool.fd, bytes.at, bytes.len, (off_t)offset);
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote < 0) {
            return spool_failed(writer, "write", err);
        }
        bytes = tm_slice_of(bytes.at + wrote, bytes.len - (size_t)wrote);
        offset += (uint64_t)wrote;
    }
    return TM_OK;
}

enum tm_code tm_pack_writer_open_copy(struct tm_vault *vault, const struct tm_pack_key *keys,
        size_t key_count, struct tm_pack_writer **out, struct tm_err *err)
{
    struct tm_spool spool = {.fd = -1};
    enum tm_code code = tm_store_spool_open(tm_vault_store(vault), &spool, err);
    if (code != TM_OK) {
        return code;
    }
    TM_OWN(tm_pack_writer_free) struct tm_pack_writer *writer = tm_xalloc(1, sizeof(*writer));
    writer->vault = vault;
    writer->spool = spool;
    tm_pack_header_encode(tm_vault_id(vault), keys, key_count, &writer->header);
    writer->end = writer->header.len;
    code = write_at(writer, 0, tm_buf_slice(&writer->header), err);
    if (code == TM_OK) {
        *out = TM_TAKE(writer);
    }
    return code;
}

enum tm_code tm_pack_writer_open(
        struct tm_vault *vault, struct tm_pack_writer **out, struct tm_err *err)
{
    const struct tm_ring *ring = tm_vault_ring(vault);
    struct tm_pack_key key = {.epoch = tm_ring_epoch(ring)};
    TM_OWN(tm_data_key_free)
    struct tm_data_key *data_key = tm_data_key_new(ring, key.epoch, key.stored);
    struct tm_pack_writer *writer = NULL;
    enum tm_code code = tm_pack_writer_open_copy(vault, &key, 1, &writer, err);
    if (code == TM_OK) {
        writer->key = TM_TAKE(data_key);
        *out = writer;
    }
    return code;
}

void tm_pack_writer_free(struct tm_pack_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    for (size_t i = 0; i < writer->placed.count; i++) {
        tm_sealed_done(&writer->placed.at[i]);
    }
    tm_vec_done(&writer->placed);
    tm_vec_done(&writer->deps);
    tm_own_ids_done(&writer->dep_numbers);
    tm_store_spool_drop(tm_vault_store(writer->vault), &writer->spool);
    tm_data_key_free(writer->key);
    tm_buf_done(&writer->header);
    free(writer);
}

const struct tm_data_key *tm_pack_writer_key(const struct tm_pack_writer *writer)
{
    return writer->key;
}

uint64_t tm_pack_writer_bytes(const struct tm_pack_writer *writer)
{
    return writer->end;
}

uint32_t tm_pack_writer_dep(struct tm_pack_writer *writer, const struct tm_hash *pack)
{
    uint64_t number = tm_own_ids_find(&writer->dep_numbers, pack);
    if (number == 0) {
        *tm_vec_push(&writer->deps) = *pack;
        number = writer->deps.count;
        tm_own_ids_add(&writer->dep_numbers, pack, number);
    }
    return (uint32_t)number;
}

const struct tm_hash *tm_pack_writer_deps(const struct tm_pack_writer *writer, size_t *count)
{
    *count = writer->deps.count;
    return writer->deps.at;
}

uint64_t tm_pack_writer_place(
        struct tm_pack_writer *writer, struct tm_sealed *sealed, uint32_t stream)
{
    uint64_t offset = writer->end;
    struct tm_block_info *info = &sealed->info;
    info->positions.offset = offset;
    if ((info->flags & TM_BLOCK_FOREIGN) == 0) {
        info->content.offset = offset + sealed->positions.len;
    }
    for (size_t i = 0; i < info->run_count; i++) {
        info->runs[i].run.stream = stream;
    }
    tm_vec_push(&writer->placed)->info = *info;
    *info = (struct tm_block_info){0}; /* the runs have moved */
    writer->end += sealed->positions.len + sealed->content.len;
    return offset;
}

enum tm_code tm_pack_writer_write(struct tm_pack_writer *writer, uint64_t offset,
        const struct tm_sealed *sealed, struct tm_err *err)
{
    enum tm_code code = write_at(writer, offset, tm_buf_slice(&sealed->positions), err);
    if (code == TM_OK) {
        code = write_at(
                writer, offset + sealed->positions.len, tm_buf_slice(&sealed->content), err);
    }
    return code;
}

enum tm_code tm_pack_writer_copy(
        struct tm_pack_writer *writer, uint64_t offset, struct tm_slice bytes, struct tm_err *err)
{
    return write_at(writer, offset, bytes, err);
}

static int by_bytes(const void *a, const void *b)
{
    const struct tm_hash *x = a;
    const struct tm_hash *y = b;
    return memcmp(x->bytes, y->bytes, sizeof(x->bytes));
}

/* Put the packs referred to in order, and let the blocks name them by their place in it. */
static void sort_deps(struct tm_pack_writer *writer)
{
    size_t count = writer->deps.count;
    if (count == 0) {
        return;
    }
    uint32_t *places = tm_xalloc(count + 1, sizeof(*places));
    qsort(writer->deps.at, count, sizeof(*writer->deps.at), by_bytes);
    for (size_t i = 0; i < count; i++) {
        places[tm_own_ids_find(&writer->dep_numbers, &writer->deps.at[i])] = (uint32_t)i + 1;
    }
    for (size_t i = 0; i < writer->placed.count; i++) {
        struct tm_block_info *info = &writer->placed.at[i].info;
        info->dep = places[info->dep];
    }
    free(places);
}

static void encode_index(const struct tm_pack_writer *writer, struct tm_pack_stream *streams,
        size_t stream_count, struct tm_buf *out)
{
    size_t count = writer->placed.count;
    struct tm_block_info *blocks = tm_xalloc(count, sizeof(*blocks));
    for (size_t i = 0; i < count; i++) {
        blocks[i] = writer->placed.at[i].info;
    }
    struct tm_pack_index index = {
            .streams = streams,
            .stream_count = stream_count,
            .deps = writer->deps.at,
            .dep_count = writer->deps.count,
            .blocks = blocks,
            .block_count = count,
    };
    tm_pack_index_encode(&index, tm_vault_ring(writer->vault), tm_buf_slice(&writer->header), out);
    free(blocks);
}

/*
 * Frames were written by several threads, in no order, so the hash is taken from the spool: it lies
 * in the page cache, and 64 MiB take 0.05 s.
 */
static enum tm_code hash_spool(
        const struct tm_pack_writer *writer, uint64_t size, struct tm_hash *out, struct tm_err *err)
{
    TM_OWN(tm_sha256_free) struct tm_sha256 *sha = tm_sha256_new();
    TM_BUF_OWN struct tm_buf room = {0};
    uint8_t *bytes = tm_buf_extend(&room, READ_BYTES);
    uint64_t at = 0;
    while (at < size) {
        size_t want = size - at < READ_BYTES ? (size_t)(size - at) : READ_BYTES;
        ssize_t got = pread(writer->spool.fd, bytes, want, (off_t)at);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return spool_failed(writer, "read", err);
        }
        if (got == 0) {
            return tm_err_set(err, TM_E_CORRUPT,
                    "%s: spool of a pack: shorter than what was written",
                    tm_vault_store(writer->vault)->where);
        }
        tm_sha256_add(sha, bytes, (size_t)got);
        at += (uint64_t)got;
    }
    *out = tm_sha256_take(sha);
    return TM_OK;
}

/* Putting again is harmless: the name says what the bytes are. */
static enum tm_code put(
        struct tm_pack_writer *writer, const struct tm_hash *hash, struct tm_err *err)
{
    char name[TM_OBJECT_NAME_MAX];
    tm_pack_name(hash, name);
    struct tm_log_patience patience = tm_log_patience(tm_vault_retry_ms(writer->vault));
    for (;;) {
        struct tm_err why = {0};
        enum tm_code code = tm_store_put(tm_vault_store(writer->vault), name, &writer->spool, &why);
        if (code == TM_OK) {
            return TM_OK;
        }
        bool again = tm_code_retryable(code) && code != TM_E_FULL;
        if (!again || !tm_log_wait(&patience)) {
            *err = why;
            return code;
        }
    }
}

/* Write what stands behind the frames, name the pack, store it. */
static enum tm_code store_pack(struct tm_pack_writer *writer, struct tm_slice tail,
        struct tm_hash *name, uint64_t *size, struct tm_err *err)
{
    uint64_t total = writer->end + tail.len;
    if (total > TM_PACK_BYTES_MAX) {
        return tm_err_set(err, TM_E_LIMIT, "a pack of %llu bytes; %d is the limit",
                (unsigned long long)total, TM_PACK_BYTES_MAX);
    }
    enum tm_code code = write_at(writer, writer->end, tail, err);
    if (code != TM_OK) {
        return code;
    }
    writer->spool.size = total;
    TM_FAULT("vault.pack.indexed");

    struct tm_hash hash;
    code = hash_spool(writer, total, &hash, err);
    int64_t put_ns = tm_vault_now_ns(writer->vault);
    if (code == TM_OK) {
        code = put(writer, &hash, err);
    }
    if (code != TM_OK) {
        return code;
    }
    TM_FAULT("vault.pack.put");
    tm_vault_note_put(writer->vault, &hash, put_ns);
    *name = hash;
    *size = total;
    return TM_OK;
}

enum tm_code tm_pack_writer_finish(struct tm_pack_writer *writer, struct tm_pack_stream *streams,
        size_t stream_count, struct tm_hash *name, uint64_t *size, struct tm_err *err)
{
    TM_FAULT("vault.pack.sealed");
    TM_BUF_OWN struct tm_buf tail = {0};
    sort_deps(writer);
    encode_index(writer, streams, stream_count, &tail);
    return store_pack(writer, tm_buf_slice(&tail), name, size, err);
}

enum tm_code tm_pack_writer_finish_copy(struct tm_pack_writer *writer,
        const struct tm_pack_index *index, uint64_t end, struct tm_hash *name, uint64_t *size,
        struct tm_err *err)
{
    tm_assert(writer->placed.count == 0 && end >= writer->end);
    TM_BUF_OWN struct tm_buf tail = {0};
    tm_pack_index_encode(index, tm_vault_ring(writer->vault), tm_buf_slice(&writer->header), &tail);
    writer->end = end;
    return store_pack(writer, tm_buf_slice(&tail), name, size, err);
}
