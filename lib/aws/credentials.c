/* SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/sources.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/http.h"

/* Invariant: what stands below `lock` is guarded by it, what stands above never changes. */
struct tm_aws_provider {
    struct tm_aws_options options; /* env and now_ms are set; its texts are the two below */
    char *region;
    char *container_url;
    struct tm_http *http; /* NULL with TM_AWS_STATIC */
    pthread_mutex_t lock;
    pthread_cond_t done;   /* a fetch has ended */
    bool fetching;         /* by one thread, without the lock */
    uint64_t fetch_count;  /* that have ended */
    struct tm_err failure; /* of the last one; code TM_OK when it succeeded */
    bool has_held;
    struct tm_aws_credentials held;
    int64_t fetch_at_ms; /* when to look for others; INT64_MAX: never */
    const char *source;
};

/* In the order in which they are asked. */
static const struct {
    const char *name;
    tm_source ask;
} sources[] = {
        {"environment", tm_source_environment},
        {"web identity", tm_source_web_identity},
        {"shared profile", tm_source_profile},
        {"container", tm_source_container},
        {"instance", tm_source_instance},
};

void tm_aws_credentials_done(struct tm_aws_credentials *credentials)
{
    explicit_bzero(credentials, sizeof(*credentials));
}

/* Copy with the NUL; false when there is no room. */
static bool copy_text(char *out, size_t size, const char *text)
{
    size_t len = text != NULL ? strlen(text) : 0;
    if (len >= size) {
        return false;
    }
    memcpy(out, text != NULL ? text : "", len + 1);
    return true;
}

enum tm_code tm_aws_credentials_set(struct tm_aws_credentials *out, const char *access_key_id,
        const char *secret, const char *session_token, struct tm_err *err)
{
    TM_AWS_CREDENTIALS_OWN struct tm_aws_credentials made;
    made.expires_ms = INT64_MAX;
    if (!copy_text(made.access_key_id, sizeof(made.access_key_id), access_key_id) ||
            !copy_text(made.secret, sizeof(made.secret), secret) ||
            !copy_text(made.session_token, sizeof(made.session_token), session_token)) {
        return tm_err_set(err, TM_E_LIMIT, "AWS credentials: longer than any that are known");
    }
    *out = made;
    return TM_OK;
}

static const char *from_environment(void *arg, const char *name)
{
    (void)arg;
    return getenv(name); /* NOLINT(concurrency-mt-unsafe): nobody sets any once threads run */
}

static int64_t from_clock(void *arg)
{
    (void)arg;
    return tm_now_ms();
}

static char *own_text(const char *text)
{
    char *copy = strdup(text != NULL ? text : "");
    tm_assert(copy != NULL);
    return copy;
}

/* A provider that searches: its own copy of the options, with what is the usual where none is given. */
static void prepare_search(struct tm_aws_provider *provider, const struct tm_aws_options *options)
{
    struct tm_aws_options *own = &provider->options;
    const char *container = options->container_url;
    own->env = options->env != NULL ? options->env : from_environment;
    own->now_ms = options->now_ms != NULL ? options->now_ms : from_clock;
    own->arg = options->arg;
    provider->region = own_text(options->region);
    provider->container_url = own_text(container != NULL ? container : "http://169.254.170.2");
    own->region = provider->region;
    own->container_url = provider->container_url;
    const struct tm_http_options http = {.ca_file = own->env(own->arg, "AWS_CA_BUNDLE")};
    provider->http = tm_http_new(&http);
}

/* What is given; nothing with TM_AWS_AUTO. */
static enum tm_code take_static(
        const struct tm_aws_options *options, struct tm_aws_credentials *out, struct tm_err *err)
{
    if (options->mode != TM_AWS_STATIC) {
        return TM_OK;
    }
    enum tm_code code =
            tm_aws_credentials_set(out, options->access_key_id, options->secret, "", err);
    if (code == TM_OK && (out->access_key_id[0] == '\0' || out->secret[0] == '\0')) {
        code = tm_err_set(err, TM_E_USAGE, "static AWS credentials: %s is missing",
                out->access_key_id[0] == '\0' ? "the access key id" : "the secret access key");
    }
    return code;
}

enum tm_code tm_aws_provider_new(
        const struct tm_aws_options *options, struct tm_aws_provider **out, struct tm_err *err)
{
    TM_AWS_CREDENTIALS_OWN struct tm_aws_credentials fixed = {0};
    TM_TRY(take_static(options, &fixed, err));
    struct tm_aws_provider *provider = tm_xalloc(1, sizeof(*provider));
    pthread_mutex_init(&provider->lock, NULL);
    pthread_cond_init(&provider->done, NULL);
    provider->options.mode = options->mode;
    provider->source = "";
    if (options->mode == TM_AWS_STATIC) {
        provider->held = fixed;
        provider->has_held = true;
        provider->fetch_at_ms = INT64_MAX;
        provider->source = "static";
    } else {
        prepare_search(provider, options);
    }
    *out = provider;
    return TM_OK;
}

void tm_aws_provider_free(struct tm_aws_provider *provider)
{
    if (provider == NULL) {
        return;
    }
    tm_aws_credentials_done(&provider->held);
    tm_http_free(provider->http);
    free(provider->region);
    free(provider->container_url);
    pthread_cond_destroy(&provider->done);
    pthread_mutex_destroy(&provider->lock);
    free(provider);
}

