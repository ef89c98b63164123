/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "cli.h"
#include "demo_daemon.h"
#include "demo_feed.h"
#include "demo_place.h"
#include "demo_records.h"
#include "kafka/mock.h"

enum {
    BROKERS = 3,
    USUAL_PORT = 8484,
    FEED_MS = 500,
    READY_MS = 30 * 1000,
    GRACE_MS = 20 * 1000,
    EVERY_MIN_MS = 1000,
    EVERY_USUAL_MS = 5000,
    LOG_MAX = 16 << 20,
    LOG_SHOWN = 2000,
};

struct demo_options {
    const char *folder; /* NULL: a temporary one */
    const char *listen; /* NULL: the usual port, or a free one */
    int64_t every_ms;
    bool still;
};

struct demo {
    const struct demo_options *options;
    struct demo_settings settings;
    char listen[32];
    struct demo_place place;
    struct tm_mock *mock;
    struct demo_feed *feed;
    struct demo_daemon daemon;
    int signal_fd;
    bool still; /* nothing is produced any more */
};

/* What can happen while the demo runs. */
enum happening { NOTHING, STOP, BE_STILL, CHILD, MESSAGE };

/* Signals ------------------------------------------------------------------------------------- */

/* Before any thread starts: all of them inherit the mask, and the signals come by a descriptor. */
static enum tm_code catch_signals(struct demo *demo, struct tm_err *err)
{
    static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGCHLD};
    sigset_t set;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++) {
        (void)sigaddset(&set, caught[i]);
    }
    (void)signal(SIGCHLD, SIG_DFL); /* one that is ignored would never be told */
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0 ||
            (demo->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0) {
        return tm_err_set(err, TM_E_IO, "signals cannot be caught");
    }
    return TM_OK;
}

static enum happening read_signal(const struct demo *demo)
{
    struct signalfd_siginfo info;
    if (read(demo->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info)) {
        return NOTHING;
    }
    if (info.ssi_signo == SIGCHLD) {
        return CHILD;
    }
    return info.ssi_signo == SIGUSR1 ? BE_STILL : STOP;
}

static enum happening wait_for_something(const struct demo *demo, int64_t wait_ms)
{
    struct pollfd fds[] = {
            {.fd = demo->signal_fd, .events = POLLIN},
            {.fd = demo->daemon.notify_fd, .events = POLLIN}, /* -1 is passed over */
    };
    (void)poll(fds, 2, (int)wait_ms);
    if (fds[0].revents != 0) {
        return read_signal(demo);
    }
    return fds[1].revents != 0 ? MESSAGE : NOTHING;
}

/* Start --------------------------------------------------------------------------------------- */

/* The port that a socket bound to loopback gets when it asks for `port`; 0: it is taken. */
static unsigned try_port(unsigned port)
{
    struct sockaddr_in address = {
            .sin_family = AF_INET,
            .sin_port = htons((uint16_t)port),
            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t len = sizeof(address);
    int on = 1;
    TM_FD_OWN int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
            bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
            getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        return 0;
    }
    return ntohs(address.sin_port);
}

static void choose_listen(struct demo *demo)
{
    demo->settings.listen = demo->options->listen;
    if (demo->settings.listen == NULL) {
        unsigned port = try_port(USUAL_PORT);
        port = port != 0 ? port : try_port(0);
        (void)snprintf(demo->listen, sizeof(demo->listen), "127.0.0.1:%u", port);
        demo->settings.listen = demo->listen;
    }
}

static enum tm_code make_topics(struct demo *demo, struct tm_err *err)
{
    TM_TRY(tm_mock_topic(demo->mock, "orders", DEMO_ORDERS_PARTITIONS, err));
    TM_TRY(tm_mock_topic(demo->mock, "customers", DEMO_CUSTOMERS_PARTITIONS, err));
    TM_TRY(tm_mock_topic(demo->mock, "orders.restored", DEMO_ORDERS_PARTITIONS, err));
    return tm_mock_topic(demo->mock, "customers.restored", DEMO_CUSTOMERS_PARTITIONS, err);
}

