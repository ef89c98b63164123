/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/slots.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "vault/log.h"

/* Reading ---------------------------------------------------------------------------------- */

/* A slot and its bytes; freed by drop_held(). */
struct held {
    struct tm_slot slot;
    struct tm_buf object;
};
typedef TM_VEC(struct held) held_list;

static void drop_held(held_list *held)
{
    for (size_t i = 0; i < held->count; i++) {
        tm_buf_done(&held->at[i].object);
    }
    tm_vec_done(held);
}

static enum tm_code collect(
        void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err)
{
    held_list *held = arg;
    uint64_t number;
    if (!tm_log_parse_name(name, "key", &number)) {
        return TM_OK;
    }
    if (held->count == TM_SLOTS_SEEN_MAX) {
        return tm_err_set(err, TM_E_LIMIT, "key/: more than %d slots", (int)TM_SLOTS_SEEN_MAX);
    }
    struct tm_slot *slot = &tm_vec_push(held)->slot;
    (void)snprintf(slot->name, sizeof(slot->name), "%s", name);
    slot->stored_ms = info->modified_ms;
    return TM_OK;
}

/* Does it speak against that slot alone, and not against looking at the next? */
static bool refused(enum tm_code code)
{
    return code == TM_E_KEY || code == TM_E_CORRUPT || code == TM_E_VERSION || code == TM_E_LIMIT ||
           code == TM_E_MISSING;
}

static enum tm_code look(struct tm_store *store, const struct tm_id16 *vault_id, struct held *held,
        struct tm_err *err)
{
    struct tm_slot *slot = &held->slot;
    struct tm_err why = {0};
    enum tm_code code = tm_store_get(store, slot->name, TM_SLOT_BYTES_MAX, &held->object, &why);
    if (code == TM_OK) {
        code = tm_slot_peek(tm_buf_slice(&held->object), &slot->info, &why);
    }
    if (code == TM_OK && !tm_id16_eq(&slot->info.vault_id, vault_id)) {
        code = tm_err_set(&why, TM_E_CORRUPT, "slot of another vault than that of log/");
    }
    if (code != TM_OK && !refused(code)) {
        *err = why;
        return code;
    }
    slot->sound = code == TM_OK;
    slot->why = code;
    (void)snprintf(slot->trouble, sizeof(slot->trouble), "%s", why.msg);
    return TM_OK;
}

/* The first `most` slots in name order, their layout looked at. */
static enum tm_code read_slots(struct tm_store *store, const struct tm_id16 *vault_id, size_t most,
        held_list *out, struct tm_err *err)
{
    TM_TRY(tm_store_list(store, "key/", collect, out, err));
    out->count = out->count < most ? out->count : most; /* no bytes are held yet */
    for (size_t i = 0; i < out->count; i++) {
        TM_TRY(look(store, vault_id, &out->at[i], err));
    }
    return TM_OK;
}

enum tm_code tm_slots_list(struct tm_store *store, const struct tm_id16 *vault_id,
        tm_slot_list *out, struct tm_err *err)
{
    held_list held = {0};
    enum tm_code code = read_slots(store, vault_id, TM_SLOTS_SEEN_MAX, &held, err);
    for (size_t i = 0; code == TM_OK && i < held.count; i++) {
        *tm_vec_push(out) = held.at[i].slot;
    }
    drop_held(&held);
    return code;
}

/* Opening ---------------------------------------------------------------------------------- */

/* Is `a` to be tried before `b`? Newest ring first, then one that can read, then by name. */
static bool goes_before(const struct tm_slot *a, const struct tm_slot *b)
{
    if (a->sound != b->sound) {
        return b->sound; /* what opens nothing comes first: a wrong key says more, and comes last */
    }
    if (!a->sound || a->info.epochs == b->info.epochs) {
        bool same = !a->sound || a->info.writer == b->info.writer;
        return same ? strcmp(a->name, b->name) < 0 : b->info.writer;
    }
    return a->info.epochs > b->info.epochs;
}

static int compare_held(const void *a, const void *b)
{
    return goes_before(&((const struct held *)a)->slot, &((const struct held *)b)->slot) ? -1 : 1;
}

static enum tm_code open_held(const struct held *held, const struct tm_secret *secret,
        struct tm_ring **out, struct tm_err *err)
{
    enum tm_code code = held->slot.sound
                                ? tm_slot_decode(tm_buf_slice(&held->object), secret, out, err)
                                : tm_err_set(err, held->slot.why, "%s", held->slot.trouble);
    return code == TM_OK ? TM_OK : tm_err_wrap(err, "%s", held->slot.name);
}

