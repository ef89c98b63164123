/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of api: vaults, jobs of a vault, and recovery points changed by hand. */
#include "api_rig.h"

#define POINT_ID "rp_01K9ZQ4V6M3T8R2X7B5N1C0D9E"
#define POINT    "/v1/recovery-points/" POINT_ID

static struct rig *start(void)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    rig_start(rig, (struct tm_api_options){.kind = TM_API_SOCKET});
    rig->fake.point.point.row.ulid = rig_ulid(POINT_ID, "rp_");
    rig->fake.point.point.row.id = 1;
    rig->fake.point.vault = "main";
    rig->fake.vaults[0] = (struct tm_vault_view){.name = "main", .type = "disk", .where = "/srv/v"};
    rig->fake.vaults[1] = (struct tm_vault_view){.name = "two", .type = "disk", .where = "/srv/w"};
    return rig;
}

static void stop(struct rig *rig)
{
    rig_stop(rig);
    free(rig);
}

/* Vaults ----------------------------------------------------------------------------------- */

START_TEST(a_vault_shows_what_is_known_and_no_more)
{
    struct rig *rig = start();
    REPLY_OWN struct reply bare = {0};
    rig_ask(rig, (struct ask){.path = "/v1/vaults/two"}, &bare);
    ck_assert_str_eq(rig->fake.seen, "vaults two");

    rig->fake.vaults[0] = (struct tm_vault_view){
            .name = "main",
            .type = "disk",
            .where = "/srv/v",
            .opened = true,
            .up = true,
            .probed_ms = 1763854200000,
            .read = true,
            .vault_id = "00ff",
            .head = "7:abcd",
            .key = "0123456789abcdef",
            .write_only = true,
            .points = 3,
            .packs = 2,
            .stored_bytes = 3000,
            .source_bytes = INT64_C(9007199254740993),
            .capacity_bytes = 100,
            .free_bytes = 0,
            .findings = 1,
            .scrubbed_ms = 1763854200001,
    };
    REPLY_OWN struct reply full = {0};
    rig_ask(rig, (struct ask){.path = "/v1/vaults/main"}, &full);
    ck_assert_int_eq(full.status, 200);
    ck_assert_str_eq(full.body,
            "{\"name\":\"main\",\"type\":\"disk\",\"where\":\"/srv/v\",\"up\":true,"
            "\"probed_at\":\"2025-11-22T23:30:00.000Z\",\"vault_id\":\"00ff\","
            "\"key_fingerprint\":\"0123456789abcdef\",\"key_ring\":\"writer\",\"head\":\"7:abcd\","
            "\"recovery_points_count\":3,\"packs_count\":2,\"stored_bytes\":3000,"
            "\"source_bytes\":9007199254740993,\"reduction_ratio\":3002399751580.3306,"
            "\"findings_count\":1,\"scrubbed_at\":\"2025-11-22T23:30:00.001Z\","
            "\"capacity_bytes\":100,\"free_bytes\":0}\n");
    stop(rig);
}
END_TEST

START_TEST(all_vaults_are_listed_and_one_that_is_down_says_why)
{
    struct rig *rig = start();
    rig->fake.vaults[1].opened = true;
    rig->fake.vaults[1].why = "/srv/w: no such directory";
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, (struct ask){.path = "/v1/vaults"}, &reply);
    ck_assert_str_eq(rig->fake.seen, "vaults -");
    ck_assert_str_eq(reply.body,
            "{\"items\":[{\"name\":\"main\",\"type\":\"disk\",\"where\":\"/srv/v\"},"
            "{\"name\":\"two\",\"type\":\"disk\",\"where\":\"/srv/w\",\"up\":false,"
            "\"detail\":\"/srv/w: no such directory\"}]}\n");
    stop(rig);
}
END_TEST

