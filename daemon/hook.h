/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook - one receiver of notifications: its queue, and the thread that sends it, one after another, with tries
 * in between. It remembers what lasts and was told.
 *
 * Threads: any, but new, free and reap are the loop's. None of them waits for the receiver, but free, for a second at most.
 */
#ifndef TM_DAEMON_HOOK_H
#define TM_DAEMON_HOOK_H

#include "tmd.h"

struct tmd_hook;

struct tmd_hook *tmd_hook_new(const struct tm_config_hook *config); /* borrowed for its life */
void tmd_hook_free(struct tmd_hook *hook);                          /* drops what is queued */
/* Give up what is not sent yet, within a second. */
void tmd_hook_hurry(struct tmd_hook *hook);
/* Nothing more is told: what is queued is sent, then its thread ends. */
void tmd_hook_retire(struct tmd_hook *hook);
/* Of one that was retired: give back the thread, if it has ended. */
void tmd_hook_reap(struct tmd_hook *hook);

const struct tm_config_hook *tmd_hook_config(const struct tmd_hook *hook);
size_t tmd_hook_pending(struct tmd_hook *hook); /* notifications not sent yet */
struct tm_json *tmd_hook_view(struct tmd_hook *hook);

/* Queue `body`, if the hook wants the event of that policy (NULL: of none) and was not told already. */
void tmd_hook_tell(struct tmd_hook *hook, enum tm_hook_event event, const char *policy,
        const char *subject, const char *body);
/* A lasting event is over: the next one is told at once. */
void tmd_hook_over(struct tmd_hook *hook, enum tm_hook_event event, const char *subject);
/* Send at once, past the queue. It blocks. */
enum tm_code tmd_hook_try(
        struct tmd_hook *hook, const char *body, int *status, struct tm_err *err) TM_MUST_CHECK;

#endif
