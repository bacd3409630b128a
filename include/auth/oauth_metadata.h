/*
 * What an authorization server says of itself (RFC 8414, OpenID Connect Discovery 1.0), as text in
 * and out. Nothing of it is believed before its issuer is the one that was asked for.
 */
#ifndef ECLUSE_AUTH_OAUTH_METADATA_H
#define ECLUSE_AUTH_OAUTH_METADATA_H

#include "base/err.h"
#include "base/slice.h"

enum oauth_endpoint {
    OAUTH_AUTHORIZATION_ENDPOINT,
    OAUTH_TOKEN_ENDPOINT,
    OAUTH_DEVICE_ENDPOINT,       /* RFC 8628 */
    OAUTH_REVOCATION_ENDPOINT,   /* RFC 7009 */
    OAUTH_REGISTRATION_ENDPOINT, /* RFC 7591 */
    OAUTH_USERINFO_ENDPOINT,
    OAUTH_ENDPOINTS
};

/* All zero: nothing is known. */
struct oauth_metadata {
    char *endpoints[OAUTH_ENDPOINTS]; /* https URLs; NULL: the document names none */
    /* Words separated by spaces. */
    char *grant_types;            /* "authorization_code implicit" where the document is silent */
    char *code_challenge_methods; /* "" where it is silent */
    char *scopes;                 /* the same */
    char *token_authentications;  /* of clients; "client_secret_basic" where it is silent */
    bool has_issuer_parameter;    /* RFC 9207: `iss` comes with each authorization answer */
};

enum oauth_metadata_form {
    OAUTH_METADATA_8414,  /* "/.well-known/oauth-authorization-server" between host and path */
    OAUTH_METADATA_OPENID /* "/.well-known/openid-configuration" behind the path */
};

/* Where the document of an issuer is, an https URL. For mem_free. */
char *oauth_metadata_url(const char *issuer, enum oauth_metadata_form form);

/* ERR_SYNTAX: no JSON object with an issuer: the document is another one. ERR_DENIED: it must not
 * be used: its issuer is not exactly the one that was asked for, an endpoint is not an https URL, a
 * value has a wrong type. The text says which, in printable characters. *metadata_out is for
 * oauth_metadata_clear, and all zero on error. */
MUST_CHECK int oauth_metadata_read(struct slice body, const char *issuer,
                                   struct oauth_metadata *metadata_out, struct err *err);
/* What an open public client asks for (draft-ietf-mailmaint-oauth-public): mail, and a token that
 * can be refreshed where that is a scope. "" when the issuer does not know the first. */
const char *oauth_metadata_mail_scope(const struct oauth_metadata *metadata);
/* Whether a secret has to be sent in the Authorization header, as it is not taken in the body. */
bool oauth_metadata_wants_basic(const struct oauth_metadata *metadata);
void oauth_metadata_clear(struct oauth_metadata *metadata);

#endif
