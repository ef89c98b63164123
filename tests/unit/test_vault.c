/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/vault: making, opening and following a vault, and refusing a damaged one. */
#include "vault/vault.h"

#include "base/fs.h"
#include "base/hash.h"
#include "fold_double.h"
#include "vault_rig.h"

static struct vault_rig rig;

static void setup(void)
{
    rig_make(&rig);
}

static void teardown(void)
{
    rig_drop(&rig);
}

/* An entry that changes nothing but one param. */
static enum tm_code build_param(void *arg, struct tm_edits *out, struct tm_err *err)
{
    (void)err;
    const char *const *value = arg;
    *tm_vec_push(&out->params) = (struct tm_row_param){tm_slice_str("x"), tm_slice_str(*value)};
    return TM_OK;
}

static void commit_param(struct tm_vault *vault, struct fold_double *fold, const char *value)
{
    struct tm_fold table = fold_double_of(fold);
    ck_assert_tm_ok(tm_vault_commit(vault, &table, build_param, &value, NULL, &err));
}

/* A vault with log/0 .. log/<entries>. */
static void make_log(int entries)
{
    rig_init_vault(rig.store);
    TM_OWN(tm_vault_close) struct tm_vault *vault = rig_open_vault(rig.store);
    struct fold_double fold = {.state.empty = true};
    for (int i = 0; i < entries; i++) {
        commit_param(vault, &fold, "1");
    }
    fold_double_clear(&fold);
}

static enum tm_code refresh(struct tm_vault *vault, struct fold_double *fold, struct tm_err *err)
{
    struct tm_fold table = fold_double_of(fold);
    return tm_vault_refresh(vault, &table, err);
}

struct names {
    char at[64][TM_OBJECT_NAME_MAX];
    size_t count;
};

static enum tm_code add_name(
        void *arg, const char *name, const struct tm_object_info *info, struct tm_err *err)
{
    (void)info;
    (void)err;
    struct names *names = arg;
    ck_assert_uint_lt(names->count, LENGTH(names->at));
    (void)snprintf(names->at[names->count++], TM_OBJECT_NAME_MAX, "%s", name);
    return TM_OK;
}

static struct names list(const char *prefix)
{
    struct names names = {0};
    ck_assert_tm_ok(tm_store_list(rig.store, prefix, add_name, &names, &err));
    return names;
}

/* "<where the store is>: " and the parts make the message. */
static void expect_message(
        const struct tm_err *err, const char *first, const char *second, const char *third)
{
    char text[TM_ERR_MSG_MAX];
    (void)snprintf(text, sizeof(text), "%s: %s%s%s", rig.store->where, first, second, third);
    ck_assert_str_eq(err->msg, text);
}

/* Init and open ---------------------------------------------------------------------------- */

START_TEST(a_new_vault_holds_its_params_and_nothing_else)
{
    bool exists = true;
    ck_assert_tm_ok(tm_vault_exists(rig.store, &exists, &err));
    ck_assert(!exists);
    rig_init_vault(rig.store);
    ck_assert_tm_ok(tm_vault_exists(rig.store, &exists, &err));
    ck_assert(exists);

    TM_OWN(tm_vault_close) struct tm_vault *vault = rig_open_vault(rig.store);
    ck_assert_str_eq(tm_vault_writer(vault), "host/test");
    ck_assert_ptr_eq(tm_vault_store(vault), rig.store);
    ck_assert(tm_ring_can_read(tm_vault_ring(vault)));

    static const char *const expected[][2] = {
            {"block.max", "4194304"},
            {"block.mean", "891290"},
            {"block.min", "262144"},
            {"pack.target", "67108864"},
            {"solo.min", "65536"},
    };
    struct fold_double fold = {.state.empty = true};
    ck_assert_tm_ok(refresh(vault, &fold, &err));
    ck_assert_uint_eq(fold.params.count, LENGTH(expected));
    for (size_t i = 0; i < LENGTH(expected); i++) {
        ck_assert(tm_slice_is(fold.params.at[i].name, expected[i][0]));
        ck_assert(tm_slice_is(fold.params.at[i].value, expected[i][1]));
    }
    ck_assert_uint_eq(fold.state.head.seq, 0);
    ck_assert(tm_id16_eq(&fold.state.vault_id, tm_vault_id(vault)));
    ck_assert_uint_eq(list("").count, 2); /* a slot and log/0; the probe has left nothing */
    fold_double_clear(&fold);
}
END_TEST