static enum tm_code stop_producing(struct demo *demo, struct tm_err *err)
{
    TM_BUF_OWN struct tm_buf ends = {0};
    if (demo->still) {
        return TM_OK;
    }
    demo->still = true;
    TM_TRY(demo_feed_settle(demo->feed, err));
    demo_feed_ends(demo->feed, &ends);
    TM_TRY(demo_place_write_still(&demo->place, tm_buf_slice(&ends), err));
    (void)printf("still: nothing is produced any more; orders has %" PRId64
                 " records, customers %" PRId64 "\n",
            demo_feed_orders(demo->feed), demo_feed_customers(demo->feed));
    (void)fflush(stdout);
    return TM_OK;
}

static enum tm_code start_daemon(struct demo *demo, struct tm_err *err)
{
    TM_BUF_OWN struct tm_buf program = {0};
    TM_BUF_OWN struct tm_buf config = {0};
    TM_BUF_OWN struct tm_buf log = {0};
    TM_BUF_OWN struct tm_buf notify = {0};
    demo_place_path(&demo->place, "tidemark.yaml", &config);
    demo_place_path(&demo->place, "tidemarkd.log", &log);
    demo_place_path(&demo->place, "notify", &notify);
    struct demo_daemon_options options = {
            tm_buf_text(&config), tm_buf_text(&log), tm_buf_text(&notify)};
    TM_TRY(demo_daemon_find(&program, err));
    return demo_daemon_start(tm_buf_text(&program), &options, &demo->daemon, err);
}

/* The end of what the daemon said, to standard error: its folder may be about to go. */
static void show_log(const struct demo *demo)
{
    TM_BUF_OWN struct tm_buf path = {0};
    TM_BUF_OWN struct tm_buf log = {0};
    struct tm_err ignored = {0};
    demo_place_path(&demo->place, "tidemarkd.log", &path);
    if (tm_fs_read(tm_buf_text(&path), LOG_MAX, &log, &ignored) == TM_OK) {
        const char *text = tm_buf_text(&log);
        const char *from = log.len > LOG_SHOWN ? text + log.len - LOG_SHOWN : text;
        const char *line = from > text ? strchr(from, '\n') : NULL;
        (void)fputs(line != NULL ? line + 1 : from, stderr);
    }
}

static enum tm_code daemon_ended(const struct demo *demo, struct tm_err *err)
{
    TM_BUF_OWN struct tm_buf how = {0};
    demo_daemon_end(&demo->daemon, &how);
    show_log(demo);
    return tm_err_set(
            err, TM_E_IO, "tidemarkd has ended %s; above is the end of its log", tm_buf_text(&how));
}

static enum tm_code take_while_starting(
        struct demo *demo, enum happening what, bool *ready, struct tm_err *err)
{
    switch (what) {
    case MESSAGE:
        *ready = demo_daemon_is_ready(&demo->daemon);
        break;
    case CHILD:
        return demo_daemon_reap(&demo->daemon) ? daemon_ended(demo, err) : TM_OK;
    case STOP:
        return tm_err_set(err, TM_E_CANCELLED, "stopped before the daemon was ready");
    case BE_STILL:
        return stop_producing(demo, err);
    case NOTHING:
        break;
    }
    return TM_OK;
}

static enum tm_code wait_until_ready(struct demo *demo, struct tm_err *err)
{
    int64_t deadline_ns = tm_mono_ns() + READY_MS * INT64_C(1000000);
    int64_t left_ns = 1;
    bool ready = false;
    enum tm_code code = TM_OK;
    while (!ready && code == TM_OK && (left_ns = deadline_ns - tm_mono_ns()) > 0) {
        enum happening what = wait_for_something(demo, left_ns / 1000000 + 1);
        code = take_while_starting(demo, what, &ready, err);
    }
    if (!ready && code == TM_OK) {
        show_log(demo);
        code = tm_err_set(err, TM_E_TIMEOUT, "tidemarkd is not ready after %d s", READY_MS / 1000);
    }
    return code;
}

