/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/parts.h"

/* In 64 bits, whatever the two are: what does not fit is found when it is read. */
static int64_t distance(int64_t to, int64_t from)
{
    return (int64_t)((uint64_t)to - (uint64_t)from);
}

/* start + distance, both read from the row; fails where that is no int64_t. */
static int64_t sum(struct tm_rd *rd, int64_t start, int64_t distance_read)
{
    int64_t total = 0;
    if (__builtin_add_overflow(start, distance_read, &total)) {
        tm_rd_fail(rd, "offset larger than 63 bits");
        return 0;
    }
    return total;
}

static uint64_t number_to(struct tm_rd *rd, uint64_t most, const char *why)
{
    uint64_t value = tm_rd_v(rd);
    if (value > most) {
        tm_rd_fail(rd, why);
        return 0;
    }
    return value;
}

void tm_parts_pack(const struct tm_row_part *parts, size_t count, struct tm_buf *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct tm_row_part *row = &parts[i];
        tm_buf_add_v(out, row->stream);
        tm_buf_add_v(out, (uint64_t)(int64_t)row->partition);
        tm_buf_add_v(out, (uint64_t)row->start);
        tm_buf_add_v(out, (uint64_t)distance(row->end, row->start));
        tm_buf_add_z(out, distance(row->lso, row->end));
        tm_buf_add_z(out, distance(row->high_watermark, row->end));
        tm_buf_add_v(out, row->status);
    }
}

void tm_parts_read(struct tm_rd *rd, struct tm_row_part *out)
{
    out->stream = (uint32_t)number_to(rd, UINT32_MAX, "number larger than 32 bits");
    out->partition = (int32_t)number_to(rd, INT32_MAX, "partition larger than 31 bits");
    out->start = tm_rd_v63(rd);
    out->end = sum(rd, out->start, tm_rd_v63(rd));
    out->lso = sum(rd, out->end, tm_rd_z(rd));
    out->high_watermark = sum(rd, out->end, tm_rd_z(rd));
    out->status = (enum tm_part_status)number_to(
            rd, TM_PART_NOT_REACHED, "a partition's status that is not known");
}

struct tm_parts_walk tm_parts_walk(const struct tm_row_point *point)
{
    return (struct tm_parts_walk){.point = point, .rd = tm_rd_of(point->packed_parts)};
}

bool tm_parts_next(struct tm_parts_walk *walk, struct tm_row_part *out)
{
    if (walk->next == walk->point->part_count) {
        return false;
    }
    if (walk->point->parts != NULL) {
        *out = walk->point->parts[walk->next++];
        return true;
    }
    tm_parts_read(&walk->rd, out);
    walk->next++;
    return tm_rd_ok(&walk->rd);
}
