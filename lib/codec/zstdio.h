/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zstdio - zstd frames with content size and checksum, decoded within bounds.
 *
 * A context is reused from frame to frame (making one costs more than a small frame).
 * Threads: one at a time per context.
 */
#ifndef TM_CODEC_ZSTDIO_H
#define TM_CODEC_ZSTDIO_H

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"

struct tm_zstd;
struct tm_zstd *tm_zstd_new(void);
void tm_zstd_free(struct tm_zstd *zstd);
TM_OWNABLE(struct tm_zstd *, tm_zstd_free);

/* Append the frame of `plain` at `level` (1..19); window at most 8 MiB. */
void tm_zstd_pack(struct tm_zstd *zstd, int level, struct tm_slice plain, struct tm_buf *out);
/* Append the plain bytes; their number must be the frame's own content size and <= max_bytes. */
enum tm_code tm_zstd_unpack(struct tm_zstd *zstd, struct tm_slice frame, size_t max_bytes,
        struct tm_buf *out, struct tm_err *err) TM_MUST_CHECK;

#endif
