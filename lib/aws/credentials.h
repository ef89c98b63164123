/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credentials - who we are at AWS and its likes, and where that is found out.
 *
 * Either they are given (static), or they are looked for in this order, as AWS's own clients do:
 *
 *   environment     AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *   web identity    AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN, AWS_ROLE_SESSION_NAME (IRSA; asks STS)
 *   shared profile  AWS_PROFILE in ~/.aws/credentials and ~/.aws/config
 *   container       AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI (ECS, EKS Pod Identity)
 *   instance        EC2 metadata, version 2 alone
 *
 * The first source that is set up here decides: where it fails nothing else is asked, since another
 * identity would only fail later and elsewhere. A provider is asked before each request; it answers
 * from memory. Credentials that end are fetched anew 5 minutes before: one thread does so while the
 * others go on with the old ones, and a failure matters only once those have ended. Until then it is
 * logged (aws.refresh-failed) and tried again every 30 s.
 *
 * Errors: TM_E_MISSING (no source is set up; the message says of each why), TM_E_DENIED (one refuses),
 * TM_E_USAGE (what is configured makes no sense), TM_E_UNSUPPORTED (a profile that wants more than is
 * done here), TM_E_CORRUPT (an answer that is none), TM_E_IO and TM_E_TIMEOUT (may succeed later). No
 * secret is in a message.
 *
 * Threads: a provider is used by any number at once.
 */
#ifndef TM_AWS_CREDENTIALS_H
#define TM_AWS_CREDENTIALS_H

#include <stdint.h>

#include "base/err.h"
#include "base/own.h"

enum {
    TM_AWS_KEY_MAX = 256,         /* of an access key id or a secret, with NUL */
    TM_AWS_TOKEN_MAX = 16 * 1024, /* of a session token, with NUL */
    TM_AWS_REFRESH_BEFORE_MS = 5 * 60 * 1000,
    TM_AWS_RETRY_MS = 30 * 1000, /* between tries to replace credentials that are still good */
};

/* Plain data of whoever asked, on the stack; wiped by TM_AWS_CREDENTIALS_OWN. */
struct tm_aws_credentials {
    char access_key_id[TM_AWS_KEY_MAX];
    char secret[TM_AWS_KEY_MAX];
    char session_token[TM_AWS_TOKEN_MAX]; /* "": none */
    int64_t expires_ms;                   /* UTC; INT64_MAX: never */
};

void tm_aws_credentials_done(struct tm_aws_credentials *credentials); /* wipes */
#define TM_AWS_CREDENTIALS_OWN __attribute__((cleanup(tm_aws_credentials_done)))

/* Set the texts of `out`, which never end. TM_E_LIMIT when one is too long; NULL counts as "". */
enum tm_code tm_aws_credentials_set(struct tm_aws_credentials *out, const char *access_key_id,
        const char *secret, const char *session_token, struct tm_err *err) TM_MUST_CHECK;

enum tm_aws_mode {
    TM_AWS_AUTO,   /* the first source that is configured */
    TM_AWS_STATIC, /* the two texts of the options */
};

/* Texts are copied. */
struct tm_aws_options {
    enum tm_aws_mode mode;
    const char *access_key_id; /* TM_AWS_STATIC */
    const char *secret;        /* TM_AWS_STATIC */
    const char *region;        /* of STS, where AWS_REGION is not set; may be NULL */
    /* For tests; NULL: http://169.254.170.2, getenv() and tm_now_ms(). */
    const char *container_url; /* what a relative URI of a container is relative to */
    const char *(*env)(void *arg, const char *name);
    int64_t (*now_ms)(void *arg);
    void *arg;
};

struct tm_aws_provider;

/* TM_E_USAGE when static credentials are incomplete. No source is asked yet. */
enum tm_code tm_aws_provider_new(const struct tm_aws_options *options, struct tm_aws_provider **out,
        struct tm_err *err) TM_MUST_CHECK;
void tm_aws_provider_free(struct tm_aws_provider *provider); /* wipes */
TM_OWNABLE(struct tm_aws_provider *, tm_aws_provider_free);

/* Credentials that are good for the next request. May take as long as a source takes to answer. */
enum tm_code tm_aws_provider_get(struct tm_aws_provider *provider, struct tm_aws_credentials *out,
        struct tm_err *err) TM_MUST_CHECK;
/* The other side said that they have ended: the next _get asks the source anew. */
void tm_aws_provider_expire(struct tm_aws_provider *provider);
/* Where they came from last: "static", "environment", ...; "" before the first _get. Static storage. */
const char *tm_aws_provider_source(struct tm_aws_provider *provider);

#endif
