/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_fault.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Invariant: base is the first member; inner is never NULL. */
struct fault_store {
    struct tm_store base;
    struct tm_store *inner;
    tm_store_fault_hook hook;
    void *arg;
    pthread_mutex_t lock; /* held while the hook runs */
    _Atomic uint64_t count;
};

static struct fault_store *fault_of(struct tm_store *store)
{
    return (struct fault_store *)store;
}

static enum tm_store_fault choose(struct fault_store *store, enum tm_store_op op, const char *name)
{
    (void)pthread_mutex_lock(&store->lock);
    uint64_t count = atomic_fetch_add(&store->count, 1) + 1;
    enum tm_store_fault fault =
            store->hook != NULL ? store->hook(store->arg, op, name, count) : TM_FAULT_NONE;
    (void)pthread_mutex_unlock(&store->lock);
    return fault;
}

/* Count the operation; TM_OK when the real one is to be done, and *fault says what comes after. */
static enum tm_code before(struct fault_store *store, enum tm_store_op op, const char *name,
        enum tm_store_fault *fault, struct tm_err *err)
{
    *fault = choose(store, op, name);
    switch (*fault) {
    case TM_FAULT_IO:
        return tm_err_set(err, TM_E_IO, "%s/%s: injected failure", store->base.where, name);
    case TM_FAULT_FULL:
        return tm_err_set(err, TM_E_FULL, "%s/%s: injected full store", store->base.where, name);
    case TM_FAULT_MISSING:
        return tm_err_set(err, TM_E_MISSING, "%s/%s: injected absence", store->base.where, name);
    case TM_FAULT_NONE:
    case TM_FAULT_LOST_ACK:
    case TM_FAULT_FLIP:
    case TM_FAULT_SHORT:
        return TM_OK;
    }
    return TM_OK;
}

/* The answer to an operation that was done with `code`. */
static enum tm_code after(const struct fault_store *store, const char *name, enum tm_code code,
        enum tm_store_fault fault, struct tm_err *err)
{
    if (code == TM_OK && fault == TM_FAULT_LOST_ACK) {
        return tm_err_set(
                err, TM_E_UNKNOWN, "%s/%s: injected lost answer", store->base.where, name);
    }
    return code;
}

static void cut_to(struct tm_buf *buf, size_t len)
{
    if (buf->at != NULL) {
        buf->len = len;
        buf->at[len] = 0;
    }
}

/* Damage the answer to a read, which begins at `begin` of `out`. */
static enum tm_code spoil(const struct fault_store *store, const char *name, size_t begin,
        enum tm_store_fault fault, struct tm_buf *out, struct tm_err *err)
{
    size_t len = out->len - begin;
    if (fault == TM_FAULT_FLIP && len > 0) {
        out->at[begin + len / 2] ^= 0x10;
    }
    if (fault == TM_FAULT_SHORT && len > 0) {
        cut_to(out, out->len - 1);
    }
    enum tm_code code = after(store, name, TM_OK, fault, err);
    if (code != TM_OK) {
        cut_to(out, begin);
    }
    return code;
}

static enum tm_code fault_get(struct tm_store *base, const char *name, size_t max_bytes,
        struct tm_buf *out, struct tm_err *err)
{
    struct fault_store *store = fault_of(base);
    enum tm_store_fault fault = TM_FAULT_NONE;
    size_t begin = out->len;
    enum tm_code code = before(store, TM_OP_GET, name, &fault, err);
    if (code == TM_OK) {
        code = tm_store_get(store->inner, name, max_bytes, out, err);
    }
    return code == TM_OK ? spoil(store, name, begin, fault, out, err) : code;
}

static enum tm_code fault_range(struct tm_store *base, const char *name, uint64_t offset,
        size_t len, struct tm_buf *out, struct tm_err *err)
{
    struct fault_store *store = fault_of(base);
    enum tm_store_fault fault = TM_FAULT_NONE;
    size_t begin = out->len;
    enum tm_code code = before(store, TM_OP_RANGE, name, &fault, err);
    if (code == TM_OK && fault == TM_FAULT_SHORT) {
        return tm_err_set(
                err, TM_E_CORRUPT, "%s/%s: injected short object", store->base.where, name);
    }
    if (code == TM_OK) {
        code = tm_store_range(store->inner, name, offset, len, out, err);
    }
    return code == TM_OK ? spoil(store, name, begin, fault, out, err) : code;
}

