/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oauth - tokens for SASL OAUTHBEARER, handed to librdkafka before the ones it has end.
 *
 * A source makes a token when asked. librdkafka asks at the start, at 80 % of a token's life, and 10 s after
 * each failure, on a thread of its own: a source may wait for the network, and no call of ours waits
 * for it. A token that fails to come is logged (kafka.token-failed) and is the cause that calls to the
 * cluster fail with; connections live on until their broker ends them. A broker that refuses a token makes it be asked
 * for anew: keys may have been rotated.
 *
 * Threads: a source is asked by one thread at a time; the rest as said.
 */
#ifndef TM_KAFKA_OAUTH_H
#define TM_KAFKA_OAUTH_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "kafka/kafka.h"

enum { TM_PRINCIPAL_MAX = 256 };

struct tm_token {
    struct tm_buf value; /* wiped by who asked */
    int64_t expires_ms;  /* UTC */
    char principal[TM_PRINCIPAL_MAX];
};

struct tm_token_source {
    /* `refused`: a broker did not take the last one, so nothing remembered is good enough. `out` is zeroed. */
    enum tm_code (*get)(void *self, bool refused, struct tm_token *out, struct tm_err *err);
    void (*done)(void *self); /* release; wipes */
    void *self;               /* NULL: no source; the properties say all */
};

/* Make the source that the options ask for; `out` is zeroed where they ask for none. */
enum tm_code tm_token_source_of(const struct tm_kafka_options *options, struct tm_token_source *out,
        struct tm_err *err) TM_MUST_CHECK;
void tm_token_source_done(struct tm_token_source *source);

/* token_file.c: a file that somebody else renews; it is read each time. */
void tm_token_file(const char *path, struct tm_token_source *out);
/*
 * Read one, in the form of a JWT or any other. A JWT ends when it says ("exp") and names its subject ("sub"); one that
 * has ended is TM_E_DENIED. Any other is taken for 5 minutes, so that the file is read again before.
 */
enum tm_code tm_token_file_read(
        const char *path, int64_t now_ms, struct tm_token *out, struct tm_err *err) TM_MUST_CHECK;

/* msk_iam.c: signed with AWS credentials. TM_E_USAGE when no region is to be had. */
enum tm_code tm_msk_iam(const struct tm_kafka_options *options, struct tm_token_source *out,
        struct tm_err *err) TM_MUST_CHECK;

#endif
