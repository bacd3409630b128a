/*
 * Opening and closing, and the statements of all tables.
 *
 * Happy path: permissions of everything that SQLite will touch are checked, the file is opened, the
 * proof in it is opened with the key; one of an older version is brought to this one.
 *
 * The journal is a rollback journal that is deleted at each commit, not a write-ahead log: between
 * two transactions there is then one file, in which a token that was wiped really is overwritten
 * (secure_delete), while a log would keep its old page until it is written over some day.
 * synchronous = EXTRA is FULL and, on top, a sync of the folder after the journal's removal:
 * without it, a commit in this mode could be undone by a power cut.
 *
 * Failures:
 *  - a crash while a new vault is made: it is made under another name, so vault.db is not there or
 *    complete; an empty or cut one is therefore damage (ERR_CORRUPT), not a new vault
 *  - a crash within a transaction, also the one that changes the version: SQLite undoes it at the
 *    next opening
 *  - the wrong key, another version, another program's file: ERR_CORRUPT, nothing is changed
 */
#include "keeper/vault_store.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define VAULT_NAME "vault.db"
#define NEW_NAME   VAULT_NAME ".new"
#define BUSY_WAIT  2000 /* milliseconds, for somebody's backup */

static const char settings[] = "PRAGMA journal_mode = DELETE;"
                               "PRAGMA synchronous = EXTRA;"
                               "PRAGMA foreign_keys = ON;"
                               "PRAGMA secure_delete = ON;"
                               "PRAGMA cell_size_check = ON;"
                               "PRAGMA trusted_schema = OFF;"
                               "PRAGMA temp_store = MEMORY;"
                               "PRAGMA mmap_size = 0;";

/* ---- statements ---- */

int vault_fail(const struct vault *vault, struct err *err)
{
    int code;
    switch (sqlite3_errcode(vault->database) & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        code = ERR_BUSY;
        break;
    case SQLITE_ERROR: /* the tables are not the ones of this version */
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_SCHEMA:
        code = ERR_CORRUPT;
        break;
    case SQLITE_CONSTRAINT:
        code = ERR_EXISTS;
        break;
    default:
        code = ERR_SYSTEM;
    }
    return err_set(err, code, "%s/" VAULT_NAME ": %s", state_folder_path(vault->folder),
                   sqlite3_errmsg(vault->database));
}

int vault_run(struct vault *vault, const char *sql, struct err *err)
{
    if (sqlite3_exec(vault->database, sql, NULL, NULL, NULL) != SQLITE_OK)
        return vault_fail(vault, err);
    return 0;
}

int vault_begin(struct vault *vault, struct err *err)
{
    return vault_run(vault, "BEGIN IMMEDIATE", err);
}

