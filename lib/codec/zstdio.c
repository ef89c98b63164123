/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/zstdio.h"

#include <stdlib.h>
#include <zstd.h>

enum {
    LEVEL_MAX = 19, /* the highest whose window is within 8 MiB */
    WINDOW_MAX = 8 << 20,
    FRAME_HEAD = 6, /* magic, descriptor, window: what check_head() reads */
};

struct tm_zstd {
    ZSTD_CCtx *pack;
    ZSTD_DCtx *unpack;
};

struct tm_zstd *tm_zstd_new(void)
{
    struct tm_zstd *zstd = tm_xalloc(1, sizeof(*zstd));
    zstd->pack = ZSTD_createCCtx();
    zstd->unpack = ZSTD_createDCtx();
    tm_assert(zstd->pack != NULL && zstd->unpack != NULL);
    return zstd;
}

void tm_zstd_free(struct tm_zstd *zstd)
{
    if (zstd != NULL) {
        (void)ZSTD_freeCCtx(zstd->pack);
        (void)ZSTD_freeDCtx(zstd->unpack);
        free(zstd);
    }
}

void tm_zstd_pack(struct tm_zstd *zstd, int level, struct tm_slice plain, struct tm_buf *out)
{
    tm_assert(level >= 1 && level <= LEVEL_MAX);
    size_t bad = ZSTD_CCtx_setParameter(zstd->pack, ZSTD_c_compressionLevel, level);
    tm_assert(!ZSTD_isError(bad));
    bad = ZSTD_CCtx_setParameter(zstd->pack, ZSTD_c_checksumFlag, 1);
    tm_assert(!ZSTD_isError(bad));

    size_t start = out->len;
    size_t bound = ZSTD_compressBound(plain.len);
    tm_buf_reserve(out, bound);
    size_t packed = ZSTD_compress2(zstd->pack, out->at + start, bound, plain.at, plain.len);
    tm_assert(!ZSTD_isError(packed)); /* only memory can be short: there is room for any result */
    (void)tm_buf_extend(out, packed);
}

/*
 * What one-shot decompression would not mind: a frame without checksum, with a dictionary, or with a
 * window that other readers of the format need not offer (RFC 8878, 3.1.1.1).
 */
static const char *check_head(struct tm_slice frame, unsigned long long content_size)
{
    static const uint8_t magic[] = {0x28, 0xb5, 0x2f, 0xfd};
    if (frame.len < FRAME_HEAD || memcmp(frame.at, magic, sizeof(magic)) != 0) {
        return "not a zstd frame";
    }
    uint8_t descriptor = frame.at[4];
    if ((descriptor & 0x04) == 0) {
        return "it has no checksum";
    }
    if ((descriptor & 0x03) != 0) {
        return "it needs a dictionary";
    }
    unsigned long long window = content_size;
    if ((descriptor & 0x20) == 0) {
        unsigned long long base = 1ULL << (10 + (frame.at[5] >> 3));
        window = base + base / 8 * (frame.at[5] & 7);
    }
    return window > WINDOW_MAX ? "its window exceeds 8 MiB" : NULL;
}

enum tm_code tm_zstd_unpack(struct tm_zstd *zstd, struct tm_slice frame, size_t max_bytes,
        struct tm_buf *out, struct tm_err *err)
{
    unsigned long long size = ZSTD_getFrameContentSize(frame.at, frame.len);
    if (size == ZSTD_CONTENTSIZE_ERROR) {
        return tm_err_set(err, TM_E_CORRUPT, "zstd frame: not a zstd frame");
    }
    if (size == ZSTD_CONTENTSIZE_UNKNOWN) {
        return tm_err_set(err, TM_E_CORRUPT, "zstd frame: it does not carry its content's size");
    }
    const char *bad_head = check_head(frame, size);
    if (bad_head != NULL) {
        return tm_err_set(err, TM_E_CORRUPT, "zstd frame: %s", bad_head);
    }
    if (size > max_bytes) {
        return tm_err_set(
                err, TM_E_CORRUPT, "zstd frame: %llu bytes, at most %zu expected", size, max_bytes);
    }
    if (ZSTD_findFrameCompressedSize(frame.at, frame.len) != frame.len) {
        return tm_err_set(err, TM_E_CORRUPT, "zstd frame: cut short, or bytes behind its end");
    }

    size_t start = out->len;
    tm_buf_reserve(out, (size_t)size);
    size_t got =
            ZSTD_decompressDCtx(zstd->unpack, out->at + start, (size_t)size, frame.at, frame.len);
    if (ZSTD_isError(got)) {
        return tm_err_set(err, TM_E_CORRUPT, "zstd frame: %s", ZSTD_getErrorName(got));
    }
    if (got != size) {
        return tm_err_set(err, TM_E_CORRUPT, "zstd frame: %zu bytes, not %llu", got, size);
    }
    (void)tm_buf_extend(out, got);
    return TM_OK;
}
