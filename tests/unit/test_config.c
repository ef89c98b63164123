/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of config: what a file becomes, and each message with its place. */
#include "config_rig.h"

/* Lines 1 to 3 of most files below; what a test is about begins in line 4, or stands in place of one. */
#define VERSION "version: 1\n"
#define CLUSTER "clusters: [{name: prod, bootstrap: 'k:9092'}]\n"
#define VAULT   "vaults: [{name: main, type: disk, path: /v, key_file: /k}]\n"
#define HEAD    VERSION CLUSTER VAULT
#define NAMES   "name: p, cluster: prod, vault: main"
#define TOPICS  "topics: {include: [a]}"
#define POLICY  "policies: [{" NAMES ", " TOPICS ", schedule: ''"
#define SERVER  HEAD "server: "

static enum tm_code check_property(const char *name, const char *value, struct tm_err *err)
{
    if (strcmp(name, "sasl.mechanisim") == 0) {
        return tm_err_set(err, TM_E_USAGE,
                "librdkafka 2.14.2 has no property \"sasl.mechanisim\"; did you mean "
                "\"sasl.mechanism\"?");
    }
    if (strcmp(name, "enable.auto.commit") == 0) {
        return tm_err_set(
                err, TM_E_USAGE, "\"enable.auto.commit\" is set by tidemark and cannot be changed");
    }
    return strncmp(value, "bad", 3) == 0
                   ? tm_err_set(err, TM_E_USAGE, "invalid value \"%s\" for \"%s\"", value, name)
                   : TM_OK;
}

static struct parsed parse(const char *text)
{
    const struct tm_config_load_options options = {.check_property = check_property};
    return parse_with(text, "t.yaml", &options);
}