/* Open the first that opens. *why is the most telling refusal. */
static enum tm_code try_slots(const held_list *held, const struct tm_secret *secret,
        struct tm_ring **out, char name[TM_OBJECT_NAME_MAX], struct tm_err *why)
{
    for (size_t i = 0; i < held->count; i++) {
        struct tm_err slot_err = {0};
        enum tm_code code = open_held(&held->at[i], secret, out, &slot_err);
        if (code == TM_OK) {
            (void)snprintf(name, TM_OBJECT_NAME_MAX, "%s", held->at[i].slot.name);
            return TM_OK;
        }
        /* A wrong key says more than a slot of rubbish beside it: that is what an init leaves which
         * was killed before log/0. */
        if (why->code != TM_E_KEY || code == TM_E_KEY) {
            *why = slot_err;
        }
    }
    return TM_E_KEY;
}

static enum tm_code none_opens(const struct tm_store *store, size_t tried,
        const struct tm_secret *secret, const struct tm_err *why, struct tm_err *err)
{
    if (tried == 0) {
        return tm_err_set(err, TM_E_KEY, "%s: no key slot opens, 0 tried", store->where);
    }
    char fingerprint[17];
    tm_secret_fingerprint(secret, fingerprint);
    bool told = why->code == TM_E_KEY && fingerprint[0] != '\0';
    return tm_err_set(err, why->code == TM_E_MISSING ? TM_E_KEY : why->code,
            "%s: no key slot opens, %zu tried: %s%s%s", store->where, tried, why->msg,
            told ? "; fingerprint of the key file given: " : "", told ? fingerprint : "");
}

enum tm_code tm_slots_open(struct tm_store *store, const struct tm_secret *secret,
        const struct tm_id16 *vault_id, struct tm_ring **out, char name[TM_OBJECT_NAME_MAX],
        struct tm_err *err)
{
    held_list held = {0};
    enum tm_code code = read_slots(store, vault_id, TM_SLOTS_MAX, &held, err);
    if (code == TM_OK) {
        if (held.count > 1) {
            qsort(held.at, held.count, sizeof(held.at[0]), compare_held);
        }
        struct tm_err why = {0};
        code = try_slots(&held, secret, out, name, &why);
        if (code != TM_OK) {
            code = none_opens(store, held.count, secret, &why, err);
        }
    }
    drop_held(&held);
    return code;
}

/* Writing ---------------------------------------------------------------------------------- */

enum tm_code tm_slots_create(struct tm_store *store, struct tm_slice slot, int64_t retry_ms,
        char name[TM_OBJECT_NAME_MAX], struct tm_err *err)
{
    uint64_t number;
    tm_random(&number, sizeof(number));
    (void)snprintf(name, TM_OBJECT_NAME_MAX, "key/%016" PRIx64, number);
    bool mine;
    enum tm_code code = tm_log_create(store, name, slot, retry_ms, &mine, err);
    if (code == TM_OK && !mine) {
        return tm_err_set(err, TM_E_EXISTS, "%s: a random name is taken", name);
    }
    return code;
}

/* The slot is there, and opens with the secret to a ring of that kind. */
static enum tm_code prove(struct tm_vault *vault, const char *name,
        const struct tm_slot_grant *grant, uint32_t epoch, struct tm_err *err)
{
    TM_BUF_OWN struct tm_buf object = {0};
    TM_OWN(tm_ring_free) struct tm_ring *ring = NULL;
    enum tm_code code = tm_store_get(tm_vault_store(vault), name, TM_SLOT_BYTES_MAX, &object, err);
    if (code == TM_OK) {
        code = tm_slot_decode(tm_buf_slice(&object), grant->secret, &ring, err);
    }
    if (code == TM_OK &&
            (tm_ring_epoch(ring) != epoch || tm_ring_can_read(ring) == grant->writer)) {
        code = tm_err_set(err, TM_E_CORRUPT, "another slot than the one written");
    }
    return code == TM_OK ? TM_OK : tm_err_wrap(err, "%s: read back", name);
}

/* The sound slot with the most epochs; NULL: none is sound. */
static const struct tm_slot *newest(const tm_slot_list *slots)
{
    const struct tm_slot *found = NULL;
    for (size_t i = 0; i < slots->count; i++) {
        const struct tm_slot *slot = &slots->at[i];
        if (slot->sound && (found == NULL || slot->info.epochs > found->info.epochs)) {
            found = slot;
        }
    }
    return found;
}

