/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of config: files, references, keys and tokens, and that secrets stay out of messages. */
#include <errno.h>

#include "config_rig.h"

#define HASH "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"

static const char key[] = "\x00\x01two-and-thirty bytes, no more\n"; /* and no text */

enum { KEY_BYTES = 32 };

/* A folder with all that a file below may want. */
static struct folder set_up(void)
{
    _Static_assert(sizeof(key) - 1 == KEY_BYTES, "a key has 32 bytes");
    struct folder folder = make_folder();
    write_in(&folder, "vault.key", key, KEY_BYTES, 0600);
    write_in(&folder, "shared.key", key, KEY_BYTES, 0440);
    write_in(&folder, "open.key", key, KEY_BYTES, 0644);
    write_in(&folder, "short.key", key, 16, 0600);
    write_in(&folder, "long.key", key, KEY_BYTES + 1, 0600); /* with the literal's NUL */
    char *large = calloc(1, 4097);
    write_in(&folder, "large.key", large, 4097, 0600);
    free(large);
    write_in(&folder, "tokens", "ci read " HASH "\n", strlen("ci read " HASH "\n"), 0600);
    write_in(&folder, "bad-tokens", "ci raed " HASH "\n", strlen("ci raed " HASH "\n"), 0600);
    write_in(&folder, "word", "s3cret\n", 7, 0600);
    write_in(&folder, "two-lines", "s3cret\n\n", 8, 0600);
    write_in(&folder, "empty", "\n", 1, 0600);
    write_in(&folder, "nul", "a\0b", 3, 0600);
    ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", folder.path, 1), 0);
    ck_assert_int_eq(setenv("T_WORD", "s3cret", 1), 0);
    ck_assert_int_eq(setenv("T_LINE", "s3cret\n", 1), 0);
    ck_assert_int_eq(setenv("T_GLOB", "s3cret(", 1), 0);
    ck_assert_int_eq(setenv("T_EMPTY", "", 1), 0);
    ck_assert_int_eq(unsetenv("T_NOT_SET"), 0);
    return folder;
}

/* Write the file and load it; DIR in `text` stands for the folder. */
static struct parsed load(const struct folder *folder, const char *text, mode_t mode)
{
    struct tm_buf file = {0};
    for (const char *found = strstr(text, "DIR"); found != NULL; found = strstr(text, "DIR")) {
        tm_buf_add(&file, text, (size_t)(found - text));
        tm_buf_add_text(&file, folder->path);
        text = found + strlen("DIR");
    }
    tm_buf_add_text(&file, text);
    write_in(folder, "t.yaml", tm_buf_text(&file), file.len, mode);
    tm_buf_done(&file);

    char *path = path_in(folder, "t.yaml");
    const struct tm_config_load_options options = {.path = path, .read_secrets = true};
    struct parsed parsed = {0};
    parsed.code = tm_config_load(&options, &parsed.config, &parsed.report, &parsed.err);
    free(path);
    return parsed;
}

#define VAULT   "version: 1\nvaults: [{name: v, type: disk, path: v, "
#define CLUSTER "version: 1\nclusters: [{name: c, bootstrap: 'k:1', rdkafka: {"
#define AT      "DIR/t.yaml:2:"

