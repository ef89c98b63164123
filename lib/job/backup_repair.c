/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "base/log.h"
#include "catalog/findings.h"
#include "job/backup_run.h"
#include "job/repair.h"

enum { PACKS_MAX = 16 }; /* of one run: new records wait meanwhile */

static struct tm_kafka *own_cluster(void *arg, struct tm_slice cluster_id)
{
    const struct backup_run *run = arg;
    return tm_slice_eq(cluster_id, run->cluster_id) ? run->options->kafka : NULL;
}

/* A pack that was left as it is stays damaged: the run stored what it could, and says so. */
static void tell(struct backup_run *run, const struct tm_verify_repair *row)
{
    const char *detail = row->detail;
    if (row->repaired) {
        detail = tm_arena_fmt(run->arena,
                "it was damaged, and was replaced: %" PRId64 " records were whole, %" PRId64
                " were read again from Kafka",
                row->records_kept, row->records_read);
    }
    tm_backup_warn(run, NULL, -1, row->repaired ? "repaired" : "damaged",
            tm_arena_fmt(run->arena, "%s: %s", row->object, detail));
}

void tm_backup_repair(struct backup_run *run)
{
    const struct tm_backup_options *options = run->options;
    struct tm_err err = {0};
    int64_t findings = 0;
    if (tm_findings_count(options->catalog, &findings, &err) != TM_OK || findings == 0) {
        return; /* a catalog that cannot be read fails the run where it is needed */
    }
    uint32_t *streams = tm_arena_alloc(run->arena, run->count + 1, sizeof(*streams));
    size_t count = 0;
    for (size_t t = 0; t < run->count; t++) {
        if (run->at[t].stream.id != 0) {
            streams[count++] = run->at[t].stream.id;
        }
    }
    if (count == 0) {
        return;
    }
    struct tm_repair_options repair = {
            .vault = options->vault,
            .catalog = options->catalog,
            .kafka = own_cluster,
            .kafka_arg = run,
            .level = options->level,
            .streams = streams,
            .stream_count = count,
            .packs_max = PACKS_MAX,
            .deadline_ns = run->deadline_ns,
    };
    tm_repair_list rows = {0};
    enum tm_code code = tm_repair_run(&repair, run->env, &rows, run->arena, &err);
    for (size_t i = 0; i < rows.count; i++) {
        tell(run, &rows.at[i]);
    }
    if (code != TM_OK && code != TM_E_CANCELLED) {
        tm_backup_warn(run, NULL, -1, "damaged", tm_arena_strdup(run->arena, err.msg));
    }
    tm_vec_done(&rows);
}