START_TEST(a_probe_that_fails_is_a_problem_with_the_vaults_name)
{
    struct rig *rig = start();
    REPLY_OWN struct reply well = {0};
    rig_ask(rig, (struct ask){"POST", "/v1/vaults/main/probe", NULL, NULL}, &well);
    ck_assert_int_eq(well.status, 200);
    ck_assert_str_eq(str_at(&well, "name"), "main");
    ck_assert_int_eq(strncmp(rig->fake.seen, "probe main who=socket:uid=", 26), 0);

    struct tm_problem problem = {.status = 502,
            .slug = "vault-unreachable",
            .detail = "vault main: /srv/v: no such directory",
            .member = "vault",
            .value = "main"};
    rig->fake.problem = &problem;
    REPLY_OWN struct reply down = {0};
    rig_ask(rig, (struct ask){"POST", "/v1/vaults/main/probe", NULL, NULL}, &down);
    assert_problem(&down, 502, "vault-unreachable");
    ck_assert_str_eq(str_at(&down, "vault"), "main");

    REPLY_OWN struct reply wrong = {0};
    rig_ask(rig, (struct ask){"POST", "/v1/vaults/main/probe", NULL, "{\"x\":1}"}, &wrong);
    assert_problem(&wrong, 422, "invalid-request");
    stop(rig);
}
END_TEST

/* Jobs of a vault -------------------------------------------------------------------------- */

#define DIGEST "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* clang-format off */
static const struct {
    const char *path;
    const char *body;
    const char *seen; /* up to the caller */
} jobs[] = {
    {"/v1/retention/run", "{\"vault\":\"main\"}",
     "retention vault=main point=- depth=0 ratio=0 repair=0 budget=0 policies= merge=1 digest=- who="},
    {"/v1/retention/run", "{\"vault\":\"main\",\"policies\":[\"p\",\"q\"],\"merge\":false,\"plan_digest\":\"" DIGEST "\"}",
     "retention vault=main point=- depth=0 ratio=0 repair=0 budget=0 policies=p,q merge=0 digest=" DIGEST " who="},
    {"/v1/verifications", "{\"vault\":\"main\"}",
     "verify vault=main point=- depth=0 ratio=0.02 repair=0 budget=0 policies= merge=0 digest=- who="},
    {"/v1/verifications", "{\"vault\":\"main\",\"depth\":\"sample\",\"sample_ratio\":1,\"recovery_point\":\"" POINT_ID "\",\"repair\":true}",
     "verify vault=main point=" POINT_ID " depth=2 ratio=1 repair=1 budget=0 policies= merge=0 digest=- who="},
    {"/v1/vaults/main/import-catalog", NULL,
     "import vault=main point=- depth=0 ratio=0 repair=0 budget=0 policies= merge=0 digest=- who="},
};
static const struct {
    const char *path;
    const char *body;
    const char *pointer;
    const char *detail;
} wrong_jobs[] = {
    {"/v1/verifications", "{\"vault\":\"v\",\"depth\":\"deep\"}", "/depth", "\"deep\" is not one of them"},
    {"/v1/verifications", "{\"vault\":\"v\",\"depth\":\"sample\",\"sample_ratio\":0}", "/sample_ratio", "must be a number above 0 and at most 1"},
    {"/v1/verifications", "{\"vault\":\"v\",\"depth\":\"full\",\"sample_ratio\":0.5}", "/sample_ratio", "goes with \"depth\":\"sample\" only"},
    {"/v1/verifications", "{\"vault\":\"v\",\"depth\":\"scrub\",\"recovery_point\":\"" POINT_ID "\"}", "/recovery_point", "goes with \"depth\":\"sample\" or \"full\""},
    {"/v1/vaults/v/import-catalog", "{\"x\":1}", "/x", "unknown field"},
    {"/v1/retention/run",  "{}", "/vault", "is needed"},
    {"/v1/retention/plan", "{\"vault\":\"\"}", "/vault", "may not be empty"},
    {"/v1/retention/plan", "{\"vault\":\"v\",\"policies\":[]}", "/policies", "may not be empty; leave it out for all policies"},
    {"/v1/retention/plan", "{\"vault\":\"v\",\"merge\":1}", "/merge", "must be true or false"},
    {"/v1/retention/run",  "{\"vault\":\"v\",\"plan_digest\":\"x\"}", "/plan_digest",
     "must be \"sha256:\" and 64 hex digits, as a plan gave it"},
    {"/v1/retention/run",  "{\"vault\":\"v\",\"policy\":\"p\"}", "/policy", NULL},
};
/* clang-format on */

