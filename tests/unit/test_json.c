/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/base/json: what is read, what is refused and where, and what is written. */
#include "base/json.h"

#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Write a value back in a form of its own, so that a test compares texts: strings in <>, reals by
 * %.17g, an object as {name:value ...}. */
static void show(const struct tm_json_value *value, struct tm_buf *out)
{
    switch (value->kind) {
    case TM_JSON_NULL:
        tm_buf_add_text(out, "null");
        return;
    case TM_JSON_BOOL:
        tm_buf_add_text(out, value->boolean ? "true" : "false");
        return;
    case TM_JSON_INT:
        tm_buf_add_fmt(out, "%" PRId64, value->integer);
        return;
    case TM_JSON_REAL:
        tm_buf_add_fmt(out, "real %.17g", value->real);
        return;
    case TM_JSON_STRING:
        tm_buf_add_fmt(out, "<%s>", value->string);
        return;
    case TM_JSON_ARRAY:
    case TM_JSON_OBJECT:
        break;
    }
    bool object = value->kind == TM_JSON_OBJECT;
    size_t count = 0;
    tm_buf_add_text(out, object ? "{" : "[");
    for (const struct tm_json_value *at = value->first; at != NULL; at = at->next) {
        tm_buf_add_text(out, count++ > 0 ? " " : "");
        ck_assert(object == (at->key != NULL));
        if (object) {
            tm_buf_add_fmt(out, "%s:", at->key);
        }
        show(at, out);
    }
    tm_buf_add_text(out, object ? "}" : "]");
    ck_assert_uint_eq(value->count, count);
}

/* The text of exactly its size on the heap, so that ASan sees a read beyond. */
static enum tm_code read_text(const char *text, size_t len, struct tm_arena *arena,
        const struct tm_json_value **out, struct tm_json_pos *pos, struct tm_err *err)
{
    char *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, text, len);
    enum tm_code code = tm_json_read(tm_slice_of(copy, len), arena, out, pos, err);
    free(copy);
    return code;
}

/* clang-format off */
static const struct {
    const char *text;
    const char *shown;
} documents[] = {
    {"null",                           "null"},
    {"true",                           "true"},
    {" false ",                        "false"},
    {"\t\r\n0\n",                      "0"},
    {"-0",                             "0"},
    {"-17",                            "-17"},
    {"9007199254740993",               "9007199254740993"},
    {"1000000000000000",               "1000000000000000"},
    {"9223372036854775807",            "9223372036854775807"},
    {"-9223372036854775808",           "-9223372036854775808"},
    {"9223372036854775808",            "real 9.2233720368547758e+18"},
    {"-9223372036854775809",           "real -9.2233720368547758e+18"},
    {"1.5",                            "real 1.5"},
    {"1.0",                            "1"},
    {"-20.000",                        "-20"},
    {"-0.0",                           "0"},
    {"9223372036854775807.0",          "9223372036854775807"},
    {"1.01",                           "real 1.01"},
    {"1.0e0",                          "real 1"},
    {"-0.25e2",                        "real -25"},
    {"1E+2",                           "real 100"},
    {"1e-999",                         "real 0"},
    {"\"\"",                           "<>"},
    {"\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", "<a\"\\/\b\f\n\r\tz>"},
    {"\"\\u0041\\u00e4\\u20AC\"",      "<A\xc3\xa4\xe2\x82\xac>"},
    {"\"\\ud83d\\ude00\\uDBFF\\uDFFF\"", "<\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf>"},
    {"\"\\ud7ff\\ue000\\uffff\"",      "<\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf>"},
    {"\"\x7f\xc3\xa4\xf0\x9f\x98\x80\"", "<\x7f\xc3\xa4\xf0\x9f\x98\x80>"},
    {"\"\\\\\"",                       "<\\>"},
    {"[]",                             "[]"},
    {"[ ]",                            "[]"},
    {"[1,2 , 3]",                      "[1 2 3]"},
    {"[[],[[]],{}]",                   "[[] [[]] {}]"},
    {"{}",                             "{}"},
    {"{ }",                            "{}"},
    {"{\"\":1}",                       "{:1}"},
    {"{\"b\":1 , \"a\" : {\"b\":[true]}}", "{b:1 a:{b:[true]}}"},
    {"{\"a\":1,\"A\":2,\"ab\":3}",     "{a:1 A:2 ab:3}"},
};

