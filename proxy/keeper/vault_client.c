/*
 * Clients that were registered at issuers. They have no secret, so nothing is sealed; the table
 * comes when the vault is opened, since programs that do not know it do not trip over it.
 */
#include "keeper/vault_store.h"

int vault_clients_prepare(struct vault *vault, struct err *err)
{
    return vault_run(vault,
                     "CREATE TABLE IF NOT EXISTS clients ("
                     " issuer TEXT NOT NULL PRIMARY KEY,"
                     " client_id TEXT NOT NULL,"
                     " created INTEGER NOT NULL) STRICT;",
                     err);
}

int vault_client_store(struct vault *vault, const char *issuer, const char *client_id, int64_t now,
                       struct err *err)
{
    sqlite3_stmt *statement;
    int status = vault_prepare(vault,
                               "INSERT INTO clients (issuer, client_id, created) VALUES (?, ?, ?)"
                               " ON CONFLICT DO NOTHING",
                               &statement, err);
    if (status != 0)
        return status;
    vault_bind_text(statement, 1, issuer);
    vault_bind_text(statement, 2, client_id);
    vault_bind_number(statement, 3, now);
    status = vault_change(vault, statement, err);
    return status == ERR_NOT_FOUND ? ERR_EXISTS : status;
}

int vault_client_load(struct vault *vault, const char *issuer, char **client_id_out,
                      struct err *err)
{
    sqlite3_stmt *statement;
    int status =
        vault_prepare(vault, "SELECT client_id FROM clients WHERE issuer = ?", &statement, err);
    if (status != 0)
        return status;
    vault_bind_text(statement, 1, issuer);
    switch (vault_step(statement)) {
    case VAULT_FAILED:
        status = vault_fail(vault, err);
        break;
    case VAULT_DONE:
        status = err_set(err, ERR_NOT_FOUND, "no client is registered at %s", issuer);
        break;
    case VAULT_ROW:
        *client_id_out = vault_column_copy(statement, 0);
        break;
    }
    sqlite3_finalize(statement);
    return status;
}

int vault_client_forget(struct vault *vault, const char *issuer, struct err *err)
{
    sqlite3_stmt *statement;
    int status = vault_prepare(vault, "DELETE FROM clients WHERE issuer = ?", &statement, err);
    if (status != 0)
        return status;
    vault_bind_text(statement, 1, issuer);
    return vault_change(vault, statement, err);
}
