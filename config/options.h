/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options - the table of all options, from options.def.
 *
 * Options are found by the path of what holds them, their scope, and their key: scope "policies[].limits",
 * key "workers". The scope of the file's top is "".
 *
 * Threads: static data.
 */
#ifndef TM_CONFIG_OPTIONS_H
#define TM_CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tm_option_kind {
    TM_OPTION_MAP,  /* a section: its options are rows of their own */
    TM_OPTION_LIST, /* of sections */
    TM_OPTION_TEXT,
    TM_OPTION_NAME,
    TM_OPTION_PATH,    /* relative ones are taken from the configuration's folder */
    TM_OPTION_ADDRESS, /* HOST:PORT */
    TM_OPTION_WORD,    /* one of a few, stored as its number */
    TM_OPTION_BOOL,
    TM_OPTION_INT,
    TM_OPTION_SIZE,
    TM_OPTION_DURATION, /* stored in ms */
    TM_OPTION_RATIO,    /* 0.02: stored in millionths */
    TM_OPTION_SCHEDULE, /* its text, and behind that the struct tm_schedule */
    TM_OPTION_TEXTS,
    TM_OPTION_BOOTSTRAP,
    TM_OPTION_PAIRS,  /* librdkafka's properties */
    TM_OPTION_LABELS, /* names to texts, ours to show and nobody's to check */
    TM_OPTION_KEY,    /* a file */
    TM_OPTION_PASSPHRASE,
    TM_OPTION_SECRET_TEXT,   /* a text that is kept in wiped memory */
    TM_OPTION_TOKENS,        /* a file */
    TM_OPTION_CLIENT_SCOPES, /* names of client certificates to scopes */
};

struct tm_option {
    const char *path;
    enum tm_option_kind kind;
    size_t offset;
    size_t size;          /* of the member; 0: other code puts the value where it belongs */
    const char *fallback; /* the default as it would be written; NULL: required */
    int64_t min;
    int64_t max;
    const char *words;
    bool secret;
    const char *help;
    const char *example;
};

size_t tm_option_count(void);
const struct tm_option *tm_option_at(size_t index); /* in the order of options.def */

/* NULL when there is none. */
const struct tm_option *tm_option_find(const char *scope, const char *key);
/* Is it designed and not built yet? */
bool tm_option_is_later(const char *scope, const char *key);
size_t tm_option_later_count(void);
const char *tm_option_later_at(size_t index); /* its path */

bool tm_option_is_in(const struct tm_option *option, const char *scope); /* directly */
const char *tm_option_key(const char *path); /* "workers" of "policies[].limits.workers" */

/* The key in that scope nearest to `key`; NULL when none is near. */
const char *tm_option_nearest(const char *scope, const char *key);

enum { TM_OPTION_TEXT_MAX = 32 };
/* A number of the option as it would be written: "96MiB", "1h", "8". Gives `text`. */
const char *tm_option_format(
        const struct tm_option *option, int64_t value, char text[TM_OPTION_TEXT_MAX]);

/* Of an option that the table places, in the struct it lies in (`base`): a text, "" for none; */
const char *tm_option_text(const struct tm_option *option, const void *base);
/* an array, which is a pointer with its count behind it. */
const void *tm_option_array(const struct tm_option *option, const void *base, size_t *count);

/* Words of a WORD: the one at `index`, its length in *len; NULL behind the last. */
const char *tm_option_word(const struct tm_option *option, size_t index, size_t *len);
/* The number of the word; -1: none, -2: one that is not built yet. */
int tm_option_find_word(const struct tm_option *option, const char *word);

#endif
