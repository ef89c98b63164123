/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_script - an HTTP server that plays a script: the Nth request gets the Nth answer.
 *
 * A thread on 127.0.0.1 answers on any number of connections, one request at a time, and keeps
 * every request as it came. script_end() stops it and fails the test when an answer was not asked for.
 */
#ifndef TM_TESTS_UNIT_HTTP_SCRIPT_H
#define TM_TESTS_UNIT_HTTP_SCRIPT_H

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/text.h"

enum script_act {
    SCRIPT_ANSWER,  /* send the text, keep the connection */
    SCRIPT_CLOSE,   /* send the text, close */
    SCRIPT_RESET,   /* send the text, reset the connection */
    SCRIPT_HOLD,    /* send the text, then nothing until the client gives up */
    SCRIPT_HANG_UP, /* reset when the head of the request has come, before its body */
};

struct script_step {
    enum script_act act;
    const char *answer; /* whole, with its head; NULL: nothing */
};

enum { SCRIPT_REQUESTS_MAX = 64, SCRIPT_CONNECTIONS_MAX = 16, SCRIPT_REQUEST_BYTES_MAX = 4 << 20 };

struct script {
    int listener;
    int stop[2]; /* a pipe: closed to stop the thread */
    int port;
    const struct script_step *steps;
    size_t step_count;
    pthread_t thread;
    int connections[SCRIPT_CONNECTIONS_MAX];
    size_t connection_count;
    size_t accepted;      /* connections so far */
    size_t request_count; /* requests so far */
    struct tm_buf requests[SCRIPT_REQUESTS_MAX];
};

/* The number behind "content-length:" in a head; 0 without one. */
static inline size_t script_length(const char *head)
{
    const char *at = strcasestr(head, "\r\ncontent-length:");
    size_t value = 0;
    for (at = at != NULL ? at + 17 : ""; *at == ' ' || (*at >= '0' && *at <= '9'); at++) {
        value = *at == ' ' ? value : value * 10 + (size_t)(*at - '0');
    }
    return value;
}

/* Read a head, and the body unless `head_only`; false when the client closed. */
static inline bool script_read(int fd, bool head_only, struct tm_buf *out)
{
    size_t whole = 0; /* known when the head is there */
    while (whole == 0 || out->len < whole) {
        char bytes[65536];
        ssize_t got = recv(fd, bytes, sizeof(bytes), 0);
        if (got <= 0 || out->len > SCRIPT_REQUEST_BYTES_MAX) {
            return false;
        }
        tm_buf_add(out, bytes, (size_t)got);
        const char *end = memmem(out->at, out->len, "\r\n\r\n", 4);
        if (whole == 0 && end != NULL) {
            whole = (size_t)(end + 4 - (const char *)out->at) + script_length(tm_buf_text(out));
            if (head_only) {
                return true;
            }
        }
    }
    return true;
}

