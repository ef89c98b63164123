/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vault in a directory, or in a bucket below the URL in TM_STORE_URL, and a process that frees space in it and is killed at every fault point of that, at
 * its first passes: the next process finds all that points cover, finishes the work, and leaves one pack.
 *
 * The process is this program, called with "run DIR": it frees space once, all ages zero.
 */
#include <check.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "../model/tiny_packs.h"
#include "base/clock.h"
#include "base/fs.h"
#include "job/space.h"
#include "store/store_fs.h"
#include "store/store_open.h"
#include "vault/log.h"

enum { PACKS = 6, RECORDS = 4, POINTS_MAX = 64, PASSES = 3 };

static const uint8_t key_file[TM_KEY_FILE_BYTES] = {1, 2, 3};

struct host {
    struct tm_store *store;
    struct tm_vault *vault;
    struct tm_catalog *catalog;
    struct tm_fold fold;
};

#define must(call) \
    do { \
        struct tm_err err = {0}; \
        ck_assert_msg((call) == TM_OK, "%s: %s", #call, err.msg); \
    } while (0)

/* What lies in the directory, or below the URL under its name. */
static enum tm_code open_store(const char *dir, struct tm_store **out, struct tm_err *err)
{
    const char *url = getenv("TM_STORE_URL");
    char place[512];
    if (url == NULL) {
        return tm_store_fs_open(dir, true, out, err);
    }
    (void)snprintf(place, sizeof(place), "%s%s", url, strrchr(dir, '/'));
    return tm_store_open_url(place, false, out, err);
}

static enum tm_code open_host(
        const char *dir, const char *catalog, struct host *out, struct tm_err *err)
{
    struct tm_secret key = {TM_SECRET_KEY_FILE, {key_file, sizeof(key_file)}};
    char path[128] = ":memory:";
    if (catalog != NULL) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, catalog);
    }
    *out = (struct host){0};
    TM_TRY(open_store(dir, &out->store, err));
    TM_TRY(tm_vault_open(out->store, &key, "host/crash", &out->vault, err));
    TM_TRY(tm_catalog_open(path, &out->catalog, err));
    out->fold = tm_catalog_fold(out->catalog);
    return tm_vault_refresh(out->vault, &out->fold, err);
}

static void close_host(struct host *host)
{
    tm_catalog_close(host->catalog);
    tm_vault_close(host->vault);
    tm_store_free(host->store);
}

/* As if a day had passed since, so that all is old. */
static int64_t tomorrow(void)
{
    return tm_now_ms() + INT64_C(86400000);
}

static enum tm_code free_space(
        struct host *host, struct tm_space_result *result, struct tm_err *err)
{
    atomic_bool cancel = false;
    struct tm_progress progress = {0};
    struct tm_job_env env = {.job_id = "job_1", .cancel = &cancel, .progress = &progress};
    struct tm_space_options options = tm_space_defaults(host->vault, host->catalog);
    options.now_ms = tomorrow;
    options.grace_ms = 0;
    options.orphan_ms = 0;
    options.merge_age_ms = 0;
    options.merge_min_packs = 2;
    options.log_gc_ms = 0;
    return tm_space_run(&options, &env, result, err);
}

