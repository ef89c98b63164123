/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>

#include "base/buf.h"
#include "http/url.h"
#include "http/xml.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static enum tm_code add_line(void *arg, const char *path, struct tm_slice value, struct tm_err *err)
{
    (void)err;
    tm_buf_add_fmt(arg, "%s=%.*s\n", path, (int)value.len, (const char *)value.at);
    return TM_OK;
}

START_TEST(elements_come_with_their_path_children_first)
{
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err = {0};
    static const char document[] =
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<List xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\" xmlns:a=\"urn:x\">"
            "<Contents><Key>a&amp;b &#x41;</Key><a:Size>12</a:Size></Contents>"
            "<Contents>one<Key/>two</Contents></List>";
    ck_assert_int_eq(tm_xml_read(tm_slice_str(document), add_line, &out, &err), TM_OK);
    ck_assert_str_eq(tm_buf_text(&out),
            "List/Contents/Key=a&b A\nList/Contents/Size=12\nList/Contents=\n"
            "List/Contents/Key=\nList/Contents=onetwo\nList=\n");
}
END_TEST

/* clang-format off */
static const struct {
    const char *document;
    enum tm_code code;
    const char *message;
} broken[] = {
    {"", TM_E_CORRUPT, "XML: line 1: no element found"},
    {"<a><b></a>", TM_E_CORRUPT, "XML: line 1: mismatched tag"},
    {"<a>\n<b>", TM_E_CORRUPT, "XML: line 2: no element found"},
    {"<a/>rubbish", TM_E_CORRUPT, "XML: line 1: junk after document element"},
    {"<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", TM_E_CORRUPT, "XML: line 1: a document type is not accepted"},
    {"<a>&b;</a>", TM_E_CORRUPT, "XML: line 1: undefined entity"},
    {"<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a/>", TM_E_LIMIT, "XML: line 1: elements are nested too deeply"},
};
/* clang-format on */

START_TEST(what_is_not_plain_xml_is_refused)
{
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err = {0};
    enum tm_code code = tm_xml_read(tm_slice_str(broken[_i].document), add_line, &out, &err);
    ck_assert_str_eq(err.msg, broken[_i].message);
    ck_assert_int_eq(code, broken[_i].code);
}
END_TEST

START_TEST(names_and_texts_are_bounded)
{
    TM_BUF_OWN struct tm_buf document = {0};
    TM_BUF_OWN struct tm_buf out = {0};
    struct tm_err err = {0};
    tm_buf_add_text(&document, "<a>");
    for (size_t i = 0; i <= TM_XML_TEXT_MAX; i++) {
        tm_buf_add_u8(&document, 'x');
    }
    tm_buf_add_text(&document, "</a>");
    ck_assert_int_eq(tm_xml_read(tm_buf_slice(&document), add_line, &out, &err), TM_E_LIMIT);
    ck_assert_str_eq(err.msg, "XML: line 1: a text is too long");

    tm_buf_clear(&document);
    err = (struct tm_err){0};
    tm_buf_add_text(&document, "<");
    for (size_t i = 0; i < TM_XML_PATH_MAX; i++) {
        tm_buf_add_u8(&document, 'n');
    }
    tm_buf_add_text(&document, "/>");
    ck_assert_int_eq(tm_xml_read(tm_buf_slice(&document), add_line, &out, &err), TM_E_LIMIT);
    ck_assert_uint_eq(out.len, 0);
}
END_TEST

static enum tm_code refuse(void *arg, const char *path, struct tm_slice value, struct tm_err *err)
{
    (void)value;
    ++*(int *)arg;
    return tm_err_set(err, TM_E_BUSY, "no %s", path);
}

START_TEST(the_readers_error_ends_the_reading)
{
    int calls = 0;
    struct tm_err err = {0};
    struct tm_slice document = tm_slice_str("<a><b/><c/></a>");
    ck_assert_int_eq(tm_xml_read(document, refuse, &calls, &err), TM_E_BUSY);
    ck_assert_str_eq(err.msg, "no a/b");
    ck_assert_int_eq(calls, 1);
}
END_TEST

/* clang-format off */
static const struct {
    const char *url;
    const char *parts; /* scheme|host|path|query, or the end of the message */
    bool good;
} urls[] = {
    {"http://h", "http|h||", true},
    {"https://s3.eu-west-1.amazonaws.com/b/k?x=%20&y", "https|s3.eu-west-1.amazonaws.com|/b/k|x=%20&y", true},
    {"http://[::1]:9000/", "http|[::1]:9000|/|", true},
    {"http://h?q", "http|h||q", true},
    {"s3://bucket", "\"s3://bucket\" begins with neither https:// nor http://", false},
    {"http://", "\"http://\" is not of the form http[s]://HOST[:PORT][/PATH]", false},
    {"http://u:p@h/", "\"http://u:p@h/\" is not of the form http[s]://HOST[:PORT][/PATH]", false},
    {"http://h/#f", "\"http://h/#f\" is not of the form http[s]://HOST[:PORT][/PATH]", false},
    {"http://h/a b", "\"http://h/a b\" is not of the form http[s]://HOST[:PORT][/PATH]", false},
};
/* clang-format on */

START_TEST(urls_are_taken_apart)
{
    struct tm_url url;
    struct tm_err err = {0};
    enum tm_code code = tm_url_split(urls[_i].url, &url, &err);
    ck_assert_int_eq(code, urls[_i].good ? TM_OK : TM_E_USAGE);
    if (!urls[_i].good) {
        ck_assert_str_eq(err.msg, urls[_i].parts);
        return;
    }
    TM_BUF_OWN struct tm_buf out = {0};
    tm_buf_add_fmt(&out, "%s|%.*s|%.*s|%.*s", url.tls ? "https" : "http", (int)url.host.len,
            (const char *)url.host.at, (int)url.path.len, (const char *)url.path.at,
            (int)url.query.len, (const char *)url.query.at);
    ck_assert_str_eq(tm_buf_text(&out), urls[_i].parts);
}
END_TEST

START_TEST(texts_are_encoded_and_decoded)
{
    TM_BUF_OWN struct tm_buf out = {0};
    tm_url_encode(&out, tm_slice_of("a-_.~/b c\0\xc3\xa9+", 13), "/");
    ck_assert_str_eq(tm_buf_text(&out), "a-_.~/b%20c%00%C3%A9%2B");
    TM_BUF_OWN struct tm_buf back = {0};
    ck_assert(tm_url_decode(&back, tm_slice_str("log%2F00+%c3%A9")));
    ck_assert_str_eq(tm_buf_text(&back), "log/00 \xc3\xa9");
    ck_assert(!tm_url_decode(&back, tm_slice_str("%2")));
    ck_assert(!tm_url_decode(&back, tm_slice_str("%zz")));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("xml_url");
    TCase *tcase = tcase_create("xml_url");
    tcase_add_test(tcase, elements_come_with_their_path_children_first);
    tcase_add_loop_test(tcase, what_is_not_plain_xml_is_refused, 0, (int)LENGTH(broken));
    tcase_add_test(tcase, names_and_texts_are_bounded);
    tcase_add_test(tcase, the_readers_error_ends_the_reading);
    tcase_add_loop_test(tcase, urls_are_taken_apart, 0, (int)LENGTH(urls));
    tcase_add_test(tcase, texts_are_encoded_and_decoded);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