/* clang-format off */
static const struct {
    const char *text;
    const char *report; /* each line without "t.yaml:" */
} messages[] = {
    /* keys */
    {HEAD "policies:\n- name: p\n  cluster: prod\n  vault: main\n  topics: {include: [a]}\n  shedule: ''\n"
          "  schedule: ''\n",
     "9:3: error: policies[0]: unknown key \"shedule\"; did you mean \"schedule\"?\n"},
    {HEAD "polices: []\n",          "4:1: error: unknown key \"polices\"; did you mean \"policies\"?\n"},
    {HEAD "colour: red\n",          "4:1: error: unknown key \"colour\"\n"},
    {HEAD "server.listen: ''\n",    "4:1: error: unknown key \"server.listen\"\n"},
    {SERVER "{sockets: a, max_body: 1MiB, max_body: 2MiB}\n",
     "4:10: error: server: unknown key \"sockets\"; did you mean \"socket\"?\n"
     "4:38: error: server.max_body: key given twice (first at line 4)\n"},
    {HEAD POLICY ", retention: {keep_lst: 3, min_points: 0, max_age: 400}}]\n",
     "4:100: error: policies[0].retention: unknown key \"keep_lst\"; did you mean \"keep_last\"?\n"
     "4:125: error: policies[0].retention.min_points: 0 is out of range; write 1 to 1000000\n"
     "4:137: error: policies[0].retention.max_age: \"400\" has no unit; write 400s, 400m, 400h or 400d\n"},
    {HEAD "policies: [{" NAMES ", " TOPICS ", schedule: '@every 5m', retention: {keep_last: 24, max_age: 400d}}]\n",
     "4:108: warning: policies[0].retention: keep_last 24 x 5m covers 2h, max_age 400d never applies without "
     "keep_daily, keep_weekly or keep_monthly\n"},
    {HEAD "verify: [{vault: mian, schedule: '@daily'}, {vault: main, schedule: '@after 1h', depth: deep, "
          "sample_ratio: 2}, {vault: main, schedule: '', sample_ratio: 1e-3}]\n",
     "4:18: error: verify[0].vault: no vault named \"mian\"; there are: main\n"
     "4:69: error: verify[1].schedule: \"@after\" is not built yet in this version\n"
     "4:89: error: verify[1].depth: \"deep\" is not known; write one of: catalog, scrub, sample, full\n"
     "4:109: error: verify[1].sample_ratio: 2 is out of range; write 0.0001 to 1\n"
     "4:137: error: verify[2].schedule: is empty\n"
     "4:155: error: verify[2].sample_ratio: \"1e-3\" is not a ratio; write one like 0.02, with at most 6 digits\n"},
    {HEAD POLICY ", timezone: UTC, acls: true}]\n",
     "4:103: error: policies[0]: \"acls\" is not built yet in this version\n"},
    {HEAD POLICY ", mode: continious, flush: 100ms}]\n",
     "4:94: error: policies[0].mode: \"continious\" is not known; write one of: scheduled, continuous\n"
     "4:113: error: policies[0].flush: 100ms is out of range; write 1s to 1h\n"},
    {HEAD POLICY ", timezone: Europe/Berlim}]\n",
     "4:98: error: policies[0].timezone: the system's time zone database has no Europe/Berlim "
     "(/usr/share/zoneinfo/Europe/Berlim); install tzdata, or write a name like Europe/Berlin\n"},
    {HEAD POLICY ", timezone: ../../etc/passwd}]\n",
     "4:98: error: policies[0].timezone: not a name of the IANA time zone database; write one like Europe/Berlin\n"},
    {HEAD "policies: [{" NAMES ", " TOPICS ", schedule: '@every 5m', jitter: 10m}]\n",
     "4:105: error: policies[0].jitter: must be less than what lies between two runs, 5m\n"},
    {HEAD POLICY ", window: '6:00'}]\n",
     "4:96: error: policies[0].window: \"6:00\" is no window; write two times of the day, like "
     "22:00-06:00\n"},
    {HEAD "policies: [{" NAMES ", " TOPICS ", schedule: '0 12 * * *', window: '22:00-06:00'}]\n",
     "4:106: error: policies[0].window: no run of the schedule lies within the window; move one of them\n"},
    {HEAD "jobs: {idempotency_ttl: 1h}\nverify: []\nmetrics: {max_topics: -1}\n",
     "6:23: error: metrics.max_topics: -1 is out of range; write 0 to 100000\n"},

    {HEAD "hooks: [{name: a, url: 'ftp://x', on: [vault.up], policies: [none]}, {name: a, url: "
          "'http://x', on: vault.down, format: healthchecks}]\n",
     "4:24: error: hooks[0]: \"url\" must begin with https:// or http://\n"
     "4:61: error: hooks[0]: there is no policy \"none\"\n"
     "4:77: error: hooks[1]: the name \"a\" is taken already\n"
     "4:101: error: hooks[1]: format healthchecks pings when runs start and end: write "
     "backup.succeeded or drill.passed; their start and failure come with it\n"},

    /* what is required */
    {CLUSTER,                       "1:1: error: \"version\" is required\n"},
    {"version: 2\n",                "1:10: error: version: 2 is not known to this version; write 1\n"},
    {VERSION "clusters: [{}]\n",    "2:12: error: clusters[0]: \"name\" is required\n"
                                    "2:12: error: clusters[0]: \"bootstrap\" is required\n"},
    {VERSION "vaults: [{name: a, type: disk, key_file: /k}]\n",
                                    "2:10: error: vaults[0]: \"path\" is required when type is disk\n"},
    {VERSION "vaults: [{name: a, path: /v}]\n",
                                    "2:10: error: vaults[0]: \"type\" is required\n"
                                    "2:10: error: vaults[0]: \"key_file\" or \"passphrase\" is required\n"},
    {VERSION "vaults: [{name: a, type: s3, key_file: /k}]\n",
                                    "2:10: error: vaults[0]: \"bucket\" is required when type is s3\n"},
    {VERSION "vaults: [{name: a, type: s3, bucket: b, path: /v, key_file: /k}]\n",
                                    "2:41: error: vaults[0]: \"path\" is for type disk; this vault is of type s3\n"},
    {VERSION "vaults: [{name: a, type: disk, path: /v, bucket: b, prefix: '', key_file: /k}]\n",
                                    "2:42: error: vaults[0]: \"bucket\" is for type s3; this vault is of type disk\n"},
    {VERSION "vaults: [{name: a, type: s3, bucket: b, credentials: static, access_key_id: A, key_file: /k}]\n",
                                    "2:54: error: vaults[0]: \"secret_access_key\" is required when credentials is "
                                    "static\n"},
    {VERSION "vaults: [{name: a, type: s3, bucket: b, access_key_id: A, key_file: /k}]\n",
                                    "2:41: error: vaults[0]: \"access_key_id\" is given; write \"credentials: "
                                    "static\" to use it\n"},
    {VERSION "vaults: [{name: a, type: s3, bucket: b, endpoint: 'minio:9000', key_file: /k}]\n",
                                    "2:51: error: vaults[0]: \"endpoint\" must begin with https:// or http://\n"},
    {VERSION "vaults: [{name: a, type: s3, bucket: b, object_lock: {mode: hard, max: 1h}, key_file: /k}]\n",
                                    "2:61: error: vaults[0].object_lock.mode: \"hard\" is not known; write one of: "
                                    "none, governance, compliance\n"
                                    "2:72: error: vaults[0].object_lock.max: 1h is out of range; write 1d to 36500d\n"},
    {HEAD "policies: [{name: p, cluster: prod, vault: main}]\n",
                                    "4:12: error: policies[0]: \"topics\" is required\n"
                                    "4:12: error: policies[0]: \"schedule\" is required; write \"\" to run by "
                                    "request only\n"},
    {HEAD "policies: [{" NAMES ", topics: {}, schedule: ''}]\n",
                                    "4:58: error: policies[0].topics: \"include\" is required\n"},
    {VERSION "vaults: [{name: a, type: disk, path: /v, key_file: '', passphrase: ''}]\n",
                                    "2:10: error: vaults[0]: \"key_file\" or \"passphrase\" is required\n"},
    {VERSION "vaults: [{name: a, type: disk, path: /v, key_file: /k, passphrase: '${env:P}'}]\n",
                                    "2:56: error: vaults[0]: \"key_file\" and \"passphrase\" are both given; "
                                    "take one out\n"},

    /* forms */
    {"[1]\n",                       "1:1: error: must be a map of options, not a list\n"},
    {SERVER "[1]\n",                "4:9: error: server: must be a map of options, not a list\n"},
    {SERVER "x\n",                  "4:9: error: server: must be a map of options, not text\n"},
    {VERSION "clusters: {a: 1}\n",  "2:11: error: clusters: must be a list, not a map\n"},
    {VERSION "clusters:\n",         "2:10: error: clusters: must be a list, not nothing\n"},
    {VERSION "clusters: [a]\n",     "2:12: error: clusters[0]: must be a map of options, not text\n"},
    {SERVER "{socket: [a]}\n",      "4:18: error: server.socket: must be one value, not a list\n"},
    {SERVER "\n  socket:\n",        "5:10: error: server.socket: has no value; write one, or take the line out\n"},
    {VERSION "clusters: [{name: a, bootstrap: 'k:1', rdkafka: [a]}]\n",
                                    "2:49: error: clusters[0].rdkafka: must be a map of properties, not a list\n"},
    {VERSION "clusters: [{name: a, bootstrap: 'k:1', rdkafka: {a: [b]}}]\n",
                                    "2:53: error: clusters[0].rdkafka.a: must be one value, not a list\n"},
    {HEAD "server: {cors_origins: ['https://a.example', 'https://a.example/x', '*', 'ftp://a']}\n",
                                    "4:24: error: server.cors_origins[1]: must be an origin: https://HOST or https://HOST:PORT, without a path or \"*\"\n"
                                    "4:24: error: server.cors_origins[2]: must be an origin: https://HOST or https://HOST:PORT, without a path or \"*\"\n"
                                    "4:24: error: server.cors_origins[3]: must be an origin: https://HOST or https://HOST:PORT, without a path or \"*\"\n"},
    {HEAD "jobs: *x\nserver: &y {}\n",
                                    "4:7: error: jobs: aliases (*x) are not supported\n"
                                    "5:9: error: server: anchors (&x) are not supported\n"},
    {HEAD "jobs:\n\tkeep: 1d\n",    "5:1: error: tab used for indentation\n"},

    /* numbers */
    {HEAD "workers: {max: many}\n", "4:16: error: workers.max: \"many\" is not a whole number\n"},
    {HEAD "workers: {max: 0}\n",    "4:16: error: workers.max: 0 is out of range; write 1 to 256\n"},
    {HEAD "workers: {max: 257}\n",  "4:16: error: workers.max: 257 is out of range; write 1 to 256\n"},
    {HEAD "workers: {memory: 1KiB}\n",
                                    "4:19: error: workers.memory: 1KiB is out of range; write 1MiB to 1TiB\n"},
    {HEAD "workers: {memory: 96Mb}\n",
                                    "4:19: error: workers.memory: \"96Mb\" is not a size; accepted: a whole number "
                                    "of bytes, or one with KiB, MiB, GiB, TiB, KB, MB, GB or TB, as in 512KiB\n"},
    {HEAD POLICY ", rpo: 15}]\n",   "4:93: error: policies[0].rpo: \"15\" has no unit; write 15s, 15m, 15h or 15d\n"},
    {HEAD POLICY ", timeout: 1 h}]\n",
                                    "4:97: error: policies[0].timeout: \"1 h\" is not a duration; accepted: a whole "
                                    "number and ms, s, m, h, d or w, as in 500ms, 90s, 15m, 12h, 30d, 2w\n"},
    {HEAD POLICY ", timeout: 10ms}]\n",
                                    "4:97: error: policies[0].timeout: 10ms is out of range; write 1s to 365d, or 0\n"},
    {HEAD "jobs: {keep: 0}\n",      "4:14: error: jobs.keep: 0 is out of range; write 1m to 3650d\n"},
    {HEAD POLICY ", internal_topics: yes}]\n",
                                    "4:105: error: policies[0].internal_topics: \"yes\" is neither true nor false\n"},
    {HEAD "log: {level: warn}\n",   "4:14: error: log.level: \"warn\" is not known; write one of: error, warning, info, "
                                    "debug\n"},
    {HEAD POLICY ", from: '2026-01-01T00:00:00Z'}]\n",
                                    "4:94: error: policies[0].from: \"2026-01-01T00:00:00Z\" is not known; write one "
                                    "of: earliest, latest\n"},

    /* texts */
    {VERSION "clusters: [{name: a/b, bootstrap: 'k:1'}]\n",
                                    "2:19: error: clusters[0].name: \"a/b\" is not a name; write up to 64 of a-z A-Z 0-9 "
                                    ". _ - with a letter or digit first\n"},
    {VERSION "clusters: [{name: ..x, bootstrap: 'k:1'}]\n",
                                    "2:19: error: clusters[0].name: \"..x\" is not a name; write up to 64 of a-z A-Z 0-9 "
                                    ". _ - with a letter or digit first\n"},
    {HEAD "state: {dir: ''}\n",     "4:14: error: state.dir: is empty\n"},
    {HEAD "state: {dir: \"a\\tb\"}\n",
                                    "4:14: error: state.dir: has a control character\n"},
    {SERVER "{socket_group: 0123456789012345678901234567890123456789012345678901234567890123x}\n",
                                    "4:24: error: server.socket_group: has 65 bytes; at most 64 are possible\n"},
    {SERVER "{listen: '0.0.0.0:8484'}\n",
                                    "4:18: error: server.listen: 0.0.0.0:8484 is open to the network without tls; set "
                                    "server.tls or insecure_listen: true\n"},
    {SERVER "{metrics_listen: '[::]:9484'}\n",
                                    "4:26: error: server.metrics_listen: [::]:9484 is open to the network, and answers "
                                    "without a token; set insecure_listen: true if that is meant, or serve it on listen "
                                    "with \"\"\n"},
    {SERVER "{listen: 'kafka.example:1'}\n",
                                    "4:18: error: server.listen: kafka.example:1 is open to the network without tls; set "
                                    "server.tls or insecure_listen: true\n"},
    {SERVER "{tls: {cert_file: a}}\n",
                                    "4:15: error: server.tls: \"cert_file\" and \"key_file\" are both required\n"},
    {SERVER "{client_scopes: {x: [read]}}\n",
                                    "4:25: error: server.client_scopes: is for client certificates, which "
                                    "tls.client_ca_file asks for; set that, or take this out\n"},
    {SERVER "{tls: {cert_file: a, key_file: b, client_ca_file: c}, client_scopes: {x: [write]}}\n",
                                    "4:83: error: server.client_scopes.x: must be read, operate, restore or admin, or a "
                                    "list of these\n"},
    {SERVER "{listen: 8484}\n",     "4:18: error: server.listen: \"8484\" is not an address; write HOST:PORT, or \"\" for "
                                    "none\n"},
    {SERVER "{listen: '127.0.0.1:65536'}\n",
                                    "4:18: error: server.listen: \"127.0.0.1:65536\" is not an address; write HOST:PORT, "
                                    "or \"\" for none\n"},
    {SERVER "{listen: '::1:80'}\n", "4:18: error: server.listen: \"::1:80\" is not an address; write HOST:PORT, or \"\" "
                                    "for none\n"},
    {SERVER "{listen: '127.0.0.1:1', metrics_listen: '127.0.0.1:1'}\n",
                                    "4:49: error: server.metrics_listen: 127.0.0.1:1 is already server.listen; write \"\" "
                                    "to serve both there\n"},
    {SERVER "{listen: '127.0.0.1:9484'}\n",
                                    "4:18: error: server.metrics_listen: 127.0.0.1:9484 is already server.listen; write "
                                    "\"\" to serve both there\n"},
    {VERSION "clusters: [{name: a, bootstrap: []}]\n",
                                    "2:33: error: clusters[0].bootstrap: the list is empty\n"},
    {VERSION "clusters: [{name: a, bootstrap: [k, 'k:0', 'h:1', 'a b:1', '::1:2']}]\n",
                                    "2:34: error: clusters[0].bootstrap[0]: \"k\" is not a broker; write HOST:PORT\n"
                                    "2:37: error: clusters[0].bootstrap[1]: \"k:0\" is not a broker; write HOST:PORT\n"
                                    "2:51: error: clusters[0].bootstrap[3]: \"a b:1\" is not a broker; write HOST:PORT\n"
                                    "2:60: error: clusters[0].bootstrap[4]: \"::1:2\" is not a broker; write HOST:PORT\n"},
    {VERSION "clusters: [{name: a, bootstrap: 'k:1,,l:2'}]\n",
                                    "2:33: error: clusters[0].bootstrap: \"\" is not a broker; write HOST:PORT\n"},

    /* librdkafka's properties */
    {VERSION "clusters: [{name: a, bootstrap: 'k:1', auth: token_file}]\n",
     "2:40: error: clusters[0]: \"token_file\" is required when auth is token_file\n"},
    {VERSION "clusters: [{name: a, bootstrap: 'k:1', auth: iam}]\n",
     "2:46: error: clusters[0].auth: \"iam\" is not known; write one of: rdkafka, token_file, msk_iam\n"},
    {VERSION "clusters: [{name: a, bootstrap: 'k:1', token_file: /t, region: eu-west-1}]\n",
     "2:40: error: clusters[0]: \"token_file\" is for auth: token_file; this cluster has auth: rdkafka\n"
     "2:56: error: clusters[0]: \"region\" is for auth: msk_iam; this cluster has auth: rdkafka\n"},
    {VERSION "clusters: [{name: a, bootstrap: 'k:1', auth: msk_iam, credentials: static, access_key_id: A}]\n",
     "2:68: error: clusters[0]: \"secret_access_key\" is required when credentials is static\n"},
    {VERSION "clusters: [{name: a, bootstrap: 'k:1', auth: msk_iam, access_key_id: A, token_file: /t,\n"
     " rdkafka: {sasl.mechanism: PLAIN, sasl.oauthbearer.scope: x}}]\n",
     "2:55: error: clusters[0]: \"access_key_id\" is given; write \"credentials: static\" to use it\n"
     "2:73: error: clusters[0]: \"token_file\" is for auth: token_file; this cluster has auth: msk_iam\n"
     "3:12: error: clusters[0]: \"sasl.mechanism\" does not go with auth: msk_iam, which sets SASL OAUTHBEARER; "
     "take it out\n"
     "3:35: error: clusters[0]: \"sasl.oauthbearer.scope\" does not go with auth: msk_iam, which sets SASL "
     "OAUTHBEARER; take it out\n"},
    {VERSION "clusters: [{name: a, bootstrap: 'k:1', rdkafka: {sasl.mechanisim: x, enable.auto.commit: x}}]\n",
     "2:50: error: clusters[0].rdkafka: librdkafka 2.14.2 has no property \"sasl.mechanisim\"; did you mean "
     "\"sasl.mechanism\"?\n"
     "2:70: error: clusters[0].rdkafka: \"enable.auto.commit\" is set by tidemark and cannot be changed\n"},
    {VERSION "clusters: [{name: a, bootstrap: 'k:1', rdkafka: {client.id: bad1, sasl.password: bad2}}]\n",
     "2:50: error: clusters[0].rdkafka: invalid value \"bad1\" for \"client.id\"\n"
     "2:67: error: clusters[0].rdkafka: librdkafka does not take the value of \"sasl.password\"; it is not shown, "
     "as it may be secret\n"
     "2:82: warning: clusters[0].rdkafka.sasl.password: a secret stands in this file; better use ${file:/path} or "
     "${credential:name}\n"},

    /* topics and schedules */
    {HEAD "policies: [{" NAMES ", topics: {include: []}, schedule: ''}]\n",
     "4:68: error: policies[0].topics.include: the list is empty\n"},
    {HEAD "policies: [{" NAMES ", topics: {include: [ok, 'a(', '/a{300}/'], exclude: ['']}, schedule: ''}]\n",
     "4:73: error: policies[0].topics.include[1]: topic pattern \"a(\": a character that cannot be in a topic's "
     "name; a regular expression is written between slashes: \"/^a.*$/\"\n"
     "4:79: error: policies[0].topics.include[2]: topic pattern \"/a{300}/\": the counts in {} multiply to more than 255\n"
     "4:102: error: policies[0].topics.exclude[0]: a topic pattern is empty\n"},
    {HEAD "policies: [{" NAMES ", topics: {include: '['}, schedule: ''}]\n",
     "4:68: error: policies[0].topics.include: topic pattern \"[\": \"[\" is not closed\n"},
    {HEAD "policies: [{" NAMES ", " TOPICS ", schedule: '0 25 * * *'}]\n",
     "4:84: error: policies[0].schedule: field 2 (hour) is 0..23, got 25\n"},
    {HEAD "policies: [{" NAMES ", " TOPICS ", schedule: '0 0 30 2 *'}]\n",
     "4:84: error: policies[0].schedule: \"0 0 30 2 *\" never happens\n"},
    {HEAD "policies: [{" NAMES ", " TOPICS ", schedule: '0 0 4 * * *'}]\n",
     "4:84: error: policies[0].schedule: schedule has 6 fields; seconds and years (Quartz) are not supported, use "
     "5 fields or \"@every 30s\"\n"},
    {HEAD "policies: [{" NAMES ", " TOPICS ", schedule: '@after 1h'}]\n",
     "4:84: error: policies[0].schedule: \"@after\" is not built yet in this version\n"},

    /* what concerns several */
    {VERSION "clusters: [{name: a, bootstrap: 'k:1'},\n {name: b, bootstrap: 'k:1'},\n {name: a, bootstrap: 'k:2'}]\n",
     "4:9: error: clusters[2].name: \"a\" is already the name of clusters[0] (line 2)\n"},
    {VERSION "vaults: [{name: a, type: disk, path: /v, key_file: /k},\n{name: a, type: disk, path: /v, key_file: /k}]\n",
     "3:8: error: vaults[1].name: \"a\" is already the name of vaults[0] (line 2)\n"
     "3:29: error: vaults[1].path: \"/v\" is already the path of vaults[0] (line 2)\n"},
    {HEAD "policies: [{" NAMES ", " TOPICS ", schedule: ''},\n{" NAMES ", " TOPICS ", schedule: ''}]\n",
     "5:8: error: policies[1].name: \"p\" is already the name of policies[0] (line 4)\n"},
    {HEAD "policies: [{name: p, cluster: prd, vault: mian, " TOPICS ", schedule: ''}]\n",
     "4:31: error: policies[0].cluster: no cluster named \"prd\"; there are: prod\n"
     "4:43: error: policies[0].vault: no vault named \"mian\"; there are: main\n"},
    {VERSION "clusters: [{name: a/b, bootstrap: 'k:1'}]\n" VAULT
     "policies: [{name: p, cluster: a/b, vault: main, " TOPICS ", schedule: ''}]\n",
     "2:19: error: clusters[0].name: \"a/b\" is not a name; write up to 64 of a-z A-Z 0-9 . _ - with a letter or digit "
     "first\n"},
    {VERSION "policies: [{name: p, cluster: a, vault: b, " TOPICS ", schedule: ''}]\n",
     "2:31: error: policies[0].cluster: no cluster named \"a\"; there are none\n"
     "2:41: error: policies[0].vault: no vault named \"b\"; there are none\n"},

    /* references, as far as they are read without secrets */
    {SERVER "{socket: 'x${env:A}'}\n",
     "4:18: error: server.socket: a reference such as ${env:NAME} has to be the whole value\n"},
    {SERVER "{socket: '${env:A}${file:/b}'}\n",
     "4:18: error: server.socket: a reference such as ${env:NAME} has to be the whole value\n"},
    {SERVER "{socket: '${envy:A}'}\n",
     "4:18: error: server.socket: unknown reference \"${envy:A}\"; there are ${env:NAME}, ${env:NAME:-default}, "
     "${file:/path} and ${credential:name}\n"},
    {SERVER "{socket: '${env:1A}', tokens_file: '${file:a}', socket_group: '${credential:../a}'}\n",
     "4:18: error: server.socket: ${env:1A}: the name of a variable has letters, digits and _\n"
     "4:44: error: server.tokens_file: ${file:a}: the path must be absolute\n"
     "4:71: error: server.socket_group: ${credential:../a}: the name of a credential is a file's name, without a "
     "folder\n"},

    {SERVER "{socket: '${credential:.a}', tokens_file: '${credential:a/b}'}\n",
     "4:18: error: server.socket: ${credential:.a}: the name of a credential is a file's name, without a folder\n"
     "4:51: error: server.tokens_file: ${credential:a/b}: the name of a credential is a file's name, without a "
     "folder\n"},

    /* warnings */
    {HEAD "policies: [{" NAMES ", " TOPICS ", schedule: '@hourly', rpo: 15m}]\n",
     "4:100: warning: policies[0]: rpo is 15m but runs are up to 1h apart; the objective will be breached every "
     "run\n"},
    {HEAD POLICY ", rpo: 15m}]\n",
     "4:93: warning: policies[0]: rpo is 15m but the schedule is empty; the objective holds only while others ask "
     "for runs\n"},
    {VERSION "vaults: [{name: a, type: disk, path: /v, passphrase: open}]\n",
     "2:54: warning: vaults[0].passphrase: a secret stands in this file; better use ${file:/path} or "
     "${credential:name}\n"},

    /* drills */
    {HEAD POLICY ", drill: {target_cluster: prod}}]\n",
     "4:112: error: policies[0].drill.target_cluster: \"prod\" is the source; set topic_prefix and allow_source: true, "
     "or another cluster\n"},
    {HEAD POLICY ", drill: {target_cluster: prod, allow_source: true, topic_prefix: ''}}]\n",
     "4:112: error: policies[0].drill.target_cluster: \"prod\" is the source; set topic_prefix and allow_source: true, "
     "or another cluster\n"},
    {HEAD POLICY ", drill: {target_cluster: scrtch}}]\n",
     "4:112: error: policies[0].drill.target_cluster: no target_cluster named \"scrtch\"; there are: prod\n"},
    {HEAD POLICY ", drill: {schedule: '@daily'}}]\n",
     "4:106: error: policies[0].drill: \"target_cluster\" is required with a schedule\n"},
    {HEAD POLICY ", drill: {target_cluster: prod, allow_source: true}}]\n", ""},

    /* and what gives none */
    {HEAD "policies: [{" NAMES ", " TOPICS ", schedule: '@every 15m', rpo: 15m}]\n", ""},
    {SERVER "{socket_group: 0123456789012345678901234567890123456789012345678901234567890123}\n", ""},
    {VERSION "vaults: [{name: a, type: disk, path: '${env:A}', key_file: /k},\n"
             "{name: b, type: disk, path: '${env:B}', key_file: /k}]\n", ""}, /* not known: may differ */
    {HEAD "server:\n  # all comments\n", ""},
    {HEAD "server: {listen: '[::1]:1', metrics_listen: 'localhost:0'}\n", ""},
    {HEAD "server: {listen: '127.0.0.1:0', metrics_listen: '127.0.0.1:0'}\n", ""},
    {HEAD "server: {listen: '127.9.9.9:1', metrics_listen: ''}\n", ""},
    {HEAD POLICY ", timeout: 0, rpo: 0}]\n", ""},
    {VERSION "vaults: [{name: a, type: disk, path: /v, key_file: '', passphrase: '${env:P}'}]\n", ""},
    {VERSION, ""},
};
/* clang-format on */

