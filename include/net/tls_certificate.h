/*
 * Keys and certificates of our own making, for listeners on this machine: self-signed, for
 * localhost, 127.0.0.1 and ::1, and no authority, so that whoever trusts one trusts that and
 * nothing that could be signed with it.
 */
#ifndef ECLUSE_NET_TLS_CERTIFICATE_H
#define ECLUSE_NET_TLS_CERTIFICATE_H

#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"

#define TLS_FINGERPRINT_SIZE 32
/* "AB:CD:…" and a NUL. */
#define TLS_FINGERPRINT_TEXT (TLS_FINGERPRINT_SIZE * 3)

/* What a certificate says of itself; times are seconds since 1970. */
struct tls_certificate {
    uint8_t fingerprint[TLS_FINGERPRINT_SIZE]; /* SHA-256 of the whole certificate */
    int64_t not_before, not_after;
};

/* A P-256 key as PEM (PKCS #8). */
void tls_key_make(struct secret *key_out);

/* A certificate for `key` (PEM, of any kind that signs), valid from an hour before `now`, for
 * clocks that are slow, for two years. *text_out is PEM, for mem_free. ERR_SYNTAX: no usable key.
 */
MUST_CHECK int tls_certificate_make(struct slice key, int64_t now, char **text_out,
                                    struct err *err);

/* Of the first one in `text` (PEM). ERR_SYNTAX: there is none. */
MUST_CHECK int tls_certificate_read(struct slice text, struct tls_certificate *certificate_out,
                                    struct err *err);

/* The form that programs show and take: "AB:CD:…". */
void tls_fingerprint_text(const uint8_t fingerprint[TLS_FINGERPRINT_SIZE],
                          char out[TLS_FINGERPRINT_TEXT]);

#endif
