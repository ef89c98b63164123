/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

#define COMMON "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
static const char plain[] = COMMON "+/";
static const char digits[] = COMMON "-_";

void tm_base64_add(struct tm_buf *out, struct tm_slice bytes)
{
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t three = (uint32_t)bytes.at[i] << 16;
        three |= left > 1 ? (uint32_t)bytes.at[i + 1] << 8 : 0;
        three |= left > 2 ? bytes.at[i + 2] : 0;
        uint8_t *four = tm_buf_extend(out, 4);
        four[0] = (uint8_t)plain[three >> 18];
        four[1] = (uint8_t)plain[(three >> 12) & 63];
        four[2] = left > 1 ? (uint8_t)plain[(three >> 6) & 63] : '=';
        four[3] = left > 2 ? (uint8_t)plain[three & 63] : '=';
    }
}

void tm_base64url_add(struct tm_buf *out, struct tm_slice bytes)
{
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        bits = bits << 8 | bytes.at[i];
        for (have += 8; have >= 6; have -= 6) {
            tm_buf_add_u8(out, (uint8_t)digits[bits >> (have - 6) & 63]);
        }
    }
    if (have > 0) {
        tm_buf_add_u8(out, (uint8_t)digits[bits << (6 - have) & 63]);
    }
}

bool tm_base64url_read(struct tm_buf *out, struct tm_slice text)
{
    uint32_t bits = 0;
    unsigned have = 0;
    for (int padding = 0; padding < 2 && text.len > 0 && text.at[text.len - 1] == '='; padding++) {
        text.len--;
    }
    for (size_t i = 0; i < text.len; i++) {
        const char *digit = memchr(digits, text.at[i], sizeof(digits) - 1);
        if (digit == NULL) {
            return false;
        }
        bits = bits << 6 | (uint32_t)(digit - digits);
        have += 6;
        if (have >= 8) {
            have -= 8;
            tm_buf_add_u8(out, (uint8_t)(bits >> have));
        }
    }
    return have < 6; /* one digit alone stands for no byte */
}
