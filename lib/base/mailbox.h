/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbox - messages from any thread to the one that owns the box.
 *
 * Post takes ownership of the message and then calls the box's wake function (on the loop:
 * uv_async_send, which coalesces: so the owner drains the box each time it is woken). A message is a
 * function and its argument: draining calls each in the order posted, on the owner's thread.
 *
 * Threads: post from any; drain, wait and free by the owner.
 */
#ifndef TM_BASE_MAILBOX_H
#define TM_BASE_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/own.h"

struct tm_mailbox;

/* `wake` may be NULL for an owner that uses tm_mailbox_wait(). */
struct tm_mailbox *tm_mailbox_new(void (*wake)(void *arg), void *wake_arg);
void tm_mailbox_free(struct tm_mailbox *box); /* messages not drained are dropped, not called */
TM_OWNABLE(struct tm_mailbox *, tm_mailbox_free);

void tm_mailbox_post(struct tm_mailbox *box, void (*fn)(void *arg), void *arg);
size_t tm_mailbox_drain(struct tm_mailbox *box); /* call all that are there; how many */
/* Block until a message is there or `timeout_ms` is over (-1: for ever); true when there is one. */
bool tm_mailbox_wait(struct tm_mailbox *box, int64_t timeout_ms);

#endif
