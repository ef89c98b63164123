/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile - reading AWS's shared files, ~/.aws/credentials and ~/.aws/config.
 *
 *   [default]   [NAME] in credentials, [profile NAME] in config
 *   aws_access_key_id = AKIA...
 *
 * Lines that begin with # or ; are comments, as is what follows a space and one of these. A line that
 * is indented further than the setting before belongs to that setting's value and is passed over: none
 * of the settings asked for has a value of several lines. The last of two equal settings counts.
 *
 * Threads: any.
 */
#ifndef TM_AWS_PROFILE_H
#define TM_AWS_PROFILE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"

enum tm_profile_setting {
    TM_PROFILE_ACCESS_KEY_ID,
    TM_PROFILE_SECRET_ACCESS_KEY,
    TM_PROFILE_SESSION_TOKEN,
    TM_PROFILE_ROLE_ARN,
    TM_PROFILE_ROLE_SESSION_NAME,
    TM_PROFILE_WEB_IDENTITY_TOKEN_FILE,
    TM_PROFILE_SOURCE_PROFILE,
    TM_PROFILE_CREDENTIAL_SOURCE,
    TM_PROFILE_CREDENTIAL_PROCESS,
    TM_PROFILE_SSO_SESSION,
    TM_PROFILE_SSO_START_URL,
    TM_PROFILE_SETTINGS,
};

struct tm_profile {
    bool found; /* there is a section of that name */
    struct tm_slice
            settings[TM_PROFILE_SETTINGS]; /* at == NULL: not there; borrowed from the text */
};

/*
 * Add what `text` says of a profile to `profile`; a setting that is there already stays, so that files
 * are read in the order of what they count. `config`: sections are named as in the file config.
 * TM_E_USAGE with the line ("line 3: ...") for what is neither a section, a setting nor a comment.
 */
enum tm_code tm_profile_read(struct tm_slice text, const char *name, bool config,
        struct tm_profile *profile, struct tm_err *err) TM_MUST_CHECK;

/* The name of a setting as the files have it. */
const char *tm_profile_setting_name(enum tm_profile_setting setting);

#endif
