/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "job/restore_run.h"

enum { SLICE_MS = 3000 /* a question that nobody answers can be broken off so soon */ };

enum tm_code tm_restore_offsets(
        struct restore_run *run, struct tm_offsets *rows, size_t count, struct tm_err *err)
{
    int64_t give_up_ns = tm_mono_ns() + tm_restore_request_ms(run->options) * INT64_C(1000000);
    for (;;) {
        int64_t left_ms = (give_up_ns - tm_mono_ns()) / 1000000;
        *err = (struct tm_err){0};
        enum tm_code code = tm_kafka_offsets(
                run->options->kafka, rows, count, left_ms < SLICE_MS ? left_ms : SLICE_MS, err);
        if (code == TM_OK || !tm_code_retryable(code) || left_ms <= SLICE_MS) {
            return code;
        }
        if (tm_job_cancelled(run->env)) {
            return tm_err_set(err, TM_E_CANCELLED, "cancelled");
        }
    }
}
