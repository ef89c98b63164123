/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metrics.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/own.h"
#include "base/text.h"
#include "base/vec.h"

enum { BUCKETS_MAX = 16, PROC_FILE_MAX = 4096 };

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Upper bounds in seconds; the bucket without bound comes after the last. */
static const double loop_bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1};
static const double api_bounds[] = {
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5};
static const double store_bounds[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

struct type {
    const char *name;
    const double *bounds;
    size_t bound_count;
};

/* Named as metrics.def names them. */
static const struct type type_counter = {"counter", NULL, 0};
static const struct type type_gauge = {"gauge", NULL, 0};
static const struct type type_histogram_loop = {"histogram", loop_bounds, LENGTH(loop_bounds)};
static const struct type type_histogram_api = {"histogram", api_bounds, LENGTH(api_bounds)};
static const struct type type_histogram_store
        __attribute__((unused)) = {"histogram", store_bounds, LENGTH(store_bounds)};

/* clang-format off */
static const struct {
    const char *name;
    const struct type *type;
    const char *labels;
    const char *help;
} families[TM_METRIC_COUNT] = {
#define X(symbol, name, type, labels, help) [TM_M_##symbol] = {name, &type_##type, labels, help},
#include "base/metrics.def"
#undef X
};
/* clang-format on */

struct series {
    char *labels[TM_METRIC_LABELS_MAX]; /* one allocation, at [0] */
    double value;                       /* of a histogram: the sum */
    uint64_t observed;
    uint64_t buckets[BUCKETS_MAX]; /* of a histogram: counts of the bucket alone */
};

typedef TM_VEC(struct series *) series_list; /* in the order of their labels */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static series_list all_series[TM_METRIC_COUNT];

static size_t label_count(enum tm_metric metric)
{
    const char *labels = families[metric].labels;
    size_t count = labels[0] != '\0' ? 1 : 0;
    for (; *labels != '\0'; labels++) {
        count += *labels == ' ' ? 1 : 0;
    }
    return count;
}
