/*
 * The vault against its own file: what was stored comes back, what was tampered with does not and
 * is left alone, and a process that dies in the middle leaves the old or the new.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "../lib/database_probe.h"
#include "../lib/scratch_folder.h"
#include "keeper/vault.h"
#include "keeper/vault_key.h"

#define ISSUER "https://id.example.test"

struct place {
    char *scratch, *file;
    struct state_folder *folder;
    struct vault *vault;
};

static int try_open(struct place *place, struct err *err)
{
    struct secret key = {0};
    int status = vault_key_from_file(place->folder, &key, err);
    if (status == 0)
        status = vault_open(place->folder, &key, &place->vault, err);
    secret_wipe(&key);
    return status;
}

static int place_set_up(void **state)
{
    struct place *place = mem_new(sizeof(*place));
    struct err err = {0};
    place->scratch = scratch_folder_new();
    place->file = scratch_path(place->scratch, "vault.db");
    assert_int_equal(state_folder_open(place->scratch, &place->folder, &err), 0);
    assert_int_equal(try_open(place, &err), 0);
    *state = place;
    return 0;
}

static int place_tear_down(void **state)
{
    struct place *place = *state;
    vault_close(place->vault);
    state_folder_close(place->folder);
    free(place->file);
    scratch_folder_remove(place->scratch);
    mem_free(place);
    return 0;
}

static void reopen(struct place *place)
{
    struct err err = {0};
    vault_close(place->vault);
    place->vault = NULL;
    assert_int_equal(try_open(place, &err), 0);
}

static int store(struct place *place, const char *account, const char *token, int64_t now)
{
    struct secret secret = {0};
    struct err err = {0};
    secret_set(&secret, slice_of_string(token));
    int status = vault_token_store(place->vault, account, ISSUER, &secret, now, &err);
    secret_wipe(&secret);
    return status;
}

static int load_from(struct place *place, const char *account, const char *issuer, char out[64],
                     struct err *err)
{
    struct secret secret = {0};
    int status = vault_token_load(place->vault, account, issuer, &secret, err);
    if (status == 0)
        snprintf(out, 64, "%s", (const char *)secret.bytes);
    else
        assert_false(secret_is_set(&secret));
    secret_wipe(&secret);
    return status;
}

static void assert_token(struct place *place, const char *account, const char *token)
{
    char got[64];
    struct err err = {0};
    assert_int_equal(load_from(place, account, ISSUER, got, &err), 0);
    assert_string_equal(got, token);
}

static void assert_load_fails(struct place *place, const char *account, const char *issuer,
                              int status, const char *word)
{
    char got[64];
    struct err err = {0};
    assert_int_equal(load_from(place, account, issuer, got, &err), status);
    assert_non_null(strstr(err.text, account));
    assert_non_null(strstr(err.text, word));
}

/* ---- the file, behind the vault's back ---- */

static void tamper(struct place *place, const char *sql)
{
    sqlite3 *database;
    char *message = NULL;
    assert_int_equal(sqlite3_open_v2(place->file, &database, SQLITE_OPEN_READWRITE, NULL), 0);
    sqlite3_exec(database, sql, NULL, NULL, &message);
    assert_null(message);
    sqlite3_close(database);
}

static size_t peek(struct place *place, const char *sql, uint8_t *out, size_t capacity)
{
    return database_peek(place->file, sql, out, capacity);
}

static int64_t peek_number(struct place *place, const char *sql)
{
    uint8_t text[32] = {0};
    peek(place, sql, text, sizeof(text) - 1);
    return strtoll((const char *)text, NULL, 10);
}

static void poke(struct place *place, const char *sql, const uint8_t *bytes, size_t size)
{
    database_poke(place->file, sql, bytes, size);
}

static bool file_holds(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    static char content[1u << 20];
    size_t length = fread(content, 1, sizeof(content), file);
    assert_true(length < sizeof(content));
    fclose(file);
    return memmem(content, length, bytes, size) != NULL;
}

/* ---- tokens ---- */

static void a_token_comes_back_after_a_restart(void **state)
{
    struct place *place = *state;
    assert_load_fails(place, "work", ISSUER, ERR_NOT_FOUND, "ecluse login work");
    assert_int_equal(store(place, "work", "first-token", 1000), 0);
    assert_int_equal(store(place, "home", "other-token", 1001), 0);
    assert_token(place, "work", "first-token");
    reopen(place);
    assert_token(place, "work", "first-token");
    assert_token(place, "home", "other-token");
    assert_int_equal(store(place, "work", "second-token", 1002), 0);
    reopen(place);
    assert_token(place, "work", "second-token");
}

