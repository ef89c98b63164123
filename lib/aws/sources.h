/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sources - the places that credentials.h looks into, one function each.
 *
 * A source answers with keys, or with why it is not set up here, or fails: then it is set up and does
 * not work. No text holds anything of a key or a token. What is read is bounded: files by 1 MiB, tokens
 * and answers by 64 KiB. A request that is answered by 429, 5xx or not at all is sent three times.
 *
 * Threads: any, each with an answer of its own.
 */
#ifndef TM_AWS_SOURCES_H
#define TM_AWS_SOURCES_H

#include <stdbool.h>

#include "aws/credentials.h"
#include "base/buf.h"
#include "base/slice.h"
#include "http/http.h"

enum {
    TM_SOURCE_FILE_MAX = 1 << 20,
    TM_SOURCE_ANSWER_MAX = 64 * 1024,
    TM_SOURCE_WHY_MAX = 160,
    TM_SOURCE_TRIES = 3,
};

/* What a source works with; borrowed. */
struct tm_source_env {
    const struct tm_aws_options *options; /* env and now_ms are set */
    struct tm_http *http;
};

struct tm_source_answer { /* zeroed before a source is asked */
    bool found;
    struct tm_aws_credentials credentials; /* set when found; wiped by who asked */
    char why[TM_SOURCE_WHY_MAX];           /* set when not: "AWS_ROLE_ARN is not set" */
};

static inline void tm_source_answer_done(struct tm_source_answer *answer)
{
    tm_aws_credentials_done(&answer->credentials);
}
#define TM_SOURCE_ANSWER_OWN __attribute__((cleanup(tm_source_answer_done)))

typedef enum tm_code (*tm_source)(
        const struct tm_source_env *env, struct tm_source_answer *answer, struct tm_err *err);

enum tm_code tm_source_environment(const struct tm_source_env *env, struct tm_source_answer *answer,
        struct tm_err *err) TM_MUST_CHECK;
enum tm_code tm_source_web_identity(const struct tm_source_env *env,
        struct tm_source_answer *answer, struct tm_err *err) TM_MUST_CHECK;
enum tm_code tm_source_profile(const struct tm_source_env *env, struct tm_source_answer *answer,
        struct tm_err *err) TM_MUST_CHECK;
enum tm_code tm_source_container(const struct tm_source_env *env, struct tm_source_answer *answer,
        struct tm_err *err) TM_MUST_CHECK;
enum tm_code tm_source_instance(const struct tm_source_env *env, struct tm_source_answer *answer,
        struct tm_err *err) TM_MUST_CHECK;

/* Shared by them --------------------------------------------------------------------------- */

/* The value of a variable of the environment; NULL when it is not set or empty. */
const char *tm_source_get(const struct tm_source_env *env, const char *name);

/* Answer that the source is not set up, and why; TM_OK. */
enum tm_code tm_source_absent(struct tm_source_answer *answer, const char *fmt, ...)
        TM_PRINTF(2, 3);

/*
 * Credentials that never end, in `out`; a token that is null or empty is none. TM_E_USAGE names the
 * value that is empty, too long or not of visible ASCII (it would end in a header), and shows none.
 */
enum tm_code tm_source_set(struct tm_slice access_key_id, struct tm_slice secret,
        struct tm_slice session_token, struct tm_aws_credentials *out,
        struct tm_err *err) TM_MUST_CHECK;

/* Wipe the bytes of a buffer that held a secret, then free it. */
void tm_source_wipe(struct tm_buf *buf);
#define TM_SOURCE_WIPED __attribute__((cleanup(tm_source_wipe)))

/* Read a token: a file of one line of visible ASCII. `out` is empty; wipe it (TM_SOURCE_WIPED). */
enum tm_code tm_source_token(
        const char *path, struct tm_buf *out, struct tm_err *err) TM_MUST_CHECK;

/*
 * Send a request that can be sent again. *status, and the answer's body in `out` (empty before; wipe
 * it); of a refusal (not 2xx) the beginning of that in one printable line in `reason`, too.
 */
enum { TM_SOURCE_REASON_MAX = 160 };
enum tm_code tm_source_send(const struct tm_source_env *env, struct tm_http_request *request,
        int *status, struct tm_buf *out, char reason[TM_SOURCE_REASON_MAX],
        struct tm_err *err) TM_MUST_CHECK;

/* Keys from JSON as the container's and the instance's endpoint write them. `ends`: they must end. */
enum tm_code tm_source_keys_json(const struct tm_source_env *env, struct tm_slice json, bool ends,
        struct tm_aws_credentials *out, struct tm_err *err) TM_MUST_CHECK;

/* An RFC 3339 time at which keys end, which must lie ahead. */
enum tm_code tm_source_end(const struct tm_source_env *env, const char *text, int64_t *out_ms,
        struct tm_err *err) TM_MUST_CHECK;

/* Temporary keys of a role for a token in a file, from STS. `session_name` may be NULL. */
enum tm_code tm_source_assume(const struct tm_source_env *env, const char *role_arn,
        const char *token_file, const char *session_name, struct tm_aws_credentials *out,
        struct tm_err *err) TM_MUST_CHECK;

#endif
