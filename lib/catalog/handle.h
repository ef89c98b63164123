/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handle - an open catalog, for the files of this folder and their tests.
 */
#ifndef TM_CATALOG_HANDLE_H
#define TM_CATALOG_HANDLE_H

#include "catalog/catalog.h"
#include "catalog/sql.h"

struct tm_catalog {
    unsigned magic; /* the fold's functions get it through void * */
    struct tm_sql *sql;
};

#endif