START_TEST(a_passphrase_opens_its_vault_and_another_does_not)
{
    struct tm_secret right = {TM_SECRET_PASSPHRASE, tm_slice_str("correct horse")};
    struct tm_vault_params params = {.blocks = tm_block_params_default, .light_kdf = true};
    ck_assert_tm_ok(tm_vault_init(rig.store, &right, &params, &err));
    struct tm_vault *vault = NULL;
    ck_assert_tm_ok(tm_vault_open(rig.store, &right, "w", &vault, &err));
    tm_vault_close(vault);

    struct tm_secret wrong = {TM_SECRET_PASSPHRASE, tm_slice_str("correct house")};
    vault = NULL;
    struct tm_err err = {0};
    ck_assert_int_eq(tm_vault_open(rig.store, &wrong, "w", &vault, &err), TM_E_KEY);
    ck_assert_ptr_null(vault);
    expect_message(&err, "no key slot opens, 1 tried: ", list("key/").at[0],
            ": key slot: the passphrase does not open it");
}
END_TEST

START_TEST(a_wrong_key_file_is_refused_with_the_number_of_slots)
{
    rig_init_vault(rig.store);
    const uint8_t other[TM_KEY_FILE_BYTES] = {9};
    struct tm_secret wrong = {TM_SECRET_KEY_FILE, {other, sizeof(other)}};
    struct tm_vault *vault = NULL;
    struct tm_err err = {0};
    ck_assert_int_eq(tm_vault_open(rig.store, &wrong, "w", &vault, &err), TM_E_KEY);
    expect_message(&err, "no key slot opens, 1 tried: ", list("key/").at[0],
            ": key slot: the key file does not open it; fingerprint of the key file given: "
            "915a1442833bc2df");
}
END_TEST

START_TEST(where_no_log_is_there_is_no_vault)
{
    struct tm_secret secret = rig_secret();
    struct tm_vault *vault = NULL;
    struct tm_err err = {0};
    ck_assert_int_eq(tm_vault_open(rig.store, &secret, "w", &vault, &err), TM_E_MISSING);
    expect_message(&err, "there is no vault", "", "");
}
END_TEST

START_TEST(a_vault_is_never_made_over_another)
{
    rig_init_vault(rig.store);
    struct tm_secret secret = rig_secret();
    struct tm_vault_params params = {.blocks = tm_block_params_default};
    struct tm_err once = {0};
    ck_assert_int_eq(tm_vault_init(rig.store, &secret, &params, &once), TM_E_EXISTS);
    expect_message(&once, "there is a vault already", "", "");

    /* A vault whose log GC has removed log/0 is one too. */
    TM_OWN(tm_vault_close) struct tm_vault *vault = rig_open_vault(rig.store);
    struct fold_double fold = {.state.empty = true};
    commit_param(vault, &fold, "1");
    ck_assert_tm_ok(tm_store_remove(rig.store, "log/0000000000000000", &err));
    struct tm_err again = {0};
    ck_assert_int_eq(tm_vault_init(rig.store, &secret, &params, &again), TM_E_EXISTS);
    fold_double_clear(&fold);
}
END_TEST

/* Faults at the creates of one kind of object. */
struct create_faults {
    const char *prefix;
    enum tm_store_fault fault;
    int times; /* -1: each time */
};

static enum tm_store_fault fail_create(
        void *arg, enum tm_store_op op, const char *name, uint64_t count)
{
    (void)count;
    struct create_faults *faults = arg;
    if (op != TM_OP_CREATE || strncmp(name, faults->prefix, strlen(faults->prefix)) != 0 ||
            faults->times == 0) {
        return TM_FAULT_NONE;
    }
    faults->times -= faults->times > 0 ? 1 : 0;
    return faults->fault;
}

