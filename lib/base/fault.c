/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fault.h"

#ifdef TM_FAULT_POINTS

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "base/vec.h"

enum action { NOTHING, CRASH, FAIL, STOP, HANG };

struct point {
    char *name;
    int64_t passes;
    enum action action;
    int64_t at_pass; /* 0: at each */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static TM_VEC(struct point) points; /* those armed, and those passed */
static bool armed;

static struct point *get_point(const char *name)
{
    for (size_t i = 0; i < points.count; i++) {
        if (strcmp(points.at[i].name, name) == 0) {
            return &points.at[i];
        }
    }
    struct point *point = tm_vec_push(&points);
    size_t size = strlen(name) + 1;
    point->name = tm_xalloc(size, 1);
    memcpy(point->name, name, size);
    return point;
}

/* Arm one "name:action@N". A misspelt one would make a test pass for no reason, so it is fatal. */
static void arm(char *spec)
{
    char *action = strchr(spec, ':');
    tm_assert(action != NULL);
    *action++ = '\0';
    char *pass = strchr(action, '@');
    int64_t at_pass = 0;
    if (pass != NULL) {
        *pass++ = '\0';
        struct tm_err err = {0};
        tm_assert(tm_parse_i64(pass, &at_pass, &err) == TM_OK && at_pass > 0);
    }
    static const char *const names[] = {
            [CRASH] = "crash", [FAIL] = "fail", [STOP] = "stop", [HANG] = "hang"};
    int found = CRASH;
    while (found <= HANG && strcmp(action, names[found]) != 0) {
        found++;
    }
    tm_assert(found <= HANG);
    struct point *point = get_point(spec);
    point->action = (enum action)found;
    point->at_pass = at_pass;
}

static void arm_all(void)
{
    armed = true;
    const char *specs = getenv("TM_FAULTS"); /* NOLINT(concurrency-mt-unsafe): set by nobody */
    if (specs == NULL) {
        return;
    }
    TM_BUF_OWN struct tm_buf copy = {0};
    tm_buf_add_text(&copy, specs);
    char *rest = NULL;
    for (char *spec = strtok_r((char *)copy.at, ",", &rest); spec != NULL;
            spec = strtok_r(NULL, ",", &rest)) {
        arm(spec);
    }
}

static void list(const char *name)
{
    const char *path = getenv("TM_FAULTS_LIST"); /* NOLINT(concurrency-mt-unsafe): as above */
    if (path == NULL) {
        return;
    }
    TM_BUF_OWN struct tm_buf line = {0};
    tm_buf_add_fmt(&line, "%s\n", name);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    tm_assert(fd >= 0);
    tm_assert(write(fd, line.at, line.len) == (ssize_t)line.len);
    (void)close(fd);
}

bool tm_fault_pass(const char *name)
{
    (void)pthread_mutex_lock(&lock);
    if (!armed) {
        arm_all();
    }
    struct point *point = get_point(name);
    point->passes++;
    if (point->passes == 1) {
        list(name);
    }
    bool now = point->at_pass == 0 || point->at_pass == point->passes;
    enum action action = now ? point->action : NOTHING;
    (void)pthread_mutex_unlock(&lock);

    if (action == CRASH) {
        (void)kill(getpid(), SIGKILL);
    }
    if (action == CRASH || action == HANG) {
        for (;;) { /* the signal may come a moment later; nothing may happen until it does */
            (void)pause();
        }
    }
    if (action == STOP) {
        (void)raise(SIGSTOP);
    }
    return action == FAIL;
}

#else

typedef int tm_fault_is_compiled_out; /* ISO C wants a declaration in every file */

#endif
