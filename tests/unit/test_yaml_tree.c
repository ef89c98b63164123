/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of config/yaml_tree: what a file becomes, where each part stands, and what is refused. */
#include "yaml_tree.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

struct read {
    struct tm_arena arena;
    struct tm_yaml *root;
    struct tm_config_report report;
};

static struct read read_yaml(struct tm_slice text)
{
    struct read read = {0};
    struct tm_findings findings = {0};
    (void)tm_findings_file(&findings, "t.yaml");
    read.root = tm_yaml_read(text, &findings, &read.arena);
    tm_findings_write(&findings, &read.report);
    tm_findings_done(&findings);
    return read;
}

static void done(struct read *read)
{
    tm_config_report_done(&read->report);
    tm_arena_done(&read->arena);
}

/* {key@LINE:COL=value@LINE:COL ...}, [...], 'plain', "quoted", ! for what is bad */
static void dump(const struct tm_yaml *node, struct tm_buf *out)
{
    if (node->key != NULL) {
        tm_buf_add_fmt(out, "%s@%u:%u=", node->key, node->key_at.line, node->key_at.column);
    }
    if (node->kind == TM_YAML_TEXT) {
        const char *quote = node->plain ? "'" : "\"";
        tm_buf_add_fmt(out, "%s%s%s", quote, node->text, quote);
    } else if (node->kind == TM_YAML_BAD) {
        tm_buf_add_text(out, "!");
    } else {
        bool is_list = node->kind == TM_YAML_LIST;
        size_t count = 0;
        tm_buf_add_text(out, is_list ? "[" : "{");
        for (const struct tm_yaml *at = node->first; at != NULL; at = at->next) {
            tm_buf_add_text(out, count++ > 0 ? " " : "");
            dump(at, out);
        }
        ck_assert_uint_eq(count, node->count);
        tm_buf_add_text(out, is_list ? "]" : "}");
    }
    tm_buf_add_fmt(out, "@%u:%u", node->at.line, node->at.column);
}

/* clang-format off */
static const struct {
    const char *text;
    const char *tree;
} trees[] = {
    {"a: 1\nb: two words\n",   "{a@1:1='1'@1:4 b@2:1='two words'@2:4}@1:1"},
    {"a: \"1\"\nb: ''\nc:\n",  "{a@1:1=\"1\"@1:4 b@2:1=\"\"@2:4 c@3:1=''@3:3}@1:1"},
    {"- x\n- [y, z]\n- {k: v}\n",
                               "['x'@1:3 ['y'@2:4 'z'@2:7]@2:3 {k@3:4='v'@3:7}@3:3]@1:1"},
    {"a:\n  - n: 1\n    m: 2\n",
                               "{a@1:1=[{n@2:5='1'@2:8 m@3:5='2'@3:8}@2:5]@2:3}@1:1"},
    {"{\"a\": [true, 1.10, 010, no]}",
                               "{a@1:2=['true'@1:8 '1.10'@1:14 '010'@1:20 'no'@1:25]@1:7}@1:1"},
    {"# first\n---\na: >\n  folded\n  text\n...\n",
                               "{a@3:1=\"folded text\n\"@3:4}@3:1"},
    {"\xef\xbb\xbf" "a: b\n",  "{a@1:1='b'@1:4}@1:1"},
    {"\xc3\xa4: {\xc3\xb6: 1}\n", "{\xc3\xa4@1:1={\xc3\xb6@1:5='1'@1:8}@1:4}@1:1"}, /* characters */
    {"a: b # c\r\nd: e\r\n",   "{a@1:1='b'@1:4 d@2:1='e'@2:4}@1:1"},
    {"\"\": 1\n? b\n",         "{@1:1='1'@1:5 b@2:3=''@3:1}@1:1"},
    {"text",                   "'text'@1:1"},
    {"\"<<\": 1\n",            "{<<@1:1='1'@1:7}@1:1"}, /* quoted: a key like any other */
};
/* clang-format on */

START_TEST(a_file_becomes_a_tree_with_places)
{
    struct read read = read_yaml(tm_slice_str(trees[_i].text));
    TM_BUF_OWN struct tm_buf out = {0};
    ck_assert_str_eq(tm_buf_text(&read.report.text), "");
    dump(read.root, &out);
    ck_assert_str_eq(tm_buf_text(&out), trees[_i].tree);
    done(&read);
}
END_TEST

