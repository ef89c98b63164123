/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refs - values that stand outside of the configuration file.
 *
 *   ${env:NAME}  ${env:NAME:-default}   the environment; set but empty counts as not set
 *   ${file:/path}                       a file's content, or the file where an option wants one
 *   ${credential:name}                  the same of a file in $CREDENTIALS_DIRECTORY (systemd), else
 *                                       in $TIDEMARK_CREDENTIALS_DIRECTORY
 *
 * A reference is the whole of a scalar. One newline at the end of a value is taken away. What cannot
 * be had is an error, never an empty text.
 *
 * Threads: none may change the environment meanwhile.
 */
#ifndef TM_CONFIG_REFS_H
#define TM_CONFIG_REFS_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "safe.h"

enum { TM_REF_VALUE_MAX = 65536 }; /* bytes of a value */

enum tm_ref_kind { TM_REF_NONE, TM_REF_ENV, TM_REF_FILE, TM_REF_CREDENTIAL };

struct tm_ref {
    enum tm_ref_kind kind;
    const char *text; /* "${env:NAME}", for messages; borrowed */
    const char *name;
    const char *fallback; /* of TM_REF_ENV; NULL: none */
};

/* TM_REF_NONE for what is no reference; TM_E_USAGE for what looks like one and is not. */
enum tm_code tm_ref_parse(const char *text, struct tm_arena *arena, struct tm_ref *out,
        struct tm_err *err) TM_MUST_CHECK;

struct tm_ref_value {
    const char *text; /* in the safe */
    bool is_fallback; /* the default that the file itself holds */
};
/* What it stands for, as text. Errors begin with the reference itself. */
enum tm_code tm_ref_value(const struct tm_ref *ref, struct tm_safe *safe, struct tm_ref_value *out,
        struct tm_err *err) TM_MUST_CHECK;

/* The file it names, for options that want a file; ${env:...} holds its path. */
enum tm_code tm_ref_file(const struct tm_ref *ref, struct tm_arena *arena, const char **out,
        struct tm_err *err) TM_MUST_CHECK;

#endif
