/* SPDX-License-Identifier: Apache-2.0 */
/*
 * out_file - what is written piece by piece, and is there whole or not at all.
 *
 * A file is written under a name of its own beside it, and gets its name when all of it is on the disk.
 * Standard output, devices and pipes are written as they are. Errors as of fs.h; a pipe whose reader has
 * gone is TM_E_IO.
 *
 * Threads: one at a time.
 */
#ifndef TM_BASE_OUT_FILE_H
#define TM_BASE_OUT_FILE_H

#include "base/err.h"
#include "base/own.h"
#include "base/slice.h"

struct tm_out_file;

/* `path` NULL: standard output. TM_E_EXISTS: a file of that name is there; it is left alone. */
enum tm_code tm_out_file_open(
        const char *path, struct tm_out_file **out, struct tm_err *err) TM_MUST_CHECK;
/* SIGPIPE must be ignored. */
enum tm_code tm_out_file_write(
        struct tm_out_file *file, struct tm_slice bytes, struct tm_err *err) TM_MUST_CHECK;
/* All of it has been written: have it last, and give it its name. */
enum tm_code tm_out_file_finish(struct tm_out_file *file, struct tm_err *err) TM_MUST_CHECK;
/* What was not finished is removed. */
void tm_out_file_free(struct tm_out_file *file);
TM_OWNABLE(struct tm_out_file *, tm_out_file_free);

#endif
