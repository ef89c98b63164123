/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_rig - a server of api/ with a control that does what a test tells it to, and an HTTP client of
 * plain sockets. One thread: waiting for an answer runs the server.
 */
#ifndef TM_TESTS_API_RIG_H
#define TM_TESTS_API_RIG_H

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "base/ulid.h"
#include "tm_api.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define POINT_ID      "rp_01K9ZQ4V6M3T8R2X7B5N1C0D9E"
#define JOB_ID        "job_01K9ZQ4V6M3T8R2X7B5N1C0D9F"

/* The control ------------------------------------------------------------------------------ */

struct fake {
    char seen[4096];                  /* the last call and its arguments */
    unsigned calls;                   /* of those that take a `done` */
    unsigned forgotten;               /* waits called off */
    bool hold;                        /* `done` is called by the test */
    void *arg;                        /* of the call held */
    tm_done_job job_done;             /* likewise */
    tm_done_points points_done;       /* likewise */
    const struct tm_problem *problem; /* the answer, if not NULL */
    struct tm_job_view job;
    bool joined;
    char tag[64]; /* of the last list of points, with what it asked of holds: 1, 0 or -1 */
    int held;
    int64_t hold_until_ms; /* of the last backup; reason borrowed, for the call */
    const char *hold_reason;
    struct tm_job_view *jobs;
    size_t job_count;
    bool more;
    int64_t total; /* of a list of jobs */
    struct tm_points_answer points;
    struct tm_point_answer point;
    struct tm_restore_plan plan;
    struct tm_vault_view vaults[2];
    const struct tm_problem *patch_problem;
    struct tm_policy_view policies[2];
    size_t policy_count;
    struct tm_status_row rows[4];
    size_t row_count;
    const char *not_ready; /* NULL: ready */
    unsigned refreshed;
};

static inline struct tm_id16 rig_ulid(const char *name, const char *prefix)
{
    struct tm_id16 ulid;
    ck_assert(tm_ulid_parse(name, prefix, &ulid));
    return ulid;
}

#define SAY(fake, ...) (void)snprintf((fake)->seen, sizeof((fake)->seen), __VA_ARGS__)

static inline void rig_join(char *out, size_t size, const char *const *list, size_t count)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        len += (size_t)snprintf(out + len, size - len, "%s%s", i > 0 ? "," : "", list[i]);
    }
}

static inline const char *rig_or(const char *text)
{
    return text != NULL ? text : "-";
}

static inline size_t fake_policies(void *self, const struct tm_policy_view **out)
{
    struct fake *fake = self;
    *out = fake->policies;
    return fake->policy_count;
}

static inline size_t fake_status(void *self, const struct tm_status_row **out)
{
    struct fake *fake = self;
    *out = fake->rows;
    return fake->row_count;
}

static inline bool fake_ready(void *self, const char **why_not)
{
    struct fake *fake = self;
    *why_not = fake->not_ready;
    return fake->not_ready == NULL;
}

static inline void fake_refresh(void *self)
{
    ((struct fake *)self)->refreshed++;
    tm_metric_set(TM_M_WORKERS_MAX, TM_NO_LABELS, 4);
}

static inline void fake_hooks(void *self, tm_done_json done, void *arg)
{
    (void)self;
    done(arg, "{\"items\":[]}", NULL);
}

static inline void rig_before(const struct tm_id16 *before, char name[TM_ULID_NAME_MAX])
{
    if (before != NULL) {
        (void)tm_ulid_format(before, "", name);
    } else {
        (void)snprintf(name, TM_ULID_NAME_MAX, "-");
    }
}

/* "a|b", or "-" for any; in the order of the calls of a line, up to four of them. */
static inline const char *rig_names(const struct tm_names *names)
{
    static char texts[4][128];
    static unsigned at;
    char *text = texts[at++ % 4];
    text[0] = '\0';
    for (size_t i = 0; i < names->count; i++) {
        size_t len = strlen(text);
        (void)snprintf(text + len, sizeof(texts[0]) - len, "%s%s", i > 0 ? "|" : "", names->at[i]);
    }
    return names->count > 0 ? text : "-";
}

