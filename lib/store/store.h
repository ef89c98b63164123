/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store - where a vault's objects lie: a directory or a bucket, behind one table of functions.
 *
 * Objects are write-once: nothing is ever overwritten. Names are those of docs/format.md, "Names":
 * key/<16 hex>, log/<16 hex>, pack/<2 hex>/<64 hex>, tmp/<anything>; at most TM_OBJECT_NAME_MAX bytes.
 *
 * Errors: TM_E_MISSING no such object; TM_E_EXISTS create of a name that is taken; TM_E_FULL no
 * space; TM_E_DENIED; TM_E_IO (may succeed later); TM_E_UNKNOWN create was sent and its answer lost;
 * TM_E_CORRUPT an object shorter than the range asked for. Messages name the object.
 *
 * Threads: a store may be used by several threads at once.
 */
#ifndef TM_STORE_STORE_H
#define TM_STORE_STORE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"

enum { TM_OBJECT_NAME_MAX = 80 };

struct tm_store;

struct tm_object_info {
    uint64_t size;
    int64_t modified_ms; /* by the store's own clock */
};

/* A temporary file, on the store's own file system where that saves a copy. */
struct tm_spool {
    int fd;
    uint64_t size;   /* bytes written so far, kept by whoever writes */
    char path[4096]; /* for messages; "" when it is not open */
};

struct tm_store_ops {
    enum tm_code (*get)(struct tm_store *store, const char *name, size_t max_bytes,
            struct tm_buf *out, struct tm_err *err);
    enum tm_code (*range)(struct tm_store *store, const char *name, uint64_t offset, size_t len,
            struct tm_buf *out, struct tm_err *err);
    enum tm_code (*create)(
            struct tm_store *store, const char *name, struct tm_slice bytes, struct tm_err *err);
    enum tm_code (*spool_open)(struct tm_store *store, struct tm_spool *out, struct tm_err *err);
    void (*spool_drop)(struct tm_store *store, struct tm_spool *spool);
    enum tm_code (*put)(
            struct tm_store *store, const char *name, struct tm_spool *spool, struct tm_err *err);
    enum tm_code (*list)(struct tm_store *store, const char *prefix,
            enum tm_code (*each)(void *arg, const char *name, const struct tm_object_info *info,
                    struct tm_err *err),
            void *arg, struct tm_err *err);
    enum tm_code (*remove)(struct tm_store *store, const char *name, struct tm_err *err);
    enum tm_code (*stat)(struct tm_store *store, const char *name, struct tm_object_info *out,
            struct tm_err *err);
    void (*free)(struct tm_store *store);
};

/* First member of every implementation. */
struct tm_store {
    const struct tm_store_ops *ops;
    const char *backend;      /* "disk", "s3", "fault"; static */
    char where[256];          /* for messages: the directory or bucket */
    char vault[65];           /* label of its metrics; "": it has none */
    bool trust_single_writer; /* accepted though it may have no conditional create */
    bool read_only;           /* what would write is TM_E_DENIED, and the backend is not asked */
};

void tm_store_free(struct tm_store *store);
TM_OWNABLE(struct tm_store *, tm_store_free);
/* Count operations and their time as the vault's (docs/metrics.md); before other threads use it. */
void tm_store_set_vault(struct tm_store *store, const char *vault);

/* Append the whole object; TM_E_LIMIT when it has more than `max_bytes`. */
enum tm_code tm_store_get(struct tm_store *store, const char *name, size_t max_bytes,
        struct tm_buf *out, struct tm_err *err) TM_MUST_CHECK;
/* Append exactly `len` bytes from `offset`. */
enum tm_code tm_store_range(struct tm_store *store, const char *name, uint64_t offset, size_t len,
        struct tm_buf *out, struct tm_err *err) TM_MUST_CHECK;
/* Make the object unless the name is taken; durable when this returns TM_OK. */
enum tm_code tm_store_create(struct tm_store *store, const char *name, struct tm_slice bytes,
        struct tm_err *err) TM_MUST_CHECK;

/* Open a spool, write to its fd, and put it; _drop afterwards in any case. */
enum tm_code tm_store_spool_open(
        struct tm_store *store, struct tm_spool *out, struct tm_err *err) TM_MUST_CHECK;
void tm_store_spool_drop(struct tm_store *store, struct tm_spool *spool);
/*
 * Store the spool's bytes under a name made from their hash: an object that is there already is the
 * same one, and success. Durable when this returns TM_OK.
 */
enum tm_code tm_store_put(struct tm_store *store, const char *name, struct tm_spool *spool,
        struct tm_err *err) TM_MUST_CHECK;

/* Call `each` for every object whose name starts with `prefix` ("log/"), in bytewise name order. */
enum tm_code tm_store_list(struct tm_store *store, const char *prefix,
        enum tm_code (*each)(
                void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err),
        void *arg, struct tm_err *err) TM_MUST_CHECK;
/* Remove; an object that is not there is success. */
enum tm_code tm_store_remove(
        struct tm_store *store, const char *name, struct tm_err *err) TM_MUST_CHECK;
enum tm_code tm_store_stat(struct tm_store *store, const char *name, struct tm_object_info *out,
        struct tm_err *err) TM_MUST_CHECK;

/*
 * Prove that the store refuses a second create of one name (docs/format.md, "Stores"): a random
 * tmp/ object is created twice and removed. TM_E_UNSUPPORTED when the second one succeeded, unless
 * the store is trusted to have one writer. One that is read alone is listed instead.
 */
enum tm_code tm_store_probe(struct tm_store *store, struct tm_err *err) TM_MUST_CHECK;

#endif
