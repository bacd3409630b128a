/*
 * JSON Web Tokens that we sign (RFC 7519; the compact form of RFC 7515): a client's assertion and a
 * service account's grant (RFC 7523). With RSA keys of 2048 to 8192 bits and SHA-256, which is what
 * those who take such tokens agree on.
 */
#ifndef ECLUSE_AUTH_JWT_H
#define ECLUSE_AUTH_JWT_H

#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"

#define JWT_FILE_MAX        (32ul * 1024) /* octets of a key's or certificate's file */
#define JWT_THUMBPRINT_SIZE 44u           /* with its NUL */

enum jwt_algorithm { JWT_RS256, JWT_PS256 };

struct jwt_key;

/* `text` is PEM, or the JSON in which Google hands out a service account's key; `passphrase` is for
 * an encrypted PEM, and may be unset. ERR_SYNTAX: there is no such key in it; ERR_DENIED: a
 * passphrase is missing, or wrong. */
MUST_CHECK int jwt_key_read(struct slice text, const struct secret *passphrase,
                            struct jwt_key **key_out, struct err *err);
/* NULL is fine. */
void jwt_key_free(struct jwt_key *key);
/* The service account that the JSON names ("client_email"); "" of a PEM. */
const char *jwt_key_account(const struct jwt_key *key);

/* x5t#S256 (RFC 7515 section 4.1.8) of the first certificate in a PEM text. ERR_SYNTAX: there is
 * none, or it is not that of the key. */
MUST_CHECK int jwt_certificate_thumbprint(struct slice text, const struct jwt_key *key,
                                          char thumbprint_out[JWT_THUMBPRINT_SIZE],
                                          struct err *err);

/* Strings may be NULL: the claim is left out. Times are wall seconds; iat and nbf are one. */
struct jwt_claims {
    const char *issuer, *subject, *audience, *scope, *identifier;
    int64_t issued_at, expires;
};

/* `thumbprint` may be NULL. ERR_SYNTAX: a claim that is no UTF-8; ERR_CRYPTO. */
MUST_CHECK int jwt_sign(const struct jwt_key *key, enum jwt_algorithm algorithm,
                        const char *thumbprint, const struct jwt_claims *claims,
                        struct secret *jwt_out, struct err *err);

#endif