static void a_token_of_16_KiB_fits_and_an_empty_one_does_not(void **state)
{
    struct place *place = *state;
    struct secret token = {0}, got = {0};
    uint8_t *bytes = mem_new(16384);
    for (size_t i = 0; i < 16384; i++)
        bytes[i] = (uint8_t)(i * 7);
    secret_set(&token, slice_of(bytes, 16384));
    assert_int_equal(vault_token_store(place->vault, "work", ISSUER, &token, 1, NULL), 0);
    assert_int_equal(vault_token_load(place->vault, "work", ISSUER, &got, NULL), 0);
    assert_true(secret_equal(&token, secret_bytes(&got)));
    secret_set(&token, SLICE_NONE);
    assert_int_equal(vault_token_store(place->vault, "work", ISSUER, &token, 1, NULL), ERR_SYNTAX);
    mem_free(bytes);
    secret_wipe(&token);
    secret_wipe(&got);
}

static void accounts_are_exact(void **state)
{
    struct place *place = *state;
    static const char *const names[] = {"a@x", "A@x", "a@x ", "\xd0\xb0@x", "a@X"};
    for (size_t i = 0; i < LENGTH_OF(names); i++) {
        char token[32];
        snprintf(token, sizeof(token), "token-%zu", i);
        for (size_t k = i; k < LENGTH_OF(names); k++)
            assert_load_fails(place, names[k], ISSUER, ERR_NOT_FOUND, "not signed in");
        assert_int_equal(store(place, names[i], token, 1), 0);
    }
    for (size_t i = 0; i < LENGTH_OF(names); i++) {
        char token[32];
        snprintf(token, sizeof(token), "token-%zu", i);
        assert_token(place, names[i], token);
    }
}

static void nothing_secret_stands_in_the_file(void **state)
{
    struct place *place = *state;
    uint8_t sealed[256];
    assert_int_equal(store(place, "work", "canary-refresh-token", 1), 0);
    size_t size = peek(place, "SELECT refresh_token FROM tokens", sealed, sizeof(sealed));
    assert_int_equal(size, 31 + strlen("canary-refresh-token"));
    assert_memory_equal(sealed, "EV\1", 3);
    assert_false(file_holds(place->file, "canary-refresh", 14));
    assert_true(file_holds(place->file, sealed, size));
    struct err err = {0};
    assert_int_equal(vault_token_sign_out(place->vault, "work", "gone", &err), 0);
    assert_false(file_holds(place->file, sealed, size));
}

static void another_issuers_token_is_not_given_out(void **state)
{
    struct place *place = *state;
    assert_int_equal(store(place, "work", "token", 1), 0);
    assert_load_fails(place, "work", "https://id.example.test/", ERR_NOT_FOUND, "another issuer");
    assert_load_fails(place, "work", "https://evil.test", ERR_NOT_FOUND, ISSUER);
    assert_token(place, "work", "token");
}

static void assert_row(struct place *place, enum vault_token_state token_state, int64_t created,
                       int64_t last_refresh, const char *last_error)
{
    struct vault_token *tokens;
    size_t count;
    assert_int_equal(vault_token_list(place->vault, "work", &tokens, &count, NULL), 0);
    assert_int_equal(count, 1);
    assert_string_equal(tokens[0].account, "work");
    assert_string_equal(tokens[0].issuer, ISSUER);
    assert_int_equal(tokens[0].state, token_state);
    assert_int_equal(tokens[0].created, created);
    assert_int_equal(tokens[0].last_refresh, last_refresh);
    assert_string_equal(tokens[0].last_error, last_error);
    vault_tokens_free(tokens, count);
}

