/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tidemarkd - the daemon: configuration, loop, start and stop in order.
 *
 * Start: configuration, state directory (and its lock), journal and catalogs, HTTP, jobs of the last
 * life, schedules, READY=1. Stop (SIGTERM, SIGINT):
 *   1  no new jobs, no planned runs; requests are answered "draining"
 *   2  running jobs are asked to stop: they commit what they have
 *   3  when the last one has ended: listeners close, answers under way leave
 *   4  keeper, pools, cluster and vault handles, loop
 * A second signal ends the process at once: the vault is crash-safe. So is what waits for a broker or a
 * bucket that does not answer, and would hold the stop up: after 9 s it is left to the next start.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "clusters.h"
#include "drills.h"
#include "errand.h"
#include "hooks.h"
#include "http.h"
#include "live.h"
#include "pauses.h"
#include "plan.h"
#include "proofs.h"
#include "put_back.h"
#include "reload.h"
#include "standby.h"
#include "tmd.h"
#include "upkeep.h"
#include "vaults.h"

enum {
    EXIT_USE = 2,
    EXIT_CONFIG = 3, /* the unit's RestartPreventExitStatus */
    EXIT_STATE = 4,
    DRAIN_TICK_MS = 50,
    DRAIN_MAX_MS = 5 * 1000,
    STOP_MAX_MS = 9 * 1000,  /* for what runs, before it is left as a kill would leave it */
    SILENT_PINGS = 20,       /* ten times WatchdogSec: above any time limit of a single request */
    HOOKS_MAX_MS = 2 * 1000, /* for what hooks have to tell yet */
};

/* What lives as long as main(). */
struct process {
    struct tmd tmd;
    uv_signal_t term;
    uv_signal_t interrupt;
    uv_signal_t hangup;
    uv_timer_t watchdog;
    uv_timer_t drain;
    uv_timer_t last_moment;
    uv_prepare_t prepare;
    int64_t turn_ns; /* when this turn of the loop began, */
    int64_t idle_ns; /* and how long the loop had slept by then, in all */
    int64_t drain_until_ns;
    int64_t watchdog_ms; /* between two pings */
    bool stuck;          /* the last ping was held back */
    int64_t hooks_until_ns;
    int lock_fd;
};

static struct process process; /* signal handlers of libuv find the rest by their data pointers */

void tmd_post(struct tmd *tmd, void (*fn)(void *arg), void *arg)
{
    tm_mailbox_post(tmd->box, fn, arg);
}

static void wake_loop(void *arg)
{
    struct tmd *tmd = arg;
    (void)uv_async_send(&tmd->wake);
}

static void drain_box(uv_async_t *async)
{
    struct tmd *tmd = async->data;
    (void)tm_mailbox_drain(tmd->box);
}

/*
 * How long a turn of the loop was busy, for its own histogram: all of its time but what it slept waiting. Callbacks of
 * descriptors run inside of the wait for them, so it is libuv that tells the two apart.
 */
static void turn_begins(uv_prepare_t *prepare)
{
    int64_t now_ns = tm_mono_ns();
    int64_t idle_ns = (int64_t)uv_metrics_idle_time(prepare->loop);
    if (process.turn_ns != 0) {
        int64_t busy_ns = (now_ns - process.turn_ns) - (idle_ns - process.idle_ns);
        tm_metric_observe(TM_M_LOOP_BLOCKED, TM_NO_LABELS, (double)busy_ns / 1e9);
    }
    process.turn_ns = now_ns;
    process.idle_ns = idle_ns;
}

/* Stop ---------------------------------------------------------------------------------------- */

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

static void finish_stop(struct tmd *tmd)
{
    tmd_http_stop(tmd);
    tmd_keeper_stop(tmd);
    uv_walk(&tmd->loop, close_handle, NULL);
}

static void drain_tick(uv_timer_t *timer)
{
    struct tmd *tmd = timer->data;
    bool late = tm_mono_ns() >= process.drain_until_ns;
    bool telling = tmd_hooks_pending(tmd) > 0 && tm_mono_ns() < process.hooks_until_ns;
    if (!telling) {
        tmd_hooks_hurry(tmd);
    }
    bool asked = telling || tmd_plans() + tmd_standby_asking() > 0 || tmd_errands() > 0;
    if (!asked && (tmd_http_connections(tmd) == 0 || late)) {
        (void)uv_timer_stop(timer);
        finish_stop(tmd);
    }
}

