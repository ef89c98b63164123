/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text - numbers, durations, sizes, hex and near names as people write them.
 *
 * Parsers take the whole string or fail with TM_E_USAGE and a message that says what is accepted;
 * no sign, space or leading zero is let through by accident. Threads: any.
 */
#ifndef TM_BASE_TEXT_H
#define TM_BASE_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

enum tm_code tm_parse_i64(const char *text, int64_t *out, struct tm_err *err) TM_MUST_CHECK;
/* "90s" "15m" "12h" "30d" "2w" "500ms" "0"; up to 100 years. */
enum tm_code tm_parse_duration_ms(const char *text, int64_t *out, struct tm_err *err) TM_MUST_CHECK;
/* "512KiB" "10GiB" "1GB" or plain bytes. */
enum tm_code tm_parse_size(const char *text, int64_t *out, struct tm_err *err) TM_MUST_CHECK;
/* Exactly 2 * n lower or upper case digits into n bytes. False leaves `out` as it was. */
bool tm_parse_hex(const char *text, void *out, size_t n);
/* "SEQ:HASH": a decimal and 64 hex digits, as the head of a log is written. False changes nothing. */
bool tm_parse_numbered_hash(const char *text, int64_t *number, struct tm_hash *hash);
/* 2 * n digits and NUL into `out`, which has room for 2 * n + 1. */
void tm_hex(const void *bytes, size_t n, char *out);

/* The shortest form of a duration that is exact: "5m", "90s", "1500ms". `text` has room for 24. */
const char *tm_format_duration(int64_t ms, char *text);

/* Is it well-formed UTF-8 without NUL? (RFC 3629: no surrogates, no overlong forms.) */
bool tm_is_utf8(struct tm_slice bytes);
/* Bytes (1 to 4) of the well-formed UTF-8 character that `bytes` begin with; 0 if they do not. */
size_t tm_utf8_len(struct tm_slice bytes);
/* Append `bytes` to `out`, with U+FFFD in place of each byte that is not UTF-8. */
struct tm_buf;
void tm_utf8_clean(struct tm_slice bytes, struct tm_buf *out);

/* The shortest decimal that reads back as `value`: "5", "0.1", "1e+300"; "NaN", "+Inf", "-Inf". */
const char *tm_format_real(double value, char text[32]);

/* The name nearest to `given` by edit distance, at most 2 away (1 for short names); else NULL. */
const char *tm_nearest(const char *given, const char *const *names, size_t count);

/* strerror() for any thread: the message of an errno; static storage. */
const char *tm_errno_text(int sys_errno);

#endif