START_TEST(each_mistake_is_told_with_its_place)
{
    struct parsed parsed = parse(messages[_i].text);
    struct tm_buf expected = {0};
    for (const char *at = messages[_i].report; *at != '\0';) {
        size_t len = strcspn(at, "\n") + 1;
        tm_buf_add_fmt(&expected, "t.yaml:%.*s", (int)len, at);
        at += len;
    }
    ck_assert_str_eq(tm_buf_text(&parsed.report.text), tm_buf_text(&expected));
    ck_assert_int_eq(parsed.code, strstr(messages[_i].report, "error:") ? TM_E_USAGE : TM_OK);
    tm_buf_done(&expected);
    done(&parsed);
}
END_TEST

START_TEST(all_errors_are_listed_in_file_order)
{
    struct parsed parsed =
            parse("policies:\n"
                  "- {name: p, cluster: c, vault: v, topics: {include: ['[']}, rpo: 5}\n"
                  "server: {listen: x, colour: red}\n"
                  "version: 7\n"
                  "version: 8\n");
    ck_assert_str_eq(tm_buf_text(&parsed.report.text),
            "t.yaml:2:3: error: policies[0]: \"schedule\" is required; write \"\" to run by "
            "request "
            "only\n"
            "t.yaml:2:22: error: policies[0].cluster: no cluster named \"c\"; there are none\n"
            "t.yaml:2:32: error: policies[0].vault: no vault named \"v\"; there are none\n"
            "t.yaml:2:54: error: policies[0].topics.include[0]: topic pattern \"[\": \"[\" is not "
            "closed\n"
            "t.yaml:2:66: error: policies[0].rpo: \"5\" has no unit; write 5s, 5m, 5h or 5d\n"
            "t.yaml:3:18: error: server.listen: \"x\" is not an address; write HOST:PORT, or \"\" "
            "for "
            "none\n"
            "t.yaml:3:21: error: server: unknown key \"colour\"\n"
            "t.yaml:4:10: error: version: 7 is not known to this version; write 1\n"
            "t.yaml:5:1: error: version: key given twice (first at line 4)\n");
    ck_assert_uint_eq(parsed.report.errors, 9);
    ck_assert_str_eq(parsed.err.msg, "t.yaml: 9 errors");
    done(&parsed);
}
END_TEST

