/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of lib/vault/slots: adding, removing and rotating keys, killed at every store operation. */
#include "vault/slots.h"

#include <sys/wait.h>

#include "fold_double.h"
#include "vault_rig.h"

static struct vault_rig rig;

static void setup(void)
{
    rig_make(&rig);
    rig_init_vault(rig.store);
}

static void teardown(void)
{
    rig_drop(&rig);
}

/* Secrets by number; 0 is the one that rig_init_vault() uses. */
static struct tm_secret secret_of(int number)
{
    static uint8_t files[64][TM_KEY_FILE_BYTES];
    if (number == 0) {
        return rig_secret();
    }
    files[number][0] = (uint8_t)(100 + number);
    return (struct tm_secret){TM_SECRET_KEY_FILE, {files[number], TM_KEY_FILE_BYTES}};
}

static enum tm_code open_with(
        struct tm_store *store, int number, struct tm_vault **out, struct tm_err *err)
{
    struct tm_secret secret = secret_of(number);
    return tm_vault_open(store, &secret, "host/test", out, err);
}

static struct tm_vault *opened(int number)
{
    struct tm_vault *vault = NULL;
    ck_assert_tm_ok(open_with(rig.store, number, &vault, &err));
    return vault;
}

static void add(struct tm_vault *vault, int number, bool writer, char name[TM_OBJECT_NAME_MAX])
{
    struct tm_secret secret = secret_of(number);
    ck_assert_tm_ok(tm_slots_add(vault, &secret, writer, true, name, &err));
}

static tm_slot_list listed(void)
{
    TM_OWN(tm_vault_close) struct tm_vault *vault = NULL;
    tm_slot_list slots = {0};
    struct tm_id16 id = {{0}};
    struct tm_err ignored = {0};
    for (int i = 0; vault == NULL && i < 10; i++) {
        (void)!open_with(rig.store, i, &vault, &ignored);
    }
    ck_assert_ptr_nonnull(vault);
    id = *tm_vault_id(vault);
    ck_assert_tm_ok(tm_slots_list(rig.store, &id, &slots, &err));
    return slots;
}

static enum tm_code build_param(void *arg, struct tm_edits *out, struct tm_err *err)
{
    (void)arg;
    (void)err;
    *tm_vec_push(&out->params) = (struct tm_row_param){tm_slice_str("x"), tm_slice_str("1")};
    return TM_OK;
}

/* Fold all of the log, and commit one entry more: the number of the newest. */
static uint64_t use(struct tm_vault *vault)
{
    struct fold_double fold = {.state.empty = true};
    struct tm_fold table = fold_double_of(&fold);
    struct tm_head head = {0};
    ck_assert_tm_ok(tm_vault_commit(vault, &table, build_param, NULL, &head, &err));
    fold_double_clear(&fold);
    return head.seq;
}

/* Add ---------------------------------------------------------------------------------------- */

START_TEST(what_a_slot_is_shows_without_a_key)
{
    char names[3][TM_OBJECT_NAME_MAX];
    struct tm_secret words = {TM_SECRET_PASSPHRASE, tm_slice_str("correct horse")};
    TM_OWN(tm_vault_close) struct tm_vault *vault = opened(0);
    add(vault, 1, true, names[0]);
    ck_assert_tm_ok(tm_slots_add(vault, &words, false, true, names[1], &err));
    rig_write(&rig, "key/0000000000000000", "rubbish", 7);

    tm_slot_list slots = listed();
    ck_assert_uint_eq(slots.count, 4);
    size_t seen = 0;
    for (size_t i = 0; i < slots.count; i++) {
        const struct tm_slot *slot = &slots.at[i];
        ck_assert(i == 0 || strcmp(slots.at[i - 1].name, slot->name) < 0);
        ck_assert(slot->stored_ms > 0);
        if (strcmp(slot->name, names[0]) == 0) {
            ck_assert(slot->sound && slot->info.writer);
            ck_assert_int_eq(slot->info.kind, TM_SECRET_KEY_FILE);
            seen++;
        } else if (strcmp(slot->name, names[1]) == 0) {
            ck_assert(slot->sound && !slot->info.writer);
            ck_assert_int_eq(slot->info.kind, TM_SECRET_PASSPHRASE);
            seen++;
        } else if (strcmp(slot->name, "key/0000000000000000") == 0) {
            ck_assert(!slot->sound);
            ck_assert_str_eq(slot->trouble, "key slot: not a key slot");
            seen++;
        } else {
            ck_assert_str_eq(slot->name, tm_vault_slot(vault));
            ck_assert_uint_eq(slot->info.epochs, 1);
            seen++;
        }
    }
    ck_assert_uint_eq(seen, 4);
    tm_vec_done(&slots);
}
END_TEST

