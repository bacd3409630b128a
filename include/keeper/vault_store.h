/*
 * What the files of the vault share; nobody else includes it. Statements are prepared, bound,
 * stepped and finalized within one function; a transaction is bracketed by vault_begin and
 * vault_end.
 */
#ifndef ECLUSE_KEEPER_VAULT_STORE_H
#define ECLUSE_KEEPER_VAULT_STORE_H

#include <sqlite3.h>

#include "base/buf.h"
#include "keeper/seal.h"
#include "keeper/vault.h"

struct vault_use {
    int64_t number, when;
};

#define VAULT_VERSION 3

struct vault {
    const struct state_folder *folder;
    sqlite3 *database;
    struct vault_lock lock;
    struct secret seal_key, grant_key;
    struct vault_use *uses; /* of grants, since the last flush: one entry a grant */
    size_t use_count;
};

/* ---- vault_schema.c ---- */

extern const char vault_schema[];
/* From `version` to this one. On error it is still of that version. */
MUST_CHECK int vault_migrate(struct vault *vault, int64_t version, struct err *err);

/* ---- vault_header.c: the one row that says how all the rest is sealed ---- */

/* How it is sealed, as it says itself. */
MUST_CHECK int vault_load_lock(struct vault *vault, struct vault_lock *lock_out, struct err *err);
/* That it is a vault, and that keys and lock fit; from version 3 on grant_key is the one in it. */
MUST_CHECK int vault_check_header(struct vault *vault, int64_t *version_out, struct err *err);
/* Puts the row in the place of the one that is there, for the vault's lock and keys. */
MUST_CHECK int vault_write_header(struct vault *vault, struct err *err);

/* ---- vault_client.c ---- */

/* Makes its table when there is none. */
MUST_CHECK int vault_clients_prepare(struct vault *vault, struct err *err);

/* ---- vault_audit.c ---- */

/* Makes its table when there is none. */
MUST_CHECK int vault_pseudonyms_prepare(struct vault *vault, struct err *err);

/* ---- vault.c ---- */

/* Turns the database's last failure into a code and a text. */
int vault_fail(const struct vault *vault, struct err *err);

MUST_CHECK int vault_begin(struct vault *vault, struct err *err);
/* Commits when status is 0, else undoes everything; gives what came of it. */
MUST_CHECK int vault_end(struct vault *vault, int status, struct err *err);
MUST_CHECK int vault_run(struct vault *vault, const char *sql, struct err *err);

MUST_CHECK int vault_prepare(struct vault *vault, const char *sql, sqlite3_stmt **statement_out,
                             struct err *err);
/* Indices count from 1. What is bound is copied. */
void vault_bind_text(sqlite3_stmt *statement, int index, const char *text);
void vault_bind_number(sqlite3_stmt *statement, int index, int64_t number);
void vault_bind_bytes(sqlite3_stmt *statement, int index, struct slice bytes);
enum vault_step { VAULT_ROW, VAULT_DONE, VAULT_FAILED /* then vault_fail */ };
MUST_CHECK enum vault_step vault_step(sqlite3_stmt *statement);
/* For statements that give no row: steps once and finalizes. ERR_NOT_FOUND when no row changed. */
MUST_CHECK int vault_change(struct vault *vault, sqlite3_stmt *statement, struct err *err);

/* Columns count from 0. The copy is never NULL. */
char *vault_column_copy(sqlite3_stmt *statement, int column);
/* Borrowed until the next step. */
struct slice vault_column_bytes(sqlite3_stmt *statement, int column);

/* ---- vault_next.c: a token on its way into the vault ---- */

/* Unless it follows none: a sign-in that is lost is made again. */
void vault_next_note(struct vault *vault, const char *account, const char *issuer,
                     const struct secret *token);
void vault_next_forget(const struct vault *vault);
/* Stores what an earlier process has noted and not forgotten. */
void vault_next_recover(struct vault *vault);

/* ---- vault_token.c, vault_grant.c: a column sealed anew, within a transaction ---- */

/* From the vault's key to `key`. What does not open is left, and noted. */
MUST_CHECK int vault_tokens_reseal(struct vault *vault, const struct secret *key,
                                   struct vault_left *left, struct err *err);
MUST_CHECK int vault_grants_reseal(struct vault *vault, const struct secret *key,
                                   struct vault_left *left, struct err *err);

/* ---- vault_rekey.c ---- */

/* Another one: "the token of", "password phone of", and whose. */
void vault_left_add(struct vault_left *left, const char *what, const char *account);

#endif
