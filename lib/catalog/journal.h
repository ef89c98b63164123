/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal - the daemon's own rows in SQLite: jobs, and how far restores have come.
 *
 * One file, `<state>/journal.db`, apart from the catalogs: a catalog can then be thrown away without
 * losing the jobs, and no job's commit waits for another file's lock. It is not a copy of anything: lost with the file is the
 * history, never data. synchronous=FULL: a job that was answered with 202 survives a power cut.
 *
 * Threads: a handle belongs to one thread at a time.
 */
#ifndef TM_CATALOG_JOURNAL_H
#define TM_CATALOG_JOURNAL_H

#include "base/arena.h"
#include "base/err.h"
#include "base/names.h"
#include "base/own.h"
#include "base/slice.h"

struct tm_journal;

enum tm_code tm_journal_open(
        const char *path, struct tm_journal **out, struct tm_err *err) TM_MUST_CHECK;
void tm_journal_close(struct tm_journal *journal);
TM_OWNABLE(struct tm_journal *, tm_journal_close);

/* The journal keeps their numbers: new ones go behind. */
enum tm_job_kind {
    TM_JOB_BACKUP,
    TM_JOB_RESTORE,
    TM_JOB_VERIFY,    /* of a vault, like all that follow */
    TM_JOB_RETENTION, /* expire, drop, merge, sweep */
    TM_JOB_DELETE,    /* of one recovery point */
    TM_JOB_IMPORT,    /* the catalog, made anew from the vault */
    TM_JOB_DRILL,     /* a restore to see that it works; not of a vault alone */
};
enum { TM_JOB_KINDS = TM_JOB_DRILL + 1 };
enum tm_job_state {
    TM_JOB_QUEUED,
    TM_JOB_RUNNING,
    TM_JOB_SUCCEEDED,
    TM_JOB_PARTIAL,
    TM_JOB_FAILED,
    TM_JOB_CANCELLED,
};
const char *tm_job_kind_name(enum tm_job_kind kind);    /* "backup", "restore", ... */
const char *tm_job_state_name(enum tm_job_state state); /* "queued", "running", ... */

struct tm_job_row {
    struct tm_id16 id;
    enum tm_job_kind kind;
    enum tm_job_state state;
    const char *policy; /* "" where it has none */
    const char *cluster;
    const char *requested_by; /* "schedule", "socket:uid=0", "token:oncall" */
    const char *request_id;
    const char *request;  /* JSON: the body as accepted, enough to take the job up again */
    const char *result;   /* JSON object, NULL until finished */
    const char *error;    /* JSON problem object, NULL unless failed */
    const char *warnings; /* JSON array, NULL: none */
    int64_t created_ms;
    int64_t started_ms;  /* 0: not yet */
    int64_t finished_ms; /* 0: not yet */
    int64_t resumed;     /* how often it was taken up again after a restart */
};

/* Insert or replace the whole row; durable when this returns. */
enum tm_code tm_journal_put_job(
        struct tm_journal *journal, const struct tm_job_row *row, struct tm_err *err) TM_MUST_CHECK;
/* *found is false when there is none. */
enum tm_code tm_journal_get_job(struct tm_journal *journal, const struct tm_id16 *id,
        struct tm_arena *arena, struct tm_job_row *out, bool *found,
        struct tm_err *err) TM_MUST_CHECK;

enum { TM_JOBS_OPEN = 1 << TM_JOB_QUEUED | 1 << TM_JOB_RUNNING }; /* `states` */
struct tm_job_query {
    unsigned kinds;  /* 1 << enum tm_job_kind, of one or several; 0: any */
    unsigned states; /* 1 << enum tm_job_state likewise */
    struct tm_names policies;
    int64_t since_ms;             /* created at or after; INT64_MIN: any */
    int64_t until_ms;             /* created before; 0: any */
    const struct tm_id16 *before; /* keyset; NULL: from the newest */
    size_t limit;
    bool counted; /* for who asks a daemon: how many are there in all? */
};
/* How many there are, whatever `before` and `limit` say. */
enum tm_code tm_journal_count_jobs(struct tm_journal *journal, const struct tm_job_query *query,
        int64_t *count, struct tm_err *err) TM_MUST_CHECK;
/* Newest first. */
enum tm_code tm_journal_jobs(struct tm_journal *journal, const struct tm_job_query *query,
        struct tm_arena *arena, struct tm_job_row **out, size_t *count,
        struct tm_err *err) TM_MUST_CHECK;
/* Remove finished jobs created before; how many. */
enum tm_code tm_journal_prune_jobs(struct tm_journal *journal, int64_t before_ms, int64_t *removed,
        struct tm_err *err) TM_MUST_CHECK;

/* A target topic of a restore: written before it is created, so that a resumed job knows it as its own. */
struct tm_restore_target {
    const char *topic;   /* target name */
    bool created;        /* by this job (else it was there, empty) */
    bool configured;     /* its final configuration has been set */
    const char *configs; /* JSON: what to set at the end; NULL: nothing */
};
enum tm_code tm_journal_put_target(struct tm_journal *journal, const struct tm_id16 *job,
        const struct tm_restore_target *target, struct tm_err *err) TM_MUST_CHECK;
enum tm_code tm_journal_targets(struct tm_journal *journal, const struct tm_id16 *job,
        struct tm_arena *arena, struct tm_restore_target **out, size_t *count,
        struct tm_err *err) TM_MUST_CHECK;

/* Where records of a restore lie that appends to a topic others write to: `count` in a row. */
struct tm_journal_place {
    int64_t index; /* of the first, among the restore's records of the partition */
    int64_t offset;
    int64_t count;
};
/* Put rows that follow each other; those of the partition from the first one's index on are replaced. */
enum tm_code tm_journal_put_places(struct tm_journal *journal, const struct tm_id16 *job,
        const char *topic, int32_t partition, const struct tm_journal_place *rows, size_t count,
        struct tm_err *err) TM_MUST_CHECK;
/* By index. */
enum tm_code tm_journal_places(struct tm_journal *journal, const struct tm_id16 *job,
        const char *topic, int32_t partition, struct tm_arena *arena, struct tm_journal_place **out,
        size_t *count, struct tm_err *err) TM_MUST_CHECK;
enum tm_code tm_journal_drop_places(
        struct tm_journal *journal, const struct tm_id16 *job, struct tm_err *err) TM_MUST_CHECK;

#endif
