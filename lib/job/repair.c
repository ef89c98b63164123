/* SPDX-License-Identifier: Apache-2.0 */
#include "job/repair.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "job/repair_run.h"

/* The commit ------------------------------------------------------------------------------- */

static void add_successor(
        const struct repair_pack *at, const struct tm_packed *packed, struct tm_edits *edits)
{
    struct tm_row_pack *row = tm_vec_push(&edits->packs);
    *row = (struct tm_row_pack){
            .name = packed->name,
            .size = packed->size,
            .stored_ms = at->pack.stored_ms, /* as old as what it replaces: windows go by that */
            .dep_count = packed->deps.count,
            .deps = packed->deps.at,
    };
    row->runs = tm_arena_alloc(&edits->arena, packed->runs.count + 1, sizeof(*row->runs));
    for (size_t i = 0; i < packed->runs.count; i++) {
        row->runs[i] = packed->runs.at[i].run;
    }
    row->run_count = tm_runs_join(row->runs, packed->runs.count);
}

/* What nobody has any more; neighbours are one gap. */
static void add_gaps(const struct repair_pack *at, struct tm_edits *edits)
{
    for (size_t i = 0; i < at->lost.count; i++) {
        const struct repair_stretch *lost = &at->lost.at[i];
        const struct tm_run *run = &lost->run;
        int64_t end = lost->taken ? lost->from : run->first + run->length;
        struct tm_row_gap *last =
                edits->gaps.count > 0 ? &edits->gaps.at[edits->gaps.count - 1] : NULL;
        if (end <= run->first) {
            continue;
        }
        if (last != NULL && last->stream == run->stream && last->partition == run->partition &&
                last->from + last->length == run->first) {
            last->length += end - run->first;
            continue;
        }
        *tm_vec_push(&edits->gaps) = (struct tm_row_gap){.stream = run->stream,
                .partition = run->partition,
                .from = run->first,
                .length = end - run->first,
                .reason = TM_GAP_LOST_IN_VAULT};
    }
}

static enum tm_code build(void *arg, struct tm_edits *edits, struct tm_err *err)
{
    const struct repair_pack *at = arg;
    struct tm_kept_pack now;
    TM_TRY(tm_findings_pack(at->run->options->catalog, &at->pack.name, &now, err));
    if (now.size == 0) {
        return tm_err_set(err, TM_E_CONFLICT, "it was merged or dropped meanwhile");
    }
    struct tm_row_successors *gone = tm_vec_push(&edits->packs_gone);
    gone->name = at->pack.name;
    gone->successors =
            tm_arena_alloc(&edits->arena, at->packed.count + 1, sizeof(*gone->successors));
    for (size_t i = 0; i < at->packed.count; i++) {
        add_successor(at, &at->packed.at[i], edits);
        gone->successors[gone->successor_count++] = at->packed.at[i].name;
    }
    add_gaps(at, edits);
    return TM_OK;
}

static enum tm_code commit(struct repair_pack *at, struct tm_err *err)
{
    const struct tm_repair_options *options = at->run->options;
    struct tm_fold fold = tm_catalog_fold(options->catalog);
    TM_FAULT("job.repair.packed");
    TM_TRY(tm_vault_commit(options->vault, &fold, build, at, NULL, err));
    TM_FAULT("job.repair.committed");
    return TM_OK;
}

/* A pack ----------------------------------------------------------------------------------- */

static void add_streams(struct repair_pack *at)
{
    for (size_t i = 0; i < at->run_count; i++) {
        const struct tm_stream *stream = tm_verify_stream(&at->run->streams, at->runs[i].stream);
        if (i == 0 || at->runs[i].stream != at->runs[i - 1].stream) {
            tm_packer_add_stream(
                    at->packer, stream->id, stream->cluster_id, stream->topic, stream->incarnation);
        }
    }
}

