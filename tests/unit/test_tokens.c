/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of config/tokens: the lines of a tokens file. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "loader.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* SHA-256 of "a" and "b", by sha256sum(1). */
#define HASH_A "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
#define HASH_B "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"
#define LINE \
    "a line is: name scope[,scope] sha256:HEX [policies=A,B] [clusters=A,B] [target=A,B] " \
    "[expires=RFC3339]"

static const int64_t now_ms = INT64_C(1795390200000); /* 2026-11-22T23:30:00Z */

struct read {
    struct tm_arena arena;
    struct tm_config_token *tokens;
    size_t count;
    struct tm_config_report report;
};

static struct read read_tokens(struct tm_slice text)
{
    struct read read = {.count = 77};
    struct tm_findings findings = {0};
    (void)tm_findings_file(&findings, "tokens");
    read.tokens = tm_tokens_parse(text, now_ms, &findings, &read.arena, &read.count);
    tm_findings_write(&findings, &read.report);
    tm_findings_done(&findings);
    return read;
}

static void done(struct read *read)
{
    tm_config_report_done(&read->report);
    tm_arena_done(&read->arena);
}

/* clang-format off */
static const struct {
    const char *text;
    const char *name;
    unsigned scopes;
    int64_t expires_ms;
} accepted[] = {
    {"ci read sha256:" HASH_A,                 "ci", TM_SCOPE_READ, 0},
    {"ci read sha256:" HASH_A "\n",            "ci", TM_SCOPE_READ, 0},
    {"ci read sha256:" HASH_A "\r\n",          "ci", TM_SCOPE_READ, 0},
    {"# x\n\n \t \n\tci  read,operate\tsha256:" HASH_A " # y\n",
                                               "ci", TM_SCOPE_READ | TM_SCOPE_OPERATE, 0},
    {"a@b.c_d-E9 admin,restore,operate,read sha256:" HASH_A "\n", "a@b.c_d-E9",
        TM_SCOPE_READ | TM_SCOPE_OPERATE | TM_SCOPE_RESTORE | TM_SCOPE_ADMIN, 0},
    {"ci restore sha256:" HASH_A " expires=2027-01-31T00:00:00Z\n",
                                               "ci", TM_SCOPE_RESTORE, INT64_C(1801353600000)},
    {"ci admin sha256:" HASH_A " expires=2027-01-31t01:00:00.5+01:00\n",
                                               "ci", TM_SCOPE_ADMIN, INT64_C(1801353600500)},
    {"ci read,read sha256:" HASH_A "\n",       "ci", TM_SCOPE_READ, 0},
};
/* clang-format on */

START_TEST(a_line_gives_a_token)
{
    struct read read = read_tokens(tm_slice_str(accepted[_i].text));
    struct tm_hash hash = tm_sha256_of(tm_slice_str("a"));
    ck_assert_str_eq(tm_buf_text(&read.report.text), "");
    ck_assert_uint_eq(read.count, 1);
    ck_assert_str_eq(read.tokens[0].name, accepted[_i].name);
    ck_assert_uint_eq(read.tokens[0].scopes, accepted[_i].scopes);
    ck_assert_int_eq(read.tokens[0].expires_ms, accepted[_i].expires_ms);
    ck_assert(tm_hash_eq(&read.tokens[0].sha256, &hash));
    done(&read);
}
END_TEST

