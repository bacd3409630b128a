/*
 * Where the vault's key comes from. Each source is a function that yields VAULT_KEY_SIZE octets for
 * vault_open; the vault does not know which it was.
 */
#ifndef ECLUSE_KEEPER_VAULT_KEY_H
#define ECLUSE_KEEPER_VAULT_KEY_H

#include "base/secret.h"
#include "keeper/state_folder.h"

#define VAULT_KEY_SIZE 32

/* vault_key = keyfile: `vault.key` in the state folder, 64 hexadecimal digits and a line end. Made
 * when there is neither a key nor a vault; a vault without its key is ERR_NOT_FOUND, a file that is
 * no key ERR_CORRUPT, loose permissions ERR_DENIED. */
MUST_CHECK int vault_key_from_file(const struct state_folder *folder, struct secret *key_out,
                                   struct err *err);

#endif
