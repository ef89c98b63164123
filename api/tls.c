/* SPDX-License-Identifier: Apache-2.0 */
#include "tls.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <microhttpd.h>
#include <string.h>

static gnutls_datum_t datum_of(const char *pem)
{
    /* GnuTLS takes what it only reads as not const. */
    union {
        const char *from;
        unsigned char *to;
    } bytes = {.from = pem};
    return (gnutls_datum_t){.data = bytes.to, .size = (unsigned)strlen(pem)};
}

/* Our own certificate ------------------------------------------------------------------------ */

static enum tm_code check_pair(gnutls_certificate_credentials_t credentials,
        const struct tm_api_tls *tls, struct tm_err *err)
{
    gnutls_datum_t cert = datum_of(tls->cert_pem);
    gnutls_datum_t key = datum_of(tls->key_pem);
    int failed = gnutls_certificate_set_x509_key_mem(credentials, &cert, &key, GNUTLS_X509_FMT_PEM);
    if (failed < 0) {
        return tm_err_set(
                err, TM_E_USAGE, "server.tls: cert_file and key_file: %s", gnutls_strerror(failed));
    }
    if (tls->client_ca_pem == NULL) {
        return TM_OK;
    }
    gnutls_datum_t ca = datum_of(tls->client_ca_pem);
    int count = gnutls_certificate_set_x509_trust_mem(credentials, &ca, GNUTLS_X509_FMT_PEM);
    if (count <= 0) {
        return tm_err_set(err, TM_E_USAGE, "server.tls: client_ca_file: %s",
                count < 0 ? gnutls_strerror(count) : "there is no certificate in it");
    }
    return TM_OK;
}

enum tm_code tm_tls_check(const struct tm_api_tls *tls, struct tm_err *err)
{
    gnutls_certificate_credentials_t credentials = NULL;
    int failed = gnutls_certificate_allocate_credentials(&credentials);
    if (failed < 0) {
        return tm_err_set(err, TM_E_IO, "server.tls: %s", gnutls_strerror(failed));
    }
    enum tm_code code = check_pair(credentials, tls, err);
    gnutls_certificate_free_credentials(credentials);
    return code;
}

/* A client's --------------------------------------------------------------------------------- */

static enum tm_code deny(struct tm_err *err, const char *why)
{
    return tm_err_set(err, TM_E_DENIED, "%s", why);
}

static enum tm_code verify(gnutls_session_t session, struct tm_err *err)
{
    unsigned status = 0;
    int failed = gnutls_certificate_verify_peers2(session, &status);
    if (failed == GNUTLS_E_NO_CERTIFICATE_FOUND) {
        return deny(err, "a client certificate is needed");
    }
    if (failed < 0) {
        return deny(err, gnutls_strerror(failed));
    }
    if ((status & GNUTLS_CERT_EXPIRED) != 0) {
        return deny(err, "the client certificate has expired");
    }
    if ((status & GNUTLS_CERT_NOT_ACTIVATED) != 0) {
        return deny(err, "the client certificate is not valid yet");
    }
    return status == 0
                   ? TM_OK
                   : deny(err, "no authority of client_ca_file stands for the client certificate");
}

/* A name with a NUL or a control character is none: it could look like another one. */
static bool is_clean(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)name[i] < ' ' || name[i] == '\x7f') {
            return false;
        }
    }
    return len > 0;
}

static bool name_of(gnutls_x509_crt_t cert, char name[TM_CLIENT_NAME_MAX])
{
    for (unsigned at = 0;; at++) {
        size_t len = TM_CLIENT_NAME_MAX - 1;
        int kind = gnutls_x509_crt_get_subject_alt_name(cert, at, name, &len, NULL);
        if (kind == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) {
            break;
        }
        if (kind == GNUTLS_SAN_URI && is_clean(name, len)) {
            name[len] = '\0';
            return true;
        }
    }
    size_t len = TM_CLIENT_NAME_MAX;
    int failed = gnutls_x509_crt_get_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &len);
    return failed == 0 && len < TM_CLIENT_NAME_MAX && is_clean(name, len);
}

enum tm_code tm_tls_client(
        const struct tm_request *request, char name[TM_CLIENT_NAME_MAX], struct tm_err *err)
{
    const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (info == NULL || info->tls_session == NULL) {
        return deny(err, "the connection has no TLS");
    }
    TM_TRY(verify(info->tls_session, err));
    unsigned count = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(info->tls_session, &count);
    gnutls_x509_crt_t cert = NULL;
    if (chain == NULL || count == 0 || gnutls_x509_crt_init(&cert) < 0) {
        return deny(err, "a client certificate is needed");
    }
    bool good = gnutls_x509_crt_import(cert, &chain[0], GNUTLS_X509_FMT_DER) == 0 &&
                name_of(cert, name);
    gnutls_x509_crt_deinit(cert);
    return good ? TM_OK
                : deny(err, "the client certificate has neither a SAN URI nor a common name");
}
