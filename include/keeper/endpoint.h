/*
 * What an account's options come to when a token is asked for: where, under which name the vault
 * keeps its token, with which scope.
 */
#ifndef ECLUSE_KEEPER_ENDPOINT_H
#define ECLUSE_KEEPER_ENDPOINT_H

#include "auth/oauth_identity.h"
#include "auth/oauth_metadata.h"
#include "conf/config.h"

/* True for the flows in which somebody signs in and a refresh token is kept. */
bool endpoint_has_sign_in(const struct account_config *account);
/* True for the flows that stand on the user's password: none, and password. */
bool endpoint_takes_password(const struct account_config *account);
/* True when the vault keeps that password: there is no password_command. */
bool endpoint_has_stored_password(const struct account_config *account);
/* What the vault binds the account's refresh token to: the issuer, else the token endpoint as
 * configured; and its password: "password:" and the provider's name. For mem_free. */
char *endpoint_issuer(const struct account_config *account);
/* The issuer that tells the provider's endpoints, with {tenant} replaced; NULL when it has none.
 * For mem_free. */
char *endpoint_issuer_url(const struct account_config *account);
/* An endpoint of the provider: the one in the configuration, with {tenant} replaced, else the one
 * in `metadata` (NULL: nothing is known), else NULL. For mem_free. */
char *endpoint_url(const struct account_config *account, const struct oauth_metadata *metadata,
                   enum oauth_endpoint which);
/* True when only the issuer can tell where it is: the configuration does not, and has an issuer. */
bool endpoint_needs_discovery(const struct account_config *account, enum oauth_endpoint which);
/* The account's scope, else all that the provider's rows name, each word once, else what the issuer
 * offers of the scopes for mail (`metadata` NULL: nothing is known). May be "". For mem_free. */
char *endpoint_scope(const struct account_config *account, const struct oauth_metadata *metadata);
/* Who is to have signed in: login_hint, where the mailbox is another's; else the account's own
 * user, under either of the names that it may have. `client_id` is that of the request; borrowed,
 * as all of it. */
struct oauth_identity_question endpoint_identity_question(const struct account_config *account,
                                                          const char *client_id);
/* The bundle of certificate authorities for the provider, a path. Borrowed. */
const char *endpoint_ca_file(const struct config *config, const struct account_config *account);

#endif
