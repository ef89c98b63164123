/* SPDX-License-Identifier: Apache-2.0 */
#include "etag.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "request.h"

void tm_etag_of(const char *text, char out[TM_ETAG_MAX])
{
    enum { ETAG_BYTES = 16 };
    struct tm_hash hash = tm_sha256_of(tm_slice_str(text));
    char hex[2 * ETAG_BYTES + 1];
    tm_hex(hash.bytes, ETAG_BYTES, hex);
    (void)snprintf(out, TM_ETAG_MAX, "\"%s\"", hex);
}

/* Weak ones count (RFC 9110, for If-None-Match); ours are strong. */
bool tm_etag_among(const char *list, const char *etag)
{
    size_t len = strlen(etag);
    while (*list != '\0') {
        list += strspn(list, " \t,");
        list += strncmp(list, "W/", 2) == 0 ? 2 : 0;
        size_t item = strcspn(list, ",");
        size_t trimmed = item;
        while (trimmed > 0 && (list[trimmed - 1] == ' ' || list[trimmed - 1] == '\t')) {
            trimmed--;
        }
        if ((trimmed == 1 && list[0] == '*') || (trimmed == len && strncmp(list, etag, len) == 0)) {
            return true;
        }
        list += item;
    }
    return false;
}

void tm_etag_answer(struct tm_request *request, const char *text, const char *etag)
{
    tm_request_add_header(request, "ETag", "%s", etag);
    const char *known = tm_request_header(request, "If-None-Match");
    if (known != NULL && tm_etag_among(known, etag)) {
        struct tm_buf none = {0};
        tm_request_answer_text(request, 304, NULL, &none);
    } else {
        tm_request_answer_document(request, 200, "application/json", text);
    }
}
