/*
 * The secrets of a token request that commands of the configuration print: client_secret_command,
 * jwt_passphrase_command, and with flow password password_command. They are run one after the
 * other, each at most 30 s.
 */
#ifndef ECLUSE_KEEPER_TOKEN_INPUTS_H
#define ECLUSE_KEEPER_TOKEN_INPUTS_H

#include "conf/config.h"
#include "net/loop.h"

enum token_input {
    TOKEN_INPUT_CLIENT_SECRET,
    TOKEN_INPUT_PASSPHRASE,
    TOKEN_INPUT_PASSWORD,
    TOKEN_INPUT_COUNT
};

/* Not set: the account has no command for it. */
struct token_inputs {
    struct secret secrets[TOKEN_INPUT_COUNT];
};

void token_inputs_wipe(struct token_inputs *inputs);

struct token_collection;

/* NULL: there is nothing to run, and the request can be made at once. Else `on_done` is called once
 * unless cancelled, never from within. status 0: `inputs` may be moved from, and is wiped
 * afterwards. Else it is NULL, and `reason` tells which command did what ("its
 * client_secret_command ended with status 1"), without anything that it printed. */
struct token_collection *token_inputs_collect(
    struct loop *loop, const struct account_config *account,
    void (*on_done)(void *owner, int status, struct token_inputs *inputs, const char *reason),
    void *owner);
void token_inputs_cancel(struct token_collection *collection);

#endif