int vault_end(struct vault *vault, int status, struct err *err)
{
    if (status == 0)
        status = vault_run(vault, "COMMIT", err);
    /* After some failures SQLite has rolled back by itself. */
    if (status != 0 && sqlite3_get_autocommit(vault->database) == 0)
        (void)sqlite3_exec(vault->database, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

int vault_prepare(struct vault *vault, const char *sql, sqlite3_stmt **statement_out,
                  struct err *err)
{
    if (sqlite3_prepare_v2(vault->database, sql, -1, statement_out, NULL) != SQLITE_OK)
        return vault_fail(vault, err);
    return 0;
}

void vault_bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    ENSURE(sqlite3_bind_text(statement, index, text, -1, SQLITE_TRANSIENT) == SQLITE_OK);
}

void vault_bind_number(sqlite3_stmt *statement, int index, int64_t number)
{
    ENSURE(sqlite3_bind_int64(statement, index, number) == SQLITE_OK);
}

void vault_bind_bytes(sqlite3_stmt *statement, int index, struct slice bytes)
{
    ENSURE(sqlite3_bind_blob64(statement, index, bytes.data, bytes.size, SQLITE_TRANSIENT) ==
           SQLITE_OK);
}

enum vault_step vault_step(sqlite3_stmt *statement)
{
    int status = sqlite3_step(statement);
    if (status == SQLITE_ROW)
        return VAULT_ROW;
    return status == SQLITE_DONE ? VAULT_DONE : VAULT_FAILED;
}

int vault_change(struct vault *vault, sqlite3_stmt *statement, struct err *err)
{
    int status = 0;
    if (sqlite3_step(statement) != SQLITE_DONE)
        status = vault_fail(vault, err);
    else if (sqlite3_changes(vault->database) == 0)
        status = err_set(err, ERR_NOT_FOUND, "not in the vault");
    sqlite3_finalize(statement);
    return status;
}

struct slice vault_column_bytes(sqlite3_stmt *statement, int column)
{
    const void *bytes = sqlite3_column_blob(statement, column);
    return slice_of(bytes, (size_t)sqlite3_column_bytes(statement, column));
}

char *vault_column_copy(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return mem_copy_string(text == NULL ? "" : text);
}

/* ---- opening ---- */

static int open_database(struct vault *vault, const char *name, struct err *err)
{
    char path[4096];
    int size = snprintf(path, sizeof(path), "%s/%s", state_folder_path(vault->folder), name);
    if (size < 0 || (size_t)size >= sizeof(path))
        return err_set(err, ERR_CONFIG, "the path of state_dir is too long");
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_PRIVATECACHE |
                SQLITE_OPEN_EXRESCODE;
    if (sqlite3_open_v2(path, &vault->database, flags, NULL) != SQLITE_OK) {
        ENSURE(vault->database != NULL); /* else memory is out */
        return err_set(err, ERR_SYSTEM, "%s: %s", path, sqlite3_errmsg(vault->database));
    }
    sqlite3_busy_timeout(vault->database, BUSY_WAIT);
    (void)sqlite3_db_config(vault->database, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return vault_run(vault, settings, err);
}

static int fill_new(struct vault *vault, struct err *err)
{
    int status = open_database(vault, NEW_NAME, err);
    if (status == 0)
        status = vault_begin(vault, err);
    if (status != 0)
        return status;
    status = vault_run(vault, vault_schema, err);
    if (status == 0)
        status = vault_write_header(vault, err);
    return vault_end(vault, status, err);
}

/* Under another name first, then put in its place whole. */
static int make_new(struct vault *vault, struct err *err)
{
    const struct state_folder *folder = vault->folder;
    state_folder_remove_file(folder, NEW_NAME);
    state_folder_remove_file(folder, NEW_NAME "-journal");
    int descriptor;
    int status = state_folder_open_file(folder, NEW_NAME, STATE_FILE_CREATE, &descriptor, err);
    if (status != 0)
        return status;
    (void)close(descriptor);
    status = fill_new(vault, err);
    sqlite3_close(vault->database);
    vault->database = NULL;
    if (status == 0)
        status = state_folder_publish(folder, VAULT_NAME, err);
    if (status != 0)
        state_folder_remove_file(folder, NEW_NAME);
    return status;
}

/* What SQLite would read, or write beside it. */
static int check_files(const struct state_folder *folder, struct err *err)
{
    static const char *const beside[] = {VAULT_NAME "-journal", VAULT_NAME "-wal",
                                         VAULT_NAME "-shm"};
    for (size_t i = 0; i < LENGTH_OF(beside); i++) {
        int status = state_folder_check_file(folder, beside[i], err);
        if (status != 0 && status != ERR_NOT_FOUND)
            return status;
    }
    return state_folder_check_file(folder, VAULT_NAME, err);
}

static int derive_keys(struct vault *vault, const struct secret *key, struct err *err)
{
    int status = seal_derive_key(key, "ecluse vault seal", &vault->seal_key);
    /* Of a new vault and an old version; else the one that is kept in the vault comes instead. */
    if (status == 0)
        status = seal_derive_key(key, "ecluse vault grant", &vault->grant_key);
    if (status != 0)
        return err_set(err, status, "the vault's keys cannot be derived");
    return 0;
}

static int open_checked(struct vault *vault, const struct secret *key, struct err *err)
{
    int status = derive_keys(vault, key, err);
    if (status != 0)
        return status;
    status = check_files(vault->folder, err);
    if (status == ERR_NOT_FOUND) {
        status = make_new(vault, err);
        if (status == 0)
            status = check_files(vault->folder, err);
    }
    if (status == 0)
        status = open_database(vault, VAULT_NAME, err);
    int64_t version = 0;
    if (status == 0)
        status = vault_check_header(vault, &version, err);
    if (status == 0 && version < VAULT_VERSION)
        status = vault_migrate(vault, version, err);
    if (status == 0)
        status = vault_clients_prepare(vault, err);
    if (status == 0)
        status = vault_pseudonyms_prepare(vault, err);
    if (status == 0)
        vault_next_recover(vault);
    return status;
}

static void vault_free(struct vault *vault)
{
    ENSURE(sqlite3_close(vault->database) == SQLITE_OK);
    secret_wipe(&vault->seal_key);
    secret_wipe(&vault->grant_key);
    mem_free(vault->uses);
    mem_free(vault);
}

int vault_read_lock(const struct state_folder *folder, struct vault_lock *lock_out, struct err *err)
{
    struct vault *vault = mem_new(sizeof(*vault));
    vault->folder = folder;
    int status = check_files(folder, err);
    if (status == 0)
        status = open_database(vault, VAULT_NAME, err);
    if (status == 0)
        status = vault_load_lock(vault, lock_out, err);
    vault_free(vault);
    return status;
}

int vault_open(const struct state_folder *folder, struct secret *key, struct vault **vault_out,
               struct err *err)
{
    return vault_open_sealed(folder, &(struct vault_lock){.kind = VAULT_KEY_FILE}, key, vault_out,
                             err);
}

int vault_open_sealed(const struct state_folder *folder, const struct vault_lock *lock,
                      struct secret *key, struct vault **vault_out, struct err *err)
{
    ENSURE(key->size == SEAL_KEY_SIZE);
    *vault_out = NULL;
    struct vault *vault = mem_new(sizeof(*vault));
    vault->folder = folder;
    vault->lock = *lock;
    int status = open_checked(vault, key, err);
    secret_wipe(key);
    if (status != 0) {
        vault_free(vault);
        return status;
    }
    *vault_out = vault;
    return 0;
}

void vault_close(struct vault *vault)
{
    if (vault == NULL)
        return;
    int lost = vault_flush(vault, NULL);
    (void)lost;
    vault_free(vault);
}

const struct secret *vault_grant_key(const struct vault *vault)
{
    return &vault->grant_key;
}
