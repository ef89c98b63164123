/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/block_impl.h"

#include <stdlib.h>

static struct tm_rd part(const struct tm_buf *frame, size_t begin, size_t end)
{
    return tm_rd_of(tm_slice_of(frame->at + begin, end - begin));
}

void tm_block_iter_init(struct tm_block_iter *iter, const struct tm_block_view *view, size_t index)
{
    tm_assert(view->info != NULL && index < view->info->run_count);
    const struct tm_run_place *where = &view->places[index];
    const struct tm_run *run = &view->info->runs[index].run;
    bool mixed = (view->info->flags & TM_BLOCK_MIXED_TYPES) != 0;
    /* What follows a solo block's timestamp, headers and key, is read as content. */
    bool solo = (view->info->flags & TM_BLOCK_SOLO) != 0;
    *iter = (struct tm_block_iter){
            .view = view,
            .run = run,
            .offsets = part(&view->positions, where->offsets, where->stamps),
            .stamps = part(&view->positions, where->stamps, where->types),
            .content = solo ? part(&view->positions, where->types, where->end)
                            : part(&view->content, where->content,
                                      where->content + (size_t)run->bytes),
            .types = mixed ? view->positions.at + where->types : NULL,
            .next_offset = run->first,
            .last_stamp = run->ts_min,
    };
}

void tm_block_iter_done(struct tm_block_iter *iter)
{
    free(iter->room.at);
    tm_buf_done(&iter->scratch);
    *iter = (struct tm_block_iter){0};
}

static enum tm_timestamp_type type_of(const struct tm_block_iter *iter)
{
    if (iter->last_stamp == -1) {
        return TM_TIMESTAMP_NONE;
    }
    bool append = (iter->view->info->flags & TM_BLOCK_LOG_APPEND) != 0;
    if (iter->types != NULL) {
        append = (iter->types[iter->position / 8] >> (iter->position % 8) & 1) != 0;
    }
    return append ? TM_TIMESTAMP_APPEND : TM_TIMESTAMP_CREATE;
}

bool tm_block_iter_next(struct tm_block_iter *iter, struct tm_record *out)
{
    if (iter->position == iter->run->count) {
        return false;
    }
    int64_t offset = iter->next_offset + (int64_t)tm_rd_v(&iter->offsets);
    iter->next_offset = offset + 1;
    iter->last_stamp = (int64_t)((uint64_t)iter->last_stamp + (uint64_t)tm_rd_z(&iter->stamps));

    struct tm_record record = {
            .offset = offset,
            .timestamp_ms = iter->last_stamp,
            .timestamp_type = type_of(iter),
            .leader_epoch = -1,
    };
    const uint8_t *start = iter->content.at;
    if ((iter->view->info->flags & TM_BLOCK_SOLO) != 0) {
        tm_record_headers_decode(&iter->content, &iter->room, &record);
        record.value = tm_buf_slice(&iter->view->content);
    } else {
        tm_record_decode(&iter->content, &iter->room, &record);
    }
    tm_assert(tm_rd_ok(&iter->content) && tm_rd_ok(&iter->offsets) && tm_rd_ok(&iter->stamps));
    iter->raw = tm_slice_of(start, (size_t)(iter->content.at - start));
    iter->position++;
    *out = record;
    return true;
}

struct tm_slice tm_block_iter_canonical(struct tm_block_iter *iter)
{
    tm_assert(iter->position > 0);
    if ((iter->view->info->flags & TM_BLOCK_SOLO) == 0) {
        return iter->raw;
    }
    struct tm_slice value = tm_buf_slice(&iter->view->content);
    tm_buf_clear(&iter->scratch);
    tm_buf_reserve(&iter->scratch, (size_t)iter->run->bytes);
    tm_buf_add(&iter->scratch, iter->raw.at, iter->raw.len);
    tm_buf_add_v(&iter->scratch, (uint64_t)value.len + 1);
    tm_buf_add(&iter->scratch, value.at, value.len);
    return tm_buf_slice(&iter->scratch);
}
