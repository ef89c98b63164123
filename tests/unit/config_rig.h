/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_rig - what the tests of the configuration share: a folder for files, a parse, its report.
 *
 * Threads: one test at a time.
 */
#ifndef TM_TESTS_UNIT_CONFIG_RIG_H
#define TM_TESTS_UNIT_CONFIG_RIG_H

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "tm_config.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

struct parsed {
    enum tm_code code;
    struct tm_config *config; /* NULL when there are errors */
    struct tm_config_report report;
    struct tm_err err;
};

static inline struct parsed parse_with(
        const char *text, const char *name, const struct tm_config_load_options *options)
{
    struct parsed parsed = {0};
    parsed.code = tm_config_parse(
            tm_slice_str(text), name, options, &parsed.config, &parsed.report, &parsed.err);
    ck_assert_int_eq(parsed.code == TM_OK, parsed.config != NULL);
    ck_assert_int_eq(parsed.code == TM_OK, parsed.report.errors == 0);
    return parsed;
}

static inline void done(struct parsed *parsed)
{
    tm_config_report_done(&parsed->report);
    tm_config_free(parsed->config);
}

/* A folder of the test; the files in it go with it. */
struct folder {
    char path[64];
};

static inline struct folder make_folder(void)
{
    struct folder folder = {"/tmp/test-config-XXXXXX"};
    ck_assert_ptr_nonnull(mkdtemp(folder.path));
    return folder;
}

static inline char *path_in(const struct folder *folder, const char *name)
{
    char *path = NULL;
    ck_assert_int_ge(asprintf(&path, "%s/%s", folder->path, name), 0);
    return path;
}

static inline void write_in(
        const struct folder *folder, const char *name, const char *bytes, size_t len, mode_t mode)
{
    char *path = path_in(folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
    ck_assert_int_eq(fchmod(fd, mode), 0); /* whatever the umask */
    ck_assert_int_eq(close(fd), 0);
    free(path);
}

static inline void remove_folder(const struct folder *folder)
{
    char *command = NULL;
    ck_assert_int_ge(asprintf(&command, "rm -r '%s'", folder->path), 0);
    ck_assert_int_eq(system(command), 0);
    free(command);
}

/* The report with the folder's name as "DIR". */
static inline char *report_in(const struct folder *folder, const struct tm_config_report *report)
{
    struct tm_buf out = {0};
    const char *at = tm_buf_text(&report->text);
    for (const char *found = strstr(at, folder->path); found != NULL;
            found = strstr(at, folder->path)) {
        tm_buf_add(&out, at, (size_t)(found - at));
        tm_buf_add_text(&out, "DIR");
        at = found + strlen(folder->path);
    }
    tm_buf_add_text(&out, at);
    return tm_buf_take_text(&out);
}

#endif
