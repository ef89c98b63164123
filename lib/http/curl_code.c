/* SPDX-License-Identifier: Apache-2.0 */
#include "http/curl_code.h"

#include <stdio.h>

enum { NAME_MAX_BYTES = 40 };

/* clang-format off */
static const struct {
    CURLcode curl_code;
    enum tm_code code;
    const char *name;
} known[] = {
    {CURLE_UNSUPPORTED_PROTOCOL,    TM_E_IO,      "UNSUPPORTED_PROTOCOL"}, /* an answer that is not HTTP/1: URLs are checked before */
    {CURLE_URL_MALFORMAT,           TM_E_USAGE,   "URL_MALFORMAT"},
    {CURLE_COULDNT_RESOLVE_PROXY,   TM_E_IO,      "COULDNT_RESOLVE_PROXY"},
    {CURLE_COULDNT_RESOLVE_HOST,    TM_E_IO,      "COULDNT_RESOLVE_HOST"},
    {CURLE_COULDNT_CONNECT,         TM_E_IO,      "COULDNT_CONNECT"},
    {CURLE_WEIRD_SERVER_REPLY,      TM_E_IO,      "WEIRD_SERVER_REPLY"},
    {CURLE_PARTIAL_FILE,            TM_E_IO,      "PARTIAL_FILE"},
    {CURLE_OUT_OF_MEMORY,           TM_E_LIMIT,   "OUT_OF_MEMORY"},
    {CURLE_OPERATION_TIMEDOUT,      TM_E_TIMEOUT, "OPERATION_TIMEDOUT"},
    {CURLE_SSL_CONNECT_ERROR,       TM_E_IO,      "SSL_CONNECT_ERROR"},
    {CURLE_GOT_NOTHING,             TM_E_IO,      "GOT_NOTHING"},
    {CURLE_SEND_ERROR,              TM_E_IO,      "SEND_ERROR"},
    {CURLE_RECV_ERROR,              TM_E_IO,      "RECV_ERROR"},
    {CURLE_SEND_FAIL_REWIND,        TM_E_IO,      "SEND_FAIL_REWIND"},
    {CURLE_READ_ERROR,              TM_E_IO,      "READ_ERROR"},
    {CURLE_WRITE_ERROR,             TM_E_IO,      "WRITE_ERROR"},
    {CURLE_ABORTED_BY_CALLBACK,     TM_E_IO,      "ABORTED_BY_CALLBACK"},
    {CURLE_PEER_FAILED_VERIFICATION, TM_E_DENIED, "PEER_FAILED_VERIFICATION"},
    {CURLE_SSL_CACERT_BADFILE,      TM_E_USAGE,   "SSL_CACERT_BADFILE"},
    {CURLE_SSL_CERTPROBLEM,         TM_E_USAGE,   "SSL_CERTPROBLEM"},
    
};
/* clang-format on */

enum tm_code tm_curl_code(CURLcode curl_code, char *name)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].curl_code == curl_code) {
            (void)snprintf(name, NAME_MAX_BYTES, "%s", known[i].name);
            return known[i].code;
        }
    }
    (void)snprintf(name, NAME_MAX_BYTES, "curl %d", (int)curl_code);
    return TM_E_IO;
}
