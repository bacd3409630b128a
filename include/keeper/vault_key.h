/*
 * What opens the vault. A key source (vault_key = ... of the configuration) yields some octets; a
 * lock says how the vault's key is made of them, and is kept in the vault in the clear.
 *
 *   keyfile          `vault.key` of the state folder is the key itself
 *   passphrase       typed on the terminal                 \
 *   credential:NAME  $CREDENTIALS_DIRECTORY/NAME (systemd)  > scrypt with the lock's salt
 *   command:CMD      the line that CMD prints              /
 *
 * The kind of source goes into what is derived, so that the same octets from another kind of source
 * are another key.
 */
#ifndef ECLUSE_KEEPER_VAULT_KEY_H
#define ECLUSE_KEEPER_VAULT_KEY_H

#include "base/secret.h"
#include "keeper/state_folder.h"

#define VAULT_KEY_SIZE  32
#define VAULT_SALT_SIZE 16

enum vault_key_kind {
    VAULT_KEY_FILE,
    VAULT_KEY_PASSPHRASE,
    VAULT_KEY_CREDENTIAL,
    VAULT_KEY_COMMAND,
    VAULT_KEY_KINDS
};

struct vault_lock {
    enum vault_key_kind kind;
    uint8_t salt[VAULT_SALT_SIZE]; /* all zero for a keyfile, which needs none */
};

/* "keyfile", "passphrase", "credential" or "command". */
const char *vault_key_kind_name(enum vault_key_kind kind);

struct vault_key_source {
    enum vault_key_kind kind;
    const char *argument; /* NAME or CMD, borrowed from the text; else "" */
};

/* Of a text as vault_key has it. ERR_SYNTAX: it is none. */
MUST_CHECK int vault_key_source_read(const char *text, struct vault_key_source *source_out,
                                     struct err *err);

/* With a fresh salt. ERR_CRYPTO. */
MUST_CHECK int vault_lock_new(enum vault_key_kind kind, struct vault_lock *lock_out,
                              struct err *err);
/* For all kinds but keyfile (ENSURE): scrypt, N = 2^17, r = 8, p = 1: 128 MiB and about half a
 * second. ERR_CRYPTO. */
MUST_CHECK int vault_lock_derive(const struct vault_lock *lock, const struct secret *octets,
                                 struct secret *key_out, struct err *err);

/* ---- the key file: 64 hexadecimal digits and a line end ---- */

/* Made when there is neither a key nor a vault; a vault without its key is ERR_NOT_FOUND, a file
 * that is no key ERR_CORRUPT, loose permissions ERR_DENIED. */
MUST_CHECK int vault_key_from_file(const struct state_folder *folder, struct secret *key_out,
                                   struct err *err);

/* Another key is made in two steps, so that a crash at any moment leaves the one that opens the
 * vault: `vault.key.next` is put beside the key, the vault is sealed with it, then it takes the
 * key's place. */
MUST_CHECK int vault_key_file_prepare(const struct state_folder *folder, struct secret *key_out,
                                      struct err *err);
/* ERR_NOT_FOUND: none is prepared. */
MUST_CHECK int vault_key_file_prepared(const struct state_folder *folder, struct secret *key_out,
                                       struct err *err);
MUST_CHECK int vault_key_file_put(const struct state_folder *folder, const struct secret *key,
                                  struct err *err);
void vault_key_file_forget_prepared(const struct state_folder *folder);
/* Overwrites and removes the key file, and one that was prepared. Fine when there is none. */
MUST_CHECK int vault_key_file_remove(const struct state_folder *folder, struct err *err);

#endif
