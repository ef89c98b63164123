/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metrics.h"

#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/metrics_topics.h"
#include "base/own.h"
#include "base/text.h"
#include "base/vec.h"

enum { PROC_FILE_MAX = 4096 };

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
    char *labels[TM_METRIC_LABELS_MAX]; /* in one allocation, at [0] */
    double value;                       /* of a histogram: the sum */
    uint64_t observed;
    uint64_t *buckets; /* of a histogram: how many fell in each alone; the last has no bound */
    bool is_other;     /* of a topic beyond the limit: told under "_other" */
};

typedef TM_VEC(struct series *) series_list; /* in the order of their labels */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static series_list all_series[TM_METRIC_COUNT];

/* The next name of a family's labels; false after the last. */
static bool next_label(const char **cursor, struct tm_slice *name)
{
    *cursor += strspn(*cursor, " ");
    size_t len = strcspn(*cursor, " ");
    *name = tm_slice_of(*cursor, len);
    *cursor += len;
    return len > 0;
}

static size_t label_count(enum tm_metric metric)
{
    const char *cursor = families[metric].labels;
    struct tm_slice name;
    size_t count = 0;
    while (next_label(&cursor, &name)) {
        count++;
    }
    tm_assert(count <= TM_METRIC_LABELS_MAX);
    return count;
}

static bool has_topics(enum tm_metric metric)
{
    return strcmp(families[metric].labels, "kafka_cluster policy topic") == 0;
}

static int compare_labels(const struct series *series, const char *const *labels, size_t count)
{
    int order = 0;
    for (size_t i = 0; i < count && order == 0; i++) {
        order = strcmp(series->labels[i], labels[i]);
    }
    return order;
}

/* Where the series is or belongs; true when it is there. */
static bool find(enum tm_metric metric, const char *const *labels, size_t *index)
{
    const series_list *list = &all_series[metric];
    size_t count = label_count(metric);
    tm_assert(count == 0 || labels != NULL);
    size_t low = 0;
    size_t high = list->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = compare_labels(list->at[mid], labels, count);
        if (order == 0) {
            *index = mid;
            return true;
        }
        low = order < 0 ? mid + 1 : low;
        high = order < 0 ? high : mid;
    }
    *index = low;
    return false;
}

static struct series *new_series(enum tm_metric metric, const char *const *labels)
{
    struct series *series = tm_xalloc(1, sizeof(*series));
    size_t count = label_count(metric);
    size_t size = 0;
    tm_assert(count == 0 || labels != NULL);
    for (size_t i = 0; i < count; i++) {
        size += strlen(labels[i]) + 1;
    }
    char *to = size > 0 ? tm_xalloc(size, 1) : NULL;
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(labels[i]) + 1;
        series->labels[i] = memcpy(to, labels[i], len);
        to += len;
    }
    series->is_other = has_topics(metric) && !tm_topics_admit(labels);
    const struct type *type = families[metric].type;
    if (type->bound_count > 0) {
        series->buckets = tm_xalloc(type->bound_count + 1, sizeof(*series->buckets));
    }
    return series;
}

static void free_series(struct series *series)
{
    free(series->labels[0]);
    free(series->buckets);
    free(series);
}

/* The series, made now if need be. The caller holds the lock. */
static struct series *get_series(enum tm_metric metric, const char *const *labels)
{
    series_list *list = &all_series[metric];
    size_t index = 0;
    if (!find(metric, labels, &index)) {
        struct series *fresh = new_series(metric, labels);
        *tm_vec_push(list) = NULL; /* NOLINT(bugprone-sizeof-expression): pointers it is */
        for (size_t i = list->count - 1; i > index; i--) {
            list->at[i] = list->at[i - 1];
        }
        list->at[index] = fresh;
    }
    return list->at[index];
}

void tm_metric_add(enum tm_metric metric, const char *const *labels, double by)
{
    const struct type *type = families[metric].type;
    tm_assert(type == &type_gauge || (type == &type_counter && by >= 0));
    (void)pthread_mutex_lock(&lock);
    get_series(metric, labels)->value += by;
    (void)pthread_mutex_unlock(&lock);
}

