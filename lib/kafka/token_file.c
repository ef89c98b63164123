/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/sources.h"
#include "base/arena.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/json.h"
#include "kafka/oauth.h"

enum { OPAQUE_LIFE_MS = 5 * 60 * 1000 };

/* The claims of a JWT, its second part; NULL when the token is none. */
static const struct tm_json_value *claims_of(struct tm_slice token, struct tm_arena *arena)
{
    const uint8_t *first = memchr(token.at, '.', token.len);
    const uint8_t *end = token.at + token.len;
    const uint8_t *second =
            first != NULL ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    if (second == NULL) {
        return NULL;
    }
    TM_SOURCE_WIPED struct tm_buf text = {0};
    const struct tm_json_value *claims = NULL;
    struct tm_err ignored = {0};
    tm_buf_reserve(&text, token.len);
    bool is_text = tm_base64url_read(&text, tm_slice_of(first + 1, (size_t)(second - first - 1)));
    if (!is_text || tm_json_read(tm_buf_slice(&text), arena, &claims, NULL, &ignored) != TM_OK) {
        return NULL;
    }
    return claims->kind == TM_JSON_OBJECT ? claims : NULL;
}

/* Seconds since the epoch; a JWT may have a fraction there. -1: no such claim. */
static int64_t time_of(const struct tm_json_value *claim)
{
    static const int64_t latest_s = INT64_C(253402300799); /* the end of the year 9999 */
    int64_t seconds = -1;
    if (claim != NULL && claim->kind == TM_JSON_INT) {
        seconds = claim->integer;
    } else if (claim != NULL && claim->kind == TM_JSON_REAL && claim->real >= 0 &&
               claim->real < (double)latest_s) {
        seconds = (int64_t)claim->real;
    }
    return seconds > latest_s ? latest_s : seconds;
}

static enum tm_code take_claims(const char *path, const struct tm_json_value *claims,
        int64_t now_ms, struct tm_token *out, struct tm_err *err)
{
    const struct tm_json_value *subject = tm_json_get(claims, "sub");
    int64_t end_s = time_of(tm_json_get(claims, "exp"));
    if (subject != NULL && subject->kind == TM_JSON_STRING && subject->string[0] != '\0') {
        (void)snprintf(out->principal, sizeof(out->principal), "%s", subject->string);
    }
    if (end_s < 0) {
        return TM_OK;
    }
    out->expires_ms = end_s * 1000;
    char end[TM_TIME_TEXT_MAX];
    return out->expires_ms > now_ms
                   ? TM_OK
                   : tm_err_set(err, TM_E_DENIED,
                             "%s: the token has ended at %s; whoever renews it has to put a newer "
                             "one there",
                             path, tm_time_format(out->expires_ms, end));
}

enum tm_code tm_token_file_read(
        const char *path, int64_t now_ms, struct tm_token *out, struct tm_err *err)
{
    TM_TRY(tm_source_token(path, &out->value, err));
    (void)snprintf(out->principal, sizeof(out->principal), "tidemark");
    out->expires_ms = now_ms + OPAQUE_LIFE_MS;
    struct tm_arena arena = {0};
    const struct tm_json_value *claims = claims_of(tm_buf_slice(&out->value), &arena);
    enum tm_code code = claims != NULL ? take_claims(path, claims, now_ms, out, err) : TM_OK;
    tm_arena_done(&arena);
    return code;
}

static enum tm_code get(void *self, bool refused, struct tm_token *out, struct tm_err *err)
{
    (void)refused; /* nothing is remembered */
    enum tm_code code = tm_token_file_read(self, tm_now_ms(), out, err);
    return code == TM_OK ? TM_OK : tm_err_wrap(err, "token_file");
}

void tm_token_file(const char *path, struct tm_token_source *out)
{
    char *copy = strdup(path);
    tm_assert(copy != NULL);
    *out = (struct tm_token_source){.get = get, .done = free, .self = copy};
}
