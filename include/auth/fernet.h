/*
 * Fernet tokens, as email-oauth2-proxy keeps its tokens in them: AES-128-CBC and HMAC-SHA256 under
 * a key that PBKDF2 makes of a password. Only opening is here; nothing of ours is kept that way.
 *
 *   key    PBKDF2-HMAC-SHA256(password, salt, iterations): HMAC key(16) AES key(16)
 *   token  urlsafe base64 of 0x80 time(8) IV(16) ciphertext, padded by PKCS#7, HMAC(32) of all that
 */
#ifndef ECLUSE_AUTH_FERNET_H
#define ECLUSE_AUTH_FERNET_H

#include "base/secret.h"

#define FERNET_KEY_SIZE 32

/* Takes as long as `iterations` ask for: 0.2 s for 1,200,000. ERR_CRYPTO. */
MUST_CHECK int fernet_key(struct slice password, struct slice salt, unsigned iterations,
                          struct secret *key_out);

/* The token's time is not looked at. ERR_DENIED: it is not of this key, or was changed. ERR_SYNTAX:
 * it is no token. */
MUST_CHECK int fernet_open(const struct secret *key, struct slice token,
                           struct secret *content_out);

/*
 * The same by password, tried with each count of iterations that a value may have been written
 * with: the one that stands in the file (0: none does), today's and the first of all; and, because
 * a quoted string of IMAP was not unescaped there, with the backslashes of the password doubled,
 * too. `salt` is base64. 0.2 s at best, some seconds for a wrong password. ERR_DENIED: none fits.
 */
MUST_CHECK int fernet_open_by_password(struct slice password, struct slice salt,
                                       unsigned iterations, struct slice token,
                                       struct secret *content_out);

#endif
