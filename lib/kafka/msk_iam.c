/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/msk_token.h"
#include "base/clock.h"
#include "kafka/oauth.h"

struct msk {
    struct tm_aws_provider *provider;
    char region[TM_MSK_REGION_MAX];
};

static void done(void *self)
{
    struct msk *msk = self;
    tm_aws_provider_free(msk->provider);
    free(msk);
}

/* A token ends with its credentials: those that end soon are replaced before they sign one. */
static enum tm_code get_credentials(
        struct msk *msk, bool refused, struct tm_aws_credentials *out, struct tm_err *err)
{
    if (refused) {
        tm_aws_provider_expire(msk->provider);
    }
    TM_TRY(tm_aws_provider_get(msk->provider, out, err));
    if (out->expires_ms != INT64_MAX && out->expires_ms - tm_now_ms() < TM_AWS_REFRESH_BEFORE_MS) {
        tm_aws_provider_expire(msk->provider);
        TM_TRY(tm_aws_provider_get(msk->provider, out, err));
    }
    return TM_OK;
}

static enum tm_code get(void *self, bool refused, struct tm_token *out, struct tm_err *err)
{
    struct msk *msk = self;
    TM_AWS_CREDENTIALS_OWN struct tm_aws_credentials credentials = {0};
    TM_TRY(get_credentials(msk, refused, &credentials, err));
    tm_msk_token(&credentials, msk->region, tm_now_ms(), &out->value, &out->expires_ms);
    /* The broker takes the principal from the token; the mechanism wants one that is not empty. */
    (void)snprintf(out->principal, sizeof(out->principal), "tidemark");
    return TM_OK;
}

static const char *variable(const struct tm_aws_options *options, const char *name)
{
    const char *value = options->env != NULL
                                ? options->env(options->arg, name)
                                : getenv(name); /* NOLINT(concurrency-mt-unsafe): none is set */
    return value != NULL ? value : "";
}

/* The region: as configured, else of the brokers' names, else of the environment. */
static enum tm_code find_region(
        const struct tm_kafka_options *options, char out[TM_MSK_REGION_MAX], struct tm_err *err)
{
    const char *given = options->region != NULL ? options->region : "";
    if (given[0] == '\0' && tm_msk_region(options->bootstrap, out)) {
        return TM_OK;
    }
    static const char *const names[] = {"AWS_REGION", "AWS_DEFAULT_REGION"};
    for (size_t i = 0; given[0] == '\0' && i < sizeof(names) / sizeof(names[0]); i++) {
        given = variable(&options->credentials, names[i]);
    }
    if (!tm_msk_region_is_valid(given)) {
        return tm_err_set(err, TM_E_USAGE,
                given[0] == '\0' ? "msk_iam: the brokers' names do not tell the region (%s); set "
                                   "\"region\" of the cluster"
                                 : "msk_iam: \"%s\" is not the name of a region",
                given[0] == '\0' ? options->bootstrap : given);
    }
    (void)snprintf(out, TM_MSK_REGION_MAX, "%s", given);
    return TM_OK;
}

enum tm_code tm_msk_iam(
        const struct tm_kafka_options *options, struct tm_token_source *out, struct tm_err *err)
{
    char region[TM_MSK_REGION_MAX];
    TM_TRY(find_region(options, region, err));
    struct tm_aws_options credentials = options->credentials;
    credentials.region = region; /* of STS, too */
    TM_OWN(tm_aws_provider_free) struct tm_aws_provider *provider = NULL;
    TM_TRY(tm_aws_provider_new(&credentials, &provider, err));
    struct msk *msk = tm_xalloc(1, sizeof(*msk));
    memcpy(msk->region, region, sizeof(region));
    msk->provider = TM_TAKE(provider);
    *out = (struct tm_token_source){.get = get, .done = done, .self = msk};
    return TM_OK;
}
