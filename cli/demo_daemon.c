/* SPDX-License-Identifier: Apache-2.0 */
#include "demo_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "cli.h"

enum { PATH_TEXT_MAX = 4096, DATAGRAM_MAX = 1024, NO_EXEC = 127 };

static const char program_name[] = "tidemarkd";

/* Where it is --------------------------------------------------------------------------------- */

static bool is_program(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

static bool try_folder(struct tm_slice folder, const char *below, struct tm_buf *out)
{
    tm_buf_clear(out);
    tm_buf_add(out, folder.at, folder.len);
    tm_buf_add_fmt(out, "%s/%s", below, program_name);
    return is_program(tm_buf_text(out));
}

static bool find_beside(struct tm_buf *out)
{
    static const char *const places[] = {"/../daemon", "/../sbin", ""};
    char self[PATH_TEXT_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (len <= 0) {
        return false;
    }
    self[len] = '\0';
    struct tm_slice folder = tm_slice_of(self, (size_t)(strrchr(self, '/') - self));
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (try_folder(folder, places[i], out)) {
            return true;
        }
    }
    return false;
}

enum tm_code demo_daemon_find(struct tm_buf *out, struct tm_err *err)
{
    if (find_beside(out)) {
        return TM_OK;
    }
    const char *at = cli_environment("PATH");
    while (at != NULL && *at != '\0') {
        size_t len = strcspn(at, ":");
        if (len > 0 && try_folder(tm_slice_of(at, len), "", out)) {
            return TM_OK;
        }
        at += len + (at[len] == ':' ? 1 : 0);
    }
    return tm_err_set(err, TM_E_MISSING,
            "%s is neither beside this program nor in PATH; hint: build or install it",
            program_name);
}

/* Start --------------------------------------------------------------------------------------- */

static enum tm_code io_failed(const char *path, struct tm_err *err)
{
    int sys_errno = errno;
    return tm_err_set(err, tm_fs_code(sys_errno), "%s: %s", path, tm_errno_text(sys_errno));
}

static enum tm_code open_notify(const char *path, int *out, struct tm_err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    tm_assert(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        (void)io_failed(path, err);
        tm_fd_close(&fd);
        return err->code;
    }
    *out = fd;
    return TM_OK;
}

/* The environment without what another manager or configuration meant for us. Freed by free(). */
static char **make_environment(char *notify)
{
    static const char *const dropped[] = {
            "NOTIFY_SOCKET=", "WATCHDOG_USEC=", "WATCHDOG_PID=", "JOURNAL_STREAM=", "TIDEMARK_"};
    size_t count = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **made = tm_xalloc(count + 2, sizeof(*made));
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        bool drop = false;
        for (size_t d = 0; d < sizeof(dropped) / sizeof(dropped[0]); d++) {
            drop = drop || strncmp(environ[i], dropped[d], strlen(dropped[d])) == 0;
        }
        if (!drop) {
            made[kept++] = environ[i];
        }
    }
    made[kept] = notify;
    return made;
}

struct start {
    char *const *arguments;
    char *const *environment;
    pid_t parent;
    int log_fd;
    int null_fd;
};

/* In the child of a process with threads: only what is async-signal-safe. */
static _Noreturn void become(const char *program, const struct start *start)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == start->parent && dup2(start->null_fd, STDIN_FILENO) >= 0 &&
            dup2(start->log_fd, STDOUT_FILENO) >= 0 && dup2(start->log_fd, STDERR_FILENO) >= 0 &&
            pthread_sigmask(SIG_SETMASK, &none, NULL) == 0) {
        (void)execve(program, start->arguments, start->environment);
    }
    _exit(NO_EXEC);
}

static enum tm_code fork_daemon(
        const char *program, const struct start *start, pid_t *out, struct tm_err *err)
{
    pid_t pid = fork();
    if (pid == 0) {
        become(program, start);
    }
    if (pid < 0) {
        return io_failed(program, err);
    }
    *out = pid;
    return TM_OK;
}