static inline void fake_points(
        void *self, const struct tm_points_query *query, tm_done_points done, void *arg)
{
    struct fake *fake = self;
    const struct tm_point_query *q = &query->catalog;
    char before[TM_ULID_NAME_MAX];
    rig_before(q->before, before);
    fake->calls++;
    SAY(fake,
            "points cluster=%s policy=%s topic=%s since=%" PRId64 " until=%" PRId64
            " states=%u limit=%zu before=%s",
            rig_names(&q->clusters), rig_names(&q->policies), rig_names(&query->topics),
            q->since_ms, q->until_ms, q->states, q->limit, before);
    (void)snprintf(fake->tag, sizeof(fake->tag), "%s", rig_or(q->tag));
    fake->held = q->held_ms > 0 ? 1 : q->not_held_ms > 0 ? 0 : -1;
    if (fake->hold) {
        fake->arg = arg;
        fake->points_done = done;
        return;
    }
    done(arg, &fake->points, fake->problem);
}

static inline void fake_point(void *self, const struct tm_id16 *ulid, tm_done_point done, void *arg)
{
    struct fake *fake = self;
    char name[TM_ULID_NAME_MAX];
    fake->calls++;
    SAY(fake, "point %s", tm_ulid_format(ulid, "rp_", name));
    done(arg, &fake->point, fake->problem);
}

static inline void fake_jobs(
        void *self, const struct tm_job_query *query, tm_done_jobs done, void *arg)
{
    struct fake *fake = self;
    char before[TM_ULID_NAME_MAX];
    rig_before(query->before, before);
    fake->calls++;
    SAY(fake, "jobs kinds=%u states=%u policy=%s since=%" PRId64 " limit=%zu before=%s",
            query->kinds, query->states, rig_names(&query->policies), query->since_ms, query->limit,
            before);
    done(arg, fake->jobs, fake->job_count, fake->more, fake->total, fake->problem);
}

static inline void fake_answer_job(struct fake *fake, tm_done_job done, void *arg)
{
    fake->calls++;
    if (fake->hold) {
        fake->arg = arg;
        fake->job_done = done;
        return;
    }
    done(arg, &fake->job, !fake->joined, fake->problem);
}

static inline void fake_job(
        void *self, const struct tm_id16 *id, int64_t wait_ms, tm_done_job done, void *arg)
{
    struct fake *fake = self;
    char name[TM_ULID_NAME_MAX];
    SAY(fake, "job %s wait=%" PRId64, tm_ulid_format(id, "job_", name), wait_ms);
    bool hold = fake->hold;
    fake->hold = wait_ms > 0; /* only waits take time */
    fake_answer_job(fake, done, arg);
    fake->hold = hold;
}

static inline void fake_forget(void *self, void *arg)
{
    struct fake *fake = self;
    ck_assert(fake->job_done != NULL);
    ck_assert_ptr_eq(fake->arg, arg);
    fake->arg = NULL;
    fake->job_done = NULL;
    fake->forgotten++;
}

static inline void fake_cancel(void *self, const struct tm_id16 *id, const struct tm_caller *caller,
        tm_done_job done, void *arg)
{
    struct fake *fake = self;
    char name[TM_ULID_NAME_MAX];
    SAY(fake, "cancel %s who=%s id=%s", tm_ulid_format(id, "job_", name), caller->who,
            caller->request_id);
    fake_answer_job(fake, done, arg);
}

