/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of config: what a reload finds to differ, and what of it needs a restart. */
#include "config_rig.h"
#include "options.h"

#define CLUSTERS "clusters: [{name: prod, bootstrap: 'k:9092'}, {name: lab, bootstrap: 'l:9092'}]\n"
#define VAULTS \
    "vaults: [{name: main, type: disk, path: /v, passphrase: '${env:TM_NONE:-one long " \
    "phrase}'}]\n"
#define POLICY \
    "policies: [{name: p, cluster: prod, vault: main, topics: {include: [a]}, schedule: " \
    "'@daily'}]\n"
#define REST    "verify: [{vault: main, schedule: '@weekly'}]\n"
#define HOOKS   "hooks: [{name: h, url: 'https://x', on: [vault.up]}]\n"
#define VERSION "version: 1\n"
#define P(more) \
    "policies: [{name: p, cluster: prod, vault: main, topics: {include: [a]}, schedule: " \
    "'@daily'" more "}]\n"

static const char base[] = VERSION CLUSTERS VAULTS POLICY REST HOOKS;

static struct tm_config *load(const char *text)
{
    const struct tm_config_load_options options = {.read_secrets = true};
    struct parsed parsed = parse_with(text, "t.yaml", &options);
    ck_assert_msg(parsed.config != NULL, "%s", tm_buf_text(&parsed.report.text));
    tm_config_report_done(&parsed.report);
    return parsed.config;
}

static void told(void *arg, const struct tm_config_difference *difference)
{
    static const char *const names[] = {"added", "removed", "changed", "RESTART"};
    tm_buf_add_fmt(arg, "%s %s", names[difference->change], difference->path);
    const char *name = difference->name != NULL ? difference->name : "";
    tm_buf_add_fmt(arg, "%s%s\n", name[0] != '\0' ? " " : "", name);
}

static const char *differ(const char *now, const char *next, struct tm_buf *out)
{
    struct tm_config *a = load(now);
    struct tm_config *b = load(next);
    tm_config_differ(a, b, told, out);
    tm_config_free(a);
    tm_config_free(b);
    return tm_buf_text(out);
}