START_TEST(init_runs_again_after_a_crash_between_slot_and_log)
{
    struct create_faults faults = {"log/", TM_FAULT_FULL, -1};
    TM_OWN(tm_store_free)
    struct tm_store *failing = tm_store_fault_new(rig_open_store(rig.dir), fail_create, &faults);
    struct tm_secret secret = rig_secret();
    struct tm_vault_params params = {.blocks = tm_block_params_default};
    struct tm_err err = {0};
    ck_assert_int_eq(tm_vault_init(failing, &secret, &params, &err), TM_E_FULL);
    ck_assert_uint_eq(list("key/").count, 1);

    /* Whichever name comes first: the slot that was left over is passed by. */
    rig_init_vault(rig.store);
    ck_assert_uint_eq(list("key/").count, 2);
    tm_vault_close(rig_open_vault(rig.store));
}
END_TEST

START_TEST(init_finds_its_own_objects_behind_lost_answers)
{
    struct create_faults faults = {"", TM_FAULT_LOST_ACK, 0};
    faults.prefix = _i == 0 ? "key/" : "log/";
    faults.times = 1;
    TM_OWN(tm_store_free)
    struct tm_store *failing = tm_store_fault_new(rig_open_store(rig.dir), fail_create, &faults);
    rig_init_vault(failing);
    ck_assert_int_eq(faults.times, 0);
    ck_assert_uint_eq(list("key/").count, 1);
    tm_vault_close(rig_open_vault(rig.store));
}
END_TEST

static enum tm_store_fault init_meanwhile(
        void *arg, enum tm_store_op op, const char *name, uint64_t count)
{
    (void)arg;
    (void)count;
    if (op == TM_OP_CREATE && strncmp(name, "log/", 4) == 0) {
        rig_init_vault(rig.store);
    }
    return TM_FAULT_NONE;
}

START_TEST(of_two_inits_at_once_one_makes_the_vault)
{
    TM_OWN(tm_store_free)
    struct tm_store *late = tm_store_fault_new(rig_open_store(rig.dir), init_meanwhile, NULL);
    struct tm_secret secret = rig_secret();
    struct tm_vault_params params = {.blocks = tm_block_params_default};
    struct tm_err err = {0};
    ck_assert_int_eq(tm_vault_init(late, &secret, &params, &err), TM_E_EXISTS);
    ck_assert_uint_eq(list("key/").count, 1); /* the loser took its slot away */
    tm_vault_close(rig_open_vault(rig.store));
}
END_TEST

/* Slots of another vault, in name order before any that is made by chance. */
static void add_foreign_slots(int count)
{
    TM_OWN(tm_ring_free) struct tm_ring *ring = tm_ring_new(0);
    struct tm_id16 id = {{7}};
    struct tm_secret secret = rig_secret();
    TM_BUF_OWN struct tm_buf slot = {0};
    ck_assert_tm_ok(tm_slot_encode(ring, &id, &secret, false, true, &slot, &err));
    for (int i = 0; i < count; i++) {
        char name[TM_OBJECT_NAME_MAX];
        (void)snprintf(name, sizeof(name), "key/%016x", i);
        ck_assert_tm_ok(tm_store_create(rig.store, name, tm_buf_slice(&slot), &err));
    }
}

START_TEST(slots_of_another_vault_are_rubbish)
{
    rig_init_vault(rig.store);
    add_foreign_slots(3);
    rig_write(&rig, "key/0000000000000003", "not a slot", 10);
    rig_write(&rig, "key/README", "not a slot's name", 17);
    tm_vault_close(rig_open_vault(rig.store));
}
END_TEST