static void a_row_tells_its_history(void **state)
{
    struct place *place = *state;
    struct err err = {0};
    assert_int_equal(vault_token_note(place->vault, "work", 5, "x", &err), ERR_NOT_FOUND);
    assert_int_equal(vault_token_sign_out(place->vault, "work", "x", &err), ERR_NOT_FOUND);
    assert_int_equal(store(place, "work", "one", 100), 0);
    assert_row(place, VAULT_SIGNED_IN, 100, 0, "");
    assert_int_equal(vault_token_note(place->vault, "work", 0, "HTTP 503\n\x1b[2J", &err), 0);
    assert_row(place, VAULT_SIGNED_IN, 100, 0, "HTTP 503\\x0a\\x1b[2J");
    assert_int_equal(vault_token_note(place->vault, "work", 150, NULL, &err), 0);
    assert_row(place, VAULT_SIGNED_IN, 100, 150, "HTTP 503\\x0a\\x1b[2J");
    assert_int_equal(store(place, "work", "two", 200), 0);
    assert_row(place, VAULT_SIGNED_IN, 100, 200, "");
    assert_int_equal(vault_token_sign_out(place->vault, "work", "invalid_grant", &err), 0);
    assert_row(place, VAULT_SIGNED_OUT, 100, 200, "invalid_grant");
    assert_load_fails(place, "work", ISSUER, ERR_NOT_FOUND, "not signed in");
    reopen(place);
    assert_load_fails(place, "work", ISSUER, ERR_NOT_FOUND, "not signed in");
    assert_int_equal(store(place, "work", "three", 300), 0);
    assert_row(place, VAULT_SIGNED_IN, 300, 0, "");
}

static void a_long_error_is_cut(void **state)
{
    struct place *place = *state;
    char text[1000], expected[VAULT_TEXT_MAX + 1];
    memset(text, 'e', sizeof(text));
    memset(expected, 'e', sizeof(expected));
    text[sizeof(text) - 1] = '\0';
    expected[VAULT_TEXT_MAX] = '\0';
    assert_int_equal(store(place, "work", "one", 100), 0);
    assert_int_equal(vault_token_note(place->vault, "work", 0, text, NULL), 0);
    assert_row(place, VAULT_SIGNED_IN, 100, 0, expected);
}

static void accounts_are_listed_in_order(void **state)
{
    struct place *place = *state;
    struct vault_token *tokens;
    size_t count;
    assert_int_equal(vault_token_list(place->vault, NULL, &tokens, &count, NULL), 0);
    assert_int_equal(count, 0);
    vault_tokens_free(tokens, count);
    assert_int_equal(store(place, "zoo", "z", 1), 0);
    assert_int_equal(store(place, "art", "a", 2), 0);
    assert_int_equal(vault_token_list(place->vault, NULL, &tokens, &count, NULL), 0);
    assert_int_equal(count, 2);
    assert_string_equal(tokens[0].account, "art");
    assert_string_equal(tokens[1].account, "zoo");
    vault_tokens_free(tokens, count);
}

/* ---- tampering ---- */

static void a_row_moved_to_another_account_is_refused(void **state)
{
    struct place *place = *state;
    assert_int_equal(store(place, "work", "token-of-work", 1), 0);
    assert_int_equal(store(place, "home", "token-of-home", 1), 0);
    tamper(place, "UPDATE tokens SET account = account || '-';"
                  "UPDATE tokens SET account = CASE account WHEN 'work-' THEN 'home'"
                  " ELSE 'work' END");
    assert_load_fails(place, "work", ISSUER, ERR_CORRUPT, "left as it is");
    assert_load_fails(place, "home", ISSUER, ERR_CORRUPT, "left as it is");
    reopen(place);
    assert_load_fails(place, "work", ISSUER, ERR_CORRUPT, "left as it is");
    tamper(place, "UPDATE tokens SET account = account || '-';"
                  "UPDATE tokens SET account = CASE account WHEN 'work-' THEN 'home'"
                  " ELSE 'work' END");
    assert_token(place, "work", "token-of-work");
    assert_token(place, "home", "token-of-home");
}

static void an_issuer_written_over_is_refused(void **state)
{
    struct place *place = *state;
    assert_int_equal(store(place, "work", "token", 1), 0);
    tamper(place, "UPDATE tokens SET issuer = 'https://evil.test'");
    assert_load_fails(place, "work", "https://evil.test", ERR_CORRUPT, "damaged");
    tamper(place, "UPDATE tokens SET issuer = '" ISSUER "'");
    assert_token(place, "work", "token");
}

