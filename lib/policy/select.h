/* SPDX-License-Identifier: Apache-2.0 */
/*
 * select - which topics of a cluster a policy means.
 *
 * An entry is a topic's name, a glob ("payments.*"; * ? [a-z] [!a-z] {a,b}) or a POSIX extended
 * regular expression between slashes, anchored at both ends ("/orders-v[0-9]+/"). A topic is selected
 * when an include entry matches and no exclude entry does. Internal topics (those that begin with
 * "__", and "_schemas") are selected by their plain names only, unless `internal_topics` is set.
 *
 * Both kinds of pattern run on libc's regular expressions; back-references and great repetition
 * counts are refused, since their cost has no bound.
 *
 * Threads: any number may use a finished selection at once.
 */
#ifndef TM_POLICY_SELECT_H
#define TM_POLICY_SELECT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/own.h"

enum {
    TM_SELECT_PATTERN_MAX = 512,   /* bytes of an entry */
    TM_SELECT_ENTRIES_MAX = 10000, /* entries of either list */
};

struct tm_select;

struct tm_select_options {
    const char *const *include;
    size_t include_count;
    const char *const *exclude;
    size_t exclude_count;
    bool internal_topics;
};

/* TM_E_USAGE names the bad entry and what is wrong with it; TM_E_LIMIT: too many entries. */
enum tm_code tm_select_new(const struct tm_select_options *options, struct tm_select **out,
        struct tm_err *err) TM_MUST_CHECK;
void tm_select_free(struct tm_select *select);
TM_OWNABLE(struct tm_select *, tm_select_free);

bool tm_select_matches(const struct tm_select *select, const char *topic);

/*
 * The include entries, in the order given, for who must say that one selects nothing: a name that
 * the cluster lacks is an error, a pattern that meets no topic a warning.
 */
size_t tm_select_count(const struct tm_select *select);
const char *tm_select_entry(
        const struct tm_select *select, size_t index); /* as written; borrowed */
bool tm_select_entry_is_name(const struct tm_select *select, size_t index);
/* Does this entry alone reach the topic? Obeys the rule of internal topics, not the exclude list. */
bool tm_select_entry_matches(const struct tm_select *select, size_t index, const char *topic);

#endif