/* clang-format off */
static const struct {
    const char *text;
    const char *report; /* each line behind "DIR/t.yaml:2:" */
} messages[] = {
    /* key files */
    {VAULT "key_file: DIR/short.key}]\n",
     "51: error: vaults[0].key_file: DIR/short.key has 16 bytes, 32 are needed; make one with \"tidemark key new\"\n"},
    {VAULT "key_file: short.key}]\n",
     "51: error: vaults[0].key_file: DIR/short.key has 16 bytes, 32 are needed; make one with \"tidemark key new\"\n"},
    {VAULT "key_file: ./open.key}]\n",
     "51: error: vaults[0].key_file: DIR/open.key is readable by others (mode 0644); chmod 0600\n"},
    {VAULT "key_file: shared.key}]\n",
     "51: error: vaults[0].key_file: DIR/shared.key is readable by others (mode 0440); chmod 0600\n"},
    {VAULT "key_file: '${file:DIR/open.key}'}]\n",
     "51: error: vaults[0].key_file: DIR/open.key is readable by others (mode 0644); chmod 0600\n"},
    {VAULT "key_file: none.key}]\n",
     "51: error: vaults[0].key_file: no file DIR/none.key\n"},
    {VAULT "key_file: '${file:DIR/none.key}'}]\n",
     "51: error: vaults[0].key_file: ${file:DIR/none.key}: no file DIR/none.key\n"},
    {VAULT "key_file: '${credential:vault-key}'}]\n",
     "51: error: vaults[0].key_file: ${credential:vault-key}: no file DIR/vault-key\n"},
    {VAULT "key_file: '${env:T_WORD}'}]\n", /* may be the key itself: not shown */
     "51: error: vaults[0].key_file: ${env:T_WORD}: the file that it names cannot be read (missing)\n"},
    {VAULT "key_file: '${env:T_NOT_SET}'}]\n",
     "51: error: vaults[0].key_file: ${env:T_NOT_SET}: T_NOT_SET is not set; set it, or write "
     "${env:T_NOT_SET:-default}\n"},
    {VAULT "key_file: '${env:T_NOT_SET:-short.key}'}]\n",
     "51: error: vaults[0].key_file: the file of ${env:T_NOT_SET:-short.key} has 16 bytes, 32 are needed; make one "
     "with \"tidemark key new\"\n"},
    {VAULT "key_file: DIR}]\n",
     "51: error: vaults[0].key_file: DIR is not a regular file\n"},
    {VAULT "key_file: long.key}]\n",
     "51: error: vaults[0].key_file: DIR/long.key has 33 bytes, 32 are needed; make one with \"tidemark key new\"\n"},
    {VAULT "key_file: large.key}]\n",
     "51: error: vaults[0].key_file: DIR/large.key has more than 4096 bytes\n"},
    {VAULT "key_file: \"a\\tb\"}]\n",
     "51: error: vaults[0].key_file: no file DIR/a?b\n"},
    {VAULT "key_file: [a]}]\n",
     "51: error: vaults[0].key_file: must be one value, not a list\n"},

    /* passphrases */
    {VAULT "passphrase: '${file:DIR/none}'}]\n",
     "53: error: vaults[0].passphrase: ${file:DIR/none}: no file DIR/none\n"},
    {VAULT "passphrase: '${file:DIR/empty}'}]\n",
     "53: error: vaults[0].passphrase: ${file:DIR/empty}: the file is empty\n"},
    {VAULT "passphrase: '${file:DIR/nul}'}]\n",
     "53: error: vaults[0].passphrase: ${file:DIR/nul}: the file holds a NUL byte, a text is needed\n"},
    {VAULT "passphrase: '${env:T_EMPTY}'}]\n",
     "53: error: vaults[0].passphrase: ${env:T_EMPTY}: T_EMPTY is not set; set it, or write "
     "${env:T_EMPTY:-default}\n"},
    {VAULT "passphrase: '${env:T_EMPTY:-}'}]\n",
     "53: error: vaults[0].passphrase: has 0 bytes; write 1 to 1024\n"},

    /* values that came by a reference are not shown */
    {CLUSTER "client.id: '${env:T_NOT_SET}'}}]\n",
     "61: error: clusters[0].rdkafka.client.id: ${env:T_NOT_SET}: T_NOT_SET is not set; set it, or write "
     "${env:T_NOT_SET:-default}\n"},
    {"version: 1\nserver: {listen: '${env:T_WORD}'}\n",
     "18: error: server.listen: the value of ${env:T_WORD} will not do here; it is not shown, as it may be secret\n"},
    {"version: 1\nserver: {listen: '${env:T_NOT_SET:-x}'}\n",
     "18: error: server.listen: \"x\" is not an address; write HOST:PORT, or \"\" for none\n"},
    {"version: 1\nworkers: {max: '${credential:word}'}\n",
     "16: error: workers.max: the value of ${credential:word} will not do here; it is not shown, as it may be secret\n"},
    {"version: 1\npolicies: [{name: p, cluster: '${env:T_WORD}', vault: v, topics: {include: [a]}, schedule: ''}]\n",
     "31: error: policies[0].cluster: no cluster has the name that ${env:T_WORD} holds\n"
     "55: error: policies[0].vault: no vault named \"v\"; there are none\n"},
    {"version: 1\npolicies: [{name: p, cluster: '', vault: '', topics: {include: ['${env:T_GLOB}']}, schedule: ''}]\n",
     "31: error: policies[0].cluster: no cluster named \"\"; there are none\n"
     "42: error: policies[0].vault: no vault named \"\"; there are none\n"
     "65: error: policies[0].topics.include[0]: the value of ${env:T_GLOB} is no topic pattern; it is not shown, as it "
     "may be secret\n"},
    {"version: 1\nclusters: [{name: '${env:T_WORD}', bootstrap: 'k:1'}, {name: '${env:T_WORD}', bootstrap: 'k:1'}]\n",
     "62: error: clusters[1].name: the value of ${env:T_WORD} is already the name of clusters[0] (line 2)\n"},

    /* tokens files */
    {"version: 1\nserver: {tokens_file: none}\n",
     "23: error: server.tokens_file: no file DIR/none\n"},
    {"version: 1\nserver: {tokens_file: '${credential:none}'}\n",
     "23: error: server.tokens_file: ${credential:none}: no file DIR/none\n"},
};
/* clang-format on */