static enum tm_code fault_create(
        struct tm_store *base, const char *name, struct tm_slice bytes, struct tm_err *err)
{
    struct fault_store *store = fault_of(base);
    enum tm_store_fault fault = TM_FAULT_NONE;
    enum tm_code code = before(store, TM_OP_CREATE, name, &fault, err);
    if (code == TM_OK) {
        code = tm_store_create(store->inner, name, bytes, err);
        code = after(store, name, code, fault, err);
    }
    return code;
}

static enum tm_code fault_spool_open(
        struct tm_store *base, struct tm_spool *out, struct tm_err *err)
{
    static const char name[] = "spool"; /* it has no name of an object */
    struct fault_store *store = fault_of(base);
    enum tm_store_fault fault = TM_FAULT_NONE;
    struct tm_spool spool;
    enum tm_code code = before(store, TM_OP_SPOOL, name, &fault, err);
    if (code == TM_OK) {
        code = tm_store_spool_open(store->inner, &spool, err);
    }
    if (code != TM_OK) {
        return code;
    }
    code = after(store, name, code, fault, err);
    if (code != TM_OK) {
        tm_store_spool_drop(store->inner, &spool);
        return code;
    }
    *out = spool;
    return TM_OK;
}

static void fault_spool_drop(struct tm_store *base, struct tm_spool *spool)
{
    tm_store_spool_drop(fault_of(base)->inner, spool);
}

static enum tm_code fault_put(
        struct tm_store *base, const char *name, struct tm_spool *spool, struct tm_err *err)
{
    struct fault_store *store = fault_of(base);
    enum tm_store_fault fault = TM_FAULT_NONE;
    enum tm_code code = before(store, TM_OP_PUT, name, &fault, err);
    if (code == TM_OK) {
        code = tm_store_put(store->inner, name, spool, err);
        code = after(store, name, code, fault, err);
    }
    return code;
}

static enum tm_code fault_list(struct tm_store *base, const char *prefix,
        enum tm_code (*each)(
                void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err),
        void *arg, struct tm_err *err)
{
    struct fault_store *store = fault_of(base);
    enum tm_store_fault fault = TM_FAULT_NONE;
    enum tm_code code = before(store, TM_OP_LIST, prefix, &fault, err);
    if (code == TM_OK) {
        code = tm_store_list(store->inner, prefix, each, arg, err);
        code = after(store, prefix, code, fault, err);
    }
    return code;
}

static enum tm_code fault_remove(struct tm_store *base, const char *name, struct tm_err *err)
{
    struct fault_store *store = fault_of(base);
    enum tm_store_fault fault = TM_FAULT_NONE;
    enum tm_code code = before(store, TM_OP_REMOVE, name, &fault, err);
    if (code == TM_OK) {
        code = tm_store_remove(store->inner, name, err);
        code = after(store, name, code, fault, err);
    }
    return code;
}

static enum tm_code fault_stat(
        struct tm_store *base, const char *name, struct tm_object_info *out, struct tm_err *err)
{
    struct fault_store *store = fault_of(base);
    enum tm_store_fault fault = TM_FAULT_NONE;
    struct tm_object_info info;
    enum tm_code code = before(store, TM_OP_STAT, name, &fault, err);
    if (code == TM_OK) {
        code = tm_store_stat(store->inner, name, &info, err);
        code = after(store, name, code, fault, err);
    }
    if (code == TM_OK) {
        *out = info;
    }
    return code;
}

static void fault_free(struct tm_store *base)
{
    struct fault_store *store = fault_of(base);
    tm_store_free(store->inner);
    (void)pthread_mutex_destroy(&store->lock);
    free(store);
}

static const struct tm_store_ops fault_ops = {
        .get = fault_get,
        .range = fault_range,
        .create = fault_create,
        .spool_open = fault_spool_open,
        .spool_drop = fault_spool_drop,
        .put = fault_put,
        .list = fault_list,
        .remove = fault_remove,
        .stat = fault_stat,
        .free = fault_free,
};

struct tm_store *tm_store_fault_new(struct tm_store *inner, tm_store_fault_hook hook, void *arg)
{
    struct fault_store *store = tm_xalloc(1, sizeof(*store));
    store->base.ops = &fault_ops;
    store->base.backend = "fault";
    memcpy(store->base.where, inner->where, sizeof(store->base.where));
    store->inner = inner;
    store->hook = hook;
    store->arg = arg;
    int failed = pthread_mutex_init(&store->lock, NULL);
    tm_assert(failed == 0);
    return &store->base;
}

uint64_t tm_store_fault_count(const struct tm_store *store)
{
    return atomic_load(&((const struct fault_store *)store)->count);
}