static const struct {
    const char *text;
    const char *message;
} malformed[] = {
    {"",                   "line 1, column 1: a value is missing"},
    {" \n ",               "line 2, column 2: a value is missing"},
    {"nul",                "line 1, column 1: a value is missing"},
    {"True",               "line 1, column 1: a value is missing"},
    {"'a'",                "line 1, column 1: a value is missing"},
    {"\xef\xbb\xbf{}",     "line 1, column 1: a value is missing"},
    {"NaN",                "line 1, column 1: a value is missing"},
    {"// c\n1",            "line 1, column 1: a value is missing"},
    {"1 2",                "line 1, column 3: more text after the document"},
    {"nullx",              "line 1, column 5: more text after the document"},
    {"{}\n}",              "line 2, column 1: more text after the document"},
    {"1/* */",             "line 1, column 2: more text after the document"},
    {"01",                 "line 1, column 1: a number may not begin with 0"},
    {"-01",                "line 1, column 1: a number may not begin with 0"},
    {"00",                 "line 1, column 1: a number may not begin with 0"},
    {"01.5",               "line 1, column 1: a number may not begin with 0"},
    {"+1",                 "line 1, column 1: a value is missing"},
    {".5",                 "line 1, column 1: a value is missing"},
    {"-",                  "line 1, column 2: a digit is missing"},
    {"-a",                 "line 1, column 2: a digit is missing"},
    {"1.",                 "line 1, column 3: a digit is missing"},
    {"1.e5",               "line 1, column 3: a digit is missing"},
    {"1e",                 "line 1, column 3: a digit is missing"},
    {"1e+",                "line 1, column 4: a digit is missing"},
    {"0x10",               "line 1, column 2: more text after the document"},
    {"1e999",              "line 1, column 1: the number is too large"},
    {"-1e999",             "line 1, column 1: the number is too large"},
    {"\"a",                "line 1, column 1: the string has no end"},
    {"\"a\\\"",            "line 1, column 1: the string has no end"},
    {"\"a\\",              "line 1, column 1: the string has no end"},
    {"\"a\nb\"",           "line 1, column 3: a control character in a string must be escaped"},
    {"\"\x1f\"",           "line 1, column 2: a control character in a string must be escaped"},
    {"\"a\\x41\"",         "line 1, column 3: unknown escape"},
    {"\"\\U0041\"",        "line 1, column 2: unknown escape"},
    {"\"\\u12\"",          "line 1, column 2: \\u needs four hex digits"},
    {"\"\\u12g4\"",        "line 1, column 2: \\u needs four hex digits"},
    {"\"\\u+123\"",        "line 1, column 2: \\u needs four hex digits"},
    {"\"\\u0000\"",        "line 1, column 2: a string may not hold NUL"},
    {"\"\\ud800\"",        "line 1, column 2: half of a surrogate pair"},
    {"\"ab\\udc00\"",      "line 1, column 4: half of a surrogate pair"},
    {"\"\\ud800\\u0041\"", "line 1, column 2: half of a surrogate pair"},
    {"\"\\ud800\\ud800\"", "line 1, column 2: half of a surrogate pair"},
    {"\"\\udc00\\udc00\"", "line 1, column 2: half of a surrogate pair"},
    {"\"\\udc00\\ud800\"", "line 1, column 2: half of a surrogate pair"},
    {"\"\\ud800\\u\"",     "line 1, column 2: half of a surrogate pair"},
    {"\"\\ud800xudc00\"",  "line 1, column 2: half of a surrogate pair"},
    {"\"\\ud800\\ue000\"", "line 1, column 2: half of a surrogate pair"},
    {"\"a\x80\"",          "line 1, column 3: not UTF-8"},
    {"\"\xc3\"",           "line 1, column 2: not UTF-8"},
    {"\"\xed\xa0\x80\"",   "line 1, column 2: not UTF-8"},
    {"\"\xc0\x80\"",       "line 1, column 2: not UTF-8"},
    {"[",                  "line 1, column 2: a value is missing"},
    {"[1",                 "line 1, column 3: ',' or ']' is missing"},
    {"[1 2]",              "line 1, column 4: ',' or ']' is missing"},
    {"[1,]",               "line 1, column 4: a value is missing"},
    {"[,1]",               "line 1, column 2: a value is missing"},
    {"[1}",                "line 1, column 3: ',' or ']' is missing"},
    {"]",                  "line 1, column 1: a value is missing"},
    {"{",                  "line 1, column 2: a key in quotes is missing"},
    {"{a:1}",              "line 1, column 2: a key in quotes is missing"},
    {"{1:1}",              "line 1, column 2: a key in quotes is missing"},
    {"{\"a\"}",            "line 1, column 5: ':' is missing"},
    {"{\"a\" 1}",          "line 1, column 6: ':' is missing"},
    {"{\"a\":}",           "line 1, column 6: a value is missing"},
    {"{\"a\":1",           "line 1, column 7: ',' or '}' is missing"},
    {"{\"a\":1,}",         "line 1, column 8: a key in quotes is missing"},
    {"{\"a\":1]",          "line 1, column 7: ',' or '}' is missing"},
    {"{\n  \"a\": 1,\n  \"b\": tru\n}", "line 3, column 8: a value is missing"},
    {"{\"\xc3\xa4\": ?}",  "line 1, column 8: a value is missing"}, /* columns are bytes */
    {"{\"a\":1,\"a\":1}",  "line 1, column 8: key \"a\" given twice (first at line 1)"},
    {"{\"a\":1,\n \"b\":2,\n \"\\u0061\":3}", "line 3, column 2: key \"a\" given twice (first at line 1)"},
    {"{\"z\":1,\n\"b\":2,\n\"z\":3,\n\"b\":4,\n\"z\":5}",
                           "line 3, column 1: key \"z\" given twice (first at line 1)"},
    {"[{\"a\":{\"\":1,\"\":2}}]", "line 1, column 13: key \"\" given twice (first at line 1)"},
};
/* clang-format on */