static inline void fake_backup(void *self, const struct tm_backup_request *request,
        const struct tm_caller *caller, tm_done_job done, void *arg)
{
    struct fake *fake = self;
    char topics[512];
    char tags[512];
    rig_join(topics, sizeof(topics), request->topics, request->topic_count);
    rig_join(tags, sizeof(tags), request->tags, request->tag_count);
    SAY(fake, "backup policy=%s topics=%s note=%s tags=%s join=%d who=%s id=%s body=%s",
            request->policy, topics, rig_or(request->note), tags, request->join, caller->who,
            caller->request_id, caller->body);
    fake->hold_until_ms = request->hold_until_ms;
    fake->hold_reason = request->hold_reason;
    fake_answer_job(fake, done, arg);
}

static inline void rig_say_restore(
        struct fake *fake, const char *what, const struct tm_restore_request *r)
{
    char include[512];
    char exclude[512];
    char renames[512] = "";
    size_t len = 0;
    rig_join(include, sizeof(include), r->include, r->include_count);
    rig_join(exclude, sizeof(exclude), r->exclude, r->exclude_count);
    for (size_t i = 0; i < r->rename_count; i++) {
        len += (size_t)snprintf(renames + len, sizeof(renames) - len, "%s>%s;", r->renames[i].from,
                r->renames[i].to);
    }
    SAY(fake,
            "%s point=%s policy=%s include=%s exclude=%s target=%s renames=%s prefix=%s suffix=%s "
            "create=%d existing=%d retention=%d original=%d factor=%d continue=%d digest=%s",
            what, rig_or(r->point), rig_or(r->policy), include, exclude, rig_or(r->target), renames,
            rig_or(r->prefix), rig_or(r->suffix), (int)r->create_topics, (int)r->existing,
            (int)r->retention, r->original_configs, r->replication_factor, r->continue_on_gap,
            rig_or(r->plan_digest));
}

static inline void fake_restore(void *self, const struct tm_restore_request *request,
        const struct tm_caller *caller, tm_done_job done, void *arg)
{
    (void)caller;
    rig_say_restore(self, "restore", request);
    fake_answer_job(self, done, arg);
}

static inline void fake_plan(
        void *self, const struct tm_restore_request *request, tm_done_plan done, void *arg)
{
    struct fake *fake = self;
    rig_say_restore(fake, "plan", request);
    fake->calls++;
    done(arg, &fake->plan, fake->problem);
}

static inline void fake_vault_job(void *self, enum tm_job_kind kind,
        const struct tm_vault_request *r, const struct tm_caller *caller, tm_done_job done,
        void *arg)
{
    struct fake *fake = self;
    char policies[512];
    rig_join(policies, sizeof(policies), r->policies, r->policy_count);
    SAY(fake,
            "%s vault=%s point=%s depth=%d ratio=%g repair=%d budget=%" PRId64
            " policies=%s merge=%d digest=%s who=%s",
            tm_job_kind_name(kind), rig_or(r->vault), rig_or(r->point), r->depth, r->sample_ratio,
            r->repair, r->budget_bytes, policies, r->merge, rig_or(r->plan_digest), caller->who);
    fake_answer_job(fake, done, arg);
}

static inline void fake_retention_plan(
        void *self, const struct tm_vault_request *r, tm_done_json done, void *arg)
{
    struct fake *fake = self;
    char policies[512];
    rig_join(policies, sizeof(policies), r->policies, r->policy_count);
    SAY(fake, "plan vault=%s policies=%s merge=%d", r->vault, policies, r->merge);
    fake->calls++;
    done(arg, "{\"remove_count\":1}", fake->problem);
}

static inline void fake_vaults(void *self, const char *name, tm_done_vaults done, void *arg)
{
    struct fake *fake = self;
    SAY(fake, "vaults %s", rig_or(name));
    fake->calls++;
    done(arg, fake->vaults, name != NULL ? 1 : 2, fake->problem);
}

static inline void fake_probe(void *self, const char *name, const struct tm_caller *caller,
        tm_done_vaults done, void *arg)
{
    struct fake *fake = self;
    SAY(fake, "probe %s who=%s", name, caller->who);
    fake->calls++;
    done(arg, fake->vaults, 1, fake->problem);
}

