/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>

#include "job/verify_run.h"

struct verify_tools {
    struct tm_vault *vault;
    struct tm_block_tools *block;
    struct tm_block_view view;
    struct tm_proof *proof;
    uint32_t epoch;     /* of the proof */
    struct tm_buf tags; /* of a block with a content id */
};

struct verify_tools *tm_verify_tools_new(struct tm_vault *vault)
{
    struct verify_tools *tools = tm_xalloc(1, sizeof(*tools));
    tools->vault = vault;
    tools->block = tm_block_tools_new();
    return tools;
}

void tm_verify_tools_free(struct verify_tools *tools)
{
    if (tools != NULL) {
        tm_block_view_done(&tools->view);
        tm_block_tools_free(tools->block);
        tm_proof_free(tools->proof);
        tm_buf_done(&tools->tags);
        free(tools);
    }
}

static void use_epoch(struct verify_tools *tools, uint32_t epoch)
{
    if (tools->proof == NULL || tools->epoch != epoch) {
        tm_proof_free(tools->proof);
        tools->proof = tm_proof_new(tm_vault_ring(tools->vault), epoch);
        tools->epoch = epoch;
    }
}

/* The digest that docs/format.md gives a solo block's content. */
static struct tm_hash solo_id(const struct verify_tools *tools, const struct tm_record *record)
{
    const struct tm_ring *ring = tm_vault_ring(tools->vault);
    uint8_t named[1 + sizeof(struct tm_id16)] = {'s'};
    struct tm_id16 tag = tm_ring_tag(ring, tools->epoch, record->value);
    memcpy(named + 1, tag.bytes, sizeof(tag.bytes));
    return tm_ring_content_id(ring, tools->epoch, tm_slice_of(named, sizeof(named)));
}

/* Walk a run: its records against count and proof; its tags are kept for the content id. */
static enum tm_code check_run(struct verify_tools *tools, const struct tm_block_info *info,
        size_t index, struct tm_hash *id, struct tm_err *err)
{
    const struct tm_ring *ring = tm_vault_ring(tools->vault);
    const struct tm_block_run *run = &info->runs[index];
    struct tm_block_iter iter;
    struct tm_record record;
    int64_t count = 0;
    tm_block_iter_init(&iter, &tools->view, index);
    while (tm_block_iter_next(&iter, &record)) {
        struct tm_id16 tag = tm_ring_tag(ring, tools->epoch, tm_block_iter_canonical(&iter));
        tm_proof_add(tools->proof, record.timestamp_ms, &tag);
        tm_buf_add(&tools->tags, tag.bytes, sizeof(tag.bytes));
        if ((info->flags & TM_BLOCK_SOLO) != 0) {
            *id = solo_id(tools, &record);
        }
        count++;
    }
    tm_block_iter_done(&iter);
    struct tm_id16 proof = tm_proof_take(tools->proof);
    if (count != run->run.count) {
        return tm_err_set(err, TM_E_CORRUPT,
                "partition %" PRId32 ", offsets from %" PRId64 ": %" PRId64
                " records, not %" PRId64,
                run->run.partition, run->run.first, count, run->run.count);
    }
    if (!tm_id16_eq(&proof, &run->proof)) {
        return tm_err_set(err, TM_E_CORRUPT,
                "partition %" PRId32 ", offsets from %" PRId64
                ": records differ from their content proof",
                run->run.partition, run->run.first);
    }
    return TM_OK;
}

static enum tm_code check_view(struct verify_tools *tools, const struct tm_block_info *info,
        int64_t *records, struct tm_err *err)
{
    struct tm_hash id = {{0}};
    tm_buf_clear(&tools->tags);
    for (size_t r = 0; r < info->run_count; r++) {
        TM_TRY(check_run(tools, info, r, &id, err));
        *records += info->runs[r].run.count;
    }
    if ((info->flags & (TM_BLOCK_HAS_ID | TM_BLOCK_FOREIGN)) == 0) {
        return TM_OK;
    }
    if ((info->flags & TM_BLOCK_SOLO) == 0) {
        id = tm_ring_content_id(
                tm_vault_ring(tools->vault), tools->epoch, tm_buf_slice(&tools->tags));
    }
    return tm_hash_eq(&id, &info->content_id)
                   ? TM_OK
                   : tm_err_set(err, TM_E_CORRUPT, "its content has another content id");
}

enum tm_code tm_verify_block(struct verify_tools *tools, struct tm_pack *pack, size_t block,
        int64_t *records, struct tm_err *err)
{
    const struct tm_block_info *info = &tm_pack_index(pack)->blocks[block];
    int64_t counted = 0;
    TM_TRY(tm_pack_read_block(pack, block, tools->block, &tools->view, err));
    use_epoch(tools, tm_pack_block_epoch(pack, block)); /* the ring has it, or nothing had opened */
    if (check_view(tools, info, &counted, err) != TM_OK) {
        char name[TM_OBJECT_NAME_MAX];
        tm_pack_name(tm_pack_hash(pack), name);
        return tm_err_wrap(err, "%s: block %zu", name, block);
    }
    *records += counted;
    return TM_OK;
}
