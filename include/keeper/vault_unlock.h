/*
 * Opens the vault with what vault_key names, and seals it anew: where key sources and the vault
 * meet.
 */
#ifndef ECLUSE_KEEPER_VAULT_UNLOCK_H
#define ECLUSE_KEEPER_VAULT_UNLOCK_H

#include "keeper/vault.h"

/* `source` as vault_key has it. A new vault is made when there is none. ERR_CONFIG: the vault was
 * sealed with another kind of source, or its key file is gone; ERR_DENIED: the passphrase,
 * credential or line does not open it; others as at keeper/vault_source.h and vault_open. Nothing
 * is changed on an error. */
MUST_CHECK int vault_unlock(const struct state_folder *folder, const char *source,
                            struct vault **vault_out, struct err *err);

struct vault_rekeyed {
    enum vault_key_kind from, to;
    struct vault_left left; /* entries that were damaged before, and are as they were */
};

/* Opens the vault with `from`, seals it with `to`, and removes a key file that is of no use any
 * more. `from` may be NULL: what the vault says it is sealed with, which is enough for a keyfile
 * and a passphrase. ERR_NOT_FOUND: there is no vault; ERR_SYNTAX: `from` is missing, no source, or
 * of another kind than the vault's. A crash at any moment leaves a vault that opens with the old
 * source or with the new one. The vault is then open. */
MUST_CHECK int vault_unlock_and_rekey(const struct state_folder *folder, const char *from,
                                      const char *to, struct vault_rekeyed *rekeyed_out,
                                      struct vault **vault_out, struct err *err);

#endif