START_TEST(each_mistake_with_files_is_told)
{
    struct folder folder = set_up();
    struct parsed parsed = load(&folder, messages[_i].text, 0600);
    struct tm_buf expected = {0};
    for (const char *at = messages[_i].report; *at != '\0';) {
        size_t len = strcspn(at, "\n") + 1;
        tm_buf_add_fmt(&expected, AT "%.*s", (int)len, at);
        at += len;
    }
    char *report = report_in(&folder, &parsed.report);
    ck_assert_str_eq(report, tm_buf_text(&expected));
    ck_assert_int_eq(parsed.code, TM_E_USAGE);
    free(report);
    tm_buf_done(&expected);
    done(&parsed);
    remove_folder(&folder);
}
END_TEST

/* clang-format off */
static const char *const key_files[] = {
    "vault.key", "./vault.key", "DIR/vault.key", "'${file:DIR/vault.key}'", "'${credential:vault.key}'",
    "'${credential:open.key}'", /* systemd decides about its credentials' modes */
    "'${env:T_KEY}'", "'${env:T_NOT_SET:-vault.key}'",
};
/* clang-format on */

START_TEST(a_key_file_is_32_bytes_as_they_are)
{
    struct folder folder = set_up();
    char *path = path_in(&folder, "vault.key");
    ck_assert_int_eq(setenv("T_KEY", path, 1), 0);
    char *text = NULL;
    ck_assert_int_ge(asprintf(&text, VAULT "key_file: %s}]\n", key_files[_i]), 0);
    struct parsed parsed = load(&folder, text, 0644);
    ck_assert_str_eq(tm_buf_text(&parsed.report.text), "");
    const struct tm_config_vault *vault = &parsed.config->vaults[0];
    ck_assert(tm_slice_eq(vault->key, tm_slice_of(key, KEY_BYTES)));
    ck_assert(!vault->key_is_passphrase);
    free(text);
    free(path);
    done(&parsed);
    remove_folder(&folder);
}
END_TEST

