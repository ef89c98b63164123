/* SPDX-License-Identifier: Apache-2.0 */
/* Heads known from elsewhere: how they are written, and whether a log has them. */
#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "vault/log.h"

char *tm_head_format(const struct tm_head *head, char out[TM_HEAD_TEXT_MAX])
{
    char hex[2 * sizeof(head->hash.bytes) + 1];
    tm_hex(head->hash.bytes, sizeof(head->hash.bytes), hex);
    (void)snprintf(out, TM_HEAD_TEXT_MAX, "%" PRIu64 ":%s", head->seq, hex);
    return out;
}

enum tm_code tm_head_parse(const char *text, struct tm_head *out, struct tm_err *err)
{
    int64_t seq;
    struct tm_hash hash;
    if (!tm_parse_numbered_hash(text, &seq, &hash)) {
        return tm_err_set(err, TM_E_USAGE,
                "a head is written SEQ:HASH, a number and 64 hex digits, as the log says it at "
                "each commit");
    }
    *out = (struct tm_head){.seq = (uint64_t)seq, .hash = hash};
    return TM_OK;
}

static enum tm_code refuse(const struct tm_head *expected, const char *what, struct tm_err *err)
{
    char name[TM_OBJECT_NAME_MAX];
    tm_log_name(expected->seq, name);
    return tm_err_set(err, TM_E_ROLLED_BACK,
            "%s: the log was rolled back or replaced: the entry that is expected %s", name, what);
}

enum tm_code tm_vault_expect_head(
        struct tm_store *store, const struct tm_head *expected, struct tm_err *err)
{
    struct tm_log_span span;
    bool there = false;
    TM_TRY(tm_log_list(store, &span, err));
    if (span.empty) {
        return refuse(expected, "is not there, nor is any other", err);
    }
    if (expected->seq > span.newest) {
        return refuse(expected, "is newer than all in the store", err);
    }
    if (expected->seq < span.oldest) {
        return TM_OK; /* log GC went past it */
    }
    TM_TRY(tm_log_holds(store, expected, &there, err));
    return there ? TM_OK : refuse(expected, "is not the one in the store", err);
}