START_TEST(a_job_of_a_vault_hears_what_was_asked)
{
    struct rig *rig = start();
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, (struct ask){"POST", jobs[_i].path, NULL, jobs[_i].body}, &reply);
    ck_assert_int_eq(reply.status, 202);
    ck_assert_msg(strncmp(rig->fake.seen, jobs[_i].seen, strlen(jobs[_i].seen)) == 0, "%s",
            rig->fake.seen);
    stop(rig);
}
END_TEST

START_TEST(a_job_of_a_vault_that_is_asked_wrongly_is_refused)
{
    struct rig *rig = start();
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, (struct ask){"POST", wrong_jobs[_i].path, NULL, wrong_jobs[_i].body}, &reply);
    assert_problem(&reply, 422, "invalid-request");
    ck_assert_str_eq(str_at(&reply, "errors/0/pointer"), wrong_jobs[_i].pointer);
    if (wrong_jobs[_i].detail != NULL) {
        ck_assert_str_eq(str_at(&reply, "errors/0/detail"), wrong_jobs[_i].detail);
    }
    ck_assert_uint_eq(rig->fake.calls, 0);
    stop(rig);
}
END_TEST

START_TEST(a_plan_is_answered_as_it_is_and_a_run_of_another_is_refused)
{
    struct rig *rig = start();
    REPLY_OWN struct reply plan = {0};
    rig_ask(rig, (struct ask){"POST", "/v1/retention/plan", NULL, "{\"vault\":\"main\"}"}, &plan);
    ck_assert_int_eq(plan.status, 200);
    ck_assert_str_eq(plan.body, "{\"remove_count\":1}\n");
    ck_assert_str_eq(rig->fake.seen, "plan vault=main policies= merge=1");

    struct tm_problem changed = {.status = 412,
            .slug = "plan-changed",
            .detail = "what would be done has changed since the plan",
            .member = "current_plan_digest",
            .value = DIGEST};
    rig->fake.problem = &changed;
    REPLY_OWN struct reply run = {0};
    rig_ask(rig, (struct ask){"POST", "/v1/retention/run", NULL, "{\"vault\":\"main\"}"}, &run);
    assert_problem(&run, 412, "plan-changed");
    ck_assert_str_eq(str_at(&run, "current_plan_digest"), DIGEST);
    stop(rig);
}
END_TEST

/* Points by hand --------------------------------------------------------------------------- */

/* clang-format off */
static const struct {
    const char *body;
    const char *seen; /* up to the caller */
} patches[] = {
    {"{\"note\":\"n\"}", "note=n tags=(as they were) hold=0 until=0 reason= was=0"},
    {"{\"note\":null}",  "note= tags=(as they were) hold=0 until=0 reason= was=0"},
    {"{\"tags\":[\"b\",\"a\"]}", "note=(as it was) tags=b,a hold=0 until=0 reason= was=0"},
    {"{\"tags\":null}",  "note=(as it was) tags= hold=0 until=0 reason= was=0"},
    {"{\"hold\":{\"reason\":\"case 4711\"}}", "note=(as it was) tags=(as they were) hold=1 until=-1 reason=case 4711 was=0"},
    {"{\"hold\":{\"until\":\"2100-01-01T00:00:00Z\"}}", "note=(as it was) tags=(as they were) hold=1 until=4102444800000 reason= was=0"},
    {"{\"hold\":null}",  "note=(as it was) tags=(as they were) hold=1 until=0 reason= was=0"},
};
/* A point that is held until 2100-01-01 for "audit". */
static const struct {
    const char *body;
    const char *seen;
} merges[] = {
    {"{\"hold\":{\"reason\":\"x\"}}", "hold=1 until=4102444800000 reason=x was=4102444800000"},
    {"{\"hold\":{\"until\":null}}",   "hold=1 until=-1 reason=audit was=4102444800000"},
    {"{\"hold\":{\"reason\":null}}",  "hold=1 until=4102444800000 reason= was=4102444800000"},
    {"{\"note\":\"n\"}",              "hold=0 until=0 reason= was=4102444800000"},
};
static const struct {
    const char *body;
    const char *pointer;
    const char *detail;
} refused[] = {
    {"{}",                       "/note", "is needed, or tags or hold"},
    {"{\"note\":1}",             "/note", "must be a string"},
    {"{\"tags\":[\"\"]}",        "/tags/0", "may not be empty"},
    {"{\"tags\":[\"a\",\"a\"]}", "/tags", "\"a\" is given twice"},
    {"{\"hold\":[]}",            "/hold", "must be an object"},
    {"{\"hold\":{\"until\":1}}", "/hold/until", "must be a string"},
    {"{\"hold\":{\"until\":\"soon\"}}", "/hold/until", NULL},
    {"{\"hold\":{\"until\":\"-1h\"}}",  "/hold/until", "must be a time to come; null is without end"},
    {"{\"state\":\"x\"}",        "/state", "unknown field"},
};
/* clang-format on */

