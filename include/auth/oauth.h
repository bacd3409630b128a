/*
 * OAuth 2.0 token requests and answers (RFC 6749, RFC 6750), as text in and out: the keeper's
 * broker sends and receives them.
 *
 * Classes of failure, which decide everything that follows:
 *   OAUTH_SIGNED_OUT   invalid_grant: the refresh token is dead; only a new sign-in helps
 *   OAUTH_MISTAKEN     invalid_client, unauthorized_client, invalid_scope, unsupported_grant_type,
 *                      invalid_request, deleted_client, disabled_client: the configuration is
 *                      wrong; the refresh token is kept. Also interaction_required, login_required,
 *                      consent_required, admin_policy_enforced, org_internal: the user or an
 *                      administrator has to do something, which may revive the same token
 *   OAUTH_TRY_LATER    5xx, 429, anything that is not the JSON of RFC 6749, unknown errors: kept
 */
#ifndef ECLUSE_AUTH_OAUTH_H
#define ECLUSE_AUTH_OAUTH_H

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"

#define OAUTH_ANSWER_MAX (64ul * 1024)
#define OAUTH_TOKEN_MAX  (16ul * 1024) /* of either kind */

enum oauth_client_authentication {
    OAUTH_CLIENT_NONE,
    OAUTH_CLIENT_POST,
    OAUTH_CLIENT_BASIC,
    OAUTH_CLIENT_ASSERTION
};

struct oauth_client {
    const char *identifier;
    const struct secret *secret; /* for ASSERTION a JWT (RFC 7523); not set: a public client */
    enum oauth_client_authentication authentication;
    const char *resource; /* that tokens are asked for (RFC 8707); NULL or "": none is named */
};

struct oauth_field {
    const char *name;
    struct slice value;
};

enum oauth_outcome { OAUTH_GRANTED, OAUTH_SIGNED_OUT, OAUTH_MISTAKEN, OAUTH_TRY_LATER };

struct oauth_answer {
    enum oauth_outcome outcome;
    /* GRANTED */
    struct secret access_token;  /* only characters of RFC 6750 section 2.1 */
    struct secret refresh_token; /* not set: the old one stays */
    int64_t expires_in;          /* seconds; 3600 when the answer has none; cut to 1..31536000 */
    char *scope;                 /* or NULL */
    /* the rest */
    char *error;       /* "invalid_grant", "HTTP 503"; printable */
    char *description; /* what the provider says, printable, at most 300 octets; or NULL */
    char *subcode;     /* "suberror" (Microsoft) or "error_subtype" (Google), printable; or NULL */
    int64_t number;    /* Microsoft's, of "AADSTS50173: ..."; 0: none */
};

/* The body of a token request, application/x-www-form-urlencoded: grant_type (NULL:
 * none, as in a device authorization request), the grant's own fields, the scope, which may be "",
 * and whatever says who the client is. *body_out holds secrets. With OAUTH_CLIENT_BASIC,
 * *authorization_out gets the header's value, else it is empty. ERR_FULL: something is over its
 * maximum. */
MUST_CHECK int oauth_token_request(const struct oauth_client *client, const char *grant_type,
                                   const struct oauth_field *fields, size_t count,
                                   const char *scope, struct secret *body_out,
                                   struct secret *authorization_out);

/* The same for a refresh (RFC 6749 section 6). ERR_SYNTAX: no refresh token. */
MUST_CHECK int oauth_refresh_request(const struct oauth_client *client,
                                     const struct secret *refresh_token, const char *scope,
                                     struct secret *body_out, struct secret *authorization_out);

/* The body of a revocation of a refresh token (RFC 7009 section 2.1); otherwise the same. */
MUST_CHECK int oauth_revocation_request(const struct oauth_client *client,
                                        const struct secret *refresh_token, struct secret *body_out,
                                        struct secret *authorization_out);

/* Never fails: what cannot be read is OAUTH_TRY_LATER. The JSON is strict: duplicate keys, depth
 * over 16, wrong types, control characters in a token make it unreadable. expires_in may be a
 * string, and is as good as absent when it is no number; null counts as absent; a token_type other
 * than Bearer is OAUTH_TRY_LATER. Of an answer with status 200 a sound refresh token is given out
 * even when the rest is of no use: the old one may be dead from there on. */
void oauth_read_answer(int http_status, struct slice body, struct oauth_answer *answer_out);
/* The refusal that an error in a redirect is (RFC 6749 section 4.1.2.1); `description` may be NULL.
 * Both are printable, and copied. */
void oauth_answer_refuse(const char *error, const char *description,
                         struct oauth_answer *answer_out);
void oauth_answer_clear(struct oauth_answer *answer);

/* Makes jansson wipe what it frees. It is a setting of the whole process: called once by main,
 * before anything else uses jansson. */
void oauth_use_wiping_allocator(void);

/* https, a host, no user info, no fragment. 0 or ERR_SYNTAX. */
MUST_CHECK int oauth_check_url(const char *url);

#endif
