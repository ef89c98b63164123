/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/text.h"
#include "job/verify_run.h"

enum { CHUNK_BYTES = 8 << 20 };

/* The SHA-256 of the object's first `size` bytes, with no more than a piece of it in memory. */
static enum tm_code hash_object(struct tm_store *store, const char *name, uint64_t size,
        struct tm_hash *out, struct tm_err *err)
{
    TM_OWN(tm_sha256_free) struct tm_sha256 *sha = tm_sha256_new();
    TM_BUF_OWN struct tm_buf chunk = {0};
    for (uint64_t at = 0; at < size;) {
        size_t len = size - at < CHUNK_BYTES ? (size_t)(size - at) : CHUNK_BYTES;
        tm_buf_clear(&chunk);
        TM_TRY(tm_store_range(store, name, at, len, &chunk, err));
        tm_sha256_add(sha, chunk.at, chunk.len);
        at += len;
    }
    *out = tm_sha256_take(sha);
    return TM_OK;
}

/* Of the failure of a read: a fault of the pack, or a reason to stop. */
static void note_unread(struct verify_task *task, const struct tm_err *why)
{
    if (why->code == TM_E_MISSING) {
        tm_verify_found(task, TM_FINDING_MISSING_PACK, -1, NULL, 0, "it is not in the store");
    } else if (tm_verify_is_fault(why->code)) {
        tm_verify_found(task, TM_FINDING_CORRUPT_PACK, -1, NULL, 0, why->msg);
    } else {
        task->err = *why;
    }
}

static void scrub_pack(struct verify_task *task)
{
    struct tm_store *store = task->run->store;
    char name[TM_OBJECT_NAME_MAX];
    char detail[128];
    struct tm_object_info info;
    struct tm_hash hash;
    struct tm_err err = {0};
    tm_pack_name(&task->pack.name, name);
    if (tm_store_stat(store, name, &info, &err) != TM_OK) {
        note_unread(task, &err);
        return;
    }
    if (info.size != task->pack.size) {
        (void)snprintf(detail, sizeof(detail), "it has %" PRIu64 " bytes, not %" PRIu64, info.size,
                task->pack.size);
        tm_verify_found(task, TM_FINDING_CORRUPT_PACK, -1, NULL, 0, detail);
        return;
    }
    if (hash_object(store, name, info.size, &hash, &err) != TM_OK) {
        note_unread(task, &err);
        return;
    }
    task->bytes_read += (int64_t)info.size;
    if (!tm_hash_eq(&hash, &task->pack.name)) {
        tm_verify_found(task, TM_FINDING_CORRUPT_PACK, -1, NULL, 0,
                "its bytes are not those that were written: the SHA-256 is not its name");
    }
}

/* Packs as the store lists them, for a scrub without key or catalog. */
struct listed {
    TM_VEC(struct tm_kept_pack) packs;
};

static enum tm_code add_listed(
        void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err)
{
    struct listed *listed = arg;
    struct tm_kept_pack pack = {.size = info->size};
    char back[TM_OBJECT_NAME_MAX];
    const char *hex = strrchr(name, '/');
    (void)err;
    if (hex == NULL || !tm_parse_hex(hex + 1, pack.name.bytes, sizeof(pack.name.bytes))) {
        return TM_OK; /* no pack of ours */
    }
    tm_pack_name(&pack.name, back);
    if (strcmp(back, name) == 0) {
        *tm_vec_push(&listed->packs) = pack;
    }
    return TM_OK;
}

/* As many of the packs as the budget has room for, one at least. */
static size_t within_budget(
        const struct verify_run *run, const struct tm_kept_pack *packs, size_t count)
{
    uint64_t budget = run->options->scrub_budget_bytes;
    uint64_t sum = 0;
    size_t taken = 0;
    while (taken < count && (budget == 0 || taken == 0 || sum + packs[taken].size <= budget)) {
        sum += packs[taken++].size;
    }
    return taken;
}

enum tm_code tm_verify_scrub(struct verify_run *run, struct tm_err *err)
{
    struct listed listed = {0};
    struct tm_arena arena = {0};
    struct tm_kept_pack *packs = NULL;
    size_t count = 0;
    enum tm_code code;
    if (run->options->catalog != NULL) {
        code = tm_findings_packs(run->options->catalog, true, &arena, &packs, &count, err);
    } else {
        code = tm_store_list(run->store, "pack/", add_listed, &listed, err);
        packs = listed.packs.at;
        count = listed.packs.count;
    }
    if (code == TM_OK) {
        struct verify_packs scrub = {
                .look = scrub_pack, .packs = packs, .count = within_budget(run, packs, count)};
        run->result->packs_left = (int64_t)(count - scrub.count);
        code = tm_verify_packs(run, &scrub, err);
    }
    tm_vec_done(&listed.packs);
    tm_arena_done(&arena);
    return code;
}