static inline void fake_patch(void *self, const struct tm_id16 *ulid,
        const struct tm_point_patch *patch, const struct tm_caller *caller, tm_done_point done,
        void *arg)
{
    struct fake *fake = self;
    char name[TM_ULID_NAME_MAX];
    char tags[512];
    rig_join(tags, sizeof(tags), patch->tags, patch->tag_count);
    SAY(fake, "patch %s note=%s tags=%s hold=%d until=%" PRId64 " reason=%s was=%" PRId64 " who=%s",
            tm_ulid_format(ulid, "rp_", name),
            patch->has_note ? rig_or(patch->note) : "(as it was)",
            patch->has_tags ? tags : "(as they were)", patch->has_hold, patch->hold_until_ms,
            rig_or(patch->hold_reason), patch->was.hold_until_ms, caller->who);
    fake->calls++;
    done(arg, &fake->point, fake->patch_problem);
}

static inline void fake_put_back(void *self, const struct tm_id16 *job,
        const struct tm_caller *caller, tm_done_json done, void *arg)
{
    struct fake *fake = self;
    char name[TM_ULID_NAME_MAX];
    SAY(fake, "put back %s who=%s", tm_ulid_format(job, "job_", name), caller->who);
    fake->calls++;
    done(arg, "{\"items\":[]}", fake->problem);
}

static inline void fake_holds(void *self, const struct tm_id16 *job, tm_done_json done, void *arg)
{
    struct fake *fake = self;
    char name[TM_ULID_NAME_MAX];
    SAY(fake, "holds %s", tm_ulid_format(job, "job_", name));
    fake->calls++;
    done(arg, "{\"items\":[1]}", fake->problem);
}

static inline void fake_offset_map(
        void *self, const struct tm_map_query *query, bool csv, tm_done_json done, void *arg)
{
    struct fake *fake = self;
    char name[TM_ULID_NAME_MAX];
    SAY(fake, "offset map %s topic=%s partition=%d from=%lld limit=%zu csv=%d",
            tm_ulid_format(&query->job, "job_", name), query->topic != NULL ? query->topic : "-",
            (int)query->partition, (long long)query->from, query->limit, (int)csv);
    fake->calls++;
    done(arg, "{\"items\":[]}", fake->problem);
}

static inline struct tm_json *fake_config(void *self)
{
    (void)self;
    return tm_json_object();
}

static inline int64_t fake_unprotected(void *self)
{
    (void)self;
    return 7;
}

static inline void fake_clusters(void *self, tm_done_json done, void *arg)
{
    struct fake *fake = self;
    SAY(fake, "%s", "clusters");
    fake->calls++;
    done(arg, "{\"items\":[]}", fake->problem);
}

static inline void fake_cluster(void *self, const char *name, tm_done_json done, void *arg)
{
    struct fake *fake = self;
    SAY(fake, "cluster %s", name);
    fake->calls++;
    done(arg, "{\"items\":[]}", fake->problem);
}

static inline void fake_cluster_topics(
        void *self, const struct tm_topics_query *query, tm_done_json done, void *arg)
{
    struct fake *fake = self;
    SAY(fake, "topics of %s contains=%s covered=%d after=%s limit=%zu", query->cluster,
            query->contains != NULL ? query->contains : "-", query->covered,
            query->after != NULL ? query->after : "-", query->limit);
    fake->calls++;
    done(arg, "{\"items\":[]}", fake->problem);
}