void tm_metric_set(enum tm_metric metric, const char *const *labels, double value)
{
    const struct type *type = families[metric].type;
    tm_assert(type == &type_gauge || type == &type_counter);
    (void)pthread_mutex_lock(&lock);
    struct series *series = get_series(metric, labels);
    if (type == &type_gauge || value > series->value) {
        series->value = value;
    }
    (void)pthread_mutex_unlock(&lock);
}

void tm_metric_observe(enum tm_metric metric, const char *const *labels, double value)
{
    const struct type *type = families[metric].type;
    tm_assert(type->bound_count > 0);
    size_t bucket = 0;
    while (bucket < type->bound_count && value > type->bounds[bucket]) {
        bucket++;
    }
    (void)pthread_mutex_lock(&lock);
    struct series *series = get_series(metric, labels);
    series->value += value;
    series->observed++;
    series->buckets[bucket]++;
    (void)pthread_mutex_unlock(&lock);
}

/* The place of a label among those of a family; false where the family has none of that name. */
static bool find_label(enum tm_metric metric, const char *name, size_t *index)
{
    const char *cursor = families[metric].labels;
    struct tm_slice label;
    for (size_t i = 0; next_label(&cursor, &label); i++) {
        if (tm_slice_is(label, name)) {
            *index = i;
            return true;
        }
    }
    return false;
}

static void forget_in(series_list *list, size_t label, const char *value)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->at[i]->labels[label], value) == 0) {
            free_series(list->at[i]);
        } else {
            list->at[kept++] = list->at[i];
        }
    }
    list->count = kept;
}

void tm_metric_forget(const char *name, const char *value)
{
    (void)pthread_mutex_lock(&lock);
    for (unsigned metric = 0; metric < TM_METRIC_COUNT; metric++) {
        size_t label = 0;
        if (find_label((enum tm_metric)metric, name, &label)) {
            forget_in(&all_series[metric], label, value);
        }
    }
    size_t label = 0; /* as every family with topics has it */
    if (find_label(TM_M_TOPIC_LAG, name, &label)) {
        tm_topics_forget_all(label, value);
    }
    (void)pthread_mutex_unlock(&lock);
}

static void forget_series(enum tm_metric metric, const char *const *labels)
{
    series_list *list = &all_series[metric];
    size_t index = 0;
    if (find(metric, labels, &index)) {
        free_series(list->at[index]);
        list->count--;
        for (size_t i = index; i < list->count; i++) {
            list->at[i] = list->at[i + 1];
        }
    }
}

void tm_metric_forget_topic(const char *const *labels)
{
    (void)pthread_mutex_lock(&lock);
    for (unsigned metric = 0; metric < TM_METRIC_COUNT; metric++) {
        if (has_topics((enum tm_metric)metric)) {
            forget_series((enum tm_metric)metric, labels);
        }
    }
    tm_topics_forget(labels);
    (void)pthread_mutex_unlock(&lock);
}

void tm_metrics_limit_topics(size_t max)
{
    (void)pthread_mutex_lock(&lock);
    tm_topics_limit(max);
    (void)pthread_mutex_unlock(&lock);
}

size_t tm_metrics_topics_dropped(void)
{
    (void)pthread_mutex_lock(&lock);
    size_t dropped = tm_topics_dropped();
    (void)pthread_mutex_unlock(&lock);
    return dropped;
}

double tm_metric_value(enum tm_metric metric, const char *const *labels)
{
    double value = 0;
    size_t index = 0;
    (void)pthread_mutex_lock(&lock);
    if (find(metric, labels, &index)) {
        const struct series *series = all_series[metric].at[index];
        value = series->buckets != NULL ? (double)series->observed : series->value;
    }
    (void)pthread_mutex_unlock(&lock);
    return value;
}

/* Rendering -------------------------------------------------------------------------------- */

/* Backslash and newline are escaped in help texts, quotes also in label values. */
static void add_escaped(struct tm_buf *out, const char *text, bool quotes)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\n') {
            tm_buf_add_text(out, "\\n");
            continue;
        }
        if (*at == '\\' || (quotes && *at == '"')) {
            tm_buf_add_u8(out, '\\');
        }
        tm_buf_add_u8(out, (uint8_t)*at);
    }
}

