/*
 * The seed of the seals, and the keys that come from it: the seed is the key of the epoch that
 * begins with it, each later key is derived from the one before (HKDF, RFC 5869), which is then
 * gone. Who has the seed can check every seal since; who takes a key learns nothing of older ones.
 */
#ifndef ECLUSE_AUDIT_SEED_H
#define ECLUSE_AUDIT_SEED_H

#include "base/secret.h"

#define SEED_SIZE             32u
#define SEED_TEXT_SIZE        64u /* lower-case hexadecimal digits */
#define SEED_FINGERPRINT_SIZE 16u /* likewise */

/* A new seed. ERR_CRYPTO. */
MUST_CHECK int seed_make(struct secret *seed_out);

/* As it is shown to a human, for print and control answers that carry secrets. */
void seed_format(const struct secret *seed, struct secret *text_out);
/* ERR_SYNTAX: not 64 hexadecimal digits. */
MUST_CHECK int seed_parse(struct slice text, struct secret *seed_out);

/* Tells seeds apart and gives nothing of them away. NUL-terminated. ERR_CRYPTO. */
MUST_CHECK int seed_fingerprint(const struct secret *seed,
                                char fingerprint_out[SEED_FINGERPRINT_SIZE + 1]);

/* The key of the next epoch takes the place of *key, which is wiped. ERR_CRYPTO: *key as it was. */
MUST_CHECK int seed_next_key(struct secret *key);

#endif
