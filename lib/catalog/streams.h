/* SPDX-License-Identifier: Apache-2.0 */
/*
 * streams - reading stream rows, for the other files of this folder. Threads: as the handle.
 */
#ifndef TM_CATALOG_STREAMS_H
#define TM_CATALOG_STREAMS_H

#include "catalog/catalog.h"
#include "catalog/sql.h"

/* The stream of that id; out->id is 0 when there is none. */
enum tm_code tm_streams_read(struct tm_sql *sql, uint32_t id, struct tm_arena *arena,
        struct tm_stream *out, struct tm_err *err) TM_MUST_CHECK;

#endif
