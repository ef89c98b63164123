/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parts - the partitions of a point in the form that the body of an entry has them.
 *
 * The state of a vault with many partitions and points is mostly these rows: as structs they take 48
 * bytes each, as they are written about 12. So a full is read, made and kept with its rows packed;
 * whoever needs them walks over them. Layout: docs/format.md, "Log entries", p of points+.
 *
 * Threads: pure functions; a walk belongs to one thread.
 */
#ifndef TM_CODEC_PARTS_H
#define TM_CODEC_PARTS_H

#include "base/rd.h"
#include "codec/entry.h"

/* Append rows in packed form; a row out of bounds is told by whoever walks over it. */
void tm_parts_pack(const struct tm_row_part *parts, size_t count, struct tm_buf *out);

/* Read one packed row; the reader fails where it is none. */
void tm_parts_read(struct tm_rd *rd, struct tm_row_part *out);

/* Over the rows of a point, packed or not. The point must stay where it is. */
struct tm_parts_walk {
    const struct tm_row_point *point;
    size_t next;
    struct tm_rd rd;
};
struct tm_parts_walk tm_parts_walk(const struct tm_row_point *point);
/* False at the end, and where packed rows are damaged: tm_rd_ok(&walk->rd) then says so. */
bool tm_parts_next(struct tm_parts_walk *walk, struct tm_row_part *out);

#endif