START_TEST(fifty_errors_are_listed_and_the_rest_is_counted)
{
    TM_BUF_OWN struct tm_buf text = {0};
    tm_buf_add_text(&text, VERSION);
    for (unsigned i = 0; i < 53; i++) {
        tm_buf_add_fmt(&text, "unheard-of-%02u: 1\n", i);
    }
    struct parsed parsed = parse(tm_buf_text(&text));
    const char *report = tm_buf_text(&parsed.report.text);
    ck_assert_uint_eq(parsed.report.errors, 53);
    ck_assert_ptr_nonnull(strstr(report, "t.yaml:51:1: error: unknown key \"unheard-of-49\"\n"
                                         "t.yaml: 3 more errors are not listed\n"));
    ck_assert_ptr_null(strstr(report, "unheard-of-50"));
    done(&parsed);
}
END_TEST

START_TEST(the_names_that_there_are_are_listed_up_to_ten)
{
    TM_BUF_OWN struct tm_buf text = {0};
    tm_buf_add_text(&text, VERSION VAULT "clusters:\n");
    for (unsigned i = 0; i < 12; i++) {
        tm_buf_add_fmt(&text, "- {name: c%u, bootstrap: 'k:1'}\n", i);
    }
    tm_buf_add_text(&text, POLICY "}]\n");
    struct parsed parsed = parse(tm_buf_text(&text));
    ck_assert_str_eq(tm_buf_text(&parsed.report.text),
            "t.yaml:16:31: error: policies[0].cluster: no cluster named \"prod\"; there are: c0, "
            "c1, c2, "
            "c3, c4, c5, c6, c7, c8, c9, ...\n");
    done(&parsed);
}
END_TEST

