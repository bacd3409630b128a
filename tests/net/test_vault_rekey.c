/*
 * Key sources, and a vault that is sealed anew: from each source to each, with damage in it, and
 * with a process that dies, or a disk that fails, at every single system call that changes a file.
 * Passphrases need a terminal: tests/e2e/test_vault.py.
 */
#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "../lib/database_probe.h"
#include "../lib/scratch_folder.h"
#include "keeper/grant_verifier.h"
#include "keeper/vault_unlock.h"

#define ISSUER "https://id.example.test"
#define OCTETS "sixteen-octets-x"

/* ---- system calls that fail, or are the last ---- */

static enum { ALL_IS_WELL, IT_DIES, IT_FAILS } what_happens;
static unsigned calls_left; /* until it happens; once */

static bool happens_now(void)
{
    if (what_happens == ALL_IS_WELL || calls_left == 0 || --calls_left > 0)
        return false;
    if (what_happens == IT_DIES)
        kill(getpid(), SIGKILL);
    errno = EIO;
    return true;
}

#define EVERYBODYS __attribute__((visibility("default")))
#define STAND_IN_FOR(result, name, parameters, arguments)                                          \
    EVERYBODYS result name parameters;                                                             \
    EVERYBODYS result name parameters                                                              \
    {                                                                                              \
        static result(*real) parameters;                                                           \
        if (real == NULL)                                                                          \
            *(void **)&real = dlsym(RTLD_NEXT, #name);                                             \
        return happens_now() ? (result)-1 : real arguments;                                        \
    }

STAND_IN_FOR(ssize_t, write, (int file, const void *bytes, size_t size), (file, bytes, size))
STAND_IN_FOR(ssize_t, pwrite, (int file, const void *bytes, size_t size, off_t offset),
             (file, bytes, size, offset))
STAND_IN_FOR(ssize_t, pwrite64, (int file, const void *bytes, size_t size, off64_t offset),
             (file, bytes, size, offset))
STAND_IN_FOR(int, fsync, (int file), (file))
STAND_IN_FOR(int, fdatasync, (int file), (file))
STAND_IN_FOR(int, ftruncate, (int file, off_t size), (file, size))
STAND_IN_FOR(int, ftruncate64, (int file, off64_t size), (file, size))
STAND_IN_FOR(int, unlink, (const char *path), (path))
STAND_IN_FOR(int, unlinkat, (int folder, const char *name, int flags), (folder, name, flags))
STAND_IN_FOR(int, renameat2,
             (int from, const char *old, int to, const char *new, unsigned int flags),
             (from, old, to, new, flags))

/* ---- a vault with something in it ---- */

struct place {
    char *scratch, *file, *credentials;
    struct state_folder *folder;
    struct vault *vault;
    struct secret chosen; /* the verifier of that grant */
};

static int unlock(struct place *place, const char *source, struct err *err)
{
    return vault_unlock(place->folder, source, &place->vault, err);
}

static void close_vault(struct place *place)
{
    vault_close(place->vault);
    place->vault = NULL;
}

static void store(struct place *place, const char *account, const char *token)
{
    struct secret secret = {0};
    struct err err = {0};
    secret_set(&secret, slice_of_string(token));
    assert_int_equal(vault_token_store(place->vault, account, ISSUER, &secret, 1, &err), 0);
    secret_wipe(&secret);
}

static void add_grant(struct place *place, const char *name, enum vault_grant_kind kind)
{
    struct secret secret = {0};
    struct err err = {0};
    int64_t number;
    char *copy = mem_copy_string(name);
    const struct vault_grant grant = {
        .account = (char[]){"work"},
        .name = copy,
        .protocols = (char[]){"imap"},
        .from = (char[]){""},
        .kind = kind,
        .classes = {kind == VAULT_GRANT_CLEAR},
    };
    secret_set(&secret, slice_of_string(name));
    assert_int_equal(vault_grant_add(place->vault, &grant, &secret, 1, &number, &err), 0);
    secret_wipe(&secret);
    mem_free(copy);
}

static void remember_chosen(struct place *place)
{
    struct vault_grant *grants;
    struct err err = {0};
    size_t count;
    uint8_t hash[GRANT_HASH_SIZE];
    assert_int_equal(vault_grant_list(place->vault, NULL, &grants, &count, &err), 0);
    assert_int_equal(grants[1].kind, VAULT_GRANT_CHOSEN);
    assert_int_equal(vault_grant_verifier(place->vault, &grants[1], &place->chosen, &err), 0);
    assert_int_equal(grant_derive(place->chosen.bytes, slice_of_string("chosen"), hash), 0);
    assert_memory_equal(place->chosen.bytes + GRANT_SALT_SIZE, hash, sizeof(hash));
    vault_grants_free(grants, count);
}

static void write_credential(struct place *place, const char *name, const char *octets, mode_t mode)
{
    char *path = scratch_path(place->credentials, name);
    (void)remove(path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(octets, file) >= 0);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
    free(path);
}

static int set_up(void **state)
{
    struct place *place = mem_new(sizeof(*place));
    struct err err = {0};
    place->scratch = scratch_folder_new();
    place->file = scratch_path(place->scratch, "vault.db");
    place->credentials = scratch_path(place->scratch, "credentials");
    assert_int_equal(mkdir(place->credentials, 0700), 0);
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", place->credentials, 1), 0);
    write_credential(place, "key", OCTETS "\n", 0400);
    assert_int_equal(state_folder_open(place->scratch, &place->folder, &err), 0);
    assert_int_equal(unlock(place, "keyfile", &err), 0);
    store(place, "work", "token-of-work");
    store(place, "home", "token-of-home");
    add_grant(place, "generated", VAULT_GRANT_GENERATED);
    add_grant(place, "chosen", VAULT_GRANT_CHOSEN);
    add_grant(place, "clear", VAULT_GRANT_CLEAR);
    remember_chosen(place);
    close_vault(place);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    close_vault(place);
    secret_wipe(&place->chosen);
    state_folder_close(place->folder);
    free(place->file);
    free(place->credentials);
    scratch_folder_remove(place->scratch);
    mem_free(place);
    return 0;
}

static void assert_token(struct place *place, const char *account, const char *token)
{
    struct secret secret = {0};
    struct err err = {0};
    assert_int_equal(vault_token_load(place->vault, account, ISSUER, &secret, &err), 0);
    assert_true(slice_is(secret_bytes(&secret), token));
    secret_wipe(&secret);
}

/* A generated password is still the one that the hash in the vault was made of. */
static void assert_verifies(struct place *place, const struct vault_grant *grant,
                            const struct secret *verifier)
{
    uint8_t hash[GRANT_HASH_SIZE];
    struct slice password = slice_of_string(grant->name);
    switch (grant->kind) {
    case VAULT_GRANT_GENERATED:
        assert_int_equal(grant_hash(vault_grant_key(place->vault), grant->account, password, hash),
                         0);
        assert_true(secret_equal(verifier, slice_of(hash, sizeof(hash))));
        break;
    case VAULT_GRANT_CHOSEN:
        assert_true(secret_equal(verifier, secret_bytes(&place->chosen)));
        break;
    case VAULT_GRANT_CLEAR:
        assert_true(secret_equal(verifier, password));
        break;
    }
}

static void assert_everything_is_there(struct place *place)
{
    struct secret verifier = {0};
    struct vault_grant *grants;
    struct err err = {0};
    size_t count;
    assert_token(place, "work", "token-of-work");
    assert_token(place, "home", "token-of-home");
    assert_int_equal(vault_grant_list(place->vault, NULL, &grants, &count, &err), 0);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(vault_grant_verifier(place->vault, &grants[i], &verifier, &err), 0);
        assert_verifies(place, &grants[i], &verifier);
    }
    vault_grants_free(grants, count);
    secret_wipe(&verifier);
}