static void every_flipped_bit_is_refused(void **state)
{
    struct place *place = *state;
    static const char select[] = "SELECT refresh_token FROM tokens";
    static const char update[] = "UPDATE tokens SET refresh_token = ?";
    uint8_t sealed[64], now[64];
    assert_int_equal(store(place, "work", "token", 1), 0);
    size_t size = peek(place, select, sealed, sizeof(sealed));
    for (size_t i = 0; i < size; i++) {
        sealed[i] ^= (uint8_t)(1u << i % 8);
        poke(place, update, sealed, size);
        assert_load_fails(place, "work", ISSUER, ERR_CORRUPT, "damaged");
        assert_int_equal(peek(place, select, now, sizeof(now)), size);
        assert_memory_equal(now, sealed, size);
        sealed[i] ^= (uint8_t)(1u << i % 8);
    }
    for (size_t cut = 0; cut < size; cut++) {
        poke(place, update, sealed, cut);
        assert_load_fails(place, "work", ISSUER, ERR_CORRUPT, "damaged");
    }
    poke(place, update, sealed, size);
    assert_token(place, "work", "token");
}

static void a_damaged_token_is_kept_aside(void **state)
{
    struct place *place = *state;
    assert_int_equal(store(place, "work", "token", 100), 0);
    tamper(place, "UPDATE tokens SET refresh_token = zeroblob(43)");
    assert_load_fails(place, "work", ISSUER, ERR_CORRUPT, "damaged");
    assert_row(place, VAULT_DAMAGED, 100, 0, "");
    assert_int_equal(store(place, "work", "new", 200), 0);
    assert_token(place, "work", "new");
    assert_row(place, VAULT_SIGNED_IN, 200, 0, "");
    assert_int_equal(peek_number(place, "SELECT count(*) FROM damaged_tokens WHERE account = 'work'"
                                        " AND issuer = '" ISSUER "' AND found = 200"
                                        " AND length(refresh_token) = 43"),
                     1);
    assert_int_equal(vault_token_sign_out(place->vault, "work", "bye", NULL), 0);
    assert_int_equal(peek_number(place, "SELECT count(*) FROM damaged_tokens"), 0);
}

/* ---- opening ---- */

static void assert_does_not_open(struct place *place, const char *word)
{
    struct err err = {0};
    vault_close(place->vault);
    place->vault = NULL;
    assert_int_equal(try_open(place, &err), ERR_CORRUPT);
    assert_null(place->vault);
    assert_non_null(strstr(err.text, word));
}

