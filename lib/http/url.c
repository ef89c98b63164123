/* SPDX-License-Identifier: Apache-2.0 */
#include "http/url.h"

#include <string.h>

#include "base/text.h"

static bool is_unreserved(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

/* What a host and its port may be made of. */
static bool is_host(struct tm_slice host)
{
    for (size_t i = 0; i < host.len; i++) {
        if (!is_unreserved(host.at[i]) && strchr("[]:", host.at[i]) == NULL) {
            return false;
        }
    }
    return host.len > 0;
}

/* Printable ASCII only: everything else is encoded in a URL. */
static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text <= ' ' || *text > '~') {
            return false;
        }
    }
    return true;
}

enum tm_code tm_url_split(const char *url, struct tm_url *out, struct tm_err *err)
{
    struct tm_url parts = {.tls = strncmp(url, "https://", 8) == 0};
    if (!parts.tls && strncmp(url, "http://", 7) != 0) {
        return tm_err_set(
                err, TM_E_USAGE, "\"%.100s\" begins with neither https:// nor http://", url);
    }
    const char *host = url + (parts.tls ? 8 : 7);
    size_t host_len = strcspn(host, "/?#");
    const char *path = host + host_len;
    size_t path_len = strcspn(path, "?#");
    const char *rest = path + path_len;
    parts.host = tm_slice_of(host, host_len);
    parts.path = tm_slice_of(path, path_len);
    parts.query = tm_slice_str(*rest == '?' ? rest + 1 : "");
    if (!is_host(parts.host) || !is_printable(url) || strchr(rest, '#') != NULL) {
        return tm_err_set(
                err, TM_E_USAGE, "\"%.100s\" is not of the form http[s]://HOST[:PORT][/PATH]", url);
    }
    *out = parts;
    return TM_OK;
}

void tm_url_encode(struct tm_buf *out, struct tm_slice text, const char *also)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        if (is_unreserved(c) || (c != '\0' && strchr(also, c) != NULL)) {
            tm_buf_add_u8(out, c);
        } else {
            tm_buf_add_fmt(out, "%%%02X", c);
        }
    }
}

bool tm_url_decode(struct tm_buf *out, struct tm_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        if (c == '%') {
            char digits[3] = {0};
            if (text.len - i < 3) {
                return false;
            }
            memcpy(digits, text.at + i + 1, 2);
            if (!tm_parse_hex(digits, &c, 1)) {
                return false;
            }
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        tm_buf_add_u8(out, c);
    }
    return true;
}