/* clang-format off */
static const struct {
    const char *text;
    const char *report;
} refused[] = {
    {"",            "t.yaml:1:1: error: the file is empty\n"},
    {"# only\n",    "t.yaml:1:1: error: the file is empty\n"},
    {"a:\n- b\n- c\n d\n- e\n  f: 1\n",
                    "t.yaml:6:4: error: mapping values are not allowed in this context\n"},
    {"l:\n  - a: 1\n    b: 2\n   c: 3\n",
                    "t.yaml:4:4: error: did not find expected '-' indicator (list started at line 2)\n"},
    {"a: 1\n  b: 2\n",
                    "t.yaml:2:4: error: mapping values are not allowed in this context\n"},
    {"x:\n  a: 1\n b: 2\n",
                    "t.yaml:3:2: error: did not find expected key (map started at line 1)\n"},
    {"a: [1, 2\nb: 3\n",
                    "t.yaml:2:2: error: did not find expected ',' or ']' (list started at line 1)\n"},
    {"a: {b: 1\n",  "t.yaml:2:1: error: did not find expected ',' or '}' (map started at line 1)\n"},
    {"a: \"b\nc: 1\n",
                    "t.yaml:3:1: error: found unexpected end of stream (text started at line 1)\n"},
    {"a:\n\tb: 1\n", "t.yaml:2:1: error: tab used for indentation\n"},
    {"a:\n  b: 1\n\tc: 1\n", "t.yaml:3:1: error: tab used for indentation\n"},
    {"a: %b\n",     "t.yaml:1:4: error: found character that cannot start any token\n"},
    {"a: b\n\xff",  "t.yaml:2:1: error: invalid leading UTF-8 octet; the file has to be UTF-8 text\n"},
    {"a: \xc3\xa4\x01\n",
                    "t.yaml:1:5: error: control characters are not allowed; the file has to be UTF-8 "
                    "text\n"},
    {"a: 1\n---\nb: 1\n", "t.yaml:2:1: error: a second document (---) is not supported\n"},
    {"? [a, b]\n: 1\n",   "t.yaml:1:3: error: a key must be text, not a list or map\n"},
    {"%TAG ! tag:x,2000:\n---\na: 1\n",
                    "t.yaml:1:1: error: tags (%TAG) are not supported\n"},
};
/* clang-format on */

START_TEST(what_is_not_yaml_is_refused_with_its_place)
{
    struct read read = read_yaml(tm_slice_str(refused[_i].text));
    ck_assert_str_eq(tm_buf_text(&read.report.text), refused[_i].report);
    ck_assert_uint_eq(read.report.errors, 1);
    done(&read);
}
END_TEST

/* clang-format off */
static const struct {
    const char *text;
    const char *report;
    const char *tree;
} partly[] = {
    {"a: &x 1\nb: *x\n",
     "t.yaml:1:4: error: a: anchors (&x) are not supported\n"
     "t.yaml:2:4: error: b: aliases (*x) are not supported\n",
     "{a@1:1='1'@1:4 b@2:1=!@2:4}@1:1"},
    {"p:\n- &l [1]\n- &m {a: 1}\n- *l\n",
     "t.yaml:2:3: error: p[0]: anchors (&x) are not supported\n"
     "t.yaml:3:3: error: p[1]: anchors (&x) are not supported\n"
     "t.yaml:4:3: error: p[2]: aliases (*x) are not supported\n",
     "{p@1:1=[['1'@2:7]@2:3 {a@3:7='1'@3:10}@3:3 !@4:3]@2:1}@1:1"},
    {"a: {<<: {b: 1}, c: 2}\n",
     "t.yaml:1:5: error: a: merge keys (<<) are not supported\n",
     "{a@1:1={c@1:17='2'@1:20}@1:4}@1:1"},
    {"a: !!str 1\nb: !x [2]\n",
     "t.yaml:1:4: error: a: tags (!x) are not supported\n"
     "t.yaml:2:4: error: b: tags (!x) are not supported\n",
     "{a@1:1='1'@1:4 b@2:1=['2'@2:8]@2:4}@1:1"},
    {"policies:\n- name: p\n  retention: {k: 1}\n  x: 1\n  retention: {k: 2}\n  retention: 3\n",
     "t.yaml:5:3: error: policies[0].retention: key given twice (first at line 3)\n"
     "t.yaml:6:3: error: policies[0].retention: key given twice (first at line 3)\n",
     "{policies@1:1=[{name@2:3='p'@2:9 retention@3:3={k@3:15='1'@3:18}@3:14 x@4:3='1'@4:6}@2:3]@2:1}"
     "@1:1"},
    {"a: \"x\\0y\"\n\"b\\0\": 1\n",
     "t.yaml:1:4: error: a: a text cannot hold a NUL character (\\0)\n"
     "t.yaml:2:1: error: a text cannot hold a NUL character (\\0)\n",
     "{a@1:1=!@1:4 b@2:1='1'@2:8}@1:1"},
    {"a: &x b\n? *x\n: 1\nc: 2\n",
     "t.yaml:1:4: error: a: anchors (&x) are not supported\n"
     "t.yaml:2:3: error: aliases (*x) are not supported\n",
     "{a@1:1='b'@1:4 c@4:1='2'@4:4}@1:1"},
};
/* clang-format on */

