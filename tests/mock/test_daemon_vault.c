/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs of a vault and changes of recovery points by hand, through the table that the HTTP side calls.
 */
#include "daemon_rig.h"
#include "job/marks.h"

static const char one_policy[] =
        "policies:\n  - {name: p, cluster: mock, vault: main, topics: {include: [orders]}, "
        "schedule: \"\"}\n";

static void rig_with_points(struct daemon_rig *rig, int count)
{
    struct tm_err err = {0};
    rig_up(rig);
    ASSERT_OK(tm_mock_topic(rig->kafka.mock, "orders", 1, &err), err);
    daemon_up(rig, one_policy);
    for (int i = 0; i < count; i++) {
        write_made(&rig->kafka, "orders", 0, i * 10, i * 10 + 10);
        struct answer answer = back_up(rig, "p");
        ck_assert_int_eq(job_of(rig, &answer.id, 20000).state, TM_JOB_SUCCEEDED);
    }
}

/* Points ----------------------------------------------------------------------------------- */

struct seen { /* of a point, copied */
    bool done;
    int status; /* of a problem; 0: none */
    char slug[32];
    char note[64];
    char tags[64];
    int64_t hold_until_ms;
    char reason[64];
};

static void take_point(
        void *arg, const struct tm_point_answer *answer, const struct tm_problem *problem)
{
    struct seen *seen = arg;
    ck_assert(!seen->done);
    *seen = (struct seen){.done = true};
    if (problem != NULL) {
        seen->status = problem->status;
        (void)snprintf(seen->slug, sizeof(seen->slug), "%s", problem->slug);
        return;
    }
    const struct tm_row_mark *mark = &answer->point.mark;
    (void)snprintf(seen->note, sizeof(seen->note), "%.*s", (int)mark->note.len,
            (const char *)mark->note.at);
    (void)snprintf(seen->reason, sizeof(seen->reason), "%.*s", (int)mark->hold_reason.len,
            (const char *)mark->hold_reason.at);
    for (size_t i = 0; i < mark->tag_count; i++) {
        size_t len = strlen(seen->tags);
        (void)snprintf(seen->tags + len, sizeof(seen->tags) - len, "%.*s,", (int)mark->tags[i].len,
                (const char *)mark->tags[i].at);
    }
    seen->hold_until_ms = mark->hold_until_ms;
}

static struct tm_id16 newest(struct daemon_rig *rig)
{
    struct tm_id16 ulid;
    const char *name = policy_view(rig, "p").newest_point;
    ck_assert_ptr_nonnull(name);
    ck_assert(tm_ulid_parse(name, "rp_", &ulid));
    return ulid;
}

static struct seen point_of(struct daemon_rig *rig, const struct tm_id16 *ulid)
{
    struct tm_control control = tmd_control(&rig->tmd);
    struct seen seen = {0};
    control.ops->point(control.self, ulid, take_point, &seen);
    UNTIL(rig, seen.done);
    return seen;
}

static struct seen patch(
        struct daemon_rig *rig, const struct tm_id16 *ulid, struct tm_point_patch patch)
{
    struct tm_control control = tmd_control(&rig->tmd);
    struct seen seen = {0};
    control.ops->patch_point(control.self, ulid, &patch, &caller, take_point, &seen);
    UNTIL(rig, seen.done);
    return seen;
}

static struct answer delete_point(struct daemon_rig *rig, const struct tm_id16 *ulid)
{
    struct tm_control control = tmd_control(&rig->tmd);
    struct answer answer = {0};
    char name[TM_ULID_NAME_MAX];
    struct tm_vault_request request = {.point = tm_ulid_format(ulid, "rp_", name)};
    control.ops->vault_job(control.self, TM_JOB_DELETE, &request, &caller, take_answer, &answer);
    UNTIL(rig, answer.done);
    return answer;
}

