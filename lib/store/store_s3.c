/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_s3.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/text.h"
#include "store/s3_impl.h"

enum { READ_BYTES = 256 * 1024, FILE_MODE = 0600 };

static struct tm_s3 *s3_of(struct tm_store *store)
{
    return (struct tm_s3 *)store;
}

static struct tm_s3_call call_of(
        const char *action, enum tm_s3_op op, const char *method, const char *name)
{
    return (struct tm_s3_call){
            .action = action,
            .op = op,
            .method = method,
            .name = name,
            .payload = tm_sha256_of(tm_slice_str("")),
    };
}

static void add_header(struct tm_s3_call *call, const char *name, const char *value)
{
    tm_assert(call->header_count < TM_S3_HEADERS_MAX);
    call->headers[call->header_count++] = (struct tm_http_header){name, value};
}

/* A number in a header; false where there is none. */
static bool number_of(const struct tm_http_response *response, const char *name, uint64_t *out)
{
    char text[24];
    int64_t value = 0;
    struct tm_err ignored = {0};
    (void)tm_http_header_text(response, name, text, sizeof(text));
    if (tm_parse_i64(text, &value, &ignored) != TM_OK || value < 0) {
        return false;
    }
    *out = (uint64_t)value;
    return true;
}

static enum tm_code s3_get(struct tm_store *store, const char *name, size_t max_bytes,
        struct tm_buf *out, struct tm_err *err)
{
    struct tm_s3 *s3 = s3_of(store);
    struct tm_s3_call call = call_of("get", TM_S3_GET, "GET", name);
    call.max_bytes = max_bytes;
    call.into = out;
    TM_HTTP_RESPONSE_OWN struct tm_http_response response = {0};
    return tm_s3_do(s3, &call, &response, err);
}

static enum tm_code too_short(const struct tm_s3 *s3, const char *name, uint64_t size,
        const uint64_t range[2], struct tm_err *err)
{
    return tm_err_set(err, TM_E_CORRUPT,
            "%s/%s: has %" PRIu64 " bytes; %" PRIu64 " were asked for from byte %" PRIu64,
            s3->base.where, name, size, range[1], range[0]);
}

/* The size behind the "/" of "bytes 0-99/1234" or of "bytes *"; false where it says none. */
static bool whole_size(const char *content_range, uint64_t *out)
{
    const char *slash = strchr(content_range, '/');
    int64_t value = 0;
    struct tm_err ignored = {0};
    if (slash == NULL || tm_parse_i64(slash + 1, &value, &ignored) != TM_OK || value < 0) {
        return false;
    }
    *out = (uint64_t)value;
    return true;
}

/* Is the answer the bytes that were asked for? range: offset and length. */
static enum tm_code check_range(const struct tm_s3 *s3, const char *name,
        const struct tm_http_response *response, const uint64_t range[2], struct tm_err *err)
{
    char content_range[80];
    char expected[80];
    uint64_t size = 0;
    (void)tm_http_header_text(response, "content-range", content_range, sizeof(content_range));
    bool has_size = whole_size(content_range, &size);
    if (has_size && (range[0] > size || range[1] > size - range[0])) {
        return too_short(s3, name, size, range, err);
    }
    (void)snprintf(expected, sizeof(expected), "bytes %" PRIu64 "-%" PRIu64 "/", range[0],
            range[0] + range[1] - 1);
    if (response->status != 206 || response->received != range[1] ||
            strncmp(content_range, expected, strlen(expected)) != 0) {
        return tm_err_set(err, TM_E_IO,
                "%s/%s: range: asked for \"%s\", got status %d, \"%s\" and %" PRIu64 " bytes",
                s3->base.where, name, expected, response->status, content_range,
                response->received);
    }
    return TM_OK;
}

static enum tm_code s3_stat(
        struct tm_store *store, const char *name, struct tm_object_info *out, struct tm_err *err);

/* No range of HTTP is empty, and not every 416 tells the size: ask for the size alone. */
static enum tm_code check_by_size(
        struct tm_s3 *s3, const char *name, const uint64_t range[2], struct tm_err *err)
{
    struct tm_object_info info;
    TM_TRY(s3_stat(&s3->base, name, &info, err));
    bool inside = range[0] <= info.size && range[1] <= info.size - range[0];
    return inside ? TM_OK : too_short(s3, name, info.size, range, err);
}

/* What came of a request for a range; `why` is how it failed, if it did. */
static enum tm_code judge_range(struct tm_s3 *s3, const char *name,
        const struct tm_http_response *response, const uint64_t range[2], const struct tm_err *why,
        struct tm_err *err)
{
    bool beyond = response->status == 416;
    if (beyond && tm_http_header(response, "content-range").at == NULL) {
        TM_TRY(check_by_size(s3, name, range, err));
    }
    /* A server that ignores ranges sends more than was asked for. */
    if (beyond || why->code == TM_OK || why->code == TM_E_LIMIT) {
        return check_range(s3, name, response, range, err);
    }
    *err = *why;
    return why->code;
}

