/*
 * The octets of a key source other than the key file: asked for on the terminal, read from
 * systemd's credentials, or printed by a command. Synchronous; the vault is opened before anything
 * else is.
 */
#ifndef ECLUSE_KEEPER_VAULT_SOURCE_H
#define ECLUSE_KEEPER_VAULT_SOURCE_H

#include "keeper/vault_key.h"

/* Fewer octets seal no vault. */
#define VAULT_SOURCE_MIN 12
#define VAULT_SOURCE_MAX 1024
/* Somebody may have to unlock a keyring first. */
#define VAULT_SOURCE_MILLISECONDS 120000

enum vault_source_use {
    VAULT_SOURCE_OPENS, /* a vault that is there */
    VAULT_SOURCE_SEALS, /* one anew: a passphrase is asked for twice, a short one refused */
};

/* ENSURE: not a keyfile.
 *   ERR_CONFIG      no terminal; no $CREDENTIALS_DIRECTORY or no such credential
 *   ERR_DENIED      others can read or change the credential
 *   ERR_SYNTAX      too short, too long, no text, or the two passphrases differ
 *   ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_SYSTEM    as keeper/secret_command.h has it */
MUST_CHECK int vault_source_ask(const struct vault_key_source *source, enum vault_source_use use,
                                struct secret *octets_out, struct err *err);

#endif