static inline void script_reset(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

/* Wait until the client closes, or the test is over. */
static inline void script_hold(const struct script *script, int fd)
{
    struct pollfd fds[2] = {
            {.fd = fd, .events = POLLIN}, {.fd = script->stop[0], .events = POLLIN}};
    (void)poll(fds, 2, 30000);
}

/* Answer one request; false when the connection is over. */
static inline bool script_serve(struct script *script, int fd)
{
    static const struct script_step over = {
            SCRIPT_CLOSE, "HTTP/1.1 599 The script is over\r\nContent-Length: 0\r\n\r\n"};
    size_t index = script->request_count;
    const struct script_step *step = index < script->step_count ? &script->steps[index] : &over;
    struct tm_buf request = {0};
    if (!script_read(fd, step->act == SCRIPT_HANG_UP, &request) || index >= SCRIPT_REQUESTS_MAX) {
        tm_buf_done(&request);
        return false;
    }
    script->requests[index] = request;
    script->request_count = index + 1;
    if (step->answer != NULL) {
        (void)send(fd, step->answer, strlen(step->answer), MSG_NOSIGNAL);
    }
    if (step->act == SCRIPT_HOLD) {
        script_hold(script, fd);
    }
    if (step->act == SCRIPT_RESET || step->act == SCRIPT_HANG_UP) {
        script_reset(fd);
    }
    return step->act == SCRIPT_ANSWER;
}

static inline void script_accept(struct script *script)
{
    int fd = accept(script->listener, NULL, NULL);
    if (fd >= 0 && script->connection_count < SCRIPT_CONNECTIONS_MAX) {
        script->connections[script->connection_count++] = fd;
        script->accepted++;
    }
}

static inline void *script_run(void *arg)
{
    struct script *script = arg;
    for (;;) {
        struct pollfd fds[2 + SCRIPT_CONNECTIONS_MAX] = {
                {.fd = script->stop[0], .events = POLLIN},
                {.fd = script->listener, .events = POLLIN},
        };
        for (size_t i = 0; i < script->connection_count; i++) {
            fds[2 + i] = (struct pollfd){.fd = script->connections[i], .events = POLLIN};
        }
        (void)poll(fds, (nfds_t)(2 + script->connection_count), -1);
        if (fds[0].revents != 0) {
            return NULL;
        }
        for (size_t i = script->connection_count; i-- > 0;) {
            if (fds[2 + i].revents != 0 && !script_serve(script, script->connections[i])) {
                (void)close(script->connections[i]);
                script->connections[i] = script->connections[--script->connection_count];
            }
        }
        if (fds[1].revents != 0) {
            script_accept(script);
        }
    }
}

/* Begin to play `steps`, which stay the caller's. */
static inline void script_begin(
        struct script *script, const struct script_step *steps, size_t step_count)
{
    memset(script, 0, sizeof(*script));
    script->steps = steps;
    script->step_count = step_count;
    script->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    ck_assert_int_eq(bind(script->listener, (struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(listen(script->listener, SCRIPT_CONNECTIONS_MAX), 0);
    ck_assert_int_eq(getsockname(script->listener, (struct sockaddr *)&address, &len), 0);
    script->port = ntohs(address.sin_port);
    ck_assert_int_eq(pipe(script->stop), 0);
    ck_assert_int_eq(pthread_create(&script->thread, NULL, script_run, script), 0);
}

/* Stop; what was asked is kept for the questions below until script_forget(). */
static inline void script_end(struct script *script)
{
    (void)close(script->stop[1]);
    (void)pthread_join(script->thread, NULL);
    for (size_t i = 0; i < script->connection_count; i++) {
        (void)close(script->connections[i]);
    }
    (void)close(script->stop[0]);
    (void)close(script->listener);
    ck_assert_msg(script->request_count == script->step_count,
            "%zu requests came, %zu were scripted", script->request_count, script->step_count);
}

static inline void script_forget(struct script *script)
{
    for (size_t i = 0; i < SCRIPT_REQUESTS_MAX; i++) {
        tm_buf_done(&script->requests[i]);
    }
}

/* Line 0 of a request, or the value of a header of it; "" where there is none. In `text`. */
static inline const char *script_asked(
        const struct script *script, size_t request, const char *header, char text[1024])
{
    const char *head = tm_buf_text(&script->requests[request]);
    const char *end = strstr(head, "\r\n\r\n");
    text[0] = '\0';
    for (const char *line = head; end != NULL && line < end; line = strstr(line, "\r\n") + 2) {
        size_t len = strcspn(line, "\r");
        size_t skip = header != NULL ? strlen(header) : 0;
        if (header == NULL || (strncasecmp(line, header, skip) == 0 && line[skip] == ':')) {
            const char *value = header == NULL ? line : line + skip + 1;
            value += *value == ' ' && header != NULL ? 1 : 0;
            (void)snprintf(text, 1024, "%.*s", (int)(line + len - value), value);
            return text;
        }
    }
    return text;
}

static inline struct tm_slice script_body(const struct script *script, size_t request)
{
    const struct tm_buf *whole = &script->requests[request];
    const uint8_t *end = memmem(whole->at, whole->len, "\r\n\r\n", 4);
    ck_assert_ptr_nonnull(end);
    return tm_slice_of(end + 4, whole->len - (size_t)(end + 4 - whole->at));
}

#endif
