/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore_differ - which record it is, where a digest of many says that target and vault differ.
 *
 * Both sides are read again, side by side. What is said of a record are its offsets and which of its
 * parts differ, never its contents: they stand in logs and reports.
 *
 * Threads: those of a job's partitions.
 */
#ifndef TM_JOB_RESTORE_DIFFER_H
#define TM_JOB_RESTORE_DIFFER_H

#include "base/buf.h"
#include "job/restore_run.h"

struct tm_restore_stretch { /* of a partition */
    int64_t skip;           /* records restored before it */
    int64_t count;
    int64_t target_begin; /* target offset of its first record */
    int64_t target_end;   /* behind its last one */
};

/*
 * Append what the first difference is: "source offset 4711, target offset 123: the value differs (7 bytes,
 * not 5)". False, and nothing is appended, where none was found or a side could not be read again. No
 * reader of the partition may run on the target's handle.
 */
bool tm_restore_differ(struct restore_run *run, const struct restore_part *part,
        const struct tm_restore_stretch *stretch, struct tm_buf *out);
/* What of the two records differs, appended in words; false: nothing that a proof covers. */
bool tm_restore_differ_say(
        const struct tm_record *stored, const struct tm_record *found, struct tm_buf *out);

#endif