START_TEST(the_smallest_file_has_the_defaults)
{
    struct parsed parsed =
            parse("version: 1\n"
                  "clusters: [{name: dev, bootstrap: ['localhost:9092']}]\n"
                  "vaults:   [{name: local, type: disk, path: ./vault, key_file: ./vault.key}]\n"
                  "policies: [{name: all, cluster: dev, vault: local, topics: {include: ['*']},\n"
                  "            schedule: '@every 5m'}]\n");
    ck_assert_str_eq(tm_buf_text(&parsed.report.text), "");
    const struct tm_config *config = parsed.config;
    ck_assert_str_eq(config->server.socket, "/run/tidemark/api.sock");
    ck_assert_str_eq(config->server.listen, "127.0.0.1:8484");
    ck_assert_str_eq(config->server.metrics_listen, "127.0.0.1:9484");
    ck_assert_str_eq(config->server.socket_group, "");
    ck_assert_int_eq(config->server.max_body, 1 << 20);
    ck_assert_int_eq(config->server.max_connections, 128);
    ck_assert_uint_eq(config->server.token_count, 0);
    ck_assert_str_eq(config->state.dir, "/var/lib/tidemark");
    ck_assert_int_eq(config->log.level, TM_LOG_INFO);
    ck_assert_int_eq(config->log.format, TM_LOG_FORMAT_AUTO);
    ck_assert_int_eq(config->workers.max, 8);
    ck_assert_int_eq(config->workers.memory, 96 << 20);
    ck_assert_int_eq(config->jobs.keep_ms, INT64_C(30) * 86400000);
    ck_assert_int_eq(config->jobs.max_running, 4);
    ck_assert_int_eq(config->jobs.max_queued, 100);

    const struct tm_config_vault *vault = tm_config_find_vault(config, "local");
    ck_assert_int_eq(vault->type, TM_VAULT_DISK);
    ck_assert_str_eq(vault->path, "./vault"); /* the file has no folder */
    ck_assert_str_eq(vault->key_file, "./vault.key");
    ck_assert(!vault->key_is_passphrase && !vault->create);
    ck_assert_int_eq(vault->compression_level, 1);

    const struct tm_config_policy *policy = tm_config_find_policy(config, "all");
    ck_assert_ptr_eq(policy->cluster, tm_config_find_cluster(config, "dev"));
    ck_assert_ptr_eq(policy->vault, vault);
    ck_assert_str_eq(policy->cluster->bootstrap, "localhost:9092");
    ck_assert_uint_eq(policy->cluster->rdkafka_count, 0);
    ck_assert_int_eq(policy->schedule.every_ms, 300000);
    ck_assert_int_eq(policy->overlap, TM_OVERLAP_SKIP);
    ck_assert_int_eq(policy->catch_up, TM_CATCH_UP_ONCE);
    ck_assert_int_eq(policy->timeout_ms, 3600000);
    ck_assert_int_eq(policy->rpo_ms, 0);
    ck_assert(!policy->read_uncommitted && !policy->from_latest);
    ck_assert_uint_eq(policy->workers, 4);
    ck_assert(tm_select_matches(policy->select, "orders"));
    ck_assert(!tm_select_matches(policy->select, "__consumer_offsets"));
    ck_assert_ptr_null(tm_config_find_policy(config, "none"));
    done(&parsed);
}
END_TEST

