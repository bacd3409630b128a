/*
 * Sealing: AES-256-GCM with a fresh random nonce, bound to the place where the result is kept. What
 * is sealed reads as
 *
 *     "EV" version(1) nonce(12) ciphertext tag(16)
 *
 * and the header and the place are authenticated with it, so that it opens nowhere else, not under
 * another version, and not with a bit changed.
 */
#ifndef ECLUSE_KEEPER_SEAL_H
#define ECLUSE_KEEPER_SEAL_H

#include "base/buf.h"
#include "base/secret.h"

#define SEAL_KEY_SIZE    32
#define SEAL_HEADER_SIZE 3
#define SEAL_NONCE_SIZE  12
#define SEAL_TAG_SIZE    16
#define SEAL_OVERHEAD    (SEAL_HEADER_SIZE + SEAL_NONCE_SIZE + SEAL_TAG_SIZE)
#define SEAL_CONTENT_MAX (64ul * 1024)
#define SEAL_PLACE_MAX   (16ul * 1024) /* of all fields of a place together */

struct seal_place {
    const char *table;
    const char *column;
    const char *account;
    struct slice bound; /* what else must not change: the issuer; what a grant allows */
};

/* A key for one purpose out of another (HKDF-SHA256, RFC 5869). ERR_CRYPTO. */
MUST_CHECK int seal_derive_key(const struct secret *key, const char *purpose,
                               struct secret *key_out);

/* Replaces what is in `out`. ERR_CRYPTO, ERR_FULL. */
MUST_CHECK int seal_write(const struct secret *key, const struct seal_place *place,
                          struct slice content, struct buf *out);
/* ERR_CORRUPT: it was not sealed with this key for this place. */
MUST_CHECK int seal_read(const struct secret *key, const struct seal_place *place,
                         struct slice sealed, struct secret *content_out);

#endif
