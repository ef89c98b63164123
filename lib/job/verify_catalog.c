/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "catalog/holes.h"
#include "job/verify_run.h"

/* The log ---------------------------------------------------------------------------------- */

struct entry_names {
    TM_VEC(uint64_t) seqs;
};

static enum tm_code add_entry(
        void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err)
{
    struct entry_names *names = arg;
    const char *hex = strrchr(name, '/') + 1;
    uint8_t bytes[8];
    char back[TM_OBJECT_NAME_MAX];
    uint64_t seq = 0;
    (void)info;
    (void)err;
    if (!tm_parse_hex(hex, bytes, sizeof(bytes))) {
        return TM_OK;
    }
    for (size_t i = 0; i < sizeof(bytes); i++) {
        seq = seq << 8 | bytes[i];
    }
    tm_log_name(seq, back);
    if (strcmp(back, name) == 0) {
        *tm_vec_push(&names->seqs) = seq;
    }
    return TM_OK;
}

/* What the walk over the log carries from entry to entry. */
struct chain {
    bool known; /* of the entry before: its hash */
    struct tm_hash hash;
    int64_t broken;
};

static enum tm_code note_broken(struct verify_run *run, struct chain *chain, uint64_t seq,
        const char *why, struct tm_err *err)
{
    char name[TM_OBJECT_NAME_MAX];
    tm_log_name(seq, name);
    chain->broken++;
    return tm_verify_note(run, "broken_log", name, -1, NULL, why, err);
}

/* One entry: its seal and grammar, and that it follows the one before. */
static enum tm_code check_entry(
        struct verify_run *run, struct chain *chain, uint64_t seq, struct tm_err *err)
{
    struct tm_vault *vault = run->options->vault;
    TM_BUF_OWN struct tm_buf object = {0};
    struct tm_entry_place place;
    struct tm_edits edits = {0};
    struct tm_err why = {0};
    char name[TM_OBJECT_NAME_MAX];
    tm_log_name(seq, name);
    enum tm_code code = tm_store_get(run->store, name, TM_ENTRY_BYTES_MAX, &object, &why);
    if (code != TM_OK && !tm_verify_is_fault(code)) {
        *err = why;
        return code;
    }
    run->result->bytes_read += (int64_t)object.len;
    if (code == TM_OK) {
        code = tm_entry_decode(tm_buf_slice(&object), seq, tm_vault_id(vault), tm_vault_ring(vault),
                &place, &edits, &why);
    }
    tm_edits_done(&edits);
    bool follows = !chain->known || code != TM_OK || tm_hash_eq(&place.prev, &chain->hash);
    chain->known = code == TM_OK;
    chain->hash = tm_sha256_of(tm_buf_slice(&object));
    if (code != TM_OK) {
        return note_broken(run, chain, seq, why.msg, err);
    }
    return follows ? TM_OK
                   : note_broken(run, chain, seq,
                             "chain broken: it does not follow the entry before it", err);
}

/* Every entry that is there, in order; the oldest may be gone to log GC, none between may. */
static enum tm_code walk_log(struct verify_run *run, struct chain *chain, struct tm_err *err)
{
    struct entry_names names = {0};
    enum tm_code code = tm_store_list(run->store, "log/", add_entry, &names, err);
    for (size_t i = 0; code == TM_OK && i < names.seqs.count; i++) {
        uint64_t seq = names.seqs.at[i];
        uint64_t before = i > 0 ? names.seqs.at[i - 1] : seq;
        for (uint64_t gone = before + 1; code == TM_OK && gone < seq && chain->broken < 100;
                gone++) {
            chain->known = false;
            code = note_broken(run, chain, gone, "it is not in the store, and later ones are", err);
        }
        code = code == TM_OK ? check_entry(run, chain, seq, err) : code;
        if (code == TM_OK && tm_job_cancelled(run->env)) {
            code = tm_err_set(err, TM_E_CANCELLED, "cancelled before all of the log was read");
        }
    }
    tm_vec_done(&names.seqs);
    return code;
}

/* The state -------------------------------------------------------------------------------- */

static enum tm_code state_hash(
        const struct tm_fold *fold, int64_t now_ms, struct tm_hash *out, struct tm_err *err)
{
    struct tm_edits edits = {0};
    TM_BUF_OWN struct tm_buf body = {0};
    TM_TRY(fold->ops->dump(fold->self, now_ms, &edits, err));
    tm_edits_sort(&edits);
    edits.full = true;
    enum tm_code code = tm_body_encode(&edits, &body, err);
    *out = edits.state_hash;
    tm_edits_done(&edits);
    return code;
}

static enum tm_code note_catalog(struct verify_run *run, const char *why, struct tm_err *err)
{
    TM_TRY(tm_verify_note(run, "catalog_mismatch", "", -1, NULL, why, err));
    if (!run->options->repair) {
        return TM_OK;
    }
    struct tm_fold fold = tm_catalog_fold(run->options->catalog);
    TM_TRY(fold.ops->reset(fold.self, err));
    TM_TRY(tm_vault_refresh(run->options->vault, &fold, err));
    *tm_vec_push(&run->result->repairs) = (struct tm_verify_repair){
            .object = "", .repaired = true, .detail = "the catalog was made again from the log"};
    return TM_OK;
}

