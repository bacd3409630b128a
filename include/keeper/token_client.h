/*
 * Who asks: what an account's options say of the client and of the way in which it proves itself to
 * the token endpoint (RFC 6749 section 2.3), for every kind of token request.
 */
#ifndef ECLUSE_KEEPER_TOKEN_CLIENT_H
#define ECLUSE_KEEPER_TOKEN_CLIENT_H

#include "auth/oauth.h"
#include "auth/oauth_metadata.h"
#include "conf/config.h"
#include "keeper/token_inputs.h"

/* `oauth` borrows from the account and from `proof`: valid while both are, and not to be copied. */
struct token_client {
    struct oauth_client oauth;
    struct secret proof;
};

/* `metadata` is what the issuer says, NULL: nothing is known. Where the token endpoint is the
 * issuer's own and client_auth is not set, it says how a secret is sent. `inputs` are those of
 * token_inputs_collect, and all empty when there was nothing to run; `audience` is the token
 * endpoint, for an assertion, which is good for one request. Errors: a file of a secret or key that
 * cannot be read, or is none; the text says which and what to do. Nothing is allocated then. */
MUST_CHECK int token_client_make(const struct account_config *account,
                                 const struct oauth_metadata *metadata,
                                 const struct token_inputs *inputs, const char *audience,
                                 struct token_client *client_out, struct err *err);
void token_client_clear(struct token_client *client);

/* A secret in a file: regular, ours or root's, closed to group and others, at most 4 KiB; the line
 * end is left out. ERR_DENIED, ERR_SYSTEM or ERR_SYNTAX with a text. */
MUST_CHECK int client_secret_read(const char *path, struct secret *secret_out, struct err *err);

#endif
