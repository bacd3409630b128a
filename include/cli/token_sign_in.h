/*
 * A secret that was had elsewhere becomes an account's sign-in: `login` of the keeper, which tries
 * a refresh token and looks whose it is. What is awaited is said on a terminal, and what is in
 * doubt on stderr.
 */
#ifndef ECLUSE_CLI_TOKEN_SIGN_IN_H
#define ECLUSE_CLI_TOKEN_SIGN_IN_H

#include "base/secret.h"
#include "cli/ask.h"

/* `request` is taken over, and has the secret: "refresh_token" or "password". As ask_command. */
MUST_CHECK int token_sign_in(const struct arguments *arguments, const char *account,
                             json_t *request, json_t **answer_out);

#endif