static const char every_option[] =
        "version: 1\n"
        "server:\n"
        "  {socket: '', listen: '[::1]:1', metrics_listen: 'localhost:2', socket_group: ops,\n"
        "   max_body: 2MiB, max_connections: 7}\n"
        "state: {dir: /s}\n"
        "log: {level: debug, format: json}\n"
        "workers: {max: 3, memory: 5MiB}\n"
        "jobs: {keep: 1h, max_running: 2, max_queued: 9}\n"
        "clusters:\n"
        "- {name: x, bootstrap: 'x:1'}\n"
        "- {name: c, bootstrap: ['a:1', 'b:2, [::1]:3'], rdkafka: {client.id: me, "
        "retries: 5}}\n"
        "vaults:\n"
        "- {name: x, type: disk, path: /x, key_file: /k}\n"
        "- {name: v, type: disk, path: /v, key_file: /k, create: true, compression_level: 19,\n"
        "   maintenance: '@every 2h', sweep_grace: 0, merge: false, scrub_bytes_per_day: 1GiB,\n"
        "   quota: 2GiB}\n"
        "- {name: w, type: disk, path: /w, key_file: /k, compression: none}\n"
        "policies:\n"
        "- name: p\n"
        "  cluster: c\n"
        "  vault: v\n"
        "  topics: {include: ['a*', b], exclude: [ab]}\n"
        "  internal_topics: true\n"
        "  schedule: '*/5 * * * *'\n"
        "  overlap: queue\n"
        "  catch_up: none\n"
        "  timeout: 90s\n"
        "  rpo: 1d\n"
        "  isolation: read_uncommitted\n"
        "  from: latest\n"
        "  limits: {workers: 2}\n"
        "  retention: {keep_last: 1, keep_hourly: 2, keep_daily: 3, keep_weekly: 4, keep_monthly: "
        "5,\n"
        "    max_age: 6d, min_points: 7, keep_data: 8d}\n"
        "- {name: q, cluster: c, vault: w, topics: {include: '*'}, schedule: '',\n"
        "   internal_topics: false}\n"
        "verify:\n"
        "- {vault: w, schedule: '@weekly'}\n"
        "- {vault: v, schedule: '@daily', depth: full, sample_ratio: 0.125}\n";

