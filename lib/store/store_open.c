/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_open.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/url.h"
#include "store/store_fs.h"

enum { TEXT_MAX = 512 };

/* What the options of a URL point to. */
struct texts {
    char bucket[TEXT_MAX];
    char prefix[TEXT_MAX];
    char region[TEXT_MAX];
    char endpoint[TEXT_MAX];
    char path_style[TEXT_MAX];
    char ca_file[TEXT_MAX];
};

enum tm_code tm_store_open(
        const struct tm_store_place *place, struct tm_store **out, struct tm_err *err)
{
    struct tm_store *store = NULL;
    enum tm_code code = place->in_bucket ? tm_store_s3_open(&place->s3, &store, err)
                                         : tm_store_fs_open(place->path, place->make, &store, err);
    if (code != TM_OK) {
        return code;
    }
    store->trust_single_writer = place->trust_single_writer;
    store->read_only = place->read_only;
    tm_store_set_vault(store, place->vault != NULL ? place->vault : "");
    *out = store;
    return TM_OK;
}

/* Decode a part of the URL. */
static enum tm_code take_text(struct tm_slice part, char out[TEXT_MAX], struct tm_err *err)
{
    TM_BUF_OWN struct tm_buf text = {0};
    if (!tm_url_decode(&text, part) || text.len >= TEXT_MAX ||
            memchr(tm_buf_text(&text), '\0', text.len) != NULL) {
        return tm_err_set(err, TM_E_USAGE, "\"%.*s\" in the URL is not encoded as it has to be",
                (int)(part.len < 100 ? part.len : 100), (const char *)part.at);
    }
    memcpy(out, tm_buf_text(&text), text.len + 1);
    return TM_OK;
}

static enum tm_code take_option(struct tm_slice option, struct texts *texts, struct tm_err *err)
{
    const struct {
        const char *name; /* with its "=" */
        char *out;
    } known[] = {
            {"region=", texts->region},
            {"endpoint=", texts->endpoint},
            {"path_style=", texts->path_style},
            {"ca_file=", texts->ca_file},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        size_t len = strlen(known[i].name);
        if (option.len >= len && memcmp(option.at, known[i].name, len) == 0) {
            return take_text(tm_slice_of(option.at + len, option.len - len), known[i].out, err);
        }
    }
    return tm_err_set(err, TM_E_USAGE,
            "\"%.*s\" in the URL is not known; accepted: region=, endpoint=, path_style=true, "
            "ca_file=",
            (int)(option.len < 100 ? option.len : 100), (const char *)option.at);
}

static enum tm_code take_options(const char *query, struct texts *texts, struct tm_err *err)
{
    while (*query != '\0') {
        size_t len = strcspn(query, "&");
        TM_TRY(take_option(tm_slice_of(query, len), texts, err));
        query += len + (query[len] == '&' ? 1 : 0);
    }
    return TM_OK;
}

/* The first that is set. */
static void from_environment(char out[TEXT_MAX], const char *first, const char *second)
{
    if (out[0] != '\0') {
        return;
    }
    /* Nothing in this program sets an environment variable once threads run. */
    const char *value = getenv(first); /* NOLINT(concurrency-mt-unsafe) */
    if (value == NULL || value[0] == '\0') {
        value = getenv(second); /* NOLINT(concurrency-mt-unsafe) */
    }
    if (value != NULL && strlen(value) < TEXT_MAX) {
        memcpy(out, value, strlen(value) + 1);
    }
}

static enum tm_code read_url(const char *rest, struct texts *texts, struct tm_err *err)
{
    size_t bucket = strcspn(rest, "/?");
    TM_TRY(take_text(tm_slice_of(rest, bucket), texts->bucket, err));
    rest += bucket + (rest[bucket] == '/' ? 1 : 0);
    size_t prefix = strcspn(rest, "?");
    TM_TRY(take_text(tm_slice_of(rest, prefix), texts->prefix, err));
    rest += prefix + (rest[prefix] == '?' ? 1 : 0);
    TM_TRY(take_options(rest, texts, err));
    if (texts->path_style[0] != '\0' && strcmp(texts->path_style, "true") != 0 &&
            strcmp(texts->path_style, "false") != 0) {
        return tm_err_set(err, TM_E_USAGE, "path_style in the URL is neither true nor false");
    }
    from_environment(texts->region, "AWS_REGION", "AWS_DEFAULT_REGION");
    from_environment(texts->endpoint, "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL");
    return TM_OK;
}

enum tm_code tm_store_open_url(
        const char *url, bool make, struct tm_store **out, struct tm_err *err)
{
    struct tm_store_place place = {.make = make};
    struct texts texts = {0};
    if (strncmp(url, "file://", 7) == 0) {
        place.path = url + 7;
    } else if (strncmp(url, "s3://", 5) == 0) {
        TM_TRY(read_url(url + 5, &texts, err));
        place.in_bucket = true;
        place.s3 = (struct tm_store_s3_options){
                .bucket = texts.bucket,
                .prefix = texts.prefix,
                .region = texts.region,
                .endpoint = texts.endpoint,
                .path_style = strcmp(texts.path_style, "true") == 0,
                .ca_file = texts.ca_file,
        };
    } else if (strstr(url, "://") != NULL) {
        return tm_err_set(err, TM_E_USAGE,
                "%.100s: not a kind of vault that is known; write a folder, or s3://BUCKET/PREFIX",
                url);
    } else {
        place.path = url;
    }
    return tm_store_open(&place, out, err);
}