START_TEST(a_mark_is_in_the_vault_and_a_stale_one_is_refused)
{
    static const char *const tags[] = {"b", "a", "b"};
    struct daemon_rig rig;
    rig_with_points(&rig, 1);
    struct tm_id16 ulid = newest(&rig);
    struct tm_point_patch change = {.has_note = true,
            .note = "before 4.2",
            .has_tags = true,
            .tags = tags,
            .tag_count = 3,
            .has_hold = true,
            .hold_until_ms = -1,
            .hold_reason = "audit"};
    struct seen seen = patch(&rig, &ulid, change);
    ck_assert_int_eq(seen.status, 0);
    ck_assert_str_eq(seen.note, "before 4.2");
    ck_assert_str_eq(seen.tags, "a,b,");
    ck_assert_int_eq(seen.hold_until_ms, -1);
    ck_assert_str_eq(seen.reason, "audit");

    /* The same again: it was made for a point without marks. */
    seen = patch(&rig, &ulid, change);
    ck_assert_int_eq(seen.status, 412);
    ck_assert_str_eq(seen.slug, "precondition-failed");

    /* Another process, with no catalog, reads it from the log. */
    daemon_down(&rig);
    char path[160];
    (void)snprintf(path, sizeof(path), "%s/state/catalog/main.db", rig.dir);
    ck_assert_int_eq(unlink(path), 0);
    daemon_up(&rig, one_policy);
    seen = point_of(&rig, &ulid);
    ck_assert_str_eq(seen.note, "before 4.2");
    ck_assert_str_eq(seen.tags, "a,b,");
    ck_assert_str_eq(seen.reason, "audit");

    struct tm_id16 nowhere = ulid;
    nowhere.bytes[15] ^= 1;
    seen = patch(&rig, &nowhere, (struct tm_point_patch){.has_note = true, .note = "x"});
    ck_assert_int_eq(seen.status, 404);
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

START_TEST(a_held_point_is_not_deleted_and_one_that_is_not_held_is)
{
    struct daemon_rig rig;
    rig_with_points(&rig, 2);
    struct tm_id16 ulid = newest(&rig);
    struct tm_point_patch hold = {
            .has_hold = true, .hold_until_ms = -1, .hold_reason = "case 4711"};
    ck_assert_int_eq(patch(&rig, &ulid, hold).status, 0);
    struct answer answer = delete_point(&rig, &ulid);
    ck_assert_int_eq(answer.problem.status, 409);
    ck_assert_str_eq(answer.problem.slug, "point-held");
    ck_assert_str_eq(answer.problem.member, "hold");
    ck_assert_str_eq(answer.problem.value, "case 4711");

    struct tm_slice reason = tm_slice_str("case 4711");
    struct tm_point_patch free_it = {
            .has_hold = true, .was = {.hold_until_ms = -1, .hold_reason = reason}};
    ck_assert_int_eq(patch(&rig, &ulid, free_it).status, 0);
    answer = delete_point(&rig, &ulid);
    ck_assert(answer.created);
    struct answer ended = job_of(&rig, &answer.id, 20000);
    ck_assert_msg(ended.state == TM_JOB_SUCCEEDED, "%s", ended.error);
    ck_assert_ptr_nonnull(strstr(ended.result, "\"vault\":\"main\""));
    ck_assert_int_eq(point_of(&rig, &ulid).status, 404);

    /* The policy's newest point is the one before, and its count is right. */
    char name[TM_ULID_NAME_MAX];
    UNTIL(&rig,
            strcmp(policy_view(&rig, "p").newest_point, tm_ulid_format(&ulid, "rp_", name)) != 0);
    ulid = newest(&rig);
    ck_assert_int_eq(point_of(&rig, &ulid).status, 0);
    answer = delete_point(&rig, &ulid);
    (void)job_of(&rig, &answer.id, 20000);
    UNTIL(&rig, policy_view(&rig, "p").newest_point == NULL);
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

/* A job found queued in the journal, whose point has gone meanwhile. */
START_TEST(a_deletion_that_is_taken_up_again_is_done_once)
{
    struct daemon_rig rig;
    rig_with_points(&rig, 2);
    struct tm_id16 ulid = newest(&rig);
    struct answer answer = delete_point(&rig, &ulid);
    struct answer second = delete_point(&rig, &ulid); /* beside it, or behind it */
    ck_assert(second.problem.status == 409 || second.problem.status == 404);
    ck_assert_int_eq(job_of(&rig, &answer.id, 20000).state, TM_JOB_SUCCEEDED);
    daemon_down(&rig);

    /* As if the daemon had been killed behind the commit. */
    char path[160];
    struct tm_err err = {0};
    struct tm_arena arena = {0};
    struct tm_journal *journal = NULL;
    struct tm_job_row row;
    bool found = false;
    (void)snprintf(path, sizeof(path), "%s/state/journal.db", rig.dir);
    ASSERT_OK(tm_journal_open(path, &journal, &err), err);
    ASSERT_OK(tm_journal_get_job(journal, &answer.id, &arena, &row, &found, &err), err);
    row.state = TM_JOB_RUNNING;
    row.finished_ms = 0;
    ASSERT_OK(tm_journal_put_job(journal, &row, &err), err);
    tm_journal_close(journal);
    tm_arena_done(&arena);

    daemon_up(&rig, one_policy);
    struct answer ended = job_of(&rig, &answer.id, 20000);
    ck_assert_msg(ended.state == TM_JOB_SUCCEEDED, "%s", ended.error);
    ck_assert_int_eq(ended.resumed, 1);
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

/* Vaults ----------------------------------------------------------------------------------- */

struct seen_vaults {
    bool done;
    size_t count;
    struct tm_vault_view at[2]; /* texts borrowed: NULL or not is all that may be asked */
    char head[160];
    struct tm_problem problem;
};

static void take_vaults(void *arg, const struct tm_vault_view *vaults, size_t count,
        const struct tm_problem *problem)
{
    struct seen_vaults *seen = arg;
    *seen = (struct seen_vaults){.done = true, .count = count};
    if (problem != NULL) {
        seen->problem = *problem;
        return;
    }
    ck_assert_uint_le(count, 2);
    memcpy(seen->at, vaults, count * sizeof(*vaults));
    (void)snprintf(
            seen->head, sizeof(seen->head), "%s", vaults[0].head != NULL ? vaults[0].head : "");
}

static struct seen_vaults ask_vaults(struct daemon_rig *rig, const char *name, bool probe)
{
    struct tm_control control = tmd_control(&rig->tmd);
    struct seen_vaults seen = {0};
    if (probe) {
        control.ops->probe(control.self, name, &caller, take_vaults, &seen);
    } else {
        control.ops->vaults(control.self, name, take_vaults, &seen);
    }
    UNTIL(rig, seen.done);
    return seen;
}

START_TEST(vaults_are_counted_and_one_that_is_gone_is_down)
{
    struct daemon_rig rig;
    rig_with_points(&rig, 2);
    struct seen_vaults seen = ask_vaults(&rig, "main", true);
    ck_assert_uint_eq(seen.count, 1);
    ck_assert(seen.at[0].opened && seen.at[0].up && seen.at[0].read);
    ck_assert_int_eq(seen.at[0].points, 2);
    ck_assert_int_ge(seen.at[0].packs, 2);
    ck_assert_int_gt(seen.at[0].stored_bytes, 0);
    ck_assert_int_gt(seen.at[0].source_bytes, 0);
    ck_assert_int_gt(seen.at[0].capacity_bytes, seen.at[0].free_bytes - 1);
    ck_assert(!seen.at[0].write_only);
    ck_assert_int_eq(strncmp(seen.head, "2:", 2), 0);
    ck_assert_uint_eq(ask_vaults(&rig, NULL, false).count, 2);

    seen = ask_vaults(&rig, "mian", true);
    ck_assert_int_eq(seen.problem.status, 404);
    ck_assert_str_eq(seen.problem.similar, "main");

    char path[160];
    char away[170];
    (void)snprintf(path, sizeof(path), "%s/vault/tmp", rig.dir);
    (void)snprintf(away, sizeof(away), "%s.away", path);
    ck_assert_int_eq(rename(path, away), 0);
    write_file(&rig, "vault/tmp", "no folder");
    seen = ask_vaults(&rig, "main", true);
    ck_assert_int_eq(seen.problem.status, 502);
    ck_assert_str_eq(seen.problem.slug, "vault-unreachable");
    ck_assert_str_eq(seen.problem.value, "main");
    ck_assert(!ask_vaults(&rig, "main", false).at[0].up);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(rename(away, path), 0);
    ck_assert(ask_vaults(&rig, "main", true).at[0].up);
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

/* Retention -------------------------------------------------------------------------------- */

static const char retained_policy[] =
        "policies:\n  - {name: p, cluster: mock, vault: main, topics: {include: [orders]}, "
        "schedule: \"\", retention: {keep_last: 2, keep_data: 0}}\n";

struct seen_plan {
    bool done;
    char json[8000];
    char digest[72];
    struct tm_problem problem;
};

static void take_plan(void *arg, const char *json, const struct tm_problem *problem)
{
    struct seen_plan *seen = arg;
    seen->done = true;
    if (problem != NULL) {
        seen->problem = *problem;
        return;
    }
    (void)snprintf(seen->json, sizeof(seen->json), "%s", json);
    const char *digest = strstr(json, "\"plan_digest\":\"");
    ck_assert_ptr_nonnull(digest);
    (void)snprintf(seen->digest, sizeof(seen->digest), "%.71s", digest + 15);
}

static struct seen_plan plan(struct daemon_rig *rig, const char *vault)
{
    struct tm_control control = tmd_control(&rig->tmd);
    struct seen_plan seen = {0};
    struct tm_vault_request request = {.vault = vault, .merge = true};
    control.ops->retention_plan(control.self, &request, take_plan, &seen);
    UNTIL(rig, seen.done);
    return seen;
}

static struct answer retain(struct daemon_rig *rig, const char *digest)
{
    struct tm_control control = tmd_control(&rig->tmd);
    struct answer answer = {0};
    struct tm_vault_request request = {.vault = "main", .merge = true, .plan_digest = digest};
    control.ops->vault_job(control.self, TM_JOB_RETENTION, &request, &caller, take_answer, &answer);
    UNTIL(rig, answer.done);
    return answer;
}

static int count_of(const char *text, const char *part)
{
    int count = 0;
    for (; (text = strstr(text, part)) != NULL; text++) {
        count++;
    }
    return count;
}

START_TEST(retention_removes_what_its_plan_said_and_keeps_what_is_held)
{
    struct daemon_rig rig;
    rig_with_points(&rig, 5);
    daemon_down(&rig);
    daemon_up(&rig, retained_policy);
    struct seen_plan before = plan(&rig, "main");
    ck_assert_int_eq(before.problem.status, 0);
    ck_assert_int_eq(count_of(before.json, "\"action\":\"remove\""), 3);
    ck_assert_int_eq(count_of(before.json, "\"keep_last\""), 2);
    ck_assert_int_eq(count_of(before.json, "\"removed_by\":\"no_rule_keeps_it\""), 3);

    /* The oldest is held: it is another plan now. */
    struct tm_id16 oldest;
    const char *name = strstr(before.json, "\"recovery_point\":\"");
    for (int i = 0; i < 4; i++) {
        name = strstr(name + 1, "\"recovery_point\":\"");
    }
    char text[40];
    (void)snprintf(text, sizeof(text), "%.29s", name + 18);
    ck_assert(tm_ulid_parse(text, "rp_", &oldest));
    struct tm_point_patch hold = {.has_hold = true, .hold_until_ms = -1, .hold_reason = "audit"};
    ck_assert_int_eq(patch(&rig, &oldest, hold).status, 0);
    struct answer stale = retain(&rig, before.digest);
    ck_assert_int_eq(stale.problem.status, 412);
    ck_assert_str_eq(stale.problem.slug, "plan-changed");
    struct seen_plan after = plan(&rig, "main");
    ck_assert_str_eq(stale.problem.value, after.digest);
    ck_assert_int_eq(count_of(after.json, "\"held\""), 1);

    struct answer answer = retain(&rig, after.digest);
    ck_assert(answer.created);
    struct answer ended = job_of(&rig, &answer.id, 20000);
    ck_assert_msg(ended.state == TM_JOB_SUCCEEDED, "%s", ended.error);
    ck_assert_ptr_nonnull(strstr(ended.result, "\"points_removed_count\":2"));
    ck_assert_ptr_nonnull(strstr(ended.result, "\"points_kept_count\":3"));
    ck_assert_int_eq(point_of(&rig, &oldest).status, 0);
    ck_assert_int_eq(ask_vaults(&rig, "main", false).at[0].points, 3);
    ck_assert_int_eq(count_of(plan(&rig, "main").json, "\"action\":\"remove\""), 0);

    struct tm_control control = tmd_control(&rig.tmd);
    struct answer unknown = {0};
    static const char *const names[] = {"q"};
    struct tm_vault_request request = {.vault = "main", .policies = names, .policy_count = 1};
    control.ops->vault_job(
            control.self, TM_JOB_RETENTION, &request, &caller, take_answer, &unknown);
    ck_assert_int_eq(unknown.problem.status, 404);
    ck_assert_str_eq(unknown.problem.kind, "policy");
    ck_assert_int_eq(plan(&rig, "none").problem.status, 404);
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

START_TEST(one_job_of_a_vault_goes_on_at_a_time)
{
    struct daemon_rig rig;
    rig_with_points(&rig, 1);
    struct tm_control control = tmd_control(&rig.tmd);
    struct answer first = {0};
    struct answer second = {0};
    struct answer other = {0};
    struct tm_vault_request request = {.vault = "main"};
    struct tm_vault_request spare = {.vault = "spare"};
    control.ops->vault_job(control.self, TM_JOB_RETENTION, &request, &caller, take_answer, &first);
    control.ops->vault_job(control.self, TM_JOB_RETENTION, &request, &caller, take_answer, &second);
    control.ops->vault_job(control.self, TM_JOB_RETENTION, &spare, &caller, take_answer, &other);
    ck_assert(second.done && !first.done);
    ck_assert_int_eq(second.problem.status, 409);
    ck_assert_str_eq(second.problem.slug, "already-running");
    ck_assert_str_eq(second.problem.detail, "a retention job of vault main is queued");
    UNTIL(&rig, first.done && other.done);
    char name[TM_ULID_NAME_MAX];
    ck_assert_str_eq(second.problem.job, tm_ulid_format(&first.id, "job_", name));
    struct answer run = back_up(&rig, "p"); /* beside it */
    ck_assert(run.created);
    ck_assert_int_eq(job_of(&rig, &first.id, 20000).state, TM_JOB_SUCCEEDED);
    ck_assert_int_eq(job_of(&rig, &other.id, 20000).state, TM_JOB_SUCCEEDED);
    ck_assert_int_eq(job_of(&rig, &run.id, 20000).state, TM_JOB_SUCCEEDED);
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

struct seen_list {
    bool done;
    size_t count;
    uint32_t kept_by[8];
};

static void take_list(
        void *arg, const struct tm_points_answer *answer, const struct tm_problem *problem)
{
    struct seen_list *seen = arg;
    ck_assert_ptr_null(problem);
    seen->done = true;
    seen->count = answer->count;
    ck_assert_uint_le(answer->count, 8);
    for (size_t i = 0; i < answer->count; i++) {
        seen->kept_by[i] = answer->kept_by[i];
    }
}

static struct seen_list list_points(struct daemon_rig *rig, struct tm_point_query query)
{
    struct tm_control control = tmd_control(&rig->tmd);
    struct seen_list seen = {0};
    query.since_ms = INT64_MIN;
    query.until_ms = INT64_MAX;
    query.limit = 8;
    struct tm_points_query asked = {.catalog = query};
    control.ops->points(control.self, &asked, take_list, &seen);
    UNTIL(rig, seen.done);
    return seen;
}

START_TEST(points_say_what_keeps_them_and_are_found_by_tag_and_hold)
{
    static const char *const tags[] = {"other", "release"};
    struct daemon_rig rig;
    rig_with_points(&rig, 4);
    struct tm_id16 ulid = newest(&rig);
    struct tm_point_patch change = {.has_tags = true,
            .tags = tags,
            .tag_count = 2,
            .has_hold = true,
            .hold_until_ms = tm_now_ms() + 1000000,
            .hold_reason = ""};
    struct seen_list none = list_points(&rig, (struct tm_point_query){0});
    ck_assert_uint_eq(none.count, 4);
    ck_assert_uint_ne(none.kept_by[3] & TM_GFS_NO_RULE, 0); /* no retention is configured */
    ck_assert_int_eq(patch(&rig, &ulid, change).status, 0);
    ck_assert_uint_eq(list_points(&rig, (struct tm_point_query){.tag = "release"}).count, 1);
    ck_assert_uint_eq(list_points(&rig, (struct tm_point_query){.tag = "releas"}).count, 0);
    ck_assert_uint_eq(list_points(&rig, (struct tm_point_query){.held_ms = tm_now_ms()}).count, 1);
    ck_assert_uint_eq(
            list_points(&rig, (struct tm_point_query){.held_ms = tm_now_ms() + 2000000}).count, 0);
    ck_assert_uint_eq(
            list_points(&rig, (struct tm_point_query){.not_held_ms = tm_now_ms()}).count, 3);
    daemon_down(&rig);

    daemon_up(&rig, retained_policy); /* keep_last: 2 */
    struct seen_list kept = list_points(&rig, (struct tm_point_query){0});
    ck_assert_uint_ne(kept.kept_by[0] & TM_GFS_HELD, 0);
    ck_assert_uint_eq(kept.kept_by[1], TM_GFS_KEEP_LAST);
    ck_assert_uint_eq(kept.kept_by[2], TM_POINT_GOES);
    ck_assert_uint_eq(kept.kept_by[3], TM_POINT_GOES);
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

/* Verification and import ------------------------------------------------------------------ */

static struct answer ask_job(
        struct daemon_rig *rig, enum tm_job_kind kind, struct tm_vault_request request)
{
    struct tm_control control = tmd_control(&rig->tmd);
    struct answer answer = {0};
    control.ops->vault_job(control.self, kind, &request, &caller, take_answer, &answer);
    UNTIL(rig, answer.done);
    return answer;
}

static char flipped[512]; /* the file in which flip() found a pack */

static int flip(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)where;
    if (kind != FTW_F || strstr(path, "/pack/") == NULL) {
        return 0;
    }
    uint8_t byte = 0;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pread(fd, &byte, 1, info->st_size / 2), 1);
    byte ^= 1;
    ck_assert_int_eq(pwrite(fd, &byte, 1, info->st_size / 2), 1);
    (void)close(fd);
    (void)snprintf(flipped, sizeof(flipped), "%s", path);
    return 1;
}

START_TEST(a_scrub_finds_a_flipped_byte_and_the_vault_says_so)
{
    struct daemon_rig rig;
    char path[160];
    rig_with_points(&rig, 2);
    struct tm_vault_request scrub = {.vault = "main", .depth = 1};
    struct answer well = ask_job(&rig, TM_JOB_VERIFY, scrub);
    well = job_of(&rig, &well.id, 20000);
    ck_assert_msg(well.state == TM_JOB_SUCCEEDED, "%s", well.error);
    ck_assert_ptr_nonnull(strstr(well.result, "\"depth\":\"scrub\",\"packs_count\":2"));
    ck_assert_ptr_nonnull(strstr(well.result, "\"faults_count\":0,\"findings_count\":0"));
    struct seen_vaults seen = ask_vaults(&rig, "main", false);
    ck_assert_int_eq(seen.at[0].findings, 0);
    ck_assert_int_gt(seen.at[0].scrubbed_ms, 0);

    (void)snprintf(path, sizeof(path), "%s/vault", rig.dir);
    ck_assert_int_eq(nftw(path, flip, 16, FTW_PHYS), 1);
    struct answer damaged = ask_job(&rig, TM_JOB_VERIFY, scrub);
    damaged = job_of(&rig, &damaged.id, 20000);
    ck_assert_int_eq(damaged.state, TM_JOB_FAILED);
    ck_assert_ptr_nonnull(strstr(damaged.error, "/problems/vault-damaged"));
    ck_assert_ptr_nonnull(strstr(damaged.error, "the result lists them"));
    ck_assert_ptr_nonnull(strstr(damaged.result, "\"kind\":\"corrupt_pack\""));
    ck_assert_ptr_nonnull(strstr(damaged.result, strstr(flipped, "pack/")));
    ck_assert_int_gt(ask_vaults(&rig, "main", false).at[0].findings, 0);
    struct tm_vault_request nowhere = {.vault = "spare", .depth = 3};
    char name[TM_ULID_NAME_MAX];
    struct tm_id16 ulid = newest(&rig);
    nowhere.point = tm_ulid_format(&ulid, "rp_", name);
    ck_assert_int_eq(ask_job(&rig, TM_JOB_VERIFY, nowhere).problem.status, 404);
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

START_TEST(a_catalog_is_made_anew_while_nothing_else_uses_its_vault)
{
    struct daemon_rig rig;
    rig_with_points(&rig, 3);
    struct tm_id16 ulid = newest(&rig);
    struct tm_vault_request import = {.vault = "main"};
    tm_mock_round_trip(rig.kafka.mock, 1, 300);
    struct answer run = back_up(&rig, "p");
    struct answer refused = ask_job(&rig, TM_JOB_IMPORT, import);
    ck_assert_int_eq(refused.problem.status, 409);
    ck_assert_str_eq(refused.problem.slug, "already-running");
    tm_mock_round_trip(rig.kafka.mock, 1, 0);
    ck_assert_int_eq(job_of(&rig, &run.id, 20000).state, TM_JOB_SUCCEEDED);

    struct answer answer = ask_job(&rig, TM_JOB_IMPORT, import);
    ck_assert(answer.created);
    struct answer meets = {0};
    struct tm_backup_request request = {.policy = "p"};
    ask_backup(&rig, &request, &meets);
    ck_assert_int_eq(meets.problem.status, 409);
    ck_assert_str_eq(meets.problem.slug, "already-running");
    struct answer ended = job_of(&rig, &answer.id, 20000);
    ck_assert_msg(ended.state == TM_JOB_SUCCEEDED, "%s", ended.error);
    ck_assert_ptr_nonnull(strstr(ended.result, "\"head_sequence\":3"));
    ck_assert_int_eq(point_of(&rig, &ulid).status, 0);
    ck_assert_int_eq(ask_vaults(&rig, "main", false).at[0].points, 3);
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

/* By the clock ----------------------------------------------------------------------------- */

static const char verified[] =
        "policies:\n  - {name: p, cluster: mock, vault: main, topics: {include: [orders]}, "
        "schedule: \"\"}\n"
        "verify: [{vault: main, schedule: \"@every 1s\", depth: catalog}]\n";

struct seen_jobs {
    bool done;
    size_t count;
    char who[64];
    enum tm_job_state state;
};

static void take_jobs(void *arg, const struct tm_job_view *jobs, size_t count, bool more,
        int64_t total, const struct tm_problem *problem)
{
    struct seen_jobs *seen = arg;
    (void)more;
    ck_assert_int_eq(total, -1);
    ck_assert_ptr_null(problem);
    *seen = (struct seen_jobs){.done = true, .count = count};
    if (count > 0) {
        (void)snprintf(seen->who, sizeof(seen->who), "%s", jobs[count - 1].row.requested_by);
        seen->state = jobs[count - 1].row.state;
    }
}

static struct seen_jobs jobs_of_kind(struct daemon_rig *rig, int kind)
{
    struct tm_control control = tmd_control(&rig->tmd);
    struct seen_jobs seen = {0};
    struct tm_job_query query = {.kinds = 1U << kind, .since_ms = INT64_MIN, .limit = 50};
    control.ops->jobs(control.self, &query, take_jobs, &seen);
    UNTIL(rig, seen.done);
    return seen;
}

START_TEST(a_planned_verification_comes_by_itself)
{
    struct daemon_rig rig;
    rig_with_points(&rig, 1);
    daemon_down(&rig);
    daemon_up(&rig, verified);
    UNTIL(&rig, jobs_of_kind(&rig, TM_JOB_VERIFY).count > 0);
    UNTIL(&rig, jobs_of_kind(&rig, TM_JOB_VERIFY).state == TM_JOB_SUCCEEDED);
    ck_assert_str_eq(jobs_of_kind(&rig, TM_JOB_VERIFY).who, "schedule");
    ck_assert_uint_eq(jobs_of_kind(&rig, TM_JOB_RETENTION).count, 0);
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

/* The journal says that retention ran two days ago, and it is due each day. */
START_TEST(retention_that_was_due_while_the_daemon_was_down_is_made_up_for)
{
    struct daemon_rig rig;
    char path[160];
    struct tm_err err = {0};
    struct tm_journal *journal = NULL;
    rig_with_points(&rig, 1);
    daemon_down(&rig);
    int64_t then_ms = tm_now_ms() - 2 * 24 * 3600 * 1000;
    struct tm_job_row row = {
            .id = tm_ulid_make(then_ms),
            .kind = TM_JOB_RETENTION,
            .state = TM_JOB_SUCCEEDED,
            .policy = "",
            .cluster = "",
            .requested_by = "schedule",
            .request_id = "",
            .request = "{\"vault\":\"main\"}",
            .created_ms = then_ms,
            .started_ms = then_ms,
            .finished_ms = then_ms,
    };
    (void)snprintf(path, sizeof(path), "%s/state/journal.db", rig.dir);
    ASSERT_OK(tm_journal_open(path, &journal, &err), err);
    ASSERT_OK(tm_journal_put_job(journal, &row, &err), err);
    tm_journal_close(journal);
    daemon_up(&rig, one_policy); /* maintenance is @daily; of the vault `spare` nothing is known */
    UNTIL(&rig, jobs_of_kind(&rig, TM_JOB_RETENTION).count == 2);
    struct seen_jobs seen = jobs_of_kind(&rig, TM_JOB_RETENTION);
    ck_assert_str_eq(seen.who, "schedule");
    ck_assert_uint_eq(jobs_of_kind(&rig, TM_JOB_VERIFY).count, 0);
    daemon_down(&rig);
    rig_down(&rig);
}
END_TEST

START_TEST(a_vaults_offset_is_its_own_and_always_the_same)
{
    int64_t span_ms = 6 * 3600 * 1000;
    ck_assert_int_eq(tmd_upkeep_offset_ms("main", span_ms), tmd_upkeep_offset_ms("main", span_ms));
    ck_assert_int_ne(tmd_upkeep_offset_ms("main", span_ms), tmd_upkeep_offset_ms("two", span_ms));
    ck_assert_int_lt(tmd_upkeep_offset_ms("main", span_ms), span_ms);
    ck_assert_int_ge(tmd_upkeep_offset_ms("main", span_ms), 0);
    ck_assert_int_eq(tmd_upkeep_offset_ms("main", 0), 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("daemon_vault");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_mark_is_in_the_vault_and_a_stale_one_is_refused);
    tcase_add_test(tcase, a_held_point_is_not_deleted_and_one_that_is_not_held_is);
    tcase_add_test(tcase, a_deletion_that_is_taken_up_again_is_done_once);
    tcase_add_test(tcase, retention_removes_what_its_plan_said_and_keeps_what_is_held);
    tcase_add_test(tcase, one_job_of_a_vault_goes_on_at_a_time);
    tcase_add_test(tcase, points_say_what_keeps_them_and_are_found_by_tag_and_hold);
    tcase_add_test(tcase, a_scrub_finds_a_flipped_byte_and_the_vault_says_so);
    tcase_add_test(tcase, a_catalog_is_made_anew_while_nothing_else_uses_its_vault);
    tcase_add_test(tcase, a_planned_verification_comes_by_itself);
    tcase_add_test(tcase, retention_that_was_due_while_the_daemon_was_down_is_made_up_for);
    tcase_add_test(tcase, a_vaults_offset_is_its_own_and_always_the_same);
    tcase_add_test(tcase, vaults_are_counted_and_one_that_is_gone_is_down);
    return run_case(tcase, "daemon_vault");
}