START_TEST(documents_are_read_as_meant)
{
    struct tm_arena arena = {0};
    const struct tm_json_value *root = NULL;
    struct tm_err err = {0};
    const char *text = documents[_i].text;
    enum tm_code code = read_text(text, strlen(text), &arena, &root, NULL, &err);
    ck_assert_msg(code == TM_OK, "%s: %s", text, err.msg);

    TM_BUF_OWN struct tm_buf shown = {0};
    show(root, &shown);
    ck_assert_str_eq(tm_buf_text(&shown), documents[_i].shown);
    ck_assert_ptr_null(root->key);
    tm_arena_done(&arena);
}
END_TEST

START_TEST(malformed_text_is_refused_with_its_place)
{
    struct tm_arena arena = {0};
    const struct tm_json_value *root = NULL;
    struct tm_json_pos pos = {0};
    struct tm_err err = {0};
    const char *text = malformed[_i].text;
    ck_assert_int_eq(read_text(text, strlen(text), &arena, &root, &pos, &err), TM_E_USAGE);
    ck_assert_str_eq(err.msg, malformed[_i].message);
    ck_assert_ptr_null(root);

    char place[64];
    (void)snprintf(place, sizeof(place), "line %u, column %u: ", pos.line, pos.column);
    ck_assert(strncmp(err.msg, place, strlen(place)) == 0);
    /* The offset says the same as line and column. */
    size_t line_start = pos.offset - (pos.column - 1);
    ck_assert(line_start == 0 || text[line_start - 1] == '\n');
    tm_arena_done(&arena);
}
END_TEST

