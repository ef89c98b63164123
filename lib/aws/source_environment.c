/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/sources.h"

static struct tm_slice slice_of(const char *text)
{
    return text != NULL ? tm_slice_str(text) : TM_SLICE_NULL;
}

enum tm_code tm_source_environment(
        const struct tm_source_env *env, struct tm_source_answer *answer, struct tm_err *err)
{
    const char *id = tm_source_get(env, "AWS_ACCESS_KEY_ID");
    const char *secret = tm_source_get(env, "AWS_SECRET_ACCESS_KEY");
    const char *token = tm_source_get(env, "AWS_SESSION_TOKEN");
    if (id == NULL && secret == NULL) {
        return tm_source_absent(answer, "AWS_ACCESS_KEY_ID is not set");
    }
    if (id == NULL || secret == NULL) {
        return tm_err_set(err, TM_E_USAGE, "%s is set, but %s is not",
                id != NULL ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
                id == NULL ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY");
    }
    TM_TRY(tm_source_set(
            slice_of(id), slice_of(secret), slice_of(token), &answer->credentials, err));
    answer->found = true;
    return TM_OK;
}