/* Fold the log anew beside the catalog: both must hold the same. */
static enum tm_code compare_state(
        struct verify_run *run, struct tm_catalog *anew, struct tm_err *err)
{
    struct tm_vault *vault = run->options->vault;
    struct tm_fold held = tm_catalog_fold(run->options->catalog);
    struct tm_fold fold = tm_catalog_fold(anew);
    struct tm_fold_state held_state;
    struct tm_fold_state state;
    struct tm_hash held_hash;
    struct tm_hash hash;
    struct tm_err why = {0};
    enum tm_code code = tm_vault_refresh(vault, &fold, &why);
    if (code != TM_OK) {
        *err = why;
        return tm_verify_is_fault(code)
                       ? tm_verify_note(run, "broken_log", "log/", -1, NULL, why.msg, err)
                       : code;
    }
    TM_TRY(tm_vault_refresh(vault, &held, err)); /* another writer may have committed meanwhile */
    TM_TRY(tm_vault_refresh(vault, &fold, err));
    TM_TRY(held.ops->state(held.self, &held_state, err));
    TM_TRY(fold.ops->state(fold.self, &state, err));
    if (held_state.head.seq != state.head.seq) {
        return TM_OK; /* and again: the next check compares */
    }
    if (!tm_hash_eq(&held_state.head.hash, &state.head.hash)) {
        return note_catalog(run, "the catalog's head is not the log's", err);
    }
    int64_t now_ms = tm_now_ms();
    if (state_hash(&held, now_ms, &held_hash, &why) != TM_OK) {
        return why.code == TM_E_CORRUPT ? note_catalog(run, why.msg, err) : (*err = why, why.code);
    }
    TM_TRY(state_hash(&fold, now_ms, &hash, err));
    return tm_hash_eq(&held_hash, &hash)
                   ? TM_OK
                   : note_catalog(run, "the catalog does not hold what the log gives", err);
}

static enum tm_code check_state(struct verify_run *run, struct tm_err *err)
{
    TM_OWN(tm_catalog_close) struct tm_catalog *anew = NULL;
    TM_TRY(tm_catalog_open("", &anew, err)); /* a file without a name, gone when it is closed */
    return compare_state(run, anew, err);
}

/* Packs and slots -------------------------------------------------------------------------- */

/* Packs of the store as they are listed, beside those of the catalog, both by name. */
struct listing {
    struct verify_run *run;
    const struct tm_kept_pack *packs;
    size_t count;
    size_t next;
};

static enum tm_code put_whole(struct verify_run *run, const struct tm_kept_pack *pack,
        enum tm_finding_kind kind, const char *detail, struct tm_err *err)
{
    struct tm_arena arena = {0};
    struct tm_run *runs = NULL;
    size_t count = 0;
    char object[TM_OBJECT_NAME_MAX];
    tm_pack_name(&pack->name, object);
    enum tm_code code =
            tm_findings_pack_runs(run->options->catalog, &pack->name, &arena, &runs, &count, err);
    struct tm_finding *rows = tm_arena_alloc(&arena, count + 1, sizeof(*rows));
    for (size_t i = 0; code == TM_OK && i < count; i++) {
        rows[i] = (struct tm_finding){
                .kind = kind,
                .block = -1,
                .stream = runs[i].stream,
                .partition = runs[i].partition,
                .first = runs[i].first,
                .length = runs[i].length,
                .detail = detail,
        };
        code = tm_verify_note(run, tm_finding_kind_name(kind), object, -1, &runs[i], detail, err);
    }
    if (code == TM_OK && count == 0) {
        code = tm_verify_note(run, tm_finding_kind_name(kind), object, -1, NULL, detail, err);
    }
    if (code == TM_OK) {
        code = tm_findings_put(run->options->catalog, &pack->name, tm_now_ms(), rows, count, err);
    }
    tm_arena_done(&arena);
    return code;
}

/* Not listed, or listed with another size. A pack that was dropped since has left the catalog too. */
static enum tm_code note_pack(struct verify_run *run, const struct tm_kept_pack *pack,
        const struct tm_object_info *info, struct tm_err *err)
{
    struct tm_fold fold = tm_catalog_fold(run->options->catalog);
    struct tm_kept_pack now;
    TM_TRY(tm_vault_refresh(run->options->vault, &fold, err));
    TM_TRY(tm_findings_pack(run->options->catalog, &pack->name, &now, err));
    if (now.size == 0) {
        return TM_OK;
    }
    if (info == NULL) {
        return put_whole(run, pack, TM_FINDING_MISSING_PACK, "it is not in the store", err);
    }
    char detail[96];
    (void)snprintf(detail, sizeof(detail), "it has %" PRIu64 " bytes, not %" PRIu64, info->size,
            pack->size);
    return put_whole(run, pack, TM_FINDING_CORRUPT_PACK, detail, err);
}