START_TEST(at_most_32_slots_are_tried)
{
    rig_init_vault(rig.store);
    add_foreign_slots(32);
    struct tm_secret secret = rig_secret();
    struct tm_vault *vault = NULL;
    struct tm_err err = {0};
    ck_assert_int_eq(tm_vault_open(rig.store, &secret, "w", &vault, &err), TM_E_CORRUPT);
    expect_message(&err, "no key slot opens, 32 tried: ", "key/000000000000001f",
            ": slot of another vault than that of log/");
}
END_TEST

static enum tm_store_fault fail_slots(
        void *arg, enum tm_store_op op, const char *name, uint64_t count)
{
    (void)arg;
    (void)count;
    return op == TM_OP_GET && strncmp(name, "key/", 4) == 0 ? TM_FAULT_IO : TM_FAULT_NONE;
}

START_TEST(a_slot_that_cannot_be_read_is_not_a_wrong_key)
{
    rig_init_vault(rig.store);
    TM_OWN(tm_store_free)
    struct tm_store *failing = tm_store_fault_new(rig_open_store(rig.dir), fail_slots, NULL);
    struct tm_secret secret = rig_secret();
    struct tm_vault *vault = NULL;
    struct tm_err err = {0};
    ck_assert_int_eq(tm_vault_open(failing, &secret, "w", &vault, &err), TM_E_IO);
}
END_TEST

/* Following the log ------------------------------------------------------------------------ */

START_TEST(refresh_folds_what_others_committed)
{
    rig_init_vault(rig.store);
    TM_OWN(tm_vault_close) struct tm_vault *writer = rig_open_vault(rig.store);
    TM_OWN(tm_vault_close) struct tm_vault *reader = rig_open_vault(rig.store);
    struct fold_double ours = {.state.empty = true};
    struct fold_double theirs = {.state.empty = true};
    for (int i = 1; i <= 5; i++) {
        commit_param(writer, &ours, "1");
        ck_assert_tm_ok(refresh(reader, &theirs, &err));
        ck_assert_uint_eq(theirs.state.head.seq, (uint64_t)i);
        ck_assert(tm_hash_eq(&theirs.state.head.hash, &ours.state.head.hash));
    }
    ck_assert_int_eq(theirs.applied, 6);
    ck_assert_tm_ok(refresh(reader, &theirs, &err));
    ck_assert_int_eq(theirs.applied, 6);
    fold_double_clear(&ours);
    fold_double_clear(&theirs);
}
END_TEST

START_TEST(an_empty_fold_starts_at_the_newest_full)
{
    make_log(3);
    TM_OWN(tm_vault_close) struct tm_vault *vault = rig_open_vault(rig.store);
    struct fold_double fold = {.state.empty = true};
    ck_assert_tm_ok(refresh(vault, &fold, &err));
    struct tm_fold table = fold_double_of(&fold);
    ck_assert_tm_ok(tm_log_write_full(vault, &table, &err)); /* log/4 */
    commit_param(vault, &fold, "2");
    ck_assert_uint_eq(fold.state.full_seq, 4);
    ck_assert_tm_ok(tm_store_remove(rig.store, "log/0000000000000000", &err));

    struct fold_double fresh = {.state.empty = true};
    ck_assert_tm_ok(refresh(vault, &fresh, &err));
    ck_assert_int_eq(fresh.applied, 2);
    ck_assert_uint_eq(fresh.state.head.seq, 5);
    ck_assert_uint_eq(fresh.state.full_seq, 4);
    ck_assert_uint_eq(fresh.params.count, fold.params.count);
    fold_double_clear(&fold);
    fold_double_clear(&fresh);
}
END_TEST

START_TEST(a_fold_that_log_gc_has_passed_is_folded_anew)
{
    make_log(3);
    TM_OWN(tm_vault_close) struct tm_vault *vault = rig_open_vault(rig.store);
    struct fold_double stale = {.state.empty = true};
    ck_assert_tm_ok(refresh(vault, &stale, &err));
    struct fold_double fold = {.state.empty = true};
    ck_assert_tm_ok(refresh(vault, &fold, &err));
    struct tm_fold table = fold_double_of(&fold);
    ck_assert_tm_ok(tm_log_write_full(vault, &table, &err)); /* log/4 */
    for (int i = 0; i < 4; i++) {
        char name[TM_OBJECT_NAME_MAX];
        tm_log_name((uint64_t)i, name);
        ck_assert_tm_ok(tm_store_remove(rig.store, name, &err));
    }

    TM_OWN(tm_vault_close) struct tm_vault *later = rig_open_vault(rig.store);
    ck_assert_tm_ok(refresh(later, &stale, &err));
    ck_assert_int_eq(stale.resets, 1);
    ck_assert_uint_eq(stale.state.head.seq, 4);
    fold_double_clear(&stale);
    fold_double_clear(&fold);
}
END_TEST