/* Nothing that is cut short is a document, wherever the cut is; and no read goes beyond it. */
START_TEST(no_beginning_of_a_document_is_one)
{
    static const char whole[] = "{\"a\\n\\ud83d\\ude00\": [1.5e3, -2, true, false, null, "
                                "\"\xf0\x9f\x98\x80\"], \"b\": {}}";
    struct tm_arena arena = {0};
    const struct tm_json_value *root = NULL;
    for (size_t len = 0; len < sizeof(whole) - 1; len++) {
        struct tm_err err = {0};
        ck_assert_int_eq(read_text(whole, len, &arena, &root, NULL, &err), TM_E_USAGE);
    }
    struct tm_err err = {0};
    ck_assert_int_eq(read_text(whole, sizeof(whole) - 1, &arena, &root, NULL, &err), TM_OK);
    tm_arena_done(&arena);
}
END_TEST

START_TEST(nul_is_refused_wherever_it_stands)
{
    static const struct {
        const char *text;
        size_t len;
        const char *message;
    } cases[] = {
            {"\"a\0b\"", 5, "line 1, column 3: a string may not hold NUL"},
            {"1\0", 2, "line 1, column 2: more text after the document"},
            {"\0", 1, "line 1, column 1: a value is missing"},
            {"\"\\\0\"", 4, "line 1, column 2: unknown escape"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct tm_arena arena = {0};
        const struct tm_json_value *root = NULL;
        struct tm_err err = {0};
        ck_assert_int_eq(
                read_text(cases[i].text, cases[i].len, &arena, &root, NULL, &err), TM_E_USAGE);
        ck_assert_str_eq(err.msg, cases[i].message);
        tm_arena_done(&arena);
    }
}
END_TEST

START_TEST(values_know_their_line_and_column)
{
    static const char text[] = "{\n  \"a\": 1,\n  \"b\": [true,\n    \"x\"]\n}\n";
    struct tm_arena arena = {0};
    const struct tm_json_value *root = NULL;
    struct tm_err err = {0};
    struct tm_json_pos pos = {0};
    ck_assert_int_eq(read_text(text, strlen(text), &arena, &root, &pos, &err), TM_OK);
    ck_assert_uint_eq(pos.offset, strlen(text));

    const struct tm_json_value *a = tm_json_get(root, "a");
    const struct tm_json_value *b = tm_json_get(root, "b");
    ck_assert_uint_eq(root->line * 100 + root->column, 101);
    ck_assert_uint_eq(a->line * 100 + a->column, 208);
    ck_assert_uint_eq(b->line * 100 + b->column, 308);
    ck_assert_uint_eq(b->first->line * 100 + b->first->column, 309);
    ck_assert_uint_eq(b->first->next->line * 100 + b->first->next->column, 405);

    ck_assert_ptr_null(tm_json_get(root, "c"));
    ck_assert_ptr_null(tm_json_get(b, "a")); /* not an object */
    ck_assert_ptr_null(tm_json_get(NULL, "a"));
    tm_arena_done(&arena);
}
END_TEST

static enum tm_code read_nested(size_t depth, struct tm_err *err)
{
    TM_BUF_OWN struct tm_buf text = {0};
    for (size_t i = 0; i < depth; i++) {
        tm_buf_add_text(&text, i % 2 == 0 ? "[" : "{\"k\":");
    }
    tm_buf_add_text(&text, "1");
    for (size_t i = depth; i-- > 0;) {
        tm_buf_add_text(&text, i % 2 == 0 ? "]" : "}");
    }
    struct tm_arena arena = {0};
    const struct tm_json_value *root = NULL;
    enum tm_code code = read_text(tm_buf_text(&text), text.len, &arena, &root, NULL, err);
    tm_arena_done(&arena);
    return code;
}

START_TEST(nesting_is_bounded)
{
    struct tm_err err = {0};
    ck_assert_int_eq(read_nested(TM_JSON_DEPTH_MAX, &err), TM_OK);
    ck_assert_int_eq(read_nested(TM_JSON_DEPTH_MAX + 1, &err), TM_E_LIMIT);
    ck_assert_str_eq(err.msg, "line 1, column 97: nested deeper than 32");
    err = (struct tm_err){0};
    ck_assert_int_eq(read_nested(50000, &err), TM_E_LIMIT);
}
END_TEST

START_TEST(siblings_are_not_nested)
{
    TM_BUF_OWN struct tm_buf text = {0};
    tm_buf_add_text(&text, "[[]");
    for (int i = 0; i < 2 * TM_JSON_DEPTH_MAX; i++) {
        tm_buf_add_text(&text, ",{}");
    }
    tm_buf_add_text(&text, "]");
    struct tm_arena arena = {0};
    const struct tm_json_value *root = NULL;
    struct tm_err err = {0};
    ck_assert_int_eq(tm_json_read(tm_buf_slice(&text), &arena, &root, NULL, &err), TM_OK);
    ck_assert_uint_eq(root->count, 2 * TM_JSON_DEPTH_MAX + 1);
    tm_arena_done(&arena);
}
END_TEST

static enum tm_code read_members(size_t count, struct tm_err *err)
{
    TM_BUF_OWN struct tm_buf text = {0};
    for (size_t i = 0; i < count; i++) {
        tm_buf_add_fmt(&text, "%s\"k%zu\":%zu", i > 0 ? "," : "{", i, i);
    }
    tm_buf_add_text(&text, "}");
    struct tm_arena arena = {0};
    const struct tm_json_value *root = NULL;
    enum tm_code code = tm_json_read(tm_buf_slice(&text), &arena, &root, NULL, err);
    tm_arena_done(&arena);
    return code;
}

START_TEST(number_of_values_is_bounded)
{
    struct tm_err err = {0};
    ck_assert_int_eq(read_members(TM_JSON_VALUES_MAX - 1, &err), TM_OK);
    ck_assert_int_eq(read_members(TM_JSON_VALUES_MAX, &err), TM_E_LIMIT);
    ck_assert_ptr_nonnull(strstr(err.msg, ": more than 100000 values"));
}
END_TEST

static void assert_text(const struct tm_json *json, const char *expected)
{
    char *text = tm_json_text(json);
    ck_assert_str_eq(text, expected);
    free(text);
}

START_TEST(documents_are_written_compactly_in_order)
{
    TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "name", "orders \"eu\"\n\x01");
    tm_json_add_str(json, "left_out", NULL);
    tm_json_add_bool(json, "ok", true);
    tm_json_add_bool(json, "bad", false);
    tm_json_add_null(json, "none");
    tm_json_add_time(json, "at", 1795390200000);
    struct tm_json *list = tm_json_add(json, "list", tm_json_array());
    tm_json_push_str(list, "x");
    tm_json_push_int(list, -5);
    struct tm_json *inner = tm_json_push(list, tm_json_object());
    tm_json_add_int(inner, "n", 1);
    assert_text(json,
            "{\"name\":\"orders \\\"eu\\\"\\n\\u0001\",\"ok\":true,\"bad\":false,\"none\":null,"
            "\"at\":\"2026-11-22T23:30:00.000Z\",\"list\":[\"x\",-5,{\"n\":1}]}");
    tm_json_free(NULL);
}
END_TEST