static enum tm_code s3_range(struct tm_store *store, const char *name, uint64_t offset, size_t len,
        struct tm_buf *out, struct tm_err *err)
{
    struct tm_s3 *s3 = s3_of(store);
    const uint64_t range[2] = {offset, len};
    if (len == 0) {
        return check_by_size(s3, name, range, err);
    }
    struct tm_s3_call call = call_of("range", TM_S3_GET, "GET", name);
    char bytes[64];
    (void)snprintf(bytes, sizeof(bytes), "bytes=%" PRIu64 "-%" PRIu64, offset, offset + len - 1);
    add_header(&call, "Range", bytes);
    call.max_bytes = len;
    call.into = out;
    size_t before = out->len;
    TM_HTTP_RESPONSE_OWN struct tm_http_response response = {0};
    struct tm_err why = {0};
    TM_LATER(tm_s3_do(s3, &call, &response, &why));
    enum tm_code code = judge_range(s3, name, &response, range, &why, err);
    if (code != TM_OK && out->at != NULL) {
        out->len = before;
        out->at[before] = '\0';
    }
    return code;
}

/* What the headers of a PUT point to. */
struct put_headers {
    char checksum[TM_S3_BASE64_HASH];
    char until[TM_TIME_TEXT_MAX];
};

/* How long an object of that name is locked; 0: not at all. */
static int64_t lock_of(const struct tm_s3 *s3, const char *name)
{
    if (s3->lock_mode == TM_S3_LOCK_NONE || name[0] == 't') {
        return 0;
    }
    return name[0] == 'l' ? s3->lock_log_ms : s3->lock_ms;
}

static void add_put_headers(
        const struct tm_s3 *s3, struct tm_s3_call *call, struct put_headers *headers)
{
    tm_s3_base64(&call->payload, headers->checksum);
    add_header(call, "x-amz-checksum-sha256", headers->checksum);
    int64_t locked_ms = lock_of(s3, call->name);
    if (locked_ms > 0) {
        bool strict = s3->lock_mode == TM_S3_LOCK_COMPLIANCE;
        (void)tm_time_format(tm_now_ms() + locked_ms, headers->until);
        add_header(call, "x-amz-object-lock-mode", strict ? "COMPLIANCE" : "GOVERNANCE");
        add_header(call, "x-amz-object-lock-retain-until-date", headers->until);
    }
}

static enum tm_code s3_create(
        struct tm_store *store, const char *name, struct tm_slice bytes, struct tm_err *err)
{
    struct tm_s3 *s3 = s3_of(store);
    struct tm_s3_call call = call_of("create", TM_S3_PUT, "PUT", name);
    struct put_headers headers;
    call.payload = tm_sha256_of(bytes);
    call.body = bytes;
    call.conditional = true;
    add_header(&call, "If-None-Match", "*");
    add_put_headers(s3, &call, &headers);
    TM_HTTP_RESPONSE_OWN struct tm_http_response response = {0};
    TM_FAULT("store.s3.create");
    enum tm_code code = tm_s3_do(s3, &call, &response, err);
    TM_FAULT("store.s3.created");
    return code;
}

static enum tm_code s3_spool_open(struct tm_store *store, struct tm_spool *out, struct tm_err *err)
{
    const struct tm_s3 *s3 = s3_of(store);
    int fd = open(s3->spool_folder, O_TMPFILE | O_RDWR | O_CLOEXEC, FILE_MODE);
    if (fd < 0) {
        int sys_errno = errno;
        return tm_err_set(err,
                tm_fs_code(sys_errno) == TM_E_MISSING ? TM_E_IO : tm_fs_code(sys_errno),
                "%s: make a file without a name: %s", s3->spool_folder, tm_errno_text(sys_errno));
    }
    out->fd = fd;
    out->size = 0;
    (void)snprintf(out->path, sizeof(out->path), "%s/(spool)", s3->spool_folder);
    return TM_OK;
}

static void s3_spool_drop(struct tm_store *store, struct tm_spool *spool)
{
    (void)store;
    if (spool->path[0] != '\0') { /* "": never opened, or dropped before */
        tm_fd_close(&spool->fd);
        spool->path[0] = '\0';
    }
}

static enum tm_code hash_spool(const struct tm_s3 *s3, const char *name,
        const struct tm_spool *spool, struct tm_hash *out, struct tm_err *err)
{
    TM_OWN(tm_sha256_free) struct tm_sha256 *sha = tm_sha256_new();
    TM_BUF_OWN struct tm_buf piece = {0};
    uint64_t done = 0;
    while (done < spool->size) {
        uint64_t left = spool->size - done;
        size_t len = left < READ_BYTES ? (size_t)left : READ_BYTES;
        tm_buf_clear(&piece);
        if (tm_fs_read_range(spool->fd, spool->path, done, len, &piece, err) != TM_OK) {
            return tm_err_wrap(err, "%s/%s", s3->base.where, name);
        }
        tm_sha256_add(sha, piece.at, piece.len);
        done += len;
    }
    *out = tm_sha256_take(sha);
    return TM_OK;
}

