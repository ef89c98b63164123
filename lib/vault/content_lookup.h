/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content_lookup - where the packer asks whether the vault holds a content already.
 *
 * The vault keeps no state: whoever folds it (lib/catalog) keeps an index of the content ids of its packs
 * and gives it in this form. An index that knows less than the vault holds costs space, never data; one
 * that names a pack which is gone by the time of the commit makes that commit fail and be planned again.
 */
#ifndef TM_VAULT_CONTENT_LOOKUP_H
#define TM_VAULT_CONTENT_LOOKUP_H

#include "base/err.h"
#include "base/slice.h"

struct tm_content_lookup {
    void *self;
    /*
     * A pack that holds the content of that id, is committed and is not known to be damaged. *found
     * false: none is known. Any thread, several at once.
     */
    enum tm_code (*find)(void *self, const struct tm_hash *id, bool *found, struct tm_hash *pack,
            struct tm_err *err);
};

#endif
