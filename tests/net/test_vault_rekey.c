/*
 * Key sources, and a vault that is sealed anew: from each source to each, and with damage in it.
 * Passphrases need a terminal: tests/e2e/test_vault.py.
 */
#include <sqlite3.h>

#include "../lib/database_probe.h"
#include "vault_world.h"

/* ---- sources ---- */

#define COMMAND "command:echo " OCTETS

static void every_source_follows_every_other(void **state)
{
    struct place *place = *state;
    static const char *const sources[] = {"keyfile", "credential:key", COMMAND};
    const char *now = "keyfile";
    for (size_t i = 0; i < LENGTH_OF(sources); i++) {
        for (size_t k = 0; k < LENGTH_OF(sources); k++) {
            if (now != sources[i])
                assert_rekeys(place, now, sources[i]);
            assert_rekeys(place, sources[i], sources[k]);
            now = sources[k];
            assert_opens(place, now);
            assert_int_equal(is_there(place, "vault.key"), k == 0);
            assert_false(is_there(place, "vault.key.next"));
        }
    }
}

/* The same octets, from a source of another kind, are another key. */
static void the_wrong_source_is_told(void **state)
{
    struct place *place = *state;
    struct err err = {0};
    struct vault_left left;
    assert_does_not_open(place, "credential:key", ERR_CONFIG, "sealed with a keyfile");
    assert_does_not_open(place, COMMAND, ERR_CONFIG, "ecluse vault rekey");
    assert_int_equal(rekey(place, "credential:key", COMMAND, &left, &err), ERR_SYNTAX);
    assert_non_null(strstr(err.text, "sealed with a keyfile, not with a credential"));
    assert_rekeys(place, NULL, "credential:key");
    assert_does_not_open(place, "keyfile", ERR_CONFIG, "sealed with a credential");
    assert_int_equal(rekey(place, NULL, COMMAND, &left, &err), ERR_SYNTAX);
    assert_non_null(strstr(err.text, "--from credential:NAME"));
    assert_int_equal(rekey(place, "nonsense", COMMAND, &left, &err), ERR_SYNTAX);
    assert_opens(place, "credential:key");
    sqlite3 *database;
    assert_int_equal(sqlite3_open_v2(place->file, &database, SQLITE_OPEN_READWRITE, NULL), 0);
    assert_int_equal(
        sqlite3_exec(database, "UPDATE vault SET source = 'command'", NULL, NULL, NULL), 0);
    assert_does_not_open(place, COMMAND, ERR_DENIED, "does not open");
    assert_int_equal(sqlite3_exec(database,
                                  "UPDATE vault SET source = 'credential', salt = zeroblob(16)",
                                  NULL, NULL, NULL),
                     0);
    sqlite3_close(database);
    assert_does_not_open(place, "credential:key", ERR_DENIED, "does not open");
}

static void a_wrong_credential_opens_nothing(void **state)
{
    struct place *place = *state;
    assert_rekeys(place, NULL, "credential:key");
    write_credential(place, "key", "seventeen-octets-", 0400);
    assert_does_not_open(place, "credential:key", ERR_DENIED, "what the credential holds");
    write_credential(place, "key", "", 0400);
    assert_does_not_open(place, "credential:key", ERR_SYNTAX, "needs 1 octets or more");
    assert_does_not_open(place, "credential:other", ERR_CONFIG, "there is no credential");
    write_credential(place, "key", OCTETS, 0404);
    assert_does_not_open(place, "credential:key", ERR_DENIED, "others can get at it");
    write_credential(place, "key", OCTETS, 0420);
    assert_does_not_open(place, "credential:key", ERR_DENIED, "others can get at it");
    write_credential(place, "key", OCTETS, 0400); /* without the line end */
    assert_opens(place, "credential:key");
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_does_not_open(place, "credential:key", ERR_CONFIG, "LoadCredential");
}

/* With User=, systemd keeps the file root's and lets the user in by an access list, whose mask
 * shows as rights of the group. Anybody else's file with such rights is open to a group. */
