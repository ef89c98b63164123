/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aws_rig - an environment, a clock and a folder for tests of lib/aws/credentials.
 *
 * The environment is the test's alone: no variable of the host is seen, and the endpoint of EC2's
 * metadata is off unless a test names one, so that nothing is ever sent beyond 127.0.0.1.
 */
#ifndef TM_TESTS_UNIT_AWS_RIG_H
#define TM_TESTS_UNIT_AWS_RIG_H

#include <check.h>
#include <ftw.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/credentials.h"
#include "base/clock.h"
#include "base/fs.h"
#include "http_script.h"

enum { RIG_VARIABLES_MAX = 16, RIG_TEXT_MAX = 256 };

#define RIG_NOW INT64_C(1795390200000) /* 2026-11-22T23:30:00Z */

struct aws_rig {
    char names[RIG_VARIABLES_MAX][RIG_TEXT_MAX];
    char values[RIG_VARIABLES_MAX][RIG_TEXT_MAX];
    size_t count;
    char folder[32];
    _Atomic int64_t now_ms;
    bool gated;      /* a search stops at its first question ... */
    sem_t at_gate;   /* ... posted then ... */
    sem_t open_gate; /* ... until this is posted */
    struct script script;
    bool playing;
    struct tm_aws_options options;
    struct tm_aws_provider *provider;
};

static inline void rig_set(struct aws_rig *rig, const char *name, const char *fmt, ...)
        TM_PRINTF(3, 4);

/* Set a variable; the text may hold the rig's folder or port. */
static inline void rig_set(struct aws_rig *rig, const char *name, const char *fmt, ...)
{
    size_t at = 0;
    while (at < rig->count && strcmp(rig->names[at], name) != 0) {
        at++;
    }
    ck_assert_uint_lt(at, RIG_VARIABLES_MAX);
    (void)snprintf(rig->names[at], RIG_TEXT_MAX, "%s", name);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(rig->values[at], RIG_TEXT_MAX, fmt, args);
    va_end(args);
    rig->count = at == rig->count ? at + 1 : rig->count;
}

static inline const char *rig_env(void *arg, const char *name)
{
    struct aws_rig *rig = arg;
    if (rig->gated && strcmp(name, "AWS_ACCESS_KEY_ID") == 0) {
        ck_assert_int_eq(sem_post(&rig->at_gate), 0);
        ck_assert_int_eq(sem_wait(&rig->open_gate), 0);
    }
    for (size_t i = 0; i < rig->count; i++) {
        if (strcmp(rig->names[i], name) == 0) {
            return rig->values[i];
        }
    }
    return NULL;
}

static inline int64_t rig_now(void *arg)
{
    return ((struct aws_rig *)arg)->now_ms;
}

static inline struct aws_rig *rig_new(void)
{
    struct aws_rig *rig = tm_xalloc(1, sizeof(*rig));
    (void)snprintf(rig->folder, sizeof(rig->folder), "/tmp/tm-aws-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(rig->folder));
    rig->now_ms = RIG_NOW;
    ck_assert_int_eq(sem_init(&rig->at_gate, 0, 0), 0);
    ck_assert_int_eq(sem_init(&rig->open_gate, 0, 0), 0);
    rig->options.env = rig_env;
    rig->options.now_ms = rig_now;
    rig->options.arg = rig;
    rig_set(rig, "HOME", "%s", rig->folder);
    rig_set(rig, "AWS_EC2_METADATA_DISABLED", "true");
    return rig;
}

/* Play answers on 127.0.0.1, at the port rig->script.port. */
static inline void rig_play(struct aws_rig *rig, const struct script_step *steps, size_t count)
{
    script_begin(&rig->script, steps, count);
    rig->playing = true;
}

/* A file in the rig's folder; its path is FOLDER/name. */
static inline void rig_file(struct aws_rig *rig, const char *name, const char *text)
{
    char path[RIG_TEXT_MAX];
    struct tm_err err = {0};
    (void)snprintf(path, sizeof(path), "%s/%s", rig->folder, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    ck_assert_msg(tm_fs_mkdirs(path, 0700, &err) == TM_OK, "%s", err.msg);
    *slash = '/';
    ck_assert_msg(tm_fs_replace(path, tm_slice_str(text), 0600, &err) == TM_OK, "%s", err.msg);
}

/* The provider, made when first asked for. */
static inline struct tm_aws_provider *rig_provider(struct aws_rig *rig)
{
    struct tm_err err = {0};
    if (rig->provider == NULL) {
        ck_assert_int_eq(tm_aws_provider_new(&rig->options, &rig->provider, &err), TM_OK);
    }
    return rig->provider;
}

/* Credentials come, and they are these; "" for no token. */
static inline void rig_gives(
        struct aws_rig *rig, const char *id, const char *secret, const char *token)
{
    TM_AWS_CREDENTIALS_OWN struct tm_aws_credentials got = {0};
    struct tm_err err = {0};
    enum tm_code code = tm_aws_provider_get(rig_provider(rig), &got, &err);
    ck_assert_msg(code == TM_OK, "%s", err.msg);
    ck_assert_str_eq(got.access_key_id, id);
    ck_assert_str_eq(got.secret, secret);
    ck_assert_str_eq(got.session_token, token);
}

/* `text` with FOLDER and PORT replaced by the rig's. */
static inline char *rig_text(const struct aws_rig *rig, const char *text)
{
    struct tm_buf out = {0};
    for (const char *at = text; *at != '\0';) {
        if (strncmp(at, "FOLDER", 6) == 0) {
            tm_buf_add_text(&out, rig->folder);
            at += 6;
        } else if (strncmp(at, "PORT", 4) == 0) {
            tm_buf_add_fmt(&out, "%d", rig->script.port);
            at += 4;
        } else {
            tm_buf_add_u8(&out, (uint8_t)*at++);
        }
    }
    return tm_buf_take_text(&out);
}

/* No credentials come, for this reason, and nothing secret is told. */
static inline void rig_fails(struct aws_rig *rig, enum tm_code code, const char *text)
{
    TM_AWS_CREDENTIALS_OWN struct tm_aws_credentials got = {0};
    struct tm_err err = {0};
    char *expected = rig_text(rig, text);
    ck_assert_int_eq(tm_aws_provider_get(rig_provider(rig), &got, &err), code);
    ck_assert_str_eq(err.msg, expected);
    const char *told = strstr(err.msg, "SECRET");
    ck_assert(told == NULL || strncmp(told, "SECRET_ACCESS_KEY", 17) == 0);
    ck_assert_str_eq(got.access_key_id, "");
    free(expected);
}

/* What was asked: the first line of a request, or a header of it. */
static inline void rig_asked(
        struct aws_rig *rig, size_t request, const char *header, const char *expected)
{
    char text[1024];
    ck_assert_str_eq(script_asked(&rig->script, request, header, text), expected);
}

/* The script is over, all of it was played; what was asked stays to be looked at until rig_free(). */
static inline void rig_played(struct aws_rig *rig)
{
    script_end(&rig->script);
    rig->playing = false;
}

static inline int rig_remove(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

static inline void rig_free(struct aws_rig *rig)
{
    tm_aws_provider_free(rig->provider);
    if (rig->playing) {
        script_end(&rig->script);
    }
    script_forget(&rig->script);
    (void)nftw(rig->folder, rig_remove, 8, FTW_DEPTH | FTW_PHYS);
    (void)sem_destroy(&rig->at_gate);
    (void)sem_destroy(&rig->open_gate);
    free(rig);
}

#endif
