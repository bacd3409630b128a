/*
 * One step of the chain: what audit/chain writes and audit/verify checks, worked out in one place.
 */
#ifndef ECLUSE_AUDIT_LINK_H
#define ECLUSE_AUDIT_LINK_H

#include "audit/signature.h"
#include "base/secret.h"

#define LINK_SIZE 32u /* of SHA-256 and of everything made by it */

/* Where a chain stands behind a line. */
struct link_ends {
    uint8_t head[LINK_SIZE];   /* h: seal of the line */
    uint8_t digest[LINK_SIZE]; /* D */
};

/* OpenSSL's working memory, kept for the next line. */
struct link;

/* NULL: cryptographic failure. */
struct link *link_new(void);
void link_free(struct link *link);

/* Of the seals that follow. ERR_CRYPTO, from all of these. */
MUST_CHECK int link_set_key(struct link *link, const struct secret *key);

/* SHA-256 of a line without its seal. */
MUST_CHECK int link_hash(struct link *link, struct slice body, uint8_t hash_out[LINK_SIZE]);
/* h, by the key that is set. */
MUST_CHECK int link_seal(struct link *link, const uint8_t head_before[LINK_SIZE], uint64_t sequence,
                         const uint8_t hash[LINK_SIZE], uint8_t head_out[LINK_SIZE]);
/* D; `digest` is that of the line before, and then of this one. */
MUST_CHECK int link_extend(struct link *link, const uint8_t hash[LINK_SIZE],
                           const uint8_t head[LINK_SIZE], uint8_t digest[LINK_SIZE]);

/* What a checkpoint's signature is over, given its D. */
MUST_CHECK int link_sign(const struct secret *private_key, const uint8_t digest[LINK_SIZE],
                         uint8_t signature_out[SIGNATURE_SIZE]);
bool link_is_signed(const uint8_t public_key[SIGNATURE_PUBLIC_KEY_SIZE],
                    const uint8_t digest[LINK_SIZE], const uint8_t signature[SIGNATURE_SIZE]);

#endif
