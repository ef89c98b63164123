/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_metrics - what store.c counts of each operation, for every backend. Threads: any.
 */
#ifndef TM_STORE_STORE_METRICS_H
#define TM_STORE_STORE_METRICS_H

#include "store/store.h"

/* Count an operation that began at `begin_ns` (monotonic) and ended with `code`; gives `code`. */
enum tm_code tm_store_observe(
        const struct tm_store *store, const char *operation, int64_t begin_ns, enum tm_code code);

/* So many bytes of objects came from it. */
void tm_store_count_read(const struct tm_store *store, size_t bytes);

#endif