static void a_group_may_read_root_s_credential_alone(void **state)
{
    struct place *place = *state;
    if (geteuid() != 0)
        skip(); /* nobody else makes root's files */
    assert_rekeys(place, NULL, "credential:key");
    write_credential(place, "key", OCTETS, 0440);
    assert_opens(place, "credential:key");
    char *path = scratch_path(place->credentials, "key");
    assert_int_equal(chown(path, 65534, 0), 0);
    assert_does_not_open(place, "credential:key", ERR_DENIED, "others can get at it");
    assert_int_equal(chmod(path, 0400), 0);
    assert_opens(place, "credential:key");
    free(path);
}

static void a_wrong_command_opens_nothing(void **state)
{
    struct place *place = *state;
    assert_rekeys(place, NULL, COMMAND);
    assert_does_not_open(place, "command:echo something-else", ERR_DENIED,
                         "what the command prints does not open");
    assert_does_not_open(place, "command:exit 3", ERR_UNAVAILABLE, "ended with status 3");
    assert_does_not_open(place, "command:true", ERR_SYNTAX, "printed nothing");
    assert_does_not_open(place, "command:echo " OCTETS "; echo more", ERR_SYNTAX,
                         "more than one line");
    assert_opens(place, "command:printf %s " OCTETS);
}

static void what_is_short_seals_nothing(void **state)
{
    struct place *place = *state;
    struct err err = {0};
    struct vault_left left;
    assert_int_equal(rekey(place, NULL, "command:echo eleven-octe", &left, &err), ERR_SYNTAX);
    assert_non_null(strstr(err.text, "needs 12 octets"));
    assert_opens(place, "keyfile");
    assert_rekeys(place, NULL, "command:echo twelve-octet");
    assert_int_equal(remove(place->file), 0);
    assert_does_not_open(place, "command:echo eleven-octe", ERR_SYNTAX, "needs 12 octets");
    assert_false(is_there(place, "vault.db"));
    assert_int_equal(unlock(place, COMMAND, &err), 0); /* a new one */
    close_vault(place);
    assert_false(is_there(place, "vault.key"));
}

static void without_a_vault_there_is_nothing_to_seal(void **state)
{
    struct place *place = *state;
    struct err err = {0};
    struct vault_left left;
    assert_int_equal(remove(place->file), 0);
    assert_int_equal(rekey(place, NULL, COMMAND, &left, &err), ERR_NOT_FOUND);
    assert_false(is_there(place, "vault.db"));
    assert_true(is_there(place, "vault.key"));
}

/* ---- what is in the file ---- */

static size_t read_file(const char *path, uint8_t *out, size_t capacity)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(out, 1, capacity, file);
    assert_true(size < capacity);
    fclose(file);
    return size;
}

static size_t peek(struct place *place, const char *sql, uint8_t *out, size_t capacity)
{
    return database_peek(place->file, sql, out, capacity);
}

static void poke(struct place *place, const char *sql, const uint8_t *bytes, size_t size)
{
    database_poke(place->file, sql, bytes, size);
}

static const struct column {
    const char *select, *update;
} columns[] = {
    {"SELECT refresh_token FROM tokens WHERE account = 'work'",
     "UPDATE tokens SET refresh_token = ? WHERE account = 'work'"},
    {"SELECT verifier FROM grants WHERE name = 'generated'",
     "UPDATE grants SET verifier = ? WHERE name = 'generated'"},
    {"SELECT verifier FROM grants WHERE name = 'chosen'",
     "UPDATE grants SET verifier = ? WHERE name = 'chosen'"},
    {"SELECT verifier FROM grants WHERE name = 'clear'",
     "UPDATE grants SET verifier = ? WHERE name = 'clear'"},
    {"SELECT grant_key FROM vault", "UPDATE vault SET grant_key = ?"},
    {"SELECT proof FROM vault", "UPDATE vault SET proof = ?"},
};
#define FIRST_OF_HEADER 4 /* without these nothing opens */

