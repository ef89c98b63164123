/* SPDX-License-Identifier: Apache-2.0 */
/*
 * safe - memory for secrets, wiped when they are no longer needed.
 *
 * Every box has a NUL behind its bytes, so that a text in it is a C string. Boxes never move: no copy
 * is left behind.
 *
 * Threads: one at a time.
 */
#ifndef TM_CONFIG_SAFE_H
#define TM_CONFIG_SAFE_H

#include "base/err.h"
#include "base/slice.h"
#include "base/vec.h"

struct tm_safe {
    struct tm_safe_box *boxes; /* a zeroed struct is an empty safe */
    TM_VEC(char *) files;      /* to be watched: those read into it, or that were to be */
};

void tm_safe_wipe(struct tm_safe *safe); /* overwrite and free everything */

uint8_t *tm_safe_alloc(struct tm_safe *safe, size_t len); /* zeroed; aborts, never NULL */
const char *tm_safe_text(struct tm_safe *safe, struct tm_slice text); /* a copy with a NUL */

void tm_safe_note(struct tm_safe *safe, const char *path); /* one more of `files`; copied */

struct tm_safe_file {
    struct tm_slice bytes;
    unsigned mode; /* permission bits */
};

/*
 * Read a whole file into the safe. TM_E_MISSING "no file PATH", TM_E_LIMIT when it has more than
 * `max_bytes`, TM_E_DENIED or TM_E_IO.
 */
enum tm_code tm_safe_read(struct tm_safe *safe, const char *path, size_t max_bytes,
        struct tm_safe_file *out, struct tm_err *err) TM_MUST_CHECK;

#endif
