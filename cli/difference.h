/* SPDX-License-Identifier: Apache-2.0 */
/*
 * difference - what is not the same in two records that should be.
 *
 * Everything that a restore has to give back counts: key and value (null against empty told apart),
 * headers in their order with repeats, timestamp and its type. Offsets do not: they may differ.
 *
 * Threads: plain values.
 */
#ifndef TM_CLI_DIFFERENCE_H
#define TM_CLI_DIFFERENCE_H

#include "codec/record.h"

/*
 * Append the first difference in words, "value is null, not \"\"", and give true; false when the
 * records are the same, which leaves `out` alone. Bytes that are not printable ASCII are escaped, and
 * only the beginning of long ones is shown.
 */
bool cli_difference(const struct tm_record *is, const struct tm_record *meant, struct tm_buf *out);

#endif
