/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange - MHD's callbacks of one request: first line, headers, body, answer, end.
 *
 * Everything that can be refused by the headers alone is decided when they are in; a body that is too
 * large is then not read at all, a smaller one is read and thrown away, so that the connection lives.
 *
 * Threads: the loop's.
 */
#ifndef TM_API_EXCHANGE_H
#define TM_API_EXCHANGE_H

#include <microhttpd.h>

/* MHD_OPTION_URI_LOG_CALLBACK: a request begins. `cls` is the server. */
void *tm_exchange_begin(void *cls, const char *uri, struct MHD_Connection *connection);
/* MHD_AccessHandlerCallback */
enum MHD_Result tm_exchange_step(void *cls, struct MHD_Connection *connection, const char *url,
        const char *method, const char *version, const char *data, size_t *size, void **slot);
/* MHD_RequestCompletedCallback */
void tm_exchange_end(void *cls, struct MHD_Connection *connection, void **slot,
        enum MHD_RequestTerminationCode how);

#endif