static void another_key_does_not_fit(void **state)
{
    struct place *place = *state;
    assert_int_equal(store(place, "work", "token", 1), 0);
    char *key = scratch_path(place->scratch, "vault.key");
    char *aside = scratch_path(place->scratch, "aside");
    assert_int_equal(rename(key, aside), 0);
    int descriptor = open(key, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(dprintf(descriptor, "%064d\n", 1), 65);
    close(descriptor);
    assert_does_not_open(place, "key does not fit");
    assert_int_equal(rename(aside, key), 0);
    reopen(place);
    assert_token(place, "work", "token");
    free(aside);
    free(key);
}

static void another_version_is_refused(void **state)
{
    struct place *place = *state;
    assert_int_equal(store(place, "work", "token", 1), 0);
    static const char *const changes[] = {"UPDATE vault SET version = 4",
                                          "UPDATE vault SET version = 0", "DELETE FROM vault"};
    for (size_t i = 0; i < LENGTH_OF(changes); i++) {
        tamper(place, changes[i]);
        assert_does_not_open(place, "not a vault of version 3");
        assert_int_equal(peek_number(place, "SELECT count(*) FROM tokens"), 1);
    }
}

static void what_is_no_vault_is_refused_and_kept(void **state)
{
    struct place *place = *state;
    static const char garbage[] = "this is not a database, whatever its name says, by no means; "
                                  "not even one page of it, although it is long enough to be read";
    static const struct {
        const char *bytes;
        size_t size;
    } contents[] = {{"", 0}, {garbage, sizeof(garbage)}, {"SQLite format 3", 16}};
    for (size_t i = 0; i < LENGTH_OF(contents); i++) {
        int descriptor = open(place->file, O_TRUNC | O_WRONLY | O_CLOEXEC);
        size_t size = contents[i].size;
        assert_int_equal(write(descriptor, contents[i].bytes, size), (ssize_t)size);
        close(descriptor);
        assert_does_not_open(place, "vault.db");
        struct stat stat_of;
        assert_int_equal(stat(place->file, &stat_of), 0);
        assert_int_equal(stat_of.st_size, (off_t)size);
    }
}

/* ---- ends ---- */

static void a_full_disk_leaves_the_old_token(void **state)
{
    struct place *place = *state;
    assert_int_equal(store(place, "work", "old", 1), 0);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = {0, 0};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &none);
        struct secret token = {0};
        struct err err = {0};
        secret_set(&token, SLICE_LITERAL("new"));
        int status = vault_token_store(place->vault, "work", ISSUER, &token, 2, &err);
        char got[64] = "";
        int loaded = load_from(place, "work", ISSUER, got, &err);
        _exit(status == ERR_SYSTEM && loaded == 0 && strcmp(got, "old") == 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_token(place, "work", "old");
    assert_int_equal(store(place, "work", "new", 3), 0);
    assert_token(place, "work", "new");
}

/* Stores token after token, and says after each that it is on disk. */
static void store_for_ever(const char *folder_path, unsigned first, volatile unsigned *stored)
{
    struct place place = {0};
    if (state_folder_open(folder_path, &place.folder, NULL) != 0 || try_open(&place, NULL) != 0)
        _exit(1);
    for (unsigned number = first;; number++) {
        char token[32];
        snprintf(token, sizeof(token), "token-%u", number);
        if (store(&place, "work", token, 1) != 0)
            _exit(1);
        *stored = number;
    }
}

static void a_kill_leaves_the_old_or_the_new_token(void **state)
{
    struct place *place = *state;
    volatile unsigned *stored =
        mmap(NULL, sizeof(*stored), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true((void *)(uintptr_t)stored != MAP_FAILED);
    assert_int_equal(store(place, "work", "token-0", 1), 0);
    vault_close(place->vault);
    place->vault = NULL;
    state_folder_close(place->folder);
    unsigned latest = 0;
    for (unsigned round = 0; round < 50; round++) {
        pid_t child = fork();
        if (child == 0)
            store_for_ever(place->scratch, latest + 1, stored);
        int status;
        while (*stored == latest && waitpid(child, &status, WNOHANG) == 0)
            ;
        assert_true(*stored > latest);
        /* Anywhere within the next store: the rounds end at different places of it. */
        for (volatile unsigned spin = 0; spin < round * 20000; spin++)
            ;
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        latest = *stored;
        assert_int_equal(state_folder_open(place->scratch, &place->folder, NULL), 0);
        reopen(place);
        char got[64];
        assert_int_equal(load_from(place, "work", ISSUER, got, NULL), 0);
        assert_memory_equal(got, "token-", 6);
        unsigned number = (unsigned)strtoul(got + 6, NULL, 10);
        assert_true(number == latest || number == latest + 1);
        latest = *stored = number;
        vault_close(place->vault);
        place->vault = NULL;
        state_folder_close(place->folder);
    }
    assert_int_equal(state_folder_open(place->scratch, &place->folder, NULL), 0);
    reopen(place);
    munmap((void *)(uintptr_t)stored, sizeof(*stored));
}

#define PLACE_TEST(test) cmocka_unit_test_setup_teardown(test, place_set_up, place_tear_down)

int main(void)
{
    alarm(120);
    const struct CMUnitTest tests[] = {
        PLACE_TEST(a_token_comes_back_after_a_restart),
        PLACE_TEST(a_token_of_16_KiB_fits_and_an_empty_one_does_not),
        PLACE_TEST(accounts_are_exact),
        PLACE_TEST(nothing_secret_stands_in_the_file),
        PLACE_TEST(another_issuers_token_is_not_given_out),
        PLACE_TEST(a_row_tells_its_history),
        PLACE_TEST(a_long_error_is_cut),
        PLACE_TEST(accounts_are_listed_in_order),
        PLACE_TEST(a_row_moved_to_another_account_is_refused),
        PLACE_TEST(an_issuer_written_over_is_refused),
        PLACE_TEST(every_flipped_bit_is_refused),
        PLACE_TEST(a_damaged_token_is_kept_aside),
        PLACE_TEST(another_key_does_not_fit),
        PLACE_TEST(another_version_is_refused),
        PLACE_TEST(what_is_no_vault_is_refused_and_kept),
        PLACE_TEST(a_full_disk_leaves_the_old_token),
        PLACE_TEST(a_kill_leaves_the_old_or_the_new_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
