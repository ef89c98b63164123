/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal - what the files of lib/kafka share: the librdkafka handle and the causes of its failures.
 *
 * librdkafka reconnects for ever and says why a broker is away only in passing, by an error callback
 * of the handle; a call that fails later says "timed out" and no more. So each handle has a thread
 * that serves its callbacks and keeps the newest cause, and every failure that may come from a
 * connection is reported with it.
 *
 * Threads: any, except where said.
 */
#ifndef TM_KAFKA_INTERNAL_H
#define TM_KAFKA_INTERNAL_H

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "kafka/kafka.h"

enum { TM_CAUSE_MAX = 320 };

/* What else a handle's thread does; each may be NULL. */
struct tm_client_hooks {
    void (*delivered)(const rd_kafka_message_t *message); /* a delivery report */
    void (*served)(void *opaque);                         /* after each round of callbacks */
    void (*fatal)(void *opaque, rd_kafka_resp_err_t err, const char *text);
};

struct tm_client {
    rd_kafka_t *rk;
    char *cluster;
    pthread_t thread;
    bool thread_runs;
    int poll_ms;
    atomic_bool stop;
    const struct tm_client_hooks *hooks;
    void *opaque;

    pthread_mutex_t lock; /* of what follows */
    rd_kafka_resp_err_t cause;
    char cause_text[TM_CAUSE_MAX];
    int64_t cause_ns;
    bool recovered; /* something succeeded since */
};

struct tm_kafka {
    struct tm_client client;
    bool read_uncommitted;
    atomic_bool is_mock; /* known to be librdkafka's mock: no controller, and never will be */
};

/* `client` is zeroed memory that stays where it is; on failure nothing of it needs releasing. */
enum tm_code tm_client_open(struct tm_client *client, rd_kafka_type_t type,
        const struct tm_kafka_options *options, const struct tm_client_hooks *hooks, void *opaque,
        struct tm_err *err) TM_MUST_CHECK;
void tm_client_stop(struct tm_client *client); /* ends the thread; no callback comes after */
void tm_client_close(struct tm_client *client);

void tm_client_succeeded(struct tm_client *client); /* causes noted so far are over */
/*
 * Report `err` in `out` as "NAME: text". Where it only says that nothing came back, the newest cause
 * of the handle takes its place. `text` NULL: the library's text to `err`.
 */
enum tm_code tm_client_fail(
        struct tm_client *client, rd_kafka_resp_err_t err, const char *text, struct tm_err *out);

/* A topic error met while a queue is served in this thread: librdkafka does not say of which queue. */
struct tm_caught {
    rd_kafka_resp_err_t err;
    char text[TM_CAUSE_MAX];
};
/* From now on such errors of this thread go to `into`; NULL ends it. */
void tm_client_catch(struct tm_caught *into);

enum tm_code tm_rdkafka_code(rd_kafka_resp_err_t err); /* TM_OK for no error */
bool tm_rdkafka_is_silence(rd_kafka_resp_err_t err);   /* it says only that nothing came back */
int tm_rdkafka_timeout(int64_t timeout_ms);            /* as librdkafka takes it: 1 ms .. 1 h */

/* Everything that `options` and Tidemark set, into `conf`. */
enum tm_code tm_properties_apply(rd_kafka_conf_t *conf, rd_kafka_type_t type,
        const struct tm_kafka_options *options, struct tm_err *err) TM_MUST_CHECK;

/* Has the cluster a controller, so that admin calls can be answered? Quick for the mock. */
enum tm_code tm_kafka_controller(
        struct tm_kafka *kafka, int64_t timeout_ms, bool *out, struct tm_err *err) TM_MUST_CHECK;

/* One admin call: its options and its queue; the answer is polled from it. */
struct tm_admin_call {
    rd_kafka_AdminOptions_t *options;
    rd_kafka_queue_t *queue;
};
struct tm_admin_call tm_admin_call_new(
        struct tm_client *client, rd_kafka_admin_op_t op, int64_t timeout_ms);
void tm_admin_call_done(struct tm_admin_call *call);
/* Wait for an answer, which is for rd_kafka_event_destroy(); NULL when none comes. */
rd_kafka_event_t *tm_admin_call_poll(struct tm_admin_call *call, int64_t timeout_ms);
/* Report an answer that is none or a failure as a whole. */
enum tm_code tm_admin_call_check(
        struct tm_client *client, rd_kafka_event_t *event, struct tm_err *err) TM_MUST_CHECK;
#define TM_ADMIN_OWN __attribute__((cleanup(tm_admin_call_done)))

static inline void tm_event_slot(rd_kafka_event_t **slot)
{
    if (*slot != NULL) {
        rd_kafka_event_destroy(*slot);
    }
}
#define TM_EVENT_OWN __attribute__((cleanup(tm_event_slot)))

#endif
