/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hooks_send - one notification to one receiver. Threads: any; each call blocks.
 */
#ifndef TM_DAEMON_HOOKS_SEND_H
#define TM_DAEMON_HOOKS_SEND_H

#include "base/json.h"
#include "http/http.h"
#include "tm_config.h"

/* A client that reaches no farther than the hook may. */
struct tm_http *tmd_hook_client(const struct tm_config_hook *hook);
/* The body of a CloudEvent 1.0, for the caller to free. `data` is taken. */
char *tmd_hook_body(const char *type, const char *subject, struct tm_json *data);
/*
 * Send it once. `suffix` is put behind the URL's path ("/fail", ""). *status is the receiver's, 0 when none came. All but
 * 2xx is an error: TM_E_USAGE or TM_E_DENIED when trying again is of no use.
 */
enum tm_code tmd_hook_send(struct tm_http *http, const struct tm_config_hook *hook,
        const char *suffix, const char *body, const atomic_bool *stop, int *status,
        struct tm_err *err) TM_MUST_CHECK;

#endif