START_TEST(an_added_writer_commits_and_says_that_it_cannot_read)
{
    char name[TM_OBJECT_NAME_MAX];
    TM_OWN(tm_vault_close) struct tm_vault *vault = opened(0);
    ck_assert_tm_ok(tm_vault_need_read(vault, &err));
    add(vault, 1, true, name);

    TM_OWN(tm_vault_close) struct tm_vault *writer = opened(1);
    ck_assert(!tm_ring_can_read(tm_vault_ring(writer)));
    ck_assert_uint_eq(use(writer), 1);
    ck_assert_uint_eq(use(vault), 2);
    struct tm_err no = {0};
    ck_assert_int_eq(tm_vault_need_read(writer, &no), TM_E_KEY);
    char text[TM_ERR_MSG_MAX];
    (void)snprintf(text, sizeof(text),
            "%s: this key can write but not read (slot %s holds a writer's key ring); hint: use a "
            "key that can read",
            rig.store->where, name);
    ck_assert_str_eq(no.msg, text);
}
END_TEST

START_TEST(a_writer_adds_writers_but_no_readers)
{
    char name[TM_OBJECT_NAME_MAX];
    TM_OWN(tm_vault_close) struct tm_vault *vault = opened(0);
    add(vault, 1, true, name);
    TM_OWN(tm_vault_close) struct tm_vault *writer = opened(1);
    add(writer, 2, true, name);
    struct tm_secret secret = secret_of(3);
    struct tm_err no = {0};
    ck_assert_int_eq(tm_slots_add(writer, &secret, false, true, name, &no), TM_E_KEY);
    ck_assert_ptr_nonnull(strstr(no.msg, "cannot hand on what it does not have"));
}
END_TEST

START_TEST(a_secret_has_one_slot_of_a_kind)
{
    char name[TM_OBJECT_NAME_MAX];
    TM_OWN(tm_vault_close) struct tm_vault *vault = opened(0);
    add(vault, 1, true, name);
    struct tm_secret secret = secret_of(1);
    struct tm_err no = {0};
    ck_assert_int_eq(tm_slots_add(vault, &secret, true, true, name, &no), TM_E_EXISTS);
    ck_assert_ptr_nonnull(strstr(no.msg, " opens with this secret already"));

    /* A writer that is trusted with more: of its two slots the full one counts. */
    add(vault, 1, false, name);
    TM_OWN(tm_vault_close) struct tm_vault *reader = opened(1);
    ck_assert_str_eq(tm_vault_slot(reader), name);
    ck_assert(tm_ring_can_read(tm_vault_ring(reader)));
}
END_TEST

START_TEST(there_are_32_slots_at_most)
{
    char name[TM_OBJECT_NAME_MAX];
    TM_OWN(tm_vault_close) struct tm_vault *vault = opened(0);
    for (int i = 1; i < TM_SLOTS_MAX; i++) {
        add(vault, i, i % 2 == 0, name);
    }
    struct tm_secret secret = secret_of(TM_SLOTS_MAX);
    struct tm_err no = {0};
    ck_assert_int_eq(tm_slots_add(vault, &secret, false, true, name, &no), TM_E_LIMIT);
    ck_assert_str_eq(no.msg, "key/: 32 slots are there and 1 more were asked for, 32 are the most; "
                             "hint: remove one that nobody uses");
    for (int i = 0; i < TM_SLOTS_MAX; i++) {
        tm_vault_close(opened(i));
    }
}
END_TEST