static int run_as_victim(const char *dir)
{
    struct host host = {0};
    struct tm_space_result result = {0};
    struct tm_err err = {0};
    tm_codec_init();
    enum tm_code code = open_host(dir, "catalog.db", &host, &err);
    if (code == TM_OK) {
        code = free_space(&host, &result, &err);
    }
    if (code != TM_OK) {
        (void)fprintf(stderr, "%s\n", err.msg);
    }
    tm_space_result_done(&result);
    close_host(&host);
    return code == TM_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The vault -------------------------------------------------------------------------------- */

static uint32_t content_of(int32_t partition, int64_t offset)
{
    return (uint32_t)(partition * 7 + offset);
}

struct commit {
    struct tm_row_pack row;
    int64_t end;
    int64_t start;
    uint64_t point;
    bool expires; /* the points before */
};

static enum tm_code build(void *arg, struct tm_edits *edits, struct tm_err *err)
{
    (void)err;
    struct commit *commit = arg;
    edits->policy = tm_slice_str("p");
    if (commit->point == 1) {
        *tm_vec_push(&edits->streams) = (struct tm_row_stream){
                .id = 1,
                .cluster_id = tm_slice_str("c1"),
                .topic = tm_slice_str("orders"),
                .incarnation = 1,
        };
    }
    *tm_vec_push(&edits->packs) = commit->row;
    *tm_vec_push(&edits->tails) = (struct tm_row_tail){.stream = 1,
            .next = commit->end,
            .covered = commit->end,
            .back = 1,
            .leader_epoch = -1};
    struct tm_row_part *part = tm_arena_alloc(&edits->arena, 1, sizeof(*part));
    *part = (struct tm_row_part){.stream = 1, .start = commit->start, .end = commit->end};
    struct tm_row_point *point = tm_vec_push(&edits->points);
    *point = (struct tm_row_point){
            .id = commit->point,
            .time_ms = tm_now_ms(),
            .cluster_id = tm_slice_str("c1"),
            .cluster_name = tm_slice_str("main"),
            .policy = tm_slice_str("p"),
            .parts = part,
            .part_count = 1,
    };
    point->ulid.bytes[15] = (uint8_t)commit->point;
    for (uint64_t id = 1; commit->expires && id < commit->point; id++) {
        *tm_vec_push(&edits->points_gone) = id;
    }
    return TM_OK;
}

/* Packs of which the first is dead, the others small, an orphan beside them, and a full before the end. */
static void make_vault(const char *dir)
{
    struct tm_secret key = {TM_SECRET_KEY_FILE, {key_file, sizeof(key_file)}};
    struct tm_vault_params params = {.blocks = tm_block_params_default};
    struct tm_store *store = NULL;
    struct host host;
    must(open_store(dir, &store, &err));
    must(tm_vault_init(store, &key, &params, &err));
    tm_store_free(store);
    must(open_host(dir, NULL, &host, &err));
    struct tm_arena arena = {0};
    int64_t next = 0;
    for (int i = 0; i < PACKS; i++) {
        struct tiny_record records[RECORDS];
        struct commit commit = {.point = (uint64_t)i + 1,
                .start = i == PACKS - 1 ? RECORDS : 0,
                .expires = i == PACKS - 1};
        for (int r = 0; r < RECORDS; r++, next++) {
            records[r] = (struct tiny_record){0, next, content_of(0, next), NULL};
        }
        must(tiny_put(host.vault, records, RECORDS, 1, &arena, &commit.row, &err));
        commit.row.stored_ms = tm_now_ms();
        commit.end = next;
        must(tm_vault_commit(host.vault, &host.fold, build, &commit, NULL, &err));
    }
    struct tiny_record record = {0, 99, 1, NULL};
    struct tm_row_pack orphan;
    must(tiny_put(host.vault, &record, 1, 1, &arena, &orphan, &err));
    must(tm_log_write_full(host.vault, &host.fold, &err));
    tm_arena_done(&arena);
    close_host(&host);
}

static enum tm_code count_one(
        void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err)
{
    (void)name;
    (void)info;
    (void)err;
    ++*(int *)arg;
    return TM_OK;
}

/* All that the point covers reads as it was. */
static void check_records(struct host *host)
{
    struct tm_arena arena = {0};
    struct tm_stored_run *runs = NULL;
    size_t count = 0;
    int64_t next = RECORDS;
    must(tm_catalog_runs(host->catalog, 1, 0, RECORDS, INT64_MAX, &arena, &runs, &count, &err));
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_le(runs[i].run.first, next);
        next = runs[i].run.first + runs[i].run.length;
        must(tiny_check_run(host->vault, host->catalog, &runs[i], content_of, &err));
    }
    ck_assert_int_eq(next, (int64_t)PACKS * RECORDS);
    tm_arena_done(&arena);
}

/* Killing ---------------------------------------------------------------------------------- */

