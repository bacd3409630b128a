/*
 * Who has signed in, by the id_token (OpenID Connect Core 1.0 section 2) that came with the access
 * token. It came over TLS from the token endpoint itself, so its signature need not be checked
 * (section 3.1.3.7, point 6); its audience and issuer are.
 */
#ifndef ECLUSE_AUTH_OAUTH_IDENTITY_H
#define ECLUSE_AUTH_OAUTH_IDENTITY_H

#include "base/slice.h"

enum oauth_identity {
    OAUTH_IDENTITY_IS,      /* one of its names is the expected one */
    OAUTH_IDENTITY_OTHER,   /* somebody else */
    OAUTH_IDENTITY_UNKNOWN, /* no id_token, or one without names */
    OAUTH_IDENTITY_UNSOUND  /* an id_token that is none, or is meant for somebody else */
};

#define OAUTH_IDENTITY_TEXT 321 /* an address of RFC 5321 and NUL */

struct oauth_identity_question {
    const char *client_id;
    const char *issuer;   /* "": any */
    const char *expected; /* an address, compared without case */
};

/* `body` is that of the token answer. `who_out` gets the name that the provider gives, printable;
 * "" when there is none. */
enum oauth_identity oauth_identify(struct slice body,
                                   const struct oauth_identity_question *question,
                                   char who_out[OAUTH_IDENTITY_TEXT]);

#endif