/* clang-format off */
static const struct {
    const char *next;
    const char *told;
} pairs[] = {
    {VERSION CLUSTERS VAULTS POLICY REST HOOKS, ""},
    /* what is written is what is the default, in another order and form */
    {VERSION HOOKS REST VAULTS CLUSTERS P(", jitter: 0s, overlap: skip, rpo: 0s, timezone: UTC")
     "server: {max_body: 1MiB}\nlog: {level: info}\n", ""},

    {VERSION CLUSTERS VAULTS POLICY REST HOOKS "log: {level: debug}\n", "changed log.level\n"},
    {VERSION CLUSTERS VAULTS POLICY REST HOOKS "jobs: {max_running: 2, max_queued: 7, keep: 40d, idempotency_ttl: 2h}\n",
     "changed jobs.keep\nchanged jobs.max_running\nchanged jobs.max_queued\nchanged jobs.idempotency_ttl\n"},

    {VERSION CLUSTERS VAULTS P(", rpo: 2d") REST HOOKS, "changed policies p\n"},
    {VERSION CLUSTERS VAULTS P(", internal_topics: true") REST HOOKS, "changed policies p\n"},
    {VERSION CLUSTERS VAULTS P(", limits: {workers: 3}") REST HOOKS, "changed policies p\n"},
    {VERSION CLUSTERS VAULTS P(", retention: {keep_last: 3}") REST HOOKS, "changed policies p\n"},
    {VERSION CLUSTERS VAULTS P(", timezone: Europe/Berlin") REST HOOKS, "changed policies p\n"},
    {VERSION CLUSTERS VAULTS P(", drill: {schedule: '', target_cluster: lab, topic_prefix: d.}") REST HOOKS, "changed policies p\n"},
    {VERSION CLUSTERS VAULTS "policies: [{name: p, cluster: lab, vault: main, topics: {include: [a]}, schedule: '@daily'}]\n"
     REST HOOKS, "changed policies p\n"},
    {VERSION CLUSTERS VAULTS "policies: [{name: p, cluster: prod, vault: main, topics: {include: [a, b]}, schedule: '@daily'}]\n"
     REST HOOKS, "changed policies p\n"},
    {VERSION CLUSTERS VAULTS "policies: [{name: p, cluster: prod, vault: main, topics: {include: [a], exclude: [b]}, schedule: '@daily'}]\n"
     REST HOOKS, "changed policies p\n"},
    {VERSION CLUSTERS VAULTS "policies: [{name: q, cluster: prod, vault: main, topics: {include: [a]}, schedule: '@daily'}]\n"
     REST HOOKS, "added policies q\nremoved policies p\n"},

    {VERSION "clusters: [{name: prod, bootstrap: 'k:9092'}, {name: new, bootstrap: 'n:9092'}]\n" VAULTS POLICY REST HOOKS,
     "added clusters new\nremoved clusters lab\n"},
    {VERSION "clusters: [{name: lab, bootstrap: ['l:9092']}, {name: prod, bootstrap: ['k:9092']}]\n" VAULTS POLICY REST HOOKS, ""},
    {VERSION "clusters: [{name: prod, bootstrap: 'k:9093'}, {name: lab, bootstrap: 'l:9092'}]\n" VAULTS POLICY REST HOOKS,
     "changed clusters prod\n"},
    {VERSION "clusters: [{name: prod, bootstrap: 'k:9092', rdkafka: {client.id: x}}, {name: lab, bootstrap: 'l:9092'}]\n"
     VAULTS POLICY REST HOOKS, "changed clusters prod\n"},

    {VERSION CLUSTERS "vaults: [{name: main, type: disk, path: /w, passphrase: '${env:TM_NONE:-one long phrase}'}]\n"
     POLICY REST HOOKS, "changed vaults main\n"},
    {VERSION CLUSTERS "vaults: [{name: main, type: disk, path: /v, passphrase: '${env:TM_NONE:-another phrase}'}]\n"
     POLICY REST HOOKS, "changed vaults main\n"},
    {VERSION CLUSTERS "vaults: [{name: main, type: disk, path: /v, compression: none, passphrase: '${env:TM_NONE:-one long phrase}'}]\n"
     POLICY REST HOOKS, "changed vaults main\n"},
    {VERSION CLUSTERS "vaults: [{name: spare, type: disk, path: /w, passphrase: '${env:TM_NONE:-one long phrase}'}, {name: main, type: disk, path: /v, passphrase: '${env:TM_NONE:-one long phrase}'}]\n"
     POLICY REST HOOKS, "added vaults spare\n"},
    {VERSION CLUSTERS VAULTS POLICY HOOKS, "changed verify\n"},
    {VERSION CLUSTERS VAULTS POLICY "verify: [{vault: main, schedule: '@daily'}]\n" HOOKS, "changed verify\n"},
    {VERSION CLUSTERS VAULTS POLICY REST "hooks: [{name: h, url: 'https://y', on: [vault.up]}]\n", "changed hooks h\n"},
    {VERSION CLUSTERS VAULTS POLICY REST "hooks: [{name: h, url: 'https://x', on: [vault.up, vault.down]}]\n", "changed hooks h\n"},
    {VERSION CLUSTERS VAULTS POLICY REST "hooks: [{name: g, url: 'https://x', on: [vault.up]}]\n", "added hooks g\nremoved hooks h\n"},
    {VERSION CLUSTERS VAULTS POLICY REST HOOKS "server: {socket: /x, listen: '127.0.0.1:1', metrics_listen: '127.0.0.1:2', socket_group: g}\n"
     "state: {dir: /y}\nlog: {format: json}\nworkers: {max: 2}\nmetrics: {max_topics: 3}\n",
     "RESTART server.socket\nRESTART server.listen\nRESTART server.metrics_listen\nRESTART server.socket_group\nRESTART state.dir\n"
     "changed log.format\nRESTART workers.max\nchanged metrics.max_topics\n"},
    {VERSION CLUSTERS VAULTS POLICY REST HOOKS "server: {max_body: 2MiB, max_connections: 9, rate_limit: 1, cors_origins: ['https://a'], ui: false}\n"
     "workers: {max: 9, memory: 1GiB}\n",
     "changed server.max_body\nchanged server.max_connections\nchanged server.rate_limit\nchanged server.cors_origins\n"
     "changed server.ui\nchanged workers.max\nchanged workers.memory\n"},
};
/* clang-format on */

START_TEST(what_differs_is_told)
{
    TM_BUF_OWN struct tm_buf out = {0};
    ck_assert_str_eq(differ(base, pairs[_i].next, &out), pairs[_i].told);
}
END_TEST

/* And the other way round: what was added was removed. */
START_TEST(both_ways_something_is_told)
{
    TM_BUF_OWN struct tm_buf out = {0};
    ck_assert_int_eq(differ(pairs[_i].next, base, &out)[0] != '\0', pairs[_i].told[0] != '\0');
}
END_TEST

static const char *with_tokens(const struct folder *folder, const char *tokens, char **text)
{
    write_in(folder, "tokens", tokens, strlen(tokens), 0600);
    ck_assert_int_ge(asprintf(text, "%sserver: {tokens_file: %s/tokens}\n", base, folder->path), 0);
    return *text;
}

