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

struct vault {
    const struct state_folder *folder;
    sqlite3 *database;
    struct secret seal_key, grant_key;
    struct vault_use *uses; /* of grants, since the last flush: one entry a grant */
    size_t use_count;
};

/* ---- vault_schema.c ---- */

extern const char vault_schema[];
/* From version 1 to this one. On error it is still of version 1. */
MUST_CHECK int vault_migrate(struct vault *vault, struct err *err);

/* ---- vault_client.c ---- */

/* Makes its table when there is none. */
MUST_CHECK int vault_clients_prepare(struct vault *vault, struct err *err);

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

#endif
