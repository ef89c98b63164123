/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/log.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/rd.h"

enum {
    HEX_DIGITS = 16,
    FIRST_PAUSE_MS = 10,
    LONGEST_PAUSE_MS = 5000,
};

bool tm_log_parse_name(const char *name, const char *kind, uint64_t *out)
{
    size_t kind_len = strlen(kind);
    if (strncmp(name, kind, kind_len) != 0 || name[kind_len] != '/') {
        return false;
    }
    const char *hex = name + kind_len + 1;
    if (strspn(hex, "0123456789abcdef") != HEX_DIGITS || hex[HEX_DIGITS] != '\0') {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < HEX_DIGITS; i++) {
        value = value << 4 | (uint64_t)(hex[i] <= '9' ? hex[i] - '0' : hex[i] - 'a' + 10);
    }
    *out = value;
    return true;
}

static enum tm_code widen(
        void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err)
{
    (void)info;
    (void)err;
    struct tm_log_span *span = arg;
    uint64_t seq;
    if (tm_log_parse_name(name, "log", &seq)) {
        span->oldest = span->empty || seq < span->oldest ? seq : span->oldest;
        span->newest = span->empty || seq > span->newest ? seq : span->newest;
        span->empty = false;
    }
    return TM_OK;
}

enum tm_code tm_log_list(struct tm_store *store, struct tm_log_span *out, struct tm_err *err)
{
    struct tm_log_span span = {.empty = true};
    enum tm_code code = tm_store_list(store, "log/", widen, &span, err);
    if (code == TM_OK) {
        *out = span;
    }
    return code;
}

enum tm_code tm_log_peek_vault(
        struct tm_store *store, uint64_t seq, struct tm_id16 *out, struct tm_err *err)
{
    char name[TM_OBJECT_NAME_MAX];
    tm_log_name(seq, name);
    TM_BUF_OWN struct tm_buf header = {0};
    enum tm_code code = tm_store_range(store, name, 0, TM_ENTRY_HEADER, &header, err);
    if (code != TM_OK) {
        return code;
    }
    struct tm_rd rd = tm_rd_of(tm_buf_slice(&header));
    struct tm_slice magic = tm_rd_bytes(&rd, 4);
    uint16_t version = tm_rd_u16(&rd);
    (void)tm_rd_u16(&rd);
    struct tm_id16 id;
    tm_rd_copy(&rd, id.bytes, sizeof(id.bytes));
    if (!tm_slice_is(magic, "TMVL")) {
        return tm_err_set(err, TM_E_CORRUPT, "%s: not a log entry", name);
    }
    if (version != 1) {
        return tm_err_set(err, TM_E_VERSION, "%s: version %u of the format", name, version);
    }
    *out = id;
    return TM_OK;
}

struct tm_log_patience tm_log_patience(int64_t budget_ms)
{
    return (struct tm_log_patience){
            .deadline_ns = tm_mono_ns() + budget_ms * 1000 * 1000,
            .pause_ms = FIRST_PAUSE_MS,
    };
}

bool tm_log_wait(struct tm_log_patience *patience)
{
    if (tm_mono_ns() >= patience->deadline_ns) {
        return false;
    }
    tm_sleep_ms(patience->pause_ms);
    int64_t next_ms = 2 * patience->pause_ms;
    patience->pause_ms = next_ms < LONGEST_PAUSE_MS ? next_ms : LONGEST_PAUSE_MS;
    return true;
}

enum tm_code tm_log_holds(
        struct tm_store *store, const struct tm_head *head, bool *out, struct tm_err *err)
{
    char name[TM_OBJECT_NAME_MAX];
    tm_log_name(head->seq, name);
    TM_BUF_OWN struct tm_buf object = {0};
    struct tm_err get_err = {0};
    enum tm_code code = tm_store_get(store, name, TM_ENTRY_BYTES_MAX, &object, &get_err);
    if (code == TM_E_MISSING || code == TM_E_LIMIT) {
        *out = false;
        return TM_OK;
    }
    if (code != TM_OK) {
        *err = get_err;
        return code;
    }
    struct tm_hash hash = tm_sha256_of(tm_buf_slice(&object));
    *out = tm_hash_eq(&hash, &head->hash);
    return TM_OK;
}

/* Create once; where the name is taken, look whether these bytes took it. */
static enum tm_code create_or_compare(struct tm_store *store, const char *name,
        struct tm_slice bytes, bool *mine, struct tm_err *err)
{
    struct tm_err create_err = {0};
    enum tm_code code = tm_store_create(store, name, bytes, &create_err);
    if (code == TM_OK) {
        *mine = true;
        return TM_OK;
    }
    if (code != TM_E_EXISTS) {
        *err = create_err;
        return code;
    }
    TM_BUF_OWN struct tm_buf there = {0};
    struct tm_err get_err = {0};
    code = tm_store_get(store, name, bytes.len, &there, &get_err);
    if (code == TM_E_LIMIT) {
        *mine = false; /* longer than ours */
        return TM_OK;
    }
    if (code == TM_E_MISSING) {
        return tm_err_set(err, TM_E_BUSY, "%s: taken a moment ago, now gone", name);
    }
    if (code != TM_OK) {
        *err = get_err;
        return code;
    }
    *mine = tm_slice_eq(tm_buf_slice(&there), bytes);
    return TM_OK;
}

enum tm_code tm_log_create(struct tm_store *store, const char *name, struct tm_slice bytes,
        int64_t budget_ms, bool *mine, struct tm_err *err)
{
    struct tm_log_patience patience = tm_log_patience(budget_ms);
    bool sent = false; /* may an earlier try have reached the store, or still reach it? */
    for (;;) {
        struct tm_err why = {0};
        enum tm_code code = create_or_compare(store, name, bytes, mine, &why);
        if (code == TM_OK) {
            return TM_OK;
        }
        sent = sent || code == TM_E_UNKNOWN || code == TM_E_TIMEOUT || code == TM_E_IO;
        bool again = tm_code_retryable(code) && code != TM_E_FULL;
        if (again && tm_log_wait(&patience)) {
            continue;
        }
        if (!sent) {
            *err = why;
            return code;
        }
        return tm_err_set(
                err, TM_E_UNKNOWN, "%s: not known whether it was created: %s", name, why.msg);
    }
}