static const struct tm_control_ops fake_ops = {
        .config = fake_config,
        .unprotected = fake_unprotected,
        .clusters = fake_clusters,
        .cluster = fake_cluster,
        .cluster_topics = fake_cluster_topics,
        .offset_map = fake_offset_map,
        .policies = fake_policies,
        .status = fake_status,
        .ready = fake_ready,
        .refresh_metrics = fake_refresh,
        .hooks = fake_hooks,
        .points = fake_points,
        .point = fake_point,
        .jobs = fake_jobs,
        .job = fake_job,
        .job_forget = fake_forget,
        .cancel = fake_cancel,
        .backup = fake_backup,
        .restore = fake_restore,
        .restore_plan = fake_plan,
        .vault_job = fake_vault_job,
        .retention_plan = fake_retention_plan,
        .vaults = fake_vaults,
        .put_back = fake_put_back,
        .holds = fake_holds,
        .probe = fake_probe,
        .patch_point = fake_patch,
};

/* The server ------------------------------------------------------------------------------- */

struct rig {
    struct tm_api *api;
    struct fake fake;
    char folder[64];
    char path[128]; /* of the Unix socket; "": TCP */
    struct sockaddr_in address;
    unsigned wakes;
};

static inline void rig_woken(void *arg)
{
    ((struct rig *)arg)->wakes++;
}

/* Options that a test has not set get the rig's values. */
static inline void rig_start(struct rig *rig, struct tm_api_options options)
{
    struct tm_err err = {0};
    int fd = -1;
    if (options.kind == TM_API_SOCKET) {
        (void)snprintf(rig->folder, sizeof(rig->folder), "/tmp/tidemark-api-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(rig->folder));
        (void)snprintf(rig->path, sizeof(rig->path), "%s/s", rig->folder);
        ck_assert_int_eq(tm_api_listen_unix(rig->path, "", &fd, &err), TM_OK);
    } else {
        socklen_t len = sizeof(rig->address);
        ck_assert_int_eq(tm_api_listen_tcp("127.0.0.1:0", &fd, &err), TM_OK);
        ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&rig->address, &len), 0);
    }
    rig->fake.job.row = (struct tm_job_row){
            .id = rig_ulid(JOB_ID, "job_"),
            .policy = "",
            .cluster = "",
            .requested_by = "schedule",
            .request_id = "",
            .request = "{}",
            .state = TM_JOB_QUEUED,
            .created_ms = 1763854200000,
    };
    options.listen_fd = fd;
    options.control = (struct tm_control){.self = &rig->fake, .ops = &fake_ops};
    options.version = "1.2.3";
    options.wake = rig_woken;
    options.wake_arg = rig;
    ck_assert_int_eq(tm_api_start(&options, &rig->api, &err), TM_OK);
}

static inline void rig_stop(struct rig *rig)
{
    tm_api_stop(rig->api);
    if (rig->path[0] != '\0') {
        (void)unlink(rig->path);
        (void)rmdir(rig->folder);
    }
}

/* Run the server until `fd` is readable (-1: nothing to wait for) or the time has passed. */
static inline bool rig_run(struct rig *rig, int fd, int64_t ms)
{
    int64_t end_ns = tm_mono_ns() + ms * 1000000;
    for (;;) {
        struct pollfd polls[] = {
                {.fd = tm_api_fd(rig->api), .events = POLLIN}, {.fd = fd, .events = POLLIN}};
        int64_t left_ms = (end_ns - tm_mono_ns()) / 1000000;
        int64_t due_ms = tm_api_timeout_ms(rig->api);
        left_ms = left_ms > 0 ? left_ms : 0;
        int64_t wait_ms = due_ms >= 0 && due_ms < left_ms ? due_ms : left_ms;
        ck_assert_int_ge(poll(polls, 2, (int)wait_ms), 0);
        if (polls[1].revents != 0) {
            return true;
        }
        tm_api_run(rig->api);
        if (left_ms == 0) {
            return false;
        }
    }
}

/* The client ------------------------------------------------------------------------------- */

struct reply {
    int status; /* 0: the connection was closed without one */
    char head[8192];
    char *body;
    size_t body_len;
    struct tm_arena arena;
    const struct tm_json_value *json; /* NULL: no body, or not JSON */
};

