/* SPDX-License-Identifier: Apache-2.0 */
#include "job/restore_input.h"

#include <stdlib.h>

enum {
    BLOCK_BYTES = 4 << 20, /* what a source with its block in hand may take; larger ones are rare */
    WINDOW_MIN = 16 << 10,
    RECORD_COST = 64, /* of a record in a window, besides its bytes */
};

struct kept {                /* a record in the window */
    struct tm_record record; /* but what lies in its bytes */
    size_t at;
    size_t len;
};

struct tm_restore_input {
    struct restore_run *run;
    struct restore_part *part;
    struct tm_arena arena;         /* of the range's runs */
    struct tm_chosen_range *range; /* in the arena */
    struct tm_source *source;      /* NULL: the window is to be filled first */
    struct tm_record record;
    int64_t zero_stamps; /* of sources that are closed */

    size_t window_bytes; /* 0: no window, the source stays open */
    struct tm_buf bytes; /* canonical records of the window */
    TM_VEC(struct kept) kept;
    size_t next;
    bool ended; /* nothing follows the window */
    struct tm_header_room room;
};

enum tm_code tm_restore_input_open(struct restore_run *run, struct restore_part *part,
        size_t inputs, struct tm_restore_input **out, struct tm_err *err)
{
    struct tm_restore_input *input = tm_xalloc(1, sizeof(*input));
    input->run = run;
    input->part = part;
    size_t share = run->env->memory_bytes / 2 / (inputs > 0 ? inputs : 1);
    if (inputs > 1 && share < BLOCK_BYTES) {
        input->window_bytes = share > WINDOW_MIN ? share : WINDOW_MIN;
    }
    enum tm_code code = tm_restore_load_range(run, part, &input->arena, &input->range, err);
    if (code != TM_OK) {
        tm_restore_input_close(input);
        return code;
    }
    input->range->source.prove = true;
    *out = input;
    return TM_OK;
}

static void close_source(struct tm_restore_input *input)
{
    if (input->source != NULL) {
        tm_source_free(input->source);
        input->source = NULL;
    }
}

void tm_restore_input_close(struct tm_restore_input *input)
{
    if (input == NULL) {
        return;
    }
    close_source(input);
    tm_vec_done(&input->kept);
    tm_buf_done(&input->bytes);
    tm_arena_done(&input->arena);
    free(input->room.at);
    free(input);
}

static enum tm_code open_source(struct tm_restore_input *input, struct tm_err *err)
{
    struct tm_source_range *range = &input->range->source;
    /* Runs that are done with are not walked again. */
    while (range->run_count > 0 &&
            range->runs[0].run.first + range->runs[0].run.length <= range->start) {
        range->runs++;
        range->run_count--;
    }
    return tm_chosen_open(
            input->run->options->vault, input->run->cache, input->range, &input->source, err);
}

static void keep(struct tm_restore_input *input, const struct tm_record *record)
{
    struct kept *kept = tm_vec_push(&input->kept);
    kept->record = *record;
    kept->at = input->bytes.len;
    tm_record_encode(record, &input->bytes);
    kept->len = input->bytes.len - kept->at;
}

static enum tm_code fill_window(struct tm_restore_input *input, struct tm_err *err)
{
    struct tm_record record;
    int64_t zero_stamps = 0;
    input->kept.count = 0;
    input->next = 0;
    tm_buf_clear(&input->bytes);
    enum tm_code code = open_source(input, err);
    while (code == TM_OK && !input->ended &&
            input->bytes.len + input->kept.count * RECORD_COST < input->window_bytes) {
        bool more = false;
        code = tm_source_next(input->source, &record, &more, err);
        input->ended = code == TM_OK && !more;
        if (code == TM_OK && more) {
            keep(input, &record);
            input->range->source.start = record.offset + 1;
            zero_stamps = tm_source_zero_stamps(input->source);
        }
    }
    input->zero_stamps += zero_stamps;
    close_source(input);
    return code;
}

static enum tm_code next_of_window(struct tm_restore_input *input, bool *more, struct tm_err *err)
{
    if (input->next == input->kept.count && !input->ended) {
        TM_TRY(fill_window(input, err));
    }
    *more = input->next < input->kept.count;
    if (!*more) {
        return TM_OK;
    }
    const struct kept *kept = &input->kept.at[input->next++];
    struct tm_rd rd = tm_rd_of(tm_slice_of(input->bytes.at + kept->at, kept->len));
    input->record = kept->record;
    tm_record_decode(&rd, &input->room, &input->record);
    tm_assert(tm_rd_ok(&rd)); /* our own writing */
    return TM_OK;
}

enum tm_code tm_restore_input_next(struct tm_restore_input *input, bool *more, struct tm_err *err)
{
    if (input->window_bytes > 0) {
        return next_of_window(input, more, err);
    }
    if (input->source == NULL) {
        TM_TRY(open_source(input, err));
    }
    return tm_source_next(input->source, &input->record, more, err);
}

const struct tm_record *tm_restore_input_record(const struct tm_restore_input *input)
{
    return &input->record;
}

const struct restore_part *tm_restore_input_part(const struct tm_restore_input *input)
{
    return input->part;
}

int64_t tm_restore_input_zero_stamps(const struct tm_restore_input *input)
{
    return input->zero_stamps + (input->source != NULL ? tm_source_zero_stamps(input->source) : 0);
}
