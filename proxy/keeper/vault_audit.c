/*
 * Happy path: a key is derived when it is asked for; that of an account's pseudonyms is read from
 * its row, or made and put there.
 *
 * Failures: a row that does not open is ERR_CORRUPT and stays; nothing is made in its place, since
 * that would give somebody a second name.
 */
#include "keeper/vault_audit.h"

#include <openssl/rand.h>

#include "keeper/vault_store.h"

int vault_pseudonyms_prepare(struct vault *vault, struct err *err)
{
    return vault_run(vault,
                     "CREATE TABLE IF NOT EXISTS pseudonyms ("
                     " account TEXT NOT NULL PRIMARY KEY,"
                     " key BLOB NOT NULL) STRICT;",
                     err);
}

static int derive(const struct vault *vault, const char *purpose, struct secret *key_out,
                  struct err *err)
{
    int status = seal_derive_key(&vault->grant_key, purpose, key_out);
    if (status != 0)
        return err_set(err, status, "a key of the audit journal cannot be derived");
    return 0;
}

int vault_audit_key(const struct vault *vault, enum vault_audit_purpose purpose,
                    struct secret *key_out, struct err *err)
{
    static const char *const purposes[VAULT_AUDIT_PURPOSES] = {
        [VAULT_AUDIT_STATE] = "ecluse audit state",
        [VAULT_AUDIT_SIGN] = "ecluse audit sign",
        [VAULT_AUDIT_TOKEN] = "ecluse audit token",
    };
    ENSURE(purpose < VAULT_AUDIT_PURPOSES);
    return derive(vault, purposes[purpose], key_out, err);
}

/* ---- pseudonyms ---- */

static struct seal_place place_of(const char *account)
{
    return (struct seal_place){.table = "pseudonyms", .column = "key", .account = account};
}

static int load(struct vault *vault, const struct secret *seal_key, const char *account,
                struct secret *key_out, struct err *err)
{
    const struct seal_place place = place_of(account);
    sqlite3_stmt *row;
    int status = vault_prepare(vault, "SELECT key FROM pseudonyms WHERE account = ?", &row, err);
    if (status != 0)
        return status;
    vault_bind_text(row, 1, account);
    switch (vault_step(row)) {
    case VAULT_FAILED:
        status = vault_fail(vault, err);
        break;
    case VAULT_DONE:
        status = ERR_NOT_FOUND;
        break;
    case VAULT_ROW:
        status = seal_read(seal_key, &place, vault_column_bytes(row, 0), key_out);
        if (status == 0 && key_out->size != VAULT_AUDIT_KEY_SIZE)
            status = ERR_CORRUPT;
        if (status != 0)
            (void)err_set(err, status, "the key of account %s's pseudonyms is damaged", account);
        break;
    }
    sqlite3_finalize(row);
    return status;
}

static int insert(struct vault *vault, const char *account, struct slice sealed, struct err *err)
{
    sqlite3_stmt *statement;
    int status = vault_prepare(vault, "INSERT INTO pseudonyms (account, key) VALUES (?, ?)",
                               &statement, err);
    if (status != 0)
        return status;
    vault_bind_text(statement, 1, account);
    vault_bind_bytes(statement, 2, sealed);
    return vault_change(vault, statement, err);
}

static int make(struct vault *vault, const struct secret *seal_key, const char *account,
                struct secret *key_out, struct err *err)
{
    uint8_t octets[VAULT_AUDIT_KEY_SIZE];
    const struct seal_place place = place_of(account);
    struct buf sealed;
    buf_init(&sealed, SEAL_OVERHEAD + sizeof(octets));
    int status = RAND_priv_bytes(octets, sizeof(octets)) == 1 ? 0 : ERR_CRYPTO;
    if (status == 0)
        status = seal_write(seal_key, &place, slice_of(octets, sizeof(octets)), &sealed);
    if (status != 0)
        (void)err_set(err, status, "a key for pseudonyms cannot be made");
    else
        status = insert(vault, account, buf_bytes(&sealed), err);
    if (status == 0)
        secret_set(key_out, slice_of(octets, sizeof(octets)));
    mem_wipe(octets, sizeof(octets));
    buf_fini(&sealed);
    return status;
}

int vault_pseudonym_key(struct vault *vault, const char *account, struct secret *key_out,
                        struct err *err)
{
    struct secret seal_key = {0};
    int status = derive(vault, "ecluse audit pseudonym", &seal_key, err);
    if (status == 0)
        status = load(vault, &seal_key, account, key_out, err);
    if (status == ERR_NOT_FOUND)
        status = make(vault, &seal_key, account, key_out, err);
    secret_wipe(&seal_key);
    return status;
}

int vault_pseudonym_forget(struct vault *vault, const char *account, struct err *err)
{
    sqlite3_stmt *statement;
    int status = vault_prepare(vault, "DELETE FROM pseudonyms WHERE account = ?", &statement, err);
    if (status != 0)
        return status;
    vault_bind_text(statement, 1, account);
    status = vault_change(vault, statement, err);
    if (status == ERR_NOT_FOUND)
        return err_set(err, status, "account %s has no key of pseudonyms", account);
    return status;
}
