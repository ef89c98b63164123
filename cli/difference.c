/* SPDX-License-Identifier: Apache-2.0 */
#include "difference.h"

#include <inttypes.h>
#include <stdio.h>

enum { SHOWN_MAX = 40 };

static void show(struct tm_slice bytes, struct tm_buf *out)
{
    if (bytes.at == NULL) {
        tm_buf_add_text(out, "null");
        return;
    }
    size_t shown = bytes.len < SHOWN_MAX ? bytes.len : SHOWN_MAX;
    tm_buf_add_text(out, "\"");
    for (size_t i = 0; i < shown; i++) {
        uint8_t byte = bytes.at[i];
        if (byte < ' ' || byte > '~' || byte == '"' || byte == '\\') {
            tm_buf_add_fmt(out, "\\x%02x", byte);
        } else {
            tm_buf_add_u8(out, byte);
        }
    }
    tm_buf_add_text(out, "\"");
    if (shown < bytes.len) {
        tm_buf_add_fmt(out, "... (%zu bytes)", bytes.len);
    }
}

static size_t common_length(struct tm_slice a, struct tm_slice b)
{
    size_t i = 0;
    while (i < a.len && i < b.len && a.at[i] == b.at[i]) {
        i++;
    }
    return i;
}

static bool bytes_differ(
        const char *what, struct tm_slice is, struct tm_slice meant, struct tm_buf *out)
{
    bool has_null = is.at == NULL || meant.at == NULL;
    size_t common = has_null ? 0 : common_length(is, meant);
    if (has_null ? is.at == meant.at : common == is.len && common == meant.len) {
        return false;
    }
    tm_buf_add_fmt(out, "%s is ", what);
    show(is, out);
    tm_buf_add_text(out, ", not ");
    show(meant, out);
    if (common >= SHOWN_MAX) {
        tm_buf_add_fmt(out, "; the first %zu bytes are the same", common);
    }
    return true;
}

static bool headers_differ(
        const struct tm_record *is, const struct tm_record *meant, struct tm_buf *out)
{
    size_t both = is->header_count < meant->header_count ? is->header_count : meant->header_count;
    for (size_t i = 0; i < both; i++) {
        char what[48];
        (void)snprintf(what, sizeof(what), "the name of header %zu", i);
        if (bytes_differ(what, is->headers[i].name, meant->headers[i].name, out)) {
            return true;
        }
        (void)snprintf(what, sizeof(what), "the value of header %zu", i);
        if (bytes_differ(what, is->headers[i].value, meant->headers[i].value, out)) {
            return true;
        }
    }
    if (is->header_count != meant->header_count) {
        tm_buf_add_fmt(
                out, "there are %zu headers, not %zu", is->header_count, meant->header_count);
        return true;
    }
    return false;
}

static const char *type_name(enum tm_timestamp_type type)
{
    static const char *const names[] = {"none", "CreateTime", "LogAppendTime"};
    return names[type];
}

bool cli_difference(const struct tm_record *is, const struct tm_record *meant, struct tm_buf *out)
{
    if (is->timestamp_type != meant->timestamp_type) {
        tm_buf_add_fmt(out, "the timestamp's type is %s, not %s", type_name(is->timestamp_type),
                type_name(meant->timestamp_type));
        return true;
    }
    if (is->timestamp_ms != meant->timestamp_ms) {
        tm_buf_add_fmt(out, "the timestamp is %" PRId64 ", not %" PRId64, is->timestamp_ms,
                meant->timestamp_ms);
        return true;
    }
    return bytes_differ("the key", is->key, meant->key, out) || headers_differ(is, meant, out) ||
           bytes_differ("the value", is->value, meant->value, out);
}