/* The last job has ended: let answers leave, then close everything. */
static void drained(struct tmd *tmd)
{
    tmd->drained = NULL;
    tmd_http_quiesce(tmd);
    tmd_hooks_daemon(tmd, TM_HOOK_DAEMON_STOPPED);
    process.hooks_until_ns = tm_mono_ns() + HOOKS_MAX_MS * INT64_C(1000000);
    process.drain_until_ns = tm_mono_ns() + DRAIN_MAX_MS * INT64_C(1000000);
    process.drain.data = tmd;
    tm_assert(uv_timer_start(&process.drain, drain_tick, 0, DRAIN_TICK_MS) == 0);
}

/* Its jobs are in the journal as going on: the next start takes them up, as after a kill. */
static void stop_short(uv_timer_t *timer)
{
    struct tmd *tmd = timer->data;
    tm_log(TM_LOG_WARNING, "daemon.stopped-short",
            "what runs waits for a broker or a store, and is taken up again at the next start",
            TM_LOG_INT("jobs", (int64_t)tmd_jobs_active(tmd)), TM_LOG_END);
    tmd_http_remove_socket(tmd);
    _exit(EXIT_SUCCESS);
}

static void stop(uv_signal_t *handle, int number)
{
    struct tmd *tmd = handle->data;
    if (tmd->draining) {
        _exit(128 + number);
    }
    tmd_notify("STOPPING=1");
    tm_log(TM_LOG_INFO, "daemon.stopping", "no new work; what runs commits what it has",
            TM_LOG_INT("jobs", (int64_t)tmd_jobs_active(tmd)), TM_LOG_END);
    tmd->draining = true;
    tmd->drained = drained;
    process.last_moment.data = tmd;
    tm_assert(uv_timer_start(&process.last_moment, stop_short, STOP_MAX_MS, 0) == 0);
    tmd_policies_stop(tmd);
    tmd_vaults_stop(tmd);
    tmd_upkeep_stop(tmd);
    tmd_put_back_stop(tmd);
    tmd_drills_stop(tmd);
    tmd_clusters_stop(tmd);
    tmd_hooks_stop(tmd);
    tmd_reload_stop(tmd);
    tmd_jobs_stop(tmd);
    if (tmd_jobs_active(tmd) == 0) {
        drained(tmd);
    }
}

static void hang_up(uv_signal_t *handle, int number)
{
    (void)number;
    tmd_reload_ask(handle->data, NULL, NULL);
}

/* Start --------------------------------------------------------------------------------------- */

/*
 * This loop turns, or there would be no ping. Is a worker silent for far longer than anything it may
 * wait for, there is none either: the manager ends the process (SIGABRT) and starts it anew.
 */
static void ping(uv_timer_t *timer)
{
    struct tmd *tmd = timer->data;
    int64_t now_ns = tm_mono_ns();
    int64_t workers = tm_pool_silent_ns(tmd->workers, now_ns);
    int64_t sealers = tm_pool_silent_ns(tmd->sealers, now_ns);
    int64_t silent_ms = (workers > sealers ? workers : sealers) / INT64_C(1000000);
    bool stuck = silent_ms > process.watchdog_ms * SILENT_PINGS;
    if (stuck && !process.stuck) {
        tm_log(TM_LOG_ERROR, "watchdog.withheld", "a thread that works gives no sign of life",
                TM_LOG_STR("pool", workers > sealers ? "worker" : "sealer"),
                TM_LOG_INT("silent_ms", silent_ms), TM_LOG_END);
    }
    process.stuck = stuck;
    if (!stuck) {
        tmd_notify("WATCHDOG=1");
    }
}

static void policies_known(struct tmd *tmd)
{
    if (tmd->draining) {
        return;
    }
    tmd->ready = true;
    tmd_policies_start(tmd);
    tmd_vaults_start(tmd);
    tmd_upkeep_start(tmd);
    tmd_put_back_start(tmd);
    tmd_drills_start(tmd);
    tmd_clusters_start(tmd);
    tmd_policy_metrics(tmd);
    tmd_proofs_load(tmd);
    tmd_hooks_daemon(tmd, TM_HOOK_DAEMON_STARTED);
    tmd_hooks_start(tmd);
    tmd_reload_start(tmd);
    tm_metric_set(TM_M_START_TIME, TM_NO_LABELS, (double)tm_now_ms() / 1000);
    tm_metric_set(TM_M_BUILD_INFO,
            TM_LABELS(TM_VERSION, "", tm_kafka_library_version(), tm_catalog_sqlite_version()), 1);
    char state[80];
    (void)snprintf(state, sizeof(state), "READY=1\nSTATUS=%zu policies", tmd->config->policy_count);
    tmd_notify(state);
    tm_log(TM_LOG_INFO, "daemon.started", "ready",
            TM_LOG_INT("policies", (int64_t)tmd->config->policy_count),
            TM_LOG_STR("version", TM_VERSION), TM_LOG_STR("librdkafka", tm_kafka_library_version()),
            TM_LOG_END);
    process.watchdog_ms = tmd_watchdog_ms();
    if (process.watchdog_ms > 0) {
        process.watchdog.data = tmd;
        uint64_t period_ms = (uint64_t)process.watchdog_ms;
        tm_assert(uv_timer_start(&process.watchdog, ping, 0, period_ms) == 0);
    }
}