/* clang-format off */
static const struct {
    const char *written;
    const char *passphrase;
} passphrases[] = {
    {"'${file:DIR/word}'",         "s3cret"},
    {"'${file:DIR/two-lines}'",    "s3cret\n"}, /* one newline is the file's */
    {"'${credential:word}'",       "s3cret"},
    {"'${env:T_WORD}'",            "s3cret"},
    {"'${env:T_LINE}'",            "s3cret"},
    {"'${env:T_WORD:-other}'",     "s3cret"},
};
/* clang-format on */

START_TEST(a_passphrase_is_a_text_without_its_newline)
{
    struct folder folder = set_up();
    char *text = NULL;
    ck_assert_int_ge(asprintf(&text, VAULT "passphrase: %s}]\n", passphrases[_i].written), 0);
    struct parsed parsed = load(&folder, text, 0644);
    ck_assert_str_eq(tm_buf_text(&parsed.report.text), "");
    ck_assert(parsed.config->vaults[0].key_is_passphrase);
    ck_assert_ptr_null(parsed.config->vaults[0].key_file);
    ck_assert(tm_slice_is(parsed.config->vaults[0].key, passphrases[_i].passphrase));
    free(text);
    done(&parsed);
    remove_folder(&folder);
}
END_TEST

static const char *const exposed[] = {
        VAULT "passphrase: s3cret}]\n",
        VAULT "passphrase: '${env:T_NOT_SET:-s3cret}'}]\n",
};

START_TEST(a_secret_in_the_file_is_remarked_on)
{
    struct folder folder = set_up();
    const char *text = exposed[_i];
    struct parsed parsed = load(&folder, text, 0640);
    char *report = report_in(&folder, &parsed.report);
    ck_assert_str_eq(report, AT "53: warning: vaults[0].passphrase: a secret stands in this file; "
                                "better use ${file:/path} or ${credential:name}\n");
    ck_assert(tm_slice_is(parsed.config->vaults[0].key, "s3cret"));
    ck_assert_uint_eq(parsed.report.warnings, 1);
    free(report);
    done(&parsed);

    parsed = load(&folder, text, 0644);
    report = report_in(&folder, &parsed.report);
    ck_assert_str_eq(report,
            AT "53: error: vaults[0].passphrase: a secret stands in this file, which "
               "everybody can read (mode 0644); use ${file:/path} or "
               "${credential:name}, or chmod 0600\n");
    free(report);
    done(&parsed);
    remove_folder(&folder);
}
END_TEST

START_TEST(properties_take_references)
{
    struct folder folder = set_up();
    struct parsed parsed = load(&folder,
            CLUSTER "sasl.password: '${credential:word}', client.id: '${env:T_NOT_SET:-me}', "
                    "sasl.username: u}}]\n",
            0644);
    ck_assert_str_eq(tm_buf_text(&parsed.report.text), "");
    const struct tm_config_cluster *cluster = &parsed.config->clusters[0];
    ck_assert_uint_eq(cluster->rdkafka_count, 3);
    ck_assert_str_eq(cluster->rdkafka[0].value, "s3cret");
    ck_assert_str_eq(cluster->rdkafka[1].value, "me");
    ck_assert_str_eq(cluster->rdkafka[2].value, "u");
    done(&parsed);
    remove_folder(&folder);
}
END_TEST

/* conf.d: each file adds to the lists, in the order of names. */
static char *drop_in(const struct folder *folder, const char *name, const char *text, mode_t mode)
{
    char *folder_path = path_in(folder, "conf.d");
    char *path = NULL;
    ck_assert(mkdir(folder_path, 0700) == 0 || errno == EEXIST);
    ck_assert_int_ge(asprintf(&path, "conf.d/%s", name), 0);
    write_in(folder, path, text, strlen(text), mode);
    free(folder_path);
    return path;
}

#define ADD(folder, name, text, mode) free(drop_in(folder, name, text, mode))

