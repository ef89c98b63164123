/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/vec.h"
#include "http/url.h"
#include "http/xml.h"
#include "store/s3_impl.h"

enum { PAGE_OBJECTS = 1000, PAGE_OBJECTS_MAX = 10000 };

struct item {
    char name[TM_OBJECT_NAME_MAX + 1];
    struct tm_object_info info;
};

/* One answer of ListObjectsV2. `item` is the one being read. */
struct page {
    const struct tm_s3 *s3;
    TM_VEC(struct item) items;
    struct item item;
    bool truncated;
    struct tm_buf next; /* the token */
};

/* The name behind the vault's prefix; "" for one that is too long or not ours. */
static enum tm_code take_key(struct page *page, struct tm_slice text, struct tm_err *err)
{
    TM_BUF_OWN struct tm_buf key = {0};
    if (!tm_url_decode(&key, text)) {
        return tm_err_set(err, TM_E_IO, "the listing has a key that is not encoded as was asked");
    }
    size_t prefix = strlen(page->s3->prefix);
    page->item.name[0] = '\0';
    if (key.len >= prefix && memcmp(tm_buf_text(&key), page->s3->prefix, prefix) == 0 &&
            key.len - prefix <= TM_OBJECT_NAME_MAX) {
        memcpy(page->item.name, tm_buf_text(&key) + prefix, key.len - prefix + 1);
    }
    return TM_OK;
}

static enum tm_code end_item(struct page *page, struct tm_err *err)
{
    if (page->items.count >= PAGE_OBJECTS_MAX) {
        return tm_err_set(err, TM_E_LIMIT, "the listing has more than %d objects on a page",
                PAGE_OBJECTS_MAX);
    }
    if (page->item.name[0] != '\0') {
        *tm_vec_push(&page->items) = page->item;
    }
    page->item = (struct item){0};
    return TM_OK;
}

static enum tm_code take_element(
        void *arg, const char *path, struct tm_slice text, struct tm_err *err)
{
    static const char root[] = "ListBucketResult/";
    struct page *page = arg;
    if (strncmp(path, root, sizeof(root) - 1) != 0) {
        return strcmp(path, "ListBucketResult") == 0
                       ? TM_OK
                       : tm_err_set(err, TM_E_IO, "the answer is no listing but <%.40s>", path);
    }
    const char *name = path + sizeof(root) - 1;
    char value[64];
    size_t len = text.len < sizeof(value) - 1 ? text.len : sizeof(value) - 1;
    memcpy(value, text.at, len);
    value[len] = '\0';
    if (strcmp(name, "Contents") == 0) {
        return end_item(page, err);
    }
    if (strcmp(name, "Contents/Key") == 0) {
        return take_key(page, text, err);
    }
    if (strcmp(name, "Contents/Size") == 0) {
        int64_t size = 0;
        TM_TRY(tm_parse_i64(value, &size, err));
        page->item.info.size = size > 0 ? (uint64_t)size : 0;
    } else if (strcmp(name, "Contents/LastModified") == 0) {
        return tm_time_parse(value, tm_now_ms(), &page->item.info.modified_ms, err);
    } else if (strcmp(name, "IsTruncated") == 0) {
        page->truncated = strcmp(value, "true") == 0;
    } else if (strcmp(name, "NextContinuationToken") == 0) {
        tm_buf_clear(&page->next);
        tm_buf_add(&page->next, text.at, text.len);
    }
    return TM_OK;
}

static void page_done(struct page *page)
{
    tm_vec_done(&page->items);
    tm_buf_done(&page->next);
}

/* Ask for the page that `page->next` names, and read it. */
static enum tm_code read_page(
        struct tm_s3 *s3, const struct tm_s3_call *call, struct page *page, struct tm_err *err)
{
    TM_HTTP_RESPONSE_OWN struct tm_http_response response = {0};
    TM_TRY(tm_s3_do(s3, call, &response, err));
    TM_BUF_OWN struct tm_buf asked = page->next;
    page->next = (struct tm_buf){0};
    page->items.count = 0;
    page->truncated = false;
    enum tm_code code = tm_xml_read(tm_buf_slice(&response.body), take_element, page, err);
    if (code == TM_OK && page->truncated &&
            (page->next.len == 0 || tm_slice_eq(tm_buf_slice(&asked), tm_buf_slice(&page->next)))) {
        code = tm_err_set(err, TM_E_IO, "the listing is cut and does not say how it goes on");
    }
    if (code != TM_OK) {
        err->code = code == TM_E_LIMIT ? TM_E_LIMIT : TM_E_IO; /* the store's objects are fine */
        return tm_s3_failed(s3, call, err);
    }
    return TM_OK;
}

static void write_query(
        const struct tm_s3 *s3, const char *prefix, const struct page *page, struct tm_buf *out)
{
    tm_buf_clear(out);
    if (page->next.len > 0) {
        tm_buf_add_text(out, "continuation-token=");
        tm_url_encode(out, tm_buf_slice(&page->next), "");
        tm_buf_add_u8(out, '&');
    }
    tm_buf_add_fmt(out, "encoding-type=url&list-type=2&max-keys=%d&prefix=", PAGE_OBJECTS);
    tm_url_encode(out, tm_slice_str(s3->prefix), "");
    tm_url_encode(out, tm_slice_str(prefix), "");
}

enum tm_code tm_s3_list(struct tm_store *store, const char *prefix,
        enum tm_code (*each)(
                void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err),
        void *arg, struct tm_err *err)
{
    struct tm_s3 *s3 = (struct tm_s3 *)store;
    __attribute__((cleanup(page_done))) struct page page = {.s3 = s3};
    TM_BUF_OWN struct tm_buf query = {0};
    do {
        write_query(s3, prefix, &page, &query);
        struct tm_s3_call call = {
                .action = "list",
                .op = TM_S3_LIST,
                .method = "GET",
                .name = prefix,
                .of_bucket = true,
                .query = tm_buf_text(&query),
                .payload = tm_sha256_of(tm_slice_str("")),
                .max_bytes = TM_XML_BYTES_MAX,
        };
        TM_TRY(read_page(s3, &call, &page, err));
        for (size_t i = 0; i < page.items.count; i++) {
            TM_TRY(each(arg, page.items.at[i].name, &page.items.at[i].info, err));
        }
    } while (page.truncated);
    return TM_OK;
}
