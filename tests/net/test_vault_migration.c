/*
 * A vault of version 1 or 2 becomes one of version 3 when it is opened, with all that was in it; or
 * stays what it was.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "../lib/scratch_folder.h"
#include "keeper/seal.h"
#include "keeper/vault.h"
#include "keeper/vault_key.h"

#define ISSUER "https://id.example.test"

#define HEADER_BEFORE_3 "CREATE TABLE vault (version INTEGER NOT NULL, proof BLOB NOT NULL) STRICT;"

static const char schema_1[] =
    HEADER_BEFORE_3 "CREATE TABLE tokens ("
                    " account TEXT NOT NULL PRIMARY KEY,"
                    " issuer TEXT NOT NULL,"
                    " state TEXT NOT NULL CHECK (state IN ('signed-in', 'signed-out')),"
                    " refresh_token BLOB,"
                    " created INTEGER NOT NULL,"
                    " last_refresh INTEGER NOT NULL,"
                    " last_error TEXT NOT NULL,"
                    " CHECK ((state = 'signed-in') = (refresh_token IS NOT NULL))) STRICT;"
                    "CREATE TABLE damaged_tokens ("
                    " account TEXT NOT NULL,"
                    " issuer TEXT NOT NULL,"
                    " refresh_token BLOB,"
                    " found INTEGER NOT NULL) STRICT;"
                    "CREATE TABLE grants ("
                    " number INTEGER PRIMARY KEY AUTOINCREMENT,"
                    " account TEXT NOT NULL,"
                    " name TEXT NOT NULL,"
                    " protocols TEXT NOT NULL,"
                    " read_only INTEGER NOT NULL CHECK (read_only IN (0, 1)),"
                    " sender TEXT NOT NULL,"
                    " kind TEXT NOT NULL CHECK (kind IN ('generated', 'chosen')),"
                    " verifier BLOB NOT NULL,"
                    " created INTEGER NOT NULL,"
                    " last_used INTEGER NOT NULL,"
                    " UNIQUE (account, name)) STRICT;";

/* The sealed columns are the same in both versions, but for the proof. */
static const char copy_rows[] =
    "INSERT INTO tokens SELECT * FROM now.tokens;"
    "INSERT INTO damaged_tokens SELECT * FROM now.damaged_tokens;"
    "INSERT INTO grants SELECT number, account, name, protocols, read_only, sender, kind, verifier,"
    " created, last_used FROM now.grants;"
    "DELETE FROM sqlite_sequence;"
    "INSERT INTO sqlite_sequence SELECT name, seq FROM now.sqlite_sequence;";

struct place {
    char *scratch, *file;
    struct state_folder *folder;
    struct vault *vault;
    int64_t generated, chosen, removed; /* numbers of grants */
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

static void close_vault(struct place *place)
{
    vault_close(place->vault);
    place->vault = NULL;
}

static void run(const char *file, const char *sql)
{
    sqlite3 *database;
    char *message = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    assert_int_equal(sqlite3_open_v2(file, &database, flags, NULL), 0);
    sqlite3_exec(database, sql, NULL, NULL, &message);
    assert_null(message);
    sqlite3_close(database);
}

static int64_t ask_number(const char *file, const char *sql)
{
    sqlite3 *database;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open_v2(file, &database, SQLITE_OPEN_READWRITE, NULL), 0);
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), 0);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return number;
}

static int64_t version(const struct place *place)
{
    return ask_number(place->file, "SELECT version FROM vault");
}

static int add(struct place *place, const char *name, enum vault_grant_kind kind,
               const char *password, int64_t *number_out)
{
    struct secret secret = {0};
    struct err err;
    char *copy = mem_copy_string(name);
    const struct vault_grant grant = {
        .account = (char[]){"work"},
        .name = copy,
        .protocols = (char[]){"imap"},
        .from = (char[]){""},
        .kind = kind,
        .classes = {kind == VAULT_GRANT_CLEAR},
    };
    secret_set(&secret, slice_of_string(password));
    int status = vault_grant_add(place->vault, &grant, &secret, 1000, number_out, &err);
    secret_wipe(&secret);
    mem_free(copy);
    return status;
}

/* What is sealed in a vault of version 1 or 2 to show that the key fits. */
static void write_old_proof(struct place *place, const char *file, int version)
{
    struct secret key = {0}, seal_key = {0};
    struct buf sealed;
    struct err err = {0};
    const struct seal_place proof = {.table = "vault", .column = "proof", .account = ""};
    char sql[400], *end = sql + sprintf(sql, "INSERT INTO vault VALUES (%d, x'", version);
    buf_init(&sealed, 100);
    assert_int_equal(vault_key_from_file(place->folder, &key, &err), 0);
    assert_int_equal(seal_derive_key(&key, "ecluse vault seal", &seal_key), 0);
    assert_int_equal(seal_write(&seal_key, &proof, SLICE_LITERAL("ecluse vault"), &sealed), 0);
    for (size_t i = 0; i < buf_size(&sealed); i++)
        end += sprintf(end, "%02x", buf_bytes(&sealed).data[i]);
    sprintf(end, "')");
    run(file, sql);
    buf_fini(&sealed);
    secret_wipe(&seal_key);
    secret_wipe(&key);
}

