/* SPDX-License-Identifier: Apache-2.0 */
#include "direct_job.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "output.h"

enum { MEMORY_BYTES = 64 << 20, TICK_MS = 100 };

static atomic_bool cancel; /* set by a signal */

static void stop(int number)
{
    (void)number;
    atomic_store(&cancel, true);
}

static void *watch_progress(void *arg)
{
    struct cli_direct_job *job = arg;
    struct cli_ticker ticker;
    cli_ticker_start(&ticker);
    while (!atomic_load(&job->over)) {
        tm_sleep_ms(TICK_MS);
        if (cli_ticker_due(&ticker)) {
            char text[160];
            (void)snprintf(text, sizeof(text), "%s  %" PRId64 " of %" PRId64 " MiB",
                    tm_phase_name((enum tm_phase)atomic_load(&job->progress.phase)),
                    atomic_load(&job->progress.done_bytes) >> 20,
                    atomic_load(&job->progress.total_bytes) >> 20);
            cli_ticker_show(&ticker, text);
        }
    }
    cli_ticker_end(&ticker);
    return NULL;
}

void cli_direct_job_begin(struct cli_direct_job *job)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned threads = cores > 0 ? (unsigned)cores : 1;
    (void)signal(SIGINT, stop);
    (void)signal(SIGTERM, stop);
    job->env = (struct tm_job_env){
            .job_id = "tidemark",
            .workers = tm_pool_new("worker", threads),
            .sealers = tm_pool_new("sealer", threads),
            .memory_bytes = MEMORY_BYTES,
            .cancel = &cancel,
            .progress = &job->progress,
    };
    tm_assert(pthread_create(&job->thread, NULL, watch_progress, job) == 0);
}

void cli_direct_job_end(struct cli_direct_job *job)
{
    atomic_store(&job->over, true);
    pthread_join(job->thread, NULL);
    tm_pool_free(job->env.workers);
    tm_pool_free(job->env.sealers);
}