START_TEST(what_is_not_supported_is_refused_and_reading_goes_on)
{
    TM_BUF_OWN struct tm_buf out = {0};
    struct read read = read_yaml(tm_slice_str(partly[_i].text));
    ck_assert_str_eq(tm_buf_text(&read.report.text), partly[_i].report);
    ck_assert_ptr_nonnull(read.root);
    dump(read.root, &out);
    ck_assert_str_eq(tm_buf_text(&out), partly[_i].tree);
    done(&read);
}
END_TEST

static void repeat(struct tm_buf *out, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++) {
        tm_buf_add_text(out, text);
    }
}

START_TEST(sixteen_levels_are_read_and_no_more)
{
    TM_BUF_OWN struct tm_buf text = {0};
    repeat(&text, "[", 16);
    repeat(&text, "]", 16);
    struct read read = read_yaml(tm_buf_slice(&text));
    ck_assert_ptr_nonnull(read.root);
    done(&read);

    tm_buf_clear(&text);
    repeat(&text, "[", 17);
    repeat(&text, "]", 17);
    read = read_yaml(tm_buf_slice(&text));
    ck_assert_ptr_null(read.root);
    ck_assert_str_eq(tm_buf_text(&read.report.text),
            "t.yaml:1:17: error: [0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]: lists and maps "
            "are nested more than 16 deep\n");
    done(&read);
}
END_TEST

START_TEST(ten_thousand_events_are_read_and_no_more)
{
    TM_BUF_OWN struct tm_buf text = {0};
    /* Begin and end of stream, document and list: 6. */
    repeat(&text, "- x\n", TM_YAML_EVENTS_MAX - 6);
    struct read read = read_yaml(tm_buf_slice(&text));
    ck_assert_ptr_nonnull(read.root);
    ck_assert_uint_eq(read.root->count, TM_YAML_EVENTS_MAX - 6);
    done(&read);

    repeat(&text, "- x\n", 1);
    read = read_yaml(tm_buf_slice(&text));
    ck_assert_ptr_null(read.root);
    ck_assert_str_eq(tm_buf_text(&read.report.text),
            "t.yaml:9996:1: error: more than 10000 keys and values in one file\n");
    done(&read);
}
END_TEST

START_TEST(one_mebibyte_is_read_and_no_more)
{
    TM_BUF_OWN struct tm_buf text = {0};
    tm_buf_add_text(&text, "a: 1\n#");
    repeat(&text, " ", TM_YAML_BYTES_MAX - text.len);
    struct read read = read_yaml(tm_buf_slice(&text));
    ck_assert_ptr_nonnull(read.root);
    done(&read);

    tm_buf_add_text(&text, " ");
    read = read_yaml(tm_buf_slice(&text));
    ck_assert_ptr_null(read.root);
    ck_assert_str_eq(
            tm_buf_text(&read.report.text), "t.yaml:1:1: error: the file is larger than 1 MiB\n");
    done(&read);
}
END_TEST

START_TEST(members_are_found_by_their_keys)
{
    struct read read = read_yaml(tm_slice_str("a: 1\nb: {c: 2}\nd: [3]\n"));
    const struct tm_yaml *b = tm_yaml_get(read.root, "b");
    ck_assert_str_eq(tm_yaml_get(read.root, "a")->text, "1");
    ck_assert_str_eq(tm_yaml_get(b, "c")->text, "2");
    ck_assert_ptr_null(tm_yaml_get(b, "a"));
    ck_assert_ptr_null(tm_yaml_get(tm_yaml_get(read.root, "d"), "3"));
    ck_assert_ptr_null(tm_yaml_get(tm_yaml_get(read.root, "a"), "1"));
    ck_assert_ptr_null(tm_yaml_get(NULL, "a"));
    done(&read);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("yaml_tree");
    tcase_add_loop_test(tcase, a_file_becomes_a_tree_with_places, 0, (int)LENGTH(trees));
    tcase_add_loop_test(tcase, what_is_not_yaml_is_refused_with_its_place, 0, (int)LENGTH(refused));
    tcase_add_loop_test(
            tcase, what_is_not_supported_is_refused_and_reading_goes_on, 0, (int)LENGTH(partly));
    tcase_add_test(tcase, sixteen_levels_are_read_and_no_more);
    tcase_add_test(tcase, ten_thousand_events_are_read_and_no_more);
    tcase_add_test(tcase, one_mebibyte_is_read_and_no_more);
    tcase_add_test(tcase, members_are_found_by_their_keys);

    Suite *suite = suite_create("yaml_tree");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