START_TEST(integers_are_written_in_full)
{
    TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
    tm_json_add_int(json, "a", 1000000000000000);
    tm_json_add_int(json, "b", 9007199254740993);
    tm_json_add_int(json, "c", INT64_MAX);
    tm_json_add_int(json, "d", INT64_MIN);
    assert_text(json, "{\"a\":1000000000000000,\"b\":9007199254740993,\"c\":9223372036854775807,"
                      "\"d\":-9223372036854775808}");
}
END_TEST

START_TEST(reals_are_written_in_the_shortest_form_that_reads_back)
{
    TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
    tm_json_add_real(json, "a", 0.1);
    tm_json_add_real(json, "b", 1.0 / 3);
    tm_json_add_real(json, "c", 2);
    tm_json_add_real(json, "d", (double)NAN);
    tm_json_add_real(json, "e", -(double)INFINITY);
    tm_json_add_real(json, "f", 1.5e300);
    assert_text(json,
            "{\"a\":0.1,\"b\":0.3333333333333333,\"c\":2,\"d\":null,\"e\":null,\"f\":1.5e+300}");
}
END_TEST

START_TEST(bytes_that_are_not_utf8_are_replaced)
{
    TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "a", "x\xffy\xc3\xa4");
    tm_json_add_int(json, "k\x80", 1);
    assert_text(json, "{\"a\":\"x\xef\xbf\xbdy\xc3\xa4\",\"k\xef\xbf\xbd\":1}");
}
END_TEST