START_TEST(files_of_conf_d_add_to_the_lists)
{
    struct folder folder = set_up();
    ADD(&folder, "20-more.yaml",
            "policies: [{name: q, cluster: b, vault: v, topics: {include: [x]},"
            " schedule: ''}]\n",
            0644);
    ADD(&folder, "10-first.yaml",
            "version: 1\nclusters: [{name: b, bootstrap: 'k:2'}]\n"
            "vaults: [{name: v, type: disk, path: v, key_file: vault.key}]\n",
            0644);
    ADD(&folder, "other.yml", "not: read\n", 0644);
    ADD(&folder, ".hidden.yaml", "not: read\n", 0644);
    struct parsed parsed =
            load(&folder, "version: 1\nclusters: [{name: a, bootstrap: 'k:1'}]\n", 0644);
    ck_assert_str_eq(tm_buf_text(&parsed.report.text), "");
    ck_assert_uint_eq(parsed.config->cluster_count, 2);
    ck_assert_str_eq(parsed.config->clusters[0].name, "a");
    ck_assert_str_eq(parsed.config->clusters[1].name, "b");
    ck_assert_uint_eq(parsed.config->policy_count, 1);
    ck_assert_ptr_eq(parsed.config->policies[0].cluster, &parsed.config->clusters[1]);
    char *path = path_in(&folder, "v"); /* beside the main file */
    ck_assert_str_eq(parsed.config->vaults[0].path, path);
    free(path);
    done(&parsed);
    remove_folder(&folder);
}
END_TEST

/* clang-format off */
static const struct {
    const char *text;
    mode_t mode;
    const char *report;
} dropped[] = {
    {"clusters: [{name: a, bootstrap: 'k:2'}]\n", 0644,
     "DIR/conf.d/x.yaml:1:19: error: clusters[1].name: \"a\" is already the name of clusters[0] (DIR/t.yaml:2)\n"},
    {"server: {listen: ''}\nlog: {}\n", 0644,
     "DIR/conf.d/x.yaml:1:1: error: \"server\" cannot stand in conf.d; it may add clusters, vaults, policies and hooks\n"
     "DIR/conf.d/x.yaml:2:1: error: \"log\" cannot stand in conf.d; it may add clusters, vaults, policies and hooks\n"},
    {"version: 2\n", 0644,
     "DIR/conf.d/x.yaml:1:1: error: \"version\" cannot stand in conf.d; it may add clusters, vaults, policies and hooks\n"},
    {"clusters: {a: b}\n", 0644, "DIR/conf.d/x.yaml:1:11: error: clusters: must be a list, not a map\n"},
    {"[a]\n", 0644, "DIR/conf.d/x.yaml:1:1: error: must be a map of options, not a list\n"},
    {"clusters: [\n", 0644, "DIR/conf.d/x.yaml:2:1: error: did not find expected node content\n"},
    {"hooks: [{name: h, url: 'https://h/', on: [vault.down], secret: s3cret}]\n", 0644,
     "DIR/conf.d/x.yaml:1:64: error: hooks[0].secret: a secret stands in this file, which everybody can read (mode 0644);"
     " use ${file:/path} or ${credential:name}, or chmod 0600\n"},
};
/* clang-format on */

START_TEST(what_is_wrong_in_conf_d_is_told_with_its_file)
{
    struct folder folder = set_up();
    ADD(&folder, "x.yaml", dropped[_i].text, dropped[_i].mode);
    struct parsed parsed =
            load(&folder, "version: 1\nclusters: [{name: a, bootstrap: 'k:1'}]\n", 0600);
    char *report = report_in(&folder, &parsed.report);
    ck_assert_str_eq(report, dropped[_i].report);
    free(report);
    done(&parsed);
    remove_folder(&folder);
}
END_TEST