/* Nothing that the old key opens is left over. */
static void nothing_of_the_old_seal_stays(void **state)
{
    struct place *place = *state;
    static uint8_t content[1u << 20];
    uint8_t sealed[LENGTH_OF(columns)][200];
    size_t sizes[LENGTH_OF(columns)];
    for (size_t i = 0; i < LENGTH_OF(columns); i++)
        sizes[i] = peek(place, columns[i].select, sealed[i], sizeof(sealed[i]));
    size_t size = read_file(place->file, content, sizeof(content));
    for (size_t i = 0; i < LENGTH_OF(columns); i++)
        assert_non_null(memmem(content, size, sealed[i], sizes[i]));
    assert_rekeys(place, NULL, "keyfile");
    size = read_file(place->file, content, sizeof(content));
    for (size_t i = 0; i < LENGTH_OF(columns); i++)
        assert_null(memmem(content, size, sealed[i], sizes[i]));
    assert_opens(place, "keyfile");
}

static void an_old_key_file_opens_nothing(void **state)
{
    struct place *place = *state;
    uint8_t before[100], after[100];
    char *key = scratch_path(place->scratch, "vault.key");
    assert_int_equal(read_file(key, before, sizeof(before)), 65);
    assert_rekeys(place, NULL, "keyfile");
    assert_int_equal(read_file(key, after, sizeof(after)), 65);
    assert_memory_not_equal(before, after, 65);
    FILE *file = fopen(key, "wb");
    assert_int_equal(fwrite(before, 1, 65, file), 65);
    fclose(file);
    assert_does_not_open(place, "keyfile", ERR_CORRUPT, "key does not fit");
    free(key);
}

static bool some_grant_is_damaged(struct place *place)
{
    struct secret verifier = {0};
    struct vault_grant *grants;
    struct err err = {0};
    size_t count;
    bool is_damaged = false;
    assert_int_equal(vault_grant_list(place->vault, NULL, &grants, &count, &err), 0);
    for (size_t i = 0; i < count; i++)
        is_damaged = is_damaged ||
                     vault_grant_verifier(place->vault, &grants[i], &verifier, &err) == ERR_CORRUPT;
    vault_grants_free(grants, count);
    secret_wipe(&verifier);
    return is_damaged;
}

static void assert_is_refused(struct place *place, size_t column)
{
    struct secret token = {0};
    struct err err = {0};
    if (column >= FIRST_OF_HEADER) {
        assert_does_not_open(place, "keyfile", ERR_CORRUPT, "vault.db");
        return;
    }
    assert_int_equal(unlock(place, "keyfile", &err), 0);
    bool token_is_damaged =
        vault_token_load(place->vault, "work", ISSUER, &token, &err) == ERR_CORRUPT;
    assert_int_equal(token_is_damaged, column == 0);
    assert_int_equal(some_grant_is_damaged(place), column > 0);
    secret_wipe(&token);
    close_vault(place);
}

static void a_bit_flipped_at_any_octet_is_refused_and_kept(void **state)
{
    struct place *place = *state;
    for (size_t column = 0; column < LENGTH_OF(columns); column++) {
        uint8_t sealed[200], now[200];
        size_t size = peek(place, columns[column].select, sealed, sizeof(sealed));
        for (size_t i = 0; i < size; i++) {
            sealed[i] ^= (uint8_t)(1u << i % 8);
            poke(place, columns[column].update, sealed, size);
            assert_is_refused(place, column);
            assert_int_equal(peek(place, columns[column].select, now, sizeof(now)), size);
            assert_memory_equal(now, sealed, size);
            sealed[i] ^= (uint8_t)(1u << i % 8);
        }
        poke(place, columns[column].update, sealed, size);
    }
    assert_opens(place, "keyfile");
}

