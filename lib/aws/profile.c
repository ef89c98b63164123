/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/profile.h"

#include <string.h>
#include <strings.h>

static const char *const names[TM_PROFILE_SETTINGS] = {
        [TM_PROFILE_ACCESS_KEY_ID] = "aws_access_key_id",
        [TM_PROFILE_SECRET_ACCESS_KEY] = "aws_secret_access_key",
        [TM_PROFILE_SESSION_TOKEN] = "aws_session_token",
        [TM_PROFILE_ROLE_ARN] = "role_arn",
        [TM_PROFILE_ROLE_SESSION_NAME] = "role_session_name",
        [TM_PROFILE_WEB_IDENTITY_TOKEN_FILE] = "web_identity_token_file",
        [TM_PROFILE_SOURCE_PROFILE] = "source_profile",
        [TM_PROFILE_CREDENTIAL_SOURCE] = "credential_source",
        [TM_PROFILE_CREDENTIAL_PROCESS] = "credential_process",
        [TM_PROFILE_SSO_SESSION] = "sso_session",
        [TM_PROFILE_SSO_START_URL] = "sso_start_url",
};

struct reading {
    const char *name;
    bool config;
    bool inside;           /* the section of the profile */
    size_t indent;         /* of the last setting; SIZE_MAX: none since the section began */
    struct tm_profile own; /* what this text says */
};

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

static struct tm_slice trim(struct tm_slice text)
{
    while (text.len > 0 && is_space(text.at[0])) {
        text = tm_slice_of(text.at + 1, text.len - 1);
    }
    while (text.len > 0 && is_space(text.at[text.len - 1])) {
        text.len--;
    }
    return text;
}

/* Without what follows a space and a # or a semicolon. */
static struct tm_slice without_comment(struct tm_slice line)
{
    for (size_t i = 1; i < line.len; i++) {
        if ((line.at[i] == '#' || line.at[i] == ';') && is_space(line.at[i - 1])) {
            line.len = i;
        }
    }
    return trim(line);
}

static bool same_name(struct tm_slice text, const char *name)
{
    return text.len == strlen(name) && strncasecmp((const char *)text.at, name, text.len) == 0;
}

/* Is "[what]" the section of the profile? */
static bool is_section(const struct reading *reading, struct tm_slice what)
{
    static const char word[] = "profile";
    if (!reading->config || tm_slice_is(what, "default")) {
        return tm_slice_is(what, reading->name);
    }
    size_t len = sizeof(word) - 1;
    if (what.len <= len || memcmp(what.at, word, len) != 0 || !is_space(what.at[len])) {
        return false;
    }
    return tm_slice_is(trim(tm_slice_of(what.at + len, what.len - len)), reading->name);
}

static void keep_setting(struct reading *reading, struct tm_slice name, struct tm_slice value)
{
    for (size_t i = 0; i < TM_PROFILE_SETTINGS && reading->inside; i++) {
        if (same_name(name, names[i])) {
            reading->own.settings[i] = value.len > 0 ? value : TM_SLICE_NULL;
        }
    }
}

static enum tm_code read_section(
        struct reading *reading, struct tm_slice line, unsigned number, struct tm_err *err)
{
    line = without_comment(line);
    if (line.at[line.len - 1] != ']') {
        return tm_err_set(err, TM_E_USAGE, "line %u: a section has no closing bracket", number);
    }
    reading->inside = is_section(reading, trim(tm_slice_of(line.at + 1, line.len - 2)));
    reading->own.found = reading->own.found || reading->inside;
    reading->indent = SIZE_MAX;
    return TM_OK;
}

static enum tm_code read_line(
        struct reading *reading, struct tm_slice whole, unsigned number, struct tm_err *err)
{
    struct tm_slice line = trim(whole);
    size_t indent = (size_t)(line.at - whole.at);
    if (line.len == 0 || line.at[0] == '#' || line.at[0] == ';') {
        return TM_OK;
    }
    if (reading->indent != SIZE_MAX && indent > reading->indent) {
        return TM_OK;
    }
    if (line.at[0] == '[') {
        return read_section(reading, line, number, err);
    }
    const uint8_t *equals = memchr(line.at, '=', line.len);
    if (equals == NULL || equals == line.at) {
        return tm_err_set(err, TM_E_USAGE,
                "line %u: neither a [section], a \"name = value\" nor a # comment", number);
    }
    size_t name_len = (size_t)(equals - line.at);
    struct tm_slice value = tm_slice_of(equals + 1, line.len - name_len - 1);
    keep_setting(reading, trim(tm_slice_of(line.at, name_len)), without_comment(value));
    reading->indent = indent;
    return TM_OK;
}

enum tm_code tm_profile_read(struct tm_slice text, const char *name, bool config,
        struct tm_profile *profile, struct tm_err *err)
{
    struct reading reading = {.name = name, .config = config, .indent = SIZE_MAX};
    unsigned number = 1;
    enum tm_code code = TM_OK;
    for (size_t at = 0; at < text.len && code == TM_OK; number++) {
        const uint8_t *end = memchr(text.at + at, '\n', text.len - at);
        size_t len = end != NULL ? (size_t)(end - text.at) - at : text.len - at;
        code = read_line(&reading, tm_slice_of(text.at + at, len), number, err);
        at += len + 1;
    }
    TM_TRY(code);
    profile->found = profile->found || reading.own.found;
    for (size_t i = 0; i < TM_PROFILE_SETTINGS; i++) {
        if (profile->settings[i].at == NULL) {
            profile->settings[i] = reading.own.settings[i];
        }
    }
    return TM_OK;
}

const char *tm_profile_setting_name(enum tm_profile_setting setting)
{
    return names[setting];
}