START_TEST(what_is_written_reads_back)
{
    TM_OWN(tm_json_free) struct tm_json *json = tm_json_object();
    tm_json_add_int(json, "n", INT64_MIN);
    tm_json_add_str(json, "s", "\t/\\ \x7f \xf0\x9f\x98\x80");
    tm_json_add_real(json, "r", 0.7);
    char *text = tm_json_text(json);
    struct tm_arena arena = {0};
    const struct tm_json_value *root = NULL;
    struct tm_err err = {0};
    ck_assert_int_eq(read_text(text, strlen(text), &arena, &root, NULL, &err), TM_OK);
    TM_BUF_OWN struct tm_buf shown = {0};
    show(root, &shown);
    ck_assert_str_eq(tm_buf_text(&shown),
            "{n:-9223372036854775808 s:<\t/\\ \x7f \xf0\x9f\x98\x80> r:real 0.69999999999999996}");
    tm_arena_done(&arena);
    free(text);
}
END_TEST

static const struct {
    const char *text;
    const char *expected;
} quoted[] = {
        {"{\"a\":9007199254740993,\"b\":[-1,0]}",
                "{\"a\":\"9007199254740993\",\"b\":[\"-1\",\"0\"]}"},
        {"{\"a\":0.5,\"b\":1e+15,\"c\":-2.0}", "{\"a\":0.5,\"b\":1e+15,\"c\":-2.0}"},
        {"{\"7\":\"8 \\\" 9\",\"t\":[true,false,null]}",
                "{\"7\":\"8 \\\" 9\",\"t\":[true,false,null]}"},
        {"{\"a\":\"1\\\\\",\"b\":2}", "{\"a\":\"1\\\\\",\"b\":\"2\"}"},
        {"3", "\"3\""},
};

START_TEST(integers_become_strings_and_nothing_else_does)
{
    TM_BUF_OWN struct tm_buf out = {0};
    tm_json_quote_integers(quoted[_i].text, &out);
    ck_assert_str_eq(tm_buf_text(&out), quoted[_i].expected);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("json");
    tcase_add_loop_test(tcase, documents_are_read_as_meant, 0, (int)LENGTH(documents));
    tcase_add_loop_test(tcase, malformed_text_is_refused_with_its_place, 0, (int)LENGTH(malformed));
    tcase_add_test(tcase, no_beginning_of_a_document_is_one);
    tcase_add_test(tcase, nul_is_refused_wherever_it_stands);
    tcase_add_test(tcase, values_know_their_line_and_column);
    tcase_add_test(tcase, nesting_is_bounded);
    tcase_add_test(tcase, siblings_are_not_nested);
    tcase_add_test(tcase, number_of_values_is_bounded);
    tcase_add_test(tcase, documents_are_written_compactly_in_order);
    tcase_add_test(tcase, integers_are_written_in_full);
    tcase_add_test(tcase, reals_are_written_in_the_shortest_form_that_reads_back);
    tcase_add_test(tcase, bytes_that_are_not_utf8_are_replaced);
    tcase_add_test(tcase, what_is_written_reads_back);
    tcase_add_loop_test(
            tcase, integers_become_strings_and_nothing_else_does, 0, (int)LENGTH(quoted));

    Suite *suite = suite_create("json");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
