/*
 * A process that is killed while it stores a token: what the next one finds.
 */
#include <sqlite3.h>

#include "vault_world.h"
/* The vault's own: the instant between noting and storing is not to be had from outside. */
#include "keeper/vault_store.h"

#define NOTE     "vault.next"
#define NOTE_MAX 4096

static void open_vault(struct place *place)
{
    struct err err = {0};
    assert_int_equal(unlock(place, "keyfile", &err), 0);
}

static void reopen(struct place *place)
{
    close_vault(place);
    open_vault(place);
}

/* As a process that was killed before the transaction. */
static void note(struct place *place, const char *account, const char *issuer, const char *token)
{
    struct secret secret = {0};
    secret_set(&secret, slice_of_string(token));
    vault_next_note(place->vault, account, issuer, &secret);
    secret_wipe(&secret);
}

static size_t read_note(const struct place *place, uint8_t out[NOTE_MAX])
{
    char *path = scratch_path(place->scratch, NOTE);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t size = fread(out, 1, NOTE_MAX, file);
    fclose(file);
    free(path);
    assert_in_range(size, 1, NOTE_MAX - 1);
    return size;
}

static void write_note(const struct place *place, const uint8_t *bytes, size_t size)
{
    char *path = scratch_path(place->scratch, NOTE);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
    free(path);
}

/* ---- */

static void nothing_is_left_of_what_is_stored(void **state)
{
    struct place *place = *state;
    open_vault(place);
    store(place, "work", "second");
    assert_false(is_there(place, NOTE));
    reopen(place);
    assert_token(place, "work", "second");
}

static void a_noted_token_is_stored_at_the_opening(void **state)
{
    struct place *place = *state;
    open_vault(place);
    note(place, "work", ISSUER, "second");
    assert_true(is_there(place, NOTE));
    assert_token(place, "work", "token-of-work");
    reopen(place);
    assert_token(place, "work", "second");
    assert_token(place, "home", "token-of-home");
    assert_false(is_there(place, NOTE));
}

/* The disk is full, or somebody copies the file just then: what was noted is not forgotten. */
static void a_token_that_cannot_be_stored_stays_noted(void **state)
{
    struct place *place = *state;
    struct secret secret = {0};
    struct err err = {0};
    sqlite3 *other;
    open_vault(place);
    assert_int_equal(sqlite3_open(place->file, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN; SELECT * FROM tokens", NULL, NULL, NULL),
                     SQLITE_OK);
    secret_set(&secret, SLICE_LITERAL("second"));
    assert_int_equal(vault_token_store(place->vault, "work", ISSUER, &secret, 1, &err), ERR_BUSY);
    secret_wipe(&secret);
    close_vault(place);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    open_vault(place);
    assert_token(place, "work", "second");
}

static void a_note_is_sealed(void **state)
{
    struct place *place = *state;
    uint8_t bytes[NOTE_MAX];
    open_vault(place);
    note(place, "work", ISSUER, "second-token");
    size_t size = read_note(place, bytes);
    assert_null(memmem(bytes, size, "second-token", 12));
    assert_null(memmem(bytes, size, "token-of-work", 13));
}

/* The process got further than its note says: a token that has rotated since stays. */
static void a_late_note_is_dropped(void **state)
{
    struct place *place = *state;
    uint8_t bytes[NOTE_MAX];
    open_vault(place);
    note(place, "work", ISSUER, "second");
    size_t size = read_note(place, bytes);
    store(place, "work", "second");
    store(place, "work", "third");
    close_vault(place);
    write_note(place, bytes, size);
    open_vault(place);
    assert_token(place, "work", "third");
    assert_false(is_there(place, NOTE));
}

static void nobody_is_signed_in_by_a_note(void **state)
{
    struct place *place = *state;
    struct secret token = {0};
    struct err err = {0};
    open_vault(place);
    note(place, "work", ISSUER, "second");
    assert_int_equal(vault_token_sign_out(place->vault, "work", "gone", &err), 0);
    reopen(place);
    assert_int_equal(vault_token_load(place->vault, "work", ISSUER, &token, &err), ERR_NOT_FOUND);
    assert_false(is_there(place, NOTE));
    note(place, "nobody", ISSUER, "first");
    note(place, "home", "https://elsewhere.test", "first");
    assert_false(is_there(place, NOTE));
}

static void a_note_that_is_cut_or_changed_is_dropped(void **state)
{
    struct place *place = *state;
    uint8_t bytes[NOTE_MAX];
    open_vault(place);
    note(place, "work", ISSUER, "second");
    size_t size = read_note(place, bytes);
    for (size_t i = 0; i < size; i++) {
        close_vault(place);
        write_note(place, bytes, i);
        open_vault(place);
        assert_false(is_there(place, NOTE));
        close_vault(place);
        bytes[i] ^= 1;
        write_note(place, bytes, size);
        bytes[i] ^= 1;
        open_vault(place);
        assert_token(place, "work", "token-of-work");
        assert_false(is_there(place, NOTE));
    }
}

/* A link, or a file that others can write, is not looked into; it does not stop the vault. */
static void what_is_no_file_of_ours_is_left(void **state)
{
    struct place *place = *state;
    char *path = scratch_path(place->scratch, NOTE);
    open_vault(place);
    assert_int_equal(symlink("/dev/zero", path), 0);
    reopen(place);
    store(place, "work", "second");
    assert_false(is_there(place, NOTE));
    reopen(place);
    assert_token(place, "work", "second");
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_left_of_what_is_stored),
        TEST(a_noted_token_is_stored_at_the_opening),
        TEST(a_token_that_cannot_be_stored_stays_noted),
        TEST(a_note_is_sealed),
        TEST(a_late_note_is_dropped),
        TEST(nobody_is_signed_in_by_a_note),
        TEST(a_note_that_is_cut_or_changed_is_dropped),
        TEST(what_is_no_file_of_ours_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
