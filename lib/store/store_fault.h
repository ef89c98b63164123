/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_fault - a store that misbehaves on purpose, around one that does not. For tests.
 *
 * Every operation is counted; before the real one is called, the test's hook decides. Wrong bytes,
 * short reads, failures before and after the real operation (a lost acknowledgement) can be made.
 *
 * Threads: as store.h; the hook is called under a lock.
 */
#ifndef TM_STORE_STORE_FAULT_H
#define TM_STORE_STORE_FAULT_H

#include "store/store.h"

enum tm_store_op {
    TM_OP_GET,
    TM_OP_RANGE,
    TM_OP_CREATE,
    TM_OP_SPOOL,
    TM_OP_PUT,
    TM_OP_LIST,
    TM_OP_REMOVE,
    TM_OP_STAT,
};

enum tm_store_fault {
    TM_FAULT_NONE,
    TM_FAULT_IO,       /* TM_E_IO, nothing done */
    TM_FAULT_FULL,     /* TM_E_FULL, nothing done */
    TM_FAULT_MISSING,  /* TM_E_MISSING, nothing done */
    TM_FAULT_LOST_ACK, /* done, then TM_E_UNKNOWN */
    TM_FAULT_FLIP,     /* get and range: one bit of the answer flipped */
    TM_FAULT_SHORT,    /* get: the last byte is missing; range: TM_E_CORRUPT */
};

typedef enum tm_store_fault (*tm_store_fault_hook)(
        void *arg, enum tm_store_op op, const char *name, uint64_t count);

/* Wraps `inner` (ownership moves). `count` numbers operations from 1. */
struct tm_store *tm_store_fault_new(struct tm_store *inner, tm_store_fault_hook hook, void *arg);
uint64_t tm_store_fault_count(const struct tm_store *store); /* operations so far */

#endif
