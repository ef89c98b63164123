/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/hints.h"

#include <string.h>

/* OpenSSL's numbers, which are part of its interface; its header belongs to lib/base alone. */
/* clang-format off */
static const struct {
    int number;
    const char *text;
} certificates[] = {
    {9,  "it is not valid yet: look at the clocks"},
    {10, "it has expired: the broker needs a new one"},
    {18, "it is signed by itself: give it as ssl.ca.location if it is to be trusted"},
    {19, "its authority is not in ssl.ca.location: give the one that signed it"},
    {20, "its authority is not in ssl.ca.location: give the one that signed it"},
    {21, "its authority is not in ssl.ca.location: give the one that signed it"},
    {23, "it has been revoked: the broker needs a new one"},
    {62, "it is for another host name: use one of its names as bootstrap address and advertised listener, or issue it with this one"},
    {64, "it is for another address: use one of its names as bootstrap address and advertised listener, or issue it with this one"},
};

/* The first that fits decides. */
static const struct {
    const char *part;
    const char *hint;
} connections[] = {
    {"alert bad certificate", "the broker wants a client certificate of an authority it knows: ssl.certificate.location, ssl.key.location"},
    {"alert certificate required", "the broker wants a client certificate: ssl.certificate.location, ssl.key.location"},
    {"alert certificate unknown", "the broker does not know the client certificate's authority"},
    {"alert unknown ca", "the broker does not know the client certificate's authority"},
    {"alert certificate expired", "the client certificate has expired: put a new one at ssl.certificate.location"},
    {"nvalid username or password", "check sasl.username and sasl.password"},
    {"invalid credentials with SASL mechanism", "check sasl.username, sasl.password and that the user exists for this mechanism"},
    {"nsupported SASL mechanism", "check sasl.mechanism"},
};
/* clang-format on */

const char *tm_hint_certificate(int x509_error)
{
    for (size_t i = 0; i < sizeof(certificates) / sizeof(certificates[0]); i++) {
        if (certificates[i].number == x509_error) {
            return certificates[i].text;
        }
    }
    return NULL;
}

const char *tm_hint_connection(rd_kafka_resp_err_t err, const char *text, bool never)
{
    for (size_t i = 0; i < sizeof(connections) / sizeof(connections[0]); i++) {
        if (strstr(text, connections[i].part) != NULL) {
            return connections[i].hint;
        }
    }
    if (err == RD_KAFKA_RESP_ERR__AUTHENTICATION && strstr(text, "SASL authentication") != NULL) {
        return "check who we are to the cluster: rdkafka sasl.*, or auth";
    }
    bool closed = strstr(text, "closed by peer") != NULL;
    return never && closed && err == RD_KAFKA_RESP_ERR__TRANSPORT
                   ? "if it always does, security.protocol is not that of this listener"
                   : NULL;
}
