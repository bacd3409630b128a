/*
 * The keys of the audit journal, which live and are lost with the vault. Those for a purpose are
 * derived from a key that the vault keeps for good, so that sealing it anew changes none of them.
 *
 * The keys of pseudonyms are random, one an account, sealed: a key that is forgotten is gone, and
 * what stands in the journal under its pseudonyms is nobody's any more.
 */
#ifndef ECLUSE_KEEPER_VAULT_AUDIT_H
#define ECLUSE_KEEPER_VAULT_AUDIT_H

#include "keeper/vault.h"

#define VAULT_AUDIT_KEY_SIZE 32

enum vault_audit_purpose {
    VAULT_AUDIT_STATE, /* seals what the chain goes on from */
    VAULT_AUDIT_SIGN,  /* the seed of an Ed25519 key */
    VAULT_AUDIT_TOKEN, /* fingerprints of tokens */
    VAULT_AUDIT_PURPOSES
};

/* ERR_CRYPTO. */
MUST_CHECK int vault_audit_key(const struct vault *vault, enum vault_audit_purpose purpose,
                               struct secret *key_out, struct err *err);

/* Made when there is none; on disk before this returns. Errors as of the vault's other functions.
 */
MUST_CHECK int vault_pseudonym_key(struct vault *vault, const char *account, struct secret *key_out,
                                   struct err *err);
/* ERR_NOT_FOUND. */
MUST_CHECK int vault_pseudonym_forget(struct vault *vault, const char *account, struct err *err);

#endif
