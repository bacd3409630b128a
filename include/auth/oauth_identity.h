/*
 * Who has signed in: by the id_token (OpenID Connect Core 1.0 section 2) that came with the access
 * token, else by what the userinfo endpoint (section 5.3) says to that. Both come over TLS from the
 * provider itself, so that an id_token's signature need not be checked (section 3.1.3.7, point 6);
 * its audience and issuer are.
 */
#ifndef ECLUSE_AUTH_OAUTH_IDENTITY_H
#define ECLUSE_AUTH_OAUTH_IDENTITY_H

#include "base/secret.h"
#include "base/slice.h"

enum oauth_identity {
    OAUTH_IDENTITY_IS,      /* one of its names is an expected one */
    OAUTH_IDENTITY_OTHER,   /* somebody else */
    OAUTH_IDENTITY_UNKNOWN, /* no id_token, or one without names; no answer with names */
    OAUTH_IDENTITY_UNSOUND  /* an id_token that is none, or is meant for somebody else */
};

#define OAUTH_IDENTITY_TEXT 321 /* an address of RFC 5321 and NUL */

struct oauth_identity_question {
    const char *client_id;
    const char *issuer;      /* "": any */
    const char *expected[2]; /* addresses, compared without case; the second may be NULL */
};

/* `body` is that of the token answer. `who_out` gets the name that the provider gives, printable;
 * "" when there is none. *subject_out is the id_token's `sub`, for mem_free; NULL: it has none, or
 * is not sound. */
enum oauth_identity oauth_identify(struct slice body,
                                   const struct oauth_identity_question *question,
                                   char who_out[OAUTH_IDENTITY_TEXT], char **subject_out);

/* The same by the body of a userinfo answer with status 200. `subject` is that of the id_token, or
 * NULL: an answer about another one is UNSOUND (section 5.3.2). */
enum oauth_identity oauth_identify_userinfo(struct slice body, const char *subject,
                                            const struct oauth_identity_question *question,
                                            char who_out[OAUTH_IDENTITY_TEXT]);

/* The Authorization header of a request with an access token (RFC 6750 section 2.1). */
void oauth_bearer(const struct secret *access_token, struct secret *authorization_out);

#endif