static void assert_opens(struct place *place, const char *source)
{
    struct err err = {0};
    int status = unlock(place, source, &err);
    if (status != 0)
        print_message("%s: %s\n", source, err.text);
    assert_int_equal(status, 0);
    assert_everything_is_there(place);
    close_vault(place);
}

static void assert_does_not_open(struct place *place, const char *source, int status,
                                 const char *words)
{
    struct err err = {0};
    assert_int_equal(unlock(place, source, &err), status);
    assert_null(place->vault);
    if (strstr(err.text, words) == NULL)
        print_message("%s: %s\n", source, err.text);
    assert_non_null(strstr(err.text, words));
    assert_null(strstr(err.text, OCTETS));
}

static int rekey(struct place *place, const char *from, const char *to, size_t *left_out,
                 struct err *err)
{
    struct vault_rekeyed rekeyed;
    int status = vault_unlock_and_rekey(place->folder, from, to, &rekeyed, err);
    *left_out = status == 0 ? rekeyed.left : 0;
    return status;
}

static void assert_rekeys(struct place *place, const char *from, const char *to)
{
    struct err err = {0};
    size_t left;
    int status = rekey(place, from, to, &left, &err);
    if (status != 0)
        print_message("%s to %s: %s\n", from, to, err.text);
    assert_int_equal(status, 0);
    assert_int_equal(left, 0);
}