/* Ask the sources in turn, without the lock. */
static enum tm_code fetch(const struct tm_aws_provider *provider, struct tm_aws_credentials *out,
        const char **source, struct tm_err *err)
{
    const struct tm_source_env env = {&provider->options, provider->http};
    char missing[TM_ERR_MSG_MAX] = "";
    size_t len = 0;
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        TM_SOURCE_ANSWER_OWN struct tm_source_answer answer = {0};
        if (sources[i].ask(&env, &answer, err) != TM_OK) {
            return tm_err_wrap(err, "AWS credentials: %s", sources[i].name);
        }
        if (answer.found) {
            *source = sources[i].name;
            *out = answer.credentials;
            return TM_OK;
        }
        if (len < sizeof(missing)) {
            len += (size_t)snprintf(missing + len, sizeof(missing) - len, "%s%s: %s",
                    i > 0 ? "; " : "", sources[i].name, answer.why);
        }
    }
    return tm_err_set(err, TM_E_MISSING, "no AWS credentials: %s", missing);
}

static int64_t now(const struct tm_aws_provider *provider)
{
    return provider->http != NULL ? provider->options.now_ms(provider->options.arg) : 0;
}

/* When to look again for what was got now: 5 minutes before its end, or soon where it ends sooner. */
static int64_t next_fetch(const struct tm_aws_credentials *credentials, int64_t now_ms)
{
    if (credentials->expires_ms == INT64_MAX) {
        return INT64_MAX;
    }
    int64_t at_ms = credentials->expires_ms - TM_AWS_REFRESH_BEFORE_MS;
    int64_t soon_ms = now_ms + TM_AWS_RETRY_MS;
    return at_ms > soon_ms ? at_ms : soon_ms;
}

static bool is_good(const struct tm_aws_provider *provider, int64_t now_ms)
{
    return provider->has_held && now_ms < provider->held.expires_ms;
}

/* A fetch has failed: with the lock. */
static void note_failure(struct tm_aws_provider *provider, int64_t now_ms)
{
    provider->fetch_at_ms = now_ms + TM_AWS_RETRY_MS;
    if (is_good(provider, now_ms)) {
        char end[TM_TIME_TEXT_MAX];
        /* No caller gets this failure, so it is told where it ends. */
        tm_log(TM_LOG_WARNING, "aws.refresh-failed", provider->failure.msg,
                TM_LOG_STR("credentials_end", tm_time_format(provider->held.expires_ms, end)),
                TM_LOG_END);
    }
}

/* Fetch; called with the lock, which is given up meanwhile. */
static void fetch_unlocked(struct tm_aws_provider *provider)
{
    TM_AWS_CREDENTIALS_OWN struct tm_aws_credentials fresh = {0};
    struct tm_err failure = {0};
    const char *source = "";
    provider->fetching = true;
    pthread_mutex_unlock(&provider->lock);
    enum tm_code code = fetch(provider, &fresh, &source, &failure);
    pthread_mutex_lock(&provider->lock);
    provider->fetching = false;
    provider->fetch_count++;
    provider->failure = failure;
    if (code == TM_OK) {
        provider->held = fresh;
        provider->has_held = true;
        provider->source = source;
        provider->fetch_at_ms = next_fetch(&fresh, now(provider));
    } else {
        note_failure(provider, now(provider));
    }
    pthread_cond_broadcast(&provider->done);
}

/* Have a fetch done, by this thread or by another that is at it. */
static void renew(struct tm_aws_provider *provider)
{
    if (!provider->fetching) {
        fetch_unlocked(provider);
        return;
    }
    uint64_t before = provider->fetch_count;
    while (provider->fetch_count == before) {
        pthread_cond_wait(&provider->done, &provider->lock);
    }
}

enum tm_code tm_aws_provider_get(
        struct tm_aws_provider *provider, struct tm_aws_credentials *out, struct tm_err *err)
{
    enum tm_code code = TM_OK;
    pthread_mutex_lock(&provider->lock);
    int64_t now_ms = now(provider);
    if (!is_good(provider, now_ms) || (now_ms >= provider->fetch_at_ms && !provider->fetching)) {
        renew(provider);
    }
    if (is_good(provider, now(provider))) {
        *out = provider->held;
    } else if (provider->failure.code != TM_OK) {
        *err = provider->failure;
        code = err->code;
    } else {
        code = tm_err_set(err, TM_E_DENIED, "AWS credentials: %s: what was given has ended already",
                provider->source);
    }
    pthread_mutex_unlock(&provider->lock);
    return code;
}

void tm_aws_provider_expire(struct tm_aws_provider *provider)
{
    pthread_mutex_lock(&provider->lock);
    if (provider->http != NULL && !provider->fetching) {
        provider->fetch_at_ms = 0;
    }
    pthread_mutex_unlock(&provider->lock);
}

const char *tm_aws_provider_source(struct tm_aws_provider *provider)
{
    pthread_mutex_lock(&provider->lock);
    const char *source = provider->source;
    pthread_mutex_unlock(&provider->lock);
    return source;
}
