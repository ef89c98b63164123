/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content - which pack holds the content of an id: what deduplication looks up.
 *
 * An accelerator beside the fold: not in any dump, emptied with it, and rebuilt from the indexes of packs
 * (tm_content_missing() says of which). What is not in it is merely stored again. An id is found only
 * while its pack is in the fold, nothing is found to be damaged in it (findings.h), and it has not been
 * forgotten; so a pack that is dropped, merged away or found damaged needs no call here.
 *
 * Threads: any; a handle has a connection of its own and a lock. Errors as catalog.h.
 */
#ifndef TM_CATALOG_CONTENT_H
#define TM_CATALOG_CONTENT_H

#include "catalog/catalog.h"
#include "vault/content_lookup.h"

struct tm_content;

/* Open another connection to the file of `catalog`, which is not kept. */
enum tm_code tm_content_open(const struct tm_catalog *catalog, struct tm_content **out,
        struct tm_err *err) TM_MUST_CHECK;
void tm_content_close(struct tm_content *content);
TM_OWNABLE(struct tm_content *, tm_content_close);

enum tm_code tm_content_find(struct tm_content *content, const struct tm_hash *id, bool *found,
        struct tm_hash *pack, struct tm_err *err) TM_MUST_CHECK;
/* The same as the packer takes it; `content` must outlive it. */
struct tm_content_lookup tm_content_lookup(struct tm_content *content);

/*
 * The pack is committed, and holds the content of these ids (there may be none): it counts as indexed. An id
 * that another usable pack holds stays with that one. Nothing happens where the pack is forgotten.
 */
enum tm_code tm_content_add(struct tm_content *content, const struct tm_hash *pack,
        const struct tm_hash *ids, size_t count, struct tm_err *err) TM_MUST_CHECK;
/* Never find the ids of that pack again (it is damaged, or not there), and do not ask for its index. */
enum tm_code tm_content_forget(
        struct tm_content *content, const struct tm_hash *pack, struct tm_err *err) TM_MUST_CHECK;

struct tm_content_pack {
    struct tm_hash name;
    uint64_t size;
};
/* Up to `limit` packs of the fold that are neither indexed nor forgotten, the newest first. */
enum tm_code tm_content_missing(struct tm_content *content, size_t limit, struct tm_arena *arena,
        struct tm_content_pack **out, size_t *count, struct tm_err *err) TM_MUST_CHECK;
/* Free what the ids of packs take that left the fold, once it is worth a walk through the table. */
enum tm_code tm_content_prune(struct tm_content *content, struct tm_err *err) TM_MUST_CHECK;

#endif