/* In the vault's place one with the tables of version 1 and the same rows. */
static void go_back_to_version_1(struct place *place)
{
    char *old = scratch_path(place->scratch, "version-1"), sql[600];
    mode_t mask = umask(0077);
    run(old, schema_1);
    umask(mask);
    snprintf(sql, sizeof(sql), "ATTACH '%s' AS now;%s", place->file, copy_rows);
    run(old, sql);
    write_old_proof(place, old, 1);
    assert_int_equal(rename(old, place->file), 0);
    assert_int_equal(version(place), 1);
    free(old);
}

/* Which differs from version 3 in its header alone. */
static void go_back_to_version_2(struct place *place)
{
    run(place->file, "DROP TABLE vault;" HEADER_BEFORE_3);
    write_old_proof(place, place->file, 2);
    assert_int_equal(version(place), 2);
}

static int set_up(void **state)
{
    struct place *place = mem_new(sizeof(*place));
    struct secret token = {0};
    struct err err = {0};
    int64_t number;
    place->scratch = scratch_folder_new();
    place->file = scratch_path(place->scratch, "vault.db");
    assert_int_equal(state_folder_open(place->scratch, &place->folder, &err), 0);
    assert_int_equal(try_open(place, &err), 0);
    secret_set(&token, SLICE_LITERAL("refresh-token"));
    assert_int_equal(vault_token_store(place->vault, "work", ISSUER, &token, 1, &err), 0);
    secret_wipe(&token);
    assert_int_equal(
        add(place, "phone", VAULT_GRANT_GENERATED, "phone-password", &place->generated), 0);
    assert_int_equal(add(place, "desk", VAULT_GRANT_CHOSEN, "desk-password", &place->chosen), 0);
    assert_int_equal(add(place, "lost", VAULT_GRANT_GENERATED, "lost-password", &place->removed),
                     0);
    assert_int_equal(vault_grant_remove(place->vault, "work", "lost", &number, &err), 0);
    close_vault(place);
    go_back_to_version_1(place);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    close_vault(place);
    state_folder_close(place->folder);
    free(place->file);
    scratch_folder_remove(place->scratch);
    mem_free(place);
    return 0;
}

static void assert_everything_is_there(struct place *place)
{
    struct secret secret = {0};
    struct vault_grant *grants;
    struct err err = {0};
    size_t count;
    assert_int_equal(vault_token_load(place->vault, "work", ISSUER, &secret, &err), 0);
    assert_true(slice_is(secret_bytes(&secret), "refresh-token"));
    assert_int_equal(vault_grant_list(place->vault, NULL, &grants, &count, &err), 0);
    assert_int_equal(count, 2);
    assert_int_equal(grants[0].number, place->generated);
    assert_int_equal(grants[0].kind, VAULT_GRANT_GENERATED);
    assert_int_equal(grants[1].number, place->chosen);
    assert_int_equal(grants[1].kind, VAULT_GRANT_CHOSEN);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(grants[i].protocols, "imap");
        assert_int_equal(grants[i].created, 1000);
        assert_int_equal(vault_grant_verifier(place->vault, &grants[i], &secret, &err), 0);
    }
    vault_grants_free(grants, count);
    secret_wipe(&secret);
}

static int64_t store_what_version_1_could_not(struct place *place)
{
    struct err err = {0};
    int64_t number;
    assert_int_equal(add(place, "old", VAULT_GRANT_CLEAR, "old-password", &number), 0);
    const struct vault_upstream upstream = {.account = (char[]){"work"},
                                            .protocol = PROTOCOL_SMTP,
                                            .host = (char[]){"smtp.example.test"},
                                            .capabilities = (char[]){"SIZE 1000\n"}};
    assert_int_equal(vault_upstream_store(place->vault, &upstream, &err), 0);
    return number;
}

static void everything_comes_along(void **state)
{
    struct place *place = *state;
    struct err err = {0};
    assert_int_equal(try_open(place, &err), 0);
    assert_everything_is_there(place);
    assert_int_equal(version(place), 3);
    close_vault(place);
    assert_int_equal(try_open(place, &err), 0);
    assert_everything_is_there(place);
    (void)store_what_version_1_could_not(place);
}

