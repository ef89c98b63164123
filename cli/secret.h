/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret - bearer tokens and key files, as `tidemark` makes them.
 *
 * A token is "tm_" and 32 random bytes in base64url without padding; the daemon knows the SHA-256 of
 * that text, all 46 characters of it.
 *
 * Threads: plain values.
 */
#ifndef TM_CLI_SECRET_H
#define TM_CLI_SECRET_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum { CLI_TOKEN_BYTES = 32, CLI_TOKEN_TEXT = 3 + 43 + 1 };

enum { CLI_NARROW_POLICIES, CLI_NARROW_CLUSTERS, CLI_NARROW_TARGET, CLI_NARROW };

struct cli_token {
    const char *name;               /* letters, digits, ".", "_", "-"; at most 64 */
    const char *scopes;             /* "read,restore" */
    int64_t expires_ms;             /* 0: never */
    const char *narrow[CLI_NARROW]; /* "a,b"; NULL: not narrowed so */
    char secret[CLI_TOKEN_TEXT];    /* "" until it is made */
};

/* Are name and scopes such as the daemon takes? TM_E_USAGE says what is wrong. */
enum tm_code cli_token_check(const struct cli_token *token, struct tm_err *err) TM_MUST_CHECK;
/* Give it a secret from the operating system's random bytes. */
void cli_token_make(struct cli_token *token);
/* Append the line of the tokens file, without a newline. */
void cli_token_line(const struct cli_token *token, struct tm_buf *out);

/* 32 random bytes into a new file of mode 0600, durably; TM_E_EXISTS when it is there. */
enum tm_code cli_make_key_file(const char *path, struct tm_err *err) TM_MUST_CHECK;

#endif