static char *copy(const char *text)
{
    char *made = strdup(text);
    tm_assert(made != NULL);
    return made;
}

static enum tm_code start_logged(const char *program, const struct demo_daemon_options *options,
        pid_t *out, struct tm_err *err)
{
    TM_FD_OWN int log_fd = open(options->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    TM_FD_OWN int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (log_fd < 0 || null_fd < 0) {
        return io_failed(log_fd < 0 ? options->log : "/dev/null", err);
    }
    TM_BUF_OWN struct tm_buf notify = {0};
    tm_buf_add_fmt(&notify, "NOTIFY_SOCKET=%s", options->notify);
    char *arguments[] = {copy(program), copy("--config"), copy(options->config), NULL};
    char **environment = make_environment((char *)notify.at);
    struct start start = {arguments, environment, getpid(), log_fd, null_fd};
    enum tm_code code = fork_daemon(program, &start, out, err);
    for (size_t i = 0; arguments[i] != NULL; i++) {
        free(arguments[i]);
    }
    free(environment);
    return code;
}

enum tm_code demo_daemon_start(const char *program, const struct demo_daemon_options *options,
        struct demo_daemon *out, struct tm_err *err)
{
    struct demo_daemon daemon = {.notify_fd = -1};
    TM_TRY(open_notify(options->notify, &daemon.notify_fd, err));
    if (start_logged(program, options, &daemon.pid, err) != TM_OK) {
        tm_fd_close(&daemon.notify_fd);
        return err->code;
    }
    *out = daemon;
    return TM_OK;
}

/* Its life ------------------------------------------------------------------------------------ */

bool demo_daemon_is_ready(const struct demo_daemon *daemon)
{
    char text[DATAGRAM_MAX];
    static const char ready[] = "READY=1";
    ssize_t len = recv(daemon->notify_fd, text, sizeof(text) - 1, 0);
    if (len <= 0) {
        return false;
    }
    text[len] = '\0';
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n' ? 1 : 0;
        if (strncmp(line, ready, sizeof(ready) - 1) == 0) {
            return true;
        }
    }
    return false;
}

bool demo_daemon_reap(struct demo_daemon *daemon)
{
    if (daemon->pid > 0 && !daemon->has_ended &&
            waitpid(daemon->pid, &daemon->status, WNOHANG) == daemon->pid) {
        daemon->has_ended = true;
    }
    return daemon->has_ended;
}

void demo_daemon_end(const struct demo_daemon *daemon, struct tm_buf *out)
{
    if (WIFSIGNALED(daemon->status)) {
        tm_buf_add_fmt(out, "by signal %d", WTERMSIG(daemon->status));
    } else {
        tm_buf_add_fmt(out, "with status %d", WEXITSTATUS(daemon->status));
    }
}

/* SIGCHLD is blocked: it stays pending until it is asked for, so none is missed. */
static void wait_for_child(int64_t wait_ms)
{
    sigset_t child;
    struct timespec limit = {.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000};
    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    (void)sigtimedwait(&child, NULL, &limit);
}

void demo_daemon_stop(struct demo_daemon *daemon, int64_t grace_ms)
{
    if (daemon->pid > 0 && !demo_daemon_reap(daemon)) {
        (void)kill(daemon->pid, SIGTERM);
        int64_t deadline_ns = tm_mono_ns() + grace_ms * 1000000;
        for (int64_t left_ns;
                (left_ns = deadline_ns - tm_mono_ns()) > 0 && !demo_daemon_reap(daemon);) {
            wait_for_child(left_ns / 1000000 + 1);
        }
        if (!demo_daemon_reap(daemon)) {
            (void)kill(daemon->pid, SIGKILL);
            (void)waitpid(daemon->pid, &daemon->status, 0);
            daemon->has_ended = true;
        }
    }
    tm_fd_close(&daemon->notify_fd);
}
