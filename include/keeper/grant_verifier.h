/*
 * What is kept of a local password, and how it is made again from a password that is typed. Pure,
 * and but for grant_hash thread safe.
 *
 *   generated   HMAC-SHA256(grant key, account 0x00 password): the password has 128 random bits, so
 *               one hash is enough
 *   chosen      salt(16) scrypt(32), N = 2^15, r = 8, p = 1 (RFC 7914): 32 MiB and about 0.1 s
 */
#ifndef ECLUSE_KEEPER_GRANT_VERIFIER_H
#define ECLUSE_KEEPER_GRANT_VERIFIER_H

#include "base/err.h"
#include "base/secret.h"
#include "keeper/keyed_hash.h"

#define GRANT_HASH_SIZE    32
#define GRANT_SALT_SIZE    16
#define GRANT_CHOSEN_SIZE  (GRANT_SALT_SIZE + GRANT_HASH_SIZE)
#define GRANT_PASSWORD_MAX 255 /* octets: what clients take; longer ones match nothing */

/* All: ERR_CRYPTO, or ERR_SYNTAX for a password that is too long or empty. */
MUST_CHECK int grant_hash(struct keyed_hash *key, const char *account, struct slice password,
                          uint8_t hash_out[GRANT_HASH_SIZE]);
MUST_CHECK int grant_derive(const uint8_t salt[GRANT_SALT_SIZE], struct slice password,
                            uint8_t hash_out[GRANT_HASH_SIZE]);

MUST_CHECK int grant_verifier_of_generated(const struct secret *key, const char *account,
                                           struct slice password, struct secret *verifier_out);
/* With a fresh salt. */
MUST_CHECK int grant_verifier_of_chosen(struct slice password, struct secret *verifier_out);

#endif