/* While one adds the 32nd slot, another does too. */
static enum tm_store_fault add_meanwhile(
        void *arg, enum tm_store_op op, const char *name, uint64_t count)
{
    (void)count;
    int *left = arg;
    if (op == TM_OP_CREATE && strncmp(name, "key/", 4) == 0 && *left > 0) {
        char other[TM_OBJECT_NAME_MAX];
        *left = 0;
        TM_OWN(tm_vault_close) struct tm_vault *vault = opened(0);
        add(vault, 40, true, other);
    }
    return TM_FAULT_NONE;
}

START_TEST(of_two_who_add_the_last_slot_one_is_refused)
{
    char name[TM_OBJECT_NAME_MAX];
    TM_OWN(tm_vault_close) struct tm_vault *vault = opened(0);
    for (int i = 1; i < TM_SLOTS_MAX - 1; i++) {
        add(vault, i, true, name);
    }
    int left = 1;
    TM_OWN(tm_store_free)
    struct tm_store *store = tm_store_fault_new(rig_open_store(rig.dir), add_meanwhile, &left);
    TM_OWN(tm_vault_close) struct tm_vault *late = NULL;
    ck_assert_tm_ok(open_with(store, 0, &late, &err));
    struct tm_secret secret = secret_of(41);
    struct tm_err no = {0};
    ck_assert_int_eq(tm_slots_add(late, &secret, true, true, name, &no), TM_E_LIMIT);
    tm_slot_list slots = listed();
    ck_assert_uint_eq(slots.count, TM_SLOTS_MAX);
    tm_vec_done(&slots);
    tm_vault_close(opened(40));
}
END_TEST

/* Remove ------------------------------------------------------------------------------------- */

static enum tm_code removed(struct tm_vault *vault, const char *name, int proof, struct tm_err *err)
{
    struct tm_secret secret = secret_of(proof < 0 ? 0 : proof);
    return tm_slots_remove(vault, name, proof < 0 ? NULL : &secret, err);
}

START_TEST(the_last_slot_that_reads_is_never_removed)
{
    char writer[TM_OBJECT_NAME_MAX];
    TM_OWN(tm_vault_close) struct tm_vault *vault = opened(0);
    add(vault, 1, true, writer);
    struct tm_err no = {0};
    ck_assert_int_eq(removed(vault, tm_vault_slot(vault), 0, &no), TM_E_CONFLICT);
    ck_assert_ptr_nonnull(strstr(no.msg, " stays: no other slot gives the keys to read what is "
                                         "written now; hint: add one first"));
    /* Nor by one who could not read it anyway. */
    TM_OWN(tm_vault_close) struct tm_vault *other = opened(1);
    struct tm_err again = {0};
    ck_assert_int_eq(removed(other, tm_vault_slot(vault), 1, &again), TM_E_CONFLICT);
    ck_assert_tm_ok(removed(vault, writer, -1, &err));
    struct tm_vault *none = NULL;
    struct tm_err gone = {0};
    ck_assert_int_eq(open_with(rig.store, 1, &none, &gone), TM_E_KEY);
    tm_vault_close(opened(0));
}
END_TEST

START_TEST(the_slot_that_opened_the_vault_needs_another_that_opens)
{
    char name[TM_OBJECT_NAME_MAX];
    TM_OWN(tm_vault_close) struct tm_vault *vault = opened(0);
    add(vault, 1, false, name);
    for (int proof = -1; proof <= 0; proof++) {
        struct tm_err no = {0};
        ck_assert_int_eq(removed(vault, tm_vault_slot(vault), proof, &no), TM_E_CONFLICT);
        ck_assert_ptr_nonnull(strstr(no.msg, "nothing has shown that another full one opens"));
    }
    ck_assert_tm_ok(removed(vault, tm_vault_slot(vault), 1, &err));
    tm_vault_close(opened(1));
    struct tm_vault *none = NULL;
    struct tm_err gone = {0};
    ck_assert_int_eq(open_with(rig.store, 0, &none, &gone), TM_E_KEY);
}
END_TEST

