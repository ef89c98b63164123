/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "http/url.h"
#include "store/s3_impl.h"

enum {
    BUCKET_MIN = 3,
    BUCKET_MAX = 63,
    PREFIX_MAX = 180, /* so that struct tm_store.where holds it */
    REGION_MAX = 32,
    BUDGET_MS = 60 * 1000,
    FIRST_PAUSE_MS = 100,
    SPOOL_MODE = 0700,
};

static const int64_t lock_log_ms = INT64_C(37) * 24 * 60 * 60 * 1000;

static const char *or_else(const char *text, const char *otherwise)
{
    return text != NULL && text[0] != '\0' ? text : otherwise;
}

static char *copy_text(const char *text)
{
    char *copy = strdup(text);
    tm_assert(copy != NULL);
    return copy;
}

static bool is_made_of(const char *text, const char *also)
{
    for (; *text != '\0'; text++) {
        bool plain = (*text >= 'a' && *text <= 'z') || (*text >= '0' && *text <= '9');
        if (!plain && strchr(also, *text) == NULL) {
            return false;
        }
    }
    return true;
}

static enum tm_code check_bucket(const char *bucket, struct tm_err *err)
{
    size_t len = strlen(bucket);
    if (len < BUCKET_MIN || len > BUCKET_MAX ||
            !is_made_of(bucket, ".-_ABCDEFGHIJKLMNOPQRSTUVWXYZ")) {
        return tm_err_set(err, TM_E_USAGE,
                "\"%.100s\" is not the name of a bucket; accepted: 3 to 63 of a-z 0-9 . -", bucket);
    }
    return TM_OK;
}

/* "prod" and "prod/" are the same; "/" and "//" are folders without a name. */
static enum tm_code make_prefix(const char *given, char **out, struct tm_err *err)
{
    size_t len = strlen(given);
    for (size_t i = 0; i < len; i++) {
        if (given[i] < ' ' || given[i] > '~') {
            return tm_err_set(
                    err, TM_E_USAGE, "the prefix has a character that is not plain ASCII");
        }
    }
    if (len > PREFIX_MAX || given[0] == '/' || strstr(given, "//") != NULL ||
            strstr(given, "../") != NULL) {
        return tm_err_set(err, TM_E_USAGE,
                "\"%.100s\" is no prefix; accepted: up to %d characters, like \"prod/kafka/\"",
                given, PREFIX_MAX);
    }
    TM_BUF_OWN struct tm_buf prefix = {0};
    tm_buf_add_text(&prefix, given);
    tm_buf_add_text(&prefix, len > 0 && given[len - 1] != '/' ? "/" : "");
    *out = copy_text(tm_buf_text(&prefix));
    return TM_OK;
}

/* Is the host of a URL an address? Then no bucket can stand before it. */
static bool is_address(struct tm_slice host)
{
    char text[64];
    struct in_addr ignored;
    size_t len = 0;
    while (len < host.len && len < sizeof(text) - 1 && host.at[len] != ':') {
        text[len] = (char)host.at[len];
        len++;
    }
    text[len] = '\0';
    return host.at[0] == '[' || inet_pton(AF_INET, text, &ignored) == 1;
}

static bool has_end(struct tm_slice text, const char *end)
{
    size_t len = strlen(end);
    return text.len > len && memcmp(text.at + text.len - len, end, len) == 0;
}

/* The Host header as curl, and whoever checks the signature, writes it. */
static struct tm_slice without_default_port(const struct tm_url *url)
{
    const char *port = url->tls ? ":443" : ":80";
    struct tm_slice host = url->host;
    host.len -= has_end(host, port) ? strlen(port) : 0;
    return host;
}

