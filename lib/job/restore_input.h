/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore_input - the stored records of one source partition, one after the other, for a merge of many.
 *
 * A merge has the next record of each of its sources in hand. While they fit, each keeps the block that its
 * record lies in, some megabytes. Where they would not fit in the job's memory, an input copies as many
 * records as its share holds and lets go of the block, to read it again for the next ones: slower, but the memory
 * of a restore does not grow with the number of partitions.
 *
 * Threads: an input belongs to one thread.
 */
#ifndef TM_JOB_RESTORE_INPUT_H
#define TM_JOB_RESTORE_INPUT_H

#include "job/restore_run.h"

struct tm_restore_input;

/* `inputs`: how many are merged, and share the memory. */
enum tm_code tm_restore_input_open(struct restore_run *run, struct restore_part *part,
        size_t inputs, struct tm_restore_input **out, struct tm_err *err) TM_MUST_CHECK;
void tm_restore_input_close(struct tm_restore_input *input); /* NULL: nothing */

/* Go to the next record; *more is false behind the last. */
enum tm_code tm_restore_input_next(
        struct tm_restore_input *input, bool *more, struct tm_err *err) TM_MUST_CHECK;
/* It; borrowed until the next call. */
const struct tm_record *tm_restore_input_record(const struct tm_restore_input *input);
const struct restore_part *tm_restore_input_part(const struct tm_restore_input *input);
int64_t tm_restore_input_zero_stamps(const struct tm_restore_input *input);

#endif