static enum tm_code check_newest(
        const struct tm_vault *vault, const tm_slot_list *slots, struct tm_err *err)
{
    const struct tm_slot *top = newest(slots);
    if (top != NULL && top->info.epochs > tm_ring_epochs(tm_vault_ring(vault))) {
        return tm_err_set(err, TM_E_CONFLICT,
                "%s holds a newer key ring than the one that was opened; hint: use a secret that "
                "opens it",
                top->name);
    }
    return TM_OK;
}

static enum tm_code check_room(const tm_slot_list *slots, size_t more, struct tm_err *err)
{
    if (slots->count + more > TM_SLOTS_MAX) {
        return tm_err_set(err, TM_E_LIMIT,
                "key/: %zu slots are there and %zu more were asked for, %d are the most; hint: "
                "remove one that nobody uses",
                slots->count, more, (int)TM_SLOTS_MAX);
    }
    return TM_OK;
}

/* Has the secret such a slot already? */
static enum tm_code check_new(const struct tm_vault *vault, const struct tm_secret *secret,
        bool writer, struct tm_err *err)
{
    TM_OWN(tm_ring_free) struct tm_ring *ring = NULL;
    char name[TM_OBJECT_NAME_MAX];
    struct tm_err why = {0};
    enum tm_code code =
            tm_slots_open(tm_vault_store(vault), secret, tm_vault_id(vault), &ring, name, &why);
    if (code != TM_OK && !refused(code)) {
        *err = why;
        return code;
    }
    bool same = code == TM_OK && tm_ring_can_read(ring) == !writer &&
                tm_ring_epoch(ring) == tm_ring_epoch(tm_vault_ring(vault));
    return same ? tm_err_set(err, TM_E_EXISTS, "%s opens with this secret already", name) : TM_OK;
}

static enum tm_code check_full(const struct tm_vault *vault, bool writer, struct tm_err *err)
{
    if (!writer && !tm_ring_can_read(tm_vault_ring(vault))) {
        return tm_err_set(err, TM_E_KEY,
                "%s was opened with a key that can write but not read: it cannot hand on what it "
                "does not have",
                tm_vault_slot(vault));
    }
    return TM_OK;
}

static enum tm_code may_add(
        struct tm_vault *vault, const struct tm_secret *secret, bool writer, struct tm_err *err)
{
    tm_slot_list slots = {0};
    enum tm_code code = check_full(vault, writer, err);
    if (code == TM_OK) {
        code = tm_slots_list(tm_vault_store(vault), tm_vault_id(vault), &slots, err);
    }
    if (code == TM_OK) {
        code = check_newest(vault, &slots, err);
    }
    if (code == TM_OK) {
        code = check_room(&slots, 1, err);
    }
    tm_vec_done(&slots);
    return code == TM_OK ? check_new(vault, secret, writer, err) : code;
}

/* Two who added at once may have made one too many: a slot beyond the 32nd is never tried. */
static enum tm_code check_reached(struct tm_vault *vault, const char *name, struct tm_err *err)
{
    tm_slot_list slots = {0};
    enum tm_code code = tm_slots_list(tm_vault_store(vault), tm_vault_id(vault), &slots, err);
    bool many = code == TM_OK && slots.count > TM_SLOTS_MAX;
    tm_vec_done(&slots);
    if (!many) {
        return code;
    }
    TM_TRY(tm_store_remove(tm_vault_store(vault), name, err));
    return tm_err_set(err, TM_E_LIMIT,
            "key/: another slot was added at the same time, and %d are "
            "the most",
            (int)TM_SLOTS_MAX);
}

enum tm_code tm_slots_add(struct tm_vault *vault, const struct tm_secret *secret, bool writer,
        bool light_kdf, char name[TM_OBJECT_NAME_MAX], struct tm_err *err)
{
    const struct tm_ring *ring = tm_vault_ring(vault);
    struct tm_slot_grant grant = {secret, writer, light_kdf};
    TM_BUF_OWN struct tm_buf object = {0};
    TM_TRY(may_add(vault, secret, writer, err));
    TM_TRY(tm_slot_encode(ring, tm_vault_id(vault), secret, writer, light_kdf, &object, err));
    TM_TRY(tm_slots_create(
            tm_vault_store(vault), tm_buf_slice(&object), tm_vault_retry_ms(vault), name, err));
    TM_TRY(check_reached(vault, name, err));
    return prove(vault, name, &grant, tm_ring_epoch(ring), err);
}