START_TEST(rubbish_can_be_removed_and_what_is_not_there_cannot)
{
    rig_write(&rig, "key/0000000000000000", "rubbish", 7);
    TM_OWN(tm_vault_close) struct tm_vault *vault = opened(0);
    ck_assert_tm_ok(removed(vault, "key/0000000000000000", -1, &err));
    struct tm_err no = {0};
    ck_assert_int_eq(removed(vault, "key/0000000000000000", -1, &no), TM_E_MISSING);
    struct tm_err other = {0};
    ck_assert_int_eq(removed(vault, "log/0000000000000000", -1, &other), TM_E_MISSING);
    tm_vault_close(opened(0));
}
END_TEST

/* Rotate ------------------------------------------------------------------------------------- */

/* Secret 0 and 1 with all keys, 2 without the secret ones. */
static enum tm_code rotate(struct tm_vault *vault, struct tm_rotation *out, struct tm_err *err)
{
    struct tm_secret secrets[3] = {secret_of(2), secret_of(0), secret_of(1)};
    struct tm_slot_grant grants[3];
    for (int i = 0; i < 3; i++) {
        grants[i] = (struct tm_slot_grant){&secrets[i], i == 0, true};
    }
    return tm_slots_rotate(vault, grants, 3, out, err);
}

START_TEST(after_a_rotation_only_the_named_secrets_open)
{
    char name[TM_OBJECT_NAME_MAX];
    TM_OWN(tm_vault_close) struct tm_vault *vault = opened(0);
    add(vault, 3, false, name); /* not named below: locked out */
    struct tm_rotation rotation = {0};
    ck_assert_tm_ok(rotate(vault, &rotation, &err));
    ck_assert_uint_eq(rotation.epoch, 2);
    ck_assert_uint_eq(rotation.made, 3);
    ck_assert_uint_eq(rotation.removed, 2);
    for (int i = 0; i < 3; i++) {
        TM_OWN(tm_vault_close) struct tm_vault *each = opened(i);
        ck_assert_uint_eq(tm_ring_epoch(tm_vault_ring(each)), 2);
        ck_assert(tm_ring_has_epoch(tm_vault_ring(each), 1));
        ck_assert_int_eq(tm_ring_can_read(tm_vault_ring(each)), i != 2);
        ck_assert_uint_eq(use(each), (uint64_t)i + 1);
    }
    struct tm_vault *none = NULL;
    struct tm_err gone = {0};
    ck_assert_int_eq(open_with(rig.store, 3, &none, &gone), TM_E_KEY);

    /* Who has the old ring in memory writes on until the new epoch is in the log. */
    struct fold_double fold = {.state.empty = true};
    struct tm_fold table = fold_double_of(&fold);
    struct tm_err no = {0};
    ck_assert_int_eq(tm_vault_refresh(vault, &table, &no), TM_E_KEY);
    ck_assert_str_eq(no.msg,
            "log/0000000000000003: log entry 3: the key ring has no epoch 2; the keys of the "
            "vault were rotated; hint: open it again (restart the daemon)");
    fold_double_clear(&fold);
}
END_TEST

START_TEST(a_rotation_is_refused_before_anything_is_written)
{
    char name[TM_OBJECT_NAME_MAX];
    TM_OWN(tm_vault_close) struct tm_vault *vault = opened(0);
    add(vault, 2, true, name);
    TM_OWN(tm_vault_close) struct tm_vault *writer = opened(2);
    struct tm_secret secret = secret_of(0);
    struct tm_slot_grant grants[TM_SLOTS_MAX];
    for (int i = 0; i < TM_SLOTS_MAX; i++) {
        grants[i] = (struct tm_slot_grant){&secret, true, true};
    }
    struct tm_rotation rotation = {0};
    struct tm_err by_writer = {0};
    struct tm_err no_reader = {0};
    struct tm_err many = {0};
    ck_assert_int_eq(rotate(writer, &rotation, &by_writer), TM_E_KEY);
    ck_assert_int_eq(tm_slots_rotate(vault, grants, 1, &rotation, &no_reader), TM_E_USAGE);
    grants[0].writer = false;
    ck_assert_int_eq(tm_slots_rotate(vault, grants, TM_SLOTS_MAX, &rotation, &many), TM_E_LIMIT);
    ck_assert_uint_eq(rotation.made, 0);
    tm_slot_list slots = listed();
    ck_assert_uint_eq(slots.count, 2);
    tm_vec_done(&slots);
}
END_TEST

