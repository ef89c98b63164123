/* SPDX-License-Identifier: Apache-2.0 */
#include "job/peek.h"

#include <inttypes.h>

#include "base/ulid.h"
#include "job/chosen.h"
#include "job/record_json.h"

enum { FIELD_BYTES = 64 << 10, HEADERS_MAX = 200, ANSWER_BYTES = 2 << 20 };

static const struct tm_record_json_limits limits = {FIELD_BYTES, FIELD_BYTES, HEADERS_MAX};

/* The partition's row and stream. */
static const struct tm_stream *find_topic(const struct tm_point *point, const char *topic)
{
    for (size_t i = 0; i < point->stream_count; i++) {
        if (tm_slice_is(point->streams[i].topic, topic)) {
            return &point->streams[i];
        }
    }
    return NULL;
}

static enum tm_code find_part(const struct tm_peek_options *options, const struct tm_point *point,
        const struct tm_stream **stream, const struct tm_row_part **part, struct tm_err *err)
{
    *stream = find_topic(point, options->topic);
    if (*stream == NULL) {
        return tm_err_set(
                err, TM_E_MISSING, "the recovery point has no topic \"%.249s\"", options->topic);
    }
    for (size_t i = 0; i < point->row.part_count; i++) {
        *part = &point->row.parts[i];
        if ((*part)->stream == (*stream)->id && (*part)->partition == options->partition) {
            return TM_OK;
        }
    }
    return tm_err_set(err, TM_E_MISSING,
            "topic \"%.249s\" has no partition %" PRId32 " in the recovery point", options->topic,
            options->partition);
}

static enum tm_code add_items(const struct tm_peek_options *options, struct tm_source *source,
        struct tm_buf *out, struct tm_err *err)
{
    size_t begin = out->len;
    int64_t count = 0;
    struct tm_record record;
    bool more = false;
    TM_TRY(tm_source_next(source, &record, &more, err));
    while (more && count < options->limit && out->len - begin < ANSWER_BYTES) {
        tm_buf_add_text(out, count > 0 ? "," : "");
        tm_record_json_add(options->topic, options->partition, &record, &limits, out);
        count++;
        TM_TRY(tm_source_next(source, &record, &more, err));
    }
    tm_buf_add_text(out, "]");
    if (more) {
        tm_buf_add_fmt(out, ",\"next_offset\":%" PRId64, record.offset);
    }
    return TM_OK;
}

static enum tm_code read_items(const struct tm_peek_options *options,
        const struct tm_source_range *range, struct tm_buf *out, struct tm_err *err)
{
    struct tm_pack_cache *cache = tm_pack_cache_new(options->vault);
    struct tm_source *source = tm_source_new(options->vault, cache, range);
    enum tm_code code = tm_pack_cache_follow(cache, options->catalog, err);
    code = code == TM_OK ? add_items(options, source, out, err) : code;
    tm_source_free(source);
    tm_pack_cache_free(cache);
    return code;
}

static enum tm_code peek(const struct tm_peek_options *options, struct tm_arena *arena,
        struct tm_buf *out, struct tm_err *err)
{
    struct tm_point point = {0};
    const struct tm_stream *stream = NULL;
    const struct tm_row_part *part = NULL;
    char name[TM_ULID_NAME_MAX];
    (void)tm_ulid_format(&options->point, "rp_", name);
    TM_TRY(tm_catalog_point(options->catalog, &options->point, arena, &point, err));
    if (point.row.id == 0) {
        return tm_err_set(err, TM_E_MISSING, "recovery point %s does not exist", name);
    }
    TM_TRY(find_part(options, &point, &stream, &part, err));
    int64_t from = options->offset >= 0 ? options->offset : part->start;
    if (from < part->start || (from >= part->end && options->offset >= 0)) {
        return tm_err_set(err, TM_E_USAGE,
                "offset %" PRId64 " is not in the recovery point: it has %" PRId64 " to %" PRId64
                ", the last exclusive",
                from, part->start, part->end);
    }
    struct tm_chosen_range range;
    struct tm_chosen_part chosen = {
            .stream = stream, .partition = options->partition, .start = from, .end = part->end};
    TM_TRY(tm_chosen_range(options->catalog, NULL, &chosen, arena, &range, err));
    range.source.exact = true;
    tm_buf_add_fmt(out,
            "{\"recovery_point\":\"%s\",\"partition\":%" PRId32 ",\"start_offset\":%" PRId64
            ",\"end_offset\":%" PRId64 ",\"items\":[",
            name, options->partition, part->start, part->end);
    TM_TRY(read_items(options, &range.source, out, err));
    tm_buf_add_text(out, "}");
    return TM_OK;
}

enum tm_code tm_peek(const struct tm_peek_options *options, struct tm_buf *out, struct tm_err *err)
{
    struct tm_arena arena = {0};
    enum tm_code code = tm_vault_need_read(options->vault, err);
    code = code == TM_OK ? peek(options, &arena, out, err) : code;
    tm_arena_done(&arena);
    return code;
}