static void damage_is_left_as_it_is(void **state)
{
    struct place *place = *state;
    uint8_t sealed[2][200], now[200];
    size_t sizes[2];
    struct vault_left left;
    struct secret token = {0};
    struct err err = {0};
    for (size_t i = 0; i < 2; i++) {
        sizes[i] = peek(place, columns[i].select, sealed[i], sizeof(sealed[i]));
        sealed[i][sizes[i] / 2] ^= 1;
        poke(place, columns[i].update, sealed[i], sizes[i]);
    }
    assert_int_equal(rekey(place, NULL, "keyfile", &left, &err), 0);
    assert_int_equal(left.count, 2);
    assert_string_equal(left.names, "the token of work, password generated of work");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(peek(place, columns[i].select, now, sizeof(now)), sizes[i]);
        assert_memory_equal(now, sealed[i], sizes[i]);
    }
    assert_int_equal(unlock(place, "keyfile", &err), 0);
    assert_int_equal(vault_token_load(place->vault, "work", ISSUER, &token, &err), ERR_CORRUPT);
    assert_token(place, "home", "token-of-home");
    assert_true(some_grant_is_damaged(place));
}

/* A row that stands in another's place is neither opened for it nor sealed for it. */
static void a_moved_token_is_left_as_it_is(void **state)
{
    static const char select_home[] = "SELECT refresh_token FROM tokens WHERE account = 'home'";
    static const char update_home[] = "UPDATE tokens SET refresh_token = ?1 WHERE account = 'home'";
    struct place *place = *state;
    uint8_t of_work[200], now[200];
    struct vault_left left;
    struct secret token = {0};
    struct err err = {0};
    size_t size = peek(place, columns[0].select, of_work, sizeof(of_work));
    poke(place, update_home, of_work, size);
    assert_int_equal(rekey(place, NULL, "keyfile", &left, &err), 0);
    assert_int_equal(left.count, 1);
    assert_string_equal(left.names, "the token of home");
    assert_int_equal(peek(place, select_home, now, sizeof(now)), size);
    assert_memory_equal(now, of_work, size);
    assert_int_equal(unlock(place, "keyfile", &err), 0);
    assert_int_equal(vault_token_load(place->vault, "home", ISSUER, &token, &err), ERR_CORRUPT);
    assert_token(place, "work", "token-of-work");
}

/* A header of version 2 has no kind of source and no salt: it is not believed. */
static void a_downgraded_header_is_refused(void **state)
{
    struct place *place = *state;
    static const char *const versions[] = {"1", "2"};
    uint8_t now[2];
    for (size_t i = 0; i < LENGTH_OF(versions); i++) {
        poke(place, "UPDATE vault SET version = CAST(CAST(? AS TEXT) AS INTEGER)",
             (const uint8_t *)versions[i], 1);
        assert_does_not_open(place, "keyfile", ERR_CORRUPT, "key does not fit");
        assert_int_equal(peek(place, "SELECT CAST(version AS TEXT) FROM vault", now, 2), 1);
        assert_int_equal(now[0], versions[i][0]);
    }
    poke(place, "UPDATE vault SET version = CAST(CAST(? AS TEXT) AS INTEGER)", (const uint8_t *)"3",
         1);
    assert_opens(place, "keyfile");
}

int main(void)
{
    alarm(240);
    const struct CMUnitTest tests[] = {
        TEST(every_source_follows_every_other),
        TEST(the_wrong_source_is_told),
        TEST(a_wrong_credential_opens_nothing),
        TEST(a_group_may_read_root_s_credential_alone),
        TEST(a_wrong_command_opens_nothing),
        TEST(what_is_short_seals_nothing),
        TEST(without_a_vault_there_is_nothing_to_seal),
        TEST(nothing_of_the_old_seal_stays),
        TEST(an_old_key_file_opens_nothing),
        TEST(a_bit_flipped_at_any_octet_is_refused_and_kept),
        TEST(damage_is_left_as_it_is),
        TEST(a_moved_token_is_left_as_it_is),
        TEST(a_downgraded_header_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