static void add_label(struct tm_buf *out, struct tm_slice name, const char *value, bool first)
{
    TM_BUF_OWN struct tm_buf clean = {0}; /* one bad byte would cost the whole scrape */
    tm_utf8_clean(tm_slice_str(value), &clean);
    tm_buf_add_u8(out, first ? '{' : ',');
    tm_buf_add(out, name.at, name.len);
    tm_buf_add_text(out, "=\"");
    add_escaped(out, tm_buf_text(&clean), true);
    tm_buf_add_u8(out, '"');
}

/* One sample; `le` is the bound of a bucket or NULL. */
static void add_sample(struct tm_buf *out, enum tm_metric metric, const char *suffix,
        const struct series *series, const char *le)
{
    tm_buf_add_text(out, families[metric].name);
    tm_buf_add_text(out, suffix);
    const char *cursor = families[metric].labels;
    struct tm_slice name;
    size_t count = 0;
    while (next_label(&cursor, &name)) {
        add_label(out, name, series->labels[count], count == 0);
        count++;
    }
    if (le != NULL) {
        add_label(out, tm_slice_str("le"), le, count == 0);
        count++;
    }
    tm_buf_add_text(out, count > 0 ? "} " : " ");
}

static void add_real(struct tm_buf *out, double value)
{
    char text[32];
    tm_buf_add_text(out, tm_format_real(value, text));
    tm_buf_add_u8(out, '\n');
}

/* OpenMetrics wants a bound to look like a real number. */
static const char *bound_text(double bound, bool open, char text[32])
{
    (void)tm_format_real(bound, text);
    if (open && strpbrk(text, ".e") == NULL) {
        memcpy(text + strlen(text), ".0", sizeof(".0"));
    }
    return text;
}

static void add_histogram(
        struct tm_buf *out, enum tm_metric metric, const struct series *series, bool open)
{
    const struct type *type = families[metric].type;
    uint64_t up_to_here = 0;
    for (size_t i = 0; i <= type->bound_count; i++) {
        char bound[32];
        const char *le = i < type->bound_count ? bound_text(type->bounds[i], open, bound) : "+Inf";
        up_to_here += series->buckets[i];
        add_sample(out, metric, "_bucket", series, le);
        add_real(out, (double)up_to_here);
    }
    add_sample(out, metric, "_sum", series, NULL);
    add_real(out, series->value);
    add_sample(out, metric, "_count", series, NULL);
    add_real(out, (double)series->observed);
}

/* What two topics have together: the worse of what is no sum. */
static double together(enum tm_metric metric, double a, double b)
{
    if (metric == TM_M_TOPIC_HEADROOM) {
        return a < b ? a : b;
    }
    if (metric == TM_M_TOPIC_EXPOSURE || metric == TM_M_TOPIC_LAG_MOST ||
            metric == TM_M_TOPIC_OPEN_TXN) {
        return a > b ? a : b;
    }
    return a + b;
}

/* The series from `from` on that belong to one policy, those beyond the limit as one; gives the next index. */
static size_t render_policy(enum tm_metric metric, size_t from, struct tm_buf *out)
{
    const series_list *list = &all_series[metric];
    const struct series *first = list->at[from];
    struct series other = {.labels = {first->labels[0], first->labels[1]}};
    char name[] = TM_TOPIC_OTHER;
    size_t i = from;
    for (; i < list->count && strcmp(list->at[i]->labels[0], first->labels[0]) == 0 &&
            strcmp(list->at[i]->labels[1], first->labels[1]) == 0;
            i++) {
        const struct series *series = list->at[i];
        if (!series->is_other) {
            add_sample(out, metric, "", series, NULL);
            add_real(out, series->value);
            continue;
        }
        other.value = other.labels[2] != NULL ? together(metric, other.value, series->value)
                                              : series->value;
        other.labels[2] = name;
    }
    if (other.labels[2] != NULL) {
        add_sample(out, metric, "", &other, NULL);
        add_real(out, other.value);
    }
    return i;
}

/* OpenMetrics names a family of counters without the "_total" that its samples have. */
static void add_family(struct tm_buf *out, enum tm_metric metric, bool open)
{
    const char *name = families[metric].name;
    size_t len = strlen(name);
    size_t end = sizeof("_total") - 1;
    if (open && len > end && strcmp(name + len - end, "_total") == 0) {
        len -= end;
    }
    tm_buf_add_fmt(out, "# HELP %.*s ", (int)len, name);
    add_escaped(out, families[metric].help, open);
    tm_buf_add_fmt(out, "\n# TYPE %.*s %s\n", (int)len, name, families[metric].type->name);
}

