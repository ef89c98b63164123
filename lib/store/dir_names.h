/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dir_names - the files of one folder of a vault, sorted, as names of objects. For store_fs.
 *
 * Threads: plain values.
 */
#ifndef TM_STORE_DIR_NAMES_H
#define TM_STORE_DIR_NAMES_H

#include "base/vec.h"
#include "store/store.h"

struct tm_dir_name {
    char text[TM_OBJECT_NAME_MAX + 1]; /* "log/0000000000000007" */
};

struct tm_dir_names {
    TM_VEC(struct tm_dir_name) list; /* a zeroed struct is an empty list */
};

/*
 * Add the names "folder/file" that begin with `prefix`, in bytewise order; `folder` is relative to
 * `root_fd`, and one that is not there has none. Hidden files and names too long for an object are
 * passed over. Gives 0 or an errno.
 */
int tm_dir_names_read(
        int root_fd, const char *folder, const char *prefix, struct tm_dir_names *names);
void tm_dir_names_done(struct tm_dir_names *names);

#define TM_DIR_NAMES_OWN __attribute__((cleanup(tm_dir_names_done)))

#endif