START_TEST(a_file_of_conf_d_that_cannot_be_read_is_an_error)
{
    struct folder folder = set_up();
    ADD(&folder, "a.yaml", "", 0644);
    char *link = path_in(&folder, "conf.d/gone.yaml");
    ck_assert_int_eq(symlink("/nowhere/at-all", link), 0);
    struct parsed parsed = load(&folder, "version: 1\n", 0600);
    ck_assert_int_eq(parsed.code, TM_E_USAGE);
    ck_assert_ptr_nonnull(
            strstr(tm_buf_text(&parsed.report.text), "/conf.d/gone.yaml:1:1: error: "));
    ck_assert_ptr_nonnull(strstr(tm_buf_text(&parsed.report.text), "/conf.d/a.yaml:1:1: error: "));
    free(link);
    done(&parsed);
    remove_folder(&folder);
}
END_TEST

START_TEST(a_stamp_tells_a_change_of_each_file)
{
    struct folder folder = set_up();
    char *path = path_in(&folder, "t.yaml");
    struct tm_buf stamps[4] = {{0}};
    ck_assert(!tm_config_stamp(path, NULL, &stamps[0]));
    tm_buf_clear(&stamps[0]);
    write_in(&folder, "t.yaml", "a", 1, 0600);
    ck_assert(tm_config_stamp(path, NULL, &stamps[0]));
    ADD(&folder, "x.yaml", "a", 0644);
    ck_assert(tm_config_stamp(path, NULL, &stamps[1]));
    ADD(&folder, "x.yaml", "ab", 0644);
    ck_assert(tm_config_stamp(path, NULL, &stamps[2]));
    ck_assert(tm_config_stamp(path, NULL, &stamps[3]));
    for (size_t i = 0; i < 3; i++) {
        ck_assert(tm_slice_eq(tm_buf_slice(&stamps[i]), tm_buf_slice(&stamps[i + 1])) == (i == 2));
    }
    for (size_t i = 0; i < 4; i++) {
        tm_buf_done(&stamps[i]);
    }
    free(path);
    remove_folder(&folder);
}
END_TEST

START_TEST(a_stamp_tells_a_change_of_a_file_that_is_named)
{
    struct folder folder = set_up();
    char *path = path_in(&folder, "t.yaml");
    char *text = NULL;
    ck_assert_int_ge(asprintf(&text,
                             "version: 1\nclusters: [{name: c, bootstrap: 'k:1', rdkafka: "
                             "{sasl.password: '${file:%s/secret}'}}]\n"
                             "server: {tls: {cert_file: %s/crt, key_file: %s/key}}\n",
                             folder.path, folder.path, folder.path),
            0);
    static const char *const named[] = {"secret", "crt", "key"};
    for (size_t i = 0; i < LENGTH(named); i++) {
        write_in(&folder, named[i], "a", 1, 0600);
    }
    struct parsed parsed = load(&folder, text, 0600);
    ck_assert_msg(parsed.code == TM_OK, "%s", tm_buf_text(&parsed.report.text));
    for (size_t i = 0; i < LENGTH(named); i++) {
        TM_BUF_OWN struct tm_buf before = {0};
        TM_BUF_OWN struct tm_buf after = {0};
        ck_assert(tm_config_stamp(path, parsed.config, &before));
        write_in(&folder, named[i], "ab", 2, 0600);
        ck_assert(tm_config_stamp(path, parsed.config, &after));
        ck_assert_msg(!tm_slice_eq(tm_buf_slice(&before), tm_buf_slice(&after)), "%s", named[i]);
    }
    char *secret = path_in(&folder, "secret");
    ck_assert_int_eq(unlink(secret), 0);
    TM_BUF_OWN struct tm_buf gone = {0};
    ck_assert(!tm_config_stamp(path, parsed.config, &gone));
    free(secret);
    free(text);
    free(path);
    done(&parsed);
    remove_folder(&folder);
}
END_TEST

