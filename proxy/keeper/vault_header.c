/*
 * Happy path: the row is read, its proof opened with the key, then the key of generated grants.
 * What stands in the row in the clear is bound to both seals: a version, kind of source or salt
 * that was put back opens nothing.
 *
 * Failures, and nothing is changed: no row or another version (ERR_CORRUPT); a proof that does not
 * open, which is the wrong key or a damaged row, and nobody can tell which: ERR_CORRUPT for a key
 * file, ERR_DENIED for what somebody typed or a source gave.
 */
#include <string.h>

#include "base/pack.h"
#include "keeper/vault_store.h"

static const char proof_content[] = "ecluse vault";

/* Versions before 3 have a keyfile, and bind nothing. */
static struct seal_place place_of(const struct vault *vault, const char *column, int64_t version,
                                  struct buf *bound)
{
    struct pack_writer writer = pack_writer(bound);
    if (version >= 3) {
        pack_u64(&writer, (uint64_t)version);
        pack_string(&writer, vault_key_kind_name(vault->lock.kind));
        pack_bytes(&writer, slice_of(vault->lock.salt, VAULT_SALT_SIZE));
    }
    ENSURE(writer.status == 0);
    return (struct seal_place){
        .table = "vault", .column = column, .account = "", .bound = buf_bytes(bound)};
}

static int refuse_version(const struct vault *vault, struct err *err)
{
    return err_set(err, ERR_CORRUPT,
                   "%s/vault.db is not a vault of version %d; it is left as it is",
                   state_folder_path(vault->folder), VAULT_VERSION);
}

static int read_version(struct vault *vault, int64_t *version_out, struct err *err)
{
    sqlite3_stmt *statement;
    int status = vault_prepare(vault, "SELECT version FROM vault", &statement, err);
    if (status != 0)
        return status;
    enum vault_step step = vault_step(statement);
    *version_out = step == VAULT_ROW ? sqlite3_column_int64(statement, 0) : 0;
    if (step == VAULT_FAILED)
        status = vault_fail(vault, err);
    else if (*version_out < 1 || *version_out > VAULT_VERSION)
        status = refuse_version(vault, err);
    sqlite3_finalize(statement);
    return status;
}

/* ---- the lock ---- */

static int read_lock_row(const struct vault *vault, sqlite3_stmt *row, struct vault_lock *lock_out,
                         struct err *err)
{
    char *source = vault_column_copy(row, 0);
    struct slice salt = vault_column_bytes(row, 1);
    size_t kind = 0;
    while (kind < VAULT_KEY_KINDS &&
           strcmp(vault_key_kind_name((enum vault_key_kind)kind), source) != 0)
        kind++;
    mem_free(source);
    if (kind == VAULT_KEY_KINDS || salt.size != VAULT_SALT_SIZE)
        return refuse_version(vault, err);
    lock_out->kind = (enum vault_key_kind)kind;
    memcpy(lock_out->salt, salt.data, salt.size);
    return 0;
}

int vault_load_lock(struct vault *vault, struct vault_lock *lock_out, struct err *err)
{
    *lock_out = (struct vault_lock){.kind = VAULT_KEY_FILE};
    int64_t version = 0;
    int status = read_version(vault, &version, err);
    if (status != 0 || version < 3)
        return status;
    sqlite3_stmt *statement;
    status = vault_prepare(vault, "SELECT source, salt FROM vault", &statement, err);
    if (status != 0)
        return status;
    if (vault_step(statement) == VAULT_ROW)
        status = read_lock_row(vault, statement, lock_out, err);
    else
        status = vault_fail(vault, err);
    sqlite3_finalize(statement);
    return status;
}

/* ---- proof and key ---- */

static int refuse_key(const struct vault *vault, struct err *err)
{
    static const char *const givers[VAULT_KEY_KINDS] = {
        [VAULT_KEY_PASSPHRASE] = "this passphrase",
        [VAULT_KEY_CREDENTIAL] = "what the credential holds",
        [VAULT_KEY_COMMAND] = "what the command prints",
    };
    const char *giver = givers[vault->lock.kind];
    if (giver != NULL)
        return err_set(err, ERR_DENIED, "%s does not open %s/vault.db; nothing was changed", giver,
                       state_folder_path(vault->folder));
    return err_set(err, ERR_CORRUPT,
                   "the vault's key does not fit %s/vault.db: restore the two from the same backup",
                   state_folder_path(vault->folder));
}

