/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "loader.h"

enum { HOST_MAX = 256 };

/* "[::1]" without its brackets; the form has been checked. */
static void host_of(const char *address, char host[HOST_MAX])
{
    const char *colon = strrchr(address, ':');
    size_t len = colon != NULL ? (size_t)(colon - address) : 0;
    size_t bracket = len > 1 && address[0] == '[' ? 1 : 0;
    len = len - 2 * bracket < HOST_MAX ? len - 2 * bracket : 0;
    memcpy(host, address + bracket, len);
    host[len] = '\0';
}

static bool is_loopback(const char *address)
{
    struct in_addr four;
    struct in6_addr six;
    char host[HOST_MAX];
    host_of(address, host);
    if (inet_pton(AF_INET, host, &four) == 1) {
        return ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    if (inet_pton(AF_INET6, host, &six) == 1) {
        return IN6_IS_ADDR_LOOPBACK(&six) != 0;
    }
    return strcmp(host, "localhost") == 0;
}

static struct tm_place place_of(const struct tm_yaml *node, const char *key)
{
    const struct tm_yaml *given = tm_yaml_get(node, key);
    return given != NULL ? given->at : node->at;
}

static void check_same(struct tm_loader *loader, const struct tm_yaml *server)
{
    const struct tm_config *config = loader->config;
    const char *listen = config->server.listen;
    size_t len = strlen(listen);
    bool any_port = len > 2 && strcmp(listen + len - 2, ":0") == 0;
    if (listen[0] == '\0' || any_port || strcmp(listen, config->server.metrics_listen) != 0) {
        return;
    }
    bool has_own = tm_yaml_get(server, "metrics_listen") != NULL;
    tm_findings_error(&loader->findings, place_of(server, has_own ? "metrics_listen" : "listen"),
            "server.metrics_listen", "%s is already server.listen; write \"\" to serve both there",
            listen);
}

static void check_open(struct tm_loader *loader, const struct tm_yaml *server)
{
    const struct tm_config *config = loader->config;
    const char *listen = config->server.listen;
    const char *metrics = config->server.metrics_listen;
    if (config->server.insecure_listen) {
        return;
    }
    if (listen[0] != '\0' && config->server.tls_cert_file[0] == '\0' && !is_loopback(listen)) {
        tm_findings_error(&loader->findings, place_of(server, "listen"), "server.listen",
                "%s is open to the network without tls; set server.tls or insecure_listen: true",
                listen);
    }
    if (metrics[0] != '\0' && !is_loopback(metrics)) {
        tm_findings_error(&loader->findings, place_of(server, "metrics_listen"),
                "server.metrics_listen",
                "%s is open to the network, and answers without a token; set insecure_listen: true "
                "if that is meant, or serve it on listen with \"\"",
                metrics);
    }
}

static void check_file(
        struct tm_loader *loader, const struct tm_yaml *tls, const char *key, const char *file)
{
    if (file[0] != '\0' && loader->options->read_secrets && access(file, R_OK) != 0) {
        tm_findings_error(&loader->findings, place_of(tls, key), "server.tls",
                "\"%s\": %s cannot be read: %s", key, file, tm_errno_text(errno));
    }
}

static void check_tls(struct tm_loader *loader, const struct tm_yaml *server)
{
    const struct tm_config *config = loader->config;
    const struct tm_yaml *tls = tm_yaml_get(server, "tls");
    bool has_cert = config->server.tls_cert_file[0] != '\0';
    bool has_key = config->server.tls_key_file[0] != '\0';
    bool has_ca = config->server.tls_client_ca_file[0] != '\0';
    if (tls != NULL && tls->kind == TM_YAML_MAP) {
        if (has_cert != has_key || (has_ca && !has_cert)) {
            tm_findings_error(&loader->findings, tls->at, "server.tls",
                    "\"cert_file\" and \"key_file\" are both required");
        }
        check_file(loader, tls, "cert_file", config->server.tls_cert_file);
        check_file(loader, tls, "key_file", config->server.tls_key_file);
        check_file(loader, tls, "client_ca_file", config->server.tls_client_ca_file);
    }
    if (config->server.client_count > 0 && !has_ca) {
        tm_findings_error(&loader->findings, place_of(server, "client_scopes"),
                "server.client_scopes",
                "is for client certificates, which tls.client_ca_file asks for; set that, or take "
                "this out");
    }
}

/* As a browser writes it: no path, no user, no pattern. */
static bool is_origin(const char *text)
{
    size_t scheme = strncmp(text, "https://", 8) == 0  ? 8
                    : strncmp(text, "http://", 7) == 0 ? 7
                                                       : 0;
    return scheme > 0 && text[scheme] != '\0' && strpbrk(text + scheme, "/?#@*\\ \t\r\n,") == NULL;
}

static void check_origins(struct tm_loader *loader, const struct tm_yaml *server)
{
    const struct tm_config *config = loader->config;
    for (size_t i = 0; i < config->server.cors_origin_count; i++) {
        if (!is_origin(config->server.cors_origins[i])) {
            tm_findings_error(&loader->findings, place_of(server, "cors_origins"),
                    tm_arena_fmt(&loader->arena, "server.cors_origins[%zu]", i),
                    "must be an origin: https://HOST or https://HOST:PORT, without a path or "
                    "\"*\"");
        }
    }
}

void tm_check_server(struct tm_loader *loader, const struct tm_yaml *root)
{
    const struct tm_yaml *server = tm_yaml_get(root, "server");
    if (server == NULL || server->kind != TM_YAML_MAP) {
        return; /* the defaults are on loopback */
    }
    check_same(loader, server);
    check_open(loader, server);
    check_tls(loader, server);
    check_origins(loader, server);
}