static void ask_patch(struct rig *rig, const char *headers, const char *body, struct reply *reply)
{
    rig_ask(rig, (struct ask){"PATCH", POINT, headers, body}, reply);
}

static void assert_patch(struct rig *rig, const char *body, const char *seen)
{
    REPLY_OWN struct reply reply = {0};
    char value[512];
    ask_patch(rig, "If-Match: *\r\n", body, &reply);
    ck_assert_msg(reply.status == 200, "%s: %d %s", body, reply.status, reply.body);
    ck_assert_msg(strstr(rig->fake.seen, seen) != NULL, "%s: %s", body, rig->fake.seen);
    ck_assert_ptr_nonnull(reply_header(&reply, "ETag", value));
}

START_TEST(a_patch_changes_what_it_names_and_null_removes)
{
    struct rig *rig = start();
    assert_patch(rig, patches[_i].body, patches[_i].seen);
    ck_assert_int_eq(strncmp(rig->fake.seen, "patch " POINT_ID " ", 36), 0);
    stop(rig);
}
END_TEST

START_TEST(a_patch_of_a_hold_keeps_what_it_does_not_name)
{
    struct rig *rig = start();
    rig->fake.point.point.mark.hold_until_ms = 4102444800000;
    rig->fake.point.point.mark.hold_reason = tm_slice_str("audit");
    assert_patch(rig, merges[_i].body, merges[_i].seen);
    stop(rig);
}
END_TEST

START_TEST(a_patch_that_is_wrong_is_refused_before_anything_is_asked)
{
    struct rig *rig = start();
    REPLY_OWN struct reply reply = {0};
    ask_patch(rig, "If-Match: *\r\n", refused[_i].body, &reply);
    assert_problem(&reply, 422, "invalid-request");
    ck_assert_str_eq(str_at(&reply, "errors/0/pointer"), refused[_i].pointer);
    if (refused[_i].detail != NULL) {
        ck_assert_str_eq(str_at(&reply, "errors/0/detail"), refused[_i].detail);
    }
    ck_assert_uint_eq(rig->fake.calls, 0);
    stop(rig);
}
END_TEST

START_TEST(a_patch_needs_the_version_that_it_changes)
{
    struct rig *rig = start();
    char etag[512];
    char header[600];
    REPLY_OWN struct reply without = {0};
    ask_patch(rig, NULL, "{\"note\":\"n\"}", &without);
    assert_problem(&without, 428, "precondition-required");
    ck_assert_str_eq(str_at(&without, "header"), "If-Match");
    ck_assert_uint_eq(rig->fake.calls, 0);

    REPLY_OWN struct reply point = {0};
    rig_ask(rig, (struct ask){.path = POINT}, &point);
    ck_assert_ptr_nonnull(reply_header(&point, "ETag", etag));
    (void)snprintf(header, sizeof(header), "If-Match: \"other\", %s\r\n", etag);
    REPLY_OWN struct reply fits = {0};
    ask_patch(rig, header, "{\"note\":\"n\"}", &fits);
    ck_assert_int_eq(fits.status, 200);

    REPLY_OWN struct reply stale = {0};
    ask_patch(rig, "If-Match: \"0011\"\r\n", "{\"note\":\"n\"}", &stale);
    assert_problem(&stale, 412, "precondition-failed");
    ck_assert_str_eq(str_at(&stale, "current_etag"), etag);
    ck_assert_int_eq(strncmp(rig->fake.seen, "point", 5), 0); /* nothing was changed */

    struct tm_problem raced = {.status = 412, .slug = "precondition-failed", .detail = "x"};
    rig->fake.patch_problem = &raced;
    REPLY_OWN struct reply lost = {0};
    ask_patch(rig, "If-Match: *\r\n", "{\"note\":\"n\"}", &lost);
    assert_problem(&lost, 412, "precondition-failed");
    stop(rig);
}
END_TEST