static enum tm_code s3_put(
        struct tm_store *store, const char *name, struct tm_spool *spool, struct tm_err *err)
{
    struct tm_s3 *s3 = s3_of(store);
    struct tm_s3_call call = call_of("put", TM_S3_PUT, "PUT", name);
    struct put_headers headers;
    TM_TRY(hash_spool(s3, name, spool, &call.payload, err));
    call.spool = spool;
    add_put_headers(s3, &call, &headers);
    TM_HTTP_RESPONSE_OWN struct tm_http_response response = {0};
    TM_FAULT("store.s3.put");
    enum tm_code code = tm_s3_do(s3, &call, &response, err);
    TM_FAULT("store.s3.put-done");
    return code;
}

static enum tm_code s3_remove(struct tm_store *store, const char *name, struct tm_err *err)
{
    struct tm_s3 *s3 = s3_of(store);
    struct tm_s3_call call = call_of("remove", TM_S3_REMOVE, "DELETE", name);
    TM_HTTP_RESPONSE_OWN struct tm_http_response response = {0};
    struct tm_err why = {0};
    enum tm_code code = tm_s3_do(s3, &call, &response, &why);
    if (code == TM_OK || code == TM_E_MISSING) {
        return TM_OK;
    }
    *err = why;
    return code;
}

/*
 * The answer to HEAD has no body, and "404" alone may mean the bucket: a GET says which of them is
 * missing.
 */
static enum tm_code ask_what_is_missing(struct tm_s3 *s3, const char *name, struct tm_err *err)
{
    struct tm_s3_call call = call_of("stat", TM_S3_GET, "GET", name);
    TM_HTTP_RESPONSE_OWN struct tm_http_response response = {0};
    add_header(&call, "Range", "bytes=0-0");
    call.max_bytes = 1;
    enum tm_code code = tm_s3_do(s3, &call, &response, err);
    return code != TM_OK ? code
                         : tm_err_set(err, TM_E_BUSY, "%s/%s: missing a moment ago, now there",
                                   s3->base.where, name);
}

static enum tm_code s3_stat(
        struct tm_store *store, const char *name, struct tm_object_info *out, struct tm_err *err)
{
    struct tm_s3 *s3 = s3_of(store);
    struct tm_s3_call call = call_of("stat", TM_S3_HEAD, "HEAD", name);
    TM_HTTP_RESPONSE_OWN struct tm_http_response response = {0};
    struct tm_err why = {0};
    enum tm_code code = tm_s3_do(s3, &call, &response, &why);
    if (code == TM_E_MISSING) {
        return ask_what_is_missing(s3, name, err);
    }
    if (code != TM_OK) {
        *err = why;
        return code;
    }
    struct tm_object_info info = {0};
    char modified[64];
    (void)tm_http_header_text(&response, "last-modified", modified, sizeof(modified));
    if (!number_of(&response, "content-length", &info.size) ||
            !tm_s3_http_time(modified, &info.modified_ms)) {
        return tm_err_set(err, TM_E_IO, "%s/%s: stat: the answer lacks a size or a time",
                s3->base.where, name);
    }
    *out = info;
    return TM_OK;
}

static void s3_free(struct tm_store *store)
{
    struct tm_s3 *s3 = s3_of(store);
    tm_http_free(s3->http);
    tm_aws_provider_free(s3->provider);
    free(s3->origin);
    free(s3->host);
    free(s3->path);
    free(s3->prefix);
    free(s3->region);
    free(s3->spool_folder);
    free(s3);
}

const struct tm_store_ops tm_s3_ops = {
        .get = s3_get,
        .range = s3_range,
        .create = s3_create,
        .spool_open = s3_spool_open,
        .spool_drop = s3_spool_drop,
        .put = s3_put,
        .list = tm_s3_list,
        .remove = s3_remove,
        .stat = s3_stat,
        .free = s3_free,
};

struct tm_s3_requests tm_store_s3_requests(const struct tm_store *store)
{
    tm_assert(store->ops == &tm_s3_ops);
    const struct tm_s3 *s3 = (const struct tm_s3 *)store;
    return (struct tm_s3_requests){
            .get = atomic_load_explicit(&s3->requests[TM_S3_GET], memory_order_relaxed),
            .put = atomic_load_explicit(&s3->requests[TM_S3_PUT], memory_order_relaxed),
            .list = atomic_load_explicit(&s3->requests[TM_S3_LIST], memory_order_relaxed),
            .remove = atomic_load_explicit(&s3->requests[TM_S3_REMOVE], memory_order_relaxed),
            .head = atomic_load_explicit(&s3->requests[TM_S3_HEAD], memory_order_relaxed),
    };
}