START_TEST(tokens_are_compared_by_what_they_allow)
{
#define HASH "sha256:0000000000000000000000000000000000000000000000000000000000000001"
    static const char *const others[] = {"b read " HASH "\n", "a read,admin " HASH "\n",
            "a read sha256:0000000000000000000000000000000000000000000000000000000000000002\n",
            "a read " HASH " expires=2099-01-01T00:00:00Z\n",
            "a read " HASH "\nb read sha256:"
            "0000000000000000000000000000000000000000000000000000000000000003\n"};
    struct folder folder = make_folder();
    for (size_t i = 0; i <= LENGTH(others); i++) {
        TM_BUF_OWN struct tm_buf out = {0};
        char *text = NULL;
        struct tm_config *now = load(with_tokens(&folder, "a read " HASH "\n", &text));
        free(text);
        const char *tokens = i < LENGTH(others) ? others[i] : "# the same\na  read " HASH "\n";
        struct tm_config *next = load(with_tokens(&folder, tokens, &text));
        tm_config_differ(now, next, told, &out);
        ck_assert_str_eq(
                tm_buf_text(&out), i < LENGTH(others) ? "changed server.tokens_file\n" : "");
        free(text);
        tm_config_free(now);
        tm_config_free(next);
    }
    remove_folder(&folder);
}
END_TEST

START_TEST(scopes_of_client_certificates_are_compared)
{
    static const char *const others[] = {
            "a: [read]", "b: [read]", "a: [admin]", "a: [read], b: [read]"};
    struct folder folder = make_folder();
    write_in(&folder, "pem", "x", 1, 0600);
    for (size_t i = 0; i < LENGTH(others); i++) {
        TM_BUF_OWN struct tm_buf out = {0};
        char *texts[2] = {NULL, NULL};
        for (size_t t = 0; t < 2; t++) {
            ck_assert_int_ge(asprintf(&texts[t],
                                     "%sserver: {client_scopes: {%s}, tls: {cert_file: %s/pem, "
                                     "key_file: %s/pem, client_ca_file: %s/pem}}\n",
                                     base, others[t * i], folder.path, folder.path, folder.path),
                    0);
        }
        ck_assert_str_eq(
                differ(texts[0], texts[1], &out), i == 0 ? "" : "changed server.client_scopes\n");
        free(texts[0]);
        free(texts[1]);
    }
    remove_folder(&folder);
}
END_TEST

/* A certificate that was renewed in its place; files of other properties are the client's business. */
START_TEST(what_a_cluster_reads_is_a_part_of_it)
{
    static const struct {
        const char *property;
        const char *told;
    } files[] = {
            {"ssl.ca.location", "changed clusters prod\n"},
            {"ssl.key.location", "changed clusters prod\n"},
            {"ssl.certificate.location", "changed clusters prod\n"},
            {"client.rack", ""},
    };
    for (size_t i = 0; i < LENGTH(files); i++) {
        struct folder folder = make_folder();
        TM_BUF_OWN struct tm_buf out = {0};
        char *text = NULL;
        ck_assert_int_ge(asprintf(&text,
                                 "version: 1\nclusters: [{name: prod, bootstrap: 'k:9092', "
                                 "rdkafka: {%s: %s/file}}]\n",
                                 files[i].property, folder.path),
                0);
        struct tm_config *now = load(text);
        write_in(&folder, "file", "a", 1, 0600);
        struct tm_config *next = load(text);
        struct tm_config *same = load(text);
        tm_config_differ(next, same, told, &out);
        ck_assert_str_eq(tm_buf_text(&out), "");
        tm_config_differ(now, next, told, &out);
        ck_assert_str_eq(tm_buf_text(&out), files[i].told);
        tm_config_free(now);
        tm_config_free(next);
        tm_config_free(same);
        free(text);
        remove_folder(&folder);
    }
}
END_TEST

/* An option that other code puts in its place has to be compared by hand; these are. */
START_TEST(no_option_is_left_out)
{
    static const char *const by_hand[] = {"version", "server.tokens_file", "server.client_scopes",
            "vaults[].key_file", "vaults[].passphrase", "vaults[].compression",
            "policies[].cluster", "policies[].vault", "policies[].drill.target_cluster",
            "verify[].vault"};
    size_t found = 0;
    for (size_t i = 0; i < tm_option_count(); i++) {
        const struct tm_option *option = tm_option_at(i);
        if (option->size == 0 && option->kind != TM_OPTION_MAP) {
            ck_assert_msg(found < LENGTH(by_hand) && strcmp(by_hand[found], option->path) == 0,
                    "%s is not compared by config/differ.c", option->path);
            found++;
        }
    }
    ck_assert_uint_eq(found, LENGTH(by_hand));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("differ");
    tcase_add_loop_test(tcase, what_differs_is_told, 0, (int)LENGTH(pairs));
    tcase_add_loop_test(tcase, both_ways_something_is_told, 0, (int)LENGTH(pairs));
    tcase_add_test(tcase, tokens_are_compared_by_what_they_allow);
    tcase_add_test(tcase, scopes_of_client_certificates_are_compared);
    tcase_add_test(tcase, what_a_cluster_reads_is_a_part_of_it);
    tcase_add_test(tcase, no_option_is_left_out);

    Suite *suite = suite_create("config_differ");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
