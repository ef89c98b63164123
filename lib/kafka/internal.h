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
#include "kafka/oauth.h"

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
    _Atomic int64_t throttled_ms; /* told by the brokers, summed up */
    const struct tm_client_hooks *hooks;
    void *opaque;
    struct tm_token_source tokens;
    pthread_mutex_t token_lock; /* held while the source is asked */
    int64_t token_refused_ns;   /* when a broker last did; of the thread that serves the handle */

    pthread_mutex_t lock; /* of what follows */
    rd_kafka_resp_err_t cause;
    char cause_text[TM_CAUSE_MAX];
    int64_t cause_ns;
    bool recovered; /* something succeeded since */
    bool succeeded; /* something ever did */
    int x509_error; /* of the last certificate that was not accepted; OpenSSL's number */
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

/* oauth.c: a handle whose options have a source of tokens. Before the handle is made, ... */
void tm_oauth_configure(rd_kafka_conf_t *conf, const struct tm_client *client);
enum tm_code tm_oauth_start(struct tm_client *client, struct tm_err *err) TM_MUST_CHECK; /* after */
/*
 * A broker refuses us, for this reason: ask for another token at once, as keys may have been rotated; at
 * most every 5 s. On the thread that serves the handle, which may have to wait for the source.
 */
void tm_oauth_refused(struct tm_client *client, rd_kafka_t *rk, const char *reason);

enum tm_code tm_rdkafka_code(rd_kafka_resp_err_t err); /* TM_OK for no error */
/* Put behind a refusal for lack of rights which one is needed: "READ on Topic"; nothing behind others. */
void tm_rdkafka_needs(struct tm_err *err, const char *right);
bool tm_rdkafka_is_silence(rd_kafka_resp_err_t err); /* it says only that nothing came back */
int tm_rdkafka_timeout(int64_t timeout_ms);          /* as librdkafka takes it: 1 ms .. 1 h */

/* Everything that `options` and Tidemark set, into `conf`. */
enum tm_code tm_properties_apply(rd_kafka_conf_t *conf, rd_kafka_type_t type,
        const struct tm_kafka_options *options, struct tm_err *err) TM_MUST_CHECK;

/* Has the cluster a controller, so that admin calls can be answered? Quick for the mock. */
enum tm_code tm_kafka_controller(
        struct tm_kafka *kafka, int64_t timeout_ms, bool *out, struct tm_err *err) TM_MUST_CHECK;

/* TM_E_UNSUPPORTED where it has none: for what cannot be done without. */
enum tm_code tm_kafka_need_controller(
        struct tm_kafka *kafka, int64_t timeout_ms, struct tm_err *err) TM_MUST_CHECK;

/* One admin call: its options and its queue; the answer is polled from it. */
struct tm_admin_call {
    rd_kafka_AdminOptions_t *options;
    rd_kafka_queue_t *queue;
};
struct tm_admin_call tm_admin_call_new(
        struct tm_client *client, rd_kafka_admin_op_t op, int64_t timeout_ms);
/*
 * The same for what a group's coordinator is asked. librdkafka 2.14.2 aborts the process when such a call has
 * timed out in it and the coordinator comes back later (rd_kafka_admin_coord_request drops the call twice:
 * "eonce->refcnt > 0"). So the library gets an hour, the caller gives up by tm_admin_call_poll(), and the handle
 * is closed with what still waits in it well before that.
 */
struct tm_admin_call tm_admin_call_of_group(struct tm_client *client, rd_kafka_admin_op_t op);
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
