/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration that somebody sent, checked as a file is; and the log's level for a while. */
#include "config_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "errand.h"

#define SENT_NAME "sent" /* stands where a file's name would, and goes again */

struct checking {
    struct tm_buf text; /* wiped: secrets may stand in it */
    struct tm_config_report report;
    struct tm_err err;
    tm_done_json done;
    void *arg;
};

static void check(void *arg)
{
    struct checking *checking = arg;
    struct tm_config_load_options options = {.check_property = tm_kafka_check_property};
    struct tm_config *config = NULL;
    TM_LATER(tm_config_parse(tm_buf_slice(&checking->text), SENT_NAME, &options, &config,
            &checking->report, &checking->err));
    tm_config_free(config);
    explicit_bzero(checking->text.at, checking->text.len);
}

/* A number and the `:` behind it; false: the text does not go on so. */
static bool take_number(const char **at, int64_t *out)
{
    char digits[16] = {0};
    struct tm_err ignored = {0};
    size_t len = strspn(*at, "0123456789");
    if (len == 0 || len >= sizeof(digits) || (*at)[len] != ':') {
        return false;
    }
    memcpy(digits, *at, len);
    *at += len + 1;
    return tm_parse_i64(digits, out, &ignored) == TM_OK;
}

/* "sent:3:57: error: PATH: what" */
static void add_finding(struct tm_json *findings, const char *line)
{
    static const char error[] = " error: ";
    static const char warning[] = " warning: ";
    struct tm_json *json = tm_json_push(findings, tm_json_object());
    int64_t row = 0;
    int64_t column = 0;
    const char *at =
            line + (strncmp(line, SENT_NAME ":", sizeof(SENT_NAME)) == 0 ? sizeof(SENT_NAME) : 0);
    bool placed = take_number(&at, &row) && take_number(&at, &column);
    bool warns = strncmp(at, warning, sizeof(warning) - 1) == 0;
    tm_json_add_str(json, "severity", warns ? "warning" : "error");
    if (placed) {
        tm_json_add_int(json, "line", row);
        tm_json_add_int(json, "column", column);
        at += warns                                        ? sizeof(warning) - 1
              : strncmp(at, error, sizeof(error) - 1) == 0 ? sizeof(error) - 1
                                                           : 0;
    }
    tm_json_add_str(json, "detail", at + strspn(at, " "));
}

static void checked(void *arg)
{
    struct checking *checking = arg;
    struct tm_json *json = tm_json_object();
    tm_json_add_bool(json, "valid", checking->err.code == TM_OK);
    struct tm_json *findings = tm_json_add(json, "findings", tm_json_array());
    char *lines = tm_buf_take_text(&checking->report.text);
    char *rest = NULL;
    for (char *line = strtok_r(lines, "\n", &rest); line != NULL;
            line = strtok_r(NULL, "\n", &rest)) {
        add_finding(findings, line);
    }
    char *text = tm_json_text(json);
    checking->done(checking->arg, text, NULL);
    free(text);
    free(lines);
    tm_json_free(json);
    tm_buf_done(&checking->text);
    free(checking);
}

void tmd_control_check_config(void *self, struct tm_slice text, tm_done_json done, void *arg)
{
    struct checking *checking = tm_xalloc(1, sizeof(*checking));
    checking->done = done;
    checking->arg = arg;
    tm_buf_add(&checking->text, text.at, text.len);
    if (!tmd_errand(self, check, checked, checking)) {
        struct tm_problem problem;
        tmd_errand_refused(self, "too much is asked at once", &problem);
        done(arg, NULL, &problem);
        tm_buf_done(&checking->text);
        free(checking);
    }
}

/* The log's level ------------------------------------------------------------------------------ */

static uv_timer_t *ending; /* the loop's; NULL: the level is the configuration's, or stays */

static void closed(uv_handle_t *handle)
{
    free(handle);
}

static void forget_end(void)
{
    if (ending != NULL) {
        uv_close((uv_handle_t *)ending, closed);
        ending = NULL;
    }
}

void tmd_log_level_reset(const struct tmd *tmd)
{
    forget_end();
    tm_log_set_level(tmd->config->log.level);
}

static void over(uv_timer_t *timer)
{
    const struct tmd *tmd = timer->data;
    tm_log_set_level(TM_LOG_INFO); /* both levels may be narrower */
    tm_log(TM_LOG_INFO, "log.level", "the level is the configuration's again",
            TM_LOG_STR("level", tm_log_level_name(tmd->config->log.level)), TM_LOG_END);
    tmd_log_level_reset(tmd);
}

void tmd_control_log_level(void *self, enum tm_log_level level, int64_t for_ms,
        const struct tm_caller *caller, tm_done_json done, void *arg)
{
    struct tmd *tmd = self;
    forget_end();
    if (for_ms > 0) {
        ending = tm_xalloc(1, sizeof(*ending));
        tm_assert(uv_timer_init(&tmd->loop, ending) == 0);
        ending->data = tmd;
        tm_assert(uv_timer_start(ending, over, (uint64_t)for_ms, 0) == 0);
        uv_unref((uv_handle_t *)ending);
    }
    tm_log_set_level(level > TM_LOG_INFO
                             ? level
                             : TM_LOG_INFO); /* it stands in the log whatever the level is */
    tm_log(TM_LOG_INFO, "audit", "log level changed", TM_LOG_STR("who", caller->who),
            TM_LOG_STR("request_id", caller->request_id),
            TM_LOG_STR("level", tm_log_level_name(level)), TM_LOG_END);
    tm_log_set_level(level);
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "level", tm_log_level_name(level));
    if (for_ms > 0) {
        tm_json_add_time(json, "until", tm_now_ms() + for_ms);
    }
    char *text = tm_json_text(json);
    done(arg, text, NULL);
    free(text);
    tm_json_free(json);
}
