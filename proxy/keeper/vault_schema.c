/*
 * The tables, and the way from an older version to this one.
 *
 * Version 2 knows grants whose password is kept itself ("clear"), and remembers what upstreams can
 * do. A column's check cannot be changed, so the table of grants is made anew: in one transaction
 * with all the rest, so that a crash leaves the version that was there.
 *
 * Version 3 says what kind of key source it is sealed with, and keeps the key of generated grants
 * itself, so that it can be sealed with another one.
 */
#include "keeper/vault_store.h"

#define HEADER                                                                                     \
    "CREATE TABLE vault ("                                                                         \
    " version INTEGER NOT NULL,"                                                                   \
    " source TEXT NOT NULL,"                                                                       \
    " salt BLOB NOT NULL,"                                                                         \
    " grant_key BLOB NOT NULL,"                                                                    \
    " proof BLOB NOT NULL) STRICT;"

#define GRANTS                                                                                     \
    "CREATE TABLE grants ("                                                                        \
    " number INTEGER PRIMARY KEY AUTOINCREMENT,"                                                   \
    " account TEXT NOT NULL,"                                                                      \
    " name TEXT NOT NULL,"                                                                         \
    " protocols TEXT NOT NULL,"                                                                    \
    " read_only INTEGER NOT NULL CHECK (read_only IN (0, 1)),"                                     \
    " sender TEXT NOT NULL,"                                                                       \
    " kind TEXT NOT NULL CHECK (kind IN ('generated', 'chosen', 'clear')),"                        \
    " challenge INTEGER NOT NULL CHECK (challenge IN (0, 1)),"                                     \
    " apop INTEGER NOT NULL CHECK (apop IN (0, 1)),"                                               \
    " verifier BLOB NOT NULL,"                                                                     \
    " created INTEGER NOT NULL,"                                                                   \
    " last_used INTEGER NOT NULL,"                                                                 \
    " CHECK ((kind = 'clear') = (challenge OR apop)),"                                             \
    " UNIQUE (account, name)) STRICT;"

#define UPSTREAMS                                                                                  \
    "CREATE TABLE upstreams ("                                                                     \
    " account TEXT NOT NULL,"                                                                      \
    " protocol TEXT NOT NULL CHECK (protocol IN ('imap', 'pop3', 'smtp')),"                        \
    " host TEXT NOT NULL,"                                                                         \
    " capabilities TEXT NOT NULL,"                                                                 \
    " learned INTEGER NOT NULL,"                                                                   \
    " PRIMARY KEY (account, protocol)) STRICT;"

const char vault_schema[] =
    HEADER "CREATE TABLE tokens ("
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
           " found INTEGER NOT NULL) STRICT;" GRANTS UPSTREAMS;

/* The sequence goes along: a number that was given out is never given out again, also when its
 * grant is gone. */
static const char from_version_1[] =
    "ALTER TABLE grants RENAME TO grants_before;" GRANTS
    "INSERT INTO grants (number, account, name, protocols, read_only, sender, kind, challenge,"
    " apop, verifier, created, last_used)"
    " SELECT number, account, name, protocols, read_only, sender, kind, 0, 0, verifier, created,"
    " last_used FROM grants_before;"
    "DELETE FROM sqlite_sequence WHERE name = 'grants';"
    "INSERT INTO sqlite_sequence (name, seq)"
    " SELECT 'grants', seq FROM sqlite_sequence WHERE name = 'grants_before';"
    "DROP TABLE grants_before;" UPSTREAMS;

/* The one row comes anew. */
static const char from_version_2[] = "DROP TABLE vault;" HEADER;

static int migrate(struct vault *vault, int64_t version, struct err *err)
{
    int status = version < 2 ? vault_run(vault, from_version_1, err) : 0;
    if (status == 0)
        status = vault_run(vault, from_version_2, err);
    return status == 0 ? vault_write_header(vault, err) : status;
}

int vault_migrate(struct vault *vault, int64_t version, struct err *err)
{
    int status = vault_begin(vault, err);
    if (status == 0)
        status = vault_end(vault, migrate(vault, version, err), err);
    if (status != 0)
        err_wrap(err, "the vault cannot be brought to version %d", VAULT_VERSION);
    return status;
}
