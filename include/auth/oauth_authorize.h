/*
 * The authorization code grant (RFC 6749 section 4.1) of a native application (RFC 8252), with PKCE
 * by S256 (RFC 7636) and the issuer's name in the answer (RFC 9207): the URL that the browser is
 * sent to, and what comes back in the redirect's query.
 */
#ifndef ECLUSE_AUTH_OAUTH_AUTHORIZE_H
#define ECLUSE_AUTH_OAUTH_AUTHORIZE_H

#include "auth/oauth.h"

#define OAUTH_URL_MAX      (16u * 1024)
#define OAUTH_REDIRECT_MAX (16u * 1024)

#define OAUTH_PROOF_RANDOM 64u /* octets */
#define OAUTH_PROOF_TEXT   44u /* base64url of 32 octets, and NUL */

struct oauth_proof {
    char state[OAUTH_PROOF_TEXT];
    char verifier[OAUTH_PROOF_TEXT]; /* secret until the code was exchanged */
    char challenge[OAUTH_PROOF_TEXT];
};

void oauth_proof_make(const uint8_t random[OAUTH_PROOF_RANDOM], struct oauth_proof *proof_out);
void oauth_proof_wipe(struct oauth_proof *proof);

struct oauth_authorization {
    const char *endpoint; /* may have a query of its own */
    const char *client_id;
    const char *redirect_uri;
    const char *scope;      /* may be "" */
    const char *login_hint; /* may be "" */
    const char *resource;   /* RFC 8707; may be "" */
    const char *parameters; /* the provider's own, encoded already: "prompt=consent&…"; or "" */
    const struct oauth_proof *proof;
};

/* Appends the URL. ERR_FULL; ERR_SYNTAX: `parameters` holds what a query must not hold, or one of
 * the names that are set here. */
MUST_CHECK int oauth_authorization_url(const struct oauth_authorization *authorization,
                                       struct buf *url);

/* What the redirect says; all zero: nothing. */
struct oauth_redirect {
    struct secret code;
    char *state;       /* or NULL */
    char *issuer;      /* or NULL */
    char *error;       /* or NULL; printable */
    char *description; /* or NULL; printable */
};

/* What stands behind the '?', without a fragment. Unknown names are passed over. ERR_SYNTAX: a
 * known one twice, bad escapes, control characters in a value, neither code nor error, or both;
 * ERR_FULL. Nothing is in *redirect_out then. */
MUST_CHECK int oauth_read_redirect(struct slice query, struct oauth_redirect *redirect_out);
void oauth_redirect_clear(struct oauth_redirect *redirect);
/* Constant in time. */
bool oauth_redirect_has_state(const struct oauth_redirect *redirect,
                              const struct oauth_proof *proof);

#endif