static enum tm_code make_packs(struct repair_pack *at, struct tm_err *err)
{
    const struct tm_repair_options *options = at->run->options;
    struct tm_packer_options packer = {
            .vault = options->vault,
            .sealers = at->run->env->sealers,
            .level = options->level,
            .budget_bytes = at->run->env->memory_bytes / 3,
    };
    TM_TRY(tm_catalog_params(options->catalog, &packer.params, err));
    at->packer = tm_packer_new(&packer);
    add_streams(at);
    TM_TRY(tm_repair_copy(at, err));
    TM_TRY(tm_repair_fetch(at, err));
    return tm_packer_cut(at->packer, &at->packed, err);
}

/* Why the pack is to be left as it is; NULL: it may be repaired. */
static const char *why_not(struct repair_pack *at)
{
    bool can_read = tm_ring_can_read(tm_vault_ring(at->run->options->vault));
    for (size_t i = 0; i < at->lost.count; i++) {
        const struct repair_stretch *lost = &at->lost.at[i];
        const struct tm_stream *stream = tm_verify_stream(&at->run->streams, lost->run.stream);
        if (lost->identical || (at->run->options->give_up && can_read)) {
            continue;
        }
        return tm_arena_fmt(at->run->arena,
                "topic %.*s partition %" PRId32 " offsets %" PRId64 " to %" PRId64
                " cannot be had again as they were: %s%s",
                stream != NULL ? (int)stream->topic.len : 0,
                stream != NULL ? (const char *)stream->topic.at : "", lost->run.partition,
                lost->run.first, lost->run.first + lost->run.length - 1, lost->why,
                can_read
                        ? "; hint: put back a copy of the pack, or verify with repair to do without"
                        : "; a writer's key cannot tell what else of the pack is whole");
    }
    return NULL;
}

/* What is not as it was, for the row. */
static void describe(struct repair_pack *at)
{
    int64_t fewer = 0;
    const char *why = NULL;
    for (size_t i = 0; i < at->lost.count; i++) {
        const struct repair_stretch *lost = &at->lost.at[i];
        const struct tm_run *run = &lost->run;
        at->row.offsets_lost += lost->taken ? lost->from - run->first : run->length;
        fewer += lost->taken ? run->count - lost->records : 0;
        why = why == NULL && !lost->identical ? lost->why : why;
    }
    at->row.detail = "";
    if (at->row.offsets_lost > 0) {
        at->row.detail = tm_arena_fmt(at->run->arena,
                "%" PRId64 " offsets are lost in the vault: %s", at->row.offsets_lost, why);
    } else if (fewer > 0) {
        at->row.detail = tm_arena_fmt(
                at->run->arena, "%" PRId64 " records fewer than were stored: %s", fewer, why);
    }
}

static enum tm_code repair_pack(struct repair_pack *at, struct tm_err *err)
{
    struct tm_catalog *catalog = at->run->options->catalog;
    TM_TRY(tm_findings_pack_runs(
            catalog, &at->pack.name, &at->arena, &at->runs, &at->run_count, err));
    TM_TRY(tm_repair_look(at, err));
    TM_TRY(tm_repair_ask(at, err));
    at->row.detail = why_not(at);
    if (at->row.detail != NULL) {
        return TM_OK;
    }
    TM_TRY(make_packs(at, err));
    TM_TRY(commit(at, err));
    at->row.repaired = true;
    describe(at);
    return TM_OK;
}

static void log_row(const struct repair_run *run, const struct tm_verify_repair *row)
{
    tm_log(row->repaired && row->offsets_lost == 0 ? TM_LOG_INFO : TM_LOG_WARNING,
            row->repaired ? "repair.pack" : "repair.left", row->detail,
            TM_LOG_STR("job", run->env->job_id), TM_LOG_STR("object", row->object),
            TM_LOG_INT("records_kept", row->records_kept),
            TM_LOG_INT("records_read", row->records_read),
            TM_LOG_INT("offsets_lost", row->offsets_lost), TM_LOG_END);
}

/* Is the failure about this pack alone? Then the others are gone on with. */
static bool is_own(enum tm_code code)
{
    return code == TM_E_CONFLICT || code == TM_E_CORRUPT || code == TM_E_KAFKA ||
           code == TM_E_TIMEOUT || code == TM_E_MISSING;
}