static void render_family(enum tm_metric metric, struct tm_buf *out, bool open)
{
    const series_list *list = &all_series[metric];
    if (list->count == 0) {
        return;
    }
    add_family(out, metric, open);
    if (has_topics(metric)) {
        for (size_t i = 0; i < list->count;) {
            i = render_policy(metric, i, out);
        }
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        if (list->at[i]->buckets != NULL) {
            add_histogram(out, metric, list->at[i], open);
        } else {
            add_sample(out, metric, "", list->at[i], NULL);
            add_real(out, list->at[i]->value);
        }
    }
}

static void render(struct tm_buf *out, bool open)
{
    (void)pthread_mutex_lock(&lock);
    for (unsigned metric = 0; metric < TM_METRIC_COUNT; metric++) {
        render_family((enum tm_metric)metric, out, open);
    }
    (void)pthread_mutex_unlock(&lock);
}

void tm_metrics_render(struct tm_buf *out)
{
    render(out, false);
}

void tm_metrics_render_open(struct tm_buf *out)
{
    render(out, true);
    tm_buf_add_text(out, "# EOF\n");
}

/* The process itself ----------------------------------------------------------------------- */

/* Field `number` (from 3) of /proc/self/stat, proc(5); 0 where there is none. Field 2, the name in
 * brackets, may hold anything. */
static int64_t stat_field(const struct tm_buf *stat, unsigned number)
{
    const char *at = strrchr(tm_buf_text(stat), ')');
    for (unsigned i = 2; i < number && at != NULL; i++) {
        at = strchr(at + 1, ' ');
    }
    char digits[24] = {0};
    size_t len = at != NULL ? strspn(at + 1, "0123456789") : 0;
    int64_t value = 0;
    struct tm_err ignored = {0};
    if (len == 0 || len >= sizeof(digits)) {
        return 0;
    }
    memcpy(digits, at + 1, len);
    return tm_parse_i64(digits, &value, &ignored) == TM_OK ? value : 0;
}

/* Entries of /proc/self/fd but for the one that reading them takes; -1 if they cannot be read. */
static int64_t count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) {
        return -1;
    }
    int64_t count = -1;
    struct dirent *entry = NULL;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): safe for a stream of one's own, says glibc's manual */
    while ((entry = readdir(dir)) != NULL) {
        count += entry->d_name[0] != '.' ? 1 : 0;
    }
    (void)closedir(dir);
    return count;
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

/* Only /proc/self is read: the unit hides the rest (ProcSubset=pid). The start is counted from boot;
 * it is worked out again each time, since the clock may have been set meanwhile. */
static void refresh_from_stat(const struct tm_buf *stat)
{
    enum { STARTTIME = 22, RSS = 24 };
    double ticks = (double)sysconf(_SC_CLK_TCK);
    double age = (double)tm_boot_ns() / 1e9 - (double)stat_field(stat, STARTTIME) / ticks;
    double start = (double)tm_now_ms() / 1e3 - age;
    double shown = tm_metric_value(TM_M_PROCESS_START, TM_NO_LABELS);
    if (start < shown - 1 || start > shown + 1) { /* not each scrape another millisecond */
        tm_metric_set(TM_M_PROCESS_START, TM_NO_LABELS, (double)(int64_t)(start * 1e3) / 1e3);
    }
    double page = (double)sysconf(_SC_PAGESIZE);
    tm_metric_set(TM_M_PROCESS_RSS, TM_NO_LABELS, (double)stat_field(stat, RSS) * page);
}

void tm_metrics_refresh_process(void)
{
    TM_BUF_OWN struct tm_buf stat = {0};
    struct tm_err ignored = {0};
    if (tm_fs_read("/proc/self/stat", PROC_FILE_MAX, &stat, &ignored) == TM_OK) {
        refresh_from_stat(&stat);
    }
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        double cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime);
        tm_metric_set(TM_M_PROCESS_CPU, TM_NO_LABELS, cpu);
    }
    int64_t fds = count_fds();
    if (fds >= 0) {
        tm_metric_set(TM_M_PROCESS_FDS, TM_NO_LABELS, (double)fds);
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        tm_metric_set(TM_M_PROCESS_MAX_FDS, TM_NO_LABELS, (double)limit.rlim_cur);
    }
}
