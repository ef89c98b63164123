/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz what reads answers of S3: XML, what an error means, percent-encoding. The first byte picks a status; the
 * rest is the body.
 */
#include <stdint.h>
#include <string.h>

#include "http/url.h"
#include "http/xml.h"
#include "store/s3_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum tm_code check_element(
        void *arg, const char *path, struct tm_slice text, struct tm_err *err)
{
    (void)err;
    ++*(size_t *)arg;
    tm_assert(strlen(path) > 0 && strlen(path) < TM_XML_PATH_MAX);
    tm_assert(text.at != NULL && text.len <= TM_XML_TEXT_MAX);
    return TM_OK;
}

static void read_xml(struct tm_slice body)
{
    size_t elements = 0;
    struct tm_err err = {0};
    enum tm_code code = tm_xml_read(body, check_element, &elements, &err);
    tm_assert(code == err.code && (code != TM_OK || elements > 0));
}

/* A refusal is reported in plain ASCII, whatever the server wrote. */
static void judge(int status, bool conditional, struct tm_slice body)
{
    char region[] = "eu-west-1";
    struct tm_s3 s3 = {.region = region, .fixed_credentials = true};
    struct tm_s3_call call = {.action = "get", .name = "log/0", .conditional = conditional};
    TM_HTTP_RESPONSE_OWN struct tm_http_response response = {.status = status};
    struct tm_err err = {0};
    tm_buf_add(&response.body, body.at, body.len);
    enum tm_s3_verdict verdict = tm_s3_judge(&s3, &call, &response, &err);
    tm_assert((verdict == TM_S3_DONE) == (status >= 200 && status <= 299));
    tm_assert((verdict == TM_S3_DONE) == (err.code == TM_OK));
    for (const char *at = err.msg; *at != '\0'; at++) {
        tm_assert(*at >= ' ' && *at <= '~');
    }
}

static void encode(struct tm_slice text)
{
    TM_BUF_OWN struct tm_buf encoded = {0};
    TM_BUF_OWN struct tm_buf back = {0};
    tm_url_encode(&encoded, text, "/");
    tm_assert(tm_url_decode(&back, tm_buf_slice(&encoded)));
    tm_assert(tm_slice_eq(tm_buf_slice(&back), text));
    tm_buf_clear(&back);
    (void)tm_url_decode(&back, text);

    TM_BUF_OWN struct tm_buf url = {0};
    struct tm_url parts;
    struct tm_err err = {0};
    tm_buf_add(&url, text.at, text.len);
    if (tm_url_split(tm_buf_text(&url), &parts, &err) == TM_OK) {
        tm_assert(parts.host.len > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {
            200, 206, 301, 400, 401, 403, 404, 409, 412, 416, 429, 500, 501, 503, 507};
    if (size < 1) {
        return 0;
    }
    struct tm_slice body = tm_slice_of(data + 1, size - 1);
    read_xml(body);
    judge(statuses[data[0] % (sizeof(statuses) / sizeof(statuses[0]))], data[0] > 127, body);
    encode(body);
    return 0;
}