/* What the store may have become since log/0 .. log/3 were folded. */
enum change { CUT_OFF, REPLACED, OTHER_VAULT, LOG_GONE, DAMAGED };
static const struct {
    enum change change;
    const char *message;
} changes[] = {
        {CUT_OFF, "log/0000000000000003: the log was rolled back or replaced: the entry folded "
                  "before is newer than all in the store"},
        {REPLACED, "log/0000000000000003: the log was rolled back or replaced: the entry folded "
                   "before is not the one in the store"},
        {OTHER_VAULT, "the log was replaced: another vault's was folded before"}, {LOG_GONE, NULL},
        {DAMAGED, "log/0000000000000003: log entry"}, /* and not: rolled back */
};

static void change_store(enum change change)
{
    struct names names = list(change == OTHER_VAULT ? "" : "log/");
    for (size_t i = 0; i < names.count; i++) {
        bool newest = strcmp(names.at[i], "log/0000000000000003") == 0;
        if ((newest && change != DAMAGED) || change == OTHER_VAULT || change == LOG_GONE) {
            ck_assert_tm_ok(tm_store_remove(rig.store, names.at[i], &err));
        }
    }
    if (change == DAMAGED) {
        TM_BUF_OWN struct tm_buf bytes = {0};
        ck_assert_tm_ok(tm_store_get(rig.store, "log/0000000000000003", 1 << 20, &bytes, &err));
        bytes.at[bytes.len - 1] ^= 1;
        rig_write(&rig, "log/0000000000000003", bytes.at, bytes.len);
    } else if (change == REPLACED) {
        TM_OWN(tm_vault_close) struct tm_vault *vault = rig_open_vault(rig.store);
        struct fold_double fold = {.state.empty = true};
        commit_param(vault, &fold, "other");
        fold_double_clear(&fold);
    } else if (change == OTHER_VAULT) {
        make_log(5);
    }
}

START_TEST(a_log_that_contradicts_the_fold_is_refused)
{
    make_log(3);
    struct tm_vault *vault = rig_open_vault(rig.store);
    struct fold_double fold = {.state.empty = true};
    ck_assert_tm_ok(refresh(vault, &fold, &err));
    tm_vault_close(vault);

    change_store(changes[_i].change);
    struct tm_secret secret = rig_secret();
    vault = NULL;
    struct tm_err err = {0};
    enum tm_code code = tm_vault_open(rig.store, &secret, "w", &vault, &err);
    if (changes[_i].change == LOG_GONE) {
        ck_assert_int_eq(code, TM_E_MISSING);
    } else {
        bool damaged = changes[_i].change == DAMAGED;
        code = code == TM_OK ? refresh(vault, &fold, &err) : code;
        ck_assert_int_eq(code, damaged ? TM_E_CORRUPT : TM_E_ROLLED_BACK);
        ck_assert_ptr_nonnull(strstr(err.msg, changes[_i].message));
    }
    ck_assert_uint_eq(fold.state.head.seq, 3);
    ck_assert_int_eq(fold.resets, 0);
    ck_assert_int_eq(fold.applied, 4);
    tm_vault_close(vault);
    fold_double_clear(&fold);
}
END_TEST

