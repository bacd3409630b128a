/*
 * The Ed25519 key that signs checkpoints (RFC 8032). The private half is a struct secret of 32
 * octets; the public one is published in a file of the usual form (SubjectPublicKeyInfo, PEM).
 */
#ifndef ECLUSE_AUDIT_SIGNATURE_H
#define ECLUSE_AUDIT_SIGNATURE_H

#include "base/buf.h"
#include "base/secret.h"

#define SIGNATURE_SIZE            64u
#define SIGNATURE_PUBLIC_KEY_SIZE 32u
#define SIGNATURE_PEM_MAX         1024u

/* ERR_CRYPTO: it is no such key. */
MUST_CHECK int signature_public_key(const struct secret *private_key,
                                    uint8_t public_key_out[SIGNATURE_PUBLIC_KEY_SIZE]);

/* Appends "-----BEGIN PUBLIC KEY-----" and so on. ERR_FULL, ERR_CRYPTO. */
MUST_CHECK int signature_write_pem(const uint8_t public_key[SIGNATURE_PUBLIC_KEY_SIZE],
                                   struct buf *pem);
/* ERR_SYNTAX: no PEM, or not of an Ed25519 key. */
MUST_CHECK int signature_read_pem(struct slice pem,
                                  uint8_t public_key_out[SIGNATURE_PUBLIC_KEY_SIZE]);

#endif