static enum tm_code repair_one(
        struct repair_run *run, const struct tm_kept_pack *pack, bool *repaired, struct tm_err *err)
{
    struct repair_pack at = {.run = run, .pack = *pack};
    char object[TM_OBJECT_NAME_MAX];
    struct tm_err why = {0};
    tm_pack_name(&pack->name, object);
    at.row.object = tm_arena_strdup(run->arena, object);
    enum tm_code code = repair_pack(&at, &why);
    if (code != TM_OK && is_own(code)) {
        at.row.detail = tm_arena_strdup(run->arena, why.msg);
        code = TM_OK;
    }
    if (code == TM_OK) {
        *tm_vec_push(run->out) = at.row;
        log_row(run, &at.row);
        *repaired = at.row.repaired;
    } else {
        *err = why;
    }
    tm_packer_free(at.packer);
    tm_packed_list_done(&at.packed);
    if (at.open != NULL) {
        tm_pack_cache_give(at.cache, at.open);
    }
    tm_pack_cache_free(at.cache);
    tm_vec_done(&at.whole);
    tm_vec_done(&at.lost);
    tm_arena_done(&at.arena);
    return code;
}

/*
 * Packs that refer to content of this one go first: made anew they hold their content themselves. (What they refer
 * to may be among what is lost; and content that is read again need not get its old id.)
 */
static enum tm_code repair_with_dependants(
        struct repair_run *run, const struct tm_kept_pack *pack, struct tm_err *err)
{
    struct tm_catalog *catalog = run->options->catalog;
    struct tm_hash *names = NULL;
    size_t count = 0;
    bool repaired = true;
    TM_TRY(tm_findings_dependants(catalog, &pack->name, run->arena, &names, &count, err));
    for (size_t i = 0; i < count && repaired; i++) {
        struct tm_kept_pack dependant;
        TM_TRY(tm_findings_pack(catalog, &names[i], &dependant, err));
        if (dependant.size > 0) {
            TM_TRY(repair_one(run, &dependant, &repaired, err));
        }
    }
    return repaired ? repair_one(run, pack, &repaired, err) : TM_OK;
}

/* The run ---------------------------------------------------------------------------------- */

static bool is_asked_for(const struct tm_repair_options *options, const struct tm_finding *finding)
{
    for (size_t i = 0; i < options->stream_count; i++) {
        if (options->streams[i] == finding->stream) {
            return true;
        }
    }
    return options->stream_count == 0;
}

static enum tm_code repair_all(
        struct repair_run *run, const struct tm_finding *findings, size_t count, struct tm_err *err)
{
    static const struct tm_hash none;
    const struct tm_repair_options *options = run->options;
    struct tm_hash last = none;
    size_t done = 0;
    for (size_t i = 0; i < count; i++) {
        struct tm_kept_pack pack;
        if (tm_hash_eq(&findings[i].pack, &last) || !is_asked_for(options, &findings[i])) {
            continue;
        }
        if (options->packs_max > 0 && done == options->packs_max) {
            break;
        }
        last = findings[i].pack;
        TM_TRY(tm_findings_pack(options->catalog, &last, &pack, err));
        if (pack.size > 0) {
            done++;
            TM_TRY(repair_with_dependants(run, &pack, err));
        }
    }
    return TM_OK;
}

enum tm_code tm_repair_run(const struct tm_repair_options *options, struct tm_job_env *env,
        tm_repair_list *out, struct tm_arena *arena, struct tm_err *err)
{
    struct tm_arena own = {0};
    struct tm_finding *findings = NULL;
    size_t count = 0;
    struct repair_run run = {.options = options, .env = env, .arena = arena, .out = out};
    enum tm_code code = tm_findings_list(options->catalog, NULL, &own, &findings, &count, err);
    if (code == TM_OK && count > 0) {
        code = tm_catalog_streams(
                options->catalog, &own, &run.streams.streams, &run.streams.stream_count, err);
    }
    if (code == TM_OK && count > 0) {
        code = repair_all(&run, findings, count, err);
    }
    if (code == TM_OK && count > 0) {
        code = tm_findings_tidy(options->catalog, err);
    }
    tm_arena_done(&own);
    return code;
}
