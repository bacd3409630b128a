/*
 * The request that brings an account an access token (RFC 6749): a refresh for the flows in which
 * somebody signs in, else the grant of the flow; put together from the configuration, the vault,
 * and the files and commands that hold secrets.
 */
#ifndef ECLUSE_KEEPER_TOKEN_REQUEST_H
#define ECLUSE_KEEPER_TOKEN_REQUEST_H

#include "auth/oauth_metadata.h"
#include "conf/config.h"
#include "keeper/token_inputs.h"
#include "keeper/vault.h"

struct token_request {
    char *url;
    char *issuer; /* what the refresh token is bound to in the vault */
    struct secret body;
    struct secret authorization; /* not set: none */
    struct secret password;      /* the one in the body, with flow password */
};

/* `mailbox`: the one that the token is for, of an account for a whole domain, where it is for one;
 * else "". `brought`: a refresh token in the place of the vault's, or NULL. `metadata`
 * is what the issuer says, NULL: nothing is known; `inputs` are those of token_inputs_collect.
 * ERR_NOT_FOUND: there is no refresh token or password, somebody must sign in. Others: the
 * configuration (no token endpoint, a client secret that cannot be read) or the vault; the text
 * says which and what to do. Nothing is allocated then. */
MUST_CHECK int token_request_make(const struct account_config *account, const char *mailbox,
                                  const struct oauth_metadata *metadata, struct vault *vault,
                                  const struct secret *brought, const struct token_inputs *inputs,
                                  struct token_request *request_out, struct err *err);
/* The body and the Authorization header that revoke a refresh token of the account (RFC 7009). As
 * above. */
MUST_CHECK int token_request_make_revocation(const struct account_config *account,
                                             const struct oauth_metadata *metadata,
                                             struct vault *vault, const struct token_inputs *inputs,
                                             const struct secret *refresh_token,
                                             struct secret *body_out,
                                             struct secret *authorization_out, struct err *err);
void token_request_clear(struct token_request *request);

/* True when a token that was had for `a` is as good for `b`: same endpoint, client, scope and
 * user; of a password: same provider and command. */
bool token_request_is_same(const struct account_config *a, const struct account_config *b);

#endif