/* The same under a vault that stays open, and takes the head that it folded last on trust. */
START_TEST(a_fork_is_told_from_a_wrong_entry_while_the_vault_is_open)
{
    make_log(3);
    TM_OWN(tm_vault_close) struct tm_vault *vault = rig_open_vault(rig.store);
    struct fold_double fold = {.state.empty = true};
    ck_assert_tm_ok(refresh(vault, &fold, &err));
    change_store(REPLACED); /* another log/3, */
    TM_OWN(tm_vault_close) struct tm_vault *other = rig_open_vault(rig.store);
    struct fold_double forked = {.state.empty = true};
    commit_param(other, &forked, "more"); /* and what follows it */

    struct tm_err err = {0};
    ck_assert_int_eq(refresh(vault, &fold, &err), TM_E_ROLLED_BACK);
    ck_assert_str_eq(err.msg, changes[1].message);
    ck_assert_uint_eq(fold.state.head.seq, 3);
    ck_assert_int_eq(fold.resets, 0);
    fold_double_clear(&fold);
    fold_double_clear(&forked);
}
END_TEST

/* Heads known from elsewhere: log/1 and log/2 are there, log/0 was removed. */
static const struct {
    int seq;
    bool other_hash;
    const char *message; /* NULL: as expected */
} heads[] = {
        {2, false, NULL},
        {1, false, NULL},
        {0, true, NULL}, /* cannot be compared any more */
        {2, true,
                "log/0000000000000002: the log was rolled back or replaced: the entry that is "
                "expected is not the one in the store"},
        {1, true,
                "log/0000000000000001: the log was rolled back or replaced: the entry that is "
                "expected is not the one in the store"},
        {3, false,
                "log/0000000000000003: the log was rolled back or replaced: the entry that is "
                "expected is newer than all in the store"},
};

START_TEST(a_head_known_from_elsewhere_must_be_in_the_log)
{
    make_log(3);
    struct tm_hash hashes[4];
    for (int i = 0; i < 4; i++) {
        TM_BUF_OWN struct tm_buf bytes = {0};
        char name[TM_OBJECT_NAME_MAX];
        tm_log_name((uint64_t)i, name);
        ck_assert_tm_ok(tm_store_get(rig.store, name, 1 << 20, &bytes, &err));
        hashes[i] = tm_sha256_of(tm_buf_slice(&bytes));
    }
    ck_assert_tm_ok(tm_store_remove(rig.store, "log/0000000000000000", &err));
    ck_assert_tm_ok(tm_store_remove(rig.store, "log/0000000000000003", &err));

    struct tm_head head = {(uint64_t)heads[_i].seq, hashes[heads[_i].seq]};
    head.hash.bytes[31] ^= heads[_i].other_hash ? 1 : 0;
    struct tm_err err = {0};
    enum tm_code code = tm_vault_expect_head(rig.store, &head, &err);
    ck_assert_int_eq(code, heads[_i].message == NULL ? TM_OK : TM_E_ROLLED_BACK);
    if (heads[_i].message != NULL) {
        ck_assert_str_eq(err.msg, heads[_i].message);
    }
}
END_TEST

START_TEST(a_head_is_written_and_read)
{
    struct tm_head head = {.seq = 1234567, .hash = {{0xab, 1}}};
    struct tm_head read = {0};
    char text[TM_HEAD_TEXT_MAX];
    ck_assert_str_eq(tm_head_format(&head, text), "1234567:ab01000000000000000000000000000000000000"
                                                  "000000000000000000000000");
    ck_assert_tm_ok(tm_head_parse(text, &read, &err));
    ck_assert_uint_eq(read.seq, head.seq);
    ck_assert(tm_hash_eq(&read.hash, &head.hash));

    static const char *const bad[] = {"", "7", ":", "7:", "7:ab", "x:", "-1:", "07:", "7: "};
    for (size_t i = 0; i < LENGTH(bad) * 2; i++) {
        char wrong[2 * TM_HEAD_TEXT_MAX]; /* alone, and with a good hash behind it */
        (void)snprintf(wrong, sizeof(wrong), "%s%s", bad[i / 2], i % 2 == 0 ? "" : text + 8);
        if (strcmp(bad[i / 2], "7:") == 0 && i % 2 == 1) {
            continue;
        }
        struct tm_err err = {0};
        ck_assert_msg(tm_head_parse(wrong, &read, &err) == TM_E_USAGE, "\"%s\"", wrong);
    }
    ck_assert_uint_eq(read.seq, head.seq);
}
END_TEST