static enum tm_code set_up_cluster(struct demo *demo, struct tm_err *err)
{
    demo->mock = tm_mock_new(BROKERS);
    demo->settings.bootstrap = tm_mock_bootstrap(demo->mock);
    TM_TRY(make_topics(demo, err));
    TM_TRY(demo_feed_open(demo->settings.bootstrap, &demo->feed, err));
    TM_TRY(demo_feed_fill(demo->feed, err));
    return demo->options->still ? stop_producing(demo, err) : TM_OK;
}

static enum tm_code set_up(struct demo *demo, struct tm_err *err)
{
    TM_TRY(catch_signals(demo, err));
    TM_TRY(demo_place_make(&demo->place, demo->options->folder, err));
    TM_TRY(set_up_cluster(demo, err));
    choose_listen(demo);
    demo->settings.every_ms = demo->options->every_ms;
    TM_TRY(demo_place_configure(&demo->place, &demo->settings, err));
    TM_TRY(start_daemon(demo, err));
    TM_TRY(wait_until_ready(demo, err));
    return demo_place_write_env(&demo->place, &demo->settings, demo->daemon.pid, err);
}

/* Life ---------------------------------------------------------------------------------------- */

static void print_guide(const struct demo *demo)
{
    const char *folder = tm_buf_text(&demo->place.folder);
    char every[24];
    (void)printf("tidemark demo: the Kafka cluster is a mock inside of this process "
                 "(librdkafka's), not a real\n"
                 "broker: all of it is gone when this ends.\n"
                 "  brokers   %s\n"
                 "  topics    orders (%d partitions, %" PRId64
                 " records%s), customers (%d, %" PRId64 ");\n"
                 "            orders.restored and customers.restored are empty\n",
            demo->settings.bootstrap, DEMO_ORDERS_PARTITIONS, demo_feed_orders(demo->feed),
            demo->still ? "" : ", some more each second", DEMO_CUSTOMERS_PARTITIONS,
            demo_feed_customers(demo->feed));
    (void)printf("  policy    demo: both, every %s, into an encrypted vault\n"
                 "  folder    %s (%s)\n"
                 "            tidemark.yaml, tidemarkd.log, vault/, api.sock, demo.env\n"
                 "  tidemarkd process %d; REST on api.sock%s%s%s\n",
            tm_format_duration(demo->settings.every_ms, every), folder,
            demo->place.is_ours ? "removed at the end" : "stays", (int)demo->daemon.pid,
            demo->settings.listen[0] != '\0' ? " and http://" : "", demo->settings.listen,
            demo->settings.listen[0] != '\0' ? " (token in demo.env; dashboard at /ui)" : "");
    (void)printf(
            "try, in another terminal:\n"
            "  . %s/demo.env\n"
            "  curl --unix-socket \"$SOCKET\" http://localhost/v1/status\n"
            "  curl --unix-socket \"$SOCKET\" http://localhost/v1/recovery-points\n"
            "  kill -USR1 $DEMO_PID      # stop producing; then %s/still says where the topics "
            "end\n"
            "  curl --unix-socket \"$SOCKET\" -H 'Content-Type: application/json' \\\n"
            "    'http://localhost/v1/restores?wait=60s' -d '{\"source\":{\"policy\":\"demo\",\n"
            "    "
            "\"recovery_point\":\"latest\"},\"topics\":{\"include\":[\"orders\"]},\"target\":{"
            "\"cluster\":\"demo\",\n"
            "    "
            "\"rename\":{\"orders\":\"orders.restored\"}},\"create_topics\":\"never\",\"existing\":"
            "\"empty_only\"}'\n"
            "  tidemark demo compare --bootstrap \"$BOOTSTRAP\" orders orders.restored\n"
            "Ctrl-C ends it.\n"
            "ready: %s/demo.env\n",
            folder, folder, folder);
    (void)fflush(stdout);
}

static enum tm_code feed_more(struct demo *demo, struct tm_err *err)
{
    bool full = false;
    if (demo->still) {
        return TM_OK;
    }
    TM_TRY(demo_feed_more(demo->feed, &full, err));
    return full ? stop_producing(demo, err) : TM_OK;
}

