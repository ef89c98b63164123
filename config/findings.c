/* SPDX-License-Identifier: Apache-2.0 */
#include "findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void tm_findings_done(struct tm_findings *findings)
{
    tm_vec_done(&findings->files);
    tm_vec_done(&findings->list);
    tm_arena_done(&findings->arena);
}

unsigned tm_findings_file(struct tm_findings *findings, const char *name)
{
    *tm_vec_push(&findings->files) = tm_arena_strdup(&findings->arena, name);
    findings->file = (unsigned)findings->files.count - 1;
    return findings->file;
}

static __attribute__((format(printf, 2, 0))) char *format(
        struct tm_arena *arena, const char *fmt, va_list args)
{
    char *text = tm_arena_vfmt(arena, fmt, args);
    for (char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == '\x7f') {
            *at = '?';
        }
    }
    return text;
}

static void add(
        struct tm_findings *findings, struct tm_finding finding, const char *path, const char *text)
{
    bool whole = path == NULL || path[0] == '\0';
    finding.file = finding.at.file != 0 ? finding.at.file : findings->file;
    finding.number = findings->list.count;
    finding.text = whole ? text : tm_arena_fmt(&findings->arena, "%s: %s", path, text);
    *tm_vec_push(&findings->list) = finding;
}

void tm_findings_error(
        struct tm_findings *findings, struct tm_place at, const char *path, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const char *text = format(&findings->arena, fmt, args);
    va_end(args);
    add(findings, (struct tm_finding){.is_error = true, .at = at}, path, text);
    findings->errors++;
}

void tm_findings_warning(
        struct tm_findings *findings, struct tm_place at, const char *path, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const char *text = format(&findings->arena, fmt, args);
    va_end(args);
    add(findings, (struct tm_finding){.at = at}, path, text);
    findings->warnings++;
}

const char *tm_findings_where(struct tm_findings *findings, unsigned from, struct tm_place at)
{
    return at.file == from
                   ? tm_arena_fmt(&findings->arena, "line %u", at.line)
                   : tm_arena_fmt(&findings->arena, "%s:%u", findings->files.at[at.file], at.line);
}

static int in_file_order(const void *a, const void *b)
{
    const struct tm_finding *left = a;
    const struct tm_finding *right = b;
    if (left->file != right->file) {
        return left->file < right->file ? -1 : 1;
    }
    if (left->at.line != right->at.line) {
        return left->at.line < right->at.line ? -1 : 1;
    }
    if (left->at.column != right->at.column) {
        return left->at.column < right->at.column ? -1 : 1;
    }
    return left->number < right->number ? -1 : 1;
}

static void write_rest(
        struct tm_findings *findings, unsigned count, const char *kind, struct tm_buf *out)
{
    if (count > TM_FINDINGS_LISTED_MAX) {
        tm_buf_add_fmt(out, "%s: %u more %s are not listed\n", findings->files.at[0],
                count - TM_FINDINGS_LISTED_MAX, kind);
    }
}

void tm_findings_write(struct tm_findings *findings, struct tm_config_report *report)
{
    unsigned errors = 0;
    unsigned warnings = 0;
    if (findings->list.count > 0) {
        qsort(findings->list.at, findings->list.count, sizeof(*findings->list.at), in_file_order);
    }
    for (size_t i = 0; i < findings->list.count; i++) {
        const struct tm_finding *finding = &findings->list.at[i];
        unsigned *listed = finding->is_error ? &errors : &warnings;
        if (++*listed > TM_FINDINGS_LISTED_MAX) {
            continue;
        }
        tm_buf_add_fmt(&report->text, "%s:%u:%u: %s: %s\n", findings->files.at[finding->file],
                finding->at.line, finding->at.column, finding->is_error ? "error" : "warning",
                finding->text);
    }
    write_rest(findings, errors, "errors", &report->text);
    write_rest(findings, warnings, "warnings", &report->text);
    report->errors += findings->errors;
    report->warnings += findings->warnings;
}