START_TEST(a_missing_entry_is_not_the_end_of_the_log)
{
    make_log(4);
    ck_assert_tm_ok(tm_store_remove(rig.store, "log/0000000000000002", &err));
    TM_OWN(tm_vault_close) struct tm_vault *vault = rig_open_vault(rig.store);
    struct fold_double fold = {.state.empty = true};
    struct tm_err err = {0};
    ck_assert_int_eq(refresh(vault, &fold, &err), TM_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.msg, "log/0000000000000002"));
    ck_assert_ptr_nonnull(strstr(err.msg, "; later entries are there"));
    ck_assert_uint_eq(fold.state.head.seq, 1); /* as far as it came */
    fold_double_clear(&fold);
}
END_TEST

/* Two vaults' worth of honest entries, one of them in another's place. */
START_TEST(an_entry_that_does_not_follow_breaks_the_chain)
{
    make_log(2);
    TM_BUF_OWN struct tm_buf kept = {0};
    ck_assert_tm_ok(tm_store_get(rig.store, "log/0000000000000002", 1 << 20, &kept, &err));
    ck_assert_tm_ok(tm_store_remove(rig.store, "log/0000000000000002", &err));
    ck_assert_tm_ok(tm_store_remove(rig.store, "log/0000000000000001", &err));
    TM_OWN(tm_vault_close) struct tm_vault *vault = rig_open_vault(rig.store);
    struct fold_double fold = {.state.empty = true};
    commit_param(vault, &fold, "other"); /* another log/1 */
    ck_assert_tm_ok(tm_store_create(rig.store, "log/0000000000000002", tm_buf_slice(&kept), &err));

    struct tm_err err = {0};
    ck_assert_int_eq(refresh(vault, &fold, &err), TM_E_CORRUPT);
    ck_assert_str_eq(err.msg, "log/0000000000000002: chain broken, it does not follow the "
                              "log/0000000000000001 folded");
    fold_double_clear(&fold);
}
END_TEST

/* Damage ----------------------------------------------------------------------------------- */

/* Open and fold from nothing: TM_OK only if all of it works. */
static enum tm_code open_and_fold(struct tm_err *err)
{
    struct tm_secret secret = rig_secret();
    TM_OWN(tm_vault_close) struct tm_vault *vault = NULL;
    enum tm_code code = tm_vault_open(rig.store, &secret, "w", &vault, err);
    if (code == TM_OK) {
        struct fold_double fold = {.state.empty = true};
        code = refresh(vault, &fold, err);
        fold_double_clear(&fold);
    }
    return code;
}

START_TEST(every_flipped_byte_of_slot_and_log_is_found_and_named)
{
    make_log(2);
    struct names names = list("");
    ck_assert_uint_eq(names.count, 4);
    for (size_t n = 0; n < names.count; n++) {
        TM_BUF_OWN struct tm_buf bytes = {0};
        ck_assert_tm_ok(tm_store_get(rig.store, names.at[n], 1 << 20, &bytes, &err));
        for (size_t i = 0; i < bytes.len; i++) {
            bytes.at[i] ^= (uint8_t)(1U << (i % 8));
            rig_write(&rig, names.at[n], bytes.at, bytes.len);
            struct tm_err err = {0};
            ck_assert_msg(open_and_fold(&err) != TM_OK, "%s, byte %zu", names.at[n], i);
            ck_assert_msg(strstr(err.msg, names.at[n]) != NULL, "%s, byte %zu: %s", names.at[n], i,
                    err.msg);
            bytes.at[i] ^= (uint8_t)(1U << (i % 8));
        }
        rig_write(&rig, names.at[n], bytes.at, bytes.len - 1);
        struct tm_err cut = {0};
        ck_assert_int_eq(open_and_fold(&cut), TM_E_CORRUPT);
        ck_assert_msg(strstr(cut.msg, names.at[n]) != NULL, "%s cut: %s", names.at[n], cut.msg);
        rig_write(&rig, names.at[n], bytes.at, bytes.len);
    }
    ck_assert_tm_ok(open_and_fold(&err));
}
END_TEST

