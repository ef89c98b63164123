/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz tm_config_parse(): no text may crash it, what it refuses it says why, a line each, and what it
 * accepts is whole.
 */
#include <stdint.h>
#include <string.h>

#include "tm_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In place of librdkafka's table. */
static enum tm_code check_property(const char *name, const char *value, struct tm_err *err)
{
    tm_assert(name != NULL && value != NULL);
    return name[0] == 'x' ? tm_err_set(err, TM_E_USAGE, "property '%s': %s", name, value) : TM_OK;
}

/* Each line "fuzz.yaml:LINE:COL: error|warning: ...", or how many more there are. */
static size_t count_lines(const struct tm_config_report *report)
{
    static const char prefix[] = "fuzz.yaml:";
    size_t lines = 0;
    const char *at = tm_buf_text(&report->text);
    tm_assert(strlen(at) == report->text.len);
    while (*at != '\0') {
        const char *end = strchr(at, '\n');
        tm_assert(end != NULL && strncmp(at, prefix, sizeof(prefix) - 1) == 0);
        for (; at < end; at++) {
            tm_assert((unsigned char)*at >= ' ');
        }
        at = end + 1;
        lines++;
    }
    return lines;
}

static void check_whole(const struct tm_config *config)
{
    for (size_t i = 0; i < config->cluster_count; i++) {
        tm_assert(config->clusters[i].name != NULL && config->clusters[i].bootstrap != NULL);
        tm_assert(tm_config_find_cluster(config, config->clusters[i].name) != NULL);
    }
    for (size_t i = 0; i < config->vault_count; i++) {
        tm_assert(config->vaults[i].name != NULL && config->vaults[i].path != NULL);
    }
    for (size_t i = 0; i < config->policy_count; i++) {
        const struct tm_config_policy *policy = &config->policies[i];
        tm_assert(policy->name != NULL && policy->schedule_text != NULL && policy->workers > 0);
        tm_assert(policy->select != NULL || policy->include_count == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct tm_config_load_options options = {
            .path = "fuzz.yaml", .check_property = check_property, .read_secrets = false};
    struct tm_config *config = NULL;
    struct tm_config_report report = {0};
    struct tm_err err = {0};
    enum tm_code code =
            tm_config_parse(tm_slice_of(data, size), "fuzz.yaml", &options, &config, &report, &err);
    tm_assert((code == TM_OK) == (config != NULL) && (code == TM_OK) == (report.errors == 0));
    tm_assert(code == TM_OK || code == TM_E_USAGE);
    tm_assert(count_lines(&report) > 0 || report.errors + report.warnings == 0);
    if (config != NULL) {
        check_whole(config);
    }
    tm_config_report_done(&report);
    tm_config_free(config);
    return 0;
}
