/*
 * What may stand in a user name, a bearer token and an upstream's password: checked wherever one
 * comes in or goes out, so that no octet of one can end a field of the message that carries it.
 */
#ifndef ECLUSE_AUTH_CREDENTIAL_H
#define ECLUSE_AUTH_CREDENTIAL_H

#include "base/slice.h"

#define CREDENTIAL_USER_MAX     320u   /* octets: a mailbox of RFC 5321 section 4.5.3.1 */
#define CREDENTIAL_TOKEN_MAX    16384u /* octets */
#define CREDENTIAL_PASSWORD_MAX 1024u  /* octets */

/* 1 to CREDENTIAL_USER_MAX octets of valid UTF-8 (RFC 3629) without 0x00-0x1f and 0x7f. */
bool credential_user_is_valid(struct slice user);
/* 1 to CREDENTIAL_TOKEN_MAX octets: b64token of RFC 6750 section 2.1. */
bool credential_token_is_valid(struct slice token);
/* 1 to CREDENTIAL_PASSWORD_MAX octets of any kind but NUL, CR and LF. */
bool credential_password_is_valid(struct slice password);

/* 0x20 to 0x7e alone; the empty one too. */
bool credential_is_printable(struct slice text);

#endif