static inline void reply_done(struct reply *reply)
{
    free(reply->body);
    tm_arena_done(&reply->arena);
}
#define REPLY_OWN __attribute__((cleanup(reply_done)))

static inline int rig_connect(struct rig *rig)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    bool is_local = rig->path[0] != '\0';
    int fd = socket(is_local ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    memcpy(local.sun_path, rig->path, sizeof(local.sun_path));
    const void *address = is_local ? (const void *)&local : (const void *)&rig->address;
    socklen_t len = is_local ? sizeof(local) : sizeof(rig->address);
    ck_assert_int_eq(connect(fd, address, len), 0);
    return fd;
}

/* All of it, running the server when the socket is full; false: the other end is closed. */
static inline bool rig_send_bytes(struct rig *rig, int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN) {
            return false;
        }
        if (sent < 0) {
            (void)rig_run(rig, -1, 1);
            continue;
        }
        text += sent;
        len -= (size_t)sent;
    }
    return true;
}

static inline void rig_send(struct rig *rig, int fd, const char *text)
{
    ck_assert(rig_send_bytes(rig, fd, text, strlen(text)));
}

/* The value of a header, in `value`; NULL where there is none. */
static inline const char *reply_header(const struct reply *reply, const char *name, char value[512])
{
    size_t len = strlen(name);
    const char *line = strstr(reply->head, "\r\n");
    for (; line != NULL && line[2] != '\0'; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, len) == 0 && line[2 + len] == ':') {
            const char *at = line + 3 + len + strspn(line + 3 + len, " ");
            (void)snprintf(value, 512, "%.*s", (int)strcspn(at, "\r"), at);
            return value;
        }
    }
    return NULL;
}

/* One byte or more into buffer; 0 at the end of the connection. */
static inline size_t rig_receive(struct rig *rig, int fd, char *at, size_t size)
{
    ck_assert_msg(rig_run(rig, fd, 5000), "no answer within 5 s");
    ssize_t got = recv(fd, at, size, 0);
    return got > 0 ? (size_t)got : 0;
}

static inline void rig_read_body(struct rig *rig, int fd, struct reply *reply, size_t len)
{
    reply->body = calloc(1, len + 1);
    while (reply->body_len < len) {
        size_t got = rig_receive(rig, fd, reply->body + reply->body_len, len - reply->body_len);
        ck_assert_uint_gt(got, 0);
        reply->body_len += got;
    }
    struct tm_err err = {0};
    (void)!tm_json_read(tm_slice_of(reply->body, len), &reply->arena, &reply->json, NULL, &err);
}

/* Read an answer; a HEAD has no body whatever its length says. */
static inline void rig_read(struct rig *rig, int fd, bool head_only, struct reply *reply)
{
    size_t len = 0;
    char value[512];
    while (len < 4 || memcmp(reply->head + len - 4, "\r\n\r\n", 4) != 0) {
        ck_assert_uint_lt(len, sizeof(reply->head) - 1);
        size_t got = rig_receive(rig, fd, reply->head + len, 1);
        if (got == 0) {
            ck_assert_uint_eq(len, 0);
            return;
        }
        len += got;
    }
    int64_t status = 0;
    struct tm_err err = {0};
    char digits[4] = {reply->head[9], reply->head[10], reply->head[11]};
    ck_assert_int_eq(tm_parse_i64(digits, &status, &err), TM_OK);
    reply->status = (int)status;
    int64_t body_len = 0;
    if (!head_only && reply_header(reply, "Content-Length", value) != NULL) {
        ck_assert_int_eq(tm_parse_i64(value, &body_len, &err), TM_OK);
    }
    if (body_len > 0) {
        rig_read_body(rig, fd, reply, (size_t)body_len);
    }
}

struct ask {
    const char *method; /* NULL: GET */
    const char *path;
    const char *headers; /* lines with CRLF; NULL: none */
    const char *body;    /* NULL: none; sent as JSON unless headers name a type */
};

