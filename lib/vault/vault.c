/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/vault.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/text.h"
#include "vault/log.h"
#include "vault/slots.h"

enum {
    HOST_MAX = 256,
};

static const int64_t day_ns = INT64_C(24) * 3600 * 1000 * 1000 * 1000;

struct put { /* of a pack */
    struct tm_hash pack;
    int64_t since_ns;
};

struct tm_vault {
    struct tm_store *store; /* borrowed */
    struct tm_ring *ring;
    struct tm_id16 id;
    char slot[TM_OBJECT_NAME_MAX];
    char *writer;
    int64_t retry_ms;
    int64_t (*now_ns)(void);
    int64_t (*now_ms)(void);
    pthread_mutex_t lock; /* of what follows */
    bool trusting;
    struct tm_head trusted;
    int64_t since_ns;
    TM_VEC(struct put) puts; /* packs not committed yet */
};

void tm_pack_name(const struct tm_hash *hash, char out[TM_OBJECT_NAME_MAX])
{
    char hex[2 * sizeof(hash->bytes) + 1];
    tm_hex(hash->bytes, sizeof(hash->bytes), hex);
    (void)snprintf(out, TM_OBJECT_NAME_MAX, "pack/%.2s/%s", hex, hex);
}

void tm_log_name(uint64_t seq, char out[TM_OBJECT_NAME_MAX])
{
    (void)snprintf(out, TM_OBJECT_NAME_MAX, "log/%016" PRIx64, seq);
}

/* Init ------------------------------------------------------------------------------------- */

enum tm_code tm_vault_exists(struct tm_store *store, bool *out, struct tm_err *err)
{
    struct tm_log_span span;
    enum tm_code code = tm_log_list(store, &span, err);
    if (code == TM_OK) {
        *out = !span.empty;
    }
    return code;
}

/* log/0 holds the params alone. */
static enum tm_code encode_first(const struct tm_vault_params *params, const struct tm_ring *ring,
        const struct tm_id16 *id, struct tm_buf *out, struct tm_err *err)
{
    const struct {
        const char *name;
        uint32_t value;
    } rows[] = {
            {"block.max", params->blocks.block_max},
            {"block.mean", params->blocks.block_mean},
            {"block.min", params->blocks.block_min},
            {"pack.target", params->blocks.pack_target},
            {"solo.min", params->blocks.solo_min},
    };
    char host[HOST_MAX] = "";
    if (gethostname(host, sizeof(host) - 1) != 0 || host[0] == '\0') {
        (void)snprintf(host, sizeof(host), "localhost");
    }

    struct tm_edits edits = {.time_ms = tm_now_ms(), .full = true};
    edits.writer = tm_slice_str(tm_arena_fmt(&edits.arena, "%s/init", host));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        *tm_vec_push(&edits.params) = (struct tm_row_param){
                .name = tm_slice_str(rows[i].name),
                .value = tm_slice_str(tm_arena_fmt(&edits.arena, "%" PRIu32, rows[i].value)),
        };
    }
    tm_edits_sort(&edits);
    struct tm_entry_place place = {.vault_id = *id};
    enum tm_code code = tm_entry_encode(&edits, &place, ring, out, err);
    tm_edits_done(&edits);
    return code;
}

static enum tm_code already_there(const struct tm_store *store, struct tm_err *err)
{
    return tm_err_set(err, TM_E_EXISTS, "%s: there is a vault already", store->where);
}

static enum tm_code make_objects(
        struct tm_store *store, struct tm_slice slot, struct tm_slice first, struct tm_err *err)
{
    char slot_name[TM_OBJECT_NAME_MAX];
    enum tm_code code = tm_slots_create(store, slot, TM_LOG_RETRY_MS, slot_name, err);
    if (code != TM_OK) {
        return code;
    }
    TM_FAULT("vault.init.slot");

    char log_name[TM_OBJECT_NAME_MAX];
    tm_log_name(0, log_name);
    bool mine;
    code = tm_log_create(store, log_name, first, TM_LOG_RETRY_MS, &mine, err);
    if (code != TM_OK) {
        return code;
    }
    TM_FAULT("vault.init.created");
    if (!mine) {
        /* Our slot opens nothing; a store that does not let us remove it keeps rubbish, no more. */
        struct tm_err ignored = {0};
        (void)!tm_store_remove(store, slot_name, &ignored);
        return already_there(store, err);
    }
    return TM_OK;
}