/* Kills: at the operation of that number the process is gone. */
struct kill {
    uint64_t at;
};

static enum tm_store_fault kill_at(void *arg, enum tm_store_op op, const char *name, uint64_t count)
{
    (void)op;
    (void)name;
    const struct kill *kill = arg;
    if (count == kill->at) {
        _exit(9);
    }
    return TM_FAULT_NONE;
}

/* Rotate in a process of its own that dies at an operation: false when it got to the end. */
static bool rotate_killed(uint64_t at)
{
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        struct kill kill = {at};
        struct tm_store *store = tm_store_fault_new(rig_open_store(rig.dir), kill_at, &kill);
        struct tm_vault *vault = NULL;
        struct tm_rotation rotation;
        struct tm_err no = {0};
        bool done =
                open_with(store, 0, &vault, &no) == TM_OK && rotate(vault, &rotation, &no) == TM_OK;
        _exit(done ? 0 : 1);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_ne(WEXITSTATUS(status), 1);
    return WEXITSTATUS(status) == 9;
}

/* Whatever a kill leaves: secret 0 opens, and what is rotated then is whole. */
static void take_up(uint64_t at)
{
    TM_OWN(tm_vault_close) struct tm_vault *vault = opened(0);
    uint32_t before = tm_ring_epoch(tm_vault_ring(vault));
    ck_assert_msg(before == 1 || before == 2, "killed at %d", (int)at);
    (void)use(vault); /* a daemon was started meanwhile, and wrote with that epoch */

    struct tm_rotation rotation = {0};
    ck_assert_tm_ok(rotate(vault, &rotation, &err));
    ck_assert_uint_eq(rotation.epoch, before + 1);
    tm_slot_list slots = listed();
    ck_assert_uint_eq(slots.count, 3);
    tm_vec_done(&slots);
    for (int i = 0; i < 3; i++) {
        TM_OWN(tm_vault_close) struct tm_vault *each = opened(i);
        ck_assert_uint_eq(tm_ring_epoch(tm_vault_ring(each)), before + 1);
        (void)use(each); /* folds every entry there is */
    }
}

START_TEST(a_rotation_killed_at_any_operation_locks_nobody_out)
{
    uint64_t at = 0;
    bool killed = true;
    while (killed) {
        teardown();
        setup();
        char name[TM_OBJECT_NAME_MAX];
        TM_OWN(tm_vault_close) struct tm_vault *vault = opened(0);
        add(vault, 1, false, name);
        add(vault, 2, true, name);
        killed = rotate_killed(++at);
        for (int i = 0; i < 3; i++) {
            tm_vault_close(opened(i)); /* with the one ring or the other */
        }
        take_up(at);
    }
    ck_assert_uint_gt(at, 15); /* opening, 3 creates, 3 reads, 3 removes and what is between */
}
END_TEST

START_TEST(a_half_rotation_is_not_taken_up_from_the_old_ring)
{
    char name[TM_OBJECT_NAME_MAX];
    TM_OWN(tm_vault_close) struct tm_vault *vault = opened(0);
    TM_OWN(tm_vault_close) struct tm_vault *old = opened(0);
    add(vault, 1, false, name);
    uint64_t at = 0;
    while (rotate_killed(++at)) { /* until the first new slot is there */
        tm_slot_list slots = listed();
        size_t count = slots.count;
        tm_vec_done(&slots);
        if (count == 3) {
            break;
        }
    }
    struct tm_rotation rotation = {0};
    struct tm_err no = {0};
    ck_assert_int_eq(rotate(old, &rotation, &no), TM_E_CONFLICT);
    ck_assert_ptr_nonnull(strstr(no.msg, " holds a newer key ring than the one that was opened; "
                                         "hint: use a secret that opens it"));
    struct tm_secret secret = secret_of(5);
    struct tm_err add_err = {0};
    ck_assert_int_eq(tm_slots_add(old, &secret, false, true, name, &add_err), TM_E_CONFLICT);
}
END_TEST

