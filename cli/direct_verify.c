/* SPDX-License-Identifier: Apache-2.0 */
#include "direct_verify.h"

#include <stdlib.h>
#include <string.h>

#include "base/ulid.h"
#include "direct_job.h"
#include "job/verify.h"

static void view_fault(struct tm_json *faults, const struct tm_verify_fault *fault)
{
    struct tm_json *row = tm_json_push(faults, tm_json_object());
    tm_json_add_str(row, "kind", fault->kind);
    tm_json_add_str(row, "object", fault->object);
    tm_json_add_str(row, "cluster_id", fault->cluster_id);
    tm_json_add_str(row, "topic", fault->topic);
    if (fault->topic != NULL) {
        tm_json_add_int(row, "partition", fault->partition);
        tm_json_add_int(row, "first_offset", fault->first);
        tm_json_add_int(row, "last_offset", fault->last);
    }
    tm_json_add_str(row, "detail", fault->detail);
}

static struct tm_json *view(const struct tm_verify_result *result, const char *depth)
{
    struct tm_json *json = tm_json_object();
    tm_json_add_str(json, "state", result->faults_count == 0 ? "succeeded" : "failed");
    struct tm_json *out = tm_json_add(json, "result", tm_json_object());
    tm_json_add_str(out, "depth", depth);
    tm_json_add_int(out, "packs_count", result->packs_count);
    tm_json_add_int(out, "blocks_count", result->blocks_count);
    tm_json_add_int(out, "messages_count", result->records_count);
    tm_json_add_int(out, "read_bytes", result->bytes_read);
    tm_json_add_int(out, "faults_count", result->faults_count);
    struct tm_json *points = tm_json_add(out, "damaged_recovery_points", tm_json_array());
    for (size_t i = 0; i < result->points.count; i++) {
        char name[TM_ULID_NAME_MAX];
        tm_json_push_str(points, tm_ulid_format(&result->points.at[i], "rp_", name));
    }
    struct tm_json *faults = tm_json_add(out, "faults", tm_json_array());
    for (size_t i = 0; i < result->faults.count; i++) {
        view_fault(faults, &result->faults.at[i]);
    }
    return json;
}

/* "0.02", which has been looked at, as a number. */
static double ratio_of(const char *text)
{
    const struct tm_json_value *value = NULL;
    struct tm_arena arena = {0};
    struct tm_err ignored = {0};
    double ratio = 0;
    if (text != NULL && tm_json_read(tm_slice_str(text), &arena, &value, NULL, &ignored) == TM_OK) {
        ratio = value->kind == TM_JSON_INT ? (double)value->integer : value->real;
    }
    tm_arena_done(&arena);
    return ratio > 0 ? ratio : 0.01;
}

static bool find_depth(const char *name, enum tm_verify_depth *out)
{
    for (int depth = TM_VERIFY_CATALOG; depth <= TM_VERIFY_FULL; depth++) {
        if (strcmp(tm_verify_depth_name((enum tm_verify_depth)depth), name) == 0) {
            *out = (enum tm_verify_depth)depth;
            return true;
        }
    }
    return false;
}

static int verify(struct tm_verify_options *options, const struct cli_args *args, const char *depth,
        void (*table)(const struct tm_json_value *job))
{
    struct tm_verify_result result = {0};
    struct tm_err err = {0};
    struct cli_direct_job *job = tm_xalloc(1, sizeof(*job));
    int status = CLI_DONE;
    cli_direct_job_begin(job);
    enum tm_code code = tm_verify_run(options, &job->env, &result, &err);
    cli_direct_job_end(job);
    free(job);
    if (code == TM_OK) {
        TM_OWN(tm_json_free) struct tm_json *json = view(&result, depth);
        status = cli_print_json(&args->output, json, table);
        status = result.faults_count > 0 ? CLI_DIFFERENT : status;
    } else {
        status = cli_fail(&err);
    }
    tm_verify_result_done(&result);
    return status;
}

int cli_verify_directly(const struct cli_command *command, const struct cli_args *args,
        const char *depth, void (*table)(const struct tm_json_value *job))
{
    CLI_DIRECT_OWN struct cli_direct direct = {0};
    struct tm_verify_options options = {.sample_ratio = ratio_of(cli_arg(args, "sample-ratio"))};
    struct tm_id16 point;
    const char *point_name = cli_arg(args, "point");
    if (!find_depth(depth, &options.depth)) {
        return cli_misuse(command, "--depth takes catalog, scrub, sample or full");
    }
    if (point_name != NULL && !tm_ulid_parse(point_name, "rp_", &point)) {
        return cli_misuse(command, "--point: not the id of a recovery point");
    }
    bool keyless = options.depth == TM_VERIFY_SCRUB && args->direct.key_file == NULL &&
                   args->direct.passphrase_file == NULL;
    const char *wrong = keyless ? NULL : cli_direct_misuse(&args->direct);
    if (wrong != NULL) {
        return cli_misuse(command, "%s", wrong);
    }
    int status = keyless ? cli_direct_reach(&args->direct, &direct)
                         : cli_direct_open(&args->direct, true, &direct);
    if (status != CLI_DONE) {
        return status;
    }
    options.point = point_name != NULL ? &point : NULL;
    options.vault = direct.vault;
    options.catalog = direct.catalog;
    options.store = keyless ? direct.store : NULL;
    return verify(&options, args, depth, table);
}