/* clang-format off */
static const struct {
    const char *labels;
    const char *report;
} labels[] = {
    {"{team: payments, tier: \"1\"}", ""},
    {"[a]", "DIR/t.yaml:4:90: error: policies[0].labels: must be a map of labels, not a list\n"},
    {"{\"\": a, team: [b]}",
     "DIR/t.yaml:4:95: error: policies[0].labels.: the name of a label has 1 to 64 bytes\n"
     "DIR/t.yaml:4:104: error: policies[0].labels.team: must be one value, not a list\n"},
};
/* clang-format on */

START_TEST(labels_are_kept_as_they_are)
{
    struct folder folder = set_up();
    char *text = NULL;
    ck_assert_int_ge(
            asprintf(&text,
                    "version: 1\nclusters: [{name: c, bootstrap: 'k:1'}]\n"
                    "vaults: [{name: v, type: disk, path: v, key_file: vault.key}]\n"
                    "policies: [{name: p, cluster: c, vault: v, topics: {include: [x]}, schedule: "
                    "'', labels: %s}]\n",
                    labels[_i].labels),
            0);
    struct parsed parsed = load(&folder, text, 0600);
    char *report = report_in(&folder, &parsed.report);
    ck_assert_str_eq(report, labels[_i].report);
    if (parsed.config != NULL) {
        const struct tm_config_policy *policy = &parsed.config->policies[0];
        ck_assert_uint_eq(policy->label_count, 2);
        ck_assert_str_eq(policy->labels[0].name, "team");
        ck_assert_str_eq(policy->labels[0].value, "payments");
        ck_assert_str_eq(policy->labels[1].value, "1");
    }
    free(report);
    free(text);
    done(&parsed);
    remove_folder(&folder);
}
END_TEST

START_TEST(a_tokens_file_gives_tokens)
{
    struct folder folder = set_up();
    struct parsed parsed =
            load(&folder, "version: 1\nserver: {tokens_file: '${credential:tokens}'}\n", 0644);
    ck_assert_str_eq(tm_buf_text(&parsed.report.text), "");
    ck_assert_uint_eq(parsed.config->server.token_count, 1);
    ck_assert_str_eq(parsed.config->server.tokens[0].name, "ci");
    done(&parsed);

    parsed = load(&folder, "version: 1\nserver: {tokens_file: ''}\n", 0644);
    ck_assert_int_eq(parsed.code, TM_OK);
    ck_assert_uint_eq(parsed.config->server.token_count, 0);
    done(&parsed);
    remove_folder(&folder);
}
END_TEST

START_TEST(errors_in_the_tokens_file_have_its_name_and_come_last)
{
    struct folder folder = set_up();
    struct parsed parsed = load(
            &folder, "version: 1\nserver: {tokens_file: bad-tokens}\nworkers: {max: 0}\n", 0644);
    char *report = report_in(&folder, &parsed.report);
    ck_assert_str_eq(report,
            "DIR/t.yaml:3:16: error: workers.max: 0 is out of range; write 1 to 256\n"
            "DIR/bad-tokens:1:4: error: server.tokens_file: unknown scope \"raed\"; did you mean "
            "\"read\"?\n");
    free(report);
    done(&parsed);
    remove_folder(&folder);
}
END_TEST

