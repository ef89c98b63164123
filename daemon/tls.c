/* SPDX-License-Identifier: Apache-2.0 */
#include "tls.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"

enum { PEM_MAX = 1 << 20 };

struct tmd_tls {
    struct tm_buf cert;
    struct tm_buf key;
    struct tm_buf client_ca;
    struct tm_api_client *clients;
    struct tm_api_tls api;
};

/* *text is NULL where no file is named. */
static enum tm_code read_pem(const char *what, const char *path, struct tm_buf *into,
        const char **text, struct tm_err *err)
{
    if (path[0] == '\0') {
        return TM_OK;
    }
    if (tm_fs_read(path, PEM_MAX, into, err) != TM_OK) {
        return tm_err_wrap(err, "server.tls.%s", what);
    }
    *text = tm_buf_text(into);
    return TM_OK;
}

static void copy_clients(struct tmd_tls *tls, const struct tm_config *config)
{
    size_t count = config->server.client_count;
    tls->clients = tm_xalloc(count + 1, sizeof(*tls->clients));
    for (size_t i = 0; i < count; i++) {
        tls->clients[i] = (struct tm_api_client){
                config->server.clients[i].identity, config->server.clients[i].scopes};
    }
    tls->api.clients = tls->clients;
    tls->api.client_count = count;
}

enum tm_code tmd_tls_load(const struct tm_config *config, struct tmd_tls **out, struct tm_err *err)
{
    if (config->server.tls_cert_file[0] == '\0') {
        *out = NULL;
        return TM_OK;
    }
    struct tmd_tls *tls = tm_xalloc(1, sizeof(*tls));
    struct tm_api_tls *api = &tls->api;
    copy_clients(tls, config);
    enum tm_code code =
            read_pem("cert_file", config->server.tls_cert_file, &tls->cert, &api->cert_pem, err);
    if (code == TM_OK) {
        code = read_pem("key_file", config->server.tls_key_file, &tls->key, &api->key_pem, err);
    }
    if (code == TM_OK) {
        code = read_pem("client_ca_file", config->server.tls_client_ca_file, &tls->client_ca,
                &api->client_ca_pem, err);
    }
    if (code != TM_OK) {
        tmd_tls_free(tls);
        return code;
    }
    *out = tls;
    return TM_OK;
}

const struct tm_api_tls *tmd_tls_api(const struct tmd_tls *tls)
{
    return tls != NULL ? &tls->api : NULL;
}

static bool same_clients(const struct tm_api_tls *a, const struct tm_api_tls *b)
{
    bool same = a->client_count == b->client_count;
    for (size_t i = 0; same && i < a->client_count; i++) {
        same = strcmp(a->clients[i].identity, b->clients[i].identity) == 0 &&
               a->clients[i].scopes == b->clients[i].scopes;
    }
    return same;
}

bool tmd_tls_same(const struct tmd_tls *a, const struct tmd_tls *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    return tm_slice_eq(tm_buf_slice(&a->cert), tm_buf_slice(&b->cert)) &&
           tm_slice_eq(tm_buf_slice(&a->key), tm_buf_slice(&b->key)) &&
           tm_slice_eq(tm_buf_slice(&a->client_ca), tm_buf_slice(&b->client_ca)) &&
           same_clients(&a->api, &b->api);
}

void tmd_tls_free(struct tmd_tls *tls)
{
    if (tls == NULL) {
        return;
    }
    explicit_bzero(tls->key.at, tls->key.len);
    tm_buf_done(&tls->cert);
    tm_buf_done(&tls->key);
    tm_buf_done(&tls->client_ca);
    free(tls->clients);
    free(tls);
}
