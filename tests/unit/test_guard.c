/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/http/guard: which addresses each reach allows. */
#include "http/guard.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* clang-format off */
static const struct {
    const char *address;
    enum tm_http_reach widest; /* the most careful reach that goes there */
} cases[] = {
    {"93.184.216.34",          TM_HTTP_PUBLIC},
    {"172.15.255.255",         TM_HTTP_PUBLIC},
    {"172.32.0.0",             TM_HTTP_PUBLIC},
    {"169.253.255.255",        TM_HTTP_PUBLIC},
    {"100.128.0.1",            TM_HTTP_PUBLIC},
    {"223.255.255.255",        TM_HTTP_PUBLIC},
    {"2606:2800:220:1::1",     TM_HTTP_PUBLIC},
    {"::ffff:93.184.216.34",   TM_HTTP_PUBLIC},
    {"64:ff9b::5db8:d822",     TM_HTTP_PUBLIC},
    {"127.0.0.1",              TM_HTTP_PRIVATE},
    {"127.255.0.1",            TM_HTTP_PRIVATE},
    {"10.1.2.3",               TM_HTTP_PRIVATE},
    {"172.16.0.1",             TM_HTTP_PRIVATE},
    {"172.31.255.255",         TM_HTTP_PRIVATE},
    {"192.168.1.1",            TM_HTTP_PRIVATE},
    {"100.64.0.1",             TM_HTTP_PRIVATE},
    {"::1",                    TM_HTTP_PRIVATE},
    {"fd12:3456::1",           TM_HTTP_PRIVATE},
    {"::ffff:127.0.0.1",       TM_HTTP_PRIVATE},
    {"::10.0.0.1",             TM_HTTP_PRIVATE},
    {"64:ff9b::7f00:1",        TM_HTTP_PRIVATE},
    {"2002:c0a8:101::1",       TM_HTTP_PRIVATE},
    {"0.0.0.0",                TM_HTTP_ANYWHERE},
    {"169.254.169.254",        TM_HTTP_ANYWHERE},
    {"169.254.0.0",            TM_HTTP_ANYWHERE},
    {"100.100.100.200",        TM_HTTP_ANYWHERE},
    {"224.0.0.1",              TM_HTTP_ANYWHERE},
    {"255.255.255.255",        TM_HTTP_ANYWHERE},
    {"::",                     TM_HTTP_ANYWHERE},
    {"fe80::1",                TM_HTTP_ANYWHERE},
    {"febf::1",                TM_HTTP_ANYWHERE},
    {"ff02::1",                TM_HTTP_ANYWHERE},
    {"fd00:ec2::254",          TM_HTTP_ANYWHERE},
    {"::ffff:169.254.169.254", TM_HTTP_ANYWHERE},
    {"64:ff9b::a9fe:a9fe",     TM_HTTP_ANYWHERE},
};
/* clang-format on */

static bool allows(enum tm_http_reach reach, const char *text)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in *four = (struct sockaddr_in *)&address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address;
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        address.ss_family = AF_INET;
    } else {
        ck_assert_int_eq(inet_pton(AF_INET6, text, &six->sin6_addr), 1);
        address.ss_family = AF_INET6;
    }
    return tm_guard_allows(reach, (const struct sockaddr *)&address);
}

START_TEST(each_reach_goes_as_far_as_it_may)
{
    const char *address = cases[_i].address;
    ck_assert(allows(TM_HTTP_ANYWHERE, address));
    ck_assert_msg(allows(TM_HTTP_PRIVATE, address) == (cases[_i].widest >= TM_HTTP_PRIVATE), "%s",
            address);
    ck_assert_msg(
            allows(TM_HTTP_PUBLIC, address) == (cases[_i].widest >= TM_HTTP_PUBLIC), "%s", address);
}
END_TEST

START_TEST(what_is_no_internet_address_is_refused)
{
    struct sockaddr_storage address = {.ss_family = AF_UNIX};
    ck_assert(!tm_guard_allows(TM_HTTP_PRIVATE, (const struct sockaddr *)&address));
    ck_assert(tm_guard_allows(TM_HTTP_ANYWHERE, (const struct sockaddr *)&address));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guard");
    TCase *tcase = tcase_create("guard");
    tcase_add_loop_test(tcase, each_reach_goes_as_far_as_it_may, 0, (int)LENGTH(cases));
    tcase_add_test(tcase, what_is_no_internet_address_is_refused);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