static void version_2_keeps_what_version_1_could_not(void **state)
{
    struct place *place = *state;
    struct vault_grant *grants;
    struct secret verifier = {0};
    struct err err = {0};
    size_t count;
    assert_int_equal(try_open(place, &err), 0);
    int64_t number = store_what_version_1_could_not(place);
    close_vault(place);
    go_back_to_version_2(place);
    assert_int_equal(try_open(place, &err), 0);
    assert_int_equal(version(place), 3);
    assert_int_equal(vault_grant_list(place->vault, NULL, &grants, &count, &err), 0);
    assert_int_equal(count, 3);
    assert_int_equal(grants[2].number, number);
    assert_int_equal(grants[2].kind, VAULT_GRANT_CLEAR);
    assert_int_equal(vault_grant_verifier(place->vault, &grants[2], &verifier, &err), 0);
    assert_true(slice_is(secret_bytes(&verifier), "old-password"));
    assert_int_equal(ask_number(place->file, "SELECT count(*) FROM upstreams"), 1);
    vault_grants_free(grants, count);
    secret_wipe(&verifier);
    assert_int_equal(vault_grant_remove(place->vault, "work", "old", &number, &err), 0);
    assert_everything_is_there(place);
}

static void a_number_is_not_given_out_again(void **state)
{
    struct place *place = *state;
    struct err err = {0};
    int64_t number;
    assert_int_equal(try_open(place, &err), 0);
    assert_int_equal(add(place, "new", VAULT_GRANT_GENERATED, "new-password", &number), 0);
    assert_int_equal(number, place->removed + 1);
}

static void the_wrong_key_changes_nothing(void **state)
{
    struct place *place = *state;
    struct err err = {0};
    char *key = scratch_path(place->scratch, "vault.key");
    int descriptor = open(key, O_TRUNC | O_WRONLY | O_CLOEXEC);
    assert_int_equal(dprintf(descriptor, "%064d\n", 1), 65);
    close(descriptor);
    assert_int_equal(try_open(place, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.text, "key does not fit"));
    assert_int_equal(version(place), 1);
    free(key);
}

static void tables_of_another_version_are_left_alone(void **state)
{
    struct place *place = *state;
    struct err err = {0};
    run(place->file, "CREATE TABLE upstreams (account TEXT)");
    assert_int_equal(try_open(place, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.text, "version 3"));
    assert_int_equal(version(place), 1);
    assert_int_equal(ask_number(place->file, "SELECT count(*) FROM grants"), 2);
    run(place->file, "DROP TABLE upstreams");
    assert_int_equal(try_open(place, &err), 0);
    assert_everything_is_there(place);
}

static void a_full_disk_leaves_the_old_version(void **state)
{
    struct place *place = *state;
    struct err err = {0};
    struct stat about;
    assert_int_equal(stat(place->file, &about), 0);
    pid_t child = fork();
    if (child == 0) {
        /* The journal fits, the larger vault does not. */
        struct rlimit limit = {(rlim_t)about.st_size, (rlim_t)about.st_size};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        _exit(try_open(place, &err) == ERR_SYSTEM && place->vault == NULL ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(version(place), 1);
    assert_int_equal(try_open(place, &err), 0);
    assert_everything_is_there(place);
}

static void a_kill_leaves_the_old_or_the_new_version(void **state)
{
    struct place *place = *state;
    struct err err = {0};
    unsigned seen[4] = {0};
    for (unsigned round = 0; round < 60; round++) {
        int pair[2], status;
        char octet;
        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        pid_t child = fork();
        if (child == 0) {
            (void)!write(pair[1], "x", 1);
            _exit(try_open(place, &err) == 0 ? 0 : 1);
        }
        assert_int_equal(read(pair[0], &octet, 1), 1);
        /* The rounds end at different places of the opening. */
        for (volatile unsigned spin = 0; spin < round * 400000; spin++)
            ;
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        close(pair[0]);
        close(pair[1]);
        int64_t left = version(place);
        assert_true(left == 1 || left == 3);
        seen[left]++;
        assert_int_equal(try_open(place, &err), 0);
        assert_everything_is_there(place);
        close_vault(place);
        go_back_to_version_1(place);
    }
    print_message("%u kills left version 1, %u version 3\n", seen[1], seen[3]);
    assert_true(seen[1] > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    alarm(120);
    const struct CMUnitTest tests[] = {
        TEST(everything_comes_along),
        TEST(version_2_keeps_what_version_1_could_not),
        TEST(a_number_is_not_given_out_again),
        TEST(the_wrong_key_changes_nothing),
        TEST(tables_of_another_version_are_left_alone),
        TEST(a_full_disk_leaves_the_old_version),
        TEST(a_kill_leaves_the_old_or_the_new_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