START_TEST(every_option_reaches_its_place)
{
    struct parsed parsed = parse(every_option);
    ck_assert_str_eq(tm_buf_text(&parsed.report.text), "");
    const struct tm_config *config = parsed.config;
    ck_assert_str_eq(config->server.socket, "");
    ck_assert_str_eq(config->server.listen, "[::1]:1");
    ck_assert_str_eq(config->server.metrics_listen, "localhost:2");
    ck_assert_str_eq(config->server.socket_group, "ops");
    ck_assert_int_eq(config->server.max_body, 2 << 20);
    ck_assert_int_eq(config->server.max_connections, 7);
    ck_assert_str_eq(config->state.dir, "/s");
    ck_assert_int_eq(config->log.level, TM_LOG_DEBUG);
    ck_assert_int_eq(config->log.format, TM_LOG_FORMAT_JSON);
    ck_assert_int_eq(config->workers.max, 3);
    ck_assert_int_eq(config->workers.memory, 5 << 20);
    ck_assert_int_eq(config->jobs.keep_ms, 3600000);
    ck_assert_int_eq(config->jobs.max_running, 2);
    ck_assert_int_eq(config->jobs.max_queued, 9);

    const struct tm_config_cluster *cluster = tm_config_find_cluster(config, "c");
    ck_assert_str_eq(cluster->bootstrap, "a:1,b:2,[::1]:3");
    ck_assert_uint_eq(cluster->rdkafka_count, 2);
    ck_assert_str_eq(cluster->rdkafka[0].name, "client.id");
    ck_assert_str_eq(cluster->rdkafka[0].value, "me");
    ck_assert_str_eq(cluster->rdkafka[1].name, "retries");
    ck_assert_str_eq(cluster->rdkafka[1].value, "5");

    const struct tm_config_vault *vault = tm_config_find_vault(config, "v");
    ck_assert(vault->create);
    ck_assert_int_eq(vault->compression_level, 19);
    ck_assert_int_eq(tm_config_find_vault(config, "w")->compression_level, 0);

    done(&parsed);
}
END_TEST

START_TEST(every_option_of_a_policy_reaches_its_place)
{
    struct parsed parsed = parse(every_option);
    const struct tm_config *config = parsed.config;
    const struct tm_config_policy *policy = tm_config_find_policy(config, "p");
    ck_assert_ptr_eq(policy->cluster, tm_config_find_cluster(config, "c"));
    ck_assert_ptr_eq(policy->vault, tm_config_find_vault(config, "v"));
    ck_assert_uint_eq(policy->include_count, 2);
    ck_assert_str_eq(policy->include[1], "b");
    ck_assert_uint_eq(policy->exclude_count, 1);
    ck_assert_str_eq(policy->exclude[0], "ab");
    ck_assert(tm_select_matches(policy->select, "ac") && !tm_select_matches(policy->select, "ab"));
    ck_assert_str_eq(policy->schedule_text, "*/5 * * * *");
    ck_assert_int_eq(policy->schedule.kind, TM_SCHEDULE_CRON);
    ck_assert_int_eq(policy->overlap, TM_OVERLAP_QUEUE);
    ck_assert_int_eq(policy->catch_up, TM_CATCH_UP_NONE);
    ck_assert_int_eq(policy->timeout_ms, 90000);
    ck_assert_int_eq(policy->rpo_ms, 86400000);
    ck_assert(policy->read_uncommitted && policy->from_latest);
    ck_assert_uint_eq(policy->workers, 2);
    policy = tm_config_find_policy(config, "q");
    ck_assert_int_eq(policy->schedule.kind, TM_SCHEDULE_BY_HAND);
    ck_assert_uint_eq(policy->include_count, 1);
    ck_assert(!tm_select_matches(policy->select, "__x"));
    done(&parsed);
}
END_TEST

START_TEST(every_option_of_retention_and_verify_reaches_its_place)
{
    struct parsed parsed = parse(every_option);
    const struct tm_config *config = parsed.config;
    const struct tm_config_policy *policy = tm_config_find_policy(config, "p");
    ck_assert_uint_eq(policy->retention.keep_last, 1);
    ck_assert_uint_eq(policy->retention.keep_hourly, 2);
    ck_assert_uint_eq(policy->retention.keep_daily, 3);
    ck_assert_uint_eq(policy->retention.keep_weekly, 4);
    ck_assert_uint_eq(policy->retention.keep_monthly, 5);
    ck_assert_int_eq(policy->retention.max_age_ms, 6 * 86400000);
    ck_assert_uint_eq(policy->retention.min_points, 7);
    ck_assert_int_eq(policy->keep_data_ms, INT64_C(8) * 86400000);
    policy = tm_config_find_policy(config, "q"); /* nothing is removed, records stay for a month */
    ck_assert(!tm_gfs_removes(&policy->retention));
    ck_assert_int_eq(policy->keep_data_ms, INT64_C(30) * 86400000);

    const struct tm_config_vault *vault = tm_config_find_vault(config, "v");
    ck_assert_int_eq(vault->maintenance.every_ms, 7200000);
    ck_assert_int_eq(vault->sweep_grace_ms, 0);
    ck_assert(!vault->merge);
    ck_assert_int_eq(vault->scrub_bytes_per_day, 1 << 30);
    ck_assert_int_eq(vault->quota, INT64_C(2) << 30);
    vault = tm_config_find_vault(config, "w");
    ck_assert_int_eq(vault->maintenance.kind, TM_SCHEDULE_CRON);
    ck_assert_int_eq(vault->sweep_grace_ms, 86400000);
    ck_assert(vault->merge);

    ck_assert_uint_eq(config->verify_count, 2);
    ck_assert_ptr_eq(config->verify[0].vault, vault);
    ck_assert_int_eq(config->verify[0].depth, 2);
    ck_assert_int_eq(config->verify[0].sample_millionths, 20000);
    ck_assert_int_eq(config->verify[1].depth, 3);
    ck_assert_int_eq(config->verify[1].sample_millionths, 125000);
    ck_assert_int_eq(config->verify[1].schedule.kind, TM_SCHEDULE_CRON);
    done(&parsed);
}
END_TEST

