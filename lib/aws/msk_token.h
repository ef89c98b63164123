/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msk_token - the token with which Amazon MSK lets IAM identities in (SASL OAUTHBEARER).
 *
 * It is a presigned URL of the action kafka-cluster:Connect in base64url, as AWS's own signers make it
 * (aws-msk-iam-sasl-signer-*): the broker hands it to AWS, which tells who signed it. It is made
 * here, without a request; whoever holds it is that identity for its life, so it is kept like a password.
 *
 * Threads: any.
 */
#ifndef TM_AWS_MSK_TOKEN_H
#define TM_AWS_MSK_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "aws/credentials.h"
#include "base/buf.h"

enum {
    TM_MSK_TOKEN_LIFE_S = 900, /* AWS gives no longer one */
    TM_MSK_REGION_MAX = 64,    /* with NUL */
};

/*
 * Append the token that `credentials` sign for `region` at `now_ms` (UTC). *expires_ms: when it ends,
 * after 15 minutes or with the credentials.
 */
void tm_msk_token(const struct tm_aws_credentials *credentials, const char *region, int64_t now_ms,
        struct tm_buf *out, int64_t *expires_ms);

/*
 * The region in the name of the first broker of "host:port,..." that is called as MSK does:
 * b-1.NAME.ID.c2.kafka.REGION.amazonaws.com, boot-ID.c1.kafka-serverless.REGION.amazonaws.com. False when none is.
 */
bool tm_msk_region(const char *bootstrap, char out[TM_MSK_REGION_MAX]);

/* Is it written as names of regions are: a-z, 0-9 and "-", of a length that fits? */
bool tm_msk_region_is_valid(const char *region);

#endif
