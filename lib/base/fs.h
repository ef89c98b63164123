/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs - files, durably: whole reads with a bound, whole writes, directory sync.
 *
 * Errors are TM_E_MISSING (ENOENT), TM_E_FULL (ENOSPC, EDQUOT), TM_E_DENIED (EACCES, EPERM) or
 * TM_E_IO, and name the path. Threads: any.
 */
#ifndef TM_BASE_FS_H
#define TM_BASE_FS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Append the whole file to `out`; TM_E_LIMIT when it has more than `max_bytes`. */
enum tm_code tm_fs_read(
        const char *path, size_t max_bytes, struct tm_buf *out, struct tm_err *err) TM_MUST_CHECK;
/* Append bytes [offset, offset + len) to `out`; TM_E_CORRUPT when the file ends before. */
enum tm_code tm_fs_read_range(int fd, const char *path, uint64_t offset, size_t len,
        struct tm_buf *out, struct tm_err *err) TM_MUST_CHECK;
/* write(2) until all is written. `path` is for the message. */
enum tm_code tm_fs_write_all(
        int fd, const char *path, struct tm_slice bytes, struct tm_err *err) TM_MUST_CHECK;
/* Replace the file by way of a temporary beside it: write, fsync, rename, fsync of the directory. */
enum tm_code tm_fs_replace(
        const char *path, struct tm_slice bytes, unsigned mode, struct tm_err *err) TM_MUST_CHECK;
/* fsync a directory, so that names made in it last. */
enum tm_code tm_fs_sync_dir(const char *path, struct tm_err *err) TM_MUST_CHECK;
/* mkdir -p; each new folder gets `mode`. */
enum tm_code tm_fs_mkdirs(const char *path, unsigned mode, struct tm_err *err) TM_MUST_CHECK;
char *tm_fs_parent(const char *path); /* the folder that holds it, for free() */
/* The code for an errno as above. */
enum tm_code tm_fs_code(int sys_errno);

/* close(2) at the end of a scope: TM_FD_OWN int fd = -1; */
void tm_fd_close(int *fd);
#define TM_FD_OWN __attribute__((cleanup(tm_fd_close)))

#endif