START_TEST(internal_topics_opens_patterns_to_them)
{
    struct parsed parsed =
            parse(HEAD "policies: [{" NAMES ", topics: {include: ['*']}, schedule: '', "
                       "internal_topics: true}]\n");
    ck_assert(tm_select_matches(parsed.config->policies[0].select, "__x"));
    done(&parsed);
}
END_TEST

START_TEST(relative_paths_begin_in_the_folder_of_the_file)
{
    static const char text[] = VERSION "server: {socket: ./a/s}\nstate: {dir: d}\n"
                                       "vaults: [{name: m, type: disk, path: /v, key_file: k}]\n";
    static const char *const names[][3] = {
            {"/etc/tm/t.yaml", "/etc/tm/a/s", "/etc/tm/d"},
            {"/t.yaml", "/a/s", "/d"},
            {"x/t.yaml", "x/a/s", "x/d"},
            {"t.yaml", "./a/s", "d"},
    };
    for (size_t i = 0; i < LENGTH(names); i++) {
        const struct tm_config_load_options options = {.path = NULL};
        struct parsed parsed = parse_with(text, names[i][0], &options);
        ck_assert_str_eq(parsed.config->server.socket, names[i][1]);
        ck_assert_str_eq(parsed.config->state.dir, names[i][2]);
        ck_assert_str_eq(parsed.config->vaults[0].path, "/v");
        done(&parsed);
    }
}
END_TEST

START_TEST(references_are_not_followed_without_secrets)
{
    struct parsed parsed = parse(VERSION
            "server: {listen: '${env:L}', tokens_file: '${credential:t}', max_body: '${env:M}'}\n"
            "clusters: [{name: c, bootstrap: '${env:B}', rdkafka: {sasl.password: '${file:/p}'}}]\n"
            "vaults: [{name: v, type: disk, path: '${env:P}', passphrase: '${env:S}'}]\n"
            "policies: [{name: p, cluster: c, vault: v, topics: {include: ['${env:T}']},\n"
            "  schedule: '${env:S}', rpo: 1m}]\n");
    ck_assert_str_eq(tm_buf_text(&parsed.report.text), "");
    ck_assert_str_eq(parsed.config->server.listen, "127.0.0.1:8484");
    ck_assert_int_eq(parsed.config->server.max_body, 1 << 20);
    ck_assert_uint_eq(parsed.config->clusters[0].rdkafka_count, 0);
    ck_assert_uint_eq(parsed.config->vaults[0].key.len, 0);
    done(&parsed);
}
END_TEST

/* The committed file and what options.def gives. */
static void assert_generated(const char *name, void (*generate)(struct tm_buf *out))
{
    const char *root = getenv("TM_SOURCE_ROOT");
    ck_assert_msg(root != NULL, "TM_SOURCE_ROOT is not set: run this by meson test or tests/run");
    char path[4096];
    TM_BUF_OWN struct tm_buf committed = {0};
    TM_BUF_OWN struct tm_buf generated = {0};
    struct tm_err err = {0};
    ck_assert_int_lt(snprintf(path, sizeof(path), "%s/%s", root, name), (int)sizeof(path));
    ck_assert_msg(tm_fs_read(path, 1 << 20, &committed, &err) == TM_OK, "%s", err.msg);
    generate(&generated);
    ck_assert_msg(strcmp(tm_buf_text(&committed), tm_buf_text(&generated)) == 0,
            "%s is not what config/options.def gives; write it with tidemark-config-docs", name);
}

START_TEST(the_committed_example_and_reference_are_generated)
{
    assert_generated("examples/tidemark.yaml", tm_config_example);
    assert_generated("docs/config.md", tm_config_reference);
}
END_TEST

START_TEST(the_example_has_no_errors)
{
    TM_BUF_OWN struct tm_buf text = {0};
    tm_config_example(&text);
    struct parsed parsed = parse(tm_buf_text(&text));
    ck_assert_str_eq(tm_buf_text(&parsed.report.text), "");
    const struct tm_config *config = parsed.config;
    ck_assert_str_eq(config->server.socket_group, "tidemark");
    ck_assert_uint_eq(config->clusters[0].rdkafka_count, 4); /* one is a secret */
    ck_assert_str_eq(config->vaults[0].key_file, "${credential:vault-key}");
    ck_assert_int_eq(config->policies[0].rpo_ms, 900000);
    ck_assert_uint_eq(config->policies[0].include_count, 2);
    done(&parsed);
}
END_TEST

START_TEST(any_beginning_of_the_example_loads_or_says_why_not)
{
    TM_BUF_OWN struct tm_buf text = {0};
    const struct tm_config_load_options options = {.check_property = check_property};
    tm_config_example(&text);
    unsigned loaded = 0;
    for (size_t len = 0; len <= text.len; len++) {
        char *copy = strndup(tm_buf_text(&text), len);
        struct parsed parsed = parse_with(copy, "t.yaml", &options);
        ck_assert(parsed.code == TM_OK || parsed.report.text.len > 0);
        loaded += parsed.code == TM_OK ? 1 : 0;
        done(&parsed);
        free(copy);
    }
    ck_assert_uint_gt(loaded, 100);
    ck_assert_uint_lt(loaded, text.len);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("config");
    tcase_set_timeout(tcase, 60); /* every beginning of the example: seconds with sanitizers */
    tcase_add_loop_test(tcase, each_mistake_is_told_with_its_place, 0, (int)LENGTH(messages));
    tcase_add_test(tcase, all_errors_are_listed_in_file_order);
    tcase_add_test(tcase, fifty_errors_are_listed_and_the_rest_is_counted);
    tcase_add_test(tcase, the_names_that_there_are_are_listed_up_to_ten);
    tcase_add_test(tcase, the_smallest_file_has_the_defaults);
    tcase_add_test(tcase, every_option_reaches_its_place);
    tcase_add_test(tcase, every_option_of_a_policy_reaches_its_place);
    tcase_add_test(tcase, every_option_of_retention_and_verify_reaches_its_place);
    tcase_add_test(tcase, internal_topics_opens_patterns_to_them);
    tcase_add_test(tcase, relative_paths_begin_in_the_folder_of_the_file);
    tcase_add_test(tcase, references_are_not_followed_without_secrets);
    tcase_add_test(tcase, the_committed_example_and_reference_are_generated);
    tcase_add_test(tcase, the_example_has_no_errors);
    tcase_add_test(tcase, any_beginning_of_the_example_loads_or_says_why_not);

    Suite *suite = suite_create("config");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