START_TEST(a_patch_may_be_sent_as_a_merge_patch_and_a_post_may_not)
{
    static const char type[] = "If-Match: *\r\nContent-Type: application/merge-patch+json\r\n";
    struct rig *rig = start();
    REPLY_OWN struct reply patch = {0};
    ask_patch(rig, type, "{\"note\":\"n\"}", &patch);
    ck_assert_int_eq(patch.status, 200);
    REPLY_OWN struct reply post = {0};
    rig_ask(rig, (struct ask){"POST", "/v1/backups", type, "{\"policy\":\"p\"}"}, &post);
    assert_problem(&post, 415, "unsupported-media-type");
    REPLY_OWN struct reply text = {0};
    ask_patch(rig, "If-Match: *\r\nContent-Type: text/plain\r\n", "{\"note\":\"n\"}", &text);
    assert_problem(&text, 415, "unsupported-media-type");
    stop(rig);
}
END_TEST

START_TEST(a_point_is_deleted_by_a_job_unless_it_is_held)
{
    struct rig *rig = start();
    char value[512];
    rig->fake.job.row.kind = TM_JOB_DELETE;
    rig->fake.job.row.request = "{\"vault\":\"main\",\"point\":\"" POINT_ID "\"}";
    REPLY_OWN struct reply reply = {0};
    rig_ask(rig, (struct ask){"DELETE", POINT, NULL, NULL}, &reply);
    ck_assert_int_eq(reply.status, 202);
    ck_assert_str_eq(reply_header(&reply, "Location", value), "/v1/jobs/" JOB_ID);
    ck_assert_str_eq(str_at(&reply, "kind"), "delete");
    ck_assert_str_eq(str_at(&reply, "vault"), "main");
    ck_assert_str_eq(str_at(&reply, "recovery_point"), POINT_ID);
    ck_assert_int_eq(strncmp(rig->fake.seen, "delete vault=- point=" POINT_ID " ", 51), 0);

    struct tm_problem held = {.status = 409,
            .slug = "point-held",
            .detail = "it is held",
            .member = "hold",
            .value = "audit"};
    rig->fake.problem = &held;
    REPLY_OWN struct reply refusal = {0};
    rig_ask(rig, (struct ask){"DELETE", POINT, NULL, NULL}, &refusal);
    assert_problem(&refusal, 409, "point-held");
    ck_assert_str_eq(str_at(&refusal, "hold"), "audit");

    REPLY_OWN struct reply latest = {0};
    rig_ask(rig, (struct ask){"DELETE", "/v1/recovery-points/latest", NULL, NULL}, &latest);
    assert_problem(&latest, 404, "not-found");
    stop(rig);
}
END_TEST

START_TEST(points_are_selected_by_tag_and_hold)
{
    struct rig *rig = start();
    REPLY_OWN struct reply all = {0};
    rig_ask(rig, (struct ask){.path = "/v1/recovery-points"}, &all);
    ck_assert_str_eq(rig->fake.tag, "-");
    ck_assert_int_eq(rig->fake.held, -1);
    REPLY_OWN struct reply held = {0};
    rig_ask(rig, (struct ask){.path = "/v1/recovery-points?tag=release-4.2&held=true"}, &held);
    ck_assert_int_eq(held.status, 200);
    ck_assert_str_eq(rig->fake.tag, "release-4.2");
    ck_assert_int_eq(rig->fake.held, 1);
    REPLY_OWN struct reply rest = {0};
    rig_ask(rig, (struct ask){.path = "/v1/recovery-points?held=false"}, &rest);
    ck_assert_int_eq(rig->fake.held, 0);
    REPLY_OWN struct reply wrong = {0};
    rig_ask(rig, (struct ask){.path = "/v1/recovery-points?held=yes"}, &wrong);
    assert_problem(&wrong, 422, "invalid-request");
    stop(rig);
}
END_TEST

