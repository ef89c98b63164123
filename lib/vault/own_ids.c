/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/own_ids.h"

#include <stdlib.h>

#include "base/err.h"

enum { FIRST_SLOTS = 64 };

void tm_own_ids_done(struct tm_own_ids *ids)
{
    free(ids->slots);
    *ids = (struct tm_own_ids){0};
}

/* The slot of the id, or the free one where it would go; there is one. */
static struct tm_own_id *slot_of(const struct tm_own_ids *ids, const struct tm_hash *id)
{
    uint64_t at;
    memcpy(&at, id->bytes, sizeof(at));
    for (;; at++) {
        struct tm_own_id *slot = &ids->slots[at & (ids->capacity - 1)];
        if (slot->number == 0 || tm_hash_eq(&slot->id, id)) {
            return slot;
        }
    }
}

/* Move what has a number above `last` into a table of that size. */
static void rebuild(struct tm_own_ids *ids, size_t capacity, uint64_t last)
{
    struct tm_own_ids fresh = {
            .slots = tm_xalloc(capacity, sizeof(*fresh.slots)),
            .capacity = capacity,
    };
    for (size_t i = 0; i < ids->capacity; i++) {
        if (ids->slots[i].number > last) {
            *slot_of(&fresh, &ids->slots[i].id) = ids->slots[i];
            fresh.count++;
        }
    }
    tm_own_ids_done(ids);
    *ids = fresh;
}

void tm_own_ids_add(struct tm_own_ids *ids, const struct tm_hash *id, uint64_t number)
{
    tm_assert(number > 0);
    if (ids->count >= ids->capacity / 2) {
        rebuild(ids, ids->capacity > 0 ? 2 * ids->capacity : FIRST_SLOTS, 0);
    }
    struct tm_own_id *slot = slot_of(ids, id);
    ids->count += slot->number == 0 ? 1 : 0;
    *slot = (struct tm_own_id){.id = *id, .number = number};
}

uint64_t tm_own_ids_find(const struct tm_own_ids *ids, const struct tm_hash *id)
{
    return ids->capacity > 0 ? slot_of(ids, id)->number : 0;
}

void tm_own_ids_forget(struct tm_own_ids *ids, uint64_t last)
{
    size_t left = 0;
    for (size_t i = 0; i < ids->capacity; i++) {
        left += ids->slots[i].number > last ? 1 : 0;
    }
    if (left == ids->count) {
        return;
    }
    size_t capacity = FIRST_SLOTS;
    while (capacity / 2 <= left) {
        capacity *= 2;
    }
    rebuild(ids, capacity, last);
}

void tm_own_packs_done(struct tm_own_packs *packs)
{
    tm_own_ids_done(&packs->ids);
    tm_vec_done(&packs->named);
}

void tm_own_packs_name(struct tm_own_packs *packs, uint64_t number, const struct tm_hash *name)
{
    *tm_vec_push(&packs->named) = (struct tm_own_pack){.number = number, .name = *name};
}

const struct tm_hash *tm_own_packs_name_of(const struct tm_own_packs *packs, uint64_t number)
{
    for (size_t i = 0; i < packs->named.count; i++) {
        if (packs->named.at[i].number == number) {
            return &packs->named.at[i].name;
        }
    }
    return NULL;
}

void tm_own_packs_forget(struct tm_own_packs *packs, uint64_t last)
{
    size_t left = 0;
    for (size_t i = 0; i < packs->named.count; i++) {
        if (packs->named.at[i].number > last) {
            packs->named.at[left++] = packs->named.at[i];
        }
    }
    packs->named.count = left;
    tm_own_ids_forget(&packs->ids, last);
}
