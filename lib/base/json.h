/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json - JSON in and out, with 64-bit integers that never pass through a double.
 *
 * Reading: a strict reader of our own (RFC 8259, UTF-8 checked), bounded in size, depth and number
 * of values, with the line and column of each value, refusing duplicate keys. Writing: cJSON, which
 * only this module includes; integers go in as raw text (cJSON 1.7.15 prints 10^15 as 1e+15).
 *
 * Threads: one at a time per document.
 */
#ifndef TM_BASE_JSON_H
#define TM_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/pair.h"
#include "base/slice.h"

/* Reading ---------------------------------------------------------------------------------- */

enum tm_json_kind {
    TM_JSON_NULL,
    TM_JSON_BOOL,
    TM_JSON_INT,    /* a number without fraction or exponent that fits int64 */
    TM_JSON_REAL,   /* any other number; `real` holds it */
    TM_JSON_STRING, /* `string`: UTF-8, unescaped, NUL-terminated; may hold no NUL inside */
    TM_JSON_ARRAY,
    TM_JSON_OBJECT,
};

struct tm_json_value {
    enum tm_json_kind kind;
    unsigned line;   /* of its first character, from 1 */
    unsigned column; /* in bytes, from 1 */
    bool boolean;
    int64_t integer;
    double real;
    const char *string;
    const char *key;             /* name within the object it belongs to; NULL elsewhere */
    struct tm_json_value *first; /* first element or member */
    struct tm_json_value *next;  /* next sibling, in the order given */
    size_t count;                /* elements or members */
};

struct tm_json_pos { /* where reading stopped */
    size_t offset;
    unsigned line;
    unsigned column;
};

enum { TM_JSON_DEPTH_MAX = 32, TM_JSON_VALUES_MAX = 100000 };

/*
 * Read one document; the values live in `arena`. On failure TM_E_USAGE (malformed, duplicate key)
 * or TM_E_LIMIT (too deep, too many values), the message says what and where ("line 3, column 9:
 * what"), *pos the same; `pos` may be NULL.
 */
enum tm_code tm_json_read(struct tm_slice text, struct tm_arena *arena,
        const struct tm_json_value **out, struct tm_json_pos *pos,
        struct tm_err *err) TM_MUST_CHECK;

/* The member of an object by name; NULL where there is none (or `object` is not one). */
const struct tm_json_value *tm_json_get(const struct tm_json_value *object, const char *key);

/* Writing ---------------------------------------------------------------------------------- */

struct tm_json; /* a document or a part of one; parts belong to the whole they were added to */

struct tm_json *tm_json_object(void);
struct tm_json *tm_json_array(void);
void tm_json_free(struct tm_json *json); /* a whole document only */
TM_OWNABLE(struct tm_json *, tm_json_free);

/* Members of an object. Text that is not UTF-8 is written with U+FFFD for the bad bytes; a
 * member whose text is NULL is left out. */
void tm_json_add_str(struct tm_json *object, const char *key, const char *text);
/* As an object of texts; nothing where there are none. */
void tm_json_add_pairs(
        struct tm_json *object, const char *key, const struct tm_pair *pairs, size_t count);
void tm_json_add_slice(struct tm_json *object, const char *key, struct tm_slice text); /* copied */
void tm_json_add_int(struct tm_json *object, const char *key, int64_t value);
void tm_json_add_real(struct tm_json *object, const char *key, double value);
void tm_json_add_bool(struct tm_json *object, const char *key, bool value);
void tm_json_add_null(struct tm_json *object, const char *key);
void tm_json_add_time(struct tm_json *object, const char *key, int64_t time_ms); /* RFC 3339 */
/* `json` is a value as text, written as it is; the caller vouches for it. NULL: left out. */
void tm_json_add_raw(struct tm_json *object, const char *key, const char *json);
/* Add `part` (ownership moves) and give it back, borrowed. */
struct tm_json *tm_json_add(struct tm_json *object, const char *key, struct tm_json *part);

/* Elements of an array. */
void tm_json_push_str(struct tm_json *array, const char *text);
void tm_json_push_int(struct tm_json *array, int64_t value);
struct tm_json *tm_json_push(struct tm_json *array, struct tm_json *part);

/* Compact text, without a newline; the caller frees it. */
char *tm_json_text(const struct tm_json *json);
/* The document `text` with each integer as a string, for readers whose numbers are doubles; others stay. */
void tm_json_quote_integers(const char *text, struct tm_buf *out);

#endif