static void set_place(
        struct tm_s3 *s3, const struct tm_store_s3_options *options, const struct tm_url *url)
{
    /* No certificate covers a bucket with dots before the host. */
    bool dotted = url->tls && strchr(options->bucket, '.') != NULL;
    bool in_path = options->path_style || dotted || is_address(url->host);
    TM_BUF_OWN struct tm_buf host = {0};
    TM_BUF_OWN struct tm_buf path = {0};
    TM_BUF_OWN struct tm_buf origin = {0};
    struct tm_slice server = without_default_port(url);
    size_t path_len = url->path.len;
    while (path_len > 0 && url->path.at[path_len - 1] == '/') {
        path_len--;
    }
    tm_buf_add(&path, url->path.at, path_len);
    if (in_path) {
        tm_buf_add_fmt(&path, "/%s", options->bucket);
    } else {
        tm_buf_add_fmt(&host, "%s.", options->bucket);
    }
    tm_buf_add(&host, server.at, server.len);
    tm_buf_add_fmt(&origin, "%s://%s", url->tls ? "https" : "http", tm_buf_text(&host));
    s3->host = copy_text(tm_buf_text(&host));
    s3->path = copy_text(tm_buf_text(&path));
    s3->origin = copy_text(tm_buf_text(&origin));
}

static enum tm_code find_place(
        struct tm_s3 *s3, const struct tm_store_s3_options *options, struct tm_err *err)
{
    char aws[128];
    const char *region = s3->region;
    if (strlen(region) > REGION_MAX || !is_made_of(region, "-")) {
        return tm_err_set(err, TM_E_USAGE, "\"%.100s\" is not the name of a region", region);
    }
    (void)snprintf(aws, sizeof(aws), "https://s3.%s.amazonaws.com%s", region,
            strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
    const char *endpoint = or_else(options->endpoint, aws);
    struct tm_url url;
    TM_TRY(tm_url_split(endpoint, &url, err));
    if (url.query.len > 0) {
        return tm_err_set(err, TM_E_USAGE, "the endpoint has a query");
    }
    set_place(s3, options, &url);
    return TM_OK;
}

static enum tm_code make_clients(
        struct tm_s3 *s3, const struct tm_store_s3_options *options, struct tm_err *err)
{
    struct tm_aws_options credentials = options->credentials;
    credentials.region = s3->region;
    s3->fixed_credentials = credentials.mode == TM_AWS_STATIC;
    TM_TRY(tm_aws_provider_new(&credentials, &s3->provider, err));
    TM_TRY(tm_fs_mkdirs(s3->spool_folder, SPOOL_MODE, err));
    struct tm_http_options http = {
            .ca_file = options->ca_file,
            .bytes_per_second = options->bytes_per_second,
            .stall_timeout_ms = options->stall_timeout_ms,
    };
    s3->http = tm_http_new(&http);
    return TM_OK;
}

static void free_s3(struct tm_s3 *s3)
{
    if (s3 != NULL) {
        tm_store_free(&s3->base);
    }
}
TM_OWNABLE(struct tm_s3 *, free_s3);

enum tm_code tm_store_s3_open(
        const struct tm_store_s3_options *options, struct tm_store **out, struct tm_err *err)
{
    const char *bucket = or_else(options->bucket, "");
    TM_TRY(check_bucket(bucket, err));
    TM_OWN(free_s3) struct tm_s3 *s3 = tm_xalloc(1, sizeof(*s3));
    s3->base.ops = &tm_s3_ops;
    s3->base.backend = "s3";
    s3->region = copy_text(or_else(options->region, "us-east-1"));
    s3->spool_folder = copy_text(or_else(options->spool_folder, "/var/tmp"));
    s3->budget_ms = options->budget_ms > 0 ? options->budget_ms : BUDGET_MS;
    s3->first_pause_ms = options->first_pause_ms > 0 ? options->first_pause_ms : FIRST_PAUSE_MS;
    s3->lock_mode = options->lock_mode;
    s3->lock_ms = options->lock_ms;
    s3->lock_log_ms = options->lock_log_ms > 0 ? options->lock_log_ms : lock_log_ms;
    TM_TRY(make_prefix(or_else(options->prefix, ""), &s3->prefix, err));
    TM_TRY(find_place(s3, options, err));
    TM_TRY(make_clients(s3, options, err));
    size_t prefix = strlen(s3->prefix);
    (void)snprintf(s3->base.where, sizeof(s3->base.where), "s3://%s%s%.*s", bucket,
            prefix > 0 ? "/" : "", (int)(prefix > 0 ? prefix - 1 : 0), s3->prefix);
    *out = &TM_TAKE(s3)->base;
    return TM_OK;
}
