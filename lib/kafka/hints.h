/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hints - what to do about a connection that is refused, in the words of whoever configures it.
 *
 * librdkafka passes on what OpenSSL and the broker say ("sslv3 alert bad certificate"), which names the
 * fault and not the remedy. Of a broker's certificate that is not accepted it does not even say why.
 *
 * Threads: any.
 */
#ifndef TM_KAFKA_HINTS_H
#define TM_KAFKA_HINTS_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

/*
 * Why a broker's certificate is not accepted, by OpenSSL's number (X509_V_ERR_...), and what to do.
 * Static storage; NULL for one that is rare.
 */
const char *tm_hint_certificate(int x509_error);

/*
 * What to do about this failure; NULL: nothing to add. `never`: no connection of the handle has ever
 * worked, so that one that is closed at once may be of the wrong kind.
 */
const char *tm_hint_connection(rd_kafka_resp_err_t err, const char *text, bool never);

#endif
