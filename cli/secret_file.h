/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret_file - the secret that opens a vault, read from a file into locked memory.
 *
 * Threads: plain values.
 */
#ifndef TM_CLI_SECRET_FILE_H
#define TM_CLI_SECRET_FILE_H

#include "codec/keys.h"

struct cli_secret {
    struct tm_secret secret; /* its bytes lie in `room` */
    uint8_t *room;           /* locked memory; NULL: nothing was read */
};

/*
 * Read a key file or a passphrase, one of which is not NULL. TM_E_USAGE when others can read the file,
 * or it cannot be a key or passphrase. _done in any case; `out` zeroed.
 */
enum tm_code cli_secret_read(const char *key_file, const char *passphrase_file,
        struct cli_secret *out, struct tm_err *err) TM_MUST_CHECK;
void cli_secret_done(struct cli_secret *secret); /* wipes */
#define CLI_SECRET_OWN __attribute__((cleanup(cli_secret_done)))

#endif