/* Removing --------------------------------------------------------------------------------- */

static const struct tm_slot *find(const tm_slot_list *slots, const char *name)
{
    for (size_t i = 0; i < slots->count; i++) {
        if (strcmp(slots->at[i].name, name) == 0) {
            return &slots->at[i];
        }
    }
    return NULL;
}

/* Is there a full slot beside it whose ring has as many epochs? */
static bool is_backed(const tm_slot_list *slots, const struct tm_slot *slot)
{
    for (size_t i = 0; i < slots->count; i++) {
        const struct tm_slot *other = &slots->at[i];
        if (other != slot && other->sound && !other->info.writer &&
                other->info.epochs >= slot->info.epochs) {
            return true;
        }
    }
    return false;
}

/* Does `proof` open a full slot other than that one, with as many epochs? */
static enum tm_code opens_another(struct tm_vault *vault, const struct tm_slot *slot,
        const struct tm_secret *proof, bool *out, struct tm_err *err)
{
    held_list held = {0};
    enum tm_code code =
            read_slots(tm_vault_store(vault), tm_vault_id(vault), TM_SLOTS_MAX, &held, err);
    *out = false;
    for (size_t i = 0; code == TM_OK && !*out && i < held.count; i++) {
        const struct tm_slot *other = &held.at[i].slot;
        if (strcmp(other->name, slot->name) == 0 || !other->sound || other->info.writer ||
                other->info.epochs < slot->info.epochs) {
            continue;
        }
        TM_OWN(tm_ring_free) struct tm_ring *ring = NULL;
        struct tm_err why = {0};
        *out = tm_slot_decode(tm_buf_slice(&held.at[i].object), proof, &ring, &why) == TM_OK;
    }
    drop_held(&held);
    return code;
}

static enum tm_code may_remove(struct tm_vault *vault, const tm_slot_list *slots,
        const struct tm_slot *slot, const struct tm_secret *proof, struct tm_err *err)
{
    if (!slot->sound) {
        return slot->why == TM_E_VERSION
                       ? tm_err_set(err, TM_E_VERSION, "%s: %s", slot->name, slot->trouble)
                       : TM_OK;
    }
    if (!is_backed(slots, slot)) {
        return tm_err_set(err, TM_E_CONFLICT,
                "%s stays: no other slot gives the keys to read what is written now; hint: add "
                "one first",
                slot->name);
    }
    if (strcmp(slot->name, tm_vault_slot(vault)) != 0) {
        return TM_OK;
    }
    bool opens = false;
    if (proof != NULL) {
        TM_TRY(opens_another(vault, slot, proof, &opens, err));
    }
    return opens ? TM_OK
                 : tm_err_set(err, TM_E_CONFLICT,
                           "%s stays: it is the slot that opened the vault, and nothing has shown "
                           "that another full one opens; hint: open with the other secret",
                           slot->name);
}

enum tm_code tm_slots_remove(
        struct tm_vault *vault, const char *name, const struct tm_secret *proof, struct tm_err *err)
{
    struct tm_store *store = tm_vault_store(vault);
    tm_slot_list slots = {0};
    enum tm_code code = tm_slots_list(store, tm_vault_id(vault), &slots, err);
    if (code == TM_OK) {
        const struct tm_slot *slot = find(&slots, name);
        code = slot != NULL
                       ? may_remove(vault, &slots, slot, proof, err)
                       : tm_err_set(err, TM_E_MISSING, "%s: %s: no such slot", store->where, name);
    }
    tm_vec_done(&slots);
    return code == TM_OK ? tm_store_remove(store, name, err) : code;
}

/* Rotation --------------------------------------------------------------------------------- */

struct rotation {
    struct tm_vault *vault;
    struct tm_ring *ring; /* the new one */
    char names[TM_SLOTS_MAX][TM_OBJECT_NAME_MAX];
    struct tm_rotation *out;
};

/* The name of the slot with which an epoch begins: whoever rotates the same ring creates the same. */
static void first_name(const struct tm_vault *vault, char name[TM_OBJECT_NAME_MAX])
{
    const struct tm_ring *ring = tm_vault_ring(vault);
    struct tm_hash hash =
            tm_ring_content_id(ring, tm_ring_epoch(ring), tm_slice_str("the slot after this ring"));
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof(number); i++) {
        number = number << 8 | hash.bytes[i];
    }
    (void)snprintf(name, TM_OBJECT_NAME_MAX, "key/%016" PRIx64, number);
}

