/* SPDX-License-Identifier: Apache-2.0 */
/*
 * findings - errors and warnings with their places, gathered in any order, written in file order.
 *
 *   FILE:LINE:COL: error|warning: PATH: what; what to do
 *
 * Lines and columns count from 1, columns in characters; PATH ("policies[0].rpo") is left out where
 * the file as a whole is meant. Control characters in a message become '?', so that each stays a line.
 *
 * Threads: one at a time.
 */
#ifndef TM_CONFIG_FINDINGS_H
#define TM_CONFIG_FINDINGS_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/vec.h"
#include "tm_config.h"

enum { TM_FINDINGS_LISTED_MAX = 50 }; /* of each kind */

struct tm_place {
    unsigned line;
    unsigned column;
    unsigned file; /* as tm_findings_file() gave it; 0: the one that is being read */
};

struct tm_finding {
    bool is_error;
    unsigned file; /* 0: the configuration; others in the order of tm_findings_file() */
    struct tm_place at;
    size_t number; /* order of arrival */
    const char *text;
};

struct tm_findings {
    struct tm_arena arena;
    TM_VEC(const char *) files;
    TM_VEC(struct tm_finding) list;
    unsigned file; /* what is being read */
    unsigned errors;
    unsigned warnings;
};

void tm_findings_done(struct tm_findings *findings);
/* What follows is found in this file. Gives its number, for going back by `findings->file`. */
unsigned tm_findings_file(struct tm_findings *findings, const char *name);

void tm_findings_error(struct tm_findings *findings, struct tm_place at, const char *path,
        const char *fmt, ...) TM_PRINTF(4, 5);
void tm_findings_warning(struct tm_findings *findings, struct tm_place at, const char *path,
        const char *fmt, ...) TM_PRINTF(4, 5);

/* "line 38", or "FILE:38" seen from another file. Lives as long as the findings. */
const char *tm_findings_where(struct tm_findings *findings, unsigned from, struct tm_place at);

/* Append the lines to the report: the first 50 of each kind, and how many more there are. */
void tm_findings_write(struct tm_findings *findings, struct tm_config_report *report);

#endif
