/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_fs - a vault in a directory.
 *
 * Create: write tmp/<random>, fsync, link(2) to the final name (EEXIST: taken), fsync the directory,
 * unlink. link is atomic and refuses to replace, on NFS too: the conditional create of docs/format.md.
 * Left-over tmp/ files older than 24 h are removed when the store is opened. Files are 0600, folders
 * 0700.
 *
 * Threads: as store.h.
 */
#ifndef TM_STORE_STORE_FS_H
#define TM_STORE_STORE_FS_H

#include "store/store.h"

/*
 * Open the directory. `make` lets it be created (with its parents); without it a directory that is
 * not there is TM_E_MISSING: an unmounted disk must not become an empty vault.
 */
enum tm_code tm_store_fs_open(
        const char *path, bool make, struct tm_store **out, struct tm_err *err) TM_MUST_CHECK;

#endif