enum tm_code tm_vault_init(struct tm_store *store, const struct tm_secret *secret,
        const struct tm_vault_params *params, struct tm_err *err)
{
    enum tm_code code = tm_store_probe(store, err);
    if (code != TM_OK) {
        return code;
    }
    bool exists;
    code = tm_vault_exists(store, &exists, err);
    if (code != TM_OK) {
        return code;
    }
    if (exists) {
        return already_there(store, err);
    }

    struct tm_id16 id;
    tm_random(&id, sizeof(id));
    TM_OWN(tm_ring_free) struct tm_ring *ring = tm_ring_new(tm_now_ms());
    TM_BUF_OWN struct tm_buf slot = {0};
    TM_BUF_OWN struct tm_buf first = {0};
    code = tm_slot_encode(ring, &id, secret, false, params->light_kdf, &slot, err);
    if (code == TM_OK) {
        code = encode_first(params, ring, &id, &first, err);
    }
    if (code == TM_OK) {
        code = make_objects(store, tm_buf_slice(&slot), tm_buf_slice(&first), err);
    }
    return code;
}

/* Open ------------------------------------------------------------------------------------- */

/*
 * The id of the vault whose log this is. Oldest and newest entry must agree, so that a log put
 * together from two vaults is found here and not by its first reader.
 */
enum tm_code tm_vault_find_id(struct tm_store *store, struct tm_id16 *out, struct tm_err *err)
{
    struct tm_log_span span;
    enum tm_code code = tm_log_list(store, &span, err);
    if (code != TM_OK) {
        return code;
    }
    if (span.empty) {
        return tm_err_set(err, TM_E_MISSING, "%s: there is no vault", store->where);
    }
    struct tm_id16 newest;
    code = tm_log_peek_vault(store, span.newest, &newest, err);
    if (code == TM_E_MISSING) {
        err->code = code = TM_E_CORRUPT; /* listed, but not there: not "no vault" */
    }
    if (code != TM_OK) {
        return code;
    }
    struct tm_id16 oldest = newest;
    struct tm_err oldest_err = {0};
    if (span.oldest != span.newest) {
        code = tm_log_peek_vault(store, span.oldest, &oldest, &oldest_err);
    }
    if (code != TM_OK && code != TM_E_MISSING) { /* missing: log GC was quicker */
        *err = oldest_err;
        return code;
    }
    if (!tm_id16_eq(&oldest, &newest)) {
        char names[2][TM_OBJECT_NAME_MAX];
        tm_log_name(span.oldest, names[0]);
        tm_log_name(span.newest, names[1]);
        return tm_err_set(
                err, TM_E_CORRUPT, "%s and %s are of different vaults", names[0], names[1]);
    }
    *out = newest;
    return TM_OK;
}

enum tm_code tm_vault_open(struct tm_store *store, const struct tm_secret *secret,
        const char *writer, struct tm_vault **out, struct tm_err *err)
{
    struct tm_id16 id;
    enum tm_code code = tm_vault_find_id(store, &id, err);
    return code == TM_OK ? tm_vault_open_as(store, secret, &id, writer, out, err) : code;
}

enum tm_code tm_vault_open_as(struct tm_store *store, const struct tm_secret *secret,
        const struct tm_id16 *id, const char *writer, struct tm_vault **out, struct tm_err *err)
{
    struct tm_ring *ring = NULL;
    char slot[TM_OBJECT_NAME_MAX];
    enum tm_code code = tm_slots_open(store, secret, id, &ring, slot, err);
    if (code != TM_OK) {
        return code;
    }

    struct tm_vault *vault = tm_xalloc(1, sizeof(*vault));
    vault->store = store;
    vault->ring = ring;
    vault->id = *id;
    (void)snprintf(vault->slot, sizeof(vault->slot), "%s", slot);
    vault->retry_ms = TM_LOG_RETRY_MS;
    vault->now_ns = tm_boot_ns;
    vault->now_ms = tm_now_ms;
    size_t writer_size = strlen(writer) + 1;
    vault->writer = tm_xalloc(writer_size, 1);
    memcpy(vault->writer, writer, writer_size);
    tm_assert(pthread_mutex_init(&vault->lock, NULL) == 0);
    *out = vault;
    return TM_OK;
}

void tm_vault_close(struct tm_vault *vault)
{
    if (vault != NULL) {
        (void)pthread_mutex_destroy(&vault->lock);
        tm_ring_free(vault->ring);
        free(vault->writer);
        tm_vec_done(&vault->puts);
        free(vault);
    }
}

struct tm_store *tm_vault_store(const struct tm_vault *vault)
{
    return vault->store;
}

const struct tm_ring *tm_vault_ring(const struct tm_vault *vault)
{
    return vault->ring;
}