START_TEST(credentials_need_a_folder)
{
    struct folder folder = set_up();
    ck_assert_int_eq(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    ck_assert_int_eq(unsetenv("TIDEMARK_CREDENTIALS_DIRECTORY"), 0);
    static const char text[] = VAULT "key_file: '${credential:vault.key}'}]\n";
    struct parsed parsed = load(&folder, text, 0644);
    char *report = report_in(&folder, &parsed.report);
    ck_assert_str_eq(report, AT "51: error: vaults[0].key_file: ${credential:vault.key}: neither "
                                "CREDENTIALS_DIRECTORY (systemd's LoadCredential=) nor "
                                "TIDEMARK_CREDENTIALS_DIRECTORY is set\n");
    free(report);
    done(&parsed);

    ck_assert_int_eq(setenv("TIDEMARK_CREDENTIALS_DIRECTORY", folder.path, 1), 0);
    parsed = load(&folder, text, 0644);
    ck_assert_int_eq(parsed.code, TM_OK);
    done(&parsed);
    remove_folder(&folder);
}
END_TEST

START_TEST(relative_paths_of_a_loaded_file_become_absolute)
{
    struct folder folder = set_up();
    struct parsed parsed = load(&folder, VAULT "key_file: vault.key}]\n", 0644);
    done(&parsed);

    char *here = getcwd(NULL, 0);
    ck_assert_int_eq(chdir(folder.path), 0);
    const struct tm_config_load_options options = {.path = "t.yaml", .read_secrets = true};
    struct parsed again = {0};
    ck_assert_int_eq(tm_config_load(&options, &again.config, &again.report, &again.err), TM_OK);
    char *path = path_in(&folder, "v");
    ck_assert_str_eq(again.config->vaults[0].path, path);
    free(path);
    done(&again);
    ck_assert_int_eq(chdir(here), 0);
    free(here);
    remove_folder(&folder);
}
END_TEST

START_TEST(a_file_that_cannot_be_read_is_no_usage_error)
{
    struct folder folder = set_up();
    struct tm_config *config = NULL;
    struct tm_config_report report = {0};
    struct tm_err err = {0};
    char *path = path_in(&folder, "none.yaml");
    const struct tm_config_load_options options = {.path = path, .read_secrets = true};
    ck_assert_int_eq(tm_config_load(&options, &config, &report, &err), TM_E_MISSING);
    ck_assert_ptr_null(config);
    ck_assert_uint_eq(report.errors, 0);
    ck_assert_int_eq(strncmp(err.msg, "configuration: ", 15), 0);

    err = (struct tm_err){0};
    char *large = calloc(1, (1 << 20) + 1);
    write_in(&folder, "none.yaml", large, (1 << 20) + 1, 0600);
    ck_assert_int_eq(tm_config_load(&options, &config, &report, &err), TM_E_LIMIT);
    free(large);
    free(path);
    tm_config_report_done(&report);
    remove_folder(&folder);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("config_files");
    tcase_add_loop_test(tcase, each_mistake_with_files_is_told, 0, (int)LENGTH(messages));
    tcase_add_loop_test(tcase, a_key_file_is_32_bytes_as_they_are, 0, (int)LENGTH(key_files));
    tcase_add_loop_test(
            tcase, a_passphrase_is_a_text_without_its_newline, 0, (int)LENGTH(passphrases));
    tcase_add_loop_test(tcase, a_secret_in_the_file_is_remarked_on, 0, (int)LENGTH(exposed));
    tcase_add_test(tcase, properties_take_references);
    tcase_add_test(tcase, files_of_conf_d_add_to_the_lists);
    tcase_add_loop_test(
            tcase, what_is_wrong_in_conf_d_is_told_with_its_file, 0, (int)LENGTH(dropped));
    tcase_add_test(tcase, a_file_of_conf_d_that_cannot_be_read_is_an_error);
    tcase_add_test(tcase, a_stamp_tells_a_change_of_each_file);
    tcase_add_test(tcase, a_stamp_tells_a_change_of_a_file_that_is_named);
    tcase_add_loop_test(tcase, labels_are_kept_as_they_are, 0, (int)LENGTH(labels));
    tcase_add_test(tcase, a_tokens_file_gives_tokens);
    tcase_add_test(tcase, errors_in_the_tokens_file_have_its_name_and_come_last);
    tcase_add_test(tcase, credentials_need_a_folder);
    tcase_add_test(tcase, relative_paths_of_a_loaded_file_become_absolute);
    tcase_add_test(tcase, a_file_that_cannot_be_read_is_no_usage_error);

    Suite *suite = suite_create("config_files");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