static const struct {
    const char *name;
    bool is_log;
    uint64_t number;
} log_names[] = {
        {"log/0000000000000000", true, 0},
        {"log/00000000000000ff", true, 255},
        {"log/ffffffffffffffff", true, UINT64_MAX},
        {"log/00000000000000FF", false, 0},
        {"log/00000000000000f", false, 0},
        {"log/00000000000000fff", false, 0},
        {"log/", false, 0},
        {"log", false, 0},
        {"key/0000000000000000", false, 0},
        {"log/000000000000000g", false, 0},
};

START_TEST(only_names_of_the_format_are_entries)
{
    uint64_t number = 7;
    ck_assert_int_eq(tm_log_parse_name(log_names[_i].name, "log", &number), log_names[_i].is_log);
    ck_assert_uint_eq(number, log_names[_i].is_log ? log_names[_i].number : 7);
    if (log_names[_i].is_log) {
        char name[TM_OBJECT_NAME_MAX];
        tm_log_name(number, name);
        ck_assert_str_eq(name, log_names[_i].name);
    }
}
END_TEST

START_TEST(a_pack_is_named_by_its_hash)
{
    struct tm_hash hash = {{0xab, 0xcd}};
    char name[TM_OBJECT_NAME_MAX];
    tm_pack_name(&hash, name);
    ck_assert_str_eq(
            name, "pack/ab/abcd000000000000000000000000000000000000000000000000000000000000");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("vault");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_new_vault_holds_its_params_and_nothing_else);
    tcase_add_test(tcase, a_passphrase_opens_its_vault_and_another_does_not);
    tcase_add_test(tcase, a_wrong_key_file_is_refused_with_the_number_of_slots);
    tcase_add_test(tcase, where_no_log_is_there_is_no_vault);
    tcase_add_test(tcase, a_vault_is_never_made_over_another);
    tcase_add_test(tcase, init_runs_again_after_a_crash_between_slot_and_log);
    tcase_add_loop_test(tcase, init_finds_its_own_objects_behind_lost_answers, 0, 2);
    tcase_add_test(tcase, of_two_inits_at_once_one_makes_the_vault);
    tcase_add_test(tcase, slots_of_another_vault_are_rubbish);
    tcase_add_test(tcase, at_most_32_slots_are_tried);
    tcase_add_test(tcase, a_slot_that_cannot_be_read_is_not_a_wrong_key);
    tcase_add_test(tcase, refresh_folds_what_others_committed);
    tcase_add_test(tcase, an_empty_fold_starts_at_the_newest_full);
    tcase_add_test(tcase, a_fold_that_log_gc_has_passed_is_folded_anew);
    tcase_add_loop_test(tcase, a_log_that_contradicts_the_fold_is_refused, 0, (int)LENGTH(changes));
    tcase_add_test(tcase, a_fork_is_told_from_a_wrong_entry_while_the_vault_is_open);
    tcase_add_loop_test(
            tcase, a_head_known_from_elsewhere_must_be_in_the_log, 0, (int)LENGTH(heads));
    tcase_add_test(tcase, a_head_is_written_and_read);
    tcase_add_test(tcase, a_missing_entry_is_not_the_end_of_the_log);
    tcase_add_test(tcase, an_entry_that_does_not_follow_breaks_the_chain);
    tcase_add_test(tcase, every_flipped_byte_of_slot_and_log_is_found_and_named);
    tcase_add_loop_test(tcase, only_names_of_the_format_are_entries, 0, (int)LENGTH(log_names));
    tcase_add_test(tcase, a_pack_is_named_by_its_hash);

    Suite *suite = suite_create("vault");
    suite_add_tcase(suite, tcase);
    return rig_run(suite);
}