static int check_proof(const struct vault *vault, int64_t version, struct slice proof,
                       struct err *err)
{
    struct secret content = {0};
    struct buf bound;
    buf_init(&bound, SEAL_PLACE_MAX);
    struct seal_place place = place_of(vault, "proof", version, &bound);
    int status = seal_read(&vault->seal_key, &place, proof, &content);
    if (status == 0 && !secret_equal(&content, slice_of_string(proof_content)))
        status = ERR_CORRUPT;
    buf_fini(&bound);
    secret_wipe(&content);
    return status == 0 ? 0 : refuse_key(vault, err);
}

static int take_grant_key(struct vault *vault, int64_t version, struct slice sealed,
                          struct err *err)
{
    struct buf bound;
    buf_init(&bound, SEAL_PLACE_MAX);
    struct seal_place place = place_of(vault, "grant_key", version, &bound);
    int status = seal_read(&vault->seal_key, &place, sealed, &vault->grant_key);
    buf_fini(&bound);
    if (status != 0 || vault->grant_key.size != SEAL_KEY_SIZE)
        return err_set(err, ERR_CORRUPT,
                       "%s/vault.db is damaged: its key of grants does not open; restore it from a "
                       "backup",
                       state_folder_path(vault->folder));
    return 0;
}

int vault_check_header(struct vault *vault, int64_t *version_out, struct err *err)
{
    int status = read_version(vault, version_out, err);
    if (status != 0)
        return status;
    sqlite3_stmt *statement;
    status = vault_prepare(
        vault, *version_out < 3 ? "SELECT proof FROM vault" : "SELECT proof, grant_key FROM vault",
        &statement, err);
    if (status != 0)
        return status;
    if (vault_step(statement) != VAULT_ROW)
        status = vault_fail(vault, err);
    else
        status = check_proof(vault, *version_out, vault_column_bytes(statement, 0), err);
    if (status == 0 && *version_out >= 3)
        status = take_grant_key(vault, *version_out, vault_column_bytes(statement, 1), err);
    sqlite3_finalize(statement);
    return status;
}

/* ---- writing ---- */

static int seal_field(const struct vault *vault, const char *column, struct slice content,
                      struct buf *sealed)
{
    struct buf bound;
    buf_init(&bound, SEAL_PLACE_MAX);
    struct seal_place place = place_of(vault, column, VAULT_VERSION, &bound);
    int status = seal_write(&vault->seal_key, &place, content, sealed);
    buf_fini(&bound);
    return status;
}

static int insert_row(struct vault *vault, struct slice grant_key, struct slice proof,
                      struct err *err)
{
    sqlite3_stmt *statement;
    int status = vault_prepare(vault,
                               "INSERT INTO vault (version, source, salt, grant_key, proof)"
                               " VALUES (?, ?, ?, ?, ?)",
                               &statement, err);
    if (status != 0)
        return status;
    vault_bind_number(statement, 1, VAULT_VERSION);
    vault_bind_text(statement, 2, vault_key_kind_name(vault->lock.kind));
    vault_bind_bytes(statement, 3, slice_of(vault->lock.salt, VAULT_SALT_SIZE));
    vault_bind_bytes(statement, 4, grant_key);
    vault_bind_bytes(statement, 5, proof);
    return vault_change(vault, statement, err);
}

int vault_write_header(struct vault *vault, struct err *err)
{
    struct buf grant_key, proof;
    buf_init(&grant_key, SEAL_OVERHEAD + SEAL_KEY_SIZE);
    buf_init(&proof, SEAL_OVERHEAD + sizeof(proof_content));
    int status = seal_field(vault, "grant_key", secret_bytes(&vault->grant_key), &grant_key);
    if (status == 0)
        status = seal_field(vault, "proof", slice_of_string(proof_content), &proof);
    if (status != 0)
        (void)err_set(err, status, "the vault cannot be sealed");
    else
        status = vault_run(vault, "DELETE FROM vault", err);
    if (status == 0)
        status = insert_row(vault, buf_bytes(&grant_key), buf_bytes(&proof), err);
    buf_fini(&grant_key);
    buf_fini(&proof);
    return status;
}