static enum tm_code take(struct demo *demo, enum happening what, bool *enough, struct tm_err *err)
{
    switch (what) {
    case STOP:
        *enough = true;
        break;
    case BE_STILL:
        return stop_producing(demo, err);
    case CHILD:
        return demo_daemon_reap(&demo->daemon) ? daemon_ended(demo, err) : TM_OK;
    case MESSAGE:
        (void)demo_daemon_is_ready(&demo->daemon); /* read, so that it is gone */
        break;
    case NOTHING:
        return feed_more(demo, err);
    }
    return TM_OK;
}

/* Until a signal says that it is enough. */
static enum tm_code live(struct demo *demo, struct tm_err *err)
{
    bool enough = false;
    enum tm_code code = TM_OK;
    while (!enough && code == TM_OK) {
        enum happening what = wait_for_something(demo, demo->still ? -1 : FEED_MS);
        code = take(demo, what, &enough, err);
    }
    return code;
}

static int run(const struct demo_options *options)
{
    struct demo demo = {.options = options, .signal_fd = -1, .daemon = {.notify_fd = -1}};
    struct tm_err err = {0};
    enum tm_code code = set_up(&demo, &err);
    if (code == TM_OK) {
        print_guide(&demo);
        code = live(&demo, &err);
    }
    int status = code == TM_OK ? CLI_DONE : cli_fail(&err);
    demo_daemon_stop(&demo.daemon, GRACE_MS);
    demo_feed_close(demo.feed);
    tm_mock_free(demo.mock);
    demo_place_leave(&demo.place);
    tm_fd_close(&demo.signal_fd);
    return status;
}

static int run_demo(const struct cli_command *command, int argc, char **argv)
{
    static const struct option longs[] = {
            {"dir", required_argument, NULL, 'd'},
            {"listen", required_argument, NULL, 'l'},
            {"policy-every", required_argument, NULL, 'e'},
            {"still", no_argument, NULL, 's'},
            CLI_HELP_OPTION,
            {NULL, 0, NULL, 0},
    };
    struct demo_options options = {.every_ms = EVERY_USUAL_MS};
    const char *every = NULL;
    for (int option; (option = cli_next_option(argc, argv, longs)) != -1;) {
        switch (option) {
        case 'd':
            options.folder = optarg;
            break;
        case 'l':
            options.listen = optarg;
            break;
        case 'e':
            every = optarg;
            break;
        case 's':
            options.still = true;
            break;
        default:
            return cli_answer(command, option);
        }
    }
    struct tm_err err = {0};
    if (optind < argc) {
        return cli_misuse(command, "\"%s\" is not an option", argv[optind]);
    }
    if (every != NULL && tm_parse_duration_ms(every, &options.every_ms, &err) != TM_OK) {
        return cli_misuse(command, "--policy-every: %s", err.msg);
    }
    if (options.every_ms < EVERY_MIN_MS) {
        return cli_misuse(command, "--policy-every is at least 1s");
    }
    return run(&options);
}

const struct cli_command cli_demo = {
        .words = "demo",
        .operands = "[--dir D] [--listen HOST:PORT] [--policy-every 5s] [--still]",
        .does = "a mock Kafka cluster with data, and a daemon that backs it up",
        .help = "Start a mock Kafka cluster in this process (librdkafka's; no real broker), fill "
                "the\n"
                "topics orders and customers, start tidemarkd on them with a policy, and say what "
                "is\n"
                "where. SIGUSR1 ends the producing; Ctrl-C or SIGTERM ends everything.\n"
                "\n"
                "  --dir D           keep the files in D, which must be empty or not there; "
                "without it\n"
                "                    a temporary folder, removed at the end\n"
                "  --listen H:P      address of the REST API on loopback; 127.0.0.1:8484, or a "
                "free port\n"
                "                    when that is taken; \"\" for none but the Unix socket\n"
                "  --policy-every T  how often the policy runs; 5s\n"
                "  --still           produce nothing after the beginning\n"
                "\n"
                "examples:\n"
                "  tidemark demo\n"
                "  tidemark demo --dir ./demo --policy-every 30s --still\n",
        .run = run_demo,
};
