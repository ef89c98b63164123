/* SPDX-License-Identifier: Apache-2.0 */
/*
 * demo_place - the folder that a demo lives in, and the files it writes there.
 *
 *   vault.key tokens tidemark.yaml    made here
 *   vault/ state/ api.sock            the daemon's
 *   tidemarkd.log                     what the daemon says
 *   notify                            the socket on which it says that it is ready
 *   demo.env                          for scripts, when everything is ready: BOOTSTRAP SOCKET URL TOKEN
 *   still                             JSON, when nothing is produced any more: where the topics end
 *
 * Threads: one at a time.
 */
#ifndef TM_CLI_DEMO_PLACE_H
#define TM_CLI_DEMO_PLACE_H

#include <sys/types.h>

#include "secret.h"

struct demo_place {
    struct tm_buf folder; /* absolute, without a slash at its end */
    bool is_ours;         /* a temporary one, removed in the end */
    struct cli_token token;
};

struct demo_settings {
    const char *bootstrap;
    const char *listen; /* "": none */
    int64_t every_ms;
};

/*
 * Make the folder: a temporary one, or `given`, which must be empty or not there. TM_E_EXISTS when it
 * holds something, TM_E_USAGE when its path is too long for a socket or not printable.
 */
enum tm_code demo_place_make(
        struct demo_place *place, const char *given, struct tm_err *err) TM_MUST_CHECK;
/* Remove what is true of this run only, or all of a temporary folder. */
void demo_place_leave(struct demo_place *place);

/* Append the path of a file in the folder. */
void demo_place_path(const struct demo_place *place, const char *name, struct tm_buf *out);

/* The key, the tokens and the daemon's configuration. */
enum tm_code demo_place_configure(struct demo_place *place, const struct demo_settings *settings,
        struct tm_err *err) TM_MUST_CHECK;
enum tm_code demo_place_write_env(const struct demo_place *place,
        const struct demo_settings *settings, pid_t daemon, struct tm_err *err) TM_MUST_CHECK;
enum tm_code demo_place_write_still(
        const struct demo_place *place, struct tm_slice ends, struct tm_err *err) TM_MUST_CHECK;

/* Append `text` as a double-quoted YAML scalar. */
void demo_yaml_text(const char *text, struct tm_buf *out);
/* Append `text` as one word for a shell. */
void demo_shell_text(const char *text, struct tm_buf *out);

#endif