static bool is_there(struct place *place, const char *name)
{
    char *path = scratch_path(place->scratch, name);
    bool is = access(path, F_OK) == 0;
    free(path);
    return is;
}

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
    size_t left;
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
    size_t left;
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
    size_t left;
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
    size_t sizes[2], left;
    struct secret token = {0};
    struct err err = {0};
    for (size_t i = 0; i < 2; i++) {
        sizes[i] = peek(place, columns[i].select, sealed[i], sizeof(sealed[i]));
        sealed[i][sizes[i] / 2] ^= 1;
        poke(place, columns[i].update, sealed[i], sizes[i]);
    }
    assert_int_equal(rekey(place, NULL, "keyfile", &left, &err), 0);
    assert_int_equal(left, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(peek(place, columns[i].select, now, sizeof(now)), sizes[i]);
        assert_memory_equal(now, sealed[i], sizes[i]);
    }
    assert_int_equal(unlock(place, "keyfile", &err), 0);
    assert_int_equal(vault_token_load(place->vault, "work", ISSUER, &token, &err), ERR_CORRUPT);
    assert_token(place, "home", "token-of-home");
    assert_true(some_grant_is_damaged(place));
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

/* ---- ends ---- */

enum outcome { DONE, REFUSED, KILLED };

/* In a process of its own, in which the call of that number is the last, or fails. */
static enum outcome rekey_badly(struct place *place, const char *to, int what, unsigned number)
{
    pid_t child = fork();
    if (child == 0) {
        struct err err;
        size_t left;
        what_happens = what;
        calls_left = number;
        int status = rekey(place, NULL, to, &left, &err);
        _exit(calls_left > 0 ? 99 : status == 0 ? 0 : 3);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return KILLED;
    }
    int code = WEXITSTATUS(status);
    assert_true(code == 0 || code == 3 || code == 99);
    return code == 3 ? REFUSED : DONE;
}

/* Which of the two it is sealed with now. */
static const char *source_now(struct place *place)
{
    struct vault_lock lock;
    struct err err = {0};
    assert_int_equal(vault_read_lock(place->folder, &lock, &err), 0);
    return lock.kind == VAULT_KEY_FILE ? "keyfile" : "credential:key";
}

static void a_death_at_any_call_leaves_a_vault_that_opens(void **state)
{
    struct place *place = *state;
    unsigned number = 0;
    do
        number++;
    while (rekey_badly(place, "keyfile", IT_DIES, number) == KILLED &&
           (assert_opens(place, "keyfile"), true));
    assert_opens(place, "keyfile");
    assert_true(number > 20);
    print_message("%u calls to die at\n", number - 1);
    assert_false(is_there(place, "vault.key.next"));
}

static void a_death_at_any_call_leaves_the_old_source_or_the_new(void **state)
{
    struct place *place = *state;
    unsigned number = 0, seen_new = 0;
    do {
        number++;
        bool is_killed = rekey_badly(place, "credential:key", IT_DIES, number) == KILLED;
        const char *source = source_now(place);
        assert_opens(place, source);
        if (!is_killed)
            break;
        if (strcmp(source, "keyfile") != 0) {
            seen_new++;
            assert_rekeys(place, source, "keyfile");
        }
    } while (true);
    assert_true(number > 20 && seen_new > 0);
    assert_false(is_there(place, "vault.key"));
}

static void a_failure_at_any_call_leaves_a_vault_that_opens(void **state)
{
    struct place *place = *state;
    unsigned number = 0, refused = 0;
    for (number = 1; number < 60; number++) {
        refused += rekey_badly(place, "keyfile", IT_FAILS, number) == REFUSED;
        assert_opens(place, "keyfile");
    }
    assert_true(refused > 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    alarm(240);
    const struct CMUnitTest tests[] = {
        TEST(every_source_follows_every_other),
        TEST(the_wrong_source_is_told),
        TEST(a_wrong_credential_opens_nothing),
        TEST(a_wrong_command_opens_nothing),
        TEST(what_is_short_seals_nothing),
        TEST(without_a_vault_there_is_nothing_to_seal),
        TEST(nothing_of_the_old_seal_stays),
        TEST(an_old_key_file_opens_nothing),
        TEST(a_bit_flipped_at_any_octet_is_refused_and_kept),
        TEST(damage_is_left_as_it_is),
        TEST(a_downgraded_header_is_refused),
        TEST(a_death_at_any_call_leaves_a_vault_that_opens),
        TEST(a_death_at_any_call_leaves_the_old_source_or_the_new),
        TEST(a_failure_at_any_call_leaves_a_vault_that_opens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