/* Run the victim with that in its environment; its status as waitpid() gives it. */
static int run_victim(const char *dir, const char *variable, const char *value)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        (void)setenv(variable, value, 1);
        (void)execl("/proc/self/exe", "mock_space_crash", "run", dir, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void make_dir(char dir[64])
{
    tm_codec_init();
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(dir, 64, "%s/tm-space-XXXXXX", base);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    make_vault(dir);
}

static void drop_dir(const char *dir)
{
    ck_assert_int_eq(nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* By a catalog that was killed with its process, and by a new one. */
static void check_after(const char *dir, const char *what)
{
    for (int i = 0; i < 2; i++) {
        struct host host;
        must(open_host(dir, i == 0 ? "catalog.db" : NULL, &host, &err));
        check_records(&host);
        close_host(&host);
    }
    struct host host;
    int packs = 0;
    must(open_host(dir, "catalog.db", &host, &err));
    for (int i = 0; i < 2; i++) {
        struct tm_space_result result = {0};
        must(free_space(&host, &result, &err));
        ck_assert_msg(result.warnings.count == 0, "%s: %s", what,
                result.warnings.count > 0 ? result.warnings.at[0].detail : "");
        tm_space_result_done(&result);
    }
    check_records(&host);
    must(tm_store_list(host.store, "pack/", count_one, &packs, &err));
    ck_assert_msg(packs == 1, "%s: %d packs are left", what, packs);
    close_host(&host);
}

static bool crash_at(const char *point, int pass)
{
    char dir[64];
    char fault[128];
    make_dir(dir);
    (void)snprintf(fault, sizeof(fault), "%s:crash@%d", point, pass);
    int status = run_victim(dir, "TM_FAULTS", fault);
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    ck_assert_msg(killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0), "%s: status %d", fault,
            status);
    check_after(dir, fault);
    drop_dir(dir);
    return killed;
}

/* The names of the points that a run passes. */
static size_t learn_points(struct tm_buf *text, char *names[POINTS_MAX])
{
    char dir[64];
    char path[128];
    make_dir(dir);
    (void)snprintf(path, sizeof(path), "%s/points", dir);
    int status = run_victim(dir, "TM_FAULTS_LIST", path);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    must(tm_fs_read(path, 1 << 16, text, &err));
    ck_assert_int_eq(remove(path), 0);
    check_after(dir, "no fault");
    drop_dir(dir);
    size_t count = 0;
    char *rest = NULL;
    for (char *name = strtok_r((char *)text->at, "\n", &rest); name != NULL && count < POINTS_MAX;
            name = strtok_r(NULL, "\n", &rest)) {
        names[count++] = name;
    }
    return count;
}

START_TEST(a_kill_at_any_point_costs_no_record)
{
    static const char *const needed[] = {"space.drop.committed", "merge.copied", "merge.put",
            "merge.committed", "space.sweep.listed", "space.sweep.announced", "space.sweep.deleted",
            "gc.log.full", "gc.log.removed", "vault.commit.created", "vault.pack.put"};
    TM_BUF_OWN struct tm_buf text = {0};
    char *names[POINTS_MAX];
    size_t count = learn_points(&text, names);
    for (size_t n = 0; n < sizeof(needed) / sizeof(needed[0]); n++) {
        bool found = false;
        for (size_t i = 0; i < count; i++) {
            found = found || strcmp(names[i], needed[n]) == 0;
        }
        ck_assert_msg(found, "%s is not passed", needed[n]);
    }
    for (size_t i = 0; i < count; i++) {
        ck_assert_msg(crash_at(names[i], 1), "%s did not crash", names[i]);
        for (int pass = 2; pass <= PASSES && crash_at(names[i], pass); pass++) {
        }
    }
}
END_TEST

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN);
    if (argc == 3 && strcmp(argv[1], "run") == 0) {
        return run_as_victim(argv[2]);
    }
#ifndef TM_FAULT_POINTS
    (void)printf("cannot run: built without fault points\n");
    return EXIT_FAILURE;
#endif
    TCase *tcase = tcase_create("space_crash");
    tcase_set_timeout(tcase, 180);
    tcase_add_test(tcase, a_kill_at_any_point_costs_no_record);
    Suite *suite = suite_create("space_crash");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
