/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mem_store - a store in memory, with the time of the test as its clock.
 *
 * Several handles may be open on one set of objects (struct mem_objects), which outlives them.
 * Threads: one at a time.
 */
#ifndef TM_TESTS_MEM_STORE_H
#define TM_TESTS_MEM_STORE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/vec.h"
#include "store/store.h"

struct mem_object {
    char name[TM_OBJECT_NAME_MAX];
    uint8_t *at;
    size_t len;
    int64_t modified_ms;
};

struct mem_objects {
    TM_VEC(struct mem_object) list; /* sorted by name */
    int64_t (*now_ms)(void);
};

struct mem_store {
    struct tm_store base;
    struct mem_objects *objects;
};

static inline struct mem_objects *mem_of(struct tm_store *store)
{
    return ((struct mem_store *)store)->objects;
}

static inline size_t mem_bound(const struct mem_objects *objects, const char *name)
{
    size_t low = 0;
    size_t high = objects->list.count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        bool below = strcmp(objects->list.at[mid].name, name) < 0;
        low = below ? mid + 1 : low;
        high = below ? high : mid;
    }
    return low;
}

static inline struct mem_object *mem_find(struct mem_objects *objects, const char *name)
{
    size_t at = mem_bound(objects, name);
    bool there = at < objects->list.count && strcmp(objects->list.at[at].name, name) == 0;
    return there ? &objects->list.at[at] : NULL;
}

static inline struct mem_object *mem_need(
        struct tm_store *store, const char *name, struct tm_err *err)
{
    struct mem_object *object = mem_find(mem_of(store), name);
    if (object == NULL) {
        (void)tm_err_set(err, TM_E_MISSING, "%s/%s: no such object", store->where, name);
    }
    return object;
}

/* A new object; the name is free. */
static inline void mem_add(
        struct mem_objects *objects, const char *name, const void *bytes, size_t len)
{
    size_t at = mem_bound(objects, name);
    (void)tm_vec_push(&objects->list);
    memmove(&objects->list.at[at + 1], &objects->list.at[at],
            (objects->list.count - 1 - at) * sizeof(struct mem_object));
    struct mem_object *object = &objects->list.at[at];
    *object = (struct mem_object){.len = len, .modified_ms = objects->now_ms()};
    (void)snprintf(object->name, sizeof(object->name), "%s", name);
    object->at = tm_xalloc(len + 1, 1);
    memcpy(object->at, bytes, len);
}

static inline enum tm_code mem_get(struct tm_store *store, const char *name, size_t max_bytes,
        struct tm_buf *out, struct tm_err *err)
{
    const struct mem_object *object = mem_need(store, name, err);
    if (object == NULL) {
        return err->code;
    }
    if (object->len > max_bytes) {
        return tm_err_set(err, TM_E_LIMIT, "%s: too large", name);
    }
    tm_buf_add(out, object->at, object->len);
    return TM_OK;
}

static inline enum tm_code mem_range(struct tm_store *store, const char *name, uint64_t offset,
        size_t len, struct tm_buf *out, struct tm_err *err)
{
    const struct mem_object *object = mem_need(store, name, err);
    if (object == NULL) {
        return err->code;
    }
    if (offset > object->len || len > object->len - offset) {
        return tm_err_set(err, TM_E_CORRUPT, "%s: too short", name);
    }
    tm_buf_add(out, object->at + offset, len);
    return TM_OK;
}

static inline enum tm_code mem_create(
        struct tm_store *store, const char *name, struct tm_slice bytes, struct tm_err *err)
{
    if (mem_find(mem_of(store), name) != NULL) {
        return tm_err_set(err, TM_E_EXISTS, "%s: is there already", name);
    }
    mem_add(mem_of(store), name, bytes.at, bytes.len);
    return TM_OK;
}

static inline enum tm_code mem_spool_open(
        struct tm_store *store, struct tm_spool *out, struct tm_err *err)
{
    (void)store;
    int fd = memfd_create("spool", MFD_CLOEXEC);
    if (fd < 0) {
        return tm_err_set(err, TM_E_IO, "spool");
    }
    *out = (struct tm_spool){.fd = fd};
    return TM_OK;
}

static inline void mem_spool_drop(struct tm_store *store, struct tm_spool *spool)
{
    (void)store;
    (void)close(spool->fd);
    spool->fd = -1;
}

/* To put again makes it look new, as S3 does. */
static inline enum tm_code mem_put(
        struct tm_store *store, const char *name, struct tm_spool *spool, struct tm_err *err)
{
    struct mem_object *there = mem_find(mem_of(store), name);
    if (there != NULL) {
        there->modified_ms = mem_of(store)->now_ms();
        return TM_OK;
    }
    TM_BUF_OWN struct tm_buf bytes = {0};
    uint8_t *at = tm_buf_extend(&bytes, (size_t)spool->size);
    if (pread(spool->fd, at, (size_t)spool->size, 0) != (ssize_t)spool->size) {
        return tm_err_set(err, TM_E_IO, "%s: spool", name);
    }
    mem_add(mem_of(store), name, at, (size_t)spool->size);
    return TM_OK;
}

/* A snapshot of the names: the caller may be held up between two of them. */
static inline enum tm_code mem_list(struct tm_store *store, const char *prefix,
        enum tm_code (*each)(
                void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err),
        void *arg, struct tm_err *err)
{
    const struct mem_objects *objects = mem_of(store);
    enum tm_code code = TM_OK;
    for (size_t i = mem_bound(objects, prefix);
            code == TM_OK && i < objects->list.count &&
            strncmp(objects->list.at[i].name, prefix, strlen(prefix)) == 0;
            i++) {
        const struct mem_object *object = &objects->list.at[i];
        struct tm_object_info info = {.size = object->len, .modified_ms = object->modified_ms};
        code = each(arg, object->name, &info, err);
    }
    return code;
}

static inline enum tm_code mem_remove(struct tm_store *store, const char *name, struct tm_err *err)
{
    (void)err;
    struct mem_objects *objects = mem_of(store);
    struct mem_object *object = mem_find(objects, name);
    if (object != NULL) {
        size_t at = (size_t)(object - objects->list.at);
        free(object->at);
        memmove(object, object + 1, (objects->list.count - at - 1) * sizeof(*object));
        objects->list.count--;
    }
    return TM_OK;
}

static inline enum tm_code mem_stat(
        struct tm_store *store, const char *name, struct tm_object_info *out, struct tm_err *err)
{
    const struct mem_object *object = mem_need(store, name, err);
    if (object == NULL) {
        return err->code;
    }
    *out = (struct tm_object_info){.size = object->len, .modified_ms = object->modified_ms};
    return TM_OK;
}

static inline void mem_free(struct tm_store *store)
{
    free(store);
}

static inline struct tm_store *mem_store_new(struct mem_objects *objects)
{
    static const struct tm_store_ops ops = {
            .get = mem_get,
            .range = mem_range,
            .create = mem_create,
            .spool_open = mem_spool_open,
            .spool_drop = mem_spool_drop,
            .put = mem_put,
            .list = mem_list,
            .remove = mem_remove,
            .stat = mem_stat,
            .free = mem_free,
    };
    struct mem_store *store = tm_xalloc(1, sizeof(*store));
    store->base.ops = &ops;
    store->base.backend = "memory";
    (void)snprintf(store->base.where, sizeof(store->base.where), "memory");
    store->objects = objects;
    return &store->base;
}

static inline void mem_objects_done(struct mem_objects *objects)
{
    for (size_t i = 0; i < objects->list.count; i++) {
        free(objects->list.at[i].at);
    }
    tm_vec_done(&objects->list);
}

#endif
