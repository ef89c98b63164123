/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idempotency - the header Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07) of requests that make jobs.
 *
 * Threads: the loop's.
 */
#ifndef TM_API_IDEMPOTENCY_H
#define TM_API_IDEMPOTENCY_H

#include "request.h"

/*
 * True: the request has a key, and its handler is called once it is known that no job was made for it yet; else it is
 * answered with that job, or refused. False: it has none, or makes no job.
 */
bool tm_idempotency_ask(struct tm_request *request);
/* The request is on its way no more: its job has been accepted, or refused. */
void tm_idempotency_release(struct tm_request *request);

#endif
