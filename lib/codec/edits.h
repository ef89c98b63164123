/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edits - what must hold of a log entry's edits beyond their grammar; for body_*.c alone.
 *
 * Threads: pure functions.
 */
#ifndef TM_CODEC_EDITS_H
#define TM_CODEC_EDITS_H

#include "codec/entry.h"

enum { TM_STR_MAX = 65535 };

/* Every list in order and without duplicates, every number within its bounds; else TM_E_CORRUPT. */
enum tm_code tm_edits_check(const struct tm_edits *edits, struct tm_err *err) TM_MUST_CHECK;

#endif