/* clang-format off */
static const struct {
    const char *text;
    const char *report;
} refused[] = {
    {"ci read\n",               "tokens:1:1: error: server.tokens_file: " LINE "\n"},
    {"\n  ci\n",                "tokens:2:3: error: server.tokens_file: " LINE "\n"},
    {"c/i read sha256:" HASH_A, "tokens:1:1: error: server.tokens_file: \"c/i\" is not a name; write up "
                                "to 64 of a-z A-Z 0-9 . _ - @\n"},
    {"ci raed sha256:" HASH_A,  "tokens:1:4: error: server.tokens_file: unknown scope \"raed\"; did you "
                                "mean \"read\"?\n"},
    {"ci read,write sha256:" HASH_A,
                                "tokens:1:9: error: server.tokens_file: unknown scope \"write\"; there are "
                                "read, operate, restore, admin\n"},
    {"ci read, sha256:" HASH_A, "tokens:1:9: error: server.tokens_file: unknown scope \"\"; there are read, "
                                "operate, restore, admin\n"},
    {"ci read sha1:" HASH_A,    "tokens:1:9: error: server.tokens_file: the hash of a token is written "
                                "sha256: and 64 hexadecimal digits\n"},
    {"ci read sha256:" HASH_A "0",
                                "tokens:1:9: error: server.tokens_file: the hash of a token is written "
                                "sha256: and 64 hexadecimal digits\n"},
    {"ci read sha256:abcd",     "tokens:1:9: error: server.tokens_file: the hash of a token is written "
                                "sha256: and 64 hexadecimal digits\n"},
    {"ci read tm_0123456789abcdef0123",
                                "tokens:1:9: error: server.tokens_file: a token itself stands here; write "
                                "sha256: and its hash, from printf %s TOKEN | sha256sum\n"},
    {"ci tm_0123456789abcdef0123",
                                "tokens:1:4: error: server.tokens_file: a token itself stands here; write "
                                "sha256: and its hash, from printf %s TOKEN | sha256sum\n"},
    {"ci read sha256:" HASH_A " clusters=",
                                "tokens:1:81: error: server.tokens_file: \"clusters=\" is no list of names; write them as a,b,c\n"},
    {"ci read sha256:" HASH_A " target=a,,b",
                                "tokens:1:81: error: server.tokens_file: \"target=a,,b\" is no list of names; write them as a,b,c\n"},
    {"ci read sha256:" HASH_A " policies=a,",
                                "tokens:1:81: error: server.tokens_file: \"policies=a,\" is no list of names; write them as a,b,c\n"},
    {"ci read sha256:" HASH_A " policies=a policies=b",
                                "tokens:1:92: error: server.tokens_file: \"policies=b\" is given twice\n"},
    {"ci read sha256:" HASH_A " until=x",
                                "tokens:1:81: error: server.tokens_file: \"until=x\" is not known; " LINE "\n"},
    {"ci read sha256:" HASH_A " expires=2027-01-31",
                                "tokens:1:81: error: server.tokens_file: \"expires=2027-01-31\" is no time; "
                                "write expires=2027-01-31T00:00:00Z\n"},
    {"ci read sha256:" HASH_A " expires=-2h",
                                "tokens:1:81: error: server.tokens_file: \"expires=-2h\" is no time; "
                                "write expires=2027-01-31T00:00:00Z\n"},
    {"ci read sha256:" HASH_A " expires=1801353600000",
                                "tokens:1:81: error: server.tokens_file: \"expires=1801353600000\" is no "
                                "time; write expires=2027-01-31T00:00:00Z\n"},
    {"ci read sha256:" HASH_A " expires=2027-02-31T00:00:00Z",
                                "tokens:1:81: error: server.tokens_file: \"expires=2027-02-31T00:00:00Z\" is "
                                "no time; write expires=2027-01-31T00:00:00Z\n"},
    {"ci read sha256:" HASH_A " expires=2027-01-31T00:00:00Z expires=2028-01-31T00:00:00Z",
                                "tokens:1:110: error: server.tokens_file: \"expires=2028-01-31T00:00:00Z\" is "
                                "given twice\n"},
    {"ci read sha256:" HASH_A "\n\nci read sha256:" HASH_B,
                                "tokens:3:1: error: server.tokens_file: \"ci\" is already the name of a token "
                                "(line 1)\n"},
    {"ci read sha256:" HASH_A "\nme read sha256:" HASH_A,
                                "tokens:2:9: error: server.tokens_file: the token of \"ci\" (line 1) stands "
                                "here again\n"},
};
/* clang-format on */

START_TEST(a_line_may_narrow_its_token)
{
    static const char text[] =
            "ci read sha256:" HASH_A
            " target=test policies=a,b expires=2027-01-31T00:00:00Z clusters=c\n";
    struct read read = read_tokens(tm_slice_str(text));
    ck_assert_str_eq(tm_buf_text(&read.report.text), "");
    ck_assert_uint_eq(read.count, 1);
    const struct tm_config_token *token = &read.tokens[0];
    ck_assert_uint_eq(token->policies.count, 2);
    ck_assert_str_eq(token->policies.at[0], "a");
    ck_assert_str_eq(token->policies.at[1], "b");
    ck_assert_uint_eq(token->clusters.count, 1);
    ck_assert_str_eq(token->clusters.at[0], "c");
    ck_assert_uint_eq(token->targets.count, 1);
    ck_assert_str_eq(token->targets.at[0], "test");
    done(&read);
}
END_TEST