/* Another rotates while the first slot is about to be created. */
static enum tm_store_fault rotate_meanwhile(
        void *arg, enum tm_store_op op, const char *name, uint64_t count)
{
    (void)count;
    int *left = arg;
    if (op == TM_OP_CREATE && strncmp(name, "key/", 4) == 0 && *left > 0) {
        *left = 0;
        TM_OWN(tm_vault_close) struct tm_vault *vault = opened(0);
        struct tm_rotation rotation = {0};
        ck_assert_tm_ok(rotate(vault, &rotation, &err));
    }
    return TM_FAULT_NONE;
}

START_TEST(of_two_rotations_at_once_one_counts)
{
    int left = 1;
    TM_OWN(tm_store_free)
    struct tm_store *store = tm_store_fault_new(rig_open_store(rig.dir), rotate_meanwhile, &left);
    TM_OWN(tm_vault_close) struct tm_vault *late = NULL;
    ck_assert_tm_ok(open_with(store, 0, &late, &err));
    struct tm_rotation rotation = {0};
    struct tm_err no = {0};
    ck_assert_int_eq(rotate(late, &rotation, &no), TM_E_CONFLICT);
    ck_assert_ptr_nonnull(strstr(no.msg, "another rotation of this key ring has begun"));
    ck_assert_uint_eq(rotation.made, 0);
    for (int i = 0; i < 3; i++) {
        TM_OWN(tm_vault_close) struct tm_vault *each = opened(i);
        ck_assert_uint_eq(tm_ring_epoch(tm_vault_ring(each)), 2);
        (void)use(each);
    }
}
END_TEST

static enum tm_store_fault lose_answers(
        void *arg, enum tm_store_op op, const char *name, uint64_t count)
{
    (void)arg;
    (void)name;
    return op == TM_OP_CREATE && count % 2 == 0 ? TM_FAULT_LOST_ACK : TM_FAULT_NONE;
}

START_TEST(lost_answers_make_no_slot_twice)
{
    TM_OWN(tm_store_free)
    struct tm_store *store = tm_store_fault_new(rig_open_store(rig.dir), lose_answers, NULL);
    TM_OWN(tm_vault_close) struct tm_vault *vault = NULL;
    ck_assert_tm_ok(open_with(store, 0, &vault, &err));
    struct tm_rotation rotation = {0};
    ck_assert_tm_ok(rotate(vault, &rotation, &err));
    tm_slot_list slots = listed();
    ck_assert_uint_eq(slots.count, 3);
    tm_vec_done(&slots);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("slots");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, what_a_slot_is_shows_without_a_key);
    tcase_add_test(tcase, an_added_writer_commits_and_says_that_it_cannot_read);
    tcase_add_test(tcase, a_writer_adds_writers_but_no_readers);
    tcase_add_test(tcase, a_secret_has_one_slot_of_a_kind);
    tcase_add_test(tcase, there_are_32_slots_at_most);
    tcase_add_test(tcase, of_two_who_add_the_last_slot_one_is_refused);
    tcase_add_test(tcase, the_last_slot_that_reads_is_never_removed);
    tcase_add_test(tcase, the_slot_that_opened_the_vault_needs_another_that_opens);
    tcase_add_test(tcase, rubbish_can_be_removed_and_what_is_not_there_cannot);
    tcase_add_test(tcase, after_a_rotation_only_the_named_secrets_open);
    tcase_add_test(tcase, a_rotation_is_refused_before_anything_is_written);
    tcase_add_test(tcase, a_rotation_killed_at_any_operation_locks_nobody_out);
    tcase_add_test(tcase, a_half_rotation_is_not_taken_up_from_the_old_ring);
    tcase_add_test(tcase, of_two_rotations_at_once_one_counts);
    tcase_add_test(tcase, lost_answers_make_no_slot_twice);

    Suite *suite = suite_create("slots");
    suite_add_tcase(suite, tcase);
    return rig_run(suite);
}
