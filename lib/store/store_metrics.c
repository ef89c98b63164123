/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_metrics.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/metrics.h"

void tm_store_set_vault(struct tm_store *store, const char *vault)
{
    (void)snprintf(store->vault, sizeof(store->vault), "%s", vault);
}

/* Did the store do what it is for? An answer that nobody likes is one, too. */
static bool is_answer(enum tm_code code)
{
    return code == TM_OK || code == TM_E_MISSING || code == TM_E_EXISTS;
}

void tm_store_count_read(const struct tm_store *store, size_t bytes)
{
    if (store->vault[0] != '\0') {
        tm_metric_add(TM_M_VAULT_READ, TM_LABELS(store->vault), (double)bytes);
    }
}

enum tm_code tm_store_observe(
        const struct tm_store *store, const char *operation, int64_t begin_ns, enum tm_code code)
{
    if (store->vault[0] == '\0') {
        return code;
    }
    bool answered = is_answer(code);
    tm_metric_add(TM_M_VAULT_OPERATIONS,
            TM_LABELS(store->vault, operation, answered ? "success" : "error"), 1);
    tm_metric_observe(TM_M_VAULT_DURATION, TM_LABELS(store->vault, operation),
            (double)(tm_mono_ns() - begin_ns) / 1e9);
    return code;
}