START_TEST(what_is_wrong_in_a_line_is_said_with_its_place)
{
    struct read read = read_tokens(tm_slice_str(refused[_i].text));
    bool has_good_line = strstr(refused[_i].text, HASH_A "\n") != NULL;
    ck_assert_str_eq(tm_buf_text(&read.report.text), refused[_i].report);
    ck_assert_uint_eq(read.report.errors, 1);
    ck_assert_uint_eq(read.count, has_good_line ? 1 : 0);
    done(&read);
}
END_TEST

START_TEST(a_token_that_has_expired_is_kept_with_a_warning)
{
    struct read read =
            read_tokens(tm_slice_str("ci read sha256:" HASH_A " expires=2026-11-22T23:30:00Z\n"));
    ck_assert_str_eq(tm_buf_text(&read.report.text),
            "tokens:1:81: warning: server.tokens_file: \"ci\" expired at 2026-11-22T23:30:00Z\n");
    ck_assert_uint_eq(read.report.errors, 0);
    ck_assert_uint_eq(read.count, 1);
    done(&read);
}
END_TEST

START_TEST(every_line_is_read_and_all_errors_are_listed)
{
    struct read read = read_tokens(tm_slice_str("a read sha256:" HASH_A "\n"
                                                "b x,y sha256:1 z\n"
                                                "c admin sha256:" HASH_B "\n"));
    ck_assert_uint_eq(read.report.errors, 4);
    ck_assert_uint_eq(read.count, 2);
    ck_assert_str_eq(read.tokens[0].name, "a");
    ck_assert_str_eq(read.tokens[1].name, "c");
    done(&read);
}
END_TEST

START_TEST(an_empty_file_has_no_tokens)
{
    struct read read = read_tokens(tm_slice_str("# none yet\n"));
    ck_assert_uint_eq(read.count, 0);
    ck_assert_ptr_null(read.tokens);
    ck_assert_str_eq(tm_buf_text(&read.report.text), "");
    done(&read);
}
END_TEST

START_TEST(a_nul_byte_is_refused)
{
    static const char text[] = "ci read\0 sha256:" HASH_A;
    struct read read = read_tokens(tm_slice_of(text, sizeof(text) - 1));
    ck_assert_str_eq(tm_buf_text(&read.report.text),
            "tokens:1:1: error: server.tokens_file: the line holds a NUL byte\n");
    done(&read);
}
END_TEST

START_TEST(a_thousand_tokens_are_read_and_no_more)
{
    TM_BUF_OWN struct tm_buf text = {0};
    for (unsigned i = 0; i < 1000; i++) {
        tm_buf_add_fmt(&text, "t%u read sha256:%064x\n", i, i);
    }
    struct read read = read_tokens(tm_buf_slice(&text));
    ck_assert_uint_eq(read.count, 1000);
    ck_assert_uint_eq(read.report.errors, 0);
    done(&read);

    tm_buf_add_fmt(&text, "u read sha256:%064x\n", 1000);
    read = read_tokens(tm_buf_slice(&text));
    ck_assert_str_eq(tm_buf_text(&read.report.text),
            "tokens:1001:1: error: server.tokens_file: more than 1000 tokens in one file\n");
    done(&read);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("tokens");
    tcase_add_loop_test(tcase, a_line_gives_a_token, 0, (int)LENGTH(accepted));
    tcase_add_test(tcase, a_line_may_narrow_its_token);
    tcase_add_loop_test(
            tcase, what_is_wrong_in_a_line_is_said_with_its_place, 0, (int)LENGTH(refused));
    tcase_add_test(tcase, a_token_that_has_expired_is_kept_with_a_warning);
    tcase_add_test(tcase, every_line_is_read_and_all_errors_are_listed);
    tcase_add_test(tcase, an_empty_file_has_no_tokens);
    tcase_add_test(tcase, a_nul_byte_is_refused);
    tcase_add_test(tcase, a_thousand_tokens_are_read_and_no_more);

    Suite *suite = suite_create("tokens");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