static void pauses_unknown(struct tmd *tmd)
{
    tmd_pauses_load(tmd, policies_known);
}

static void jobs_known(struct tmd *tmd)
{
    tmd_policies_load(tmd, pauses_unknown);
}

static enum tm_code lock_state(const char *dir, struct tm_err *err)
{
    char path[4096];
    TM_TRY(tm_fs_mkdirs(dir, 0700, err));
    (void)snprintf(path, sizeof(path), "%s/lock", dir);
    process.lock_fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (process.lock_fd < 0) {
        return tm_err_set(err, tm_fs_code(errno), "%s: %s", path, tm_errno_text(errno));
    }
    /* A courtesy against the common double start; the vault does not rest on it. */
    if (flock(process.lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return tm_err_set(err, TM_E_BUSY, "%s: another tidemarkd uses this state directory", dir);
    }
    return TM_OK;
}

static void make_writer(char *out, size_t size)
{
    char host[64] = "unknown";
    (void)gethostname(host, sizeof(host) - 1);
    int64_t now_ms = tm_now_ms();
    (void)snprintf(out, size, "%s/%d-%" PRId64, host, (int)getpid(), now_ms / 1000);
}

static void init_loop(struct tmd *tmd)
{
    tm_assert(uv_loop_init(&tmd->loop) == 0);
    tm_assert(uv_loop_configure(&tmd->loop, UV_METRICS_IDLE_TIME) == 0);
    tmd->wake.data = tmd;
    tm_assert(uv_async_init(&tmd->loop, &tmd->wake, drain_box) == 0);
    tmd->box = tm_mailbox_new(wake_loop, tmd);
    TAILQ_INIT(&tmd->questions);
    tm_assert(uv_signal_init(&tmd->loop, &process.term) == 0);
    tm_assert(uv_signal_init(&tmd->loop, &process.interrupt) == 0);
    tm_assert(uv_signal_init(&tmd->loop, &process.hangup) == 0);
    process.hangup.data = tmd;
    tm_assert(uv_signal_start(&process.hangup, hang_up, SIGHUP) == 0);
    process.term.data = tmd;
    process.interrupt.data = tmd;
    tm_assert(uv_signal_start(&process.term, stop, SIGTERM) == 0);
    tm_assert(uv_signal_start(&process.interrupt, stop, SIGINT) == 0);
    tm_assert(uv_timer_init(&tmd->loop, &process.watchdog) == 0);
    tm_assert(uv_timer_init(&tmd->loop, &process.drain) == 0);
    tm_assert(uv_timer_init(&tmd->loop, &process.last_moment) == 0);
    tm_assert(uv_prepare_init(&tmd->loop, &process.prepare) == 0);
    tm_assert(uv_prepare_start(&process.prepare, turn_begins) == 0);
}

static enum tm_code start(struct tmd *tmd, struct tm_err *err)
{
    char writer[160];
    TM_TRY(lock_state(tmd->config->state.dir, err));
    make_writer(writer, sizeof(writer));
    tmd->started_ms = tm_now_ms();
    tm_metrics_limit_topics((size_t)tmd->config->metrics.max_topics);
    tmd->sources = tmd_sources_new(tmd, writer);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    tmd->workers = tm_pool_new("worker", (unsigned)tmd->config->workers.max);
    tmd->sealers = tm_pool_new("sealer", cores > 0 ? (unsigned)cores : 1);
    tmd->jobs = tmd_jobs_new(tmd);
    tmd->policies = tmd_policies_new(tmd);
    tmd->vaults = tmd_vaults_new(tmd);
    tmd->upkeep = tmd_upkeep_new(tmd);
    tmd->put_back = tmd_put_back_new(tmd);
    tmd->drills = tmd_drills_new(tmd);
    tmd->hooks = tmd_hooks_new(tmd);
    tmd->clusters = tmd_clusters_new(tmd);
    tmd->live = tmd_live_new(tmd);
    TM_TRY(tmd_keeper_start(tmd, err));
    TM_TRY(tmd_http_start(tmd, err));
    tmd_jobs_resume(tmd, jobs_known);
    return TM_OK;
}

static int serve(struct tm_config *config, const char *path)
{
    struct tmd *tmd = &process.tmd;
    struct tm_err err = {0};
    tmd->config = config;
    process.lock_fd = -1;
    init_loop(tmd);
    tmd->reload = tmd_reload_new(tmd, path);
    int status = EXIT_SUCCESS;
    if (start(tmd, &err) != TM_OK) {
        tm_log(TM_LOG_ERROR, "daemon.refused", err.msg, TM_LOG_END);
        status = err.code == TM_E_USAGE ? EXIT_CONFIG : EXIT_STATE;
        finish_stop(tmd);
    }
    (void)uv_run(&tmd->loop, UV_RUN_DEFAULT);
    tmd_policies_free(tmd->policies);
    tmd_vaults_free(tmd->vaults);
    tmd_upkeep_free(tmd->upkeep);
    tmd_put_back_free(tmd->put_back);
    tmd_drills_free(tmd->drills);
    tmd_clusters_free(tmd->clusters);
    tmd_live_free(tmd->live);
    tmd_hooks_free(tmd->hooks);
    tmd_jobs_free(tmd->jobs);
    tm_pool_free(tmd->workers);
    tm_pool_free(tmd->sealers);
    tmd_sources_free(tmd->sources);
    tmd_http_free(tmd);
    tm_mailbox_free(tmd->box);
    tm_assert(uv_loop_close(&tmd->loop) == 0);
    tmd_reload_free(tmd->reload);
    tm_fd_close(&process.lock_fd);
    tm_log(TM_LOG_INFO, "daemon.stopped", "stopped", TM_LOG_INT("status", status), TM_LOG_END);
    return status;
}

static const char usage[] =
        "usage: tidemarkd [--config FILE] [--check] [--version] [--help]\n"
        "\n"
        "  --config FILE  configuration; default $TIDEMARK_CONFIG, else "
        "/etc/tidemark/tidemark.yaml\n"
        "  --check        read and check the configuration, print what is found, and end\n"
        "\n"
        "exit status: 0 stopped by a signal; 2 wrong use; 3 configuration refused; 4 state "
        "directory\n"
        "unusable or in use\n";

static int load(const char *path, bool check)
{
    struct tm_config_load_options options = {
            .path = path, .check_property = tm_kafka_check_property, .read_secrets = true};
    struct tm_config_report report = {0};
    struct tm_config *config = NULL;
    struct tm_err err = {0};
    enum tm_code code = tm_config_load(&options, &config, &report, &err);
    (void)fputs(tm_buf_text(&report.text), stderr);
    if (code != TM_OK && report.errors == 0) {
        (void)fprintf(stderr, "tidemarkd: %s\n", err.msg);
    }
    tm_config_report_done(&report);
    if (code != TM_OK) {
        return EXIT_CONFIG;
    }
    if (check) {
        tm_config_free(config);
        return EXIT_SUCCESS;
    }
    tm_log_init(config->log.level, config->log.format);
    int status = serve(config, path);
    tm_config_free(config);
    return status;
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {
            {"config", required_argument, NULL, 'c'},
            {"check", no_argument, NULL, 'n'},
            {"version", no_argument, NULL, 'V'},
            {"help", no_argument, NULL, 'h'},
            {NULL, 0, NULL, 0},
    };
    const char *path = getenv("TIDEMARK_CONFIG"); /* NOLINT(concurrency-mt-unsafe): alone so far */
    bool check = false;
    path = path != NULL ? path : "/etc/tidemark/tidemark.yaml";
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): alone so far */
    for (int option; (option = getopt_long(argc, argv, "c:nVh", longs, NULL)) != -1;) {
        if (option == 'c') {
            path = optarg;
        } else if (option == 'n') {
            check = true;
        } else if (option == 'V') {
            (void)printf("tidemarkd %s (librdkafka %s, sqlite %s)\n", TM_VERSION,
                    tm_kafka_library_version(), tm_catalog_sqlite_version());
            return EXIT_SUCCESS;
        } else {
            (void)fputs(usage, option == 'h' ? stdout : stderr);
            return option == 'h' ? EXIT_SUCCESS : EXIT_USE;
        }
    }
    if (optind < argc) {
        (void)fputs(usage, stderr);
        return EXIT_USE;
    }
    umask(0077);
    (void)signal(SIGPIPE, SIG_IGN);
    tm_codec_init();
    return load(path, check);
}
