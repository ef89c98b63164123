/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema - the tables of the two databases; docs/catalog.md says what each is for.
 */
#ifndef TM_CATALOG_SCHEMA_H
#define TM_CATALOG_SCHEMA_H

#include "catalog/sql.h"

extern const struct tm_sql_kind tm_schema_catalog;
extern const struct tm_sql_kind tm_schema_journal;

/* Removes every row of the catalog. */
extern const char tm_schema_catalog_empty[];

#endif