static enum tm_code make_slot(
        struct rotation *rotation, const struct tm_slot_grant *grant, struct tm_err *err)
{
    struct tm_vault *vault = rotation->vault;
    struct tm_store *store = tm_vault_store(vault);
    int64_t retry_ms = tm_vault_retry_ms(vault);
    char *name = rotation->names[rotation->out->made];
    TM_BUF_OWN struct tm_buf object = {0};
    TM_TRY(tm_slot_encode(rotation->ring, tm_vault_id(vault), grant->secret, grant->writer,
            grant->light_kdf, &object, err));
    if (rotation->out->made > 0) {
        TM_TRY(tm_slots_create(store, tm_buf_slice(&object), retry_ms, name, err));
    } else {
        bool mine;
        first_name(vault, name);
        TM_TRY(tm_log_create(store, name, tm_buf_slice(&object), retry_ms, &mine, err));
        if (!mine) {
            return tm_err_set(err, TM_E_CONFLICT,
                    "%s: another rotation of this key ring has begun; hint: use a secret that "
                    "opens that slot",
                    name);
        }
    }
    TM_TRY(prove(vault, name, grant, tm_ring_epoch(rotation->ring), err));
    rotation->out->made++;
    return TM_OK;
}

static bool is_new(const struct rotation *rotation, const char *name)
{
    for (size_t i = 0; i < rotation->out->made; i++) {
        if (strcmp(rotation->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Every sound slot but the new ones: their rings do not have the new epoch. */
static enum tm_code remove_old(
        struct rotation *rotation, const tm_slot_list *slots, struct tm_err *err)
{
    for (size_t i = 0; i < slots->count; i++) {
        const struct tm_slot *slot = &slots->at[i];
        if (slot->sound && !is_new(rotation, slot->name)) {
            TM_TRY(tm_store_remove(tm_vault_store(rotation->vault), slot->name, err));
            rotation->out->removed++;
        }
    }
    return TM_OK;
}

static enum tm_code may_rotate(struct tm_vault *vault, const tm_slot_list *slots,
        const struct tm_slot_grant *grants, size_t count, struct tm_err *err)
{
    size_t full = 0;
    for (size_t i = 0; i < count; i++) {
        full += grants[i].writer ? 0 : 1;
    }
    TM_TRY(check_full(vault, false, err));
    if (full == 0) {
        return tm_err_set(err, TM_E_USAGE,
                "rotate: nobody could read what is written from now on; "
                "name a secret that gets all keys");
    }
    if (tm_ring_epochs(tm_vault_ring(vault)) == TM_RING_EPOCHS_MAX) {
        return tm_err_set(err, TM_E_LIMIT,
                "rotate: the key ring has %d epochs, the most there can be",
                (int)TM_RING_EPOCHS_MAX);
    }
    TM_TRY(check_newest(vault, slots, err));
    return check_room(slots, count, err);
}

enum tm_code tm_slots_rotate(struct tm_vault *vault, const struct tm_slot_grant *grants,
        size_t count, struct tm_rotation *out, struct tm_err *err)
{
    tm_slot_list slots = {0};
    *out = (struct tm_rotation){0};
    enum tm_code code = tm_slots_list(tm_vault_store(vault), tm_vault_id(vault), &slots, err);
    if (code == TM_OK) {
        code = may_rotate(vault, &slots, grants, count, err);
    }
    struct rotation *rotation = tm_xalloc(1, sizeof(*rotation));
    *rotation = (struct rotation){.vault = vault, .out = out};
    if (code == TM_OK) {
        rotation->ring = tm_ring_rotate(tm_vault_ring(vault), tm_now_ms());
        out->epoch = tm_ring_epoch(rotation->ring);
    }
    /* Full ones first: a killed rotation is taken up by who can read. */
    for (int writer = 0; writer < 2; writer++) {
        for (size_t i = 0; code == TM_OK && i < count; i++) {
            if (grants[i].writer == (writer == 1)) {
                code = make_slot(rotation, &grants[i], err);
            }
        }
    }
    if (code == TM_OK) {
        code = remove_old(rotation, &slots, err);
    }
    tm_ring_free(rotation->ring);
    free(rotation);
    tm_vec_done(&slots);
    return code;
}
