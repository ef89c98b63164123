/* SPDX-License-Identifier: Apache-2.0 */
#include "job/record_json.h"

#include <inttypes.h>

#include "base/base64.h"
#include "base/text.h"

/* Characters, beyond those that JSON wants escaped, that some reader takes for the end of a line. */
static bool is_line_end(struct tm_slice one)
{
    return (one.len == 2 && one.at[0] == 0xc2 && one.at[1] == 0x85) ||
           (one.len == 3 && one.at[0] == 0xe2 && one.at[1] == 0x80 &&
                   (one.at[2] == 0xa8 || one.at[2] == 0xa9));
}

static void add_line_end(struct tm_buf *out, struct tm_slice one)
{
    unsigned code = one.len == 2 ? 0x85 : 0x2000 + (one.at[2] & 0x3fU);
    tm_buf_add_fmt(out, "\\u%04x", code);
}

static void add_ascii(struct tm_buf *out, uint8_t c)
{
    static const char letters[] = "btn\vfr"; /* of 8 to 13; 11 has none */
    if (c == '"' || c == '\\') {
        tm_buf_add_u8(out, '\\');
        tm_buf_add_u8(out, c);
    } else if (c >= '\b' && c <= '\r' && c != '\v') {
        tm_buf_add_u8(out, '\\');
        tm_buf_add_u8(out, (uint8_t)letters[c - '\b']);
    } else if (c < ' ' || c == 0x7f) {
        tm_buf_add_fmt(out, "\\u%04x", (unsigned)c);
    } else {
        tm_buf_add_u8(out, c);
    }
}

/* A JSON string of what is known to be UTF-8. */
static void add_string(struct tm_buf *out, struct tm_slice text)
{
    tm_buf_add_u8(out, '"');
    for (size_t i = 0; i < text.len;) {
        size_t plain = i;
        while (plain < text.len && text.at[plain] >= ' ' && text.at[plain] < 0x7f &&
                text.at[plain] != '"' && text.at[plain] != '\\') {
            plain++;
        }
        tm_buf_add(out, text.at + i, plain - i);
        i = plain;
        if (i < text.len && text.at[i] < 0x80) {
            add_ascii(out, text.at[i++]);
        } else if (i < text.len) {
            struct tm_slice rest = {text.at + i, text.len - i};
            struct tm_slice one = {rest.at, tm_utf8_len(rest)};
            if (is_line_end(one)) {
                add_line_end(out, one);
            } else {
                tm_buf_add(out, one.at, one.len);
            }
            i += one.len;
        }
    }
    tm_buf_add_u8(out, '"');
}

/* The beginning of `bytes`, no longer than `most`; of text a whole number of characters. */
static struct tm_slice cut(struct tm_slice bytes, size_t most, bool text)
{
    if (bytes.len <= most) {
        return bytes;
    }
    /* A byte 10xxxxxx goes on with the character that was begun before it. */
    while (text && most > 0 && (bytes.at[most] & 0xc0) == 0x80) {
        most--;
    }
    return (struct tm_slice){bytes.at, most};
}

/* "name":"text", "name_base64":"...", or "name":null; true: it was cut. */
static bool add_bytes(struct tm_buf *out, const char *name, struct tm_slice bytes, size_t most)
{
    if (bytes.at == NULL) {
        tm_buf_add_fmt(out, "\"%s\":null", name);
        return false;
    }
    bool text = tm_is_utf8(bytes);
    struct tm_slice given = cut(bytes, most, text);
    tm_buf_add_fmt(out, text ? "\"%s\":" : "\"%s_base64\":\"", name);
    if (text) {
        add_string(out, given);
    } else {
        tm_base64_add(out, given);
        tm_buf_add_u8(out, '"');
    }
    return given.len < bytes.len;
}

static const char *type_name(enum tm_timestamp_type type)
{
    return type == TM_TIMESTAMP_CREATE ? "create" : type == TM_TIMESTAMP_APPEND ? "append" : "none";
}

static void add_truncated(struct tm_buf *list, const char *name, size_t size)
{
    tm_buf_add_fmt(list, "%s\"%s\":%zu", list->len > 0 ? "," : "", name, size);
}

/* One header; its sizes are told beside it when it was cut. */
static void add_header(struct tm_buf *out, const struct tm_header *header, size_t most)
{
    TM_BUF_OWN struct tm_buf list = {0};
    tm_buf_add_u8(out, '{');
    if (add_bytes(out, "name", header->name, most)) {
        add_truncated(&list, "name_bytes", header->name.len);
    }
    tm_buf_add_u8(out, ',');
    if (add_bytes(out, "value", header->value, most)) {
        add_truncated(&list, "value_bytes", header->value.len);
    }
    if (list.len > 0) {
        tm_buf_add_fmt(out, ",\"truncated\":{%s}", tm_buf_text(&list));
    }
    tm_buf_add_u8(out, '}');
}

/* How many were given. */
static size_t add_headers(struct tm_buf *out, const struct tm_record *record,
        const struct tm_record_json_limits *limits)
{
    size_t bytes = 0;
    size_t count = 0;
    tm_buf_add_text(out, ",\"headers\":[");
    while (count < record->header_count && count < limits->header_count &&
            bytes <= limits->headers_bytes) {
        const struct tm_header *header = &record->headers[count];
        tm_buf_add_text(out, count > 0 ? "," : "");
        add_header(out, header, limits->field_bytes);
        bytes += header->name.len + header->value.len;
        count++;
    }
    tm_buf_add_u8(out, ']');
    return count;
}

void tm_record_json_add(const char *topic, int32_t partition, const struct tm_record *record,
        const struct tm_record_json_limits *limits, struct tm_buf *out)
{
    static const struct tm_record_json_limits none = {SIZE_MAX, SIZE_MAX, SIZE_MAX};
    TM_BUF_OWN struct tm_buf list = {0};
    limits = limits != NULL ? limits : &none;
    tm_buf_add_u8(out, '{');
    (void)add_bytes(out, "topic", tm_slice_str(topic), SIZE_MAX);
    tm_buf_add_fmt(out,
            ",\"partition\":%" PRId32 ",\"offset\":%" PRId64 ",\"timestamp_ms\":%" PRId64
            ",\"timestamp_type\":\"%s\",",
            partition, record->offset, record->timestamp_ms, type_name(record->timestamp_type));
    if (add_bytes(out, "key", record->key, limits->field_bytes)) {
        add_truncated(&list, "key_bytes", record->key.len);
    }
    tm_buf_add_u8(out, ',');
    if (add_bytes(out, "value", record->value, limits->field_bytes)) {
        add_truncated(&list, "value_bytes", record->value.len);
    }
    if (add_headers(out, record, limits) < record->header_count) {
        add_truncated(&list, "headers_count", record->header_count);
    }
    if (list.len > 0) {
        tm_buf_add_fmt(out, ",\"truncated\":{%s}", tm_buf_text(&list));
    }
    tm_buf_add_u8(out, '}');
}