static inline void rig_send_ask(struct rig *rig, int fd, const struct ask *ask)
{
    TM_BUF_OWN struct tm_buf text = {0};
    const char *headers = ask->headers != NULL ? ask->headers : "";
    tm_buf_add_fmt(
            &text, "%s %s HTTP/1.1\r\n", ask->method != NULL ? ask->method : "GET", ask->path);
    if (strstr(headers, "Host:") == NULL) {
        tm_buf_add_text(&text, "Host: localhost\r\n");
    }
    tm_buf_add_text(&text, headers);
    if (ask->body != NULL && strstr(headers, "Content-Type:") == NULL) {
        tm_buf_add_text(&text, "Content-Type: application/json\r\n");
    }
    if (ask->body != NULL) {
        tm_buf_add_fmt(&text, "Content-Length: %zu\r\n", strlen(ask->body));
    }
    tm_buf_add_text(&text, "\r\n");
    tm_buf_add_text(&text, ask->body != NULL ? ask->body : "");
    ck_assert(rig_send_bytes(rig, fd, (const char *)text.at, text.len));
}

/* Ask over a connection of its own. */
static inline void rig_ask(struct rig *rig, struct ask ask, struct reply *reply)
{
    int fd = rig_connect(rig);
    rig_send_ask(rig, fd, &ask);
    rig_read(rig, fd, ask.method != NULL && strcmp(ask.method, "HEAD") == 0, reply);
    (void)close(fd);
}

/* Looking into answers --------------------------------------------------------------------- */

/* The value at "errors/0/pointer"; NULL where there is none. */
static inline const struct tm_json_value *json_at(
        const struct tm_json_value *json, const char *path)
{
    while (json != NULL && *path != '\0') {
        char key[64] = {0};
        size_t len = strcspn(path, "/");
        memcpy(key, path, len < sizeof(key) - 1 ? len : sizeof(key) - 1);
        path += len + (path[len] == '/' ? 1 : 0);
        if (json->kind == TM_JSON_ARRAY) {
            int64_t place = 0;
            struct tm_err err = {0};
            ck_assert_int_eq(tm_parse_i64(key, &place, &err), TM_OK);
            json = json->first;
            for (; place > 0 && json != NULL; place--) {
                json = json->next;
            }
        } else {
            json = tm_json_get(json, key);
        }
    }
    return json;
}

static inline const char *str_at(const struct reply *reply, const char *path)
{
    const struct tm_json_value *value = json_at(reply->json, path);
    return value != NULL && value->kind == TM_JSON_STRING ? value->string : NULL;
}

static inline int64_t int_at(const struct reply *reply, const char *path)
{
    const struct tm_json_value *value = json_at(reply->json, path);
    ck_assert_msg(value != NULL && value->kind == TM_JSON_INT, "%s is no integer", path);
    return value->integer;
}

static inline void assert_problem(const struct reply *reply, int status, const char *slug)
{
    char type[128];
    char value[512];
    (void)snprintf(type, sizeof(type), "/problems/%s", slug);
    ck_assert_msg(reply->status == status, "status is %d, not %d: %s", reply->status, status,
            reply->body != NULL ? reply->body : "");
    ck_assert_str_eq(reply_header(reply, "Content-Type", value), "application/problem+json");
    ck_assert_str_eq(str_at(reply, "type"), type);
    ck_assert_int_eq(int_at(reply, "status"), status);
    ck_assert_ptr_nonnull(str_at(reply, "title"));
    ck_assert_int_eq(strncmp(str_at(reply, "instance"), "/requests/", 10), 0);
}

static inline int rig_main(TCase *tcase, const char *name)
{
    tm_log_init(TM_LOG_ERROR, TM_LOG_FORMAT_LOGFMT);
    Suite *suite = suite_create(name);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
