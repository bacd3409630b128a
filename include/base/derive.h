/*
 * Keys made of a key: HKDF with SHA-256 and no salt (RFC 5869). What one purpose gets tells nothing
 * of the key, and nothing of what another one gets.
 */
#ifndef ECLUSE_BASE_DERIVE_H
#define ECLUSE_BASE_DERIVE_H

#include "base/err.h"
#include "base/secret.h"

/* 0, or ERR_CRYPTO with `derived_out` undefined; the caller wipes it. */
MUST_CHECK int derive_key(const struct secret *key, const char *purpose, uint8_t *derived_out,
                          size_t size);

#endif