const struct tm_id16 *tm_vault_id(const struct tm_vault *vault)
{
    return &vault->id;
}

const char *tm_vault_slot(const struct tm_vault *vault)
{
    return vault->slot;
}

enum tm_code tm_vault_need_read(const struct tm_vault *vault, struct tm_err *err)
{
    if (tm_ring_can_read(vault->ring)) {
        return TM_OK;
    }
    return tm_err_set(err, TM_E_KEY,
            "%s: this key can write but not read (slot %s holds a writer's key ring); hint: use a "
            "key that can read",
            vault->store->where, vault->slot);
}

const char *tm_vault_writer(const struct tm_vault *vault)
{
    return vault->writer;
}

/* What refresh and commit keep ------------------------------------------------------------- */

void tm_vault_set_retry_ms(struct tm_vault *vault, int64_t budget_ms)
{
    vault->retry_ms = budget_ms;
}

int64_t tm_vault_retry_ms(const struct tm_vault *vault)
{
    return vault->retry_ms;
}

bool tm_vault_trusts(struct tm_vault *vault, const struct tm_head *head)
{
    (void)pthread_mutex_lock(&vault->lock);
    bool trusted = vault->trusting && vault->now_ns() - vault->since_ns < day_ns &&
                   vault->trusted.seq == head->seq && tm_hash_eq(&vault->trusted.hash, &head->hash);
    (void)pthread_mutex_unlock(&vault->lock);
    return trusted;
}

void tm_vault_trust(struct tm_vault *vault, const struct tm_head *head, int64_t since_ns)
{
    (void)pthread_mutex_lock(&vault->lock);
    vault->trusting = true;
    vault->trusted = *head;
    vault->since_ns = since_ns;
    (void)pthread_mutex_unlock(&vault->lock);
}

void tm_vault_doubt(struct tm_vault *vault)
{
    (void)pthread_mutex_lock(&vault->lock);
    vault->trusting = false;
    (void)pthread_mutex_unlock(&vault->lock);
}

int64_t tm_vault_now_ns(const struct tm_vault *vault)
{
    return vault->now_ns();
}

void tm_vault_set_clock(struct tm_vault *vault, int64_t (*now_ns)(void))
{
    vault->now_ns = now_ns;
}

int64_t tm_vault_wall_ms(const struct tm_vault *vault)
{
    return vault->now_ms();
}

void tm_vault_set_wall(struct tm_vault *vault, int64_t (*now_ms)(void))
{
    vault->now_ms = now_ms;
}

/* Packs put and not committed --------------------------------------------------------------- */

/* Under the lock. */
static struct put *find_put(struct tm_vault *vault, const struct tm_hash *pack)
{
    for (size_t i = vault->puts.count; i > 0; i--) {
        if (tm_hash_eq(&vault->puts.at[i - 1].pack, pack)) {
            return &vault->puts.at[i - 1];
        }
    }
    return NULL;
}

void tm_vault_note_put(struct tm_vault *vault, const struct tm_hash *pack, int64_t put_ns)
{
    (void)pthread_mutex_lock(&vault->lock);
    *tm_vec_push(&vault->puts) = (struct put){.pack = *pack, .since_ns = put_ns};
    (void)pthread_mutex_unlock(&vault->lock);
}

enum tm_code tm_vault_check_puts(
        struct tm_vault *vault, const struct tm_edits *edits, struct tm_err *err)
{
    enum tm_code code = TM_OK;
    (void)pthread_mutex_lock(&vault->lock);
    for (size_t i = 0; code == TM_OK && i < edits->packs.count; i++) {
        const struct put *put = find_put(vault, &edits->packs.at[i].name);
        if (put != NULL && vault->now_ns() - put->since_ns > day_ns) {
            char name[TM_OBJECT_NAME_MAX];
            tm_pack_name(&put->pack, name);
            code = tm_err_set(err, TM_E_CONFLICT,
                    "%s: stored more than 24 h ago and not committed since", name);
        }
    }
    (void)pthread_mutex_unlock(&vault->lock);
    return code;
}

void tm_vault_forget_puts(struct tm_vault *vault, const struct tm_edits *edits)
{
    (void)pthread_mutex_lock(&vault->lock);
    for (size_t i = 0; i < edits->packs.count; i++) {
        struct put *put = find_put(vault, &edits->packs.at[i].name);
        if (put != NULL) {
            *put = vault->puts.at[--vault->puts.count];
        }
    }
    (void)pthread_mutex_unlock(&vault->lock);
}
