/*
 * The request that refreshes an account's access token (RFC 6749 section 6), put together from the
 * configuration, the vault and the client secret's file.
 */
#ifndef ECLUSE_KEEPER_TOKEN_REQUEST_H
#define ECLUSE_KEEPER_TOKEN_REQUEST_H

#include "conf/config.h"
#include "keeper/vault.h"

struct token_request {
    char *url;
    char *issuer; /* what the refresh token is bound to in the vault */
    struct secret body;
    struct secret authorization; /* not set: none */
};

/* ERR_NOT_FOUND: there is no refresh token, somebody must sign in. Others: the configuration (no
 * token endpoint, a client secret that cannot be read) or the vault; the text says which and what
 * to do. Nothing is allocated then. */
MUST_CHECK int token_request_make(const struct account_config *account, struct vault *vault,
                                  struct token_request *request_out, struct err *err);
void token_request_clear(struct token_request *request);

/* True when a token that was had for `a` is as good for `b`: same endpoint, client and scope; of a
 * password: same provider and command. */
bool token_request_is_same(const struct account_config *a, const struct account_config *b);

/* A secret in a file: regular, ours or root's, closed to group and others, at most 4 KiB; the line
 * end is left out. ERR_DENIED, ERR_SYSTEM or ERR_SYNTAX with a text. */
MUST_CHECK int client_secret_read(const char *path, struct secret *secret_out, struct err *err);

#endif