static enum tm_code compare_listed(
        void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err)
{
    struct listing *listing = arg;
    const struct tm_kept_pack *packs = listing->packs;
    char kept[TM_OBJECT_NAME_MAX];
    int order = -1;
    while (listing->next < listing->count && order < 0) {
        tm_pack_name(&packs[listing->next].name, kept);
        order = strcmp(kept, name);
        if (order < 0) {
            TM_TRY(note_pack(listing->run, &packs[listing->next], NULL, err));
        }
        listing->next += order <= 0 ? 1 : 0;
    }
    if (order != 0) {
        return TM_OK; /* not in use: an orphan, or to be swept */
    }
    const struct tm_kept_pack *pack = &packs[listing->next - 1];
    listing->run->result->packs_count++;
    return info->size == pack->size ? TM_OK : note_pack(listing->run, pack, info, err);
}

static enum tm_code check_packs(struct verify_run *run, struct tm_err *err)
{
    struct tm_arena arena = {0};
    struct tm_kept_pack *packs = NULL;
    size_t count = 0;
    enum tm_code code =
            tm_findings_packs(run->options->catalog, false, &arena, &packs, &count, err);
    struct listing listing = {.run = run, .packs = packs, .count = count};
    if (code == TM_OK) {
        code = tm_store_list(run->store, "pack/", compare_listed, &listing, err);
    }
    for (; code == TM_OK && listing.next < count; listing.next++) {
        code = note_pack(run, &packs[listing.next], NULL, err);
    }
    tm_arena_done(&arena);
    return code;
}

static enum tm_code check_deps(struct verify_run *run, struct tm_err *err)
{
    struct tm_loose_dep *deps = NULL;
    size_t count = 0;
    TM_TRY(tm_findings_loose_deps(run->options->catalog, run->arena, &deps, &count, err));
    for (size_t i = 0; i < count; i++) {
        char object[TM_OBJECT_NAME_MAX];
        char target[TM_OBJECT_NAME_MAX];
        char detail[TM_OBJECT_NAME_MAX + 64];
        tm_pack_name(&deps[i].pack, object);
        tm_pack_name(&deps[i].target, target);
        (void)snprintf(detail, sizeof(detail), "it depends on %s, which leads to no pack", target);
        TM_TRY(tm_verify_note(run, "catalog_mismatch", object, -1, NULL, detail, err));
    }
    return TM_OK;
}

struct slots {
    struct verify_run *run;
    int64_t whole;
};

static enum tm_code check_slot(
        void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err)
{
    struct slots *slots = arg;
    TM_BUF_OWN struct tm_buf object = {0};
    struct tm_slot_info slot;
    struct tm_err why = {0};
    (void)info;
    enum tm_code code = tm_store_get(slots->run->store, name, TM_SLOT_BYTES_MAX, &object, &why);
    if (code == TM_OK) {
        code = tm_slot_peek(tm_buf_slice(&object), &slot, &why);
    }
    if (code == TM_OK && !tm_id16_eq(&slot.vault_id, tm_vault_id(slots->run->options->vault))) {
        return TM_OK; /* what an init leaves that did not come to its end */
    }
    slots->whole += code == TM_OK ? 1 : 0;
    if (code == TM_OK) {
        return TM_OK;
    }
    if (!tm_verify_is_fault(code)) {
        *err = why;
        return code;
    }
    return tm_verify_note(slots->run, "broken_key", name, -1, NULL, why.msg, err);
}

static enum tm_code check_slots(struct verify_run *run, struct tm_err *err)
{
    struct slots slots = {.run = run};
    TM_TRY(tm_store_list(run->store, "key/", check_slot, &slots, err));
    return slots.whole > 0 ? TM_OK
                           : tm_verify_note(run, "broken_key", "key/", -1, NULL,
                                     "no key slot of this vault is there", err);
}

/* What points need ------------------------------------------------------------------------- */

static enum tm_code check_holes(struct verify_run *run, struct tm_err *err)
{
    static const struct tm_hash none;
    struct tm_run *holes = NULL;
    size_t count = 0;
    TM_TRY(tm_holes_needed(run->options->catalog, run->arena, &holes, &count, err));
    struct tm_finding *rows = tm_arena_alloc(run->arena, count + 1, sizeof(*rows));
    for (size_t i = 0; i < count; i++) {
        rows[i] = (struct tm_finding){
                .kind = TM_FINDING_MISMATCH,
                .block = -1,
                .stream = holes[i].stream,
                .partition = holes[i].partition,
                .first = holes[i].first,
                .length = holes[i].length,
                .detail = "points have these offsets, and neither run nor gap tells of them",
        };
        TM_TRY(tm_verify_note(run, "catalog_mismatch", "", -1, &holes[i], rows[i].detail, err));
    }
    return tm_findings_put(run->options->catalog, &none, tm_now_ms(), rows, count, err);
}

enum tm_code tm_verify_catalog(struct verify_run *run, struct tm_err *err)
{
    struct chain chain = {0};
    TM_TRY(check_slots(run, err));
    TM_TRY(walk_log(run, &chain, err));
    if (chain.broken == 0) {
        TM_TRY(check_state(run, err));
    }
    TM_TRY(check_packs(run, err));
    TM_TRY(check_deps(run, err));
    return check_holes(run, err);
}