START_TEST(what_keeps_a_point_is_told_and_is_no_change_of_it)
{
    struct rig *rig = start();
    char first[512];
    char second[512];
    REPLY_OWN struct reply unknown = {0};
    rig_ask(rig, (struct ask){.path = POINT}, &unknown);
    ck_assert_ptr_null(json_at(unknown.json, "kept_by"));
    ck_assert_ptr_nonnull(reply_header(&unknown, "ETag", first));
    rig->fake.point.kept_by = TM_GFS_KEEP_DAILY | TM_GFS_HELD;
    REPLY_OWN struct reply kept = {0};
    rig_ask(rig, (struct ask){.path = POINT}, &kept);
    ck_assert_str_eq(str_at(&kept, "kept_by/0"), "keep_daily");
    ck_assert_str_eq(str_at(&kept, "kept_by/1"), "held");
    ck_assert_ptr_nonnull(reply_header(&kept, "ETag", second));
    ck_assert_str_eq(first, second);
    rig->fake.point.kept_by = TM_POINT_GOES;
    REPLY_OWN struct reply goes = {0};
    rig_ask(rig, (struct ask){.path = POINT}, &goes);
    ck_assert_uint_eq(json_at(goes.json, "kept_by")->count, 0);
    stop(rig);
}
END_TEST

START_TEST(a_backup_may_be_held)
{
    struct rig *rig = start();
    REPLY_OWN struct reply ended = {0};
    rig_ask(rig,
            (struct ask){"POST", "/v1/backups", NULL,
                    "{\"policy\":\"p\",\"hold\":{\"until\":\"2100-01-01T00:00:00Z\"}}"},
            &ended);
    ck_assert_int_eq(rig->fake.hold_until_ms, 4102444800000);
    REPLY_OWN struct reply endless = {0};
    rig_ask(rig, (struct ask){"POST", "/v1/backups", NULL, "{\"policy\":\"p\",\"hold\":{}}"},
            &endless);
    ck_assert_int_eq(rig->fake.hold_until_ms, -1);
    REPLY_OWN struct reply none = {0};
    rig_ask(rig, (struct ask){"POST", "/v1/backups", NULL, "{\"policy\":\"p\"}"}, &none);
    ck_assert_int_eq(rig->fake.hold_until_ms, 0);
    stop(rig);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("api_vaults");
    tcase_add_test(tcase, a_vault_shows_what_is_known_and_no_more);
    tcase_add_test(tcase, all_vaults_are_listed_and_one_that_is_down_says_why);
    tcase_add_test(tcase, a_probe_that_fails_is_a_problem_with_the_vaults_name);
    tcase_add_loop_test(tcase, a_job_of_a_vault_hears_what_was_asked, 0, (int)LENGTH(jobs));
    tcase_add_loop_test(
            tcase, a_job_of_a_vault_that_is_asked_wrongly_is_refused, 0, (int)LENGTH(wrong_jobs));
    tcase_add_test(tcase, a_plan_is_answered_as_it_is_and_a_run_of_another_is_refused);
    tcase_add_loop_test(
            tcase, a_patch_changes_what_it_names_and_null_removes, 0, (int)LENGTH(patches));
    tcase_add_loop_test(
            tcase, a_patch_of_a_hold_keeps_what_it_does_not_name, 0, (int)LENGTH(merges));
    tcase_add_loop_test(tcase, a_patch_that_is_wrong_is_refused_before_anything_is_asked, 0,
            (int)LENGTH(refused));
    tcase_add_test(tcase, a_patch_needs_the_version_that_it_changes);
    tcase_add_test(tcase, a_patch_may_be_sent_as_a_merge_patch_and_a_post_may_not);
    tcase_add_test(tcase, a_point_is_deleted_by_a_job_unless_it_is_held);
    tcase_add_test(tcase, points_are_selected_by_tag_and_hold);
    tcase_add_test(tcase, what_keeps_a_point_is_told_and_is_no_change_of_it);
    tcase_add_test(tcase, a_backup_may_be_held);
    return rig_main(tcase, "api_vaults");
}
